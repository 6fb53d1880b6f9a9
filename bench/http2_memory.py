"""The memory of many gRPC streams at once, on the playground.

SPDX-License-Identifier: MIT
"""
import contextlib
import subprocess
import sys
import time
from pathlib import Path

from contender import KubeTunnel
from http2_pods import STREAMS_SERVICE, host_of
from process import Process, clean_environment, die_with_parent, memory_kib

PROGRAM = Path(__file__).with_name("streams.py")
COUNT = 1000
BUDGET_KIB = 64 << 10  # --buffer-memory
STREAM_KIB = 16  # of each stream, besides what is buffered


class Budgeted(KubeTunnel):
    """A kube-tunnel that may buffer little; its memory is read from its beginning."""

    def __init__(self, place, folder):
        super().__init__(place, folder, options=(f"--buffer-memory={BUDGET_KIB}KiB",))

    def log(self):
        return self.folder / f"{self.place.name}-streams.log"


def missing():
    done = subprocess.run([sys.executable, "-c", "import grpc"], capture_output=True, timeout=60)
    return None if done.returncode == 0 else "python3-grpcio is not installed"


@contextlib.contextmanager
def open_streams(contender, method, count):
    """Streams whose heads have come; yields their program."""
    words = [sys.executable, PROGRAM, "open", contender.address, host_of(contender.place, STREAMS_SERVICE), method,
             count]
    child = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             env=clean_environment(), preexec_fn=die_with_parent)
    try:
        if child.stdout.readline() != "open\n":
            raise RuntimeError(f"streams of {method} were not opened")
        yield child
    finally:
        child.kill()
        child.communicate()


def ended(child):
    """How many of the streams have ended by themselves."""
    out, _ = child.communicate("", timeout=60)
    return int(out)


def anon_kib(contender):
    return memory_kib(contender.pids())["RssAnon"]


def highest_kib(contender, seconds):
    """Of what is read ten times a second."""
    found, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        found = max(found, anon_kib(contender))
        time.sleep(0.1)
    return found


def streams(method, seconds):
    def measure(_effort, contender):
        """In a new process, which has carried one stream before."""
        place, folder = contender.place, contender.folder
        if place.name != "playground" or missing():
            return {}
        with contextlib.ExitStack() as stack:
            server = Process([sys.executable, PROGRAM, "serve", place.http2_pods.streams], folder / "streams.log")
            stack.callback(server.stop)
            server.wait_for_output("^ready")
            tunnel = stack.enter_context(contextlib.closing(Budgeted(place, folder))).open()
            with open_streams(tunnel, "Idle", 1):
                before = anon_kib(tunnel)
            child = stack.enter_context(open_streams(tunnel, method, COUNT))
            grown = highest_kib(tunnel, seconds) - before
            gone = ended(child)
        return {"grown_kib": grown, "each_kib": grown / COUNT, "ended": gone, "done": COUNT,
                "failed": gone if method == "Idle" else 0}
    return measure


LOADS = {
    "HTTP/2: 1,000 idle streams": streams("Idle", 3),
    "HTTP/2: 1,000 unread streams": streams("Flood", 10),
}
