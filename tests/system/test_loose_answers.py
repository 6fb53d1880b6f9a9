"""Answers as common servers send them, which deviate from the grammar: the client gets
them whole and in one unambiguous form. SPDX-License-Identifier: MIT
"""
import pytest

from http_client import Client, request

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLEAN = b"5\r\nhello\r\n0\r\n\r\n"

LOOSE_CHUNKS = {
    "blanks after the size, as Tomcat": ("5  \r\nhello\r\n0\r\n\r\n", CLEAN),
    "blanks after the last size": ("5\r\nhello\r\n0  \r\n\r\n", CLEAN),
    "a blank before an extension": ("5 ;a=b\r\nhello\r\n0\r\n\r\n", CLEAN),
    "an extension of 300 bytes": ("5;" + "x" * 300 + "\r\nhello\r\n0\r\n\r\n", CLEAN),
    "a blank before the colon of a trailer":
        ("5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
}


@pytest.mark.parametrize("sent, passed_on", LOOSE_CHUNKS.values(), ids=LOOSE_CHUNKS)
@pytest.mark.parametrize("pace", ["at once", "byte by byte"])
def test_loosely_framed_chunks_of_an_answer_are_passed_on_strictly_framed(
        client, pod, sent, passed_on, pace):
    def script(connection):
        for piece in [CHUNKED + sent] if pace == "at once" else CHUNKED + sent:
            connection.send(piece)
        connection.take(1)
    pod.plays(script)
    answer = client.ask(request(pod.host))
    assert answer.raw_body == passed_on, answer
    assert client.ask(request(pod.host)).body == b"hello", "the client's connection lives on"


@pytest.mark.parametrize("sent", ["5 5\r\nhello\r\n0\r\n\r\n", "5 a\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n"])
def test_chunks_of_an_answer_that_two_readers_could_read_in_two_ways_end_it(client, pod, sent):
    pod.answers(CHUNKED + sent)
    client.send(request(pod.host))
    assert client.head().startswith(b"HTTP/1.1 200 ")
    assert b"hello" not in client.rest()


def test_a_request_may_have_a_blank_before_an_extension(client, pod):
    def script(connection):
        pod.tell(connection.take_until(b"0\r\n\r\n"))
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pod.plays(script)
    sent = "5 ;a=b\r\nhello\r\n0\r\n\r\n"
    answer = client.ask(request(pod.host, "/", "POST", fields=["Transfer-Encoding: chunked"], body=sent))
    assert answer.status == 200 and pod.told() == sent.encode()


LENGTHS = {
    "two equal fields": ("Content-Length: 2\r\nContent-Length: 2\r\n", [b"Content-Length: 2"]),
    "a list of equal ones": ("Content-Length: 2, 2\r\n", [b"Content-Length: 2"]),
    "a blank before the colon": ("Content-Length : 2\r\n", [b"Content-Length: 2"]),
    "and chunks": ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", [b"Transfer-Encoding: chunked"]),
    "after chunks": ("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", [b"Transfer-Encoding: chunked"]),
}


def framing_of(answer):
    return [line for line in answer.head.split(b"\r\n") if line.lower().startswith((b"content-l", b"transfer-e"))]


@pytest.mark.parametrize("fields, passed_on", LENGTHS.values(), ids=LENGTHS)
def test_the_framing_of_an_answer_arrives_in_one_form(client, pod, fields, passed_on):
    """A connection is not used again after an answer with two possible ends, though the pod would."""
    chunks = "chunked" in fields

    def script(connection):
        while True:
            connection.send(f"HTTP/1.1 200 OK\r\n{fields}\r\n" + ("2\r\nhi\r\n0\r\n\r\n" if chunks else "hi"))
            connection.take_until(b"\r\n\r\n")
            pod.tell("again")
    pod.plays(script)
    for _ in range(2):
        answer = client.ask(request(pod.host))
        assert answer.status == 200 and answer.body == b"hi" and framing_of(answer) == passed_on, answer
    assert pod.news.qsize() == (0 if chunks else 1)


@pytest.mark.parametrize("length", ["1\r\nContent-Length: 2", "1, 2", "1,", "1 1", "0x2"])
def test_an_answer_with_two_lengths_is_a_502(client, pod, length):
    pod.answers(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhi")
    answer = client.ask(request(pod.host))
    assert answer.status == 502 and "Content-Length" in answer.text, answer


@pytest.mark.parametrize("status, method, passed_on", [
    ("204 No Content", "GET", []), ("304 Not Modified", "GET", [b"Content-Length: 5"]),
    ("200 OK", "HEAD", [b"Content-Length: 5"])])
def test_the_length_of_a_body_that_an_answer_lacks_is_passed_on(client, pod, status, method,
                                                                passed_on):
    pod.answers(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n")
    answer = client.ask(request(pod.host, "/", method))
    assert framing_of(answer) == passed_on and answer.body == b"", answer
    assert client.ask(request(pod.host, "/", method)).status == answer.status


# sizes


def answer_of(size):
    head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: %s\r\n\r\n"
    return head % ("x" * (size - len(head) + 2)) + "hi"


@pytest.mark.parametrize("kib", [1, 64, 256])
def test_the_largest_head_of_an_answer_is_max_head_size(start_tunnel, pod, kib):
    with Client(start_tunnel("--max-head-size", f"{kib}KiB").port) as client:
        pod.answers(answer_of(kib << 10))
        assert client.ask(request(pod.host)).body == b"hi"
        pod.answers(answer_of((kib << 10) + 1))
        answer = client.ask(request(pod.host))
        assert answer.status == 502 and "max-head-size" in answer.text, answer


@pytest.mark.parametrize("flags, most", [((), 256), (("--max-head-fields", "16"), 16),
                                         (("--max-head-fields", "1000"), 1000)])
def test_the_most_fields_of_a_head_are_max_head_fields(start_tunnel, pod, flags, most):
    tunnel = start_tunnel(*flags)
    for extra, request_status, answer_status in (0, 200, 200), (1, 431, 502):
        with Client(tunnel.port) as client:
            pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            answer = client.ask(request(pod.host, fields=["A: b"] * (most - 1 + extra)))
            assert answer.status == request_status, answer
            assert extra == 0 or "max-head-fields" in answer.text
        with Client(tunnel.port) as client:
            pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + "A: b\r\n" * (most - 1 + extra) + "\r\n")
            answer = client.ask(request(pod.host))
            assert answer.status == answer_status, answer
            assert extra == 0 or "max-head-fields" in answer.text
