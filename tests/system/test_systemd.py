"""`dns install --low-ports unit` with a real systemd, which is PID 1 of namespaces of the test's own.

It knows only the units that the test wrote and that `dns install` writes, so that nothing of this machine's is started.
SPDX-License-Identifier: MIT
"""
import contextlib
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from resolver_namespace import needs, needs_root
from tunnel_process import BINARY, PLAYGROUND, clean_environment, eventually

SYSTEMD = Path("/lib/systemd/systemd")
pytestmark = [needs_root, needs(SYSTEMD), needs(Path("/usr/bin/dig"))]
WEB = "web.shop.svc.cluster.local"
USER = 12345
# What follows is in a control group and in namespaces; systemd finds its own group's folder as the root of the hierarchy.
SETUP = """
set -e
mount --make-rprivate /
mount --bind "$1/etc" /etc
for path in /run /var/lib /var/log; do mount -t tmpfs none "$path"; done
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
exec env -i container=other PATH="$PATH" SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_LOG_TARGET=console \
    "$2" --system --unit=multi-user.target --show-status=no
"""
GROUP = """
set -e
mount -t cgroup2 none /mnt
mkdir "/mnt/$1"
echo $$ >"/mnt/$1/cgroup.procs"
umount /mnt
shift
exec "$@"
"""
REMOVE = """
mount -t cgroup2 none /mnt
[ ! -e "/mnt/$1" ] || find "/mnt/$1" -depth -type d -exec rmdir {} +
"""
TARGETS = ("sysinit", "basic", "multi-user", "shutdown", "network", "sockets", "timers", "paths", "slices")
RUNTIME_FOLDER = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/install -d -m 700 -o %i -g %i /run/user/%i
"""


class Machine:
    def __init__(self, folder):
        self.folder, self.root = folder, folder / "root"
        self.group = f"kube-tunnel-test-{uuid.uuid4().hex[:8]}"
        units = self.root / "etc/systemd/system"
        units.mkdir(parents=True)
        for name in ("passwd", "group", "hosts", "ssl", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "alternatives"):
            subprocess.run(["cp", "-a", f"/etc/{name}", self.root / "etc"], stderr=subprocess.DEVNULL)
        with open(self.root / "etc/passwd", "a") as file:
            file.write(f"dev:x:{USER}:{USER}::{folder}/home:/bin/sh\n")
        for name in TARGETS:
            (units / f"{name}.target").write_text("[Unit]\nDescription=of the test\n")
        (units / "user-runtime-dir@.service").write_text(RUNTIME_FOLDER)
        self.log = open(folder / "systemd.log", "wb")
        setup = ["sh", "-c", SETUP, "sh", self.root, SYSTEMD]
        self.init = subprocess.Popen(["unshare", "-m", "sh", "-c", GROUP, "sh", self.group, "unshare", "-mnpCiu", "--fork", "--kill-child",
                                      "--mount-proc", *setup], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     env=clean_environment())

    def begin(self):
        self.enter = ["nsenter", "-t", eventually(self.systemd, 20), "-m", "-n", "-p"]
        eventually(lambda: self.run("systemctl", "is-active", "multi-user.target").stdout == "active\n", 20)

    def systemd(self):
        """Its process id; before it there are programs of SETUP and GROUP."""
        for child in Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return child
        return None

    def close(self):
        self.init.kill()
        self.init.wait()
        self.log.close()
        # a process that was killed may leave its group a moment later
        eventually(lambda: subprocess.run(["unshare", "-m", "sh", "-c", REMOVE, "sh", self.group], stderr=subprocess.DEVNULL).returncode == 0)

    def run(self, *words, **options):
        return subprocess.run([*self.enter, *map(str, words)], capture_output=True, text=True, timeout=60,
                              env=clean_environment(HOME=str(self.folder)), **options)

    def ok(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, done
        return done.stdout

    def pid_of(self, unit):
        return int(self.ok("systemctl", "show", "-p", "MainPID", "--value", unit))


@pytest.fixture
def machine():
    folder = Path(tempfile.mkdtemp(prefix="ktun-systemd-"))  # pytest's folders are closed to other users
    folder.chmod(0o755)
    shutil.copy(BINARY, folder / "kube-tunnel")
    made = Machine(folder)
    try:
        made.begin()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def unit_of_the_playground(machine):
    kubeconfig = machine.folder / "home/.kube/config"
    kubeconfig.parent.mkdir(parents=True)
    (machine.root / "etc/systemd/system/playground.service").write_text(
        f"[Service]\nExecStart={PLAYGROUND} --pods 1 --kubeconfig-out {kubeconfig}\n")
    machine.ok("systemctl", "daemon-reload")
    machine.ok("systemctl", "start", "playground.service")
    eventually(kubeconfig.exists)
    kubeconfig.chmod(0o644)


def test_the_unit_gives_a_user_ports_below_1024(machine):
    unit_of_the_playground(machine)
    units = machine.root / "etc/systemd/system"
    before = sorted(map(str, units.rglob("*")))
    install = [machine.folder / "kube-tunnel", "dns", "install", "--backend", "macos", "--low-ports", "unit", "--user", "dev"]
    done = machine.run(*install)
    assert done.returncode == 0, done
    pid = eventually(lambda: machine.pid_of("kube-tunnel.service"))
    status = machine.ok("cat", f"/proc/{pid}/status")
    assert re.search(rf"^Uid:\s+{USER}\s+{USER}\s+{USER}\s+{USER}$", status, re.M)
    for kind in ("Amb", "Bnd", "Eff"):
        assert re.search(rf"^Cap{kind}:\s+0000000000000400$", status, re.M), status  # CAP_NET_BIND_SERVICE

    def address():
        done = machine.run("dig", "+short", "+tries=1", "+time=2", "@127.0.53.53", "-p", "5354", WEB)
        return done.returncode == 0 and done.stdout.strip()

    found = eventually(address, 20)
    assert re.fullmatch(r"127\.\d+\.\d+\.\d+", found)
    done = machine.run("curl", "-sS", "--max-time", "20", "-w", " %{http_code}", "--resolve", f"{WEB}:80:{found}", f"http://{WEB}/")
    assert done.stdout.endswith(" 200"), done

    machine.ok("kill", "-9", str(pid))  # Restart=on-failure
    eventually(lambda: machine.pid_of("kube-tunnel.service") not in (0, pid))
    assert machine.run(machine.folder / "kube-tunnel", "dns", "uninstall").returncode == 0
    assert machine.run("systemctl", "is-active", "kube-tunnel.service").returncode != 0
    assert machine.run("curl", "-sS", "--max-time", "5", f"http://{found}/").returncode == 7
    assert sorted(map(str, units.rglob("*"))) == before


def test_the_unit_is_started_with_the_machine(machine):
    """multi-user.target wants it."""
    unit_of_the_playground(machine)
    assert machine.run(machine.folder / "kube-tunnel", "dns", "install", "--backend", "macos", "--low-ports", "unit",
                       "--user", "dev").returncode == 0
    machine.ok("systemctl", "stop", "kube-tunnel.service")
    assert "kube-tunnel.service" in machine.ok("systemctl", "show", "-p", "Wants", "--value", "multi-user.target")
    machine.ok("systemctl", "start", "--job-mode=ignore-dependencies", "user-runtime-dir@12345.service")
    machine.ok("systemctl", "restart", "multi-user.target")
    eventually(lambda: machine.pid_of("kube-tunnel.service"))
