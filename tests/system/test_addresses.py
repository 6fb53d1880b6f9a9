"""An address per service: names are opened by a reader of the control socket, and programs connect by address.

SPDX-License-Identifier: MIT
"""
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import control_api
import jsonschema
import pytest

from kubeconfigs import Kubeconfig
from real_programs import PG_BIN, Mail, needs, run, start_program  # noqa: F401
from tunnel_process import BINARY, PLAYGROUND, clean_environment, curl, eventually, free_ports

LINE = {"$ref": "#/components/schemas/NameChange", "components": control_api.DOCUMENT["components"]}


class Names:
    """A reader of names: `at` has the last line of each name, by its form SERVICE.NAMESPACE or longer."""

    def __init__(self, tunnel, query=""):
        self.at, self.gone, self.left_out = {}, [], None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(tunnel.control_socket))
        self.socket.sendall(f"GET /v1/names{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.head = b"".join(iter(self.file.readline, b"\r\n")).decode()
        self.ready = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        assert self.ready.wait(10), self.at

    def read(self):
        try:
            for line in self.file:
                self.take(json.loads(line))
        except (OSError, ValueError):
            pass

    def take(self, line):
        if len(self.at) < 50:
            jsonschema.validate(line, LINE, cls=jsonschema.Draft202012Validator)
        if line["type"] == "ready":
            self.ready.set()
        elif line["type"] == "name":
            self.at[line["names"][-1]] = line
        elif line["type"] == "left-out":
            self.left_out = line
        elif line["type"] == "gone":
            self.gone.append(line["names"][-1])
            self.at.pop(line["names"][-1], None)

    def address(self, name):
        return self.at[name]["address"]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def read_names():
    """read_names(tunnel, query): a reader that leaves after the test."""
    readers = []

    def start(*arguments):
        readers.append(Names(*arguments))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


def connects(address, port):
    with socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex((address, port)) == 0


def is_reset(address, port):
    """A listener accepts the connection and ends it."""
    try:
        with socket.create_connection((address, port), timeout=5) as s:
            return s.recv(1) == b""
    except ConnectionResetError:
        return True


def status(tunnel):
    return control_api.check("GET", "/v1/addresses", tunnel.control("/v1/addresses"))


# names and listeners


def test_each_service_has_an_address_with_its_ports(start_tunnel, read_names):
    tunnel = start_tunnel()
    names = read_names(tunnel, "?namespace=shop")
    raw, seed, db = names.at["raw.shop"], names.at["seed.shop"], names.at["db.shop"]
    assert raw["ports"] == [8081, 9001, 9002, 9003, 9004, 9005, 9999]
    assert seed["names"] == ["seed.shop.svc.cluster.local", "seed.shop.svc", "seed.shop"]
    assert db["headless"] and not seed["headless"]
    assert names.at["db-0.db.shop"]["pod"] == "db-0"
    assert len({line["address"] for line in names.at.values()}) == len(names.at)
    assert all(line["namespace"] == "shop" for line in names.at.values()), names.at
    assert "ext.shop" not in names.at
    assert curl(f"http://{seed['address']}:8080/").status == 200
    pods = {curl(f"http://{names.address(f'{pod}.db.shop')}:8080/").pod for pod in ("db-0", "db-1")}
    assert pods == {"db-0", "db-1"}
    assert not connects("127.77.1.1", 8080), "an address of no service has a listener"
    assert not connects(seed["address"], 9004)


def test_several_namespaces_and_all_of_them(start_tunnel, read_names):
    tunnel = start_tunnel()
    assert {n.split(".")[-1] for n in read_names(tunnel, "?namespace=shop,other").at} == {"shop", "other"}
    everything = read_names(tunnel)
    assert "web.other" in everything.at and "many.many" in everything.at
    assert tunnel.control("/v1/names?context=nothing").status == 400


def test_listeners_stay_while_the_reader_does_and_close_after_it(start_tunnel, read_names):
    tunnel = start_tunnel("--address-idle", "500ms")
    names = read_names(tunnel, "?namespace=shop")
    address = names.address("seed.shop")
    time.sleep(1.2)
    shown = {a["name"]: a for a in status(tunnel)["open"]}
    assert shown["seed.shop.svc"]["address"] == address and shown["seed.shop.svc"]["pinned"]
    assert connects(address, 8080)
    held = socket.create_connection((address, 8080))
    names.close()
    eventually(lambda: [a["name"] for a in status(tunnel)["open"]] == ["seed.shop.svc"])
    assert not connects(names.address("db.shop"), 8080)
    held.close()
    eventually(lambda: not connects(address, 8080) or time.sleep(0.6))
    assert status(tunnel)["listeners"] == 0


def test_services_come_change_and_go(start_both, read_names):
    playground, tunnel = start_both()
    names = read_names(tunnel, "?namespace=shop")
    one, other = free_ports(2)
    playground.order(f"service create shop/fresh web {one} 8080")
    eventually(lambda: names.at.get("fresh.shop", {}).get("ports") == [one])
    address = names.address("fresh.shop")
    assert curl(f"http://{address}:{one}/").status == 200
    playground.order("service delete shop/fresh", f"service create shop/fresh web {other} 8080")
    eventually(lambda: names.at.get("fresh.shop", {}).get("ports") == [other])
    assert names.address("fresh.shop") == address
    assert curl(f"http://{address}:{other}/").status == 200 and not connects(address, one)
    playground.order("service delete shop/fresh")
    eventually(lambda: "fresh.shop" in names.gone and "fresh.shop" not in names.at)
    eventually(lambda: not connects(address, other))


def test_two_contexts_with_the_same_names_have_different_addresses(start_playground, start_tunnel, read_names,
                                                                   tmp_path):
    blue, green = start_playground(), start_playground()
    config = Kubeconfig(tmp_path / "both", "blue", blue=blue, green=green)
    config.write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    first, second = read_names(tunnel, "?namespace=shop"), read_names(tunnel, "?namespace=shop&context=green")
    here, there = first.at["seed.shop"], second.at["seed.shop.svc.green.k8s"]
    assert here["address"] != there["address"]
    blue.order("service delete shop/seed")
    eventually(lambda: "seed.shop" in first.gone)
    assert not connects(here["address"], 8080)
    assert curl(f"http://{there['address']}:8080/").status == 200
    assert read_names(tunnel, "?namespace=shop&context=blue").at["web.shop"]["address"] == first.address("web.shop")


def test_addresses_are_the_same_at_each_start(start_tunnel, read_names, tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    before = None
    for _ in range(4):
        tunnel = start_tunnel(environment=state)
        names = read_names(tunnel, "?namespace=shop")
        addresses = {name: line["address"] for name, line in names.at.items()}
        assert before in (None, addresses)
        before = addresses
        tunnel.stop()
    other = start_tunnel("--name", "other", environment=state)
    other.ask("status")
    file = tmp_path / "state" / "kube-tunnel" / "default.addresses"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_program_that_is_restarted_100_times_connects_each_time(start_tunnel, read_names):
    tunnel = start_tunnel()
    address = read_names(tunnel, "?namespace=shop").address("seed.shop")
    done = run("sh", "-c", f"for i in $(seq 100); do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{address}:8080/; done")
    assert done.stdout.split() == ["200"] * 100


def test_a_state_file_of_another_version_is_refused_and_stays(start_tunnel, read_names, tmp_path):
    folder = tmp_path / "state" / "kube-tunnel"
    folder.mkdir(parents=True)
    file = folder / "default.addresses"
    file.write_text("kube-tunnel addresses 7\nwhatever\n")
    file.chmod(0o600)
    tunnel = start_tunnel(environment={"XDG_STATE_HOME": str(tmp_path / "state")})
    names = read_names(tunnel, "?namespace=shop")
    assert "its version is 7" in status(tunnel)["stateFile"]
    assert "its version is 7" in tunnel.ask("status").stdout
    assert curl(f"http://{names.address('seed.shop')}:8080/").status == 200
    tunnel.stop()
    assert file.read_text() == "kube-tunnel addresses 7\nwhatever\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a file system of its own")
def test_a_full_disk_is_logged_and_addresses_are_given(playground, start_tunnel, read_names, tmp_path):
    (tmp_path / "state").mkdir()
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, environment={
        "XDG_STATE_HOME": str(tmp_path / "state")}, wrapper=[
        "unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=4k,nr_inodes=3 none {tmp_path}/state && "
        f"head -c 4096 /dev/zero > {tmp_path}/state/full; exec \"$0\" \"$@\""])
    names = read_names(tunnel, "?namespace=shop")
    assert "No space left" in status(tunnel)["stateFile"]
    assert curl(f"http://{names.address('seed.shop')}:8080/").status == 200
    assert "were not saved" in tunnel.log()


# HTTP


@pytest.fixture
def seed(start_tunnel, read_names):
    """The URL of a service's address."""
    tunnel = start_tunnel()
    return f"http://{read_names(tunnel, '?namespace=shop').address('seed.shop')}:8080/"


BROWSER = ("-A", "Mozilla/5.0 (X11)")


@pytest.mark.parametrize("host", ["seed.shop.svc.cluster.local", "seed.shop.svc.cluster.local.:8080",
                                  "seed.shop.localhost"])
@pytest.mark.parametrize("flags", [(), BROWSER], ids=["program", "browser"])
def test_names_of_the_service_are_hosts(seed, host, flags):
    assert curl(*flags, "-H", f"Host: {host}", seed).status == 200


@pytest.mark.parametrize("flags", [(), BROWSER], ids=["program", "browser"])
@pytest.mark.parametrize("host", ["evil.example", "localhost:8080", "web.shop.svc.cluster.local"])
def test_another_host_is_refused_with_a_page(seed, host, flags):
    answer = curl(*flags, "-H", f"Host: {host}", seed)
    assert answer.status == 403 and "at the address of seed.shop.svc" in answer.text
    assert "http://seed.shop.svc" in answer.text and "--allow-host" in answer.text


def test_each_request_of_a_connection_is_checked(seed):
    address, port = seed[7:-1].split(":")
    with socket.create_connection((address, int(port))) as s:
        s.settimeout(10)
        s.sendall(b"GET / HTTP/1.1\r\nHost: seed.shop.svc\r\n\r\n")
        assert b"200 OK" in s.recv(65536)
        s.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        eventually(lambda: b"403 Forbidden" in s.recv(65536))


def test_pages_of_other_sites_and_of_other_services_are_refused(seed, tmp_path):
    for page in ("https://evil.example", "http://127.9.9.9:8080", "http://web.other.svc.cluster.local"):
        answer = curl("-X", "POST", "-H", f"Origin: {page}", "-H", "Host: seed.shop.svc", seed)
        assert answer.status == 403, (page, answer)
    assert curl("-X", "POST", "-H", f"Origin: {seed[:-1]}", seed).status == 200


def test_an_allowed_host_leads_to_the_service(start_tunnel, read_names):
    tunnel = start_tunnel("--allow-host", "my.example")
    address = read_names(tunnel, "?namespace=shop").address("seed.shop")
    assert curl(*BROWSER, "-H", "Host: my.example", f"http://{address}:8080/").status == 200


# other servers of this machine


def server(host, port):
    """A listening socket, or the error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        s.bind((host, port))
        s.listen()
    except OSError as e:
        s.close()
        return e
    return s


@pytest.fixture
def fresh(start_both, read_names):
    """fresh(*flags): a service on a port of its own; its tunnel, its port and its reader."""
    def start(*flags, before=lambda port: None):
        port, = free_ports(1)
        playground, tunnel = start_both(tunnel=flags)
        playground.order(f"service create other/fresh web {port} 8080")
        before(port)
        return tunnel, port, read_names(tunnel, "?namespace=other")
    return start


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_server_on_loopback_can_start_before_and_after(fresh, host):
    taken = []
    _, port, names = fresh(before=lambda port: taken.append(server(host, port)))
    assert isinstance(taken[0], socket.socket)
    eventually(lambda: names.at["fresh.other"]["ports"] == [port])
    assert curl(f"http://{names.address('fresh.other')}:{port}/").status == 200
    taken[0].close()
    after = server(host, port)
    assert isinstance(after, socket.socket)
    after.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_on_all_addresses_that_comes_first_is_named(fresh, host):
    taken = []
    tunnel, port, names = fresh(before=lambda port: taken.append(server(host, port)))
    problem, = status(tunnel)["problems"]
    assert problem["port"] == port and problem["error"] == "in-use"
    assert f"pid {os.getpid()}" in problem["reason"]
    shown = tunnel.ask("status").stdout
    assert f"port {port} of services is not listened on" in shown and f"pid {os.getpid()}" in shown
    assert names.at["fresh.other"]["ports"] == []
    taken[0].close()
    eventually(lambda: names.at["fresh.other"]["ports"] == [port])
    assert not status(tunnel)["problems"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_on_all_addresses_that_comes_later_starts_after_dns_release(fresh, host):
    tunnel, port, names = fresh()
    eventually(lambda: names.at.get("fresh.other", {}).get("ports") == [port])
    assert isinstance(server(host, port), OSError)
    released = tunnel.ask("dns", "release", port)
    assert released.returncode == 0 and f"port {port} is free" in released.stdout, released
    ours = server(host, port)
    assert isinstance(ours, socket.socket)
    ours.close()
    eventually(lambda: names.at["fresh.other"]["ports"] == [])
    for words in ((), ("0",), ("http",), ("1", "2"), ("1", "--dry-run")):
        assert tunnel.ask("dns", "release", *words).returncode == 2


def test_one_listener_per_port_serves_all_services(start_both, read_names):
    port, = free_ports(1)
    playground, tunnel = start_both(tunnel=["--address-per-port"])
    playground.order(f"service create other/a web {port} 8080", f"service create other/b web {port} 8080")
    names = read_names(tunnel, "?namespace=other")
    eventually(lambda: {"a.other", "b.other"} <= set(names.at))
    before = status(tunnel)["listeners"]
    assert before <= 2  # and port 80 of web.other
    for name in ("a", "b"):
        address = names.address(f"{name}.other")
        assert curl("-H", f"Host: {name}.other.svc", f"http://{address}:{port}/").status == 200
        other = "b" if name == "a" else "a"
        assert curl("-H", f"Host: {other}.other.svc", f"http://{address}:{port}/").status == 403
    for address in ("127.0.0.1", "127.77.1.1"):
        assert is_reset(address, port)
    assert isinstance(server("127.0.0.1", port), OSError)


# users and ports below 1024


@pytest.fixture
def network():
    """The words before a command that runs in a network namespace of its own."""
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"],
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"up\n"
    yield ["nsenter", "-t", str(holder.pid), "-n"]
    holder.kill()
    holder.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network namespace and other users")
def test_ports_below_1024_without_the_right_are_told_with_the_command(network, read_names, tmp_path, start_tunnel):
    tmp_path.chmod(0o755)
    folder = Path(tempfile.mkdtemp(prefix="ktun-low-"))
    folder.chmod(0o755)
    kubeconfig = folder / "config"
    playground = subprocess.Popen([*network, PLAYGROUND, "--kubeconfig-out", kubeconfig], stdout=subprocess.PIPE)
    try:
        assert playground.stdout.readline().startswith(b"ready")
        kubeconfig.chmod(0o644)
        home = folder / "home"
        home.mkdir()
        os.chown(home, 4242, 4242)
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        os.chown(runtime, 4242, 4242)
        tunnel = start_tunnel("--clients", "any", kubeconfig=kubeconfig, ready=False,
                              wrapper=[*network, "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups"],
                              environment={"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home),
                                           "XDG_RUNTIME_DIR": str(runtime)})
        tunnel.runtime = runtime
        names = read_names(tunnel, "?namespace=shop,other")
        web = names.at["web.shop"]
        assert web["ports"] == [9000], "port 80 needs a right"
        problem, = status(tunnel)["problems"]
        assert problem["port"] == 80 and problem["error"] == "privilege"
        assert problem["fix"] == "sudo sysctl net.ipv4.ip_unprivileged_port_start=80"
        shown = run("setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", BINARY, "status",
                    XDG_CONFIG_HOME=home, HOME=home, XDG_RUNTIME_DIR=runtime).stdout
        assert f"to allow these ports: {problem['fix']}\n" in shown
        shown = run("setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", BINARY, "dns", "status",
                    "--root", folder, XDG_CONFIG_HOME=home, HOME=home, XDG_RUNTIME_DIR=runtime).stdout
        assert f"to allow these ports: {problem['fix']}\n" in shown, shown
        assert len([line for line in tunnel.log().splitlines() if "is not listened on" in line]) == 1
        subprocess.run([*network, "sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=80"], check=True)
        eventually(lambda: names.at["web.shop"]["ports"] == [80, 9000])
        done = run(*network, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                   "--resolve", f"web.shop.svc.cluster.local:80:{web['address']}", "http://web.shop.svc.cluster.local/")
        assert done.stdout == "200", done
        assert not status(tunnel)["problems"]
        tunnel.stop()
    finally:
        playground.terminate()
        playground.wait(10)
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
def test_a_user_that_may_not_connect_is_reset(fresh):
    tunnel, port, names = fresh("--clients", "root")
    eventually(lambda: names.at.get("fresh.other", {}).get("ports") == [port])
    address = names.address("fresh.other")
    as_other = ["setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups"]
    assert run(*as_other, "curl", "-s", f"http://{address}:{port}/").returncode in (7, 52, 56)
    assert curl(f"http://{address}:{port}/").status == 200


# real programs, by address


@pytest.fixture
def start_backend(start_both, read_names):
    """start_backend(app, port): the address of a service other/APP and its port; a program is to listen on `port`."""
    def start(app, port):
        service_port, = free_ports(1)
        playground, tunnel = start_both("--backend", f"{app}:7000=127.0.0.1:{port}")
        playground.order(f"pod add other/{app}-0 {app}", f"service create other/{app} {app} {service_port} 7000")
        names = read_names(tunnel, "?namespace=other")
        eventually(lambda: names.at.get(f"{app}.other", {}).get("ports") == [service_port])
        return names.address(f"{app}.other"), service_port
    return start


@pytest.mark.skipif(not PG_BIN or not shutil.which("psql"), reason="not here: PostgreSQL")
def test_psql_by_address(start_backend):
    folder, (port,) = Path(tempfile.mkdtemp(prefix="kube-tunnel-pg-")), free_ports(1)
    as_user = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]

    def pg(*words):
        subprocess.run([*as_user, PG_BIN / words[0], *words[1:]], check=True, env=clean_environment(LC_ALL="C"),
                       cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    pg("initdb", "-D", folder / "db", "-U", "me", "--auth=trust", "--no-sync")
    pg("pg_ctl", "-D", folder / "db", "-w", "-l", folder / "log", "-o",
       f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off", "start")
    try:
        address, service_port = start_backend("pg", port)
        for _ in range(2):
            done = run("psql", "-At", f"host={address} port={service_port} user=me dbname=postgres", "-c",
                       "select count(*) from generate_series(1, 100000)")
            assert done.stdout == "100000\n", done
    finally:
        pg("pg_ctl", "-D", folder / "db", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@needs("redis-server", "redis-cli")
def test_redis_cli_by_address(start_backend, start_program):  # noqa: F811
    port, = free_ports(1)
    start_program(port, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    address, service_port = start_backend("redis", port)
    assert run("redis-cli", "-h", address, "-p", service_port, "SET", "key", "value").stdout == "OK\n"
    assert run("redis-cli", "-h", address, "-p", service_port, input="PING\nGET key\n").stdout == "PONG\nvalue\n"


def test_a_server_that_sends_first_by_address(start_backend, tmp_path):
    mail = Mail()
    address, port = start_backend("mail", mail.port)
    message = tmp_path / "message"
    message.write_text("Subject: hello\r\n\r\nhello\r\n")
    done = run("curl", "-sS", f"smtp://{address}:{port}", "--mail-from", "me@shop", "--mail-rcpt", "you@shop", "-T",
               message)
    assert done.returncode == 0, done
    mail.server.close()


# limits


def test_names_that_there_is_no_room_for_are_left_out_and_counted(start_playground, start_tunnel, read_names):
    playground = start_playground("--scale", "1000:1000")
    tunnel = start_tunnel("--max-address-listeners", "200", kubeconfig=playground.kubeconfig)
    names = read_names(tunnel)
    assert 140 <= len(names.at) <= 160
    assert all(line["ports"] for line in names.at.values()), "a name has an address that is not listened on"
    assert names.left_out["setting"] == "max-address-listeners"
    assert 1000 <= names.left_out["count"] + len(names.at) <= 1050
    other = read_names(tunnel, "?namespace=scale-19")
    assert not other.at and other.left_out["count"] == 50
    assert read_names(tunnel, "?namespace=scale-00").at.keys() == {n for n in names.at if n.endswith("scale-00")}
    shown = status(tunnel)
    assert shown["listeners"] <= 160
    assert len(os.listdir(f"/proc/{tunnel.process.pid}/fd")) < 250


def test_a_reader_beyond_the_limit_is_refused(start_tunnel, read_names):
    tunnel = start_tunnel()
    readers = [read_names(tunnel, "?namespace=other") for _ in range(16)]
    assert tunnel.control("/v1/names").status == 503
    readers[0].close()
    eventually(lambda: read_names(tunnel, "?namespace=other").at)


def test_sigterm_closes_all(start_tunnel, read_names):
    tunnel = start_tunnel()
    address = read_names(tunnel, "?namespace=shop").address("seed.shop")
    tunnel.terminate()
    eventually(lambda: not connects(address, 8080))
