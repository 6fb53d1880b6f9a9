"""Tunnels that are dialled before a request waits for them.

SPDX-License-Identifier: MIT
"""
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http_client import Client, request
from tunnel_process import eventually

DB = "db-0.db.shop.svc"
DIALS = "kube_tunnel_dials_total"
AHEAD = "kube_tunnel_prewarmed_dials_total"
FAILED = 'kube_tunnel_dials_total{result="failed"}'
OPEN = "kube_tunnel_tunnels"
OWN = ("--http-tunnels-per-pod", "8")  # what is dialled is easier to count with one for each


def burst(tunnel, count, ms=1000):
    """So many GETs at once, each on a connection of its own."""
    clients = [Client(tunnel.port) for _ in range(count)]
    for client in clients:
        client.send(request(DB, f"/slow?ms={ms}", fields=["Connection: close"]))
    for client in clients:
        assert client.answer().status == 200
        client.close()


def dialled(tunnel):
    """Connections that waited for a dial."""
    return tunnel.metrics()['kube_tunnel_connections_total{tunnel="dialled"}']


def settled(tunnel):
    """Nothing more is being dialled."""
    def quiet():
        before = tunnel.total(DIALS)
        time.sleep(0.3)
        return tunnel.total(DIALS) == before
    eventually(quiet)


@pytest.mark.parametrize("prewarmed", [0, 1, 3])
def test_one_client_alone_gets_one_tunnel_and_what_is_prewarmed(start_tunnel, prewarmed):
    tunnel = start_tunnel("--prewarmed-tunnels", str(prewarmed))
    for _ in range(3):
        burst(tunnel, 1, 1)
    settled(tunnel)
    assert (tunnel.total(DIALS), tunnel.total(AHEAD)) == (1 + prewarmed, prewarmed)


def test_ten_small_requests_at_once_after_the_first_wait_for_no_dial(start_tunnel):
    tunnel = start_tunnel()
    burst(tunnel, 1, 1)
    settled(tunnel)
    burst(tunnel, 10, 500)
    assert dialled(tunnel) == 1, "the first of all"


def test_a_second_pod_of_a_service_in_use_is_dialled_too(start_tunnel):
    tunnel = start_tunnel()
    assert tunnel.get("web.shop.svc").status == 200
    settled(tunnel)
    assert tunnel.total(OPEN) == 3, "two to the pod that answered, and one to the other"


def test_a_second_burst_dials_nothing(start_tunnel):
    tunnel = start_tunnel()
    burst(tunnel, 20)
    settled(tunnel)
    before = tunnel.total(DIALS)
    waited = dialled(tunnel)
    burst(tunnel, 20)
    assert tunnel.total(DIALS) == before
    assert dialled(tunnel) == waited


def test_a_rising_load_finds_a_warm_tunnel(start_tunnel):
    tunnel = start_tunnel(*OWN)
    with ThreadPoolExecutor(12) as pool:
        asked = []
        for _ in range(12):
            asked.append(pool.submit(tunnel.get, DB, "/slow?ms=4000"))
            time.sleep(0.2)  # what this is about
        assert [a.result().status for a in asked] == [200] * 12
    assert dialled(tunnel) <= 2, "the first, and the second"
    assert tunnel.total(AHEAD) >= 6


def test_prewarmed_tunnels_close_after_the_idle_time(start_tunnel):
    tunnel = start_tunnel(*OWN, "--idle-timeout", "1s", "--idle-check", "200ms")
    burst(tunnel, 20)
    assert tunnel.total(OPEN) > 8
    settled(tunnel)
    dials = tunnel.total(DIALS)
    eventually(lambda: tunnel.total(OPEN) == 0, 10)
    time.sleep(1.5)  # nothing comes back
    assert (tunnel.total(OPEN), tunnel.total(DIALS)) == (0, dials)


@pytest.mark.parametrize("trouble", [
    ["throttle 50"], ["deny create pods/portforward", "deny get pods/portforward"]], ids=["429", "403"])
def test_a_refused_prewarmed_tunnel_is_not_dialled_again(start_playground, start_tunnel, trouble):
    playground = start_playground()
    tunnel = start_tunnel(*OWN, kubeconfig=playground.kubeconfig)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(tunnel.get, DB, "/slow?ms=5000") for _ in range(2)]
        eventually(lambda: tunnel.total(OPEN) == 3)
        settled(tunnel)
        playground.order(*trouble)
        asked.append(pool.submit(tunnel.get, DB, "/slow?ms=4000"))  # takes the prewarmed tunnel
        eventually(lambda: tunnel.metrics()[FAILED] == 1)
        time.sleep(2.5)  # no dial is repeated
        assert tunnel.metrics()[FAILED] == 1
        assert [a.result().status for a in asked] == [200] * 3


def test_a_replacement_pod_is_dialled_before_its_first_request(start_playground, start_tunnel):
    playground = start_playground()
    tunnel = start_tunnel(*OWN, kubeconfig=playground.kubeconfig)
    burst(tunnel, 20)
    settled(tunnel)
    waited = dialled(tunnel)
    playground.order("pod replace shop/db-0")
    tunnel.wait_for_log(r"INFO +tunnel t\d+ tunnel closed pod=shop/db-0")
    settled(tunnel)
    assert tunnel.total(OPEN) >= 8 + 3, "8 of their own, and for 12 more"
    burst(tunnel, 20)
    assert dialled(tunnel) == waited
