"""--access-log: the formats, hostile bytes, rotation, and a disk that is full.

SPDX-License-Identifier: MIT
"""
import json
import contextlib
import os
import re
import signal
import subprocess

import pytest

from http_client import Client, request
from tunnel_process import BINARY, clean_environment, eventually

WEB = "web.shop.svc.cluster.local"
HOSTILE = 'x"y\\z\x01\xe2\x80\xaetxt'.encode("latin-1")


def lines(path):
    return path.read_bytes().split(b"\n")[:-1]


def logged(path, count):
    """So many lines, but those of the test's own pages."""
    def look():
        found = [line for line in lines(path) if b"/readyz" not in line and b"/metrics" not in line]
        return len(found) >= count and found
    return eventually(look, pause=0.02)


@pytest.fixture
def start(start_tunnel, tmp_path):
    def run(*flags, path=tmp_path / "access"):
        return start_tunnel("--access-log", path, *flags), path
    return run


def test_combined_is_the_default_and_has_no_queries(start):
    tunnel, path = start()
    tunnel.get(WEB, "/x?token=hunter2", "-H", "Referer: http://a.example/?secret=1", "-A", "agent 1")
    line, = logged(path, 1)
    assert re.fullmatch(rb'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                        rb'"GET /x HTTP/1\.1" 200 \d+ "http://a\.example/" "agent 1"', line), line
    assert path.stat().st_mode & 0o777 == 0o600


def test_common_ends_with_the_size(start):
    tunnel, path = start("--access-log-format", "common")
    tunnel.get("no-such.shop.svc")
    line, = logged(path, 1)
    assert re.fullmatch(rb'127\.0\.0\.1 - - \[[^]]+\] "GET / HTTP/1\.1" 404 \d+', line), line


@pytest.mark.parametrize("flag, protocol", [("--http1.0", b"HTTP/1.0"), ("--http1.1", b"HTTP/1.1"),
                                            ("--http2-prior-knowledge", b"HTTP/2.0")])
@pytest.mark.parametrize("format", ["common", "json"])
def test_the_protocol_is_the_clients(start, flag, protocol, format):
    tunnel, path = start("--access-log-format", format)
    tunnel.get(WEB, "/", flag)
    line, = logged(path, 1)
    assert (b' / ' if format == "common" else b'"protocol":"') + protocol + b'"' in line.replace(b"GET /", b" /"), line


def test_json_has_the_pod_and_the_time(start):
    tunnel, path = start("--access-log-format", "json")
    pod = tunnel.get(WEB, "/y", "--data", "abc").pod
    entry = json.loads(logged(path, 1)[0])
    assert entry["pod"] == pod and entry["namespace"] == "shop" and entry["path"] == "/y" and entry["in"] == 3
    assert entry["method"] == "POST" and entry["status"] == 200 and entry["client"] == "127.0.0.1"


@pytest.mark.parametrize("format", ["common", "combined", "json"])
def test_hostile_bytes_forge_no_line(start, format):
    tunnel, path = start("--access-log-format", format)
    with Client(tunnel.port) as client:
        client.send(b"GET /\xe2\x80\xae\"'\\\xff HTTP/1.1\r\nHost: " + WEB.encode() + b"\r\nUser-Agent: a\"b\\c\xe2\x80\xae\xff" +
                    b"\r\nReferer: " + 3000 * b"\"" + b"\r\n\r\n")
        client.answer()
        assert client.ask(request(WEB)).status == 200
    found = logged(path, 2)
    assert len(found) == 2 and all(len(line) < 8192 for line in found)
    for line in found:
        assert all(0x20 <= c < 0x7f for c in line) or format == "json"
        assert "\u202e" not in line.decode()
        if format == "json":
            json.loads(line)


def test_a_moved_file_is_opened_again_at_sigusr1_and_at_a_reload(start, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("wait: 5s\n")
    tunnel, path = start("--config", config)
    tunnel.get(WEB, "/one")
    logged(path, 1)
    os.rename(path, tmp_path / "access.1")
    tunnel.process.send_signal(signal.SIGUSR1)
    eventually(path.exists)
    tunnel.get(WEB, "/two")
    assert b"/two" in logged(path, 1)[0]
    os.rename(path, tmp_path / "access.2")
    config.write_text("wait: 6s\n")
    eventually(path.exists)
    assert b"/two" in (tmp_path / "access.2").read_bytes() and tunnel.get(WEB).status == 200


def test_a_file_that_cannot_be_opened_is_named_at_the_start(playground, tmp_path):
    path = tmp_path / "nowhere" / "access"
    done = subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", playground.kubeconfig,
                           "--access-log", path], capture_output=True, text=True, env=clean_environment(), timeout=20)
    assert done.returncode == 1 and f"access-log {path}: No such file" in done.stderr


def test_a_full_disk_stops_no_request_and_is_logged_once(start_tunnel):
    tunnel = start_tunnel("--access-log", "/dev/full")
    with Client(tunnel.port) as client:
        for _ in range(2000):
            assert client.ask(request(WEB)).status == 200
    log = tunnel.wait_for_log(r"lines of the access log are lost file=/dev/full lines=\d+ reason=\"No space left on device\"")
    assert log and tunnel.log().count("lines of the access log are lost") == 1


def test_a_reader_that_sleeps_loses_lines_and_slows_nothing(start_tunnel, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    tunnel = start_tunnel("--access-log", fifo)
    with Client(tunnel.port) as client:
        for _ in range(2000):
            assert client.ask(request(WEB)).status == 200
    tunnel.wait_for_log("lines of the access log are lost")
    text = b""

    def look():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(reader, 1 << 20)
        tunnel.get(WEB, "/last")
        return b"/last" in text
    eventually(look, pause=0.02)
    os.close(reader)
    cut = [line for line in text.split(b"\n")[:-1] if not re.fullmatch(rb'127\.0\.0\.1 - - \[[^]]+\] "[^"]*" 200 \d+ "[^"]*" "[^"]*"', line)]
    assert len(cut) <= 1 and all(line.count(b"127.0.0.1 - -") <= 1 for line in cut), cut


def test_the_last_lines_are_written_at_the_end(start):
    tunnel, path = start()
    tunnel.get(WEB, "/last")
    tunnel.stop()
    assert b"/last" in lines(path)[-1]


def test_stderr_has_the_lines_between_those_of_the_log(start):
    tunnel, _ = start(path="stderr")
    tunnel.get(WEB, "/here")
    tunnel.wait_for_log(r'(?m)^127\.0\.0\.1 - - .*"GET /here')
