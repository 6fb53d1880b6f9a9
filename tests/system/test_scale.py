"""A large cluster, in small: 2,000 services with 10,000 endpoints beside the usual ones.

What bench/scale.py measures at five times the size has a test here that compares with an
empty cluster or bounds what one object costs, so that it holds on a busy machine.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from conftest import SANITIZED, Playground
from tunnel_process import ROOT, eventually

SERVICES, ENDPOINTS, PODS = 2000, 10000, 500
WEB, ROLL = "web.shop.svc", "roll.roll.svc"
LOAD = Path(os.environ.get("BENCH_LOAD", ROOT / "build" / "bench" / "bench-load"))

figures = pytest.mark.skipif(SANITIZED, reason="figures are for the real thing")
needs_load = pytest.mark.skipif(not os.access(LOAD, os.X_OK), reason="bench-load is not built")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    playground = Playground(tmp_path_factory.mktemp("large"), "--scale", f"{SERVICES}:{ENDPOINTS}",
                            "--roll-pods", str(PODS))
    yield playground
    playground.stop()


@pytest.fixture
def start_in_large(start_tunnel, large):
    return lambda *flags, **options: start_tunnel(*flags, kubeconfig=large.kubeconfig, **options)


def memory_kib(tunnel):
    status = Path(f"/proc/{tunnel.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status).group(1))


def cpu_seconds(tunnel):
    fields = Path(f"/proc/{tunnel.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_rights(tunnel, level):
    tunnel.wait_for_log(f"rights found .*rights={level}", 20)


def first_answer(start, **options):
    """Seconds from the start of the process to its first 200; the best of three."""
    def once():
        began = time.monotonic()
        tunnel = start(ready=False, **options)
        assert tunnel.get(WEB).status == 200
        return time.monotonic() - began
    return min(once() for _ in range(3))


@figures
def test_the_first_answer_comes_before_all_is_loaded(start_tunnel, start_in_large):
    empty = first_answer(start_tunnel)
    assert first_answer(start_in_large) < 3 * empty + 0.05


@figures
def test_an_endpoint_takes_less_than_700_bytes_with_its_share_of_a_service(
        start_tunnel, start_in_large):
    """40 MB for five times as much, of which 13 are there without any."""
    empty, full = start_tunnel(), start_in_large()
    for tunnel in (empty, full):
        wait_for_rights(tunnel, "watch")
    assert memory_kib(full) - memory_kib(empty) < ENDPOINTS * 700 / 1024


@figures
def test_a_slice_of_100_endpoints_that_changes_takes_less_than_a_millisecond(start_in_large, large):
    tunnel = start_in_large("--log-level", "info")
    wait_for_rights(tunnel, "watch")
    large.order("churn 100")
    time.sleep(0.5)
    before = cpu_seconds(tunnel)
    time.sleep(2)
    spent = cpu_seconds(tunnel) - before
    large.order("churn 0")
    assert spent / 200 < 0.001


def load(tunnel, host, seconds):
    done = subprocess.run([LOAD, "--host", host, "--connections", "4", "--rate", "200",
                           "--duration", f"{seconds}s", f"127.0.0.1:{tunnel.port}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(re.search(r"\{.*\}", done.stdout).group())


@figures
@needs_load
def test_a_rollout_of_all_pods_fails_no_request_and_keeps_the_p99(start_in_large, large):
    tunnel = start_in_large("--log-level", "info")
    wait_for_rights(tunnel, "watch")
    load(tunnel, ROLL, 1)
    quiet = load(tunnel, ROLL, 3)
    large.order(f"roll {PODS // 4}")
    rolling = load(tunnel, ROLL, 4)
    assert rolling["requests"] >= 700
    for failure in ("connect", "reset", "cut", "status", "malformed", "early", "late"):
        assert rolling[failure] == 0, rolling
    assert rolling["p99_us"] < 2 * quiet["p99_us"] + 50_000


@figures
@needs_load
def test_a_service_of_many_pods_has_tunnels_to_64_at_most(start_in_large):
    tunnel = start_in_large("--log-level", "info")
    wait_for_rights(tunnel, "watch")
    load(tunnel, ROLL, 2)
    pods = {re.search(r"pod=(\S+)", line).group(1) for line in tunnel.log().splitlines()
            if "tunnel opened" in line and "pod=roll/" in line}
    assert 8 <= len(pods) <= 64


# lazily


def single_watches(tunnel, service="web"):
    return len(re.findall(rf"watch .*path=\S*metadata.name%3D{service} .*to=watch", tunnel.log()))


def test_a_cluster_above_the_size_is_watched_lazily(start_in_large, large):
    tunnel = start_in_large("--lazy-above", "1000", ready=False)
    wait_for_rights(tunnel, "lazy")
    assert tunnel.own("/readyz").status == 200
    assert tunnel.get(WEB).status == 200
    assert single_watches(tunnel) == 0
    assert tunnel.get(WEB).status == 200
    eventually(lambda: single_watches(tunnel) == 1)


@pytest.mark.parametrize("flags, level", [((), "watch"), (("--discovery", "watch", "--lazy-above", "10"), "watch"),
                                          (("--discovery", "lazy"), "lazy")])
def test_option_discovery_is_obeyed(start_in_large, flags, level):
    wait_for_rights(start_in_large(*flags), level)


@figures
def test_a_large_cluster_watched_lazily_takes_no_more_memory_than_an_empty_one(
        start_tunnel, start_in_large):
    empty, lazy = start_tunnel(), start_in_large("--discovery", "lazy")
    assert memory_kib(lazy) < memory_kib(empty) + 1500


def test_a_service_that_is_watched_by_itself_follows_its_pods(start_both):
    playground, tunnel = start_both(tunnel=["--discovery", "lazy"])
    for _ in range(2):
        assert tunnel.get("db-1.db.shop.svc").pod == "db-1"
    eventually(lambda: single_watches(tunnel, "db") == 1)
    playground.order("pod delete shop/db-1")
    tunnel.wait_for_log("endpoint gone .*pod=shop/db-1/", 2)
    playground.order("pod add shop/db-1 db")


def test_an_unknown_service_is_a_404_with_lazy_watches(start_both):
    _, tunnel = start_both(tunnel=["--discovery", "lazy"])
    assert [tunnel.get("nope.shop.svc").status for _ in range(3)] == [404] * 3


# limits


def test_max_objects_limits_a_list(start_in_large):
    tunnel = start_in_large("--discovery", "watch", "--max-objects", "1000", ready=False)
    tunnel.wait_for_log("more objects than max-objects allows")
    assert tunnel.get(WEB).status == 200, "looked up"


# namespaces


def test_only_the_given_namespaces_are_watched(start_in_large):
    tunnel = start_in_large("--namespaces", "shop,other")
    for ns in ("shop", "other"):
        wait_for_rights(tunnel, f"watch scope={ns}")
    assert "scope=cluster" not in tunnel.log()
    for name in (WEB, "web.other.svc", ROLL):
        assert tunnel.get(name).status == 200
    watched = set(re.findall(r"path=(\S+) from=list to=watch", tunnel.log()))
    assert watched == {f"{group}/namespaces/{ns}/{plural}" for ns in ("shop", "other") for group, plural in
                       (("/api/v1", "services"), ("/apis/discovery.k8s.io/v1", "endpointslices"))}


def test_option_namespaces_does_not_limit_what_is_reached(start_in_large):
    tunnel = start_in_large("--namespaces", "shop", "--deny-namespace", "shop")
    assert tunnel.get(WEB).status == 403
    assert tunnel.get("web.other.svc").status == 200
