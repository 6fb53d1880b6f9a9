"""The programs that are measured: kube-tunnel, kubectl port-forward, nginx, the pod itself, bare SPDY.

A contender is started in a place, has an address there, and may exit during a
load: alive() then starts it again. SPDX-License-Identifier: MIT
"""
import os
import shutil
import subprocess
from pathlib import Path

from http2_pods import DOWNLOAD_FILE, NGINX, free_ports
from load import ROOT, SPDY_BINARY, answers, drive_spdy, put_load
from place import HTTP_PORT, KUBECTL, RAW_PORT
from process import Process, eventually, family

KUBE_TUNNEL = Path(os.environ.get("KUBE_TUNNEL", ROOT / "build" / "kube-tunnel"))

NGINX_FRONT = """
upstream pod {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 1000000000; }}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass https://pod;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_max_temp_file_size 0;
    }}
}}
"""
NGINX_TO_POD = """
upstream pod {{ server {pod}; keepalive 128; keepalive_requests 1000000000; }}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://pod;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_max_temp_file_size 0;
    }}
}}
"""
# Answers as long as those of the pods.
NGINX_BACKEND = """
server {{
    listen 127.0.0.1:{backend} ssl;
    ssl_certificate {folder}/tls.crt;
    ssl_certificate_key {folder}/tls.key;
    location / {{
        add_header X-Pod web-1;
        return 200 "pod web-1 method GET host web.shop.svc.cluster.local path / .....\\n";
    }}
    location = /bytes {{ alias {folder}/bytes; }}
}}
"""
NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.err;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/{name}.body;
    proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi;
    uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    {server}
}}
"""


class Contender:
    """The common part. start() sets address and process."""

    tool = True  # a program that stands between client and pod
    cold = False  # it can be timed from its start ...
    cold_command = None  # ... with this, {port} in it
    uploads = True
    loads = None  # which it takes; None: all that it can
    proxy = None  # raw connections request their target: "socks5" or "connect"
    patience = 20  # seconds until it answers

    def __init__(self, place, folder):
        self.place, self.folder = place, folder
        self.address = self.raw_address = self.process = None
        self.died = 0

    def takes(self, load):
        return self.loads is None or load in self.loads

    def load(self, watch, **options):
        return put_load(self.place, self.address, watch, **options)

    def start(self):
        raise NotImplementedError

    def open(self):
        self.start()
        if not eventually(lambda: answers(self.place, self.address), self.patience):
            raise RuntimeError(f"{self.name} does not answer:\n"
                               + (self.process.tail() if self.process else ""))
        return self

    def alive(self):
        """Returns self once it answers; restarts it if it has exited."""
        if self.process and not (self.process.alive and answers(self.place, self.address)):
            self.died += 1
            self.close()
            self.open()
        return self

    def log(self):
        name = self.name.replace("/", "-")
        return self.folder / f"{self.place.name}-{name}.log"

    def pids(self):
        return family(self.process.child.pid) if self.process else []

    def close(self):
        if self.process:
            self.process.stop()


class KubeTunnel(Contender):
    """options: further ones of its command line, for a contender of its own name."""

    name = "kube-tunnel"
    cold = True
    binary = KUBE_TUNNEL
    exposed = "web.shop:echo"

    @classmethod
    def missing(cls, _place):
        return None if cls.binary and os.access(cls.binary, os.X_OK) else "not built"

    def __init__(self, place, folder, name=None, options=()):
        super().__init__(place, folder)
        self.name, self.options = name or self.name, options
        self.cold_command = self.run("{port}")

    def run(self, port):
        return [self.binary, "run", "--listen", f"127.0.0.1:{port}",
                "--kubeconfig", self.place.kubeconfig, *self.options]

    def start(self):
        words = [*self.run(0), "--expose", f"{self.exposed}=127.0.0.1:0"]
        self.process = Process(self.place.command(words), self.log())
        listener = r"listening address=\"?(127\.0\.0\.1:\d+)\"?"
        self.address = self.process.wait_for_output(listener + "$", self.patience).group(1)
        self.raw_address = self.process.wait_for_output(listener + " exposes=", self.patience).group(1)


class Direct(KubeTunnel):
    """kube-tunnel with connections to the pod's address, without tunnels."""

    name = "kube-tunnel direct"
    cold = False
    loads = {"1 connection", "16 connections", "64 connections", "fixed rate", "new connections", "download"}

    @classmethod
    def missing(cls, place):
        return super().missing(place) or (None if place.pod_address else "the pods have no address")

    def __init__(self, place, folder):
        super().__init__(place, folder, options=("--upstream", "direct"))


class Socks(KubeTunnel):
    """Raw connections by SOCKS 5 on the HTTP listener, instead of an exposed port."""

    name = "kube-tunnel SOCKS 5"
    cold = False
    loads = {"new raw connections"}
    proxy = "socks5"

    def start(self):
        super().start()
        self.raw_address = self.address


class Connect(Socks):
    """The same by CONNECT."""

    name = "kube-tunnel CONNECT"
    proxy = "connect"


class Before(KubeTunnel):
    """An older build, named by KUBE_TUNNEL_BEFORE, to compare with in the same run."""

    name = "kube-tunnel before"
    binary = os.environ.get("KUBE_TUNNEL_BEFORE")


class Kubectl(Contender):
    name = "kubectl"
    cold = True

    @staticmethod
    def missing(_place):
        return None if shutil.which(KUBECTL) else "not installed"

    def __init__(self, place, folder):
        super().__init__(place, folder)
        self.cold_command = self.run("{port}")

    def run(self, port):
        return [KUBECTL, "--kubeconfig", self.place.kubeconfig, "-n", "shop", "port-forward",
                "--address", "127.0.0.1", "service/web", f"{port}:80"]

    def start(self):
        self.process = Process(self.place.command([*self.run(""), f":{RAW_PORT}"]), self.log())
        listener = r"Forwarding from (127\.0\.0\.1:\d+) -> "
        self.address = self.process.wait_for_output(f"{listener}{HTTP_PORT}$").group(1)
        self.raw_address = self.process.wait_for_output(f"{listener}{RAW_PORT}$").group(1)


class Nginx(Contender):
    """Plain HTTP in, TLS out, keep-alive on both sides: the cost of a proxy with encryption."""

    name = "nginx"
    uploads = False

    @staticmethod
    def missing(place):
        if place.name != "playground":
            return "measured on the playground"
        return None if NGINX else "not installed"

    def __init__(self, place, folder):
        super().__init__(place, folder)
        self.backend = None

    def run(self, name, server, **values):
        conf = self.folder / f"{name}.conf"
        server = server.format(folder=self.folder, **values)
        user = "user root;" if os.getuid() == 0 else ""  # other users cannot read our folder
        conf.write_text(NGINX_CONF.format(folder=self.folder, name=name, server=server, user=user))
        return Process(self.place.command([NGINX, "-e", self.folder / f"{name}.err", "-p", self.folder, "-c", conf]),
                       self.folder / f"{name}.log")

    def make_backend_files(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=pod",
                        "-keyout", self.folder / "tls.key", "-out", self.folder / "tls.crt"],
                       check=True, capture_output=True)
        with open(self.folder / "bytes", "wb") as f:
            f.truncate(DOWNLOAD_FILE)

    def start(self):
        ports = free_ports(2)
        self.make_backend_files()
        self.backend = self.run("nginx-backend", NGINX_BACKEND, backend=ports[0])
        self.process = self.run("nginx-front", NGINX_FRONT, backend=ports[0], port=ports[1])
        self.address = f"127.0.0.1:{ports[1]}"

    def close(self):
        super().close()
        if self.backend:
            self.backend.stop()


class NginxToPod(Nginx):
    """Plain HTTP on both sides: the cost of a proxy to the pod's address."""

    name = "nginx to the pod"
    loads = Direct.loads

    @staticmethod
    def missing(place):
        if not place.pod_address:
            return "the pods have no address"
        return None if NGINX else "not installed"

    def start(self):
        port = free_ports(1)[0]
        self.process = self.run("nginx-to-pod", NGINX_TO_POD, port=port, pod=self.place.pod_address)
        self.address = f"127.0.0.1:{port}"


class Pod(Contender):
    """Requests directly to the pod: the limit of machine and pod."""

    name = "pod"
    tool = False
    loads = {"1 connection", "16 connections", "64 connections", "256 connections",
             "new connections", "new raw connections", "raw burst", "download"}

    @staticmethod
    def missing(place):
        return None if place.pod_address else "cannot be reached directly"

    def start(self):
        self.address, self.raw_address = self.place.pod_address, self.place.raw_address


class BareSpdy(Contender):
    """Only pairs in own tunnels: the limit of API server, kubelet and runtime. It is
    also the load generator, so no process is started or observed."""

    name = "bare SPDY"
    tool = False
    loads = {"1 connection", "16 connections"}
    per_tunnel = 1

    @staticmethod
    def missing(place):
        if not os.access(SPDY_BINARY, os.X_OK):
            return "not built"
        return None if place.pod_name else "without kubectl it knows no pod"

    def open(self):
        return self

    def load(self, watch, **options):
        return drive_spdy(self.place, watch, kubeconfig=self.place.kubeconfig, namespace="shop",
                          pod=self.place.pod_name, port=HTTP_PORT, per_tunnel=self.per_tunnel,
                          **options)


class SharedSpdy(BareSpdy):
    """The same with all pairs in one tunnel, as in kubectl."""

    name = "bare SPDY, one tunnel"
    loads = {"16 connections"}
    per_tunnel = 16


CONTENDERS = (KubeTunnel, Before, Direct, Socks, Connect, Kubectl, Nginx, NginxToPod, Pod, BareSpdy,
              SharedSpdy)
