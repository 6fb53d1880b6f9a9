"""How long a request waits for a pod or for the API server.

SPDX-License-Identifier: MIT
"""
import json
import socket
import struct
import threading
from contextlib import contextmanager

import pytest


@contextmanager
def listening_server(treat):
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def accept():
        while True:
            try:
                accepted.append(listener.accept()[0])
            except OSError:
                return
            treat(accepted[-1])

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in accepted:
        connection.close()


@pytest.fixture
def mute_server():
    """An API server that accepts connections and never answers."""
    with listening_server(lambda connection: None) as port:
        yield port


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def resetting_server():
    """An API server that resets its connections."""
    with listening_server(reset) as port:
        yield port


def kubeconfig_for(port, path):
    path.write_text(f"{{current-context: c, clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],"
                    " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}")
    return path


def test_a_silent_api_server_is_named_when_the_wait_is_over(start_tunnel, mute_server, tmp_path):
    tunnel = start_tunnel("--wait", "2s", kubeconfig=kubeconfig_for(mute_server, tmp_path / "mute"), ready=False)
    answer = tunnel.get("web.shop.svc.cluster.local")
    assert answer.status == 504, answer
    assert 1.9 < answer.seconds < 4, answer.seconds


def test_an_api_server_that_resets_is_named_with_its_port(start_tunnel, resetting_server, tmp_path):
    tunnel = start_tunnel("--wait", "1s", kubeconfig=kubeconfig_for(resetting_server, tmp_path / "resets"), ready=False)
    answer = tunnel.get("web.shop.svc.cluster.local")
    assert answer.status == 502 and f"127.0.0.1:{resetting_server}: " in answer.text.splitlines()[0], answer


def finished_job():
    labels = {"app": "job"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "job", "namespace": "shop"},
         "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
        *({"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": f"job-{phase.lower()}", "namespace": "shop", "uid": phase, "labels": labels},
           "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
           "status": {"phase": phase, "podIP": "10.9.0.1", "podIPs": [{"ip": "10.9.0.1"}]}}
          for phase in ("Succeeded", "Failed"))]


@pytest.mark.parametrize("rights", ("watch", "lookup"))
def test_a_request_does_not_wait_for_the_pods_of_a_finished_job(start_both, tmp_path, rights):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": finished_job()}))
    _, tunnel = start_both("--manifest", str(path), *(["--rights", "original"] if rights == "lookup" else []))
    answer = tunnel.get("job.shop.svc.cluster.local")
    assert answer.status == 503 and "job-succeeded Succeeded" in answer.text, answer
    assert answer.seconds < 3, answer.seconds
