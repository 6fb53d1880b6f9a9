"""Names of the cluster on a machine where only `kube-tunnel dns install` was run: getent, curl, Go, Java, Node, Python.

The machine is made of namespaces, with a resolver of its own; the cluster and kube-tunnel run in it.
SPDX-License-Identifier: MIT
"""
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from programs_by_name import PROGRAMS, missing
from real_programs import PG_BIN
from resolver_namespace import CACHE, LIBRARIES, RESOLVED, Namespaced, needs, needs_root
from server_first import ACCOUNT, MARIADBD, SSHD, Ssh, mariadb_client, mariadb_server
from tunnel_process import BINARY, PLAYGROUND, eventually

pytestmark = needs_root
WEB = "web.shop.svc.cluster.local"
USER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
LOOPBACK = re.compile(r"127\.(?!0\.)\d+\.\d+\.\d+")


DATABASES = {"pg": (5432, 5432), "redis": (6379, 6379), "mysql": (3306, 3306), "ssh": (22, 2222)}


def database(name, port, target):
    """A service of the playground's pods "many", whose port is served in the machine itself."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "many"},
            "spec": {"selector": {"app": "many"}, "ports": [{"name": "main", "port": port, "targetPort": target}]}}


class Used(Namespaced):
    """With a cluster, and a user who runs kube-tunnel in it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.home = Path(tempfile.mkdtemp())  # pytest's folders are closed to other users
        self.program = self.home / "kube-tunnel"
        shutil.copy(BINARY, self.program)
        self.home.chmod(0o755)
        (self.home / "user").mkdir()
        shutil.chown(self.home / "user", 12345, 12345)
        self.user = {"HOME": str(self.home / "user"), "XDG_RUNTIME_DIR": str(self.home / "user"), "LD_LIBRARY_PATH": ""}

    def close(self):
        super().close()
        shutil.rmtree(self.home)

    def start(self, *flags):
        kubeconfig, manifest = self.home / "kubeconfig", self.home / "manifest"
        manifest.write_text(json.dumps([database(name, *ports) for name, ports in DATABASES.items()]))
        backends = [word for _, port in DATABASES.values() for word in ("--backend", f"many:{port}=127.0.0.1:{port}")]
        self.service("playground", PLAYGROUND, "--kubeconfig-out", kubeconfig, "--pods", 1, "--manifest", manifest,
                     *backends)
        eventually(kubeconfig.exists)
        kubeconfig.chmod(0o644)
        self.start_tunnel(*flags)

    def start_tunnel(self, *flags):
        self.service("of-the-user", *USER, "env", *[f"{k}={v}" for k, v in self.user.items()], self.program, "run", "--kubeconfig", self.home / "kubeconfig",
                     "--listen", "127.0.0.1:8080", *flags)
        eventually(lambda: self.run("curl", "-sf", "http://127.0.0.1:8080/readyz").returncode == 0, seconds=20)

    def as_user(self, *words, **options):
        return self.run(*USER, *words, environment=self.user, **options)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """With systemd-resolved where it is, else with resolv.conf alone."""
    made = Used(tmp_path_factory.mktemp("machine"))
    flags = []
    if RESOLVED.exists():
        made.with_resolved()
    else:
        (made.etc / "resolv.conf").write_text("nameserver 127.0.0.99\n")
        flags = ["--dns-listen", "127.0.53.53:53"]
    done = made.run(made.program, "dns", "install", "--low-ports", "setcap", *flags)
    assert done.returncode == 0, done
    made.start()
    yield made
    made.close()


def test_getent_finds_services_and_nothing_else(machine):
    assert LOOPBACK.fullmatch(machine.getent(WEB))
    assert machine.getent(WEB) == machine.getent(WEB.upper())
    assert machine.getent("nothing.shop.svc.cluster.local") is None


def test_the_first_example_of_the_readme(machine):
    done = machine.as_user("curl", "-sS", "--max-time", "20", f"http://{WEB}/")
    assert done.returncode == 0 and done.stdout, done


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_programs_connect_by_name(machine, name, tmp_path_factory):
    if missing(name):
        pytest.skip(missing(name))
    folder = Path(tempfile.mkdtemp(dir=machine.home))
    folder.chmod(0o755)
    words = PROGRAMS[name](folder)
    done = machine.as_user(*words, WEB)
    assert done.returncode == 0, done
    address, status, length = done.stdout.split()
    assert address == machine.getent(WEB) and status == "200" and int(length) > 0


@needs(Path("/usr/bin/psql"))
@pytest.mark.skipif(not PG_BIN, reason="PostgreSQL is missing; run script/bootstrap test")
def test_psql_connects_by_name_alone(machine):
    folder = machine.home / "pg"
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    owner = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "env", "LD_LIBRARY_PATH=", "LC_ALL=C"]
    machine.ok(*owner, PG_BIN / "initdb", "-D", folder / "db", "-U", "me", "--auth=trust", "--no-sync", seconds=120)
    machine.ok(*owner, PG_BIN / "pg_ctl", "-D", folder / "db", "-w", "-l", folder / "log", "-o",
               "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off", "start", seconds=120)
    done = machine.as_user("psql", "-At", "-h", "pg.many.svc.cluster.local", "-U", "me", "postgres", "-c", "select 6 * 7")
    assert done.stdout == "42\n", done


@needs(Path("/usr/bin/redis-server"))
@needs(Path("/usr/bin/redis-cli"))
def test_redis_cli_connects_by_name_alone(machine):
    machine.service("redis", "/usr/bin/redis-server", "--bind", "127.0.0.1", "--save", "''", "--appendonly", "no")
    done = machine.as_user("redis-cli", "-h", "redis.many.svc.cluster.local", input="SET key value\nGET key\n")
    assert done.stdout == "OK\nvalue\n", done


@needs(MARIADBD)
def test_mariadb_connects_by_name_alone(machine):
    """The server speaks first."""
    machine.service("mariadb", *mariadb_server(machine.home, 3306))
    for name in ("mysql.many.svc.cluster.local", "mysql.many.svc.playground.k8s"):
        done = eventually(lambda: (done := machine.as_user(*mariadb_client(name, 3306))).returncode == 0 and done, 20)
        assert done.stdout == "42\n", done


@needs(SSHD)
def test_ssh_connects_by_name_alone(machine):
    """At port 22, which setcap opened. The host's key is known by the service's name."""
    with open(machine.etc / "passwd", "a") as file:
        file.write("dev:x:12345:12345::/:/bin/sh\n")  # ssh wants to know who runs it
    ssh = Ssh(machine.home, 2222)
    machine.service("sshd", *ssh.server())
    client = ssh.client(12345, "ssh.many.svc.cluster.local", 22, "echo $USER; cat")
    done = eventually(lambda: (done := machine.as_user(*client, input="a line\n")).returncode == 0 and done, 20)
    assert done.stdout == f"{ACCOUNT}\na line\n", done


def test_doctor_says_that_names_resolve_here(machine):
    done = machine.as_user(machine.program, "doctor", "--kubeconfig", machine.home / "kubeconfig")
    assert re.search(r"names +names are looked up by kube-tunnel: cluster\.local", done.stdout), done


MDNS = CACHE / LIBRARIES[5:] / "libnss_mdns4.so.2"
AVAHI = """import os, socket
os.makedirs("/run/avahi-daemon")
with socket.socket(socket.AF_UNIX) as s:
    s.bind("/run/avahi-daemon/socket")
    s.listen()
    while True:
        client = s.accept()[0]
        client.recv(1000)
        client.sendall(b"-15 Timeout reached\\n")  # no machine of that name
        client.close()
"""


@needs(MDNS)
@pytest.mark.parametrize("module, swallows", [("mdns4_minimal", False), ("mdns4", True)])
def test_mdns_that_ends_look_ups_is_reported_with_the_line_that_works(machine, module, swallows):
    """With the real module. It asks an Avahi that knows no name."""
    if machine.run("test", "-S", "/run/avahi-daemon/socket").returncode:
        machine.write("/run/avahi.py", AVAHI)
        machine.service("avahi", "/usr/bin/python3", "/run/avahi.py")
        eventually(lambda: machine.run("test", "-S", "/run/avahi-daemon/socket").returncode == 0)
    machine.write("/etc/mdns.allow", ".local\n")
    machine.write("/etc/nsswitch.conf", f"passwd: files\ngroup: files\nhosts: files {module} [NOTFOUND=return] dns\n")
    try:
        assert (machine.getent(WEB) is None) == swallows
        fixed = f"hosts: files dns {module} [NOTFOUND=return]"
        # without setcap, which makes the loader ignore where the module is
        done = machine.run(BINARY, "doctor", "--kubeconfig", machine.home / "kubeconfig")
        assert (f'make its line "{fixed}"' in done.stdout) == swallows, done
        assert f'make its line "{fixed}"' in machine.run(BINARY, "dns", "status").stdout
        machine.write("/etc/nsswitch.conf", f"passwd: files\ngroup: files\n{fixed}\n")
        assert LOOPBACK.fullmatch(machine.getent(WEB))
    finally:
        machine.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")


def test_status_compares_with_what_is_served(machine):
    done = machine.as_user(machine.program, "dns", "status")
    assert done.returncode == 0 and "domains    cluster.local k8s" in done.stdout, done


def check_hosts_status(machine):
    """What the file cannot follow by itself is named: another start without the setting, and other names."""
    status = [machine.program, "dns", "status"]
    done = machine.as_user(*status)
    assert done.returncode == 0 and "problem" not in done.stdout, done
    hosts = (machine.etc / "hosts").read_text()
    names = machine.home / "names"
    names.write_text("".join(f"{line}\n" for line in hosts.splitlines() if ".cluster.local" in line and WEB not in line))
    done = machine.run(machine.program, "dns", "repair", "--names", names)
    assert done.returncode == 0 and "note: /etc/hosts has the names of this moment" in done.stdout, done
    done = machine.as_user(*status)
    assert done.returncode == 1 and "the names of the cluster have changed: kube-tunnel dns repair" in done.stdout, done
    assert "--address-idle 0" not in done.stdout
    machine.start_tunnel()
    done = machine.as_user(*status)
    assert done.returncode == 1 and "no look-up of a name in /etc/hosts opens them again: run it with --address-idle 0" in done.stdout, done


def test_hosts_has_the_names_that_are_known(tmp_path):
    """The last resort, on a machine of its own: no look-up opens an address, so they stay open."""
    machine = Used(tmp_path)
    try:
        (machine.etc / "resolv.conf").symlink_to("../run/resolvconf/resolv.conf")
        before = (machine.etc / "hosts").read_text()
        machine.ok("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start")
        done = machine.run(machine.program, "dns", "install", "--backend", "hosts")
        assert done.returncode == 2 and "--names is missing, and no kube-tunnel" in done.stderr, done
        machine.start("--address-idle", "0")

        def names():
            done = machine.as_user(machine.program, "dns", "install", "--backend", "hosts")
            assert done.returncode == 77 and " --names '" in done.stderr, done
            machine.ok("sh", "-c", done.stderr.split("type: sudo ")[1])
            return f" {WEB}\n" in (machine.etc / "hosts").read_text()

        eventually(names)
        assert LOOPBACK.fullmatch(machine.getent(WEB))
        done = machine.as_user("curl", "-sS", "--max-time", "20", f"http://{WEB}/")
        assert done.returncode == 0 and done.stdout, done
        check_hosts_status(machine)
        assert machine.run(machine.program, "dns", "uninstall").returncode == 0
        assert (machine.etc / "hosts").read_text() == before
    finally:
        machine.close()


def test_without_the_installation_they_are_not_found(machine):
    """The last one: it undoes what the others need."""
    assert machine.run(machine.program, "dns", "uninstall").returncode == 0
    assert machine.getent(WEB) is None
    assert machine.as_user("curl", "-sS", "--max-time", "5", f"http://{WEB}/").returncode == 6
