"""Faults of the cluster, and of the kubeconfig."""
import contextlib
import os
import signal
import subprocess
import time

import pytest
from tunnel_process import BINARY, clean_environment, eventually

WEB = "web.shop.svc.cluster.local"


def run(*arguments, **environment):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, env=clean_environment(**environment))


@pytest.mark.parametrize("component", ["apiserver", "kubelet", "containerd"])
def test_requests_succeed_after_a_component_is_back(start_tunnel, cluster, component):
    tunnel = start_tunnel()
    assert tunnel.get(WEB).status == 200
    cluster.restart(component)
    eventually(lambda: tunnel.get(WEB).status == 200, 60, pause=0.5)
    assert tunnel.process.poll() is None
    cluster.wait_for_pods("app=web", 2)


def test_it_starts_before_the_api_server(start_tunnel, cluster):
    cluster.restart("apiserver")
    tunnel = start_tunnel(ready=False)
    eventually(lambda: tunnel.get(WEB).status == 200, 30, pause=0.5)
    eventually(lambda: tunnel.own("/readyz").status == 200)


@contextlib.contextmanager
def controllers_stand_still(cluster):
    """Stops the controllers, so that none writes EndpointSlices, as after a restart of the API server."""
    ours = f"kube-controller-manager --kubeconfig={cluster.config().parent}/"
    found = subprocess.run(["pgrep", "-f", f"/{ours}"], capture_output=True, text=True, check=True)
    pid = int(found.stdout.split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def lone_pod(name):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": "behind"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                {"name": "pod", "image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never"}]}}


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_outdated_endpointslices_do_not_fail_requests(start_tunnel, cluster, service, warm):
    """The slices have a pod that is gone, and lack the one that replaced it.

    The targets of a slice name its pods: a slice's own name is the service's with letters
    made up by the API server."""
    tunnel = start_tunnel()
    service("behind", app="behind")
    cluster.apply(lone_pod("behind-1"))
    try:
        cluster.wait_for_pods("app=behind", 1)
        if warm:
            eventually(lambda: tunnel.get("behind.shop.svc").pod == "behind-1", 20)
        tunnel.wait_for_log("endpoints=1 ready=yes" if warm else "rights found")
        targets = ("get", "endpointslices", "-n", "shop", "-l", "kubernetes.io/service-name=behind",
                   "-o", "jsonpath={.items[*].endpoints[*].targetRef.name}")
        eventually(lambda: cluster.kubectl(*targets).split() == ["behind-1"], 20)
        with controllers_stand_still(cluster):
            cluster.apply(lone_pod("behind-2"))
            cluster.kubectl("wait", "-n", "shop", "--for=condition=Ready", "pod/behind-2", "--timeout=30s")
            cluster.kubectl("delete", "pod", "-n", "shop", "behind-1")
            assert cluster.kubectl(*targets).split() == ["behind-1"]
            answers = [tunnel.get("behind.shop.svc") for _ in range(5)]
        assert [(a.status, a.pod) for a in answers] == [(200, "behind-2")] * 5, answers
        assert max(a.seconds for a in answers) < 3, answers
    finally:
        cluster.kubectl("delete", "pod", "-n", "shop", "-l", "app=behind", "--ignore-not-found")


def edited(cluster, tmp_path, old, new):
    path = tmp_path / "kubeconfig"
    text = cluster.config("watcher").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_without_a_kubeconfig_it_names_where_it_looked(cluster, tmp_path):
    done = run("run", "--listen", "127.0.0.1:0", "--kubeconfig", tmp_path / "none")
    assert done.returncode != 0
    assert str(tmp_path / "none") in done.stderr, done.stderr


def test_a_malformed_kubeconfig_names_the_line(cluster, tmp_path):
    path = tmp_path / "bad"
    path.write_text("apiVersion: v1\nkind: Config\nclusters:\n- name: lab\n cluster: [\n")
    done = run("run", "--listen", "127.0.0.1:0", "--kubeconfig", path)
    assert done.returncode != 0
    assert str(path) in done.stderr and any(n in done.stderr for n in ("line 5", ":5", "line 6", ":6")), done.stderr


def test_an_unknown_context_is_refused_at_start(cluster):
    done = run("run", "--listen", "127.0.0.1:0", "--kubeconfig", cluster.config(), "--context", "nope")
    assert done.returncode != 0
    assert '"nope"' in done.stderr, done.stderr


def test_a_wrong_certificate_authority_is_named(start_tunnel, cluster, tmp_path):
    """The certificate of the API server is checked; kube-tunnel starts and logs what is wrong."""
    other = tmp_path / "other-ca.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", tmp_path / "key", "-out", other, "-subj", "/CN=other"],
                   check=True, capture_output=True)
    ca = cluster.config().parent / "pki/ca.crt"
    tunnel = start_tunnel(kubeconfig=edited(cluster, tmp_path, str(ca), str(other)), ready=False)
    answer = tunnel.get(WEB)
    assert answer.status in (502, 503), answer
    assert "certificate" in answer.text.lower(), answer


def test_an_api_server_address_without_listener_is_named(start_tunnel, cluster, tmp_path):
    tunnel = start_tunnel(kubeconfig=edited(cluster, tmp_path, ":6443", ":6444"), ready=False)
    answer = tunnel.get(WEB)
    assert answer.status in (502, 503) and answer.seconds < 15, answer
    assert "refused" in answer.text and "6444" in answer.text, answer
    assert tunnel.own("/healthz").status == 200, "alive, if not ready"
    assert tunnel.own("/readyz").status != 200


def test_a_refused_token_is_named(start_tunnel, cluster, tmp_path):
    pki = cluster.config().parent / "pki"
    path = tmp_path / "kubeconfig"
    text = cluster.config("watcher").read_text()
    path.write_text(text.replace(f"client-certificate: {pki}/watcher.crt", "token: not-a-token")
                    .replace(f"    client-key: {pki}/watcher.key\n", ""))
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    answer = tunnel.get(WEB)
    assert answer.status in (401, 502, 503), answer
    assert "Unauthorized" in answer.text or "401" in answer.text, answer
    assert "not-a-token" not in tunnel.log() + answer.text, "no secret in a log or a page"


def test_a_service_account_token_serves_requests(start_tunnel, cluster, tmp_path):
    pki = cluster.config().parent / "pki"
    token = cluster.kubectl("create", "token", "kube-tunnel", "-n", "default").strip()
    (tmp_path / "token").write_text(token)
    path = tmp_path / "kubeconfig"
    text = cluster.config("watcher").read_text()
    path.write_text(text.replace(f"client-certificate: {pki}/watcher.crt", f"tokenFile: {tmp_path}/token")
                    .replace(f"    client-key: {pki}/watcher.key\n", ""))
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(WEB).status == 200
    assert token not in tunnel.log()


def test_a_port_in_use_is_refused_at_start(start_tunnel, cluster):
    tunnel = start_tunnel()
    done = run("run", "--listen", f"127.0.0.1:{tunnel.port}", "--kubeconfig", cluster.config())
    assert done.returncode != 0
    assert str(tunnel.port) in done.stderr and "in use" in done.stderr, done.stderr


def test_response_timeout_ends_a_request_with_504(start_tunnel):
    tunnel = start_tunnel("--response-timeout", "1s")
    began = time.monotonic()
    answer = tunnel.get(WEB, "/slow?ms=20000", "-X", "POST")
    assert answer.status == 504 and time.monotonic() - began < 5, answer


def test_list_prints_the_services(cluster):
    done = run("list", "--kubeconfig", cluster.config("watcher"))
    assert done.returncode == 0, done.stderr
    for name in ("web.shop", "web.other", "db.shop", "seed.shop"):
        assert name in done.stdout, done.stdout
    assert "http://" in done.stdout


def test_list_without_rights_names_the_missing_right(cluster):
    done = run("list", "--kubeconfig", cluster.config("dev"))
    assert done.returncode != 0
    assert "list" in done.stderr and "services" in done.stderr, done.stderr
