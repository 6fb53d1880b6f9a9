"""Real programs through CONNECT, SOCKS and exposed ports: databases, mail, TLS, HTTP of every version.

The tests are for modules of tests/system and tests/kubernetes, which import all of this and have a fixture `programs`:
a running KubeTunnel that also has

  namespace   of the services
  backends    where the servers of the services in PORTS listen on 127.0.0.1, by name; mail does already
  exposed     the local ports of --expose, likewise

SPDX-License-Identifier: MIT
"""
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from tunnel_process import clean_environment, curl, eventually, free_ports

PG_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
PORTS = {"pg": 5432, "redis": 6379, "mail": 25, "tls": 443, "h2": 80}  # of the services
NGHTTPD = shutil.which("nghttpd", path="/usr/sbin:/usr/bin") or "nghttpd"


def run(*command, input=None, timeout=30, **environment):
    return subprocess.run([str(word) for word in command], input=input, capture_output=True, text=True,
                          timeout=timeout, env=clean_environment(**environment))


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not here: {' '.join(missing)}")


def listens(port, host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


@pytest.fixture
def start_program():
    """start_program(port, *command): a server that listens on that port, stopped after the test."""
    running = []

    def start(port, *command):
        running.append(subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=clean_environment()))
        eventually(lambda: listens(port), pause=0.02)
        return running[-1]

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


class Mail:
    """A mail server that sends its greeting first, then takes one message."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    @staticmethod
    def talk(s):
        s.sendall(b"220 mail ready\r\n")
        data = False
        for line in s.makefile("rb"):
            word = line[:4].upper()
            if data:
                data = line != b".\r\n"
                if not data:
                    s.sendall(b"250 taken\r\n")
            elif word == b"DATA":
                data = True
                s.sendall(b"354 go on\r\n")
            elif word == b"QUIT":
                s.sendall(b"221 bye\r\n")
                return s.close()
            else:
                s.sendall(b"250 mail\r\n")


@pytest.fixture
def socks_port(programs, start_program):
    """socks_port(name): a local port that socat leads to the service by SOCKS 4a."""
    def start(name):
        port, = free_ports(1)
        start_program(port, "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                      f"SOCKS4A:127.0.0.1:{name}.{programs.namespace}:{PORTS[name]},socksport={programs.port}")
        return port
    return start


def ways_of(programs, socks_port, name):
    return {"exposed": programs.exposed[name], "socks": socks_port(name)}


# --- ncat, openssl ---

@needs("ncat")
@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_ncat_carries_any_protocol(programs, kind):
    done = run("ncat", "--proxy", f"127.0.0.1:{programs.port}", "--proxy-type", kind, "--proxy-dns", "remote",
               f"mail.{programs.namespace}", "25", input="QUIT\r\n")
    assert done.stdout.split("\n") == ["220 mail ready", "221 bye", ""], done


@pytest.fixture(scope="module")
def tls_server(programs, tmp_path_factory):
    """openssl s_server with a certificate for the service; its authority."""
    folder = tmp_path_factory.mktemp("tls")
    made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
               "2", "-keyout", folder / "key", "-out", folder / "cert", "-subj", "/CN=tls", "-addext",
               f"subjectAltName=DNS:tls.{programs.namespace}.svc.cluster.local")
    assert made.returncode == 0, made.stderr
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{programs.backends['tls']}", "-cert",
                               folder / "cert", "-key", folder / "key", "-www", "-quiet"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: listens(programs.backends["tls"]))
    yield folder / "cert"
    server.terminate()
    server.wait(10)


def test_openssl_s_client_verifies_the_services_own_certificate(programs, tls_server):
    name = f"tls.{programs.namespace}.svc.cluster.local"
    done = run("openssl", "s_client", "-proxy", f"127.0.0.1:{programs.port}", "-connect", f"{name}:443", "-servername",
               name, "-CAfile", tls_server, "-verify_return_error", "-verify_hostname", name, "-brief",
               input="GET / HTTP/1.0\r\n\r\n")
    assert "Verification: OK" in done.stderr, done
    assert "Verified peername: " + name in done.stderr, done


@pytest.mark.parametrize("flags", [("--proxy", "http://{}"), ("--socks5-hostname", "{}")], ids=["CONNECT", "SOCKS5"])
def test_https_through_a_proxy_uses_the_services_own_certificate(programs, tls_server, flags):
    proxied = [flag.format(f"127.0.0.1:{programs.port}") for flag in flags]
    answer = curl("--cacert", tls_server, *proxied, f"https://tls.{programs.namespace}.svc.cluster.local/")
    assert answer.status == 200 and "Secure Renegotiation" in answer.text, answer


# --- TLS without a proxy: by its server name ---

def by_name(programs, name, port=443):
    """curl's flags that send this name to kube-tunnel's own port."""
    return ("--connect-to", f"{name}:{port}:127.0.0.1:{programs.port}")


@pytest.mark.parametrize("flags", [(), ("--http1.1",), ("--tls-max", "1.2"), ("--tlsv1.3",), ("--no-alpn",)])
def test_https_reaches_the_services_own_certificate(programs, tls_server, flags):
    name = f"tls.{programs.namespace}.svc.cluster.local"
    answer = curl("--cacert", tls_server, *flags, *by_name(programs, name), f"https://{name}/")
    assert answer.status == 200 and "Secure Renegotiation" in answer.text, answer


def test_openssl_s_client_is_led_by_its_server_name(programs, tls_server):
    name = f"tls.{programs.namespace}.svc.cluster.local"
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{programs.port}", "-servername", name, "-CAfile",
               tls_server, "-verify_return_error", "-verify_hostname", name, "-brief", input="GET / HTTP/1.0\r\n\r\n")
    assert "Verified peername: " + name in done.stderr, done


# --- databases ---

@pytest.fixture(scope="module")
def postgres(programs):
    """A PostgreSQL with TLS, of a user who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="kube-tunnel-pg-"))
    as_user, environment = [], clean_environment(LC_ALL="C")
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]
    def pg(program, *words):
        subprocess.run([*as_user, PG_BIN / program, *words], check=True, env=environment, cwd=folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    pg("initdb", "-D", folder / "db", "-U", "me", "--auth=trust", "--no-sync")
    subprocess.run([*as_user, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-keyout", "db/server.key", "-out", "db/server.crt", "-subj", "/CN=pg"],
                   check=True, cwd=folder, stderr=subprocess.DEVNULL)
    pg("pg_ctl", "-D", folder / "db", "-w", "-l", folder / "log", "-o",
       f"-p {programs.backends['pg']} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c ssl=on -c fsync=off",
       "start")
    yield
    pg("pg_ctl", "-D", folder / "db", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.mark.skipif(not PG_BIN or not shutil.which("psql"), reason="not here: PostgreSQL")
@pytest.mark.parametrize("mode, encrypted", [("disable", "f"), ("require", "t")], ids=["plain", "TLS"])
def test_psql_works_plain_and_with_tls_after_its_request(programs, postgres, socks_port, mode, encrypted):
    for way, port in ways_of(programs, socks_port, "pg").items():
        done = run("psql", "-At", f"host=127.0.0.1 port={port} user=me dbname=postgres sslmode={mode}", "-c",
                   "select ssl, (select count(*) from generate_series(1, 100000)) from pg_stat_ssl "
                   "where pid = pg_backend_pid()")
        assert done.stdout == f"{encrypted}|100000\n", (way, done)


@needs("redis-server", "redis-cli", "socat")
def test_redis_cli_works(programs, socks_port, start_program):
    start_program(programs.backends["redis"], "redis-server", "--port", programs.backends["redis"], "--bind",
                  "127.0.0.1", "--save", "", "--appendonly", "no")
    for way, port in ways_of(programs, socks_port, "redis").items():
        assert run("redis-cli", "-p", port, "SET", "key", way).stdout == "OK\n"
        done = run("redis-cli", "-p", port, input="PING\nGET key\n")
        assert done.stdout == f"PONG\n{way}\n", (way, done)


# --- mail: the server sends first ---

@pytest.mark.parametrize("flags", [("--socks5-hostname", "{}"), ("-p", "--proxy", "http://{}"), ()],
                         ids=["SOCKS5", "CONNECT", "exposed"])
def test_mail_is_sent_to_a_server_that_sends_first(programs, flags, tmp_path):
    message = tmp_path / "message"
    message.write_text("Subject: hello\r\n\r\nhello\r\n")
    host = f"mail.{programs.namespace}:25" if flags else f"127.0.0.1:{programs.exposed['mail']}"
    done = run("curl", "-sS", *(flag.format(f"127.0.0.1:{programs.port}") for flag in flags), f"smtp://{host}",
               "--mail-from", "me@shop", "--mail-rcpt", "you@shop", "-T", message)
    assert done.returncode == 0, done


# --- HTTP of every version ---

WAYS = {"Host": (), "proxy": ("--proxy", "http://{}"), "CONNECT": ("--proxytunnel", "--proxy", "http://{}"),
        "CONNECT in HTTP/1.0": ("--proxytunnel", "--proxy1.0", "{}"),
        "SOCKS5": ("--socks5-hostname", "{}"), "SOCKS4a": ("--socks4a", "{}")}
ways = pytest.mark.parametrize("way", WAYS)


def by_way(programs, way, host, *flags):
    """A request of curl for the page /x of that host."""
    address = f"127.0.0.1:{programs.port}"
    if way == "Host":
        return curl(*flags, "-H", f"Host: {host}", f"http://{address}/x")
    return curl(*flags, *(flag.format(address) for flag in WAYS[way]), f"http://{host}/x")


@ways
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl_speaks_every_version_of_http_in_every_way(programs, way, version):
    """To pods that speak HTTP/1. With --http2, curl asks for an upgrade, which the pod may take or leave."""
    answer = by_way(programs, way, "web.shop.svc.cluster.local", version)
    assert answer.status == 200 and "host web.shop.svc.cluster.local path /x" in answer.text, answer


@pytest.fixture(scope="module")
def nghttpd(programs, tmp_path_factory):
    """A server of HTTP/2 alone, behind the service h2; its page /x."""
    folder = tmp_path_factory.mktemp("nghttpd")
    (folder / "x").write_text("HTTP/2 only\n")
    server = subprocess.Popen([NGHTTPD, "--no-tls", "-a", "127.0.0.1", "-d", folder, str(programs.backends["h2"])],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: listens(programs.backends["h2"]))
    yield f"h2.{programs.namespace}.svc.cluster.local"
    server.terminate()
    server.wait(10)


@ways
def test_curl_speaks_http2_with_pods_of_http2_in_every_way(programs, nghttpd, way):
    answer = by_way(programs, way, nghttpd, "--http2-prior-knowledge")
    assert answer.status == 200 and answer.text == "HTTP/2 only\n", answer
    versions = {"HTTP/1.1 200"} if way == "proxy" else {"HTTP/2 200"}  # curl speaks HTTP/1.1 to a proxy
    assert versions == {line.strip()[:12].strip() for line in answer.head.splitlines() if line.startswith("HTTP/")
                        and "established" not in line.lower()}, answer.head


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
@pytest.mark.parametrize("way", ["Host", "proxy"])
def test_curl_speaks_http1_with_pods_of_http2(programs, nghttpd, way, version):
    answer = by_way(programs, way, nghttpd, version)
    assert answer.status == 200 and answer.text == "HTTP/2 only\n", answer


def test_nghttp_and_h2load_are_served_by_pods_of_http2(programs, nghttpd):
    url = f"http://127.0.0.1:{programs.port}/x"
    shown = run("nghttp", "-v", "-H", f":authority: {nghttpd}", url)
    assert ":status: 200" in shown.stdout and "HTTP/2 only" in shown.stdout, shown
    load = run("h2load", "-n", "2000", "-c", "8", "-m", "16", "-H", f":authority: {nghttpd}", url, timeout=60)
    assert "2000 succeeded, 0 failed, 0 errored" in load.stdout and "2000 2xx" in load.stdout, load
