"""What many clients may take: descriptors, memory and time. SPDX-License-Identifier: MIT"""
import contextlib
import os
import re
import resource
import socket
import time

import pytest

from http_client import Client, counting, request
from tunnel_process import BINARY, eventually, free_ports

WEB = "web.shop.svc"
HEALTHZ = request("localhost", "/healthz")


@pytest.fixture
def few_files(tmp_path):
    """few_files(n): a kube-tunnel that may open n files."""
    def wrap(files):
        script = tmp_path / f"few-files-{files}"
        script.write_text(f'#!/bin/sh\nulimit -n {files}\nexec "{BINARY}" "$@"\n')
        script.chmod(0o755)
        return script
    return wrap


def connect(port, n):
    """n connections, as far as they are accepted; all of them are silent."""
    return [socket.create_connection(("127.0.0.1", port), 10) for _ in range(n)]


def wait_until_free(tunnel):
    """Until no client is connected: kube-tunnel has noticed the end of each request for a page."""
    def is_free():
        log = tunnel.log()
        connected = log.count(" connected client=")
        return connected and connected == len(re.findall(r" session from=\S+ to=closed", log))
    eventually(is_free, pause=0.02)


def closing(sockets):
    stack = contextlib.ExitStack()
    for s in sockets:
        stack.callback(s.close)
    return stack


def answer_of(port, raw=HEALTHZ):
    with Client(port, 5) as client:
        return client.ask(raw)


# descriptors


def test_idle_clients_are_closed_when_descriptors_run_out(start_tunnel, few_files):
    """400 silent connections, where 300 files may be open."""
    tunnel = start_tunnel(binary=few_files(300))
    tunnel.wait_for_log(r"open files.*clients=168")
    with closing(connect(tunnel.port, 400)):
        time.sleep(0.6)  # until then they are not idle but slow
        for _ in range(20):
            assert answer_of(tunnel.port).status == 200
            assert answer_of(tunnel.port, request(WEB)).status == 200
    assert tunnel.log().count("idle connections are closed") == 1
    assert tunnel.total("kube_tunnel_shed_total") > 0


def test_least_recently_used_connection_is_closed_first(start_tunnel):
    tunnel = start_tunnel("--max-connections", "3")
    with Client(tunnel.port) as first, Client(tunnel.port) as second, Client(tunnel.port) as third:
        for client in first, second, third, first, third:
            assert client.ask(request(WEB)).status == 200
        time.sleep(0.6)
        assert answer_of(tunnel.port, request(WEB)).status == 200
        assert second.is_closed()
        assert first.ask(request(WEB)).status == third.ask(request(WEB)).status == 200


def test_clients_are_refused_with_503_where_all_are_busy(start_tunnel, few_files):
    """Own pages are still answered: probes request them."""
    tunnel = start_tunnel(binary=few_files(64))
    half = b"GET / HTTP/1.1\r\nHost: web.shop.svc\r\n"
    wait_until_free(tunnel)
    clients = connect(tunnel.port, 36)
    with closing(clients):
        for s in clients:
            s.sendall(half)
        time.sleep(0.6)
        refused = answer_of(tunnel.port, request(WEB))
        assert refused.status == 503 and "too many clients" in refused.text, refused
        assert refused.header("Retry-After") == "1"
        assert answer_of(tunnel.port).status == 200
        for s in clients:
            s.sendall(b"\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_client_beyond_every_limit_reads_503(start_tunnel, few_files):
    """Also when the kernel gives no descriptor any more: the reserve accepts and refuses."""
    tunnel = start_tunnel(binary=few_files(64))
    half = b"GET / HTTP/1.1\r\nHost: web.shop.svc\r\n"
    clients = connect(tunnel.port, 120)
    with closing(clients):
        said = []
        for s in clients:
            with contextlib.suppress(OSError):
                s.sendall(half)
        for s in clients[80:]:
            with contextlib.suppress(OSError):
                said.append(s.recv(1000))
        assert sum(b" 503 " in answer for answer in said) >= 39, said
    eventually(lambda: answer_of(tunnel.port, request(WEB)).status == 200)


def test_raw_listener_takes_the_place_of_idle_connections(start_tunnel, few_files):
    port, = free_ports(1)
    tunnel = start_tunnel("--expose", f"web.shop:80={port}", binary=few_files(100))
    with closing(connect(tunnel.port, 150)):
        time.sleep(0.6)
        answer = answer_of(port, request("x", fields=["Connection: close"]))
        assert answer.status == 200, answer


def allow_no_more_files(pid):
    """Unless a number below the highest that is open was given back."""
    highest = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, highest + 1))


def test_dial_without_descriptor_takes_that_of_an_idle_connection(start_tunnel):
    tunnel = start_tunnel("--prewarmed-tunnels", "0")
    with Client(tunnel.port) as client, closing(connect(tunnel.port, 10)):
        assert client.ask(request(WEB)).status == 200  # on the idle connection
        time.sleep(0.6)
        allow_no_more_files(tunnel.process.pid)
        assert client.ask(request("db-0.db.shop.svc")).status == 200
    assert "out of file descriptors" in tunnel.log()
    assert tunnel.log().count("idle connections are closed") == 1


# time


def leave_unread(port, n=20_000_000):
    """A client of a large answer that reads its head only."""
    client = Client(port, receive_buffer=4096)
    client.send(request(WEB, f"/bytes?n={n}"))
    assert b" 200 " in client.head()
    return client


def test_unread_answer_is_kept_by_default(start_tunnel):
    tunnel = start_tunnel("--client-idle-timeout", "300ms", "--head-timeout", "300ms")
    with leave_unread(tunnel.port) as client:
        time.sleep(1.5)  # a pager, which is read on later
        assert client.take(20_000_000) == counting(20_000_000)


def test_unread_answer_is_reset_after_send_timeout(start_tunnel):
    tunnel = start_tunnel("--send-timeout", "1s")
    with leave_unread(tunnel.port) as client:
        tunnel.wait_for_log("stalled.*does not read its response", 5)
        with pytest.raises((ConnectionResetError, EOFError)):
            client.take(20_000_000)


def test_slow_reader_that_makes_progress_is_not_reset(start_tunnel):
    """Its kernel takes a few KB a second: nothing else shows that it reads."""
    tunnel = start_tunnel("--send-timeout", "1s")
    with leave_unread(tunnel.port) as client:
        for _ in range(30):
            client.take(4096)
            time.sleep(0.1)
    assert "stalled" not in tunnel.log()


def test_half_sent_body_is_refused_after_body_timeout(start_tunnel):
    tunnel = start_tunnel("--body-timeout", "500ms")
    with Client(tunnel.port) as client:
        client.send(request(WEB, "/upload", "POST", fields=["Content-Length: 1000"], body="half"))
        answer = client.answer("POST")
        assert answer.status == 408 and "--body-timeout" in answer.text
