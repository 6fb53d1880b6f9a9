"""script/bench --watched: what it costs to be watched, and how fast the control socket answers.

Instructions per request under callgrind, without and with a reader of events, with traces and
with metrics by service, and beside them those of an older build (KUBE_TUNNEL_BEFORE). The time of commands with 10,000 services.
SPDX-License-Identifier: MIT
"""
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import scale
import table
from contender import KUBE_TUNNEL
from idle import CONNECTIONS, Counted
from load import put_load
from process import clean_environment

REQUESTS = 4000
READER_MOST, OFF_MOST = 1.05, 1.01  # times as many instructions
COMMAND_MOST = 0.030  # seconds
COMMANDS = {"status": ["status", "-o", "name"], "explain": ["explain", "web.shop"]}
RUNS = 21
SETTINGS = {"--otlp FILE": "OTLP", "--service-metrics 100": "SERVICE_METRICS"}  # each with its variable KTUN_...


def missing():
    return None if shutil.which("callgrind_control") else "valgrind is not installed"


def per_request(place, counted):
    def load(requests):
        result = put_load(place, counted.address, {}, connections=CONNECTIONS, requests=requests,
                          duration="300s", patience="120s")
        if result["failed"]:
            raise RuntimeError(f"{result['failed']} requests failed")
    load(REQUESTS // 10)
    return counted.count(lambda: load(REQUESTS)) / REQUESTS


@contextlib.contextmanager
def reader(runtime, query=""):
    """Reads events as fast as they come, as kube-tunnel tail does."""
    url = f"http://control/v1/events{query}"
    child = subprocess.Popen(["curl", "-sN", "--unix-socket", runtime / "kube-tunnel" / "default.sock", url],
                             stdout=subprocess.DEVNULL, env=clean_environment())
    time.sleep(1)
    yield
    child.kill()
    child.wait()


def instructions(place, folder, rounds, print_progress):
    """Name of the case -> instructions per request, of each round."""
    found = {}
    runtime = Path(tempfile.mkdtemp(prefix="ktun-"))
    before = os.environ.get("KUBE_TUNNEL_BEFORE")
    if before:
        print_progress("instructions per request of the older build")
        with contextlib.closing(Counted(place, folder, "before", binary=before)) as counted:
            found["older build"] = [per_request(place, counted) for _ in range(rounds)]
    print_progress("instructions per request, without and with a reader")
    with contextlib.closing(Counted(place, folder, "watched", XDG_RUNTIME_DIR=str(runtime))) as counted:
        found["no reader"] = [per_request(place, counted) for _ in range(rounds)]
        with reader(runtime):
            found["tail"] = [per_request(place, counted) for _ in range(rounds)]
        with reader(runtime, "?heads=1"):
            found["tail --har"] = [per_request(place, counted) for _ in range(rounds)]
        found["no reader again"] = [per_request(place, counted) for _ in range(rounds)]
    for name, variable in SETTINGS.items():
        print_progress(f"instructions per request with {name}")
        value = str(folder / "spans") if variable == "OTLP" else name.split()[-1]
        with contextlib.closing(Counted(place, folder, variable, **{f"KTUN_{variable}": value})) as counted:
            found[name] = [per_request(place, counted) for _ in range(rounds)]
    shutil.rmtree(runtime, ignore_errors=True)
    return found


def instruction_rows(found):
    base = statistics.median(found["no reader"])
    for name, numbers in found.items():
        median = statistics.median(numbers)
        ratio = base / median if name == "older build" else median / base
        most = {"older build": OFF_MOST, "tail": READER_MOST}.get(name)
        verdict = f"at most {most}: {'yes' if ratio <= most else 'NO'}" if most else ""
        what = "no reader / older build" if name == "older build" else f"{name} / no reader"
        yield [name, f"{median:,.0f}", what, f"{ratio:.3f}", verdict]


def seconds_of(command, environment):
    begun = time.monotonic()
    subprocess.run([KUBE_TUNNEL, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def curl_seconds(runtime, path):
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", "--unix-socket",
                           runtime / "kube-tunnel" / "default.sock", f"http://x{path}"],
                          capture_output=True, text=True, check=True, env=clean_environment())
    return float(done.stdout)


def command_rows(folder, print_progress):
    print_progress(f"commands with {scale.SERVICES:,} services")
    runtime = Path(tempfile.mkdtemp(prefix="ktun-"))
    flags = ["--scale", f"{scale.SERVICES}:{scale.ENDPOINTS}"]
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    with contextlib.closing(scale.Cluster(folder / "scale", *flags)) as cluster, \
            contextlib.closing(scale.Tunnel(KUBE_TUNNEL, cluster)) as tunnel:
        tunnel.loaded()
        time.sleep(5)
        tunnel.first_200()
        environment = clean_environment(HOME=str(folder), XDG_RUNTIME_DIR=str(runtime))
        actions = {name: lambda c=command: seconds_of(c, environment) for name, command in COMMANDS.items()}
        actions["services?names&prefix=web (completion)"] = lambda: curl_seconds(runtime, "/v1/services?names&prefix=web")
        actions["services?names"] = lambda: curl_seconds(runtime, "/v1/services?names")
        for name, action in actions.items():
            times = [action() for _ in range(RUNS)]
            median = statistics.median(times)
            yield [name, f"{median * 1000:.1f}", f"{max(times) * 1000:.1f}",
                   f"at most {COMMAND_MOST * 1000:.0f}: {'yes' if median <= COMMAND_MOST else 'NO'}"]
    shutil.rmtree(runtime, ignore_errors=True)


def report(place, folder, rounds, print_progress):
    found = instructions(place, folder, rounds, print_progress)
    first = table.markdown(["case", "instructions per request", "ratio of", "is", ""],
                           list(instruction_rows(found)))
    second = table.markdown(["command", "median ms", "slowest ms", ""],
                            list(command_rows(folder, print_progress)))
    return f"{first}\n\n{second}"
