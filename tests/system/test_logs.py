"""What it logs: every operation, for people and for programs, and never a secret.

SPDX-License-Identifier: MIT
"""
import base64
import json
import re

import pytest

from http_client import Client, request

WEB = "web.shop.svc.cluster.local"
DB = "db-0.db.shop.svc.cluster.local"
TEXT_LINE = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO |WARN |ERROR) [a-z0-9_]+'
                       r'( [a-z]\d+(\.\d+)?)?( [^=\s"]+)+( [a-z_0-9]+=("([^"\\]|\\.)*"|[^\s"]*))*')


def test_every_operation_of_the_original_is_logged(start_tunnel):
    """Start, request in and out, lookup, pod chosen, tunnel opened, used again, expired, errors."""
    tunnel = start_tunnel("--idle-timeout", "300ms", "--idle-check", "100ms")
    assert tunnel.get(DB, "/upload", "-d", "hello").status == 200
    assert tunnel.get(DB).status == 200
    assert tunnel.get("empty.shop.localhost").status == 503
    for wanted in (
            r"INFO +listen listening address=127\.0\.0\.1:\d+",
            r"INFO +daemon started version=\S+ context=playground server=\S+ namespace=shop",
            r"INFO +catalog rights found rights=watch",
            r"catalog entry namespace=shop name=db endpoints=2 ready=yes",
            r"INFO +tunnel t1 tunnel opened pod=shop/db-0 transport=spdy ms=\d+",
            r"INFO +serve s\d+\.1 request method=POST host=" + re.escape(DB) + r" path=/upload status=200 in=5 "
            r"out=\d+ ms=\d+ pod=db-0 tunnel=t1 reused=no",
            r"INFO +serve s\d+\.1 request method=GET host=" + re.escape(DB) + r" path=/ status=200 in=0 out=\d+ "
            r"ms=\d+ pod=db-0 tunnel=t1 reused=yes",
            r'WARN +serve s\d+\.1 request failed status=503 cause=no-pod reason="No running pod for empty/shop"',
            r"INFO +tunnel t1 tunnel (closed|expired) pod=shop/db-0 "):
        tunnel.wait_for_log(wanted)


def test_ids_connect_a_request_with_its_tunnel(start_tunnel):
    tunnel = start_tunnel()
    with Client(tunnel.port) as client:
        for host in (DB, "db-1.db.shop.svc", DB):
            assert client.ask(request(host)).status == 200
    tunnel.wait_for_log(r"s\d+\.3 request method=.* tunnel=")
    lines = re.findall(r"(s\d+)\.(\d+) request .* pod=(\S+) tunnel=(t\d+) ", tunnel.log())
    session = lines[-1][0]
    asked = [line[1:] for line in lines if line[0] == session]
    assert [number for number, _, _ in asked] == ["1", "2", "3"]
    assert asked[0][2] == asked[2][2] != asked[1][2]
    for _, pod, transport in asked:
        assert re.search(rf"{transport} tunnel opened pod=shop/{pod} ", tunnel.log())


def test_each_line_of_text_has_the_same_form(start_tunnel):
    tunnel = start_tunnel()
    for target in ("/", '/"quoted"', "/with=equals", "/\\back", "/\xe4\xff"):
        tunnel.talk(request(DB, target, fields=["Connection: close"]))
    assert tunnel.get('no"such.shop.localhost').status == 400
    assert tunnel.get("nosuch.shop.localhost").status == 404
    tunnel.stop()
    for line in tunnel.log().splitlines():
        assert TEXT_LINE.fullmatch(line), line


@pytest.mark.parametrize("level, said", [
    ("error", set()), ("warn", {"WARN"}), ("info", {"WARN", "INFO"}), ("debug", {"WARN", "INFO", "DEBUG"})])
def test_option_log_level_limits_the_lines(start_tunnel, level, said):
    tunnel = start_tunnel("--log-level", f"{level},listen=info")
    assert tunnel.get("empty.shop.localhost").status == 503
    assert tunnel.get(WEB).status == 200
    tunnel.stop()
    lines = [line.split() for line in tunnel.log().splitlines()]
    assert {line[1] for line in lines if line[2] != "listen"} == said


def test_option_log_sets_levels_by_module(start_tunnel):
    tunnel = start_tunnel("--log-level", "info,serve=error,tunnel=debug")
    assert tunnel.get(WEB).status == 200
    tunnel.stop()
    parts = {(line.split()[1], line.split()[2]) for line in tunnel.log().splitlines()}
    assert ("DEBUG", "tunnel") in parts and ("INFO", "daemon") in parts
    assert not {part for part in parts if part[1] == "serve"}
    assert {part for part in parts if part[0] == "DEBUG"} == {("DEBUG", "tunnel")}


# programs


@pytest.fixture
def start_json(start_tunnel):
    return lambda *flags, **options: start_tunnel("--log-format", "json", *flags, **options)


def test_json_lines_are_objects(start_json):
    tunnel = start_json()
    for target in ("/", '/"quoted"\\', "/\xe4\xff\x7f"):
        tunnel.talk(request(DB, target, fields=["Connection: close", 'X-A: "\\\t\x80']))
    assert tunnel.get('no"such\\.shop', "/", "-H", "X-A: \\\"").status == 400
    tunnel.stop()
    lines = [json.loads(line) for line in tunnel.log_path.read_bytes().decode("utf-8").splitlines()]
    assert all(isinstance(line, dict) and {"time", "level"} <= set(line) for line in lines), lines[0]
    request_line = next(line for line in lines if line.get("host") == DB and "status" in line)
    assert request_line["status"] == 200 and request_line["pod"] == "db-0"


# secrets


SECRETS = ["hunter2-authorization", "hunter2-cookie", "hunter2-proxy", "hunter2-query", "hunter2-key",
           "hunter2-setcookie", "hunter2-url"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_reaches_the_log(playground, start_tunnel, pod, form):
    """Of requests, of answers, of the kubeconfig; whatever the level, also when things go wrong."""
    text = playground.kubeconfig.read_text()
    private = base64.b64decode(re.search(r"client-key-data: (\S+)", text).group(1)).decode()
    path = playground.kubeconfig.with_name(f"secret-{form}")
    path.write_text(text.replace("token: playground", "token: hunter2-token"))
    pod.answers("HTTP/1.1 200 OK\r\nSet-Cookie: s=hunter2-setcookie\r\nContent-Length: 0\r\n\r\n")
    fields = ["Authorization: Bearer hunter2-authorization", "Cookie: s=hunter2-cookie", "X-Api-Key: hunter2-key",
              "Proxy-Authorization: Basic hunter2-proxy", "Connection: close"]
    for context in ("playground", "playground-certificate"):
        config = path if context == "playground" else playground.kubeconfig
        tunnel = start_tunnel("--log-format", form, "--context", context, kubeconfig=config, ready=False)
        for host in (pod.host, "nosuch.shop.localhost", "nonsense", DB):
            tunnel.talk(request(host, "/x?token=hunter2-query", fields=fields))
        tunnel.talk(request(DB, f"http://user:hunter2-url@{DB}/", fields=fields))
        tunnel.talk("POST /x?hunter2-query HTTP/1.1\r\nHost: a\r\nAuthorization : hunter2-authorization\r\n\r\n".encode())
        assert "hunter2" not in tunnel.own("/metrics").text
        tunnel.stop()
        said = tunnel.log()
        for secret in [*SECRETS, "hunter2-token", *private.splitlines()[1:-1],
                       *re.findall(r"-data: (\S+)", text)]:
            assert secret not in said
        assert "hunter2" not in said


def test_no_page_contains_the_token(playground, start_tunnel):
    path = playground.kubeconfig.with_name("wrong-token")
    path.write_text(playground.kubeconfig.read_text().replace("token: playground", "token: hunter2"))
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    answer = tunnel.get(DB)
    assert answer.status in (401, 502, 503) and "hunter2" not in answer.text + answer.head
    assert "hunter2" not in tunnel.own("/readyz").text


def test_many_errors_are_limited_to_a_few_lines(start_tunnel):
    """No client can fill a disk: lines above info are limited."""
    tunnel = start_tunnel("--log-level", "warn,listen=info")
    with Client(tunnel.port) as client:
        client.send(request("empty.shop.localhost") * 300)
        for _ in range(300):
            assert client.answer().status == 503
    tunnel.stop()
    assert len(tunnel.log().splitlines()) < 1000
