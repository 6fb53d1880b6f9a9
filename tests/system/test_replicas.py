"""Requests that lead to kube-tunnel itself end there: none is forwarded for ever.

The playground's pods kt-0 and kt-1 are real kube-tunnels: a port-forward to one of them
ends at its listener. SPDX-License-Identifier: MIT
"""
import contextlib
import json
import re
import socket

import pytest

from tunnel_process import curl, free_ports

PORT = 8080


def pod(name, ip, ready=True):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "ktns", "uid": f"uid-of-{name}",
                         "labels": {"app": name, "set": "kt"}},
            "spec": {"nodeName": "n1", "hostname": name, "subdomain": "headless",
                     "containers": [{"name": "c", "ports": [{"containerPort": PORT, "name": "http"}]}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                       "conditions": [{"type": "Ready", "status": str(ready)}]}}


def service(name, selector, target="http", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ktns"},
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": target}], **spec}}


OBJECTS = [pod("kt-0", "10.9.0.1"), pod("kt-1", "10.9.0.2"), pod("kt-2", "10.9.0.3", ready=False),
           service("kt", {"set": "kt"}), service("headless", {"set": "kt"}, clusterIP="None"),
           service("first", {"app": "kt-0"}), service("second", {"app": "kt-1"})]


@pytest.fixture(params=["watch", "original"])
def replicas(request, start_playground, start_tunnel, tmp_path):
    """replicas(*flags): both of them (or fewer), each with the identity its manifest gives it."""
    def start(*flags, count=2):
        manifest = tmp_path / "objects.json"
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS}))
        ports = free_ports(2)
        playground = start_playground(
            "--manifest", str(manifest), "--rights", request.param,
            *(word for i in range(2) for word in ("--backend", f"kt-{i}:{PORT}=127.0.0.1:{ports[i]}")))
        return [start_tunnel("--prewarmed-tunnels", "0", *flags, kubeconfig=playground.kubeconfig, listen=[f"127.0.0.1:{ports[i]}"],
                             environment={"POD_UID": f"uid-of-kt-{i}"}) for i in range(count)]
    return start


HOSTS = ["kt.ktns.svc", "kt.ktns.localhost", "_http._tcp.kt.ktns.svc", "headless.ktns.svc.cluster.local",
         "first.ktns.svc", "second.ktns.svc", "kt-0.headless.ktns.svc", "kt-1.headless.ktns.svc",
         f"kt-0.ktns.pod:{PORT}", f"kt-1.ktns.pod:{PORT}", f"10-9-0-1.ktns.pod:{PORT}", f"10-9-0-2.ktns.pod:{PORT}"]


def through_proxy(tunnel, host):
    return curl("-x", f"http://127.0.0.1:{tunnel.port}", f"http://{host}/healthz", seconds=5)


def dials(*tunnels):
    return sum(len(re.findall(r"t\d+ dialling pod=", t.log())) for t in tunnels)


@pytest.mark.parametrize("flags", [(), ("--target-port", str(PORT))], ids=["", "target-port"])
def test_request_for_a_replica_is_answered_after_one_hop_at_most(replicas, flags):
    both = replicas(*flags)
    for tunnel in both:
        for host in HOSTS:
            answer = tunnel.get(host, "/healthz", seconds=5)
            assert (answer.status, answer.text) == (200, "ok\n"), (host, answer)
        assert through_proxy(tunnel, "second.ktns.svc").text == "ok\n"
    assert 1 <= dials(*both) <= 2, "each needs one tunnel, to the other"


def test_service_that_includes_our_pod_opens_no_tunnel(replicas):
    both = replicas()
    for tunnel in both:
        for host in "kt.ktns.svc", "headless.ktns.svc":
            assert tunnel.get(host, "/healthz", seconds=5).text == "ok\n"
        assert through_proxy(tunnel, "kt.ktns").text == "ok\n"
    assert dials(*both) == 0


def test_raw_connection_to_our_own_service_ends(replicas):
    local, = free_ports(1)
    one, = replicas("--expose", f"kt.ktns:80={local}", count=1)
    with contextlib.suppress(ConnectionResetError), socket.create_connection(("127.0.0.1", local), 5) as raw:
        raw.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")  # a protocol that is not HTTP
        assert raw.recv(100) == b""
    assert dials(one) == 0


def test_pod_in_our_network_namespace_is_refused_as_a_loop(start_playground, start_tunnel, tmp_path):
    """With hostNetwork, beside a kube-tunnel on the node: the port-forward ends at our listener."""
    port, = free_ports(1)
    node = pod("node-0", "127.0.0.1")
    node["spec"]["containers"][0]["ports"][0]["containerPort"] = port
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        node, service("node", {"app": "node-0"})]}))
    playground = start_playground("--manifest", str(manifest), "--backend", f"node-0:{port}=127.0.0.1:{port}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, listen=[f"127.0.0.1:{port}"])
    for answer in (tunnel.get("node.ktns.svc", "/", seconds=5), through_proxy(tunnel, f"node-0.ktns.pod:{port}")):
        assert answer.status == 508 and "kube-tunnel itself listens there" in answer.text, answer
    assert dials(tunnel) == 0
