"""Facts about machine and time, recorded with each result.

SPDX-License-Identifier: MIT
"""
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from contender import KUBE_TUNNEL
from http2_pods import NGINX
from place import KUBECTL


def first_match(text, pattern):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""


def busy_ticks():
    """(busy, all) of the whole machine so far."""
    user, nice, system, idle, wait, *rest = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + wait


def background(seconds=1.5):
    """The share of the machine that other processes use."""
    before = busy_ticks()
    time.sleep(seconds)
    busy, total = (a - b for a, b in zip(busy_ticks(), before))
    return busy / max(1, total)


def tcp_memory():
    """The share of what the kernel may use for TCP. Above its limit packets are dropped, also on loopback,
    and all that is measured are timers."""
    used = int(first_match(Path("/proc/net/sockstat").read_text(), r"^TCP:.* mem (\d+)"))
    return used / int(Path("/proc/sys/net/ipv4/tcp_mem").read_text().split()[2])


def load():
    """As the kernel averages it, and the cores that it is shared by."""
    averages = " ".join(Path("/proc/loadavg").read_text().split()[:3])
    return f"{averages} ({os.cpu_count()} cores, {background():.0%} busy; TCP memory {tcp_memory():.0%})"


def version():
    return output_of(KUBE_TUNNEL, "version").strip() or "kube-tunnel is not built"


def facts():
    cpu = first_match(Path("/proc/cpuinfo").read_text(), r"^model name\s*:(.*)$")
    memory = int(first_match(Path("/proc/meminfo").read_text(), r"^MemTotal:\s+(\d+)"))
    return {
        "CPU": f"{os.cpu_count()} x {cpu}",
        "memory": f"{memory / 1048576:.0f} GiB",
        "kernel": platform.release(),
        "kubectl": first_match(output_of(KUBECTL, "version", "--client"), r"^Client Version: (.*)"),
        "nginx": first_match(output_of(NGINX, "-v"), r"nginx/(\S+)") if NGINX else "not installed",
    }
