"""Contexts with an exec plugin that prompts at the terminal: which requests start it.

SPDX-License-Identifier: MIT
"""
import os
import pty
import re
import select
import signal
import threading
import time

import pytest

from http_client import Client
from kubeconfigs import Kubeconfig
from plugins import Plugin
from test_exec_plugins import in_seconds
from test_contexts import Answer, Backend, said, start_cluster  # noqa: F401 (a fixture)
from tunnel_process import BINARY, clean_environment, curl, eventually

BROWSER = ["-A", "Mozilla/5.0 (X11; Linux x86_64)", "-H", "Accept: text/html"]


class OnTerminal:
    """kube-tunnel in the foreground of a terminal. `seen` is what it shows."""

    def __init__(self, *arguments):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BINARY, [str(BINARY), "run", "--listen", "127.0.0.1:0", *map(str, arguments)],
                      clean_environment())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = int(self.wait_for(rb"listening\S*\s.*address=127\.0\.0\.1:(\d+)").group(1))

    def _read(self):
        try:
            while True:
                if self.fd in select.select([self.fd], [], [], 0.1)[0]:
                    self.seen += os.read(self.fd, 4096)
        except OSError:
            pass

    def wait_for(self, pattern, seconds=10):
        try:
            return eventually(lambda: re.search(pattern, self.seen), seconds, pause=0.05)
        except AssertionError:
            raise AssertionError(self.seen.decode(errors="replace")) from None

    def type(self, text):
        os.write(self.fd, text)

    def get(self, host, path="/", *arguments, **options):
        return curl(f"http://127.0.0.1:{self.port}{path}", "-H", f"Host: {host}", *arguments, **options)

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        assert os.waitpid(self.pid, 0)[1] == 0, self.seen.decode(errors="replace")
        os.close(self.fd)


@pytest.fixture
def plugin(tmp_path):
    plugin = Plugin(tmp_path / "plugin")
    plugin.behave(f'printf "Password: " >&2; read -r word; cat "{plugin.folder}/$word"')
    (plugin.folder / "sesame").write_text(plugin.credential(token="playground"))
    return plugin


@pytest.fixture
def tunnel(start_cluster, plugin, tmp_path):  # noqa: F811
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("asks", start_cluster("asks"), **plugin.user(interactiveMode="IfAvailable")).write()
    tunnel = OnTerminal("--kubeconfig", config.path, "--context", "all", "--expose",
                        "web.shop.svc.asks.k8s:80=127.0.0.1:0,any-host")
    yield tunnel
    tunnel.stop()


def exposed_port(tunnel):
    return int(tunnel.wait_for(rb"address=127\.0\.0\.1:(\d+) exposes").group(1))


def test_no_request_of_a_browser_starts_the_plugin(tunnel, plugin):
    for arguments in (BROWSER, ["-H", "Origin: http://web.shop.asks.localhost"], ["-H", "Sec-Fetch-Site: none"],
                      [*BROWSER, "-X", "POST", "-d", "x"]):
        answer = tunnel.get("web.shop.asks.localhost", "/", *arguments)
        assert answer.status == 503 and "Login needed" in answer.text, arguments
    assert f'<a href="http://localhost:{tunnel.port}/login/asks">Log in</a>' in \
        tunnel.get("web.shop.asks.localhost", "/", *BROWSER).text
    port = exposed_port(tunnel)
    assert curl(f"http://127.0.0.1:{port}/", *BROWSER).status == 503
    for said_first in (b"", b"\x16\x03\x01", b"hello\n"):
        with Client(port) as raw:
            raw.socket.sendall(said_first)
            time.sleep(1.3)
    for page in ("/login/asks", "/", "/readyz"):  # looking is not pressing
        assert tunnel.get("localhost", page, *BROWSER).status == 200
    time.sleep(0.5)
    assert plugin.runs == 0
    assert said(tunnel.get("web.shop.localhost", "/", *BROWSER)) == "one"


def test_the_button_starts_the_plugin_and_the_page_is_served_then(tunnel, plugin):
    page = tunnel.get(f"localhost:{tunnel.port}", "/login/asks", *BROWSER)
    assert '<form method="post"><button>Log in</button></form>' in page.text
    assert page.header("Content-Security-Policy") == "frame-ancestors 'none'"
    pressed = tunnel.get(f"localhost:{tunnel.port}", "/login/asks", *BROWSER, "-X", "POST", "-H",
                         f"Origin: http://localhost:{tunnel.port}", "-H", "Sec-Fetch-Site: same-origin")
    assert pressed.status == 200, pressed
    tunnel.wait_for(rb"Password: ")
    tunnel.type(b"sesame\n")
    eventually(lambda: "You are logged in" in tunnel.get("localhost", "/login/asks", *BROWSER).text)
    assert said(tunnel.get("web.shop.asks.localhost", "/", *BROWSER)) == "asks"
    assert plugin.runs == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "http://web.shop.asks.localhost", "null",
                                    "http://web.shop.localhost"])
def test_another_origin_cannot_press_the_button(tunnel, plugin, origin):
    answer = tunnel.get(f"localhost:{tunnel.port}", "/login/asks", *BROWSER, "-X", "POST", "-H", f"Origin: {origin}")
    assert answer.status == 403, answer
    time.sleep(0.3)
    assert plugin.runs == 0


def test_a_request_of_a_program_starts_the_plugin(tunnel, plugin):
    answers = []
    asking = threading.Thread(target=lambda: answers.append(tunnel.get("web.shop.asks.localhost")))
    asking.start()
    tunnel.wait_for(rb"Password: ")
    tunnel.type(b"sesame\n")
    asking.join(20)
    assert said(answers[0]) == "asks"
    assert plugin.runs == 1


def test_a_cancelled_login_is_retried_after_a_pause(tunnel, plugin):
    plugin.fail("cancelled by the user")
    pressed = time.monotonic()
    press = [*BROWSER, "-X", "POST", "-H", f"Origin: http://localhost:{tunnel.port}"]
    tunnel.get(f"localhost:{tunnel.port}", "/login/asks", *press)
    eventually(lambda: plugin.runs == 1)
    eventually(lambda: "cancelled by the user" in tunnel.get("localhost", "/login/asks", *BROWSER).text)
    while time.monotonic() - pressed < 0.5:  # the pause is 1 s, and more after each failure
        for arguments in (press, BROWSER):
            page = tunnel.get(f"localhost:{tunnel.port}", "/login/asks", *arguments)
            assert "cancelled by the user" in page.text
        tunnel.get("web.shop.asks.localhost", "/", *BROWSER)
    assert plugin.runs <= 1 + (time.monotonic() - pressed) // 1


def test_a_plugin_that_has_not_prompted_needs_no_button(tunnel, plugin):
    """aws, gcloud and kubelogin get the terminal, and renew a token without a word."""
    plugin.token("playground", expirationTimestamp=in_seconds(3))
    assert said(tunnel.get("web.shop.asks.localhost")) == "asks"
    for again in range(2):
        time.sleep(3.2)
        runs = plugin.runs
        plugin.token("playground", expirationTimestamp=in_seconds(3))
        if again:   # a silent connection, too
            with Client(exposed_port(tunnel)) as raw:
                raw.socket.sendall(b"\x16\x03\x01")
                raw.socket.settimeout(1.5)
                with pytest.raises(TimeoutError):   # it is not closed
                    raw.socket.recv(1)
        else:
            assert said(tunnel.get("web.shop.asks.localhost", "/", *BROWSER)) == "asks"
            assert plugin.runs >= runs


def test_a_process_without_a_terminal_needs_no_button(start_cluster, start_tunnel, plugin,
                                                      tmp_path):  # noqa: F8):
    plugin.token("playground")
    config = Kubeconfig(tmp_path / "kubeconfig", current="one", one=start_cluster("one"))
    config.add("asks", start_cluster("asks"), **plugin.user(interactiveMode="IfAvailable")).write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    assert said(tunnel.get("web.shop.asks.localhost", "/", *BROWSER)) == "asks"
