"""The measurements: each puts one load on one contender and returns numbers.

Names of numbers carry their unit. SPDX-License-Identifier: MIT
"""
import dataclasses
import statistics
import time

from contender import DOWNLOAD_FILE
from load import HOST, LoadFailed, answers, bursts, cold_start, put_load
from process import eventually, memory_kib

MB = 1e6


@dataclasses.dataclass(frozen=True)
class Effort:
    """Durations and counts: of a full run, or of a quick one."""

    rounds: int
    seconds: float
    settle: float
    cold_starts: int
    bursts: int
    transfers: int
    memory_requests: int
    idle_seconds: int


FULL = Effort(rounds=3, seconds=4, settle=0.6, cold_starts=3, bursts=5, transfers=10,
              memory_requests=1_000_000, idle_seconds=60)
FIGURES = Effort(rounds=3, seconds=1.5, settle=0.4, cold_starts=3, bursts=3, transfers=3,
                 memory_requests=100_000, idle_seconds=10)
QUICK = Effort(rounds=1, seconds=2, settle=0.3, cold_starts=1, bursts=3, transfers=3,
               memory_requests=100_000, idle_seconds=10)

RATE = 2400  # requests/s over 16 connections, where CPU is compared
FRESH_RATE = 240  # new connections/s that every contender can stand, for the same reason
FIRST_REQUESTS = 1000
RIVAL_REQUESTS = 50_000  # enough to see what it settles at
RIVAL_IDLE_SECONDS = 10
UPLOAD = 64 << 20
AT_ONCE = 16  # transfers
BURST = 50  # raw connections
ECHO_PORT = 9000  # of the service web


def milliseconds(seconds):
    return f"{round(seconds * 1000)}ms"


def known_cpu(result):
    """(name, seconds) of each process that ran from beginning to end. The shims count as
    the cluster's; a pod that ended meanwhile took only its own little with it."""
    cpu = dict(result["cpu"])
    shims = cpu.pop("shims", None) or 0
    if cpu.get("cluster") is not None:
        cpu["cluster"] += shims
    return [(name, seconds) for name, seconds in cpu.items() if seconds is not None]


def per_request(result):
    """CPU of each watched process, by request; latencies; failures."""
    n = max(1, result["requests"])
    numbers = {f"{name}_us": 1e6 * cpu / n for name, cpu in known_cpu(result)}
    if "tool_us" in numbers and "cluster_us" in numbers:
        numbers["way_us"] = numbers["tool_us"] + numbers["cluster_us"]
    return {**numbers,
            "rps": result["requests"] / result["seconds"],
            "p50_ms": result["p50_us"] / 1000,
            "p99_ms": result["p99_us"] / 1000,
            "failed": result["failed"],
            "done": result["requests"]}


def watched(contender):
    watch = {"cluster": contender.place.chain(), "shims": contender.place.shims()}
    if contender.process:
        watch["tool"] = contender.pids()
    return watch


def for_a_time(effort, contender, seconds=None, **options):
    """Requests for a fixed time, after a settling time in which the tunnels are opened."""
    settle = max(effort.settle, options.get("connections", 1) / 100)
    return contender.load(watched(contender), settle=milliseconds(settle),
                          duration=milliseconds(seconds or effort.seconds), **options)


def requests(effort, contender, **options):
    result = for_a_time(effort, contender, **options)
    return {**per_request(result), "asked_rps": options.get("rate")}


def flat_out(connections):
    return lambda effort, contender: requests(effort, contender, connections=connections)


def paced(effort, contender):
    """Takes longer, because the kernel counts CPU in hundredths of a second."""
    return requests(effort, contender, seconds=1.5 * effort.seconds, connections=16, rate=RATE)


def fresh(effort, contender):
    return requests(effort, contender, connections=8, fresh=True)


def fresh_paced(effort, contender):
    """Takes still longer, at a tenth of the rate."""
    return requests(effort, contender, seconds=3 * effort.seconds, connections=8, fresh=True,
                    rate=FRESH_RATE)


def raw(effort, contender):
    if not contender.raw_address:
        return {}
    proxy = {"proxy": contender.proxy, "target": f"{HOST}:{ECHO_PORT}"} if contender.proxy else {}
    result = put_load(contender.place, contender.raw_address, watched(contender),
                      settle=milliseconds(effort.settle), duration=milliseconds(effort.seconds),
                      raw=True, connections=8, **proxy)
    return per_request(result)


def burst(effort, contender):
    """The first burst only warms up."""
    if not contender.raw_address:
        return {}
    seconds = bursts(contender.place, contender.raw_address, BURST, settle="500ms",
                     requests=1 + effort.bursts)[1:]
    return {"ms": 1000 * statistics.median(seconds), "worst_ms": 1000 * max(seconds)}


def per_megabyte(result, which):
    moved = result[which] / MB
    numbers = {f"{name}_ms_per_mb": 1e3 * cpu / max(1, moved)
               for name, cpu in known_cpu(result)}
    return {**numbers, "mb_per_s": moved / result["seconds"], "failed": result["failed"],
            "done": result["requests"]}


def bodies(effort, contender, which, **options):
    """Whole bodies, one after the other, for about as long as any other load."""
    def go(count):
        return put_load(contender.place, contender.address, watched(contender), requests=count,
                        duration="60s", patience="60s", **options)
    first = go(1)
    count = max(2, round(effort.seconds / first["seconds"]))
    return per_megabyte(go(min(count, 200)), which)


def download(effort, contender):
    return bodies(effort, contender, "body_in", path=f"/bytes?n={DOWNLOAD_FILE}")


def upload(effort, contender):
    if not contender.uploads:
        return {}
    return bodies(effort, contender, "body_out", path="/sink", upload=UPLOAD)


def at_once(effort, contender, which, **options):
    """All bytes moved in the time, also of bodies that were incomplete at its end:
    sixteen of them would be most of what a slow tool carries."""
    result = for_a_time(effort, contender, connections=AT_ONCE, patience="60s", **options)
    return per_megabyte(result, which)


def downloads(effort, contender):
    return at_once(effort, contender, "moved_in", path=f"/bytes?n={DOWNLOAD_FILE}")


def uploads(effort, contender):
    if not contender.uploads:
        return {}
    return at_once(effort, contender, "moved_out", path="/sink", upload=UPLOAD)


def cold(effort, contender):
    if not contender.cold_command:
        return {}
    time.sleep(2 * effort.settle)  # the cluster still tidies up after the load before
    times = sorted(cold_start(contender.place, contender.cold_command)
                   for _ in range(effort.cold_starts))
    return {"ms": 1000 * times[len(times) // 2]}


# Name of the measurement -> how it is done; in this order, each for all contenders.
LOADS = {
    "1 connection": flat_out(1),
    "16 connections": flat_out(16),
    "64 connections": flat_out(64),
    "256 connections": flat_out(256),
    "fixed rate": paced,
    "new connections": fresh,
    "new connections, fixed rate": fresh_paced,
    "new raw connections": raw,
    "raw burst": burst,
    "download": download,
    "upload": upload,
    "16 downloads at once": downloads,
    "16 uploads at once": uploads,
    "cold start": cold,
}


def memory_now(contender, label):
    kib = memory_kib(contender.pids())
    return {f"anon_{label}_kib": kib["RssAnon"], f"rss_{label}_kib": kib["VmRSS"]}


def load_by_count(contender, count):
    result = put_load(contender.place, contender.address, connections=16, requests=count,
                      duration="600s", limit=630)
    return result["requests"], result["failed"]


def memory(effort, contender):
    """The memory of a new process: after its start, some requests, many, and a pause."""
    count, idle_seconds = effort.memory_requests, effort.idle_seconds
    if contender.name != "kube-tunnel":
        count = min(count, RIVAL_REQUESTS)
        idle_seconds = min(idle_seconds, RIVAL_IDLE_SECONDS)
    numbers = memory_now(contender, "start")
    load_by_count(contender, FIRST_REQUESTS)
    numbers |= memory_now(contender, "first")
    done, failed = load_by_count(contender, count)
    numbers |= memory_now(contender, "loaded")
    time.sleep(idle_seconds)
    numbers |= memory_now(contender, "rested")
    grown = numbers["anon_rested_kib"] - numbers["anon_first_kib"]
    return {**numbers, "growth_kib": grown, "failed": failed, "done": done}


def warm_up(contender):
    if not contender.address:
        return
    if not eventually(lambda: answers(contender.place, contender.address), 10):
        raise LoadFailed(f"{contender.name} does not answer")
    put_load(contender.place, contender.address, connections=16, duration="500ms")
