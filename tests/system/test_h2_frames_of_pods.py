"""What a pod of HTTP/2 may not send, and what it may: frame by frame, a row for each rule of RFC 9113.

A row has the section, the frames that the pod sends for a POST, what its client gets, and what the pod gets:

  client   N: an answer with that status, whole; cut: RST_STREAM
  pod      gone CODE: the connection ends with GOAWAY and that error code; reset CODE: the stream ends with RST_STREAM;
           lasts: neither

No POST is delivered twice, and the next one to this pod is answered. SPDX-License-Identifier: MIT
"""
import json
import queue
import threading

import pytest

from h2_frames import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
                       FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INTERNAL_ERROR, NO_ERROR, PADDED, PING,
                       PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                       WITH_PRIORITY, Frame, Frames, block, code_of, data, frame, goaway, headers, number, reset,
                       settings, window_update)
from local_server import accept_each
from test_h2_frames_of_clients import Client, literal

HOST = "declared.many.svc.cluster.local"
OPEN = END_HEADERS
MAX_FRAME = 16384
LASTS = ("lasts", None)


def gone(code):
    return ("gone", code)


def was_reset(code):
    return ("reset", code)


def head(s, *fields, flags=OPEN, status="200"):
    return headers(s, [(":status", status), *fields], flags)


def ok(s):
    return head(s) + data(s, b"ok")


def raw_head(s, payload, flags=END_STREAM | OPEN):
    return frame(HEADERS, flags, s, payload)


ROWS = [
    # section, what it is, frames for stream s, what the client gets, what the pod gets
    ("3.4", "a second SETTINGS", lambda s: settings((3, 10)) + ok(s), "200", LASTS),
    ("4.1", "a frame of an unknown type", lambda s: frame(0x42, 0xff, s, b"x") + ok(s), "200", LASTS),
    ("4.1", "undefined flags", lambda s: head(s) + frame(DATA, 0xf6 & ~PADDED | END_STREAM, s, b"ok"), "200", LASTS),
    ("4.2", "DATA of the largest size", lambda s: head(s) + data(s, b"x" * MAX_FRAME), "200", LASTS),
    ("4.2", "DATA larger than that", lambda s: head(s) + data(s, b"x" * (MAX_FRAME + 1)), "cut",
     gone(FRAME_SIZE_ERROR)),
    ("4.2", "HEADERS too large", lambda s: head(s, ("a", "x" * MAX_FRAME)), "502", gone(FRAME_SIZE_ERROR)),
    ("4.3", "a head of garbage", lambda s: raw_head(s, b"\xff" * 20), "502", gone(COMPRESSION_ERROR)),
    ("4.3", "a head cut in a field", lambda s: raw_head(s, block((":status", "200"), ("a", "b"))[:-1]), "502",
     gone(COMPRESSION_ERROR)),
    ("4.3", "index 0", lambda s: raw_head(s, b"\x88\x80"), "502", gone(COMPRESSION_ERROR)),
    ("4.3", "DATA inside a head", lambda s: head(s, flags=0) + data(s, b"x"), "502", gone(PROTOCOL_ERROR)),
    ("4.3", "PING inside a head", lambda s: head(s, flags=0) + frame(PING, 0, 0, bytes(8)), "502", gone(PROTOCOL_ERROR)),
    ("4.3", "an unknown frame inside a head", lambda s: head(s, flags=0) + frame(0x42, 0, s), "502",
     gone(PROTOCOL_ERROR)),
    ("4.3", "CONTINUATION of another stream", lambda s: head(s, flags=0) + frame(CONTINUATION, OPEN, s + 2), "502",
     gone(PROTOCOL_ERROR)),
    ("5.1", "DATA on an idle stream", lambda s: data(s + 2, b"x"), "502", gone(PROTOCOL_ERROR)),
    ("5.1", "HEADERS on an idle stream", lambda s: head(s + 2), "502", gone(PROTOCOL_ERROR)),
    ("5.1", "HEADERS on a stream of its own", lambda s: head(2), "502", gone(PROTOCOL_ERROR)),
    ("5.1", "RST_STREAM on an idle stream", lambda s: reset(s + 2), "502", gone(PROTOCOL_ERROR)),
    ("5.1", "WINDOW_UPDATE on an idle stream", lambda s: window_update(s + 2, 1), "502", gone(PROTOCOL_ERROR)),
    ("5.1", "DATA after the end of an answer", lambda s: ok(s) + data(s, b"x"), "200", LASTS),
    ("5.1", "HEADERS after the end of an answer", lambda s: ok(s) + head(s), "200", LASTS),
    ("5.1", "RST_STREAM NO_ERROR after an answer (8.1)", lambda s: ok(s) + reset(s, NO_ERROR), "200", LASTS),
    ("5.1", "WINDOW_UPDATE after the end of an answer", lambda s: ok(s) + window_update(s, 1), "200", LASTS),
    ("5.1", "PRIORITY after the end of an answer", lambda s: ok(s) + frame(PRIORITY, 0, s, bytes(5)), "200", LASTS),
    ("5.5", "an unknown setting", lambda s: settings((0xabcd, 1)) + ok(s), "200", LASTS),
    ("6.1", "DATA before HEADERS", lambda s: data(s, b"x"), "502", gone(PROTOCOL_ERROR)),
    ("6.1", "DATA on stream 0", lambda s: head(s) + data(0, b"x"), "cut", gone(PROTOCOL_ERROR)),
    ("6.1", "padding longer than DATA", lambda s: head(s) + data(s, b"\x06hello", END_STREAM | PADDED), "cut",
     gone(PROTOCOL_ERROR)),
    ("6.1", "padded DATA", lambda s: head(s) + data(s, b"\x03ok" + bytes(3), END_STREAM | PADDED), "200", LASTS),
    ("6.2", "HEADERS on stream 0", lambda s: head(0), "502", gone(PROTOCOL_ERROR)),
    ("6.2", "padding longer than HEADERS", lambda s: frame(HEADERS, OPEN | PADDED, s, b"\xff\x88"), "502",
     gone(PROTOCOL_ERROR)),
    ("6.2", "HEADERS with half a priority", lambda s: frame(HEADERS, OPEN | WITH_PRIORITY, s, b"\0\0"), "502",
     gone(FRAME_SIZE_ERROR)),
    ("6.3", "PRIORITY on stream 0", lambda s: frame(PRIORITY, 0, 0, bytes(5)), "502", gone(PROTOCOL_ERROR)),
    ("6.4", "RST_STREAM on stream 0", lambda s: reset(0), "502", gone(PROTOCOL_ERROR)),
    ("6.4", "RST_STREAM of 3 bytes", lambda s: frame(RST_STREAM, 0, s, bytes(3)), "502", gone(FRAME_SIZE_ERROR)),
    ("6.4", "RST_STREAM before an answer", lambda s: reset(s, INTERNAL_ERROR), "502", LASTS),
    ("6.4", "RST_STREAM inside an answer", lambda s: head(s) + data(s, b"x", 0) + reset(s, ENHANCE_YOUR_CALM), "cut",
     LASTS),
    ("6.5", "SETTINGS on a stream", lambda s: frame(SETTINGS, 0, s), "502", gone(PROTOCOL_ERROR)),
    ("6.5", "SETTINGS of 5 bytes", lambda s: frame(SETTINGS, 0, 0, bytes(5)), "502", gone(FRAME_SIZE_ERROR)),
    ("6.5", "an acknowledgement with a payload", lambda s: frame(SETTINGS, ACK, 0, bytes(6)), "502",
     gone(FRAME_SIZE_ERROR)),
    ("6.5", "an acknowledgement of no SETTINGS", lambda s: frame(SETTINGS, ACK), "502", gone(PROTOCOL_ERROR)),
    ("6.5.2", "ENABLE_PUSH of 1, which a server may not send", lambda s: settings((2, 1)), "502", gone(PROTOCOL_ERROR)),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", lambda s: settings((4, 1 << 31)), "502", gone(FLOW_CONTROL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 16383", lambda s: settings((5, MAX_FRAME - 1)), "502", gone(PROTOCOL_ERROR)),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24", lambda s: settings((5, 1 << 24)), "502", gone(PROTOCOL_ERROR)),
    ("6.5.2", "HEADER_TABLE_SIZE of 0", lambda s: settings((1, 0)) + ok(s), "200", LASTS),
    ("6.6", "PUSH_PROMISE", lambda s: frame(PUSH_PROMISE, OPEN, s, number(2) + block((":method", "GET"))), "502",
     gone(PROTOCOL_ERROR)),
    ("6.6", "PUSH_PROMISE inside an answer",
     lambda s: head(s) + data(s, b"x", 0) + frame(PUSH_PROMISE, OPEN, s, number(2) + block((":method", "GET"))),
     "cut", gone(PROTOCOL_ERROR)),
    ("6.7", "PING on a stream", lambda s: frame(PING, 0, s, bytes(8)), "502", gone(PROTOCOL_ERROR)),
    ("6.7", "PING of 7 bytes", lambda s: frame(PING, 0, 0, bytes(7)), "502", gone(FRAME_SIZE_ERROR)),
    ("6.7", "an acknowledgement of no PING", lambda s: frame(PING, ACK, 0, bytes(8)) + ok(s), "200", LASTS),
    ("6.8", "GOAWAY on a stream", lambda s: goaway(s, stream=s), "502", gone(PROTOCOL_ERROR)),
    ("6.8", "GOAWAY of 4 bytes", lambda s: frame(GOAWAY, 0, 0, bytes(4)), "502", gone(FRAME_SIZE_ERROR)),
    ("6.8", "GOAWAY with the stream, and its answer", lambda s: goaway(s) + ok(s), "200", gone(NO_ERROR)),
    ("6.8", "GOAWAY inside an answer", lambda s: head(s) + goaway(s) + data(s, b"ok"), "200", gone(NO_ERROR)),
    ("6.8", "GOAWAY twice, as when a server drains", lambda s: goaway((1 << 31) - 1) + goaway(s) + ok(s), "200",
     gone(NO_ERROR)),
    ("6.9", "WINDOW_UPDATE of 0 on the connection", lambda s: window_update(0, 0), "502", gone(PROTOCOL_ERROR)),
    ("6.9", "WINDOW_UPDATE of 0 on the stream", lambda s: window_update(s, 0), "502", gone(PROTOCOL_ERROR)),
    ("6.9", "WINDOW_UPDATE of 3 bytes", lambda s: frame(WINDOW_UPDATE, 0, 0, bytes(3)), "502", gone(FRAME_SIZE_ERROR)),
    ("6.9.1", "a window of the connection over 2^31-1", lambda s: window_update(0, (1 << 31) - 1), "502",
     gone(FLOW_CONTROL_ERROR)),
    ("6.9.1", "a window of the stream over 2^31-1", lambda s: window_update(s, (1 << 31) - 1), "502",
     was_reset(FLOW_CONTROL_ERROR)),
    ("6.10", "CONTINUATION without HEADERS", lambda s: frame(CONTINUATION, OPEN, s, b"\x88"), "502",
     gone(PROTOCOL_ERROR)),
    ("6.10", "CONTINUATION after a whole head", lambda s: head(s) + frame(CONTINUATION, OPEN, s, block(("a", "b"))),
     "cut", gone(PROTOCOL_ERROR)),
    ("6.10", "a head in pieces", lambda s: frame(HEADERS, END_STREAM, s) + frame(CONTINUATION, 0, s, b"\x88")
     + frame(CONTINUATION, OPEN, s, block(("a", "b"))), "200", LASTS),
    ("6.10", "a head in 20 pieces", lambda s: frame(HEADERS, END_STREAM, s, b"\x88")
     + frame(CONTINUATION, 0, s) * 20 + frame(CONTINUATION, OPEN, s), "502", gone(ENHANCE_YOUR_CALM)),
    ("8.1", "interim answers", lambda s: head(s, status="103") + head(s, status="100") + ok(s), "200", LASTS),
    ("8.1", "an interim answer that ends", lambda s: head(s, status="100", flags=END_STREAM | OPEN), "502",
     was_reset(PROTOCOL_ERROR)),
    ("8.1", "a second head inside an answer", lambda s: head(s) + data(s, b"x", 0) + head(s), "cut",
     was_reset(PROTOCOL_ERROR)),
    ("8.1", "trailers", lambda s: head(s) + data(s, b"x", 0) + headers(s, [("sum", "6")]), "200", LASTS),
    ("8.1", "trailers that do not end", lambda s: head(s) + data(s, b"x", 0) + headers(s, [("sum", "6")], OPEN), "cut",
     was_reset(PROTOCOL_ERROR)),
    ("8.1", "trailers with a pseudo-header field", lambda s: head(s) + data(s, b"x", 0) + headers(s, [(":status", "200")]),
     "cut", was_reset(PROTOCOL_ERROR)),
    ("8.1", "an answer before the end of the request, and RST_STREAM NO_ERROR", lambda s: ok(s) + reset(s, NO_ERROR),
     "200", LASTS),
    ("8.1.1", "a body shorter than Content-Length", lambda s: head(s, ("content-length", "10")) + data(s, b"short"),
     "cut", was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a body longer than Content-Length", lambda s: head(s, ("content-length", "1")) + data(s, b"long"),
     "cut", was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a Content-Length of letters", lambda s: head(s, ("content-length", "ten")), "502",
     was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "two Content-Lengths", lambda s: head(s, ("content-length", "1"), ("content-length", "1")), "502",
     was_reset(PROTOCOL_ERROR)),
    ("8.1.1", "a 204 with DATA", lambda s: head(s, status="204") + data(s, b"x"), "204", was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name in upper case", lambda s: head(s, ("X-Upper", "1")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a name with a space", lambda s: head(s, ("a b", "1")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with LF", lambda s: head(s, ("a", "b\nevil: 1")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "a value with NUL", lambda s: head(s, ("a", "b\0")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.2.1", "an empty name", lambda s: raw_head(s, b"\x88" + literal(b"", b"1"), OPEN), "502",
     was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Connection", lambda s: head(s, ("connection", "close")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.2.2", "Transfer-Encoding", lambda s: head(s, ("transfer-encoding", "chunked")), "502",
     was_reset(PROTOCOL_ERROR)),
    ("8.3", "a pseudo-header field after another field", lambda s: headers(s, [("a", "b"), (":status", "200")], OPEN),
     "502", was_reset(PROTOCOL_ERROR)),
    ("8.3", "an unknown pseudo-header field", lambda s: head(s, (":unknown", "1")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.3", "a pseudo-header field of requests", lambda s: head(s, (":path", "/")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.3.2", "no :status", lambda s: headers(s, [("a", "b")], OPEN), "502", was_reset(PROTOCOL_ERROR)),
    ("8.3.2", ":status twice", lambda s: head(s, (":status", "200")), "502", was_reset(PROTOCOL_ERROR)),
    ("8.3.2", "a :status of letters", lambda s: head(s, status="abc"), "502", was_reset(PROTOCOL_ERROR)),
    ("8.3.2", "a :status of two digits", lambda s: head(s, status="20"), "502", was_reset(PROTOCOL_ERROR)),
    ("8.6", "a :status of 101", lambda s: head(s, status="101"), "502", was_reset(PROTOCOL_ERROR)),
]


class ScriptedPod:
    """A pod of HTTP/2 that sends for each POST the frames of the row that its path names."""

    def __init__(self):
        self.calls = []  # the paths of the requests, as they came
        self.got = queue.Queue()  # (path of the last request, frame or None for the end of its connection)
        self.listener, self.port = accept_each(self.start)

    def start(self, accepted):
        threading.Thread(target=self.connection, args=(Frames(accepted),), daemon=True).start()

    def connection(self, client):
        client.take(len(PREFACE))
        client.send(settings(), frame(SETTINGS, ACK))
        path = None
        while got := client.next():
            if got.kind == HEADERS:
                path = dict(client.fields(got))[":path"]
                self.calls.append(path)
                frames = ok if path == "/ok" else ROWS[int(path[5:])][2]
                client.send(frames(got.stream))
                if path != "/ok" and ROWS[int(path[5:])][4][0] != "gone":
                    client.send(frame(PING, 0, 0, b"got that"))
            elif got == Frame(PING, ACK, 0, b"got that"):
                client.send(frame(PING, 0, 0, b"the rest"))  # an acknowledgement overtakes other frames
            else:
                self.got.put((path, got))
        self.got.put((path, None))
        client.close()

    def outcome(self, path):
        """The first of GOAWAY, RST_STREAM and the answers to the PINGs that follow the row's frames."""
        while True:
            of, got = self.got.get(timeout=20)
            if of != path:
                continue
            if got is None:
                return gone(None)
            if got.kind == RST_STREAM and code_of(got) != CANCEL:
                return was_reset(code_of(got))
            if got.kind == GOAWAY:
                return gone(code_of(got))
            if got == Frame(PING, ACK, 0, b"the rest"):
                return LASTS


def service(folder):
    path = folder / "h2c.json"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "declared", "namespace": "many"},
        "spec": {"selector": {"app": "many"},
                 "ports": [{"name": "main", "port": 80, "targetPort": 8080, "appProtocol": "kubernetes.io/h2c"}]}}))
    return path


@pytest.fixture(scope="module")
def pod():
    pod = ScriptedPod()
    yield pod
    pod.listener.close()


@pytest.fixture(scope="module")
def h2_tunnel(pod, tmp_path_factory):
    from conftest import Playground
    from tunnel_process import KubeTunnel
    folder = tmp_path_factory.mktemp("frames")
    playground = Playground(folder, "--pods", "1", "--backend", f"many:8080=127.0.0.1:{pod.port}",
                            "--manifest", service(folder))
    tunnel = KubeTunnel(kubeconfig=playground.kubeconfig, folder=folder)
    yield tunnel.start()
    tunnel.stop()
    playground.stop()


def post(tunnel, path):
    client = Client(tunnel.port)
    client.send(headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", HOST), (":path", path)]))
    client.read_until(1)
    client.close()
    return "cut" if client.resets else client.statuses.get(1)


@pytest.mark.parametrize("row", range(len(ROWS)), ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_frames_of_a_pod(h2_tunnel, pod, row):
    path = f"/row/{row}"
    of_client = post(h2_tunnel, path)
    of_pod = pod.outcome(path)
    assert (of_client, of_pod) == ROWS[row][3:]
    assert pod.calls.count(path) == 1, "delivered once"
    assert post(h2_tunnel, "/ok") == "200"


def test_the_page_names_the_rule_that_a_pod_broke(h2_tunnel):
    row = next(n for n, row in enumerate(ROWS) if row[1] == "PUSH_PROMISE")
    answer = h2_tunnel.get(HOST, f"/row/{row}", "--http2-prior-knowledge", "-d", "x")
    assert answer.status == 502
    assert "invalid frames: PUSH_PROMISE: push disabled (PROTOCOL_ERROR)" in answer.text, answer
