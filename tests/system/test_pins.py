"""Addresses that a reader of names has: they stay open when a name of them is not seen for a while.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

import pytest

from test_addresses import read_names, status  # noqa: F401
from test_names import pod, port, service
from tunnel_process import eventually, free_ports

SCAN = 1  # seconds, PIN_SCAN_MS
OTHER = """
import socket, sys
s = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def server_of_another_user(port_number):
    process = subprocess.Popen([sys.executable, "-c", OTHER, str(port_number)], user=4242, group=4242, extra_groups=[],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    with process:
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


def listener(address, number):
    """Its inode: another one shows that it was closed and opened again.  None: there is none."""
    bytes_ = address.split(".")[::-1]
    local = "".join(f"{int(b):02X}" for b in bytes_) + f":{number:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        found = [line.split() for line in table]
    return next((f[9] for f in found if f[1] == local and f[3] == "0A"), None)


@pytest.fixture
def start_objects(start_both, tmp_path):
    def start(*objects, flags=()):
        path = tmp_path / "objects.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return start_both("--manifest", str(path), tunnel=flags)
    return start


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
def test_a_refused_port_ends_the_name_and_closes_no_other_port(start_objects, read_names):  # noqa: F811
    refused, other = free_ports(2)
    _, tunnel = start_objects(service("two", port(refused, name="a"), port(other, name="b"), selector={"app": "x"}))
    names = read_names(tunnel, "?namespace=names")
    address = names.address("two.names")
    before = listener(address, other)
    assert tunnel.ask("dns", "release", refused).returncode == 0
    with server_of_another_user(refused):
        eventually(lambda: "two.names" in names.gone)
        time.sleep(2 * SCAN)
        assert before and listener(address, other) == before
        assert [a["pinned"] for a in status(tunnel)["open"] if a["name"] == "two.names.svc"] == [False]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
def test_pods_of_a_service_that_is_refused_stay_without_room(start_objects, read_names):  # noqa: F811
    refused, target, other = free_ports(3)
    pods = [pod(f"db-{i}", ip=f"10.9.0.{i + 1}", labels={"app": "db"}, ports=(("x", target),), hostname=f"db-{i}",
                subdomain="db") for i in range(2)]
    objects = [*pods, service("db", port(refused, target), selector={"app": "db"}, clusterIP="None"),
               service("zz", port(other), selector={"app": "db"})]
    _, tunnel = start_objects(*objects, flags=("--max-address-listeners", "4"))
    names = read_names(tunnel, "?namespace=names")
    assert names.at.keys() == {"db.names", "db-0.db.names", "db-1.db.names"} and names.left_out["count"] == 1
    before = listener(names.address("db-0.db.names"), target)
    assert tunnel.ask("dns", "release", refused).returncode == 0
    with server_of_another_user(refused):
        eventually(lambda: "zz.names" in names.at)
        time.sleep(4 * SCAN)
        assert names.gone == ["db.names"] and names.at.keys() == {"db-0.db.names", "db-1.db.names", "zz.names"}
        assert before and listener(names.address("db-0.db.names"), target) == before


def test_a_scan_looks_at_some_of_many_services_and_at_all_in_time(start_playground, start_tunnel,
                                                                 read_names):  # noqa: F811
    playground = start_playground("--scale", "1000:1000")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    one, other = free_ports(2)
    playground.order(f"service create shop/fresh web {one} 8080")
    names = read_names(tunnel)
    eventually(lambda: names.at.get("fresh.shop", {}).get("ports") == [one])

    def built():
        return len(re.findall(r"catalog .*name=svc-", tunnel.log()))

    count, begin = built(), time.monotonic()
    time.sleep(4 * SCAN)
    count = built() - count
    scans = (time.monotonic() - begin) // SCAN + 1
    print(f"{count} entries built in {scans} scans, {len(names.at)} names")
    assert count <= 300 * scans
    assert not names.gone
    playground.order("service delete shop/fresh", f"service create shop/fresh web {other} 8080")
    eventually(lambda: names.at.get("fresh.shop", {}).get("ports") == [other], seconds=20)
