"""Listeners, and the life of the process: where it listens, what it refuses, how it ends.

SPDX-License-Identifier: MIT
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tunnel_process import BINARY, clean_environment, curl, eventually

WEB = "web.shop.svc.cluster.local"


@pytest.fixture
def nowhere(tmp_path):
    """A kubeconfig with an absent API server: listeners open all the same."""
    path = tmp_path / "nowhere"
    path.write_text("{current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}],"
                    " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}")
    return path


def run(*arguments, **environment):
    """It is expected not to start."""
    return subprocess.run([BINARY, "run", *map(str, arguments)], capture_output=True, text=True,
                          env=clean_environment(**environment), timeout=20)


def addresses(tunnel):
    return re.findall(r"listening address=(\S+)", tunnel.log())


def has_ipv6():
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            return False
    return True


# where

def test_a_random_port_is_the_same_on_both_addresses(start_tunnel, nowhere):
    tunnel = start_tunnel(kubeconfig=nowhere, ready=False, listen=["localhost:0"])
    wanted = [f"127.0.0.1:{tunnel.port}"] + [f"[::1]:{tunnel.port}"] * has_ipv6()
    assert addresses(tunnel) == wanted
    for address in wanted:
        assert curl(f"http://{address}/healthz").status == 200


def test_several_listeners_serve_the_same_cluster(start_tunnel, nowhere):
    tunnel = start_tunnel(kubeconfig=nowhere, ready=False, listen=["127.0.0.1:0", "127.0.0.2:0"])
    first, second = addresses(tunnel)
    assert second.startswith("127.0.0.2:")
    for address in (first, second):
        assert curl(f"http://{address}/healthz").status == 200


def test_a_taken_port_names_its_holder(nowhere):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run("--kubeconfig", nowhere, "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is already in use, by " in done.stderr
    assert f"(pid {os.getpid()}); choose another with --listen" in done.stderr


def test_a_taken_port_of_an_exposed_service_says_how_to_choose_another(nowhere):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run("--kubeconfig", nowhere, "--listen", "127.0.0.1:0", "--expose", f"db.shop:{port}",
                   "--log-level", "debug")
    assert done.returncode == 1
    assert f"expose db.shop:{port}: port {port} on 127.0.0.1 is already in use, by " in done.stderr
    assert f"; choose another with --expose db.shop:{port}=LOCAL\n" in done.stderr
    assert "listening" not in done.stderr, "all listeners or none"
    assert done.stderr.index("memory for buffered bytes") < done.stderr.index("expose db.shop"), "in the order of events"


def port_of_ipv6_alone():
    """A listener on a port of ::1 that is free on 127.0.0.1."""
    while True:
        holder = socket.create_server(("::1", 0), family=socket.AF_INET6)
        try:
            socket.create_server(("127.0.0.1", holder.getsockname()[1])).close()
            return holder
        except OSError:
            holder.close()


def test_a_port_taken_on_one_of_two_addresses_is_named(nowhere):
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with port_of_ipv6_alone() as holder:
        port = holder.getsockname()[1]
        done = run("--kubeconfig", nowhere, "--port", port)
    assert done.returncode == 1
    assert f"port {port} on ::1 is already in use" in done.stderr
    assert "; choose another with --port\n" in done.stderr


def test_an_address_of_another_machine_is_refused(nowhere):
    done = run("--kubeconfig", nowhere, "--listen", "192.0.2.1:0")
    assert done.returncode == 1 and "192.0.2.1" in done.stderr


HOLD = """
import socket, subprocess, sys
held = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[1].split(",")]
sys.exit(subprocess.call(sys.argv[2:]))
"""


class Alone:
    """kube-tunnel in a network of its own, where port 80 is free for the taking."""

    def __init__(self, kubeconfig, *flags, privileged, taken=None):
        hold = [sys.executable, "-c", HOLD, str(taken)] if taken else []
        drop = [] if privileged else ["setpriv", "--bounding-set=-net_bind_service"]
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *hold, *drop,
             BINARY, "run", "--kubeconfig", kubeconfig, *flags],
            stderr=subprocess.PIPE, text=True, env=clean_environment(), start_new_session=True)

    def first_lines(self):
        """What it printed until it had started, or ended."""
        said = []
        for line in self.process.stderr:
            said.append(line)
            if " started " in line:
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)  # HOLD has kube-tunnel as its child
        self.process.wait(10)
        self.process.stderr.close()
        return said


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="makes network namespaces: needs root")


@needs_root
def test_port_80_is_the_default(nowhere):
    said = "".join(Alone(nowhere, privileged=True).first_lines())
    assert "address=127.0.0.1:80\n" in said and "address=[::1]:80\n" in said


@needs_root
def test_without_the_privilege_the_default_is_8080_and_is_logged_first(nowhere):
    said = Alone(nowhere, privileged=False).first_lines()
    for word in ("80 ", "8080", "setcap", "net.ipv4.ip_unprivileged_port_start", "systemd"):
        assert word in said[0], said
    assert f"setcap cap_net_bind_service=+ep {os.path.realpath(BINARY)}" in said[0]
    assert "address=127.0.0.1:8080\n" in "".join(said)


@needs_root
@pytest.mark.parametrize("privileged, port, instead",
                         [(True, 80, ""), (False, 8080, " (instead of 80, which needs a privilege)")])
def test_a_taken_default_port_says_how_to_choose_another(nowhere, privileged, port, instead):
    said = "".join(Alone(nowhere, privileged=privileged, taken=port).first_lines())
    assert re.search(rf"port {port} on 127\.0\.0\.1 is already in use.*{re.escape(instead)}; "
                     "choose another with --port or --listen", said), said


@needs_root
@pytest.mark.parametrize("asked", (["--port", "80"], ["--listen", "127.0.0.1:80"]))
def test_a_port_given_by_flag_is_not_replaced(nowhere, asked):
    alone = Alone(nowhere, *asked, privileged=False)
    said = "".join(alone.first_lines())
    assert alone.process.returncode == 1
    assert "port 80 on 127.0.0.1 needs a privilege" in said and "setcap" in said, said
    assert f"choose another with {asked[0]}\n" in said


@needs_root
@pytest.mark.parametrize("privileged, taken, port, line", [
    (True, None, 443, None), (True, 443, 8443, "8443 is used"), (False, None, 8443, "8443 is used"),
    (True, "443,8443", None, "neither 443 nor 8443 can be had")])
def test_a_port_for_https_is_had_where_it_can_be(nowhere, privileged, taken, port, line):
    said = Alone(nowhere, privileged=privileged, taken=taken).first_lines()
    listening = [p for p in (443, 8443) if f"address=127.0.0.1:{p}\n" in "".join(said)]
    assert listening == ([port] if port else []), said
    assert " started " in said[-1]
    assert [line in text for text in said].count(True) == 1 if line else "https" not in "".join(said)


@needs_root
@pytest.mark.parametrize("flags, ports", [
    (["--port", "81"], [81]), (["--listen", "127.0.0.1:81"], [81]), (["--tls-port", "0"], [80]),
    (["--port", "81", "--tls-port", "9443"], [81, 9443])])
def test_the_port_for_https_is_a_setting(nowhere, flags, ports):
    said = "".join(Alone(nowhere, *flags, privileged=True).first_lines())
    assert [int(port) for port in re.findall(r"address=127\.0\.0\.1:(\d+)\n", said)] == ports


@needs_root
@pytest.mark.parametrize("privileged, taken", [(False, None), (True, 443)])
def test_a_port_for_https_given_by_flag_is_not_replaced(nowhere, privileged, taken):
    alone = Alone(nowhere, "--tls-port", "443", privileged=privileged, taken=taken)
    said = "".join(alone.first_lines())
    assert alone.process.returncode == 1 and "choose another with --tls-port" in said, said


# systemd

def start_with_socket(listener, nowhere, **environment):
    """As systemd does: the socket is descriptor 3, as the variables state."""
    return subprocess.Popen(
        ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", BINARY, "run", "--kubeconfig", nowhere],
        preexec_fn=lambda: os.dup2(listener.fileno(), 3), pass_fds=(3,), stderr=subprocess.PIPE,
        text=True, env=clean_environment(LISTEN_FDS="1", **environment))


def test_a_socket_from_systemd_replaces_the_default(nowhere):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        process = start_with_socket(listener, nowhere)
        assert curl(f"http://{address}/healthz").status == 200
        process.terminate()
        said = process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert re.findall(r"listening address=(\S+)", said) == [address]


def test_the_service_manager_is_notified(nowhere, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, \
            socket.create_server(("127.0.0.1", 0)) as listener:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        process = start_with_socket(listener, nowhere, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        process.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        process.communicate(timeout=10)
    assert process.returncode == 0


# what it does not start with

def test_no_kubeconfig_names_the_places(tmp_path):
    done = run("--listen", "127.0.0.1:0", HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/.kube/config" in done.stderr
    assert "--kubeconfig" in done.stderr and "KUBECONFIG" in done.stderr


# how it ends

def slow_request(tunnel, ms, answers):
    thread = threading.Thread(target=lambda: answers.append(tunnel.get(WEB, f"/slow?ms={ms}")))
    thread.start()
    return thread


def test_a_running_request_is_finished_at_sigterm(start_tunnel):
    tunnel = start_tunnel()
    answers = []
    request = slow_request(tunnel, 2000, answers)
    idle = tunnel.connect()
    time.sleep(0.5)
    tunnel.terminate()
    eventually(tunnel.refuses, 2)
    assert idle.recv(1) == b"", "a client that asks for nothing is not waited for"
    request.join()
    idle.close()
    assert answers[0].exit == 0 and answers[0].status == 200
    assert answers[0].header("Connection") == "close"
    assert tunnel.process.wait(2) == 0


def test_a_request_that_does_not_finish_in_time_is_reset(start_tunnel):
    tunnel = start_tunnel("--drain-timeout", "1s")
    answers = []
    request = slow_request(tunnel, 20000, answers)
    time.sleep(0.5)
    began = time.monotonic()
    tunnel.stop()
    assert 0.9 < time.monotonic() - began < 3
    request.join()
    assert answers[0].exit != 0


def test_a_second_signal_ends_it_at_once(start_tunnel):
    tunnel = start_tunnel()
    request = slow_request(tunnel, 20000, [])
    time.sleep(0.5)
    tunnel.terminate()
    time.sleep(0.2)
    tunnel.terminate(signal.SIGINT)
    assert tunnel.process.wait(1) == 1
    tunnel.process.returncode = 0  # as it should be, so the fixture has nothing to add
    request.join()


def test_it_holds_little_memory_when_idle(start_tunnel):
    if b"__asan_init" in BINARY.read_bytes():
        pytest.skip("the sanitizer needs more than the program")
    tunnel = start_tunnel()
    assert tunnel.get(WEB).status == 200
    with open(f"/proc/{tunnel.process.pid}/status") as status:
        anonymous = int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1])
    assert anonymous < 4096


# out of descriptors

def limited(tmp_path, most):
    """kube-tunnel as a program that may have so many descriptors and no more."""
    script = tmp_path / "limited"
    script.write_text(f'#!/bin/sh\nulimit -n {most}\nexec {BINARY} "$@"\n')
    script.chmod(0o755)
    return script


def test_without_descriptors_it_accepts_again_later(start_tunnel, tmp_path):
    tunnel = start_tunnel(binary=limited(tmp_path, 64))
    assert tunnel.get(WEB).status == 200
    clients = [tunnel.connect() for _ in range(80)]
    tunnel.wait_for_log("raise the limit on open files")
    with open(f"/proc/{tunnel.process.pid}/stat") as stat:
        used = sum(map(int, stat.read().split()[13:15]))
    time.sleep(1)
    with open(f"/proc/{tunnel.process.pid}/stat") as stat:
        assert sum(map(int, stat.read().split()[13:15])) - used < 20, "it must not spin"
    for client in clients:
        client.close()
    assert eventually(lambda: tunnel.get(WEB).status == 200)
    assert tunnel.log().count("raise the limit on open files") < 20
