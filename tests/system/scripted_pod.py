"""Pods that a test plays itself: what they receive is kept, what they answer is a script.

The playground sends the connections of all pods of namespace "many" here; which pod is
meant follows from the Host header. SPDX-License-Identifier: MIT
"""
import queue
import re
import socket
import threading

PORT = 8080


class Connection:
    """One connection to a pod. `head` is its first request's, as it came."""

    def __init__(self, accepted):
        self.socket = accepted
        self.socket.settimeout(20)
        self.seen = b""
        self.head = None

    def take_until(self, end):
        while end not in self.seen:
            chunk = self.socket.recv(1 << 16)
            if not chunk:
                raise EOFError
            self.seen += chunk
        cut = self.seen.index(end) + len(end)
        taken, self.seen = self.seen[:cut], self.seen[cut:]
        return taken

    def take(self, n):
        while len(self.seen) < n:
            chunk = self.socket.recv(1 << 16)
            if not chunk:
                raise EOFError
            self.seen += chunk
        taken, self.seen = self.seen[:n], self.seen[n:]
        return taken

    def wait_for_end(self):
        """How many bytes came until the other side closed, or None for a reset."""
        n = len(self.seen)
        try:
            while chunk := self.socket.recv(1 << 16):
                n += len(chunk)
        except ConnectionResetError:
            return None
        return n

    def send(self, raw):
        self.socket.sendall(raw.encode("latin-1") if isinstance(raw, str) else raw)

    def takes_at_most(self, n):
        """Bytes that wait for us in our own socket; more of them wait in the sender's."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, n)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class Pod:
    """pod.plays(script): script(connection) runs for each new connection, which closes after it."""

    def __init__(self, name):
        self.name = name
        self.host = f"{name}.many.pod.cluster.local:{PORT}"
        self.heads = []
        self.news = queue.Queue()  # from a script to its test
        self._script = None

    def plays(self, script):
        self._script = script
        return self

    def answers(self, raw):
        """Each connection: read the head of one request, send this, close."""
        return self.plays(lambda connection: connection.send(raw))

    def tell(self, what):
        self.news.put(what)

    def told(self, seconds=10):
        return self.news.get(timeout=seconds)

    def serve(self, connection):
        connection.head = connection.take_until(b"\r\n\r\n")
        self.heads.append(connection.head)
        self._script(connection)


class Pods:
    """The server behind all of them."""

    COUNT = 200

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._pods = {}
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def flags(self):
        """For the playground."""
        return ["--pods", str(self.COUNT), "--backend", f"many:{PORT}=127.0.0.1:{self.port}"]

    def take(self):
        assert len(self._pods) < self.COUNT, "more tests than pods"
        pod = Pod(f"many-{len(self._pods)}")
        self._pods[pod.name] = pod
        return pod

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted):
        with accepted:
            connection = Connection(accepted)
            try:
                head = connection.take_until(b"\r\n\r\n")
                connection.seen = head + connection.seen
                name = re.search(rb"(?im)^host:\s*([^.\s]+)", head).group(1).decode()
                self._pods[name].serve(connection)
            except (EOFError, OSError):
                pass  # it went away
