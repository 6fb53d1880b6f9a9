"""An API server that sends without an end: it is limited, reported and left alone for a while.

SPDX-License-Identifier: MIT
"""
import http.server
import itertools
import json
import re
import threading
import time

import pytest

from tunnel_process import eventually

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "%s"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}]
"""

SERVICE = {"metadata": {"namespace": "shop", "name": "web", "uid": "u", "resourceVersion": "1"},
           "spec": {"selector": {"app": "web"}, "clusterIP": "10.0.0.1", "ports": [{"port": 80}]}}


def page(*items, **metadata):
    return json.dumps({"kind": "List", "metadata": {"resourceVersion": "1", **metadata}, "items": items}).encode()


class Server(http.server.ThreadingHTTPServer):
    """Each collection is answered by a function: request number -> chunks of one body."""

    daemon_threads = True

    def __init__(self, **answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.paths = answers, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A client that leaves in the middle is what this is about."""

    def kubeconfig(self, folder):
        path = folder / "kubeconfig"
        path.write_text(KUBECONFIG % f"http://127.0.0.1:{self.server_address[1]}")
        return path


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.paths.append(self.path)
        answer = self.server.answers.get(self.path.partition("?")[0].rpartition("/")[2])
        if "watch=1" in self.path or answer is None:
            self.send_error(404 if answer is None else 410)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in answer(len(self.server.paths)):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True


def one_page(*items):
    return lambda n: [page(*items)]


def endless_pages(n):
    yield page(*({"metadata": {"namespace": "shop", "name": f"s{n}-{i}"}} for i in range(10)), **{"continue": str(n)})


def endless_list(n):
    yield b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"first"}}'
    for i in itertools.count():
        yield b"".join(b',{"metadata":{"namespace":"shop","name":"s%d-%d-%d"}}' % (n, i, k) for k in range(100))


def long_names(n):
    yield page({"metadata": {"namespace": "shop", "name": "x" * 100_000}})


@pytest.mark.parametrize("slices", [endless_pages, endless_list, long_names])
def test_endless_answers_fail_and_are_backed_off(start_tunnel, tmp_path, slices):
    server = Server(services=one_page(SERVICE), endpointslices=slices)
    tunnel = start_tunnel("--max-objects", "1000", "--discovery", "watch",
                          kubeconfig=server.kubeconfig(tmp_path), ready=False)
    tunnel.wait_for_log(r"watch failed, trying again .*(max-objects allows|name is too long)")
    asked = len(server.paths)
    assert asked <= 20
    assert tunnel.own("/healthz").status == 200
    pages = [path for path in server.paths if "endpointslices" in path]
    eventually(lambda: len([p for p in server.paths if "endpointslices" in p]) > len(pages), 5)
    assert len(re.findall("watch failed, .*endpointslices", tunnel.log())) == 1, "once, not for each attempt"
    server.shutdown()


@pytest.mark.parametrize("slices", [endless_pages, endless_list])
def test_endless_lists_are_not_read_again_where_services_may_be_watched_lazily(
        start_tunnel, tmp_path, slices):
    server = Server(services=one_page(SERVICE), endpointslices=slices)
    tunnel = start_tunnel("--max-objects", "1000", kubeconfig=server.kubeconfig(tmp_path), ready=False)
    tunnel.wait_for_log("rights found .*rights=lazy")
    asked = len(server.paths)
    time.sleep(2)
    assert len(server.paths) == asked
    assert tunnel.own("/readyz").status == 200
    server.shutdown()


def test_look_ups_are_limited_in_rate(start_both):
    _, tunnel = start_both("--rights", "original", tunnel=["--lookup-rate", "4", "--lookup-burst", "2"])
    began = time.monotonic()
    answers = [tunnel.get(f"none-{i}.shop.svc.cluster.local") for i in range(10)]
    assert [a.status for a in answers] == [404] * 10
    assert time.monotonic() - began >= 1.9, "four a second after the first two"


# what API servers do from 1.22 to 1.37


def pods_of(tunnel):
    return {tunnel.get("web.shop.svc.cluster.local").pod for _ in range(8)}


def test_watches_that_end_every_second_lose_nothing(start_playground, start_tunnel):
    playground = start_playground()
    playground.order("watch-seconds 1")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    for i in range(4):
        playground.order(f"pod add shop/web-new-{i} web")
        eventually(lambda i=i: f"web-new-{i}" in pods_of(tunnel), 5)
        time.sleep(0.6)
    assert "API server lost" not in tunnel.log() and "watch failed" not in tunnel.log()


def test_expired_revisions_are_listed_again(start_both):
    """410: at the watch, and when it begins again."""
    playground, tunnel = start_both()
    assert tunnel.get("web.shop.svc.cluster.local").status == 200
    playground.order("watch-seconds 1", "pod add shop/web-late web", "forget")
    eventually(lambda: "web-late" in pods_of(tunnel), 10)
    assert "watch failed" not in tunnel.log()


@pytest.mark.parametrize("rights", ["watch", "original"])
def test_throttled_calls_are_retried(start_playground, start_tunnel, rights):
    """429 with Retry-After, as priority and fairness has it."""
    playground = start_playground("--rights", rights)
    playground.order("throttle-calls 4")  # two lists, the look for the domain, and one of the request
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, ready=False)
    answer = tunnel.get("web.shop.svc.cluster.local")
    assert answer.status == 200
    assert answer.seconds >= 0.9, "as long as the server named"
    eventually(lambda: tunnel.own("/readyz").status == 200, 10)


def test_endpoints_are_watched_where_the_server_has_no_endpointslices(start_playground,
                                                                      start_tunnel):
    playground = start_playground("--grant", "list endpoints * *", "--grant", "watch endpoints * *")
    playground.order("no-slices on")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    tunnel.wait_for_log('rights found .*rights=watch .*means="services and endpoints are watched"')
    assert tunnel.get("web.shop.svc.cluster.local").status == 200
    assert tunnel.get("db-0.db.shop.svc.cluster.local").status == 200
    playground.order("pod add shop/web-new web")
    eventually(lambda: "web-new" in pods_of(tunnel), 5)


def test_without_endpointslices_and_the_right_to_watch_endpoints_it_looks_up(
        start_playground, start_tunnel):
    playground = start_playground()
    playground.order("no-slices on")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    tunnel.wait_for_log("rights found .*rights=lookup")
    assert tunnel.get("web.shop.svc.cluster.local").status == 200
