"""A home for a local CA, and a view of the machine in which `kube-tunnel ca` may change everything.

SPDX-License-Identifier: MIT
"""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tunnel_process import BINARY, clean_environment

SYSTEM_STORE = "/usr/local/share/ca-certificates"
NAMESPACES = os.geteuid() == 0 or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
needs_namespaces = pytest.mark.skipif(
    not NAMESPACES or not os.path.isdir(SYSTEM_STORE),
    reason="no mount namespaces here, or not Debian's trust store: NOTHING about `ca install` is tested")
needs_certutil = pytest.mark.skipif(not shutil.which("certutil"),
                                    reason="no certutil here: NOTHING about browsers' stores is tested")


class Home:
    """$HOME of a user, with a trust store of the system and an /etc/ssl of its own, with one other certificate."""

    def __init__(self, folder):
        self.path = folder / "home"
        self.data = self.path / ".local" / "share"
        self.folder = self.data / "kube-tunnel" / "ca"
        self.key = self.folder / "cluster.local.pem"
        self.certificate = self.folder / "cluster.local.crt"
        self.nss = self.path / ".pki" / "nssdb"
        self.store, self.ssl, self.etc = folder / "ca-certificates", folder / "ssl", folder / "etc"
        self.path.mkdir()
        self.environment = {"HOME": str(self.path), "XDG_DATA_HOME": str(self.data)}

    def isolate(self):
        """The words before a command that sees them. update-ca-certificates is the real one, without Debian's
        certificates, which take it a minute on a busy machine."""
        if not self.ssl.exists():
            shutil.copytree("/etc/ssl", self.ssl, symlinks=True, ignore=lambda *_: ["certs", "private"])
            for folder in (self.ssl / "certs", self.store, self.etc / "update.d"):
                folder.mkdir(parents=True)
            (self.ssl / "certs/ca-certificates.crt").touch()
            shutil.copy(next(Path("/usr/share/ca-certificates").rglob("*.crt")), self.store)
        root = [] if os.geteuid() == 0 else ["-r"]
        script = (f'mount --bind "$1" {SYSTEM_STORE} && mount --bind "$2" /etc/ssl && '
                  'mount --bind "$3/update.d" /etc/ca-certificates/update.d && '
                  'mount --bind /dev/null /etc/ca-certificates.conf && shift 3 && exec "$@"')
        return ["unshare", *root, "-m", "sh", "-c", script, "sh", str(self.store), str(self.ssl), str(self.etc)]

    def run(self, *words, isolated=True, path=None, extra=None, **options):
        environment = clean_environment(**self.environment, **({"PATH": path} if path else {}), **(extra or {}))
        if not extra:
            environment.pop("SUDO_UID", None)
        return subprocess.run([*(self.isolate() if isolated else ()), *map(str, words)], capture_output=True, text=True,
                              timeout=60, env=environment, **options)

    def ca(self, *words, **options):
        return self.run(BINARY, "ca", *words, **options)

    def make_nss(self, *flags):
        self.nss.mkdir(parents=True)
        made = self.run("certutil", "-d", f"sql:{self.nss}", "-N", *(flags or ["--empty-password"]), isolated=False)
        assert made.returncode == 0, made

    def seen(self):
        """What the stores hold, to compare before and after."""
        nss = self.run("certutil", "-d", f"sql:{self.nss}", "-L", isolated=False).stdout
        certificates = sorted(os.listdir(self.ssl / "certs"))
        return nss, sorted(os.listdir(self.store)), certificates, (self.ssl / "certs/ca-certificates.crt").read_bytes()
