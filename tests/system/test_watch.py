"""kube-tunnel status --watch: on a terminal, with keys, and in a pipe.

SPDX-License-Identifier: MIT
"""
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest

from http_client import Client, request
from tunnel_process import BINARY, eventually


class Screen:
    """The command on a terminal of 24 lines; `seen` is all that it has written."""

    def __init__(self, tunnel):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BINARY, [str(BINARY), "status", "--watch"], {**tunnel.environment, "TERM": "xterm"})
        termios.tcsetwinsize(self.fd, (24, 80))
        self.before = termios.tcgetattr(self.fd)

    def read(self, seconds=0.2):
        while select.select([self.fd], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.fd, 65536)
            except OSError:
                return self.seen
        return self.seen

    def shown(self):
        """The lines of the last drawing."""
        text = self.read().decode().rpartition("\x1b[H")[2]
        return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r") for line in text.split("\n")]

    def press(self, keys):
        os.write(self.fd, keys)

    def wait_for(self, pattern):
        return eventually(lambda: re.search(pattern, "\n".join(self.shown())), pause=0.05)

    def end(self):
        """Its exit status, once all that it wrote is read."""
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end and (block := os.read(self.fd, 65536)):
                self.seen += block
        except OSError:
            pass  # the terminal has no process any more
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def screen(start_tunnel):
    tunnel = start_tunnel()
    tunnel.get("web.shop.localhost")
    screen = Screen(tunnel)
    screen.tunnel = tunnel
    screen.wait_for("POD +REQUESTS")
    yield screen
    os.close(screen.fd)


def test_it_draws_again_and_q_restores_the_terminal(screen):
    drawings = screen.read().count(b"\x1b[H")
    screen.tunnel.get("db.shop.localhost")
    screen.wait_for("shop/db-")
    assert screen.seen.count(b"\x1b[H") > drawings
    assert screen.seen.startswith(b"\x1b[?1049h\x1b[?25l")
    screen.press(b"q")
    assert screen.end() == 0
    assert screen.seen.rstrip().endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_signal_restores_the_terminal_too(screen):
    os.kill(screen.pid, signal.SIGTERM)
    assert screen.end() == 0
    assert screen.seen.rstrip().endswith(b"\x1b[?25h\x1b[?1049l")


def test_requests_per_second_of_each_pod_are_shown(screen):
    for _ in range(4):
        screen.tunnel.get("db-0.db.shop.svc")
    screen.wait_for(r"shop/db-0 +4 +[1-4] ")
    screen.wait_for(r"shop/db-0 +4 +0 ")
    screen.press(b"q")
    assert screen.end() == 0


def test_v_changes_the_view(screen):
    with Client(screen.tunnel.port) as client:
        client.ask(request("web.shop.localhost"))
        screen.press(b"v")
        screen.wait_for("CLIENT +FROM")
        screen.wait_for(r"s\d+ +127\.0\.0\.1 +http")
    screen.press(b"v")
    screen.wait_for("TUNNEL +POD")
    screen.press(b"v")
    screen.wait_for("POD +REQUESTS")
    screen.press(b"q")
    assert screen.end() == 0


def test_rows_are_sorted_by_numbers_and_reversed(screen):
    for _ in range(3):
        screen.tunnel.get("db.shop.localhost")
    screen.press(b"vv")
    screen.wait_for("TUNNEL +POD")

    def order():
        return [line.split()[0] for line in screen.shown() if re.match(r"t\d+ ", line)]

    eventually(lambda: len(order()) >= 3)
    assert order() == sorted(order())
    screen.press(b"r")
    eventually(lambda: order() == sorted(order(), reverse=True) and order()[0] != "t1")
    screen.press(b"q")
    assert screen.end() == 0


def test_a_filter_shows_only_its_rows(screen):
    screen.tunnel.get("db.shop.localhost")
    screen.wait_for("shop/db-")
    screen.press(b"/DBx\x7f-\r")
    screen.wait_for("filter: DB-\n")
    assert not re.search("shop/web-", "\n".join(screen.shown())) and re.search("shop/db-", "\n".join(screen.shown()))
    screen.press(b"/\x1b")
    screen.wait_for("shop/web-")
    screen.press(b"q")
    assert screen.end() == 0


def test_it_ends_with_the_reason_when_kube_tunnel_does(screen):
    screen.tunnel.stop()
    assert screen.end() == 1
    assert b"no kube-tunnel called" in screen.seen.rpartition(b"\x1b[?1049l")[2]


def test_in_a_pipe_it_prints_one_report_after_another_without_escapes(start_tunnel):
    tunnel = start_tunnel()
    watch = subprocess.Popen([BINARY, "status", "--watch"], stdout=subprocess.PIPE, text=True,
                             stdin=subprocess.DEVNULL, env=tunnel.environment)
    time.sleep(2.5)
    watch.send_signal(signal.SIGINT)
    out = watch.communicate(timeout=5)[0]
    assert watch.returncode == 0 and out.count("is running: pid") in (2, 3, 4) and "\x1b" not in out


def test_watch_shows_tables_only(start_tunnel):
    done = start_tunnel().ask("status", "--watch", "-o", "json")
    assert done.returncode == 2 and "tables only" in done.stderr
