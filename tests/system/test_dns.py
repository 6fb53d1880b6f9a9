"""The DNS server: dig and drill as clients, and packets that no resolver sends.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from dig import dig as ask
from tunnel_process import BINARY, KubeTunnel, clean_environment, curl, eventually, free_ports, receive

ZONE = "cluster.local"
WEB = f"web.shop.svc.{ZONE}"
DB = f"db.shop.svc.{ZONE}"
A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 255


class Dns(KubeTunnel):
    """A kube-tunnel with a DNS server."""

    def __init__(self, *flags, **options):
        super().__init__("--dns-listen", "127.0.0.1:0", *flags, **options)

    def start(self, ready=True):
        super().start(ready)
        self.dns = int(self.wait_for_log(r"dns DNS server address=127\.0\.0\.1:(\d+)").group(1))
        return self


def start_dns(folder, playground, *flags, **options):
    tunnel = Dns(*flags, kubeconfig=playground.kubeconfig, folder=folder, **options).start()
    eventually(lambda: dig(tunnel, WEB).status == "NOERROR")
    return tunnel


@pytest.fixture(scope="module")
def server(tmp_path_factory, playground):
    tunnel = start_dns(tmp_path_factory.mktemp("dns"), playground)
    yield tunnel
    tunnel.stop()


@pytest.fixture
def start_server(tmp_path, playground):
    running = []

    def start(*flags, at=playground, **options):
        running.append(start_dns(tmp_path, at, *flags, **options))
        return running[-1]

    yield start
    for tunnel in running:
        tunnel.stop()


def dig(tunnel, name, kind="A", *flags):
    return ask(tunnel.dns, name, kind, *flags)


SOA_OF = {zone: rf"{zone}\. 5 IN SOA ns\.dns\.{zone}\. hostmaster\.{zone}\. \d+ 7200 1800 86400 5"
          for zone in (ZONE, "k8s", "playground.k8s")}
ADDRESS = r"127\.\d+\.\d+\.\d+"

ROWS = [
    # name, type, status, answer (patterns)
    (WEB, "A", "NOERROR", [rf"{WEB}\. 5 IN A {ADDRESS}"]),
    (WEB.upper(), "A", "NOERROR", [rf"(?i:{WEB})\. 5 IN A {ADDRESS}"]),
    (WEB, "AAAA", "NOERROR", []),
    (WEB, "TXT", "NOERROR", []),
    (WEB, "HTTPS", "NOERROR", []),
    (f"nope.shop.svc.{ZONE}", "A", "NXDOMAIN", []),
    (f"nope.shop.svc.{ZONE}", "AAAA", "NXDOMAIN", []),
    (f"web.nope.svc.{ZONE}", "A", "NXDOMAIN", []),
    (DB, "A", "NOERROR", [rf"{DB}\. 5 IN A {ADDRESS}"] * 2),
    (f"db-0.{DB}", "A", "NOERROR", [rf"db-0\.{DB}\. 5 IN A {ADDRESS}"]),
    (f"db-0.{DB}", "AAAA", "NOERROR", []),
    (f"db-9.{DB}", "A", "NXDOMAIN", []),
    (f"empty.shop.svc.{ZONE}", "A", "NOERROR", [rf".* 5 IN A {ADDRESS}"]),
    (f"_http._tcp.{WEB}", "SRV", "NOERROR", [rf"_http\._tcp\.{WEB}\. 5 IN SRV 0 100 80 {WEB}\."]),
    (f"_http._tcp.{WEB}", "A", "NOERROR", [rf".* 5 IN A {ADDRESS}"]),
    (f"http.tcp.{WEB}", "A", "NOERROR", [rf".* 5 IN A {ADDRESS}"]),
    (f"_nope._tcp.{WEB}", "SRV", "NXDOMAIN", []),
    (f"_http._udp.{WEB}", "SRV", "NXDOMAIN", []),
    (WEB, "SRV", "NOERROR", [rf".* SRV 0 50 80 {WEB}\.", rf".* SRV 0 50 9000 {WEB}\."]),
    (DB, "SRV", "NOERROR", [rf".* SRV 0 50 8080 db-[01]\.{DB}\."] * 2),
    (f"a.b.c.{WEB}", "A", "NXDOMAIN", []),
    (f"ext.shop.svc.{ZONE}", "A", "NOERROR", [rf"ext\.shop\.svc\.{ZONE}\. 5 IN CNAME example\.org\."]),
    (f"ext.shop.svc.{ZONE}", "CNAME", "NOERROR", [rf"ext\.shop\.svc\.{ZONE}\. 5 IN CNAME example\.org\."]),
    (f"ext.shop.svc.{ZONE}", "MX", "NOERROR", []),
    (f"db-0.shop.pod.{ZONE}", "A", "NOERROR", [rf".* 5 IN A {ADDRESS}"]),
    (f"nope.shop.pod.{ZONE}", "A", "NXDOMAIN", []),
    (ZONE, "A", "NOERROR", []),
    (ZONE, "SOA", "NOERROR", [SOA_OF[ZONE]]),
    (ZONE, "NS", "NOERROR", [rf"{ZONE}\. 5 IN NS ns\.dns\.{ZONE}\."]),
    (f"ns.dns.{ZONE}", "A", "NOERROR", [rf"ns\.dns\.{ZONE}\. 5 IN A 127\.0\.0\.1"]),
    (f"svc.{ZONE}", "A", "NOERROR", []),
    (f"pod.{ZONE}", "A", "NOERROR", []),
    (f"shop.svc.{ZONE}", "A", "NOERROR", []),
    (f"shop.pod.{ZONE}", "AAAA", "NOERROR", []),
    (f"nope.svc.{ZONE}", "A", "NXDOMAIN", []),
    (f"nope.{ZONE}", "A", "NXDOMAIN", []),
    (f"dns-version.{ZONE}", "TXT", "NOERROR", [rf'dns-version\.{ZONE}\. 28800 IN TXT "1\.1\.0"']),
    (f"{WEB}.shop.svc.{ZONE}", "A", "NXDOMAIN", []),
    (f"{WEB}.svc.{ZONE}", "AAAA", "NXDOMAIN", []),
    (f"{WEB}.{ZONE}", "A", "NXDOMAIN", []),
    (f"web.shop.shop.svc.{ZONE}", "A", "NXDOMAIN", []),
    (WEB, "ANY", "NOERROR", [r'.* HINFO "ANY obsoleted" "See RFC 8482"']),
    ("web.shop.svc.playground.k8s", "A", "NOERROR", [rf".* 5 IN A {ADDRESS}"]),
    ("playground.k8s", "A", "NOERROR", []),
    ("k8s", "A", "NOERROR", []),
    ("web.shop.svc.nope.k8s", "A", "NXDOMAIN", []),
    ("example.com", "A", "REFUSED", []),
    ("nope.in-addr.arpa", "PTR", "REFUSED", []),
]


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize("name, kind, status, answer", ROWS)
def test_dig_gets_each_row(server, name, kind, status, answer, transport):
    got = dig(server, name, kind, transport)
    assert got.status == status, got.text
    assert len(got.answer) == len(answer), got.text
    for line in got.answer:
        assert any(re.fullmatch(pattern, line) for pattern in answer), got.text
    assert ("aa" in got.flags) == (status != "REFUSED" and kind != "ANY"), got.text
    assert "ra" not in got.flags and "tc" not in got.flags
    if not answer and status != "REFUSED":
        zone = next(z for z in ("playground.k8s", "k8s", ZONE) if name.endswith(z))
        assert len(got.authority) == 1 and re.fullmatch(SOA_OF[zone], got.authority[0]), got.text
    else:
        assert not got.authority, got.text


def test_srv_records_bring_the_addresses_of_their_targets(server):
    got = dig(server, DB, "SRV")
    addresses = {line.split()[0]: line.split()[-1] for line in got.additional}
    assert set(addresses) == {f"db-0.{DB}.", f"db-1.{DB}."}
    for name, address in addresses.items():
        assert dig(server, name.rstrip("."), "A").answer[0].split()[-1] == address


def test_drill_reads_the_answers(server):
    def drill(name, kind):
        return subprocess.run(["drill", "-p", str(server.dns), f"{name}.", "@127.0.0.1", kind],
                              capture_output=True, text=True, timeout=10).stdout
    assert re.search(rf"{WEB}\.\s+5\s+IN\s+A\s+127\.", drill(WEB, "A"))
    assert "rcode: NXDOMAIN" in drill(f"nope.shop.svc.{ZONE}", "A")
    assert re.search(r"SRV\s+0 50 8080 db-0", drill(DB, "SRV"))


def test_the_address_leads_to_the_service(server):
    address = dig(server, WEB).answer[0].split()[-1]
    answer = curl("--resolve", f"{WEB}:80:{address}", f"http://{WEB}/")
    assert answer.status == 200 and answer.pod.startswith("web-")


def test_an_address_is_stable_and_has_its_name_as_ptr(server):
    first, second = (dig(server, WEB).answer[0].split()[-1] for _ in range(2))
    assert first == second
    reverse = ".".join(reversed(first.split("."))) + ".in-addr.arpa"
    assert dig(server, reverse, "PTR").answer == [f"{reverse}. 5 IN PTR {WEB}."]
    assert dig(server, reverse, "A").status == "NOERROR"
    pod = dig(server, f"db-0.{DB}").answer[0].split()[-1]
    reverse = ".".join(reversed(pod.split("."))) + ".in-addr.arpa"
    assert dig(server, reverse, "PTR").answer == [f"{reverse}. 5 IN PTR db-0.{DB}."]


def test_addresses_without_an_owner_are_not_ours(server):
    assert dig(server, "1.0.0.127.in-addr.arpa", "PTR").status == "REFUSED"


def test_closed_namespaces_do_not_exist(start_server):
    tunnel = start_server("--deny-namespace", "other")
    for name in (f"web.other.svc.{ZONE}", f"other.svc.{ZONE}", f"web-5d8c6b7f9-q7l4s.other.pod.{ZONE}"):
        assert dig(tunnel, name).status == "NXDOMAIN"


def test_an_external_name_within_the_cluster_is_followed(start_playground, start_server, tmp_path):
    def service(name, target):
        return ('{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"shop","name":"%s"},"spec":'
                '{"type":"ExternalName","externalName":"%s"}}' % (name, target))
    targets = {"one": f"two.shop.svc.{ZONE}", "two": WEB, "loop": f"loop.shop.svc.{ZONE}",
               "nowhere": f"nope.shop.svc.{ZONE}", "closed": f"web.other.svc.{ZONE}"}
    manifest = tmp_path / "external.json"
    manifest.write_text("[" + ",".join(service(*item) for item in targets.items()) + "]")
    cluster = start_playground("--manifest", manifest)
    tunnel = start_server("--deny-namespace", "other", at=cluster)
    got = dig(tunnel, f"one.shop.svc.{ZONE}")
    address = dig(tunnel, WEB).answer[0].split()[-1]
    assert got.answer == [f"one.shop.svc.{ZONE}. 5 IN CNAME two.shop.svc.{ZONE}.",
                          f"two.shop.svc.{ZONE}. 5 IN CNAME {WEB}.", f"{WEB}. 5 IN A {address}"]
    for name in ("loop", "nowhere", "closed"):
        got = dig(tunnel, f"{name}.shop.svc.{ZONE}")
        assert got.status == "NOERROR" and not got.answer and got.authority, got.text
    got = dig(tunnel, "two.shop.svc.playground.k8s")  # the same cluster by its other zone
    assert got.answer[0] == "two.shop.svc.playground.k8s. 5 IN CNAME web.shop.svc.playground.k8s."


@pytest.mark.parametrize("rights", ["original", "namespace"])
def test_names_are_looked_up_where_services_are_not_watched(start_playground, start_server, rights):
    cluster = start_playground("--rights", rights)
    tunnel = start_server(at=cluster)
    assert len(dig(tunnel, DB).answer) == 2
    assert dig(tunnel, f"nope.shop.svc.{ZONE}").status == "NXDOMAIN"
    assert dig(tunnel, f"web.nope.svc.{ZONE}").status == "NXDOMAIN"


def test_a_look_up_without_an_answer_fails_after_two_seconds(start_playground, start_server):
    cluster = start_playground("--rights", "original")
    tunnel = start_server(at=cluster)
    cluster.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        got = dig(tunnel, f"seed.shop.svc.{ZONE}")
        assert got.status == "SERVFAIL" and 1.5 < time.monotonic() - begin < 4.5
        begin = time.monotonic()  # names that need no look-up do not wait
        assert dig(tunnel, f"{WEB}.shop.svc.{ZONE}").status == "NXDOMAIN"
        assert time.monotonic() - begin < 1
    finally:
        cluster.process.send_signal(signal.SIGCONT)


def test_responses_are_counted_by_rcode(server):
    def count(code):
        return server.metrics()[f'kube_tunnel_dns_responses_total{{rcode="{code}"}}']
    for code, name in (("NOERROR", WEB), ("NXDOMAIN", f"nope.{ZONE}"), ("REFUSED", "example.com")):
        before = count(code)
        assert dig(server, name).status == code
        assert count(code) == before + 1


def test_status_shows_where_it_listens(server):
    done = subprocess.run([BINARY, "status", "-o", "json"], env=server.environment, capture_output=True, text=True,
                          timeout=20)
    assert json.loads(done.stdout)["dns"] == {"addresses": [f"127.0.0.1:{server.dns}"], "waiting": 0}
    done = subprocess.run([BINARY, "status"], env=server.environment, capture_output=True, text=True, timeout=20)
    assert re.search(rf"127\.0\.0\.1:{server.dns} +this machine +DNS server", done.stdout), done.stdout


# --- packets ---

def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def packet(name=WEB, kind=A, number=0x1234, flags=0x0100, klass=1, extra=b"", counts=(1, 0, 0, 0)):
    return struct.pack(">HHHHHH", number, flags, *counts) + wire_name(name) + struct.pack(">HH", kind, klass) + extra


def opt(size=1232, version=0):
    return b"\0" + struct.pack(">HHBBHH", 41, size, 0, version, 0, 0)


@contextmanager
def udp(tunnel, timeout=5):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect(("127.0.0.1", tunnel.dns))
        yield s


def tcp(tunnel, timeout=5):
    return socket.create_connection(("127.0.0.1", tunnel.dns), timeout)


def framed(message):
    return struct.pack(">H", len(message)) + message


def read_framed(s):
    return receive(s, struct.unpack(">H", receive(s, 2))[0])


def rcode(message):
    return message[3] & 0xf


REFUSED = {
    "compression loop": (packet()[:12] + b"\xc0\x0c\0\1\0\1", 1),
    "pointer to the head": (packet()[:12] + b"\3web\xc0\0\0\1\0\1", 1),
    "loop in an additional record": (packet(extra=b"\xc0\x2c" + b"\0\1\0\1\0\0\0\0\0\0", counts=(1, 0, 0, 1)), 1),
    "label of 64 bytes": (packet()[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", 1),
    "name of 256 bytes": (packet()[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", 1),
    "cut": (packet()[:20], 1),
    "no question": (packet(counts=(0, 0, 0, 0)), 1),
    "two questions": (packet(extra=wire_name(WEB) + b"\0\1\0\1", counts=(2, 0, 0, 0)), 1),
    "an answer": (packet(counts=(1, 1, 0, 0)), 1),
    "65535 additional records": (packet(counts=(1, 0, 0, 65535)), 1),
    "update": (packet(flags=0x2800), 4),
    "status": (packet(flags=0x1000), 4),
    "class chaos": (packet("version.bind", TXT, klass=3), 5),
    "class any": (packet(klass=255), 5),
    "transfer": (packet(ZONE, 252), 5),
    "two OPT records": (packet(extra=opt() + opt(), counts=(1, 0, 0, 2)), 1),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_resolver_sends_is_refused_in_few_bytes(server, what):
    message, code = REFUSED[what]
    with udp(server) as s:
        s.send(message)
        answer = s.recv(4096)
    assert answer[:2] == message[:2] and answer[2] & 0x80 and rcode(answer) == code
    assert len(answer) <= len(message) + 11
    with tcp(server) as s:
        s.sendall(framed(message))
        assert rcode(read_framed(s)) == code


def test_another_version_of_edns_is_refused_with_ours(server):
    got = dig(server, WEB, "A", "+edns=7", "+noednsnegotiation")
    assert got.status == "BADVERS" and "version: 0" in got.text


def test_a_datagram_that_is_no_question_gets_no_answer(server):
    with udp(server, 0.3) as s:
        for message in (b"", b"\0", packet()[:11], packet(flags=0x8180), b"\xff" * 512):
            s.send(message)
        with pytest.raises(TimeoutError):
            s.recv(4096)
        s.settimeout(5)
        s.send(packet())
        assert rcode(s.recv(4096)) == 0


def test_a_long_answer_is_truncated_and_whole_over_tcp(start_playground, start_server, tmp_path):
    manifest = tmp_path / "long.json"
    manifest.write_text("""[{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"many","name":"heads"},
        "spec":{"clusterIP":"None","selector":{"app":"many"},"ports":[{"name":"http","port":8080}]}}]""")
    tunnel = start_server(at=start_playground("--pods", "60", "--manifest", manifest))
    name = f"heads.many.svc.{ZONE}"
    eventually(lambda: len(dig(tunnel, name, "A", "+tcp").answer) == 60)
    for flags, most in (("+noedns", 512), ("+bufsize=800", 800), ("+bufsize=4096", 1232)):
        got = dig(tunnel, name, "A", "+ignore", flags)
        size = int(re.search(r"MSG SIZE\s+rcvd: (\d+)", got.text).group(1))
        if most == 1232 and size < most - 16:
            assert len(got.answer) == 60
            continue
        assert "tc" in got.flags and most - 27 < size <= most, got.text
    got = dig(tunnel, name, "SRV", "+bufsize=4096")  # dig itself asks again over TCP
    assert len(got.answer) == 60 and len(got.additional) == 60 and "(TCP)" in got.text


def test_responses_go_to_the_socket_that_asked(server):
    with udp(server) as asker, udp(server, 0.3) as other:
        for number in range(50):
            asker.send(packet(number=number))
        got = {struct.unpack(">H", asker.recv(4096)[:2])[0] for _ in range(50)}
        assert got == set(range(50))
        with pytest.raises(TimeoutError):
            other.recv(4096)


def test_tcp_answers_pipelined_questions(server):
    with tcp(server) as s:
        s.sendall(b"".join(framed(packet(number=n)) for n in range(100)))
        assert {struct.unpack(">H", read_framed(s)[:2])[0] for _ in range(100)} == set(range(100))
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b"", "the end of the questions ends the connection"


def test_tcp_questions_may_come_byte_by_byte(server):
    with tcp(server) as s:
        for byte in framed(packet()):
            s.sendall(bytes([byte]))
        assert rcode(read_framed(s)) == 0


@pytest.mark.parametrize("message", [struct.pack(">H", 65535) + b"a" * 1000, framed(b"a" * 5),
                                     framed(packet(flags=0x8180))])
def test_tcp_connections_with_garbage_are_closed(server, message):
    with tcp(server) as s:
        s.sendall(message)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass


def test_half_open_and_slow_connections_give_way_to_others(server):
    idle = [tcp(server) for _ in range(140)]
    try:
        for s in idle[::2]:
            s.sendall(b"\0")
        for _ in range(5):
            with tcp(server) as s:
                s.sendall(framed(packet()))
                assert rcode(read_framed(s)) == 0
        assert any(select.select([s], [], [], 0)[0] for s in idle), "the oldest were closed"
    finally:
        for s in idle:
            s.close()


def test_an_idle_connection_is_closed_after_ten_seconds(server):
    with tcp(server, 15) as silent, tcp(server, 15) as half:
        half.sendall(framed(packet())[:10])
        begin = time.monotonic()
        assert silent.recv(1) == b"" and half.recv(1) == b""
        assert 8 < time.monotonic() - begin < 13


def test_a_client_that_reads_no_answers_is_not_read_either(server):
    with tcp(server, 2) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        block = b"".join(framed(packet(DB, SRV, number=n)) for n in range(100))
        sent = 0
        try:
            for _ in range(2000):
                s.sendall(block)
                sent += 1
        except (TimeoutError, ConnectionError):
            pass
        assert sent < 2000
    assert dig(server, WEB).status == "NOERROR"


def test_a_flood_of_names_leaves_the_server_responsive(start_playground, start_server):
    """Each name would be a look-up at the API server; those above the limits fail at once."""
    tunnel = start_server(at=start_playground("--rights", "original"))
    with udp(tunnel, 1) as s:
        answers = sent = 0
        deadline = time.monotonic() + 20
        while answers < 600 and time.monotonic() < deadline:
            for _ in range(20):
                s.send(packet(f"n{sent}.shop.svc.{ZONE}", number=sent & 0xffff))
                sent += 1
            while select.select([s], [], [], 0.01)[0]:
                assert rcode(s.recv(4096)) in (2, 3)
                answers += 1
        assert answers >= 600, f"of {sent}: those above the limits are answered, too"
        begin = time.monotonic()  # the flood may still fill the socket's buffer: as resolvers, dig asks again
        assert dig(tunnel, f"{WEB}.shop.svc.{ZONE}", "A", "+tries=5", "+time=1").status == "NXDOMAIN"
        assert time.monotonic() - begin < 4
    assert eventually(lambda: tunnel.metrics()["kube_tunnel_dns_questions"] == 0)


# --- from outside the machine ---

NETWORK = """ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip addr add 192.0.2.9/24 dev lo &&
ip addr add 192.0.2.10/24 dev lo && exec "$@" """

OUTSIDE = """
import json, select, socket, struct, sys
port, message = int(sys.argv[1]), bytes.fromhex(sys.argv[2])

def flood(source, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.connect(("192.0.2.1", port))
    got = []
    for _ in range(count):
        s.send(message)
        while select.select([s], [], [], 0)[0]:
            got.append(s.recv(4096))
    while select.select([s], [], [], 0.5)[0]:
        got.append(s.recv(4096))
    return {"answers": sum(a[7] for a in got), "truncated": sum(bool(a[2] & 2) for a in got),
            "largest_truncated": max([len(a) for a in got if a[2] & 2], default=0)}

def stream(source):
    s = socket.create_connection(("192.0.2.1", port), 5, (source, 0))
    s.sendall(struct.pack(">H", len(message)) + message)
    answer = s.recv(4096)
    return s, bool(answer) and answer[2 + 7]

def streams(source, count):
    held = []
    for _ in range(count):
        try:
            held.append(stream(source))
        except OSError:
            held.append((None, False))
    return sum(bool(ok) for _, ok in held)

print(json.dumps({"first": flood("192.0.2.9", 200), "other": flood("192.0.2.10", 5), "tcp": streams("192.0.2.9", 20)}))
"""


def test_addresses_outside_have_a_rate_and_are_led_to_tcp(tmp_path, playground):
    """A name that needs no cluster, which this network cannot reach."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    tunnel = KubeTunnel("--dns-listen", "192.0.2.1:0", "--dns-rate", "20", kubeconfig=playground.kubeconfig,
                        folder=tmp_path, wrapper=["unshare", "-n", "sh", "-c", NETWORK, "sh"])
    tunnel.start(False)
    try:
        port = tunnel.wait_for_log(r"dns DNS server address=192\.0\.2\.1:(\d+)").group(1)
        tunnel.wait_for_log(r"WARN +dns the DNS server can be reached from outside this machine")
        message = packet(f"dns-version.{ZONE}", TXT)
        done = subprocess.run(["nsenter", "-t", str(tunnel.process.pid), "-n", sys.executable, "-c", OUTSIDE, port,
                               message.hex()], capture_output=True, text=True, timeout=60, check=True)
        got = json.loads(done.stdout)
        assert 20 <= got["first"]["answers"] <= 60, got
        above = 200 - got["first"]["answers"]
        assert above * 0.4 <= got["first"]["truncated"] <= above * 0.6, got
        assert got["first"]["largest_truncated"] == len(message), "no more than was asked"
        assert got["other"]["answers"] == 5, "another address has a rate of its own"
        assert got["tcp"] == 16, "and TCP answers, on so many connections"
    finally:
        tunnel.stop()


# --- other zones ---

class Upstream(threading.Thread):
    """A DNS server whose replies a test makes: reply(query, from, send)."""

    def __init__(self, reply):
        super().__init__(daemon=True)
        self.port = free_ports(1)[0]
        self.stream = socket.create_server(("127.0.0.1", self.port))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.reply, self.queries = reply, []
        threading.Thread(target=self.serve_streams, daemon=True).start()
        self.start()

    def run(self):
        while True:
            try:
                query, source = self.socket.recvfrom(4096)
            except OSError:
                return
            self.queries.append((query, source))
            self.reply(query, lambda answer: self.socket.sendto(answer, source))

    def serve_streams(self):
        while True:
            try:
                s, _ = self.stream.accept()
            except OSError:
                return
            with s:
                query = read_framed(s)
                self.queries.append((query, "tcp"))
                self.reply(query, lambda answer: s.sendall(framed(answer)))

    def close(self):
        self.socket.close()
        self.stream.close()


def answer_to(query, address="192.0.2.7"):
    end = 12 + query[12:].index(0) + 5
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] + record


@pytest.fixture
def upstream():
    running = []

    def start(reply):
        running.append(Upstream(reply))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_other_zones_are_passed_on(start_server, upstream, transport):
    other = upstream(lambda query, send: send(answer_to(query)))
    tunnel = start_server("--dns-forward", f"127.0.0.1:{other.port}")
    got = dig(tunnel, "www.example.com", "A", transport)
    assert got.status == "NOERROR" and "ra" in got.flags and "aa" not in got.flags
    assert got.answer == ["www.example.com. 60 IN A 192.0.2.7"]
    assert dig(tunnel, WEB, "A", transport).answer[0].split()[-1].startswith("127.")
    assert all(WEB.encode() not in query for query, _ in other.queries)


def test_ids_and_ports_of_questions_that_are_passed_on_are_random(start_server, upstream):
    other = upstream(lambda query, send: send(answer_to(query)))
    tunnel = start_server("--dns-forward", f"127.0.0.1:{other.port}")
    with udp(tunnel) as s:
        for n in range(40):
            s.send(packet(f"n{n}.example.com", number=7))
            assert s.recv(4096)[:2] == b"\0\7"
    ids = [struct.unpack(">H", query[:2])[0] for query, _ in other.queries]
    ports = [source[1] for _, source in other.queries]
    assert len(set(ids)) > 35 and len(set(ports)) > 25
    for values in (ids, ports):
        steps = [b - a for a, b in zip(values, values[1:])]
        assert len(set(steps)) > 20, "no sequence"


def test_replies_that_answer_no_question_are_ignored(start_server, upstream):
    def forge(query, send):
        wrong_id = bytes([query[0] ^ 1]) + query[1:]
        other_name = answer_to(query, "203.0.113.9").replace(b"\3www", b"\3wwx")
        for forged in (b"", b"\0", query, answer_to(wrong_id, "203.0.113.9"), other_name,
                       answer_to(query, "203.0.113.9")[:20]):
            send(forged)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # the right bytes from another port
            s.sendto(answer_to(query, "203.0.113.9"), other.queries[-1][1])
        send(answer_to(query))
    other = upstream(forge)
    tunnel = start_server("--dns-forward", f"127.0.0.1:{other.port}")
    for _ in range(2):
        assert dig(tunnel, "www.example.com", "A", "+noedns").answer == ["www.example.com. 60 IN A 192.0.2.7"]
    assert len(other.queries) == 2, "nothing is remembered"
    assert tunnel.metrics()['kube_tunnel_dns_forwarded_total{outcome="ignored_reply"}'] >= 10


def test_a_server_without_replies_is_asked_twice_and_then_given_up(start_server, upstream):
    other = upstream(lambda query, send: None)
    tunnel = start_server("--dns-forward", f"127.0.0.1:{other.port}")
    begin = time.monotonic()
    assert dig(tunnel, "www.example.com").status == "SERVFAIL"
    assert 3 < time.monotonic() - begin < 5
    assert len(other.queries) == 2 and other.queries[0] == other.queries[1]


def test_a_long_reply_is_truncated_for_a_client_with_little_room(start_server, upstream):
    other = upstream(lambda query, send: send(answer_to(query) + b"\0" * 900))
    tunnel = start_server("--dns-forward", f"127.0.0.1:{other.port}")
    with udp(tunnel) as s:
        s.send(packet("www.example.com"))
        answer = s.recv(4096)
        assert answer[2] & 0x02 and len(answer) == len(packet("www.example.com"))


# --- settings ---

def test_localhost_is_both_families(start_server):
    tunnel = start_server("--dns-listen", "localhost:0")
    port = tunnel.wait_for_log(r"dns DNS server address=\[::1\]:(\d+)").group(1)
    for server in ("127.0.0.1", "::1"):
        done = subprocess.run(["dig", f"@{server}", "-p", port, "+short", "+tries=1", WEB], capture_output=True,
                              text=True, timeout=20)
        assert re.fullmatch(ADDRESS + "\n", done.stdout), done.stdout


def test_it_is_off_by_default(tunnel):
    assert "DNS server" not in tunnel.log()


@pytest.mark.parametrize("flags, words", [
    (["--dns-listen", "0.0.0.0:0"], "dns-listen: \"0.0.0.0\" is no address of its own"),
    (["--dns-listen", "*:0"], "dns-listen: \"*\" is no address of its own"),
    (["--dns-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"], "dns-listen: 127.0.0.1:0 is given twice"),
    (["--dns-forward", "ns.example.com"], "is not an address like 10.0.0.2"),
    (["--dns-forward", "53"], "is not an address like 10.0.0.2")])
def test_settings_without_a_meaning_are_refused(playground, flags, words):
    done = subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", playground.kubeconfig, *flags],
                          capture_output=True, text=True, timeout=10, env=clean_environment())
    assert done.returncode != 0 and words in done.stderr, done.stderr


@pytest.mark.parametrize("host, address, family", [
    ("127.0.0.1", "127.0.0.1", socket.AF_INET), ("localhost", "::1", socket.AF_INET6)])
def test_a_port_in_use_is_named(playground, host, address, family):
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", playground.kubeconfig,
                               "--dns-listen", f"{host}:{port}"], capture_output=True, text=True, timeout=10,
                              env=clean_environment())
    assert done.returncode == 1 and "dns-listen: " in done.stderr, done.stderr
    assert re.search(rf"{port}\b.*{re.escape(address)}|{re.escape(address)}.*{port}\b", done.stderr), done.stderr


def test_it_does_not_forward_to_itself(playground):
    port = free_ports(1)[0]
    done = subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", playground.kubeconfig,
                           "--dns-listen", f"127.0.0.1:{port}", "--dns-forward", f"127.0.0.1:{port}"],
                          capture_output=True, text=True, timeout=10, env=clean_environment())
    assert done.returncode == 1 and "this DNS server itself" in done.stderr


def test_a_drained_process_answers_no_questions(start_server):
    tunnel = start_server()
    subprocess.run([BINARY, "stop", "--drain"], env=tunnel.environment, check=True, timeout=20, capture_output=True)
    with udp(tunnel, 1) as s, pytest.raises((TimeoutError, ConnectionRefusedError)):
        s.send(packet())
        s.recv(4096)
