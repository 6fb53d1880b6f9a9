"""script/bench --only DNS: the DNS server under dnsperf, and its memory after many names.

dnsperf sends names of a cluster of 10,000 services, at a rate and as fast as it can. The share of a
core is that of kube-tunnel alone. Latencies are measured with real-time priority for both, where that
is permitted: the scheduling of a busy machine takes longer than an answer. SPDX-License-Identifier: MIT
"""
import os
import re
import shutil
import subprocess
import time
from contextlib import closing

from load import LoadFailed
from process import Process, clean_environment, cpu_seconds, memory_kib
from scale import SERVICES, Cluster

NAMES = 10_000
NAMESPACES = 20  # of the playground's --scale
WANTED_RATE, RATE = 20_000, 10_000
WANTED_P99_MS = 1
WANTED_ANON_MB = 16
LISTENERS = 1000  # the default of max-address-listeners: further names get SERVFAIL
IDLE_SECONDS = 70  # listeners of services close after 60
ZONE = "svc.cluster.local"


def missing():
    return None if shutil.which("dnsperf") else "dnsperf is not installed"


class Server:
    def __init__(self, binary, cluster):
        self.process = Process([binary, "run", "--kubeconfig", cluster.kubeconfig, "--listen", "127.0.0.1:0",
                                "--dns-listen", "127.0.0.1:0", "--log-level", "info"],
                               cluster.folder / f"dns-{time.monotonic_ns()}.log", HOME=str(cluster.folder),
                               XDG_CONFIG_HOME=str(cluster.folder), XDG_STATE_HOME=str(cluster.folder))
        self.pid = self.process.child.pid
        self.port = self.process.wait_for_output(r"dns DNS server address=127\.0\.0\.1:(\d+)$").group(1)
        self.process.wait_for_output("rights found", 60)
        time.sleep(2)

    def cpu(self):
        return cpu_seconds([self.pid])[self.pid]

    def anon_mb(self):
        return memory_kib([self.pid])["RssAnon"] * 1024 / 1e6

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def close(self):
        self.process.stop()


def real_time(server):
    """The prefix of a command that runs like the server, before other programs; [] where that is refused."""
    done = subprocess.run(["chrt", "-f", "-p", "20", str(server.pid)], capture_output=True)
    return ["chrt", "-f", "20"] if done.returncode == 0 else []


def dnsperf(server, questions, *flags, prefix=()):
    done = subprocess.run([*prefix, "dnsperf", "-s", "127.0.0.1", "-p", server.port, "-d", questions, *flags],
                          check=True, capture_output=True, text=True, env=clean_environment())
    return done.stdout


def number(text, pattern):
    return float(re.search(pattern, text).group(1))


def names():
    for i in range(NAMES):
        yield f"svc-{i:06}.scale-{i * NAMESPACES // NAMES:02}.{ZONE}"


def write_questions(path, found):
    path.write_text("".join(f"{name} A\n" for name in found))
    return path


def percentile(text, share):
    """Of `dnsperf -v`, in ms."""
    latencies = sorted(float(s) for s in re.findall(r"^> NOERROR \S+ A (\d+\.\d+)$", text, re.M))
    return 1000 * latencies[int(len(latencies) * share)] if latencies else float("nan")


def rate_row(server, questions, seconds):
    before, began = server.cpu(), time.monotonic()
    text = dnsperf(server, questions, "-l", str(seconds), "-Q", str(WANTED_RATE), "-c", "8")
    share = (server.cpu() - before) / (time.monotonic() - began)
    answers, lost = number(text, r"Queries per second:\s+([\d.]+)"), number(text, r"Queries lost:\s+(\d+)")
    return ("answers/s at 20,000 questions/s (of a core)", f"{answers:,.0f} ({share:.0%})",
            "20,000 on one core", answers >= 0.98 * WANTED_RATE and share < 1 and lost == 0)


def most_row(server, questions, seconds):
    before = server.cpu()
    text = dnsperf(server, questions, "-l", str(seconds), "-c", "8")
    answers = number(text, r"Queries completed:\s+(\d+)")
    cost = 1e6 * (server.cpu() - before) / answers
    rate = number(text, r"Queries per second:\s+([\d.]+)")
    return ("answers/s as fast as dnsperf asks (us of CPU each)", f"{rate:,.0f} ({cost:.1f})", "-", None)


def latency_row(server, questions, seconds):
    prefix = real_time(server)
    text = dnsperf(server, questions, "-l", str(seconds), "-Q", str(RATE), "-c", "4", "-v", prefix=prefix)
    p99 = percentile(text, 0.99)
    priority = "real-time priority" if prefix else "usual priority"
    return (f"p99 at {RATE:,}/s with {priority}, ms (median)", f"{p99:.2f} ({percentile(text, 0.5):.2f})",
            f"under {WANTED_P99_MS}", p99 < WANTED_P99_MS)


def memory_rows(server, all_names):
    before = server.anon_mb()
    text = dnsperf(server, all_names, "-n", "1", "-c", "1")
    answered, refused = number(text, r"NOERROR (\d+)"), number(text, r"SERVFAIL (\d+)")
    if answered < 0.9 * LISTENERS or answered + refused != NAMES:
        raise LoadFailed(f"not all names were looked up:\n{text}")
    after, descriptors = server.anon_mb(), server.descriptors()
    yield (f"RssAnon that {NAMES:,} names add to {before:.1f} MB of {SERVICES:,} watched services, MB (in all)",
           f"{after - before:.1f} ({after:.1f})", f"under {WANTED_ANON_MB}", after - before < WANTED_ANON_MB)
    time.sleep(IDLE_SECONDS)
    idle = server.descriptors()
    yield (f"descriptors after {NAMES:,} names, of which {answered:,.0f} answered (a minute later)", f"{descriptors} ({idle})",
           "at most 1,000 more, none later", descriptors < 1100 and idle < 100)


def measure(binary, folder, effort, print_progress):
    """Rows: (figure, value, target, holds or None)"""
    few = write_questions(folder / "few", [f"web.shop.{ZONE}", *list(names())[:100]])
    many = write_questions(folder / "many", names())
    seconds = max(3, round(effort.seconds * 2))
    rows = []
    with closing(Cluster(folder / "dns", "--scale", f"{SERVICES}:{SERVICES}")) as cluster:
        with closing(Server(binary, cluster)) as server:
            for row in memory_rows(server, many):
                rows.append(row)
        with closing(Server(binary, cluster)) as server:
            rows += [measured(server, few, seconds) for measured in (rate_row, most_row, latency_row)]
    for figure, value, target, _ in rows:
        print_progress(f"{figure}: {value} (target: {target})")
    return rows


def table_of(rows):
    lines = ["| figure | measured | target | |", "|---|---|---|---|"]
    return "\n".join(lines + [
        f"| {figure} | {value} | {target} | {'' if holds is None else 'holds' if holds else '**does not hold**'} |"
        for figure, value, target, holds in rows])
