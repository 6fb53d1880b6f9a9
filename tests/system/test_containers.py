"""--listen docker: a listener at the address of a bridge, for containers and nothing else.

A bridge and network namespaces of the test's own stand for Docker's or Podman's.

SPDX-License-Identifier: MIT
"""
import os
import re
import subprocess
import uuid

import pytest

from tunnel_process import BINARY, clean_environment, free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")

OWN_NAMESPACE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
WEB = "web.shop.svc.cluster.local"


def run(*command, check=True):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=20)
    assert not check or done.returncode == 0, (command, done.stderr)
    return done


class Machine:
    """The network namespace of a kube-tunnel; without a pid that of this test."""

    def __init__(self, pid=None):
        self.enter = ["nsenter", "-t", str(pid), "-n"] if pid else []
        self.made = []

    def ip(self, *words):
        run(*self.enter, "ip", *words)

    def bridge(self, name, address):
        self.ip("link", "add", name, "type", "bridge")
        self.made.append(["link", "delete", name])
        self.ip("address", "add", address, "dev", name)
        self.ip("link", "set", name, "up")

    def attach(self, bridge, address, gateway=None):
        """A namespace with this address, behind the bridge, or beside it if there is none; its name."""
        name, end = f"kt-{uuid.uuid4().hex[:8]}", f"kt{uuid.uuid4().hex[:8]}"
        run("ip", "netns", "add", name)
        self.ip("link", "add", end, "type", "veth", "peer", "name", f"{end}p")
        self.made.append(["link", "delete", end])
        # a namespace is named for this process and for those that `nsenter` starts
        run(*self.enter, "ip", "link", "set", f"{end}p", "netns", name)
        if bridge:
            self.ip("link", "set", end, "master", bridge)
        else:
            self.ip("address", "add", gateway + "/24", "dev", end)
        self.ip("link", "set", end, "up")
        inside = ["ip", "-n", name]
        run(*inside, "link", "set", f"{end}p", "name", "eth0")
        run(*inside, "address", "add", address, "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")
        if gateway:
            run(*inside, "route", "add", "default", "via", gateway)
        self.made.append(name)
        return name

    def close(self):
        for each in reversed(self.made):
            run(*(["ip", "netns", "delete", each] if isinstance(each, str) else [*self.enter, "ip", *each]), check=False)


def status_in(where, url, *arguments):
    """The status that curl gets in a namespace; 000: no answer."""
    return run(*where, "curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", *arguments, url, check=False).stdout


@pytest.fixture
def machine():
    machines = []

    def make(pid=None):
        machines.append(Machine(pid))
        return machines[-1]

    yield make
    for each in machines:
        each.close()


def test_a_container_reaches_services_at_the_bridge(start_tunnel, machine):
    port, = free_ports(1)
    name = f"kt{uuid.uuid4().hex[:8]}"
    here = machine()
    here.bridge(name, "10.213.77.1/24")
    tunnel = start_tunnel("--listen", f"%{name}:{port}", "--proxy")
    assert tunnel.wait_for_log(rf"listening.*10\.213\.77\.1:{port}")
    container = ["ip", "netns", "exec", here.attach(name, "10.213.77.2/24", "10.213.77.1")]
    url = f"http://10.213.77.1:{port}/"
    assert status_in(container, url, "-H", f"Host: {WEB}") == "200"
    assert status_in(container, f"http://{WEB}/", "-x", f"10.213.77.1:{port}") == "200"
    # CONNECT carries any protocol
    assert status_in(container, f"http://{WEB}/", "-p", "-x", f"10.213.77.1:{port}") == "200"


def test_docker_means_its_bridge_which_may_come_and_go_and_no_other_network_gets_in(start_tunnel, machine, playground):
    tunnel = start_tunnel("--listen", "docker:8123", "--clients", "same-user", wrapper=OWN_NAMESPACE, kubeconfig=playground.kubeconfig, ready=False)
    assert "8123" not in tunnel.log(), "there is no bridge yet"
    there = machine(tunnel.process.pid)
    there.bridge("docker0", "172.17.0.1/16")
    tunnel.wait_for_log(r"listening.*172\.17\.0\.1:8123")
    url = "http://172.17.0.1:8123/healthz"
    container = ["ip", "netns", "exec", there.attach("docker0", "172.17.0.2/16")]
    assert status_in(container, url) == "200"
    # a machine of another network that routes to that address
    other = ["ip", "netns", "exec", there.attach(None, "10.9.9.2/24", "10.9.9.1")]
    assert status_in(other, "http://10.9.9.1:8123/healthz") == "000"
    assert status_in(other, url) == "000"
    # programs of this machine are checked by their user, as everywhere
    assert status_in(there.enter, url) == "200"
    assert status_in([*there.enter, "setpriv", "--reuid", "65534", "--clear-groups"], url) == "403"
    assert status_in([*there.enter, "setpriv", "--reuid", "65534", "--clear-groups"], url, "--interface", "if!lo") != "200"
    # Podman's bridge, too, and a new address
    there.bridge("podman0", "10.88.0.1/16")
    tunnel.wait_for_log(r"listening.*10\.88\.0\.1:8123")
    there.ip("address", "delete", "172.17.0.1/16", "dev", "docker0")
    tunnel.wait_for_log(r"no longer listening.*172\.17\.0\.1:8123")
    there.ip("address", "add", "172.17.0.9/16", "dev", "docker0")
    tunnel.wait_for_log(r"listening.*172\.17\.0\.9:8123")
    assert status_in(container, "http://172.17.0.9:8123/healthz") == "200"


def test_a_bridge_is_added_and_removed_by_a_reload(start_tunnel, machine, playground, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("listen: ['127.0.0.1:0']\n")
    tunnel = start_tunnel("--config", path, wrapper=OWN_NAMESPACE, kubeconfig=playground.kubeconfig, ready=False, listen=())
    there = machine(tunnel.process.pid)
    there.bridge("podman0", "10.88.0.1/16")
    path.write_text("listen: ['127.0.0.1:0', 'docker']\n")
    tunnel.wait_for_log(r"listening.*10\.88\.0\.1:8080")
    path.write_text("listen: ['127.0.0.1:0']\n")
    tunnel.wait_for_log(r"no longer listening.*10\.88\.0\.1:8080")


@pytest.mark.parametrize("value, text", [("docker:0", "has no port from 1 to 65535"), ("docker:x", "has no port"),
                                         ("%:80", "names no interface"), ("%a/b", "names no interface"),
                                         ("%sixteen-letters-", "names no interface")])
def test_a_wrong_bridge_is_named(value, text):
    done = run("env", "-i", BINARY, "config", "check", "--listen", value, check=False)
    assert done.returncode == 2 and text in done.stderr, done.stderr


def test_docker_adds_to_the_default_listeners_and_is_printed_as_written():
    done = subprocess.run([BINARY, "config", "show", "listen", "--listen", "Docker", "--listen", "%br0:90"],
                          env=clean_environment(HOME="/nonexistent"), capture_output=True, text=True, timeout=20)
    assert re.search(r"listen +docker:8080,%br0:90 ", done.stdout), done
