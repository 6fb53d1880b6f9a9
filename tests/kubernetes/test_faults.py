"""What breaks while 200 requests a second go through, and what the clients see of it.

Each test prints its figures; the limits are those that were promised. SPDX-License-Identifier: MIT
"""
import contextlib
import http.client
import re
import subprocess
import threading
import time

import pytest
from faults_load import Load
from tunnel_process import clean_environment

BEFORE = 2  # seconds of load before and after the fault
AFTER = 3

# Levels of rights: watching, and the role of the first README, which may wait 3 s more.
PATIENCE = {"watcher": 0, "original": 3}
users = pytest.mark.parametrize("user", PATIENCE)


@pytest.fixture
def tell(capsys, request):
    """tell(figures): on the terminal, whatever pytest captures."""
    def print_it(*words):
        with capsys.disabled():
            print(f"\n  {request.node.name}:", *words, end="", flush=True)
    return print_it


@contextlib.contextmanager
def load_around(tunnel, **options):
    """Load before, during and after the block."""
    with Load(tunnel.port, **options) as load:
        time.sleep(BEFORE)
        yield load
        time.sleep(AFTER)


def roll(cluster):
    """A new set of pods, one after the other, as `kubectl rollout restart` does it."""
    cluster.kubectl("rollout", "restart", "deployment/web", "-n", "shop")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "shop", "--timeout=60s")
    cluster.wait_for_pods("app=web", 2)


class FreshForward:
    """How long it takes until a new kubectl port-forward works: the cluster's own outage."""

    def __init__(self, cluster):
        self.command = ["kubectl", "--kubeconfig", cluster.config(), "port-forward", "-n", "shop",
                        "deployment/web", ":8080"]
        self.began = time.monotonic()
        self.seconds = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while time.monotonic() < self.began + 60:
            if self.works():
                self.seconds = time.monotonic() - self.began
                return
            time.sleep(0.05)

    def works(self):
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, env=clean_environment()) as forward:
            try:
                port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
                return port is not None and self.answers(int(port.group(1)))
            finally:
                forward.kill()

    @staticmethod
    def answers(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait(self):
        self.thread.join(70)
        assert self.seconds, "no port-forward works any more"
        return self.seconds


@users
def test_a_rolling_restart(start_tunnel, cluster, tell, user):
    tunnel = start_tunnel(user=user)
    with load_around(tunnel) as load:
        roll(cluster)
    figures = load.figures()
    tell(figures)
    assert not figures.lost, figures.complaints()
    assert figures.p99 < 1.5 + PATIENCE[user]
    assert figures.longest < 3 + PATIENCE[user]


@users
def test_both_pods_deleted_at_once(start_tunnel, cluster, tell, user):
    tunnel = start_tunnel(user=user)
    old = cluster.pods("app=web")
    with load_around(tunnel) as load:
        began = time.monotonic()
        cluster.kubectl("delete", "pod", "-n", "shop", "--grace-period=1", "--wait=false", *old)
        cluster.kubectl("wait", "-n", "shop", "--for=condition=Available", "deployment/web",
                        "--timeout=5s", check=False)  # may still be true of the old ones
        while not cluster.pods("app=web") - old:
            time.sleep(0.05)
        outage = time.monotonic() - began
        cluster.wait_for_pods("app=web", 2)
    figures = load.figures()
    tell(f"one is ready after {outage:.2f} s;", figures)
    assert not figures.lost, figures.complaints()
    assert figures.longest < outage + 1 + PATIENCE[user]


@users
@pytest.mark.parametrize("component", ["apiserver", "kubelet", "containerd"])
def test_a_component_is_killed(start_tunnel, cluster, tell, component, user):
    tunnel = start_tunnel(user=user)
    with load_around(tunnel) as load:
        cluster.restart(component)
        outage = FreshForward(cluster).wait()
    figures = load.figures()
    tell(f"a fresh port-forward works after {outage:.2f} s;", figures)
    cluster.wait_for_pods("app=web", 2)
    assert not figures.lost, figures.complaints()
    assert figures.longest < outage + 1 + PATIENCE[user]
