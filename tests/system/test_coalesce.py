"""Small requests travel together, and large answers alone, without a setting.

SPDX-License-Identifier: MIT
"""
from concurrent.futures import ThreadPoolExecutor

from tunnel_process import eventually

DB = "db-0.db.shop.svc"
LARGE = 256 << 10


def tunnels_of(tunnel, count):
    """The tunnels of so many requests at once."""
    before = len(tunnel.log())
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(tunnel.get, DB, "/slow?ms=2000") for _ in range(count)]
        assert [a.result().status for a in asked] == [200] * count

    def used():
        lines = [line for line in tunnel.log()[before:].splitlines() if "path=/slow" in line and "INFO" in line]
        return len(lines) == count and {line.split("tunnel=")[1].split()[0] for line in lines}
    return eventually(used)


def test_small_requests_share_tunnels_until_an_answer_is_large(start_tunnel):
    tunnel = start_tunnel()
    assert len(tunnels_of(tunnel, 11)) <= 4, "one alone, two for five each, and perhaps a prewarmed one"
    assert len(tunnel.get(DB, f"/bytes?n={LARGE}").body) == LARGE
    assert len(tunnels_of(tunnel, 20)) >= 6, "what is free is used; the others are alone"


def test_many_small_answers_make_requests_share_again(start_tunnel):
    tunnel = start_tunnel()
    assert len(tunnel.get(DB, f"/bytes?n={LARGE}").body) == LARGE
    assert len(tunnels_of(tunnel, 8)) >= 6
    with tunnel.connect() as client:  # one after the other, on one connection
        for _ in range(300):
            client.sendall(f"GET / HTTP/1.1\r\nHost: {DB}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
    tunnels_of(tunnel, 8)  # a request whose own tunnel is taken finds it shared, or full
    assert len(tunnels_of(tunnel, 8)) <= 4


def test_a_fixed_number_of_own_tunnels_does_not_change(start_tunnel):
    tunnel = start_tunnel("--http-tunnels-per-pod", "4")
    assert len(tunnel.get(DB, f"/bytes?n={LARGE}").body) == LARGE
    assert 4 <= len(tunnels_of(tunnel, 9)) <= 6
