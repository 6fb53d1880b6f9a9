"""Pods that speak HTTP/2: nginx behind the playground, the lab's Go pod on the real cluster.

Two services with the same pods: "h1", in HTTP/1.1, and "h2c", whose port declares HTTP/2 without TLS.
SPDX-License-Identifier: MIT
"""
import json
import os
import shutil
import socket
import subprocess

from process import Process

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
HTTP1_PORT, H2C_PORT, TLS_PORT, STREAMS_PORT = 8080, 8081, 8443, 9090  # of the playground's pods
ONE_POD = "one"  # a service of the first of the lab's pods
STREAMS_SERVICE = "streams"  # bench/streams.py, while it runs
GRPC_CHECK = "/grpc.health.v1.Health/Check"
SERVING = bytes((0, 0, 0, 0, 2, 8, 1))  # its answer
DOWNLOAD_FILE = 64 << 20

# `bytes` ends each answer of a gRPC call; nginx takes a POST for a file only by way of the error page.
SERVER = """
    location / {{
        add_header X-Pod web-1;
        return 200 "pod web-1 method GET host web.shop.svc.cluster.local path / .....\\n";
    }}
    location = /bytes {{ alias {folder}/bytes; }}
    location = {check} {{
        alias {folder}/serving;
        error_page 405 =200 $uri;
        types {{ }}
        default_type application/grpc;
        add_trailer grpc-status 0;
    }}
"""
CONF = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pods.pid;
error_log {folder}/pods.err;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/pods.body;
    proxy_temp_path {folder}/pods.proxy;
    fastcgi_temp_path {folder}/pods.fastcgi;
    uwsgi_temp_path {folder}/pods.uwsgi;
    scgi_temp_path {folder}/pods.scgi;
    ssl_certificate {folder}/pod.crt;
    ssl_certificate_key {folder}/pod.key;
    server {{ listen 127.0.0.1:{http1}; {server} }}
    server {{ listen 127.0.0.1:{h2c} http2; {server} }}
    server {{ listen 127.0.0.1:{tls} ssl http2; {server} }}
}}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def host_of(place, service):
    return f"{service}.{place.http2_pods.namespace}.svc.cluster.local"


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.crt"], check=True, capture_output=True)


def services(namespace, selector, ports):
    """ports: name of the service -> (target port, appProtocol)"""
    for name, (target, protocol) in ports.items():
        port = {"name": "main", "port": 443 if protocol == "https" else 80, "targetPort": target}
        if protocol:
            port["appProtocol"] = protocol
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
               "spec": {"selector": selector, "ports": [port]}}


class NginxPods:
    """The pods of the playground's namespace "many": one nginx."""

    namespace, pod_name = "many", "many-0"
    grpc_service, grpc_port = "h2c", H2C_PORT

    def __init__(self, folder):
        self.folder = folder
        self.http1, self.h2c, self.tls, self.streams = free_ports(4)
        make_certificate(folder, "pod")
        with open(folder / "bytes", "wb") as f:
            f.truncate(DOWNLOAD_FILE)
        (folder / "serving").write_bytes(SERVING)
        conf = folder / "pods.conf"
        user = "user root;" if os.getuid() == 0 else ""
        conf.write_text(CONF.format(user=user, folder=folder, http1=self.http1, h2c=self.h2c, tls=self.tls,
                                    server=SERVER.format(folder=folder, check=GRPC_CHECK)))
        self.process = Process([NGINX, "-e", folder / "pods.err", "-p", folder, "-c", conf], folder / "pods.log")

    def flags(self):
        """Of the playground that they are the pods of."""
        manifest = self.folder / "pods.json"
        ports = {"h1": (HTTP1_PORT, None), "h2c": (H2C_PORT, "kubernetes.io/h2c"),
                 STREAMS_SERVICE: (STREAMS_PORT, "grpc"), "tls": (TLS_PORT, "https")}
        manifest.write_text(json.dumps(list(services(self.namespace, {"app": "many"}, ports))))
        return ["--pods", 2, "--manifest", manifest, "--backend", f"many:{HTTP1_PORT}=127.0.0.1:{self.http1}",
                "--backend", f"many:{H2C_PORT}=127.0.0.1:{self.h2c}",
                "--backend", f"many:{TLS_PORT}=127.0.0.1:{self.tls}",
                "--backend", f"many:{STREAMS_PORT}=127.0.0.1:{self.streams}"]

    def close(self):
        self.process.stop()


class GoPods:
    """A namespace of the lab with pods of their own, so that tests beside it see nothing of them."""

    namespace = "bench"
    grpc_service, grpc_port = "grpc", 9090

    def __init__(self, kubectl):
        self.kubectl = kubectl
        container = {"name": "pod", "image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never",
                     "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
        template = {"metadata": {"labels": {"app": "bench"}},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
        ports = {"h1": (8080, None), "h2c": (8080, "kubernetes.io/h2c"), "grpc": (9090, "grpc")}
        objects = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": self.namespace}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "pods", "namespace": self.namespace},
             "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "bench"}}, "template": template}},
            *services(self.namespace, {"app": "bench"}, ports),
            *services(self.namespace, {"only": "this"}, {ONE_POD: (8080, "kubernetes.io/h2c")})]
        kubectl("delete", "namespace", self.namespace, "--ignore-not-found")  # waits until it is gone
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        kubectl("rollout", "status", "-n", self.namespace, "deployment/pods", "--timeout=60s")
        names = kubectl("get", "pods", "-n", self.namespace, "-o", "jsonpath={.items[*].metadata.name}").split()
        self.pod_name = min(names)
        kubectl("label", "pod", self.pod_name, "-n", self.namespace, "only=this")

    def close(self):
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
