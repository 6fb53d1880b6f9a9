"""kube-tunnel rbac: the role it prints, and the check of the rights there are.

SPDX-License-Identifier: MIT
"""
import json
import subprocess

import pytest
from tunnel_process import BINARY, ROOT, clean_environment

yaml = pytest.importorskip("yaml")

SERVICES = ("", "services")
SLICES = ("discovery.k8s.io", "endpointslices")
PODS = ("", "pods")
FORWARD = ("", "pods/portforward")
RIGHTS = {
    "watch": {SERVICES: ["get", "list", "watch"], SLICES: ["list", "watch"], PODS: ["get", "list"],
              FORWARD: ["get", "create"]},
    "lookup": {SERVICES: ["get", "list"], SLICES: ["list"], PODS: ["get", "list"], FORWARD: ["get", "create"]},
}


def rbac(*flags, status=0):
    done = subprocess.run([BINARY, "rbac", *map(str, flags)], capture_output=True, text=True,
                          env=clean_environment(HOME="/nonexistent"), timeout=60)
    assert done.returncode == status, done
    return done


def documents(*flags):
    return list(yaml.safe_load_all(rbac(*flags).stdout))


def rules(role):
    return {(r["apiGroups"][0], r["resources"][0]): r["verbs"] for r in role["rules"]}


@pytest.mark.parametrize("flags, level", (((), "watch"), (("--level", "watch"), "watch"),
                                          (("--level=lookup",), "lookup")))
def test_each_level_has_a_cluster_role(flags, level):
    [role] = documents(*flags)
    assert (role["apiVersion"], role["kind"]) == ("rbac.authorization.k8s.io/v1", "ClusterRole")
    assert role["metadata"] == {"name": "kube-tunnel"}
    assert rules(role) == RIGHTS[level]


def test_each_namespace_gets_a_role():
    roles = documents("--namespace", "shop", "-n", "blog", "-n", "shop", "--level", "lookup")
    assert [(r["kind"], r["metadata"]["namespace"]) for r in roles] == [("Role", "shop"), ("Role", "blog")]
    assert all(rules(r) == RIGHTS["lookup"] for r in roles)


def test_subjects_are_bound():
    role, binding = documents("-n", "shop", "--user", "ann@example.com", "--group", "dev:ops",
                              "--service-account", "ci:runner", "--role-name", "tunnels")
    assert binding["kind"] == "RoleBinding"
    assert binding["metadata"] == {"name": "tunnels:ann@example.com", "namespace": "shop"}
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tunnels"}
    assert role["metadata"]["name"] == "tunnels"
    group = "rbac.authorization.k8s.io"
    assert binding["subjects"] == [{"kind": "User", "name": "ann@example.com", "apiGroup": group},
                                   {"kind": "Group", "name": "dev:ops", "apiGroup": group},
                                   {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}]
    _, binding = documents("--user", "ann")
    assert binding["kind"] == "ClusterRoleBinding" and binding["roleRef"]["kind"] == "ClusterRole"


@pytest.mark.parametrize("user", ['a"b\\c', "x\nkind: Secret", "arn:aws:iam::1:user/ann", "100%", "Ä", "- y"])
def test_option_name_names_the_role(user):
    """Nothing that is given becomes YAML; names of bindings have no / and no %."""
    _, binding = documents("--user", user)
    assert binding["subjects"][0]["name"] == user
    assert not set("/%") & set(binding["metadata"]["name"])


@pytest.mark.parametrize("flags, words", (
    (("--level", "all"), 'expected watch or lookup'), (("--service-account", "runner"), "NAMESPACE:NAME"),
    (("--service-account", "A:b"), "NAMESPACE:NAME"), (("--user", ""), "a name is missing"),
    (("--role-name", "a/b"), "--role-name"), (("-n", "A_b"), "A_b"), (("shop",), "shop"), (("--chekc",), "is it --check")))
def test_mistakes_are_named(flags, words):
    done = rbac(*flags, status=2)
    assert words in done.stderr and not done.stdout, done


def test_its_flags_belong_to_no_other_command():
    done = subprocess.run([BINARY, "list", "--check"], capture_output=True, text=True)
    assert done.returncode == 2 and 'only "rbac" takes --check' in done.stderr, done


def test_the_manifests_have_the_printed_rights():
    """deploy/base has what is printed, but for the name of the binding."""
    written = list(yaml.safe_load_all((ROOT / "deploy/base/role.yaml").read_text()))
    printed = documents("--service-account", "kube-tunnel:kube-tunnel")
    printed[1]["metadata"]["name"] = "kube-tunnel"
    assert written == printed
    original = yaml.safe_load((ROOT / "deploy/original-role/kustomization.yaml").read_text())
    [patch] = yaml.safe_load(original["patches"][0]["patch"])
    for rule in patch["value"]:
        for resource in rule["resources"]:
            assert set(rule["verbs"]) <= set(RIGHTS["lookup"]["", resource]), "what it needs is no more than that"


# --- the check ---

def check(playground, *flags, status=0):
    done = rbac("--check", "--kubeconfig", playground.kubeconfig, *flags, status=status)
    rows = {}
    for line in done.stdout.splitlines()[1:]:
        namespace, resource, verb, rest = line.split(None, 3)
        rows[namespace, resource, verb] = rest.split("   ")[0]
    return rows, done


def test_option_all_prints_every_right(playground):
    rows, done = check(playground)
    assert set(rows.values()) == {"yes"} and len(rows) == 9, done
    assert {ns for ns, _, _ in rows} == {"(all)"} and done.stderr == ""
    rows, _ = check(playground, "--level", "lookup", "-n", "shop", "-n", "other")
    assert len(rows) == 14 and {ns for ns, _, _ in rows} == {"shop", "other"}


def test_the_original_role_serves_requests_and_lacks_the_rest(start_playground):
    playground = start_playground("--rights", "original")
    rows, done = check(playground)
    assert rows["(all)", "services", "get"] == "yes"
    assert rows["(all)", "services", "watch"] == "no, not needed"
    assert rows["(all)", "pods/portforward", "get"] == "no, not needed", done
    _, done = check(playground, "--level", "watch", status=1)
    assert "kube-tunnel rbac --user NAME | kubectl apply -f -" in done.stderr
    rows, done = check(playground, "--level", "lookup", status=1)
    assert rows["(all)", "endpointslices", "list"] == "no", done
    assert "rbac --level lookup --user NAME" in done.stderr
    rows, done = check(playground, "--transport", "websocket", status=1)
    assert rows["(all)", "pods/portforward", "get"] == "no", done


def test_rights_in_one_namespace_are_missing_in_another(start_playground):
    playground = start_playground("--rights", "namespace")
    rows, done = check(playground, "-n", "shop")
    assert rows["shop", "services", "get"] == "yes"
    rows, done = check(playground, "-n", "shop", "-n", "other", status=1)
    assert rows["other", "services", "get"] == "no"
    assert "kube-tunnel rbac --namespace other --user NAME" in done.stderr


@pytest.mark.parametrize("one, other", ((("get", "services"), ("list", "services")),
                                        (("list", "pods"), ("list", "endpointslices")),
                                        (("create", "pods/portforward"), None)))
def test_each_required_right_is_named_when_missing(start_both, start_tunnel, one, other):
    """One of the two is enough, and then the other one is not needed: requests go the same way. Before 1.35
    a WebSocket takes no create."""
    playground, tunnel = start_both("--kubernetes", "1.35", tunnel=("--wait", "0"))
    if other:
        playground.order("deny {} {}".format(*one))
        rows, done = check(playground)
        assert rows["(all)", one[1], one[0]] == "no, not needed", done
        assert tunnel.get("web.shop.svc").status == 200
        playground.order("deny {} {}".format(*other))
    else:
        playground.order("deny {} {}".format(*one))
    rows, done = check(playground, status=1)
    assert rows["(all)", one[1], one[0]] == "no", done
    if other:
        assert rows["(all)", other[1], other[0]] == "no", done
        tunnel = start_tunnel("--wait", "0", kubeconfig=playground.kubeconfig, ready=False)
    assert tunnel.get("seed.shop.svc:8080").status == 502


def test_without_any_rights_no_row_is_yes(start_playground):
    rows, _ = check(start_playground("--rights", "none"), status=1)
    assert "yes" not in rows.values()


def test_an_api_server_that_is_not_there_is_named(tmp_path):
    config = tmp_path / "config"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}]}))
    done = rbac("--check", "--kubeconfig", config, status=1)
    assert "127.0.0.1:9" in done.stderr and done.stdout == ""


# --- where a right is missing ---

def test_the_page_and_the_log_have_a_role_to_apply(start_both):
    playground, tunnel = start_both("--rights", "original")
    playground.order("deny create pods/portforward")
    for _ in range(3):
        answer = tunnel.get("web.shop.svc")
        assert answer.status == 502
    text = answer.text
    role = yaml.safe_load(text[text.index("apiVersion:"):])
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "shop") and rules(role) == RIGHTS["lookup"]
    assert "kube-tunnel rbac --namespace shop --user NAME | kubectl apply -f -" in text

    [line] = [line for line in tunnel.log().splitlines() if "a right is missing" in line]
    assert "verb=create resource=pods/portforward namespace=shop" in line, line
    role = yaml.safe_load(line[line.index('role="') + 6:line.rindex('"')])
    assert rules(role) == RIGHTS["lookup"] and role["metadata"]["namespace"] == "shop"


def test_the_namespaces_that_are_watched_are_those_of_the_role(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("namespaces: [shop, blog]\nnamespace: other\n")
    assert [r["metadata"]["namespace"] for r in documents("--config", config)] == ["shop", "blog"]
    assert [r["metadata"]["namespace"] for r in documents("--config", config, "-n", "one")] == ["one"]


@pytest.mark.parametrize("version, transport, verb, enough", (
    ("1.34", "spdy", "get", True), ("1.34", "spdy", "create", False),
    ("1.34", "websocket", "get", False), ("1.34", "websocket", "create", True),
    ("1.35", "spdy", "get", True), ("1.35", "spdy", "create", False),
    ("1.35", "websocket", "get", False), ("1.35", "websocket", "create", False)))
def test_each_transport_needs_its_verb_on_portforward(start_both, version, transport, verb, enough):
    """Without one of the two that are printed; from 1.35 on a WebSocket takes both."""
    playground, tunnel = start_both("--kubernetes", version, tunnel=("--transport", transport, "--wait", "0"))
    playground.order(f"deny {verb} pods/portforward")
    answer = tunnel.get("web.shop.svc")
    assert answer.status == (200 if enough else 502), answer
    if not enough:
        role = yaml.safe_load(answer.text[answer.text.index("apiVersion:"):])
        assert rules(role)[FORWARD] == ["get", "create"]
