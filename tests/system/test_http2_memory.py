"""What many streams of HTTP/2 cost: 1,000 at once, idle, and with clients that read nothing.

SPDX-License-Identifier: MIT
"""
import time

import pytest

from conftest import SANITIZED

pytest.importorskip("h2.connection", reason="needs python3-h2")
import h2.events  # noqa: E402
import h2.settings  # noqa: E402

from http2_programs import DECLARED, H2Client, h2_pod, h2c_service, nghttpd  # noqa: E402,F401 - fixtures
from tunnel_process import eventually  # noqa: E402

STREAMS = 1000
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def anonymous_kb(tunnel):
    with open(f"/proc/{tunnel.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def open_streams(tunnel, pod, count, read):
    """Streaming calls on connections of 100 streams each, all of which have reached the pod."""
    clients = []
    before = len(pod.requests)
    for _ in range(count // 100):
        client = H2Client(tunnel.port)
        clients.append(client)
        streams = [client.request(DECLARED, "/test.Echo/Forever", "POST", end=False, fields=GRPC)
                   for _ in range(100)]
        for stream in streams:
            if read:
                client.wait(h2.events.DataReceived, stream)
    eventually(lambda: len(pod.requests) - before == count, seconds=60)
    return clients


@pytest.mark.skipif(SANITIZED, reason="figures are for the real thing")
@pytest.mark.parametrize("size", [5, 3000])
def test_an_idle_grpc_stream_costs_at_most_16_kb(h2_pod, size):  # noqa: F811
    """Each has sent a message and received one."""
    message = b"\0" + size.to_bytes(4, "big") + b"m" * size

    def serve(h2c, stream, number):
        h2c.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        h2c.send_data(stream, message)
    tunnel, pod = h2_pod(serve)
    for client in open_streams(tunnel, pod, 100, True):
        client.close()
    time.sleep(1)
    before = anonymous_kb(tunnel)
    clients = open_streams(tunnel, pod, STREAMS, True)
    for client in clients:
        for stream in range(1, 201, 2):
            client.h2.send_data(stream, message[:600])
        client.flush()
    time.sleep(3)
    each = (anonymous_kb(tunnel) - before) / STREAMS
    print(f"{each:.1f} KB for each idle stream")
    assert each <= 16
    for client in clients:
        client.close()


BUDGET_MB = 32


@pytest.mark.skipif(SANITIZED, reason="figures are for the real thing")
@pytest.mark.parametrize("window", [65535, 1 << 24])
def test_1000_streams_that_are_not_read_stay_within_the_budget(  # noqa: F811
        nghttpd, start_playground, start_tunnel, tmp_path, window):
    """5 GB wait for them. With a small window, their bytes wait in our streams; with a large one in connections."""
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{nghttpd}",
                                  "--manifest", h2c_service(tmp_path, "h2c"))
    tunnel = start_tunnel("--buffer-memory", f"{BUDGET_MB}MiB", kubeconfig=playground.kubeconfig)
    assert tunnel.get(DECLARED, "/big").status == 200
    before = anonymous_kb(tunnel)
    clients = []
    for _ in range(STREAMS // 100):
        client = H2Client(tunnel.port)
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        client.h2.increment_flow_control_window(1 << 26)
        clients.append(client)
        for _ in range(100):
            client.request(DECLARED, "/big")
    most = 0
    for _ in range(50):
        most = max(most, anonymous_kb(tunnel))
        time.sleep(0.1)
    print(f"{(most - before) / 1024:.1f} MB above {before / 1024:.1f} MB")
    # A sixteenth more before streams give way at once, the streams themselves, and 2 MB of chunks on a free list.
    assert most - before <= BUDGET_MB * 1024 * 17 / 16 + 16 * STREAMS + 2048
    assert tunnel.get(DECLARED, "/hello").status == 200, "another client is served"
    for client in clients:
        client.close()
    eventually(lambda: tunnel.get(DECLARED, "/hello").status == 200)
