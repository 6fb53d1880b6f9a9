"""The soak test: random faults of all kinds, under load. SPDX-License-Identifier: MIT"""
import collections
import contextlib
import json
import os
import random
import re
import socket
import time

from faults_load import Load, SlowReader
from tunnel_process import eventually

PAUSE = (1, 4)  # seconds between faults


def api_server_dies(cluster):
    """Kills the API server and does not wait for its return. Then controllers and scheduler are restarted:
    they may take a minute to see pods again, and that is not tested here."""
    cluster.restart("apiserver")
    cluster.blind = True


def whole_again(cluster):
    """Waits until web has two pods, and EndpointSlices list them."""
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", 30)
    if getattr(cluster, "blind", False):
        cluster.restart("controller-manager")
        cluster.restart("scheduler")
        cluster.blind = False
    # Controllers whose leases and watches broke may take minutes to make a pod anew.
    cluster.wait_for_pods("app=web", 2, seconds=180)
    eventually(lambda: known(cluster) == cluster.pods("app=web"), 180)


def known(cluster):
    """The ready endpoints of web, by its EndpointSlices."""
    slices = json.loads(cluster.kubectl("get", "endpointslices", "-n", "shop", "-o", "json",
                                        "-l", "kubernetes.io/service-name=web"))
    return {e["targetRef"]["name"] for s in slices["items"] for e in s["endpoints"] or ()
            if e["conditions"].get("ready")}


class Faults:
    """The faults. Each method is one, and returns when the cluster has recovered."""

    def __init__(self, cluster, tunnel, stuck_port, seed):
        self.cluster, self.tunnel, self.stuck_port = cluster, tunnel, stuck_port
        self.random = random.Random(seed)
        self.done = []

    def one(self):
        names = sorted(n for n in dir(self) if n.startswith("fault_"))
        name = self.random.choice(names)
        self.done.append(name.removeprefix("fault_"))
        getattr(self, name)()
        whole_again(self.cluster)
        time.sleep(self.random.uniform(*PAUSE))

    def delete(self, pods, grace):
        self.cluster.kubectl("delete", "pod", "-n", "shop", f"--grace-period={grace}", "--wait=false", *pods)
        eventually(lambda: not set(pods) & self.cluster.pods("app=web"), 20)

    def fault_rolling_restart(self):
        self.cluster.kubectl("rollout", "restart", "deployment/web", "-n", "shop")
        # How long it takes is the lab's matter: whole_again waits for the rest.
        self.cluster.kubectl("rollout", "status", "deployment/web", "-n", "shop", "--timeout=60s", check=False)

    def fault_one_pod_deleted(self):
        self.delete([self.random.choice(sorted(self.cluster.pods("app=web")))], 1)

    def fault_both_pods_deleted(self):
        self.delete(sorted(self.cluster.pods("app=web")), 1)

    def fault_apiserver_killed(self):
        api_server_dies(self.cluster)

    def fault_kubelet_killed(self):
        self.cluster.restart("kubelet")

    def fault_containerd_killed(self):
        self.cluster.restart("containerd")

    def fault_refused_connections(self):
        for _ in range(10):
            self.tunnel.get("closed.shop.svc")

    def fault_stuck_uploads(self):
        sockets = []
        for _ in range(10):
            s = socket.create_connection(("127.0.0.1", self.stuck_port))
            s.setblocking(False)
            sockets.append(s)
        for _ in range(20):
            for s in sockets:
                with contextlib.suppress(OSError):
                    s.send(bytes(65536))
            time.sleep(0.1)
        for s in sockets:
            s.close()

    def fault_slow_readers(self):
        readers = [SlowReader(self.tunnel.port) for _ in range(20)]
        time.sleep(2)
        for reader in readers:
            reader.socket.close()

    def fault_clients_vanish(self):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.tunnel.port)) as s:
                s.sendall(b"POST /upload HTTP/1.1\r\nHost: web.shop.svc\r\nContent-Length: 1000000\r\n\r\nbegun")


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def reasons(lost):
    """The error messages of lost requests, without names and numbers, with counts."""
    def reason(request):
        text = request.error or f"{request.status} {request.body[:200].decode(errors='replace')}"
        return re.sub(r"\S*\d\S*", "*", " ".join(text.split()))[:160]
    return collections.Counter(map(reason, lost)).most_common(10)


def unexplained(figures, log):
    """Lost requests without log lines: each needs one for the request, and one with the reason."""
    ended = dict(re.findall(r" (s\d+\.\d+) request .*? path=/\S*?(\d+) status=", log))
    exchange = {number: name for name, number in ended.items()}
    why = set(re.findall(r" (s\d+\.\d+) .* (?:why|reason)=", log))
    return [r for r in figures.lost if exchange.get(str(r.number)) not in why]


def soak(cluster, tunnel, stuck_port, seconds, seed, at_rest):
    """GETs and POSTs during the faults. at_rest() is called before and after, when all is idle."""
    faults = Faults(cluster, tunnel, stuck_port, seed)
    faults.fault_slow_readers()  # what memory it takes at worst is taken before the first look
    faults.fault_stuck_uploads()
    with Load(tunnel.port, rate=200):
        faults.fault_rolling_restart()
    first = at_rest()
    until = time.monotonic() + seconds
    with Load(tunnel.port, rate=100) as gets, Load(tunnel.port, rate=20, method="POST", path="/seen") as posts:
        while time.monotonic() < until:
            faults.one()
    return faults.done, gets.figures(), posts.figures(), first, at_rest()
