"""Direct connections to pods' addresses, in a network namespace made for these tests.

      this machine 10.231.N.1 ---- 10.231.N.2 to .5, the pods (network namespace)

The pods have one port for each way to end a connection. What comes through a tunnel instead
is answered by a server on loopback, which names itself. SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from direct_pods import FIRST, HTTP, NOTHING, REPORT, RESET, SUM, Page
from tunnel_process import free_ports

# One of its own for each run: several may be under way on a machine.
SUBNET = f"10.231.{os.getpid() % 254 + 1}"
HERE = f"{SUBNET}.1"

ADDRESSES = [f"{SUBNET}.{n}" for n in range(2, 6)]
PODS_FILE = Path(__file__).with_name("direct_pods.py")

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")


# ---- the network ----

class Network:
    def __init__(self):
        self.name = f"ktdirect-{os.getpid()}"
        self.link = f"ktd{os.getpid() % 100000}"

    def ip(self, *words, inside=False):
        subprocess.run(["ip", *(("-n", self.name) if inside else ()), *words], check=True, capture_output=True)

    def __enter__(self):
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.ip("address", "add", f"{HERE}/24", "dev", self.link)
        self.ip("link", "set", self.link, "up")
        for address in ADDRESSES:
            self.ip("address", "add", f"{address}/24", "dev", "eth0", inside=True)
        self.ip("link", "set", "lo", "up", inside=True)
        self.ip("link", "set", "eth0", "up", inside=True)
        self.pods = subprocess.Popen(["ip", "netns", "exec", self.name, sys.executable, PODS_FILE, *ADDRESSES],
                                     stdout=subprocess.PIPE, text=True)
        assert self.pods.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.pods.kill()
        self.pods.wait()
        self.ip("netns", "delete", self.name)

    @contextlib.contextmanager
    def dropped(self, address):
        """What comes for this address disappears there."""
        rule = ["INPUT", "-d", address, "-j", "DROP"]
        run = ["ip", "netns", "exec", self.name, "iptables", "-w"]
        subprocess.run([*run, "-I", *rule], check=True)
        try:
            yield
        finally:
            subprocess.run([*run, "-D", *rule], check=True)


@pytest.fixture(scope="module")
def network():
    with Network() as network:
        yield network


# ---- the cluster ----

def pod(name, *ips, ns="net", **spec):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": ns, "uid": f"uid-of-{name}", "labels": {"app": name}},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": HTTP}]}], **spec},
            "status": {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def service(name, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "net"},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": HTTP}], **spec}}


def forged(name, address, target, uid=None):
    """What an account with the right to write EndpointSlices may write."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-1", "namespace": "net", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "nodeName": "n1",
                           "targetRef": {"kind": "Pod", "namespace": "net", "name": target,
                                         "uid": uid or f"uid-of-{target}"}}],
            "ports": [{"name": "http", "port": HTTP, "protocol": "TCP"}]}


def selecting(name):
    return service(name, selector={"app": name})


PODS = [pod("web", f"{SUBNET}.2"), pod("other", f"{SUBNET}.3"), pod("third", f"{SUBNET}.5"),
        pod("host", f"{SUBNET}.4", hostNetwork=True), pod("ours", HERE), pod("loop", "127.0.0.1")]
NAMES = [p["metadata"]["name"] for p in PODS]


@pytest.fixture
def cluster(network, start_playground, tmp_path):
    """cluster(*objects, flags=...): a playground with these pods, reached through tunnels at a
    server on loopback."""
    servers = []

    def start(*objects, flags=()):
        [port] = free_ports(1)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        manifest = tmp_path / "objects.json"
        items = [*PODS, *(selecting(name) for name in NAMES), *objects]
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return start_playground("--manifest", str(manifest), *flags, *(
            word for name in NAMES for word in ("--backend", f"{name}:{HTTP}=127.0.0.1:{port}")))

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


THROUGH_A_TUNNEL = "127.0.0.1\n"

AS_IN_A_POD = """
mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
cp "$1"/* /run/secrets/kubernetes.io/serviceaccount/ && shift && exec "$@"
"""


@pytest.fixture
def in_pod(start_tunnel, tmp_path):
    """in_pod(playground, *flags): a kube-tunnel with the service account of its pod."""
    def start(playground, *flags):
        folder = tmp_path / "account"
        folder.mkdir()
        ca = re.search(r"certificate-authority-data: (\S+)", playground.kubeconfig.read_text()).group(1)
        (folder / "ca.crt").write_bytes(base64.b64decode(ca))
        (folder / "token").write_text("playground")
        (folder / "namespace").write_text("home")
        return start_tunnel(*flags, kubeconfig=None, wrapper=["unshare", "-m", "sh", "-c", AS_IN_A_POD, "sh", folder],
                            environment={"KUBERNETES_SERVICE_HOST": "127.0.0.1",
                                         "KUBERNETES_SERVICE_PORT": str(playground.port)})
    return start


@pytest.fixture
def insisting(start_tunnel):
    """insisting(playground, *flags): one that uses no tunnels."""
    def start(playground, *flags):
        return start_tunnel("--upstream", "direct", "--wait", "0", *flags, kubeconfig=playground.kubeconfig)
    return start


def get(tunnel, name):
    return tunnel.get(f"{name}.net.svc", seconds=5)


def expose(port):
    """A listener for a port of the pod web."""
    return "--expose", f"web.net.pod:{port}=127.0.0.1:0"


def connect(tunnel, seconds=5):
    """To the port that `expose` has exposed."""
    port = tunnel.wait_for_log(r"listening address=\"?127\.0\.0\.1:(\d+)\"? exposes=").group(1)
    return socket.create_connection(("127.0.0.1", int(port)), seconds)


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(4096), b""))


# ---- where connections go ----

def test_in_a_pod_connections_go_to_the_pods_addresses(cluster, in_pod):
    tunnel = in_pod(cluster())
    for _ in range(3):
        assert get(tunnel, "web").text == f"{SUBNET}.2\n"
    tunnel.wait_for_log(r"request .*pod=web direct=d1 reused=yes")
    assert tunnel.metrics()['kube_tunnel_direct_connections_total{outcome="connected"}'] == 1
    assert tunnel.total("kube_tunnel_tunnels") == 0


def test_outside_a_pod_connections_go_through_tunnels(cluster, start_tunnel):
    tunnel = start_tunnel(kubeconfig=cluster().kubeconfig)
    assert get(tunnel, "web").text == THROUGH_A_TUNNEL
    assert tunnel.total("kube_tunnel_direct_connections_total") == 0


def test_in_a_pod_tunnel_insists_on_tunnels(cluster, in_pod):
    assert get(in_pod(cluster(), "--upstream", "tunnel"), "web").text == THROUGH_A_TUNNEL


def test_direct_insists_on_direct_connections(cluster, insisting):
    tunnel = insisting(cluster())
    assert get(tunnel, "web").text == f"{SUBNET}.2\n"
    refused = get(tunnel, "host")
    assert refused.status == 502 and "uses its node's network" in refused.text, refused
    assert tunnel.total("kube_tunnel_tunnels") == 0


# ---- which addresses ----

FORGED = {
    "foreign": ("another pod's address", f"{SUBNET}.3", "web", None, 502),
    "node": ("an address of no pod", f"{SUBNET}.4", "web", None, 502),
    "loopback": ("this machine's loopback", "127.0.0.1", "web", None, 502),
    "metadata": ("the cloud's metadata service", "169.254.169.254", "web", None, 502),
    "stale": ("a pod of that name with another UID", f"{SUBNET}.2", "web", "uid-of-another", 503),
}


@pytest.mark.parametrize("name", FORGED)
def test_no_endpointslice_chooses_an_address(cluster, insisting, name):
    what, address, target, uid, status = FORGED[name]
    tunnel = insisting(cluster(service(name), forged(name, address, target, uid)))
    said = get(tunnel, name)
    assert said.status == status, (what, said)
    assert tunnel.metrics()['kube_tunnel_direct_connections_total{outcome="not_allowed"}'] >= 1
    assert tunnel.metrics()['kube_tunnel_direct_connections_total{outcome="connected"}'] == 0


@pytest.mark.parametrize("name", ["ours", "loop", "host"])
def test_addresses_of_this_machine_and_of_nodes_are_not_connected_to(cluster, insisting, name):
    tunnel = insisting(cluster())
    assert get(tunnel, name).status == 502
    assert tunnel.metrics()['kube_tunnel_direct_connections_total{outcome="not_allowed"}'] >= 1


def test_in_a_pod_a_tunnel_takes_the_place_of_what_is_not_allowed(cluster, in_pod):
    tunnel = in_pod(cluster())
    assert get(tunnel, "host").text == THROUGH_A_TUNNEL
    assert get(tunnel, "web").text == f"{SUBNET}.2\n"


def test_closed_namespaces_are_closed_to_direct_connections(cluster, insisting):
    tunnel = insisting(cluster(), "--deny-namespace", "net")
    assert get(tunnel, "web").status == 403
    assert tunnel.total("kube_tunnel_direct_connections_total") == 0


def test_tunnels_are_used_where_pods_may_not_be_read(cluster, in_pod):
    playground = cluster(flags=("--rights", "none", *(
        word for grant in ("list services * *", "watch services * *", "list endpointslices * *",
                           "watch endpointslices * *", "create pods/portforward * *")
        for word in ("--grant", grant))))
    tunnel = in_pod(playground)
    began = time.monotonic()
    assert get(tunnel, "web").text == THROUGH_A_TUNNEL
    assert time.monotonic() - began < 1
    assert get(tunnel, "other").text == THROUGH_A_TUNNEL
    tunnel.wait_for_log("no direct connection: a tunnel is used .*pods")


# ---- packets that are dropped ----

@pytest.mark.parametrize("before", [0, 1], ids=["first connection", "idle connection"])
def test_dropped_packets_are_noticed_within_a_second(cluster, in_pod, network, before):
    tunnel = in_pod(cluster())
    get(tunnel, "other")
    for _ in range(before):
        assert get(tunnel, "web").text == f"{SUBNET}.2\n"
    with network.dropped(f"{SUBNET}.2"):
        began = time.monotonic()
        assert get(tunnel, "web").text == THROUGH_A_TUNNEL
        assert time.monotonic() - began < 1
        began = time.monotonic()
        assert get(tunnel, "web").text == THROUGH_A_TUNNEL
        assert time.monotonic() - began < 0.25
        assert get(tunnel, "other").text == f"{SUBNET}.3\n", "its node was reached a moment ago"


def test_a_node_that_does_not_answer_is_left_alone(cluster, in_pod, network):
    tunnel = in_pod(cluster())
    with network.dropped(f"{SUBNET}.2"):
        assert get(tunnel, "web").text == THROUGH_A_TUNNEL
    assert get(tunnel, "other").text == THROUGH_A_TUNNEL
    assert tunnel.metrics()['kube_tunnel_direct_connections_total{outcome="unreachable"}'] == 1


# ---- how connections end ----

def test_a_refusal_is_passed_on(cluster, insisting):
    tunnel = insisting(cluster(), *expose(NOTHING))
    with connect(tunnel) as client, pytest.raises(ConnectionResetError):
        assert client.recv(1)
        raise AssertionError("bytes of nobody")
    said = tunnel.get(f"web.net.pod:{NOTHING}")
    assert said.status == 502 and "refused" in said.text


def test_a_reset_of_the_pod_is_passed_on(cluster, insisting):
    with connect(insisting(cluster(), *expose(RESET))) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_the_end_of_the_client_is_passed_on_at_once(cluster, insisting):
    with connect(insisting(cluster(), *expose(SUM))) as client:
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"5 bytes"


def test_the_client_may_go_on_after_the_end_of_the_pod(cluster, insisting):
    tunnel = insisting(cluster(), *expose(FIRST))
    with connect(tunnel) as client:
        assert read_all(client) == b"bye"
        time.sleep(3)  # in a tunnel, what comes after two seconds is lost
        client.sendall(b"and another thing")
    time.sleep(0.2)
    with socket.create_connection((f"{SUBNET}.2", REPORT), 5) as asking:
        assert read_all(asking) == b"and another thing"
