"""MariaDB and OpenSSH: real servers that speak first, and clients that have no proxy setting.

Used by tests/system on a machine with names (test_names_in_machine.py) and through exec (test_exec.py). Neither server needs
root: each runs as the user that owns its folder. SPDX-License-Identifier: MIT
"""
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tunnel_process import clean_environment

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-tunnel/deb"
MARIADBD = Path("/usr/sbin/mariadbd")
# Installed, it would listen on this machine's port 22: script/bootstrap unpacks it.
SSHD = next((path for path in (CACHE / "usr/sbin/sshd", Path("/usr/sbin/sshd")) if path.exists()), CACHE / "usr/sbin/sshd")
SESSION = SSHD.parent.parent / "lib/openssh/sshd-session"  # since 9.8
ACCOUNT = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # it has a shell


def owned(folder):
    """A new folder of the server's user."""
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    return folder


def as_account(*words):
    user = ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"] if os.geteuid() == 0 else []
    return [*user, *map(str, words)]


def mariadb_server(folder, port):
    """Without a database of users: each may connect."""
    data = owned(folder / "mariadb")
    return as_account(MARIADBD, "--no-defaults", f"--datadir={data}", "--skip-grant-tables", f"--socket={data}/socket", "--skip-log-bin",
                      "--bind-address=127.0.0.1", f"--port={port}", "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M",
                      f"--pid-file={data}/pid")


def mariadb_client(host, port):
    return ["mariadb", "--no-defaults", "--skip-ssl", "-h", host, "-P", port, "-u", "me", "-N", "-e", "select 6 * 7"]


class Ssh:
    """Keys of its own, and the words that start the server and the client."""

    def __init__(self, folder, port):
        self.folder, self.port = owned(folder / "sshd"), port
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.folder / key], check=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder / "host", ACCOUNT, ACCOUNT)
        (self.folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/user.pub\n"
            f"AllowUsers {ACCOUNT}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            + (f"SshdSessionPath {SESSION}\n" if SESSION.exists() else ""))

    def server(self):
        return as_account(SSHD, "-D", "-e", "-f", self.folder / "config")

    def client(self, uid, host, port, *command):
        """For this user. The host's key is known by this name only."""
        name = host if port == 22 else f"[{host}]:{port}"
        known, key = (self.folder.parent / f"{uid}-{part}" for part in ("known", "key"))
        known.write_text(f"{name} {(self.folder / 'host.pub').read_text()}")
        shutil.copy(self.folder / "user", key)
        key.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(key, uid)
        return ["ssh", "-F", "none", "-i", key, "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes",
                "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-p", port, f"{ACCOUNT}@{host}", *command]


def start(port, *words):
    """On this machine; returns when it listens."""
    libraries = f"{CACHE}/lib/x86_64-linux-gnu:{CACHE}/usr/lib/x86_64-linux-gnu"
    process = subprocess.Popen([*map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=clean_environment(LD_LIBRARY_PATH=libraries.replace("x86_64", os.uname().machine)))
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None and time.monotonic() < deadline, words
        time.sleep(0.05)
