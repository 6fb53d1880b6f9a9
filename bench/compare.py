"""Compare two builds of kube-tunnel on the playground, differences of a few per cent included.

Instructions per request under callgrind and system calls per request under strace, both for
the same list of requests, and loads in alternating rounds. SPDX-License-Identifier: MIT
"""
import contextlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import measure
import table
from contender import KubeTunnel
from load import put_load

ROUNDS = 7  # the fewest whose median is reliable on a busy machine
COUNTS = 3  # of each list of requests; they differ by little
WARM_UP = 100  # requests: tunnels are dialled, queues and pools have their size
TOOLS = ("valgrind", "callgrind_control", "strace")

# Small enough for a program that runs fifty times slower. One connection is repeatable;
# sixteen show what is done once for several requests.
LISTS = {
    "1 connection": {"connections": 1, "requests": 500},
    "16 connections": {"connections": 16, "requests": 1000},
    "new connections": {"connections": 1, "requests": 150, "fresh": True},
    "new raw connections": {"connections": 1, "requests": 150, "raw": True},
    "uploads of 64 KiB": {"connections": 1, "requests": 100, "upload": 65536},
    "downloads of 100 kB": {"connections": 1, "requests": 100, "path": "/bytes?n=100000"},
}
LOADS = ("1 connection", "16 connections", "fixed rate", "new connections, fixed rate")
NUMBERS = (("requests/s", "rps"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms"),
           ("CPU us per request", "tool_us"))
HEAD = ("what", "of", "old", "new", "new / old", "lowest to highest")


def missing():
    absent = [t for t in TOOLS if not shutil.which(t)]
    return f"{', '.join(absent)}: not installed (script/bootstrap --bench)" if absent else None


class Build(KubeTunnel):
    """One of the two binaries, possibly under a tool (valgrind, strace)."""

    patience = 120  # a busy machine, and fifty times slower

    def __init__(self, place, folder, name, binary, under=()):
        self.binary, self.under = binary, under
        super().__init__(place, folder, f"{name}{'-counted' if under else ''}")

    def run(self, port):
        return [*self.under, self.binary, *super().run(port)[1:]]


def do(contender, options):
    address = contender.raw_address if options.get("raw") else contender.address
    result = put_load(contender.place, address, duration="300s", limit=320,
                      patience="60s", **options)
    if result["failed"] or result["requests"] < options["requests"]:
        raise RuntimeError(f"{contender.name}: {result['requests']} of {options['requests']} "
                           f"requests were answered, {result['failed']} failed")
    return result["requests"]


def control(pid, *words):
    subprocess.run(["callgrind_control", *words, str(pid)], check=True, capture_output=True)


def instructions(contender, folder, options):
    """Instructions per request, without those of start and warm-up."""
    pid = contender.process.child.pid
    control(pid, "--zero")
    done = do(contender, options)
    before = set(folder.glob("callgrind.*"))
    control(pid, "--dump")
    new = set(folder.glob("callgrind.*")) - before
    text = "".join(f.read_text() for f in new)
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE).group(1)) / done


def system_calls(contender, folder, options):
    out = folder / "strace.out"
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", out, "-p",
                               str(contender.process.child.pid)],
                              stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # attached
    try:
        done = do(contender, options)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
    total = re.search(r"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total$", out.read_text(),
                      re.MULTILINE)
    return int(total.group(1)) / done


def ratio(old, new):
    """The median of new / old, with the lowest and highest."""
    ratios = [n / o for o, n in zip(old, new) if o and n is not None]
    if not ratios:
        return "-", "-"
    return (f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}")


def row(what, of, old, new):
    return [what, of, table.plain(table.median(old)), table.plain(table.median(new)),
            *ratio(old, new)]


def counted(place, folder, builds, title, under, count):
    """Rows for one tool: each list on both builds in turn, COUNTS times."""
    with contextlib.ExitStack() as stack:
        pair = [stack.enter_context(contextlib.closing(Build(place, folder, n, b, under)))
                for n, b in builds.items()]
        for c in pair:
            c.open()
        for name, options in LISTS.items():
            found = [[], []]
            for c in pair:
                do(c, {**options, "requests": WARM_UP})
            for _ in range(COUNTS):
                for numbers, c in zip(found, pair):
                    numbers.append(count(c, folder, options))
            yield row(title, name, *found)


def timed(place, folder, builds, effort, print_progress):
    """Rows for wall and CPU: each load on both in turn, in alternating order."""
    results = {}
    with contextlib.ExitStack() as stack:
        pair = [stack.enter_context(contextlib.closing(Build(place, folder, n, b)))
                for n, b in builds.items()]
        for c in pair:
            measure.warm_up(c.open())
        for number in range(effort.rounds):
            print_progress(f"round {number + 1} of {effort.rounds}")
            for load in LOADS:
                for c in pair if number % 2 else reversed(pair):
                    numbers = measure.LOADS[load](effort, c.alive())
                    results.setdefault(load, {}).setdefault(c.name, []).append(numbers)
    for load in LOADS:
        for title, number in NUMBERS:
            yield row(title, load, *([r.get(number) for r in results[load][n]] for n in builds))


def compare(kind, folder, effort, old, new, print_progress):
    """All comparisons, as a table."""
    builds = {"old": Path(old).resolve(), "new": Path(new).resolve()}
    callgrind = ("valgrind", "--tool=callgrind", "-q",
                 f"--callgrind-out-file={folder}/callgrind.%p")
    with contextlib.closing(kind(folder)) as place:
        print_progress("instructions per request (callgrind)")
        rows = list(counted(place, folder, builds, "instructions", callgrind, instructions))
        print_progress("system calls per request (strace)")
        rows += counted(place, folder, builds, "system calls", (), system_calls)
        rows += timed(place, folder, builds, effort, print_progress)
    return table.markdown(HEAD, rows)


def check(old):
    why = missing() or (None if Path(old).is_file() else f"{old}: no such file")
    if why:
        sys.exit(f"script/bench: {why}")
