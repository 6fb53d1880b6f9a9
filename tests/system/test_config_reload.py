"""The configuration changes while kube-tunnel runs: SIGHUP and a changed file.

SPDX-License-Identifier: MIT
"""
import contextlib
import os
import json
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from conftest import SANITIZED
from http_client import Client, request
from tunnel_process import ROOT, KubeTunnel, curl, eventually, free_ports

WEB = "web.shop.svc.cluster.local"
DB = "db-0.db.shop.svc.cluster.local"
RELOADED = "configuration reloaded"
REFUSED = "the configuration was refused: keeping the last one"


class File:
    """The configuration file of a running kube-tunnel."""

    def __init__(self, path, tunnel=None):
        self.path, self.tunnel = path, tunnel

    def count(self, text):
        return self.tunnel.log().count(text)

    def after(self, change, text=RELOADED):
        """Make a change; returns what was logged from then on until `text`, inclusive."""
        before = len(self.tunnel.log())
        change()
        return eventually(lambda: text in (new := self.tunnel.log()[before:]) and new, pause=0.02)

    def write(self, settings, text=RELOADED):
        return self.after(lambda: self.path.write_text(settings), text)

    def hangup(self, text=RELOADED):
        return self.after(lambda: self.tunnel.process.send_signal(signal.SIGHUP), text)


@pytest.fixture
def start(start_tunnel, tmp_path):
    """start(settings, *flags): kube-tunnel with this file; SIGHUP is not ignored."""
    def run(settings, *flags, **options):
        file = File(tmp_path / "config.yaml")
        file.path.write_text(settings)
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            file.tunnel = start_tunnel("--config", file.path, *flags, **options)
        finally:
            signal.signal(signal.SIGHUP, before)
        return file
    return run


def denied(tunnel, host=WEB):
    return tunnel.get(host).status == 403


# ways to change the file


def in_place(path, text):
    path.write_text(text)


def by_rename(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    os.rename(new, path)


def removed_and_made_again(path, text):
    path.unlink()
    time.sleep(0.3)
    path.write_text(text)


def truncated_then_completed(path, text):
    path.write_text("")
    time.sleep(0.7)
    path.write_text(text)


def written_in_steps_over_two_seconds(path, text):
    with open(path, "w") as f:
        for c in text:
            f.write(c)
            f.flush()
            time.sleep(2 / len(text))


@pytest.mark.parametrize("change", [in_place, by_rename, removed_and_made_again, truncated_then_completed,
                                    written_in_steps_over_two_seconds])
def test_a_changed_file_is_applied_once_and_whole(start, change):
    file = start("deny-namespace: [data]\nwait: 5s\n")
    assert not denied(file.tunnel)
    file.after(lambda: change(file.path, "wait: 6s\ndeny-namespace: [shop]\n"))
    assert denied(file.tunnel)
    time.sleep(0.7)  # another reload would come until then
    assert file.count(RELOADED) == 1 and file.count(REFUSED) == 0, file.tunnel.tail()
    assert file.count("setting changed") == 2


def test_a_symlink_swap_as_of_a_config_map_is_applied(start, tmp_path):
    mount = tmp_path / "mount"
    for name, text in (("..1", "wait: 5s\n"), ("..2", "deny-namespace: [shop]\n")):
        (mount / name).mkdir(parents=True)
        (mount / name / "config.yaml").write_text(text)
    (mount / "..data").symlink_to("..1")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    file = start("wait: 5s\n", "--config", mount / "config.yaml")

    def swap():
        (mount / "..data_tmp").symlink_to("..2")
        os.rename(mount / "..data_tmp", mount / "..data")
        shutil.rmtree(mount / "..1")

    file.after(swap)
    assert denied(file.tunnel)


def test_sighup_reloads(start):
    file = start("wait: 5s\n")
    file.write("deny-namespace: [shop]\n")
    assert "changes=0" in file.hangup()


def test_an_emptied_file_keeps_the_settings_until_sighup(start):
    file = start("deny-namespace: [shop]\n")
    file.write("", text="empty or missing")
    assert denied(file.tunnel)
    file.hangup()
    assert not denied(file.tunnel)


# what is wrong


@pytest.mark.parametrize("text, reason", [
    ("wait: 6s\nmax-connections: lots\n", r"{path}:2: .*lots"),
    ("deny-namespace: [shop]\nno-such: 1\n", r"{path}:2: .*no-such"),
    ("wait: [1\n", r"{path}:[12]"),
    ("ping-timeout: 1s\nping-interval: 2s\n", "ping-timeout"),
    ("deny-namespace: [shop]\nalias: [x.example.test=web.shop]\n", "alias x.example.test: namespace shop is closed"),
    ("deny-namespace: [shop]\nclients: [no-such-user]\n", 'no user ..?no-such-user'),
])
def test_a_wrong_file_is_refused_whole_and_named(start, text, reason):
    file = start("wait: 5s\n")
    log = file.write(text, text=REFUSED)
    assert re.search(reason.format(path=re.escape(str(file.path))), log), log
    assert not denied(file.tunnel) and file.count("setting changed") == 0
    file.write("deny-namespace: [shop]\n")
    assert denied(file.tunnel), "the next correct one is applied"


def test_a_port_in_use_refuses_the_change_whole(start):
    mine, other = free_ports(2)
    file = start("wait: 5s\n")
    with socket.create_server(("127.0.0.1", other)):
        log = file.write(f"expose: ['web.shop:9000=127.0.0.1:{mine}', 'web.shop:80=127.0.0.1:{other}']\n"
                         "deny-namespace: [data]\n", text=REFUSED)
    assert f"port {other}" in log and "already in use" in log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", mine))
    assert "no longer listening" not in file.tunnel.log()


def test_a_setting_that_needs_a_restart_is_named_and_the_rest_is_applied(start):
    file = start("wait: 5s\n")
    log = file.write("cluster-domain: example.org\ndeny-namespace: [shop]\nupstream: tunnel\n")
    log = eventually(lambda: (t := file.tunnel.log()).count("takes effect at the next start") == 2 and t)
    assert re.search(r"next start setting=cluster-domain value=cluster.local next=example.org from=.*config.yaml:1", log)
    assert re.search(r"next start setting=upstream value=auto next=tunnel", log)
    assert denied(file.tunnel)


def test_flags_keep_their_precedence(start):
    file = start("wait: 5s\n", "--deny-namespace", "shop")
    file.write("deny-namespace: [data]\n")
    assert denied(file.tunnel)


def test_a_pipe_is_not_read_again(start_tunnel, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("wait: 5s\n"))
    writer.start()
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        tunnel = start_tunnel("--config", path)
    finally:
        signal.signal(signal.SIGHUP, before)
    writer.join()
    tunnel.process.send_signal(signal.SIGHUP)
    tunnel.wait_for_log("refused.*not a regular file")
    assert tunnel.get(WEB).status == 200


# listeners


def test_listeners_come_and_go_without_cutting_a_connection(start):
    a, b, c = free_ports(3)
    file = start(f"expose: ['web.shop:80=127.0.0.1:{a}', 'web.shop:9000=127.0.0.1:{b}']\n")
    with Client(file.tunnel.port) as kept, Client(a) as through_old, socket.create_connection(("127.0.0.1", b)) as raw:
        assert kept.ask(request(WEB)).status == 200 and through_old.ask(request("localhost")).status == 200
        file.write(f"expose: ['web.shop:80=127.0.0.1:{c}', 'web.shop:9000=127.0.0.1:{b}']\n")
        assert curl(f"http://127.0.0.1:{c}/").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", a))
        assert kept.ask(request(WEB)).status == 200, "another listener's connection"
        assert through_old.ask(request("localhost")).status == 200, "one of the listener that was closed"
        raw.sendall(b"still here\n")
    log = file.tunnel.log()
    assert len(re.findall(rf"listening address=127.0.0.1:{b}\b", log)) == 1, "it was not opened anew"


def test_a_listener_changes_what_it_exposes(start):
    port, = free_ports(1)
    file = start(f"expose: ['web.shop:80=127.0.0.1:{port}']\n")
    assert curl(f"http://127.0.0.1:{port}/").pod.startswith("web-")
    file.write(f"expose: ['db-0.db.shop:8080=127.0.0.1:{port}']\n")
    assert curl(f"http://127.0.0.1:{port}/").pod == "db-0"


def test_a_listener_grows_from_one_address_to_all(start):
    port, = free_ports(1)
    file = start(f"listen: ['127.0.0.1:{port}']\n", listen=[])
    with Client(port) as kept:
        assert kept.ask(request(WEB)).status == 200
        file.write(f"listen: ['*:{port}']\n")
        assert curl(f"http://127.0.0.2:{port}/", "-H", f"Host: {WEB}").status == 200
        assert kept.ask(request(WEB)).status == 200


def test_a_refused_change_opens_the_old_listener_again(start):
    """The old one is closed for *:port, which another listener then makes impossible."""
    port, = free_ports(1)
    file = start(f"listen: ['127.0.0.1:{port}']\n", listen=[])
    with socket.create_server(("127.0.0.2", port)):
        file.write(f"listen: ['*:{port}']\n", text=REFUSED)
    assert file.tunnel.get(WEB).status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))


def test_an_alias_is_added_and_removed(start):
    file = start("alias: [old.example.test=web.shop]\n")
    assert file.tunnel.get("old.example.test").status == 200
    file.write("alias: [new.example.test=web.shop]\n")
    assert file.tunnel.get("new.example.test").status == 200
    assert file.tunnel.get("old.example.test").status == 400


# existing connections


def test_connections_to_a_namespace_that_is_closed_are_reset_and_no_others(start):
    file = start("wait: 5s\n")
    with Client(file.tunnel.port) as running, Client(file.tunnel.port) as idle:
        assert idle.ask(request(WEB)).status == 200
        running.send(request(WEB, "/slow?ms=20000"))
        time.sleep(0.3)
        file.write("deny-namespace: [shop]\n")
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, EOFError, AssertionError)):
            running.answer()
        assert time.monotonic() - began < 5
        assert idle.ask(request(WEB)).status == 403, "an idle connection stays, and its next request is refused"
    assert "closed: its namespace is closed now" in file.tunnel.log()


def test_a_raw_connection_to_a_namespace_that_is_closed_is_reset(start):
    port, = free_ports(1)
    expose = f"expose: ['web.shop:9000=127.0.0.1:{port}']\n"
    file = start(expose)
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"x")
        file.tunnel.wait_for_log(r"tunnel opened pod=shop/web-")
        file.write("deny-namespace: [shop]\n")
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(4096):
                pass
    assert "closed: its namespace is closed now" in file.tunnel.log()


def test_an_http2_stream_to_a_namespace_that_is_closed_is_reset(start):
    file = start("wait: 5s\n")
    results = []
    url = f"http://127.0.0.1:{file.tunnel.port}/slow?ms=20000"
    thread = threading.Thread(target=lambda: results.append(
        curl("--http2-prior-knowledge", url, "-H", f"Host: {WEB}", seconds=15)))
    thread.start()
    time.sleep(0.7)
    file.write("deny-namespace: [shop]\n")
    thread.join()
    assert results[0].exit == 92, results


def test_a_user_that_may_no_longer_connect_is_reset(start):
    file = start("clients: [any]\n")
    with Client(file.tunnel.port) as client:
        assert client.ask(request(WEB)).status == 200
        file.write("clients: ['54321']\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError, EOFError, AssertionError)):
            client.ask(request(WEB))
    assert file.tunnel.get(WEB).status == 403


# settings that take effect at once


def test_timeouts_and_limits_are_applied(start):
    file = start("max-connections: 100\n")
    file.write("max-connections: 1\nhead-timeout: 300ms\nresponse-timeout: 300ms\nmax-head-size: 1KiB\n")
    assert file.tunnel.get(WEB, "/slow?ms=3000").status == 504
    assert file.tunnel.get(WEB, "/", "-H", "X-Long: " + 2000 * "x").status == 431
    with file.tunnel.connect() as slow:
        began = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert slow.recv(100) and time.monotonic() - began < 5
    file.write("max-connections: 1\n")
    with Client(file.tunnel.port) as first:
        first.send(request(WEB, "/slow?ms=2000"))
        time.sleep(0.3)
        assert file.tunnel.get(WEB).status == 503
        assert first.answer().status == 200


def test_the_log_level_and_format_are_applied(playground, tmp_path):
    file = File(tmp_path / "config.yaml")
    file.path.write_text("log-level: info\n")
    tunnel = file.tunnel = KubeTunnel("--config", file.path, kubeconfig=playground.kubeconfig, folder=tmp_path)
    at = tunnel.command.index("--log-level")
    del tunnel.command[at:at + 2]
    tunnel.start()
    try:
        assert "DEBUG" not in tunnel.log()
        file.write("log-level: debug\nlog-format: json\n")
        assert tunnel.get(WEB).status == 200
        tunnel.wait_for_log(r'(?m)^\{.*"level":"debug".*session')
    finally:
        tunnel.stop()


def test_tunnels_follow_a_new_idle_timeout(start):
    file = start("idle-timeout: 10m\nprewarmed-tunnels: 0\n")
    assert file.tunnel.get(DB).status == 200
    assert file.tunnel.total("kube_tunnel_tunnels") == 1
    file.write("idle-timeout: 300ms\nidle-check: 100ms\nprewarmed-tunnels: 0\n")
    assert file.tunnel.get(DB).status == 200
    eventually(lambda: file.tunnel.total("kube_tunnel_tunnels") == 0)


def test_requests_during_a_hundred_reloads_all_succeed(start):
    port, = free_ports(1)
    file = start("wait: 5s\n")
    stop, failures, done = threading.Event(), [], [0]

    def ask():
        with Client(file.tunnel.port) as client:
            while not stop.is_set():
                done[0] += 1
                if client.ask(request(WEB)).status != 200:
                    failures.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(20 if SANITIZED else 100):
        file.path.write_text(f"wait: {5 + i % 3}s\nalias: [a{i}.example.test=web.shop]\n"
                             + (f"expose: ['web.shop:80=127.0.0.1:{port}']\n" if i % 2 else ""))
        before = file.count(RELOADED)
        file.tunnel.process.send_signal(signal.SIGHUP)
        eventually(lambda: file.count(RELOADED) > before, pause=0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and done[0] > 100


def test_the_control_socket_reloads_and_returns_the_reason_of_a_refusal(start, tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir(0o700)
    file = start("wait: 5s\n", environment={"XDG_RUNTIME_DIR": str(runtime)})
    sockets = list(runtime.rglob("*.sock"))
    if not sockets:
        pytest.skip("no control socket")

    def reload():
        return curl("--unix-socket", sockets[0], "-X", "POST", "http://control/v1/reload")

    def pending():
        return curl("--unix-socket", sockets[0], "http://control/v1/reload")

    assert json.loads(pending().text) == {"state": "running", "changes": []}
    assert json.loads(reload().text) == {"state": "reloaded", "changes": []}
    file.write("wait: soon\n", text=REFUSED)
    answer = reload()
    assert answer.status == 422 and f"{file.path}:1" in answer.text, answer


def test_the_manual_names_every_setting_that_needs_a_restart():
    """conf.5 lists them; `config show --diff` knows them."""
    manual = (ROOT / "docs" / "kube-tunnel.conf.5").read_text()
    listed = set(re.findall(r"[a-z0-9-]+", re.search(r"but for those of\n(.*?)which take effect", manual, re.S).group(1)))
    table = (ROOT / "src" / "config" / "settings.h").read_text()
    reloaded = set(re.findall(r"X\((\w+)\)", table[table.index("#define SETTINGS_RELOADED"):]))
    rows = re.findall(r'X\([A-Z_]+, (\w+), "([a-z0-9-]+)"', table)
    assert {name for field, name in rows if field not in reloaded} == listed - {"and", "m"}


def test_reload_and_diff_print_what_changed(start_tunnel, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("wait: 5s\n")
    tunnel = start_tunnel("--config", path, "--half-close")
    # a file that a program has open for writing is not reloaded by the watch: only on command
    with open(path, "w") as writer:
        writer.write("wait: 7s\nupstream: tunnel\ncluster-domain: example.org\n")
        writer.flush()
        domain = f"cluster-domain cluster.local -> example.org {path}:3 restart"
        upstream = f"upstream auto -> tunnel {path}:2 restart"
        expected = [domain, f"wait 5s -> 7s {path}:1 reload", upstream]  # in the order of the table

        def rows(done):
            return [re.sub(r" +", " ", line) for line in done.stdout.splitlines()]

        diff = tunnel.ask("config", "show", "--diff")
        assert rows(diff) == expected and "compared with the running kube-tunnel" in diff.stderr and not diff.returncode
        assert rows(tunnel.ask("config", "show", "--diff", "wait")) == expected[1:2]
        assert rows(tunnel.ask("reload")) == ["reloaded", *expected]
        assert rows(tunnel.ask("config", "show", "--diff")) == [domain, upstream], "they wait for the next start"
        assert rows(tunnel.ask("reload")) == ["reloaded", domain, upstream]
        writer.seek(0)
        writer.write("wait: soon")
        writer.flush()
        wrong = tunnel.ask("config", "show", "--diff")
        assert wrong.returncode == 1 and f"{path}:1" in wrong.stderr
    tunnel.stop()
    assert tunnel.ask("config", "show", "--diff", "--wait", "1s").stdout.startswith("wait ")


def test_metrics_by_service_follow_a_reload(start):
    file = start("")
    file.tunnel.get("web.shop.svc.cluster.local")
    assert 'service="web"' not in file.tunnel.own("/metrics").text
    file.write("service-metrics: 5\n")
    file.tunnel.get("web.shop.svc.cluster.local")
    assert 'service="web"' in file.tunnel.own("/metrics").text
    file.write("service-metrics: 0\n")
    assert 'service="web"' not in file.tunnel.own("/metrics").text
