"""Credentials that a real API server checks: plugins, certificates, impersonation.

SPDX-License-Identifier: MIT
"""
import base64
import json
import os
import shutil
import socket
import statistics
import subprocess
import time

import pytest
from tunnel_process import BINARY, KubeTunnel, clean_environment, curl, free_ports

NAMESPACE = "credentials"
WEB = "web.shop.svc.cluster.local"
V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"

TOKEN_PLUGIN = """#!/bin/sh
# What a person's own plugin may look like: a token of a service account.
echo run >>{folder}/runs
{before}
kubectl --kubeconfig {admin} -n {namespace} create token {account} --duration 10m -o json |
    python3 -c 'import json, sys, time
status = json.load(sys.stdin)["status"]
expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + {life}))
print(json.dumps({{"kind": "ExecCredential", "apiVersion": "{version}",
                   "status": {{"token": status["token"], "expirationTimestamp": expires}}}}))'
"""


def runs_of(folder):
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="module")
def account(cluster):
    """A service account that may do what a user of kube-tunnel needs."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                  {"apiVersion": "v1", "kind": "ServiceAccount",
                   "metadata": {"name": "plugin", "namespace": NAMESPACE}},
                  {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                   "metadata": {"name": "credentials-plugin"},
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                               "name": "cluster-admin"},
                   "subjects": [{"kind": "ServiceAccount", "name": "plugin", "namespace": NAMESPACE}]})
    yield "plugin"
    cluster.kubectl("delete", "clusterrolebinding", "credentials-plugin", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def kubeconfig(cluster, path, user):
    """Writes a kubeconfig with the admin's cluster and another user."""
    view = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
              "clusters": [{"name": "c", "cluster": view["clusters"][0]["cluster"]}],
              "users": [{"name": "u", "user": user}],
              "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}]}
    path.write_text(json.dumps(config))
    return path


def plugin_user(path, version=V1, **more):
    return {"exec": {"apiVersion": version, "command": str(path), "interactiveMode": "Never", **more}}


@pytest.fixture
def token_plugin(cluster, account, tmp_path):
    def make(life=600, before="", version=V1):
        folder = tmp_path / "plugin"
        folder.mkdir(exist_ok=True)
        path = folder / "plugin"
        path.write_text(TOKEN_PLUGIN.format(folder=folder, admin=cluster.config("admin"), life=life,
                                            namespace=NAMESPACE, account=account, before=before,
                                            version=version))
        path.chmod(0o755)
        return path
    return make


@pytest.mark.parametrize("transport", ["spdy", "websocket"])
def test_a_service_account_token_from_a_plugin_serves_requests(cluster, token_plugin, tmp_path,
                                                               start_tunnel, transport):
    path = token_plugin()
    tunnel = start_tunnel("--transport", transport, kubeconfig=kubeconfig(cluster, tmp_path / "config", plugin_user(path)))
    assert tunnel.get(WEB).status == 200
    assert tunnel.get("web.other.svc.cluster.local").status == 200
    assert runs_of(path.parent) == 1


def test_fifty_requests_with_an_expired_token_cause_one_renewal(cluster, token_plugin, tmp_path,
                                                                start_tunnel):
    path = token_plugin(life=6)
    tunnel = start_tunnel("--prewarmed-tunnels", "0",
                          kubeconfig=kubeconfig(cluster, tmp_path / "config", plugin_user(path)))
    assert runs_of(path.parent) == 1
    token_plugin(life=600)
    time.sleep(6.5)
    assert tunnel.statuses([WEB] * 50) == [200] * 50
    assert runs_of(path.parent) == 2


def test_a_certificate_from_a_plugin_serves_requests(cluster, tmp_path, start_tunnel):
    """The user's own certificate, as a plugin hands it out; the API server knows its name and rights."""
    scoped = json.loads(subprocess.run(["kubectl", "--kubeconfig", cluster.config("scoped"), "config", "view",
                                        "--raw", "--flatten", "-o", "json"], check=True, capture_output=True,
                                       text=True, env=clean_environment()).stdout)["users"][0]["user"]
    status = {"clientCertificateData": base64.b64decode(scoped["client-certificate-data"]).decode(),
              "clientKeyData": base64.b64decode(scoped["client-key-data"]).decode()}
    (tmp_path / "credential").write_text(json.dumps(
        {"kind": "ExecCredential", "apiVersion": V1BETA1, "status": status}))
    path = tmp_path / "plugin"
    path.write_text(f'#!/bin/sh\nexec cat "{tmp_path}/credential"\n')
    path.chmod(0o755)
    tunnel = start_tunnel(kubeconfig=kubeconfig(cluster, tmp_path / "config", plugin_user(path, V1BETA1)))
    assert tunnel.get(WEB).status == 200
    refused = tunnel.get("web.other.svc.cluster.local")
    assert refused.status in (403, 502, 503) and "services" in refused.text


def test_another_user_is_impersonated_by_calls_and_upgrades(cluster, tmp_path, start_tunnel):
    """The admin acts as `scoped`, which has rights in the namespace shop only."""
    admin = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))["users"][0]["user"]
    user = {**admin, "as": "scoped", "as-groups": ["developers", "system:authenticated"],
            "as-uid": "7", "as-user-extra": {"example.com/reason": ["a test", "of ours"]}}
    tunnel = start_tunnel(kubeconfig=kubeconfig(cluster, tmp_path / "config", user))
    assert tunnel.get(WEB).status == 200
    refused = tunnel.get("web.other.svc.cluster.local")
    assert refused.status in (403, 502, 503) and "other" in refused.text

    user["as"] = "no-forward"
    tunnel = start_tunnel(kubeconfig=kubeconfig(cluster, tmp_path / "config2", user), ready=False)
    refused = tunnel.get(WEB)
    assert refused.status in (403, 502, 503) and "pods/portforward" in refused.text


def test_the_aws_cli_prints_a_token_which_this_cluster_refuses(cluster, tmp_path, start_tunnel):
    """eks get-token signs without any network; only AWS's own webhook would accept it."""
    aws = shutil.which("aws")
    assert aws, "the aws CLI is missing: script/bootstrap kubernetes installs it"
    user = plugin_user("aws", V1BETA1, args=["eks", "get-token", "--cluster-name", "prod", "--region",
                                             "eu-central-1", "--output", "json"],
                       env=[{"name": "AWS_ACCESS_KEY_ID", "value": "AKIAIOSFODNN7EXAMPLE"},
                            {"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2/EXAMPLEKEY"},
                            {"name": "AWS_EC2_METADATA_DISABLED", "value": "true"}])
    path = kubeconfig(cluster, tmp_path / "config", user)
    tunnel = start_tunnel("--wait", "15s", kubeconfig=path, ready=False)
    tunnel.wait_for_log(r'credentials obtained.*source="?exec plugin .*aws', seconds=60)
    answer = tunnel.get(WEB, seconds=60)
    assert answer.status == 502 and "401" in answer.text, answer
    assert "hunter2" not in tunnel.log() and "k8s-aws-v1" not in tunnel.log() + answer.text

    del user["exec"]["env"][:2]
    done = subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig(cluster, path, user)],
                          capture_output=True, text=True, timeout=60,
                          env=clean_environment(HOME=str(tmp_path), AWS_CONFIG_FILE="/nonexistent"))
    assert done.returncode == 1 and "Unable to locate credentials" in done.stderr, done.stderr


GCLOUD = """#!/bin/sh
# In the place of gcloud's login, which needs Google: a token of this cluster, as config-helper prints it.
test "$1 $2" = "config config-helper" || exit 64
cat <<END
{{"configuration": {{"active_configuration": "default", "properties": {{"core": {{"project": "p"}}}}}},
 "credential": {{"access_token": "{token}", "token_expiry": "{expiry}"}}}}
END
"""


@pytest.mark.skipif(not shutil.which("gke-gcloud-auth-plugin"),
                    reason="gke-gcloud-auth-plugin is not in Debian; it is tested where it is installed")
def test_the_plugin_of_gke_serves_requests(cluster, account, tmp_path, start_tunnel):
    """The real plugin, which runs gcloud: first a fake gcloud, then the real one without a login."""
    token = cluster.kubectl("-n", NAMESPACE, "create", "token", account).strip()
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3000))
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "gcloud").write_text(GCLOUD.format(token=token, expiry=expiry))
    (bin_folder / "gcloud").chmod(0o755)
    environment = [{"name": "PATH", "value": f"{bin_folder}:{os.environ['PATH']}"},
                   {"name": "HOME", "value": str(tmp_path)}]
    user = plugin_user("gke-gcloud-auth-plugin", V1BETA1, provideClusterInfo=True, interactiveMode="IfAvailable",
                       installHint="Install gke-gcloud-auth-plugin", env=environment)
    tunnel = start_tunnel(kubeconfig=kubeconfig(cluster, tmp_path / "config", user))
    assert tunnel.get(WEB).status == 200

    environment[0]["value"] = os.environ["PATH"]
    environment += [{"name": "CLOUDSDK_CONFIG", "value": str(tmp_path / "gcloud")},
                    {"name": "HOME", "value": str(tmp_path / "other")}]
    (tmp_path / "other").mkdir()
    done = subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig(cluster, tmp_path / "config2", user)],
                          capture_output=True, text=True, timeout=90, env=clean_environment())
    assert done.returncode == 1 and "gcloud auth login" in done.stderr, done.stderr


def first_200_of_kubectl(path):
    port = free_ports(1)[0]
    began = time.monotonic()
    process = subprocess.Popen(["kubectl", "--kubeconfig", path, "-n", "shop", "port-forward", "svc/web",
                                f"{port}:80"], stdout=subprocess.PIPE, text=True, env=clean_environment())
    try:
        assert "Forwarding from" in process.stdout.readline()
        assert curl(f"http://127.0.0.1:{port}/").status == 200
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


def first_200_of_ours(path, folder):
    port = free_ports(1)[0]
    tunnel = KubeTunnel("--wait", "30s", kubeconfig=path, folder=folder, listen=(f"127.0.0.1:{port}",))
    began = time.monotonic()
    tunnel.process = subprocess.Popen(tunnel.command, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                      env=tunnel.environment)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.002)
        assert curl(f"http://127.0.0.1:{port}/", "-H", f"Host: {WEB}").status == 200
        return time.monotonic() - began
    finally:
        tunnel.stop()


def test_first_answer_with_a_plugin_takes_at_most_1_1_times_that_of_kubectl(cluster, tmp_path):
    """At most 1.1 times what kubectl port-forward and curl take with the same plugin; medians of seven."""
    admin = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))["users"][0]["user"]
    status = {"clientCertificateData": base64.b64decode(admin["client-certificate-data"]).decode(),
              "clientKeyData": base64.b64decode(admin["client-key-data"]).decode()}
    (tmp_path / "credential").write_text(json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": status}))
    plugin = tmp_path / "plugin"
    plugin.write_text(f'#!/bin/sh\nsleep 0.3\nexec cat "{tmp_path}/credential"\n')
    plugin.chmod(0o755)
    path = kubeconfig(cluster, tmp_path / "config", plugin_user(plugin))
    theirs, ours = [], []
    for _ in range(7):
        theirs.append(first_200_of_kubectl(path))
        ours.append(first_200_of_ours(path, tmp_path))
    print(f"kubectl {statistics.median(theirs):.3f} s, kube-tunnel {statistics.median(ours):.3f} s")
    assert statistics.median(ours) <= 1.1 * statistics.median(theirs), (ours, theirs)
