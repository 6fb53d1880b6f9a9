"""script/bench status: how fast commands that ask a running kube-tunnel answer, with 10,000 services.

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
from contender import KUBE_TUNNEL
from process import clean_environment
from rows import absolute

MOST_MS = 30
COMMANDS = {
    "status": ["status"],
    "status -o name": ["status", "-o", "name"],
    "explain": ["explain", "web.shop"],
    "completion of a service": ["__complete", "bash", "--", "explain", "web"],
    "completion of all services": ["__complete", "bash", "--", "explain", ""],
}
RUNS = 25


def milliseconds_of(command, environment):
    begun = time.monotonic()
    subprocess.run([KUBE_TUNNEL, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.monotonic() - begun)


def measure(folder, print_progress):
    """Rows. The commands alternate, so that the machine's load hits them all."""
    print_progress(f"commands with {scale.SERVICES:,} services")
    runtime = tempfile.mkdtemp(prefix="ktun-")
    flags = ["--scale", f"{scale.SERVICES}:{scale.ENDPOINTS}"]
    os.environ["XDG_RUNTIME_DIR"] = runtime
    try:
        with contextlib.closing(scale.Cluster(folder / "scale", *flags)) as cluster, \
                contextlib.closing(scale.Tunnel(KUBE_TUNNEL, cluster)) as tunnel:
            tunnel.loaded()
            time.sleep(5)
            tunnel.first_200()
            environment = clean_environment(HOME=str(folder), XDG_RUNTIME_DIR=runtime,
                                            KUBECONFIG=str(cluster.kubeconfig))
            found = {name: [] for name in COMMANDS}
            for _ in range(RUNS):
                for name, command in COMMANDS.items():
                    found[name].append(milliseconds_of(command, environment))
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        shutil.rmtree(Path(runtime), ignore_errors=True)
    return [absolute(f"{name}, {scale.SERVICES:,} services", statistics.median(times), "ms", MOST_MS,
                     f"slowest tenth {sorted(times)[len(times) * 9 // 10]:.1f}") for name, times in found.items()]
