"""What a client of HTTP/2 may not send, and what it may: frame by frame, a row for each rule of RFC 9113.

A row has the section, the bytes after the preface and SETTINGS, and what kube-tunnel does:

  gone CODE     the connection ends with GOAWAY and that error code
  reset CODE    stream 1 ends with RST_STREAM and that error code, and the connection goes on
  status N      stream 1 gets an answer with that status, and the connection goes on
  ignored       nothing comes for stream 1, and the connection goes on

A connection goes on when a PING and a request on stream 101 are answered. SPDX-License-Identifier: MIT
"""
import socket

import pytest

from h2_frames import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
                       FRAME_SIZE_ERROR, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE,
                       REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, WITH_PRIORITY, Frame, Frames,
                       block, code_of, data, frame, goaway, headers, number, reset, settings, window_update)

WEB = "web.shop.svc.cluster.local"
PROBE = 101
GET = [(":method", "GET"), (":scheme", "http"), (":authority", WEB), (":path", "/x")]
POST = [(":method", "POST"), *GET[1:]]
MAX_FRAME = 16384
WINDOW = 262144  # of a stream, --http2-window


def gone(code):
    return ("gone", code)


def was_reset(code):
    return ("reset", code)


def status(n):
    return ("status", str(n))


IGNORED = ("ignored", None)
SERVED = status(200)


def with_fields(*fields, method="GET"):
    return headers(1, [(":method", method), *GET[1:], *fields])


def without(name):
    return headers(1, [field for field in GET if field[0] != name])


def instead(name, value):
    return headers(1, [(name, value) if field[0] == name else field for field in GET])


def raw_head(payload, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, 1, payload)


def literal(name, value):
    """A field without indexing and Huffman coding, as hpack would not write it."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


OPEN = headers(1, POST, END_HEADERS)  # a request whose body follows
DONE = data(1, b"")
WHOLE = headers(1, GET)
FIRST_HALF, SECOND_HALF = block(*GET)[:10], block(*GET)[10:]
HALF = frame(HEADERS, END_STREAM, 1, FIRST_HALF)
REST = frame(CONTINUATION, END_HEADERS, 1, SECOND_HALF)

ROWS = [
    # section, what it is, bytes, what happens
    ("4.1", "a frame of an unknown type", frame(0x42, 0xff, 0, b"x" * 100) + WHOLE, SERVED),
    ("4.1", "a frame of an unknown type on an idle stream", frame(0x42, 0xff, 99, b"x") + WHOLE, SERVED),
    ("4.1", "undefined flags", frame(HEADERS, 0xd2 & ~WITH_PRIORITY | END_STREAM | END_HEADERS, 1, block(*GET)), SERVED),
    ("4.1", "the reserved bit of a stream identifier", frame(HEADERS, END_STREAM | END_HEADERS, 1 | 1 << 31, block(*GET)),
     SERVED),
    ("4.2", "DATA of the largest size", OPEN + data(1, b"x" * MAX_FRAME), SERVED),
    ("4.2", "DATA larger than that", OPEN + data(1, b"x" * (MAX_FRAME + 1)), gone(FRAME_SIZE_ERROR)),
    ("4.2", "HEADERS too large", raw_head(block(*GET, ("a", "x" * MAX_FRAME))), gone(FRAME_SIZE_ERROR)),
    ("4.2", "SETTINGS too large", settings(*[(3, 100)] * 2731), gone(FRAME_SIZE_ERROR)),
    ("4.2", "an unknown frame too large", frame(0x42, 0, 0, b"x" * (MAX_FRAME + 1)), gone(FRAME_SIZE_ERROR)),
    ("4.3", "a head of garbage", raw_head(b"\xff" * 20), gone(COMPRESSION_ERROR)),
    ("4.3", "index 0", raw_head(block(*GET) + b"\x80"), gone(COMPRESSION_ERROR)),
    ("4.3", "an index past the table", raw_head(block(*GET) + b"\xff\x20"), gone(COMPRESSION_ERROR)),
    ("4.3", "a head cut in a field", raw_head(block(*GET)[:-1]), gone(COMPRESSION_ERROR)),
    ("4.3", "a table larger than allowed", raw_head(b"\x3f\xe2\x1f" + block(*GET)), gone(COMPRESSION_ERROR)),
    ("4.3", "a table size in the middle", raw_head(block(*GET) + b"\x3e"), gone(COMPRESSION_ERROR)),
    ("4.3", "a smaller table", raw_head(b"\x20" + block(*GET)), SERVED),
    ("4.3", "Huffman padding of a byte", raw_head(block(*GET) + b"\x00\x01a\x82\x1f\xff"), gone(COMPRESSION_ERROR)),
    ("4.3", "Huffman's EOS", raw_head(block(*GET) + b"\x00\x01a\x84\xff\xff\xff\xff"), gone(COMPRESSION_ERROR)),
    ("4.3", "a head in an aborted request that fills the table",
     headers(1, GET, END_HEADERS) + reset(1) + frame(HEADERS, 5, 3, b"\x40\x01a\x01b" + block(*GET))
     + frame(HEADERS, 5, 5, block(*GET) + b"\xbe"), IGNORED),
    ("4.3", "PRIORITY inside a head", HALF + frame(PRIORITY, 0, 1, bytes(4) + b"\x10") + REST, gone(PROTOCOL_ERROR)),
    ("4.3", "DATA inside a head", HALF + data(1, b"x"), gone(PROTOCOL_ERROR)),
    ("4.3", "PING inside a head", HALF + frame(PING, 0, 0, b"12345678") + REST, gone(PROTOCOL_ERROR)),
    ("4.3", "another HEADERS inside a head", HALF + headers(3, GET), gone(PROTOCOL_ERROR)),
    ("4.3", "an unknown frame inside a head", HALF + frame(0x42, 0, 1, b"x") + REST, gone(PROTOCOL_ERROR)),
    ("4.3", "CONTINUATION of another stream", HALF + frame(CONTINUATION, END_HEADERS, 3, SECOND_HALF),
     gone(PROTOCOL_ERROR)),
    ("5.1", "DATA on an idle stream", data(1, b"x"), gone(PROTOCOL_ERROR)),
    ("5.1", "RST_STREAM on an idle stream", reset(1), gone(PROTOCOL_ERROR)),
    ("5.1", "WINDOW_UPDATE on an idle stream", window_update(1, 100), gone(PROTOCOL_ERROR)),
    ("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, block(*GET)), gone(PROTOCOL_ERROR)),
    ("5.1", "PRIORITY on an idle stream", frame(PRIORITY, 0, 3, bytes(4) + b"\x10") + WHOLE, SERVED),
    ("5.1", "DATA after the end of a request", WHOLE + data(1, b"x"), gone(STREAM_CLOSED)),
    ("5.1", "HEADERS after the end of a request", WHOLE + headers(1, GET), gone(STREAM_CLOSED)),
    ("5.1", "WINDOW_UPDATE after the end of a request", WHOLE + window_update(1, 100), SERVED),
    ("5.1", "PRIORITY after the end of a request", WHOLE + frame(PRIORITY, 0, 1, bytes(4) + b"\x10"), SERVED),
    ("5.1", "DATA after RST_STREAM", OPEN + reset(1) + data(1, b"x"), IGNORED),
    ("5.1", "HEADERS after RST_STREAM", OPEN + reset(1) + headers(1, GET), IGNORED),
    ("5.1", "RST_STREAM after RST_STREAM", OPEN + reset(1) + reset(1), IGNORED),
    ("5.1", "WINDOW_UPDATE after RST_STREAM", OPEN + reset(1) + window_update(1, 100), IGNORED),
    ("5.1.1", "a stream with an even identifier", headers(2, GET), gone(PROTOCOL_ERROR)),
    ("5.1.1", "a stream below another, which counts as closed", headers(5, GET) + headers(1, GET), IGNORED),
    ("5.1.1", "HEADERS on stream 0", headers(0, GET), gone(PROTOCOL_ERROR)),
    ("5.1.1", "a stream that skips others", headers(1, GET), SERVED),
    ("5.3", "a stream that depends on itself (RFC 7540, 5.3.1)", frame(PRIORITY, 0, 1, number(1) + b"\x10"),
     gone(PROTOCOL_ERROR)),
    ("5.3", "HEADERS that depend on themselves (RFC 7540, 5.3.1)",
     frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, number(1) + b"\x10" + block(*GET)),
     gone(PROTOCOL_ERROR)),
    ("5.5", "an unknown setting", settings((0xabcd, 1)) + WHOLE, SERVED),
    ("6.1", "DATA on stream 0", OPEN + data(0, b"x"), gone(PROTOCOL_ERROR)),
    ("6.1", "padding longer than DATA", OPEN + data(1, b"\x06hello", END_STREAM | PADDED), gone(PROTOCOL_ERROR)),
    ("6.1", "padding that fills DATA", OPEN + data(1, b"\x05hello", END_STREAM | PADDED), SERVED),
    ("6.1", "padded DATA without a length", OPEN + data(1, b"", END_STREAM | PADDED), gone(PROTOCOL_ERROR)),
    ("6.2", "padding longer than HEADERS", frame(HEADERS, 5 | PADDED, 1, b"\xff" + block(*GET)), gone(PROTOCOL_ERROR)),
    ("6.2", "padded HEADERS", frame(HEADERS, 5 | PADDED, 1, b"\x03" + block(*GET) + bytes(3)), SERVED),
    ("6.2", "HEADERS with half a priority", frame(HEADERS, 5 | WITH_PRIORITY, 1, b"\0\0"), gone(FRAME_SIZE_ERROR)),
    ("6.2", "HEADERS with a priority", frame(HEADERS, 5 | WITH_PRIORITY, 1, bytes(5) + block(*GET)), SERVED),
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(4) + b"\x10"), gone(PROTOCOL_ERROR)),
    ("6.3", "PRIORITY of 4 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(4)), gone(FRAME_SIZE_ERROR)),
    ("6.4", "RST_STREAM on stream 0", reset(0), gone(PROTOCOL_ERROR)),
    ("6.4", "RST_STREAM of 3 bytes", OPEN + frame(RST_STREAM, 0, 1, b"\0\0\0"), gone(FRAME_SIZE_ERROR)),
    ("6.4", "RST_STREAM with an unknown code", OPEN + reset(1, 0xabcdef), IGNORED),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), gone(PROTOCOL_ERROR)),
    ("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), gone(FRAME_SIZE_ERROR)),
    ("6.5", "an acknowledgement with a payload", frame(SETTINGS, ACK, 0, bytes(6)), gone(FRAME_SIZE_ERROR)),
    ("6.5.2", "ENABLE_PUSH of 2", settings((2, 2)), gone(PROTOCOL_ERROR)),
    ("6.5.2", "ENABLE_PUSH of 0", settings((2, 0)) + WHOLE, SERVED),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings((4, 1 << 31)), gone(FLOW_CONTROL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 16383", settings((5, MAX_FRAME - 1)), gone(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24", settings((5, 1 << 24)), gone(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24-1", settings((5, (1 << 24) - 1)) + WHOLE, SERVED),
    ("6.5.2", "HEADER_TABLE_SIZE of 0", settings((1, 0)) + WHOLE, SERVED),
    ("6.5.2", "HEADER_TABLE_SIZE of 4 GiB", settings((1, (1 << 32) - 1)) + WHOLE, SERVED),
    ("6.5.2", "MAX_CONCURRENT_STREAMS of 0, which is for pushes", settings((3, 0)) + WHOLE, SERVED),
    ("6.5.3", "the last of two values holds", settings((4, 0), (4, 65535)) + WHOLE, SERVED),
    ("6.5", "ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441, 3)", settings((8, 2)), gone(PROTOCOL_ERROR)),
    ("6.6", "PUSH_PROMISE of a client", OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + block(*GET)),
     gone(PROTOCOL_ERROR)),
    ("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), gone(PROTOCOL_ERROR)),
    ("6.7", "PING of 6 bytes", frame(PING, 0, 0, bytes(6)), gone(FRAME_SIZE_ERROR)),
    ("6.7", "an acknowledgement of no PING", frame(PING, ACK, 0, b"never!!!") + WHOLE, SERVED),
    ("6.8", "GOAWAY on a stream", goaway(0, stream=1), gone(PROTOCOL_ERROR)),
    ("6.8", "GOAWAY of 4 bytes", frame(GOAWAY, 0, 0, bytes(4)), gone(FRAME_SIZE_ERROR)),
    ("6.9", "WINDOW_UPDATE of 0 on the connection", window_update(0, 0), gone(PROTOCOL_ERROR)),
    ("6.9", "WINDOW_UPDATE of 0 on a stream", OPEN + window_update(1, 0), gone(PROTOCOL_ERROR)),
    ("6.9", "WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), gone(FRAME_SIZE_ERROR)),
    ("6.9", "the reserved bit of WINDOW_UPDATE", window_update(0, 1 | 1 << 31) + WHOLE, SERVED),
    ("6.9.1", "a window of a stream over 2^31-1", OPEN + window_update(1, (1 << 31) - 1), was_reset(FLOW_CONTROL_ERROR)),
    ("6.9.1", "a window of the connection over 2^31-1", window_update(0, (1 << 31) - 1), gone(FLOW_CONTROL_ERROR)),
    ("6.9.1", "a window of exactly 2^31-1", window_update(0, (1 << 31) - 65536) + WHOLE, SERVED),
    ("6.9.2", "a setting that moves a window over 2^31-1",
     OPEN + window_update(1, (1 << 31) - 65536) + settings((4, 65536)), was_reset(FLOW_CONTROL_ERROR)),
    ("6.10", "CONTINUATION on stream 0", HALF + frame(CONTINUATION, END_HEADERS, 0, SECOND_HALF), gone(PROTOCOL_ERROR)),
    ("6.10", "CONTINUATION after a whole head", OPEN + frame(CONTINUATION, END_HEADERS, 1, block(("a", "b"))),
     gone(PROTOCOL_ERROR)),
    ("6.10", "CONTINUATION after DATA", OPEN + data(1, b"x", 0) + frame(CONTINUATION, END_HEADERS, 1), gone(PROTOCOL_ERROR)),
    ("6.10", "a head in pieces of a byte", frame(HEADERS, END_STREAM, 1, block(*GET)[:1])
     + frame(CONTINUATION, 0, 1, block(*GET)[1:2]) + frame(CONTINUATION, END_HEADERS, 1, block(*GET)[2:]), SERVED),
    ("6.10", "an empty CONTINUATION", HALF + frame(CONTINUATION, 0, 1) + REST, SERVED),
    ("8.1", "a second head that is no trailer", OPEN + headers(1, GET, END_HEADERS), was_reset(PROTOCOL_ERROR)),
    ("8.1", "trailers with a pseudo-header field", OPEN + headers(1, [(":path", "/")]), was_reset(PROTOCOL_ERROR)),
    ("8.1", "trailers", OPEN + headers(1, [("sum", "6")]), SERVED),
    ("8.1.1", "a body shorter than Content-Length",
     headers(1, [*POST, ("content-length", "10")], END_HEADERS) + data(1, b"short"), was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a body longer than Content-Length",
     headers(1, [*POST, ("content-length", "1")], END_HEADERS) + data(1, b"long"), was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a Content-Length without a body", with_fields(("content-length", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a Content-Length of letters", with_fields(("content-length", "ten")), was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "two Content-Lengths", headers(1, [*POST, ("content-length", "1"), ("content-length", "1")], END_HEADERS)
     + data(1, b"x"), was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a negative Content-Length", with_fields(("content-length", "-1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name in upper case", with_fields(("X-Upper", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name with a space", with_fields(("a b", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name with a colon", with_fields(("a:b", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name with a control", with_fields(("a\x01b", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name with a byte above ASCII", raw_head(block(*GET) + literal(b"a\xffb", b"1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "an empty name", raw_head(block(*GET) + literal(b"", b"1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with NUL", with_fields(("a", "b\0c")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with CR", with_fields(("a", "b\rc")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with LF and another field", with_fields(("a", "b\r\nevil: 1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value that begins with a space", raw_head(block(*GET) + literal(b"a", b" b")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value that ends with a tab", raw_head(block(*GET) + literal(b"a", b"b\t")), was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with bytes above ASCII", raw_head(block(*GET) + literal(b"a", b"\xe2\x98\x83")), SERVED),
    ("8.2.2", "Connection", with_fields(("connection", "keep-alive")), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Keep-Alive", with_fields(("keep-alive", "1")), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Proxy-Connection", with_fields(("proxy-connection", "keep-alive")), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Transfer-Encoding", with_fields(("transfer-encoding", "chunked"), method="POST"), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Upgrade", with_fields(("upgrade", "websocket")), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "TE of anything else than trailers", with_fields(("te", "gzip")), was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "TE of trailers", with_fields(("te", "trailers")), SERVED),
    ("8.3", "a pseudo-header field after another field", headers(1, [("a", "b"), *GET]), was_reset(PROTOCOL_ERROR)),
    ("8.3", "an unknown pseudo-header field", headers(1, [*GET, (":unknown", "1")]), was_reset(PROTOCOL_ERROR)),
    ("8.3", "a pseudo-header field of answers", headers(1, [*GET, (":status", "200")]), was_reset(PROTOCOL_ERROR)),
    ("8.3", "a pseudo-header field twice", headers(1, [*GET, (":method", "GET")]), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "no :method", without(":method"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "no :scheme", without(":scheme"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "no :path", without(":path"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "an empty :path", instead(":path", ""), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :path without a slash", instead(":path", "x"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :path with a space", instead(":path", "/a b"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :path with a line in it", instead(":path", "/ HTTP/1.1\r\nevil: 1"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :path of *, which is for OPTIONS", instead(":path", "*"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :method with a space", instead(":method", "GE T"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "an empty :method", instead(":method", ""), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "a :scheme with a space", instead(":scheme", "ht tp"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "an :authority with user information", instead(":authority", "me@" + WEB), status(400)),
    ("8.3.1", "an :authority with a space", instead(":authority", WEB + " x"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "no :authority, but Host", headers(1, [f for f in GET if f[0] != ":authority"] + [("host", WEB)]), SERVED),
    ("8.3.1", "neither :authority nor Host", without(":authority"), was_reset(PROTOCOL_ERROR)),
    ("8.3.1", "Host and :authority that differ", with_fields(("host", "other.shop")), SERVED),
    ("8.5", "CONNECT with :path", headers(1, [(":method", "CONNECT"), (":authority", WEB + ":80"), (":path", "/")],
                                          END_HEADERS), was_reset(PROTOCOL_ERROR)),
    ("8.5", "CONNECT with :scheme", headers(1, [(":method", "CONNECT"), (":authority", WEB + ":80"), (":scheme", "http")],
                                            END_HEADERS), was_reset(PROTOCOL_ERROR)),
    ("8.5", "CONNECT without :authority", headers(1, [(":method", "CONNECT")], END_HEADERS), was_reset(PROTOCOL_ERROR)),
    ("8.5", "an extended CONNECT without :path (RFC 8441, 4)",
     headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", WEB)],
             END_HEADERS), was_reset(PROTOCOL_ERROR)),
    ("8.5", ":protocol without CONNECT (RFC 8441, 4)", headers(1, [*GET, (":protocol", "websocket")]),
     was_reset(PROTOCOL_ERROR)),
]


class Client(Frames):
    """A client that has sent its preface and SETTINGS, and acknowledged ours."""

    def __init__(self, port, *first, acknowledges=True):
        super().__init__(socket.create_connection(("127.0.0.1", port), 20))
        self.statuses = {}  # by stream, the last of each
        self.resets = {}  # code by stream
        self.bodies = {}
        self.others = []  # frames of the connection
        self.done = set()
        self.send(PREFACE, settings(*first), frame(SETTINGS, ACK) if acknowledges else b"")

    def read_until(self, *streams):
        """Reads frames until all these streams have ended, or the connection has; without streams, until it has."""
        while (not streams or not self.done.issuperset(streams)) and (got := self.next()):
            if got.kind == HEADERS:
                fields = dict(self.fields(got))
                self.statuses[got.stream] = fields.get(":status", self.statuses.get(got.stream))
            elif got.kind == DATA:
                self.bodies[got.stream] = self.bodies.get(got.stream, b"") + got.payload
            elif got.kind == RST_STREAM:
                self.resets[got.stream] = code_of(got)
            else:
                self.others.append(got)
            if got.kind == RST_STREAM or (got.kind in (HEADERS, DATA) and got.flags & END_STREAM):
                self.done.add(got.stream)

    @property
    def goaway(self):
        """The error code of the first GOAWAY; None: there was none."""
        return next((code_of(got) for got in self.others if got.kind == GOAWAY), None)


@pytest.fixture
def start_client(tunnel):
    clients = []

    def start(*first, port=tunnel.port, **options):
        clients.append(Client(port, *first, **options))
        return clients[-1]
    yield start
    for client in clients:
        client.close()


@pytest.mark.parametrize("section, what, sent, expected", ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_frames_of_a_client(start_client, section, what, sent, expected):
    client = start_client()
    client.send(sent)
    kind, value = expected
    if kind == "gone":
        client.read_until()
        assert client.goaway == value and client.ended
        return
    client.send(frame(PING, 0, 0, b"still up"), headers(PROBE, GET))
    client.read_until(PROBE, *([1] if kind != "ignored" else []))
    assert client.goaway is None, f"GOAWAY {client.goaway}"
    assert client.statuses[PROBE] == "200"
    assert Frame(PING, ACK, 0, b"still up") in client.others
    assert client.resets.get(1) == (value if kind == "reset" else None)
    assert client.statuses.get(1) == (value if kind == "status" else None)


def test_rows_name_their_section_and_differ():
    assert len(ROWS) > 100 and len({row[:2] for row in ROWS}) == len(ROWS)


def test_the_host_of_authority_is_the_one_that_the_pod_gets(start_client):
    client = start_client()
    client.send(with_fields(("host", "other.shop")))
    client.read_until(1)
    assert f" host {WEB} ".encode() in client.bodies[1]


def test_settings_are_acknowledged_and_pings_answered_with_their_own_bytes(start_client):
    client = start_client()
    client.send(settings((4, 1000)), frame(PING, 0, 0, b"12345678"), headers(1, GET))
    client.read_until(1)
    assert client.others.count(Frame(SETTINGS, ACK, 0, b"")) == 2
    assert client.others.count(Frame(PING, ACK, 0, b"12345678")) == 1


@pytest.mark.parametrize("method", ["in the first SETTINGS", "later"])
def test_an_answer_waits_for_the_window_of_its_stream(start_client, method):
    """6.9.2: also when SETTINGS make the window negative."""
    client = start_client(*[(4, 1)] if "first" in method else [])
    client.send(headers(1, GET) if "first" in method else settings((4, 1)) + headers(1, GET))
    got = client.next()
    while not (got.kind == DATA):
        if got.kind == HEADERS:
            client.fields(got)
        got = client.next()
    assert len(got.payload) == 1
    client.send(frame(PING, 0, 0, b"any more"))
    while (got := client.next()).kind != PING:
        assert got.kind != DATA, "the window has been left"
    client.send(window_update(1, 1000))
    client.read_until(1)
    assert f"host {WEB}".encode()[1:] in client.bodies[1]


def test_a_closed_window_lets_an_empty_answer_end(start_client):
    client = start_client((4, 0))
    client.send(headers(1, [(":method", "HEAD"), *GET[1:]]))
    client.read_until(1)
    assert client.statuses[1] == "200"


def test_a_stream_above_the_limit_is_refused(start_client, start_tunnel):
    """5.1.2: with REFUSED_STREAM, which makes clients send it again. This one does not know the limit yet."""
    client = start_client(port=start_tunnel("--http2-streams", "2").port, acknowledges=False)
    client.send(*(headers(n, POST, END_HEADERS) for n in (1, 3, 5)), data(1, b"x"), data(3, b"y"))
    client.read_until(1, 3, 5)
    assert client.resets == {5: REFUSED_STREAM} and client.statuses == {1: "200", 3: "200"}
    client.send(frame(SETTINGS, ACK), headers(7, GET))
    client.read_until(7)
    assert client.statuses[7] == "200"
    client.send(*(headers(n, POST, END_HEADERS) for n in (9, 11, 13)))
    client.read_until()
    assert client.goaway == PROTOCOL_ERROR, "the limit is known, and the connection ends"


def test_a_body_larger_than_its_window_ends_its_stream(start_client, start_playground, start_tunnel):
    """6.9.1: no pod is ready, so nothing takes the body."""
    playground = start_playground("--pods", "1")
    playground.order("pod ready many/many-0 off")
    client = start_client(port=start_tunnel("--wait", "60s", kubeconfig=playground.kubeconfig).port)
    of_many = [(name, "many.many.svc.cluster.local" if name == ":authority" else value) for name, value in POST]
    client.send(headers(1, of_many, END_HEADERS))
    client.send(*[data(1, b"x" * MAX_FRAME, 0)] * (WINDOW // MAX_FRAME + 5))
    client.read_until(1)
    assert client.resets.get(1, client.goaway) == FLOW_CONTROL_ERROR
    client.close()


def test_a_client_that_sends_goaway_gets_its_answers(start_client):
    """6.8"""
    client = start_client()
    client.send(headers(1, GET), goaway(0))
    client.read_until(1)
    assert client.statuses[1] == "200"
    client.read_until()
    assert client.ended


def test_crumbs_of_a_cookie_are_joined(start_client, pod):
    """8.2.3: for a pod of HTTP/1."""
    client = start_client()
    pod.answers("HTTP/1.1 204 No Content\r\n\r\n")
    client.send(headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", pod.host), (":path", "/"),
                            ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]))
    client.read_until(1)
    assert client.statuses[1] == "204"
    assert b"cookie: a=1; b=2\r\n" in pod.heads[0].lower()


@pytest.mark.parametrize("preface", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", PREFACE + headers(1, GET),
                                     PREFACE + frame(PING, 0, 0, bytes(8)), PREFACE + b"GET / HTTP/1.1\r\n\r\n"],
                         ids=["another preface", "HEADERS first", "PING first", "text of HTTP/1 first"])
def test_a_connection_that_begins_otherwise_ends(tunnel, preface):
    """3.4"""
    with socket.create_connection(("127.0.0.1", tunnel.port), 20) as client:
        client.sendall(preface)
        answer = b""
        try:
            while chunk := client.recv(1 << 16):
                answer += chunk
        except ConnectionResetError:
            pass
    assert b"200" not in answer
