"""Where measurements are made: the playground, or the project's real cluster.

A place has the way to run a command there, the kubeconfig, and
the processes of the cluster. Each also exists at 50 ms distance. SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess
from pathlib import Path

from http2_pods import NGINX, GoPods, NginxPods
from load import ROOT
from process import Process, clean_environment, family, in_network

PLAYGROUND = Path(os.environ.get("KUBE_PLAYGROUND", ROOT / "build" / "kube-playground"))
CLUSTER = ROOT / "tests" / "kubernetes" / "cluster"
RELAY = Path(os.environ.get("BENCH_DISTANCE", ROOT / "build" / "bench" / "bench-distance"))
KUBECTL = os.environ.get("KUBECTL", "kubectl")
CHAIN = {"kube-apiserver", "kubelet", "containerd"}  # what each byte goes through
SHIMS = {"containerd-shim"}  # beside it, one for each pod; as the kernel abbreviates them
HTTP_PORT, RAW_PORT = 8080, 9000  # of the pods


def at_home(folder):
    """A prefix for commands: HOME in this folder, so that settings and caches are not the user's."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return ["env", f"HOME={home}", f"XDG_CONFIG_HOME={home}", f"XDG_CACHE_HOME={home}/cache"]


def first_pod(text):
    """The first pod of kubectl's list, which is the same in every run."""
    running = [p for p in json.loads(text)["items"] if p["status"]["phase"] == "Running"]
    return min(running, key=lambda p: p["metadata"]["name"])


LIST_PODS = ("get", "pods", "-n", "shop", "-l", "app=web", "-o", "json")


class Playground:
    name = option = "playground"
    title = "playground"

    @staticmethod
    def missing():
        return None if os.access(PLAYGROUND, os.X_OK) else "kube-playground is not built"

    def __init__(self, folder):
        self.home = at_home(folder)
        self.kubeconfig = folder / "playground.conf"
        self.http2_pods = NginxPods(folder) if NGINX else None
        flags = self.http2_pods.flags() if self.http2_pods else []
        self.process = Process([PLAYGROUND, "--kubeconfig-out", self.kubeconfig, *flags],
                               folder / "playground.log")
        try:
            self.process.wait_for_output("^ready")
        except BaseException:
            self.close()
            raise
        self.pod_address = self.raw_address = None  # its pods exist only behind its API server
        self.pod_name = self.find_pod()

    def find_pod(self):
        """The name of a pod, for programs that forward to a pod only; None without kubectl."""
        try:
            done = subprocess.run(self.command([KUBECTL, "--kubeconfig", self.kubeconfig,
                                                *LIST_PODS]),
                                  capture_output=True, text=True, timeout=20,
                                  env=clean_environment())
        except OSError:
            return None
        return first_pod(done.stdout)["metadata"]["name"] if done.returncode == 0 else None

    def command(self, words):
        return [*self.home, *words]

    def chain(self):
        return family(self.process.child.pid)

    @staticmethod
    def shims():
        return []

    def close(self):
        self.process.stop()
        if self.http2_pods:
            self.http2_pods.close()


def cluster(*words, seconds=60, stdin=None):
    done = subprocess.run([CLUSTER, *words], capture_output=True, text=True, timeout=seconds, input=stdin,
                          env=clean_environment())
    return done.stdout.strip() if done.returncode == 0 else None


class Kubernetes:
    name = option = "kubernetes"

    @staticmethod
    def missing():
        return None if os.getuid() == 0 else "the real cluster needs root"

    def __init__(self, folder):
        self.home = at_home(folder)
        self.was_up = cluster("status") is not None
        if not self.was_up and cluster("up", seconds=1800) is None:
            raise RuntimeError("the cluster does not come up: tests/kubernetes/cluster up")
        self.kubeconfig = cluster("config", "watcher")
        self.network = cluster("run", "readlink", "/proc/self/ns/net")
        pod = first_pod(self.kubectl(*LIST_PODS))
        self.pod_name = pod["metadata"]["name"]
        self.pod_address = f"{pod['status']['podIP']}:{HTTP_PORT}"
        self.raw_address = f"{pod['status']['podIP']}:{RAW_PORT}"
        self.title = f"Kubernetes {self.version()}"
        self.http2_pods = GoPods(self.kubectl)

    def kubectl(self, *words, stdin=None):
        return cluster("run", "kubectl", *words, stdin=stdin)

    def version(self):
        return json.loads(self.kubectl("get", "--raw", "/version"))["gitVersion"].lstrip("v")

    def command(self, words):
        return [CLUSTER, "run", *self.home, *words]

    def chain(self):
        return in_network(self.network, CHAIN)

    def shims(self):
        return in_network(self.network, SHIMS)

    def close(self):
        self.http2_pods.close()
        if not self.was_up:
            cluster("down")


def server_of(kubeconfig):
    """The address and port of its only cluster's API server."""
    return re.search(r"^\s*server: https://([\d.]+:\d+)", kubeconfig, re.MULTILINE).group(1)


class Away:
    """A mixin for places: a relay delays all bytes to and from the API server."""

    def __init__(self, folder):
        super().__init__(folder)
        kubeconfig = Path(self.kubeconfig).read_text()
        server = server_of(kubeconfig)
        self.relay = Process(self.command([RELAY, server]), folder / f"{self.name}-relay.log")
        try:
            address = self.relay.wait_for_output(r"^ready (\S+)$").group(1)
        except BaseException:
            self.relay.stop()
            super().close()
            raise
        self.kubeconfig = folder / f"{self.name}-away.conf"
        self.kubeconfig.write_text(kubeconfig.replace(server, address))

    def close(self):
        self.relay.stop()
        super().close()


class PlaygroundAway(Away, Playground):
    name = "playground-away"
    title = "playground, 50 ms away"


class KubernetesAway(Away, Kubernetes):
    name = "kubernetes-away"

    def __init__(self, folder):
        super().__init__(folder)
        self.title += ", 50 ms away"


PLACES = {place.name: place for place in (Playground, Kubernetes, PlaygroundAway, KubernetesAway)}
