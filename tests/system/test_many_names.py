"""Thousands of names are looked up by DNS: all are answered, and a flood does not close what is in use.

SPDX-License-Identifier: MIT
"""
import os
import re
import resource
import socket
import struct
import time

import control_api
import pytest

from conftest import SANITIZED
from real_programs import run
from tunnel_process import curl, eventually

SERVICES, NAMESPACES = 10_000, 20
PROMISED = 7.5  # seconds that an address keeps its listeners after a look-up
LISTENERS = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 8)
RATE = min(500, 0.9 * LISTENERS / PROMISED)
NOERROR, SERVFAIL = 0, 2


@pytest.fixture
def start_dns(start_tunnel):
    """start_dns(*flags, **options): a tunnel whose `dns` is connected to its DNS server."""
    opened = []

    def start(*flags, **options):
        tunnel = start_tunnel("--dns-listen", "127.0.0.1:0", *flags, **options)
        port = tunnel.wait_for_log(r"dns DNS server address=127\.0\.0\.1:(\d+)").group(1)
        tunnel.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.append(tunnel.dns)
        tunnel.dns.settimeout(10)
        tunnel.dns.connect(("127.0.0.1", int(port)))
        return tunnel

    yield start
    for s in opened:
        s.close()


def look_up(tunnel, name):
    """The response code, and the address or None."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in f"{name}.svc.cluster.local".split("."))
    tunnel.dns.send(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1))
    response = tunnel.dns.recv(4096)
    answers, = struct.unpack(">H", response[6:8])
    return response[3] & 15, socket.inet_ntoa(response[-4:]) if answers else None


def names():
    return [f"svc-{i:06}.scale-{i * NAMESPACES // SERVICES:02}" for i in range(SERVICES)]


def look_up_all(tunnel, wanted, rate=float("inf")):
    """How many got each response code.  Never faster than the rate, also after a delay."""
    codes, due = {}, time.monotonic()
    for name in wanted:
        time.sleep(max(0, due - time.monotonic()))
        due = max(due, time.monotonic()) + 1 / rate
        code, _ = look_up(tunnel, name)
        codes[code] = codes.get(code, 0) + 1
    return codes


def anonymous_kib(tunnel):
    with open(f"/proc/{tunnel.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


def test_10000_names_are_answered(start_playground, start_dns):
    tunnel = start_dns(kubeconfig=start_playground("--scale", f"{SERVICES}:{SERVICES}").kubeconfig)
    eventually(lambda: look_up(tunnel, names()[-1])[0] == NOERROR, seconds=30)
    assert look_up_all(tunnel, names(), RATE) == {NOERROR: SERVICES}
    assert len(os.listdir(f"/proc/{tunnel.process.pid}/fd")) < LISTENERS + 100
    anonymous = anonymous_kib(tunnel)
    print(f"RssAnon after {SERVICES} names: {anonymous} kB")
    assert SANITIZED or anonymous < 16 << 10


def test_a_flood_of_look_ups_does_not_close_an_address_in_use(start_playground, start_dns):
    tunnel = start_dns("--max-address-listeners", "100", kubeconfig=start_playground("--scale", "1000:1000").kubeconfig)
    eventually(lambda: look_up(tunnel, "seed.shop")[0] == NOERROR)
    _, used = look_up(tunnel, "seed.shop")
    assert curl(f"http://{used}:8080/").status == 200
    time.sleep(PROMISED)
    flood = [f"svc-{i:06}.scale-{i // 50:02}" for i in range(1000)]
    begin = time.monotonic()
    codes = look_up_all(tunnel, flood)
    times = 1 + (time.monotonic() - begin) // PROMISED  # a listener serves one name in this time
    assert set(codes) == {NOERROR, SERVFAIL} and codes[NOERROR] < 100 * times, (codes, times)
    assert curl(f"http://{used}:8080/").status == 200
    assert look_up(tunnel, "seed.shop") == (NOERROR, used)
    eventually(lambda: look_up(tunnel, flood[-1])[0] == NOERROR, seconds=PROMISED + 5)
    assert curl(f"http://{used}:8080/").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
def test_a_client_that_is_refused_does_not_keep_an_address(start_dns):
    tunnel = start_dns("--clients", "root", "--address-idle", "1s")
    eventually(lambda: look_up(tunnel, "seed.shop")[0] == NOERROR)
    _, address = look_up(tunnel, "seed.shop")
    as_other = ["setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups"]

    def listeners_after_a_client():
        assert run(*as_other, "curl", "-s", f"http://{address}:8080/").returncode in (7, 52, 56)
        return control_api.check("GET", "/v1/addresses", tunnel.control("/v1/addresses"))["listeners"]

    assert listeners_after_a_client() == 1 and "uid=4242" in tunnel.log()
    eventually(lambda: listeners_after_a_client() == 0)
