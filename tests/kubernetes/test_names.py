"""Every form of a name on a real cluster, whose controllers complete the objects.

SPDX-License-Identifier: MIT
"""
import json

import pytest
from tunnel_process import eventually

NAMESPACE = "names"
LONG = "a" * 63
IMAGE = {"image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never"}


def deployment(name, replicas=1, ready=True, ports=(("http", 8080),), labels=None):
    probe = {"httpGet": {"path": "/" if ready else "/", "port": 8080 if ready else 9999}, "periodSeconds": 1}
    labels = labels or {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {
                         "terminationGracePeriodSeconds": 1, "containers": [
                             {"name": "web", **IMAGE, "readinessProbe": probe,
                              "ports": [{"name": n, "containerPort": p} for n, p in ports]}]}}}}


def service(name, selector, *ports, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {**({"selector": {"app": selector}} if selector else {}),
                     "ports": [{"protocol": "TCP", **p} for p in ports], **spec}}


def external(name, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": target}}


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "hosts"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", **IMAGE}], **spec}}


HTTP = {"name": "http", "port": 80, "targetPort": "http"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}
PLAIN = {"port": 80, "targetPort": 8080}
OBJECTS = [
    deployment("app", 2), deployment("slow", ready=False), deployment("alone", ports=(("side", 9000), ("http", 8080))),
    deployment("shifted", ports=(("http", 8081),), labels={"app": "mixed", "number": "8081"}),
    deployment("straight", labels={"app": "mixed", "number": "8080"}),
    service("app", "app", HTTP, DNS), service("udp", "app", DNS), service("mixed", "mixed", HTTP),
    service("eager", "slow", PLAIN, publishNotReadyAddresses=True), service("strict", "slow", PLAIN),
    service("dual", "app", PLAIN, ipFamilyPolicy="PreferDualStack"), service(LONG, "app", PLAIN),
    service("hosts", "hosts", PLAIN, clusterIP="None"),
    pod("host-1", hostname="primary", subdomain="hosts"), pod("4"),
    external("to-app", "app.names.svc.cluster.local"), external("to-host", "primary.hosts.names.svc.cluster.local"),
    external("to-other", "web.other.svc.cluster.local"), external("to-web", "example.org"),
    external("round-1", "round-2.names.svc.cluster.local"), external("round-2", "round-1.names.svc.cluster.local"),
    service("manual", None, PLAIN),
]


@pytest.fixture(scope="module")
def objects(cluster):
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    # Kubernetes makes the account that pods need, a moment later.
    eventually(lambda: "default" in cluster.kubectl("get", "serviceaccounts", "-n", NAMESPACE, "-o", "name"), 30)
    cluster.apply(*OBJECTS)
    for app, count in (("app", 2), ("alone", 1), ("mixed", 2), ("hosts", 2)):
        cluster.wait_for_pods(f"app={app}", count, NAMESPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(params=("watcher", "original"))
def names(request, objects, start_tunnel):
    return start_tunnel("--short-names", "--wait", "3s", user=request.param)


def ip_of(cluster, name):
    return json.loads(cluster.kubectl("get", "pod", name, "-n", NAMESPACE, "-o", "json"))["status"]["podIP"]


def test_names_of_services_ports_and_pods_are_answered(names, objects):
    pods = objects.pods("app=app", NAMESPACE)
    for name in ("app.names.svc.cluster.local", "app.names.svc.cluster.local.", "app.names.svc", "app.names",
                 "app.names.localhost", "_http._tcp.app.names.svc.cluster.local", "http.tcp.app.names.svc",
                 f"{LONG}.names.svc", "dual.names.svc"):
        assert names.get(name).pod in pods, name
    one = sorted(pods)[0]
    for name in (one, ip_of(objects, one).replace(".", "-")):
        for suffix in ("pod", "pod.cluster.local", "pod.localhost"):
            assert names.get(f"{name}.names.{suffix}:8080").pod == one
    assert names.get("4.names.pod:8080").pod == "4"
    for name in ("_dns._udp.app.names.svc", "udp.names.svc"):
        answer = names.get(name)
        assert answer.status == 501 and "TCP only" in answer.text, answer


def test_hostname_and_subdomain_name_a_pod(names):
    assert names.get("primary.hosts.names.svc.cluster.local").pod == "primary"
    assert names.get("primary.hosts.names.svc.localhost").pod == "primary"
    assert names.get("secondary.hosts.names.svc").status == 503


@pytest.mark.parametrize("user", ("watcher", "original"))
def test_a_deployment_name_leads_to_its_pods(start_tunnel, objects, user):
    """Neither user may read Deployments, so the owners of the pods are used."""
    names = start_tunnel("--wait", "3s", user=user)
    alone, = objects.pods("app=alone", NAMESPACE)
    for suffix in ("deploy", "deploy.cluster.local", "deploy.localhost"):
        assert names.get(f"_http._tcp.alone.names.{suffix}").pod == alone
        assert names.get(f"alone.names.{suffix}:8080").pod == alone
    assert names.get("nope.names.deploy").status == 502


def test_pods_of_a_deployment_are_found_by_its_selector(start_tunnel, objects):
    names = start_tunnel(user="admin")
    alone, = objects.pods("app=alone", NAMESPACE)
    assert names.get("alone.names.deploy:8080").pod == alone
    answer = names.get("nope.names.deploy")
    assert answer.status == 404 and "deployments.apps \"nope\" not found" in answer.text, answer
    objects.kubectl("scale", "deployment", "alone", "-n", NAMESPACE, "--replicas=0")
    objects.wait_for_pods("app=alone", 0, NAMESPACE) if objects.pods("app=alone", NAMESPACE) else None
    objects.kubectl("scale", "deployment", "alone", "-n", NAMESPACE, "--replicas=1")
    answer = names.get("alone.names.deploy:8080")
    assert answer.status == 200 and answer.pod != alone, answer


def test_external_names_that_lead_to_a_service_are_followed(names):
    assert names.get("to-app.names.svc").status == 200
    assert names.get("to-host.names.svc:80").pod == "primary"
    assert names.get("to-other.names.svc").status == 200
    for name, words in (("to-web", "connect to example.org itself"), ("round-1", "a loop")):
        answer = names.get(f"{name}.names.svc")
        assert answer.status == 503 and words in answer.text, answer


def test_a_named_target_port_may_differ_per_pod(names):
    seen = set()
    eventually(lambda: seen.add(names.get("mixed.names.svc", "/", "-H", "Connection: close").text[:4])
               or len(seen) == 2, 20)


def test_pods_that_are_not_ready_serve_where_published(names):
    assert names.get("eager.names.svc").status == 200
    assert names.get("strict.names.svc").status == 503


def test_slices_of_a_service_without_selector_may_lead_to_pods(names, objects):
    one = sorted(objects.pods("app=app", NAMESPACE))[0]
    objects.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                   "metadata": {"name": "manual-1", "namespace": NAMESPACE,
                                "labels": {"kubernetes.io/service-name": "manual"}},
                   "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
                   "endpoints": [{"addresses": [ip_of(objects, one)], "conditions": {"ready": True},
                                  "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": one}}]})
    if "rights=watch" in names.log():  # without slices there is nothing that leads to them
        eventually(lambda: names.get("manual.names.svc").pod == one)


def test_an_alias_leads_to_its_target(start_tunnel, objects):
    names = start_tunnel("--alias", "front=app.names:http", "--alias", "first=primary.hosts.names,web=alone.names.deploy:8080")
    assert names.get("front").status == names.get("front.localhost").status == 200
    assert names.get("first.localhost").pod == "primary"
    assert names.get("web.localhost").status == 200


def test_the_domain_is_read_from_the_config_map_of_coredns(start_tunnel, objects):
    """If kube-tunnel may read it; otherwise it gets a 403, which it does not log."""
    corefile = ".:53 {\n    kubernetes names.example in-addr.arpa ip6.arpa {\n    }\n}\n"
    objects.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": {"Corefile": corefile},
                   "metadata": {"name": "coredns", "namespace": "kube-system"}})
    try:
        names = start_tunnel(user="admin")
        assert names.get("app.names.svc.names.example").status == 200
        assert names.get("app.names.svc.cluster.local").status == 200
        other = start_tunnel(user="watcher")
        assert other.get("app.names.svc.names.example").status == 400
        assert "configmaps" not in other.log().replace("/configmaps/", "")
    finally:
        objects.kubectl("delete", "configmap", "coredns", "-n", "kube-system")
