"""Local ports of single services: what may pass through them, and how they are named.

SPDX-License-Identifier: MIT
"""
import socket
import subprocess

import pytest

from http_client import Client, request
from tunnel_process import BINARY, clean_environment, eventually, free_ports, receive

BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)"
FOREIGN = ["Origin: https://evil.example", "Content-Length: 0"]


@pytest.mark.parametrize("flags", [["--deny-namespace", "other"], ["--allow-namespace", "shop"]])
@pytest.mark.parametrize("words", [["run"], ["config", "check"]])
def test_exposing_a_service_of_a_closed_namespace_is_refused(words, flags):
    done = subprocess.run([BINARY, *words, *flags, "--expose", "web.other:80=127.0.0.1:0"], capture_output=True,
                          text=True, timeout=10, env=clean_environment())
    assert done.returncode == 2
    assert done.stderr == "kube-tunnel: expose web.other:80: namespace other is closed by " \
                          "deny-namespace or allow-namespace\n"


@pytest.fixture(scope="module")
def exposed(tmp_path_factory, playground):
    """Ports by name of the option: the service web of namespace shop."""
    from tunnel_process import KubeTunnel
    ports = dict(zip(("http", "any", "raw", "echo", "member", "pod", "full"), free_ports(7)))
    names = {"http": "web.shop:80={}", "any": "web.shop:80={},any-host", "raw": "web.shop:80={},raw",
             "echo": "web.shop:9000={}", "member": "db-1.db.shop:8080={}", "pod": "db-0.shop.pod:8080={}",
             "full": "db-0.db.shop.svc.cluster.local:http={}"}
    flags = [word for name, port in ports.items() for word in ("--expose", names[name].format(port))]
    tunnel = KubeTunnel(*flags, "--allow-host", "*.listed.example", kubeconfig=playground.kubeconfig,
                        folder=tmp_path_factory.mktemp("expose"))
    tunnel.ports = ports
    yield tunnel.start()
    tunnel.stop()


@pytest.mark.parametrize("name, pod", [("member", "db-1"), ("pod", "db-0"), ("full", "db-0")])
def test_every_name_of_http_can_be_exposed(exposed, name, pod):
    with Client(exposed.ports[name]) as client:
        assert client.ask(request("x")).header("X-Pod") == pod


def test_programs_may_send_any_host_to_an_exposed_port(exposed):
    with Client(exposed.ports["http"]) as client:
        answer = client.ask(request("app.example.com", "/x"))
        assert answer.status == 200 and answer.text.endswith(" host app.example.com path /x\n"), answer


@pytest.mark.parametrize("port, host, status", [
    ("http", "app.example.com", 403), ("http", "localhost:8080", 200), ("http", "web.shop.localhost", 200),
    ("http", "web.shop", 403), ("http", "a.listed.example", 200), ("any", "app.example.com", 200),
    ("raw", "app.example.com", 200)])
def test_browsers_need_a_host_of_the_service_or_loopback(exposed, port, host, status):
    with Client(exposed.ports[port]) as client:
        answer = client.ask(request(host, fields=[BROWSER]))
        assert answer.status == status, answer
        if status == 403:
            assert answer.first == f"Forbidden: foreign host {host}" and "--allow-host" in answer.text


@pytest.mark.parametrize("pipelined", [False, True])
def test_every_request_on_an_exposed_port_is_checked(exposed, pipelined):
    """A harmless GET first, and then what only a page from elsewhere sends."""
    get, post = request("localhost"), request("localhost", "/evil", "POST", fields=FOREIGN)
    with Client(exposed.ports["http"]) as client:
        client.send(get + post if pipelined else get)
        assert client.answer().status == 200
        if not pipelined:
            client.send_bytewise(post)
        answer = client.answer("POST")
        assert answer.status == 403 and answer.first == "Forbidden: foreign origin https://evil.example"
    with Client(exposed.ports["raw"]) as client:
        assert client.ask(post).status == 200, "the option raw leaves bytes untouched"


def test_first_request_uses_the_connection_made_when_the_client_came(exposed):
    def connections():
        return exposed.total("kube_tunnel_connections_total")
    with Client(exposed.ports["http"]) as client:
        before = eventually(connections)
        for _ in range(5):
            assert client.ask(request("localhost")).status == 200
        assert connections() <= before + 1, "at most the one that was still being counted"


def test_other_protocols_are_carried_and_counted(exposed):
    """Sessions and bytes are those of every kind of connection, as their help texts have it."""
    def total(name):
        return exposed.metrics()[name]
    sent, received = 'kube_tunnel_body_bytes_total{direction="in"}', 'kube_tunnel_body_bytes_total{direction="out"}'
    before = {name: total(name) for name in (sent, received)}
    sessions = exposed.total("kube_tunnel_sessions")
    with socket.create_connection(("127.0.0.1", exposed.ports["echo"]), 10) as raw:
        for words in (b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"EHLO me\r\n", b"ruok"):
            raw.sendall(words)
            assert receive(raw, len(words)) == words
        eventually(lambda: exposed.total("kube_tunnel_sessions") == sessions + 1)
    for name in (sent, received):
        eventually(lambda: total(name) >= before[name] + 40)
    eventually(lambda: exposed.total("kube_tunnel_sessions") == sessions)
