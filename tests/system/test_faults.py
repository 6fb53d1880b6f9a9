"""Crowds: thousands of clients that read slowly, or not at all. Each test prints its figures.

What breaks in a cluster is tried in tests/kubernetes/test_faults.py; this is what only the
playground can bear. SPDX-License-Identifier: MIT
"""
import contextlib
import json
import re
import resource
import selectors
import socket
import subprocess
import sys
import time

import pytest
from conftest import SANITIZED
from faults_load import Load, SlowReader, anonymous_memory, beside
from http_client import Client, request
from tunnel_process import eventually, free_ports

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers change what is measured")

CROWD = 10_000
PODS = 10


@pytest.fixture
def print_figures(capsys, request):
    """print_figures(figures): on the terminal, whatever pytest captures."""
    def print_it(*words):
        with capsys.disabled():
            print(f"\n  {request.node.name}:", *words, end="", flush=True)
    return print_it


@pytest.fixture
def many_files():
    """A crowd of sockets here, and as many again in kube-tunnel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CROWD + 5000:
        pytest.skip(f"RLIMIT_NOFILE is {hard}: too few for {CROWD} clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def quiet(*processes):
    """Waits until all that can be buffered is."""
    def ticks():
        return sum(sum(map(int, open(f"/proc/{p.pid}/stat").read().rpartition(")")[2].split()[11:13]))
                   for p in processes)

    def still():
        before = ticks()
        time.sleep(0.5)
        return ticks() - before < 10
    eventually(still, 60)


def test_a_thousand_slow_readers_do_not_delay_others(start_playground, start_tunnel, many_files,
                                                     print_figures):
    """Each requests 100 MB and reads slowly; on own tunnels no other client notices, and memory stays small."""
    host = "many.many.svc.cluster.local"
    playground = start_playground("--pods", str(PODS))
    # Not all pods get the same share of them: that many are enough for each to be alone.
    tunnel = start_tunnel("--http-tunnels-per-pod", "256", "--log-level", "info",
                          kubeconfig=playground.kubeconfig)
    before, readers = anonymous_memory(tunnel.process), []

    def trouble():
        if not readers:
            readers.extend(SlowReader(tunnel.port, host) for _ in range(1000))
            quiet(tunnel.process, playground.process)
        for reader in readers:
            assert reader.sip() > 0
        return lambda: None

    def weigh():
        grown = anonymous_memory(tunnel.process) - before
        print_figures(f"{grown / 1000:.0f} KB of RssAnon each, {(before + grown) / 1024:.0f} MB in all")
        assert tunnel.total("kube_tunnel_tunnels") >= 1000  # none is shared
        assert grown <= 1000 * 64
        assert before + grown <= 96 * 1024

    beside(tunnel.port, print_figures, trouble, rounds=1, after=weigh)
    for reader in readers:
        reader.socket.close()


def test_slow_readers_on_shared_tunnels_do_not_delay_others(start_playground, start_tunnel, print_figures):
    """Those that keep others waiting are failed and named, with the reason; the others go on."""
    playground = start_playground("--pods", "1")
    tunnel = start_tunnel("--http-tunnels-per-pod", "1", "--log-level", "info",
                          kubeconfig=playground.kubeconfig)
    host = "many.many.svc.cluster.local"
    with contextlib.ExitStack() as open_until_the_end:
        def client():
            return open_until_the_end.enter_context(Client(tunnel.port, 30))

        with Load(tunnel.port, host=host) as load:
            waiting = [client() for _ in range(8)]
            for one in waiting:
                one.send(request(host, "/slow?ms=5000"))
            time.sleep(1)
            readers = [SlowReader(tunnel.port, host) for _ in range(10)]
            eventually(lambda: tunnel.total("kube_tunnel_slow_clients_total") >= 1, 30)
            assert all(one.answer().status == 200 for one in waiting)
        for reader in readers:
            reader.socket.close()
    failed = re.findall(r"a client reads too slowly for a shared tunnel.* pod=many/many-0 pair=(\d+) kept=(\d+)",
                        tunnel.log())
    print_figures(f"{len(failed)} of {len(readers)} failed; the others:", load.figures())
    assert len(failed) == tunnel.total("kube_tunnel_slow_clients_total")
    assert all(int(kept) >= 65536 for _, kept in failed)
    assert not load.figures().lost, load.figures().errors()


def test_uploads_that_no_pod_reads_hold_little_memory(start_playground, start_tunnel, many_files,
                                                      print_figures):
    """On tunnels of their own they hold what was read for a fast pod, and no more."""
    port, = free_ports(1)
    playground = start_playground()
    tunnel = start_tunnel("--tunnels-per-pod", "256", "--expose", f"raw.shop:9002={port}",
                          "--log-level", "info", kubeconfig=playground.kubeconfig)
    before, uploads = anonymous_memory(tunnel.process), []
    for _ in range(200):
        uploads.append(socket.create_connection(("127.0.0.1", port), 10))
        uploads[-1].setblocking(False)

    def full():
        sent = 0
        for upload in uploads:
            with contextlib.suppress(BlockingIOError):
                sent += upload.send(bytes(1 << 16))
        time.sleep(0.2)
        return sent == 0
    eventually(full, 60, pause=0)
    quiet(tunnel.process, playground.process)
    grown = anonymous_memory(tunnel.process) - before
    print_figures(f"{grown / len(uploads):.0f} KB of RssAnon each")
    assert tunnel.total("kube_tunnel_tunnels") >= len(uploads)
    for upload in uploads:
        upload.close()
    assert grown <= len(uploads) * 128


def test_an_upload_may_wait_for_its_pod(start_tunnel):
    """However long that takes: the API server is there, and so is the pod."""
    port, = free_ports(1)
    tunnel = start_tunnel("--expose", f"raw.shop:9002={port}", "--ping-timeout", "5s", "--ping-interval", "1s")
    with socket.create_connection(("127.0.0.1", port), 10) as upload:
        upload.settimeout(1)
        for _ in range(32):  # the old limit was 30 s
            try:
                while True:
                    upload.send(bytes(1 << 16))
            except socket.timeout:
                continue
            except ConnectionError as e:
                raise AssertionError(f"{e}\n{tunnel.tail()}") from None
        assert "nothing was received within ping-timeout" not in tunnel.log()
        assert tunnel.total("kube_tunnel_tunnels") == 1


class Crowd:
    """Many connections to one port, with the same request on all at once."""

    def __init__(self, port, n):
        self.sockets = []
        for _ in range(n):
            self.sockets.append(socket.create_connection(("127.0.0.1", port), 10))

    def ask(self, question, complete, at_once=200):
        """How many answered; complete(bytes) tests whether one has."""
        served = 0
        for at in range(0, len(self.sockets), at_once):
            served += self.ask_some(self.sockets[at:at + at_once], question, complete)
        return served

    @staticmethod
    def ask_some(sockets, question, complete):
        answers = dict.fromkeys(sockets, b"")
        served = 0
        with selectors.DefaultSelector() as selector:
            for s in sockets:
                s.sendall(question)
                selector.register(s, selectors.EVENT_READ)
            while selector.get_map() and (ready := selector.select(10)):
                for key, _ in ready:
                    chunk = key.fileobj.recv(4096)
                    answers[key.fileobj] += chunk
                    if not chunk or complete(answers[key.fileobj]):
                        served += bool(chunk)
                        selector.unregister(key.fileobj)
        return served

    def close(self):
        for s in self.sockets:
            s.close()


def settled(process):
    """RssAnon when it has stopped moving."""
    seen = [0]

    def still():
        seen.append(anonymous_memory(process))
        return abs(seen[-1] - seen[-2]) < 64
    eventually(still, 20, pause=1)
    return seen[-1]


def test_ten_thousand_idle_http_clients_take_little_memory(start_playground, start_tunnel,
                                                           many_files, print_figures):
    playground = start_playground()
    tunnel = start_tunnel("--max-connections", "12000", "--client-idle-timeout", "10m",
                          "--log-level", "info", kubeconfig=playground.kubeconfig)
    before = settled(tunnel.process)
    crowd = Crowd(tunnel.port, CROWD)
    idle = settled(tunnel.process) - before
    served = crowd.ask(b"GET / HTTP/1.1\r\nHost: web.shop.svc.cluster.local\r\n\r\n",
                       lambda answer: answer.startswith(b"HTTP/1.1 200") and b"\r\n\r\n" in answer)
    used = settled(tunnel.process) - before
    crowd.close()
    print_figures(f"{idle / CROWD:.1f} KB of RssAnon each, {used / CROWD:.1f} when all were used; "
                  f"{CROWD - served} of {CROWD} lost")
    assert served == CROWD
    assert idle <= 8 * CROWD and used <= 8 * CROWD


# The pods' side: a process of its own, because its sockets count too.
ECHO_SERVER = """
import selectors, socket
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(listener.getsockname()[1], flush=True)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
        elif word := key.fileobj.recv(4096):
            key.fileobj.sendall(word)
        else:
            selector.unregister(key.fileobj)
            key.fileobj.close()
"""
ECHO = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": "many"},
        "spec": {"selector": {"app": "many"}, "ports": [{"port": 9000, "targetPort": 9000}]}}


@pytest.fixture
def echo_server(many_files):
    with subprocess.Popen([sys.executable, "-c", ECHO_SERVER], stdout=subprocess.PIPE, text=True) as server:
        yield int(server.stdout.readline())
        server.kill()


def test_ten_thousand_idle_raw_connections_take_little_memory(start_playground, start_tunnel,
                                                              echo_server, print_figures, tmp_path):
    (tmp_path / "echo.json").write_text(json.dumps(ECHO))
    port, = free_ports(1)
    playground = start_playground("--pods", str(PODS), "--manifest", tmp_path / "echo.json",
                                  "--backend", f"many:9000=127.0.0.1:{echo_server}")
    tunnel = start_tunnel("--max-connections", "12000", "--expose", f"echo.many:9000={port}",
                          "--log-level", "info", kubeconfig=playground.kubeconfig)
    before = settled(tunnel.process)
    crowd = Crowd(port, CROWD)
    eventually(lambda: tunnel.total("kube_tunnel_connections_total") >= CROWD, 120, pause=1)
    idle = settled(tunnel.process) - before
    served = crowd.ask(b"hello", lambda answer: answer == b"hello")
    crowd.close()
    print_figures(f"{idle / CROWD:.1f} KB of RssAnon each; {CROWD - served} of {CROWD} lost")
    assert served == CROWD
    assert idle <= 16 * CROWD
