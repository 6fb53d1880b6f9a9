"""Clients and pods of HTTP/2 that do what a test says, frame by frame, and nghttpd.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import shutil
import socket
import subprocess
import threading

import pytest

h2_connection = pytest.importorskip("h2.connection", reason="needs python3-h2")
import h2.config  # noqa: E402 - after the check above
import h2.events  # noqa: E402

from local_server import accept_each  # noqa: E402
from tunnel_process import eventually, free_ports  # noqa: E402

WEB = "web.shop.svc.cluster.local"
DECLARED = "declared.many.svc.cluster.local"
NGHTTPD = shutil.which("nghttpd", path="/usr/sbin:/usr/bin") or "nghttpd"


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


class H2Client:
    """A client that sends and receives frames one by one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.h2 = h2_connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False))
        self.h2.initiate_connection()
        self.flush()
        self.events = []

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def request(self, host=WEB, path="/", method="GET", body=None, end=True, fields=()):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":scheme", "http"), (":authority", host), (":path", path),
                                      *fields], end_stream=body is None and end)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def read(self, acknowledge=True):
        data = self.socket.recv(1 << 16)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if acknowledge and isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return True

    def wait(self, kind, stream=None, **options):
        """The next event of this kind, of this stream."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                    self.events.remove(event)
                    return event
            assert self.read(**options), f"the connection ended before {kind.__name__}"

    def answer(self, stream):
        head = dict(self.wait(h2.events.ResponseReceived, stream).headers)
        self.wait(h2.events.StreamEnded, stream)
        body = b"".join(e.data for e in self.events
                        if isinstance(e, h2.events.DataReceived) and e.stream_id == stream)
        return int(head[":status"]), head, body

    def close(self):
        self.socket.close()


def h2c_service(folder, protocol):
    """The manifest of a service h2c/many whose port declares this appProtocol."""
    path = folder / "h2c.json"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "declared", "namespace": "many"},
        "spec": {"selector": {"app": "many"},
                 "ports": [{"name": "main", "port": 80, "targetPort": 8080, "appProtocol": protocol}]}}))
    return path


class H2Pod:
    """A pod of HTTP/2: serve(h2c, stream, number of the connection) runs for each request, after its head or, if
    `whole`, after its end. Of one that is `lenient`, serve() judges requests beyond its settings."""

    def __init__(self, serve, whole=False, settings=(), lenient=False):
        self.lenient = lenient
        self.whole = whole
        self.takes_bodies = True
        self.settings = dict(settings)
        self.bodies = {}
        self.trailers = {}
        self.connections = 0
        self.requests = []
        self.serve = serve
        self.listener, self.port = accept_each(self.start)

    def start(self, accepted):
        self.connections += 1
        threading.Thread(target=self.connection, args=(accepted, self.connections), daemon=True).start()

    def connection(self, accepted, number):
        h2c = h2_connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        h2c.local_settings = h2.settings.Settings(client=False, initial_values=self.settings)
        h2c.initiate_connection()
        accepted.sendall(h2c.data_to_send())
        if self.lenient:
            h2c.local_settings = h2.settings.Settings(client=False)
        with contextlib.suppress(ConnectionError), accepted:  # its client may go at any time
            while (data := accepted.recv(1 << 16)) and self.read(h2c, data, number):
                accepted.sendall(h2c.data_to_send())

    def read(self, h2c, data, number):
        """False: this pod has ended the connection, after which h2 accepts no more frames."""
        if h2c.state_machine.state == h2_connection.ConnectionState.CLOSED:
            return False
        for event in h2c.receive_data(data):
            self.on_event(h2c, event, number)
        return True

    def on_event(self, h2c, event, number):
        if isinstance(event, h2.events.RequestReceived):
            self.requests.append((number, event.stream_id, dict(event.headers)))
            self.bodies[event.stream_id] = b""
            if not self.whole:
                self.serve(h2c, event.stream_id, number)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.takes_bodies:
                h2c.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[event.stream_id] = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded) and self.whole:
            self.serve(h2c, event.stream_id, number)

    def close(self):
        self.listener.close()


def answer_ok(h2c, stream):
    h2c.send_headers(stream, [(":status", "200")])
    h2c.send_data(stream, b"ok", end_stream=True)


@pytest.fixture
def h2_pod(start_playground, start_tunnel, tmp_path):
    """h2_pod(serve): a tunnel to pods of `declared` that are this H2Pod, and the H2Pod."""
    running = []

    def start(serve, *flags, protocol="h2c", **options):
        pod = H2Pod(serve, **options)
        running.append(pod)
        playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{pod.port}",
                                      "--manifest", h2c_service(tmp_path, protocol))
        return start_tunnel(*flags, kubeconfig=playground.kubeconfig), pod

    yield start
    for pod in running:
        pod.close()


@pytest.fixture
def nghttpd(tmp_path):
    """A server of HTTP/2 alone, for the pods of `many`."""
    (port,) = free_ports(1)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "hello").write_text("hello from nghttpd\n")
    (tmp_path / "www" / "big").write_bytes(bytes(range(256)) * 20000)
    server = subprocess.Popen([NGHTTPD, "--no-tls", "-d", tmp_path / "www", "--echo-upload", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: accepts(port))
    yield port
    server.terminate()
    server.wait()
