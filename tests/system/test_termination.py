"""TLS of clients that ends in kube-tunnel, with certificates of the local CA.

SPDX-License-Identifier: MIT
"""
import http.server
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading

import pytest

from grpc_peer import build
from http_client import Client, request
from test_direct import in_pod  # noqa: F401
from test_tls_to_services import certificates, cluster, plain, start, tls_pods  # noqa: F401
from tunnel_process import KubeTunnel, curl, eventually

NAME = "web.shop.svc.cluster.local"


def run(*command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, **options)


class Home:
    """A home for the CA of a test, and the commands that use it."""

    def __init__(self, folder):
        self.data = folder / "data"
        self.folder = self.data / "kube-tunnel" / "ca"
        self.key = self.folder / "cluster.local.pem"
        self.certificate = self.folder / "cluster.local.crt"
        self.environment = {"XDG_DATA_HOME": str(self.data)}


def by_name(tunnel, name=NAME, port=443):
    """curl's flags that send this name to kube-tunnel's port."""
    return ("--connect-to", f"{name}:{port}:127.0.0.1:{tunnel.port}")


def fetch(tunnel, home, *flags, name=NAME, path="/x"):
    return curl("--cacert", home.certificate, *flags, *by_name(tunnel, name), f"https://{name}{path}")


def anyone():
    """A context of clients that accept any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def s_client(tunnel, *flags, name=NAME, input=""):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{tunnel.port}", *(["-servername", name] if name else
               ["-noservername"]), *flags, input=input)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory, playground, home):
    """A kube-tunnel with that home, whose CA is made."""
    tunnel = KubeTunnel(kubeconfig=playground.kubeconfig, folder=tmp_path_factory.mktemp("tunnel"),
                        environment=home.environment).start()
    assert curl("-k", *by_name(tunnel), f"https://{NAME}/").status == 200
    tunnel.wait_for_log("a local CA was made.*kube-tunnel ca install")
    yield tunnel
    tunnel.stop()


@pytest.mark.parametrize("flags, version", [
    ((), "HTTP/2"), (("--http1.1",), "HTTP/1.1"), (("--tls-max", "1.2"), "HTTP/2"), (("--no-alpn", "--http1.1"), "HTTP/1.1")])
def test_a_plain_service_is_served_over_tls(secure, home, flags, version):
    answer = fetch(secure, home, *flags)
    assert answer.status == 200 and answer.head.startswith(version), answer
    assert f"method GET host {NAME} path /x" in answer.text


def test_it_is_no_failed_lease(secure, home):
    failed = 'kube_tunnel_leases_total{source="failed"}'
    before = secure.metrics().get(failed, 0)
    assert fetch(secure, home).status == 200
    assert secure.metrics().get(failed, 0) == before


@pytest.mark.parametrize("name", ["web.shop.localhost", "web.shop.svc"])
def test_each_form_of_a_name_has_a_certificate(secure, home, name):
    assert fetch(secure, home, name=name).status == 200


@pytest.mark.parametrize("offered, chosen", [("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1"),
                                             ("foo,http/1.1", "http/1.1")])
def test_alpn_prefers_http2(secure, home, offered, chosen):
    done = s_client(secure, "-alpn", offered, "-CAfile", home.certificate, "-verify_return_error", "-verify_hostname",
                    NAME)
    assert f"ALPN protocol: {chosen}" in done.stdout, done
    assert "Verify return code: 0 (ok)" in done.stdout, done


def test_a_client_without_a_common_protocol_is_refused(secure):
    assert "no application protocol" in s_client(secure, "-alpn", "smtp").stderr


@pytest.mark.parametrize("name, alert", [
    ("", "handshake failure"), ("www.example.com", "unrecognized name"), ("127.0.0.2", "unrecognized name"),
    ("web.shop", "access denied"), ("example.com", "access denied"), ("nosuch.shop.svc.cluster.local", "unrecognized name"),
    ("localhost", "unrecognized name")])
def test_no_certificate_is_made_for_other_names(secure, name, alert):
    done = s_client(secure, name=name)
    assert alert.replace(" ", "") in done.stderr.replace(" ", "").lower(), done
    assert "no peer certificate available" in done.stdout, done


@pytest.fixture(scope="module")
def ech(home):
    """ech(tunnel, outer name, inner name): what crypto/tls of Go reports, with Encrypted Client Hello."""
    if not shutil.which("go"):
        pytest.skip("no go here: NOTHING about Encrypted Client Hello is tested")
    peer = build()["peer"]

    def connect(tunnel, outer, inner):
        done = run(peer, "ech", "--ca", home.certificate, f"127.0.0.1:{tunnel.port}", outer, inner)
        assert done.returncode == 0, done
        return done.stdout.strip()
    return connect


def test_of_an_encrypted_client_hello_the_outer_name_counts(secure, ech):
    """The inner name cannot be read here. The client learns from the certificate that it was not used."""
    outer = "web.shop.localhost"
    assert ech(secure, outer, "db.shop.localhost") == f"rejected, with a valid certificate for {outer}"
    secure.wait_for_log(rf"TLS connection .*server_name={outer} .*ech=yes")


def test_an_encrypted_client_hello_to_another_site_is_refused_and_named(secure, ech):
    assert "unrecognized name" in ech(secure, "public.example.com", NAME)
    secure.wait_for_log(r"INFO .*TLS connection refused .*server_name=public.example.com .*ech=yes .*"
                        r"only the outer name of an encrypted ClientHello \(ECH\) can be read; turn ECH off")


def test_a_certificate_is_for_one_name_and_seven_days(secure):
    shown = s_client(secure).stdout
    text = run("openssl", "x509", "-noout", "-text", input=shown).stdout
    assert re.findall(r"DNS:\S+", text) == [f"DNS:{NAME}"]
    assert run("openssl", "x509", "-noout", "-checkend", 6 * 86400, input=shown).returncode == 0
    assert run("openssl", "x509", "-noout", "-checkend", 7 * 86400, input=shown).returncode == 1


def test_the_pod_learns_that_the_client_used_tls(secure, home):
    for flags in ((), ("--http1.1",)):
        answer = fetch(secure, home, *flags, "-H", "X-Forwarded-Proto: gopher", path="/headers")
        assert re.findall(r"(?im)^x-forwarded-proto: (\w+)", answer.text) == ["https"], answer
    plain = curl(f"http://web.shop.localhost:{secure.port}/headers", "-H", "X-Forwarded-Proto: gopher")
    assert re.findall(r"(?im)^x-forwarded-proto: (\w+)", plain.text) == ["gopher"], "as it came"


def test_a_browsers_policy_holds_over_tls(secure, home):
    answer = fetch(secure, home, "-H", "Origin: https://evil.example", "-d", "x")
    assert answer.status == 403, answer


def test_sessions_are_resumed(secure, home, tmp_path):
    ticket = tmp_path / "ticket"
    for version in ("-tls1_2", "-tls1_3"):
        first = s_client(secure, version, "-sess_out", ticket, "-ign_eof",
                         input=f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
        assert "New, TLS" in first.stdout, first
        assert "Reused, TLS" in s_client(secure, version, "-sess_in", ticket).stdout


def test_renegotiation_is_refused(secure):
    done = s_client(secure, "-tls1_2", input="R\n")
    assert "no renegotiation" in done.stderr or "Secure Renegotiation IS NOT" in done.stdout, done


class Strict(http.server.BaseHTTPRequestHandler):
    """A pod that expects to be reached by TLS only."""

    def do_GET(self):
        self.send_response(200)
        for field in (("Strict-Transport-Security", "max-age=1000"), ("X-Kept", "yes"), ("Content-Length", "0")):
            self.send_header(*field)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def strict():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strict)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_strict_transport_security_is_removed(start_playground, start_tunnel, strict, tmp_path):
    """Else a browser would refuse http:// to the name for as long as the service has set, with and without the CA."""
    playground = start_playground("--backend", f"web:8080=127.0.0.1:{strict}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, environment=Home(tmp_path).environment)
    for url, expected in ((f"http://{NAME}", "max-age=1000"), (f"https://{NAME}", None)):
        for version in ("--http1.1", "--http2"):
            answer = curl("-k", version, *by_name(tunnel, port=80), *by_name(tunnel), url)
            assert (answer.status, answer.header("X-Kept"), answer.header("Strict-Transport-Security")) == (
                200, "yes", expected), (url, answer)


def test_a_setting_leaves_tls_to_the_services(start_tunnel, tmp_path):
    home = Home(tmp_path)
    tunnel = start_tunnel("--tls-termination=false", environment=home.environment)
    assert "handshake failure" in s_client(tunnel).stderr
    tunnel.wait_for_log(r"has no TLS port, use http://")
    assert not home.folder.exists()


def test_only_the_owner_can_read_the_key(secure, home):
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert "PRIVATE" not in home.certificate.read_text()


@pytest.mark.parametrize("mode, words", [(0o644, r"mode 0644 lets other users in.*chmod 600"), (0o660, "mode 0660")])
def test_a_key_that_others_can_read_is_not_used(start_tunnel, secure, home, tmp_path, mode, words):
    shutil.copytree(home.data, tmp_path / "data")
    own = Home(tmp_path)
    own.key.chmod(mode)
    tunnel = start_tunnel(environment=own.environment)
    assert "internal error" in s_client(tunnel).stderr
    tunnel.wait_for_log(rf"WARN .*TLS connection refused .*{re.escape(str(own.key))}: .*{words}")


def test_many_names_at_once_are_limited(start_tunnel, tmp_path):
    """Each pod and endpoint has names of its own: a page could ask for very many."""
    tunnel = start_tunnel(environment=Home(tmp_path).environment)
    context = anyone()
    made = refused = 0
    for n in range(100):
        with socket.create_connection(("127.0.0.1", tunnel.port), 10) as s:
            try:
                with context.wrap_socket(s, server_hostname=f"web-{n}.{NAME}"):
                    made += 1
            except ssl.SSLError as e:
                assert "internal error" in str(e).lower(), e
                refused += 1
    assert 64 <= made < 100 and refused == 100 - made, (made, refused)
    tunnel.wait_for_log("too many certificates were made lately")


# --- connections that are odd ---

def tls_over(name=NAME):
    """A TLS client whose bytes the test sends: the object, what it reads and what it has written."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return anyone().wrap_bio(incoming, outgoing, server_hostname=name), incoming, outgoing


def shake_hands(tls, incoming, outgoing, client, send):
    while True:
        try:
            tls.do_handshake()
            return send(client, outgoing.read())
        except ssl.SSLWantReadError:
            send(client, outgoing.read())
            incoming.write(client.socket.recv(65536))


def read_over(tls, incoming, client, n=12):
    while True:
        incoming.write(client.socket.recv(65536))
        try:
            return tls.read(n)
        except ssl.SSLWantReadError:
            pass


def test_a_handshake_byte_by_byte_is_served(secure):
    tls, incoming, outgoing = tls_over()
    with Client(secure.port) as client:
        shake_hands(tls, incoming, outgoing, client, lambda c, data: [c.socket.sendall(data[i:i + 1]) for i in
                                                                      range(len(data))])
        tls.write(request(NAME))
        client.socket.sendall(outgoing.read())
        assert read_over(tls, incoming, client) == b"HTTP/1.1 200"


@pytest.mark.parametrize("after", ["hello", "handshake"])
def test_a_client_that_stalls_is_closed(start_tunnel, tmp_path, after):
    tunnel = start_tunnel("--head-timeout", "300ms", environment=Home(tmp_path).environment)
    tls, incoming, outgoing = tls_over()
    with Client(tunnel.port) as client:
        if after == "handshake":
            shake_hands(tls, incoming, outgoing, client, lambda c, data: c.socket.sendall(data))
        else:
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            client.socket.sendall(outgoing.read())
        eventually(client.is_closed, seconds=5)


def test_a_client_that_breaks_off_leaves_no_session(start_tunnel, tmp_path):
    tunnel = start_tunnel(environment=Home(tmp_path).environment)
    for how in ("close", "reset"):
        tls, incoming, outgoing = tls_over()
        with Client(tunnel.port) as client:
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            client.socket.sendall(outgoing.read())
            client.socket.recv(65536)
            client.close() if how == "close" else client.reset()
    eventually(lambda: re.search(r"kube_tunnel_sessions 1\b", tunnel.own("/metrics").text))


def test_an_orderly_end_is_answered(secure):
    tls, incoming, outgoing = tls_over()
    with Client(secure.port) as client:
        shake_hands(tls, incoming, outgoing, client, lambda c, data: c.socket.sendall(data))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        client.socket.sendall(outgoing.read())
        while data := client.socket.recv(65536):
            incoming.write(data)
        incoming.write_eof()
        tls.unwrap()


def test_a_hello_of_more_than_16_kb_is_refused(secure):
    with Client(secure.port) as client:
        client.send(b"\x16\x03\x01\x40\x00\x01\x00\x50\x00\x03\x03" + bytes(0x4000 - 6))
        client.send(b"\x16\x03\x03\x20\x00" + bytes(0x2000))
        assert client.rest()[:1] == b"\x15", "an alert"


def test_a_client_without_the_ca_is_told_in_the_log(secure):
    assert curl(*by_name(secure), f"https://{NAME}/").exit == 60
    secure.wait_for_log(r"does not trust the local CA .*hint=\"kube-tunnel ca install\"")


def test_socks_inside_tls_is_refused(secure):
    with socket.create_connection(("127.0.0.1", secure.port), 10) as s, anyone().wrap_socket(
            s, server_hostname=NAME) as tls:
        tls.sendall(b"\x05\x01\x00")
        assert tls.recv(12) == b"HTTP/1.1 400"


def test_connect_inside_tls_expects_no_further_tls(secure):
    """Else a client could nest TLS in TLS to any depth."""
    with socket.create_connection(("127.0.0.1", secure.port), 10) as s, anyone().wrap_socket(
            s, server_hostname=NAME) as tls:
        tls.sendall(f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}:443\r\n\r\n".encode())
        assert tls.recv(12) == b"HTTP/1.1 404"


# --- through a proxy ---

@pytest.mark.parametrize("flags", [("--proxy", "http://{}"), ("--socks5-hostname", "{}"),
                                   ("--proxy", "socks4a://{}")], ids=["CONNECT", "SOCKS5", "SOCKS4a"])
def test_https_through_a_proxy_ends_here_too(secure, home, flags):
    """As in a browser with the PAC file: the service has no port 443."""
    proxied = [flag.format(f"127.0.0.1:{secure.port}") for flag in flags]
    answer = curl("--cacert", home.certificate, *proxied, f"https://{NAME}/x")
    assert answer.status == 200 and f"host {NAME} path /x" in answer.text, answer


def test_only_tls_follows_such_a_connect(secure):
    with Client(secure.port) as client:
        client.send(f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}:443\r\n\r\n")
        assert client.take_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        client.send(request(NAME))
        assert client.rest()[:1] == b"\x15", "an alert"


def test_another_missing_port_is_refused_as_before(secure):
    assert curl("--proxytunnel", "--proxy", f"http://127.0.0.1:{secure.port}", f"http://{NAME}:444/").exit == 56


def test_closed_namespaces_get_no_certificate(start_tunnel, tmp_path):
    tunnel = start_tunnel("--deny-namespace", "shop", environment=Home(tmp_path).environment)
    assert "access denied" in s_client(tunnel).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a service account")
@pytest.mark.parametrize("flags, status", [((), 35), (("--tls-termination",), 60)])
def test_in_a_pod_only_where_it_is_asked_for(playground, in_pod, flags, status):  # noqa: F811
    tunnel = in_pod(playground, *flags)
    assert curl(*by_name(tunnel), f"https://{NAME}/").exit == status, "an alert, or a certificate that is not trusted"


# --- the setting for one service ---

@pytest.mark.parametrize("flags, exit", [
    (["--tls", "shop/web,mode=passthrough"], 35), (["--tls-termination=false", "--tls", "shop/web,mode=terminate"], 60),
    (["--tls-termination=false", "--tls", "shop/other,mode=terminate"], 35),
    (["--tls", "shop/other,mode=passthrough"], 60)])
def test_a_setting_overrides_for_one_service(start_tunnel, tmp_path, flags, exit):
    """35: an alert; 60: a certificate that curl does not trust here."""
    tunnel = start_tunnel(*flags, environment=Home(tmp_path).environment)
    assert curl(*by_name(tunnel), f"https://{NAME}/").exit == exit


def test_a_service_with_tls_is_served_by_its_own_certificate_or_by_ours(start, certificates, home, secure):  # noqa: F811
    """mode: terminate. TLS of the client ends here, and the request goes to the pod over TLS again."""
    name = "good.shop.svc.cluster.local"
    for mode, own, other in (("passthrough", certificates.authority.path, home.certificate),
                             ("terminate", home.certificate, certificates.authority.path)):
        tunnel = start("--tls", f"shop/good,mode={mode}", environment=home.environment)
        answer = curl("--cacert", own, *by_name(tunnel, name), f"https://{name}/x")
        assert answer.status == 200 and answer.text.startswith("GET /x HTTP/1.1"), answer
        assert ("X-Forwarded-Proto: https" in answer.text) == (mode == "terminate")
        assert curl("--cacert", other, *by_name(tunnel, name), f"https://{name}/x").exit == 60


def test_a_reload_applies_it(start_tunnel, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("tls-termination: false\n")
    tunnel = start_tunnel("--config", file, environment=Home(tmp_path).environment)
    assert curl(*by_name(tunnel), f"https://{NAME}/").exit == 35
    file.write_text("tls-termination: true\n")
    eventually(lambda: curl(*by_name(tunnel), f"https://{NAME}/").exit == 60)
