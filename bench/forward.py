"""kube-tunnel port-forward beside kubectl's, and beside kube-tunnel with an exposed port.

SPDX-License-Identifier: MIT
"""
import json
import statistics
import subprocess
import sys
from pathlib import Path

import measure
from contender import DOWNLOAD_FILE, KUBE_TUNNEL, KubeTunnel, Kubectl
from load import HOST, LoadFailed
from process import clean_environment, die_with_parent

PREFIX = "port-forward: "
STARTS = 5  # of each program in a round
TARGET = "service/web"
PROGRAM = Path(__file__).with_name("first_byte.py")


class PortForward(Kubectl):
    """The same command line as kubectl's."""

    name = "kube-tunnel port-forward"
    cold = False

    @staticmethod
    def missing(place):
        return KubeTunnel.missing(place)

    def run(self, port):
        return [KUBE_TUNNEL, "port-forward", "--kubeconfig", self.place.kubeconfig, "-n", "shop",
                "--address", "127.0.0.1", TARGET, f"{port}:80"]


class KubectlForward(Kubectl):
    cold = False


class Exposed(KubeTunnel):
    """`kube-tunnel run --expose`: the baseline where there is no kubectl."""

    cold = False
    exposed = "web.shop:80"

    def start(self):
        super().start()
        self.address = self.raw_address


def start(_effort, contender):
    if isinstance(contender, Exposed):
        return {}
    words = [sys.executable, PROGRAM, STARTS, HOST, *contender.run("")]
    done = subprocess.run([str(w) for w in contender.place.command(words)], capture_output=True, text=True,
                          timeout=120, env=clean_environment(), preexec_fn=die_with_parent)
    if done.returncode:
        raise LoadFailed(done.stderr[-500:])
    times = json.loads(done.stdout)
    after_start, after_line = (1000 * statistics.median(t[i] for t in times) for i in range(2))
    return {"start_ms": after_start, "line_ms": after_line, "done": STARTS, "failed": 0}


def one_at_a_time(effort, contender):
    return measure.requests(effort, contender, connections=1, fresh=True)


def download(effort, contender):
    """All bytes in a fixed time, also of a body that is incomplete at its end."""
    result = measure.for_a_time(effort, contender, patience="60s", path=f"/bytes?n={DOWNLOAD_FILE}")
    return measure.per_megabyte(result, "moved_in")


CONTENDERS = (PortForward, KubectlForward, Exposed)
LOADS = {f"{PREFIX}{name}": run for name, run in {
    "start": start,
    "new connections": one_at_a_time,
    "16 connections": measure.flat_out(16),
    "fixed rate": measure.paced,
    "download": download,
}.items()}
