"""Which users of this machine may connect (--clients), with real users.

SPDX-License-Identifier: MIT
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tunnel_process import BINARY, clean_environment, free_ports

OWNER, OTHER = 12345, 12346

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become two users")

# Connects (from an address, if given), sends one request and prints what comes back.
ASK = """
import socket, sys
host, port, source = sys.argv[1:]
try:
    s = socket.create_connection((host, int(port)), 5, source_address=(source, 0) if source else None)
    s.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    while chunk := s.recv(65536):
        sys.stdout.buffer.write(chunk)
except (ConnectionResetError, BrokenPipeError):
    print("reset")
"""


def ask(tunnel, uid, port=None, host="127.0.0.1", source=""):
    done = subprocess.run([sys.executable, "-c", ASK, host, str(port or tunnel.port), source], user=uid,
                          group=uid, extra_groups=[], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def start_as(start_tunnel, playground):
    """start_as(uid, *flags): kube-tunnel, started by that user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_bytes(playground.kubeconfig.read_bytes())
        kubeconfig.chmod(0o644)

        def start(uid, *flags, **options):
            return start_tunnel(*flags, kubeconfig=kubeconfig, user=uid, **options)

        yield start


def test_a_tunnel_that_a_user_started_serves_that_user_and_root_only(start_as):
    tunnel = start_as(OWNER)
    assert ask(tunnel, OWNER).startswith("HTTP/1.1 200")
    assert ask(tunnel, 0).startswith("HTTP/1.1 200")
    refused = ask(tunnel, OTHER)
    assert refused.startswith("HTTP/1.1 403")
    assert f"user {OTHER} may not connect" in refused
    assert f"--clients same-user,{OTHER}" in refused
    assert re.search(rf"refused .*uid={OTHER} allowed_by=\"--clients same-user,{OTHER}\"", tunnel.log())


@pytest.mark.parametrize("value", ["any", str(OTHER), f"same-user,{OTHER}"])
def test_the_flag_admits_other_users(start_as, value):
    tunnel = start_as(OWNER, "--clients", value, ready=False)
    assert ask(tunnel, OTHER).startswith("HTTP/1.1 200")


def test_a_named_user_alone_keeps_the_owner_out(start_as):
    tunnel = start_as(OWNER, "--clients", f"root,{OTHER}")
    assert ask(tunnel, OWNER).startswith("HTTP/1.1 403")


def test_a_raw_connection_of_another_user_is_reset(start_as):
    port = free_ports(1)[0]
    tunnel = start_as(OWNER, "--expose", f"web.shop:80={port}")
    assert ask(tunnel, OTHER, port) == "reset\n"
    assert f"uid={OTHER}" in tunnel.log()
    assert ask(tunnel, OWNER, port).startswith("HTTP/1.1")


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.200", 9))  # sends nothing
        except OSError:
            return None
        return s.getsockname()[0]


def test_a_source_address_that_is_not_loopback_does_not_hide_the_user(start_as):
    source = own_address()
    if not source:
        pytest.skip("this machine has no address but loopback")
    tunnel = start_as(OWNER)
    assert ask(tunnel, OWNER, source=source).startswith("HTTP/1.1 200")
    assert ask(tunnel, OTHER, source=source).startswith("HTTP/1.1 403")


def test_a_client_that_has_closed_already_is_refused(start_as):
    """The kernel does not name its user any more."""
    tunnel = start_as(OWNER)
    tunnel.process.send_signal(signal.SIGSTOP)
    try:
        with tunnel.connect() as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    finally:
        tunnel.process.send_signal(signal.SIGCONT)
    tunnel.wait_for_log(r"refused .*uid=unknown allowed_by=\"--clients any\"")


def test_a_service_serves_every_user(start_tunnel):
    """Root without a login: what an init system starts."""
    tunnel = start_tunnel("--clients", "any")
    assert ask(tunnel, OTHER).startswith("HTTP/1.1 200")


def test_a_user_that_does_not_exist_is_an_error_at_start(playground):
    done = subprocess.run([BINARY, "run", "--kubeconfig", playground.kubeconfig, "--clients", "no-such-user"],
                          capture_output=True, text=True, env=clean_environment(), timeout=20)
    assert done.returncode == 1
    assert 'clients: there is no user "no-such-user"' in done.stderr
