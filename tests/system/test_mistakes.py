"""The wrong protocol at each entrance, servers that send first, and first bytes that are damaged or of no protocol.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import re
import socket
import struct
import threading
import time

import pytest

from conftest import Playground
from real_programs import needs, run, tls_server  # noqa: F401
from test_proxy_clients import objects_of
from test_ways import start_program  # noqa: F401
from tunnel_process import ROOT, KubeTunnel, curl, eventually, free_ports, receive

SERVICES = {"strict": 8000, "tls": 443, "greets": 2525, "h2only": 8080}
HEAD_SECONDS = 2  # --head-timeout


class Server:
    """Each connection is a thread that runs `talk`; counts those that are open."""

    def __init__(self, port, talk):
        self.listening = socket.create_server(("127.0.0.1", port), backlog=200)
        self.talk, self.open, self.accepted = talk, 0, 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listening.accept()
            except OSError:
                return
            with self.lock:
                self.open += 1
                self.accepted += 1
            threading.Thread(target=self.run, args=(s,), daemon=True).start()

    def run(self, s):
        with contextlib.suppress(OSError), s:
            self.talk(s)
        with self.lock:
            self.open -= 1


def be_strict(s):
    """A plain HTTP server, which refuses what is no request."""
    while some := s.recv(65536):
        if some[:4] in (b"GET ", b"POST"):
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstrict")
        else:
            s.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return


def greet(s):
    s.sendall(b"220 ready\r\n")
    while s.recv(4096):
        pass


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    ports = free_ports(2 * len(SERVICES))
    exposed, backends = dict(zip(SERVICES, ports)), dict(zip(SERVICES, ports[len(SERVICES):]))
    manifest = folder / "objects.json"
    items = [item for name, port in SERVICES.items() for item in objects_of(name, port)]
    next(i for i in items if i["metadata"]["name"] == "tls")["spec"]["ports"][0]["name"] = "http"  # TLS is not begun here
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    playground = Playground(folder, "--manifest", str(manifest),
                            *(word for name, port in SERVICES.items()
                              for word in ("--backend", f"{name}:{port}=127.0.0.1:{backends[name]}")))
    flags = [word for name, port in SERVICES.items() for word in ("--expose", f"{name}.shop:{port}={exposed[name]}")]
    tunnel = KubeTunnel(*flags, "--head-timeout", f"{HEAD_SECONDS}s", "--client-idle-timeout",
                        f"{HEAD_SECONDS}s", kubeconfig=playground.kubeconfig, folder=folder)
    tunnel.exposed, tunnel.backends, tunnel.playground, tunnel.namespace = exposed, backends, playground, "shop"
    tunnel.strict, tunnel.greets = Server(backends["strict"], be_strict), Server(backends["greets"], greet)
    yield tunnel.start()
    tunnel.stop()
    playground.stop()
    tunnel.strict.listening.close()
    tunnel.greets.listening.close()


@pytest.fixture(scope="module")
def programs(cluster):
    """What tls_server needs."""
    return cluster


def full(name):
    return f"{name}.shop.svc.cluster.local"


# --- the wrong protocol, at each entrance ---

def entrances(cluster, name):
    """curl's flags and the host of the URL, by entrance."""
    at, port = f"127.0.0.1:{cluster.port}", SERVICES[name]
    return {"Host": (("--connect-to", f"{full(name)}:{port}:{at}"), f"{full(name)}:{port}"),
            "absolute": (("-x", f"http://{at}"), f"{full(name)}:{port}"),
            "CONNECT": (("-p", "-x", f"http://{at}"), f"{full(name)}:{port}"),
            "SOCKS5": (("--socks5-hostname", at), f"{full(name)}:{port}"),
            "exposed": ((), f"localhost:{cluster.exposed[name]}")}


ENTRANCES = ("Host", "absolute", "CONNECT", "SOCKS5", "exposed")


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_plain_http_to_a_tls_server_gets_a_url_that_works(cluster, tls_server, entrance):  # noqa: F811
    flags, host = entrances(cluster, "tls")[entrance]
    answer = curl(*flags, f"http://{host}/")
    assert answer.status == 502 and "TLS" in answer.text, answer
    url = re.search(r"Use (https://\S+/)", answer.text).group(1)
    if entrance == "Host":
        flags = ("--connect-to", f"{full('tls')}:{cluster.port}:127.0.0.1:{cluster.port}")
    if entrance == "absolute":
        flags = flags[-2:]
    used = curl("-k", *flags, url)
    assert used.status == 200 and "Secure Renegotiation" in used.text, (url, used)


@pytest.mark.parametrize("entrance", ["CONNECT", "SOCKS5", "exposed"])
def test_tls_to_a_plain_server_is_logged_with_a_url_that_works(cluster, entrance):
    """By its server name (SNI) TLS is terminated here."""
    flags, host = entrances(cluster, "strict")[entrance]
    offset = len(cluster.log())
    answer = curl("-k", *flags, f"https://{host}/")
    assert answer.exit == 35 and answer.status == 0, answer
    eventually(lambda: "does not speak TLS" in cluster.log()[offset:])
    url = re.search(r'hint="use (http://[^"]+)"', cluster.log()[offset:]).group(1)
    used = curl(*flags, url)
    assert used.text == "strict", (url, used)


@needs("nghttpd")
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_http1_reaches_a_server_of_http2_alone(cluster, start_program, entrance):  # noqa: F811
    start_program(cluster.backends["h2only"], "nghttpd", "--no-tls", "-a", "127.0.0.1", cluster.backends["h2only"])
    flags, host = entrances(cluster, "h2only")[entrance]
    answer = curl(*flags, f"http://{host}/")
    assert answer.status == 404 and "nghttp" in answer.text, answer


@needs("nghttpd")
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_grpc_in_http1_to_a_server_of_http2_alone_gets_the_way_to_use(cluster, start_program, entrance):  # noqa: F811
    start_program(cluster.backends["h2only"], "nghttpd", "--no-tls", "-a", "127.0.0.1", cluster.backends["h2only"])
    flags, host = entrances(cluster, "h2only")[entrance]
    answer = curl(*flags, "-H", "Content-Type: application/grpc", "-d", "", f"http://{host}/")
    assert answer.status == 502 and "speaks HTTP/2 only" in answer.text, answer
    assert "--http2-prior-knowledge http://" in answer.text, answer


# --- servers that send first ---

@contextlib.contextmanager
def opened(cluster, entrance):
    """A connection to `greets`, whose client has sent no byte for it."""
    port = cluster.exposed["greets"] if entrance == "exposed" else cluster.port
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        if entrance == "CONNECT":
            s.sendall(f"CONNECT {full('greets')}:2525 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert receive(s, 39) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        if entrance == "SOCKS5":
            name = full("greets").encode()
            s.sendall(b"\5\1\0\5\1\0\3" + bytes([len(name)]) + name + struct.pack("!H", 2525))
            assert receive(s, 12)[:4] == b"\5\0\5\0"
        yield s


FAR_ENTRANCES = ("exposed", "CONNECT", "SOCKS5")


@pytest.mark.parametrize("entrance", FAR_ENTRANCES)
def test_the_greeting_of_a_server_that_sends_first_waits_for_nothing(cluster, entrance):
    """Detecting a protocol may take 500 ms; the pod is dialled before."""
    times = []
    for _ in range(6):
        began = time.monotonic()
        with opened(cluster, entrance) as s:
            assert receive(s, 11) == b"220 ready\r\n"
        times.append(time.monotonic() - began)
    assert sorted(times)[2] < 0.25, times


def test_the_pod_of_an_exposed_port_is_dialled_at_accept(cluster):
    before = cluster.greets.accepted
    with opened(cluster, "exposed"):
        eventually(lambda: cluster.greets.accepted > before, pause=0.01)


def connections_to(port):
    """The inodes of this machine's sockets that are connected to this port of loopback (proc_pid_net(5))."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}


def descriptors(tunnel):
    """But for those to the API server: tunnels, and what a look-up of an address has opened, are kept."""
    kept = connections_to(tunnel.playground.port)
    here = f"/proc/{tunnel.process.pid}/fd"
    count = 0
    for fd in os.listdir(here):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"{here}/{fd}") not in kept
    return count


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_quiet(cluster, before):
    """No client and no descriptor is left."""
    sessions = cluster.metrics()["kube_tunnel_sessions"] - 1  # that of the request for metrics
    return sessions == 0 and descriptors(cluster) <= before


def level(cluster):
    return descriptors(cluster) + 1


@pytest.mark.parametrize("leave", ["FIN", "RST"])
@pytest.mark.parametrize("entrance", FAR_ENTRANCES)
def test_clients_that_connect_and_leave_at_once_leave_nothing_behind(cluster, entrance, leave):
    with opened(cluster, entrance) as s:
        s.recv(1)
    eventually(lambda: cluster.greets.open == 0, 40)
    before = level(cluster)
    for _ in range(30):
        with opened(cluster, entrance) as s:
            if leave == "RST":
                reset(s)
    eventually(lambda: cluster.greets.open == 0, 40)
    eventually(lambda: is_quiet(cluster, before), 20)


# --- first bytes ---

CORPUS = ROOT / "tests/fuzz/corpus/tls_hello"
HELLO = (CORPUS / "openssl").read_bytes()
WEB = b"web.shop.svc.cluster.local"
TO_WEB = b"\3" + bytes([len(WEB)]) + WEB + b"\0\x50"

# What is sent, and how the reply begins. None: any or none.
DAMAGED = {
    "nothing": (b"", b""), "NUL": (b"\0", None), "a line end": (b"\n", None), "0xff": (b"\xff" * 64, None),
    "zeros": (bytes(300), None), "SSLv2": (b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10", None),
    "RDP": (b"\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0", None), "SSH": (b"SSH-2.0-x\r\n", None),
    "SMB": (b"\0\0\0\x85\xffSMBr\0\0\0\0", None), "SMTP": (b"EHLO x\r\n", b""),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", b""), "RTSP": (b"OPTIONS * RTSP/1.0\r\n\r\n", b"HTTP/1.1 "),
    "JDWP": (b"JDWP-Handshake", b""), "Java RMI": (b"JRMI\0\2K", None), "HTTP/0.9": (b"GET /\r\n\r\n", b"HTTP/1.1 "),
    "half a method": (b"GE", b""), "half a request": (b"GET / HTTP/1.1\r\nHo", b""), "half a preface": (b"PRI * HTT", b""),
    "a preface alone": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None), "half a CONNECT": (b"CONNECT web.shop:8", b""),
    "TLS type": (b"\x16", b""), "half a hello": (HELLO[:40], b""), "all but a byte": (HELLO[:-1], b""),
    "a hello without a name": ((CORPUS / "no-name").read_bytes(), b"\x15\3\3\0\2\2"),
    "a hello with ECH": ((CORPUS / "ech").read_bytes(), b"\x15\3\3\0\2\2"),
    "a hello over 16 KB": (b"\x16\3\1\x40\0\1\1\0\0" + bytes(16380), b"\x15\3\3\0\2\2"),
    "SOCKS 5": (b"\5", b""), "SOCKS 5, no method": (b"\5\0", None), "SOCKS 5, GSSAPI": (b"\5\1\1", b"\5\xff"),
    "SOCKS 5, no request": (b"\5\1\0", b"\5\0"), "SOCKS 5, half a request": (b"\5\1\0\5\1\0\3\x09web", b"\5\0"),
    "SOCKS 5, version 6 then": (b"\5\1\0\6\1\0" + TO_WEB, b"\5\0\5\1"), "SOCKS 6": (b"\6\1\0", None),
    "SOCKS 5, BIND": (b"\5\1\0\5\2\0" + TO_WEB, b"\5\0\5\7"), "SOCKS 5, UDP": (b"\5\1\0\5\3\0" + TO_WEB, b"\5\0\5\7"),
    "SOCKS 5, address type 2": (b"\5\1\0\5\1\0\2\1\2\3\4\0\x50", b"\5\0\5\x08"),
    "SOCKS 5, port 0": (b"\5\1\0\5\1\0\3\7web.svc\0\0", b"\5\0\5\5"),
    "SOCKS 5, loopback": (b"\5\1\0\5\1\0\1\x7f\0\0\1\0\x50", b"\5\0\5\2"),
    "SOCKS 5, metadata": (b"\5\1\0\5\1\0\1\xa9\xfe\xa9\xfe\0\x50", b"\5\0\5\2"),
    "SOCKS 5, outside": (b"\5\1\0\5\1\0\3\x0bexample.org\1\xbb", b"\5\0\5"),
    "SOCKS 5, undeclared port": (b"\5\1\0\5\1\0\3" + bytes([len(WEB)]) + WEB + b"\0\x16", b"\5\0\5\5"),
    "SOCKS 4, half": (b"\4\1\0\x50\0\0", b""), "SOCKS 4, endless user": (b"\4\1\0\x50\0\0\0\1" + b"x" * 600, None),
    **{f"CONNECT {target}": (f"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), f"HTTP/1.1 {status} ".encode())
       for target, status in {"localhost:22": 502, "127.0.0.1:22": 502, "[::1]:22": 502, "0.0.0.0:22": 502,
                              "169.254.169.254:80": 502, "web.shop.svc:22": 404, "web.shop.svc:0": 400,
                              "web.shop.svc:99999": 400, "web.shop.svc": 400, ":80": 400, "www.example.com:443": 502,
                              "/": 400, "http://web.shop.svc/": 400, "user:pass@web.shop.svc:80": 400}.items()},
}


def send_and_read(cluster, chunks, finish):
    """What comes back until the other side ends, and after how many seconds."""
    began, received = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", cluster.port), HEAD_SECONDS + 10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                s.sendall(chunk)
            if finish:
                s.shutdown(socket.SHUT_WR)
            while some := s.recv(4096):
                received += some
    return received, time.monotonic() - began


@pytest.mark.parametrize("sent, reply", DAMAGED.values(), ids=DAMAGED)
def test_damaged_first_bytes_end_in_time_and_leave_nothing(cluster, sent, reply):
    before = level(cluster)
    ways = {"whole": ([sent], True), "byte by byte": ([sent[i:i + 1] for i in range(len(sent[:700]))] + [sent[700:]], True),
            "and waits": ([sent], False)}
    for way, (chunks, finish) in ways.items():
        received, seconds = send_and_read(cluster, chunks, finish)
        assert seconds < HEAD_SECONDS + 4, (way, seconds)
        if reply is not None and way != "and waits":
            assert received.startswith(reply) and (reply or not received), (way, received)
    eventually(lambda: is_quiet(cluster, before), 20)
    assert cluster.get("web.shop.svc").status == 200


def test_port_scanners_leave_nothing_behind(cluster):
    """Connections that are reset at once, on every port."""
    before, kept = level(cluster), cluster.strict.open
    for port in (cluster.port, *cluster.exposed.values()):
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                reset(s)
    eventually(lambda: cluster.greets.open == 0 and cluster.strict.open <= kept, 40)
    eventually(lambda: is_quiet(cluster, before), 20)


WHOLE = {
    "HTTP": (b"GET / HTTP/1.1\r\nHost: web.shop.svc\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 "),
    "CONNECT": (b"CONNECT web.shop.svc:80 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 "),
    "SOCKS 5": (b"\5\1\0\5\1\0" + TO_WEB, b"\5\0\5\0"),
    "SOCKS 5 with a password": (b"\5\2\0\2\5\1\0" + TO_WEB, b"\5\0\5\0"),
    "SOCKS 4a": (b"\4\1\0\x50\0\0\0\1me\0" + WEB + b"\0", b"\0\x5a"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\0\0"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("sent, reply", WHOLE.values(), ids=WHOLE)
def test_first_bytes_may_come_in_pieces(cluster, sent, reply, size):
    with socket.create_connection(("127.0.0.1", cluster.port), 10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), size):
            s.sendall(sent[at:at + size])
        received = b""
        while len(received) < len(reply):
            received += s.recv(4096)
        assert received.startswith(reply), received
