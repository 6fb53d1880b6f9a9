"""Faults during a load of 200 requests a second, and their effect on clients.

Each test prints its figures; the limits are those of docs/decisions. SPDX-License-Identifier: MIT
"""
import contextlib
import hashlib
import http.client
import os
import re
import socket
import subprocess
import threading
import time
from datetime import datetime, timezone

import pytest
from faults_load import Load, SlowReader, anonymous_memory, beside, kept, side_by_side
from faults_network import FarNetwork
from faults_seen import Seen
from faults_soak import api_server_dies, descriptors, reasons, soak, unexplained, whole_again
from http_client import Client, request
from tunnel_process import clean_environment, eventually, free_ports

BEFORE = 2  # seconds of load before and after the fault
AFTER = 3

# Levels of rights: watching, and the role of the first README, which may wait 3 s more.
PATIENCE = {"watcher": 0, "original": 3}
users = pytest.mark.parametrize("user", PATIENCE)


@pytest.fixture(autouse=True)
def whole_cluster(cluster):
    yield
    whole_again(cluster)


@pytest.fixture
def print_figures(capsys, request):
    """print_figures(figures): on the terminal, whatever pytest captures."""
    def print_it(*words):
        with capsys.disabled():
            print(f"\n  {request.node.name}:", *words, end="", flush=True)
    return print_it


@contextlib.contextmanager
def load_around(tunnel, **options):
    """Load before, during and after the block."""
    with Load(tunnel.port, **options) as load:
        time.sleep(BEFORE)
        yield load
        time.sleep(AFTER)


def roll(cluster):
    """Replaces all pods one by one, as `kubectl rollout restart` does."""
    cluster.kubectl("rollout", "restart", "deployment/web", "-n", "shop")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "shop", "--timeout=60s")
    cluster.wait_for_pods("app=web", 2)


class FreshForward:
    """Measures until when a new kubectl port-forward works, which is the cluster's own outage."""

    def __init__(self, cluster):
        self.command = ["kubectl", "--kubeconfig", cluster.config(), "port-forward", "-n", "shop",
                        "deployment/web", ":8080"]
        self.began = time.monotonic()
        self.seconds = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while time.monotonic() < self.began + 60:
            if self.works():
                self.seconds = time.monotonic() - self.began
                return
            time.sleep(0.05)

    def works(self):
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, env=clean_environment()) as forward:
            try:
                port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
                return port is not None and self.answers(int(port.group(1)))
            finally:
                forward.kill()

    @staticmethod
    def answers(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait(self):
        self.thread.join(70)
        assert self.seconds, "no port-forward works any more"
        return self.seconds


@users
def test_a_rolling_restart_fails_no_request(start_tunnel, cluster, print_figures, user):
    tunnel = start_tunnel(user=user)

    def once():
        with load_around(tunnel) as load:
            roll(cluster)
        figures = load.figures()
        print_figures(figures)
        assert not figures.lost, figures.errors()
        return [(figures.p99, 1.5 + PATIENCE[user], "p99 of the waits, s"),
                (figures.longest, 3 + PATIENCE[user], "longest wait, s")]
    kept(once)


@users
def test_deleting_both_pods_at_once_fails_no_request(start_tunnel, cluster, print_figures, user):
    tunnel = start_tunnel(user=user)

    def once():
        old = cluster.pods("app=web")
        with load_around(tunnel) as load:
            began = time.monotonic()
            cluster.kubectl("delete", "pod", "-n", "shop", "--grace-period=1", "--wait=false", *old)
            cluster.kubectl("wait", "-n", "shop", "--for=condition=Available", "deployment/web",
                            "--timeout=5s", check=False)  # may still be true of the old ones
            while not cluster.pods("app=web") - old:
                time.sleep(0.05)
            outage = time.monotonic() - began
            cluster.wait_for_pods("app=web", 2)
        figures = load.figures()
        print_figures(f"one is ready after {outage:.2f} s;", figures)
        assert not figures.lost, figures.errors()
        return [(figures.longest, outage + 1 + PATIENCE[user], "longest wait, s")]
    kept(once)


def kill(cluster, component):
    if component == "apiserver":
        api_server_dies(cluster)
    else:
        cluster.restart(component)


@users
@pytest.mark.parametrize("component", ["apiserver", "kubelet", "containerd"])
def test_requests_survive_the_kill_of_a_component(start_tunnel, cluster, print_figures, component, user):
    tunnel = start_tunnel(user=user)

    def once():
        whole_again(cluster)
        with load_around(tunnel) as load:
            kill(cluster, component)
            outage = FreshForward(cluster).wait()
        figures = load.figures()
        print_figures(f"a fresh port-forward works after {outage:.2f} s;", figures)
        assert not figures.lost, figures.errors()
        return [(figures.longest, outage + 1 + PATIENCE[user], "longest wait, s")]
    kept(once)


@users
def test_no_post_runs_twice_in_a_rolling_restart(start_tunnel, cluster, print_figures, user):
    """A POST that may have been delivered is not retried; a failed one gets a 502."""
    tunnel = start_tunnel(user=user)
    with Seen(cluster) as seen:
        with load_around(tunnel, method="POST", path="/seen") as load:
            roll(cluster)
    figures, counts = load.figures(), seen.counts
    print_figures(figures)
    assert counts, "the pods of this cluster do not know /seen: cluster down, cluster up"
    repeated = [r for r in figures.requests if counts[r.number] > 1]
    never = [r for r in figures.requests if not r.lost and counts[r.number] == 0]
    unanswered = [r for r in figures.lost if r.status != 502]
    assert not repeated and not never and not unanswered, [(len(x), x[:5]) for x in (repeated, never, unanswered)]


# neighbours


class Raw:
    """A connection through an exposed port, with a thread that uses it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.error = None
        self.rounds = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.over.is_set():
                self.talk()
                self.rounds += 1
        except OSError as error:
            self.error = error

    def stop(self):
        self.over.set()
        self.thread.join(10)
        self.socket.close()


class Echo(Raw):
    """Sends bytes to the echo port, and checks what comes back."""

    def talk(self):
        word = os.urandom(1024)
        self.socket.sendall(word)
        back = b""
        while len(back) < len(word):
            chunk = self.socket.recv(65536)
            if not chunk:
                raise OSError("the other side closed")
            back += chunk
        if back != word:
            raise OSError("the echo differs from what was sent")
        time.sleep(0.01)


class Upload(Raw):
    """Sends as long as the pod accepts bytes."""

    def __init__(self, port):
        self.sent = 0
        self.pause = 0
        super().__init__(port)

    def talk(self):
        time.sleep(self.pause)
        self.socket.settimeout(0.5)
        try:
            self.sent += self.socket.send(bytes(65536))
        except socket.timeout:
            pass


class Download:
    """One GET of many bytes, in the background."""

    def __init__(self, port, n, host="web.shop.svc.cluster.local"):
        self.port, self.n, self.host = port, n, host
        self.got, self.right = 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/bytes?n={self.n}", headers={"Host": self.host})
        answer, hashed = connection.getresponse(), hashlib.sha256()
        while chunk := answer.read(1 << 18):
            hashed.update(chunk)
            self.got += len(chunk)
        self.right = hashed.digest() == counting(self.n)


def counting(n):
    """The hash of the response of /bytes."""
    hashed = hashlib.sha256()
    block = bytes(range(256)) * 4096
    for left in range(n, 0, -len(block)):
        hashed.update(block[:min(left, len(block))])
    return hashed.digest()


# A tunnel for each connection, or one for five of them.
SHARED = ("--tunnels-per-pod", "1", "--http-tunnels-per-pod", "1")
tunnels = pytest.mark.parametrize("flags", [(), SHARED], ids=["own", "shared"])


@tunnels
def test_a_refused_connection_does_not_disturb_others(start_tunnel, print_figures, flags):
    """During a download, long streams and long answers, another port of the same pods refuses."""
    echo_port, closed_port = free_ports(2)
    tunnel = start_tunnel(*flags, "--expose", f"web.shop:9000={echo_port}",
                          "--expose", f"raw.shop:9999={closed_port}")
    with Load(tunnel.port, method="POST", path="/seen", rate=50) as load:
        echoes = [Echo(echo_port) for _ in range(6)]
        download = Download(tunnel.port, 200 << 20)
        refused = 0
        for _ in range(10):
            refused += tunnel.get("closed.shop.svc").status == 502
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", closed_port)) as raw:
                raw.sendall(b"is anybody there?")
                raw.settimeout(5)
                assert raw.recv(100) == b""
            time.sleep(0.1)
        download.thread.join(60)
        for echo in echoes:
            echo.stop()
    figures = load.figures()
    print_figures(f"{refused} refused, {download.got >> 20} MB, {sum(e.rounds for e in echoes)} echoes; POST:", figures)
    assert refused == 10
    # It reads as fast as it can, and on a shared tunnel only clients below 1 MB/s are failed.
    assert download.right, (download.got, slow_clients(tunnel))
    assert slow_clients(tunnel) == 0
    assert not figures.lost, figures.errors()
    broken = [e.error for e in echoes if e.error]
    assert not broken and all(e.rounds > 10 for e in echoes), broken


@tunnels
def test_a_pod_that_never_reads_does_not_delay_others(start_tunnel, print_figures, flags):
    """20 uploads to it stop, and no other request does."""
    port, = free_ports(1)
    tunnel = start_tunnel(*flags, "--expose", f"raw.shop:9002={port}")

    def trouble():
        uploads = [Upload(port) for _ in range(20)]
        time.sleep(1)

        def end():
            for upload in uploads:
                upload.over.set()
            for upload in uploads:
                upload.stop()
            assert all(upload.sent > 0 for upload in uploads)
        return end

    beside(tunnel.port, print_figures, trouble, seconds=1)


def together(clients):
    """The statuses of one request on each of these connections, all at the same time."""
    for client in clients:
        client.send(request("web.shop.svc", "/slow?ms=300"))
    return [client.answer().status for client in clients]


def send_what_fits(sockets, seconds, piece):
    """Small pieces are frames of their own, of which the kubelet queues 50."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in sockets:
            with contextlib.suppress(BlockingIOError):
                one.send(bytes(piece))
        time.sleep(0.004)


@contextlib.contextmanager
def uploads_beside_idle_connections(start_tunnel):
    """Two uploads, clients whose connections to pods are idle, and their kube-tunnel."""
    port, = free_ports(1)
    tunnel = start_tunnel(*SHARED, "--prewarmed-tunnels", "0", "--expose", f"raw.shop:9002={port}")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(tunnel.port, 5)) for _ in range(8)]
        assert together(clients) == [200] * 8
        uploads = [stack.enter_context(Client(port)) for _ in range(2)]
        eventually(lambda: tunnel.log().count("from=lease to=talk") == 10)
        for upload in uploads:
            upload.socket.setblocking(False)
        yield uploads, clients, tunnel


def test_connections_that_an_unread_upload_has_blocked_are_not_used_again(start_tunnel):
    """It ends on a tunnel that also has idle connections; the kubelet reads nothing of that tunnel any more."""
    for _ in range(10):
        with uploads_beside_idle_connections(start_tunnel) as (uploads, clients, tunnel):
            if len(re.findall("connection on an open tunnel.*port=9002", tunnel.log())) != 2:
                continue  # one has got a tunnel that was empty
            send_what_fits([upload.socket for upload in uploads], 3, 1 << 16)
            send_what_fits([upload.socket for upload in uploads], 5, 200)
            for upload in uploads:
                upload.reset()
            for _ in range(3):
                assert together(clients) == [200] * 8
            return
    raise AssertionError("no two uploads joined tunnels with idle connections")


def slow_clients(tunnel):
    """How many slow readers were reset on shared tunnels. The log names each with its pod."""
    line = r"reads too slowly for a shared tunnel.* pod=shop/web-\S+ pair=\d+ kept=\d+"

    def named():
        count = len(re.findall(line, tunnel.log()))
        return (count,) if count == tunnel.total("kube_tunnel_slow_clients_total") else None
    return eventually(named)[0]


def slow_readers(tunnel, grown):
    """60 slow readers as the fault: the memory that they cost, in KB, is added to grown.

    Their responses are received before the others are measured: they fill all buffers of the cluster,
    which occupies its processors for a second.
    """
    before = anonymous_memory(tunnel.process)

    def trouble():
        readers = [SlowReader(tunnel.port) for _ in range(60)]
        for _ in range(2):
            ended = sum([r.sip() == 0 for r in readers])
            assert ended <= tunnel.total("kube_tunnel_slow_clients_total"), f"{ended} of 60 ended"
            time.sleep(0.5)
        grown.append(anonymous_memory(tunnel.process) - before)

        def end():
            grown.append(anonymous_memory(tunnel.process) - before)
            for reader in readers:
                reader.socket.close()
        return end

    return trouble


def test_slow_readers_do_not_delay_others(start_tunnel, print_figures):
    tunnel, grown = start_tunnel("--http-tunnels-per-pod", "60"), []

    def weigh():
        print_figures(f"60 slow readers: {max(grown) / 60:.0f} KB of RssAnon each")
        assert max(grown) <= 60 * 64 + 4096  # 4 MB are for the load beside them
        assert slow_clients(tunnel) == 0  # each has a tunnel

    beside(tunnel.port, print_figures, slow_readers(tunnel, grown), after=weigh)


def test_slow_readers_on_shared_tunnels_do_not_delay_others(start_tunnel, print_figures):
    """A reader that delays others for too long is reset, alone, and the log names it and the reason."""
    tunnel, grown = start_tunnel(*SHARED), []

    def weigh():
        print_figures(f"60 slow readers: {max(grown) / 1024:.0f} MB of RssAnon; {slow_clients(tunnel)} failed")
        assert slow_clients(tunnel) > 0
        assert max(grown) <= 96 * 1024

    beside(tunnel.port, print_figures, slow_readers(tunnel, grown), after=weigh)


# the network


@pytest.fixture
def far():
    with FarNetwork() as far:
        yield far


def found_dead(tunnel):
    """When the first tunnel was found dead, in seconds since the epoch."""
    line = re.search(r"^(\S+)Z .*tunnel closed.*nothing was received within ping-timeout", tunnel.log(), re.MULTILINE)
    return line and datetime.fromisoformat(line.group(1)).replace(tzinfo=timezone.utc).timestamp()


def test_a_black_hole_of_20_s_is_waited_out_or_answered_in_time(start_tunnel, cluster, far, print_figures,
                                                                tmp_path):
    """20 seconds of dropped packets: requests succeed later or get an error after --wait. None hangs."""
    config = far.kubeconfig(cluster, "watcher", tmp_path)
    patient, usual = start_tunnel("--wait", "30s", kubeconfig=config), start_tunnel(kubeconfig=config)
    port, = free_ports(1)
    full = start_tunnel("--expose", f"raw.shop:9001={port}", "--ping-interval", "1s", kubeconfig=config)
    upload = Upload(port)  # its transport is full when it is cut: no PING can be sent
    with Load(patient.port, rate=100) as patiently, Load(usual.port, rate=100) as usually:
        time.sleep(BEFORE)
        upload.pause = 0.05
        far.cut()
        cut = time.time()
        time.sleep(20)
        far.mend()
        mended = time.monotonic()
        time.sleep(AFTER)
    figures, shorter = patiently.figures(), usually.figures()
    found = [at and at - cut for at in map(found_dead, (patient, usual, full))]
    upload.stop()
    print_figures(f"found after {found} s; with --wait 30s:", figures,
                  f"; the last {max(r.ended for r in figures.requests) - mended:.1f} s after it was mended")
    print_figures("with the usual --wait:", shorter,
                  f"; errors after at most {max((r.wait for r in shorter.lost), default=0):.1f} s")
    assert not figures.lost, figures.errors()
    assert all(at and at <= 16 + 1 for at in found) and all(at <= 16 for at in found[:2])
    assert upload.error
    unanswered = [r for r in shorter.lost if r.status not in (503, 504)]
    assert not unanswered, (len(unanswered), unanswered[:10])
    longest = max(r.wait for r in shorter.requests)
    assert longest < 16 + 10 + 1, longest  # until it is found, and then --wait


# warm tunnels to what is no more


def burst(port, host, n=50):
    """n GETs at once, each on a connection of its own."""
    with Load(port, host=host, rate=n * 1000, clients=n, fresh=True, at_most=n) as load:
        while len(load.requests) < n:
            time.sleep(0.001)
    return load.figures()


def at_once(port, host, path, n):
    threads = [threading.Thread(target=one_get, args=(port, host, path)) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_get(port, host, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": host, "Connection": "close"})
    connection.getresponse().read()
    connection.close()


def replace_db(cluster):
    """Replaces db-0 by another pod of the same name."""
    uid = ("get", "pod", "db-0", "-n", "shop", "-o", "jsonpath={.metadata.uid}")
    old = cluster.kubectl(*uid)
    cluster.kubectl("delete", "pod", "db-0", "-n", "shop", "--grace-period=1")
    eventually(lambda: cluster.kubectl(*uid, check=False) not in ("", old), 30)
    cluster.kubectl("wait", "-n", "shop", "--for=condition=Ready", "pod/db-0", "--timeout=30s")


def test_a_warm_pool_of_a_replaced_pod_fails_no_request(start_tunnel, cluster, print_figures):
    host = "db-0.db.shop.svc.cluster.local"
    tunnel = start_tunnel("--http-tunnels-per-pod", "20")

    def measure():
        at_once(tunnel.port, host, "/slow?ms=1000", 20)
        time.sleep(1)
        calm = burst(tunnel.port, host)
        replace_db(cluster)
        time.sleep(2)
        figures = burst(tunnel.port, host)
        print_figures(f"undisturbed longest {calm.longest:.3f} s;", figures)
        assert not calm.lost, calm.errors()
        assert not figures.lost, figures.errors()
        return [(figures.longest, calm.longest + 0.1, "longest of 50 GETs at once, s")]

    kept(measure)


def test_a_soak_with_random_faults_keeps_its_limits(start_tunnel, cluster, print_figures):
    """Random faults; script/soak [SECONDS [SEED]] runs this for longer."""
    seconds = int(os.environ.get("SOAK_SECONDS", "120"))
    seed = int(os.environ.get("SOAK_SEED") or time.time())
    # Memory is given back 20 s after a burst; a short soak allows for pages that are only partly free.
    rest, growth_kb = (65, 1024) if seconds > 300 else (30, 4 * 1024)
    stuck_port, = free_ports(1)
    tunnel = start_tunnel("--expose", f"raw.shop:9002={stuck_port}", "--log-level", "info",
                          "--idle-timeout", "3s", "--idle-check", "1s")

    def at_rest():
        eventually(lambda: tunnel.total("kube_tunnel_tunnels") == 0, 60)
        least, until = anonymous_memory(tunnel.process), time.monotonic() + rest
        while time.monotonic() < until:
            time.sleep(1)
            least = min(least, anonymous_memory(tunnel.process))
        return least, descriptors(tunnel.process)

    print_figures(f"seed {seed}, {seconds} s")
    done, gets, posts, first, last = soak(cluster, tunnel, stuck_port, seconds, seed, at_rest)
    print_figures(f"{len(done)} faults: {', '.join(done)}")
    print_figures("GET:", gets)
    print_figures("POST:", posts)
    for why, n in reasons(gets.lost + posts.lost):
        print_figures(f"lost: {n} by {why}")
    print_figures(f"RssAnon {first[0]} KB at first, {last[0]} at last; descriptors {first[1]}, {last[1]}")
    log = tunnel.log()
    silent = unexplained(gets, log) + unexplained(posts, log)
    assert not silent, silent[:20]
    assert not gets.lost, gets.errors()
    assert last[0] <= first[0] + growth_kb, "KB of RssAnon"
    assert last[1] <= first[1]
