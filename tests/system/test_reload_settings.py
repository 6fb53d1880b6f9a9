"""Settings of parts that have to be opened anew: HTTP/2, the access log, traces, the DNS server, the transport.

SPDX-License-Identifier: MIT
"""
import json
import socket
import threading

import pytest

from dig import dig
from h2_frames import ACK, END_HEADERS, REFUSED_STREAM, SETTINGS, data, frame, headers
from otlp_collector import Collector
from resolver_namespace import needs_root
from test_access_log import logged
from test_config_reload import REFUSED, start  # noqa: F401 (a fixture)
from test_h2_frames_of_clients import GET, POST, Client
from test_otlp import received, spans_of
from tunnel_process import eventually, free_ports

WEB = "web.shop.svc.cluster.local"
STREAMS, WINDOW = 3, 4  # SETTINGS
BOTH = socket.SOCK_STREAM, socket.SOCK_DGRAM


def settings_of(client):
    """Those that kube-tunnel sends at the begin of a connection."""
    got = next(f for f in iter(client.next, None) if f.kind == SETTINGS and not f.flags & ACK)
    return {int.from_bytes(got.payload[i:i + 2], "big"): int.from_bytes(got.payload[i + 2:i + 6], "big")
            for i in range(0, len(got.payload), 6)}


def refused(client, first):
    """Which of three requests at once are refused."""
    streams = [first, first + 2, first + 4]
    client.send(*(headers(n, POST, END_HEADERS) for n in streams), *(data(n, b"x") for n in streams[:2]))
    client.send(headers(first + 6, GET))
    client.read_until(*streams[:2], first + 6)
    return {n for n, code in client.resets.items() if code == REFUSED_STREAM}


def test_connections_of_http2_keep_their_limits_and_new_ones_have_the_new(start):  # noqa: F811
    file = start("http2-streams: 100\n")
    before = Client(file.tunnel.port)
    file.write("http2-streams: 2\nhttp2-window: 1MiB\n")
    after = Client(file.tunnel.port, acknowledges=False)
    assert (of := settings_of(before))[STREAMS] == 100 and of[WINDOW] == 256 << 10
    assert (of := settings_of(after))[STREAMS] == 2 and of[WINDOW] == 1 << 20
    assert not refused(before, 1)
    after.send(*(headers(n, POST, END_HEADERS) for n in (1, 3, 5)), data(1, b"x"), data(3, b"y"))
    after.read_until(1, 3, 5)
    assert after.resets == {5: REFUSED_STREAM} and after.statuses == {1: "200", 3: "200"}
    before.close()
    after.close()


@pytest.mark.parametrize("before, after", [("64KiB", "1MiB"), ("1MiB", "64KiB")])
def test_a_body_on_a_connection_of_before_fits_its_window(start, start_playground, before, after):  # noqa: F811
    """No pod is ready, so nothing takes the body: all of the window has to fit."""
    playground = start_playground("--pods", "1")
    playground.order("pod ready many/many-0 off")
    file = start(f"http2-window: {before}\nwait: 60s\n", kubeconfig=playground.kubeconfig)
    client = Client(file.tunnel.port)
    window = settings_of(client)[WINDOW]
    file.write(f"http2-window: {after}\nwait: 60s\n")
    of_many = [(name, "many.many.svc.cluster.local" if name == ":authority" else value) for name, value in POST]
    client.send(headers(1, [*of_many, ("content-length", str(window))], END_HEADERS))
    for left in range(window, 0, -16384):
        client.send(data(1, b"x" * min(left, 16384), 0 if left > 16384 else 1))
    playground.order("pod ready many/many-0 on")
    client.read_until(1)
    assert client.statuses.get(1) == "200" and not client.resets, (client.resets, client.goaway)
    client.close()


def test_another_access_log_is_opened_and_the_old_one_is_complete(start, tmp_path):  # noqa: F811
    one, two = tmp_path / "one", tmp_path / "two"
    file = start(f"access-log: {one}\n")
    file.tunnel.get(WEB, "/first")
    file.write(f"access-log: {two}\naccess-log-format: json\n")
    file.tunnel.get(WEB, "/second")
    assert json.loads(logged(two, 1)[0])["path"] == "/second"
    assert len(logged(one, 1)) == 1 and b"/first" in one.read_bytes()
    file.write(f"access-log: {two}\naccess-log-format: common\n")
    file.tunnel.get(WEB, "/third")
    assert b'"GET /third HTTP/1.1" 200' in logged(two, 2)[1]
    file.write("wait: 5s\n")
    file.tunnel.get(WEB, "/fourth")
    file.write(f"access-log: {one}\n")
    file.tunnel.get(WEB, "/fifth")
    assert b"/fifth" in logged(one, 2)[1] and len(logged(two, 2)) == 2


def test_an_access_log_that_cannot_be_opened_refuses_the_change_whole(start, tmp_path):  # noqa: F811
    path = tmp_path / "access"
    file = start(f"access-log: {path}\n")
    log = file.write(f"access-log: {tmp_path}/nowhere/access\ndeny-namespace: [shop]\n", text=REFUSED)
    assert f"access-log {tmp_path}/nowhere/access: No such file" in log
    assert file.tunnel.get(WEB, "/still").status == 200 and b"/still" in logged(path, 1)[0]


def test_traces_go_to_the_new_collector_and_the_last_of_before_to_the_old(start, tmp_path):  # noqa: F811
    one, path = Collector(), tmp_path / "spans"
    file = start(f"otlp: {one.url}\n")
    file.tunnel.get(WEB, "/first")
    file.write(f"otlp: {path}\n")
    file.tunnel.get(WEB, "/second")
    assert [s.attributes["url.path"] for s in spans_of(path, 1) if s.kind == 2] == ["/second"]
    assert [s.attributes["url.path"] for s in received(one, 1) if s.kind == 2] == ["/first"]
    log = file.write(f"otlp: {tmp_path}/nowhere/spans\n", text=REFUSED)
    assert f"otlp {tmp_path}/nowhere/spans: No such file" in log
    file.write("wait: 5s\n")
    assert file.tunnel.get(WEB, "/third").status == 200
    one.close()


def test_a_batch_in_its_pause_is_sent_once_more_at_once(start):  # noqa: F811
    one, two = Collector(), Collector()
    one.answers = [(503, {"Retry-After": "30"}, b"")]
    file = start(f"otlp: {one.url}\n")
    file.tunnel.get(WEB, "/first")
    file.tunnel.wait_for_log("a batch of spans is sent again")
    file.write(f"otlp: {two.url}\n")
    assert [s.attributes["url.path"] for s in received(one, 1) if s.kind == 2] == ["/first"]
    assert "could not be exported" not in file.tunnel.log() and len(one.heads) == 2
    one.close()
    two.close()


def test_a_second_change_gives_up_what_the_first_collector_has_not_taken(start):  # noqa: F811
    one, two = Collector(), Collector()
    one.stall.set()
    file = start(f"otlp: {one.url}\n")
    file.tunnel.get(WEB, "/first")
    eventually(lambda: one.heads, pause=0.02)
    file.write(f"otlp: {two.url}\n")
    file.write("wait: 5s\n")
    assert f"spans were given up to={one.url}" in file.tunnel.log()
    one.close()
    two.close()


def test_a_request_under_way_ends_without_its_trace(start, pod, tmp_path):  # noqa: F811
    reloaded = threading.Event()

    def script(connection):
        pod.tell("asked")
        reloaded.wait(20)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pod.plays(script)
    file = start(f"otlp: {tmp_path}/spans\n")
    with file.tunnel.connect(20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: " + pod.host.encode() + b"\r\n\r\n")
        pod.told()
        file.write("wait: 5s\n")
        reloaded.set()
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert file.tunnel.get(WEB).status == 200


# the DNS server


NAME = b"".join(bytes([len(label)]) + label for label in WEB.encode().split(b".")) + b"\0\0\1\0\1"
QUESTION = (len(NAME) + 12).to_bytes(2, "big") + bytes.fromhex("123401000001000000000000") + NAME


def answers(port):
    return eventually(lambda: dig(port, WEB).status == "NOERROR", pause=0.05)


def answered(client):
    """Is a question over this TCP connection?"""
    try:
        client.sendall(QUESTION)
        return client.recv(4096)[2:4] == b"\x12\x34"
    except ConnectionError:
        return False


def is_free(port, *, host="127.0.0.1"):
    for kind in BOTH:
        with socket.socket(socket.AF_INET, kind) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
            except OSError:
                return False
    return True


def test_a_dns_server_comes_moves_and_goes(start):  # noqa: F811
    one, two = free_ports(2)
    file = start("wait: 5s\n")
    file.write(f"dns-listen: ['127.0.0.1:{one}']\n")
    assert answers(one)
    file.write(f"dns-listen: ['127.0.0.1:{one}', '127.0.0.1:{two}']\n")
    assert answers(two) and answers(one)
    assert file.tunnel.log().count(f"DNS server address=127.0.0.1:{one}\n") == 1, "its socket stays open"
    file.write(f"dns-listen: ['127.0.0.1:{two}']\n")
    assert answers(two) and is_free(one)
    file.write("wait: 5s\n")
    assert is_free(two)


def test_a_connection_to_a_dns_server_that_stays_is_not_cut(start):  # noqa: F811
    one, two = free_ports(2)
    file = start(f"dns-listen: ['127.0.0.1:{one}']\n")
    with socket.create_connection(("127.0.0.1", one), 10) as client:
        assert answered(client)
        file.write(f"dns-listen: ['127.0.0.1:{one}', '127.0.0.1:{two}']\ndns-rate: 7\n")
        assert answered(client)


def test_a_connection_to_a_dns_server_that_goes_is_cut(start):  # noqa: F811
    one, two = free_ports(2)
    file = start(f"dns-listen: ['127.0.0.1:{one}', '127.0.0.1:{two}']\n")
    with socket.create_connection(("127.0.0.1", one), 10) as goes, socket.create_connection(("127.0.0.1", two), 10) as stays:
        assert answered(goes) and answered(stays)
        file.write(f"dns-listen: ['127.0.0.1:{two}']\n")
        assert not answered(goes)
        assert answered(stays)


def test_localhost_takes_over_the_socket_of_its_first_address(start):  # noqa: F811
    port, = free_ports(1)
    file = start(f"dns-listen: ['127.0.0.1:{port}']\n")
    file.write(f"dns-listen: ['localhost:{port}']\n")
    assert answers(port) and f"DNS server address=[::1]:{port}" in file.tunnel.log()
    file.write(f"dns-listen: ['127.0.0.1:{port}']\n")
    assert answers(port) and f"no longer a DNS server address=[::1]:{port}" in file.tunnel.log()


@pytest.mark.parametrize("kind", BOTH)
def test_a_dns_port_in_use_refuses_the_change_whole(start, kind):  # noqa: F811
    one, two, taken = free_ports(3)
    file = start(f"dns-listen: ['127.0.0.1:{one}']\n")
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", taken))
        if kind == socket.SOCK_STREAM:
            other.listen()
        log = file.write(f"dns-listen: ['127.0.0.1:{two}', '127.0.0.1:{taken}']\ndeny-namespace: [shop]\n", text=REFUSED)
    assert "dns-listen: " in log and str(taken) in log
    assert answers(one) and is_free(two) and file.tunnel.get(WEB).status == 200
    assert "no longer a DNS server" not in file.tunnel.log()


@needs_root
def test_an_address_of_dns_install_that_is_in_use_refuses_no_change(start, playground, tmp_path):  # noqa: F811
    """It has its own /var/lib, with what dns install writes down."""
    one, taken = free_ports(2)
    journal = tmp_path / "lib" / "kube-tunnel-dns.json"
    journal.parent.mkdir()
    want = {"backend": "resolv.conf", "server": "127.0.0.1", "port": taken, "domains": ["cluster.local"], "lowPorts": "none"}
    journal.write_text(json.dumps({"format": 1, "want": want, "steps": []}))
    journal.chmod(0o644)
    with socket.create_server(("127.0.0.1", taken)):
        file = start(f"dns-listen: ['127.0.0.1:{one}']\n", wrapper=[
            "unshare", "-m", "sh", "-c", 'mount --bind "$1" /var/lib && shift && exec "$@"', "sh", journal.parent],
            kubeconfig=playground.kubeconfig)
        log = file.write("wait: 5s\n")
        assert f"cannot listen where dns install has the resolver ask reason=\"dns-listen: port {taken}" in log
        assert is_free(one) and file.tunnel.get(WEB).status == 200
    file.write("wait: 6s\n")
    assert answers(taken)
    log = file.write(f"dns-forward: 127.0.0.1:{taken}\n", text=REFUSED)
    assert "dns-forward: it is the address of this DNS server itself" in log and answers(taken)


def test_a_listener_in_use_leaves_the_dns_server_as_it_was(start):  # noqa: F811
    one, two = free_ports(2)
    file = start(f"dns-listen: ['127.0.0.1:{one}']\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file.write(f"dns-listen: ['127.0.0.1:{two}']\nexpose: ['web.shop:80=127.0.0.1:{taken.getsockname()[1]}']\n",
                   text=REFUSED)
    assert answers(one) and is_free(two)


def test_another_server_for_other_zones_is_asked(start):  # noqa: F811
    port, = free_ports(1)
    servers = []
    for _ in range(2):
        servers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        servers[-1].bind(("127.0.0.1", 0))
        servers[-1].settimeout(10)
    names = [f"127.0.0.1:{s.getsockname()[1]}" for s in servers]
    file = start(f"dns-listen: ['127.0.0.1:{port}']\ndns-forward: {names[0]}\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        question = bytes.fromhex("123401000001000000000000") + b"\3www\7example\3com\0\0\1\0\1"
        client.sendto(question, ("127.0.0.1", port))
        assert b"example" in servers[0].recv(512)
        file.write(f"dns-listen: ['127.0.0.1:{port}']\ndns-forward: {names[1]}\n")
        client.sendto(question, ("127.0.0.1", port))
        assert b"example" in servers[1].recv(512)
        log = file.write(f"dns-listen: ['127.0.0.1:{port}']\ndns-forward: 127.0.0.1:{port}\n", text=REFUSED)
        assert "dns-forward: it is the address of this DNS server itself" in log
        file.write(f"dns-listen: ['127.0.0.1:{port}']\n")
        client.sendto(question, ("127.0.0.1", port))
        client.settimeout(10)
        assert client.recv(512)[3] & 15 == 5, "refused"
    for server in servers:
        server.close()


# tunnels


def test_new_tunnels_use_the_new_transport(start):  # noqa: F811
    file = start("transport: spdy\nprewarmed-tunnels: 0\n")
    assert file.tunnel.get(WEB).status == 200
    file.write("transport: websocket\nprewarmed-tunnels: 0\nidle-timeout: 100ms\nidle-check: 50ms\n")
    eventually(lambda: file.tunnel.total("kube_tunnel_tunnels") == 0)
    assert file.tunnel.get(WEB).status == 200
    file.tunnel.wait_for_log(r"tunnel.*transport=websocket")
