"""With the rights there are, and a plain word about those that are missing."""
import pytest
from tunnel_process import eventually

WEB = "web.shop.svc.cluster.local"


def rule(text):
    """A YAML rule one can paste into a role."""
    return all(key in text for key in ("apiGroups:", "resources:", "verbs:"))


@pytest.mark.parametrize("user", ["watcher", "original"])
def test_every_namespace(start_tunnel, user):
    tunnel = start_tunnel(user=user)
    for name in (WEB, "web.other.svc.cluster.local", "seed.shop.svc"):
        assert tunnel.get(name).status == 200
    assert tunnel.get("nope.shop.svc").status == 404
    assert tunnel.get("empty.shop.svc").status == 503
    assert tunnel.get("closed.shop.svc").status == 502


@pytest.mark.parametrize("user", ["watcher", "original", "scoped"])
def test_ports_by_name_and_number(start_tunnel, user):
    tunnel = start_tunnel(user=user)
    assert tunnel.get(WEB).status == 200
    assert "GET /n HTTP/1.1" in tunnel.get("head.shop.svc", "/n").text


@pytest.mark.parametrize("user", ["original", "scoped"])
def test_a_pod_of_a_stateful_set_without_watches(start_tunnel, user):
    assert start_tunnel(user=user).get("db-0.db.shop.svc.cluster.local").pod == "db-0"


def test_one_namespace_only(start_tunnel):
    tunnel = start_tunnel(user="scoped")
    assert tunnel.get(WEB).status == 200
    answer = tunnel.get("web.other.svc.cluster.local")
    assert answer.status in (403, 502, 503), answer
    assert "other" in answer.text and "services" in answer.text and rule(answer.text), answer


def test_the_level_is_said(start_tunnel):
    """Which of the three it works at is a line of the log, once it knows."""
    for user, word in (("watcher", "rights=watch"), ("original", "rights=lookup"), ("scoped", "scope=shop")):
        tunnel = start_tunnel("--log-level", "info", user=user)
        assert tunnel.get(WEB).status == 200
        assert eventually(lambda: word in tunnel.log()), tunnel.log()


@pytest.mark.parametrize("user, verbs, resource", [
    ("dev", ("get", "list"), "services"),
    ("no-services", ("get", "list"), "services"),
    ("no-pods", ("get", "list"), "pods"),
    ("no-forward", ("create",), "pods/portforward"),
])
def test_a_missing_right_is_named(start_tunnel, user, verbs, resource):
    tunnel = start_tunnel(user=user, ready=False)
    answer = tunnel.get(WEB)
    assert answer.status in (403, 502, 503), answer
    assert any(verb in answer.text for verb in verbs), answer
    assert resource in answer.text and rule(answer.text), answer
    assert user in answer.text, "the API server's own words name the user"


def test_rights_that_come_later_are_used(start_tunnel, cluster):
    tunnel = start_tunnel(user="dev", ready=False)
    assert tunnel.get(WEB).status != 200
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": "lab-later", "namespace": "shop"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lab-scoped"},
               "subjects": [{"kind": "User", "name": "dev"}]}
    try:
        cluster.apply(binding)
        eventually(lambda: tunnel.get(WEB).status == 200, 15, pause=0.5)
    finally:
        cluster.kubectl("delete", "rolebinding", "lab-later", "-n", "shop")
