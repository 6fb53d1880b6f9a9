"""A client that sends exactly the given bytes, and checks every answer.

SPDX-License-Identifier: MIT
"""
import re
import socket
import time


class Answer:
    """One answer as it came: head is its bytes, raw_body with the chunks' framing."""

    def __init__(self, head):
        self.head = head
        self.line, *self.fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.status = int(self.line.split(" ")[1])
        self.body = self.raw_body = b""

    def header(self, name):
        """The last value of that header, or None."""
        found = [f.split(":", 1)[1].strip() for f in self.fields
                 if f.split(":")[0].lower() == name.lower()]
        return found[-1] if found else None

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def first(self):
        """The first line of its body."""
        return self.text.split("\n")[0]

    def __repr__(self):
        return f"<{self.head!r} {self.body[:500]!r}>"


class Client:
    """A connection to some port of this machine."""

    def __init__(self, port, seconds=10, receive_buffer=None, address="127.0.0.1"):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(seconds)
        self.socket.connect((address, port))
        self.file = self.socket.makefile("rb", 1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def reset(self):
        """Vanish: RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    # sending

    def send(self, raw):
        self.socket.sendall(raw.encode("latin-1") if isinstance(raw, str) else raw)

    def send_bytewise(self, raw):
        """Each byte in a segment of its own."""
        for i in range(len(raw)):
            self.send(raw[i:i + 1])

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    # receiving

    def take(self, n):
        """Exactly n bytes."""
        taken = self.file.read(n)
        if len(taken) < n:
            raise EOFError(f"closed after {taken[-300:]!r}, {n - len(taken)} bytes early")
        return taken

    def take_until(self, end):
        """All up to this, which ends a line."""
        taken = b""
        while not taken.endswith(end):
            line = self.file.readline()
            if not line:
                raise EOFError(f"closed after {taken[-300:]!r}")
            taken += line
        return taken

    def rest(self):
        """All that comes until the other side closes. A reset is an error."""
        return self.file.read()

    def is_closed(self):
        """The other side has ended the connection, in whatever way, without another byte."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def head(self):
        return self.take_until(b"\r\n\r\n")

    def _chunks(self, answer):
        raw, body, n = bytearray(), bytearray(), None
        while n != 0:
            line = self.take_until(b"\r\n")
            n = int(line.split(b";")[0], 16)
            chunk = self.take(n + 2) if n else b"\r\n"
            assert chunk.endswith(b"\r\n")
            raw += line + chunk if n else line
            body += chunk[:-2]
        trailer = None
        while trailer != b"\r\n":
            trailer = self.take_until(b"\r\n")
            raw += trailer
        answer.raw_body, answer.body = bytes(raw), bytes(body)

    def answer(self, method="GET"):
        """The next answer to a request of that method, interim ones included."""
        answer = Answer(self.head())
        length = answer.header("Content-Length")
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            self._chunks(answer)
        else:
            answer.body = answer.raw_body = self.rest() if length is None else self.take(int(length))
        return answer

    def ask(self, raw):
        """Send a request and read its answer."""
        self.send(raw)
        return self.answer(re.match(rb"\S*", raw if isinstance(raw, bytes) else raw.encode("latin-1"))
                           .group().decode())


def request(host, target="/", method="GET", version="1.1", fields=(), body=""):
    """The bytes of a request, with only the given fields."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def chunked(body, size=4096):
    """The body in chunks, with the end but without trailers."""
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def counting(n):
    """n bytes, 0 to 255 again and again, as the pods' /bytes has them."""
    return (bytes(range(256)) * (n // 256 + 1))[:n]


def seconds_of(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began
