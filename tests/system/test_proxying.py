"""From a name to a pod: names, ports, which connection carries it, and the words when it fails.

SPDX-License-Identifier: MIT
"""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http_client import Client, counting, request
from tunnel_process import curl, eventually, free_ports

WEB = "web.shop.svc.cluster.local"
POD = "web-6c9f7d5b8-4xk2p"


def text_of(host, path="/"):
    return f" host {host} path {path}\n"


# names


@pytest.mark.parametrize("host", [
    "web.shop.svc.cluster.local", "web.shop.svc", "WEB.Shop.SVC.Cluster.LOCAL",
    "web.shop.svc.cluster.local.", "web.shop.svc.", "web.shop.localhost", "web.shop.localhost.",
    "web.shop.svc.cluster.local:80", "web.shop.localhost:80", "web.shop.localhost.:80", "web.other.localhost",
    "_http._tcp.web.shop.svc.cluster.local", "_HTTP._TCP.web.shop.svc", "_http._tcp.web.shop.svc.localhost",
    "seed.shop.localhost", "seed.shop.svc:8080", "db.shop.svc", "db-0.db.shop.svc.cluster.local",
    "db-1.db.shop.svc:8080", "db-1.db.shop.svc.localhost", f"{POD}.shop.pod:8080",
    f"{POD}.shop.pod.cluster.local:8080", f"{POD}.shop.pod.localhost:8080", "db-0.shop.pod:8080"])
def test_every_form_of_a_name_is_answered(client, host):
    """And the pod sees the name as the client wrote it."""
    answer = client.ask(request(host, "/x"))
    assert answer.status == 200 and answer.text.endswith(text_of(host, "/x")), answer


SHORT = ["web.shop", "WEB.shop.", "web.shop.:80", "web.other", "seed.shop", "seed.shop:8080", "db.shop"]


def test_two_label_names_are_refused_with_the_url_that_works(tunnel, client):
    for host in SHORT:
        answer = client.ask(request(host, "/x"))
        name = host.partition(":")[0].rstrip(".").lower()
        assert answer.status == 403 and answer.first == f"Forbidden: short name {name}", answer
        assert f"http://{name}.localhost:{tunnel.port}/x " in answer.text and "--short-names" in answer.text


def test_two_label_names_work_with_short_names(start_tunnel):
    with Client(start_tunnel("--short-names").port) as client:
        for host in SHORT:
            answer = client.ask(request(host, "/x"))
            assert answer.status == 200 and answer.text.endswith(text_of(host, "/x")), answer


def test_two_label_names_work_through_the_proxy(client):
    for host in SHORT:
        answer = client.ask(request(host, f"http://{host}/x"))
        assert answer.status == 200 and answer.text.endswith(text_of(host, "/x")), answer


@pytest.mark.parametrize("host, pod", [
    ("db-0.db.shop.svc", "db-0"), ("db-1.db.shop.svc.cluster.local", "db-1"), ("db-1.shop.pod:8080", "db-1"),
    (f"{POD}.shop.pod:8080", POD)])
def test_a_name_of_one_pod_leads_there(client, host, pod):
    for _ in range(4):
        assert client.ask(request(host)).header("X-Pod") == pod


def test_the_address_of_a_pod_is_a_name(playground, client):
    objects = json.loads(playground.api("/api/v1/namespaces/shop/pods").text)["items"]
    for pod in objects:
        dashed = pod["status"]["podIP"].replace(".", "-")
        answer = client.ask(request(f"{dashed}.shop.pod.cluster.local:8080"))
        assert answer.header("X-Pod") == pod["metadata"]["name"], answer


def test_the_port_of_the_listener_is_not_a_service_port(tunnel, client):
    host = f"seed.shop.localhost:{tunnel.port}"
    assert client.ask(request(host)).text.endswith(text_of(host))


def test_a_fresh_machine_needs_no_dns(tunnel):
    answer = curl(f"http://web.shop.localhost:{tunnel.port}/x")
    assert answer.text.endswith(text_of(f"web.shop.localhost:{tunnel.port}", "/x"))


def test_option_cluster_domain_changes_the_names(start_tunnel):
    with Client(start_tunnel("--cluster-domain", "k8s.example").port) as client:
        assert client.ask(request("web.shop.svc.k8s.example")).status == 200
        assert client.ask(request("web.shop.svc")).status == 200
        assert client.ask(request("web.shop.svc.cluster.local")).status == 400


def test_option_target_port_applies_to_all_services(start_tunnel):
    """--target-port is how the original did it."""
    with Client(start_tunnel("--target-port", "8081").port) as client:
        assert client.ask(request("web.shop.localhost")).body == request("web.shop.localhost")
        assert client.ask(request("web.shop.localhost:9000")).body == request("web.shop.localhost:9000")


@pytest.mark.parametrize("host, problem", [
    ("web.shop.localhost:81", 'services "web" has no port 81: it declares 80 (http), 9000 (echo)'),
    ("web.shop.svc:8080", 'services "web" has no port 8080: it declares 80 (http), 9000 (echo)'),
    ("seed.shop.localhost:80", 'services "seed" has no port 80: it declares 8080 (http)'),
    ("_nope._tcp.web.shop.svc", 'services "web" has no port "nope": it declares 80 (http), 9000 (echo)')])
def test_an_undeclared_port_is_refused(client, host, problem):
    answer = client.ask(request(host))
    service = re.search(r"(web|seed)\.shop", host).group(1)
    assert answer.status == 404
    assert answer.first == f"Failed to get service shop/{service}: {problem}"


# which connection


def leases(tunnel, source):
    return tunnel.metrics()[f'kube_tunnel_leases_total{{source="{source}"}}']


def test_two_pods_take_turns(start_tunnel):
    with Client(start_tunnel().port) as client:
        pods = [client.ask(request(WEB)).header("X-Pod") for _ in range(40)]
    assert len(set(pods)) == 2
    assert 5 <= pods.count(POD) <= 35, pods


def test_idle_connections_serve_the_next_client(start_tunnel):
    """Twenty clients that connect anew, and no more connections to pods than there are pods."""
    tunnel = start_tunnel()
    for _ in range(20):
        assert tunnel.get(WEB).status == 200
    assert leases(tunnel, "idle") >= 18
    assert leases(tunnel, "idle") + leases(tunnel, "tunnel") == 20
    assert tunnel.total("kube_tunnel_connections_total") <= 2
    assert tunnel.total("kube_tunnel_tunnels") <= 3, "one of them prewarmed"


def test_a_post_takes_a_fresh_connection_in_the_same_tunnel(start_tunnel):
    """The pod may be closing the old one, which would show too late."""
    tunnel, host = start_tunnel("--prewarmed-tunnels", "0"), "db-0.db.shop.svc"
    assert tunnel.get(host).status == 200
    time.sleep(1.1)  # what this is about
    assert tunnel.get(host, "/upload", "-d", "x").status == 200
    assert (leases(tunnel, "idle"), leases(tunnel, "tunnel")) == (0, 2)
    assert tunnel.total("kube_tunnel_dials_total") == 1
    assert tunnel.metrics()['kube_tunnel_connections_total{tunnel="open"}'] == 1
    assert tunnel.get(host, "/upload", "-d", "x").status == 200
    assert leases(tunnel, "idle") == 0, "not even at once: test_keepalive.py has when"


def test_a_get_that_failed_on_an_idle_connection_is_retried(tunnel, pod):
    """The pod closed it without a word: only the log shows it."""
    pod.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(3):
        assert tunnel.get(pod.host).text == "ok"
    assert len(pod.heads) == 3


def test_the_keep_alive_time_of_a_pod_is_honoured(start_tunnel, pod):
    """After `Keep-Alive: timeout=1` an idle connection is not used again a second later."""
    def script(connection):
        connection.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok")
        connection.wait_for_end()
    tunnel = start_tunnel()
    pod.plays(script)
    assert tunnel.get(pod.host).text == "ok"
    time.sleep(1.1)  # what this is about
    assert tunnel.get(pod.host).text == "ok"
    assert leases(tunnel, "idle") == 0


def test_an_endless_answer_delays_no_other_request(tunnel):
    with Client(tunnel.port) as stuck:
        stuck.send(request(WEB, "/bytes?n=1000000000"))
        stuck.head()
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: tunnel.get(WEB).status, range(30)))
    assert answers == [200] * 30


def test_many_connections_to_one_pod_carry_at_once(start_tunnel):
    """More than have a tunnel each."""
    tunnel = start_tunnel()
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: tunnel.get("db-0.db.shop.svc", "/slow?ms=300").text, range(30)))
    assert answers == ["slept 300\n"] * 30


# the original's words


def asked(client, host, *fields):
    return client.ask(request(host, fields=fields))


def test_an_unknown_service_is_a_404(client):
    answer = asked(client, "nosuch.shop.localhost")
    assert answer.status == 404
    assert answer.first == 'Failed to get service shop/nosuch: services "nosuch" not found'
    assert "kubectl -n shop get services" in answer.text


def test_an_unknown_namespace_is_a_404(client):
    answer = asked(client, "web.nowhere.svc")
    assert (answer.status, answer.first) == (
        404, 'Failed to get service nowhere/web: services "web" not found')


def test_an_unknown_pod_is_a_404(client):
    answer = asked(client, "nosuch.shop.pod:8080")
    assert (answer.status, answer.first) == (404, 'Failed to get pod shop/nosuch: pods "nosuch" not found')


@pytest.mark.parametrize("service, why", [
    ("empty", "no pod matches selector app=nobody"), ("manual", "no selector"),
    ("ext", "ExternalName")])
def test_a_service_without_pods_is_a_503_at_once(tunnel, service, why):
    answer = tunnel.get(f"{service}.shop.svc")
    assert answer.status == 503 and answer.seconds < 1
    assert answer.text.startswith(f"No running pod for {service}/shop\n\n") and why in answer.text


def test_a_service_with_udp_ports_only_is_refused_for_its_ports(start_both, tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "shop"},
         "spec": {"selector": {"app": "web"}, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}}]}))
    _, tunnel = start_both("--manifest", str(path))
    answer = tunnel.get("dns.shop.svc.cluster.local")
    assert answer.status == 501 and answer.seconds < 1, answer
    assert answer.text.startswith("Cannot forward to service shop/dns: a port-forward carries TCP only"), answer


def test_a_container_that_does_not_listen_is_a_502(tunnel):
    answer = tunnel.get("closed.shop.localhost", "/", "-d", "x")
    assert answer.status == 502 and answer.seconds < 1
    assert re.match(r"Port-forward failed for shop/web-[\w-]+: .*9999.*connection refused", answer.text)


def test_errors_do_not_end_the_connection(client):
    for host, status in (("nosuch.shop.localhost", 404), ("empty.shop.localhost", 503), ("closed.shop.localhost", 502), ("web", 400)):
        answer = asked(client, host)
        assert answer.status == status and answer.header("Connection") is None
    assert asked(client, WEB).status == 200


def test_an_error_after_a_body_does_not_end_the_connection(client):
    answer = client.ask(request("nosuch.shop.localhost", "/", "POST", fields=["Content-Length: 5"], body="hello"))
    assert answer.status == 404 and answer.header("Connection") is None
    assert asked(client, WEB).status == 200


def test_an_error_during_an_upload_is_answered(client):
    client.send(request("nosuch.shop.localhost", "/", "POST", fields=["Content-Length: 500000"]) + counting(1000))
    answer = client.answer()
    assert answer.status == 404 and answer.header("Connection") == "close"


def test_an_error_to_head_has_no_body(client):
    answer = client.ask(request("nosuch.shop.localhost", "/", "HEAD"))
    assert answer.status == 404 and int(answer.header("Content-Length")) > 50
    assert asked(client, WEB).status == 200


def test_an_error_is_json_where_accepted(client):
    answer = asked(client, "nosuch.shop.localhost", "Accept: application/json")
    assert answer.status == 404 and answer.header("Content-Type") == "application/json"
    told = json.loads(answer.text)
    assert told["error"] == 'Failed to get service shop/nosuch: services "nosuch" not found'
    assert told["status"] == 404 and told["detail"] and told["hint"]


def test_an_error_in_html_is_escaped(client):
    answer = asked(client, 'a<script>alert("x")</script>.shop', "Accept: text/html,*/*;q=0.8")
    assert answer.status == 400 and answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "<script" not in answer.text and "&lt;script&gt;alert(&quot;x&quot;)" in answer.text
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Content-Security-Policy") == "frame-ancestors 'none'"


@pytest.mark.parametrize("accept, kind", [
    ("*/*", "text/plain"), ("text/html", "text/html"), ("application/json;q=0.5, text/html", "text/html"),
    ("text/html;q=0, application/json", "application/json"), ("application/problem+json", "application/json"),
    ("image/png", "text/plain"), ("TEXT/HTML", "text/html"), ("", "text/plain"), (";;,=", "text/plain")])
def test_an_error_has_the_format_that_accept_prefers(client, accept, kind):
    assert asked(client, "nosuch.shop.localhost", f"Accept: {accept}").header("Content-Type").split(";")[0] == kind


# rights


def has_role(text, ns, resource, *verbs):
    """A whole Role, ready to apply, that has these verbs."""
    role = f'\nkind: Role\nmetadata:\n  name: "kube-tunnel"\n  namespace: "{ns}"\nrules:\n'
    quoted = ", ".join(f'"{v}"' for v in verbs)
    return role in text and f'resources: ["{resource}"]\n    verbs: [{quoted}]\n' in text


def test_the_rights_of_the_original_are_enough(start_both):
    _, tunnel = start_both("--rights", "original")
    for host in ("web.shop.localhost", "web.other.localhost", "db-0.db.shop.svc", "_http._tcp.web.shop.svc", f"{POD}.shop.pod:8080"):
        assert tunnel.get(host).status == 200
    answer = tunnel.get("nosuch.shop.localhost")
    assert answer.text.startswith('Failed to get service shop/nosuch: services "nosuch" not found\n')
    assert tunnel.get("empty.shop.localhost").status == 503
    assert "rights=watch" not in tunnel.log()


def test_rights_in_one_namespace_serve_that_namespace_only(start_both):
    _, tunnel = start_both("--rights", "namespace", tunnel=["-n", "shop"])
    assert tunnel.get("web.shop.localhost").status == 200
    answer = tunnel.get("web.other.localhost")
    assert answer.status == 502 and answer.text.startswith("Failed to get service other/web: "), answer
    assert 'services "web" is forbidden' in answer.text
    assert has_role(answer.text, "other", "services", "get", "list"), answer.text


def test_without_any_rights_the_error_names_them(start_both):
    _, tunnel = start_both("--rights", "none", ready=False)
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502 and answer.seconds < 5, answer
    assert answer.text.startswith('Failed to get service shop/web: services "web" is forbidden')
    assert 'The credentials lack the verb "get" on "services" in namespace shop.' in answer.text
    assert has_role(answer.text, "shop", "services", "get", "list"), answer.text


def test_a_forbidden_port_forward_names_the_right(start_both):
    playground, tunnel = start_both()
    playground.order("deny create pods/portforward", "deny get pods/portforward")
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502, answer
    assert re.match(r"Port-forward failed for shop/web-[\w-]+: .*forbidden", answer.text), answer
    assert has_role(answer.text, "shop", "pods/portforward", "get", "create"), answer.text
    playground.order("allow create pods/portforward", "allow get pods/portforward")
    eventually(lambda: tunnel.get("web.shop.localhost").status == 200)


# trouble with the API server


def kubeconfig(folder, server, user="token: playground", authority="insecure-skip-tls-verify: true"):
    path = folder / "kubeconfig"
    path.write_text("apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                    f"clusters:\n- name: here\n  cluster:\n    server: {server}\n    {authority}\n"
                    f"users:\n- name: me\n  user: {{{user}}}\n"
                    "contexts:\n- name: here\n  context: {cluster: here, user: me}\n")
    return path


def test_it_starts_before_the_api_server_and_finds_it(start_playground, start_tunnel, tmp_path):
    port, = free_ports(1)
    tunnel = start_tunnel("--wait", "300ms", ready=False,
                          kubeconfig=kubeconfig(tmp_path, f"https://127.0.0.1:{port}"))
    answer = tunnel.get("web.shop.localhost")
    assert answer.status in (502, 503) and "refused" in answer.text and str(port) in answer.text, answer
    assert tunnel.own("/healthz").status == 200 and tunnel.own("/readyz").status == 503
    start_playground("--listen", f"127.0.0.1:{port}")
    eventually(lambda: tunnel.get("web.shop.localhost").status == 200, 20)
    eventually(lambda: tunnel.own("/readyz").status == 200, 20)
    assert len(re.findall("API server lost", tunnel.log())) == 1, "said once"


def test_a_request_waits_for_an_api_server_that_is_away_for_a_moment(start_both):
    playground, tunnel = start_both()
    assert tunnel.get("web.shop.localhost").status == 200
    playground.order("restart 500")
    eventually(lambda: "tunnel closed" in tunnel.log(), pause=0.02)
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 200 and answer.seconds < 8, answer


def test_expired_credentials_are_named(start_both):
    playground, tunnel = start_both(tunnel=["--wait", "1s"])
    playground.order("token off")
    answer = tunnel.get("web.shop.localhost", "/", "-d", "x")
    assert answer.status in (401, 502, 503), answer
    assert "401" in answer.text or "Unauthorized" in answer.text, answer
    playground.order("token on")
    eventually(lambda: tunnel.get("web.shop.localhost").status == 200, 20)


def test_wrong_credentials_are_named(playground, start_tunnel, tmp_path):
    tunnel = start_tunnel(ready=False, kubeconfig=kubeconfig(tmp_path, playground.server, "token: wrong-secret"))
    answer = tunnel.get("web.shop.localhost")
    assert answer.status in (401, 502, 503) and answer.seconds < 5, answer
    assert answer.text.startswith("Failed to get service shop/web: ") and "nauthorized" in answer.text, answer
    assert "wrong-secret" not in tunnel.log() + answer.text


def test_a_wrong_certificate_authority_is_named(playground, start_playground, start_tunnel,
                                                tmp_path):
    other = start_playground().kubeconfig.read_text()
    authority = re.search(r"certificate-authority-data: \S+", other).group()
    tunnel = start_tunnel(ready=False, kubeconfig=kubeconfig(tmp_path, playground.server, authority=authority))
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502 and answer.seconds < 5, "waiting does not help"
    assert "signed by an unknown authority" in answer.text
    assert "unknown authority" in tunnel.own("/readyz").text


def test_a_certificate_for_another_name_is_refused(playground, start_tunnel, tmp_path):
    text = playground.kubeconfig.read_text()
    authority = re.search(r"certificate-authority-data: \S+", text).group()
    path = kubeconfig(tmp_path, f"https://127.0.0.2:{playground.port}", authority=authority)
    path.write_text(path.read_text().replace(f"    {authority}", f"    {authority}\n    tls-server-name: elsewhere"))
    path.write_text(path.read_text().replace("127.0.0.2", "127.0.0.1"))
    answer = start_tunnel(ready=False, kubeconfig=path).get("web.shop.localhost")
    assert answer.status == 502 and "elsewhere" in answer.text, answer


def test_a_client_certificate_serves_requests(playground, start_tunnel):
    tunnel = start_tunnel("--context", "playground-certificate")
    assert tunnel.get("web.shop.localhost").status == 200


def test_a_token_file_serves_requests(playground, start_tunnel, tmp_path):
    (tmp_path / "token").write_text("playground\n")
    tunnel = start_tunnel(kubeconfig=kubeconfig(tmp_path, playground.server, f"tokenFile: {tmp_path}/token"))
    assert tunnel.get("web.shop.localhost").status == 200


def test_a_throttling_api_server_is_waited_for(start_both):
    playground, tunnel = start_both()
    playground.order("throttle 2")
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 200, answer


def test_a_gateway_without_spdy_gets_a_websocket(start_both):
    playground, tunnel = start_both()
    playground.order("no-spdy on")
    assert tunnel.get("web.shop.localhost").status == 200
    tunnel.wait_for_log("tunnel opened .*transport=websocket")
    assert tunnel.get("web.shop.localhost", "/bytes?n=5000000").body == counting(5000000)


# pods that come and go


def test_a_replaced_pod_is_followed(start_both):
    playground, tunnel = start_both()
    host = "db-0.db.shop.svc"
    assert tunnel.get(host).status == 200
    playground.order("pod replace shop/db-0")
    answer = tunnel.get(host)
    assert answer.status == 200 and answer.seconds < 2, answer


def test_created_and_deleted_services_are_noticed(start_both):
    playground, tunnel = start_both()
    assert tunnel.get("late.shop.localhost").status == 404
    playground.order("service create shop/late web 80 8080")
    eventually(lambda: tunnel.get("late.shop.localhost").status == 200, 2, pause=0.02)
    playground.order("service delete shop/late")
    eventually(lambda: tunnel.get("late.shop.localhost").status == 404, 2, pause=0.02)


def test_pods_that_are_not_ready_get_no_requests(start_both):
    playground, tunnel = start_both()
    playground.order(f"pod ready shop/{POD} false")
    eventually(lambda: POD not in [tunnel.get("web.shop.localhost").pod for _ in range(5)], 2)
    assert POD not in [tunnel.get("web.shop.localhost").pod for _ in range(10)]
    playground.order(f"pod ready shop/{POD} true")
    eventually(lambda: tunnel.get("web.shop.localhost").pod == POD, 3, pause=0)


def test_a_request_waits_for_a_pod_to_become_ready(start_both):
    playground, tunnel = start_both()
    host = "db-0.db.shop.svc"
    assert tunnel.get(host).status == 200
    playground.order("pod ready shop/db-0 false", "pod ready shop/db-1 false")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(tunnel.get, "db.shop.localhost")
        tunnel.wait_for_log("waiting for an endpoint service=db")
        playground.order("pod ready shop/db-1 true")
        assert answer.result().status == 200 and answer.result().seconds < 3


def test_lost_tunnels_are_dialled_again(start_both):
    playground, tunnel = start_both()
    for order in ("drop-tunnels", "kill-tunnels", "reset-tunnels", "cut-mid-frame"):
        assert tunnel.get("db-0.db.shop.svc").status == 200
        playground.order(order)
        answer = tunnel.get("db-0.db.shop.svc")
        assert answer.status == 200 and answer.seconds < 2, (order, answer)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_outdated_endpointslices_do_not_fail_requests(start_both, warm):
    """After a restart of the API server the controllers may take a minute to see pods again."""
    playground, tunnel = start_both()
    if warm:  # to both pods, more than one
        with ThreadPoolExecutor(12) as pool:
            assert list(pool.map(lambda _: tunnel.get("web.shop.localhost", "/slow?ms=300").status, range(12))) == [200] * 12
    listed = json.loads(playground.api("/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb").text)
    old = [p["metadata"]["name"] for p in listed["items"]]
    playground.order("stale on", "pod add shop/web-new web", *(f"pod delete shop/{p}" for p in old))
    answers = [tunnel.get("web.shop.localhost") for _ in range(10)]
    assert [a.status for a in answers] == [200] * 10, answers
    assert {a.pod for a in answers} == {"web-new"} and max(a.seconds for a in answers) < 3
    dialled = [line for line in tunnel.log().splitlines() if "port-forward failed" in line]
    assert len(dialled) <= len(old), dialled
    playground.order("stale off", "pod add shop/web-newer web")
    eventually(lambda: tunnel.get("web.shop.localhost").pod == "web-newer", 3, pause=0)


def test_a_request_refused_by_one_pod_goes_to_the_other(start_both):
    """Even a POST, because it was not delivered."""
    playground, tunnel = start_both()
    playground.order(f"refuse shop/{POD}:8080")
    for _ in range(10):
        answer = tunnel.get("web.shop.localhost", "/upload", "-d", "x")
        assert answer.status == 200 and answer.pod != POD, answer
