"""Clients that err, attack or vanish, and pods that do: a clear error, and nothing is lost.

SPDX-License-Identifier: MIT
"""
import os
import socket
import threading
import time

import pytest

from http_client import Client, chunked, counting, request, seconds_of
from tunnel_process import eventually, free_ports

WEB = "web.shop.svc.cluster.local"


def refused(client, status, first=None):
    """One answer, and the connection ends with it."""
    answer = client.answer()
    assert answer.status == status, answer
    assert answer.header("Connection") == "close"
    assert first is None or answer.first.startswith(first), answer
    assert client.is_closed()
    return answer


def still_well(tunnel):
    assert tunnel.get(WEB).status == 200


# hosts


@pytest.mark.parametrize("host, problem", [
    ("", "empty"), ("web", ""), ("web..svc.cluster.local", ""), ("-web.shop", ""), ("web-.shop.svc", ""),
    ("web_shop.x", ""), ("web.shop:99999", "port"), ("web.shop:0", "port"), ("web.shop:x", "port"),
    ("web.shop:-1", "port"), ("web.shop:80:80", "port"), ("[::1", ""), ("[web.shop]", ""),
    ("web.shop.svc.example.org", ""), ("www.example.org", ""), ("web shop.svc", "byte"), ("web.shop.svc.cluster.local.example.org", ""),
    pytest.param("x" * 300 + ".shop", "longer than 253", id="300-byte label"),
    pytest.param("x" * 64 + ".shop", "63", id="64-byte label"),
    pytest.param(".".join(["x" * 60] * 6) + ".svc.cluster.local", "longer than 253", id="384-byte name")])
def test_a_host_outside_the_cluster_is_refused(client, host, problem):
    answer = client.ask(request(host))
    assert (answer.status, answer.first) == (400, "Invalid host"), answer
    assert f'"{host[:300]}": ' in answer.text and problem in answer.text
    assert "<service>.<namespace>.svc.cluster.local" in answer.text, "says how it is done"
    assert client.ask(request(WEB)).status == 200, "the connection goes on"


@pytest.mark.parametrize("host", ["[::1]", "[::1]:80", "127.0.0.1", "localhost", "LOCALHOST."])
def test_literal_addresses_serve_our_own_pages(client, host):
    assert client.ask(request(host, "/healthz")).text == "ok\n"


# requests that two readers could understand in two ways

SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
AMBIGUOUS = {
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "two hosts that differ": "GET / HTTP/1.1\r\nHost: {host}\r\nhost: localhost\r\n\r\n",
    "space before colon": "GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length : 5\r\n\r\nhello",
    "space before host's colon": "GET / HTTP/1.1\r\nHost : {host}\r\n\r\n",
    "space before the first field": "GET / HTTP/1.1\r\n Host: {host}\r\n\r\n",
    "folded line": "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\n folded\r\n\r\n",
    "folded by tab": "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\n\tfolded\r\n\r\n",
    "bare LF": "GET / HTTP/1.1\nHost: {host}\n\n",
    "one bare LF": "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\nX-B: 2\r\n\r\n",
    "bare CR": "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\rX-B: 2\r\n\r\n",
    "NUL in a value": "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: a\0b\r\n\r\n",
    "NUL in a name": "GET / HTTP/1.1\r\nHost: {host}\r\nX\0A: 1\r\n\r\n",
    "NUL in the target": "GET /\0 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "empty name": "GET / HTTP/1.1\r\nHost: {host}\r\n: 1\r\n\r\n",
    "no colon": "GET / HTTP/1.1\r\nHost: {host}\r\nnonsense\r\n\r\n",
    "name of two words": "GET / HTTP/1.1\r\nHost: {host}\r\nX A: 1\r\n\r\n",
    "length and chunks": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
                         "Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "two lengths in one": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1, 2\r\n\r\nxx",
    "signed length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: +1\r\n\r\nx",
    "negative length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\nx",
    "hexadecimal length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0x1\r\n\r\nx",
    "empty length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length:\r\n\r\n",
    "length that overflows": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 18446744073709551617"
                             "\r\n\r\nx",
    "unknown coding": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, identity\r\n\r\n"
                        "0\r\n\r\n",
    "chunked twice": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": "POST / HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a version of its own": "GET / HTTP/1.2x\r\nHost: {host}\r\n\r\n",
    "no version": "GET /\r\nHost: {host}\r\n\r\n",
    "two spaces": "GET  / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "tab for a space": "GET\t/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "space in the target": "GET /a b HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "brackets in the method": "G(T / HTTP/1.1\r\nHost: {host}\r\n\r\n",
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_never_reaches_a_pod(client, pod, raw):
    pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.send((raw + SMUGGLED).format(host=pod.host))
    answer = client.answer()
    assert answer.status in (400, 501, 505), answer
    assert answer.header("Connection") == "close"
    assert client.is_closed(), "nothing that follows is a request"
    assert pod.heads == []


BAD_CHUNKS = {
    "size overflow": "fffffffffffffffff\r\n", "size is no number": "xyz\r\n", "signed size": "+5\r\nhello\r\n",
    "space before size": " 5\r\nhello\r\n", "blank after size": "5 \r\nhello\r\n0\r\n\r\n",
    "digits after a blank": "5 5\r\nhello\r\n0\r\n\r\n",
    "0x size": "0x5\r\nhello\r\n", "empty size": "\r\nhello\r\n",
    "too little in a chunk": "5\r\nhel\r\n0\r\n\r\n", "too much in a chunk": "2\r\nhello\r\n0\r\n\r\n",
    "bare LF after size": "5\nhello\n0\n\n", "NUL in an extension": "5;a=\0\r\nhello\r\n0\r\n\r\n",
    "bare LF in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "endless size line": "5" + ";" + "x" * 100000,
    "endless trailers": "0\r\n" + "X-A: 1\r\n" * 20000,
    "smuggling trailer": "0\r\nX-A : 1\r\n\r\n",
}


@pytest.mark.parametrize("raw", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_malformed_chunks_end_the_request(client, pod, raw):
    """The pod may have seen the head by then, but never an end of the body."""
    def script(connection):
        connection.seen = b""
        pod.tell(connection.wait_for_end())
    pod.plays(script)
    client.send(request(pod.host, "/", "POST", fields=["Transfer-Encoding: chunked"]))
    try:
        client.send(raw + SMUGGLED.format(host=pod.host))
    except (ConnectionResetError, BrokenPipeError):
        pass  # it has heard enough
    answer = client.answer()
    assert answer.status == 400 and answer.first.startswith("Bad Request: "), answer
    assert client.is_closed()
    assert len(pod.heads) <= 1


# sizes


def test_a_head_of_100_kb_is_too_large(tunnel, client):
    client.send(request(WEB, "/", fields=[f"X-{i}: {'v' * 1000}" for i in range(100)]))
    refused(client, 431, "Request Header Fields Too Large: ")
    still_well(tunnel)


def test_a_target_of_100_kb_is_too_large(client):
    client.send(request(WEB, "/" + "x" * 100000))
    refused(client, 431)


@pytest.mark.parametrize("over, status", [(-1, 200), (0, 200), (1, 431)])
def test_the_largest_head_is_max_head_size(start_tunnel, over, status):
    with Client(start_tunnel("--max-head-size", "4KiB").port) as client:
        small = request(WEB, fields=["X-A: "])
        client.send(request(WEB, fields=["X-A: " + "v" * (4096 + over - len(small))]))
        assert client.answer().status == status


def test_too_many_fields_are_refused(client, pod):
    pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    fields = ["A: "] * 5000
    answer = client.ask(request(pod.host, fields=fields))
    assert answer.status == 431 or pod.heads == [request(pod.host, fields=fields)], answer


# time


def test_a_slow_head_is_cut_off(start_tunnel):
    tunnel = start_tunnel("--head-timeout", "500ms")
    with Client(tunnel.port) as client:
        began = time.monotonic()
        client.send("GET / HTTP/1.1\r\nHost: web.shop.localhost\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() - began < 5:
                client.send("X")
                time.sleep(0.02)
        assert time.monotonic() - began < 4, "each byte does not prolong it"


def test_a_late_head_is_answered_408(start_tunnel):
    with Client(start_tunnel("--head-timeout", "300ms").port) as client:
        client.send("GET / HTTP/1.1\r\nHost: web.shop.localhost\r\n")
        assert "head-timeout" in refused(client, 408, "Request Timeout: ").text


def test_a_silent_client_is_closed(start_tunnel):
    with Client(start_tunnel("--head-timeout", "300ms").port) as client:
        assert seconds_of(lambda: client.is_closed()) < 3


def test_an_idle_connection_is_closed(start_tunnel):
    with Client(start_tunnel("--client-idle-timeout", "300ms").port) as client:
        assert client.ask(request(WEB)).status == 200
        assert seconds_of(lambda: client.is_closed()) < 3


def test_a_pod_that_does_not_answer_is_a_504(start_tunnel):
    with Client(start_tunnel("--response-timeout", "300ms").port) as client:
        answer = client.ask(request(WEB, "/slow?ms=20000", "POST", fields=["Content-Length: 0"]))
        assert answer.status == 504, answer
        assert answer.first.startswith("Port-forward failed for shop/web-") and \
            "--response-timeout" in answer.first
        assert client.ask(request(WEB, "/slow?ms=1")).status == 200


# clients that vanish


def descriptors(tunnel):
    return len(os.listdir(f"/proc/{tunnel.process.pid}/fd"))


def cleaned_up(tunnel, before, seconds=5):
    """No session, no descriptor and no connection to a pod is left."""
    def look():
        assert tunnel.total("kube_tunnel_sessions") == 1, "the one that asks"
        assert descriptors(tunnel) <= before
        return True
    eventually(look, seconds, pause=0.05)


@pytest.fixture
def lone_tunnel(start_tunnel, pod):
    """A tunnel that has one warm connection to the test's pod, and has all files open it needs."""
    tunnel = start_tunnel("--drain-timeout", "500ms", "--http-tunnels-per-pod", "8")  # none is shared: none stays
    pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with Client(tunnel.port) as client:
        assert client.ask(request(pod.host)).status == 200
    return tunnel


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("body", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_client_that_vanishes_during_an_upload_is_released(lone_tunnel, pod, leave, body):
    """The pod sees its connection end, and never a complete request."""
    tunnel, before = lone_tunnel, descriptors(lone_tunnel)
    pod.plays(lambda connection: pod.tell((connection.wait_for_end(), connection.seen)))
    clients = [Client(tunnel.port) for _ in range(5)]
    for client in clients:
        client.send(request(pod.host, "/", "POST", fields=[body]) +
                    (b"1000\r\n" if "chunked" in body else b"") + counting(4000))
    eventually(lambda: len(pod.heads) == 6)
    for client in clients:
        leave(client)
    for _ in clients:
        n, seen = pod.told()
        assert n is None or n < 1000000
        assert not seen.endswith(b"0\r\n\r\n")
    cleaned_up(tunnel, before)
    still_well(tunnel)


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["FIN", "RST"])
def test_a_client_that_vanishes_before_the_answer_is_released(lone_tunnel, pod, leave):
    tunnel, before = lone_tunnel, descriptors(lone_tunnel)
    pod.plays(lambda connection: pod.tell(connection.wait_for_end()))
    clients = [Client(tunnel.port) for _ in range(5)]
    for client in clients:
        client.send(request(pod.host))
    eventually(lambda: len(pod.heads) == 6)
    for client in clients:
        leave(client)
    for _ in clients:
        pod.told()
    cleaned_up(tunnel, before)


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["FIN", "RST"])
def test_a_client_that_vanishes_during_a_download_is_released(lone_tunnel, leave):
    tunnel, before = lone_tunnel, descriptors(lone_tunnel)
    for _ in range(5):
        client = Client(tunnel.port)
        client.send(request(WEB, "/bytes?n=1000000000"))
        client.take(100000)
        leave(client)
    cleaned_up(tunnel, before + 2)  # two pods, a warm tunnel each


def send_until_stuck(client, piece, pause):
    with pytest.raises(socket.timeout):
        while True:
            client.send(counting(piece))
            time.sleep(pause)


# In one go more waits than was read; in small pieces nothing does, and nothing is read any more.
paces = pytest.mark.parametrize("piece, pause", [(1 << 20, 0), (4096, 0.0005)], ids=["fast", "slow"])


@paces
def test_a_client_that_vanishes_while_the_pod_does_not_read_is_released(
        lone_tunnel, pod, piece, pause):
    tunnel, before, let_go = lone_tunnel, descriptors(lone_tunnel), threading.Event()
    pod.plays(lambda connection: let_go.wait(30))
    with Client(tunnel.port, 0.5) as client:
        client.send(request(pod.host, "/", "POST", fields=["Content-Length: 1000000000"]))
        send_until_stuck(client, piece, pause)
        client.reset()
    try:
        cleaned_up(tunnel, before, seconds=8)
    finally:
        let_go.set()


@paces
@pytest.mark.parametrize("leave, seconds", [(Client.close, 20), (Client.reset, 8)], ids=["FIN", "RST"])
def test_a_raw_client_that_vanishes_while_the_pod_does_not_read_is_released(
        start_tunnel, leave, seconds, piece, pause):
    """The bytes it sent are delivered, but the pod has a limited time to read them."""
    port, = free_ports(1)
    tunnel = start_tunnel("--expose", f"raw.shop:9002={port}")
    before = descriptors(tunnel)
    with Client(port, 0.5) as client:
        send_until_stuck(client, piece, pause)
        leave(client)
    cleaned_up(tunnel, before, seconds)


@pytest.mark.parametrize("pause", [0, 3], ids=["at once", "late"])
@pytest.mark.parametrize("n", [1 << 20, 3 << 20], ids=["waits in the cluster", "waits here"])
def test_the_bytes_of_a_raw_client_that_sends_and_closes_are_delivered(start_tunnel, pod, n, pause):
    """As with cat FILE | nc: also a pod that begins to read when the client has long gone gets it."""
    port, = free_ports(1)
    tunnel = start_tunnel("--expose", f"many.many:80={port},raw")

    def reads_later(connection):
        connection.takes_at_most(4096)  # the rest has to wait before it
        time.sleep(pause)
        connection.takes_at_most(1 << 20)
        pod.tell(connection.wait_for_end())

    pod.plays(reads_later)
    with Client(port) as client:
        client.send(request(pod.host) + counting(n))
    assert pod.told() == n
    eventually(lambda: tunnel.total("kube_tunnel_sessions") == 1)


def test_a_client_that_vanishes_during_its_head_is_released(lone_tunnel):
    tunnel, before = lone_tunnel, descriptors(lone_tunnel)
    for leave in (Client.close, Client.reset, Client.half_close):
        client = Client(tunnel.port)
        client.send("GET / HTTP/1.1\r\nHost: web")
        leave(client)
    assert client.is_closed()
    cleaned_up(tunnel, before)


# pods that cut their answers short: never a success


def test_an_answer_shorter_than_its_length_reaches_the_client_as_incomplete(tunnel):
    assert tunnel.get(WEB, "/short").exit == 18


def test_an_answer_without_its_last_chunk_reaches_the_client_as_incomplete(tunnel):
    assert tunnel.get(WEB, "/cut").exit in (18, 56)


def test_a_cut_answer_to_http_1_0_is_reset(tunnel):
    """Chunks are taken off for such a client, so only a reset shows that it is incomplete."""
    assert tunnel.get(WEB, "/cut", "--http1.0").exit == 56


@pytest.mark.parametrize("raw", [
    "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end"], ids=["length", "in a chunk", "after a chunk", "before the trailer",
                                                  "bad chunk", "until the end"])
def test_an_answer_cut_by_a_reset_reaches_the_client_as_incomplete(tunnel, pod, raw):
    def script(connection):
        connection.send(raw)
        pod.told()
        connection.reset()
    pod.plays(script)
    with Client(tunnel.port) as client:
        client.send(request(pod.host))
        client.head()
        pod.tell("reset now")
        with pytest.raises((EOFError, ConnectionResetError, ValueError)):
            if "Length" in raw or "chunked" in raw:
                client._chunks(client) if "chunked" in raw else client.take(1000)
            else:
                client.rest()


def test_an_answer_of_a_deleted_pod_reaches_the_client_as_incomplete(start_playground,
                                                                     start_tunnel):
    playground = start_playground()
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    with Client(tunnel.port) as client:
        client.send(request("db-0.db.shop.svc.cluster.local:8080", "/bytes?n=1000000000"))
        client.take(1000)
        playground.order("pod delete shop/db-0")
        with pytest.raises((EOFError, ConnectionResetError)):
            client.take(1000000000)
    still_well(tunnel)


BAD_ANSWERS = {
    "no HTTP": "220 mail.example ESMTP\r\n\r\n",
    "binary": "\x16\x03\x01\x00\xff\x00\x00\r\n\r\n",
    "half a head": "HTTP/1.1 200 OK\r\nContent-Le",
    "HTTP/2": "HTTP/2 200\r\n\r\n",
    "no status": "HTTP/1.1 OK\r\n\r\n",
    "status of four digits": "HTTP/1.1 2000 OK\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "bad length": "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "unknown coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: nonsense\r\n\r\n",
    "NUL in a value": "HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n",
    "head of 100 KB": "HTTP/1.1 200 OK\r\nX-A: " + "v" * 100000 + "\r\n\r\n",
    "a switch nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "only an interim answer": "HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("raw", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_is_not_http_is_a_502(client, pod, raw):
    pod.answers(raw)
    client.send(request(pod.host, "/", "POST", fields=["Content-Length: 0"]))
    answer = client.answer()
    while answer.status == 103:
        answer = client.answer()
    assert answer.status == 502, answer
    assert answer.first.startswith(f"Port-forward failed for many/{pod.name}: "), answer


def test_bytes_on_an_idle_connection_do_not_reach_the_next_client(tunnel, pod):
    """A pod that sends more than its answer: the rest is not an answer to the next request."""
    pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    for _ in range(3):
        with Client(tunnel.port) as client:
            assert client.ask(request(pod.host)).text == "ok"


# web pages from elsewhere


EVIL = "https://evil.example"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
@pytest.mark.parametrize("origin", [EVIL, "null", "http://web.shop", "http://127.0.0.1.evil.example",
                                    "http://localhost.evil.example", "http://svc.cluster.local.evil.example",
                                    "http://evil.tenant.svc.cluster.local", "http://web.other.localhost",
                                    "http://x.evil.svc", "evil://localhost"])
def test_a_foreign_page_cannot_change_anything(client, method, origin):
    answer = client.ask(request(WEB, "/", method, fields=[f"Origin: {origin}", "Content-Length: 0"]))
    assert answer.status == 403 and answer.first == f"Forbidden: foreign origin {origin}", answer
    assert answer.text.endswith(f" --allow-origin {origin}\n"), answer
    assert answer.header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("origin", [
    "http://localhost", "http://localhost:3000", "http://web.shop.localhost:8080", "http://127.0.0.1:8080",
    "http://[::1]:80", f"http://{WEB}", f"https://{WEB}", "http://other.shop.svc.cluster.local:81"])
def test_pages_of_the_same_namespace_and_of_this_machine_are_allowed(client, origin):
    assert client.ask(request(WEB, "/", "POST", fields=[f"Origin: {origin}", "Content-Length: 0"])).status == 200


def test_allow_origin_admits_a_foreign_page(start_tunnel):
    with Client(start_tunnel("--allow-origin", EVIL).port) as client:
        for origin, status in ((EVIL, 200), ("https://other.example", 403)):
            fields = [f"Origin: {origin}", "Content-Length: 0"]
            assert client.ask(request(WEB, "/", "POST", fields=fields)).status == status


def test_a_foreign_page_cannot_open_a_websocket(client):
    answer = client.ask(request(WEB, "/ws", fields=[
        f"Origin: {EVIL}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]))
    assert answer.status == 403


@pytest.mark.parametrize("fields, status", [
    (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
    (["Sec-Fetch-Site: cross-site"], 403),
    (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 403),
    (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200),
    (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], 403),
    (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"], 403),
    (["Sec-Fetch-Mode: cors"], 200),
    (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200),
    (["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], 200)])
def test_fetch_metadata_of_browsers_is_honoured(client, fields, status):
    assert client.ask(request(WEB, fields=fields)).status == status


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics"])
def test_a_rebound_name_cannot_read_services(client, path):
    """A page's own name, bent to 127.0.0.1: neither our pages nor a service answer to it."""
    for host, status in (("www.evil.example", 400), ("evil.example", 403)):
        answer = client.ask(request(host, path))
        assert answer.status == status and answer.first.startswith(("Invalid host", "Forbidden: short name"))


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
def test_a_service_serves_pages_at_the_paths_of_ours(client, path):
    assert client.ask(request(WEB, path)).text.endswith(f"host {WEB} path {path}\n")


def test_our_own_pages_accept_get_and_head_only(client):
    answer = client.ask(request("localhost", "/metrics", "POST", fields=["Content-Length: 0"]))
    assert answer.status == 405 and answer.header("Allow") == "GET, HEAD"
    answer = client.ask(request("localhost", "/metrics", "HEAD"))
    assert answer.status == 200 and int(answer.header("Content-Length")) > 1000
    assert client.ask(request("localhost", "/nothing")).status == 404


@pytest.mark.parametrize("flag", [["--deny-namespace", "other"], ["--allow-namespace", "shop"]])
def test_a_denied_namespace_is_refused(start_tunnel, flag):
    with Client(start_tunnel(*flag).port) as client:
        assert client.ask(request("web.shop.localhost")).status == 200
        for host in ("web.other.localhost", "WEB.OTHER.svc", "web-5d8c6b7f9-q7l4s.other.pod:8080"):
            answer = client.ask(request(host))
            assert answer.status == 403 and answer.first == "Forbidden: namespace other is closed"


# other protocols at the listener


@pytest.mark.parametrize("first, refusal", [
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "x" * 506, b"\x15\x03\x03\0\2\2\x28"),
    ("\x05\x01\x01", b"\5\xff"), ("\x04\x01\x00\x50\x7f\x00\x00\x01\x00", b"\0\x5b\0\0\0\0\0\0"),
    ("\0" * 100, b"HTTP/1.1 400 "), ("EHLO me\r\n\r\n", b"HTTP/1.1 400 "),
    ("\xff" * 70000, b"HTTP/1.1 400 ")], ids=["TLS", "SOCKS5", "SOCKS4", "NULs", "SMTP", "noise"])
def test_other_protocols_are_refused_at_once_in_their_own_format(tunnel, client, first, refusal):
    def answer():
        client.send(first)
        assert client.take(len(refusal)) == refusal
        client.rest()  # no reset, which could take the refusal with it
    assert seconds_of(answer) < 5
    still_well(tunnel)


@pytest.mark.parametrize("target, status", [
    ("web.shop", 400), ("web.shop:0", 400), ("web.shop:99999", 400), (":80", 400), ("http://web.shop/", 400),
    ("www.example.com:443", 502), ("127.0.0.1:22", 502), ("localhost:22", 502), ("nosuch.shop:80", 404),
    ("web.shop:81", 404)])
def test_connect_to_what_is_no_port_of_a_service_is_refused(tunnel, client, target, status):
    assert client.ask(request(WEB, target, "CONNECT")).status == status
    still_well(tunnel)


@pytest.mark.parametrize("greeting", [
    b"\5", b"\5\1\0\5\1\0\3\x08web", b"\4\1\0\x50\0\0\0\1me", b"\5\1\0\6", b"\5\1\0\5\1\0\2", b"\4\3",
    b"\5\1\2\2", b"\4\1\0\x50\0\0\0\1" + b"u" * 4000, b"\5\1\0\5\1\0\3\x03a\nb\0\x50"])
def test_a_damaged_or_truncated_socks_request_ends_its_connection(tunnel, greeting):
    with socket.create_connection(("127.0.0.1", tunnel.port), 10) as s:
        s.sendall(greeting)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096):
            pass
    still_well(tunnel)


def test_https_to_a_proxy_is_refused_not_downgraded(client):
    assert client.ask(request(WEB, f"https://{WEB}/", "GET")).status == 400
