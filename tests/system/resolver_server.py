"""resolver_server.py ADDRESS PORT LOG NAME=ADDRESS...: a DNS server for tests, over UDP.

*.cluster.local=127.5.1.1 answers for all names below it. Other names are refused, as kube-tunnel refuses them; each
query is a line of LOG. SPDX-License-Identifier: MIT
"""
import socket
import sys

REFUSED, A = 5, 1


def read_name(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += query[at] + 1
    return ".".join(labels).lower(), at + 1


def find(names, name):
    if name in names:
        return names[name]
    return next((value for key, value in names.items() if key.startswith("*") and name.endswith(key[1:])), None)


def respond(query, names, log):
    name, at = read_name(query)
    kind = int.from_bytes(query[at:at + 2], "big")
    log.write(f"{name} {kind}\n")
    log.flush()
    address = find(names, name)
    answer = b""
    if address and kind == A:
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + socket.inet_aton(address)
    code = 0 if address else REFUSED
    return query[:2] + bytes([0x84 | query[2] & 1, 0x80 | code, 0, 1, 0, bool(answer), 0, 0, 0, 0]) + query[12:at + 4] + answer


def main(address, port, path, *names):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, int(port)))
    with open(path, "a") as log:
        log.write("ready\n")
        log.flush()
        while True:
            query, client = s.recvfrom(4096)
            s.sendto(respond(query, dict(name.split("=") for name in names), log), client)


main(*sys.argv[1:])
