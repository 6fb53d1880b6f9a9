"""TLS of clients: passed through to the pod, and ended by kube-tunnel; on the playground.

Each request makes a connection of its own, with a full handshake. SPDX-License-Identifier: MIT
"""
import measure
from contender import KubeTunnel, Nginx
from http2_pods import free_ports, host_of
from load import put_load

PLAIN, SECURE = "h1", "tls"  # services: the second has a TLS port
NGINX_TLS = """
upstream pod {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 1000000000; }}
server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/pod.crt;
    ssl_certificate_key {folder}/pod.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
        proxy_pass https://pod;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
}}
"""


class TlsClient(KubeTunnel):
    """kube-tunnel ends the TLS of its clients, since the service has no TLS port."""

    cold = False
    service = PLAIN
    loads = {"TLS: new connections", "TLS: new connections, fixed rate"}

    @classmethod
    def missing(cls, place):
        if place.name != "playground":
            return "TLS is measured on the playground"
        return super().missing(place) or (None if place.http2_pods else "without nginx there are no pods with TLS")

    def start(self):
        super().start()
        self.tls_address = self.address


class Passthrough(TlsClient):
    """To the TLS port of a service, found by the server name."""

    name = "kube-tunnel passthrough"
    service = SECURE
    loads = {"TLS: passed through", "TLS: passed through, fixed rate"}


class RawTls(Passthrough):
    """To the same port, exposed."""

    name = "kube-tunnel raw TLS"
    exposed = "tls.many:443"

    def start(self):
        super().start()
        self.tls_address = self.raw_address


class NginxTls(Nginx):
    """Ends TLS, and opens TLS to the server, whose connections it keeps."""

    loads = TlsClient.loads
    service = PLAIN

    def start(self):
        port, tls = free_ports(2)
        self.process = self.run("nginx-tls", NGINX_TLS, backend=self.place.http2_pods.tls, port=port, tls=tls)
        self.address, self.tls_address = f"127.0.0.1:{port}", f"127.0.0.1:{tls}"


def new_connections(times, rate=None):
    """times: of the usual duration."""
    def run(effort, contender):
        host = host_of(contender.place, contender.service)
        result = put_load(contender.place, contender.tls_address, measure.watched(contender), fresh=True,
                          connections=8, tls=host, host=host, rate=rate, settle=measure.milliseconds(effort.settle),
                          duration=measure.milliseconds(times * effort.seconds))
        return {**measure.per_request(result), "asked_rps": rate}
    return run


CONTENDERS = (TlsClient, NginxTls, Passthrough, RawTls)
LOADS = {
    "TLS: new connections": new_connections(1),
    "TLS: new connections, fixed rate": new_connections(3, measure.FRESH_RATE),
    "TLS: passed through": new_connections(1),
    "TLS: passed through, fixed rate": new_connections(3, measure.FRESH_RATE),
}
