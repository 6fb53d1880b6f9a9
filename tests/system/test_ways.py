"""The way to the API server, with real programs on it: proxies of three kinds, a gateway with a path prefix and
another authority, IPv6, addresses that are dead. REST and both transports of tunnels go all of it.

SPDX-License-Identifier: MIT
"""
import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from real_programs import listens, start_program  # noqa: F401
from tunnel_process import BINARY, clean_environment, eventually, free_ports

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "kubectl"))
from pki import Authority  # noqa: E402

TRANSPORTS = ("spdy", "websocket")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program}: script/bootstrap test")


@pytest.fixture
def http_proxy(start_program, tmp_path):
    """http_proxy(*lines): tinyproxy; its port and its log."""
    def start(*lines):
        port, = free_ports(1)
        log = tmp_path / "tinyproxy.log"
        config = tmp_path / "tinyproxy.conf"
        config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 600", "LogLevel Info",
                                     f'LogFile "{log}"', f'PidFile "{tmp_path / "pid"}"', *lines, ""]))
        start_program(port, "tinyproxy", "-d", "-c", config)
        return port, log
    return start


@pytest.fixture
def socks_proxy(start_program):
    port, = free_ports(1)
    start_program(port, "microsocks", "-i", "127.0.0.1", "-p", port)
    return port


@pytest.fixture
def tls_before(start_program):
    """tls_before(port, certificate, key): TLS on another port, by socat."""
    def start(port, certificate, key):
        outer, = free_ports(1)
        start_program(outer, "socat", f"OPENSSL-LISTEN:{outer},bind=127.0.0.1,reuseaddr,fork,verify=0,"
                      f"cert={certificate},key={key}", f"TCP:127.0.0.1:{port}")
        return outer
    return start


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "another")


@pytest.fixture
def changed(playground, tmp_path):
    """changed(**lines of the cluster): the playground's kubeconfig with these instead or added."""
    def change(name="changed", **fields):
        text = playground.kubeconfig.read_text()
        for field, value in fields.items():
            key = field.replace("_", "-")
            text, n = re.subn(rf"(?m)^    {key}: .*$", f"    {key}: {value}", text)
            if not n:
                text = text.replace("    server:", f"    {key}: {value}\n    server:")
        path = tmp_path / name
        path.write_text(text)
        return path
    return change


def list_services(kubeconfig, **environment):
    done = subprocess.run([BINARY, "list", "-n", "shop", "--kubeconfig", kubeconfig], capture_output=True,
                          text=True, env=clean_environment(HOME="/nonexistent", **environment), timeout=30)
    return done


def check_both_transports(start_tunnel, kubeconfig, environment=None):
    for transport in TRANSPORTS:
        tunnel = start_tunnel("--transport", transport, kubeconfig=kubeconfig, environment=environment, ready=False)
        answer = tunnel.get("web.shop.localhost")
        assert answer.status == 200, answer
        assert tunnel.metrics()[f'kube_tunnel_tunnels_opened_total{{transport="{transport}"}}'] >= 1
        tunnel.stop()  # so that the proxy in between writes its log


# Proxies

@needs("tinyproxy")
def test_an_http_proxy_is_used(start_tunnel, changed, http_proxy, playground):
    port, log = http_proxy()
    check_both_transports(start_tunnel, changed(proxy_url=f"http://127.0.0.1:{port}"))
    assert log.read_text().count(f"CONNECT 127.0.0.1:{playground.port}") >= 4


@needs("tinyproxy")
def test_the_password_of_an_http_proxy_is_in_no_message(start_tunnel, changed, http_proxy):
    port, _ = http_proxy("BasicAuth me hunter2")
    check_both_transports(start_tunnel, changed(proxy_url=f"http://me:hunter2@127.0.0.1:{port}"))
    wrong = changed("wrong", proxy_url=f"http://me:hunter3@127.0.0.1:{port}")
    done = list_services(wrong)
    assert done.returncode == 1
    assert f"the proxy 127.0.0.1:{port} refused to connect" in done.stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=wrong, ready=False)
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502 and f"the proxy 127.0.0.1:{port}" in answer.text
    pages = "".join(tunnel.own(path).text for path in ("/", "/readyz", "/metrics"))
    assert "hunter" not in done.stderr + done.stdout + answer.text + pages + tunnel.log()


@pytest.mark.parametrize("url", ["ftp://me:hunter2@127.0.0.1:1", "http://me:hun ter2@127.0.0.1:1",
                                 "http://me:hunter2@127.0.0.1:x", "http://me:hunter2@[::1", "socks5://me:hunter2@"])
def test_a_malformed_proxy_of_the_environment_shows_no_password(start_tunnel, changed, playground,
                                                                url):
    kubeconfig = changed(server=f"https://api.test:{playground.port}")
    done = list_services(kubeconfig, HTTPS_PROXY=url)
    assert done.returncode == 1 and done.stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False, environment={"HTTPS_PROXY": url})
    answer = tunnel.get("web.shop.localhost")
    assert answer.status in (502, 504), answer
    assert "ter2" not in done.stderr + answer.text + tunnel.log()


@needs("tinyproxy")
@needs("socat")
@pytest.mark.parametrize("signed_by", ["the cluster's authority", "one of the system's", "neither"])
def test_a_proxy_is_reached_over_tls(start_tunnel, changed, http_proxy, tls_before, authority,
                                     playground, tmp_path, signed_by):
    inner, log = http_proxy()
    outer = tls_before(inner, *authority.issue("proxy"))
    fields = {"proxy_url": f"https://127.0.0.1:{outer}"}
    environment = {}
    if signed_by == "the cluster's authority":  # a bundle, as is usual with such a proxy
        own = base64.b64decode(re.search(r"certificate-authority-data: (\S+)", playground.kubeconfig.read_text())[1])
        fields["certificate_authority_data"] = base64.b64encode(own + authority.path.read_bytes()).decode()
    if signed_by == "one of the system's":
        environment["SSL_CERT_FILE"] = str(authority.path)
    kubeconfig = changed(**fields)
    if signed_by != "neither":
        check_both_transports(start_tunnel, kubeconfig, environment)
        assert log.read_text().count(f"CONNECT 127.0.0.1:{playground.port}") >= 4
        return
    done = list_services(kubeconfig)
    assert f"the proxy 127.0.0.1:{outer}: its certificate is signed by an unknown authority" in done.stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False)
    assert f"the proxy 127.0.0.1:{outer}" in tunnel.get("web.shop.localhost").text


@needs("microsocks")
def test_a_socks5_proxy_is_used(start_tunnel, changed, socks_proxy):
    check_both_transports(start_tunnel, changed(proxy_url=f"socks5://127.0.0.1:{socks_proxy}"))


@needs("microsocks")
def test_socks5_proxy_that_cannot_connect_is_named(changed, socks_proxy):
    closed, = free_ports(1)
    done = list_services(changed(proxy_url=f"socks5://127.0.0.1:{socks_proxy}",
                                 server=f"https://127.0.0.1:{closed}"))
    assert f"the proxy 127.0.0.1:{socks_proxy} could not connect to 127.0.0.1:{closed}" in done.stderr


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_dead_proxy_is_named(start_tunnel, changed, scheme):
    closed, = free_ports(1)
    kubeconfig = changed(proxy_url=f"{scheme}://127.0.0.1:{closed}")
    assert f"cannot reach the proxy 127.0.0.1:{closed}: Connection refused" in list_services(kubeconfig).stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False)
    assert f"the proxy 127.0.0.1:{closed}" in tunnel.get("web.shop.localhost").text


# Gateways

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 100; }}
http {{
    access_log {folder}/access.log combined;
    log_format protocols '$server_protocol $request_uri';
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    map $http_upgrade $onward {{ default upgrade; '' ''; }}
    server {{
        listen {listen} ssl http2;
        access_log {folder}/protocols.log protocols;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location /k8s/clusters/c-1/ {{
            proxy_pass https://127.0.0.1:{port}/;
            proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 600s;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $onward;
        }}
        location /login {{ return 302 https://login.test/sign-in; }}
        location /page {{ default_type text/html; return 200 '<html>sign in</html>'; }}
    }}
}}
"""


@pytest.fixture
def gateway(start_program, tmp_path, playground, authority):
    """nginx with a certificate of another authority: its port, authority (base64) and folder."""
    port, = free_ports(1)
    certificate, key = authority.issue("gateway")
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, listen=f"127.0.0.1:{port}", certificate=certificate, key=key,
                                   port=playground.port))
    start_program(port, "nginx", "-p", tmp_path, "-c", config, "-e", tmp_path / "error.log")
    return port, base64.b64encode(authority.path.read_bytes()).decode(), tmp_path


@needs("nginx")
def test_a_gateway_with_a_path_prefix_and_another_authority_is_used(start_tunnel, changed, gateway):
    port, ca, folder = gateway
    check_both_transports(start_tunnel, changed(server=f"https://127.0.0.1:{port}/k8s/clusters/c-1/",
                                                certificate_authority_data=ca))
    lines = (folder / "protocols.log").read_text().splitlines()
    assert any(x.startswith("HTTP/2.0 /k8s/clusters/c-1/api/v1/") for x in lines), lines
    assert any(x.startswith("HTTP/1.1 ") and "portforward" in x for x in lines), lines


@needs("nginx")
@pytest.mark.parametrize("path, says", [("login", "https://login.test/sign-in"), ("page", "HTML")])
def test_a_gateway_that_redirects_to_a_login_is_named(start_tunnel, changed, gateway, path, says):
    port, ca, _ = gateway
    # nginx matches /login as a prefix, whatever follows
    kubeconfig = changed(server=f"https://127.0.0.1:{port}/{path}", certificate_authority_data=ca)
    assert says in list_services(kubeconfig).stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False)
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502 and says in answer.text, answer


@needs("nghttpx")
def test_gateway_that_speaks_http_2_only_serves_rest(start_program, start_tunnel, changed,
                                                     playground, authority):
    """It chooses h2 or nothing; `list` needs no more. A tunnel does, and its request ends."""
    port, = free_ports(1)
    certificate, key = authority.issue("h2-only")
    start_program(port, "nghttpx", "--conf=/dev/null", f"--frontend=127.0.0.1,{port}", "--npn-list=h2",
                  f"--backend=127.0.0.1,{playground.port};;tls;proto=http/1.1", "--insecure", key, certificate)
    ca = base64.b64encode(authority.path.read_bytes()).decode()
    kubeconfig = changed(server=f"https://127.0.0.1:{port}", certificate_authority_data=ca)
    done = list_services(kubeconfig)
    assert done.returncode == 0 and "web.shop" in done.stdout, done.stderr
    tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False)
    answer = tunnel.get("web.shop.localhost")
    assert answer.status == 502, answer


# Addresses

def test_an_api_server_on_ipv6_is_reached(start_playground, start_tunnel):
    playground = start_playground("--listen", "[::1]:0")
    assert "https://[::1]:" in playground.kubeconfig.read_text()
    check_both_transports(start_tunnel, playground.kubeconfig)


# What certificates and keys do to `list` and `run` alike

def test_encrypted_key_is_refused_when_loading_without_a_prompt(playground, tmp_path):
    text = playground.kubeconfig.read_text()
    key = base64.b64decode(re.search(r"client-key-data: (\S+)", text)[1])
    encrypted = subprocess.run(["openssl", "pkcs8", "-topk8", "-passout", "pass:x"], input=key,
                               capture_output=True, check=True).stdout
    path = tmp_path / "config"
    path.write_text(re.sub(r"client-key-data: \S+", "client-key-data: " + base64.b64encode(encrypted).decode(),
                           text))
    line = next(n for n, x in enumerate(path.read_text().splitlines(), 1) if "- name: certificate" in x)
    for command in (["list"], ["run", "--listen", "127.0.0.1:0"]):
        leader, follower = os.openpty()  # where a prompt would be shown
        done = subprocess.run([BINARY, *command, "--kubeconfig", path, "--context", "playground-certificate"],
                              stdin=follower, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              timeout=10, start_new_session=True, env=clean_environment(HOME="/nonexistent"))
        os.close(follower), os.close(leader)
        assert done.returncode == 1, done
        assert f'{path}:{line}: user "certificate": client-key-data: the key is encrypted' in done.stderr


def test_plain_http_where_tls_is_expected_is_named(start_tunnel, changed):
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def serve():
            while True:
                try:
                    s, _ = server.accept()
                except OSError:
                    return
                s.recv(4096)
                s.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")  # and stays open
                kept.append(s)
        kept = []
        threading.Thread(target=serve, daemon=True).start()
        kubeconfig = changed(server=f"https://127.0.0.1:{server.getsockname()[1]}")
        assert "plain HTTP" in list_services(kubeconfig).stderr
        tunnel = start_tunnel("--wait", "300ms", kubeconfig=kubeconfig, ready=False)
        assert "plain HTTP" in tunnel.get("web.shop.localhost").text


class Blackhole:
    """An address that answers no SYN: its queue is full, and nothing accepts."""

    def __init__(self, host):
        self.listener = socket.socket()
        self.listener.bind((host, 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = [socket.socket() for _ in range(4)]
        for s in self.fillers:
            s.setblocking(False)
            s.connect_ex((host, self.port))

    def close(self):
        for s in (self.listener, *self.fillers):
            s.close()


@pytest.fixture
def two_addresses(start_playground, tmp_path):
    """A name with an address that is dead and, after it, one that works: kubeconfig, and what to start
    kube-tunnel with so that it knows the name."""
    hole = Blackhole("127.0.0.2")
    playground = start_playground("--listen", f"127.0.0.3:{hole.port}")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 api.test\n127.0.0.3 api.test\n")
    path = tmp_path / "two"
    path.write_text(re.sub(r"server: .*", f"server: https://api.test:{hole.port}\n    tls-server-name: localhost",
                           playground.kubeconfig.read_text()))
    wrapper = tmp_path / "kube-tunnel"
    wrapper.write_text(f"#!/bin/sh\nmount --bind {hosts} /etc/hosts && exec {BINARY.resolve()} \"$@\"\n")
    outer = tmp_path / "outer"
    user = "" if os.getuid() == 0 else "--map-root-user --user"
    outer.write_text(f"#!/bin/sh\nexec unshare {user} --mount {wrapper} \"$@\"\n")
    for script in (wrapper, outer):
        script.chmod(0o755)
    yield path, outer
    hole.close()


def test_a_dead_address_of_two_is_remembered(start_tunnel, two_addresses):
    kubeconfig, program = two_addresses
    began = time.monotonic()
    done = subprocess.run([program, "list", "-n", "shop", "--kubeconfig", kubeconfig], capture_output=True,
                          text=True, env=clean_environment(HOME="/nonexistent"), timeout=30)
    assert done.returncode == 0 and "web.shop" in done.stdout, done.stderr
    assert time.monotonic() - began < 2, "curl alone takes half of its 20 s"

    tunnel = start_tunnel("--prewarmed-tunnels", "0", kubeconfig=kubeconfig, binary=program)
    seconds = [tunnel.get(f"{name}.localhost").seconds for name in ("web.shop", "web.other", "slow.shop")]
    assert min(seconds[1:]) < 0.25, f"the dead address is tried again: {seconds}"


def test_a_slow_only_address_is_waited_for(changed, tmp_path):
    """No race ends an attempt for which there is no other address."""
    hole = Blackhole("127.0.0.1")
    began = time.monotonic()
    process = subprocess.Popen([BINARY, "list", "--kubeconfig", changed(server=f"https://localhost:{hole.port}")],
                               stderr=subprocess.DEVNULL, env=clean_environment(HOME="/nonexistent"))
    time.sleep(1)
    assert process.poll() is None, f"given up after {time.monotonic() - began} s"
    process.kill()
    process.wait()
    hole.close()
