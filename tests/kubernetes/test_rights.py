"""It works with the rights that it has, and names those that are missing."""
import json
import re
import uuid

import pytest
from tunnel_process import eventually

WEB = "web.shop.svc.cluster.local"


def rule(text):
    """A YAML rule one can paste into a role."""
    return all(key in text for key in ("apiGroups:", "resources:", "verbs:"))


@pytest.mark.parametrize("user", ["watcher", "original"])
def test_rights_to_the_whole_cluster_reach_every_namespace(start_tunnel, user):
    tunnel = start_tunnel(user=user)
    for name in (WEB, "web.other.svc.cluster.local", "seed.shop.svc"):
        assert tunnel.get(name).status == 200
    assert tunnel.get("nope.shop.svc").status == 404
    assert tunnel.get("empty.shop.svc").status == 503
    assert tunnel.get("closed.shop.svc").status == 502


@pytest.mark.parametrize("user", ["watcher", "original", "scoped"])
def test_ports_are_found_by_name_and_number(start_tunnel, user):
    tunnel = start_tunnel(user=user)
    assert tunnel.get(WEB).status == 200
    assert "GET /n HTTP/1.1" in tunnel.get("head.shop.svc", "/n").text


@pytest.mark.parametrize("user", ["original", "scoped"])
def test_a_pod_of_a_stateful_set_is_found_without_watches(start_tunnel, user):
    assert start_tunnel(user=user).get("db-0.db.shop.svc.cluster.local").pod == "db-0"


def test_rights_to_one_namespace_reach_that_namespace_only(start_tunnel):
    tunnel = start_tunnel(user="scoped")
    assert tunnel.get(WEB).status == 200
    answer = tunnel.get("web.other.svc.cluster.local")
    assert answer.status in (403, 502, 503), answer
    assert "other" in answer.text and "services" in answer.text and rule(answer.text), answer


def test_the_level_of_rights_is_logged(start_tunnel):
    """The level is logged once it is known."""
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


def test_rights_granted_later_are_used(start_tunnel, cluster):
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


# every shape of rights, judged by real RBAC: each row has a service account of its own


NS = "lab-rights"
WATCH = ("get", "list", "watch")


def grant(verbs, resource, *names):
    group = {"endpointslices": "discovery.k8s.io"}.get(resource, "")
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs),
            **({"resourceNames": list(names)} if names else {})}


FORWARD = grant(["create"], "pods/portforward")


@pytest.fixture(scope="module")
def rights_namespace(cluster):
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
    yield NS
    cluster.kubectl("delete", "namespace", NS, "--wait=false")


@pytest.fixture
def account(cluster, rights_namespace, tmp_path):
    """account({namespace or "": rules}, home="shop"): the kubeconfig of an account with just these rights."""
    made = []

    def make(rules, home="shop"):
        name = f"lab-{uuid.uuid4().hex[:8]}"
        objects = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NS}}]
        for ns, of in rules.items():
            kind, where = ("Role", {"namespace": ns}) if ns else ("ClusterRole", {})
            rbac = "rbac.authorization.k8s.io"
            objects += [
                {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": {"name": name, **where}, "rules": of},
                {"apiVersion": f"{rbac}/v1", "kind": f"{kind}Binding", "metadata": {"name": name, **where},
                 "roleRef": {"apiGroup": rbac, "kind": kind, "name": name},
                 "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NS}]}]
        cluster.apply(*objects)
        made.extend((o["kind"], o["metadata"]) for o in objects)
        token = cluster.kubectl("create", "token", name, "-n", NS).strip()
        lab = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
        path = tmp_path / f"{name}.kubeconfig"
        path.write_text(json.dumps({
            **lab, "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": lab["clusters"][0]["name"], "user": name,
                                                     "namespace": home}}],
            "current-context": "lab"}))
        path.chmod(0o600)
        return path

    yield make
    for kind, metadata in made:
        cluster.kubectl("delete", kind, metadata["name"], "--wait=false", "--ignore-not-found",
                        *(["-n", metadata["namespace"]] if "namespace" in metadata else []))


ROWS = {
    "watch": ([grant(WATCH, "services"), grant(WATCH, "endpointslices")], "watch"),
    "list and watch without get": ([grant(["list", "watch"], "services"),
                                    grant(["list", "watch"], "endpointslices")], "watch"),
    "watch of endpoints": ([grant(WATCH, "services"), grant(WATCH, "endpoints")], "watch"),
    "get and list": ([grant(["get", "list"], "services"), grant(["get", "list"], "pods")], "lookup"),
    "slices without pods": ([grant(["get", "list"], "services"), grant(["list"], "endpointslices")], "lookup"),
    "pods without slices": ([grant(["get"], "services"), grant(["list"], "pods")], "lookup"),
    "list without get": ([grant(["list"], "services"), grant(["list"], "pods")], "lookup"),
    "endpoints only": ([grant(["get"], "services"), grant(["get"], "endpoints")], "lookup"),
    "named services only": ([grant(["get"], "services", "web"), grant(["get"], "endpoints", "web")], "lookup"),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("where", ["", "shop"])
def test_the_least_rights_are_enough(start_tunnel, account, row, where):
    rules, level = ROWS[row]
    tunnel = start_tunnel(kubeconfig=account({where: [*rules, FORWARD]}))
    for _ in range(2):
        assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log(f"rights found .*rights={level}")


def test_a_name_that_the_role_does_not_list_is_refused(start_tunnel, account):
    tunnel = start_tunnel(kubeconfig=account({"shop": [*ROWS["named services only"][0], FORWARD]}))
    answer = tunnel.get("seed.shop.svc")
    assert answer.status == 502 and "services" in answer.text and rule(answer.text), answer


def test_a_named_service_is_watched_by_itself(start_tunnel, account):
    """list and watch with resourceNames are granted by the field selector of the name."""
    rules = [grant(WATCH, "services", "web"), grant(WATCH, "endpoints", "web"), FORWARD]
    tunnel = start_tunnel("--discovery", "lazy", kubeconfig=account({"shop": rules}))
    for _ in range(3):
        assert tunnel.get(WEB).status == 200


def test_without_slices_endpoints_and_pods_the_error_names_the_rights_that_suffice(
        start_tunnel, account):
    tunnel = start_tunnel(kubeconfig=account({"": [grant(["get", "list"], "services"), FORWARD]}))
    answer = tunnel.get(WEB)
    assert answer.status == 502 and rule(answer.text), answer
    for word in ("pods", "endpointslices", "endpoints"):
        assert word in answer.text, answer


@pytest.mark.parametrize("flags", [(), ("--namespaces", "shop,other")])
def test_several_namespaces_by_role_are_each_watched(start_tunnel, account, flags):
    rules = [*ROWS["watch"][0], FORWARD]
    tunnel = start_tunnel(*flags, kubeconfig=account({"shop": rules, "other": rules}))
    for name in 2 * (WEB, "web.other.svc.cluster.local"):  # the second request shows that it is in use
        assert tunnel.get(name).status == 200
    for ns in ("shop", "other"):
        tunnel.wait_for_log(f"rights found .*rights=watch scope={ns}")


def test_one_namespace_is_watched_and_one_looked_up(start_tunnel, account):
    tunnel = start_tunnel("--namespaces", "shop,other", kubeconfig=account({
        "shop": [*ROWS["watch"][0], FORWARD], "other": [*ROWS["pods without slices"][0], FORWARD]}))
    for name in (WEB, "web.other.svc.cluster.local"):
        assert tunnel.get(name).status == 200
    tunnel.wait_for_log("rights found .*rights=watch scope=shop")
    tunnel.wait_for_log("rights found .*rights=lookup scope=other")


def test_port_forward_by_create_only_is_spdy(start_tunnel, account):
    tunnel = start_tunnel(kubeconfig=account({"": [*ROWS["get and list"][0], FORWARD]}))
    assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log("tunnel opened .*transport=spdy")


def test_port_forward_by_get_only_is_a_websocket_before_1_35(start_tunnel, account, cluster):
    minor = int(re.sub(r"\D", "", json.loads(cluster.kubectl("get", "--raw", "/version"))["minor"]))
    rules = [*ROWS["get and list"][0], grant(["get"], "pods/portforward")]
    tunnel = start_tunnel(kubeconfig=account({"": rules}))
    answer = tunnel.get(WEB)
    if minor < 35:
        assert answer.status == 200
        tunnel.wait_for_log("tunnel opened .*transport=websocket")
    else:
        assert answer.status == 502 and "pods/portforward" in answer.text and rule(answer.text), answer
