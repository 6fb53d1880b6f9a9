"""kube-tunnel in a pod: with its service account, for other pods."""
import copy
import re
import subprocess

import pytest
from conftest import CLUSTER
from tunnel_process import BINARY, eventually

IMAGE = "localhost/ktunnel-test:1"
LABELS = {"app": "kube-tunnel"}


def libraries():
    """The shared libraries of the binary, by path."""
    done = subprocess.run(["ldd", BINARY], check=True, capture_output=True, text=True)
    return sorted(set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", done.stdout, re.M)))


POD = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "kube-tunnel", "namespace": "default", "labels": LABELS},
    "spec": {
        "serviceAccountName": "kube-tunnel",
        "terminationGracePeriodSeconds": 12,
        "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
                            "runAsUser": 65532, "runAsGroup": 65532, "runAsNonRoot": True},
        "containers": [{
            "name": "kube-tunnel", "image": IMAGE, "imagePullPolicy": "Never",
            "ports": [{"name": "http", "containerPort": 80}],
            "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
            "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]}},
        }],
    },
}

SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-tunnel", "namespace": "default"},
    "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": "http"}]},
}


@pytest.fixture(scope="module")
def address(cluster):
    """The cluster IP of kube-tunnel's own Service."""
    files = [f"/kube-tunnel={BINARY}", *(f"{path}={path}" for path in libraries())]
    subprocess.run([CLUSTER, "image", IMAGE, *files, "--", "/kube-tunnel"], check=True)
    cluster.apply(POD, SERVICE)
    try:
        eventually(lambda: "kube-tunnel" in cluster.pods("app=kube-tunnel", "default"), 30)
        ip = cluster.kubectl("get", "service", "kube-tunnel", "-n", "default",
                             "-o", "jsonpath={.spec.clusterIP}")
        # After an API server that was killed, kube-proxy may look again half a minute later only.
        eventually(lambda: try_from_a_pod(cluster, f"http://{ip}/healthz"), 60)
        yield ip
    finally:
        cluster.kubectl("delete", "pod,service", "kube-tunnel", "-n", "default", "--ignore-not-found",
                        "--force", "--grace-period=0")


def try_from_a_pod(cluster, url, host=None):
    """The response that a pod of the cluster gets; empty if there is none."""
    return cluster.kubectl("exec", "-n", "shop", "db-0", "--", "/pod", "get", url,
                           *([host] if host else []), check=False)


def from_a_pod(cluster, url, host=None):
    return eventually(lambda: try_from_a_pod(cluster, url, host))


def test_another_pod_reaches_services_by_the_host_header(cluster, address):
    response = from_a_pod(cluster, f"http://{address}/in", "web.shop.svc.cluster.local")
    assert response.startswith("200"), response
    assert "host web.shop.svc.cluster.local path /in" in response


def test_the_original_rights_are_enough(cluster, address):
    for name in ("web.other.svc.cluster.local", "db-1.db.shop.svc.cluster.local"):
        assert from_a_pod(cluster, f"http://{address}/", name).startswith("200")


def test_our_own_name_does_not_loop(cluster, address):
    response = from_a_pod(cluster, f"http://{address}/healthz", "kube-tunnel.default.svc.cluster.local")
    assert response.startswith("200"), response


@pytest.fixture
def second_replica(cluster, address):
    """Another pod of the Service, which knows only its host name about itself. Yields both addresses."""
    pod = copy.deepcopy(POD)
    pod["metadata"]["name"] = "kube-tunnel-1"
    cluster.apply(pod)
    try:
        eventually(lambda: "kube-tunnel-1" in cluster.pods("app=kube-tunnel", "default"), 30)
        yield [cluster.kubectl("get", "pod", name, "-n", "default", "-o", "jsonpath={.status.podIP}")
               for name in ("kube-tunnel", "kube-tunnel-1")]
    finally:
        cluster.kubectl("delete", "pod", "kube-tunnel-1", "-n", "default", "--force", "--grace-period=0")


def test_two_replicas_do_not_forward_to_each_other(cluster, second_replica):
    """A request for the Service is answered by either replica, one for a replica's address by that one."""
    names = ["kube-tunnel.default.svc.cluster.local", "kube-tunnel.default.pod", "kube-tunnel-1.default.pod",
             *(ip.replace(".", "-") + ".default.pod" for ip in second_replica)]
    for ip in second_replica:
        for name in names:
            response = from_a_pod(cluster, f"http://{ip}/healthz", name)
            assert response.startswith("200"), (name, response)
    hops = [line for pod in ("kube-tunnel", "kube-tunnel-1") for line in cluster.kubectl(
        "logs", "-n", "default", pod).splitlines() if " request " in line and " pod=kube-tunnel" in line]
    assert 1 <= len(hops) <= len(names) * len(second_replica), hops


def test_it_ends_cleanly_with_its_pod(cluster, address):
    log = cluster.kubectl("logs", "-n", "default", "kube-tunnel")
    assert "listening" in log
