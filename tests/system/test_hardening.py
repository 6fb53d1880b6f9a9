"""What a hostile name, a loose kubeconfig or another process of the user may do.

SPDX-License-Identifier: MIT
"""
import os
import resource
import subprocess

import pytest

from conftest import SANITIZED
from tunnel_process import BINARY, clean_environment


def test_a_kubeconfig_that_skips_verification_is_warned_of_at_start(start_tunnel, playground,
                                                                    tmp_path):
    loose = tmp_path / "loose"
    lines = [line for line in playground.kubeconfig.read_text().splitlines() if "certificate-authority" not in line]
    if not any("insecure-skip-tls-verify" in line for line in lines):
        at = next(i for i, line in enumerate(lines) if line.strip().startswith("server:"))
        indent = lines[at][:len(lines[at]) - len(lines[at].lstrip())]
        lines.insert(at + 1, f"{indent}insecure-skip-tls-verify: true")
    loose.write_text("\n".join(lines) + "\n")
    start_tunnel(kubeconfig=loose).wait_for_log("WARN .*insecure-skip-tls-verify: the API server is not verified")


def test_a_verified_server_is_not_warned_of(start_tunnel, playground):
    if "insecure-skip-tls-verify: true" in playground.kubeconfig.read_text():
        pytest.skip("the playground's kubeconfig does not verify")
    assert "insecure-skip-tls-verify" not in start_tunnel().log()


@pytest.mark.skipif(SANITIZED, reason="LeakSanitizer attaches to its own threads")
def test_memory_with_credentials_is_not_dumped(start_tunnel):
    pid = start_tunnel().process.pid
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    limits = open(f"/proc/{pid}/limits", encoding="ascii").read()
    assert "Max core file size        0" in limits
    if os.getuid() != 0:
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0


def test_a_fifo_for_a_token_file_does_not_stop_the_loop(start_tunnel, tmp_path):
    os.mkfifo(tmp_path / "token")
    path = tmp_path / "config"
    path.write_text("{current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}],"
                    " users: [{name: u, user: {tokenFile: token}}],"
                    " contexts: [{name: c, context: {cluster: c, user: u}}]}")
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    assert tunnel.own("/healthz").status == 200


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "config"
    path.write_text('{"current-context": "a\\u001b[31m\\u009b\\u0007b"}')
    done = subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", path], capture_output=True,
                          env=clean_environment(), timeout=10)
    assert done.returncode == 1
    assert b"a?[31m??b" in done.stderr
    assert not set(b"\x1b\x07\x9b") & set(done.stderr)
