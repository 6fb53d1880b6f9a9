"""A network namespace for kube-tunnel, whose link to the API server can be cut.

      ktunnel-lab-far  10.212.1.2 ---- 10.212.1.1  ktunnel-lab (the API server, 10.212.0.1)

Cut means: packets are dropped without an error. SPDX-License-Identifier: MIT
"""
import contextlib
import ctypes
import os
import subprocess

LAB = os.environ.get("KUBE_LAB", "ktunnel-lab")
NAME = f"{LAB}-far"
SERVER = "10.212.0.1:6443"
CLONE_NEWNET = 0x40000000


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace) as opened:
        if libc.setns(opened.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", namespace)


class FarNetwork:
    """with FarNetwork() as far: this thread, and the processes it starts, are in that network."""

    def __enter__(self):
        self.remove()
        ip("netns", "add", NAME)
        ip("-n", LAB, "link", "add", "far0", "type", "veth", "peer", "name", "lab0", "netns", NAME)
        ip("-n", LAB, "address", "add", "10.212.1.1/30", "dev", "far0")
        ip("-n", LAB, "link", "set", "far0", "up")
        ip("-n", NAME, "address", "add", "10.212.1.2/30", "dev", "lab0")
        ip("-n", NAME, "link", "set", "lo", "up")
        ip("-n", NAME, "link", "set", "lab0", "up")
        ip("-n", NAME, "route", "add", "default", "via", "10.212.1.1")
        enter(f"/run/netns/{NAME}")
        return self

    def __exit__(self, *_):
        enter(f"/run/netns/{LAB}")
        self.remove()

    @staticmethod
    def remove():
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "delete", NAME)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("-n", LAB, "link", "delete", "far0")

    @staticmethod
    def kubeconfig(cluster, user, folder):
        path = folder / "far.conf"
        path.write_text(cluster.config(user).read_text().replace("127.0.0.1:6443", SERVER))
        return path

    @staticmethod
    def cut():
        """Both ways."""
        for chain, side in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            subprocess.run(["iptables", "-A", chain, "-p", "tcp", side, "6443", "-j", "DROP"], check=True)

    @staticmethod
    def mend():
        subprocess.run(["iptables", "-F"], check=True)
