"""Containers of the real Podman, as root in namespaces of the test's own, and the compose example of deploy/containers.

The image has curl of this machine and what it needs; nothing is downloaded. SPDX-License-Identifier: MIT
"""
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from resolver_namespace import Namespaced, needs, needs_root
from tunnel_process import BINARY, PLAYGROUND, eventually

pytestmark = [needs_root, needs(Path("/usr/bin/podman"))]
COMPOSE = Path(__file__).parents[2] / "deploy/containers/compose.yaml"
WEB = "http://web.shop.svc.cluster.local/"
IMAGE = "docker.io/curlimages/curl:latest"
GATEWAY = "10.213.0.1"
CONFIG = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "/run/networks"
"""
STORAGE = """[storage]
driver = "vfs"
runroot = "/run/containers-storage"
graphroot = "{}"
"""


def network(name, bridge, subnet):
    """As `podman network create` writes it; the one of Debian 12 cannot name the bridge."""
    return json.dumps({"name": name, "id": (name.encode().hex() * 64)[:64], "driver": "bridge", "network_interface": bridge,
                       "created": "2026-01-01T00:00:00Z", "subnets": [{"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}],
                       "ipv6_enabled": False, "internal": False, "dns_enabled": False, "ipam_options": {"driver": "host-local"}})


def write_image(path):
    programs = ["/usr/bin/curl", "/bin/sh", "/bin/sleep"]
    libraries = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    files = {*programs, *re.findall(r"(/\S+) \(0x", libraries)}
    with tarfile.open(path, "w") as tar:
        for file in files:
            tar.add(Path(file).resolve(), file)
        settings = path.with_name("nsswitch.conf")
        settings.write_text("hosts: files dns\n")
        tar.add(settings, "/etc/nsswitch.conf")


class Podman(Namespaced):
    def __init__(self, folder):
        super().__init__(folder)
        self.folder = folder
        self.ok("sh", "-c", "mount -t sysfs none /sys && mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /run/networks /tmp")
        self.write("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        self.write("/etc/containers/containers.conf", CONFIG)
        self.write("/etc/containers/storage.conf", STORAGE.format(folder / "graph"))
        self.write("/run/networks/containers_cluster.json", network("containers_cluster", "br-kube", "10.213.0"))
        self.write("/run/networks/other.json", network("other", "br-other", "10.213.1"))
        write_image(folder / "image.tar")
        self.ok("podman", "import", folder / "image.tar", IMAGE)

    def start(self, *flags):
        kubeconfig = self.folder / "kubeconfig"
        self.service("playground", PLAYGROUND, "--kubeconfig-out", kubeconfig, "--pods", 1)
        eventually(kubeconfig.exists)
        self.service("tunnel", BINARY, "run", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:8080", *flags)
        eventually(lambda: self.run("curl", "-sf", "http://127.0.0.1:8080/readyz").returncode == 0, seconds=20)

    def container(self, network, *words):
        return self.run("podman", "run", "--rm", "--cgroups=disabled", f"--network={network}", "--add-host", f"host.kube-tunnel:{GATEWAY}",
                        IMAGE, *words, seconds=60)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("podman")
    made = Podman(folder)
    made.start("--listen", "%br-kube:8080", "--proxy")
    yield made
    made.run("podman", "rm", "--all", "--force", "--time", "0", seconds=60)
    made.close()
    shutil.rmtree(folder / "graph", ignore_errors=True)


def curl_words(proxy, *more):
    return ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", "--proxy", proxy, *more, WEB]


def test_a_container_reaches_services_over_its_bridge(machine):
    """Its bridge appears with the first container, after kube-tunnel has started, and goes with the last one."""
    for _ in range(2):
        done = machine.container("containers_cluster", *curl_words("http://host.kube-tunnel:8080", "--retry", "20", "--retry-connrefused",
                                                                   "--retry-delay", "1"))
        assert done.stdout == "200", done


def test_a_container_of_another_network_does_not(machine):
    machine.ok("podman", "run", "-d", "--cgroups=disabled", "--name=holder", "--network=containers_cluster", IMAGE, "sleep", "1d")
    try:
        done = machine.container("other", *curl_words(f"http://{GATEWAY}:8080", "--connect-timeout", "2"))
        assert done.returncode != 0 and done.stdout == "000", done
    finally:
        machine.ok("podman", "rm", "--force", "--time", "0", "holder", seconds=60)


@needs(Path("/usr/bin/podman-compose"))
def test_the_compose_example_reaches_a_service(machine):
    """Its curl runs once: kube-tunnel listens at the bridge before, as another container is there."""
    machine.ok("podman", "run", "-d", "--cgroups=disabled", "--name=holder", "--network=containers_cluster", IMAGE, "sleep", "1d")
    (machine.folder / "containers").mkdir()
    shutil.copy(COMPOSE, machine.folder / "containers/compose.yaml")
    compose = ["/usr/bin/podman-compose", "-f", machine.folder / "containers/compose.yaml", "--podman-run-args=--cgroups=disabled"]
    try:
        eventually(lambda: re.search(rf"{GATEWAY}\S*:8080 ", machine.ok("ss", "-Hltn")))
        machine.ok(*compose, "up", "-d", seconds=60)
        name = machine.ok("podman", "ps", "--filter", "name=shell", "--format", "{{.Names}}").strip()
        logs = eventually(lambda: machine.run("podman", "logs", name).stdout, seconds=20)
        assert "pod" in logs.lower(), logs
    finally:
        machine.run(*compose, "down", "-t", "0", seconds=60)
        machine.ok("podman", "rm", "--force", "--time", "0", "holder", seconds=60)
