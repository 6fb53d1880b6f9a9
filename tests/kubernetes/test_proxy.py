"""CONNECT, SOCKS and TLS by server name, on a real cluster: by name and by address.

SPDX-License-Identifier: MIT
"""
import json
import subprocess

import pytest
from tunnel_process import BINARY, curl, eventually

WEB = "web.shop.svc.cluster.local"
WAYS = {"SOCKS5": ("--proxy", "socks5h://{}"), "SOCKS4a": ("--proxy", "socks4a://{}"),
        "CONNECT": ("--proxytunnel", "--proxy", "http://{}")}
ways = pytest.mark.parametrize("way", WAYS)


def through(tunnel, way, url):
    return curl(*(word.format(f"127.0.0.1:{tunnel.port}") for word in WAYS[way]), url)


@ways
@pytest.mark.parametrize("host", ["web.shop", WEB])
def test_a_service_is_reached_through_a_proxy(tunnel, way, host):
    answer = through(tunnel, way, f"http://{host}/x")
    assert answer.status == 200 and f"host {host} " in answer.text, answer


@ways
@pytest.mark.parametrize("path, port", [(("service", "web"), 80), (("pod", "db-0"), 8080)],
                         ids=["cluster IP", "pod IP"])
def test_an_address_of_the_cluster_is_reached(cluster, start_tunnel, way, path, port):
    tunnel = start_tunnel(user="admin")
    found = json.loads(cluster.kubectl("get", *path, "-n", "shop", "-o", "json"))
    address = found["spec"].get("clusterIP") or found["status"]["podIP"]
    answer = through(tunnel, way, f"http://{address}:{port}/x")
    assert answer.status == 200 and f"host {address}" in answer.text, answer


@ways
def test_an_address_of_the_node_is_refused(cluster, start_tunnel, way):
    """Pods with hostNetwork have that address, and are not used."""
    tunnel = start_tunnel(user="admin")
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    address = nodes[0]["status"]["addresses"][0]["address"]
    assert through(tunnel, way, f"http://{address}:10250/").exit in (56, 97)


def test_the_api_servers_certificate_is_its_own_by_server_name(cluster, start_tunnel):
    """Its service has no selector and no pod: the reason is in the log, the client gets an alert."""
    tunnel = start_tunnel(user="admin")
    name = "kubernetes.default.svc.cluster.local"
    answer = curl("-k", "--connect-to", f"{name}:443:127.0.0.1:{tunnel.port}", f"https://{name}/version")
    assert answer.exit == 35, answer
    eventually(lambda: "connection failed" in tunnel.log())


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_plain_service_is_served_over_tls_with_the_local_ca(start_tunnel, tmp_path, version):
    tunnel = start_tunnel(user="admin", environment={"XDG_DATA_HOME": str(tmp_path)})
    authority = tmp_path / "ca.pem"
    subprocess.run([BINARY, "ca", "export", "-o", authority], env=tunnel.environment, check=True, timeout=30)
    answer = curl("--cacert", authority, version, "--connect-to", f"{WEB}:443:127.0.0.1:{tunnel.port}",
                  f"https://{WEB}/x")
    assert answer.status == 200 and f"host {WEB} " in answer.text, answer
    assert answer.head.startswith("HTTP/2" if version == "--http2" else "HTTP/1.1")
