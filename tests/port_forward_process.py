"""A running port-forward, of kube-tunnel or of kubectl: what it prints, and how it ends.

Used by tests/system (on the playground) and tests/kubernetes (on a real cluster). SPDX-License-Identifier: MIT
"""
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tunnel_process import BINARY, clean_environment, curl, eventually

OURS = (BINARY, "port-forward")
KUBECTL = ("kubectl", "port-forward")


class PortForward:
    def __init__(self, *arguments, program=OURS, kubeconfig=None, environment=None, input=None):
        """input: of standard input; a pipe, a socket or a file."""
        self.folder = tempfile.TemporaryDirectory()
        self.paths = [Path(self.folder.name, name) for name in ("out", "err")]
        home = {"HOME": self.folder.name, "XDG_CONFIG_HOME": self.folder.name}
        if kubeconfig:
            home["KUBECONFIG"] = str(kubeconfig)
        with open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as err:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                [*map(str, program), *map(str, arguments)], stdin=input or subprocess.DEVNULL, stdout=out, stderr=err,
                env=clean_environment(**home, **(environment or {})))

    @property
    def out(self):
        return self.paths[0].read_text(errors="replace")

    @property
    def err(self):
        return self.paths[1].read_text(errors="replace")

    def wait_for(self, text, seconds=10, where="out"):
        eventually(lambda: text in getattr(self, where) or self.process.poll() is not None, seconds, pause=0.005)
        assert text in getattr(self, where), (self.out, self.err, self.process.poll())
        return self

    def ports(self, count):
        """The local ports, once so many lines tell of one; localhost has two lines for each."""
        lines = eventually(lambda: len(found := self.forwarding()) >= count and found, pause=0.005)
        return [int(line.split(" -> ")[0].rpartition(":")[2]) for line in lines]

    def forwarding(self):
        return [line for line in self.out.splitlines() if line.startswith("Forwarding from ")]

    def get(self, port, path="/", seconds=10):
        return curl(f"http://127.0.0.1:{port}{path}", seconds=seconds)

    def stop(self, number=signal.SIGINT):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(10)

    def ends(self, seconds=10):
        return self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()
