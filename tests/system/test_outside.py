"""--proxy-outside: proxy requests for hosts outside the cluster, in a network namespace made for these tests.

      this machine 198.18.N.1 ---- 198.18.N.2 to .4, a DNS server and two hosts (network namespace)

kube-tunnel has an /etc/resolv.conf of its own, in a mount namespace. SPDX-License-Identifier: MIT
"""
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from http_client import Client
from tunnel_process import curl, eventually, free_ports

SUBNET = f"198.18.{os.getpid() % 254 + 1}"
HERE, DNS, WEB, OTHER, NOBODY = (f"{SUBNET}.{n}" for n in (1, 2, 3, 4, 99))
HOSTS_FILE = Path(__file__).with_name("outside_hosts.py")
NAME = "www.example.test"
AS_ITS_RESOLVER = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")


class Network:
    def __init__(self):
        self.name = f"ktoutside-{os.getpid()}"
        self.link = f"kto{os.getpid() % 100000}"
        self.lines = queue.Queue()
        self.seen = []

    def ip(self, *words, inside=False):
        subprocess.run(["ip", *(("-n", self.name) if inside else ()), *words], check=True, capture_output=True)

    def __enter__(self):
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.ip("address", "add", f"{HERE}/24", "dev", self.link)
        self.ip("link", "set", self.link, "up")
        for address in (DNS, WEB, OTHER):
            self.ip("address", "add", f"{address}/24", "dev", "eth0", inside=True)
        self.ip("link", "set", "lo", "up", inside=True)
        self.ip("link", "set", "eth0", "up", inside=True)
        self.hosts = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, HOSTS_FILE, DNS, WEB, OTHER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        assert self.lines.get(timeout=20) == "ready"
        return self

    def read(self):
        for line in self.hosts.stdout:
            if line.startswith(("query ", "request ")):
                self.seen.append(line.strip())
            else:
                self.lines.put(line.strip())

    def script(self, name, *lists, kind="A"):
        """Each query for the name gets the next list of addresses; the last one stays."""
        self.hosts.stdin.write(f"script {name} {kind} {';'.join(lists)}\n")
        self.hosts.stdin.flush()
        assert self.lines.get(timeout=20) == "scripted"
        self.seen.clear()

    def count(self, start):
        return sum(line.startswith(start) for line in self.seen)

    def __exit__(self, *_):
        self.hosts.kill()
        self.hosts.wait()
        self.ip("netns", "delete", self.name)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with Network() as network:
        path = tmp_path_factory.mktemp("resolver") / "resolv.conf"
        path.write_text(f"nameserver {DNS}\noptions timeout:2 attempts:1\n")
        network.resolver = ["unshare", "-m", "sh", "-c", AS_ITS_RESOLVER, "sh", str(path)]
        network.script(NAME, WEB)
        yield network


@pytest.fixture
def leave(network, start_tunnel, playground):
    """leave(*flags): a kube-tunnel with --proxy-outside."""
    def start(*flags):
        return start_tunnel("--proxy-outside", *flags, kubeconfig=playground.kubeconfig, wrapper=network.resolver)
    return start


WAYS = {"absolute": ("--proxy", "http://{}"), "CONNECT": ("-p", "--proxy", "http://{}"),
        "SOCKS5": ("--socks5-hostname", "{}"), "SOCKS4a": ("--socks4a", "{}")}
every_way = pytest.mark.parametrize("way", WAYS)


def through(tunnel, way, url, *flags):
    proxied = [flag.format(f"127.0.0.1:{tunnel.port}") for flag in WAYS[way]]
    return curl(*proxied, "--max-time", "20", *flags, url)


def was_refused(answer, way):
    return answer.status in (403, 502) if way == "absolute" else answer.exit in (56, 97)


@every_way
@pytest.mark.parametrize("host", [NAME, WEB, "Example.test."], ids=["name", "address", "two labels"])
def test_hosts_outside_are_reached(network, leave, way, host):
    network.script("example.test", WEB)
    answer = through(leave(), way, f"http://{host}/x?y")
    assert answer.status == 200 and answer.text.startswith(f"outside {WEB} GET /x?y\n"), answer
    assert f"Host: {host}\n" in answer.text, "it is passed on unchanged"
    assert "Proxy-" not in answer.text and "Via" not in answer.text


@every_way
def test_services_are_still_reached(leave, way):
    answer = through(leave(), way, "http://web.shop.svc.cluster.local/x")
    assert answer.status == 200 and " host web.shop.svc.cluster.local path /x" in answer.text, answer


@every_way
def test_hosts_outside_are_refused_with_no_proxy_by_default(network, start_tunnel, playground, way):
    network.script(NAME, WEB)
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, wrapper=network.resolver)
    answer = through(tunnel, way, f"http://{NAME}/")
    assert was_refused(answer, way), answer
    if way == "absolute":
        assert f"no_proxy={NAME}" in answer.text and "--proxy-outside" in answer.text
    elif way != "CONNECT":
        tunnel.wait_for_log(rf"no_proxy={NAME}")
    assert network.seen == [], "nothing was resolved"


# --- addresses ---

INNER = {"loopback": "127.0.0.1", "all of 127/8": "127.8.9.1", "0/8": "0.0.0.0", "metadata": "169.254.169.254",
         "link-local": "169.254.3.4", "multicast": "224.0.0.251", "broadcast": "255.255.255.255", "own interface": HERE,
         "Azure": "168.63.129.16", "Alibaba": "100.100.100.200"}
INNER6 = {"loopback": "::1", "unspecified": "::", "link-local": "fe80::1", "multicast": "ff02::1",
          "mapped": "::ffff:127.0.0.1", "mapped metadata": "::ffff:169.254.169.254", "NAT64": "64:ff9b::7f00:1",
          "6to4": "2002:7f00:1::", "Amazon": "fd00:ec2::254"}


@pytest.mark.parametrize("kind, address", [
    *(pytest.param("A", a, id=n) for n, a in INNER.items()), *(pytest.param("AAAA", a, id=f"{n} v6") for n, a in INNER6.items())])
def test_a_name_of_an_inner_address_is_refused(network, leave, kind, address):
    """Our own listener is on loopback, so nothing else has to be listening there."""
    name = f"inner-{address.replace(':', '-').replace('.', '-')}x.example.test"
    network.script(name, address, kind=kind)
    tunnel = leave("--proxy-outside-ports", "80,443")
    for way in WAYS:
        answer = through(tunnel, way, f"http://{name}/healthz")
        assert was_refused(answer, way), (way, answer)
        if way == "absolute":
            assert answer.status == 403 and " is " in answer.text.splitlines()[0], answer
    assert network.count(f"query {name}") >= 4


@every_way
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", HERE,
                                  "[64:ff9b::7f00:1]", "localhost", "x.localhost", "2130706433", "0x7f.1"],
                         ids=lambda host: "our own" if host == HERE else host)
def test_an_inner_address_itself_is_refused(leave, way, host):
    answer = through(leave(), way, f"http://{host}:443/metrics")
    assert was_refused(answer, way) or (way == "absolute" and answer.text.startswith("Invalid host")), answer


@every_way
def test_a_name_that_becomes_loopback_is_refused_then(network, leave, way):
    """It resolves to a public address first, and to 127.0.0.1 next (DNS rebinding)."""
    network.script("rebind.example.test", WEB, "127.0.0.1")
    tunnel = leave()
    first = through(tunnel, way, "http://rebind.example.test/one")
    assert first.status == 200 and first.text.startswith(f"outside {WEB} "), first
    second = through(tunnel, way, "http://rebind.example.test/two")
    assert was_refused(second, way), second
    assert network.count("query rebind.example.test A ") == 2, "each connection resolves once"
    assert network.count("request GET /two") == 0


def test_of_several_addresses_only_those_outside_are_connected_to(network, leave):
    network.script("mixed.example.test", f"127.0.0.1,{OTHER},{HERE}")
    tunnel = leave()
    for way in WAYS:
        answer = through(tunnel, way, "http://mixed.example.test/")
        assert answer.status == 200 and answer.text.startswith(f"outside {OTHER} "), (way, answer)


def test_a_silent_address_delays_the_next_one_by_a_quarter_of_a_second(network, leave):
    """RFC 8305: the attempt to the first goes on meanwhile."""
    network.script("two.example.test", f"{NOBODY},{OTHER}")
    tunnel = leave()
    times = []
    for _ in range(6):  # the resolver may sort them either way
        answer = through(tunnel, "absolute", "http://two.example.test/")
        assert answer.status == 200 and answer.text.startswith(f"outside {OTHER} "), answer
        times.append(answer.seconds)
    assert max(times) < 2, times


# --- ports ---

@every_way
def test_ports_that_are_not_listed_are_refused(network, leave, way):
    network.script(NAME, WEB)
    answer = through(leave(), way, f"http://{NAME}:8080/")
    assert was_refused(answer, way), answer
    if way == "absolute":
        assert answer.status == 403 and "--proxy-outside-ports" in answer.text
    assert network.seen == [], "nothing was resolved"
    answer = through(leave("--proxy-outside-ports", "8080"), way, f"http://{NAME}:8080/")
    assert answer.status == 200 and answer.text.startswith(f"outside {WEB} "), answer


def greeting_of(tunnel, target):
    with socket.create_connection(("127.0.0.1", tunnel.port), 20) as s:
        s.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head, _, rest = b"", b"", b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
        head, _, rest = head.partition(b"\r\n\r\n")
        while b"\n" not in rest:
            rest += s.recv(4096)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\nSec-Fetch-Site: cross-site\r\n\r\n")
        while b"cross-site" not in rest:
            rest += s.recv(4096)
        return head, rest


def test_any_protocol_is_carried_inside_connect(network, leave):
    """Port 443: the server sends first, and what looks like a page's request is not read."""
    network.script(NAME, WEB)
    head, rest = greeting_of(leave(), f"{NAME}:443")
    assert head.startswith(b"HTTP/1.1 200 ") and rest.startswith(b"220 outside\r\n"), (head, rest)


# --- requests ---

def test_a_page_of_any_origin_may_send_requests_outside(network, leave):
    """It may do so without a proxy, too."""
    network.script(NAME, WEB)
    tunnel = leave()
    answer = through(tunnel, "absolute", f"http://{NAME}/", "-d", "x", "-H", "Origin: http://elsewhere.test", "-H",
                     "Sec-Fetch-Site: cross-site")
    assert answer.status == 200, answer
    refused = through(tunnel, "absolute", "http://web.shop.svc.cluster.local/", "-d", "x", "-H",
                      "Origin: http://elsewhere.test")
    assert refused.status == 403, "services are protected as before"


def test_the_client_is_not_named_outside(network, leave):
    network.script(NAME, WEB)
    answer = through(leave("--forwarded"), "absolute", f"http://{NAME}/")
    assert answer.status == 200 and "Forwarded" not in answer.text, answer


def test_one_connection_may_lead_to_services_and_outside(network, leave):
    network.script(NAME, WEB)
    with Client(leave().port) as client:
        for _ in range(3):
            outside = client.ask(f"GET http://{NAME}/a HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
            inside = client.ask("GET http://web.shop.svc/b HTTP/1.1\r\nHost: web.shop.svc\r\n\r\n")
            assert outside.text.startswith("outside ") and " path /b" in inside.text


@every_way
@pytest.mark.parametrize("host, problem", [("nosuch.example.test", "not known"), (f"{SUBNET}.2", "refused")],
                         ids=["unknown", "refused"])  # the same in all processes that share the tests
def test_failures_are_explained(network, leave, way, host, problem):
    tunnel = leave()
    answer = through(tunnel, way, f"http://{host}/")
    assert was_refused(answer, way), answer
    if way == "absolute":
        assert answer.status == 502 and host in answer.text.splitlines()[0] and problem in answer.text, answer


def test_a_resolver_that_does_not_answer_is_given_up_after_dial_timeout(network, leave):
    network.script("silent.example.test", "silent")
    tunnel = leave("--dial-timeout", "500ms")
    answer = through(tunnel, "absolute", "http://silent.example.test/")
    assert answer.status == 504 and answer.seconds < 2 and "not resolved in time" in answer.text, answer


# --- clients ---

def as_user(uid, tunnel, *words):
    done = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w",
                           "%{http_code}", "--max-time", "20", "-x", f"http://127.0.0.1:{tunnel.port}", *words],
                          capture_output=True, text=True)
    return int(done.stdout or 0)


def test_other_users_reach_services_only(network, leave):
    network.script(NAME, WEB)
    tunnel = leave("--clients", "any")
    assert as_user(1234, tunnel, "http://web.shop.svc/") == 200
    assert as_user(1234, tunnel, f"http://{NAME}/") == 502
    assert network.seen == []
    assert as_user(0, tunnel, f"http://{NAME}/") == 200


def test_listeners_of_other_machines_reach_services_only(network, start_tunnel, playground):
    """Also for a client of this machine and user."""
    network.script(NAME, WEB)
    port, = free_ports(1)
    tunnel = start_tunnel("--proxy-outside", "--proxy", "--listen", f"0.0.0.0:{port}", kubeconfig=playground.kubeconfig,
                          wrapper=network.resolver)
    assert through(tunnel, "absolute", f"http://{NAME}/").status == 200
    network.seen.clear()
    tunnel.port = port
    assert through(tunnel, "absolute", "http://web.shop.svc/").status == 200
    assert through(tunnel, "absolute", f"http://{NAME}/").status == 502
    assert network.seen == []


def test_requests_that_are_not_a_proxys_do_not_leave_the_cluster(network, leave):
    network.script(NAME, WEB)
    tunnel = leave()
    assert tunnel.get(NAME).status == 400
    with Client(tunnel.port) as client:
        assert client.ask(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n").status == 400
    assert network.seen == []


# --- nothing is left ---

def descriptors(tunnel):
    return len(os.listdir(f"/proc/{tunnel.process.pid}/fd"))


def test_clients_that_leave_while_a_host_is_dialled_leave_nothing_behind(network, leave):
    network.script("silent.example.test", "silent")
    network.script("gone.example.test", NOBODY)
    tunnel = leave("--dial-timeout", "3s")
    assert through(tunnel, "absolute", f"http://{NAME}/").status == 200
    before = descriptors(tunnel)
    for host in ("silent.example.test", "gone.example.test", NAME):
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", tunnel.port), 20) as s:
                s.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                time.sleep(0.02)
    eventually(lambda: descriptors(tunnel) <= before, 20)
