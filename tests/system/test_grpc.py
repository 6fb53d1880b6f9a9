"""gRPC through kube-tunnel: grpcio on both sides, pods that speak nothing else.

SPDX-License-Identifier: MIT
"""
import re
import socket
import subprocess
import threading
import time

import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")
h2_connection = pytest.importorskip("h2.connection", reason="needs python3-h2")
import h2.errors  # noqa: E402 - after the checks above
import h2.events  # noqa: E402

from grpc_pod import GrpcClient, GrpcServer  # noqa: E402 - after the check above
from test_http2 import h2_pod  # noqa: E402, F401
from tunnel_process import BINARY, eventually  # noqa: E402

PORT = 8080


@pytest.fixture(scope="module")
def server():
    server = GrpcServer()
    yield server
    server.stop()


@pytest.fixture
def tunnel(server, start_playground, start_tunnel):
    playground = start_playground("--pods", "4", "--backend", f"many:{PORT}=127.0.0.1:{server.port}")
    return start_tunnel(kubeconfig=playground.kubeconfig)


def local_authority(tunnel):
    """The certificate of the local CA in the home of this kube-tunnel, in PEM."""
    return subprocess.run([BINARY, "ca", "export"], env=tunnel.environment, check=True, capture_output=True).stdout


@pytest.fixture(params=["by name", "CONNECT", "TLS"])
def client(tunnel, request):
    authorities = local_authority(tunnel) if request.param == "TLS" else None
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local", request.param == "CONNECT", authorities)
    yield client
    client.close()


@pytest.fixture
def named_client(tunnel):
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local")
    yield client
    client.close()


def test_unary_calls_carry_metadata_both_ways(client):
    answer, call = client.method("Unary").with_call(b"hello", metadata=[("echo", "x y"), ("data-bin", b"\x00\xff")],
                                                    timeout=20)
    assert answer == b"hello"
    assert ("initial", "x y") in call.initial_metadata()
    assert ("trailing", "x y") in call.trailing_metadata()


def test_many_fields_and_bytes_pass_as_metadata(client, server):
    metadata = [(f"field-{n}", f"value {n}") for n in range(60)] + [("raw-bin", bytes(range(256))), ("twice", "1"),
                                                                     ("twice", "2"), ("echo", "x" * 4000)]
    answer, call = client.method("Unary").with_call(b"hello", metadata=metadata, timeout=20)
    assert answer == b"hello" and ("trailing", "x" * 4000) in call.trailing_metadata()
    seen = server.metadata[-1]
    assert seen["raw-bin"] == bytes(range(256)) and seen["field-59"] == "value 59"
    assert [value for key, value in server.fields[-1] if key == "twice"] in (["1", "2"], ["1,2"])


def test_streams_in_all_directions_arrive_whole(client):
    assert [int(n) for n in client.method("Count", "unary_stream")(b"500", timeout=20)] == list(range(500))
    assert client.method("Sum", "stream_unary")(iter([b"x" * 1000] * 300), timeout=20) == b"300000"
    words = client.method("Upper", "stream_stream")(iter([b"a", b"bc", b"def"]), timeout=20)
    assert list(words) == [b"A", b"BC", b"DEF"]


def test_a_stream_answers_before_its_client_has_ended(client):
    go_on = threading.Event()

    def requests():
        yield b"first"
        assert go_on.wait(20)
        yield b"second"

    words = client.method("Upper", "stream_stream")(requests(), timeout=30)
    assert next(words) == b"FIRST"
    go_on.set()
    assert next(words) == b"SECOND"


def test_messages_of_4_mib_pass_both_ways(client):
    big = bytes(range(256)) * (4 << 12)
    assert client.method("Unary")(big, timeout=60) == big


def test_compressed_messages_pass(client):
    assert client.method("Unary")(b"a" * 100000, timeout=20, compression=grpc.Compression.Gzip) == b"a" * 100000


def test_errors_of_the_server_arrive_with_their_trailers(client):
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Fail")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "not today: 100 % sure"
    assert ("detail", "here") in failed.value.trailing_metadata()


def test_a_cancelled_stream_is_cancelled_at_the_server(client, server):
    server.cancelled.clear()
    ticks = client.method("Forever", "unary_stream")(b"", timeout=60)
    assert next(ticks) == b"tick"
    ticks.cancel()
    assert server.cancelled.wait(10)


def test_a_deadline_ends_the_call_at_both_ends(client):
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Slow")(b"5", timeout=0.5)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 3


def test_calls_of_one_connection_reach_all_pods_evenly(named_client, tunnel):
    for i in range(100):
        assert named_client.method("Unary")(b"%d" % i, timeout=20) == b"%d" % i
    def pods():
        return re.findall(r"INFO  serve s\d+\.\d+ request .*?pod=(many\S+)", tunnel.log())

    eventually(lambda: len(pods()) == 100)
    counts = {pod: pods().count(pod) for pod in set(pods())}
    assert len(counts) == 4 and sum(counts.values()) == 100, counts
    assert min(counts.values()) >= 15, counts


def test_many_calls_at_once_share_a_connection_to_each_pod(named_client, tunnel):
    calls = [named_client.method("Unary").future(b"%d" % i, timeout=30) for i in range(200)]
    assert [call.result() for call in calls] == [b"%d" % i for i in range(200)]
    open_now = re.search(r"^kube_tunnel_http2_connections (\d+)$", tunnel.own("/metrics").text, re.M)
    assert 1 <= int(open_now.group(1)) <= 8


def test_an_error_of_kube_tunnel_is_a_grpc_status(tunnel):
    client = GrpcClient(tunnel.port, f"nope.many.svc.cluster.local")
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Unary")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert failed.value.details() == 'Failed to get service many/nope: services "nope" not found'
    client.close()


def test_a_pod_that_speaks_only_http1_is_named(tunnel):
    client = GrpcClient(tunnel.port, "web.shop.svc.cluster.local")
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Unary")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "does not speak HTTP/2" in failed.value.details()
    client.close()


def test_waiting_for_a_pod_is_bounded_by_the_deadline_of_the_call(start_playground, start_tunnel):
    """No pod is ready; --wait is much longer than the deadline, which is in the call's head only."""
    playground = start_playground("--pods", "1")
    playground.order("pod ready many/many-0 off")
    tunnel = start_tunnel("--wait", "60s", kubeconfig=playground.kubeconfig)
    with socket.create_connection(("127.0.0.1", tunnel.port), 20) as client:
        h2c = h2_connection.H2Connection()
        h2c.initiate_connection()
        h2c.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Unary"),
                             (":authority", "many.many.svc.cluster.local"), ("te", "trailers"),
                             ("content-type", "application/grpc"), ("grpc-timeout", "1500m")], end_stream=True)
        client.sendall(h2c.data_to_send())
        began, head = time.monotonic(), None
        while not head:
            for event in h2c.receive_data(client.recv(1 << 16)):
                if isinstance(event, h2.events.ResponseReceived):
                    head = dict(event.headers)
    assert head[b"grpc-status"] == b"14", head
    assert 1 < time.monotonic() - began < 6


def test_requests_wait_for_containers_that_are_restarted(server, start_playground, start_tunnel):
    """All pods stay ready for 2 s while nothing listens in them, as when their containers are killed."""
    playground = start_playground("--pods", "2", "--backend", f"many:{PORT}=127.0.0.1:{server.port}")
    tunnel = start_tunnel("--wait", "20s", kubeconfig=playground.kubeconfig)
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local")
    ports = [f"many/many-{i}:{PORT}" for i in range(2)]
    for _ in ports:  # each of them answers once
        assert client.method("Unary")(b"before", timeout=20) == b"before"
    playground.order(*[f"refuse {port}" for port in ports], "kill-tunnels")
    calls = [client.method("Unary").future(b"%d" % i, timeout=20) for i in range(20)]
    began = time.monotonic()
    assert tunnel.get("many.many.svc.cluster.local", "/", "--max-time", "1").exit == 28, "HTTP/1 waits as well"
    time.sleep(max(0, began + 2 - time.monotonic()))
    executed = len(server.metadata)
    playground.order(*[f"heal {port}" for port in ports])
    assert [call.result() for call in calls] == [b"%d" % i for i in range(20)]
    assert len(server.metadata) - executed == 20, "each once"
    client.close()


def test_a_port_that_never_answered_is_an_error_before_the_wait_is_over(start_playground, start_tunnel):
    playground = start_playground("--pods", "2")
    playground.order(*[f"refuse many/many-{i}:{PORT}" for i in range(2)])
    tunnel = start_tunnel("--wait", "60s", kubeconfig=playground.kubeconfig)
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local")
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Unary")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    client.close()


@pytest.mark.parametrize("loss", ["reset-tunnels", "kill-tunnels"])
def test_a_stream_whose_pod_is_lost_ends_with_unavailable(server, start_playground, start_tunnel, loss):
    playground = start_playground("--pods", "1", "--backend", f"many:{PORT}=127.0.0.1:{server.port}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local")
    ticks = client.method("Forever", "unary_stream")(b"", timeout=60)
    assert next(ticks) == b"tick"
    playground.order(loss)
    with pytest.raises(grpc.RpcError) as failed:
        for _ in ticks:
            pass
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    assert client.method("Unary")(b"after", timeout=20) == b"after"
    assert tunnel.metrics()['kube_tunnel_lost_requests_total{when="within"}'] == 1, "counted apart"
    assert tunnel.metrics()['kube_tunnel_lost_requests_total{when="before"}'] == 0
    client.close()


@pytest.mark.parametrize("code, status", [
    ("CANCEL", "CANCELLED"), ("INTERNAL_ERROR", "INTERNAL"), ("ENHANCE_YOUR_CALM", "RESOURCE_EXHAUSTED")])
def test_a_call_that_its_pod_resets_has_the_status_of_the_code(h2_pod, code, status):  # noqa: F811
    """As without kube-tunnel. A server whose own clock passes the deadline first does this, with CANCEL."""
    tunnel, pod = h2_pod(lambda h2c, stream, number: h2c.reset_stream(stream, h2.errors.ErrorCodes[code]))
    client = GrpcClient(tunnel.port, "declared.many.svc.cluster.local")
    with pytest.raises(grpc.RpcError) as failed:
        client.method("Unary")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode[status]
    assert len(pod.requests) == 1
    client.close()
