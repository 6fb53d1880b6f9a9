"""/metrics by Prometheus' rules, and the alerts and the board in deploy/ that are built on it.

SPDX-License-Identifier: MIT
"""
import json
import re
import shutil
import subprocess
import time

import pytest

from http_client import Client, request
from kubeconfigs import Kubeconfig
from plugins import kubeconfig_for
from test_certificates import jwt
from test_contexts import start_cluster  # noqa: F401 (a fixture)
from tunnel_process import ROOT, eventually

WEB = "web.shop.svc.cluster.local"
PROMETHEUS = ROOT / "deploy" / "prometheus"
SERVICE = "kube_tunnel_service_request_duration_seconds"

promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def run_promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def families(text):
    """Names of metrics, without the suffixes of histograms."""
    return set(re.findall(r"(?m)^# TYPE (\S+)", text))


@promtool
def test_the_page_follows_prometheus_rules(start_tunnel):
    tunnel = start_tunnel("--service-metrics", "10")
    assert tunnel.get(WEB).status == 200
    text = tunnel.own("/metrics").text
    assert run_promtool("check", "metrics", text=text) == (0, "")
    assert len(families(text)) == len(re.findall("(?m)^# TYPE", text)), "each family once"


@promtool
def test_the_page_of_several_clusters_follows_prometheus_rules(start_cluster, start_tunnel, tmp_path):  # noqa: F811
    config = Kubeconfig(tmp_path / "c", current="one").add("one", start_cluster("one")).add("two", start_cluster("two"))
    tunnel = start_tunnel("--context", "all", "--service-metrics", "10", kubeconfig=config.write())
    assert tunnel.get("web.shop.one.localhost").status == tunnel.get("web.shop.two.localhost").status == 200
    text = tunnel.own("/metrics").text
    assert run_promtool("check", "metrics", text=text) == (0, "")
    assert re.search(r'kube_tunnel_tunnel_states\{cluster="two",state="open",transport="spdy"\} [1-9]', text)
    assert f'{SERVICE}_count{{cluster="one",namespace="shop",service="web"}} 1' in text


@promtool
def test_the_alerts_are_valid_and_fire_when_they_should():
    assert run_promtool("check", "rules", PROMETHEUS / "alerts.yaml")[0] == 0
    status, output = run_promtool("test", "rules", PROMETHEUS / "alerts_test.yaml")
    assert status == 0 and "SUCCESS" in output, output
    alerts = set(re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yaml").read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", (PROMETHEUS / "alerts_test.yaml").read_text()))


def test_every_metric_of_alerts_and_board_is_on_the_page(start_tunnel):
    tunnel = start_tunnel("--service-metrics", "10")
    assert tunnel.get(WEB).status == 200
    known = families(tunnel.own("/metrics").text)
    board = json.loads((ROOT / "deploy" / "grafana" / "kube-tunnel.json").read_text())
    texts = [t["expr"] for p in board["panels"] for t in p["targets"]] + [(PROMETHEUS / "alerts.yaml").read_text()]
    used = {re.sub("_(bucket|count|sum)$", "", name) if SERVICE in name or "seconds_" in name else name
            for text in texts for name in re.findall(r"\bkube_tunnel_\w+", text)}
    assert len(board["panels"]) == 12 and used and used <= known, used - known
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}
    assert len(places) == len(board["panels"]) == len({p["id"] for p in board["panels"]})


def test_tunnels_are_counted_by_state_and_transport(start_tunnel):
    tunnel = start_tunnel("--prewarmed-tunnels", "0", "--transport", "websocket")
    assert tunnel.get(WEB).status == 200
    metrics = tunnel.metrics()
    assert metrics['kube_tunnel_tunnel_states{state="open",transport="websocket"}'] == 1
    assert metrics['kube_tunnel_tunnel_states{state="open",transport="spdy"}'] == 0
    assert metrics['kube_tunnel_build_info{version="0.1.0"}'] == 1 and metrics["kube_tunnel_cluster_ready"] == 1


def test_requests_that_wait_are_counted(start_tunnel, tmp_path):
    config = Kubeconfig(tmp_path / "c", current="c").add("c", server="https://127.0.0.1:9")
    tunnel = start_tunnel("--wait", "20s", kubeconfig=config.write(), ready=False)
    assert tunnel.metrics()["kube_tunnel_waiting_requests"] == 0
    with Client(tunnel.port) as one, Client(tunnel.port) as two:
        one.send(request(WEB))
        two.send(request(WEB))
        eventually(lambda: tunnel.metrics()["kube_tunnel_waiting_requests"] == 2)
    eventually(lambda: tunnel.metrics()["kube_tunnel_waiting_requests"] == 0)


def test_the_expiry_of_the_credential_is_shown(playground, tmp_path, start_tunnel):
    at = int(time.time()) + 5000
    path = kubeconfig_for(playground, tmp_path / "config", {"token": jwt(at)})
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    name = "kube_tunnel_credential_expiry_timestamp_seconds"
    eventually(lambda: tunnel.metrics().get(name) == at)


def test_without_an_expiry_there_is_no_sample(tunnel):
    assert not [name for name in tunnel.metrics() if name.startswith("kube_tunnel_credential_expiry")]


def test_a_cluster_that_cannot_be_read_is_not_ready(tmp_path, start_tunnel):
    config = Kubeconfig(tmp_path / "c", current="c").add("c", server="https://127.0.0.1:9")
    assert start_tunnel(kubeconfig=config.write(), ready=False).metrics()["kube_tunnel_cluster_ready"] == 0


def test_durations_by_service_are_bounded_and_off_by_default(start_tunnel, tunnel):
    assert tunnel.get(WEB).status == 200 and SERVICE not in tunnel.own("/metrics").text
    limited = start_tunnel("--service-metrics", "1")
    for host in (WEB, "web.other.svc", "seed.shop.svc:8080", WEB, "no-such.shop.svc", 'x"y.shop.svc'):
        limited.get(host)
    counts = {k: v for k, v in limited.metrics().items() if k.startswith(SERVICE + "_count")}
    assert counts == {f'{SERVICE}_count{{namespace="shop",service="web"}}': 2,
                      f'{SERVICE}_count{{namespace="",service="other"}}': 2}


def test_no_page_without_a_token_shows_paths_or_clients_or_closed_services(start_tunnel):
    tunnel = start_tunnel("--service-metrics", "10", "--deny-namespace", "other")
    tunnel.get(WEB, "/secret-path?token=hunter2")
    tunnel.get("web.other.svc")
    for page in ("/healthz", "/readyz", "/metrics"):
        text = tunnel.own(page).text
        assert not re.search(r"secret-path|hunter2|127\.0\.0\.1|namespace=\"other\"", text), page
    foreign = tunnel.own("/metrics", "-H", "Origin: https://evil.example")
    assert foreign.header("Access-Control-Allow-Origin") is None, "a web page cannot read it"
