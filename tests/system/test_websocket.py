"""WebSockets, and whatever else a connection is upgraded to: bytes both ways, and how they end.

SPDX-License-Identifier: MIT
"""
import asyncio
import os
import socket
import time

import pytest
import websockets

from http_client import Client, request
from tunnel_process import eventually

WEB = "web.shop.svc.cluster.local"
MB = 1 << 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]


def talk(tunnel, conversation):
    """What the conversation returns. The end does not wait for the far end to close, which takes a second."""
    async def run():
        async with websockets.connect("ws://web.shop.localhost/ws", host="127.0.0.1", port=tunnel.port,
                                      max_size=None, close_timeout=0.05) as ws:
            return await asyncio.wait_for(conversation(ws), 20)
    return asyncio.run(run())


@pytest.mark.parametrize("message", ["", "hello", "\u2603" * 1000, b"", bytes(range(256)), b"x" * 125, b"x" * 126,
                                     b"x" * 65535, b"x" * 65536, os.urandom(MB), "y" * MB],
                         ids=lambda m: f"{type(m).__name__}-{len(m)}")
def test_messages_are_echoed(tunnel, message):
    async def conversation(ws):
        await ws.send(message)
        return await ws.recv()
    assert talk(tunnel, conversation) == message


def test_many_messages_are_carried_at_once(tunnel):
    async def conversation(ws):
        messages = [os.urandom(i * 37 % 5000) for i in range(300)]
        sending = asyncio.ensure_future(send_all(ws, messages))
        received = [await ws.recv() for _ in messages]
        await sending
        return received == messages

    async def send_all(ws, messages):
        for message in messages:
            await ws.send(message)
    assert talk(tunnel, conversation)


def test_a_fragmented_message_arrives_in_fragments(tunnel):
    async def conversation(ws):
        await ws.send(["one ", "two ", "three"])
        return await ws.recv()
    assert talk(tunnel, conversation) == "one two three"


def test_pings_are_answered_by_the_pod(tunnel):
    async def conversation(ws):
        await (await ws.ping(b"are you there"))
        return True
    assert talk(tunnel, conversation)


@pytest.mark.parametrize("code, reason", [(1000, ""), (1001, "going"), (3000, "mine"), (4999, "r" * 123)])
def test_close_codes_pass_both_ways(tunnel, code, reason):
    async def conversation(ws):
        await ws.close(code, reason)
        return ws.close_code, ws.close_reason
    assert talk(tunnel, conversation) == (code, reason)


def test_the_handshake_is_answered_by_the_pod(client):
    client.send(request(WEB, "/ws", fields=UPGRADE))
    answer = client.answer()
    assert answer.line == "HTTP/1.1 101 Switching Protocols"
    assert sorted(answer.fields) == ["Connection: Upgrade", f"Sec-WebSocket-Accept: {ACCEPT}", "Upgrade: websocket"]


def test_the_pod_gets_the_handshake_as_it_was_sent(client, pod):
    pod.answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    fields = ["X-A: 1", *UPGRADE, "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate"]
    assert client.ask(request(pod.host, "/ws", fields=fields)).status == 403
    head, = pod.heads
    assert sorted(head.split(b"\r\n")) == sorted(request(pod.host, "/ws", fields=fields).split(b"\r\n"))


def test_a_refused_upgrade_is_an_answer_like_any_other(client):
    """The connection goes on."""
    fields = [f for f in UPGRADE if "Key" not in f]
    assert client.ask(request(WEB, "/ws", fields=fields)).status == 400
    assert client.ask(request(WEB, "/after")).status == 200


def test_bytes_sent_before_the_switch_are_not_lost(client, pod):
    """And those that the pod sends in one write with its 101."""
    def script(connection):
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\nearly ")
        connection.send(connection.take(6).upper())
    pod.plays(script)
    client.send(request(pod.host, fields=["Connection: Upgrade", "Upgrade: mine"]) + b"hasty!")
    assert client.answer().status == 101
    assert client.take(12) == b"early HASTY!"


def test_any_protocol_may_follow_an_upgrade(client, pod):
    def script(connection):
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n")
        while True:
            connection.send(connection.take(1))
    pod.plays(script)
    client.send(request(pod.host, fields=["Connection: Upgrade", "Upgrade: mine"]))
    assert client.answer().status == 101
    for piece in (b"\0", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100):
        client.send(piece)
        assert client.take(len(piece)) == piece


def test_the_end_of_the_pod_is_passed_to_the_client(client, pod):
    pod.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\nbye")
    client.send(request(pod.host, fields=["Connection: Upgrade", "Upgrade: mine"]))
    assert client.answer().status == 101
    assert client.rest() == b"bye"


@pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["FIN", "RST"])
def test_the_end_of_the_client_is_passed_to_the_pod(tunnel, pod, leave):
    def script(connection):
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n")
        pod.tell("switched")
        connection.wait_for_end()
        pod.tell("ended")
    pod.plays(script)
    client = Client(tunnel.port)
    client.send(request(pod.host, fields=["Connection: Upgrade", "Upgrade: mine"]))
    assert client.answer().status == 101 and pod.told() == "switched"
    leave(client)
    assert pod.told(5) == "ended"


def test_a_silent_websocket_stays_open(start_tunnel):
    """Neither idle clients nor idle tunnels are meant, and the clocks are for heads."""
    tunnel = start_tunnel("--idle-timeout", "200ms", "--idle-check", "50ms", "--client-idle-timeout", "200ms",
                          "--head-timeout", "200ms", "--response-timeout", "200ms")

    async def conversation(ws):
        await asyncio.sleep(1)  # what this is about
        await ws.send("still there?")
        return await ws.recv()
    assert talk(tunnel, conversation) == "still there?"


def test_sigterm_ends_a_websocket_after_the_drain_time(start_tunnel):
    tunnel = start_tunnel("--drain-timeout", "1s")

    async def conversation(ws):
        tunnel.terminate()
        await asyncio.sleep(0.3)
        await ws.send("still there?")
        assert await ws.recv() == "still there?"
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
    began = time.monotonic()
    talk(tunnel, conversation)
    assert time.monotonic() - began < 5
    assert tunnel.process.wait(5) == 0


def test_a_websocket_is_counted_and_logged(start_tunnel):
    tunnel = start_tunnel()

    async def conversation(ws):
        await ws.send("x" * 1000)
        await ws.recv()
    talk(tunnel, conversation)
    line = tunnel.wait_for_log(r"request method=GET host=web.shop.localhost path=/ws status=101 in=(\d+) out=(\d+)")
    assert 1000 < int(line.group(1)) < 1100 and 1000 < int(line.group(2)) < 1100
    assert tunnel.metrics()['kube_tunnel_requests_total{code="1xx"}'] == 1
    eventually(lambda: tunnel.total("kube_tunnel_sessions") == 1)


def test_slow_readers_of_a_websocket_are_not_reset(tunnel):
    """Neither side may run ahead by more than what fits on the way."""
    with Client(tunnel.port, 2, receive_buffer=4096) as client:
        client.send(request(WEB, "/ws", fields=UPGRADE))
        assert client.answer().status == 101
        frame = b"\x82\xff" + (1 << 16).to_bytes(8, "big") + b"\0\0\0\0" + b"z" * (1 << 16)
        sent = 0
        client.socket.settimeout(0.5)
        with pytest.raises(socket.timeout):
            while sent < 2000:
                client.send(frame)
                sent += 1
        assert sent < 500
