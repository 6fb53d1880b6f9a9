"""From start to end: sockets, idleness, too many of everything, and the signals.

What of this is about listeners is in test_listen.py. SPDX-License-Identifier: MIT
"""
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http_client import Client, counting, request
from tunnel_process import BINARY, clean_environment, curl, eventually

WEB = "web.shop.svc.cluster.local"
DB = "db-0.db.shop.svc.cluster.local"


# what it does not start with


def run(*arguments, **environment):
    """It is expected not to start."""
    return subprocess.run([BINARY, "run", "--listen", "127.0.0.1:0", *map(str, arguments)], text=True,
                          capture_output=True, env=clean_environment(**environment), timeout=20)


def test_a_missing_kubeconfig_is_named(tmp_path):
    done = run("--kubeconfig", tmp_path / "none")
    assert done.returncode == 1 and f"{tmp_path}/none" in done.stderr and "No such file" in done.stderr
    assert done.stderr.endswith("; name another file with --kubeconfig or KUBECONFIG\n"), done


@pytest.mark.parametrize("text, flags, remedy", [
    ("a: [", [], "kubectl --kubeconfig {} config view reads it, too"),
    ("kind: Pod", [], "kubectl --kubeconfig {} config view reads it, too"),
    ("{}", [], "name another with --kubeconfig or KUBECONFIG"),
    ("contexts: [{name: a, context: {cluster: c}}]", [], "choose one with --context (a)"),
    ("contexts: [{name: a, context: {cluster: c}}]", ["--context", "b"], "choose one with --context"),
    ("contexts: [{name: a, context: {cluster: c}}]", ["--context", "a"], "kubectl config set-cluster c --server=URL"),
    ("contexts: [{name: a, context: {}}]", ["--context", "a"], "kubectl config set-context a --cluster=NAME"),
])
def test_an_error_of_the_kubeconfig_ends_with_what_to_type(tmp_path, text, flags, remedy):
    path = tmp_path / "config"
    path.write_text(text)
    done = run("--kubeconfig", path, *flags)
    assert done.returncode != 0 and done.stderr.splitlines()[-1].endswith(remedy.format(path)), done


def test_without_any_kubeconfig_it_is_said_how_to_get_one(tmp_path):
    done = run(HOME=str(tmp_path))
    assert done.returncode == 1, done
    assert done.stderr.endswith("--kubeconfig FILE or KUBECONFIG (kubectl config view --raw prints kubectl's)\n"), done


def test_an_unreadable_kubeconfig_is_named(tmp_path):
    path = tmp_path / "secret"
    path.touch(0o000)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    done = subprocess.run([*nobody, BINARY, "run", "--listen", "127.0.0.1:0", "--kubeconfig", path], text=True,
                          capture_output=True, env=clean_environment(HOME="/nowhere"), timeout=20)
    assert done.returncode == 1 and str(path) in done.stderr and "Permission denied" in done.stderr


def test_a_folder_in_place_of_a_kubeconfig_is_named(tmp_path):
    done = run("--kubeconfig", tmp_path)
    assert done.returncode == 1 and f"{tmp_path}: " in done.stderr


@pytest.mark.parametrize("text, place", [
    ("apiVersion: v1\nkind: Config\nclusters:\n- name: a\n cluster: [\n", ":5"),
    ("apiVersion: v1\nclusters:\n- name: a\n  cluster: {server: [1, 2]}\n", ":4"),
    ("\tkind: Config\n", ":1"), ("clusters: 7\n", ":1")])
def test_a_malformed_kubeconfig_names_its_line(tmp_path, text, place):
    path = tmp_path / "bad"
    path.write_text(text)
    done = run("--kubeconfig", path)
    assert done.returncode == 1 and f"{path}{place}" in done.stderr, done.stderr


def test_an_empty_kubeconfig_is_refused(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    done = run("--kubeconfig", path)
    assert done.returncode == 1 and str(path) in done.stderr, done.stderr


def test_an_unknown_context_is_refused_at_start(playground):
    done = run("--kubeconfig", playground.kubeconfig, "--context", "nope")
    assert done.returncode == 1 and '"nope"' in done.stderr, done.stderr
    assert "playground" in done.stderr, "says which there are"


def test_a_missing_kubeconfig_of_the_environment_is_skipped(playground, tmp_path):
    """As kubectl has it: a list, of which some may be missing."""
    done = subprocess.run([BINARY, "list"], text=True, capture_output=True, timeout=20,
                          env=clean_environment(KUBECONFIG=f"{tmp_path}/missing:{playground.kubeconfig}"))
    assert done.returncode == 0 and "web.shop" in done.stdout, done.stderr


# listeners


def test_option_port_moves_all_default_addresses(start_tunnel):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    tunnel = start_tunnel("--port", str(port), listen=[])
    assert tunnel.port == port and tunnel.get(WEB).status == 200


def test_requests_through_a_socket_of_systemd_are_answered(playground):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", BINARY, "run", "--kubeconfig", playground.kubeconfig],
            preexec_fn=lambda: os.dup2(listener.fileno(), 3), pass_fds=(3,), stderr=subprocess.DEVNULL,
            env=clean_environment(LISTEN_FDS="1"))
        answer = curl(f"http://web.shop.localhost:{port}/x")
        process.terminate()
        assert process.wait(10) == 0
    assert answer.status == 200 and answer.text.endswith(" path /x\n")


def test_every_listener_leads_to_the_cluster(start_tunnel):
    tunnel = start_tunnel(listen=["127.0.0.1:0", "127.0.0.2:0", "127.0.0.1:0"])
    listeners = re.findall(r"listening address=(\S+)", tunnel.log())
    assert len(set(listeners)) == 3
    for listener in listeners:
        assert curl(f"http://{listener}/", "-H", f"Host: {WEB}").status == 200
        port = listener.rpartition(":")[2]
        assert curl(f"http://{listener}/", "-H", f"Host: web.shop.localhost:{port}").status == 200, "each listener's own port"


# idleness


@pytest.mark.parametrize("prewarmed", [0, 1])
def test_an_idle_tunnel_is_closed(start_tunnel, prewarmed):
    tunnel = start_tunnel("--idle-timeout", "1s", "--idle-check", "200ms",
                          "--prewarmed-tunnels", str(prewarmed))
    assert tunnel.get(DB).status == 200
    began = time.monotonic()
    assert eventually(lambda: tunnel.total("kube_tunnel_tunnels") == 1 + prewarmed)
    tunnel.wait_for_log(r"INFO +tunnel t\d+ tunnel (closed|expired) pod=shop/db-0 .*idle")
    assert 0.5 < time.monotonic() - began < 3
    assert eventually(lambda: tunnel.total("kube_tunnel_tunnels") == 0)
    assert tunnel.total("kube_tunnel_tunnels_expired_total") == 1 + prewarmed
    assert tunnel.total("kube_tunnel_idle_connections") == 0
    assert tunnel.total("kube_tunnel_dials_total") == 1 + prewarmed
    assert tunnel.get(DB).status == 200
    assert tunnel.total("kube_tunnel_dials_total") >= 2 + prewarmed


def test_a_tunnel_in_use_is_not_idle(start_tunnel):
    tunnel = start_tunnel("--idle-timeout", "300ms", "--idle-check", "100ms",
                          "--prewarmed-tunnels", "0")
    assert tunnel.get(DB, "/slow?ms=1500").text == "slept 1500\n"
    assert tunnel.total("kube_tunnel_tunnels_expired_total") == 0
    assert tunnel.total("kube_tunnel_dials_total") == 1


def test_a_tunnel_with_a_request_now_and_then_stays_open(start_tunnel):
    tunnel = start_tunnel("--idle-timeout", "800ms", "--idle-check", "100ms",
                          "--prewarmed-tunnels", "0")
    for _ in range(8):
        assert tunnel.get(DB).status == 200
        time.sleep(0.2)  # what this is about
    assert tunnel.total("kube_tunnel_dials_total") == 1


# too many


def test_too_few_descriptors_are_survived(start_tunnel):
    """It refuses clients with a page, logs it, and serves again when some have left."""
    tunnel = start_tunnel()
    assert tunnel.get(WEB).status == 200
    used = len(os.listdir(f"/proc/{tunnel.process.pid}/fd"))
    resource.prlimit(tunnel.process.pid, resource.RLIMIT_NOFILE, (used + 10, used + 10))
    with Client(tunnel.port) as first:
        assert first.ask(request(WEB)).status == 200
        others = [Client(tunnel.port) for _ in range(40)]
        tunnel.wait_for_log(r"(WARN|ERROR)[^\n]*open files")
        assert first.ask(request(WEB)).status == 200, "those who are in are served"
        for client in others[:35]:
            client.close()
        for client in others[35:]:
            assert client.answer().status == 503
            client.close()
    assert tunnel.get(WEB).status == 200
    assert tunnel.log().count("open files") < 15, "not for each client"


def test_a_client_beyond_max_connections_gets_503_or_waits(start_tunnel):
    tunnel = start_tunnel("--max-connections", "5")
    clients = [Client(tunnel.port) for _ in range(5)]
    for client in clients:
        assert client.ask(request(WEB)).status == 200
    with Client(tunnel.port, 1) as one_too_many:
        one_too_many.send(request(WEB))
        try:
            assert one_too_many.answer().status == 503
        except socket.timeout:
            clients.pop().close()
            one_too_many.socket.settimeout(10)
            one_too_many.file = one_too_many.socket.makefile("rb")
            assert one_too_many.answer().status == 200
    for client in clients:
        assert client.ask(request(WEB)).status == 200
        client.close()
    eventually(lambda: tunnel.get(WEB).status == 200)


# the end


def keep_asking(port, whole, i):
    """Whole answers, one after the other, until one is marked as the last or the connection ends."""
    with Client(port) as client:
        while True:
            try:
                client.send(request(WEB, "/bytes?n=100000"))
                head = client.head()
            except (EOFError, ConnectionResetError, BrokenPipeError):
                return "closed before an answer"
            assert head.startswith(b"HTTP/1.1 200 ")
            assert client.take(100000) == counting(100000)
            whole[i] += 1
            if b"\r\nConnection: close\r\n" in head:
                assert client.is_closed()
                return "told to close"


def test_sigterm_under_load_ends_it_in_time(start_tunnel):
    tunnel, whole = start_tunnel(), [0] * 20
    with ThreadPoolExecutor(20) as pool:
        clients = [pool.submit(keep_asking, tunnel.port, whole, i) for i in range(20)]
        eventually(lambda: min(whole) >= 3)
        began = time.monotonic()
        tunnel.terminate()
        assert tunnel.process.wait(10) == 0
        assert time.monotonic() - began < 5
        ends = [client.result() for client in clients]
    assert "told to close" in ends, ends


def test_sigterm_lets_answers_finish(start_tunnel):
    """Running requests finish, idle clients and new ones are turned away, and the exit is 0."""
    tunnel = start_tunnel()
    idle, half = Client(tunnel.port), Client(tunnel.port)
    assert idle.ask(request(WEB)).status == 200
    half.send("GET / HTTP/1.1\r\nHost: web")
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(tunnel.get, WEB, "/slow?ms=1000"), pool.submit(tunnel.get, WEB, "/sse"),
                   pool.submit(tunnel.get, WEB, "/upload", "--limit-rate", "1M", "--data-binary", "@-",
                               stdin=counting(1000000))]
        eventually(lambda: tunnel.total("kube_tunnel_sessions") == 6, pause=0.02)
        tunnel.terminate()
        eventually(tunnel.refuses, 2, pause=0.01)
        assert idle.is_closed()
        for answer in answers:
            assert (answer.result().exit, answer.result().status) == (0, 200)
    half.close()
    assert tunnel.process.wait(10) == 0
    assert "daemon stopping" in tunnel.log() and "daemon stopped" in tunnel.log()


def test_a_second_signal_ends_it_at_once(start_tunnel):
    tunnel = start_tunnel()
    with Client(tunnel.port) as client:
        client.send(request(WEB, "/slow?ms=20000"))
        tunnel.wait_for_log("from=lease to=talk")
        tunnel.terminate()
        tunnel.wait_for_log("daemon stopping")
        began = time.monotonic()
        tunnel.terminate()
        tunnel.process.wait(5)
        assert time.monotonic() - began < 1
        with pytest.raises((EOFError, ConnectionResetError)):
            client.answer()
    tunnel.process.returncode = 0  # it may be reported as interrupted


@contextlib.contextmanager
def inherited(sig, handler):
    """The disposition of that signal in programs that are started in here, unless they change it."""
    before = signal.signal(sig, handler)
    try:
        yield
    finally:
        signal.signal(sig, before)


def test_sigint_ends_it_like_sigterm(start_tunnel):
    tunnel = start_tunnel()
    assert tunnel.get(WEB).status == 200
    tunnel.stop(signal.SIGINT)
    assert "daemon stopped" in tunnel.log()


def test_a_closed_terminal_ends_it_like_sigterm(start_tunnel, playground):
    """The kernel sends SIGHUP then, which reloads the configuration otherwise."""
    master, slave = os.openpty()
    with inherited(signal.SIGHUP, signal.SIG_DFL):
        tunnel = start_tunnel(wrapper=["setsid", "-c"], terminal=slave, kubeconfig=playground.kubeconfig)
    os.close(slave)
    assert tunnel.get(WEB).status == 200
    os.close(master)
    tunnel.process.wait(10)
    assert tunnel.process.returncode == 0
    assert "the terminal was closed" in tunnel.log() and "daemon stopped" in tunnel.log()


def test_sighup_is_ignored_under_nohup(start_tunnel):
    with inherited(signal.SIGHUP, signal.SIG_IGN):
        tunnel = start_tunnel()
    tunnel.process.send_signal(signal.SIGHUP)
    assert tunnel.get(WEB).status == 200
    assert "daemon stopping" not in tunnel.log()


def test_sigterm_ends_it_while_it_waits_for_the_api_server(start_tunnel, tmp_path):
    path = tmp_path / "nowhere"
    path.write_text("{current-context: c, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}],"
                    " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}")
    tunnel = start_tunnel("--drain-timeout", "500ms", kubeconfig=path, ready=False)
    with Client(tunnel.port) as client:
        client.send(request(WEB))
        tunnel.wait_for_log("waiting for an endpoint")
        began = time.monotonic()
        tunnel.stop()
    assert time.monotonic() - began < 3


def test_no_descriptor_is_left_after_a_burst_of_clients(start_tunnel):
    """After a burst of clients it has no more descriptors than before."""
    tunnel = start_tunnel("--idle-timeout", "300ms", "--idle-check", "100ms")
    def descriptors():
        return len(os.listdir(f"/proc/{tunnel.process.pid}/fd"))
    before = descriptors()
    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(lambda _: tunnel.get(WEB, "/slow?ms=50").status, range(40))) == {200}
    eventually(lambda: descriptors() <= before, 8, pause=0.1)
    assert tunnel.total("kube_tunnel_sessions") == 1


# idle port-forwards


@pytest.mark.parametrize("transport", ["spdy", "websocket"])
@pytest.mark.parametrize("requests", [1, 6], ids=["own", "own-shared-and-prewarmed"])
def test_an_idle_port_forward_is_closed_within_its_time_and_one_check(start_tunnel, transport,
                                                                      requests):
    """Whatever connections lie in the pool."""
    tunnel = start_tunnel("--transport", transport, "--idle-timeout", "1500ms", "--idle-check", "250ms")
    with ThreadPoolExecutor(requests) as pool:
        asked = [pool.submit(tunnel.get, DB, "/slow?ms=500") for _ in range(requests)]
        assert [a.result().status for a in asked] == [200] * requests
    answered = time.monotonic()
    assert tunnel.total("kube_tunnel_tunnels") >= (2 if requests > 1 else 1)
    eventually(lambda: tunnel.total("kube_tunnel_tunnels") == 0, 10)
    assert 1.2 <= time.monotonic() - answered <= 2.7, "twice the time would be 3 s"
