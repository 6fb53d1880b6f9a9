"""Pods that speak TLS: one server for all services, which presents the certificate of the service
that is named in SNI, and counts connections and handshakes.

SPDX-License-Identifier: MIT
"""
import hashlib
import json
import socket
import ssl
import sys
import threading

from local_server import accept_each
from tunnel_process import ROOT

sys.path.insert(0, str(ROOT / "tests" / "kubectl"))
from pki import Authority, make  # noqa: E402 - the path comes first

NAMESPACE = "shop"


def service(name, port=443, target=8443, port_name="https", protocol=None):
    ports = {"name": port_name, "port": port, "targetPort": target}
    if protocol:
        ports["appProtocol"] = protocol
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"app": "web"}, "ports": [ports]}}


def manifest(folder, *services):
    path = folder / "services.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(services)}))
    return path


def names_of(name):
    return f"DNS:{name}.{NAMESPACE}.svc,DNS:{name}.{NAMESPACE}.svc.cluster.local"


class Certificates:
    """One authority, and a certificate for each service: as the issue's cases name them."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder, "pods")
        self.other = Authority(folder, "others")
        self.files = {
            "good": self.authority.issue("good", names_of("good")),
            "unknown": self.other.issue("unknown", names_of("unknown")),
            "expired": self.authority.issue("expired", names_of("expired"), expired=True),
            "elsewhere": self.authority.issue("elsewhere", "DNS:api.example"),
            "selfsigned": make(folder, "selfsigned", "/O=Acme/CN=selfsigned",
                               f"subjectAltName={names_of('selfsigned')}", None),
        }

    def sha256(self, name):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.files[name][0].read_text())).hexdigest()


class TlsPods:
    """answer(connection, head, names): called for each request, whose body it reads itself."""

    def __init__(self, certificates, answer=None, alpn=("http/1.1",), port=0):
        self.contexts = {name: self.context(files, alpn) for name, files in certificates.files.items()}
        self.answer = answer or plain_answer
        self.connections = 0
        self.handshakes = []  # (server name, was it resumed)
        self.requests = []
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def context(self, files, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.set_alpn_protocols(list(alpn))
        context.sni_callback = self.on_name
        return context

    def on_name(self, connection, name, _):
        connection.server_name_sent = name
        own = (name or "").partition(".")[0]
        connection.context = self.contexts.get(own, self.contexts["elsewhere"])

    def run(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(accepted,), daemon=True).start()

    def serve(self, accepted):
        accepted.settimeout(30)
        try:
            with self.contexts["good"].wrap_socket(accepted, server_side=True) as secured:
                self.handshakes.append((secured.server_name_sent, secured.session_reused))
                self.open.add(secured)
                while head := read_head(secured):
                    self.requests.append(head)
                    if not self.answer(secured, head):
                        return
        except (OSError, EOFError):
            pass  # it went away, or did not accept the certificate
        finally:
            self.open.discard(accepted)
            accepted.close()

    def close_connections(self):
        for secured in list(self.open):
            try:
                socket.socket.shutdown(secured, socket.SHUT_RDWR)
            except OSError:
                pass
        self.open.clear()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # ends accept(), which would keep the port
        self.listener.close()
        self.close_connections()


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def length_of(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def plain_answer(connection, head):
    """The head and the length of the body, as text."""
    rest = length_of(head)
    total = rest
    while rest:
        rest -= len(connection.recv(min(rest, 1 << 16)))
    text = head + b"%d bytes\n" % total
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
    return True


class PlainPod:
    """Answers whatever comes with this, and keeps the first bytes of each connection."""

    def __init__(self, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nplain\n",
                 otherwise=b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"):
        self.answer, self.otherwise = answer, otherwise
        self.first = []
        self.listener, self.port = accept_each(self.serve)

    def serve(self, accepted):
        with accepted:
            accepted.settimeout(10)
            first = accepted.recv(1 << 16)
            self.first.append(first)
            accepted.sendall(self.answer if first.startswith(b"GET") else self.otherwise)

    def close(self):
        self.listener.close()
