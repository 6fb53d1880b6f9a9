"""A machine with a resolver: its own network, processes, /etc, /run and /var/lib, in namespaces.

Programs that would take over the resolver of the machine they are installed on (systemd-resolved, libnss-mdns,
NetworkManager) are unpacked into the cache by script/bootstrap and run from there. SPDX-License-Identifier: MIT
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resolver_machine import Machine
from tunnel_process import BINARY, clean_environment, eventually

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-tunnel" / "deb"
LIBRARIES = "/usr/lib/x86_64-linux-gnu" if os.uname().machine == "x86_64" else f"/usr/lib/{os.uname().machine}-linux-gnu"
HERE = Path(__file__).resolve().parent
RESOLVED = CACHE / "lib/systemd/systemd-resolved"
NETWORK_MANAGER = CACHE / "usr/sbin/NetworkManager"
DNSMASQ = Path("/usr/sbin/dnsmasq")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a machine in namespaces: NOTHING about resolvers is tested")


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"{path} is missing; run script/bootstrap test: NOTHING about it is tested")


BUS = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
<allow send_type="method_call"/><allow send_type="signal"/></policy></busconfig>
"""
CONNECTION = """[connection]
id=eth0
uuid=11111111-2222-3333-4444-555555555555
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=192.0.2.10/24
dns=192.0.2.11;
[ipv6]
method=disabled
"""
# as in its unit, without busctl
RELOAD = ("dbus-send --system --print-reply --dest=org.freedesktop.NetworkManager /org/freedesktop/NetworkManager "
          "org.freedesktop.NetworkManager.Reload uint32:0\n")
SETUP = """
set -e
mount --make-rprivate /
mount --bind "$1/etc" /etc
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mkdir -p /run/dbus /run/services /run/systemd/system /run/bin
ln -s "$2/resolver_services.py" /run/bin/systemctl
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip link set eth0-peer up
ip link set eth0 up
ip address add 192.0.2.10/24 dev eth0
echo ready
exec sleep infinity
"""
USERS = {"passwd": "systemd-resolve:x:991:991::/:/usr/sbin/nologin\n", "group": "systemd-resolve:x:991:\n"}


class Namespaced:
    """Machine.root/etc is its /etc, so what tests of Machine compare can be compared here, too."""

    def __init__(self, folder):
        self.machine = Machine(folder)
        self.etc = self.machine.root / "etc"
        shutil.rmtree(self.etc)
        self.etc.mkdir()
        for name in ("passwd", "group", "shadow", "hosts", "services", "protocols", "ssl", "host.conf", "alternatives", "dbus-1",
                     "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "java-17-openjdk", "ca-certificates", "login.defs"):
            subprocess.run(["cp", "-a", f"/etc/{name}", self.etc], stderr=subprocess.DEVNULL)
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n")
        (self.etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        for name, line in USERS.items():
            with open(self.etc / name, "a") as file:
                file.write(line)
        self.environment = clean_environment(
            HOME=str(self.machine.home), XDG_RUNTIME_DIR=str(self.machine.home), PYTHONDONTWRITEBYTECODE="1",
            PATH=f"/run/bin:{CACHE}/usr/bin:{CACHE}/usr/sbin:/usr/local/bin:/usr/local/go/bin:/usr/bin:/usr/sbin:/bin:/sbin",
            LD_LIBRARY_PATH=":".join(f"{CACHE}{folder}" for folder in (LIBRARIES, f"{LIBRARIES}/systemd", LIBRARIES[4:])))
        self.log = open(folder / "namespace.log", "wb")
        self.init = subprocess.Popen(
            ["unshare", "-mnp", "--fork", "--kill-child", "--mount-proc", "sh", "-c", SETUP, "sh", self.machine.root, HERE],
            stdout=subprocess.PIPE, text=True, env=self.environment, stderr=self.log)
        assert self.init.stdout.readline() == "ready\n", (folder / "namespace.log").read_text()
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split()
        self.enter = ["nsenter", "-t", children[0], "-m", "-n", "-p"]

    def close(self):
        self.init.kill()
        self.init.wait()
        self.log.close()

    def run(self, *words, seconds=30, environment=None, **options):
        return subprocess.run([*self.enter, *map(str, words)], capture_output=True, text=True, timeout=seconds,
                              env={**self.environment, **(environment or {})}, **options)

    def ok(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, done
        return done.stdout

    def dns(self, *words, **options):
        return self.run(BINARY, "dns", *words, **options)

    def write(self, path, text):
        self.ok("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, input=text)

    def service(self, name, *words):
        """Starts it, so that the machine's systemctl can restart it."""
        self.write(f"/run/services/{name}", " ".join(map(str, words)) + "\n")
        self.ok("systemctl", "start", name)

    def server(self, address, port, folder, **names):
        """A DNS server; its queries are lines of the returned file. Other names are refused."""
        log = folder / f"queries-{address}"
        log.touch()
        answers = [f"{name}={value}" for name, value in names.items()]
        self.service(f"server-{address}", sys.executable, HERE / "resolver_server.py", address, port, log, *answers)
        eventually(lambda: "ready" in log.read_text())
        return log

    def getent(self, name):
        done = self.run("getent", "ahostsv4", name)
        return done.stdout.split()[0] if done.returncode == 0 else None

    def with_resolved(self):
        (self.etc / "systemd").mkdir()
        self.write("/etc/systemd/resolved.conf", "[Resolve]\nDNS=127.0.0.99\nFallbackDNS=\nDNSSEC=no\n")
        (self.etc / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        self.with_bus()
        self.service("systemd-resolved.service", RESOLVED)
        self.wait_for_resolved()
        return self

    def with_bus(self):
        self.write("/run/bus.conf", BUS)
        self.service("dbus.service", "dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
        eventually(lambda: self.run("test", "-S", "/run/dbus/system_bus_socket").returncode == 0)

    def with_network_manager(self):
        """With dnsmasq, which it starts itself. A /sys that cannot be written makes it do without udev."""
        self.ok("mount", "-t", "sysfs", "-o", "ro", "none", "/sys")
        self.with_bus()
        self.write("/etc/NetworkManager/NetworkManager.conf", "[main]\nplugins=keyfile\ndns=dnsmasq\nauth-polkit=false\nrc-manager=file\n")
        self.write("/etc/NetworkManager/system-connections/eth0.nmconnection", CONNECTION)
        self.ok("chmod", "600", "/etc/NetworkManager/system-connections/eth0.nmconnection")
        self.ok("mkdir", "-p", "/var/lib/NetworkManager", "/run/NetworkManager", "/etc/NetworkManager/conf.d")
        self.write("/run/services/NetworkManager.service.reload", RELOAD)
        self.service("NetworkManager.service", NETWORK_MANAGER, "--no-daemon", "--debug")
        eventually(lambda: self.run("nmcli", "connection", "up", "eth0").returncode == 0)
        eventually(lambda: "127.0.0.1" in (self.etc / "resolv.conf").read_text())
        return self

    def wait_for_resolved(self):
        eventually(lambda: self.run("resolvectl", "status", seconds=5).returncode == 0)
