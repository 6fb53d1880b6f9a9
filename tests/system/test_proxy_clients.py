"""Real programs through CONNECT, SOCKS and exposed ports: databases, mail, TLS.

The servers run on this machine, behind pods of the playground. SPDX-License-Identifier: MIT
"""
import json
import re
import shlex
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import Playground
from real_programs import *  # noqa: F401, F403 - the tests and fixtures for databases, mail and TLS are there, too
from real_programs import PORTS, Mail, needs, run
from tunnel_process import BINARY, ROOT, KubeTunnel, curl, free_ports

WEB = "web.shop.svc.cluster.local"


def objects_of(name, port):
    """A service, and the pod behind it."""
    of = {"namespace": "shop"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {**of, "name": name},
         "spec": {"selector": {"app": name}, "ports": [{"port": port}]}},
        {"apiVersion": "v1", "kind": "Pod",
         "metadata": {**of, "name": f"{name}-0", "uid": f"uid-{name}", "labels": {"app": name}},
         "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": port}]}]},
         "status": {"phase": "Running", "podIP": f"10.9.1.{port % 250}", "podIPs": [{"ip": f"10.9.1.{port % 250}"}],
                    "conditions": [{"type": "Ready", "status": "True"}]}}]


SERVICES = {**PORTS, "plain": 443}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The playground with these services, a kube-tunnel with exposed ports of them, and where servers listen."""
    folder = tmp_path_factory.mktemp("clients")
    mail = Mail()
    ports = free_ports(2 * len(SERVICES))
    exposed, backends = dict(zip(SERVICES, ports)), dict(zip(SERVICES, ports[len(SERVICES):]))
    backends.update(mail=mail.port, plain=mail.port)
    manifest = folder / "objects.json"
    items = [item for name, port in SERVICES.items() for item in objects_of(name, port)]
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    playground = Playground(folder, "--manifest", str(manifest),
                            *(word for name, port in SERVICES.items()
                              for word in ("--backend", f"{name}:{port}=127.0.0.1:{backends[name]}")))
    flags = [word for name, port in SERVICES.items() for word in ("--expose", f"{name}.shop:{port}={exposed[name]}")]
    tunnel = KubeTunnel(*flags, kubeconfig=playground.kubeconfig, folder=folder)
    tunnel.exposed, tunnel.backends, tunnel.playground = exposed, backends, playground
    tunnel.namespace = "shop"
    yield tunnel.start()
    tunnel.stop()
    playground.stop()
    mail.server.close()


@pytest.fixture(scope="module")
def programs(cluster):
    return cluster


# --- curl ---

@pytest.mark.parametrize("flags", [
    ("--proxy", "http://{}"), ("--proxytunnel", "--proxy", "http://{}"), ("--socks5-hostname", "{}"),
    ("--socks4a", "{}"), ("--proxy", "socks5h://user:secret@{}"), ("--proxy", "http://user:secret@{}", "-p")],
    ids=["http", "CONNECT", "SOCKS5", "SOCKS4a", "SOCKS5 with a password", "CONNECT with a password"])
@pytest.mark.parametrize("host", ["web.shop", WEB, "web.shop.localhost"])
def test_curl_reaches_services_through_every_kind_of_proxy(cluster, flags, host):
    proxied = [flag.format(f"127.0.0.1:{cluster.port}") for flag in flags]
    answer = curl(*proxied, f"http://{host}/x")
    assert answer.status == 200 and answer.text.endswith(f" host {host} path /x\n"), answer


@pytest.mark.parametrize("flags", [("--socks5-hostname", "{}"), ("--socks4a", "{}"), ("-p", "--proxy", "http://{}")],
                         ids=["SOCKS5", "SOCKS4a", "CONNECT"])
def test_hosts_outside_the_cluster_are_refused_and_the_log_has_no_proxy(cluster, flags):
    proxied = [flag.format(f"127.0.0.1:{cluster.port}") for flag in flags]
    assert curl(*proxied, "http://www.example.com/").exit in (56, 97)
    cluster.wait_for_log(r"no_proxy=www\.example\.com" if "-p" not in flags else "outside-cluster")


def test_the_refusal_of_connect_is_a_page_with_no_proxy(cluster):
    done = run("curl", "-sv", "-p", "-x", f"http://127.0.0.1:{cluster.port}", "http://www.example.com/")
    assert "HTTP/1.1 502 Bad Gateway" in done.stderr and done.returncode == 56


def test_curl_finds_the_proxy_in_its_environment(cluster):
    for name, url in (("http_proxy", f"http://{WEB}/"), ("ALL_PROXY", f"http://{WEB}/")):
        done = run("curl", "-s", url, **{name: f"http://127.0.0.1:{cluster.port}"})
        assert f"host {WEB}" in done.stdout, done


# --- users and passwords ---

@pytest.fixture
def guarded(cluster, start_tunnel, tmp_path):
    """A kube-tunnel whose proxy clients need a user."""
    users = tmp_path / "users"
    users.write_text("# the team's\nann:pass:word\n")
    tunnel = start_tunnel("--proxy-users", users, kubeconfig=cluster.playground.kubeconfig)
    tunnel.users = users
    return tunnel


PROXY_KINDS = {"http": ("--proxy", "http://{}127.0.0.1:{}"), "CONNECT": ("-p", "--proxy", "http://{}127.0.0.1:{}"),
               "SOCKS5": ("--proxy", "socks5h://{}127.0.0.1:{}"), "SOCKS4a": ("--proxy", "socks4a://{}127.0.0.1:{}")}


@pytest.mark.parametrize("kind", PROXY_KINDS)
def test_proxy_clients_need_a_user_where_there_are_some(guarded, kind):
    def ask(login):
        return curl(*(flag.format(login, guarded.port) for flag in PROXY_KINDS[kind]), "http://web.shop/headers")
    for login in ("", "ann:wrong@", "ann:pass@", "bob:pass%3Aword@"):
        answer = ask(login)
        assert answer.status == 407 or answer.exit in (56, 97), (login, answer)
    if kind == "SOCKS4a":
        return  # it has no passwords
    answer = ask("ann:pass%3Aword@")
    assert answer.status == 200 and "roxy-" not in answer.text, answer
    assert guarded.get("web.shop.localhost").status == 200, "it is no proxy request"


def test_the_challenge_names_the_scheme(guarded):
    answer = curl("-x", f"http://127.0.0.1:{guarded.port}", "http://web.shop/")
    assert (answer.status, answer.header("Proxy-Authenticate")) == (407, 'Basic realm="kube-tunnel"'), answer
    answer = curl("-x", f"http://ann:pass%3Aword@127.0.0.1:{guarded.port}", "--proxy-anyauth", "http://web.shop/")
    assert answer.status == 200, answer


def test_passwords_are_in_no_log_and_no_argument(guarded):
    for kind in PROXY_KINDS.values():
        for login in ("ann:pass%3Aword@", "ann:hunter2@"):
            curl(*(flag.format(login, guarded.port) for flag in kind), "http://web.shop/")
    arguments = Path(f"/proc/{guarded.process.pid}/cmdline").read_bytes().decode()
    for text in ("pass:word", "hunter2", "YW5uOnBhc3M6d29yZA", "YW5uOmh1bnRlcjI"):
        assert text not in guarded.log() and text not in arguments


def test_changed_users_are_read_at_a_reload(guarded):
    guarded.users.write_text("eve:other\n")
    guarded.process.send_signal(signal.SIGHUP)
    guarded.wait_for_log("configuration reloaded")
    ask = lambda login: curl("-x", f"http://{login}@127.0.0.1:{guarded.port}", "http://web.shop/").status  # noqa: E731
    assert ask("eve:other") == 200 and ask("ann:pass%3Aword") == 407
    guarded.users.write_text("broken\n")
    guarded.process.send_signal(signal.SIGHUP)
    guarded.wait_for_log(r"keeping the last one .*users:1: not USER:PASSWORD")
    assert ask("eve:other") == 200


# --- by address ---

def address_of(cluster, path):
    """What the API server has: a clusterIP or a podIP."""
    found = json.loads(cluster.playground.api(f"/api/v1/namespaces/{path}").text)
    return found["spec"].get("clusterIP") or found["status"]["podIP"]


@pytest.mark.parametrize("path, port", [("shop/services/web", 80), ("shop/pods/db-0", 8080)],
                         ids=["cluster IP", "pod IP"])
@pytest.mark.parametrize("flags", [("--socks5", "{}"), ("-p", "--proxy", "http://{}"), ("--proxy", "socks4://{}")],
                         ids=["SOCKS5", "CONNECT", "SOCKS4"])
def test_cluster_and_pod_addresses_are_reached(cluster, path, port, flags):
    address = address_of(cluster, path)
    proxied = [flag.format(f"127.0.0.1:{cluster.port}") for flag in flags]
    answer = curl(*proxied, f"http://{address}:{port}/x")
    assert answer.status == 200 and f" host {address}" in answer.text, answer


@pytest.mark.parametrize("address", ["10.250.0.1", "127.0.0.1", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
                                     "169.254.169.254", "[fd00::99]", "224.0.0.1"])
def test_other_addresses_are_refused(cluster, address):
    for flags in (("--socks5-hostname", f"127.0.0.1:{cluster.port}"), ("-p", "-x", f"http://127.0.0.1:{cluster.port}")):
        assert curl(*flags, "--max-time", "10", f"http://{address}:{cluster.port}/healthz").exit in (56, 97)


def test_addresses_in_a_closed_namespace_are_refused(cluster, start_tunnel):
    address = address_of(cluster, "shop/services/web")
    for flags in (("--deny-namespace", "shop"), ("--allow-namespace", "other")):
        tunnel = start_tunnel(*flags, kubeconfig=cluster.playground.kubeconfig)
        assert curl("--socks5", f"127.0.0.1:{tunnel.port}", f"http://{address}/").exit == 97
        done = run("curl", "-sv", "-p", "-x", f"http://127.0.0.1:{tunnel.port}", f"http://{address}/")
        assert "HTTP/1.1 403 Forbidden" in done.stderr, done


DUAL = {"kind": "List", "apiVersion": "v1", "items": [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "dual"},
     "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "10.96.200.1",
              "clusterIPs": ["10.96.200.1", "fd00:96::1"], "ipFamilies": ["IPv4", "IPv6"]}},
    {"apiVersion": "v1", "kind": "Pod",
     "metadata": {"namespace": "shop", "name": "dual-0", "uid": "uid-dual", "labels": {"app": "web"}},
     "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
     "status": {"phase": "Running", "podIP": "10.9.2.1", "podIPs": [{"ip": "10.9.2.1"}, {"ip": "fd00:9::1"}],
                "conditions": [{"type": "Ready", "status": "True"}]}}]}


@pytest.mark.parametrize("flags", [("--socks5", "{}"), ("-p", "--proxy", "http://{}")], ids=["SOCKS5", "CONNECT"])
def test_second_addresses_of_dual_stack_services_and_pods_are_reached(start_both, tmp_path, flags):
    """The API server's field selectors know first addresses only."""
    manifest = tmp_path / "dual.json"
    manifest.write_text(json.dumps(DUAL))
    _, tunnel = start_both("--manifest", str(manifest))
    proxied = [flag.format(f"127.0.0.1:{tunnel.port}") for flag in flags]
    for address, port in (("[fd00:96::1]", 80), ("10.96.200.1", 80), ("[fd00:9::1]", 8080), ("10.9.2.1", 8080)):
        answer = curl(*proxied, f"http://{address}:{port}/x")
        assert answer.status == 200 and f" host {address}" in answer.text, (address, answer)
    assert curl(*proxied, "http://[fd00:9::1]:8080/").pod == "dual-0"
    assert curl(*proxied, "http://[fd00:96::2]/").exit in (56, 97)


def test_with_rights_in_one_namespace_addresses_there_are_reached(start_both):
    playground, tunnel = start_both("--rights", "namespace", tunnel=["-n", "shop"])
    found = json.loads(playground.api("/api/v1/namespaces/shop/services/web").text)
    assert curl("--socks5", f"127.0.0.1:{tunnel.port}", f"http://{found['spec']['clusterIP']}/").status == 200
    done = run("curl", "-sv", "-p", "-x", f"http://127.0.0.1:{tunnel.port}", "http://10.99.99.99/")
    assert "HTTP/1.1 502 Bad Gateway" in done.stderr, done
    tunnel.wait_for_log(r'10\.99\.99\.99; the others need the verb \\?"list\\?" on \\?"services\\?" and')


# --- README's table ---

def readme_commands():
    """The commands for curl, openssl and ncat; psql, the browser and proxy variables have tests of their own."""
    table = (ROOT / "README.md").read_text().split("| your program | what to type |")[1].split("\n\n")[0]
    return [c for c in re.findall(r"`([^`]+)` \|$", table, re.M) if c.split()[0] in ("curl", "openssl", "ncat")]


@pytest.fixture(scope="module")
def local_ca(cluster, tmp_path_factory):
    """The file of `kube-tunnel ca export -o ca.pem`."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    subprocess.run([BINARY, "ca", "export", "-o", file], check=True, env=cluster.environment, stdout=subprocess.DEVNULL)
    return file


@pytest.mark.parametrize("command", readme_commands())
def test_every_command_of_the_readme_works(cluster, tls_server, local_ca, command):
    port = f"127.0.0.1:{cluster.port}"
    command = command.replace("localhost:80", port).replace("http://localhost/", f"http://{port}/")
    words = shlex.split(command.replace("api.shop", "tls.shop"))
    if words[0] == "curl":
        words += ["-sS", "--fail", *by_name(cluster, WEB)]
        words += ["--cacert", local_ca if "ca.pem" in words else tls_server]
    done = run(*words, input="QUIT\r\n" if words[0] == "ncat" else "")
    assert done.returncode == 0, done
    assert {"curl": True, "openssl": "CONNECTED" in done.stdout, "ncat": "221 bye" in done.stdout}[words[0]], done


def test_the_readme_has_a_command_for_each_way():
    assert len(readme_commands()) == 8


# --- TLS that leads nowhere ---

@pytest.mark.parametrize("name, alert", [
    ("nosuch.shop.svc.cluster.local", "unrecognized name"),
    ("www.example.com", "unrecognized name"), ("localhost", "unrecognized name"), ("tls.shop", "access denied")])
def test_tls_to_other_names_is_refused_by_an_alert(cluster, tls_server, name, alert):
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{cluster.port}", "-servername", name, input="")
    assert alert.replace(" ", "") in done.stderr.replace(" ", "").lower(), done
    cluster.wait_for_log("TLS connection refused|connection failed")


def test_tls_without_a_server_name_is_refused(cluster):
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{cluster.port}", "-noservername", input="")
    assert "handshake failure" in done.stderr, done
    cluster.wait_for_log(r"it names no server")


# --- the wrong protocol ---

def test_plain_http_to_a_tls_server_names_its_certificate_and_the_setting(cluster, tls_server):
    name = "tls.shop.svc.cluster.local"
    answer = curl("-x", f"http://127.0.0.1:{cluster.port}", f"http://{name}:443/")
    assert answer.status == 502 and f"the certificate of {name} is self-signed" in answer.text, answer
    assert "tls: {shop/tls: {ca: FILE}}" in answer.text, answer
    used = curl("--cacert", tls_server, "-x", f"http://127.0.0.1:{cluster.port}", f"https://{name}/")
    assert used.status == 200, "TLS of the client's own passes through"


def test_a_port_declared_as_http_that_speaks_tls_gets_a_hint(
        start_playground, start_tunnel, start_program, tls_server, tmp_path):  # noqa: F811
    port, = free_ports(1)
    start_program(port, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", tls_server, "-key",
                  tls_server.with_name("key"), "-www", "-quiet")
    service, pod = objects_of("hidden", 8443)
    service["spec"]["ports"] = [{"name": "http", "port": 8443}]
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps([service, pod]))
    playground = start_playground("--manifest", str(manifest), "--backend", f"hidden:8443=127.0.0.1:{port}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    answer = tunnel.get("hidden.shop.localhost:8443")
    assert answer.status == 502 and "It may speak TLS" in answer.text, "openssl closes without a response"
    assert "https://hidden.shop." in answer.text, answer


@needs("nghttpd")
def test_grpc_in_http1_without_trailers_is_explained(start_playground, start_tunnel, start_program):  # noqa: F811
    port, = free_ports(1)
    start_program(port, "nghttpd", "--no-tls", "-a", "127.0.0.1", port)
    playground = start_playground("--backend", f"web:8080=127.0.0.1:{port}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig)
    answer = tunnel.get("web.shop.localhost", "/", "-H", "Content-Type: application/grpc", "-d", "")
    assert answer.status == 502 and "speaks HTTP/2 only" in answer.text, answer
    assert tunnel.get("web.shop.localhost").status == 404, "any other request is sent in HTTP/2"


def test_tls_to_a_server_that_does_not_speak_it_is_logged_with_the_url(cluster):
    """A service that declares port 443, and is a mail server."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{cluster.port}", "-servername",
               "plain.shop.svc.cluster.local", input="")
    assert "wrong version number" in done.stderr, done
    cluster.wait_for_log(r"a TLS connection to a server that does not speak TLS .*use http://plain\.shop")


def in_records(hello, size):
    """The same handshake message in records of that size."""
    message = hello[5:]
    parts = [message[i:i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


@pytest.mark.parametrize("record, step", [(16384, 1), (100, 7), (3, 1), (1, 4096)])
def test_a_client_hello_in_pieces_is_passed_through(cluster, tls_server, record, step):
    context = ssl.create_default_context(cafile=tls_server)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="tls.shop.svc.cluster.local")
    with socket.create_connection(("127.0.0.1", cluster.port), 20) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = in_records(outgoing.read(), record)
        for at in range(0, len(hello), step):
            s.sendall(hello[at:at + step])
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                s.sendall(outgoing.read())
                incoming.write(s.recv(65536))
    assert tls.version() == "TLSv1.3"


CORPUS = ROOT / "tests/fuzz/corpus/tls_hello"


@pytest.mark.parametrize("hello, reason", [
    ((CORPUS / "ech").read_bytes(), "unrecognized"), ((CORPUS / "no-name").read_bytes(), "names no server"),
    ((CORPUS / "two-names").read_bytes(), "two server_names"), (b"\x16\3\1\x40\0\1\1\0\0" + bytes(16380), "65536 bytes"),
    (b"\x16\3\1\0\1\1" * 4000, "")],
    ids=["outer name of ECH", "no SNI", "two names", "over 16 KB", "endless records"])
def test_a_hello_that_leads_nowhere_is_refused_at_once(cluster, hello, reason):
    with socket.create_connection(("127.0.0.1", cluster.port), 10) as s:
        s.sendall(hello)
        assert s.recv(7)[:6] == b"\x15\3\3\0\2\2"
    cluster.wait_for_log(r"TLS connection refused .*public\.example" if reason == "unrecognized"
                         else rf"TLS connection refused .*{reason}")
