"""Commands that take long say so on a terminal, and print nothing more in a pipe.

SPDX-License-Identifier: MIT
"""
import os
import pty
import socket
import subprocess

import pytest

from tunnel_process import BINARY, clean_environment

KUBECONFIG = """apiVersion: v1
kind: Config
current-context: silent
contexts: [{{name: silent, context: {{cluster: silent, user: me}}}}]
clusters: [{{name: silent, cluster: {{server: "https://127.0.0.1:{port}"}}}}]
users: [{{name: me, user: {{token: x}}}}]
"""


@pytest.fixture
def silent(tmp_path):
    """A kubeconfig whose API server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(port=server.getsockname()[1]))
        yield path


def errors_of(words, terminal, seen, seconds=30):
    """Standard error until `seen` is in it, or until the command has ended."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    child = subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=theirs, env=clean_environment(TERM="xterm"))
    os.close(theirs)
    text = b""
    try:
        while seen not in text:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
            if not chunk:
                break
            text += chunk
    finally:
        child.kill()
        child.wait(seconds)
        os.close(ours)
    return text


@pytest.mark.parametrize("words, line", [
    (["doctor"], b"kube-tunnel: checking; each check takes at most 15 s"),
    (["port-forward", "svc/web", ":80"], b"kube-tunnel: waiting for a pod that runs, and for its tunnel"),
])
def test_a_terminal_shows_what_is_waited_for(silent, words, line):
    assert line in errors_of([*words, "--kubeconfig", silent], True, line)


def test_a_pipe_gets_the_result_only(silent):
    text = errors_of(["doctor", "--kubeconfig", silent], False, b"never printed")
    assert b"checking" not in text and b"\r" not in text


def test_the_line_is_gone_when_the_command_has_its_result(silent):
    text = errors_of(["doctor", "--kubeconfig", silent], True, b"\r\x1b[K")
    assert text.count(b"\r\x1b[K") == 1
