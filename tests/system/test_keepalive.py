"""Pods that close idle connections without notice, which the runtime reports a second late.

What was learnt of a pod decides which requests take an idle connection (decision 081).
SPDX-License-Identifier: MIT
"""
import collections
import os
import random
import statistics
import threading
import time

import pytest

from conftest import SANITIZED
from http_client import Client, request, seconds_of
from tunnel_process import eventually

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def keeps_for(seconds):
    """Each request is answered; a connection is closed when it was idle for so long."""
    def script(connection):
        connection.seen = connection.head
        connection.socket.settimeout(None)
        try:
            while connection.take_until(b"\r\n\r\n"):
                connection.send(OK)
                if seconds == 0:
                    return
                connection.socket.settimeout(seconds)
        except TimeoutError:
            pass
    return script


def get(client, pod):
    assert client.ask(request(pod.host)).status == 200


def post(client, pod):
    assert client.ask(request(pod.host, "/", "POST", fields=["Content-Length: 0"])).status == 200


def times(ask, client, pod, gaps):
    took = []
    for gap in gaps:
        took.append(seconds_of(lambda: ask(client, pod)))
        time.sleep(gap)
    return took


def leases(tunnel, source):
    return tunnel.metrics()[f'kube_tunnel_leases_total{{source="{source}"}}']


CLOSES = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def alternating(tunnel, measured, fresh, n):
    """Times of POSTs to one pod, and between them of those to one that takes a fresh connection for each."""
    with Client(tunnel.port) as one, Client(tunnel.port) as other:
        post(other, fresh)
        took = [(seconds_of(lambda: post(one, measured)), seconds_of(lambda: post(other, fresh)))
                for _ in range(n)]
    return [t[0] for t in took], [t[1] for t in took]


@pytest.mark.parametrize("seconds", [0, 0.05, 0.5])
def test_posts_in_a_row_to_a_pod_that_closes_silently_all_succeed(start_tunnel, pods, seconds):
    """uWSGI's --http-socket closes at once: every second POST was a 502."""
    tunnel = start_tunnel()
    pod, closing = pods.take(), pods.take()
    pod.plays(keeps_for(seconds))
    closing.answers(CLOSES)
    runs = [alternating(tunnel, pod, closing, 20) for _ in range(3)]
    ratios = [statistics.median(took) / statistics.median(fresh) for took, fresh in runs]
    assert SANITIZED or statistics.median(ratios) < 2, (ratios, runs)
    assert max(max(took) for took, _ in runs) < 0.25, "none waits for what the runtime hides"


@pytest.mark.parametrize("seconds", [0, 0.05, 0.5, 1.0])
def test_posts_at_any_moment_to_a_pod_that_closes_silently_all_succeed(start_tunnel, pod, seconds):
    tunnel, gaps = start_tunnel(), random.Random(seconds)
    pod.plays(keeps_for(seconds))
    with Client(tunnel.port) as client:
        took = times(post, client, pod, [gaps.uniform(0, 0.3) for _ in range(25)])
    assert max(took) < 0.25, took


def test_gets_after_a_keep_alive_timeout_was_seen_once_do_not_wait(start_tunnel, pod):
    """As gunicorn's threads close after 2 s; gaps of 2.3 s cost 0.7 s each time."""
    tunnel = start_tunnel()
    pod.plays(keeps_for(1))
    with Client(tunnel.port) as client:
        first, second, *others = times(get, client, pod, [1.3] * 6)
    assert second > 0.5, "nothing was known yet, and the runtime hid the close"
    assert max(others) < 0.05, others


def test_a_timeout_seen_on_an_idle_connection_delays_no_request(start_tunnel, pod):
    tunnel = start_tunnel()
    pod.plays(keeps_for(0.5))
    with Client(tunnel.port) as client:
        get(client, pod)
        eventually(lambda: tunnel.total("kube_tunnel_idle_connections") == 0)
        assert max(times(get, client, pod, [0.7] * 4)) < 0.05


def in_threads(count, work):
    """work(n) in so many threads; an exception in one is the test's."""
    failed = []

    def run(n):
        try:
            work(n)
        except Exception as error:  # noqa: BLE001
            failed.append(error)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def test_posts_to_a_pod_that_keeps_connections_find_pooled_ones(start_tunnel, pod):
    """On 16 connections, as soon as one has outlived the time that the runtime hides."""
    tunnel, counted = start_tunnel(), {}
    pod.plays(keeps_for(20))
    gate = threading.Barrier(16, lambda: counted.update({s: leases(tunnel, s) for s in ("idle", "tunnel")}))

    def work(_):
        with Client(tunnel.port) as client:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                post(client, pod)
            gate.wait()
            for _ in range(40):
                post(client, pod)
    in_threads(16, work)
    idle, fresh = (leases(tunnel, s) - counted[s] for s in ("idle", "tunnel"))
    assert idle + fresh == 640 and idle >= 0.95 * 640, (idle, fresh)


# The long version: POSTS_NEVER_TWICE=10000 pytest system/test_keepalive.py -k twice
POSTS = int(os.environ.get("POSTS_NEVER_TWICE", "600"))


def test_no_post_is_executed_twice_whenever_a_pod_dies(start_tunnel, pod):
    """The pod reads, waits for up to 0.5 s, and answers, closes or resets; it counts what it read."""
    tunnel, chance, seen = start_tunnel(), random.Random(1), collections.Counter()

    def script(connection):
        connection.seen = connection.head
        while head := connection.take_until(b"\r\n\r\n"):
            seen[int(head.split(b" ")[1][1:])] += 1
            time.sleep(chance.choice([0, 0, 0.001, chance.uniform(0, 0.5)]))
            end = chance.choice(["keep"] * 6 + ["close", "die", "reset"])
            if end in ("keep", "close"):
                connection.send(OK)
            elif end == "reset":
                connection.reset()
            if end != "keep":
                return
    pod.plays(script)

    def work(n):
        with Client(tunnel.port) as client:
            for number in range(n, POSTS, 24):
                answer = client.ask(request(pod.host, f"/{number}", "POST", fields=["Content-Length: 0"]))
                assert answer.status in (200, 502)
                assert answer.status == 502 or seen[number] == 1
    in_threads(24, work)
    assert max(seen.values()) == 1 and len(seen) > 0.5 * POSTS
