"""The roles that `kube-tunnel rbac` prints: kubectl accepts them, and they are enough for a request.

SPDX-License-Identifier: MIT
"""
import json
import subprocess

import pytest
from tunnel_process import BINARY, clean_environment, eventually

WEB = "web.shop.svc.cluster.local"
NAMESPACE = "rbac"  # of the service accounts
NAME = "rbac-test"  # of the roles


def rbac(*flags, status=0):
    done = subprocess.run([BINARY, "rbac", *map(str, flags)], capture_output=True, text=True,
                          env=clean_environment(HOME="/nonexistent"), timeout=60)
    assert done.returncode == status, done
    return done.stdout


@pytest.fixture(scope="module")
def accounts(cluster, tmp_path_factory):
    """accounts(name): a kubeconfig of a service account without rights."""
    folder = tmp_path_factory.mktemp("accounts")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    admin = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))

    def make(name):
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount",
                       "metadata": {"name": name, "namespace": NAMESPACE}})
        token = cluster.kubectl("create", "token", name, "-n", NAMESPACE).strip()
        path = folder / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "clusters": admin["clusters"], "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": admin["clusters"][0]["name"], "user": "u",
                                                   "namespace": "shop"}}],
            "users": [{"name": "u", "user": {"token": token}}]}))
        return path

    yield make
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def granted(cluster, accounts):
    """granted(name, *flags): a kubeconfig of an account with the role that is printed for these flags."""
    manifests = []

    def grant(name, *flags):
        kubeconfig = accounts(name)
        role = rbac("--role-name", f"{NAME}-{name}", "--service-account", f"{NAMESPACE}:{name}", *flags)
        output = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=role)
        assert "(server dry run)" in output and "Role" in role, output
        cluster.kubectl("apply", "-f", "-", stdin=role)
        manifests.append(role)
        return kubeconfig

    yield grant
    for role in manifests:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=role)


@pytest.mark.parametrize("transport", ("spdy", "websocket"))
@pytest.mark.parametrize("scope", ("cluster", "namespace"))
@pytest.mark.parametrize("level", ("watch", "lookup"))
def test_a_role_serves_requests(start_tunnel, granted, level, scope, transport):
    flags = ("--level", level, *(("--namespace", "shop") if scope == "namespace" else ()))
    kubeconfig = granted(f"{level}-{scope}-{transport}", *flags)
    eventually(lambda: allowed(kubeconfig, transport, *flags), 30)

    tunnel = start_tunnel("--transport", transport, kubeconfig=kubeconfig)
    for name in (WEB, "db-0.db.shop.svc", "seed.shop.svc:8080"):
        answer = tunnel.get(name)
        assert answer.status == 200, answer
    pod = tunnel.get(WEB).pod
    assert tunnel.get(f"{pod}.shop.pod:8080").pod == pod
    assert tunnel.get("empty.shop.svc").status == 503, "why there is no pod takes the list of pods"
    tunnel.wait_for_log(f"rights=(\")?{level}")
    assert "a right is missing" not in tunnel.log()
    other = tunnel.get("web.other.svc")
    assert other.status == (200 if scope == "cluster" else 502), other
    listed = subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig], capture_output=True, text=True)
    assert listed.returncode == 0 and "web.shop.localhost" in listed.stdout, listed


def minor_version(cluster):
    return int(json.loads(cluster.kubectl("get", "--raw", "/version"))["minor"].rstrip("+"))


def allowed(kubeconfig, transport, *flags):
    """Does the API server use a new role? That takes a moment."""
    done = subprocess.run([BINARY, "rbac", "--check", "--kubeconfig", kubeconfig, "--transport", transport, *flags],
                          capture_output=True, text=True)
    assert done.returncode == 0, done
    return True


@pytest.mark.parametrize("verb, resource, transport", (
    ("get", "services", "spdy"), ("list", "pods", "spdy"), ("create", "pods/portforward", "spdy"),
    ("create", "pods/portforward", "websocket"), ("get", "pods/portforward", "websocket")))
def test_a_role_without_one_of_its_verbs_serves_none(start_tunnel, cluster, accounts, verb,
                                                     resource, transport):
    """At the level lookup, for a service with one pod. From 1.35 on a WebSocket needs both verbs."""
    name = f"less-{verb}-{resource.replace('/', '-')}-{transport}"
    kubeconfig = accounts(name)
    role = rbac("--role-name", f"{NAME}-{name}", "--service-account", f"{NAMESPACE}:{name}",
                "--namespace", "shop", "--level", "lookup")
    documents = [d for d in json.loads(cluster.kubectl("apply", "--dry-run=client", "-o", "json", "-f", "-",
                                                       stdin=role))["items"]]
    for rule in documents[0]["rules"]:
        if rule["resources"] == [resource]:
            rule["verbs"].remove(verb)
        if resource == "services" and rule["resources"] == ["services"]:
            rule["verbs"] = ["watch"]  # a list would do as well
        if resource == "pods" and rule["resources"] == ["endpointslices"]:
            rule["verbs"] = ["get"]  # then pods are all there is
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    cluster.kubectl("apply", "-f", "-", stdin=text)
    needed = transport == "spdy" or verb == "get" or minor_version(cluster) >= 35
    try:  # the binding is known once something else of it is
        eventually(lambda: "yes" in subprocess.run([BINARY, "rbac", "--check", "-n", "shop", "--kubeconfig", kubeconfig],
                                                   capture_output=True, text=True).stdout)
        done = subprocess.run([BINARY, "rbac", "--check", "-n", "shop", "--kubeconfig", kubeconfig,
                               "--transport", transport], capture_output=True, text=True)
        assert done.returncode == 1, done
        tunnel = start_tunnel("--transport", transport, kubeconfig=kubeconfig, ready=False)
        answer = tunnel.get(WEB)
        if needed:
            assert answer.status == 502 and "kind: Role" in answer.text, answer
        else:
            assert answer.status == 200, answer
    finally:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=text)


def test_applying_the_role_of_an_error_page_removes_the_error(start_tunnel, cluster, accounts):
    """The role on an error page is applied unchanged, and bound."""
    kubeconfig = accounts("mended")
    tunnel = start_tunnel("--wait", "0", kubeconfig=kubeconfig, ready=False)
    answer = tunnel.get(WEB)
    assert answer.status == 502, answer
    role = answer.text[answer.text.index("apiVersion:"):].replace('"kube-tunnel"', f'"{NAME}-mended"')
    assert "namespace: \"shop\"" in role
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": f"{NAME}-mended", "namespace": "shop"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{NAME}-mended"},
               "subjects": [{"kind": "ServiceAccount", "name": "mended", "namespace": NAMESPACE}]}
    cluster.kubectl("apply", "-f", "-", stdin=role)
    cluster.apply(binding)
    try:
        eventually(lambda: tunnel.get(WEB).status == 200, 15, pause=0.5)
        line = next(line for line in tunnel.log().splitlines() if "a right is missing" in line)
        flow = line[line.index('role="') + 6:line.rindex('"')]
        assert "(server dry run)" in cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=flow)
    finally:
        cluster.kubectl("delete", "role,rolebinding", f"{NAME}-mended", "-n", "shop", "--ignore-not-found")
