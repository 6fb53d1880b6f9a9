"""A kube-tunnel that was stopped and goes on: Ctrl-Z and fg, a debugger, a machine that was frozen.

SPDX-License-Identifier: MIT
"""
import signal
import time

from http_client import Client, request
from tunnel_process import free_ports

WEB = "web.shop.svc.cluster.local"
SIZE = 64 << 20
FRAME = b"\x81\x85\0\0\0\0hello"  # masked with zeros, as good as any
UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]


class Raw:
    """Nothing happens on it while the process is stopped."""

    def __init__(self, tunnel):
        self.client = Client(tunnel.raw_port, seconds=20)
        self.ask()

    def ask(self):
        self.client.send(request("web", "/headers"))
        assert self.client.answer().status == 200

    def go_on(self):
        self.ask()


class Events:
    """They come all the time, and none is missing."""

    def __init__(self, tunnel):
        self.client = Client(tunnel.port, seconds=20)
        self.client.send(request(tunnel.events_host))
        assert b"200" in self.client.head()
        self.next, self.began = 0, time.monotonic()
        self.read(1)

    def read(self, n):
        for _ in range(n):
            assert self.client.take_until(b"\n\n") == b"data: %d\n\n" % self.next
            self.next += 1

    def go_on(self):
        """All that came meanwhile, and some more."""
        sent = 5 * (time.monotonic() - self.began)
        while self.next < sent + 10:
            self.read(1)


class WebSocket:
    def __init__(self, tunnel):
        self.client = Client(tunnel.port, seconds=20)
        self.client.send(request(WEB, "/ws", fields=UPGRADE))
        assert b"101" in self.client.head()
        self.echo()

    def echo(self):
        self.client.send(FRAME)
        assert self.client.take(7) == b"\x81\x05hello"

    def go_on(self):
        self.echo()


class Download:
    """Its client has not read all that came, and reads the rest afterwards."""

    def __init__(self, tunnel):
        self.client = Client(tunnel.port, seconds=20)
        self.client.send(request(WEB, f"/bytes?n={SIZE}"))
        assert b"200" in self.client.head()
        self.client.take(1 << 20)

    def go_on(self):
        self.client.take(SIZE - (1 << 20))


def send_events(connection):
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for number in range(1000):
        connection.send(f"data: {number}\n\n")
        time.sleep(0.2)  # five in a second, or a little fewer


def start(start_tunnel, transport, pod):
    port, = free_ports(1)
    tunnel = start_tunnel("--transport", transport, "--expose", f"web.shop:80={port}")
    tunnel.raw_port = port
    tunnel.events_host = pod.host
    return tunnel


def test_connections_outlive_a_stop_of_20_and_of_60_seconds(start_tunnel, pod):
    """All at once, so that it takes a minute and not eight."""
    pod.plays(send_events)
    began = time.monotonic()
    stopped = []
    for seconds in (20, 60):
        for transport in ("spdy", "websocket"):
            tunnel = start(start_tunnel, transport, pod)
            talks = [kind(tunnel) for kind in (Raw, Events, WebSocket, Download)]
            tunnel.process.send_signal(signal.SIGSTOP)
            stopped.append((began + seconds, transport, tunnel, talks))
    lost = []
    for until, transport, tunnel, talks in stopped:
        time.sleep(max(0, until - time.monotonic()))  # what this is about
        tunnel.process.send_signal(signal.SIGCONT)
        for talk in talks:
            try:
                talk.go_on()
            except (OSError, EOFError, AssertionError) as e:
                lost.append(f"{type(talk).__name__} in {transport} after {until - began:.0f} s: {e!r}")
    assert not lost, "\n".join(lost)
    for _, _, tunnel, _ in stopped:
        tunnel.wait_for_log(r"INFO .*checking every tunnel reason=\"the process was stopped\"")
