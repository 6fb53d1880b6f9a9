"""grpc-go and grpcurl through kube-tunnel: gRPC's own interoperability tests, by name, CONNECT, SOCKS and over TLS.

SPDX-License-Identifier: MIT
"""
import json
import re
import time

import pytest

grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")

import grpc_peer  # noqa: E402 - after the check above
from grpc_peer import CASES, SERVICE, GoServer, Load, check, export_ca, grpcurl, held_stream, seen  # noqa: E402
from tunnel_process import ROOT  # noqa: E402

NAME = "many.many.svc.cluster.local"


@pytest.fixture(scope="module", autouse=True)
def programs():
    return grpc_peer.build()


@pytest.fixture(scope="module")
def server(programs):
    server = GoServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tunnel(server, tmp_path_factory):
    from conftest import Playground
    from tunnel_process import KubeTunnel
    folder = tmp_path_factory.mktemp("grpc-go")
    playground = Playground(folder, "--pods", "2", "--backend", f"many:8080=127.0.0.1:{server.port}")
    tunnel = KubeTunnel(kubeconfig=playground.kubeconfig, folder=folder)
    tunnel.ca = export_ca(tunnel, folder)
    yield tunnel.start()
    tunnel.stop()
    playground.stop()


def by_name(tunnel):
    return [f"--authority={NAME}", f"127.0.0.1:{tunnel.port}"], {}


def by_connect(tunnel):
    return [f"{NAME}:80"], {"https_proxy": f"http://127.0.0.1:{tunnel.port}"}


def by_socks(tunnel):
    return [f"--socks=127.0.0.1:{tunnel.port}", f"passthrough:///{NAME}:80"], {}


def by_tls(tunnel):
    return [f"--authority={NAME}", f"--ca={tunnel.ca}", f"127.0.0.1:{tunnel.port}"], {}


@pytest.mark.parametrize("way", [by_name, by_connect, by_socks, by_tls])
@pytest.mark.parametrize("case", CASES)
def test_grpc_go_passes(tunnel, way, case):
    (*flags, target), environment = way(tunnel)
    check(case, target, *flags, **environment)


def test_health_and_reflection_answer_python(tunnel):
    """With the messages as bytes: SERVING is field 1; a list of services is asked for by field 7."""
    channel = grpc.insecure_channel(f"127.0.0.1:{tunnel.port}", [("grpc.default_authority", NAME)])
    assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20) == b"\x08\x01"
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=20)
    assert next(watch) == b"\x08\x01"
    watch.cancel()
    method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    services, = channel.stream_stream(method)(iter([b"\x3a\x00"]), timeout=20)
    assert SERVICE.encode() in services and b"grpc.health.v1.Health" in services
    channel.close()


def test_grpcurl_finds_and_calls_services_by_reflection(tunnel):
    target = ["-authority", NAME, f"127.0.0.1:{tunnel.port}"]
    assert SERVICE in grpcurl(*target, "list").split()
    assert "rpc UnaryCall" in grpcurl(*target, "describe", SERVICE)
    answer = json.loads(grpcurl("-d", '{"responseSize": 6}', *target, f"{SERVICE}/UnaryCall"))
    assert answer == {"payload": {"body": "AAAAAAAA"}}
    assert json.loads(grpcurl(*target, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}


def test_grpcurl_calls_a_service_through_connect(tunnel):
    answer = grpcurl(f"{NAME}:80", "grpc.health.v1.Health/Check", https_proxy=f"http://127.0.0.1:{tunnel.port}")
    assert json.loads(answer) == {"status": "SERVING"}


def test_grpcurl_calls_a_service_over_tls(tunnel):
    answer = grpcurl("-authority", NAME, f"127.0.0.1:{tunnel.port}", "grpc.health.v1.Health/Check", ca=tunnel.ca)
    assert json.loads(answer) == {"status": "SERVING"}


def test_the_command_of_the_readme_works(tunnel):
    command, = re.findall(r"^\| grpcurl \| `grpcurl -plaintext ([^`]+)` \|$", (ROOT / "README.md").read_text(), re.M)
    words = command.replace("api.shop.svc.cluster.local", NAME).replace("localhost:80", f"localhost:{tunnel.port}").split()
    assert SERVICE in grpcurl(*words).split()


# ---- keepalive ----

@pytest.fixture
def start_server(programs):
    running = []

    def start(*flags, **options):
        running.append(GoServer(*flags, **options))
        return running[-1]
    yield start
    for server in running:
        server.stop()


@pytest.fixture
def start(start_server, start_playground, start_tunnel):
    """start(*flags): a server, and a tunnel to pods that are this server."""
    def start(*flags):
        server = start_server(*flags)
        playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{server.port}")
        return server, start_tunnel(kubeconfig=playground.kubeconfig)
    return start


def test_pings_of_a_server_are_answered(start):
    """It pings after a second of silence, and gives the connection up when no answer comes in another."""
    server, tunnel = start("--ping", "1s")
    channel, exchange = held_stream(tunnel.port, NAME)
    time.sleep(2.5)
    assert "connection ends" not in server.lines
    exchange()
    channel.close()


def test_pings_of_a_client_are_answered_and_not_passed_on(start):
    """The server ends a connection that pings it more than once in five minutes (too_many_pings)."""
    server, tunnel = start()
    channel, exchange = held_stream(tunnel.port, NAME, [
        ("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 2000), ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.min_time_between_pings_ms", 100)])
    states = []
    channel.subscribe(states.append)
    time.sleep(2)
    exchange()
    assert set(states) <= {grpc.ChannelConnectivity.READY}
    assert server.lines.count("connection begins") == 1 and "connection ends" not in server.lines
    channel.close()


# ---- servers that end ----

def test_a_server_that_drains_loses_no_call(start, start_server):
    """Its successor listens on the same port: GOAWAY, the calls that run end, new ones go there."""
    server, tunnel = start()
    servers = [server]
    with Load(tunnel.port, NAME) as load:
        for _ in range(2):
            time.sleep(1)
            servers.append(start_server(port=server.port))
            servers[-2].drain()
        time.sleep(1)
    assert not load.failed, f"{len(load.failed)} of {len(load.calls)}: {load.failed[0].error}"
    assert [s.process.wait(10) for s in servers[:-1]] == [0, 0]
    assert seen(servers) == {call.number: 1 for call in load.calls}
    assert all(any(line.startswith("seen") for line in s.lines) for s in servers)


def test_a_server_that_limits_the_age_of_connections_loses_no_call(start):
    server, tunnel = start("--age", "200ms")
    with Load(tunnel.port, NAME) as load:
        time.sleep(3)
    assert not load.failed, f"{len(load.failed)} of {len(load.calls)}: {load.failed[0].error}"
    assert seen([server]) == {call.number: 1 for call in load.calls}
    assert server.lines.count("connection begins") > 5
