"""Pods of HTTP/2 that never finish: each request to them ends in a bounded time, with its cause.

SPDX-License-Identifier: MIT
"""
import socket
import threading
import time

import pytest

pytest.importorskip("h2.connection", reason="needs python3-h2")
import h2.settings  # noqa: E402

from http2_programs import DECLARED, answer_ok, h2_pod, h2c_service  # noqa: E402,F401 - fixtures

# A pod that a test plays in a thread must not die of a mistake there unnoticed.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

PRIOR = "--http2-prior-knowledge"
SETTINGS = bytes.fromhex("000000040000000000")


@pytest.fixture
def raw_pod(start_playground, start_tunnel, tmp_path):
    """raw_pod(serve): a tunnel to pods that declare h2c, whose connections serve(socket) has."""
    listeners = []

    def accept(listener, serve):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def start(serve, *flags):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, serve), daemon=True).start()
        playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{listener.getsockname()[1]}",
                                      "--manifest", h2c_service(tmp_path, "h2c"))
        return start_tunnel(*flags, kubeconfig=playground.kubeconfig)
    yield start
    for listener in listeners:
        listener.close()


def timed(tunnel, *arguments):
    began = time.monotonic()
    answer = tunnel.get(DECLARED, "/", *arguments)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("version", [PRIOR, "--http1.1"])
def test_goaway_in_a_loop_ends_a_request_after_five_attempts(h2_pod, version):  # noqa: F811
    """Each GOAWAY declares the request unprocessed, so it may be sent again, also a POST."""
    tunnel, pod = h2_pod(lambda h2c, stream, number: h2c.close_connection(last_stream_id=0))
    answer, seconds = timed(tunnel, version, "-d", "once")
    assert answer.status == 502 and "REFUSED_STREAM" in answer.text, answer
    assert seconds < 5 and pod.connections == 5 == len(pod.requests)


def test_settings_without_acknowledgement_end_the_connection_after_10_s(raw_pod):
    """The pod has received the request and may have executed it: it is not sent again."""
    connections = []

    def serve(connection):
        connections.append(connection)
        connection.sendall(SETTINGS)
        while connection.recv(1 << 16):
            pass
    tunnel = raw_pod(serve)
    answer, seconds = timed(tunnel, "-d", "once")
    assert answer.status == 502 and "SETTINGS were not acknowledged in time" in answer.text, answer
    assert 9 < seconds < 14 and len(connections) == 1


def test_garbage_after_settings_is_a_502_at_once(raw_pod):
    def serve(connection):
        connection.sendall(SETTINGS + bytes(range(256)) * 100)
        while connection.recv(1 << 16):
            pass
    answer, seconds = timed(raw_pod(serve), "-d", "once")
    assert answer.status == 502 and "invalid frames" in answer.text, answer
    assert seconds < 5


def test_a_window_of_one_byte_that_stays_closed_is_a_504_and_stops_no_other_request(h2_pod):  # noqa: F811
    def serve(h2c, stream, number):
        if pod.requests[-1][2][":method"] == "GET":
            answer_ok(h2c, stream)
    tunnel, pod = h2_pod(serve, "--response-timeout", "3s",
                         settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1})
    pod.takes_bodies = False
    assert tunnel.get(DECLARED).text == "ok"  # the SETTINGS have come
    result = {}
    thread = threading.Thread(target=lambda: result.update(zip(("answer", "seconds"), timed(tunnel, "-d", "body"))))
    thread.start()
    time.sleep(0.5)
    assert tunnel.get(DECLARED).text == "ok"
    thread.join()
    assert result["answer"].status == 504 and 2 < result["seconds"] < 8, result
    assert pod.connections == 1


def test_a_pod_that_sends_one_byte_windows_gets_the_whole_body(h2_pod):  # noqa: F811
    """Its window is one byte wide, and opens again after each."""
    tunnel, pod = h2_pod(lambda h2c, stream, number: answer_ok(h2c, stream), whole=True,
                         settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1})
    assert tunnel.get(DECLARED, "/", "-X", "DELETE").text == "ok"
    assert tunnel.get(DECLARED, "/", "-d", "b" * 300).text == "ok"
    assert max(len(body) for body in pod.bodies.values()) == 300
