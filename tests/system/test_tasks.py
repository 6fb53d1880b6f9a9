"""docs/tasks.md: the command of each task, as it stands there, solves it.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from http_client import Client, request
from plugins import kubeconfig_for
from test_certificates import jwt
from tunnel_process import BINARY, ROOT, clean_environment, curl, eventually, runtime_directory

TEXT = (ROOT / "docs" / "tasks.md").read_text()
TASKS = {title.strip(): commands for title, commands in re.findall(r"^## ([^\n]+)\n\n```sh\n(.+?)```", TEXT, re.M | re.S)}
WEB, DB = "web.shop.localhost", "db.shop.localhost"


@pytest.fixture
def solve(start_tunnel, playground, tmp_path):
    """solve(TASK, meanwhile): the output and status of its command, beside a kube-tunnel."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kube-tunnel").symlink_to(BINARY)
    tunnel = start_tunnel()
    path = f"{programs}:{os.environ['PATH']}"

    def run(task, meanwhile=None, prefix=(), **variables):
        command = TASKS[task].strip()
        assert "\n" not in command, "one command"
        environment = {**tunnel.environment, "PATH": path, "KUBECONFIG": str(playground.kubeconfig), **variables}
        words = [*prefix, "sh", "-c", f"exec {command}"]
        child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if meanwhile:
            meanwhile()
            child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=30)
        return out + errors, child.returncode

    run.tunnel = tunnel
    return run


def watched(tunnel):
    return eventually(lambda: json.loads(tunnel.control("/v1/status").text)["recording"]["readers"])


def printed(tunnel, *targets):
    """What to do while tail runs: requests, and time for their lines."""
    def do():
        watched(tunnel)
        for host, path in targets:
            tunnel.get(host, path)
        subprocess.run(["sleep", "0.3"], check=True)
    return do


def test_my_request_gets_503_why(solve):
    assert solve.tunnel.get("empty.shop.localhost").status == 503
    out, status = solve("My request gets 503, why?")
    assert status == 1 and re.search(r"^no +choice +Service shop/empty: no pod matches selector", out, re.M)
    assert out.rstrip().endswith("type: kubectl --context playground -n shop get pods")


def test_which_pod_answered(solve):
    out, status = solve("Which pod answered?", printed(solve.tunnel, (WEB, "/x"), (DB, "/y")))
    assert status == 0 and re.search(r" 200 .* GET web\.shop\.localhost/x  shop/web-", out) and "/y" not in out


def test_what_is_slow(solve):
    out, status = solve("What is slow?", printed(solve.tunnel, (WEB, "/x"), (DB, "/slow?ms=300")))
    assert status == 0 and "/slow" in out and re.search(r"pod 3\d\d", out) and "/x" not in out


def test_who_is_connected(solve):
    with Client(solve.tunnel.port) as client:
        client.ask(request(WEB))
        out, status = solve("Who is connected?")
    assert status == 0 and re.search(r"^s\d+ +127\.0\.0\.1 +http +idle ", out, re.M)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as a user without privileges")
def test_how_do_i_get_port_80(solve, playground):
    folder = runtime_directory()
    os.chmod(folder, 0o755)
    for source, name in ((BINARY, "kube-tunnel"), (playground.kubeconfig, "config")):
        shutil.copy(source, folder / name)
    os.chmod(folder / "config", 0o644)
    user = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "--bounding-set=-all"]
    out, status = solve("How do I get port 80?", prefix=user, HOME="/nonexistent", XDG_RUNTIME_DIR="", XDG_CONFIG_HOME="",
                        KUBECONFIG=str(folder / "config"), PATH=f"{folder}:{os.environ['PATH']}")
    assert "ports" in out, out
    found = re.search(r"^failed +ports +(.*)", out, re.M)
    assert found, out
    line = found.group(1)
    assert status == 1 and all(way in line for way in ("setcap", "sysctl", "systemd"))


def test_why_can_my_colleague_and_not_i(solve, start_playground):
    other = start_playground("--rights", "namespace")
    out, status = solve("Why can my colleague and not I?", KUBECONFIG=str(other.kubeconfig))
    assert "NAMESPACE" in out and re.search(r"services +\w+ +(yes|no) ", out) and status in (0, 1)


def test_what_would_this_name_reach(solve):
    out, status = solve("What would this name reach?")
    assert status == 0 and re.search(r"^It leads to pod shop/web-\S+, port 9000\.$", out, re.M)


def test_add_a_port_without_a_restart(solve):
    out, status = solve("Add a port without a restart")
    assert (out, status) == ("localhost:18931 leads to web.shop:80\n", 0)
    assert curl("http://127.0.0.1:18931/").status == 200


def test_my_login_expired_what_now(solve, playground, tmp_path):
    expired = kubeconfig_for(playground, tmp_path / "config", {"token": jwt(1700000000)})
    out, status = solve("My login expired, what now?", KUBECONFIG=str(expired))
    assert status == 1 and re.search(r"^failed +credentials +a token, which expired \d+ days ago.*\n +\S", out, re.M)


def test_show_me_that_request_again(solve):
    tail = subprocess.Popen([BINARY, "tail"], env=solve.tunnel.environment, stdout=subprocess.PIPE, text=True)
    watched(solve.tunnel)
    solve.tunnel.get(WEB, "/again")
    shown = tail.stdout.readline()
    number = re.search(r" (s\d+\.1) ", shown).group(1)
    TASKS["Show me that request again"] = TASKS["Show me that request again"].replace("s1.1", number)
    out, status = solve("Show me that request again")
    tail.kill()
    tail.communicate()
    assert status == 0 and out.startswith("status 200, ") and "X-Pod: web-" in out


def test_each_task_has_a_test():
    titles = re.findall(r"^## (.+)$", TEXT, re.M)
    assert len(titles) == 10
    names = {re.sub(r"[^a-z0-9]+", "_", t.lower()).strip("_") for t in titles}
    assert {f"test_{n}" for n in names} <= {n for n in globals() if n.startswith("test_")}
