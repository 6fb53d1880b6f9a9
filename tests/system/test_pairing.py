"""Schemes that authenticate a connection (NTLM, Negotiate): each client keeps its own to the pod.

SPDX-License-Identifier: MIT
"""
import re

import pytest

from http_client import Client
from tunnel_process import eventually


class Server:
    """A pod that knows its user by the connection, as IIS does."""

    def __init__(self, pod, scheme="NTLM"):
        self.pod, self.scheme = pod, scheme
        self.host = pod.host
        self.connections = 0
        self.ended = 0
        pod.plays(self.serve)

    def serve(self, connection):
        self.connections += 1
        user = asked = None
        head = connection.head
        while True:
            said = re.search(rb"(?im)^Authorization: +\S+ (\w+)-(\w+)\r$", head)
            step, name = (part.decode() for part in said.groups()) if said else (None, None)
            if step == "hello":
                user, asked = None, name
            elif step == "proof":
                user = name if asked == name else None
            body = user or "nobody"
            challenge = "" if user else f"WWW-Authenticate: Basic realm=\"x\", {self.scheme} x\r\n"
            status = "200 OK" if user or b"/public" in head else "401 Unauthorized"
            connection.send(f"HTTP/1.1 {status}\r\n{challenge}Content-Length: {len(body)}\r\n\r\n{body}")
            try:
                head = connection.take_until(b"\r\n\r\n")
            except (EOFError, OSError):
                self.ended += 1
                return

    def ask(self, client, authorization=None, path="/"):
        extra = f"Authorization: {authorization}\r\n" if authorization else ""
        return client.ask(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n{extra}\r\n")

    def log_in(self, client, name):
        assert self.ask(client).status == 401
        assert self.ask(client, f"{self.scheme} hello-{name}").status == 401
        answer = self.ask(client, f"{self.scheme} proof-{name}")
        assert (answer.status, answer.text) == (200, name)


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate", "negotiate", "Kerberos"])
def test_an_authenticated_connection_serves_its_own_client_only(tunnel, pod, scheme):
    server = Server(pod, scheme)
    with Client(tunnel.port) as alice, Client(tunnel.port) as bob:
        server.log_in(alice, "alice")
        assert server.ask(bob).status == 401
        server.log_in(bob, "bob")
        for _ in range(3):
            assert server.ask(alice).text == "alice"
            assert server.ask(bob).text == "bob"
    with Client(tunnel.port) as other:
        assert server.ask(other).status == 401


def test_the_handshake_uses_one_connection(tunnel, pod):
    server = Server(pod)
    with Client(tunnel.port) as alice:
        server.log_in(alice, "alice")
        assert server.ask(alice).text == "alice"
        assert server.connections == 1


def test_a_paired_connection_ends_with_its_client(tunnel, pod):
    server = Server(pod)
    with Client(tunnel.port) as alice:
        server.log_in(alice, "alice")
        assert server.ended == 0
    eventually(lambda: server.ended == server.connections == 1)


def test_credentials_without_a_challenge_pair_as_well(tunnel, pod):
    server = Server(pod)
    with Client(tunnel.port) as alice, Client(tunnel.port) as bob:
        server.ask(alice, "NTLM hello-alice", "/public")
        assert server.ask(alice, "NTLM proof-alice", "/public").text == "alice"
        assert server.ask(bob, path="/public").text == "nobody"


def test_a_connection_with_basic_credentials_serves_every_client(tunnel, pod):
    def script(connection):
        while True:
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            try:
                connection.take_until(b"\r\n\r\n")
            except (EOFError, OSError):
                return
    pod.plays(script)
    for _ in range(2):
        with Client(tunnel.port) as client:
            client.ask(f"GET / HTTP/1.1\r\nHost: {pod.host}\r\nAuthorization: Basic YTpi\r\n\r\n")
    assert len(pod.heads) == 1, "one connection for both"


def test_the_credentials_are_not_logged(tunnel, pod):
    server = Server(pod)
    with Client(tunnel.port) as alice:
        server.log_in(alice, "secretname")
    assert "secretname" not in tunnel.log()
