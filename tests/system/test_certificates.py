"""Certificates that plugins print, and certificate, key, CA and token files that are replaced.

SPDX-License-Identifier: MIT
"""
import base64
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from plugins import Plugin, kubeconfig_for
from test_exec_plugins import in_seconds
from tunnel_process import BINARY, clean_environment, eventually

HOST = "web.shop.localhost"


@pytest.fixture
def cluster(start_playground):
    return start_playground()


def pair_of(playground):
    """The client certificate and key of the playground's own user."""
    text = playground.kubeconfig.read_text()
    return tuple(base64.b64decode(re.search(rf"client-{what}-data: (\S+)", text).group(1)).decode()
                 for what in ("certificate", "key"))


def self_signed(folder, days="1"):
    """A pair that no cluster knows."""
    key, certificate = folder / "other.key", folder / "other.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", key, "-out", certificate, "-days", days, "-subj", "/CN=nobody"],
                   check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


def swap(folder, **files):
    """As Kubernetes does with a secret: the files are links into ..data, which is another folder now."""
    number = len(list(folder.glob("..version*")))
    version = folder / f"..version{number}"
    version.mkdir()
    for name, text in files.items():
        (version / name).write_text(text)
    new = folder / "..data.new"
    new.symlink_to(version.name)
    new.rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


@pytest.fixture
def plugin(tmp_path):
    return Plugin(tmp_path / "plugin")


def test_a_certificate_of_a_plugin_serves_requests_and_list(cluster, plugin, tmp_path, start_tunnel):
    certificate, key = pair_of(cluster)
    plugin.print(plugin.credential(clientCertificateData=certificate, clientKeyData=key), before="sleep 0.5")
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    assert plugin.runs == 1
    done = subprocess.run([BINARY, "list", "--kubeconfig", path], capture_output=True, text=True,
                          env=clean_environment(), timeout=60)
    assert done.returncode == 0 and "web.shop" in done.stdout, done


def test_a_changed_certificate_of_a_plugin_retires_tunnels(cluster, plugin, tmp_path, start_tunnel):
    """A token makes the first connections; then the plugin prints a certificate instead."""
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user())
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    certificate, key = pair_of(cluster)
    plugin.print(plugin.credential(clientCertificateData=certificate, clientKeyData=key))
    cluster.order("token off", "kill-tunnels")
    assert tunnel.get(HOST).status == 200
    assert plugin.runs == 2
    tunnel.wait_for_log("the client certificate changed: tunnels close with their last connection")


def test_a_pair_that_does_not_match_is_named(cluster, plugin, tmp_path):
    certificate, _ = pair_of(cluster)
    _, key = self_signed(tmp_path)
    plugin.print(plugin.credential(clientCertificateData=certificate, clientKeyData=key))
    done = subprocess.run([BINARY, "list", "--kubeconfig",
                           kubeconfig_for(cluster, tmp_path / "config", plugin.user())],
                          capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 1
    assert "exec plugin" in done.stderr and "the key it returned" in done.stderr, done.stderr


def test_certificate_and_key_files_are_read_again_when_they_change(cluster, tmp_path, start_tunnel):
    secret = tmp_path / "secret"
    secret.mkdir()
    wrong = self_signed(tmp_path)
    swap(secret, **{"tls.crt": wrong[0], "tls.key": wrong[1]})
    path = kubeconfig_for(cluster, tmp_path / "config", {"client-certificate": "secret/tls.crt",
                                                         "client-key": "secret/tls.key"})
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    assert tunnel.get(HOST).status == 502
    right = pair_of(cluster)
    swap(secret, **{"tls.crt": right[0], "tls.key": right[1]})
    eventually(lambda: tunnel.get(HOST).status == 200, seconds=20)
    tunnel.wait_for_log("certificates were replaced")


def test_half_a_rotation_keeps_the_old_pair(cluster, tmp_path, start_tunnel):
    right, wrong = pair_of(cluster), self_signed(tmp_path)
    (tmp_path / "tls.crt").write_text(right[0])
    (tmp_path / "tls.key").write_text(right[1])
    path = kubeconfig_for(cluster, tmp_path / "config", {"client-certificate": "tls.crt", "client-key": "tls.key"})
    tunnel = start_tunnel("--wait", "5s", kubeconfig=path)
    (tmp_path / "tls.key").write_text(wrong[1])
    cluster.order("deny get pods", "allow get pods")
    assert tunnel.get(HOST).status == 200


def test_a_ca_file_is_read_again_when_it_changes(cluster, tmp_path, start_tunnel):
    text = cluster.kubeconfig.read_text()
    right = base64.b64decode(re.search(r"certificate-authority-data: (\S+)", text).group(1)).decode()
    (tmp_path / "ca.crt").write_text(self_signed(tmp_path)[0])
    path = kubeconfig_for(cluster, tmp_path / "config", {"token": "playground"},
                          **{"certificate-authority-data": None, "certificate-authority": "ca.crt"})
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    assert tunnel.get(HOST).status == 502
    (tmp_path / "ca.new").write_text(right)
    os.rename(tmp_path / "ca.new", tmp_path / "ca.crt")
    eventually(lambda: tunnel.get(HOST).status == 200, seconds=20)


def test_a_token_file_is_read_again_after_a_401(cluster, tmp_path, start_tunnel):
    secret = tmp_path / "secret"
    secret.mkdir()
    swap(secret, token="playground")
    path = kubeconfig_for(cluster, tmp_path / "config", {"tokenFile": "secret/token"})
    tunnel = start_tunnel("--prewarmed-tunnels", "0", kubeconfig=path)
    swap(secret, token="second\n")
    cluster.order("token off", "accept second")
    assert tunnel.get(HOST).status == 200


def jwt(expires):
    def part(text):
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"{part('{}')}.{part('{' + f'{chr(34)}exp{chr(34)}:{expires}' + '}')}.{part('x')}"


def test_an_expired_token_of_the_kubeconfig_is_named(cluster, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", {"token": jwt(1700000000)})
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502 and "the token expired at 2023-11-14T22:13:20Z" in answer.text
    done = subprocess.run([BINARY, "list", "--kubeconfig", path], capture_output=True, text=True,
                          env=clean_environment(), timeout=60)
    assert done.returncode == 1 and "the token expired at 2023-11-14T22:13:20Z" in done.stderr


class HoldingProxy:
    """A CONNECT proxy that keeps connections waiting while `hold` is set."""

    def __init__(self):
        self.hold, self.held = threading.Event(), 0
        self.release = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        if self.hold.is_set():
            self.hold.clear()   # one of them
            self.held += 1
            self.release.wait(20)
        host, port = head.split()[1].decode().rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_dial_that_began_before_a_new_certificate_retires_no_tunnel(cluster, plugin, tmp_path, start_tunnel):
    certificate, key = pair_of(cluster)
    proxy = HoldingProxy()
    plugin.print(plugin.credential(clientCertificateData=certificate, clientKeyData=key,
                                   expirationTimestamp=in_seconds(4)))
    path = kubeconfig_for(cluster, tmp_path / "config", plugin.user(), **{"proxy-url": proxy.url})
    tunnel = start_tunnel("--prewarmed-tunnels", "0", kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    plugin.print(plugin.credential(clientCertificateData=certificate + "\n", clientKeyData=key))
    proxy.hold.set()
    cluster.order("kill-tunnels")
    answers = []
    first = threading.Thread(target=lambda: answers.append(tunnel.get(HOST).status))
    first.start()
    eventually(lambda: proxy.held == 1)
    time.sleep(4.2)
    assert tunnel.get(HOST).status == 200 and plugin.runs == 2
    proxy.release.set()
    first.join()
    eventually(lambda: tunnel.log().count("tunnel opened") == 3)
    time.sleep(0.5)
    assert answers == [200] and tunnel.get(HOST).status == 200
    # the plugin's second one, and its first where a connection was ready before it
    assert 1 <= tunnel.log().count("the client certificate changed") <= 2
    # that of the held dial ends by itself, and not that of the new certificate
    eventually(lambda: tunnel.log().count("reason=retired") == 1)
    proxy.listener.close()
