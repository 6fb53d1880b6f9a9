"""Hosts outside the cluster, and the DNS server that names them; for test_outside.py.

    outside_hosts.py DNS WEB OTHER       prints "ready"; each request line and query of DNS goes to standard output

`script NAME TYPE ADDRESS,ADDRESS;ADDRESS` on standard input sets the answers: each query takes the next list, the
last one stays. A name without a script does not exist; `silent` instead of addresses is no answer.
SPDX-License-Identifier: MIT
"""
import http.server
import ipaddress
import socket
import struct
import sys
import threading

SCRIPTS = {}
NUMBERS = {1: "A", 28: "AAAA"}


def name_of(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), NUMBERS.get(struct.unpack_from("!H", query, at + 1)[0], "?"), at + 5


def respond(query):
    """The reply to it, or None."""
    name, kind, end = name_of(query)
    lists = SCRIPTS.get((name, kind), [])
    known = any(of == name for of, _ in SCRIPTS)
    addresses = lists.pop(0) if len(lists) > 1 else lists[0] if lists else []
    print("query", name, kind, ",".join(addresses), flush=True)
    if addresses == ["silent"]:
        return None
    reply = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(addresses), 0, 0) + query[12:end]
    for address in addresses:
        packed = ipaddress.ip_address(address).packed
        reply += struct.pack("!HHHIH", 0xC00C, 1 if kind == "A" else 28, 1, 0, len(packed)) + packed
    return reply


def serve_dns(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, client = server.recvfrom(4096)
        reply = respond(query)
        if reply:
            server.sendto(reply, client)


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fields = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        text = f"outside {self.server.server_address[0]} {self.command} {self.path}\n{fields}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_):
        print("request", self.requestline, flush=True)


def serve_pages(address, port):
    server = http.server.ThreadingHTTPServer((address, port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve_greeting(address, port):
    """Sends first, then repeats what comes."""
    server = socket.create_server((address, port))
    while True:
        connection, _ = server.accept()
        connection.sendall(b"220 outside\r\n")
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def echo(connection):
    with connection:
        while some := connection.recv(4096):
            connection.sendall(some)


def main(dns, web, other):
    threading.Thread(target=serve_dns, args=(dns,), daemon=True).start()
    for address in (web, other):
        for port in (80, 8080):
            serve_pages(address, port)
    for port in (25, 443):
        threading.Thread(target=serve_greeting, args=(web, port), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        _, name, kind, lists = line.split()
        SCRIPTS[name, kind] = [part.split(",") for part in lists.split(";")]
        print("scripted", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
