"""Tests against a real Kubernetes: `cluster up`, then this very process moves
into its network, where the API server is and nothing else.

SPDX-License-Identifier: MIT
"""
import ctypes
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

pytest.register_assert_rewrite("real_programs")

from tunnel_process import BINARY, KubeTunnel, add_logs, clean_environment, eventually

CLUSTER = Path(__file__).with_name("cluster")
NETWORK = "/run/netns/" + os.environ.get("KUBE_LAB", "ktunnel-lab")
CLONE_NEWNET = 0x40000000

# The metrics that tests count with.
OPENED = "kube_tunnel_dials_total"
OPEN = "kube_tunnel_tunnels"
SESSIONS = "kube_tunnel_sessions"


def cannot_run():
    if os.getuid() != 0:
        return "a cluster needs root"
    if not os.access(BINARY, os.X_OK):
        return "not built: kube-tunnel"
    return None


def pytest_collection_modifyitems(items):
    why = cannot_run()
    if why and os.environ.get("CI") == "true":
        pytest.exit(f"cannot test on Kubernetes: {why}", returncode=3)
    if why:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    add_logs((yield).get_result())


LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE_NETWORK = os.open("/proc/self/ns/net", os.O_RDONLY)  # before any test enters the cluster's


def set_network(fd):
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def enter_network():
    fd = os.open(NETWORK, os.O_RDONLY)
    set_network(fd)
    os.close(fd)


def run_outside(command):
    """Runs in the machine's own network, since the cluster's cannot reach Debian's archive."""
    subprocess.run(command, check=True, preexec_fn=lambda: set_network(MACHINE_NETWORK))


class Cluster:
    def __init__(self):
        subprocess.run([CLUSTER, "up"], check=True, stdout=subprocess.DEVNULL)
        enter_network()

    def config(self, user="admin"):
        done = subprocess.run([CLUSTER, "config", user], check=True, capture_output=True, text=True)
        return Path(done.stdout.strip())

    def restart(self, component):
        subprocess.run([CLUSTER, "restart", component], check=True)

    def kubectl(self, *arguments, stdin=None, check=True):
        done = subprocess.run(["kubectl", "--kubeconfig", self.config(), *arguments], input=stdin,
                              capture_output=True, text=True, env=clean_environment(), timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "-f", "-", stdin=text)

    def pods(self, selector, namespace="shop"):
        """Names of the pods that are ready and not terminating."""
        found = json.loads(self.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))
        return {p["metadata"]["name"] for p in found["items"]
                if "deletionTimestamp" not in p["metadata"]
                and any(c["type"] == "Ready" and c["status"] == "True"
                        for c in p["status"].get("conditions", []))}

    def wait_for_pods(self, selector, count, namespace="shop", seconds=60):
        return eventually(lambda: len(p := self.pods(selector, namespace)) == count and p, seconds)


def under_way(tunnel, requests):
    """Waits until that many requests have come in, and gives them time to reach their pods."""
    eventually(lambda: tunnel.total(SESSIONS) > requests)  # this question is a session too
    time.sleep(0.5)


@pytest.fixture(scope="session")
def cluster():
    return Cluster()


@pytest.fixture
def start_tunnel(cluster, tmp_path):
    """start_tunnel(*flags, user="watcher", ready=True): is stopped after the test, which asserts a clean end."""
    running = []

    def start(*flags, user="watcher", kubeconfig=None, ready=True, **options):
        tunnel = KubeTunnel(*flags, kubeconfig=kubeconfig or cluster.config(user),
                            folder=tmp_path, **options)
        running.append(tunnel)
        return tunnel.start(ready)

    yield start
    for tunnel in running:
        tunnel.stop()


@pytest.fixture(scope="session")
def tunnel(cluster, tmp_path_factory):
    """A kube-tunnel that tests without special needs share."""
    tunnel = KubeTunnel(kubeconfig=cluster.config("watcher"),
                        folder=tmp_path_factory.mktemp("tunnel"))
    yield tunnel.start()
    tunnel.stop()


@pytest.fixture
def service(cluster):
    """service(name, port=80, target=8080, selector="web"): a Service in shop for one test."""
    made = []

    def make(name, port=80, target=8080, app="web"):
        cluster.apply({"apiVersion": "v1", "kind": "Service",
                       "metadata": {"name": name, "namespace": "shop"},
                       "spec": {"selector": {"app": app},
                                "ports": [{"port": port, "targetPort": target}]}})
        made.append(name)

    yield make
    for name in made:
        cluster.kubectl("delete", "service", name, "-n", "shop", "--ignore-not-found", "--wait=false")
