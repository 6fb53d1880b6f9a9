"""The pods of test_direct.py: one port for each way to end a connection.

    direct_pods.py ADDRESS...        prints "ready" and serves until it is killed

SPDX-License-Identifier: MIT
"""
import http.server
import socket
import struct
import sys
import threading

HTTP, SUM, FIRST, REPORT, RESET, NOTHING = 8080, 9000, 9001, 9002, 9003, 9004  # ports of each pod


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = f"{self.server.server_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(4096), b""))


def sum_up(connection):
    """Answers after the end of input."""
    connection.sendall(b"%d bytes" % len(read_all(connection)))


RECEIVED = []


def end_first(connection):
    """Ends its side first; what comes after that can be read at REPORT."""
    connection.sendall(b"bye")
    connection.shutdown(socket.SHUT_WR)
    RECEIVED.append(read_all(connection))


def report(connection):
    connection.sendall(RECEIVED[-1])


def reset(connection):
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(address, port, talk):
    server = socket.create_server((address, port))

    def accept():
        while True:
            connection, _ = server.accept()

            def run(connection=connection):
                with connection:
                    talk(connection)
            threading.Thread(target=run, daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def be_the_pods(addresses):
    for address in addresses:
        server = http.server.ThreadingHTTPServer((address, HTTP), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        serve(address, SUM, sum_up)
        serve(address, FIRST, end_first)
        serve(address, REPORT, report)
        serve(address, RESET, reset)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    be_the_pods(sys.argv[1:])
