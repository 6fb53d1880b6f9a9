"""What may stand between a client and an API server: servers in threads of this process.

A front takes a request's head, judges it, and carries everything after it to the playground.
Real programs in the same places are tested in tests/system/test_ways.py.
SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import json
import re
import select
import socket
import ssl
import struct
import threading


# The least of what kubectl requests before it gets a service.
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "services", "singularName": "service", "namespaced": True, "kind": "Service",
         "verbs": ["get", "list"], "shortNames": ["svc"]}]},
}


def server_context(certificate, key, chain=(), clients=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    joined = certificate.with_suffix(".chain")
    joined.write_text("".join(p.read_text() for p in (certificate, *chain)))
    context.load_cert_chain(joined, key)
    context.set_alpn_protocols(["http/1.1"])
    if clients:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(clients)
    return context


def pump(a, b):
    """Carry bytes both ways until either side ends."""
    while True:
        pending = [s for s in (a, b) if isinstance(s, ssl.SSLSocket) and s.pending()]
        ready = pending or select.select([a, b], [], [], 30)[0]
        if not ready:
            return
        for s in ready:
            chunk = s.recv(65536)
            if not chunk:
                return
            (b if s is a else a).sendall(chunk)


def read_head(s):
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = s.recv(65536)
        if not chunk:
            return None, b""
        head += chunk
    head, _, rest = head.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def answer(s, status, body, kind="application/json", *more):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}",
             "Connection: close", *more]
    s.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


class Front:
    """A listening socket and a thread for each connection."""

    def __init__(self, context=None, host="127.0.0.1"):
        self.context = context
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.seen = []  # first lines of the heads that came
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                threading.Thread(target=self.run, args=(s,), daemon=True).start()

    def run(self, s):
        with contextlib.suppress(OSError, ValueError), contextlib.closing(s):
            s.settimeout(60)
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            with contextlib.closing(s):
                self.serve(s)

    def close(self):
        self.listener.close()


class ApiServer(Front):
    """The playground behind another certificate, which knows one token, one password and the
    clients of one authority. `prefix` goes before every path; `speaks_for` adds the token, as
    `kubectl proxy` does."""

    def __init__(self, playground, context=None, prefix="", token="playground", speaks_for=False):
        self.playground, self.prefix, self.token = playground, prefix, token
        self.speaks_for = speaks_for
        super().__init__(context)

    def allows(self, s, head):
        found = re.search(r"(?im)^authorization: *(\S+) +(\S+)\s*$", head)
        basic = base64.b64encode(b"dev:secret").decode()
        return self.speaks_for or bool(self.context and s.getpeercert()) or \
            (found and found.groups() in (("Bearer", self.token), ("Basic", basic)))

    def serve(self, s):
        head, rest = read_head(s)
        if head is None:
            return
        self.seen.append(head.splitlines()[0])
        method, path, version = head.splitlines()[0].split(" ")
        if not path.startswith(self.prefix + "/api"):
            return answer(s, "404 Not Found", "no such path\n", "text/plain")
        if not self.allows(s, head):
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
                      "reason": "Unauthorized", "message": "Unauthorized"}
            return answer(s, "401 Unauthorized", json.dumps(status))
        if method == "GET" and (found := DISCOVERY.get(path[len(self.prefix):].split("?")[0])):
            return answer(s, "200 OK", json.dumps(found))
        lines = [f"{method} {path[len(self.prefix):]} {version}",
                 *(x for x in head.splitlines()[1:] if not x.lower().startswith("authorization:")),
                 "Authorization: Bearer playground"]
        if not re.search(r"(?im)^upgrade:", head):
            lines = [x for x in lines if not x.lower().startswith("connection:")]
            lines.append("Connection: close")
        onward = ssl._create_unverified_context()
        with socket.create_connection(("127.0.0.1", self.playground)) as plain, \
                onward.wrap_socket(plain) as there:
            there.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + rest)
            pump(s, there)


class Says(Front):
    """Always the same answer, whatever came."""

    def __init__(self, context, *reply):
        self.reply = reply
        super().__init__(context)

    def serve(self, s):
        head, _ = read_head(s)
        if head is not None:
            self.seen.append(head.splitlines()[0])
            answer(s, *self.reply)


class Resets(Front):
    """A reset right after the handshake, as of a server whose alert gets lost."""

    def serve(self, s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class PlainHttp(Front):
    """Plain HTTP where TLS is expected: answered as Go's server does."""

    def serve(self, s):
        s.recv(4096)
        s.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")


class HttpProxy(Front):
    """CONNECT to anything, which is always `to`."""

    def __init__(self, to, context=None):
        self.to = to
        super().__init__(context)

    def serve(self, s):
        head, _ = read_head(s)
        if head is None:
            return
        self.seen.append(head.splitlines()[0])
        if not head.startswith("CONNECT "):
            return answer(s, "405 Method Not Allowed", "CONNECT only\n", "text/plain")
        with socket.create_connection(("127.0.0.1", self.to)) as there:
            s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump(s, there)


class Socks5(Front):
    """RFC 1928 without authentication, names looked up here: all of them are `to`."""

    def __init__(self, to):
        self.to = to
        super().__init__()

    def serve(self, s):
        def exactly(n):
            got = b""
            while len(got) < n:
                chunk = s.recv(n - len(got))
                if not chunk:
                    raise OSError("cut")
                got += chunk
            return got
        exactly(exactly(2)[1])
        s.sendall(b"\x05\x00")
        kind = exactly(4)[3]
        self.seen.append({1: "address", 3: "name", 4: "address"}[kind])
        exactly({1: 4, 3: None, 4: 16}[kind] or exactly(1)[0])
        exactly(2)
        with socket.create_connection(("127.0.0.1", self.to)) as there:
            s.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
            pump(s, there)
