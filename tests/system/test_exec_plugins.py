"""Exec plugins: real scripts that print credentials, good and bad.

SPDX-License-Identifier: MIT
"""
import datetime
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time

import pytest

from plugins import V1, V1BETA1, Plugin, kubeconfig_for
from tunnel_process import BINARY, clean_environment, eventually

HOST = "web.shop.localhost"


def in_seconds(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def plugin(tmp_path):
    return Plugin(tmp_path / "plugin")


@pytest.fixture
def cluster(start_playground):
    return start_playground()


def list_services(path, *flags, **environment):
    return subprocess.run([BINARY, "list", "--kubeconfig", path, *flags], capture_output=True, text=True,
                          timeout=60, env=clean_environment(**environment), stdin=subprocess.DEVNULL)


def children_of(pid):
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


# ---- what a plugin is given ----

@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_a_token_of_a_plugin_serves_requests_and_list(cluster, start_tunnel, tmp_path, version):
    plugin = Plugin(tmp_path / "plugin", version=version)
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    assert plugin.runs == 1  # watches, look-ups and dials share one run
    done = list_services(path)
    assert done.returncode == 0 and "web" in done.stdout, done
    assert plugin.runs == 2
    assert plugin.info == {"kind": "ExecCredential", "apiVersion": version,
                           "spec": {"interactive": False}}


def test_v1beta1_needs_no_interactive_mode(cluster, tmp_path):
    plugin = Plugin(tmp_path / "plugin", version=V1BETA1)
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(interactiveMode=None))
    assert list_services(path).returncode == 0


def test_v1alpha1_is_refused_with_advice(cluster, tmp_path):
    plugin = Plugin(tmp_path / "plugin", version="client.authentication.k8s.io/v1alpha1")
    done = list_services(kubeconfig_for(cluster, tmp_path / "config", plugin.user()))
    assert done.returncode == 1
    assert "aws eks update-kubeconfig" in done.stderr and 'user "u"' in done.stderr
    assert plugin.runs == 0


def test_a_plugin_gets_its_arguments_environment_and_cluster_info(cluster, plugin, tmp_path):
    user = plugin.user(args=["get", "a b", ""], env=[{"name": "HOME", "value": "/elsewhere"},
                                                     {"name": "WORD", "value": "first"},
                                                     {"name": "WORD", "value": "last"}],
                       provideClusterInfo=True)
    path = kubeconfig_for(cluster, tmp_path / "config", user, extensions=[
        {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x", "n": [1, None]}}])
    assert list_services(path, INHERITED="yes", NOTIFY_SOCKET="/x", LISTEN_FDS="0").returncode == 0
    assert plugin.arguments[1:] == ["get", "a b", ""]
    environment = plugin.environment
    assert (environment["HOME"], environment["WORD"], environment["INHERITED"]) == (
        "/elsewhere", "last", "yes")
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS", "UV_THREADPOOL_SIZE"} & set(environment)
    given = plugin.info["spec"]["cluster"]
    assert given["server"] == cluster.server
    assert given["config"] == {"audience": "x", "n": [1, None]}
    assert given["certificate-authority-data"] in path.read_text()
    assert set(given) == {"server", "config", "certificate-authority-data"}


def test_a_command_with_a_slash_is_relative_to_the_kubeconfig(cluster, plugin, tmp_path):
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(command="./plugin/plugin"))
    done = subprocess.run([BINARY, "list", "--kubeconfig", path], cwd="/", capture_output=True,
                          text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0, done.stderr


def test_a_command_without_a_slash_is_searched_in_path(cluster, plugin, tmp_path):
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(command="plugin"))
    search = f"/nowhere:{plugin.folder}:{os.environ['PATH']}"
    assert list_services(path, PATH=search).returncode == 0
    assert list_services(path, PATH=f"relative:.:{os.environ['PATH']}").returncode == 1


def test_a_missing_command_shows_the_install_hint(cluster, plugin, tmp_path, start_tunnel):
    user = plugin.user(command="no-such-plugin", installHint="Get it from https://plugins.test\n")
    path = kubeconfig_for(cluster, tmp_path / "config", user)
    done = list_services(path)
    assert done.returncode == 1
    assert ('exec plugin "no-such-plugin": it is not installed: nothing of that name in PATH. '
            "Get it from https://plugins.test") in done.stderr
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502 and "Get it from https://plugins.test" in answer.text


def test_a_plugin_inherits_no_descriptors(cluster, plugin, tmp_path, start_tunnel):
    plugin.token("playground", before=f'ls -l /proc/$$/fd >"{plugin.folder}/descriptors"')
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    cluster.order("token off", "accept second")
    plugin.token("second", before=f'ls -l /proc/$$/fd >"{plugin.folder}/descriptors"')
    cluster.order("kill-tunnels")
    assert tunnel.get(HOST).status == 200 and plugin.runs == 2
    shown = (plugin.folder / "descriptors").read_text()
    leads_to = [line.split(" -> ")[1] for line in shown.splitlines() if " -> " in line]
    # the shell's own are its script and what it reads from
    assert [p for p in leads_to if not p.startswith(("/dev/null", "pipe:", "socket:", str(plugin.folder)))] == []
    assert sum(p.startswith(("pipe:", "socket:")) for p in leads_to) == 2, shown  # 1 and 2


@pytest.mark.parametrize("own", [{"token": "playground"}, {"username": "a", "password": "b"}])
def test_credentials_of_the_kubeconfig_come_before_a_plugin(cluster, plugin, tmp_path, own):
    path = kubeconfig_for(cluster, tmp_path / "config", {**plugin.user(), **own})
    assert list_services(path).returncode == (0 if "token" in own else 1)
    assert plugin.runs == 0


# ---- expiry ----

def test_fifty_requests_that_meet_an_expired_token_cause_one_run(cluster, plugin, tmp_path,
                                                                 start_tunnel):
    plugin.token("playground", expirationTimestamp=in_seconds(4))
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path)
    assert plugin.runs == 1
    plugin.token("second", before="sleep 0.7", expirationTimestamp=in_seconds(3600))
    time.sleep(4.2)
    cluster.order("token off", "accept second")
    assert tunnel.statuses([HOST] * 50) == [200] * 50
    assert plugin.runs == 2
    tunnel.wait_for_log("credentials renewed")


def test_fifty_requests_that_are_refused_cause_one_run(cluster, plugin, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--prewarmed-tunnels", "0", kubeconfig=path)
    plugin.token("second", before="sleep 0.5")
    cluster.order("token off", "accept second")
    assert tunnel.statuses([HOST] * 50) == [200] * 50
    assert plugin.runs == 2


def test_a_plugin_whose_token_is_never_accepted_is_run_with_pauses(cluster, plugin, tmp_path,
                                                                   start_tunnel):
    plugin.token("bad")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "0", kubeconfig=path, ready=False)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        answer = tunnel.get(HOST)
        assert answer.status == 502, answer
    assert 2 <= plugin.runs <= 8
    assert "401" in answer.text


def test_expired_credentials_are_named_and_recover_by_themselves(cluster, plugin, tmp_path,
                                                                 start_tunnel):
    plugin.token("playground", expirationTimestamp=in_seconds(3))
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "9s", "--prewarmed-tunnels", "0", kubeconfig=path)
    plugin.fail("Error loading SSO Token\nSSO session expired, run \x1b[1maws sso login\n", 255)
    cluster.order("token off")
    time.sleep(3.2)
    refused = tunnel.get(HOST, seconds=40)
    assert refused.status == 502
    assert "exit code 255: Error loading SSO Token SSO session expired, run ?[1maws sso login" in refused.text
    assert "\x1b" not in refused.text + tunnel.log()
    warned = [l for l in tunnel.log().splitlines() if "credentials expired" in l and " WARN " in l]
    assert len(warned) == 1, warned
    assert "port-forward failed" not in "".join(l for l in tunnel.log().splitlines() if " WARN " in l)

    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(tunnel.get(HOST, seconds=40)))
    thread.start()
    time.sleep(1)
    cluster.order("accept renewed")
    plugin.token("renewed")  # `aws sso login` in another window
    thread.join()
    assert waiting[0].status == 200, waiting
    tunnel.wait_for_log("credentials renewed")


def test_the_messages_of_a_plugin_are_on_the_page_and_at_the_terminal(cluster, plugin, tmp_path,
                                                                      start_tunnel):
    """As gcloud has it: what to do stands in the middle of many lines."""
    plugin.fail("F1129 12:00:00 print credential failed: failure while executing gcloud, with args "
                "[config config-helper --format=json]: exit status 1 (err: ERROR: no active account\n"
                "Please run:\n\n  $ gcloud auth login\n\nto obtain <new> credentials.\n\n"
                "If you have already logged in with a different account, run:\n\n"
                "  $ gcloud config set account ACCOUNT\n\nto select an already authenticated account.\n)\n")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502 and "gcloud auth login" in answer.text, answer
    assert "gcloud auth login" in tunnel.log()
    assert "<new>" not in tunnel.get(HOST, "/", "-H", "Accept: text/html").text
    assert "gcloud auth login" in list_services(path).stderr


# ---- what goes wrong ----

@pytest.mark.parametrize("output, problem", [
    ("", "printed nothing"),
    ("token: abc", "not JSON"),
    ('{"kind":"Secret"}', "not an ExecCredential"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}',
     "configured to use API version client.authentication.k8s.io/v1, and returned version"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}', "no status"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}',
     "neither a token nor a certificate and key"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
     '"status":{"clientKeyData":"x"}}', "only a certificate or a key"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
     '"status":{"token":"a","expirationTimestamp":"soon"}}', "expirationTimestamp"),
    ('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
     '"status":{"token":"a\\r\\nX-Evil: 1"}}', "blanks in the token"),
])
def test_output_that_is_no_credential_is_named(cluster, plugin, tmp_path, output, problem):
    plugin.print(output)
    done = list_services(kubeconfig_for(cluster, tmp_path / "config", plugin.user()))
    assert done.returncode == 1
    assert problem in done.stderr and "exec plugin" in done.stderr


def test_endless_output_is_bounded(cluster, plugin, tmp_path):
    plugin.behave("exec yes")
    done = list_services(kubeconfig_for(cluster, tmp_path / "config", plugin.user()))
    assert done.returncode == 1 and "printed more than 256 KiB" in done.stderr


def test_a_plugin_that_hangs_is_stopped_with_its_children(cluster, plugin, tmp_path, start_tunnel):
    plugin.behave(f'sleep 77 & echo $! >"{plugin.folder}/child"; echo waiting for a browser >&2; wait')
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--plugin-timeout", "1s", "--wait", "4s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502
    assert "stopped after 1 s: waiting for a browser" in answer.text
    eventually(lambda: not os.path.exists(f"/proc/{(plugin.folder / 'child').read_text().strip()}"))
    assert re.search(r'the plugin writes.*line="?waiting for a browser', tunnel.log())


def test_other_requests_are_answered_while_a_plugin_runs(cluster, plugin, tmp_path, start_tunnel):
    plugin.token("playground", before="sleep 3")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(tunnel.get(HOST)))
    thread.start()
    time.sleep(0.5)
    assert tunnel.own("/healthz").seconds < 0.5
    thread.join()
    assert waiting[0].status == 200 and plugin.runs == 1


def test_a_request_that_waits_in_vain_names_what_it_waited_for(cluster, plugin, tmp_path,
                                                               start_tunnel):
    plugin.token("playground", before="sleep 4")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502 and answer.seconds < 3
    assert "is still running" in answer.text
    eventually(lambda: tunnel.get(HOST).status == 200, seconds=15)
    assert plugin.runs == 1


def test_no_plugin_is_left_at_the_end(cluster, plugin, tmp_path, start_tunnel):
    plugin.behave("trap '' TERM INT; while :; do sleep 1; done")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path, ready=False)
    eventually(lambda: plugin.runs == 1)
    running = eventually(lambda: children_of(tunnel.process.pid))
    began = time.monotonic()
    tunnel.stop()
    assert time.monotonic() - began < 3
    eventually(lambda: not any(os.path.exists(f"/proc/{p}") for p in running))


def test_many_runs_leave_no_zombie_and_no_descriptor(cluster, plugin, tmp_path, start_tunnel):
    plugin.fail("no\n")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "5s", kubeconfig=path, ready=False)
    pid = tunnel.process.pid
    tunnel.get(HOST)
    before = len(os.listdir(f"/proc/{pid}/fd"))
    tunnel.get(HOST)
    tunnel.get(HOST)
    assert plugin.runs >= 3
    eventually(lambda: not children_of(pid))
    assert len(os.listdir(f"/proc/{pid}/fd")) <= before


def test_secrets_are_neither_logged_nor_shown(cluster, plugin, tmp_path, start_tunnel):
    plugin.token("hunter2-wrong")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert "hunter2" not in answer.text + tunnel.log()
    command = open(f"/proc/{tunnel.process.pid}/cmdline").read()
    assert "hunter2" not in command


def test_two_contexts_with_the_same_plugin_share_a_run(cluster, plugin, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    config = json.loads(path.read_text())
    config["contexts"].append({"name": "second", "context": {"cluster": "c", "user": "u"}})
    path.write_text(json.dumps(config))
    tunnel = start_tunnel("--context", "test", "--context", "second", kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    assert tunnel.get("web.shop.second.localhost").status == 200
    assert plugin.runs == 1


# ---- the terminal ----

def test_interactive_mode_always_without_a_terminal_is_an_error(cluster, plugin, tmp_path):
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(interactiveMode="Always"))
    done = list_services(path)
    assert done.returncode == 1 and "it needs a terminal (interactiveMode: Always)" in done.stderr
    assert plugin.runs == 0


def on_terminal(arguments, typed, until, seconds=30):
    """Run it in the foreground of a terminal and type that once a prompt has come."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(arguments[0], [str(a) for a in arguments], clean_environment())
    seen, deadline = b"", time.monotonic() + seconds
    while until not in seen and time.monotonic() < deadline:
        if fd in select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
        if typed and b"Password: " in seen:
            os.write(fd, typed)
            typed = b""
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(fd)
    return seen.decode(errors="replace")


@pytest.mark.parametrize("mode", ["IfAvailable", "Always"])
def test_a_plugin_may_prompt_at_the_terminal(cluster, plugin, tmp_path, mode):
    plugin.behave(f'printf "Password: " >&2; read -r word; cat "{plugin.folder}/$word"')
    (plugin.folder / "sesame").write_text(plugin.credential(token="playground"))
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(interactiveMode=mode))
    seen = on_terminal([BINARY, "list", "--kubeconfig", path], b"sesame\n", b"web.shop")
    assert "web.shop" in seen, seen
    assert plugin.info["spec"]["interactive"] is True


def test_interactive_mode_never_gets_no_terminal(cluster, plugin, tmp_path):
    plugin.token("playground", before=f'(read -r word </dev/tty) 2>"{plugin.folder}/tty" || echo none >>"{plugin.folder}/tty"')
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    seen = on_terminal([BINARY, "list", "--kubeconfig", path], b"", b"web.shop")
    assert "web.shop" in seen, seen
    assert "none" in (plugin.folder / "tty").read_text()
    assert plugin.info["spec"]["interactive"] is False
