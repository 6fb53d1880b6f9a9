"""script/bench scale: a cluster of 10,000 services and 50,000 endpoints.

The playground has these objects, with slices that change at a rate, and a rollout. A client-go
informer cache of the same objects (bench/informer) is measured beside kube-tunnel where
the modules of tests/kubernetes can be compiled. SPDX-License-Identifier: MIT
"""
import json
import re
import statistics
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path

from load import BINARY, ROOT
from place import PLAYGROUND
from process import Process, clean_environment, cpu_seconds, eventually, memory_kib

SERVICES, ENDPOINTS, ROLL_PODS = 10_000, 50_000, 5_000
CHURN = 200  # slices of 100 endpoints a second
ROLL_RATE = 200  # pods a second
CATALOG = ROOT / "build" / "bench" / "bench-catalog"
COMPONENTS = ROOT / "tests" / "kubernetes" / "components"
INFORMER = Path(__file__).with_name("informer") / "main.go"
SETTLED = 25  # seconds: what a burst left behind is given back by then


class Cluster:
    """A playground of that size, with its control socket."""

    def __init__(self, folder, *flags):
        folder.mkdir()
        self.folder = folder
        self.kubeconfig, self.control = folder / "kubeconfig", folder / "control"
        self.process = Process([PLAYGROUND, "--kubeconfig-out", self.kubeconfig,
                                "--control", self.control, *flags], folder / "playground.log")
        self.process.wait_for_output("^ready", 60)

    def order(self, command):
        subprocess.run(["curl", "-sS", "--unix-socket", self.control, "--data-binary", command,
                        "http://control/playground"], check=True, capture_output=True,
                       env=clean_environment())

    def close(self):
        self.process.stop()


class Tunnel:
    def __init__(self, binary, cluster, *flags):
        self.began = time.monotonic()
        self.process = Process([binary, "run", "--kubeconfig", cluster.kubeconfig, "--listen", "127.0.0.1:0",
                                "--log-level", "info,serve=warn", *flags],
                               cluster.folder / f"tunnel-{time.monotonic_ns()}.log",
                               HOME=str(cluster.folder), XDG_CONFIG_HOME=str(cluster.folder))
        self.port = int(self.process.wait_for_output(r"listening\b.*:(\d+)$").group(1))
        self.pid = self.process.child.pid

    def first_200(self):
        """Seconds from the start of the process."""
        while self.get("web.shop.svc") != "200":
            time.sleep(0.002)
        return time.monotonic() - self.began

    def get(self, host):
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}",
                               f"http://127.0.0.1:{self.port}/"], capture_output=True, text=True,
                              env=clean_environment()).stdout

    def loaded(self):
        """Seconds until everything is watched."""
        self.process.wait_for_output("rights found", 60)
        return time.monotonic() - self.began

    def load(self, host, seconds, rate=300):
        done = subprocess.run([BINARY, "--host", host, "--connections", "4", "--rate", str(rate),
                               "--duration", f"{seconds}s", f"127.0.0.1:{self.port}"],
                              capture_output=True, text=True, env=clean_environment())
        return json.loads(re.search(r"\{.*\}", done.stdout).group())

    def cpu(self):
        return cpu_seconds([self.pid])[self.pid]

    def close(self):
        self.process.stop()


@contextmanager
def tunnel(*arguments):
    with closing(Tunnel(*arguments)) as t:
        yield t


def first_answers(binary, cluster, rounds, *flags):
    """Milliseconds; the median."""
    def once():
        with tunnel(binary, cluster, *flags) as t:
            return 1000 * t.first_200()
    return statistics.median(once() for _ in range(rounds))


def loading(binary, cluster, *flags):
    """(seconds, CPU seconds, RSS in MB after SETTLED seconds)"""
    with tunnel(binary, cluster, *flags) as t:
        seconds = t.loaded()
        cpu = t.cpu()
        time.sleep(SETTLED)
        return seconds, cpu, memory_kib([t.pid])["VmRSS"] * 1024 / 1e6


def churning(binary, cluster, seconds):
    """Share of a core."""
    with tunnel(binary, cluster) as t:
        t.loaded()
        cluster.order(f"churn {CHURN}")
        time.sleep(1)
        before, began = t.cpu(), time.monotonic()
        time.sleep(seconds)
        share = (t.cpu() - before) / (time.monotonic() - began)
        cluster.order("churn 0")
        return share


def rolling(binary, cluster, host):
    """p99 in ms before and during a rollout, and failures."""
    with tunnel(binary, cluster) as t:
        t.loaded()
        t.load(host, 2)
        quiet = t.load(host, 8)
        cluster.order(f"roll {ROLL_RATE}")
        busy = t.load(host, ROLL_PODS // ROLL_RATE - 2)
        time.sleep(4)
        failed = sum(busy[k] for k in ("connect", "reset", "cut", "status", "malformed", "early", "late"))
        return quiet["p99_us"] / 1000, busy["p99_us"] / 1000, failed


def informer(folder, cluster, print_progress):
    """RSS in MB of client-go's caches, plain and trimmed; None where it cannot be built."""
    program = folder / "informer"
    built = subprocess.run(["go", "build", "-p", "1", "-ldflags", "-s -w", "-o", program, INFORMER],
                           cwd=COMPONENTS, capture_output=True, text=True,
                           env=clean_environment(CGO_ENABLED="0"))
    if built.returncode:
        print_progress("without client-go: " + (built.stderr.strip().splitlines() or ["go build failed"])[-1])
        return None
    found = []
    for flags in ((), ("-trim",)):
        process = Process([program, "-json", "-kubeconfig", cluster.kubeconfig, *flags], folder / "informer.log")
        process.wait_for_output("^ready", 120)
        time.sleep(3)
        found.append(memory_kib([process.child.pid])["VmRSS"] * 1024 / 1e6)
        process.stop()
    return found


def catalog(services, endpoints):
    done = subprocess.run([CATALOG, str(services), str(endpoints)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(binary, folder, effort, print_progress):
    """Rows: (figure, value, target, holds or None)"""
    rounds = max(3, effort.rounds * 3)
    rows = []

    def row(figure, value, target="-", holds=None):
        rows.append((figure, value, target, holds))
        print_progress(f"{figure}: {value}")

    with closing(Cluster(folder / "empty")) as empty, \
            closing(Cluster(folder / "large", "--scale", f"{SERVICES}:{ENDPOINTS}",
                            "--roll-pods", str(ROLL_PODS))) as large, \
            closing(Cluster(folder / "scaled", "--scale", f"{SERVICES}:{ENDPOINTS}")) as scaled:
        none = first_answers(binary, empty, rounds)
        much = first_answers(binary, scaled, rounds)
        row("first 200, ms (an empty cluster)", f"{much:.0f} ({none:.0f})", "under 3x", much < 3 * none)
        seconds, cpu, rss = loading(binary, scaled)
        row("all is watched after, s (CPU s)", f"{seconds:.2f} ({cpu:.2f})")
        _, _, least = loading(binary, empty)
        row("RSS, MB (an empty cluster)", f"{rss:.1f} ({least:.1f})", "at most 40", rss <= 40)
        _, _, lazily = loading(binary, scaled, "--discovery", "lazy")
        row("RSS with --discovery lazy, MB", f"{lazily:.1f}")
        caches = informer(folder, scaled, print_progress)
        if caches:
            row("RSS of a client-go informer cache, MB (trimmed)", f"{caches[0]:.0f} ({caches[1]:.0f})")
        share = churning(binary, scaled, effort.seconds * 2)
        row(f"{CHURN} slices of 100 endpoints a second, of a core", f"{share:.1%}", "under 15 %", share < 0.15)
        for host, name in (("web.shop.svc", "another service"), ("roll.roll.svc", "the service that rolls")):
            quiet, busy, failed = rolling(binary, large, host)
            row(f"p99 of {name} in a rollout of {ROLL_PODS} pods, ms (before)", f"{busy:.1f} ({quiet:.1f})",
                "within 2x, none fails", busy <= 2 * quiet and not failed)
    alone = catalog(SERVICES, ENDPOINTS)
    row("look-up of a watched service, us (with its name parsed)",
        f"{alone['lookup_us']:.2f} ({alone['name_and_lookup_us']:.2f})", "under 1", alone["name_and_lookup_us"] < 1)
    row("entry of 5,000 endpoints after a change, ms", f"{alone['rebuild_us'] / 1000:.1f}")
    return rows


def threshold(binary, folder, print_progress):
    """The cost of watching below the default of --lazy-above: (services, s, CPU s, MB) for each size."""
    for services in (5_000, 10_000, 20_000, 40_000):
        with closing(Cluster(folder / f"size-{services}", "--scale", f"{services}:{5 * services}")) as cluster:
            found = (services, *loading(binary, cluster, "--discovery", "watch"))
            print_progress("%d services: %.2f s, %.2f s of CPU, %.1f MB" % found)
            yield found


def table_of(rows, sizes):
    lines = ["| figure | measured | target | |", "|---|---|---|---|"]
    lines += [f"| {figure} | {value} | {target} | {'' if holds is None else 'holds' if holds else '**does not hold**'} |"
              for figure, value, target, holds in rows]
    lines += ["", "| services, each with 5 endpoints | all is watched after, s | CPU, s | RSS, MB |", "|---|---|---|---|"]
    lines += [f"| {n:,} | {seconds:.2f} | {cpu:.2f} | {rss:.1f} |" for n, seconds, cpu, rss in sizes]
    return "\n".join(lines)
