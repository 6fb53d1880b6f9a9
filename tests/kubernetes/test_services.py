"""Every kind of service, and services and pods that are created and deleted."""
import threading

import pytest
from conftest import under_way
from tunnel_process import eventually

WEB = "web.shop.svc.cluster.local"
users = pytest.mark.parametrize("user", ["watcher", "original"])


def test_a_named_port_is_resolved(tunnel):
    """The port in the authority is the service's; its target is a port's name in the pod."""
    answer = tunnel.get(f"{WEB}:80")
    assert answer.status == 200 and f"host {WEB}:80 " in answer.text, answer


def test_another_port_of_the_service_is_reached(tunnel):
    answer = tunnel.get("raw.shop.svc.cluster.local:8081", "/other")
    assert "GET /other HTTP/1.1" in answer.text, answer


def test_a_port_the_service_does_not_have_is_refused(tunnel):
    answer = tunnel.get(f"{WEB}:81")
    assert 400 <= answer.status < 500, answer
    for port in ("80", "9090", "9000"):
        assert port in answer.text, "those it has are listed"


@pytest.mark.parametrize("pod", ["db-0", "db-1"])
@pytest.mark.parametrize("name", ["{}.db.shop.svc.cluster.local", "{}.db.shop.svc"])
def test_a_pod_of_a_stateful_set_is_reached_by_name(tunnel, pod, name):
    assert tunnel.get(name.format(pod)).pod == pod


def test_a_headless_service_is_answered(tunnel):
    assert tunnel.get("db.shop.svc.cluster.local").pod in ("db-0", "db-1")


def test_a_pod_that_does_not_exist_is_a_404(tunnel):
    answer = tunnel.get("db-9.db.shop.svc.cluster.local")
    assert answer.status in (404, 503), answer
    assert "db-9" in answer.text


def test_an_external_name_is_explained(tunnel):
    answer = tunnel.get("ext.shop.svc.cluster.local")
    assert 400 <= answer.status < 600 and answer.seconds < 2, answer
    assert "ExternalName" in answer.text and "example.org" in answer.text, answer


def test_a_service_without_selector_is_explained(tunnel):
    answer = tunnel.get("manual.shop.svc.cluster.local")
    assert answer.status == 503 and answer.seconds < 2, answer
    assert "selector" in answer.text, answer


def test_both_pods_are_used(tunnel, cluster):
    """While the second one is being dialled, requests go to the first."""
    pods, seen = cluster.pods("app=web"), set()

    def both():
        seen.update(tunnel.get(WEB, "/", "-H", "Connection: close").pod for _ in range(10))
        return seen == pods

    eventually(both)


@users
def test_a_created_and_deleted_service_is_noticed(start_tunnel, cluster, service, user):
    tunnel = start_tunnel(user=user)
    name = f"fresh-{user}"
    assert tunnel.get(f"{name}.shop.svc").status == 404
    service(name)
    eventually(lambda: tunnel.get(f"{name}.shop.svc").status == 200)
    cluster.kubectl("delete", "service", name, "-n", "shop")
    eventually(lambda: tunnel.get(f"{name}.shop.svc").status == 404, 15)


@users
def test_a_changed_port_of_a_service_is_used(start_tunnel, service, user):
    tunnel = start_tunnel(user=user)
    name = f"moved-{user}"
    service(name, target=9999)
    eventually(lambda: tunnel.get(f"{name}.shop.svc").status == 502)
    service(name, target=8080)
    eventually(lambda: tunnel.get(f"{name}.shop.svc").status == 200, 15)


def deployment(name, replicas=1):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                                      {"name": "web", "image": "localhost/ktunnel-pod:1",
                                       "imagePullPolicy": "Never",
                                       "readinessProbe": {"httpGet": {"path": "/", "port": 8080},
                                                          "periodSeconds": 1}}]}}}}


@pytest.fixture
def app(cluster, service):
    """app(name): a Deployment of one pod with a service of the same name; gives the pod's name."""
    made = []

    def make(name, replicas=1):
        cluster.apply(deployment(name, replicas))
        made.append(name)
        service(name, app=name)
        return cluster.wait_for_pods(f"app={name}", replicas)

    yield make
    for name in made:
        cluster.kubectl("delete", "deployment", name, "-n", "shop", "--wait=false")


@users
def test_a_replaced_pod_is_followed(start_tunnel, cluster, app, user):
    name = f"replaced-{user}"
    old, = app(name)
    tunnel = start_tunnel(user=user)
    assert tunnel.get(f"{name}.shop.svc").pod == old
    cluster.kubectl("delete", "pod", old, "-n", "shop", "--wait=true")
    new, = cluster.wait_for_pods(f"app={name}", 1)
    answer = eventually(lambda: (a := tunnel.get(f"{name}.shop.svc")).status == 200 and a, 15)
    assert answer.pod == new


def test_replacing_a_pod_loses_no_request(start_tunnel, cluster, app):
    """One of two pods is deleted during requests that may be retried."""
    name = "steady"
    victim = sorted(app(name, 2))[0]
    tunnel = start_tunnel()
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(tunnel.get(f"{name}.shop.svc"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        eventually(lambda: len(answers) > 20)
        cluster.kubectl("delete", "pod", victim, "-n", "shop", "--wait=true")
        cluster.wait_for_pods(f"app={name}", 2)
    finally:
        stop.set()
        asking.join()
    bad = [a for a in answers if a.status != 200]
    assert not bad, bad[:3]


def test_deleting_a_pod_cuts_its_request(start_tunnel, cluster, app):
    pod, = app("cut")
    tunnel = start_tunnel()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(tunnel.get("cut.shop.svc", "/slow?ms=30000", "-X", "POST")))
    asking.start()
    under_way(tunnel, 1)
    cluster.kubectl("delete", "pod", pod, "-n", "shop", "--force", "--grace-period=0")
    asking.join()
    assert answers[0].status in (502, 504) and answers[0].seconds < 20, answers


def test_scaling_to_zero_and_back_is_followed(start_tunnel, cluster, app):
    app("scaled")
    tunnel = start_tunnel()
    assert tunnel.get("scaled.shop.svc").status == 200
    cluster.kubectl("scale", "deployment", "scaled", "-n", "shop", "--replicas=0")
    cluster.wait_for_pods("app=scaled", 0) if cluster.pods("app=scaled") else None
    answer = eventually(lambda: (a := tunnel.get("scaled.shop.svc")).status == 503 and a, 20)
    assert answer.text.startswith("No running pod for scaled/shop")
    cluster.kubectl("scale", "deployment", "scaled", "-n", "shop", "--replicas=1")
    eventually(lambda: tunnel.get("scaled.shop.svc").status == 200, 30)
