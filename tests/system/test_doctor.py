"""`kube-tunnel doctor`: each finding from a real cause, with what to do about it.

SPDX-License-Identifier: MIT
"""
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from conftest import SANITIZED
from kubeconfigs import Kubeconfig
from plugins import kubeconfig_for
from test_certificates import jwt, pair_of
from tunnel_process import BINARY, clean_environment, free_ports

NAMES = ["configuration", "limits", "ports", "addresses", "client proxy", "names", "kubeconfig", "credentials", "proxy", "API server",
         "clock", "login", "rights", "tunnel"]


class Findings:
    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr
        self.document = json.loads(done.stdout)
        self.checks = {c["name"]: c for c in self.document["checks"]}

    def bad(self):
        """Names of the checks that are neither ok nor skipped."""
        return {n: c["status"] for n, c in self.checks.items() if c["status"] not in ("ok", "skipped")}

    def __getitem__(self, name):
        return self.checks[name]


def run(*words, wrapper=(), **environment):
    port, = free_ports(1)
    flags = [] if "--listen" in words else ["--listen", f"127.0.0.1:{port}"]
    return subprocess.run([*wrapper, BINARY, "doctor", *map(str, words), *flags], capture_output=True, text=True,
                          env=clean_environment(**{"HOME": "/nonexistent", **environment}), timeout=60)


def doctor(*words, **options):
    return Findings(run(*words, "-o", "json", **options))


def test_where_all_is_well_each_check_is_ok_and_nothing_is_left(playground, tmp_path):
    port, = free_ports(1)
    began = time.monotonic()
    found = doctor("--kubeconfig", playground.kubeconfig, "--listen", f"127.0.0.1:{port}", HOME=str(tmp_path))
    assert SANITIZED or time.monotonic() - began < 5
    assert list(found.checks) == NAMES and found.bad() == {} and found.status == 0 and found.document["ok"]
    assert all("fix" not in c for c in found.checks.values()) and found.stderr == ""
    assert re.search(r"port \d+ of service \S+, open in \d+ ms", found["tunnel"]["text"])
    assert re.search(r"answers in \d+ ms, and on an open connection in \d+ ms", found["API server"]["text"])
    assert found["ports"]["text"] == f"free: 127.0.0.1:{port}"
    assert list(tmp_path.iterdir()) == []
    socket.create_server(("127.0.0.1", port)).close()


def test_the_text_has_a_line_per_check_and_the_fix_below(playground):
    done = run("--kubeconfig", playground.kubeconfig, "closed.shop")
    lines = done.stdout.splitlines()
    assert [re.sub(" +", " ", line)[:9] for line in lines[:2]] == ["ok config", "ok limits"]
    assert lines[-2].startswith("failed  tunnel") and lines[-1].startswith(" " * 24 + "see whether the container")
    assert done.returncode == 1 and "\033" not in done.stdout


# each finding


def test_a_wrong_configuration_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("port: 80\nwait: soon\n")
    found = doctor("--config", path)
    assert found.bad() == {"configuration": "failed"} and f"{path}:2" in found["configuration"]["text"]
    assert found["kubeconfig"]["text"] == "depends on: configuration" and found.status == 1


def test_a_low_limit_on_open_files_is_a_warning(playground):
    found = doctor("--kubeconfig", playground.kubeconfig, wrapper=["sh", "-c", 'ulimit -n 200; exec "$@"', "sh"])
    assert found.bad() == {"limits": "warning"} and "ulimit -n" in found["limits"]["fix"] and found.status == 0


def test_a_taken_port_is_named_with_its_owner(playground):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        found = doctor("--kubeconfig", playground.kubeconfig, "--listen", f"127.0.0.1:{port}")
    assert found.bad() == {"ports": "failed"} and "--port 8080" in found["ports"]["fix"]
    assert re.search(rf"port {port} on 127.0.0.1 is already in use, by .*\(pid {os.getpid()}\)", found["ports"]["text"])


def test_a_server_on_all_addresses_is_named(playground):
    with socket.create_server(("0.0.0.0", 0)) as server, socket.create_server(("127.0.0.1", 0)) as local:
        text = doctor("--kubeconfig", playground.kubeconfig)["addresses"]["text"]
        ports = [int(p) for p in re.findall(r"\d+", text.partition("too: ")[2])]
        assert server.getsockname()[1] in ports or len(ports) == 24
        assert local.getsockname()[1] not in ports and ports == sorted(ports)


def test_a_port_of_a_running_kube_tunnel_is_no_problem(playground, tunnel):
    found = doctor("--kubeconfig", playground.kubeconfig, "--listen", f"127.0.0.1:{tunnel.port}")
    assert found.bad() == {} and "a kube-tunnel runs" in found["ports"]["text"]


@pytest.mark.parametrize("excepted, status", [(None, "warning"), ("example.org", "warning"),
                                              ("localhost,127.0.0.1", "ok")])
def test_a_proxy_that_gets_requests_for_services_is_a_warning(playground, excepted, status):
    found = doctor("--kubeconfig", playground.kubeconfig, http_proxy="http://127.0.0.1:9",
                   **({"no_proxy": excepted} if excepted else {}))
    assert found["client proxy"]["status"] == status
    assert status == "ok" or "no_proxy=localhost,127.0.0.1" in found["client proxy"]["fix"]


def test_a_missing_kubeconfig_is_named(tmp_path):
    found = doctor("--kubeconfig", tmp_path / "none")
    assert found.bad() == {"kubeconfig": "failed"} and str(tmp_path / "none") in found["kubeconfig"]["text"]
    assert "--kubeconfig" in found["kubeconfig"]["fix"] and found["tunnel"]["status"] == "skipped"


def test_a_server_that_is_not_verified_is_a_warning(playground, tmp_path):
    config = Kubeconfig(tmp_path / "config", current="c").add("c", playground)
    cluster = config.entries["c"]["cluster"]
    del cluster["certificate-authority-data"]
    cluster["insecure-skip-tls-verify"] = True
    found = doctor("--kubeconfig", config.write())
    assert found.bad() == {"kubeconfig": "warning"} and "certificate-authority-data" in found["kubeconfig"]["fix"]


def test_an_expired_token_is_named(playground, tmp_path):
    path = kubeconfig_for(playground, tmp_path / "config", {"token": jwt(1700000000)})
    found = doctor("--kubeconfig", path)
    assert found["credentials"]["status"] == "failed" and found.status == 1
    assert re.search(r"a token, which expired \d+ days ago", found["credentials"]["text"])
    assert "log in again" in found["credentials"]["fix"] and found["login"]["status"] == "skipped"


def test_a_token_that_expires_soon_is_a_warning(playground, tmp_path):
    path = kubeconfig_for(playground, tmp_path / "config", {"token": jwt(int(time.time()) + 200)})
    assert doctor("--kubeconfig", path)["credentials"]["status"] == "warning"


def expired_pair(folder):
    key, request, certificate = folder / "old.key", folder / "old.csr", folder / "old.crt"

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
            "-out", request, "-subj", "/CN=old")
    openssl("x509", "-req", "-in", request, "-out", certificate, "-signkey", key, "-days", "-1")
    return certificate, key


def test_an_expired_certificate_is_named(playground, tmp_path):
    certificate, key = expired_pair(tmp_path)
    path = kubeconfig_for(playground, tmp_path / "config",
                          {"client-certificate": str(certificate), "client-key": str(key)})
    found = doctor("--kubeconfig", path)
    assert re.search(r"a client certificate, which expired 24 hours ago", found["credentials"]["text"])
    assert found["credentials"]["fix"]


def test_a_valid_certificate_shows_its_expiry(playground, tmp_path):
    certificate, key = pair_of(playground)
    (tmp_path / "c").write_text(certificate)
    (tmp_path / "k").write_text(key)
    path = kubeconfig_for(playground, tmp_path / "config",
                          {"client-certificate": str(tmp_path / "c"), "client-key": str(tmp_path / "k")})
    found = doctor("--kubeconfig", path)
    assert found.bad() == {} and re.search(r"expires in \d+ days", found["credentials"]["text"])


def test_a_failing_plugin_is_named_with_its_hint(playground, tmp_path):
    path = kubeconfig_for(playground, tmp_path / "config", {"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never",
        "installHint": "install it with: make plugin"}})
    found = doctor("--kubeconfig", path)
    assert found["credentials"]["status"] == "failed" and "no-such-plugin" in found["credentials"]["text"]
    assert "make plugin" in found["credentials"]["fix"]


def test_a_token_that_the_server_refuses_is_named(playground, tmp_path):
    path = kubeconfig_for(playground, tmp_path / "config", {"token": "wrong"})
    found = doctor("--kubeconfig", path)
    assert found.bad() == {"login": "failed"} and "log in again" in found["login"]["fix"]
    assert found["rights"]["status"] == "skipped"


def test_an_unreachable_server_is_named(tmp_path):
    port, = free_ports(1)
    found = doctor("--kubeconfig", Kubeconfig(tmp_path / "c", current="c").add(
        "c", server=f"https://127.0.0.1:{port}").write())
    assert found.bad() == {"API server": "failed"} and f"127.0.0.1:{port}" in found["API server"]["text"]
    assert f"curl -k https://127.0.0.1:{port}/version" in found["API server"]["fix"]


def test_a_server_that_does_not_answer_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        found = doctor("--kubeconfig", Kubeconfig(tmp_path / "c", current="c").add(
            "c", server=f"https://127.0.0.1:{silent.getsockname()[1]}").write())
    assert found.bad() == {"API server": "failed"} and 5 < time.monotonic() - began < 30


def test_another_authority_is_named(playground, start_playground, tmp_path):
    other = start_playground()
    config = Kubeconfig(tmp_path / "c", current="c").add("c", playground).add("d", other)
    config.entries["c"]["cluster"]["certificate-authority-data"] = \
        config.entries["d"]["cluster"]["certificate-authority-data"]
    found = doctor("--kubeconfig", config.write())
    assert found.bad() == {"API server": "failed"} and "certificate" in found["API server"]["text"]
    assert "certificate-authority-data" in found["API server"]["fix"]


def test_a_dead_proxy_of_the_environment_is_named(tmp_path):
    port, = free_ports(1)
    found = doctor("--kubeconfig", Kubeconfig(tmp_path / "c", current="c").add(
        "c", server="https://kubernetes.test:6443").write(), HTTPS_PROXY=f"http://user:secret@127.0.0.1:{port}")
    assert found["proxy"]["status"] == "failed" and f"127.0.0.1:{port}" in found["proxy"]["text"]
    assert "secret" not in json.dumps(found.document)
    assert "NO_PROXY=kubernetes.test" in found["proxy"]["fix"]


def test_a_dead_proxy_of_the_kubeconfig_is_named(playground, tmp_path):
    port, = free_ports(1)
    config = Kubeconfig(tmp_path / "c", current="c").add("c", playground)
    config.entries["c"]["cluster"]["proxy-url"] = f"http://127.0.0.1:{port}"
    found = doctor("--kubeconfig", config.write())
    assert found["proxy"]["status"] == "failed" and "proxy-url" in found["proxy"]["fix"]


class Server:
    """An API server that has a clock, and nothing else."""

    def __init__(self, ahead):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"gitVersion": "v1.34.0\\u202e<evil>"}')

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + ahead)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.mark.parametrize("ahead, status, words", [
    (0, "ok", "from the API server's"), (120, "warning", "behind the API server's"),
    (3600, "failed", "behind the API server's"), (-3600, "failed", "ahead of the API server's")])
def test_a_clock_that_differs_is_named(tmp_path, ahead, status, words):
    server = Server(ahead)
    config = Kubeconfig(tmp_path / "c", current="c").add("c", server=server.url)
    config.entries["c"]["user"] = {}
    found = doctor("--kubeconfig", config.write())
    server.server.shutdown()
    assert found["clock"]["status"] == status and words in found["clock"]["text"]
    assert status == "ok" or "timedatectl" in found["clock"]["fix"]
    assert "v1.34.0" in found["API server"]["text"] and "\u202e" not in json.dumps(found.document, ensure_ascii=False)


def test_missing_rights_are_named(start_playground):
    playground = start_playground("--rights", "none")
    found = doctor("--kubeconfig", playground.kubeconfig)
    assert found["rights"]["status"] == "failed" and "rbac --namespace shop" in found["rights"]["fix"]
    assert "list services, list endpointslices, create pods/portforward" in found["rights"]["text"]
    assert found["tunnel"]["status"] == "failed" and found.status == 1


def test_rights_in_one_namespace_are_a_warning(start_playground):
    playground = start_playground("--rights", "none", *(f for r in (
        "list services shop *", "list endpointslices shop *", "create pods/portforward shop *") for f in ("--grant", r)))
    found = doctor("--kubeconfig", playground.kubeconfig)
    assert found.bad() == {"rights": "warning"} and "services of namespace shop only" in found["rights"]["text"]
    assert found["tunnel"]["text"].startswith("to pod shop/")


def test_a_missing_right_to_tunnels_is_named(start_playground):
    playground = start_playground("--rights", "none", *(f for r in (
        "list services * *", "list endpointslices * *") for f in ("--grant", r)))
    found = doctor("--kubeconfig", playground.kubeconfig)
    assert "missing in namespace shop and in the whole cluster: create pods/portforward" in found["rights"]["text"]
    assert found["tunnel"]["status"] == "failed" and "rbac --check" in found["tunnel"]["fix"]


def test_a_container_that_refuses_is_named(playground):
    found = doctor("closed.shop", "--kubeconfig", playground.kubeconfig)
    assert found.bad() == {"tunnel": "failed"}
    assert re.search(r"the tunnel works, but pod shop/web-\S+ refuses connections to port 9999: .*refused",
                     found["tunnel"]["text"])
    assert "kubectl -n shop logs web-" in found["tunnel"]["fix"]


def test_a_service_without_a_ready_pod_is_named(playground):
    found = doctor("empty.shop", "--kubeconfig", playground.kubeconfig)
    assert found.bad() == {"tunnel": "failed"} and "service empty in namespace shop" in found["tunnel"]["text"]
    assert "kubectl -n shop describe service empty" in found["tunnel"]["fix"]


@pytest.mark.parametrize("words", [["a.b.c"], ["web"], ["web.shop", "other.shop"], ["-o", "yaml"]])
def test_a_mistake_on_the_command_line_is_exit_2(words):
    done = run(*words)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
