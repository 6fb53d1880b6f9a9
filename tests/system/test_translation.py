"""Clients of HTTP/1 and pods that speak HTTP/2.

SPDX-License-Identifier: MIT
"""
import http.server
import socket
import threading

import pytest

pytest.importorskip("h2.connection", reason="needs python3-h2")
from http2_programs import (  # noqa: E402,F401 - fixtures
    DECLARED, H2Client, answer_ok, h2_pod, h2c_service, nghttpd)
from tunnel_process import curl  # noqa: E402
import h2.events  # noqa: E402
import h2.settings  # noqa: E402

# A pod that a test plays in a thread must not die of a mistake there unnoticed.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


class Http1Client:
    """One connection; what comes is kept as it came."""

    def __init__(self, tunnel):
        self.socket = tunnel.connect(20)
        self.seen = b""

    def send(self, text):
        self.socket.sendall(text.encode())

    def take_until(self, end):
        while end not in self.seen:
            more = self.socket.recv(1 << 16)
            assert more, f"the connection ended after {self.seen!r}"
            self.seen += more
        cut = self.seen.index(end) + len(end)
        taken, self.seen = self.seen[:cut], self.seen[cut:]
        return taken.decode()

    def rest(self):
        while more := self.socket.recv(1 << 16):
            self.seen += more
        return self.seen.decode()


@pytest.fixture
def http1():
    clients = []

    def connect(tunnel):
        clients.append(Http1Client(tunnel))
        return clients[-1]
    yield connect
    for client in clients:
        client.socket.close()


@pytest.mark.parametrize("protocol", ["kubernetes.io/h2c", "h2c", "http2", "grpc"])
def test_a_declared_port_gets_http2_from_a_client_of_http1(h2_pod, protocol):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream), protocol=protocol)
    answer = tunnel.get(DECLARED, "/a?b=c", "-H", "X-Mixed: Value", "-H", "Connection: X-Hop", "-H", "X-Hop: 1",
                        "-H", "Keep-Alive: timeout=5", "-H", "Cookie: a=1; b=2")
    assert answer.status == 200 and answer.text == "ok"
    fields = pod.requests[0][2]
    assert fields[":method"] == "GET" and fields[":path"] == "/a?b=c" and fields[":scheme"] == "http"
    assert fields[":authority"] == DECLARED and fields["x-mixed"] == "Value" and fields["cookie"] == "a=1; b=2"
    assert not {"host", "connection", "x-hop", "keep-alive", "upgrade", "transfer-encoding"} & set(fields)


def test_requests_of_many_clients_share_a_connection(h2_pod):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream))
    for _ in range(3):
        assert tunnel.get(DECLARED).text == "ok"
    assert pod.connections == 1


def test_a_client_connection_serves_many_requests(h2_pod, http1):  # noqa: F811
    tunnel, _ = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream))
    client = http1(tunnel)
    for _ in range(3):
        client.send(f"GET / HTTP/1.1\r\nHost: {DECLARED}\r\n\r\n")
        head = client.take_until(b"\r\n\r\n").lower()
        assert head.startswith("http/1.1 200 ok\r\n") and "transfer-encoding: chunked" in head
        assert client.take_until(b"0\r\n\r\n") == "2\r\nok\r\n0\r\n\r\n"


def test_a_chunked_body_and_its_trailers_pass(h2_pod, http1):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream), whole=True)
    client = http1(tunnel)
    client.send(f"POST / HTTP/1.1\r\nHost: {DECLARED}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                "5;ext=1\r\nhello\r\n")
    client.send("6\r\n world\r\n0\r\nX-Sum: 11\r\nTransfer-Encoding: x\r\n\r\n")
    assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 200")
    assert pod.bodies[1] == b"hello world"
    assert pod.trailers[1] == {"x-sum": "11"}, "a field about framing is no trailer"
    assert "transfer-encoding" not in pod.requests[0][2]


def test_a_large_chunked_body_passes(h2_pod):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream), whole=True)
    body = bytes(range(256)) * 8000
    answer = tunnel.get(DECLARED, "/", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", stdin=body)
    assert answer.text == "ok" and pod.bodies[1] == body


def test_a_body_with_a_length_passes(nghttpd, start_playground, start_tunnel, tmp_path):  # noqa: F811
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{nghttpd}",
                                  "--manifest", h2c_service(tmp_path, "h2c"))
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    body = b"0123456789abcdef" * 100000
    assert tunnel.get(DECLARED, "/", "--data-binary", "@-", stdin=body).body == body
    assert tunnel.get(DECLARED, "/big").body == bytes(range(256)) * 20000
    old = curl("-0", "-H", f"Host: {DECLARED}", f"http://127.0.0.1:{tunnel.port}/big")
    assert old.body == bytes(range(256)) * 20000, "HTTP/1.0"
    head = tunnel.get(DECLARED, "/hello", "-I")
    assert head.status == 200 and head.text.lower().count("content-length: 19") == 1
    assert "hello" not in head.text


def test_trailers_of_the_pod_reach_the_client(h2_pod, http1):  # noqa: F811
    def serve(h2c, stream, number):
        h2c.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
        h2c.send_data(stream, b"body")
        h2c.send_headers(stream, [("x-sum", "4")], end_stream=True)
    tunnel, _ = h2_pod(serve)
    client = http1(tunnel)
    client.send(f"GET / HTTP/1.1\r\nHost: {DECLARED}\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    client.take_until(b"\r\n\r\n")
    assert client.take_until(b"\r\n\r\n") == "4\r\nbody\r\n0\r\nx-sum: 4\r\n\r\n"


def test_interim_answers_pass_and_expectations_are_met_by_the_pod(h2_pod, http1):  # noqa: F811
    """The client sends its body after the pod's 100."""
    def serve(h2c, stream, number):
        if stream not in continued:
            continued.append(stream)
            h2c.send_headers(stream, [(":status", "103"), ("link", "</a>")])
            h2c.send_headers(stream, [(":status", "100")])

    class AnswersAtEnd:
        @staticmethod
        def watch(pod):
            plain = pod.on_event

            def on_event(h2c, event, number):
                plain(h2c, event, number)
                if type(event).__name__ == "StreamEnded":
                    answer_ok(h2c, event.stream_id)
            pod.on_event = on_event
    continued = []
    tunnel, pod = h2_pod(serve)
    AnswersAtEnd.watch(pod)
    client = http1(tunnel)
    client.send(f"POST / HTTP/1.1\r\nHost: {DECLARED}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert client.take_until(b"\r\n\r\n").lower() == "http/1.1 103 early hints\r\nlink: </a>\r\n\r\n"
    assert client.take_until(b"\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n"
    client.send("body")
    assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 200")
    assert pod.bodies[1] == b"body" and pod.requests[0][2]["expect"] == "100-continue"


def test_an_answer_that_is_reset_looks_incomplete(h2_pod, http1):  # noqa: F811
    def serve(h2c, stream, number):
        h2c.send_headers(stream, [(":status", "200")])
        h2c.send_data(stream, b"half")
        h2c.reset_stream(stream, 2)
    tunnel, _ = h2_pod(serve)
    client = http1(tunnel)
    client.send(f"GET / HTTP/1.1\r\nHost: {DECLARED}\r\n\r\n")
    client.take_until(b"\r\n\r\n")
    try:
        rest = client.rest()
    except ConnectionResetError:
        rest = ""
    assert not rest.endswith("0\r\n\r\n")


def test_a_pod_that_resets_is_a_502_and_a_post_is_sent_once(h2_pod):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: h2c.reset_stream(stream, 2))
    answer = tunnel.get(DECLARED, "/", "-d", "once")
    assert answer.status == 502 and "INTERNAL_ERROR" in answer.text
    assert len(pod.requests) == 1


def test_grpc_in_http1_with_trailers_reaches_the_pod(h2_pod, http1):  # noqa: F811
    def serve(h2c, stream, number):
        h2c.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        h2c.send_data(stream, b"\0\0\0\0\0")
        h2c.send_headers(stream, [("grpc-status", "0")], end_stream=True)
    tunnel, pod = h2_pod(serve, whole=True)
    client = http1(tunnel)
    client.send(f"POST /a.B/C HTTP/1.1\r\nHost: {DECLARED}\r\nContent-Type: application/grpc\r\nTE: trailers\r\n"
                "Connection: TE\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\n\r\n")
    client.take_until(b"\r\n\r\n")
    assert client.take_until(b"\r\n\r\n").endswith("0\r\ngrpc-status: 0\r\n\r\n")
    assert pod.requests[0][2]["te"] == "trailers" and pod.bodies[1] == b"\0\0\0\0\0"


class Old(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def declared_in_error(start_playground, start_tunnel, tmp_path):
    """A tunnel to a port that declares h2c, behind which is this server."""
    def start(port):
        playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{port}",
                                      "--manifest", h2c_service(tmp_path, "h2c"))
        return start_tunnel(kubeconfig=playground.kubeconfig)
    return start


@pytest.mark.parametrize("size", [10, 4 << 20])
def test_a_declared_port_that_speaks_http1_after_all_works(declared_in_error, size):
    """The first request is a POST, smaller and larger than what is kept for a retry."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tunnel = declared_in_error(server.server_address[1])
    body = b"x" * size
    for version in ("--http1.1", "--http2-prior-knowledge"):
        answer = tunnel.get(DECLARED, "/", version, "--data-binary", "@-", stdin=body)
        assert answer.status == 200 and answer.body == body
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_declared_port_that_closes_at_the_preface_works(declared_in_error, method, version, resets):
    """It ends connections that do not begin with a method it knows; nothing comes from it before. A
    POST must not be lost, although it may not be repeated: it is not sent before SETTINGS have come."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        if not resets or connection.recv(1 << 16, socket.MSG_PEEK).startswith(method.encode()):
            received = connection.recv(1 << 16)  # what stays unread makes a reset of the end
        else:
            received = b""
        if received.startswith(method.encode()):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        connection.close()

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    tunnel = declared_in_error(server.getsockname()[1])
    answer = tunnel.get(DECLARED, "/", version, "-X", method)
    assert answer.status == 200 and answer.text == "ok", answer
    server.close()


# ---- WebSockets ----

CONNECT = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3


class Echo:
    """Accepts an extended CONNECT, greets, and echoes what comes until the end."""

    def __init__(self, status="200"):
        self.status = status

    def __call__(self, h2c, stream, number):
        h2c.send_headers(stream, [(":status", self.status), ("sec-websocket-protocol", "chat")],
                         end_stream=self.status != "200")
        if self.status == "200":
            h2c.send_data(stream, b"greeting ")

    def watch(self, pod):
        plain = pod.on_event

        def on_event(h2c, event, number):
            plain(h2c, event, number)
            if isinstance(event, h2.events.DataReceived):
                h2c.send_data(event.stream_id, event.data)
            elif isinstance(event, h2.events.StreamEnded):
                h2c.send_data(event.stream_id, b"", end_stream=True)
        pod.on_event = on_event


def upgrade(client, extra="Sec-WebSocket-Protocol: chat\r\n"):
    client.send(f"GET /chat HTTP/1.1\r\nHost: {DECLARED}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n")


def test_a_websocket_of_http1_reaches_a_pod_that_accepts_extended_connect(h2_pod, http1):  # noqa: F811
    echo = Echo()
    tunnel, pod = h2_pod(echo, settings=CONNECT)
    echo.watch(pod)
    client = http1(tunnel)
    upgrade(client)
    head = client.take_until(b"\r\n\r\n")
    assert head.startswith("HTTP/1.1 101 ") and "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert "Upgrade: websocket\r\n" in head and "Connection: Upgrade\r\n" in head
    assert "sec-websocket-protocol: chat\r\n" in head
    assert client.take_until(b"greeting ") == "greeting "
    client.send("from the client")
    assert client.take_until(b"client") == "from the client"
    fields = pod.requests[0][2]
    assert fields[":method"] == "CONNECT" and fields[":protocol"] == "websocket" and fields[":path"] == "/chat"
    assert fields["sec-websocket-version"] == "13"
    assert not {"sec-websocket-key", "upgrade", "connection"} & set(fields)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest() == ""


def test_a_websocket_of_http2_reaches_a_pod_that_accepts_extended_connect(h2_pod):  # noqa: F811
    echo = Echo()
    tunnel, pod = h2_pod(echo, settings=CONNECT)
    echo.watch(pod)
    client = H2Client(tunnel.port)
    client.wait(h2.events.RemoteSettingsChanged)
    stream = client.request(DECLARED, "/chat", "CONNECT", end=False,
                            fields=[(":protocol", "websocket"), ("sec-websocket-version", "13")])
    response = dict(client.wait(h2.events.ResponseReceived, stream).headers)
    assert response == {":status": "200", "sec-websocket-protocol": "chat"}
    assert client.wait(h2.events.DataReceived, stream).data == b"greeting "
    client.h2.send_data(stream, b"bytes", end_stream=True)
    client.flush()
    assert client.wait(h2.events.DataReceived, stream).data == b"bytes"
    client.wait(h2.events.StreamEnded, stream)
    assert pod.requests[0][2][":protocol"] == "websocket" and "sec-websocket-key" not in pod.requests[0][2]
    client.close()


def test_a_pod_refuses_a_websocket_with_its_own_status(h2_pod, http1):  # noqa: F811
    tunnel, _ = h2_pod(Echo("403"), settings=CONNECT)
    client = http1(tunnel)
    upgrade(client)
    assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 403 ")


def test_a_refusal_of_a_websocket_passes_with_its_body(h2_pod, http1):  # noqa: F811
    """The client's next request on the connection gets its own answer."""
    def serve(h2c, stream, number):
        if stream != 1:
            answer_ok(h2c, stream)
            return
        h2c.send_headers(stream, [(":status", "403"), ("content-length", "11")])
        h2c.send_data(stream, b"not for you", end_stream=True)
    tunnel, _ = h2_pod(serve, settings=CONNECT)
    client = http1(tunnel)
    upgrade(client)
    head = client.take_until(b"\r\n\r\n").lower()
    assert head.startswith("http/1.1 403 ") and "content-length: 11\r\n" in head
    assert client.take_until(b"not for you") == "not for you"
    client.send(f"GET / HTTP/1.1\r\nHost: {DECLARED}\r\n\r\n")
    assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 200 ")
    assert client.take_until(b"0\r\n\r\n") == "2\r\nok\r\n0\r\n\r\n"


def test_a_websocket_to_a_pod_of_http2_without_extended_connect_is_a_502(  # noqa: F811
        nghttpd, start_playground, start_tunnel, tmp_path, http1):
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{nghttpd}",
                                  "--manifest", h2c_service(tmp_path, "h2c"))
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    for _ in range(2):  # learning that it speaks no HTTP/1, and knowing it
        client = http1(tunnel)
        upgrade(client)
        assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 502 ")
        assert "accepts no WebSockets in it (extended CONNECT" in client.take_until(b"8441)")
    assert tunnel.get(DECLARED, "/hello").status == 200


def test_a_websocket_to_a_declared_port_that_speaks_both_goes_in_http1(h2_pod, http1):  # noqa: F811
    """Its SETTINGS allow no extended CONNECT."""
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream))
    plain = pod.connection
    seen = []

    def connection(accepted, number):
        if accepted.recv(3, socket.MSG_PEEK) == b"PRI":
            plain(accepted, number)
            return
        seen.append(accepted.recv(1 << 16))
        accepted.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi")
        accepted.recv(1)
    pod.connection = connection
    client = http1(tunnel)
    upgrade(client)
    assert client.take_until(b"\r\n\r\n").startswith("HTTP/1.1 101 ") and client.take_until(b"hi")
    assert seen[0].startswith(b"GET /chat HTTP/1.1\r\n")


def test_an_offer_of_h2c_is_declined_by_a_pod_of_http2(h2_pod):  # noqa: F811
    """curl --http2 offers it with each first request."""
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream))
    assert tunnel.get(DECLARED, "/", "--http2").text == "ok"
    assert not {"upgrade", "http2-settings", "connection"} & set(pod.requests[0][2])
