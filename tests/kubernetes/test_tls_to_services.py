"""Plain requests for a service that speaks TLS, on a real cluster: the API server's own port, whose certificate
the cluster's authority has signed for kubernetes.default.svc and not for this service.

A pod with hostNetwork leads to it, through the API server, kubelet and the container runtime.
SPDX-License-Identifier: MIT
"""
import json
import os

import pytest

NAMESPACE = f"tls-{os.getpid()}"
HOST = f"api.{NAMESPACE}.svc.cluster.local:443"

POD = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"name": "beside", "namespace": NAMESPACE, "labels": {"app": "beside"}},
       "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "pause", "image": "localhost/ktunnel-pause:1", "imagePullPolicy": "Never"}]}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api", "namespace": NAMESPACE},
           "spec": {"selector": {"app": "beside"}, "ports": [{"port": 443, "targetPort": 6443}]}}


@pytest.fixture(scope="module", autouse=True)
def api(cluster):
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, POD, SERVICE)
    cluster.wait_for_pods("app=beside", 1, NAMESPACE)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_name_that_the_certificate_lacks_is_refused_with_the_setting(start_tunnel):
    answer = start_tunnel().get(HOST, "/version")
    assert answer.status == 502, answer
    assert "is for another name (" in answer.text and "kubernetes.default.svc" in answer.text, answer
    assert f"tls: {{{NAMESPACE}/api: {{server-name: NAME}}}}" in answer.text, answer


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_a_certificate_of_the_clusters_authority_is_accepted(start_tunnel, version):
    tunnel = start_tunnel("--tls", f"{NAMESPACE}/api,server-name=kubernetes.default.svc")
    for _ in range(3):
        answer = tunnel.get(HOST, "/version", version)
        assert answer.status == 200 and "gitVersion" in json.loads(answer.text), answer
    assert "protocol=HTTP/2" in tunnel.log_path.read_text(), "ALPN chose it"
    # The API server ends each connection of HTTP/2 after an anonymous request (against rapid resets).
    handshakes = 'kube_tunnel_pod_tls_handshakes_total{outcome="%s"}'
    assert tunnel.metrics()[handshakes % "full"] == 1, "the others resume its session"
    assert tunnel.metrics()[handshakes % "resumed"] <= 2
