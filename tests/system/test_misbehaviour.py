"""A server that does each thing a server can do wrong, and what the clients see of it.

The playground misbehaves on command; that it does so as the real ones do is shown by bare
clients in test_playground.py. SPDX-License-Identifier: MIT
"""
import contextlib
import re
import socket
import threading
import time

import pytest

from http_client import counting
from tunnel_process import eventually, free_ports

DB = "db-0.db.shop.svc"
WEB = "web.shop.localhost"

runtimes = pytest.mark.parametrize("runtime", ["1.7", "2.1"])


class Echo:
    """A connection that sends a line every 10 ms, and reads it back."""

    def __init__(self, port):
        self.rounds, self.error, self.over = 0, None, threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.over.is_set():
                word = b"%d" % self.rounds
                self.socket.sendall(word)
                assert self.socket.recv(100) == word
                self.rounds += 1
                time.sleep(0.01)
        except (OSError, AssertionError) as error:
            self.error = error

    def stop(self):
        self.over.set()
        self.thread.join(10)
        self.socket.close()
        assert self.error is None and self.rounds > 10, (self.error, self.rounds)


# connections


@runtimes
@pytest.mark.parametrize("order", ["reset", "reset-silently"])
def test_a_reset_connection_is_reset_for_its_client(start_both, runtime, order):
    """The error names it, for a GET after its retries, and the port is used again."""
    playground, tunnel = start_both("--containerd", runtime)
    playground.order(f"{order} shop/db-0:8080")
    for body in (), ("-d", "x"):
        answer = tunnel.get(DB, "/upload", *body)
        assert answer.status == 502 and "reset" in answer.text, answer
    posted = re.findall(r"(s\d+\.1) request received method=POST", tunnel.log())
    assert posted and not re.search(rf"{posted[0]} retrying request", tunnel.log())
    playground.order("heal shop/db-0:8080")
    assert tunnel.get(DB).status == 200


@runtimes
@pytest.mark.parametrize("flags", [(), ("--tunnels-per-pod", "1", "--http-tunnels-per-pod", "1")], ids=["own", "shared"])
def test_refused_connections_do_not_end_long_streams(start_both, runtime, flags):
    """On containerd 1.x each of them, with data on its way, costs a worker of its tunnel."""
    echo_port, closed_port = free_ports(2)
    _, tunnel = start_both("--containerd", runtime, tunnel=[
        *flags, "--expose", f"web.shop:9000={echo_port}", "--expose", f"raw.shop:9999={closed_port}"])
    echoes = [Echo(echo_port) for _ in range(6)]
    for _ in range(15):
        with contextlib.suppress(ConnectionResetError), socket.create_connection(
                ("127.0.0.1", closed_port), 10) as refused:
            refused.sendall(b"is anybody there?")
            assert refused.recv(100) == b""
    assert tunnel.get("closed.shop.localhost").status == 502
    assert [tunnel.get(WEB).status for _ in range(10)] == [200] * 10
    for echo in echoes:
        echo.stop()


def test_bytes_after_the_end_of_the_pod_do_not_stop_the_tunnel(start_both):
    """The second frame after it stops a worker for good: it may cost a tunnel, and no other connection."""
    http_port, echo_port = free_ports(2)
    _, tunnel = start_both(tunnel=["--tunnels-per-pod", "1", "--http-tunnels-per-pod", "1",
                                   "--expose", f"web.shop:80={http_port},raw",
                                   "--expose", f"web.shop:9000={echo_port}"])
    echo = Echo(echo_port)
    with socket.create_connection(("127.0.0.1", http_port), 10) as talker:
        talker.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in talker.recv(1000)
        with contextlib.suppress(OSError):
            for _ in range(150):
                talker.sendall(b"and another thing")
                time.sleep(0.01)
    answers = [tunnel.get(WEB) for _ in range(20)]
    assert [a.status for a in answers] == [200] * 20 and max(a.seconds for a in answers) < 2
    echo.stop()


def test_the_end_of_a_clients_input_does_not_cut_its_answer(start_both):
    """Passed on at once it would: the runtime lets an answer go on for a second, or less."""
    port, = free_ports(1)
    playground, _ = start_both(tunnel=["--expose", f"web.shop:80={port}"])
    for ms in 1000, 0:
        playground.order(f"cut-after-fin {ms}")
        with socket.create_connection(("127.0.0.1", port), 10) as half:
            half.sendall(b"GET /slow?ms=1300 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            half.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: half.recv(1000), b""))
        assert answer.endswith(b"slept 1300\n")


def test_an_end_without_a_verdict_is_a_reset_after_two_seconds(start_both):
    """A data stream's end alone proves nothing: until the error stream speaks, or for 2 s."""
    port, = free_ports(1)
    playground, tunnel = start_both(tunnel=["--expose", f"web.shop:80={port},raw"])

    def end_of_a_connection():
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try:
                while s.recv(1000):
                    pass
                return "orderly"
            except ConnectionResetError:
                return "reset"

    playground.order("late-verdict 1000")
    assert end_of_a_connection() == "orderly"
    refused = tunnel.get("closed.shop.localhost", "/", "-d", "x")
    assert refused.status == 502 and "connection refused" in refused.text
    playground.order("late-verdict 4000")
    assert end_of_a_connection() == "reset"
    assert tunnel.get(DB).status == 200


# tunnels


def test_a_stuck_worker_delays_no_other_request(start_both):
    """Whichever worker and connection it is: the others go on, and new ones go elsewhere."""
    playground, tunnel = start_both()
    for worker in range(5):
        assert tunnel.get(DB, "/", "-H", "Connection: close").status == 200
        playground.order(f"stall-worker {worker}")
        with contextlib.suppress(OSError), tunnel.connect(1) as waits:  # it may be this one's
            waits.sendall(f"GET / HTTP/1.1\r\nHost: {DB}\r\nConnection: close\r\n\r\n".encode())
            waits.recv(1000)
        answers = [tunnel.get(DB, "/", "--max-time", "20") for _ in range(5)]
        assert sum(a.status == 200 for a in answers) >= 4, (worker, answers)
        playground.order("drop-tunnels")


def test_a_frozen_session_is_replaced(start_both):
    playground, tunnel = start_both(tunnel=["--ping-interval", "500ms", "--ping-timeout", "2s"])
    assert tunnel.get(DB).status == 200
    playground.order("freeze")
    answer = tunnel.get(DB)
    assert answer.status == 200 and answer.seconds < 5, answer
    tunnel.wait_for_log("tunnel closed .*nothing was received within ping-timeout")


def test_frames_that_come_byte_by_byte_are_read(start_both):
    playground, tunnel = start_both()
    playground.order("trickle on")
    assert tunnel.get(DB, "/bytes?n=5000").body == counting(5000)
    playground.order("no-spdy on", "drop-tunnels")
    assert tunnel.get(DB, "/bytes?n=5000").body == counting(5000)


# the API server


@pytest.mark.parametrize("order", ["throttle 2", "empty-500 3", "bare-404 3"])
def test_failing_dials_are_retried(start_both, order):
    """None of these is evidence about the pod."""
    playground, tunnel = start_both()
    playground.order(order)
    answer = tunnel.get(DB, "/upload", "-d", "x")
    assert answer.status == 200 and answer.seconds < 5, answer


@pytest.mark.parametrize("version, denied, transport", [
    ("1.34", "create", "websocket"), ("1.34", "get", "spdy"), ("1.35", "get", "spdy"), ("1.35", "create", None)])
def test_a_transport_without_the_right_is_replaced_by_the_other(start_both, version, denied,
                                                                transport):
    playground, tunnel = start_both("--kubernetes", version)
    playground.order(f"deny {denied} pods/portforward")
    answer = tunnel.get(DB)
    assert answer.status == (200 if transport else 502), answer
    if transport:
        tunnel.wait_for_log(f"tunnel opened .*transport={transport}")
    else:
        assert '"create" on "pods/portforward"' in answer.text


def test_an_unreachable_node_does_not_delay_other_pods(start_both):
    """Its tunnels end, and dials to it are answered 500."""
    playground, tunnel = start_both()
    assert tunnel.get(DB).status == 200
    playground.order("node off")
    back = threading.Timer(1, playground.order, ["node on"])
    back.start()
    answer = tunnel.get(DB)
    back.join()
    assert answer.status == 200 and 0.9 < answer.seconds < 3, answer


def lines_of(tunnel, level, text):
    return [line for line in tunnel.log().splitlines() if f" {level}" in line and text in line]


def test_a_row_of_equal_dial_failures_is_one_warning_and_a_summary(start_both):
    playground, tunnel = start_both(tunnel=["--wait", "3s"])
    playground.order("node off")
    assert tunnel.get(DB).status == 502
    failed = [line for line in tunnel.log().splitlines() if "port-forward failed again" in line]
    assert len(failed) >= 4, "too few dials to show anything"
    assert len(lines_of(tunnel, "WARN", "port-forward failed pod=shop/db-0")) == 1, tunnel.tail()
    playground.order("node on")
    eventually(lambda: tunnel.get(DB).status == 200)
    tunnel.wait_for_log(rf"INFO .*port-forward works again pod=shop/db-0 failed_dials={len(failed) + 1} seconds=\d+")


def test_dial_failures_end_with_a_summary_when_the_pod_is_given_up(start_both):
    playground, tunnel = start_both(tunnel=["--wait", "2s", "--idle-check", "500ms"])
    playground.order("node off")
    assert tunnel.get(DB).status == 502
    tunnel.wait_for_log(r"WARN .*port-forward failed, no further dials pod=shop/db-0 failed_dials=\d+")
    assert len(lines_of(tunnel, "WARN", "port-forward failed")) == 2, tunnel.tail()


@pytest.mark.parametrize("wait, status", [("20s", 200), ("1s", 504)])
def test_a_black_hole_is_waited_out_or_answered_in_time(start_both, wait, status):
    playground, tunnel = start_both(tunnel=[
        "--ping-interval", "500ms", "--ping-timeout", "2s", "--wait", wait, "--dial-timeout", "2s"])
    assert tunnel.get(DB).status == 200
    playground.order("blackhole on")
    mend = threading.Timer(8, playground.order, ["blackhole off"])
    mend.start()
    answer = tunnel.get(DB)
    assert answer.status == status, answer
    assert answer.seconds < (12 if status == 200 else 7)
    mend.join()
    eventually(lambda: tunnel.get(DB).status == 200)
