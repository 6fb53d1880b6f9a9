"""The features of the first README."""
import hashlib
import threading

import pytest
from conftest import OPEN, OPENED, under_way
from tunnel_process import curl, eventually

WEB = "web.shop.svc.cluster.local"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
def test_any_method_reaches_the_pod(tunnel, method):
    answer = tunnel.get(WEB, "/api/health?x=1", "-X", method)
    assert answer.status == 200, answer
    assert f"method {method} host {WEB} path /api/health?x=1" in answer.text


def test_head_has_headers_and_no_body(tunnel):
    raw = f"HEAD /bytes?n=1000 HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n"
    head, _, body = tunnel.talk(raw.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"\r\nContent-Length: 1000" in head, head
    assert body == b""


def test_json_is_posted(tunnel):
    body = '{"key": "value"}'
    answer = tunnel.get(WEB, "/upload", "-H", "Content-Type: application/json", "-d", body)
    assert answer.text == f"16 {hashlib.sha256(body.encode()).hexdigest()} <nil>\n", answer


@pytest.mark.parametrize("name", [
    "web.shop.svc.cluster.local", "web.shop.svc", "web.shop.localhost",
    "WEB.Shop.svc.cluster.local", "web.shop.svc.cluster.local.",
])
def test_every_form_of_a_name_is_answered(tunnel, name):
    answer = tunnel.get(name)
    assert answer.status == 200, answer
    assert f"host {name} " in answer.text, "the Host header reaches the pod untouched"


def test_a_name_resolved_by_curl_is_answered(tunnel):
    address = f"{WEB}:{tunnel.port}"
    answer = curl("--resolve", f"{address}:127.0.0.1", f"http://{address}/")
    assert answer.status == 200, answer


def test_localhost_names_need_no_dns(tunnel):
    answer = curl(f"http://web.shop.localhost:{tunnel.port}/")
    assert answer.status == 200, answer


def test_it_can_be_used_as_a_proxy(tunnel):
    answer = curl("--proxy", f"http://127.0.0.1:{tunnel.port}", f"http://{WEB}/page")
    assert answer.status == 200, answer
    assert f"host {WEB} path /page" in answer.text


def test_services_of_two_namespaces_are_told_apart_by_name(tunnel, cluster):
    answer = tunnel.get("web.other.svc.cluster.local")
    assert answer.pod in cluster.pods("app=web", "other"), answer


def test_a_pod_is_found_by_the_selector(tunnel, cluster):
    assert tunnel.get(WEB).pod in cluster.pods("app=web")


def test_a_tunnel_is_reused(start_tunnel):
    tunnel = start_tunnel()
    assert tunnel.get(WEB).status == 200
    before = tunnel.total(OPENED)
    assert before >= 1
    for _ in range(20):
        assert tunnel.get(WEB).status == 200
    assert tunnel.total(OPENED) - before <= 3, "two endpoints and a prewarmed tunnel, not one for each request"


def test_an_idle_tunnel_expires(start_tunnel):
    tunnel = start_tunnel("--idle-timeout", "2s", "--idle-check", "1s")
    assert tunnel.get(WEB).status == 200
    assert tunnel.total(OPEN) >= 1
    eventually(lambda: tunnel.total(OPEN) == 0, 8)
    assert tunnel.get(WEB).status == 200, "and a new one is opened when asked"


def test_a_tunnel_in_use_does_not_expire(start_tunnel):
    tunnel = start_tunnel("--idle-timeout", "1s", "--idle-check", "1s")
    answer = tunnel.get(WEB, "/slow?ms=4000")
    assert answer.text == "slept 4000\n", answer


def test_a_fixed_target_port_serves_any_service(start_tunnel):
    tunnel = start_tunnel("--target-port", "8081")
    assert tunnel.get(WEB, "/raw").text.startswith("GET /raw HTTP/1.1\r\n")


def test_a_service_without_port_80_is_answered(tunnel):
    assert tunnel.get("seed.shop.svc.cluster.local").status == 200


def test_operations_are_logged(start_tunnel, cluster):
    tunnel = start_tunnel("--log-level", "info")
    answer = tunnel.get(WEB, "/logged")
    log = eventually(lambda: "/logged" in tunnel.log() and tunnel.log())  # a line may be 100 ms late
    assert "200" in log, log
    assert answer.pod in log, "the pod that was chosen"


def test_an_unknown_service_is_a_404(tunnel):
    answer = tunnel.get("nope.shop.svc.cluster.local")
    assert answer.status == 404, answer
    assert answer.text.splitlines()[0] == 'Failed to get service shop/nope: services "nope" not found'


def test_an_unknown_namespace_is_a_404(tunnel):
    answer = tunnel.get("web.nowhere.svc.cluster.local")
    assert answer.status == 404, answer
    assert answer.text.startswith("Failed to get service nowhere/web: ")


def test_a_service_without_running_pod_is_a_503(tunnel):
    answer = tunnel.get("empty.shop.svc.cluster.local")
    assert answer.status == 503, answer
    assert answer.text.splitlines()[0].startswith("No running pod for empty/shop")
    assert answer.seconds < 2, "nothing to wait for"


def test_a_container_that_does_not_listen_is_a_502(tunnel, cluster):
    answer = tunnel.get("closed.shop.svc.cluster.local")
    assert answer.status == 502, answer
    first = answer.text.splitlines()[0]
    assert any(first.startswith(f"Port-forward failed for shop/{pod}: ")
               for pod in cluster.pods("app=web")), answer
    assert "9999" in answer.text and "refused" in answer.text, answer


def test_it_stops_in_time_under_load(start_tunnel):
    """The fixture asserts exit status 0 within ten seconds."""
    tunnel = start_tunnel()
    answers = []
    slow = [threading.Thread(target=lambda: answers.append(tunnel.get(WEB, "/slow?ms=2000")))
            for _ in range(8)]
    for t in slow:
        t.start()
    under_way(tunnel, 8)
    tunnel.stop()
    for t in slow:
        t.join()
    assert [a.text for a in answers] == ["slept 2000\n"] * 8, answers
