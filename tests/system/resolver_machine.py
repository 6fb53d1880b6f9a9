"""A folder that stands for / of a machine, whose resolver `kube-tunnel dns --root` changes.

SPDX-License-Identifier: MIT
"""
import os
import stat
import subprocess

from tunnel_process import BINARY, clean_environment

JOURNAL = "var/lib/kube-tunnel-dns.json"


class Machine:
    def __init__(self, folder, **texts):
        self.root = folder / "root"
        self.home = folder / "home"
        for path in (self.root / "var/lib", self.root / "etc", self.home):
            path.mkdir(parents=True)

    def write(self, path, text, mode=0o644):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        full.chmod(mode)
        return full

    def with_resolved(self):
        (self.root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        return self

    def read(self, path):
        return (self.root / path).read_text()

    def seen(self):
        """Each name below the root with its kind, mode, owner, content and extended attributes."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(folder, name)
                facts = os.lstat(path)
                content = (os.readlink(path) if stat.S_ISLNK(facts.st_mode) else
                           open(path, "rb").read() if stat.S_ISREG(facts.st_mode) else None)
                attributes = {attribute: os.getxattr(path, attribute, follow_symlinks=False)
                              for attribute in os.listxattr(path, follow_symlinks=False)}
                found[os.path.relpath(path, self.root)] = (facts.st_mode, facts.st_uid, facts.st_gid, content, attributes)
        return found

    def dns(self, *words, before=(), program=BINARY, environment=None, **options):
        command = [*before, program, "dns", *words, "--root", self.root]
        return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60,
                              env=environment or clean_environment(HOME=str(self.home), XDG_RUNTIME_DIR=str(self.home)), **options)

    def uninstall(self):
        done = self.dns("uninstall")
        assert done.returncode == 0, done
