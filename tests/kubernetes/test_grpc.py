"""gRPC on a real cluster: pods with a server of grpc-go; grpc-go, grpcurl and Python's grpcio as clients.

SPDX-License-Identifier: MIT
"""
import collections
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest

import grpc_peer
from conftest import CLUSTER
from faults_seen import Seen
from grpc_peer import CASES, SERVICE, Load, check, export_ca, grpcurl, held_stream
from tunnel_process import clean_environment, eventually

IMAGE = "localhost/ktunnel-grpc:1"
NAMESPACE = f"grpc-{os.getpid()}"
NAME = f"echo.{NAMESPACE}.svc.cluster.local"
PORT = 50051
SERVER = ["/peer", "serve", f":{PORT}", NAMESPACE]  # the last word only tells it from others


def in_namespace(kind, name, spec, version="v1"):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **spec}


def service(name, port):
    return in_namespace("Service", name, {"spec": {"selector": {"app": "echo"}, "ports": [port]}})


OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    in_namespace("Deployment", "echo", {"spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "echo"}},
        "template": {"metadata": {"labels": {"app": "echo"}}, "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "echo", "image": IMAGE, "imagePullPolicy": "Never", "command": SERVER,
                            "ports": [{"containerPort": PORT}],
                            "readinessProbe": {"grpc": {"port": PORT}, "periodSeconds": 1}}]}}}}, "apps/v1"),
    service("echo", {"name": "grpc", "port": 80, "targetPort": PORT}),
    service("undeclared", {"name": "main", "port": 80, "targetPort": PORT})]


@pytest.fixture(scope="module")
def pods(cluster):
    """pods(): the names of the two pods, both ready."""
    programs = grpc_peer.build()
    subprocess.run([CLUSTER, "image", IMAGE, f"/peer={programs['peer']}", "--", "/peer"], check=True)
    cluster.apply(*OBJECTS)
    yield lambda: cluster.wait_for_pods("app=echo", 2, NAMESPACE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def ready(pods):
    return pods()


# ---- calls of every kind ----

@pytest.mark.parametrize("host", [NAME, f"undeclared.{NAMESPACE}.svc.cluster.local"], ids=["declared", "undeclared"])
@pytest.mark.parametrize("case", CASES)
def test_grpc_go_passes(tunnel, ready, case, host):
    check(case, f"127.0.0.1:{tunnel.port}", f"--authority={host}")


@pytest.mark.parametrize("case", ["large_unary", "ping_pong", "cancel_after_first_response", "messages_of_4_mib"])
def test_grpc_go_passes_through_connect_and_socks(tunnel, ready, case):
    check(case, f"{NAME}:80", https_proxy=f"http://127.0.0.1:{tunnel.port}")
    check(case, f"passthrough:///{NAME}:80", f"--socks=127.0.0.1:{tunnel.port}")


@pytest.fixture(scope="module")
def ca(tunnel, tmp_path_factory):
    return export_ca(tunnel, tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("case", ["large_unary", "ping_pong", "cancel_after_first_response", "messages_of_4_mib"])
def test_grpc_go_passes_over_tls(tunnel, ready, ca, case):
    """TLS ends at kube-tunnel."""
    check(case, f"127.0.0.1:{tunnel.port}", f"--authority={NAME}", f"--ca={ca}")


def test_grpcurl_finds_and_calls_services_by_reflection(tunnel, ready):
    target = ["-authority", NAME, f"127.0.0.1:{tunnel.port}"]
    assert SERVICE in grpcurl(*target, "list").split()
    assert json.loads(grpcurl("-d", '{"responseSize": 6}', *target, f"{SERVICE}/UnaryCall")) == {
        "payload": {"body": "AAAAAAAA"}}
    by_connect = grpcurl(f"{NAME}:80", "grpc.health.v1.Health/Check", https_proxy=f"http://127.0.0.1:{tunnel.port}")
    assert json.loads(by_connect) == {"status": "SERVING"}


def test_a_stream_of_python_stays_open_and_carries(tunnel, ready):
    channel, exchange = held_stream(tunnel.port, NAME)
    for _ in range(20):
        assert exchange()
        time.sleep(0.05)
    channel.close()


# ---- which pod ----

def calls_by_pod(port):
    """Of 100 calls on one connection."""
    with Load(port, NAME, rate=1000) as load:
        eventually(lambda: len(load.calls) >= 100, pause=0.01)
    assert not load.failed, load.failed[0].error
    return collections.Counter(call.pod for call in load.calls[:100])


def test_calls_of_one_connection_reach_both_pods_evenly(tunnel, ready):
    counts = calls_by_pod(tunnel.port)
    assert set(counts) == ready and min(counts.values()) >= 40, counts


def test_kubectl_port_forward_sends_all_calls_to_one_pod(cluster, ready):
    """What README says of it."""
    command = ["kubectl", "--kubeconfig", cluster.config(), "port-forward", "-n", NAMESPACE, "service/echo", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as forward:
        try:
            port = int(re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline()).group(1))
            assert list(calls_by_pod(port).values()) == [100]
        finally:
            forward.kill()


# ---- pods that end ----

@pytest.fixture
def print_figures(capsys, request):
    def print_it(*words):
        with capsys.disabled():
            print(f"\n  {request.node.name}:", *words, end="", flush=True)
    return print_it


def test_a_rolling_restart_of_pods_that_drain_loses_no_call(cluster, pods, start_tunnel, print_figures):
    tunnel, before = start_tunnel(), pods()
    with Seen(cluster, f"{NAMESPACE}_echo-*") as seen:
        with Load(tunnel.port, NAME) as load:
            time.sleep(1)
            cluster.kubectl("rollout", "restart", "deployment/echo", "-n", NAMESPACE)
            cluster.kubectl("rollout", "status", "deployment/echo", "-n", NAMESPACE, "--timeout=60s")
            time.sleep(2)
    assert not pods() & before
    print_figures(f"{len(load.calls)} calls, {len(load.failed)} lost")
    assert not load.failed, f"{len(load.failed)} of {len(load.calls)}: {load.failed[0].error}"
    assert seen.counts == {call.number: 1 for call in load.calls}


def servers():
    """The processes in our pods."""
    command = "\0".join(SERVER).encode() + b"\0"
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and command_line(path) == command]


def command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def goes_on(exchange):
    """Does the stream carry another message? If not, it has ended with UNAVAILABLE."""
    try:
        return bool(exchange())
    except grpc.RpcError as ended:
        assert ended.code() == grpc.StatusCode.UNAVAILABLE, ended
        return False


def test_calls_of_a_pod_that_is_killed_end_with_unavailable_and_none_is_executed_twice(
        cluster, pods, start_tunnel, print_figures):
    """Ten calls are under way at a time, five on each pod, and a stream on each. Calls that were not delivered go to
    the other pod."""
    tunnel = start_tunnel()
    pods()
    eventually(lambda: len(servers()) == 2, 30)
    streams = [held_stream(tunnel.port, NAME) for _ in range(2)]
    with Seen(cluster, f"{NAMESPACE}_echo-*") as seen:
        with Load(tunnel.port, NAME, metadata=[("wait", "50ms")]) as load:
            time.sleep(1)
            os.kill(servers()[0], signal.SIGKILL)
            time.sleep(2)
    counts, lost = seen.counts, {call.number for call in load.failed}
    print_figures(f"{len(load.calls)} calls, {len(lost)} lost, {sum(n in counts for n in lost)} of these delivered")
    assert sorted(goes_on(exchange) for _, exchange in streams) == [False, True]
    assert {call.error.code() for call in load.failed} == {grpc.StatusCode.UNAVAILABLE}
    assert max(counts.values()) == 1, "executed twice"
    assert all(counts[call.number] == 1 for call in load.calls if not call.error), "answered and never executed"
    assert not [call for call in load.failed if "refused" in call.error.details()], "not delivered, and not repeated"
    assert max(lost) - min(lost) < load.rate, "lost after a second, in which the end of the pod is known"
    for channel, _ in streams:
        channel.close()
