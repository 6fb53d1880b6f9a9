"""HTTP/1.1 as it should pass: every byte, in both directions, when it is sent.

SPDX-License-Identifier: MIT
"""
import hashlib
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import SANITIZED
from http_client import Answer, Client, chunked, counting, request
from tunnel_process import curl

WEB = "web.shop.svc.cluster.local"
HEAD = "head.shop.svc.cluster.local"  # answers each request with the head it got
MB = 1 << 20
SIZES = [0, 1, 16383, 16384, 16385, 10 * MB]


def digest(body):
    return hashlib.sha256(body).hexdigest()


def same(got, wanted):
    """Without a page of bytes when they differ."""
    return len(got) == len(wanted) and digest(got) == digest(wanted)


def text_of(path, host=WEB, method="GET"):
    return f"method {method} host {host} path {path}\n"


# one connection, many requests


def test_a_connection_serves_one_request_after_the_other(client):
    for i in range(20):
        answer = client.ask(request(WEB, f"/{i}"))
        assert answer.status == 200 and answer.text.endswith(text_of(f"/{i}"))
        assert answer.header("Connection") is None


def test_fifty_requests_in_one_write_are_answered_in_order(client):
    client.send(b"".join(request(WEB, f"/{i}") for i in range(50)))
    for i in range(50):
        assert client.answer().text.endswith(text_of(f"/{i}"))


def test_pipelined_requests_with_bodies_are_answered_in_order(client):
    bodies = [counting(n) for n in (0, 1, 5000, 70000)]
    client.send(b"".join(
        request(WEB, "/upload", "POST", fields=[f"Content-Length: {len(b)}"]) + b for b in bodies))
    for body in bodies:
        assert client.answer().text == f"{len(body)} {digest(body)} <nil>\n"


def test_requests_that_come_byte_by_byte_are_answered(client):
    client.send_bytewise(
        request(WEB, "/a") + request(WEB, "/upload", "POST", fields=["Content-Length: 3"], body="abc") +
        request(WEB, "/upload", "POST", fields=["Transfer-Encoding: chunked"]) + chunked(b"defgh", 2) +
        request(WEB, "/b"))
    assert client.answer().text.endswith(text_of("/a"))
    assert client.answer().text == f"3 {digest(b'abc')} <nil>\n"
    assert client.answer().text == f"5 {digest(b'defgh')} <nil>\n"
    assert client.answer().text.endswith(text_of("/b"))


def test_an_empty_line_before_a_request_is_skipped(client):
    client.send(b"\r\n" + request(WEB, "/a") + b"\r\n\r\n" + request(WEB, "/b"))
    assert client.answer().text.endswith(text_of("/a"))
    assert client.answer().text.endswith(text_of("/b"))


def test_a_client_that_wants_to_close_gets_its_answer_first(client):
    answer = client.ask(request(WEB, "/bytes?n=100000", fields=["Connection: close"]))
    assert same(answer.body, counting(100000))
    assert answer.header("Connection") == "close"
    assert client.is_closed()


def test_a_pod_that_closes_does_not_end_the_clients_connection(client, pod):
    pod.answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(3):
        answer = client.ask(request(pod.host))
        assert answer.text == "ok" and answer.header("Connection") is None
    assert len(pod.heads) == 3


def test_an_answer_that_ends_with_the_connection_is_complete(client, pod):
    pod.answers(b"HTTP/1.1 200 OK\r\n\r\n" + counting(50000))
    answer = client.ask(request(pod.host))
    assert answer.header("Connection") == "close"
    assert same(answer.body, counting(50000))


def test_many_clients_at_once_are_answered(tunnel):
    def ask(i):
        with Client(tunnel.port, 20) as client:
            return client.ask(request(WEB, f"/slow?ms=100&n={i}")).text
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(ask, range(50))) == ["slept 100\n"] * 50


# methods and targets


@pytest.mark.parametrize("method", [
    "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", "get",
    "x!#$%&'*+-.^_`|~0", pytest.param("LONG" * 16, id="LONG")])
def test_any_method_is_passed_on(client, method):
    assert client.ask(request(WEB, "/x", method)).text.endswith(text_of("/x", method=method))


@pytest.mark.parametrize("target", [
    "/", "/a/../b/./c//d", "/%2F%00%zz", "/?", "/?a=b?c=d&&e", "/a?q=http://x/y", "//web.other.localhost/x",
    "/{}|\\^`\"<>", pytest.param("/" + "x" * 8000, id="long")])
def test_a_target_is_passed_on_unchanged(client, target):
    assert client.ask(request(HEAD, target)).text == request(HEAD, target).decode("latin-1")


def test_options_asterisk_is_passed_on(client):
    assert client.ask(request(HEAD, "*", "OPTIONS")).text == request(HEAD, "*", "OPTIONS").decode()


def test_a_get_with_a_body_is_passed_on(client):
    answer = client.ask(request(WEB, "/upload", "GET", fields=["Content-Length: 5"], body="12345"))
    assert answer.text == f"5 {digest(b'12345')} <nil>\n"


def test_an_absolute_target_is_passed_on_as_a_path(client):
    """The host in the target counts (RFC 9112, 3.2.2), and the pod gets the usual form."""
    answer = client.ask(request("elsewhere.example", f"http://{HEAD}/a?b", fields=["X-A: 1"]))
    assert answer.text == request(HEAD, "/a?b", fields=["X-A: 1"]).decode()


def test_a_target_without_a_path_gets_a_slash(client):
    assert client.ask(request(HEAD, f"http://{HEAD}")).text == request(HEAD, "/").decode()
    assert client.ask(request(HEAD, f"http://{HEAD}?q")).text == request(HEAD, "/?q").decode()
    assert client.ask(request(HEAD, f"http://{HEAD}", "OPTIONS")).text == \
        request(HEAD, "*", "OPTIONS").decode()


def test_curl_may_use_it_as_its_http_proxy(tunnel):
    answer = curl("-x", f"http://127.0.0.1:{tunnel.port}", f"http://{WEB}/x")
    assert answer.status == 200 and answer.text.endswith(text_of("/x"))


# heads


ODD_FIELDS = [
    "x-lower: 1", "X-UPPER: 2", "X-Twice: a", "Accept: */*", "X-Twice: b", "x-twice: c", "X-Empty:",
    "X-Blank:   ", "X-Spaced:   two  words\t ", "Cookie: a=b; c=d", "Cookie: e=f", "X-Bytes: \xe4\xff",
    "Authorization: Bearer secret", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1",
    "Via: 1.0 someone", "Accept-Encoding: gzip", "If-None-Match: \"x\"", "_under: score",
    "1!#$%&'*+-.^_`|~: token"]


def test_the_pod_gets_the_head_as_it_was_sent_and_nothing_more(client):
    sent = request(HEAD, "/", fields=ODD_FIELDS)
    assert client.ask(sent).body == sent


def test_the_host_field_keeps_its_place(client):
    sent = f"GET / HTTP/1.1\r\nX-First: 1\r\nhOsT:  {HEAD}\r\nX-Last: 2\r\n\r\n"
    assert client.ask(sent).text == sent


def test_the_client_gets_the_answers_head_as_it_was_sent(client, pod):
    head = ("HTTP/1.1 299 All right, then\r\n" + "\r\n".join(ODD_FIELDS) +
            "\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\ncontent-LENGTH: 2\r\nServer: x\r\n\r\n")
    pod.answers(head + "ok")
    answer = client.ask(request(pod.host))
    assert answer.head == head.encode("latin-1") and answer.text == "ok"


def test_a_status_without_a_phrase_is_passed_on(client, pod):
    pod.answers("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert client.ask(request(pod.host)).head == b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"


def test_hop_by_hop_fields_of_a_request_are_not_forwarded(client):
    hop = ["Connection: X-Mine, keep-alive", "X-Mine: 1", "Keep-Alive: timeout=5",
           "Proxy-Connection: keep-alive"]
    answer = client.ask(request(HEAD, fields=["X-A: 1", *hop, "X-B: 2"]))
    assert answer.text == request(HEAD, fields=["X-A: 1", "X-B: 2"]).decode()


def test_an_answer_in_another_protocol_is_a_502(client, pod):
    pod.answers("SSH-2.0-OpenSSH_9.2\r\n\r\n")
    answer = client.ask(request(pod.host))
    assert answer.status == 502
    assert "did not respond in HTTP/1.1" in answer.text
    assert "--expose SVC.NS:PORT" in answer.text


def test_hop_by_hop_fields_of_an_answer_are_not_forwarded(client, pod):
    pod.answers("HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=9\r\n"
                "Content-Length: 0\r\nX-B: 2\r\n\r\n")
    assert client.ask(request(pod.host)).fields == ["X-A: 1", "Content-Length: 0", "X-B: 2"]


@pytest.mark.parametrize("fields", [
    pytest.param([f"X-{i}: {i}" for i in range(100)], id="100 fields"),
    pytest.param([f"X-{i}: {'v' * 6000}" for i in range(10)], id="60 KB")])
def test_a_large_head_passes_both_ways(client, pod, fields):
    pod.answers(request(pod.host, fields=[*fields, "Content-Length: 0"])
                .replace(b"GET / HTTP/1.1", b"HTTP/1.1 200 OK"))
    answer = client.ask(request(pod.host, fields=fields))
    assert pod.heads == [request(pod.host, fields=fields)]
    assert answer.fields == [f"Host: {pod.host}", *fields, "Content-Length: 0"]


def test_option_forwarded_adds_the_field(start_tunnel):
    with Client(start_tunnel("--forwarded").port) as client:
        seen = client.ask(request(HEAD, fields=["X-A: 1"])).text
    assert re.fullmatch(re.escape(request(HEAD, fields=["X-A: 1"]).decode()[:-2]) +
                        r'Forwarded: for="?127\.0\.0\.1[^\r\n]*\r\n\r\n', seen), seen


@pytest.mark.parametrize("code", [200, 201, 202, 206, 301, 302, 400, 401, 404, 407, 418, 429, 500,
                                  502, 503, 504, 599, 799])
def test_the_status_of_the_pod_is_passed_on(client, code):
    assert client.ask(request(WEB, f"/status?code={code}")).status == code


# answers without a body


def test_an_answer_to_head_has_a_length_and_no_body(client):
    answer = client.ask(request(WEB, "/bytes?n=1000", "HEAD"))
    assert (answer.status, answer.header("Content-Length")) == (200, "1000")
    assert client.ask(request(WEB, "/after")).text.endswith(text_of("/after"))


@pytest.mark.parametrize("code", [204, 304])
def test_answers_with_204_and_304_have_no_body(client, code):
    answer = client.ask(request(WEB, f"/status?code={code}"))
    assert (answer.status, answer.header("Content-Length")) == (code, None)
    assert client.ask(request(WEB, "/after")).text.endswith(text_of("/after"))


@pytest.mark.parametrize("head", [
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"], ids=["length", "chunked"])
def test_a_304_keeps_the_length_of_the_missing_body(client, pod, head):
    pod.answers(head)
    client.send(request(pod.host) + request(WEB, "/after"))
    assert client.head().decode() == head
    assert client.answer().text.endswith(text_of("/after"))


# bodies


@pytest.mark.parametrize("n", SIZES)
def test_a_download_with_a_length_arrives_whole(client, n):
    answer = client.ask(request(WEB, f"/bytes?n={n}"))
    assert answer.header("Content-Length") == str(n) and same(answer.body, counting(n))


@pytest.mark.parametrize("n", SIZES)
def test_a_download_in_chunks_arrives_whole(client, pod, n):
    body = chunked(counting(n), 5000)
    pod.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    answer = client.ask(request(pod.host))
    assert same(answer.body, counting(n))
    assert same(answer.raw_body, body), "not even the sizes of the chunks change"


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_arrives_whole(client, n, framing):
    body = counting(n)
    if framing == "length":
        client.send(request(WEB, "/upload", "POST", fields=[f"Content-Length: {n}"]) + body)
    else:
        client.send(request(WEB, "/upload", "POST", fields=["Transfer-Encoding: chunked"]) +
                    chunked(body, 5000))
    assert client.answer().text == f"{n} {digest(body)} <nil>\n"


def test_an_upload_in_chunks_reaches_the_pod_as_it_was_sent(client, pod):
    """Chunk extensions, odd spellings of sizes and trailers included."""
    body = "5;a=\"b;\"\r\nhello\r\n0005\r\nworld\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-two: \r\n\r\n"

    def script(connection):
        pod.tell(connection.take_until(b"x-two: \r\n\r\n"))
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pod.plays(script)
    fields = ["Transfer-Encoding: chunked", "Trailer: X-Sum"]
    assert client.ask(request(pod.host, "/", "POST", fields=fields, body=body)).status == 200
    assert pod.heads == [request(pod.host, "/", "POST", fields=fields)]
    assert pod.told().decode() == body


def test_trailers_of_an_answer_are_passed_on(client):
    answer = client.ask(request(WEB, "/trailers"))
    assert answer.header("Trailer") == "X-Sum"
    assert answer.text == "part 0\npart 1\npart 2\n"
    assert answer.raw_body.endswith(b"0\r\nX-Sum: 3 parts\r\n\r\n")


def test_a_slow_upload_is_passed_on_as_it_arrives(client, pod):
    """Each piece waits for the pod to have seen the one before."""
    def script(connection):
        for _ in range(5):
            pod.tell(connection.take(4))
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pod.plays(script)
    client.send(request(pod.host, "/", "POST", fields=["Content-Length: 20"]))
    for i in range(5):
        client.send(b"%04d" % i)
        assert pod.told() == b"%04d" % i
    assert client.answer("POST").status == 200


def test_both_directions_carry_at_once(client, pod):
    """An answer that begins before the request has ended, and needs it to go on."""
    def script(connection):
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for _ in range(5):
            connection.send(connection.take(4))
    pod.plays(script)
    client.send(request(pod.host, "/", "POST", fields=["Content-Length: 20"]))
    assert b"200 OK" in client.head()
    for i in range(5):
        client.send(b"%04d" % i)
        assert client.take(4) == b"%04d" % i


def test_an_answer_before_the_end_of_the_upload_is_passed_on(client, pod):
    """The pod has read enough: the client hears so, though it is still sending."""
    pod.answers("HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmuch")
    client.send(request(pod.host, "/", "POST", fields=["Content-Length: 100000000"]) + counting(100000))
    answer = client.answer("POST")
    assert answer.status == 413 and answer.text == "much"
    assert answer.header("Connection") == "close", "the rest of the upload is no request"


# expectations and interim answers


def test_a_body_is_held_until_the_pod_wants_it(client):
    client.send(request(WEB, "/expect", "POST", fields=["Expect: 100-continue", "Content-Length: 5"]))
    assert client.answer("POST").line == "HTTP/1.1 100 Continue"
    client.send("hello")
    assert client.answer("POST").text == 'expect="100-continue" 5 <nil>\n'


def test_an_upload_of_curl_with_expect_arrives_whole(tunnel):
    answer = tunnel.get(WEB, "/expect", "-H", "Expect: 100-continue", "-d", "x" * 5000)
    assert answer.head.startswith("HTTP/1.1 100 "), answer.head
    assert answer.text == 'expect="100-continue" 5000 <nil>\n'


def test_a_refusal_instead_of_100_continue_is_passed_on(client):
    answer = client.ask(request(WEB, "/expect?refuse", "POST",
                                fields=["Expect: 100-continue", "Content-Length: 5"]))
    assert (answer.status, answer.text) == (417, "no, thank you\n")
    assert answer.header("Connection") == "close", "nobody knows whether the body will come"


def test_a_body_sent_before_100_continue_arrives_whole(client):
    answer = client.ask(request(WEB, "/expect?refuse", "POST", body="x" * 50000,
                                fields=["Expect: 100-continue", "Content-Length: 50000"]))
    assert (answer.status, answer.text) == (417, "no, thank you\n")


def test_interim_answers_are_passed_on_at_once(client, pod):
    def script(connection):
        for hint in ("103 Early Hints\r\nLink: </a.css>; rel=preload", "102 Processing", "199 Odd"):
            connection.send(f"HTTP/1.1 {hint}\r\n\r\n")
            pod.news.get(timeout=10)
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    pod.plays(script)
    client.send(request(pod.host))
    for wanted in (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
                   b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 199 Odd\r\n\r\n"):
        assert client.head() == wanted
        pod.tell("go on")
    assert client.answer().text == "ok"


def test_http_1_0_never_sees_an_interim_answer(client, pod):
    pod.answers("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    answer = client.ask(request(pod.host, version="1.0"))
    assert answer.status == 200 and answer.text == "ok"


# HTTP/1.0


def test_http_1_0_closes_after_the_answer(client):
    client.send(request(WEB, "/old", version="1.0"))
    answer = Answer(client.head())
    assert answer.status == 200
    assert client.rest().decode().endswith(text_of("/old"))


def test_http_1_0_without_a_host_gets_our_own_page(client):
    client.send("GET /healthz HTTP/1.0\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nok\n")


def test_http_1_0_is_passed_on_as_http_1_1(client):
    assert client.ask(request(HEAD, version="1.0")).text == request(HEAD).decode()


def test_http_1_0_gets_no_chunks(client):
    answer = client.ask(request(WEB, "/trailers", version="1.0"))
    assert answer.header("Transfer-Encoding") is None and answer.header("Trailer") is None
    assert answer.text == "part 0\npart 1\npart 2\n"


def test_http_1_0_with_keep_alive_is_kept(client):
    for i in range(3):
        answer = client.ask(request(WEB, f"/{i}", version="1.0", fields=["Connection: keep-alive"]))
        assert answer.text.endswith(text_of(f"/{i}"))
        assert answer.header("Connection").lower() == "keep-alive"


def test_http_1_0_with_keep_alive_is_closed_after_a_chunked_answer(client):
    answer = client.ask(request(WEB, "/trailers", version="1.0", fields=["Connection: keep-alive"]))
    assert answer.header("Connection") == "close"
    assert answer.text == "part 0\npart 1\npart 2\n"


def test_an_answer_in_http_1_0_is_passed_on(client, pod):
    pod.answers("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    answer = client.ask(request(pod.host))
    assert answer.status == 200 and answer.text == "ok"
    assert client.ask(request(WEB, "/after")).text.endswith(text_of("/after"))


# clients that close their half at once, as nc does


@pytest.mark.parametrize("target, size", [("/slow?ms=300", 10), ("/bytes?n=10000000", 10000000)])
def test_a_half_closed_client_gets_its_whole_answer(client, target, size):
    client.send(request(WEB, target))
    client.half_close()
    assert len(client.answer().body) == size
    assert client.is_closed()


def test_the_upload_of_a_half_closed_client_arrives_whole(client):
    client.send(request(WEB, "/upload", "POST", fields=["Content-Length: 100000"]) + counting(100000))
    client.half_close()
    assert client.answer().text == f"100000 {digest(counting(100000))} <nil>\n"


def test_a_half_closed_client_gets_all_the_answers_to_its_pipeline(client):
    client.send(request(WEB, "/slow?ms=100") + request(WEB, "/a") + request(WEB, "/b"))
    client.half_close()
    assert client.answer().text == "slept 100\n"
    assert client.answer().text.endswith(text_of("/a"))
    assert client.answer().text.endswith(text_of("/b"))
    assert client.is_closed()


# time and memory


def test_events_arrive_when_they_are_sent(client):
    """The machine is one, so is its clock."""
    client.send(request(WEB, "/sse"))
    assert Answer(client.head()).header("Content-Type") == "text/event-stream"
    late = []
    for i in range(10):
        sent = int(re.search(rb"data: %d (\d+)\n\n" % i, client.take_until(b"\n\n\r\n")).group(1))
        late.append((time.time_ns() - sent) / 1e6)
    assert sorted(late)[5] < 20, f"median in ms: {late}"
    assert max(late) < 95, f"each before the next is sent, in ms: {late}"


def peak_memory(process):
    """The most anonymous and other memory it ever had, in KiB."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def begin_to_read(port, n):
    """Request n bytes and read some: the client, and the hash of what it has read."""
    client = Client(port, 30, receive_buffer=4096)
    client.send(request(WEB, f"/bytes?n={n}"))
    client.head()
    return client, hashlib.sha256(client.take(10000))


def read_rest(client, sha, left):
    """Read what is left, and return the hash of all."""
    with client:
        while left:
            part = client.take(min(left, 1 << 18))
            sha.update(part)
            left -= len(part)
        return sha.hexdigest()


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep memory for themselves")
def test_slow_readers_hold_little_memory(start_tunnel):
    """Eight clients that request 8 MB each and do not read: the pods have to wait.

    They begin one after the other, since nothing joins a tunnel that is blocked or carries a
    large response. If they begin at once, two may share a tunnel, where one that keeps the
    other waiting for 3 s is reset; on a busy machine these clients take longer than that.
    """
    tunnel, n = start_tunnel(), 8 * MB
    assert tunnel.get(WEB).status == 200
    before = peak_memory(tunnel.process)
    readers = [begin_to_read(tunnel.port, n) for _ in range(8)]
    time.sleep(1)
    with ThreadPoolExecutor(8) as pool:
        hashes = [pool.submit(read_rest, *reader, n - 10000) for reader in readers]
        assert {h.result() for h in hashes} == {digest(counting(n))}
    assert tunnel.total("kube_tunnel_slow_clients_total") == 0
    assert peak_memory(tunnel.process) - before < 12 << 10


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep memory for themselves")
def test_a_pod_that_does_not_read_holds_little_memory(start_tunnel, pod):
    tunnel, let_go = start_tunnel(), threading.Event()
    assert tunnel.get(WEB).status == 200
    before = peak_memory(tunnel.process)
    pod.plays(lambda connection: let_go.wait(20))
    with Client(tunnel.port, 1) as client:
        client.send(request(pod.host, "/", "POST", fields=["Content-Length: 1000000000"]))
        with pytest.raises(socket.timeout):
            while True:
                client.send(counting(MB))
    let_go.set()
    assert peak_memory(tunnel.process) - before < 12 << 10
