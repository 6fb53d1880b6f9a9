"""script/bench exec: how long `kube-tunnel exec -- true` takes over a running kube-tunnel.

SPDX-License-Identifier: MIT
"""
import contextlib
import os
import statistics
import subprocess
import time

from load import ROOT
from place import Playground
from process import clean_environment
from rows import Row, absolute

KUBE_TUNNEL = os.environ.get("KUBE_TUNNEL", str(ROOT / "build" / "kube-tunnel"))
RUNS = 60
LIMIT_MS = 40
EXEC, ALONE = (KUBE_TUNNEL, "exec", "--", "true"), ("true",)


def seconds_of(words, environment):
    begin = time.monotonic()
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


@contextlib.contextmanager
def running(place, folder):
    """A kube-tunnel whose services are loaded; yields the environment of its commands."""
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    environment = clean_environment(HOME=str(folder), XDG_RUNTIME_DIR=str(runtime),
                                    KUBECONFIG=str(place.kubeconfig))
    child = subprocess.Popen([KUBE_TUNNEL, "run", "--listen", "127.0.0.1:0", "--tls-port", "0"],
                             env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not (runtime / "kube-tunnel" / "default.sock").exists():
            if time.monotonic() > deadline:
                raise RuntimeError("kube-tunnel has not started")
            time.sleep(0.05)
        time.sleep(1)  # the services are loaded
        yield environment
    finally:
        child.terminate()
        child.wait()


def tenth(values):
    """What nine of ten do not exceed."""
    return sorted(values)[len(values) * 9 // 10]


def measure(folder):
    """Rows. The two commands alternate, so that the machine's load hits both."""
    found = {EXEC: [], ALONE: []}
    with contextlib.closing(Playground(folder)) as place, running(place, folder) as environment:
        seconds_of(EXEC, environment)
        for _ in range(RUNS):
            for words, times in found.items():
                times.append(1000 * seconds_of(words, environment))
    ours, alone = found[EXEC], found[ALONE]
    return [absolute(f"exec -- true, median of {RUNS} runs", statistics.median(ours), "ms", LIMIT_MS,
                     f"true alone {statistics.median(alone):.1f}"),
            Row("exec -- true, slowest tenth", f"{tenth(ours):.1f} ms ({tenth(alone):.1f})")]
