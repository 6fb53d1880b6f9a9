"""A steady load while something breaks: requests at a fixed rate, and the result of each.

The rate does not depend on answers: a client whose request is still pending opens
another connection for the next one, so an outage of three seconds makes six hundred
requests wait, as it would for so many users. SPDX-License-Identifier: MIT
"""
import asyncio
import collections
import itertools
import re
import socket
import statistics
import threading
import time

TICK = 0.005

numbers = itertools.count(1)


class Request:
    """One request. It is lost if it did not end with a complete response of status 200."""

    __slots__ = ("number", "due", "ended", "status", "error", "body", "pod")

    def __init__(self, due):
        self.number = next(numbers)
        self.due = due
        self.ended = self.status = self.error = self.pod = None
        self.body = b""

    @property
    def wait(self):
        return self.ended - self.due

    @property
    def lost(self):
        return self.status != 200 or self.error is not None

    def __repr__(self):
        outcome = self.error or f"{self.status} {self.body[:160].decode(errors='replace').strip()!r}"
        return f"<{self.number}: {outcome} after {self.wait:.3f} s>"


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, load, idle):
        self.load = load
        self.idle = idle  # those of the same client
        self.request = None
        self.seen = b""
        self.head = None

    def connection_made(self, transport):
        self.transport = transport
        self.load.open.add(transport)

    def send(self, request):
        self.request, self.seen, self.head = request, b"", None
        self.transport.write(self.load.bytes_of(request))

    def data_received(self, chunk):
        self.seen += chunk
        if self.head is None and b"\r\n\r\n" in self.seen:
            head, self.seen = self.seen.split(b"\r\n\r\n", 1)
            self.read_head(head.decode("latin-1").split("\r\n"))
        if self.head is not None and len(self.seen) >= self.length:
            self.complete()

    def read_head(self, lines):
        self.head = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        self.status = int(lines[0].split()[1])
        self.length = int(self.head.get("content-length", "0"))

    def complete(self):
        if self.request is None:  # no request is under way
            self.transport.abort()
            return
        request, self.request = self.request, None
        request.status, request.body = self.status, self.seen[:self.length]
        request.pod = self.head.get("x-pod")
        self.load.end(request)
        if self.head.get("connection", "").lower() == "close":
            self.transport.close()
        elif not self.load.fresh:
            self.idle.append(self)
        else:
            self.transport.close()

    def connection_lost(self, _):
        self.load.open.discard(self.transport)
        if self in self.idle:
            self.idle.remove(self)
        if self.request is not None:
            self.request.error = "cut" if self.seen or self.head else "closed without an answer"
            self.load.end(self.request)
            self.request = None


class Load:
    """with Load(port, ...) as load: break something; then load.figures()."""

    def __init__(self, port, host="web.shop.svc.cluster.local", path="", method="GET", rate=200,
                 clients=4, fresh=False, patience=60, at_most=None):
        self.port, self.host, self.path, self.method = port, host, path, method
        self.rate, self.clients, self.fresh, self.patience = rate, clients, fresh, patience
        self.at_most = at_most
        self.requests = []
        self.pending = set()
        self.open = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)

    def bytes_of(self, request):
        length = "Content-Length: 0\r\n" if self.method != "GET" else ""
        return (f"{self.method} {self.path}/{request.number} HTTP/1.1\r\n"
                f"Host: {self.host}\r\n{length}\r\n").encode()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(self.patience + 10)

    def end(self, request):
        request.ended = time.monotonic()
        self.pending.discard(request)

    async def run(self):
        idle = [[] for _ in range(self.clients)]
        began = time.monotonic()
        due = 0
        while not self.over.is_set():
            while began + due / self.rate <= time.monotonic() and due != self.at_most:
                self.begin(began + due / self.rate, idle[due % self.clients])
                due += 1
            await asyncio.sleep(TICK)
        deadline = time.monotonic() + self.patience
        while self.pending and time.monotonic() < deadline:
            await asyncio.sleep(TICK)
        pending = list(self.pending)
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)
        for request in pending:
            request.error = "no answer"
            self.end(request)

    def begin(self, due, idle):
        request = Request(due)
        self.requests.append(request)
        self.pending.add(request)
        if idle:
            idle.pop().send(request)
        else:
            asyncio.ensure_future(self.dial(request, idle))

    async def dial(self, request, idle):
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self, idle), "127.0.0.1", self.port)
        except OSError as error:
            request.error = f"cannot connect: {error}"
            self.end(request)
            return
        connection.send(request)

    # what became of them, once it is over

    def figures(self, since=0):
        return Figures([r for r in self.requests if r.due >= since])


class Figures:
    def __init__(self, requests):
        self.requests = requests
        self.lost = [r for r in requests if r.lost]
        self.waits = sorted(r.wait for r in requests if not r.lost)

    def wait(self, share):
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * share))]

    @property
    def p99(self):
        return self.wait(0.99)

    @property
    def longest(self):
        return self.waits[-1]

    def __str__(self):
        if not self.waits:
            return f"all {len(self.requests)} lost"
        return (f"{len(self.requests)} requests, {len(self.lost)} lost, wait p50 {self.wait(.5) * 1e3:.1f} ms,"
                f" p99 {self.p99:.2f} s, longest {self.longest:.2f} s")

    def errors(self, most=12):
        """The first errors of lost requests, for an assertion's message."""
        return "\n".join([f"{len(self.lost)} of {len(self.requests)} lost:", *map(repr, self.lost[:most])])


def kept(measure, runs=3):
    """measure() asserts what must always hold, and returns times as [(value, limit, what), ...].

    Times also depend on the load of the machine, so the median of all runs must be within the limit. A
    run that cannot change any median is omitted: of three, the third if two agree.
    """
    seen = collections.defaultdict(list)  # what: (value, limit) of each run
    for _ in range(runs):
        for value, limit, what in measure():
            seen[what].append((value, limit))
        if all(is_decided(values, runs) for values in seen.values()):
            break
    over = {what for what, values in seen.items() if is_over(values, runs)}
    assert not over, "\n".join(
        f"{'OVER' if what in over else 'kept'}: {what}: "
        + ", ".join(f"{value:.3g} of {limit:.3g}" for value, limit in values)
        for what, values in seen.items())


def times_over(values):
    return sum(value > limit for value, limit in values)


def is_over(values, runs):
    """Is the median over its limit? That is so if most values are (each run has its own limit)."""
    return times_over(values) > runs // 2


def is_decided(values, runs):
    return is_over(values, runs) or len(values) - times_over(values) > runs // 2


STALL = 5  # seconds: no machine is that busy


def beside(port, print_figures, trouble, seconds=2, rounds=3, after=lambda: None):
    """trouble() begins a fault and returns a function that ends it; the figures of a load without and with it.

    The medians of several rounds of each, in turn, because a busy machine varies. after()
    asserts what must hold also if the figures are over their limits.
    """
    with Load(port) as load:
        time.sleep(1)  # tunnels are dialled
    assert not load.figures().lost, load.figures().errors()
    kept(lambda: side_by_side(port, print_figures, trouble, seconds, rounds, after))


def side_by_side(port, print_figures, trouble, seconds, rounds, after):
    calm, disturbed = [], []
    for _ in range(rounds):
        with Load(port) as load:
            time.sleep(seconds)
        calm.append(load.figures())
        end = trouble()
        with Load(port) as load:
            time.sleep(seconds)
        disturbed.append(load.figures())
        end()
    median = {name: [statistics.median(getattr(f, name) for f in runs) for runs in (calm, disturbed)]
              for name in ("p99", "longest")}
    (calm_p99, p99), (calm_longest, longest) = median["p99"], median["longest"]
    print_figures(f"p99 {calm_p99 * 1e3:.1f} ms undisturbed, {p99 * 1e3:.1f} beside it;"
                  f" longest {calm_longest * 1e3:.0f} and {longest * 1e3:.0f} ms")
    after()
    for figures in calm + disturbed:
        assert not figures.lost, figures.errors()
        assert figures.longest < STALL, "a median does not show it"
    # Below 10 ms it is the machine that is measured.
    return [(p99, 3 * max(calm_p99, 0.010), "p99 of the others, s"),
            (longest, max(0.250, 2 * calm_longest), "longest wait of the others, s")]


class SlowReader:
    """Requests 100 MB, and reads a few bytes now and then."""

    def __init__(self, port, host="web.shop.svc.cluster.local"):
        self.seen = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(f"GET /bytes?n=104857600 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def sip(self):
        """Reads a few bytes; returns how many; 0 when the connection was ended."""
        self.socket.settimeout(10)
        try:
            bytes_read = self.socket.recv(512)
        except ConnectionResetError:
            return 0
        assert self.seen or bytes_read.startswith(b"HTTP/1.1 200 "), bytes_read
        self.seen += len(bytes_read)
        return len(bytes_read)


def anonymous_memory(process):
    """RssAnon in KB."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1))
