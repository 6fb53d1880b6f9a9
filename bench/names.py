"""script/bench names: what a connection to the address of a service costs, beside one to an exposed port.

Instructions per connection under callgrind, for an HTTP request with a connection of its own and for a raw
connection that carries a few bytes both ways. SPDX-License-Identifier: MIT
"""
import contextlib
import json
import shutil
import socket
import tempfile
from pathlib import Path

from idle import Counted
from rows import compared

CONNECTIONS = 100
TIMES = 4  # rounds for each of the effort: a PING or a change of the catalog counts as much as a connection
SERVICE, NAME = "seed.shop", "seed.shop.svc.cluster.local"
HTTP, RAW = 8080, 9000  # of the services seed and web
MOST = 1.05  # times as many instructions


def missing():
    return None if shutil.which("callgrind_control") else "valgrind is not installed"


class Names:
    """Keeps the addresses of a namespace open; the address of each name."""

    def __init__(self, runtime):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(runtime / "kube-tunnel" / "default.sock"))
        self.socket.sendall(b"GET /v1/names?namespace=shop HTTP/1.1\r\nHost: x\r\n\r\n")
        lines = self.socket.makefile("rb")
        while lines.readline().strip():
            pass
        self.at = {}
        for line in map(json.loads, lines):
            if line["type"] == "ready":
                break
            if line["type"] == "name":
                self.at[line["names"][0]] = line["address"]

    def close(self):
        self.socket.close()


def ask(address, sent, end):
    with socket.create_connection(address, timeout=60) as s:
        s.sendall(sent)
        received = b""
        while not end(received):
            part = s.recv(65536)
            if not part:
                raise RuntimeError(f"{address}: no complete answer")
            received += part


def http(address):
    ask(address, f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode(),
        lambda received: received.startswith(b"HTTP/1.1 200 ") and b"\r\n\r\n" in received)


def raw(address):
    ask(address, b"\0echo this\n", lambda received: received.endswith(b"echo this\n"))


def per_connection(counted, connect, address):
    for _ in range(CONNECTIONS // 10):
        connect(address)

    def load():
        for _ in range(CONNECTIONS):
            connect(address)
    return counted.count(load) / CONNECTIONS


def measure(place, folder, rounds, print_progress):
    """Case -> instructions per connection, of each round; the ways alternate."""
    runtime = Path(tempfile.mkdtemp(prefix="ktun-"))
    found = {}
    exposes = {"KTUN_EXPOSE": f"{SERVICE}:{HTTP}=127.0.0.1:0,web.shop:{RAW}=127.0.0.1:0"}
    with contextlib.closing(Counted(place, folder, "names", XDG_RUNTIME_DIR=str(runtime), XDG_STATE_HOME=str(runtime),
                                    **exposes)) as counted:
        ports = {name: int(counted.process.wait_for_output(
            rf"listening address=127\.0\.0\.1:(\d+) exposes={name}\b", 60).group(1)) for name in (SERVICE, "web.shop")}
        with contextlib.closing(Names(runtime)) as names:
            web = names.at["web.shop.svc.cluster.local"]
            ways = {("HTTP", "--expose"): (http, ("127.0.0.1", ports[SERVICE])),
                    ("HTTP", "address"): (http, (names.at[NAME], HTTP)),
                    ("raw", "--expose"): (raw, ("127.0.0.1", ports["web.shop"])),
                    ("raw", "address"): (raw, (web, RAW))}
            print_progress("instructions per connection")
            for i in range(TIMES * rounds):
                for case, (connect, address) in sorted(ways.items(), reverse=i % 2 == 1):
                    found.setdefault(case, []).append(per_connection(counted, connect, address))
    shutil.rmtree(runtime, ignore_errors=True)
    return found


def rows_of(found):
    for kind, text in (("HTTP", "an HTTP request"), ("raw", "a few bytes")):
        yield compared(f"instructions of a new connection by name, with {text}", found[kind, "address"],
                       found[kind, "--expose"], "--expose", "", MOST)
