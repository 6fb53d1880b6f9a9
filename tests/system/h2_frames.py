"""Frames of HTTP/2, written byte by byte, for tests that break RFC 9113.

SPDX-License-Identifier: MIT
"""
import socket
from collections import namedtuple

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32

# Error codes, RFC 9113 section 7
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Frame = namedtuple("Frame", "kind flags stream payload")


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def block(*fields):
    """A header block that leaves HPACK's table as it was."""
    encoder = hpack.Encoder()
    return encoder.encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields], huffman=False)


def headers(stream, fields, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(*fields))


def data(stream, payload, flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def number(n):
    return n.to_bytes(4, "big")


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2, "big") + number(value) for key, value in pairs))


def window_update(stream, by):
    return frame(WINDOW_UPDATE, 0, stream, number(by))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, number(code))


def goaway(last, code=NO_ERROR, stream=0):
    return frame(GOAWAY, 0, stream, number(last) + number(code))


class Frames:
    """A connection whose frames are read one by one."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen = b""
        self.decoder = hpack.Decoder()
        self.ended = False  # the other side has closed, or reset

    def send(self, *parts):
        try:
            self.socket.sendall(b"".join(parts))
        except ConnectionError:
            self.ended = True

    def take(self, n):
        """n bytes; None at the end of the connection."""
        while len(self.seen) < n:
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionError:
                got = b""
            if not got:
                self.ended = True
                return None
            self.seen += got
        taken, self.seen = self.seen[:n], self.seen[n:]
        return taken

    def next(self):
        """The next frame; None at the end of the connection."""
        head = self.take(9)
        payload = head and self.take(int.from_bytes(head[:3], "big"))
        if payload is None:
            return None
        return Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff, payload)

    def fields(self, got):
        """The fields of a HEADERS frame that is whole: each frame only once, since it changes HPACK's table."""
        payload = got.payload
        if got.flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        if got.flags & WITH_PRIORITY:
            payload = payload[5:]
        return self.decoder.decode(payload)

    def close(self):
        self.socket.close()


def code_of(got):
    """The error code of RST_STREAM or GOAWAY."""
    at = 4 if got.kind == GOAWAY else 0
    return int.from_bytes(got.payload[at:at + 4], "big")
