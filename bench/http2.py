"""HTTP/2: h2load through kube-tunnel, kubectl port-forward and nghttpx, to pods that speak it.

SPDX-License-Identifier: MIT
"""
import shutil

import http2_memory
import measure
from contender import BareSpdy, Contender, KubeTunnel, Kubectl
from h2load import H2LOAD, put_h2load
from http2_pods import GRPC_CHECK, ONE_POD, free_ports, host_of
from load import drive_spdy, put_load
from place import KUBECTL
from process import Process

SOCAT = shutil.which("socat")
NGHTTPX = shutil.which("nghttpx", path="/usr/local/sbin:/usr/sbin:/usr/bin")
STREAMS = 32  # of each connection


class Http2Client(KubeTunnel):
    """kube-tunnel with clients of HTTP/2."""

    cold = False
    service = "h2c"
    options_of_load = {}

    @classmethod
    def missing(cls, place):
        return super().missing(place) or missing_tools(place)

    def load(self, watch, service=None, **options):
        host = host_of(self.place, service or self.service)
        return put_h2load(self.place, self.folder, self.address, host, watch=watch,
                          **{**options, **self.options_of_load})

    def call(self, watch, **options):
        host = host_of(self.place, self.place.http2_pods.grpc_service)
        return put_load(self.place, self.address, watch, grpc=True, host=host, path=GRPC_CHECK, **options)


class Http1Client(Http2Client):
    """The same with clients of HTTP/1.1, to the same pods, of which each has one request under way."""

    name = "kube-tunnel HTTP/1.1"
    service = "h1"
    loads = {"HTTP/2: 16 x 32"}
    options_of_load = {"http1": True, "streams": 1}


class KubectlHttp2(Kubectl):
    cold = False
    loads = {"HTTP/2: 16 x 32", "HTTP/2: 1 x 32", "HTTP/2: 1 x 32, one pod", "HTTP/2: fixed rate"}

    @staticmethod
    def missing(place):
        if place.name == "playground":
            return "measured on the real cluster"
        return Kubectl.missing(place) or missing_tools(place)

    def start(self):
        words = [KUBECTL, "--kubeconfig", self.place.kubeconfig, "-n", self.place.http2_pods.namespace,
                 "port-forward", "--address", "127.0.0.1", "service/h2c", ":80"]
        self.process = Process(self.place.command(words), self.log())
        self.address = self.process.wait_for_output(r"Forwarding from (127\.0\.0\.1:\d+) -> ").group(1)

    load = Http2Client.load
    service, options_of_load = Http2Client.service, {}


class Nghttpx(Contender):
    """HTTP/2 without TLS in, HTTP/2 over TLS out, straight to the server: the cost of a proxy with encryption."""

    name = "nghttpx"
    loads = {"HTTP/2: 16 x 32", "HTTP/2: fixed rate"}

    @staticmethod
    def missing(place):
        if place.name != "playground":
            return "measured on the playground"
        return missing_tools(place) or (None if NGHTTPX else "not installed")

    def start(self):
        (port,) = free_ports(1)
        words = [NGHTTPX, "--conf=/dev/null", f"-f127.0.0.1,{port};no-tls", "--insecure", "--workers=1",
                 f"-b127.0.0.1,{self.place.http2_pods.tls};;proto=h2;tls", "--accesslog-file=/dev/null",
                 f"--errorlog-file={self.log()}"]
        self.process = Process(self.place.command(words), self.log())
        self.address = f"127.0.0.1:{port}"

    load = Http2Client.load
    service, options_of_load = Http2Client.service, {}


class BareGrpc(BareSpdy):
    """gRPC calls on an HTTP/2 connection in one pair: the latency of a proxy without any cost."""

    loads = {"HTTP/2: gRPC unary"}

    @staticmethod
    def missing(place):
        return missing_tools(place) or BareSpdy.missing(place)

    def call(self, watch, **options):
        pods = self.place.http2_pods
        return drive_spdy(self.place, watch, kubeconfig=self.place.kubeconfig, namespace=pods.namespace,
                          pod=pods.pod_name, port=pods.grpc_port, per_tunnel=1, grpc=True, connections=1,
                          host=host_of(self.place, pods.grpc_service), path=GRPC_CHECK, **options)


class StraightGrpc(BareSpdy):
    """The same calls straight to the server: no tunnel, no proxy."""

    name = "no tunnel"
    loads = BareGrpc.loads
    straight = None  # not `address`, which is warmed up with HTTP/1.1

    @staticmethod
    def missing(place):
        return missing_tools(place) or (None if place.name == "playground" else "measured on the playground")

    def call(self, watch, **options):
        pods = self.place.http2_pods
        return put_load(self.place, self.straight or f"127.0.0.1:{pods.h2c}", watch, grpc=True,
                        host=host_of(self.place, pods.grpc_service), path=GRPC_CHECK, **options)


class RelayedGrpc(StraightGrpc):
    """The same through socat, which only reads and writes: what a process between client and server adds."""

    name = "no tunnel, socat"
    tool = True

    @staticmethod
    def missing(place):
        return StraightGrpc.missing(place) or (None if SOCAT else "socat is not installed")

    def open(self):
        (port,) = free_ports(1)
        self.process = Process([SOCAT, "-dd", f"TCP-LISTEN:{port},bind=127.0.0.1,nodelay,fork",
                                f"TCP:127.0.0.1:{self.place.http2_pods.h2c},nodelay"], self.log())
        self.process.wait_for_output("listening on")
        self.straight = f"127.0.0.1:{port}"
        return self

    def alive(self):
        return self


def missing_tools(place):
    if not place.http2_pods:
        return "without nginx there are no pods of HTTP/2"
    return None if H2LOAD else "h2load is not installed"


def flat_out(connections):
    return lambda effort, contender: requests(effort, contender, connections=connections, streams=STREAMS)


def to_one_pod(effort, contender):
    """kubectl forwards to one pod in any case."""
    if contender.place.name == "playground":
        return {}
    service = {"service": ONE_POD} if isinstance(contender, Http2Client) else {}
    return requests(effort, contender, connections=1, streams=STREAMS, **service)


def paced(effort, contender):
    return requests(effort, contender, seconds=1.5 * effort.seconds, connections=16, streams=STREAMS,
                    rate=measure.RATE)


def unary(effort, contender):
    """One call after the other, on one connection."""
    return measure.per_request(contender.call(measure.watched(contender), settle="1s",
                                              duration=measure.milliseconds(effort.seconds)))


def requests(effort, contender, **options):
    """Of a fixed time; the settling time opens the tunnels."""
    result = contender.load(measure.watched(contender), **{
        "seconds": effort.seconds, "settle": max(1, effort.settle), **options})
    return {**measure.per_request(result), "asked_rps": options.get("rate")}


CONTENDERS = (Http2Client, Http1Client, KubectlHttp2, Nghttpx, BareGrpc, StraightGrpc, RelayedGrpc)
LOADS = {
    "HTTP/2: 16 x 32": flat_out(16),
    "HTTP/2: 1 x 32": flat_out(1),
    "HTTP/2: 1 x 32, one pod": to_one_pod,
    "HTTP/2: fixed rate": paced,
    "HTTP/2: gRPC unary": unary,
    **http2_memory.LOADS,
}
