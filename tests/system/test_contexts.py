"""Several contexts of a kubeconfig in one process: names, labels, connecting, failures.

SPDX-License-Identifier: MIT
"""
import http.server
import json
import re
import socket
import statistics
import subprocess
import threading
import time

import pytest

from conftest import SANITIZED
from http_client import Client
from kubeconfigs import Kubeconfig
from test_list import listed
from tunnel_process import BINARY, clean_environment, curl, eventually


class Backend(http.server.ThreadingHTTPServer):
    """What runs in the pods of one cluster: it answers with the cluster's name."""

    daemon_threads = True

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Answer)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Clients may leave."""


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = f"{self.server.name} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def start_cluster(start_playground):
    """start_cluster(name): a playground in which shop/web answers with that name."""
    backends = []

    def start(name, *flags):
        backend = Backend(name)
        backends.append(backend)
        port = backend.server_address[1]
        return start_playground("--backend", f"web:8080=127.0.0.1:{port}", *flags)

    yield start
    for backend in backends:
        backend.shutdown()
        backend.server_close()


class Counter:
    """A TCP server that counts connections, and sends nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port, self.count, self.kept = self.socket.getsockname()[1], 0, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self.kept.append(self.socket.accept()[0])
                self.count += 1
        except OSError:
            pass

    def close(self):
        self.socket.close()
        for s in self.kept:
            s.close()

    @property
    def server(self):
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture
def counter():
    counter = Counter()
    yield counter
    counter.close()


# The playground has none of its own.
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
              "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                  {"name": "web", "ports": [{"containerPort": 8080, "name": "http"}]}]}}}}


@pytest.fixture
def two(start_cluster, tmp_path):
    """A kubeconfig with two clusters; one is the current."""
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"), two=start_cluster("two"))
    config.write()
    return config


def said(answer):
    assert answer.status == 200, answer
    return answer.text.split()[0]


# names


def test_each_context_has_its_services_under_its_label(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", kubeconfig=two.path)
    for host in ("web.shop.localhost", "web.shop.svc.cluster.local", "web.shop.svc", "web.shop.one.localhost",
                 "web.shop.svc.one.localhost", "web.shop.svc.one.k8s"):
        assert said(tunnel.get(host)) == "one", host
    for host in ("web.shop.two.localhost", "WEB.shop.Two.LOCALHOST.", "web.shop.svc.two.localhost",
                 "web.shop.svc.two.k8s", "web.shop.two.localhost:80"):
        assert said(tunnel.get(host)) == "two", host


@pytest.mark.parametrize("form", ["web.shop.svc", "_http._tcp.web.shop.svc", "db-0.db.shop.svc", "web-6c9f7d5b8-4xk2p.shop.pod",
                                  "web.shop.deploy"])
@pytest.mark.parametrize("tail", ["k8s", "localhost"])
def test_every_form_of_a_name_works_with_a_label(two, start_cluster, start_tunnel, tmp_path, form,
                                                 tail):
    (tmp_path / "objects.json").write_text(json.dumps(DEPLOYMENT))
    two.add("three", start_cluster("three", "--manifest", tmp_path / "objects.json")).write()
    tunnel = start_tunnel("--context", "all", kubeconfig=two.path)
    port = ":8080" if form.startswith("db") or form.endswith("pod") else ""
    assert tunnel.get(f"{form}.three.{tail}{port}").status == 200
    log = tunnel.wait_for_log(rf'request .*host=\S*{re.escape(form)}\.three\.{tail}.*pod=(\S+).*cluster=(\S+)')
    assert log.group(2) == "three" and log.group(1).startswith(form[:2].replace("_h", "we"))


def test_the_host_that_the_client_sent_reaches_the_pod(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", kubeconfig=two.path)
    assert tunnel.get("web.shop.two.localhost").text == "two web.shop.two.localhost"


def test_absolute_targets_reach_each_context(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", kubeconfig=two.path)
    for host, name in (("web.shop.two.localhost", "two"), ("web.shop.svc.two.k8s", "two"), ("web.shop", "one")):
        answer = curl("--noproxy", "", "-x", f"http://127.0.0.1:{tunnel.port}", f"http://{host}/")
        assert said(answer) == name


def test_an_exposed_port_and_an_alias_may_lead_to_another_context(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", "--expose", "web.shop.svc.two.k8s:80=127.0.0.1:0",
                          "--alias", "front=web.shop.svc.two.k8s", kubeconfig=two.path)
    assert said(tunnel.get("front.localhost")) == "two"
    port = int(tunnel.wait_for_log(r"listening address=127\.0\.0\.1:(\d+) exposes").group(1))
    assert said(curl(f"http://127.0.0.1:{port}/")) == "two"


@pytest.mark.parametrize("current, flags, plain", [
    ("two", ["--context", "all"], "two"),
    (None, ["--context", "all"], "one"),
    ("one", ["--context", "two", "--context", "one"], "two"),
    ("one", ["--context", "two,one"], "two"),
    ("one", ["--context", "two", "--context", "all"], "two"),
    ("one", [], "one"),
])
def test_plain_names_belong_to_the_first_named_or_the_current_or_the_first_context(
        two, start_tunnel, current, flags, plain):
    two.current = current
    two.write()
    tunnel = start_tunnel(*flags, kubeconfig=two.path)
    assert said(tunnel.get("web.shop.localhost")) == plain
    assert said(tunnel.get(f"web.shop.{plain}.localhost")) == plain


def test_a_context_that_was_not_chosen_is_not_reached(two, start_tunnel):
    tunnel = start_tunnel(kubeconfig=two.path)
    answer = tunnel.get("web.shop.two.localhost")
    assert answer.status == 404
    assert answer.text.startswith('Not Found: no context "two" (there are: one)')
    assert "--context" in answer.text
    answer = tunnel.get("web.shop.svc.nothing.k8s", "/", "-H", "Accept: application/json")
    assert json.loads(answer.text)["status"] == 404


def test_a_context_that_does_not_exist_is_refused_at_the_start(two, start_tunnel, tmp_path):
    done = subprocess.run([BINARY, "run", "--kubeconfig", two.path, "--context", "one", "--context", "three"],
                          capture_output=True, text=True, timeout=10, env=clean_environment())
    assert done.returncode == 1
    assert 'no context "three" (there are: one, two)' in done.stderr


# labels


def test_labels_follow_the_rule_and_collisions_are_logged(start_cluster, start_tunnel, tmp_path):
    names = {
        "arn:aws:eks:eu-west-1:1234:cluster/prod": "prod",
        "gke_proj_europe-west1-b_dev": "dev",
        "Kind_Local": "kind-local",
        "prod": "prod-2",
        "PROD": "prod-3",
        "svc": "svc-2",
        "pod": "pod-2",
        "localhost": "localhost-2",
        "k8s": "k8s-2",
        "local": "local-2",
    }
    config = Kubeconfig(tmp_path / "kubeconfig", current="prod")
    for name, label in names.items():
        config.add(name, server="https://127.0.0.1:1")
    first = next(iter(names))
    config.add(first, start_cluster("first"))
    config.add("gke_proj_europe-west1-b_dev", start_cluster("dev"))
    config.add("svc", start_cluster("svc"))
    config.write()
    tunnel = start_tunnel("--context", first, "--context", "all", kubeconfig=config.path)
    ready = tunnel.own("/readyz").text.splitlines()
    assert [line.split(":")[0] for line in ready[1:]] == list(names.values())
    for label, name in (("prod", "first"), ("dev", "dev"), ("svc-2", "svc")):
        assert said(tunnel.get(f"web.shop.{label}.localhost")) == name
        assert said(tunnel.get(f"web.shop.svc.{label}.k8s")) == name
    for name, label in names.items():
        if re.search(r"-\d$", label):
            tunnel.wait_for_log(rf"WARN  cluster .*the label of a context is taken.*context={name} wanted=\S+ label={label}\b")


def test_the_front_page_and_readyz_list_the_contexts(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", kubeconfig=two.path)
    assert tunnel.own("/readyz").text == "ok\none: ok\ntwo: not used yet\n"
    said(tunnel.get("web.shop.two.localhost"))
    eventually(lambda: tunnel.own("/readyz").text == "ok\none: ok\ntwo: ok\n")
    front = tunnel.own("/").text
    assert "http://<service>.<namespace>.one.localhost/    one (also the names above)" in front
    assert "http://<service>.<namespace>.two.localhost/    two" in front


def test_logs_and_metrics_have_the_cluster_only_where_there_are_several(two, start_tunnel):
    one = start_tunnel(kubeconfig=two.path)
    both = start_tunnel("--context", "all", kubeconfig=two.path)
    for tunnel in (one, both):
        said(tunnel.get("web.shop.one.localhost"))
    said(both.get("web.shop.two.localhost"))
    assert "cluster=" not in one.own("/metrics").text
    eventually(lambda: "request " in one.log())
    assert not re.search(r"cluster=(one|two)", one.log())
    metrics = both.metrics()
    for name in ("one", "two"):
        assert metrics[f'kube_tunnel_requests_total{{cluster="{name}",code="2xx"}}'] == 1
        assert metrics[f'kube_tunnel_tunnels{{cluster="{name}"}}'] >= 1
        assert metrics[f'kube_tunnel_leases_total{{cluster="{name}",source="tunnel"}}'] == 1
        both.wait_for_log(rf"request method=GET .*cluster={name}\n")
        both.wait_for_log(rf"catalog rights found .*cluster={name}\n")
    ids = re.findall(r"tunnel (t\d+) open", both.log()) + re.findall(r" (t\d+) .*-> ?OPEN", both.log())
    assert len(ids) == len(set(ids))


def test_error_pages_name_the_context_only_where_there_are_several(two, start_tunnel):
    one = start_tunnel(kubeconfig=two.path)
    both = start_tunnel("--context", "all", kubeconfig=two.path)
    assert "kubectl takes --context" not in one.get("nothing.shop.localhost").text
    for label, host in (("one", "nothing.shop.localhost"), ("two", "nothing.shop.two.localhost")):
        page = both.get(host)
        assert page.status == 404 and f"This is context {label}; kubectl takes --context for it." in page.text, page


# connecting


def test_a_context_is_connected_by_its_first_request(start_cluster, start_tunnel, counter,
                                                     tmp_path):
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("quiet", server=counter.server).write()
    tunnel = start_tunnel("--context", "all", "--wait", "0", "--dial-timeout", "500ms", kubeconfig=config.path)
    said(tunnel.get("web.shop.localhost"))
    time.sleep(0.5)
    assert counter.count == 0
    assert tunnel.get("web.shop.quiet.localhost").status >= 500
    assert counter.count > 0


def test_a_request_that_the_policy_refuses_connects_no_context(start_cluster, start_tunnel, counter,
                                                               tmp_path):
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("quiet", server=counter.server).write()
    tunnel = start_tunnel("--context", "all", "--deny-namespace", "closed", kubeconfig=config.path)
    for fields in (["-H", "Origin: https://evil.example", "-X", "POST"],
                   ["-H", "Origin: http://web.shop.one.localhost", "-X", "POST"],
                   ["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: no-cors"],
                   ["-H", "Sec-Fetch-Site: same-site"]):
        assert tunnel.get("web.shop.quiet.localhost", "/", *fields).status == 403, fields
    assert tunnel.get("web.closed.quiet.localhost").status == 403
    time.sleep(0.3)
    assert counter.count == 0


def rss_kib(tunnel):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{tunnel.process.pid}/status").read()).group(1))


@pytest.mark.skipif(SANITIZED, reason="figures")
def test_200_contexts_cost_nothing_until_they_are_used(start_cluster, start_tunnel, counter,
                                                       tmp_path):
    cluster = start_cluster("one")
    alone = Kubeconfig(tmp_path / "alone", current="one", one=cluster)
    many = Kubeconfig(tmp_path / "many", current="one", one=cluster)
    for i in range(199):
        many.add(f"arn:aws:eks:eu-west-1:1234:cluster/c{i}", cluster, server=counter.server)
    alone.write(), many.write()
    took, rss = {}, {}
    for name, path, flags in (("alone", alone.path, []), ("many", many.path, ["--context", "all"])):
        times = []
        for _ in range(5):
            begun = time.monotonic()
            tunnel = start_tunnel(*flags, kubeconfig=path)
            times.append(time.monotonic() - begun)
            said(tunnel.get("web.shop.localhost"))
            rss[name] = rss_kib(tunnel)
            tunnel.stop()
        took[name] = min(times)
    print(took, rss)
    assert counter.count == 0
    assert took["many"] - took["alone"] < 0.2
    assert rss["many"] - rss["alone"] < 2048


@pytest.mark.skipif(SANITIZED, reason="figures")
def test_20000_contexts_with_one_label_start_within_seconds(start_cluster, start_tunnel, tmp_path):
    config = Kubeconfig(tmp_path / "many", current="one", one=start_cluster("one"))
    for i in range(20000):
        config.add(f"arn:aws:eks:eu-west-1:{i}:cluster/prod", server="https://127.0.0.1:1")
    config.write()
    begun = time.monotonic()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    took, rss = time.monotonic() - begun, rss_kib(tunnel)
    print(f"{took:.2f} s, {rss} KiB")
    assert took < 5 and rss < 100 << 10
    assert tunnel.get("web.shop.prod-20000.localhost").status == 502
    assert tunnel.get("web.shop.prod-20001.localhost").status == 404
    assert said(tunnel.get("web.shop.localhost")) == "one"


# failures


def p99(tunnel, host):
    """The median of five rounds: this machine may be busy with something else for one of them."""
    return statistics.median(p99_of_one_second(tunnel, host) for _ in range(5))


def p99_of_one_second(tunnel, host):
    took, end = [], time.monotonic() + 1
    with Client(tunnel.port) as client:
        while time.monotonic() < end:
            begun = time.monotonic()
            client.socket.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = b""
            while not head.endswith(host.encode()):
                head += client.socket.recv(65536)
            assert head.startswith(b"HTTP/1.1 200"), head
            took.append(time.monotonic() - begun)
            time.sleep(0.002)
    return statistics.quantiles(took, n=100)[98]


@pytest.mark.skipif(SANITIZED, reason="figures")
def test_dead_silent_or_unknown_clusters_do_not_delay_the_others(start_cluster, start_tunnel,
                                                                 counter, tmp_path):
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("refused", server="https://127.0.0.1:1")
    config.add("silent", server=counter.server)
    config.add("nameless", server="https://no-such-host.invalid")
    config.add("unroutable", server="https://192.0.2.1")
    config.add("broken", server="https://127.0.0.1:1", **{"client-certificate": "/nonexistent", "client-key": "/nonexistent"})
    config.write()
    tunnel = start_tunnel("--context", "all", "--wait", "1s", kubeconfig=config.path)
    alone = p99(tunnel, "web.shop.localhost")
    stop, answers = threading.Event(), []

    def ask(label):
        while not stop.is_set():
            answers.append((label, tunnel.get(f"web.shop.{label}.localhost").status))
            time.sleep(0.2)

    asking = [threading.Thread(target=ask, args=(label,)) for label in
              ("refused", "silent", "nameless", "unroutable", "broken") for _ in range(2)]
    for thread in asking:
        thread.start()
    eventually(lambda: len({label for label, _ in answers}) == 5, 30)  # each was connected
    beside = p99(tunnel, "web.shop.localhost")
    stop.set()
    for thread in asking:
        thread.join(40)
    print(f"p99 alone {alone * 1000:.2f} ms, beside dead ones {beside * 1000:.2f} ms")
    assert all(status in (502, 503, 504) for _, status in answers), answers
    assert {label for label, _ in answers} == {"refused", "silent", "nameless", "unroutable", "broken"}
    assert beside < alone * 3 + 0.02
    assert tunnel.own("/readyz").status == 200


def test_a_broken_context_is_explained_on_its_error_pages(start_cluster, start_tunnel, tmp_path):
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("broken", server="https://127.0.0.1:1")
    config.entries["broken"]["cluster"]["certificate-authority"] = "/nonexistent/ca.crt"
    config.write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    answers = [tunnel.get("web.shop.broken.localhost") for _ in range(3)]
    for answer in answers:
        assert answer.status == 502
        assert "certificate-authority" in answer.text and "/nonexistent/ca.crt" in answer.text
    assert said(tunnel.get("web.shop.localhost")) == "one"
    assert "broken: " in tunnel.own("/readyz").text and "/nonexistent/ca.crt" in tunnel.own("/readyz").text
    assert tunnel.log().count("a context cannot be used") == 1


def test_a_broken_first_context_does_not_stop_the_others(start_cluster, start_tunnel, tmp_path):
    config = Kubeconfig(tmp_path / "kubeconfig", current="broken", one=start_cluster("one"))
    config.add("broken", server="https://127.0.0.1:1")
    config.entries["broken"]["cluster"]["certificate-authority"] = "/nonexistent/ca.crt"
    config.write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path, ready=False)
    assert tunnel.own("/readyz").status == 503
    assert tunnel.get("web.shop.localhost").status == 502
    assert said(tunnel.get("web.shop.one.localhost")) == "one"
    answer = tunnel.get("web.shop.svc.company.example")
    assert answer.status == 400 and answer.seconds < 1, "its domain is not looked for, so it is not waited for"


def test_two_contexts_with_one_server_keep_their_credentials_apart(start_cluster, start_tunnel,
                                                                   tmp_path):
    cluster = start_cluster("one")
    config = Kubeconfig(tmp_path / "kubeconfig", current="good", good=cluster)
    config.add("bad", cluster, token="wrong").write()
    tunnel = start_tunnel("--context", "all", "--wait", "0", kubeconfig=config.path)
    for _ in range(3):
        assert said(tunnel.get("web.shop.good.localhost")) == "one"
        answer = tunnel.get("web.shop.bad.localhost")
        assert answer.status == 502 and "nauthorized" in answer.text, answer


# list


def test_list_has_the_cluster_of_each_service(two, tmp_path):
    done = listed("--kubeconfig", two.path, "--context", "all", "--port", "8080")
    assert done.returncode == 0, done.stderr
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head[:4] == ["CLUSTER", "NAMESPACE", "SERVICE", "URL"]
    urls = {tuple(row[:3]): (row[3], row[5]) for row in rows}
    assert urls["one", "shop", "web"] == ("http://web.shop.localhost:8080/", "http://web.shop.svc.cluster.local:8080/")
    assert urls["two", "shop", "web"] == ("http://web.shop.two.localhost:8080/", "http://web.shop.svc.two.k8s:8080/")


def test_names_and_urls_of_list_are_answered(two, start_tunnel):
    tunnel = start_tunnel("--context", "all", "--short-names", kubeconfig=two.path)
    names = listed("--kubeconfig", two.path, "--context", "all", "-o", "name").stdout.split()
    assert {"web.shop", "web.shop.svc.two.k8s"} <= set(names)
    services = json.loads(listed("--kubeconfig", two.path, "--context", "all", "-o", "json").stdout)
    for service in services:
        if (service["namespace"], service["name"]) != ("shop", "web"):
            continue
        for url in (service["url"], service["clusterURL"]):
            assert said(tunnel.get(re.match(r"http://([^/:]+)", url).group(1))) == service["context"] == service["cluster"]


def test_list_of_one_context_has_no_cluster_column(two):
    done = listed("--kubeconfig", two.path, "--context", "two")
    assert done.stdout.split()[:2] == ["NAMESPACE", "SERVICE"]
    assert "context" not in json.loads(listed("--kubeconfig", two.path, "-o", "json").stdout)[0]


def test_list_names_the_cluster_that_failed_and_prints_the_others(two):
    two.add("dead", server="https://127.0.0.1:1").write()
    done = listed("--kubeconfig", two.path, "--context", "all")
    assert done.returncode == 1
    assert "kube-tunnel: context dead: " in done.stderr
    assert {row.split()[0] for row in done.stdout.splitlines()[1:]} == {"one", "two"}
