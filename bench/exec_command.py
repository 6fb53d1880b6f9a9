"""How long `kube-tunnel exec -- true` takes over a running kube-tunnel.

SPDX-License-Identifier: MIT
"""
import contextlib
import os
import statistics
import subprocess
import time

import table
from load import ROOT
from place import Playground
from process import clean_environment

KUBE_TUNNEL = os.environ.get("KUBE_TUNNEL", str(ROOT / "build" / "kube-tunnel"))
LIMIT_MS = 40


def seconds_of(words, environment):
    begin = time.monotonic()
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure(folder, runs):
    """Milliseconds of exec -- true and of true alone, sorted."""
    with contextlib.closing(Playground(folder)) as place:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        environment = clean_environment(HOME=str(folder), XDG_RUNTIME_DIR=str(runtime),
                                        KUBECONFIG=str(place.kubeconfig))
        running = subprocess.Popen([KUBE_TUNNEL, "run", "--listen", "127.0.0.1:0", "--tls-port", "0"],
                                   env=environment, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not (runtime / "kube-tunnel" / "default.sock").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1)  # the services are loaded
            found = {words: sorted(seconds_of(words, environment) * 1000 for _ in range(runs))
                     for words in ((KUBE_TUNNEL, "exec", "--", "true"), ("true",))}
        finally:
            running.terminate()
            running.wait()
    return list(found.values())


def table_of(found):
    rows = [(what, f"{statistics.median(ms):.1f} ms", f"{ms[len(ms) * 9 // 10]:.1f} ms",
             f"at most {LIMIT_MS} ms" if what != "true" else "")
            for what, ms in zip(("kube-tunnel exec -- true", "true"), found)]
    return table.markdown(("command", "median", "slowest tenth", "target"), rows)
