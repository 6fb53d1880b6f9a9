"""Child processes, which end with their parent at the latest,
whose CPU and memory are read from /proc. SPDX-License-Identifier: MIT
"""
import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
TICK = 1 / os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10

libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def clean_environment(**extra):
    """An environment without the caller's configuration, proxies and what OpenTelemetry reads."""
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("KTUN_", "OTEL_")) and k != "KUBECONFIG" and not k.lower().endswith("_proxy")}
    return {**kept, **extra}


def eventually(question, seconds, pause=0.05):
    """Calls until the result is true, and returns it; None at the time-out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(pause)
    return None


class Process:
    """A program in the background; its output goes to a file."""

    def __init__(self, command, output, **environment):
        self.command = [str(c) for c in command]
        self.output = Path(output)
        with open(self.output, "wb") as out:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, env=clean_environment(**environment),
                                          preexec_fn=die_with_parent)

    @property
    def alive(self):
        return self.child.poll() is None

    def wait_for_output(self, pattern, seconds=20):
        """Waits for a match in its output and returns it; an error if it ends or the time is over."""
        def look():
            found = re.search(pattern, self.output.read_text(errors="replace"), re.MULTILINE)
            return found or not self.alive
        found = eventually(look, seconds, pause=0.01)
        if not isinstance(found, re.Match):
            raise RuntimeError(f"{self.command[0]} never printed {pattern!r}:\n{self.tail()}")
        return found

    def tail(self, lines=20):
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        if self.alive:
            self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on (the second may hold anything)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def all_pids():
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def family(pid):
    """The process and all its descendants."""
    children = {}
    for p in all_pids():
        fields = stat_fields(p)
        if fields:
            children.setdefault(int(fields[1]), []).append(p)
    found = [pid]
    for p in found:
        found += children.get(p, [])
    return found


def cpu_seconds(pids):
    """User and system time, all threads, of each of these processes that still exists."""
    fields = {pid: stat_fields(pid) for pid in pids}
    return {pid: (int(f[11]) + int(f[12])) * TICK for pid, f in fields.items() if f}


def memory_kib(pids):
    """RssAnon and VmRSS, summed."""
    total = {"RssAnon": 0, "VmRSS": 0}
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        for name, value in re.findall(r"^(RssAnon|VmRSS):\s+(\d+) kB$", status, re.MULTILINE):
            total[name] += int(value)
    return total


def in_network(netns, names):
    """Processes of those names whose network namespace this is."""
    def fits(pid):
        try:
            return (Path(f"/proc/{pid}/comm").read_text().strip() in names
                    and os.readlink(f"/proc/{pid}/ns/net") == netns)
        except OSError:
            return False
    return [p for p in all_pids() if fits(p)]
