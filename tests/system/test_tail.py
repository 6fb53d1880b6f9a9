"""Requests as they happen: the event stream, kube-tunnel tail, HTTP archives and replay.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import jsonschema
import pytest

import control_api
from conftest import SANITIZED
from http_client import Client, request
from tunnel_process import BINARY, clean_environment, curl, eventually, free_ports, receive

WEB, DB = "web.shop.localhost", "db.shop.localhost"
EVENT = {"$ref": "#/components/schemas/Event", "components": control_api.DOCUMENT["components"]}


class Tail:
    """kube-tunnel tail in the background, started when it is connected."""

    def __init__(self, tunnel, *arguments, **variables):
        readers = json.loads(tunnel.control("/v1/status").text)["recording"]["readers"]
        self.process = subprocess.Popen([BINARY, "tail", *map(str, arguments)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**tunnel.environment, **variables})
        eventually(lambda: self.process.poll() is not None or
                   json.loads(tunnel.control("/v1/status").text)["recording"]["readers"] > readers, pause=0.02)

    def line(self):
        return self.process.stdout.readline()

    def event(self):
        event = json.loads(self.line())
        jsonschema.validate(event, EVENT, cls=jsonschema.Draft202012Validator)
        return event

    def stop(self):
        """Interrupts it; the rest of its output, its errors and its status."""
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=10)
        return out, errors, self.process.returncode


@pytest.fixture
def start_tail():
    running = []

    def start(*arguments, **options):
        running.append(Tail(*arguments, **options))
        return running[-1]

    yield start
    for tail in running:
        tail.process.kill()
        tail.process.communicate()


def test_a_request_is_printed_with_its_pod_and_its_time(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel)
    tunnel.get(DB, "/slow?ms=300")
    line = tail.line()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  s\d+\.1 +200 +3\d\d ms  GET db\.shop\.localhost/slow\?ms=\(redacted\)  "
                        r"shop/db-\d  (\w[\w-]* \d+, )*pod 3\d\d(, \w+ \d+)*\n", line), line
    assert tail.stop()[1:] == ("", 0)


def test_phases_add_up_and_name_the_slow_part(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get(DB, "/slow?ms=200")
    ms = tail.event()["ms"]
    assert ms["pod"] >= 195 and ms.get("lookup", 0) < 100
    assert sum(v for k, v in ms.items() if k != "total") == ms["total"]


def test_waiting_for_a_pod_is_a_phase(start_both, start_tail):
    playground, tunnel = start_both()
    names = [e["object"].removeprefix("Pod ") for e in
             json.loads(tunnel.control("/v1/explain?name=web.shop").text)["steps"] if e["step"] == "endpoint"]
    playground.order(*[f"pod ready {name} false" for name in names])
    eventually(lambda: not json.loads(tunnel.control("/v1/explain?name=web.shop").text)["reachable"])
    tail = start_tail(tunnel, "-o", "json")
    slow = subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-H", f"Host: {WEB}", f"http://127.0.0.1:{tunnel.port}/"])
    time.sleep(0.5)
    playground.order(f"pod ready {names[0]} true")
    event = tail.event()
    slow.wait()
    assert event["status"] == 200 and event["ms"].get("wait", 0) >= 300, event


def test_pages_of_kube_tunnel_are_marked(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get("nope.shop.localhost")
    event = tail.event()
    assert (event["status"], event["own"], event["service"]) == (404, True, "nope")
    assert "pod" not in event


@pytest.mark.parametrize("arguments, hosts", [
    (["web"], {WEB}), (["web.shop"], {WEB}), (["db.other"], set()), ([DB], {DB}),
    (["--status", "404"], {"nope.shop.localhost"}), (["--status", "4xx"], {"nope.shop.localhost"}),
    (["--status", "200"], {WEB, DB}), (["--slow", "150ms"], {DB}), (["--slow", "5m"], set()),
])
def test_filters(start_tunnel, start_tail, arguments, hosts):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, *arguments, "-o", "json")
    tunnel.get(WEB)
    tunnel.get("nope.shop.localhost")
    tunnel.get(DB, "/slow?ms=200")
    time.sleep(0.2)
    out, errors, status = tail.stop()
    assert {json.loads(line)["host"] for line in out.splitlines()} == hosts
    assert (errors, status) == ("", 0)


@pytest.mark.parametrize("arguments, text", [
    (["--status", "abc"], "neither a status like 404 nor a class like 5xx"),
    (["--status", "9xx"], "neither"), (["--slow", "10"], "expected a time like 500ms"),
    (["-o", "yaml"], "expected json"), (["--har-limit", "x"], "expected a number of bytes"), (["a", "b"], "unexpected"),
])
def test_wrong_flags_are_refused(start_tunnel, arguments, text):
    done = start_tunnel().ask("tail", *arguments)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert text in done.stderr, done


SECRETS = {"Authorization": "Bearer SECRET", "Cookie": "a=SECRET", "X-Api-Key": "SECRET", "My-Token": "SECRET",
           "Proxy-Authorization": "Basic SECRET", "X-Amzn-Oidc-Data": "SECRET",
           "Sec-WebSocket-Protocol": "base64url.bearer.authorization.k8s.io.SECRET"}
URLS = {"X-Original-Uri": "/cb?code=SECRET", "X-Original-Url": "http://x/cb?code=SECRET", "X-Forwarded-Uri": "/cb?sig=SECRET",
        "X-Rewrite-Url": "/cb?a=1;token=SECRET", "X-Envoy-Original-Path": "/cb?passphrase=SECRET",
        "Destination": "https://user:SECRET@app/cb#access_token=SECRET&token_type=bearer",
        "Link": "<http://x/?page=2>; rel=next, <http://x/?token=SECRET>"}


def test_secrets_are_in_no_output(start_tunnel, start_tail, tmp_path):
    tunnel = start_tunnel()
    har = tmp_path / "a.har"
    headers = [a for name, value in {**SECRETS, **URLS}.items() for a in ("-H", f"{name}: {value}")]
    with_queries = start_tail(tunnel, "-o", "json", "--queries", "--har", har)
    without = start_tail(tunnel, "-o", "json", "--har", tmp_path / "b.har")
    tunnel.get(WEB, "/a?page=2&token=SECRET&password=SECRET", *headers)
    tunnel.get(WEB, "/a?page=SECRET", *headers, "-e", "http://x/?q=SECRET")
    out = with_queries.line() + with_queries.line()
    shown = without.line() + without.line() + (tmp_path / "b.har").read_text() + tunnel.log()
    assert "SECRET" not in shown
    first = har.read_text()
    archived = json.loads(first)["log"]["entries"][0]["request"]["headers"]
    for name in URLS:
        value, = [h["value"] for h in archived if h["name"] == name]
        assert "(redacted)" in value and "SECRET" not in value, (name, value)
    assert "page=2" in first and "token=(redacted)" in first
    for name in SECRETS:
        assert f'["{name}","(redacted)"]' in out, (name, out)


def test_bodies_are_recorded_only_on_request_which_is_logged_and_shown(start_tunnel, start_tail, tmp_path):
    tunnel = start_tunnel()
    plain = start_tail(tunnel, "-o", "json")
    tunnel.get(WEB, "/", "--data-binary", "hello")
    assert not {"requestBody", "responseBody"} & plain.event().keys()
    assert json.loads(tunnel.control("/v1/status").text)["recording"]["bodies"] is False
    full = start_tail(tunnel, "-o", "json", "--bodies", "--har", tmp_path / "a.har")
    tunnel.wait_for_log("WARN +control bodies of requests are recorded")
    assert "bodies are recorded" in tunnel.ask("status").stdout
    tunnel.get(WEB, "/", "--data-binary", "hello")
    event = full.event()
    assert event["requestBody"] == {"text": "hello"} and event["responseBody"]["text"].startswith("pod web-")
    assert not {"requestBody", "responseBody"} & plain.event().keys()
    full.stop()
    tunnel.wait_for_log("bodies of requests are no longer recorded")
    entry, = json.loads((tmp_path / "a.har").read_text())["log"]["entries"]
    assert entry["request"]["postData"]["text"] == "hello"
    assert entry["response"]["content"]["text"].startswith("pod web-")


def test_bodies_that_are_chunked_binary_or_large(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json", "--bodies")
    with Client(tunnel.port) as client:
        client.ask(request(WEB, "/", "POST", fields=["Transfer-Encoding: chunked"], body="5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"))
    assert tail.event()["requestBody"] == {"text": "hello world"}
    tunnel.get(WEB, "/", "--data-binary", "@-", stdin=b"\xff\x00\xfe")
    assert tail.event()["requestBody"] == {"base64": "/wD+"}
    tunnel.get(WEB, "/", "--data-binary", "@-", stdin=b"x" * 200000)
    body = tail.event()["requestBody"]
    assert len(body["text"]) == 65536 and body["cut"] is True


def test_requests_of_http2_are_events_too(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get(WEB, "/", "--http2-prior-knowledge")
    event = tail.event()
    assert event["protocol"] == "HTTP/2" and event["status"] == 200


# HTTP archives


def test_an_archive_is_for_its_user_and_valid_at_any_time(start_tunnel, start_tail, tmp_path):
    tunnel = start_tunnel()
    path = tmp_path / "a.har"
    path.touch(mode=0o644)
    tail = start_tail(tunnel, "--har", path)
    assert json.loads(path.read_text())["log"]["entries"] == []
    for n in (1, 2, 3):
        tunnel.get(DB, f"/slow?ms={n}")
        tail.line()
        entries = eventually(lambda: [*json.loads(path.read_text())["log"]["entries"]][n - 1:] and
                             json.loads(path.read_text())["log"]["entries"])
        assert len(entries) == n
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entry = entries[-1]
    assert entry["request"]["url"] == f"http://{DB}/slow?ms=(redacted)" and entry["response"]["status"] == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["startedDateTime"])
    assert sum(entry["timings"].values()) == entry["time"]
    assert {"name": "X-Proto", "value": "HTTP/1.1"} in entry["response"]["headers"]
    required = {"startedDateTime", "time", "request", "response", "cache", "timings"}
    assert required <= entry.keys()


def test_an_archive_stays_as_it_is_where_no_kube_tunnel_runs(tmp_path):
    path = tmp_path / "a.har"
    path.write_text("the last recording")
    path.chmod(0o644)
    done = subprocess.run([BINARY, "tail", "--har", path], capture_output=True, text=True, timeout=20, check=False,
                          env=clean_environment(HOME=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path)))
    assert done.returncode != 0 and done.stderr
    assert path.read_text() == "the last recording" and stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_symbolic_link_is_not_written_through(start_tunnel, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    done = start_tunnel().ask("tail", "--har", tmp_path / "link")
    assert done.returncode == 1 and "link" in done.stderr
    assert not (tmp_path / "target").exists()


def a_pipe(path):
    os.mkfifo(path)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def a_file_of_another_user(path):
    path.write_text("theirs")
    path.chmod(0o666)
    os.chown(path, 65534, 65534)


def a_file_with_two_names(path):
    path.write_text("theirs")
    os.link(path, path.with_name("other"))


@pytest.mark.parametrize("make", [a_pipe, a_file_of_another_user, a_file_with_two_names])
def test_what_is_no_file_of_the_user_alone_gets_no_requests(start_tunnel, tmp_path, make):
    if make is a_file_of_another_user and os.geteuid() != 0:
        pytest.skip("needs root, to give a file away")
    path = tmp_path / "a.har"
    reader = make(path)
    before = path.stat()
    done = start_tunnel().ask("tail", "--har", path)
    assert done.returncode == 1 and f"{path}: not a regular file that you own" in done.stderr, done
    after = path.stat()
    assert (after.st_mode, after.st_size, after.st_mtime_ns) == (before.st_mode, before.st_size, before.st_mtime_ns)
    if reader:
        assert os.read(reader, 1) == b"", "nothing was written"
        os.close(reader)


def test_a_pipe_without_a_reader_is_not_waited_for(start_tunnel, tmp_path):
    os.mkfifo(tmp_path / "a.har")
    done = start_tunnel().ask("tail", "--har", tmp_path / "a.har")
    assert done.returncode == 1 and "a.har: " in done.stderr, done


def test_an_archive_stops_at_its_limit_and_tail_goes_on(start_tunnel, start_tail, tmp_path):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "--har", tmp_path / "a.har", "--har-limit", 3000)
    for _ in range(10):
        tunnel.get(WEB)
        assert "web.shop.localhost" in tail.line()
    _, errors, status = tail.stop()
    assert status == 1 and errors.count("has reached its limit (--har-limit)") == 1
    entries = json.loads((tmp_path / "a.har").read_text())["log"]["entries"]
    assert 1 <= len(entries) < 10 and (tmp_path / "a.har").stat().st_size <= 3000


def fill_archive(tunnel, tail, path, limit):
    """Requests with bodies that are six times as long in JSON, until the archive is full: tail's largest memory in KB when
    the archive had 5 MB, and at the end."""
    upload = request(WEB, "/upload", "POST", fields=["Content-Length: 65536"]) + 65536 * b"\x01"
    small, more = None, 2
    with Client(tunnel.port) as client:
        while more:
            assert client.ask(upload).status == 200
            assert "POST" in tail.line()
            size = path.stat().st_size
            small = small or (size > 5e6 and peak_memory(tail.process.pid))
            more -= size > limit - 400_000
    return small, peak_memory(tail.process.pid)


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def test_a_large_archive_is_written_in_constant_memory(start_tunnel, start_tail, tmp_path):
    limit = 20_000_000
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "--bodies", "--har", tmp_path / "a.har", "--har-limit", limit)
    small, peak = fill_archive(tunnel, tail, tmp_path / "a.har", limit)
    assert tail.stop()[2] == 1 and limit - 400_000 < (tmp_path / "a.har").stat().st_size <= limit
    entries = json.loads((tmp_path / "a.har").read_text())["log"]["entries"]
    assert len(entries) == 50 and all(e["request"]["postData"]["text"] == 65536 * "\x01" for e in entries)
    assert SANITIZED or peak < small + 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_an_archive_on_a_full_disk_stays_valid(start_tunnel, tmp_path):
    tunnel = start_tunnel()
    small = tmp_path / "small"
    small.mkdir()
    script = (f"mount -t tmpfs -o size=16k none {small}; {BINARY} tail --har {small}/a.har >/dev/null & "
              "sleep 1; for i in $(seq 60); do curl -s -o /dev/null -H 'Host: web.shop.localhost' "
              f"http://127.0.0.1:{tunnel.port}/; done; sleep 0.5; kill -INT $!; wait $!; echo status $?; cat {small}/a.har")
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], env=tunnel.environment, capture_output=True,
                          text=True, timeout=30, check=False)
    first, _, archive = done.stdout.partition("\n")
    assert first == "status 1", done
    assert "No space left on device; requests are no longer written there" in done.stderr
    assert 5 < len(json.loads(archive)["log"]["entries"]) < 60


# readers


def test_a_reader_that_sleeps_loses_events_and_slows_no_request(start_tunnel):
    """Its queue and its socket's hold less than a few thousand large events."""
    tunnel = start_tunnel()
    with socket.socket(socket.AF_UNIX) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(str(tunnel.control_socket))
        reader.sendall(b"GET /v1/events?heads=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        filler = "X-Filler: " + "a" * 7000
        with Client(tunnel.port) as client:
            worst = 0
            for _ in range(400):
                begun = time.monotonic()
                assert client.ask(request(WEB, fields=[filler])).status == 200
                worst = max(worst, time.monotonic() - begun)
        assert worst < 2
        received = b""
        reader.settimeout(2)
        end = time.monotonic() + 15
        while b'"type":"lost"' not in received and time.monotonic() < end:
            received += reader.recv(1 << 20)
            if len(received) > 1 << 20:
                tunnel.get(WEB)  # the next event has the number
        lost = int(re.search(rb'"type":"lost","events":(\d+)', received).group(1))
    assert lost > 50 and 380 <= received.count(b'"type":"request"') + lost <= 500, lost


def test_at_most_eight_readers(start_tunnel, start_tail):
    tunnel = start_tunnel()
    for _ in range(8):
        start_tail(tunnel)
    answer = tunnel.control("/v1/events")
    assert answer.status == 503
    control_api.check("GET", "/v1/events", answer)


def test_without_a_reader_nothing_is_kept(start_tunnel):
    tunnel = start_tunnel()
    tunnel.get(WEB)
    assert json.loads(tunnel.control("/v1/status").text)["recording"] == {"readers": 0, "bodies": False, "kept": 0}


def test_tail_ends_when_kube_tunnel_does(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel)
    tunnel.stop()
    _, errors = tail.process.communicate(timeout=10)
    assert errors == "kube-tunnel: kube-tunnel has ended\n" and tail.process.returncode == 0


@pytest.mark.parametrize("name", ["\x1b[31mred", "we\u202eb", "a\x07b"])
def test_hostile_texts_are_printed_harmless(start_tunnel, start_tail, name):
    tunnel = start_tunnel()
    for output in ([], ["-o", "json"]):
        tail = start_tail(tunnel, *output)
        with Client(tunnel.port) as client:
            client.send(f"GET /{name} HTTP/1.1\r\nHost: {WEB}\r\nX-Name: {name}\r\n\r\n".encode())
            client.answer()
            tunnel.get(WEB)
        shown = tail.line()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown), shown
        tail.stop()


# replay


def test_a_request_is_sent_again_with_its_credentials(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json", "--bodies")
    tunnel.get(WEB, "/headers?a=1", "-H", "Authorization: Bearer SECRET")
    first = tail.event()
    done = tunnel.ask("replay", first["id"])
    assert done.returncode == 0, done
    assert re.match(r"status 200, \d+ bytes, \d+ ms\n", done.stdout) and "X-Pod: web-" in done.stdout
    assert "SECRET" not in done.stdout
    second = tail.event()
    assert second["client"] == "control" and second["path"] == first["path"]
    assert second["requestHeaders"] and ["Authorization", "(redacted)"] in second["requestHeaders"]


def test_an_unsafe_request_needs_the_flag_and_its_body(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get(WEB, "/", "--data-binary", "hello")
    lost = tail.event()["id"]
    refused = tunnel.ask("replay", lost, "--unsafe")
    assert refused.returncode == 1 and "tail --bodies" in refused.stderr
    bodies = start_tail(tunnel, "-o", "json", "--bodies")
    tunnel.get(WEB, "/", "--data-binary", "hello")
    kept = bodies.event()["id"]
    refused = tunnel.ask("replay", kept)
    assert refused.returncode == 1 and refused.stderr.endswith("type: kube-tunnel replay ID --unsafe\n")
    assert tunnel.ask("replay", kept, "--unsafe").returncode == 0
    again = bodies.event()
    assert again["requestBody"] == {"text": "hello"} and again["method"] == "POST" and again["client"] == "control"


@pytest.mark.parametrize("field, body", [("Content-Length: 1000", "hello, world!"),
                                         ("Transfer-Encoding: chunked", "5\r\nhello\r\n")])
def test_an_upload_that_ended_early_is_not_sent_again(start_tunnel, start_tail, field, body):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json", "--bodies")
    with Client(tunnel.port) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: {WEB}\r\n{field}\r\n\r\n{body}")
        time.sleep(0.3)
    refused = tunnel.ask("replay", tail.event()["id"], "--unsafe")
    assert refused.returncode == 1 and "not all of its body was received" in refused.stderr, refused
    with Client(tunnel.port) as client:
        client.ask(request(WEB, "/", "POST", fields=["Transfer-Encoding: chunked"], body="5\r\nhello\r\n0\r\n\r\n"))
    assert tunnel.ask("replay", tail.event()["id"], "--unsafe").returncode == 0
    assert tail.event()["requestBody"] == {"text": "hello"}
    tunnel.get(WEB, "/", "--http2-prior-knowledge", "--data-binary", "hello")
    assert tunnel.ask("replay", tail.event()["id"], "--unsafe").returncode == 0
    assert tail.event()["requestBody"] == {"text": "hello"}


def test_a_request_that_nothing_read_cannot_be_replayed(start_tunnel):
    tunnel = start_tunnel()
    tunnel.get(WEB)
    path = "/v1/requests/s1.1/replay"
    answer = tunnel.control(path, "-X", "POST")
    assert answer.status == 404
    control_api.check("POST", path, answer)
    done = tunnel.ask("replay", "s1.1")
    assert done.returncode == 1 and done.stderr.endswith("type: kube-tunnel tail\n")
    assert tunnel.ask("replay").returncode == 2


def test_a_replayed_answer_is_as_documented(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get(WEB, "/", "-I")
    path = f"/v1/requests/{tail.event()['id']}/replay"
    answer = control_api.check("POST", path, tunnel.control(path, "-X", "POST"))
    assert answer["status"] == 200 and answer["bodyBytes"] == 0


def test_a_request_through_an_exposed_port_is_sent_to_the_service(start_tunnel, start_tail):
    tunnel = start_tunnel("--expose", "web.shop:80=127.0.0.1:0")
    port = int(tunnel.wait_for_log(r"listening address=127.0.0.1:(\d+) exposes=web.shop").group(1))
    tail = start_tail(tunnel, "-o", "json")
    assert curl(f"http://127.0.0.1:{port}/").status == 200
    assert tunnel.ask("replay", tail.event()["id"]).returncode == 0
    assert tail.event()["host"] == "web.shop:80"


def test_a_replay_of_a_slow_request_is_waited_for(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    tunnel.get(DB, "/slow?ms=800")
    begun = time.monotonic()
    assert tunnel.ask("replay", tail.event()["id"]).returncode == 0
    assert time.monotonic() - begun > 0.75


# Raw connections

ECHO = "web.shop.svc.cluster.local:9000"


@pytest.fixture
def exposed(start_tunnel):
    """A kube-tunnel and the ports that it exposes: of a server that echoes, and of nothing."""
    echo, nothing = free_ports(2)
    tunnel = start_tunnel("--expose", f"web.shop:9000={echo}", "--expose", f"nothing.shop:1={nothing}", "--wait", "0",
                          "--half-close")
    return tunnel, echo, nothing


def talk(port, words, reset=False):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(words)
        assert receive(s, len(words)) == words
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""


def test_a_raw_connection_is_an_event_with_its_bytes_and_its_pod(exposed, start_tail):
    tunnel, echo, _ = exposed
    lines, events = start_tail(tunnel), start_tail(tunnel, "web.shop", "-o", "json")
    talk(echo, b"\0hello")
    event = events.event()
    assert event["type"] == "connection" and event["end"] == "closed" and "reason" not in event
    assert (event["bytesIn"], event["bytesOut"]) == (6, 6)
    assert event["service"] == "web" and event["namespace"] == "shop" and event["pod"].startswith("web-")
    assert event["podPort"] and event["via"] and event["client"] == "127.0.0.1"
    assert sum(v for k, v in event["ms"].items() if k != "total") == event["ms"]["total"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d  s\d+ +closed +\d+ ms  TCP web\.shop\S*  shop/web-[\w-]+  in 6, out 6 bytes"
                        r"(, |  )?(\w[\w-]* \d+(, )?)*\n", lines.line())


def test_ends_of_raw_connections_are_told_apart(exposed, start_tail):
    tunnel, echo, nothing = exposed
    tail = start_tail(tunnel, "-o", "json")
    talk(echo, b"\0bye", reset=True)
    assert tail.event()["end"] == "left"
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", nothing), 10) as s:
        s.sendall(b"\0")
        assert s.recv(1) == b""
    failed = tail.event()
    assert failed["end"] == "failed" and "nothing" in failed["reason"] and "pod" not in failed, failed


def test_a_pod_that_cuts_a_raw_connection_is_named(start_tunnel, start_tail, pod):
    port, = free_ports(1)
    pod.plays(lambda connection: (connection.send(b"\0"), connection.take_until(b"cut"), connection.reset()))
    tunnel = start_tunnel("--expose", f"{pod.name}.many.pod:8080={port}")
    tail = start_tail(tunnel, "-o", "json")
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(b"\0" + f"\r\nHost: {pod.host}\r\n\r\n".encode())
        assert s.recv(1) == b"\0"
        s.sendall(b"cut")
        with pytest.raises(ConnectionResetError):
            s.recv(1)
    event = tail.event()
    assert event["end"] == "reset" and event["pod"] == pod.name and event["reason"], event


def test_connections_through_connect_and_socks_are_events(start_tunnel, start_tail):
    tunnel = start_tunnel()
    tail = start_tail(tunnel, "-o", "json")
    for flag in ("--proxy", "--socks5-hostname"):
        arguments = ("-p",) if flag == "--proxy" else ()
        curl(*arguments, flag, f"127.0.0.1:{tunnel.port}", "--max-time", "3", f"telnet://{ECHO}", stdin=b"\0x\n")
    found = [tail.event() for _ in range(3)]
    ends = [e for e in found if e["type"] == "connection"]
    assert len(ends) == 2 and all(e["host"].startswith("web.shop") and e["pod"] for e in ends), found


def test_an_archive_and_a_filter_by_status_have_no_raw_connections(exposed, start_tail, tmp_path):
    tunnel, echo, _ = exposed
    tail = start_tail(tunnel, "--har", tmp_path / "har")
    by_status = start_tail(tunnel, "--status", "200")
    talk(echo, b"\0hello")
    tunnel.get(WEB)
    assert "TCP" in tail.line() and "GET" in tail.line()
    assert "GET" in by_status.line()
    tail.stop()
    assert len(json.loads((tmp_path / "har").read_text())["log"]["entries"]) == 1


def test_recorded_bodies_are_within_the_memory_for_buffers(start_tunnel, start_tail):
    tunnel = start_tunnel("--buffer-memory", "1MiB")
    tail = start_tail(tunnel, "-o", "json", "--bodies")
    clients = [Client(tunnel.port) for _ in range(30)]
    for client in clients:  # 30 times 64 KiB would be nearly 2 MiB
        client.send(request(WEB, "/upload", "POST", fields=["Content-Length: 2000"]) + 1000 * b"x")

    def all_have_a_pod():
        found = json.loads(tunnel.control("/v1/status").text)["clients"]
        return sum(c["running"] == 1 and "pod" in c for c in found) == 30
    eventually(all_have_a_pod)
    for client in clients:
        client.send(1000 * b"x")
        assert client.answer("POST").status == 200
        client.close()
    events = [tail.event() for _ in range(30)]
    kept = [e for e in events if "requestBody" in e]
    assert 1 <= len(kept) < 30 and all(len(e["requestBody"]["text"]) == 2000 for e in kept), len(kept)
