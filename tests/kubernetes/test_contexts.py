"""Two clusters at once: the real one and a playground. SPDX-License-Identifier: MIT"""
import hashlib
import json
import re
import subprocess
import threading

import pytest

from conftest import under_way
from tunnel_process import PLAYGROUND, KubeTunnel, clean_environment, eventually

WAIT = 15


@pytest.fixture
def playground(cluster, tmp_path):
    """A playground in the cluster's network; returns its kubeconfig."""
    out, path = tmp_path / "out", tmp_path / "playground.kubeconfig"
    with open(out, "wb") as said:
        process = subprocess.Popen([PLAYGROUND, "--kubeconfig-out", path], stdout=said, env=clean_environment())
    eventually(lambda: "ready" in out.read_text(), pause=0.02)
    yield path
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def files(cluster, playground, tmp_path):
    """$KUBECONFIG: a copy of the real one, with its context as the current one, and the playground's."""
    real = tmp_path / "real.kubeconfig"
    real.write_text(cluster.config("watcher").read_text())
    return real, playground


@pytest.fixture
def both(files, tmp_path):
    tunnel = KubeTunnel("--context", "all", environment={"KUBECONFIG": f"{files[0]}:{files[1]}"}, folder=tmp_path)
    yield tunnel.start()
    tunnel.stop()


def context_of(path):
    return re.search(r"current-context: (\S+)", path.read_text()).group(1)


def test_both_clusters_answer_under_names_of_their_own(cluster, both, files):
    real = context_of(files[0])
    pods = cluster.pods("app=web")
    for host in ("web.shop.svc.cluster.local", "web.shop.localhost", f"web.shop.{real}.localhost", f"web.shop.svc.{real}.k8s"):
        answer = both.get(host)
        assert answer.status == 200 and (answer.pod in pods or answer.pod is None), answer
    for host in ("web.shop.playground.localhost", "web.shop.svc.playground.k8s", "web.shop.svc.playground.localhost"):
        answer = both.get(host)
        assert answer.status == 200 and answer.pod not in pods, answer
    ready = both.own("/readyz").text
    assert f"{real}: ok" in ready and "playground: ok" in ready
    metrics = both.metrics()
    assert metrics[f'kube_tunnel_requests_total{{cluster="{real}",code="2xx"}}'] == 4
    assert metrics['kube_tunnel_requests_total{cluster="playground",code="2xx"}'] == 3


def test_both_clusters_carry_large_bodies_at_the_same_time(both, files):
    n, sums = 32 << 20, {}
    hosts = ("web.shop.localhost", "web.shop.playground.localhost")

    def load(host):
        answer = both.get(host, f"/bytes?n={n}", seconds=60)
        sums[host] = (answer.exit, answer.status, len(answer.body), hashlib.sha256(answer.body).hexdigest())

    loads = [threading.Thread(target=load, args=(host,)) for host in hosts]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join(90)
    assert {s[:3] for s in sums.values()} == {(0, 200, n)}, sums


def test_a_download_survives_the_removal_and_change_of_the_other_context(both, files):
    real, playground = files
    answers, text = [], playground.read_text()
    slow = threading.Thread(target=lambda: answers.append(
        both.get("web.shop.localhost", f"/bytes?n={8 << 20}", "--limit-rate", "1M", seconds=60)))
    slow.start()
    under_way(both, 1)
    playground.write_text("apiVersion: v1\nkind: Config\n")
    eventually(lambda: both.get("web.shop.playground.localhost").status == 404, WAIT)
    playground.write_text(text)
    eventually(lambda: both.get("web.shop.playground.localhost").status == 200, WAIT)
    slow.join(90)
    assert answers[0].exit == 0 and len(answers[0].body) == 8 << 20


def test_changed_credentials_of_the_real_cluster_take_effect(cluster, files, both):
    real, _ = files
    good = real.read_text()
    assert both.get("web.shop.localhost").status == 200
    name = re.search(r"user: (\w+)", good).group(1)
    users = json.dumps([{"name": name, "user": {"token": "no-such-token"}}])
    nobody = re.sub(r"(?s)\nusers:.*", f"\nusers: {users}\n", good)
    real.write_text(nobody)
    both.wait_for_log("the credentials of a context changed")
    eventually(lambda: both.get("web.shop.localhost", "/", seconds=40).status == 502, 60)
    assert both.get("web.shop.playground.localhost").status == 200
    real.write_text(good)
    eventually(lambda: both.get("web.shop.localhost").status == 200, WAIT)
