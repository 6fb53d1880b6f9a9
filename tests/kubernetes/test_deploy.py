"""deploy/: the image of the Dockerfile, with the unchanged manifests.

All objects get a suffix and a namespace of their own, so that the cluster's
existing role kube-tunnel is not changed. SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import CLUSTER, run_outside
from tunnel_process import ROOT, eventually

IMAGE = "localhost/kube-tunnel"
TAG = "test"
NAMESPACE = "kube-tunnel"
NAME = "kube-tunnel-test"
SELECTOR = "app=kube-tunnel"
WEB = "web.shop.svc.cluster.local"

NEIGHBOUR = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neighbour", "namespace": NAMESPACE},
    "spec": {"terminationGracePeriodSeconds": 0,
             "containers": [{"name": "pod", "image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never"}]},
}


def overlay(folder, base):
    """A kustomization of one in deploy/, with the image of this test and other names."""
    kustomization = {
        "resources": [os.path.relpath(ROOT / "deploy" / base, folder)],
        "nameSuffix": "-test",
        "images": [{"name": "kube-tunnel", "newName": IMAGE, "newTag": TAG}],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(
            [{"op": "add", "path": "/spec/template/spec/containers/0/imagePullPolicy", "value": "Never"}])}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def may(cluster, verb, thing):
    """Has the service account this right in all namespaces?"""
    answer = cluster.kubectl("auth", "can-i", verb, thing, "-A",
                             f"--as=system:serviceaccount:{NAMESPACE}:{NAME}", check=False)
    return answer.strip() == "yes"


def roll_out(cluster, folder, watches):
    """Applies the manifests, and restarts once the API server uses their rights."""
    cluster.kubectl("apply", "-k", folder)
    eventually(lambda: may(cluster, "watch", "services") == watches)
    cluster.kubectl("rollout", "restart", f"deployment/{NAME}", "-n", NAMESPACE)
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=60s")


@pytest.fixture(scope="module")
def deployed(cluster, tmp_path_factory):
    run_outside([Path(CLUSTER).with_name("image"), f"{IMAGE}:{TAG}"])
    folder = overlay(tmp_path_factory.mktemp("base"), "base")
    try:
        roll_out(cluster, folder, watches=True)
        cluster.apply(NEIGHBOUR)
        cluster.kubectl("wait", "--for=condition=Ready", "pod/neighbour", "-n", NAMESPACE, "--timeout=60s")
        yield
    finally:
        cluster.kubectl("delete", "-k", folder, "--ignore-not-found", "--timeout=60s")


def facts(cluster, kind, *more):
    return json.loads(cluster.kubectl("get", kind, "-n", NAMESPACE, "-o", "json", *more))


def service_address(cluster):
    return facts(cluster, f"service/{NAME}")["spec"]["clusterIP"]


def live_pods(cluster):
    return [p for p in facts(cluster, "pods", "-l", SELECTOR)["items"]
            if "deletionTimestamp" not in p["metadata"]]


def our_pod(cluster):
    [pod] = live_pods(cluster)
    return pod


def get_in_pod(cluster, address, host, path="/in"):
    """Status and body that another pod gets. Retries, since kube-proxy learns of a roll-out a moment later."""
    return eventually(lambda: cluster.kubectl("exec", "-n", NAMESPACE, "neighbour", "--", "/pod", "get",
                                              f"http://{address}{path}", host, check=False))


def requests_of(cluster, pod):
    """The log lines of the pod about requests that reached a pod."""
    lines = cluster.kubectl("logs", "-n", NAMESPACE, pod["metadata"]["name"]).splitlines()
    return [line for line in map(json.loads, lines) if line["msg"] == "request" and line["pod"]]


def last_request(cluster, host):
    def found():
        return [line for line in requests_of(cluster, our_pod(cluster)) if line["host"] == host]
    time.sleep(0.3)  # lines are gathered
    return eventually(found)[-1]


def address_of(cluster, pod):
    return cluster.kubectl("get", "pod", pod, "-n", "shop", "-o", "jsonpath={.status.podIP}")


@contextlib.contextmanager
def dropped(source, target):
    """Drops packets between the two, as a NetworkPolicy does."""
    rules = [["FORWARD", "-s", a, "-d", b, "-j", "DROP"] for a, b in ((source, target), (target, source))]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", *rule], check=True)


def log_of(cluster):
    return cluster.kubectl("logs", "-n", NAMESPACE, our_pod(cluster)["metadata"]["name"])


def test_requests_through_its_service_are_answered(cluster, deployed):
    response = get_in_pod(cluster, service_address(cluster), WEB)
    assert response.startswith("200") and f"host {WEB} path /in" in response, response


def test_requests_to_its_pod_address_are_answered(cluster, deployed):
    assert get_in_pod(cluster, our_pod(cluster)["status"]["podIP"], WEB).startswith("200")


def test_a_service_of_any_namespace_is_answered(cluster, deployed):
    for host in ("web.other.svc.cluster.local", "db-1.db.shop.svc.cluster.local"):
        assert get_in_pod(cluster, service_address(cluster), host).startswith("200")


def test_it_watches_with_the_recommended_rights(cluster, deployed):
    lines = [json.loads(line) for line in log_of(cluster).splitlines()]
    [rights] = [line for line in lines if line["msg"] == "rights found"]
    assert rights["rights"] == "watch"


def test_it_has_no_privilege(cluster, deployed):
    pod = our_pod(cluster)["metadata"]["name"]
    refused = cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", "/bin/sh", check=False)
    assert refused == "", "there is nothing but kube-tunnel in the image"
    for verb, thing in (("get", "secrets"), ("create", "pods/exec"), ("delete", "pods")):
        assert not may(cluster, verb, thing), (verb, thing)


def test_it_does_not_forward_to_itself(cluster, deployed):
    own = f"{NAME}.{NAMESPACE}.svc.cluster.local"
    response = get_in_pod(cluster, service_address(cluster), own)
    assert response.startswith("404") and "kube-tunnel itself" in response, response
    assert get_in_pod(cluster, service_address(cluster), own, "/healthz").startswith("200")


def test_connections_go_to_the_pods_own_addresses(cluster, deployed):
    for _ in range(3):
        assert get_in_pod(cluster, service_address(cluster), WEB).startswith("200")
        request = last_request(cluster, WEB)
        assert "direct" in request and "tunnel" not in request, request
    assert '"msg":"tunnel opened"' not in log_of(cluster)


def test_the_refusal_of_a_container_is_passed_on(cluster, deployed):
    host = "db-0.shop.pod.cluster.local:81"
    response = get_in_pod(cluster, service_address(cluster), host)
    assert response.startswith("502") and "refused" in response, response
    assert "direct" in last_request(cluster, host)


@pytest.mark.parametrize("pod, before", [("db-0", 0), ("db-1", 1)], ids=["first connection", "idle connection"])
def test_packets_that_are_dropped_are_noticed_within_a_second(cluster, deployed, pod, before):
    host = f"{pod}.db.shop.svc.cluster.local"
    for _ in range(before):
        assert get_in_pod(cluster, service_address(cluster), host).startswith("200")
        assert "direct" in last_request(cluster, host)
    with dropped(our_pod(cluster)["status"]["podIP"], address_of(cluster, pod)):
        assert get_in_pod(cluster, service_address(cluster), host).startswith("200")
        first = last_request(cluster, host)
        assert "tunnel" in first and first["ms"] < 1000, first
        assert get_in_pod(cluster, service_address(cluster), host).startswith("200")
        second = last_request(cluster, host)
        assert "tunnel" in second and second["ms"] < 200, second
    assert get_in_pod(cluster, service_address(cluster), WEB).startswith("200")
    assert "direct" in last_request(cluster, WEB), "other pods of the node are connected to as before"


@pytest.fixture
def two_replicas(cluster, deployed):
    """Scales to two ready replicas, and back to one after the test."""
    def scale(n):
        cluster.kubectl("scale", f"deployment/{NAME}", "-n", NAMESPACE, f"--replicas={n}")
        cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=60s")
        return eventually(lambda: len(live := live_pods(cluster)) == n and live, 60)
    yield scale(2)
    scale(1)


def test_two_replicas_do_not_forward_to_each_other(cluster, two_replicas):
    """A request for the Service is answered by either replica, one for a replica's address by that one."""
    names = [f"{NAME}.{NAMESPACE}.svc.cluster.local"]
    for pod in two_replicas:
        dashed = pod["status"]["podIP"].replace(".", "-")
        names += [f"{pod['metadata']['name']}.{NAMESPACE}.pod.cluster.local", f"{dashed}.{NAMESPACE}.pod"]
    for pod in two_replicas:
        for name in names:
            response = get_in_pod(cluster, pod["status"]["podIP"], name, "/healthz")
            assert response.startswith("200"), (name, response)
    hops = [line["pod"] for pod in two_replicas for line in requests_of(cluster, pod) if line["pod"].startswith(NAME)]
    assert 1 <= len(hops) <= len(names) * len(two_replicas), hops


def test_its_pages_are_on_its_address_only(cluster, deployed):
    address = service_address(cluster)
    assert get_in_pod(cluster, address, address, "/healthz").startswith("200")
    assert "healthz" in get_in_pod(cluster, address, WEB, "/healthz"), "a service's page stays its own"


def test_it_stops_cleanly_with_its_pod(cluster, deployed):
    before = our_pod(cluster)["metadata"]["name"]
    command = ["kubectl", "--kubeconfig", cluster.config(), "logs", "-f", "-n", NAMESPACE, before]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follow:
        cluster.kubectl("rollout", "restart", f"deployment/{NAME}", "-n", NAMESPACE)
        response = follow.communicate(timeout=60)[0]
    assert '"msg":"stopped"' in response, response[-2000:]
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=60s")


def test_the_original_rights_are_enough(cluster, deployed, tmp_path):
    roll_out(cluster, overlay(tmp_path, "original-role"), watches=False)
    assert get_in_pod(cluster, service_address(cluster), WEB).startswith("200")
    assert eventually(lambda: "lookup" in log_of(cluster))
