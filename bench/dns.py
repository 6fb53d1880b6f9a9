"""script/bench dns: the DNS server under dnsperf, and its memory after many names.

dnsperf sends names of a cluster of 10,000 services, at a rate and as fast as it can. The share of a
core is that of kube-tunnel alone. Latencies are measured with usual priority, and with real-time
priority for both where that is permitted: the scheduling of a busy machine takes longer than an answer.
While one server waits until its descriptors are closed, another one is measured. SPDX-License-Identifier: MIT
"""
import contextlib
import os
import re
import resource
import shutil
import statistics
import subprocess
import time
from contextlib import closing

from load import LoadFailed
from process import Process, clean_environment, cpu_seconds, memory_kib
from rows import Row, absolute
from scale import SERVICES, Cluster

NAMES = 10_000
NAMESPACES = 20  # of the playground's --scale
WANTED_RATE, RATE = 20_000, 10_000
WANTED_P99_MS = 1
WANTED_ANON_MB = 16
# The default of max-address-listeners; an address that no client connects to gives way after 7.5 s.
LISTENERS = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 8)
NAME_RATE = min(500, int(0.9 * LISTENERS / 7.5))
SPARE_DESCRIPTORS = 5  # a call to the API server
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
    found = re.search(pattern, text)
    if not found:
        raise LoadFailed(f"dnsperf printed no {pattern!r}:\n{text[-800:]}")
    return float(found.group(1))


def names():
    for i in range(NAMES):
        yield f"svc-{i:06}.scale-{i * NAMESPACES // NAMES:02}.{ZONE}"


def write_questions(path, found):
    path.write_text("".join(f"{name} A\n" for name in found))
    return path


def answered_of(text):
    """What no answer had is not printed."""
    counts = {code: float(count) for code, count in re.findall(r"(NOERROR|SERVFAIL|REFUSED) (\d+)", text)}
    return counts.get("NOERROR", 0), counts.get("SERVFAIL", 0) + counts.get("REFUSED", 0)


def percentile(text, share):
    """Of `dnsperf -v`, in ms."""
    latencies = sorted(float(s) for s in re.findall(r"^> NOERROR \S+ A (\d+\.\d+)$", text, re.M))
    return 1000 * latencies[int(len(latencies) * share)] if latencies else float("nan")


def at_wanted_rate(server, questions, seconds):
    """(answers a second, share of a core, questions lost)"""
    before, began = server.cpu(), time.monotonic()
    text = dnsperf(server, questions, "-l", str(seconds), "-Q", str(WANTED_RATE), "-c", "8")
    share = (server.cpu() - before) / (time.monotonic() - began)
    return number(text, r"Queries per second:\s+([\d.]+)"), share, number(text, r"Queries lost:\s+(\d+)")


def flat_out(server, questions, seconds):
    """(answers a second, microseconds of CPU each)"""
    before = server.cpu()
    text = dnsperf(server, questions, "-l", str(seconds), "-c", "8")
    answers = number(text, r"Queries completed:\s+(\d+)")
    return number(text, r"Queries per second:\s+([\d.]+)"), 1e6 * (server.cpu() - before) / answers


def latencies(server, questions, seconds, prefix=()):
    """(p50, p99) in ms"""
    text = dnsperf(server, questions, "-l", str(seconds), "-Q", str(RATE), "-c", "4", "-v", prefix=prefix)
    return percentile(text, 0.5), percentile(text, 0.99)


def latency_row(found, priority):
    p50, p99 = (statistics.median(values) for values in zip(*found))
    return absolute(f"p99 at {RATE:,} questions/s, {priority} priority", p99, "ms", WANTED_P99_MS, f"p50 {p50:.2f}")


def speed_rows(server, questions, seconds, rounds):
    """Medians of rounds; real-time priority comes last, since it stays."""
    dnsperf(server, questions, "-n", "5")  # every name has been looked up
    wanted, most, usual = [], [], []
    for _ in range(rounds):
        wanted.append(at_wanted_rate(server, questions, seconds))
        most.append(flat_out(server, questions, seconds))
        usual.append(latencies(server, questions, seconds))
    answers, share, lost = (statistics.median(values) for values in zip(*wanted))
    yield Row(f"answers/s at {WANTED_RATE:,} questions/s", f"{answers:,.0f} /s ({share:.0%} of a core, {lost:.0f} lost)",
              limit=f"{WANTED_RATE:,} on one core", holds=answers >= 0.98 * WANTED_RATE and share < 1 and lost == 0)
    rate, cost = (statistics.median(values) for values in zip(*most))
    yield Row("answers/s as fast as dnsperf asks", f"{rate:,.0f} /s ({cost:.1f} us of CPU each)")
    yield latency_row(usual, "usual")
    if prefix := real_time(server):
        yield latency_row([latencies(server, questions, seconds, prefix) for _ in range(rounds)], "real-time")


class Memory:
    """A server that all names are looked up at; its rows are there a minute later."""

    def __init__(self, server, all_names):
        self.server, self.before, self.least = server, server.anon_mb(), server.descriptors()
        text = dnsperf(server, all_names, "-n", "1", "-c", "1", "-Q", str(NAME_RATE))
        self.answered, _ = answered_of(text)
        if self.answered < 0.99 * NAMES:
            raise LoadFailed(f"not all names were looked up:\n{text}")
        self.began = time.monotonic()
        self.after, self.most = server.anon_mb(), server.descriptors()

    def rows(self):
        time.sleep(max(0, IDLE_SECONDS - (time.monotonic() - self.began)))
        later = self.server.descriptors()
        yield absolute(f"RssAnon after {NAMES:,} names, with {SERVICES:,} watched services", self.after, "MB",
                       WANTED_ANON_MB, f"before {self.before:.1f}")
        yield absolute(f"RssAnon that {NAMES:,} names add", self.after - self.before, "MB", WANTED_ANON_MB)
        yield Row(f"descriptors that {NAMES:,} names open", f"{self.most - self.least} ({self.answered:,.0f} answered)",
                  limit=f"at most {LISTENERS:,}", holds=self.most - self.least <= LISTENERS + SPARE_DESCRIPTORS)
        yield Row("descriptors that are left a minute later", f"{later - self.least}", limit="none",
                  holds=later <= self.least + SPARE_DESCRIPTORS)


def measure(binary, folder, effort, print_progress):
    few = write_questions(folder / "few", [f"web.shop.{ZONE}", *list(names())[:100]])
    many = write_questions(folder / "many", names())
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(closing(Cluster(folder / "dns", "--scale", f"{SERVICES}:{SERVICES}")))
        memory = Memory(stack.enter_context(closing(Server(binary, cluster))), many)
        print_progress("DNS: answers and latencies")
        with closing(Server(binary, cluster)) as server:
            rows = list(speed_rows(server, few, max(2, round(effort.seconds)), effort.rounds))
        print_progress("DNS: what is left a minute later")
        return rows + list(memory.rows())
