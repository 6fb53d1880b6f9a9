"""The measurements at 50 ms from the API server, where round trips take most of the time.

Most begin with a contender that was just started and has answered one request: which tunnels it has
prewarmed by then makes the difference. SPDX-License-Identifier: MIT
"""
import contextlib
import statistics
import time

from contender import CONTENDERS
from http2 import Http2Client
from http2_pods import GRPC_CHECK
from load import cold_start, put_load

PAGE = {"connections": 6, "requests": 54, "path": "/bytes?n=20000"}
TRANSFER = 100_000_000
REST = 1.0  # after the first request: a person has just seen the page's first part
FIRST_SECONDS = "5s"


def at_once(contender, **options):
    """Seconds from a batch of requests to the last answer."""
    result = put_load(contender.place, contender.address, duration="30s", patience="30s", **options)
    return {"ms": 1000 * result["seconds"], "slowest_ms": result["max_us"] / 1000,
            "failed": result["failed"], "done": result["requests"]}


def lot(**options):
    """The first batch, and the median of three more, two seconds apart, on new connections."""
    def measure(_effort, contender):
        first, later = at_once(contender, **options), []
        for _ in range(3):
            time.sleep(2)
            later.append(at_once(contender, **options))
        return {**first, "again_ms": statistics.median(n["ms"] for n in later),
                "failed": first["failed"] + sum(n["failed"] for n in later),
                "done": first["done"] + sum(n["done"] for n in later)}
    return measure


def latencies(contender, **options):
    result = put_load(contender.place, contender.address, **options)
    return {"p50_ms": result["p50_us"] / 1000, "p99_ms": result["p99_us"] / 1000,
            "failed": result["failed"], "done": result["requests"]}


def fresh(_effort, contender):
    return latencies(contender, connections=1, fresh=True, requests=20, duration="60s")


def first_seconds(_effort, contender):
    return latencies(contender, connections=16, duration=FIRST_SECONDS)


def transfers(effort, contender, **options):
    """One after the other, a new connection for each."""
    runs = [put_load(contender.place, contender.address, requests=1, duration="60s",
                     patience="60s", **options) for _ in range(effort.transfers)]
    rates = [TRANSFER / 1e6 / r["seconds"] for r in runs if not r["failed"]]
    return {"mb_per_s": statistics.median(rates), "worst_mb_per_s": min(rates),
            "failed": sum(r["failed"] for r in runs), "done": len(rates)}


def download(effort, contender):
    return transfers(effort, contender, path=f"/bytes?n={TRANSFER}")


def upload(effort, contender):
    return transfers(effort, contender, path="/sink", upload=TRANSFER)


def cold(effort, contender):
    times = [cold_start(contender.place, contender.cold_command)
             for _ in range(effort.cold_starts)]
    return {"ms": 1000 * statistics.median(times)}


def calls_at_once(effort, contender):
    """Seconds of one call, and from the first to the last of 100 at once, on one connection with a warm pod."""
    message = contender.folder / "message"
    message.write_bytes(bytes(5))
    options = {"service": contender.place.http2_pods.grpc_service, "path": GRPC_CHECK, "data": message}
    contender.load(None, count=1, **options)
    one, together = [], []
    for _ in range(max(3, effort.cold_starts)):
        one.append(contender.load(None, count=1, **options))
        together.append(contender.load(None, count=CALLS, streams=CALLS, **options))
    one_ms, all_ms = (1000 * statistics.median(r["seconds"] for r in runs) for runs in (one, together))
    return {"one_ms": one_ms, "all_ms": all_ms, "round_trips": (all_ms - one_ms) / ROUND_TRIP_MS,
            "failed": sum(r["failed"] for r in one + together), "done": sum(r["requests"] for r in one + together)}


PREFIX = "50 ms away: "
CALLS, ROUND_TRIP_MS = 100, 50
LOADS = {f"{PREFIX}{name}": measure for name, measure in {
    "page": lot(**PAGE),
    "16 clients at once": lot(connections=16, requests=16),
    "50 clients at once": lot(connections=50, requests=50),
    "new connections": fresh,
    "first five seconds of 16 connections": first_seconds,
    "download of 100 MB": download,
    "upload of 100 MB": upload,
    "cold start": cold,
    "100 calls at once": calls_at_once,
}.items()}


def kinds(load):
    """The contenders of a load."""
    if load == f"{PREFIX}100 calls at once":
        return [Http2Client]
    return [k for k in CONTENDERS if k.cold]


def run(load, effort, kind, place, folder):
    """Runs a load on a new contender."""
    with contextlib.closing(kind(place, folder)) as contender:
        contender.open()
        time.sleep(REST)
        return LOADS[load](effort, contender)
