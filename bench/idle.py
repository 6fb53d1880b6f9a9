"""Instructions per request with and without many idle WebSockets, counted by callgrind.

What a request costs must not depend on how many other connections there are. Time is too noisy
for that: the same requests are put on kube-tunnel under valgrind, and its instructions are
counted. Idle connections cost something by themselves (PINGs, timers), fifty times more per
request than without valgrind: the same time without requests is subtracted.
SPDX-License-Identifier: MIT
"""
import re
import resource
import shutil
import socket
import statistics
import subprocess
import time

import table
from contender import KUBE_TUNNEL
from load import HOST, put_load
from process import Process, clean_environment

WEBSOCKETS = 10_000
CONNECTIONS = 16
REQUESTS = 8000
LOT = 50  # WebSockets opened at once
MOST = 1.02  # times as many instructions
UPGRADE = (f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def missing():
    return None if shutil.which("callgrind_control") else "valgrind is not installed"


class Counted:
    """kube-tunnel under callgrind, which counts only between the commands to start and stop."""

    def __init__(self, place, folder, name, binary=KUBE_TUNNEL, **environment):
        self.out = folder / f"{name}.callgrind"
        self.process = Process(
            ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
             f"--callgrind-out-file={self.out}", binary, "run", "--listen", "127.0.0.1:0",
             "--kubeconfig", place.kubeconfig, "--max-connections", str(2 * WEBSOCKETS),
             "--client-idle-timeout", "1h"], folder / f"{name}.log", **environment)
        match = self.process.wait_for_output(r"listening\b.*?127\.0\.0\.1:(\d+)", 60)
        self.address = f"127.0.0.1:{match.group(1)}"

    def control(self, *words):
        subprocess.run(["callgrind_control", *words, str(self.process.child.pid)], check=True,
                       capture_output=True, timeout=120, env=clean_environment())

    def dumped(self):
        """Instructions in all dumps so far."""
        dumps = self.out.parent.glob(self.out.name + "*")
        return sum(int(n) for d in dumps
                   for n in re.findall(r"(?m)^totals: (\d+)", d.read_text()))

    def count(self, action):
        before = self.dumped()
        self.control("-i", "on")
        action()
        self.control("-i", "off")
        self.control("-d")
        return self.dumped() - before

    def close(self):
        self.process.stop()


def open_lot(host, port, count):
    opened = []
    for _ in range(count):
        s = socket.create_connection((host, port), timeout=120)
        s.sendall(UPGRADE.encode())
        opened.append(s)
    for s in opened:
        head = s.recv(4096)
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"a WebSocket was not opened: {head[:200]!r}")
    return opened


def open_websockets(address, count):
    """In lots: all at once would wait longer for their tunnels than a request may, because
    tunnels are dialled fifty times slower under valgrind."""
    host, port = address.split(":")
    opened = []
    while len(opened) < count:
        opened += open_lot(host, int(port), min(LOT, count - len(opened)))
    return opened


def per_request(place, counted):
    def load(requests):
        result = put_load(place, counted.address, {}, connections=CONNECTIONS,
                          requests=requests, duration="300s", patience="120s")
        if result["failed"]:
            raise RuntimeError(f"{result['failed']} requests failed")
    load(REQUESTS // 10)
    began = time.monotonic()
    busy = counted.count(lambda: load(REQUESTS))
    took = time.monotonic() - began
    return (busy - counted.count(lambda: time.sleep(took))) / REQUESTS


def measure(place, folder, rounds, print_progress):
    """(without, beside): instructions per request, of each round."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counted = Counted(place, folder, "idle")
    try:
        without = [per_request(place, counted) for _ in range(rounds)]
        print_progress(f"{place.title}: opening {WEBSOCKETS} WebSockets")
        opened = open_websockets(counted.address, WEBSOCKETS)
        time.sleep(5)  # what their tunnels still have to do
        beside = [per_request(place, counted) for _ in range(rounds)]
        for s in opened:
            s.close()
        return without, beside
    finally:
        counted.close()


def table_of(without, beside):
    ratio = statistics.median(beside) / statistics.median(without)
    rows = [[name, f"{statistics.median(n):,.0f}", f"{min(n):,.0f} to {max(n):,.0f}"]
            for name, n in ((f"{CONNECTIONS} connections", without),
                            (f"beside {WEBSOCKETS:,} idle WebSockets", beside))]
    rows.append(["ratio", f"{ratio:.3f}", f"at most {MOST}: {'yes' if ratio <= MOST else 'NO'}"])
    return table.markdown(["load", "instructions per request", "spread"], rows)
