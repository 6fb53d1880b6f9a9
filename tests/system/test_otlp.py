"""--otlp: traces of requests, their context, and collectors that are slow, broken or absent.

The receiver parses with the protocol's own definition (opentelemetry-proto).

SPDX-License-Identifier: MIT
"""
import re
import subprocess
import sys
import time

import pytest

from tunnel_process import BINARY, ROOT, clean_environment, eventually, free_ports

sys.path.append(str(ROOT / "tests" / "kubectl"))
from pki import Authority  # noqa: E402 - the path comes first

from grpc_pod import GrpcClient, GrpcServer  # noqa: E402
from http_client import Client, request  # noqa: E402
from otlp_collector import Collector, read_batch  # noqa: E402

WEB = "web.shop.svc.cluster.local"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def spans_of(path, count):
    """So many requests' spans of a file, with those of their phases."""
    def look():
        found = [s for line in path.read_text().splitlines() for s in read_batch(line)]
        return sum(s.kind == 2 for s in found) >= count and found
    return eventually(look, pause=0.05)


def received(collector, count):
    return eventually(lambda: sum(s.kind == 2 for s in collector.spans) >= count and collector.spans, pause=0.05)


def seen_by_pod(tunnel, *arguments):
    """The fields of a context that the pod gets, by name."""
    found = {}
    for name, value in re.findall(r"(?im)^(traceparent|tracestate): (.*?)\r?$", tunnel.get(WEB, "/headers", *arguments).text):
        found.setdefault(name.lower(), []).append(value)
    return found


def total(tunnel, result):
    return tunnel.metrics().get(f'kube_tunnel_spans_total{{result="{result}"}}', 0)


# Spans

def test_a_request_is_a_span_with_its_phases(start_tunnel, tmp_path):
    path = tmp_path / "spans"
    tunnel = start_tunnel("--otlp", path)
    pod = tunnel.get(WEB, "/slow?ms=50&token=hunter2", "--data", "abc", "-H", "Authorization: Bearer hunter2").pod
    root, *phases = spans_of(path, 1)
    assert root.name == "POST" and root.kind == 2 and not root.parent and not root.failed
    assert "hunter2" not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    expected = {"http.request.method": "POST", "url.scheme": "http", "url.path": "/slow", "server.address": WEB,
                "client.address": "127.0.0.1", "network.protocol.version": "1.1", "http.request.body.size": 3,
                "http.response.status_code": 200, "k8s.service.name": "web", "k8s.namespace.name": "shop"}
    assert expected.items() <= root.attributes.items(), root.attributes
    assert root.attributes["k8s.pod.name"].startswith("web-") and (pod is None or root.attributes["k8s.pod.name"] == pod)
    assert {"dial", "pod"} <= {s.name for s in phases} <= {"head", "look-up", "wait", "dial", "pod", "transfer"}
    assert all(s.parent == root.id and s.trace == root.trace and s.kind == 1 for s in phases)
    assert sum(s.end - s.begin for s in phases) == root.end - root.begin
    assert all(a.end <= b.begin for a, b in zip(phases, phases[1:]))
    slow = next(s for s in phases if s.name == "pod")
    assert slow.end - slow.begin >= 40e6
    assert abs(root.end / 1e9 - time.time()) < 20


def test_a_refusal_is_a_failed_span_without_a_pod(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans")
    assert tunnel.get("empty.shop.svc.cluster.local", "/", "--max-time", "20").status == 503
    root = spans_of(tmp_path / "spans", 1)[0]
    assert root.failed and root.attributes["error.type"] == "503" and "k8s.pod.name" not in root.attributes
    assert root.attributes["k8s.service.name"] == "empty"


def test_unknown_methods_do_not_become_names(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans")
    tunnel.get(WEB, "/", "-X", "BREW")
    root = spans_of(tmp_path / "spans", 1)[0]
    assert root.name == "HTTP" and root.attributes["http.request.method"] == "_OTHER"
    assert root.attributes["http.request.method_original"] == "BREW"


def test_hostile_texts_leave_the_batch_valid(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans")
    with Client(tunnel.port) as client:
        client.send(b"GET /\xe2\x80\xae\"'\\\xff" + b"x" * 4000 + b" HTTP/1.1\r\nHost: " + WEB.encode() + b"\r\n\r\n")
        client.answer()
    root = spans_of(tmp_path / "spans", 1)[0]
    assert len(root.attributes["url.path"].encode()) < 1100 and "\"'\\" in root.attributes["url.path"]
    assert (tmp_path / "spans").read_text().isascii()


# Context

def test_without_otlp_the_context_passes_as_it_came(start_tunnel):
    tunnel = start_tunnel()
    seen = seen_by_pod(tunnel, "-H", f"traceparent: {SAMPLED}", "-H", "tracestate: a=1,b=2")
    assert seen == {"traceparent": [SAMPLED], "tracestate": ["a=1,b=2"]}
    assert seen_by_pod(tunnel) == {}


def test_a_sampled_context_goes_on_with_our_span_as_its_parent(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans", "--otlp-sample", "0")
    seen = seen_by_pod(tunnel, "-H", f"Traceparent: {SAMPLED}", "-H", "tracestate: a=1,b=2")
    root = spans_of(tmp_path / "spans", 1)[0]
    assert root.trace == TRACE and root.parent == SPAN
    assert seen == {"traceparent": [f"00-{TRACE}-{root.id}-01"], "tracestate": ["a=1,b=2"]}


def test_a_context_that_is_not_sampled_passes_and_has_no_span(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans")
    assert seen_by_pod(tunnel, "-H", f"traceparent: {UNSAMPLED}")["traceparent"] == [UNSAMPLED]
    tunnel.get(WEB, "/last")
    found = spans_of(tmp_path / "spans", 1)
    assert [s.attributes["url.path"] for s in found if s.kind == 2] == ["/last"]


@pytest.mark.parametrize("fields", [["traceparent: 00-nonsense"], [f"traceparent: {SAMPLED}", f"traceparent: {SAMPLED}"],
                                    [f"traceparent: {SAMPLED}-more"], ["traceparent;"]])
def test_a_context_that_is_not_valid_is_replaced(start_tunnel, tmp_path, fields):
    tunnel = start_tunnel("--otlp", tmp_path / "spans")
    arguments = [each for field in [*fields, "tracestate: a=1"] for each in ("-H", field)]
    seen = seen_by_pod(tunnel, *arguments)
    root = spans_of(tmp_path / "spans", 1)[0]
    assert seen == {"traceparent": [f"00-{root.trace}-{root.id}-03"]} and root.trace != TRACE and not root.parent


def test_a_part_of_the_requests_is_traced(start_tunnel, tmp_path):
    tunnel = start_tunnel("--otlp", tmp_path / "spans", "--otlp-sample", "50")
    with Client(tunnel.port) as client:
        sampled = sum(b"traceparent" in client.ask(request(WEB, "/headers")).body for _ in range(200))
    assert 60 < sampled < 140, "0.00000001 of all runs are outside"
    assert sum(s.kind == 2 for s in spans_of(tmp_path / "spans", sampled)) == sampled


def test_a_pod_of_http2_gets_the_context_too(start_playground, start_tunnel, tmp_path):
    server = GrpcServer()
    playground = start_playground("--pods", "4", "--backend", f"many:8080=127.0.0.1:{server.port}")
    tunnel = start_tunnel("--otlp", tmp_path / "spans", kubeconfig=playground.kubeconfig)
    client = GrpcClient(tunnel.port, "many.many.svc.cluster.local")
    client.method("Unary")(b"hello", metadata=[("traceparent", SAMPLED)], timeout=20)
    root = spans_of(tmp_path / "spans", 1)[0]
    assert root.attributes["network.protocol.version"] == "2" and root.parent == SPAN
    assert server.metadata[-1]["traceparent"] == f"00-{TRACE}-{root.id}-01"
    client.close()
    server.stop()


# Collectors

def test_a_collector_gets_batches(start_tunnel, collector):
    tunnel = start_tunnel("--otlp", collector.url)
    with Client(tunnel.port) as client:
        for _ in range(50):
            assert client.ask(request(WEB)).status == 200
    received(collector, 50)
    path, fields = collector.heads[0]
    assert path == "/v1/traces" and fields["Content-Type"] == "application/json" and len(collector.heads) < 10
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", fields["traceparent"]), "an export is not traced itself"
    eventually(lambda: total(tunnel, "exported") == len(collector.spans), pause=0.05)


def test_the_path_of_a_url_stays(start_tunnel, collector):
    tunnel = start_tunnel("--otlp", collector.url + "/custom/path")
    tunnel.get(WEB)
    received(collector, 1)
    assert collector.heads[0][0] == "/custom/path"


def test_a_busy_collector_gets_the_batch_again(start_tunnel, collector):
    collector.answers = [(503, {"Retry-After": "1"}, b"")]
    tunnel = start_tunnel("--otlp", collector.url)
    tunnel.get(WEB)
    received(collector, 1)
    assert len(collector.heads) == 2 and total(tunnel, "failed") == 0


@pytest.mark.parametrize("status, fields, reason", [(500, {}, "it answered 500"), (400, {}, "it answered 400"), (
    307, {"Location": "http://127.0.0.1:1/"}, "it answered 307, and redirects are not followed")])
def test_a_collector_that_refuses_is_logged_and_not_asked_again(start_tunnel, collector, status, fields, reason):
    collector.answers = [(status, fields, b"no")]
    tunnel = start_tunnel("--otlp", collector.url)
    tunnel.get(WEB, "/first")
    tunnel.wait_for_log(f"spans could not be exported.*{reason}")
    assert total(tunnel, "failed") > 0
    tunnel.get(WEB, "/second")
    assert received(collector, 1)[0].attributes["url.path"] == "/second" and len(collector.heads) == 2


def test_spans_that_a_collector_rejects_are_counted(start_tunnel, collector):
    collector.answers = [(200, {}, b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}')]
    tunnel = start_tunnel("--otlp", collector.url)
    tunnel.get(WEB)
    received(collector, 1)
    eventually(lambda: total(tunnel, "failed") == 1, pause=0.05)
    assert total(tunnel, "exported") == len(collector.spans) - 1


def test_a_collector_that_stalls_slows_no_request_and_spans_over_the_limit_are_dropped(start_tunnel, collector):
    collector.stall.set()
    tunnel = start_tunnel("--otlp", collector.url)
    tunnel.get(WEB)
    eventually(lambda: collector.heads, pause=0.02)
    padding = "/" + 900 * "x"
    begun = time.monotonic()
    with Client(tunnel.port) as client:
        for _ in range(900):
            assert client.ask(request(WEB, padding)).status == 200
    assert time.monotonic() - begun < 15
    assert total(tunnel, "dropped") > 0
    collector.stall.clear()
    collector.released.set()
    eventually(lambda: total(tunnel, "exported") + total(tunnel, "dropped") + total(tunnel, "failed")
               >= 901 and total(tunnel, "exported") > 100, seconds=20)


def test_an_absent_collector_slows_nothing_and_is_tried_again(start_tunnel):
    port, = free_ports(1)
    tunnel = start_tunnel("--otlp", f"http://127.0.0.1:{port}")
    assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log("a batch of spans is sent again.*refused")
    tunnel.stop()  # at once, with the exit status of every end
    assert "spans could not be exported" in tunnel.log()


def test_the_last_spans_are_sent_at_the_end(start_tunnel, collector):
    tunnel = start_tunnel("--otlp", collector.url)
    tunnel.get(WEB)
    tunnel.stop()
    assert sum(s.kind == 2 for s in collector.spans) == 1


@pytest.mark.parametrize("trusted", [True, False])
def test_a_collector_over_tls_is_verified(start_tunnel, tmp_path, trusted):
    authority = Authority(tmp_path, "authority")
    collector = Collector(authority.issue("collector"))
    environment = {"SSL_CERT_FILE": str(authority.path), "SSL_CERT_DIR": "/nonexistent"} if trusted else {}
    tunnel = start_tunnel("--otlp", collector.url, environment=environment)
    tunnel.get(WEB)
    if trusted:
        received(collector, 1)
    else:
        tunnel.wait_for_log("spans could not be exported.*certificate")
        assert not collector.spans
    collector.close()


# The environment variables of OpenTelemetry

HEADERS_OF = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
HEADERS = "authorization=Bearer%20hunter2%2C%3D%2525,x-team = blue, x-empty= ,X-B=a=b"


@pytest.mark.parametrize("variable", HEADERS_OF)
def test_headers_reach_the_collector_and_are_shown_nowhere(start_tunnel, collector, variable):
    other = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=other"} if "TRACES" in variable else {}
    tunnel = start_tunnel("--otlp", collector.url, "--log-level", "debug", environment=other | {variable: HEADERS})
    tunnel.get(WEB)
    received(collector, 1)
    fields = collector.heads[0][1]
    assert (fields["Authorization"], fields["X-Team"], fields["X-Empty"], fields["X-B"]) == ("Bearer hunter2,=%25", "blue", "", "a=b")
    assert fields["Content-Type"] == "application/json" and "traceparent" in fields
    shown = tunnel.log() + "".join(str(tunnel.ask(*command)) for command in (
        ["config", "show"], ["status", "-o", "json"], ["doctor"], ["reload"]))
    assert "hunter2" not in shown and "blue" not in shown and "otlp" in shown
    assert "hunter2" not in str(tunnel.metrics())


def test_headers_go_to_no_proxy(start_tunnel, collector):
    """The proxy is that of the API server. The collector's address is here, but no loopback address, which have none."""
    proxy = Collector()
    tunnel = start_tunnel("--otlp", collector.url.replace("127.0.0.1", "0.0.0.0"), environment={
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hunter2", "HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url})
    tunnel.get(WEB)
    received(collector, 1)
    assert collector.heads[0][1]["Authorization"] == "Bearer hunter2" and not proxy.heads
    proxy.close()


def test_headers_stay_with_a_batch_that_is_sent_again(start_tunnel, collector):
    collector.answers = [(503, {"Retry-After": "1"}, b"")]
    tunnel = start_tunnel("--otlp", collector.url, environment={"OTEL_EXPORTER_OTLP_HEADERS": "x-team=blue"})
    tunnel.get(WEB)
    received(collector, 1)
    assert [fields["X-Team"] for _, fields in collector.heads] == ["blue", "blue"]


@pytest.mark.parametrize("variable", HEADERS_OF)
@pytest.mark.parametrize("value, text", [
    ("hunter2", "element 1 is not NAME=VALUE"), ("a=b,=hunter2", "element 2 has no name"),
    ("a=hunter2%0d%0ax: y", "the value of element 1 has a control character"), ("a=hunter2%2", 'element 1 has a "%"'),
    ("a=hunter2%00", "or a NUL"), ("hunter2 x=1", "the name of element 1 is not that of a header field"),
    ("content-length=hunter2", "the field of element 1 is set by kube-tunnel"),
    (",".join(65 * ["a=hunter2"]), "more than 64 elements")])
def test_wrong_headers_are_refused_and_not_shown(playground, tmp_path, value, text, variable):
    done = subprocess.run([BINARY, "run", "--kubeconfig", playground.kubeconfig, "--listen", "127.0.0.1:0",
                           "--otlp", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=20,
                          env=clean_environment(HOME=str(tmp_path), **{"OTEL_EXPORTER_OTLP_HEADERS": "a=b", variable: value}))
    assert done.returncode == 1 and f"{variable}: " in done.stderr and text in done.stderr, done.stderr
    assert "hunter2" not in done.stderr, done.stderr


@pytest.mark.parametrize("environment, expected", [
    ({}, {"service.name": "kube-tunnel"}),
    ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test%2C%20one,service.name=edge,a=1,a=2"},
     {"service.name": "edge", "deployment.environment": "test, one", "a": "2"}),
    ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=edge,service.version=7", "OTEL_SERVICE_NAME": "mine \"\u202e"},
     {"service.name": "mine \"\u202e", "service.version": "7"})])
def test_the_resource_follows_the_environment(start_tunnel, collector, environment, expected):
    tunnel = start_tunnel("--otlp", collector.url, environment=environment)
    tunnel.get(WEB)
    received(collector, 1)
    assert {"service.version": collector.resources[0]["service.version"], **expected} == collector.resources[0]


def test_the_variables_alone_export_nothing(start_tunnel, collector):
    tunnel = start_tunnel(environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "wrong"})
    assert tunnel.get(WEB).status == 200
    tunnel.stop()
    assert not collector.heads


# Files and settings

def test_a_full_disk_stops_no_request(start_tunnel):
    tunnel = start_tunnel("--otlp", "/dev/full")
    for _ in range(2):
        assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log("spans could not be exported.*No space left")
    assert total(tunnel, "failed") > 0


def test_a_moved_file_is_opened_again(start_tunnel, tmp_path):
    path = tmp_path / "spans"
    tunnel = start_tunnel("--otlp", path)
    tunnel.get(WEB, "/before")
    spans_of(path, 1)
    path.rename(tmp_path / "old")
    tunnel.process.send_signal(10)
    eventually(path.exists, pause=0.02)
    tunnel.get(WEB, "/after")
    assert spans_of(path, 1)[0].attributes["url.path"] == "/after"


@pytest.mark.parametrize("value, text", [
    ("http://me:hunter2@127.0.0.1/", "no user and no password"), ("ftp://x/", "a path, or a URL"),
    ("/nonexistent/spans", "No such file"), ("http://[::1", "otlp: ")])
def test_a_wrong_place_is_named_at_the_start(playground, tmp_path, value, text):
    done = subprocess.run([BINARY, "run", "--kubeconfig", playground.kubeconfig, "--listen", "127.0.0.1:0", "--otlp", value],
                          env=clean_environment(HOME=str(tmp_path)), capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2) and text in done.stderr and "hunter2" not in done.stderr, done.stderr
