"""HTTP is passed on unchanged and at once, in both directions."""
import asyncio
import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived
from tunnel_process import curl

WEB = "web.shop.svc.cluster.local"
HEAD = "head.shop.svc.cluster.local"  # answers with the request head it got
MB = 1 << 20


def pattern(n):
    return (bytes(range(256)) * (n // 256 + 1))[:n]


@pytest.mark.parametrize("n", [0, 1, 16383, 16384, 16385, 65536, MB, 64 * MB])
def test_a_download_arrives_whole(tunnel, n):
    answer = tunnel.get(WEB, f"/bytes?n={n}")
    assert answer.exit == 0 and answer.status == 200, answer
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(pattern(n)).digest()


@pytest.mark.parametrize("n", [0, 1, 65537, 64 * MB])
@pytest.mark.parametrize("framing", ["Content-Length:", "Transfer-Encoding: chunked"])
def test_an_upload_arrives_whole(tunnel, tmp_path, n, framing):
    body = tmp_path / "body"
    body.write_bytes(pattern(n))
    flags = ["-H", framing] if "chunked" in framing else []
    answer = tunnel.get(WEB, "/upload", "-X", "POST", "-H", "Expect:", "--data-binary", f"@{body}", *flags)
    assert answer.text == f"{n} {hashlib.sha256(pattern(n)).hexdigest()} <nil>\n", answer


def test_the_head_reaches_the_pod_as_it_was_sent(tunnel):
    raw = (f"GET /a/../b?c=%2F&d HTTP/1.1\r\nHost: {HEAD}\r\nUser-Agent: x\r\nX-Two: 1\r\n"
           "x-tWO:   2\r\nAccept: */*\r\nCookie: a=b\r\n\r\n")
    with tunnel.connect() as s:
        s.sendall(raw.encode())
        got = s.recv(65536).decode()
    seen = got.split("\r\n\r\n", 1)[1]
    assert seen.startswith(f"GET /a/../b?c=%2F&d HTTP/1.1\r\nHost: {HEAD}\r\n"), seen
    for line in ("User-Agent: x", "X-Two: 1", "Accept: */*", "Cookie: a=b"):
        assert f"\r\n{line}\r\n" in seen
    assert re.search(r"\r\nx-tWO: +2\r\n", seen), seen
    assert not re.search(r"(?im)^(x-)?forwarded|^via:", seen), "nothing is added"


def test_hop_by_hop_headers_are_not_forwarded(tunnel):
    answer = tunnel.get(HEAD, "/", "-H", "Connection: X-Mine", "-H", "X-Mine: 1",
                        "-H", "Keep-Alive: timeout=5", "-H", "TE: trailers")
    assert "X-Mine" not in answer.text and "Keep-Alive" not in answer.text, answer


def test_pipelined_requests_are_answered_on_one_connection(tunnel):
    request = "GET /n{} HTTP/1.1\r\nHost: {}\r\n{}\r\n"
    raw = "".join(request.format(i, WEB, "Connection: close\r\n" if i == 9 else "") for i in range(10))
    answer = tunnel.talk(raw.encode()).decode()
    assert re.findall(r"path (/n\d)", answer) == [f"/n{i}" for i in range(10)]


def test_connection_close_is_obeyed(tunnel):
    answer = tunnel.talk(f"GET / HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n".encode(), 5)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_http_1_0_is_answered(tunnel):
    answer = tunnel.talk(f"GET /old HTTP/1.0\r\nHost: {WEB}\r\n\r\n".encode(), 5)
    assert b" 200 " in answer.split(b"\r\n")[0] and b"path /old" in answer


@pytest.mark.parametrize("code", [201, 204, 301, 304, 404, 418, 500, 503])
def test_the_status_of_the_pod_is_passed_on(tunnel, code):
    answer = tunnel.get(WEB, f"/status?code={code}")
    assert (answer.status, answer.exit) == (code, 0), answer


def test_trailers_are_passed_on(tunnel):
    answer = tunnel.get(WEB, "/trailers")
    assert answer.text == "part 0\npart 1\npart 2\n"
    assert answer.header("X-Sum") == "3 parts"


def test_expect_100_continue_is_passed_on(tunnel):
    answer = tunnel.get(WEB, "/expect", "-H", "Expect: 100-continue", "-d", "x" * 5000)
    assert answer.head.startswith("HTTP/1.1 100 "), answer.head
    assert "5000 <nil>" in answer.text


def test_a_refused_expectation_is_passed_on(tunnel):
    answer = tunnel.get(WEB, "/expect?refuse", "-H", "Expect: 100-continue", "-d", "x" * 5000)
    assert answer.status == 417, answer


def test_server_sent_events_arrive_when_they_are_sent(tunnel):
    """Pod and test use the same clock, so the delay of events can be measured."""
    late = []
    with tunnel.connect() as s:
        s.sendall(f"GET /sse HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n".encode())
        while chunk := s.recv(65536):
            late += [time.time_ns() - int(t) for t in re.findall(rb"data: \d+ (\d+)", chunk)]
    assert len(late) == 10
    assert sorted(late)[5] < 20e6, "median below 20 ms"
    assert max(late) < 90e6, "each before the next is sent"


def test_a_websocket_carries_both_ways(tunnel):
    async def talk():
        uri = "ws://web.shop.localhost/ws"
        async with websockets.connect(uri, host="127.0.0.1", port=tunnel.port, max_size=None) as ws:
            for message in ("hello", b"\x00\xff" * 10, "x" * MB):
                await ws.send(message)
                assert await asyncio.wait_for(ws.recv(), 10) == message
    asyncio.run(talk())


def test_a_websocket_is_a_stream_of_http2(tunnel):
    """RFC 8441: an extended CONNECT, to a pod that takes WebSockets in HTTP/1.1 only."""
    masked_hello = bytes.fromhex("8185000000006865 6c6c6f".replace(" ", ""))
    with tunnel.connect() as s:
        h2 = H2Connection()
        h2.initiate_connection()
        h2.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                            (":authority", WEB), (":path", "/ws"), ("sec-websocket-version", "13")])
        h2.send_data(1, masked_hello)
        s.sendall(h2.data_to_send())
        status, echo = None, b""
        while len(echo) < 7:
            for event in h2.receive_data(s.recv(65536)):
                status = dict(event.headers)[b":status"] if isinstance(event, ResponseReceived) else status
                echo += event.data if isinstance(event, DataReceived) else b""
    assert (status, echo) == (b"200", b"\x81\x05hello")


def test_a_short_answer_reaches_the_client_as_incomplete(tunnel):
    answer = tunnel.get(WEB, "/short")
    assert answer.exit == 18, answer


def test_a_cut_chunked_answer_reaches_the_client_as_incomplete(tunnel):
    answer = tunnel.get(WEB, "/cut")
    assert answer.exit in (18, 56), answer


def test_many_requests_at_once_are_answered(tunnel):
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda i: tunnel.get(WEB, f"/slow?ms=100&n={i}"), range(50)))
    assert [a.text for a in answers] == ["slept 100\n"] * 50


@pytest.mark.parametrize("host", [
    "", "web", "a..b.svc.cluster.local", "-web.shop", "web.shop:99999", "web.shop:x", "web shop.svc",
    "[::1", pytest.param("x" * 300 + ".shop", id="300-byte-label"), "web.shop.svc.example.org",
])
def test_invalid_hosts_are_refused(tunnel, host):
    answer = tunnel.talk(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
    assert b"Invalid host" in answer


AMBIGUOUS = {
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "two hosts": f"GET / HTTP/1.1\r\nHost: {WEB}\r\nHost: {WEB}\r\n\r\n",
    "space before colon": f"GET / HTTP/1.1\r\nHost : {WEB}\r\n\r\n",
    "folded line": f"GET / HTTP/1.1\r\nHost: {WEB}\r\n folded\r\n\r\n",
    "bare LF": f"GET / HTTP/1.1\nHost: {WEB}\n\n",
    "length and chunks": f"POST / HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: 1\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": f"POST / HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "signed length": f"POST / HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: +1\r\n\r\nx",
    "chunk overflow": f"POST / HTTP/1.1\r\nHost: {WEB}\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "fffffffffffffffff\r\n",
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_requests_are_refused(tunnel, raw):
    answer = tunnel.talk(raw.encode(), 5)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
    assert answer.count(b"HTTP/1.1 ") == 1, "and the connection ends there"


def test_own_pages_are_served_on_own_names_only(tunnel):
    assert tunnel.own("/healthz").status == 200
    assert tunnel.get("localhost", "/healthz").status == 200
    assert "path /healthz" in tunnel.get(WEB, "/healthz").text
    assert "path /metrics" in tunnel.get(WEB, "/metrics").text


def test_metrics_are_prometheus_text(tunnel):
    metrics = tunnel.metrics()
    assert metrics and all(k.startswith("kube_tunnel_") or k.startswith("process_") for k in metrics)
