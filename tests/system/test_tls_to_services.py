"""Plain requests for services that speak TLS: which certificates are accepted, what is said of those
that are not, and how connections are kept.

SPDX-License-Identifier: MIT
"""
import base64
import hashlib
import json
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from http2_programs import NGHTTPD, accepts
from http_client import Client, request
from tls_pods import Certificates, PlainPod, TlsPods, manifest, service
from tunnel_process import BINARY, clean_environment, curl, eventually, free_ports

SERVICES = ["good", "unknown", "expired", "elsewhere", "selfsigned"]


def host_of(name):
    return f"{name}.shop.svc.cluster.local:443"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def tls_pods(certificates):
    pods = TlsPods(certificates)
    yield pods
    pods.close()


@pytest.fixture(scope="module")
def plain():
    plain = PlainPod()
    yield plain
    plain.close()


@pytest.fixture
def cluster(start_playground, tmp_path, tls_pods, plain):
    """A playground with a TLS service for each certificate, and two plain ones on port 443."""
    services = [service(name) for name in SERVICES]
    services += [service("guessed", port_name="web", target=8444), service("declared", target=8444)]
    return start_playground("--manifest", manifest(tmp_path, *services),
                            "--backend", f"web:8443=127.0.0.1:{tls_pods.port}",
                            "--backend", f"web:8444=127.0.0.1:{plain.port}")


@pytest.fixture
def start(start_tunnel, cluster, certificates):
    def start(*flags, trusted=True, **options):
        own = ("--tls-ca", certificates.authority.path) if trusted else ()
        return start_tunnel(*own, *flags, kubeconfig=cluster.kubeconfig, **options)
    return start


def get(tunnel, name, path="/"):
    with Client(tunnel.port) as client:
        return client.ask(request(host_of(name), path))


def handshakes(tunnel, outcome):
    return tunnel.metrics().get(f'kube_tunnel_pod_tls_handshakes_total{{outcome="{outcome}"}}', 0)


# which certificates are accepted


def test_a_certificate_of_tls_ca_is_accepted_and_host_is_unchanged(start, tls_pods):
    answer = get(start(), "good", "/x?y=1")
    assert answer.status == 200, answer
    assert answer.text.startswith("GET /x?y=1 HTTP/1.1\r\n")
    assert f"Host: {host_of('good')}\r\n" in answer.text
    assert tls_pods.handshakes[-1][0] == "good.shop.svc.cluster.local"


def test_a_certificate_of_the_clusters_authority_is_accepted(start_tunnel, start_playground, tmp_path, certificates):
    """The playground's API server has a certificate of its own; its kubeconfig gets our authority, too."""
    pods = TlsPods(certificates)
    cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                               "--backend", f"web:8443=127.0.0.1:{pods.port}")
    text = cluster.kubeconfig.read_text()
    encoded = re.search(r"certificate-authority-data: (\S+)", text).group(1)
    both = base64.b64decode(encoded) + certificates.authority.text().encode()
    changed = tmp_path / "both.kubeconfig"
    changed.write_text(text.replace(encoded, base64.b64encode(both).decode()))
    assert get(start_tunnel(kubeconfig=changed), "good").status == 200
    assert get(start_tunnel(kubeconfig=cluster.kubeconfig), "good").status == 502
    pods.close()


def test_a_certificate_of_the_systems_authorities_is_accepted(start, certificates):
    environment = {"SSL_CERT_FILE": str(certificates.authority.path), "SSL_CERT_DIR": "/nonexistent"}
    assert get(start(trusted=False, environment=environment), "good").status == 200


@pytest.mark.parametrize("name, why, issuer", [
    ("unknown", "is signed by an unknown authority", "CN = others authority"),
    ("selfsigned", "is self-signed", "O = Acme, CN = selfsigned"),
    ("expired", "has expired (", "CN = pods authority"),
    ("elsewhere", "is for another name (api.example, not elsewhere.shop.svc.cluster.local)", "CN = pods authority")])
def test_a_certificate_that_is_refused_is_named_with_the_setting_to_write(start, certificates, name, why, issuer):
    tunnel = start()
    answer = get(tunnel, name)
    assert answer.status == 502, answer
    assert answer.first.startswith(f"Certificate not accepted for shop/{name}: the certificate of "
                                   f"{name}.shop.svc.cluster.local {why}"), answer.first
    for fact in [f"CN = {name};", f"issuer: {issuer};", "expires: 20", " UTC", "names: ",
                 f"tls: {{shop/{name}: {{verify: none}}}}", f"tls: {{shop/{name}: {{ca: FILE}}}}",
                 f"tls: {{shop/{name}: {{server-name: NAME}}}}",
                 f"tls: {{shop/{name}: {{pin: {certificates.sha256(name)}}}}}"]:
        assert fact in answer.text, f"{fact} is not in {answer.text}"
    as_json = curl("-H", f"Host: {host_of(name)}", "-H", "Accept: application/json", f"http://127.0.0.1:{tunnel.port}/")
    assert json.loads(as_json.text)["cause"] == "tls-certificate"
    assert handshakes(tunnel, "certificate") == 2


def test_a_refused_certificate_is_a_grpc_status_for_grpc(start):
    answer = curl("--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers", "-X", "POST",
                  "--data-binary", "@/dev/null", "-H", f"Host: {host_of('selfsigned')}",
                  f"http://127.0.0.1:{start().port}/test.Echo/Unary")
    assert answer.status == 200 and answer.header("grpc-status") == "14", answer
    message = answer.header("grpc-message")
    assert "is self-signed" in message and "issuer: O = Acme" in message, message


# the setting of a service


def write_config(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name, rule", [
    ("selfsigned", "{verify: none}"), ("expired", "{verify: none}"), ("elsewhere", "{verify: none}"),
    ("unknown", "{ca: CA}"), ("elsewhere", "{server-name: api.example}"),
    ("selfsigned", "{pin: PIN}"), ("expired", "{pin: PIN}"), ("elsewhere", "{pin: PIN}")])
def test_the_setting_of_the_page_makes_the_request_succeed(start, tmp_path, certificates, name, rule):
    rule = rule.replace("CA", str(certificates.other.path)).replace("PIN", certificates.sha256(name))
    config = write_config(tmp_path, f"tls:\n  shop/{name}: {rule}\n")
    tunnel = start("--config", config)
    assert get(tunnel, name).status == 200
    other = "unknown" if name != "unknown" else "selfsigned"
    assert get(tunnel, other).status == 502, "it is for one service only"


def test_the_setting_is_applied_without_a_restart(start, tmp_path, certificates):
    config = write_config(tmp_path, "wait: 5s\n")
    tunnel = start("--config", config)
    assert get(tunnel, "selfsigned").status == 502
    config.write_text("wait: 5s\ntls: {shop/selfsigned: {verify: none}}\n")
    eventually(lambda: get(tunnel, "selfsigned").status == 200)
    config.write_text("wait: 5s\n")
    eventually(lambda: get(tunnel, "selfsigned").status == 502)


def test_the_setting_works_as_a_flag_and_a_variable(start, certificates):
    pin = ":".join(re.findall("..", certificates.sha256("selfsigned").upper()))
    assert get(start("--tls", f"shop/selfsigned,pin={pin}"), "selfsigned").status == 200
    tunnel = start(environment={"KTUN_TLS": "shop/selfsigned,verify=none,shop/elsewhere,server-name=api.example"})
    assert get(tunnel, "selfsigned").status == get(tunnel, "elsewhere").status == 200


def test_another_certificate_than_the_pinned_one_is_refused(start, certificates):
    answer = get(start("--tls", f"shop/good,pin={certificates.sha256('selfsigned')}"), "good")
    assert answer.status == 502 and "is not the pinned one" in answer.first, answer


@pytest.mark.parametrize("text, problem", [
    ("tls:\n  shop/web: {verify: full}", ':2: tls: shop/web: verify: "full" is not none'),
    ("tls:\n  shop/web: {verfy: none}", ':2: tls: shop/web: "verfy" is not a key; is it "verify"?'),
    ("tls:\n  shop/web: {frobnicate: 1}", ':2: tls: shop/web: "frobnicate" is not one of verify, ca, pin'),
    ("tls:\n  web: {verify: none}", ':2: tls: "web" is not NAMESPACE/SERVICE, like shop/web'),
    ("tls:\n  shop/web:\n    pin: 00ff", ':3: tls: shop/web: pin: "00ff" is not a SHA-256 fingerprint'),
    ("tls:\n  shop/web:\n    ca: /nonexistent.pem", ":3: tls: shop/web: ca: /nonexistent.pem: No such file"),
    ("tls:\n  shop/web:\n    server-name: a b", ':3: tls: shop/web: server-name: "a b" is not a host name'),
    ("tls:\n  shop/web: {}", "shop/web: one of verify, ca, pin"),
    ("tls:\n  shop/web: none", ":2: tls: shop/web: expected keys and values"),
    ("tls:\n  shop/web: {verify: none}\n  shop/web: {verify: none}", ":3: "),
    ("tls:\n  shop/web: {verify: none, ca: /etc/passwd}", "verify: none excludes ca and pin"),
    ("tls:\n  shop/web: {ca: /etc/passwd}", "shop/web: ca: /etc/passwd: holds no PEM"),
    ("tls-ca: /etc/passwd", "/etc/passwd: holds no PEM"),
    ("tls-ca:\n  - /nonexistent.pem", ":2: tls-ca: /nonexistent.pem: No such file"),
    ("tls: no", "tls: \"no\" is not NAMESPACE/SERVICE"),
])
def test_a_wrong_setting_is_named_with_file_and_line(tmp_path, text, problem):
    config = write_config(tmp_path, text + "\n")
    done = subprocess.run([BINARY, "--config", config, "config", "check"], capture_output=True, text=True,
                          env=clean_environment(), timeout=20)
    assert done.returncode == 2, done
    assert problem in done.stderr and str(config) in done.stderr, done.stderr


# ports that speak no TLS


def test_a_port_found_by_its_number_that_answers_plainly_is_remembered_as_plain(start, plain):
    tunnel = start()
    before = len(plain.first)
    for _ in range(3):
        answer = get(tunnel, "guessed")
        assert answer.status == 200 and answer.text == "plain\n", answer
    seen = plain.first[before:]
    assert [first[:1] for first in seen] == [b"\x16", b"G", b"G", b"G"], "one ClientHello"
    assert handshakes(tunnel, "not_tls") == 1


def test_a_declared_port_that_answers_plainly_is_an_error(start, plain):
    answer = get(start(), "declared")
    assert answer.status == 502, answer
    assert answer.first.startswith("TLS failed for shop/declared: ") and "does not speak TLS" in answer.first
    assert "appProtocol" in answer.text


# connections that are leased before their bytes turn out to be HTTP


def test_plain_requests_to_an_exposed_port_go_on_in_tls(start, certificates):
    port = free_ports(1)[0]
    start("--expose", f"good.shop:443={port}")
    assert curl(f"http://127.0.0.1:{port}/x").text.startswith("GET /x HTTP/1.1")
    passed = curl("--cacert", certificates.authority.path, "--resolve", f"good.shop.svc:{port}:127.0.0.1",
                  f"https://good.shop.svc:{port}/y")
    assert passed.text.startswith("GET /y HTTP/1.1"), "TLS is passed through"


def test_plain_requests_inside_connect_and_socks_go_on_in_tls(start):
    tunnel = start()
    for proxy in (f"http://127.0.0.1:{tunnel.port}", f"socks5h://127.0.0.1:{tunnel.port}"):
        answer = curl("--proxytunnel", "--proxy", proxy, "http://good.shop.svc:443/z")
        assert answer.status == 200 and answer.text.startswith("GET /z HTTP/1.1"), answer


# connections


def test_a_thousand_requests_open_few_connections(start, tls_pods):
    """Handshakes are counted, not accepted connections: a request that gets an idle connection
    while its own is being opened drops that one, which the pod may have accepted by then."""
    tunnel = start()
    before = len(tls_pods.handshakes)

    def some(_):
        with Client(tunnel.port) as client:
            return [client.ask(request(host_of("good"))).status for _ in range(125)]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for part in pool.map(some, range(8)) for status in part]
    assert statuses == [200] * 1000
    done = len(tls_pods.handshakes) - before
    assert done <= 16, "8 clients, 2 pods"
    assert handshakes(tunnel, "full") + handshakes(tunnel, "resumed") == done


def test_bodies_of_20_mb_arrive_both_ways(start_playground, start_tunnel, tmp_path, certificates):
    size = 20 << 20
    received = hashlib.sha256()

    def echo_length(connection, head):
        rest = size
        while rest:
            part = connection.recv(min(rest, 1 << 16))
            received.update(part)
            rest -= len(part)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(20):
            connection.sendall(b"x" * (1 << 20))
        return True

    pods = TlsPods(certificates, echo_length)
    cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                               "--backend", f"web:8443=127.0.0.1:{pods.port}")
    tunnel = start_tunnel("--tls-ca", certificates.authority.path, kubeconfig=cluster.kubeconfig)
    body = tmp_path / "body"
    body.write_bytes(b"0123456789abcdef" * (size // 16))
    answer = curl("-H", f"Host: {host_of('good')}", "-H", "Expect:", "--data-binary", f"@{body}",
                  f"http://127.0.0.1:{tunnel.port}/")
    assert answer.status == 200 and answer.body == b"x" * size
    assert received.hexdigest() == hashlib.sha256(body.read_bytes()).hexdigest()
    pods.close()


def test_idle_connections_that_the_pod_ends_are_replaced_and_resumed(start, tls_pods):
    """As in a rolling restart: no request fails, and new connections resume the session."""
    tunnel = start()
    for _ in range(5):
        assert get(tunnel, "good").status == 200
        tls_pods.close_connections()
    assert handshakes(tunnel, "resumed") >= 3
    assert any(resumed for name, resumed in tls_pods.handshakes if name.startswith("good."))


def test_a_pod_that_restarts_loses_no_request(start_playground, start_tunnel, tmp_path, certificates):
    pods = TlsPods(certificates)
    cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                               "--backend", f"web:8443=127.0.0.1:{pods.port}")
    tunnel = start_tunnel("--tls-ca", certificates.authority.path, kubeconfig=cluster.kubeconfig)
    assert get(tunnel, "good").status == 200
    port = pods.port
    with ThreadPoolExecutor(1) as pool:
        results = pool.submit(lambda: [get(tunnel, "good").status for _ in range(40)])
        for _ in range(3):
            pods.close()
            pods = TlsPods(certificates, port=port)
        assert set(results.result()) == {200}
    pods.close()


def test_a_pod_that_does_not_answer_the_handshake_is_given_up(start_playground, start_tunnel, tmp_path):
    silent = socket.create_server(("127.0.0.1", 0))
    cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                               "--backend", f"web:8443=127.0.0.1:{silent.getsockname()[1]}")
    tunnel = start_tunnel("--dial-timeout", "1s", kubeconfig=cluster.kubeconfig)
    answer = get(tunnel, "good")
    assert answer.status == 504 and "did not complete the TLS handshake in time" in answer.first, answer
    silent.close()


# HTTP/2


def nghttpd(certificates, folder):
    port = free_ports(1)[0]
    (folder / "index.html").write_text("from nghttpd\n")
    certificate, key = certificates.files["good"]
    process = subprocess.Popen([NGHTTPD, "-d", folder, "-a", "127.0.0.1", str(port), key, certificate],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: accepts(port))
    return process, port


def test_a_pod_that_speaks_http2_against_its_alpn_is_not_tried_forever(start_playground, start_tunnel,
                                                                      tmp_path, certificates):
    """Its frames have the request sent again, which ALPN has go in HTTP/1 once more."""
    def answer(connection, head):
        connection.sendall(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS
        return True
    pods = TlsPods(certificates, answer)
    cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                               "--backend", f"web:8443=127.0.0.1:{pods.port}")
    tunnel = start_tunnel("--tls-ca", certificates.authority.path, kubeconfig=cluster.kubeconfig)
    with Client(tunnel.port, seconds=5) as client:
        assert client.ask(request(host_of("good"), "/")).status == 502
    assert len(pods.requests) == 9
    pods.close()


@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http1.1"])
def test_http2_is_spoken_where_alpn_chooses_it(start_playground, start_tunnel, tmp_path, certificates, version):
    """nghttpd speaks HTTP/2 only: requests of both versions are carried in it."""
    process, port = nghttpd(certificates, tmp_path)
    try:
        cluster = start_playground("--manifest", manifest(tmp_path, service("good")),
                                   "--backend", f"web:8443=127.0.0.1:{port}")
        tunnel = start_tunnel("--tls-ca", certificates.authority.path, kubeconfig=cluster.kubeconfig)
        for _ in range(3):
            answer = curl(version, "-H", f"Host: {host_of('good')}", f"http://127.0.0.1:{tunnel.port}/index.html")
            assert answer.status == 200 and answer.text == "from nghttpd\n", answer
        assert tunnel.metrics()["kube_tunnel_http2_connections"] >= 1
        assert handshakes(tunnel, "full") + handshakes(tunnel, "resumed") <= 2, "two pods"
    finally:
        process.terminate()
        process.wait()


def test_many_streams_share_one_handshake_where_the_pod_speaks_http1(start, tls_pods):
    """Requests of HTTP/2 clients to a TLS pod of HTTP/1."""
    tunnel = start()
    done = subprocess.run(["h2load", "-n", "200", "-c", "2", "-m", "10", f"http://127.0.0.1:{tunnel.port}/",
                           "-H", f":authority: {host_of('good')}"], capture_output=True, text=True, timeout=60)
    assert "200 succeeded, 0 failed" in done.stdout, done.stdout
    assert handshakes(tunnel, "full") + handshakes(tunnel, "resumed") <= 42
