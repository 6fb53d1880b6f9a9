"""script/bench tail: what it costs to be watched, in instructions per request under callgrind.

The cases alternate: without a reader, with `tail`, with `tail --har`. Then a reader that never reads.
An older build (KUBE_TUNNEL_BEFORE) is counted beside this one. SPDX-License-Identifier: MIT
"""
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from idle import CONNECTIONS, Counted
from load import LoadFailed, put_load
from process import clean_environment
from rows import Row, compared

REQUESTS = 1500
TIMES = 2  # rounds for each of the effort: how requests share system calls differs from round to round
FILLED = 6000  # requests, whose events fill the queue of a reader that sleeps
READER_MOST, OFF_MOST = 1.05, 1.01  # times as many instructions
OFF_SHARE = OFF_MOST - 1  # of the instructions, in the sources of what is off
SETTINGS = {"--otlp FILE": "OTLP", "--service-metrics 100": "SERVICE_METRICS"}  # each with its variable KTUN_...
# What sees requests, and what reports them.
OBSERVERS = re.compile(r"(^|/)src/(otlp/|control/|serve/(access_log|observ|recent|service_metrics|tracing))")


def missing():
    return None if shutil.which("callgrind_control") else "valgrind is not installed"


def put(place, counted, requests):
    result = put_load(place, counted.address, {}, connections=CONNECTIONS, requests=requests,
                      duration="300s", patience="120s")
    if result["failed"]:
        raise LoadFailed(f"{result['failed']} requests failed")


def per_request(place, counted):
    put(place, counted, REQUESTS // 10)
    return counted.count(lambda: put(place, counted, REQUESTS)) / REQUESTS


def socket_of(runtime):
    return runtime / "kube-tunnel" / "default.sock"


@contextlib.contextmanager
def reader(runtime, query=""):
    """Reads events as fast as they come, as kube-tunnel tail does."""
    child = subprocess.Popen(["curl", "-sN", "--unix-socket", socket_of(runtime), f"http://control/v1/events{query}"],
                             stdout=subprocess.DEVNULL, env=clean_environment())
    time.sleep(1)
    yield
    child.kill()
    child.wait()


class Sleeper:
    """A reader that reads nothing until it is asked what it lost."""

    def __init__(self, runtime):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(socket_of(runtime)))
        self.socket.sendall(b"GET /v1/events HTTP/1.1\r\nHost: control\r\n\r\n")
        time.sleep(1)

    def lost(self, put_some):
        """What did not fit is told by the next line that fits."""
        self.socket.settimeout(1)
        received = self.drained()
        put_some()
        return sum(int(n) for n in re.findall(rb'"type":"lost","events":(\d+)', received + self.drained()))

    def drained(self):
        received = b""
        with contextlib.suppress(TimeoutError):
            while more := self.socket.recv(1 << 20):
                received += more
        return received


def self_costs(text):
    """(file, instructions) of each line of a callgrind dump; of inlined functions their own file."""
    names, file, skip = {}, None, False
    for line in text.splitlines():
        named = re.match(r"(fl|fi|fe)=(\(\d+\))(?: (.*))?$", line)
        if named:
            if named.group(3):
                names[named.group(2)] = named.group(3)
            file = names.get(named.group(2))
        elif line.startswith("calls="):
            skip = True  # the next line is of the function called
        elif re.match(r"[+\-*\d]\S* \d+$", line):
            if not skip:
                yield file, int(line.split()[1])
            skip = False


def observing_share(dumps):
    """The share of the instructions in the sources that observe; None without debug information."""
    costs = [c for d in dumps for c in self_costs(d.read_text())]
    if not any(file and "/src/serve/" in f"/{file}" for file, _ in costs):
        return None
    return sum(cost for file, cost in costs if file and OBSERVERS.search(file)) / sum(cost for _, cost in costs)


def off_rows(place, folder, rounds, runtime):
    """The older build beside this one, or the share of the sources that observe."""
    before = os.environ.get("KUBE_TUNNEL_BEFORE")
    with contextlib.closing(Counted(place, folder, "off", XDG_RUNTIME_DIR=str(runtime))) as now:
        if not before:
            per_request(place, now)
            share = observing_share(list(folder.glob("off.callgrind*")))
            figure = "share of instructions in sources that observe, while nothing does"
            limit = f"at most {OFF_SHARE:.0%}"
            yield (Row(figure, "no debug information", limit=limit) if share is None else
                   Row(figure, f"{share:.2%}", limit=limit, holds=share <= OFF_SHARE))
            return
        with contextlib.closing(Counted(place, folder, "before", binary=before)) as then:
            found = [(per_request(place, now), per_request(place, then)) for _ in range(rounds)]
    yield compared("instructions per request, nothing observes", *zip(*found), "older build", "", OFF_MOST)


def reader_rows(place, folder, rounds, runtime):
    rounds *= TIMES
    found = {"none": [], "tail": [], "tail --har": [], "asleep": []}
    with contextlib.closing(Counted(place, folder, "watched", XDG_RUNTIME_DIR=str(runtime))) as counted:
        for _ in range(rounds):
            found["none"].append(per_request(place, counted))
            with reader(runtime):
                found["tail"].append(per_request(place, counted))
            with reader(runtime, "?heads=1"):
                found["tail --har"].append(per_request(place, counted))
        sleeper = Sleeper(runtime)
        put(place, counted, FILLED)
        found["asleep"] = [per_request(place, counted) for _ in range(rounds)]
        lost = sleeper.lost(lambda: put(place, counted, REQUESTS // 10))
    base = found.pop("none")
    yield compared("instructions per request with tail", found["tail"], base, "no reader", "", READER_MOST)
    yield compared("instructions per request with tail --har", found["tail --har"], base, "no reader", "")
    yield compared("instructions per request with a reader that sleeps", found["asleep"], base, "no reader", "",
                   READER_MOST)
    yield Row("events that it lost, as it reports", f"{lost:,}", limit="more than none", holds=lost > 0)
    yield from setting_rows(place, folder, base)


def setting_rows(place, folder, base):
    for name, variable in SETTINGS.items():
        value = str(folder / "spans") if variable == "OTLP" else name.split()[-1]
        with contextlib.closing(Counted(place, folder, variable, **{f"KTUN_{variable}": value})) as counted:
            found = [per_request(place, counted) for _ in range(TIMES)]
        yield compared(f"instructions per request with {name}", found, TIMES * [statistics.median(base)], "without", "")


def measure(place, folder, rounds, print_progress):
    runtime = Path(tempfile.mkdtemp(prefix="ktun-"))
    try:
        print_progress("instructions per request, without and with readers")
        rows = list(reader_rows(place, folder, rounds, runtime))
        return rows + list(off_rows(place, folder, rounds, runtime))
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
