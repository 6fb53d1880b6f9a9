"""Run bench-load or bench-spdy, and measure CPU of processes exactly while its requests count.

SPDX-License-Identifier: MIT
"""
import json
import os
import subprocess
import threading
from pathlib import Path

from process import clean_environment, cpu_seconds, die_with_parent, family

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("BENCH_LOAD", ROOT / "build" / "bench" / "bench-load"))
SPDY_BINARY = Path(os.environ.get("BENCH_SPDY", ROOT / "build" / "bench" / "bench-spdy"))
FAILURES = ("connect", "reset", "cut", "status", "malformed", "early", "late")
HOST = "web.shop.svc.cluster.local"


class LoadFailed(Exception):
    """The load generator could not run."""


def flags(options):
    """connections=16, fresh=True -> --connections 16 --fresh"""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif value:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def spawn(place, words, binary=BINARY):
    command = place.command([binary, "--host", HOST, *words])
    return subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=clean_environment(), preexec_fn=die_with_parent)


class Limited:
    """A child process that is killed at its time-out, and in any case at the end."""

    def __init__(self, child, seconds):
        self.child = child
        self.timer = threading.Timer(seconds, child.kill)

    def __enter__(self):
        self.timer.start()
        return self.child

    def __exit__(self, *_):
        self.timer.cancel()
        self.child.kill()
        self.child.communicate()


def expect_word(child, word):
    line = child.stdout.readline().strip()
    if line != word:
        raise LoadFailed(child.stderr.read().strip() or f"the load ended before {word!r}")


def cpu_between(before, after, pids):
    """CPU seconds of these processes; None if one has ended meanwhile, since its CPU time is unknown then."""
    if any(pid not in before or pid not in after for pid in pids):
        return None
    return sum(after[pid] - before[pid] for pid in pids)


def count_load(spawned, watch, limit, itself=None):
    """To the end of a load. watch: name -> pids, whose CPU comes back as cpu[name] in
    seconds; itself: the name under which the load's own comes back."""
    with Limited(spawned, limit) as child:
        expect_word(child, "counting")
        watch = {**watch, itself: family(child.pid)} if itself else watch
        before = {name: cpu_seconds(pids) for name, pids in watch.items()}
        expect_word(child, "counted")
        cpu = {name: cpu_between(before[name], cpu_seconds(pids), pids)
               for name, pids in watch.items()}
        result = json.loads(child.stdout.readline())
    result["cpu"] = cpu
    result["failed"] = sum(result[name] for name in FAILURES)
    return result


def put_load(place, address, watch=None, limit=120, **options):
    """One run of bench-load against an address."""
    return count_load(spawn(place, [*flags(options), address]), watch or {}, limit)


def drive_spdy(place, watch, limit=120, **options):
    """One run of bench-spdy, which is both the contender and the load generator."""
    return count_load(spawn(place, flags(options), SPDY_BINARY), watch, limit, itself="tool")


def bursts(place, address, size, **options):
    """Each burst's time until all of its raw connections echoed a byte; in seconds."""
    words = [*flags({"burst": size, **options}), address]
    with Limited(spawn(place, words), 60) as child:
        line = child.stdout.readline()
        if not line:
            raise LoadFailed(child.stderr.read().strip())
        return json.loads(line)["seconds"]


def answers(place, address):
    """Does it answer a request with a 200 within a second?"""
    try:
        return put_load(place, address, limit=5, requests=1, duration="1s")["requests"] > 0
    except (LoadFailed, ValueError):
        return False


def cold_start(place, command, seconds=30):
    """From the start of a command, with {port} in it, to its first 200; in seconds."""
    words = ["--cold", "--duration", f"{seconds}s", "--", *map(str, command)]
    with Limited(spawn(place, words), seconds + 20) as child:
        line = child.stdout.readline()
        if not line:
            raise LoadFailed(child.stderr.read().strip())
        return json.loads(line)["seconds"]
