"""System tests: the real binary, with the playground for a cluster.

SPDX-License-Identifier: MIT
"""
import os
import re
import subprocess

import pytest

pytest.register_assert_rewrite("real_programs")

from http_client import Client
from scripted_pod import Pods
from tunnel_process import BINARY, PLAYGROUND, KubeTunnel, add_logs, clean_environment, curl, eventually

# Sanitizers make everything bigger and slower: figures are for the real thing.
SANITIZED = os.access(BINARY, os.R_OK) and b"__asan_init" in BINARY.read_bytes()


def pytest_collection_modifyitems(items):
    missing = [p.name for p in (BINARY, PLAYGROUND) if not os.access(p, os.X_OK)]
    if missing:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"not built: {' '.join(missing)}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    add_logs((yield).get_result())


class Playground:
    """A cluster in one process, with a kubeconfig to reach it."""

    def __init__(self, folder, *flags):
        self.kubeconfig = folder / "playground.kubeconfig"
        self.control = folder / "control"
        self.log_path = folder / "playground.log"
        out = folder / "playground.out"
        with open(self.log_path, "wb") as log, open(out, "wb") as said:
            self.process = subprocess.Popen(
                [PLAYGROUND, "--kubeconfig-out", self.kubeconfig, "--control", self.control, *flags],
                stdin=subprocess.DEVNULL, stdout=said, stderr=log, env=clean_environment())
        eventually(lambda: "ready" in out.read_text(), pause=0.02)
        self.server = re.search(r"ready (\S+)", out.read_text()).group(1)

    @property
    def port(self):
        return int(self.server.rpartition(":")[2])

    def api(self, path, *arguments):
        """A request to the API server, as its user."""
        return curl("-k", "-H", "Authorization: Bearer playground", *arguments, self.server + path)

    def order(self, *commands):
        """Make it misbehave: the commands are those of `help`."""
        answer = curl("--unix-socket", self.control, "--data-binary", "\n".join(commands),
                      "http://control/playground")
        assert answer.status == 200, answer
        return answer.text

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log_path.read_text(errors="replace")


@pytest.fixture
def start_playground(tmp_path_factory):
    """start_playground(*flags): a playground of the test's own."""
    running = []

    def start(*flags):
        running.append(Playground(tmp_path_factory.mktemp("playground"), *flags))
        return running[-1]

    yield start
    for playground in running:
        playground.stop()


@pytest.fixture(scope="session")
def pods():
    """The pods that tests play themselves; their playground needs pods.flags."""
    pods = Pods()
    yield pods
    pods.close()


@pytest.fixture
def pod(pods):
    """One of them, for this test alone: behind all the tunnels that know the shared playground."""
    return pods.take()


@pytest.fixture(scope="session")
def playground(tmp_path_factory, pods):
    """The playground all tests share; those that make it misbehave start their own."""
    playground = Playground(tmp_path_factory.mktemp("playground"), *pods.flags)
    yield playground
    playground.stop()


@pytest.fixture
def start_tunnel(tmp_path, playground):
    """start_tunnel(*flags, kubeconfig=..., ready=True): stopped, and its end judged, after the test."""
    running = []

    def start(*flags, kubeconfig=None, ready=True, **options):
        if kubeconfig is None and "wrapper" not in options:
            kubeconfig = playground.kubeconfig
        tunnel = KubeTunnel(*flags, kubeconfig=kubeconfig, folder=tmp_path, **options)
        running.append(tunnel)
        return tunnel.start(ready)

    yield start
    for tunnel in running:
        tunnel.stop()


@pytest.fixture
def start_both(start_playground, start_tunnel, pods):
    """start_both(*flags of the playground, tunnel=[flags]): the two of them."""
    def start(*flags, tunnel=(), ready=True):
        playground = start_playground(*flags)
        return playground, start_tunnel(*tunnel, kubeconfig=playground.kubeconfig, ready=ready)
    return start


@pytest.fixture(scope="session")
def tunnel(tmp_path_factory, playground):
    """The kube-tunnel of all tests that need nothing special."""
    tunnel = KubeTunnel(kubeconfig=playground.kubeconfig, folder=tmp_path_factory.mktemp("tunnel"))
    yield tunnel.start()
    tunnel.stop()


@pytest.fixture
def client(tunnel):
    """A connection to the tunnel of all tests."""
    with Client(tunnel.port) as client:
        yield client
