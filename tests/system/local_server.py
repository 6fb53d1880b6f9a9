"""Servers of a test's own on loopback, at ports that the system chooses.

SPDX-License-Identifier: MIT
"""
import contextlib
import http.server
import socket
import threading


def accept_each(serve):
    """A listening socket and its port. serve(connection) is called for one connection after the other, in a thread
    of their own, until the socket is closed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def run():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            serve(connection)
    threading.Thread(target=run, daemon=True).start()
    return listener, listener.getsockname()[1]


@contextlib.contextmanager
def web_servers():
    """start(handler): a web server that runs until the end of the block."""
    running = []

    def start(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
