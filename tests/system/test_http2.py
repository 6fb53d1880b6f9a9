"""HTTP/2 with prior knowledge: real clients, pods of HTTP/1 and of HTTP/2.

SPDX-License-Identifier: MIT
"""
import queue
import shutil
import socket
import subprocess
import threading
import time

import pytest

h2_connection = pytest.importorskip("h2.connection", reason="needs python3-h2")
import h2.config  # noqa: E402 - after the check above
import h2.errors  # noqa: E402
import h2.events  # noqa: E402
import h2.settings  # noqa: E402

from http2_programs import (  # noqa: E402,F401 - fixtures
    DECLARED, NGHTTPD, WEB, H2Client, accepts, answer_ok, h2_pod, h2c_service, nghttpd)
from tunnel_process import curl, eventually, free_ports  # noqa: E402

# A pod that a test plays in a thread must not die of a mistake there unnoticed.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

PRIOR = "--http2-prior-knowledge"


class Accepting:
    """A pod whose connections the test takes one by one; each begins with its request's head."""

    def __init__(self, pod):
        self.host = pod.host
        self.connections = queue.Queue()
        pod.plays(self.hold)

    def hold(self, connection):
        connection.seen = connection.head + connection.seen
        done = threading.Event()
        connection.close = done.set
        self.connections.put(connection)
        done.wait(60)

    def accept(self):
        return self.connections.get(timeout=20)


@pytest.fixture
def pod(pods):
    return Accepting(pods.take())


@pytest.fixture
def h2_client(tunnel):
    client = H2Client(tunnel.port)
    yield client
    client.close()


# ---- clients of HTTP/2, pods of HTTP/1 ----

def test_curl_reaches_a_pod_of_http1(tunnel):
    answer = tunnel.get(WEB, "/", PRIOR)
    assert answer.status == 200
    assert "host web.shop.svc.cluster.local" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_bodies_arrive_whole_with_and_without_a_length(pod, tunnel, method):
    """Without a length a body goes to the pod in chunks."""
    for fields, framing in ((["-H", "Content-Length: 100000"], "Content-Length: 100000"),
                            (["-H", "Content-Length:", "-H", "Expect:"], "Transfer-Encoding: chunked")):
        body = b"0123456789" * 10000
        result = {}
        thread = threading.Thread(target=lambda: result.update(answer=curl(
            PRIOR, "-X", method, "-H", f"Host: {pod.host}", *fields, "--data-binary", "@-",
            f"http://127.0.0.1:{tunnel.port}/x", stdin=body)))
        thread.start()
        connection = pod.accept()
        head = connection.take_until(b"\r\n\r\n").decode().lower()
        assert head.startswith(f"{method.lower()} /x http/1.1\r\n")
        assert f"\r\n{framing.lower()}\r\n" in head
        if "chunked" in framing:
            sent = b""
            while size := int(connection.take_until(b"\r\n"), 16):
                sent += connection.take(size)
                assert connection.take(2) == b"\r\n"
            assert connection.take(2) == b"\r\n"
        else:
            sent = connection.take(100000)
        assert sent == body
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        thread.join()
        assert result["answer"].status == 200
        connection.close()


def test_trailers_of_a_chunked_answer_are_trailers_of_http2(pod, h2_client):
    stream = h2_client.request(pod.host, fields=[("te", "trailers")])
    connection = pod.accept()
    assert b"te: trailers" in connection.take_until(b"\r\n\r\n").lower()
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n"
                    "5\r\nhello\r\n0\r\nSum: 6\r\n\r\n")
    trailers = h2_client.wait(h2.events.TrailersReceived, stream)
    assert ("sum", "6") in [tuple(field) for field in trailers.headers]
    connection.close()


def test_trailers_of_a_request_end_its_chunks(pod, h2_client):
    stream = h2_client.request(pod.host, method="POST", body=b"hello", end=False)
    h2_client.h2.send_headers(stream, [("sum", "6")], end_stream=True)
    h2_client.flush()
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    assert connection.take_until(b"0\r\n") == b"5\r\nhello\r\n0\r\n"
    assert connection.take_until(b"\r\n\r\n") == b"sum: 6\r\n\r\n"
    connection.send("HTTP/1.1 204 No Content\r\n\r\n")
    assert h2_client.answer(stream)[0] == 204
    connection.close()


def test_interim_answers_come_first(pod, h2_client):
    stream = h2_client.request(pod.host)
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    hints = dict(h2_client.wait(h2.events.InformationalResponseReceived, stream).headers)
    assert hints[":status"] == "103" and hints["link"] == "</a>"
    assert h2_client.answer(stream)[0] == 204
    connection.close()


def test_requests_of_one_connection_do_not_wait_for_each_other(pod, h2_client):
    slow = h2_client.request(pod.host)
    first = pod.accept()
    first.take_until(b"\r\n\r\n")
    assert h2_client.answer(h2_client.request())[0] == 200
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    assert h2_client.answer(slow)[2] == b"slow"
    first.close()


def test_each_request_of_a_connection_is_retried_by_itself(pod, h2_client):
    stream = h2_client.request(pod.host)
    failed = pod.accept()
    failed.take_until(b"\r\n\r\n")
    other = h2_client.request()
    failed.close()
    assert h2_client.answer(other)[0] == 200
    again = pod.accept()
    again.take_until(b"\r\n\r\n")
    again.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert h2_client.answer(stream)[2] == b"ok"
    again.close()


def test_an_answer_that_is_cut_short_resets_its_stream_alone(pod, h2_client):
    stream = h2_client.request(pod.host)
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.close()
    reset = h2_client.wait(h2.events.StreamReset, stream)
    assert reset.error_code == h2.errors.ErrorCodes.INTERNAL_ERROR
    assert h2_client.answer(h2_client.request())[0] == 200


def test_a_reset_by_the_client_ends_the_request_at_the_pod(pod, h2_client):
    stream = h2_client.request(pod.host)
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    h2_client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
    h2_client.flush()
    connection.wait_for_end()
    assert h2_client.answer(h2_client.request())[0] == 200


def test_a_client_that_does_not_read_stops_its_own_pod_alone(pod, tunnel):
    """Its window is 64 KiB; the pod's bytes stay with the pod, and another stream goes on."""
    client = H2Client(tunnel.port)
    client.h2.increment_flow_control_window(1 << 20)
    client.flush()
    slow = client.request(pod.host)
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {64 << 20}\r\n\r\n")
    connection.socket.settimeout(2)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += connection.socket.send(b"x" * 65536)
    except TimeoutError:
        pass
    assert sent < 32 << 20, "all of it went somewhere"
    client.wait(h2.events.DataReceived, slow, acknowledge=False)
    other = client.request()
    client.wait(h2.events.ResponseReceived, other, acknowledge=False)
    connection.close()
    client.close()


def test_a_websocket_opens_over_http2(pod, h2_client):
    """RFC 8441, to a pod that speaks HTTP/1.1."""
    h2_client.wait(h2.events.RemoteSettingsChanged)
    stream = h2_client.h2.get_next_available_stream_id()
    h2_client.h2.send_headers(stream, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", pod.host),
        (":path", "/chat"), ("sec-websocket-version", "13")])
    h2_client.flush()
    connection = pod.accept()
    head = connection.take_until(b"\r\n\r\n").decode().lower()
    assert head.startswith("get /chat http/1.1\r\n")
    assert "\r\nupgrade: websocket\r\n" in head and "\r\nsec-websocket-key: " in head
    connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: abc\r\n\r\nfrom the pod")
    response = dict(h2_client.wait(h2.events.ResponseReceived, stream).headers)
    assert response[":status"] == "200" and "sec-websocket-accept" not in response
    assert h2_client.wait(h2.events.DataReceived, stream).data == b"from the pod"
    h2_client.h2.send_data(stream, b"from the client")
    h2_client.flush()
    assert connection.take(15) == b"from the client"
    connection.close()


def extended_connect(client, host, fields=()):
    client.wait(h2.events.RemoteSettingsChanged)
    return client.request(host, "/chat", "CONNECT", end=False,
                          fields=[(":protocol", "websocket"), ("sec-websocket-version", "13"), *fields])


def test_a_websocket_over_http2_with_a_length_hides_no_request(pod, h2_client):
    """RFC 8441 has no body there: the pod would take the next request for it."""
    stream = extended_connect(h2_client, pod.host, [("content-length", "200")])
    connection = pod.accept()
    assert "content-length" not in connection.take_until(b"\r\n\r\n").decode().lower()
    connection.send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
    assert dict(h2_client.wait(h2.events.ResponseReceived, stream).headers)[":status"] == "404"
    h2_client.wait(h2.events.StreamEnded, stream)
    assert connection.wait_for_end() == 0, "the pod's connection is not used again"
    connection.close()


def test_a_pod_that_ignores_an_upgrade_opens_no_websocket(pod, h2_client):
    """A 2xx would open it (RFC 8441, section 5)."""
    stream = extended_connect(h2_client, pod.host)
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    status, _, body = h2_client.answer(stream)
    assert status == 502 and b"the response is no WebSocket: it did not switch protocols" in body
    assert b"answered the upgrade as if it were an ordinary request" in body and b"HTTP/1.1" not in body
    connection.close()


def test_a_missing_service_is_an_error_page(tunnel):
    answer = tunnel.get("nope.shop.svc.cluster.local", "/", PRIOR)
    assert answer.status == 404 and 'services "nope" not found' in answer.text


def test_own_pages_are_served_over_http2(tunnel):
    assert curl(PRIOR, f"http://127.0.0.1:{tunnel.port}/healthz").status == 200


def test_foreign_pages_are_refused_over_http2(tunnel):
    assert tunnel.get(WEB, "/", PRIOR, "-X", "POST", "-H", "Origin: https://evil.example").status == 403


def test_a_drain_finishes_requests_and_begins_none(pod, start_tunnel):
    tunnel = start_tunnel()
    result = {}
    thread = threading.Thread(target=lambda: result.update(answer=tunnel.get(pod.host, "/", PRIOR, "-v")))
    thread.start()
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    tunnel.terminate()
    time.sleep(0.5)
    assert tunnel.process.poll() is None
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    thread.join()
    assert result["answer"].status == 200
    assert tunnel.process.wait(10) == 0
    connection.close()


def test_nghttp_and_h2load_are_served(tunnel):
    if not shutil.which("h2load"):
        pytest.skip("needs nghttp2-client")
    url = f"http://127.0.0.1:{tunnel.port}/"
    told = subprocess.run(["nghttp", "-v", "-n", "-H", f":authority: {WEB}", url], capture_output=True, text=True,
                          timeout=30)
    assert ":status: 200" in told.stdout
    load = subprocess.run(["h2load", "-n", "2000", "-c", "8", "-m", "16", "-H", f":authority: {WEB}", url],
                          capture_output=True, text=True, timeout=60)
    assert "2000 succeeded, 0 failed, 0 errored" in load.stdout, load.stdout


# ---- pods of HTTP/2 ----

@pytest.mark.parametrize("protocol", ["kubernetes.io/h2c", "h2c", "http2", "grpc"])
def test_a_declared_port_is_spoken_to_in_http2(nghttpd, start_playground, start_tunnel, tmp_path, protocol):  # noqa: F811
    playground = start_playground("--pods", "2", "--backend", f"many:8080=127.0.0.1:{nghttpd}",
                                  "--manifest", h2c_service(tmp_path, protocol))
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    answer = tunnel.get(DECLARED, "/hello", PRIOR)
    assert answer.status == 200 and answer.text == "hello from nghttpd\n"


def test_large_bodies_pass_between_two_connections_of_http2(nghttpd, start_playground, start_tunnel, tmp_path):  # noqa: F811
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{nghttpd}",
                                  "--manifest", h2c_service(tmp_path, "h2c"))
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    host = DECLARED
    assert curl(PRIOR, "-H", f"Host: {host}", f"http://127.0.0.1:{tunnel.port}/big").body == bytes(range(256)) * 20000
    body = b"0123456789abcdef" * 100000
    echoed = curl(PRIOR, "-H", f"Host: {host}", "--data-binary", "@-", f"http://127.0.0.1:{tunnel.port}/", stdin=body)
    assert echoed.body == body


def test_requests_follow_a_pod_that_restarts(start_playground, start_tunnel, tmp_path):
    """A connection that is lost is opened again; requests that may be repeated are."""
    (port,) = free_ports(1)
    (tmp_path / "hello").write_text("hello\n")

    def serve():
        server = subprocess.Popen([NGHTTPD, "--no-tls", "-d", tmp_path, str(port)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: accepts(port))
        return server

    server = serve()
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{port}",
                                  "--manifest", h2c_service(tmp_path, "h2c"))
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    for _ in range(3):
        assert tunnel.get(DECLARED, "/hello", PRIOR).status == 200
        server.kill()
        server.wait()
        server = serve()
    assert tunnel.get(DECLARED, "/hello", PRIOR).status == 200
    server.terminate()
    server.wait()


def post(tunnel):
    return tunnel.get(DECLARED, "/", PRIOR, "-X", "POST", "-d", "once")


def test_a_post_refused_by_a_goaway_is_sent_again_on_another_connection(h2_pod):  # noqa: F811
    """The pod declares by the GOAWAY's last stream that it has not looked at it."""
    def serve(h2c, stream, number):
        if number == 1:
            h2c.close_connection(last_stream_id=0)
        else:
            answer_ok(h2c, stream)
    tunnel, pod = h2_pod(serve)
    answer = post(tunnel)
    assert answer.status == 200 and answer.text == "ok"
    assert pod.connections == 2 and len(pod.requests) == 2


def test_a_post_refused_by_refused_stream_is_sent_again(h2_pod):  # noqa: F811
    seen = []

    def serve(h2c, stream, number):
        seen.append(stream)
        if len(seen) == 1:
            h2c.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            answer_ok(h2c, stream)
    tunnel, pod = h2_pod(serve)
    assert post(tunnel).text == "ok"
    assert len(pod.requests) == 2


def test_a_post_that_was_reset_is_not_sent_again(h2_pod):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number:
                         h2c.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR))
    assert post(tunnel).status == 502
    assert len(pod.requests) == 1


def test_the_code_of_a_reset_reaches_the_client(h2_pod):  # noqa: F811
    def serve(h2c, stream, number):
        h2c.send_headers(stream, [(":status", "200")])
        h2c.send_data(stream, b"half")
        h2c.reset_stream(stream, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
    tunnel, _ = h2_pod(serve)
    client = H2Client(tunnel.port)
    stream = client.request(DECLARED)
    assert client.wait(h2.events.StreamReset, stream).error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    client.close()


def test_requests_share_a_connection_to_a_pod(h2_pod):  # noqa: F811
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream))
    client = H2Client(tunnel.port)
    streams = [client.request(DECLARED) for _ in range(50)]
    for stream in streams:
        client.wait(h2.events.StreamEnded, stream)
    assert pod.connections == 1 and len(pod.requests) == 50
    client.close()


def test_a_full_connection_is_joined_by_another(h2_pod):  # noqa: F811
    """The pod accepts two streams at once, and answers none."""
    held = []

    def serve(h2c, stream, number):
        if not held:
            h2c.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2})
        held.append(stream)
    tunnel, pod = h2_pod(serve)
    client = H2Client(tunnel.port)
    client.request(DECLARED)
    eventually(lambda: len(held) == 1)
    time.sleep(0.3)
    for _ in range(3):
        client.request(DECLARED)
    eventually(lambda: len(held) == 4)
    assert pod.connections == 2
    client.close()


def test_twenty_requests_at_once_fit_a_pod_that_accepts_two_streams_a_connection(h2_pod):  # noqa: F811
    """Its SETTINGS come after the requests of the first connection, of which it refuses the third and
    later ones. Further connections get two: each refusal counts as an attempt, and there are five."""
    held = {}

    def serve(h2c, stream, number):
        mine = held.setdefault(number, [])
        if len(mine) == 2:
            h2c.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            mine.append(stream)
    tunnel, pod = h2_pod(serve, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2}, lenient=True)
    client = H2Client(tunnel.port)
    for _ in range(20):
        client.request(DECLARED)
    eventually(lambda: sum(map(len, held.values())) == 20)
    assert pod.connections == 10
    client.close()


# ---- abuse ----

def test_floods_end_their_connection_alone(tunnel):
    """Rapid resets, CONTINUATIONs without end, SETTINGS and PINGs whose answers are not read."""
    frame = bytes.fromhex
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame("000000040000000000")
    request = "0000080105%08x" + "828684" + "4103" + b"a.b".hex()
    floods = {
        "resets": b"".join(frame(request % n) + frame("0000040300%08x00000008" % n) for n in range(1, 4001, 2)),
        "continuations": frame("00000101000000000182") + frame("000004090000000001") + b"\0\1a\0" * 1
                         + frame("00000409000000000100016100") * 1000,
        "settings": frame("000000040000000000") * 100000,
        "pings": frame("0000080600000000000000000000000000") * 100000,
    }
    for name, flood in floods.items():
        with socket.create_connection(("127.0.0.1", tunnel.port), 20) as attacker:
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            attacker.settimeout(10)
            ended = False
            try:
                attacker.sendall(preface + flood)
                attacker.settimeout(10)
                while attacker.recv(1 << 16):
                    pass
                ended = True
            except (ConnectionError, TimeoutError) as e:
                ended = isinstance(e, ConnectionError)
        assert ended, name
        assert tunnel.get(WEB, "/", PRIOR).status == 200


def test_a_header_bomb_is_a_431(tunnel):
    """A field of 4 KB in HPACK's table, named 1,000 times by one byte each."""
    value = b"v" * 3900
    block = bytes.fromhex("8286844103") + b"a.b" + b"\x40\x01x" + b"\x7f\xbd\x1d" + value + b"\xbe" * 1000
    with socket.create_connection(("127.0.0.1", tunnel.port), 20) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
                       + len(block).to_bytes(3, "big") + bytes.fromhex("010500000001") + block)
        h2c = h2_connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        h2c.initiate_connection()
        h2c.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a.b"), (":path", "/")],
                         end_stream=True)
        status = None
        while not status:
            for event in h2c.receive_data(client.recv(1 << 16)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
    assert status == "431"


def test_a_port_that_answers_in_http2_is_asked_in_http2_from_then_on(nghttpd, start_playground, start_tunnel):  # noqa: F811
    """Nothing declares it: the first request of a client of HTTP/2 finds it out."""
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{nghttpd}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    host = "many.many.svc.cluster.local"
    assert tunnel.get(host, "/hello", PRIOR).text == "hello from nghttpd\n"
    posted = tunnel.get(host, "/", PRIOR, "-X", "POST", "-d", "body")
    assert posted.status == 200 and posted.text == "body"
    assert tunnel.get(host, "/hello").text == "hello from nghttpd\n"


def test_connect_over_http2_reaches_a_port(pod, h2_client):
    stream = h2_client.h2.get_next_available_stream_id()
    h2_client.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", pod.host)])
    h2_client.h2.send_data(stream, b"GET / HTTP/1.1\r\nHost: " + pod.host.encode() + b"\r\n\r\n")
    h2_client.flush()
    connection = pod.accept()
    connection.take_until(b"\r\n\r\n")
    connection.send("raw answer")
    assert dict(h2_client.wait(h2.events.ResponseReceived, stream).headers)[":status"] == "200"
    assert h2_client.wait(h2.events.DataReceived, stream).data == b"raw answer"
    connection.close()
