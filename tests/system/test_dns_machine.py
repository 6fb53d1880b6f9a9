"""`kube-tunnel dns install` on machines in namespaces, with real resolvers: systemd-resolved, dnsmasq, glibc.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from resolver_namespace import CACHE, DNSMASQ, NETWORK_MANAGER, RESOLVED, Namespaced, needs, needs_root
from tunnel_process import BINARY, eventually

pytestmark = needs_root
WEB, PG = "web.shop.svc.cluster.local", "pg.shop.svc.prod.k8s"
OURS = {"*.cluster.local": "127.5.1.1", "*.k8s": "127.5.1.2"}
PUBLIC = "93.184.216.34"  # dnsmasq drops the addresses for documentation, too, with --stop-dns-rebind
OTHER = {"example.com": PUBLIC, PG: "93.184.216.35"}


@pytest.fixture
def machine(tmp_path):
    made = Namespaced(tmp_path)
    yield made
    made.close()


def asked(log):
    return {line.split()[0] for line in log.read_text().splitlines()} - {"ready"}


@pytest.fixture
def servers(machine, tmp_path):
    """The queries that kube-tunnel's server gets, and those of the server that the machine had before."""
    return (machine.server("127.0.53.53", 5354, tmp_path, **OURS), machine.server("127.0.0.99", 53, tmp_path, **OTHER))


# --- systemd-resolved ---

@needs(RESOLVED)
def test_resolved_asks_us_for_our_domains_only(machine, servers):
    ours, other = servers
    machine.with_resolved()
    before = machine.machine.seen()
    assert machine.getent("example.com") == PUBLIC and machine.getent(PG) == OTHER[PG]
    queries = len(other.read_text())
    assert machine.dns("install").returncode == 0
    assert machine.getent(WEB) == "127.5.1.1" and machine.getent(PG) == "127.5.1.2"
    assert machine.getent("example.com") == PUBLIC and machine.getent("nothing.example.com") is None
    assert asked(ours) == {WEB, PG} and not {WEB, PG} & {line.split()[0] for line in other.read_text()[queries:].splitlines()}
    status = machine.ok("resolvectl", "status", "kube-tunnel")
    assert "~cluster.local ~k8s" in status and "-DefaultRoute" in status and "-LLMNR" in status

    done = machine.dns("uninstall")
    assert done.returncode == 0 and machine.machine.seen() == before, done
    assert machine.run("ip", "link", "show", "kube-tunnel").returncode != 0
    assert machine.getent(PG) == OTHER[PG]


@needs(RESOLVED)
def test_a_restart_of_resolved_loses_nothing(machine, servers):
    machine.with_resolved()
    assert machine.dns("install").returncode == 0
    machine.ok("systemctl", "restart", "systemd-resolved.service")
    machine.wait_for_resolved()
    assert machine.getent(WEB) == "127.5.1.1" and machine.getent("example.com") == PUBLIC
    # and again without what it has written to /run: the unit is part of its service
    machine.ok("sh", "-c", "rm -rf /run/systemd/resolve/netif/*; systemctl restart systemd-resolved.service")
    machine.wait_for_resolved()
    machine.ok("systemctl", "restart", "kube-tunnel-dns.service")
    assert machine.getent(WEB) == "127.5.1.1"


@needs(RESOLVED)
def test_a_step_that_fails_is_undone_with_those_before_it(machine, servers):
    machine.with_resolved()
    before = machine.machine.seen()
    machine.write("/run/services/restart fails", "")
    done = machine.dns("install")
    assert done.returncode == 1 and "the test wants it to fail" in done.stderr, done
    assert "systemctl restart kube-tunnel-dns.service" in done.stderr and "are undone" in done.stdout
    assert machine.machine.seen() == before and not json.loads(machine.ok(BINARY, "dns", "status", "-o", "json"))["installed"]


def test_the_unit_is_one_that_systemd_accepts(machine):
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("no systemd-analyze here: the syntax of the unit is NOT tested")
    (machine.etc / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    done = machine.dns("install", "--root", machine.machine.root, "--low-ports", "unit", "--user", "root", "--backend", "resolved-link")
    assert done.returncode == 0, done
    for unit in ("kube-tunnel-dns.service", "kube-tunnel.service"):
        text = (machine.etc / "systemd/system" / unit).read_text()
        (machine.machine.home / unit).write_text(text)
        done = subprocess.run([verify, "verify", "--man=no", "--recursive-errors=no", machine.machine.home / unit], text=True,
                              capture_output=True, env={**os.environ, "PATH": f"{CACHE}/usr/bin:{os.environ['PATH']}"})
        wrong = [line for line in done.stderr.splitlines() if unit in line and "resolvectl is not executable" not in line]
        assert not wrong, done


@pytest.mark.parametrize("unit", ["kube-tunnel.service", "kube-tunnel.socket"])
def test_the_units_to_copy_are_ones_that_systemd_accepts(tmp_path, unit):
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("no systemd-analyze here: the syntax of the unit is NOT tested")
    shutil.copytree(Path(__file__).parents[2] / "deploy/systemd", tmp_path / "units")
    service = tmp_path / "units/kube-tunnel.service"
    service.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={BINARY}", service.read_text()))
    done = subprocess.run([verify, "verify", "--man=no", "--recursive-errors=no", tmp_path / "units" / unit], text=True, capture_output=True)
    assert not [line for line in done.stderr.splitlines() if "kube-tunnel." in line], done
    broken = tmp_path / "units/broken.service"
    broken.write_text(service.read_text().replace("[Service]", "[Service]\nNoSuchKey=1"))
    done = subprocess.run([verify, "verify", "--man=no", "--recursive-errors=no", broken], text=True, capture_output=True)
    assert "NoSuchKey" in done.stderr, done


# --- others ---

@needs(DNSMASQ)
def test_dnsmasq_asks_us_for_our_domains_only(machine, servers):
    ours, other = servers
    machine.write("/etc/dnsmasq.d/README", "")
    (machine.etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    machine.service("dnsmasq.service", DNSMASQ, "--keep-in-foreground", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
                    "--server=127.0.0.99", "--conf-dir=/etc/dnsmasq.d", "--user=root", "--stop-dns-rebind", "--pid-file=")
    eventually(lambda: machine.getent("example.com") == PUBLIC)
    before = machine.machine.seen()
    assert machine.dns("install").returncode == 0
    eventually(lambda: machine.getent(WEB) == "127.5.1.1")
    assert machine.getent(PG) == "127.5.1.2" and machine.getent("example.com") == PUBLIC
    assert asked(ours) == {WEB, PG} and not {WEB, PG} & asked(other)
    assert machine.dns("uninstall").returncode == 0 and machine.machine.seen() == before
    eventually(lambda: machine.getent("example.com") == PUBLIC)
    assert machine.getent(WEB) is None and machine.getent(PG) == OTHER[PG]


@needs(NETWORK_MANAGER)
def test_the_dnsmasq_of_network_manager_asks_us(machine, servers):
    ours, _ = servers
    machine.with_network_manager()
    before = machine.machine.seen()
    assert machine.getent(WEB) is None
    done = machine.dns("install")
    assert done.returncode == 0 and "run: systemctl try-reload-or-restart NetworkManager.service: done" in done.stdout, done
    eventually(lambda: machine.getent(WEB) == "127.5.1.1")
    assert machine.getent(PG) == "127.5.1.2" and asked(ours) == {WEB, PG}
    assert machine.dns("uninstall").returncode == 0 and machine.machine.seen() == before
    eventually(lambda: machine.getent(WEB) is None)


def test_resolv_conf_reaches_us_first_and_others_next(machine, tmp_path):
    ours = machine.server("127.0.53.53", 53, tmp_path, **OURS)
    machine.server("127.0.0.99", 53, tmp_path, **OTHER)
    (machine.etc / "resolv.conf").write_text("nameserver 127.0.0.99\n")
    before = machine.machine.seen()
    done = machine.dns("install")
    assert done.returncode == 1 and "programs ask at port 53" in done.stderr
    done = machine.dns("install", "--dns-listen", "127.0.53.53:53")
    assert done.returncode == 0, done
    assert machine.getent(WEB) == "127.5.1.1" and machine.getent("example.com") == PUBLIC
    assert "example.com" in asked(ours)  # what resolv.conf cannot avoid
    assert machine.dns("uninstall").returncode == 0 and machine.machine.seen() == before


def test_names_in_hosts_are_found_without_a_server(machine):
    (machine.etc / "resolv.conf").symlink_to("../run/resolvconf/resolv.conf")
    before = machine.machine.seen()
    done = machine.dns("install", "--names", "-", input=f"127.5.1.1 {WEB}\n")
    assert done.returncode == 0 and "for hosts" not in done.stderr, done
    assert machine.getent(WEB) == "127.5.1.1" and machine.getent(PG) is None
    assert machine.dns("uninstall").returncode == 0 and machine.machine.seen() == before


# --- low ports ---

@pytest.mark.parametrize("how", ["setcap", "sysctl"])
def test_low_ports_are_allowed_and_taken_back(machine, how):
    """For a user without rights, as doctor sees it: it binds the port."""
    program = Path(tempfile.mkdtemp()) / "kube-tunnel"  # pytest's folders are closed to other users
    try:
        program.parent.chmod(0o755)
        shutil.copy(BINARY, program)
        check_low_ports(machine, how, program)
    finally:
        shutil.rmtree(program.parent)


def check_low_ports(machine, how, program):
    before = machine.machine.seen()

    def ports():
        done = machine.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "doctor", "-o", "json",
                           "--listen", "127.0.0.1:80", environment={"HOME": str(program.parent), "XDG_RUNTIME_DIR": ""})
        return next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "ports")

    assert ports()["status"] == "failed" and "needs a privilege" in ports()["text"]
    done = machine.run(program, "dns", "install", "--backend", "macos", "--low-ports", how)
    assert done.returncode == 0, done
    assert ports()["status"] == "ok", ports()
    assert machine.run(program, "dns", "uninstall").returncode == 0
    assert ports()["status"] == "failed" and machine.machine.seen() == before


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here: NOTHING about crashes is tested")
@pytest.mark.parametrize("how, doing, undoing", [("setcap", "setxattr", "removexattr"), ("sysctl", "write", "write")])
def test_low_ports_are_taken_back_after_a_crash(machine, how, doing, undoing):
    """Killed before each of the calls by which it gives the right, and takes it back."""
    program = machine.machine.home / "kube-tunnel"
    shutil.copy(BINARY, program)
    traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-E", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"]
    install = [program, "dns", "install", "--backend", "macos", "--low-ports", how]

    def seen():
        return machine.machine.seen(), os.listxattr(program), machine.ok("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start")

    def killed_each(kind, *words):
        for count in range(1, 100):
            done = machine.run(*traced, "-e", f"inject={kind}:signal=SIGKILL:when={count}", *words)
            assert done.returncode in (0, -9, 137), done
            if done.returncode == 0:
                return
            yield count

    before, kills = seen(), 0
    for kills in killed_each(doing, *install):
        machine.ok(program, "dns", "uninstall")
        assert seen() == before, kills
    assert kills and seen() != before
    for kills in killed_each(undoing, program, "dns", "uninstall"):
        machine.ok(program, "dns", "uninstall")
        assert seen() == before, kills
        machine.ok(*install)
    assert kills and seen() == before
