"""`kube-tunnel dns install`, repair, status and uninstall: files, journals, crashes, and what others change.

SPDX-License-Identifier: MIT
"""
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from resolver_machine import JOURNAL, Machine
from tunnel_process import BINARY, clean_environment, eventually

NAMES = "127.5.1.1 web.shop.svc.cluster.local\n127.5.1.2 pg.shop.svc.cluster.local\n"
UNIT = "etc/systemd/system/kube-tunnel-dns.service"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def ok(done):
    assert done.returncode == 0, done
    return done.stdout


# --- what it does, and prints ---

def test_install_and_uninstall_leave_each_byte(machine):
    machine.with_resolved().write("etc/systemd/network/50-dhcp.network", "[Match]\nName=e*\n", 0o640)
    before = machine.seen()
    assert "kube-tunnel-dns.service: written" in ok(machine.dns("install"))
    assert "~cluster.local ~k8s" in machine.read(UNIT)
    installed = machine.seen()
    assert "already installed, for resolved-link" in ok(machine.dns("install"))
    assert "already installed" in ok(machine.dns("repair")) and machine.seen() == installed
    assert "kube-tunnel-dns.service: removed" in ok(machine.dns("uninstall"))
    assert machine.seen() == before
    assert ok(machine.dns("uninstall")) == "nothing is installed\n" and machine.seen() == before


def test_dry_run_prints_each_change_and_makes_none(machine):
    machine.with_resolved()
    before = machine.seen()
    planned = ok(machine.dns("install", "--dry-run"))
    assert machine.seen() == before
    ok(machine.dns("install"))
    for path in set(machine.seen()) - set(before) - {JOURNAL}:
        assert f"{machine.root}/{path}: would be " in planned, planned
    for line in machine.read(UNIT).splitlines():
        assert f"    {line}\n" in planned
    assert "run: systemctl restart kube-tunnel-dns.service: not done within another root" in planned
    installed = machine.seen()
    undone = ok(machine.dns("uninstall", "--dry-run"))
    assert f"{machine.root}/{UNIT}: would be removed" in undone and machine.seen() == installed
    planned = ok(machine.dns("repair", "--dry-run", "--domain", "corp.internal"))
    assert "ExecStart=resolvectl domain kube-tunnel ~corp.internal\n" in planned and machine.seen() == installed
    ok(machine.dns("uninstall"))


def test_status_names_what_differs(machine):
    assert "not installed; kube-tunnel dns install does it" in ok(machine.dns("status"))
    assert json.loads(ok(machine.dns("status", "-o", "json"))) == {"installed": False, "problems": [], "closedPorts": []}
    machine.with_resolved()
    ok(machine.dns("install", "--domain", "cluster.local", "--domain", "k8s"))
    found = json.loads(ok(machine.dns("status", "-o", "json")))
    assert found["backend"] == "resolved-link" and found["domains"] == ["cluster.local", "k8s"]
    assert found["lowPorts"] == "none" and found["problems"] == []
    assert {"path": f"/{UNIT}", "state": "installed"} in found["parts"]
    text = ok(machine.dns("status"))
    assert re.search(r"^domains +cluster\.local k8s$", text, re.M) and f"installed  /{UNIT}" in text

    (machine.root / UNIT).unlink()
    machine.write("etc/nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n")
    done = machine.dns("status")
    assert done.returncode == 1 and f"/{UNIT}: is missing: kube-tunnel dns repair" in done.stdout
    assert re.search(r'^note .* make its line "hosts: files dns mdns4_minimal \[NOTFOUND=return\]"$', done.stdout, re.M)
    repaired = machine.dns("repair")
    assert repaired.returncode == 0 and "note: /etc/nsswitch.conf: mDNS comes before the DNS" in repaired.stdout
    assert machine.dns("status").returncode == 0  # with most versions of nss-mdns it is harmless
    machine.write(UNIT, "[Unit]\n")
    done = machine.dns("status")
    assert done.returncode == 1 and f"changed    /{UNIT}" in done.stdout and "move it away" in done.stdout


def test_repair_follows_the_domains(machine):
    machine.with_resolved()
    before = machine.seen()
    assert machine.dns("repair").stderr == "kube-tunnel: nothing is installed; type: kube-tunnel dns install\n"
    ok(machine.dns("install"))
    ok(machine.dns("repair", "--domain", "cluster.local", "--domain", "corp.internal", "--domain", "k8s"))
    assert "~cluster.local ~corp.internal ~k8s" in machine.read(UNIT)
    assert "already installed" in ok(machine.dns("repair"))  # and keeps them
    assert "~cluster.local ~corp.internal ~k8s" in machine.read(UNIT)
    ok(machine.dns("uninstall"))
    assert machine.seen() == before


def test_repair_adds_what_the_running_one_serves(machine, start_tunnel):
    """It runs with another domain than the one that was installed; its control socket says so."""
    tunnel = start_tunnel("--cluster-domain", "corp.internal")
    running = {"environment": tunnel.environment}
    machine.with_resolved()
    ok(machine.dns("install", "--domain", "cluster.local", "--domain", "k8s"))
    done = machine.dns("status", **running)
    assert done.returncode == 1 and "corp.internal: is served and not installed: kube-tunnel dns repair" in done.stdout, done
    ok(machine.dns("repair", **running))
    assert "~corp.internal" in machine.read(UNIT)
    assert "corp.internal" in ok(machine.dns("status", **running))
    ok(machine.dns("uninstall"))


def test_hosts_is_the_last_resort(machine, tmp_path):
    hosts = machine.write("etc/hosts", "127.0.0.1 localhost", 0o664)
    if os.geteuid() == 0:
        os.chown(hosts, 1, 2)
    before = machine.seen()
    done = machine.dns("install")
    assert done.returncode == 1 and "or give them with --names" in done.stderr
    (tmp_path / "names").write_text(NAMES)
    ok(machine.dns("install", "--names", tmp_path / "names"))
    assert NAMES in machine.read("etc/hosts") and machine.seen()["etc/hosts"][:3] == before["etc/hosts"][:3]
    ok(machine.dns("repair", "--names", "-", input=NAMES.replace("127.5.1.2", "127.5.1.9")))
    assert "127.5.1.9 pg.shop" in machine.read("etc/hosts") and "127.5.1.2" not in machine.read("etc/hosts")
    ok(machine.dns("uninstall"))
    assert machine.seen() == before


@pytest.mark.parametrize("words, error", [
    ([], "the subcommand is missing"), (["list"], 'unknown subcommand "list"'), (["install", "now"], "unexpected argument"),
    (["status", "-o", "yaml"], "expected json"), (["status", "--dry-run"], '"dns status" does not take --dry-run'),
    (["uninstall", "--backend", "hosts"], "does not take --backend"), (["install", "--backend", "bind"], "expected resolved-delegate"),
    (["install", "--domain", "a b"], "not a name of the DNS"), (["install", "--low-ports", "all"], "expected none, setcap"),
    (["install", "--names", "/nonexistent"], "/nonexistent: No such file"), (["install", "--root", "etc"], "with its path from /"),
    (["install", "--root", "/nonexistent"], "expected a folder")])
def test_mistakes_are_named(machine, words, error):
    machine.with_resolved()
    before = machine.seen()
    done = subprocess.run([BINARY, "dns", *words, *([] if "--root" in words else ["--root", machine.root])],
                          capture_output=True, text=True, timeout=20, env=clean_environment(HOME=str(machine.home)))
    assert done.returncode == 2 and error in done.stderr, done
    assert machine.seen() == before


# --- without the right ---

@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights: NOTHING about them is tested")
def test_without_the_right_the_exact_command_is_printed():
    folder = tempfile.mkdtemp()  # pytest's is closed to other users
    try:
        check_without_right(Machine(Path(folder)).with_resolved())
    finally:
        shutil.rmtree(folder)


def check_without_right(machine):
    before = machine.seen()
    for path in (machine.root.parent, machine.home):
        path.chmod(0o755)
    program = machine.root.parent / "kube-tunnel"  # in a folder that this user may enter
    shutil.copy(BINARY, program)
    user = {"user": 65534, "group": 65534, "extra_groups": [], "program": program}
    os.chown(machine.root / "var/lib", 65534, 65534)  # who may write the journal may still not do the steps
    owned = machine.seen()
    done = machine.dns("install", "--domain", "cluster.local", **user)
    assert done.returncode == 77 and done.stdout == "" and machine.seen() == owned, done
    os.chown(machine.root / "var/lib", 0, 0)
    done = machine.dns("install", "--domain", "cluster.local", **user)
    assert done.returncode == 77 and machine.seen() == before, done
    command = done.stderr.split("type: ")[1].strip()
    assert command == f"sudo '{program}' dns install --domain cluster.local --backend resolved-link --root '{machine.root}'"
    ok(subprocess.run(["sh", "-c", command.removeprefix("sudo ")], capture_output=True, text=True))
    assert "~cluster.local\n" in machine.read(UNIT)
    ok(machine.dns("status", **user))
    done = machine.dns("uninstall", **user)
    assert done.returncode == 77 and f"dns uninstall --root '{machine.root}'" in done.stderr, done
    ok(machine.dns("uninstall"))
    assert machine.seen() == before


# --- crashes ---

# LeakSanitizer cannot run where a process is traced.
UNTRACED = f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
# Of the calls with files and descriptors, those that change no file. openat is one of them although it may make a file:
# what is there after it is what is there before the next call.
NO_CHANGES = {"access", "close", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "execve", "faccessat", "faccessat2",
              "fcntl", "fgetxattr", "flistxattr", "fstat", "fstatfs", "getcwd", "getdents64", "getxattr", "ioctl", "lgetxattr",
              "listxattr", "llistxattr", "lseek", "lstat", "mmap", "mprotect", "newfstatat", "open", "openat", "pipe2", "poll", "pread64",
              "read", "readlink", "readlinkat", "readv", "stat", "statfs", "statx"}
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="no strace here: NOTHING about crashes is tested")


def traced(machine, words, *flags):
    return machine.dns(*words, before=["strace", "-f", "-qq", "-E", UNTRACED, *flags])


def changes_of(machine, words):
    """How often it makes each system call that changes a file; it runs once."""
    trace = machine.home / "trace"
    assert traced(machine, words, "-o", trace, "-e", "trace=%file,%desc").returncode == 0
    calls = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", trace.read_text(), re.M))
    trace.unlink()
    return {kind: count for kind, count in calls.items() if kind not in NO_CHANGES}


def killed_at_each_change(machine, words, restore):
    """Runs it again and again, and kills it (SIGKILL) before the first, the second, ... call of each kind; yields
    after each. The caller restores what was there before."""
    changes = changes_of(machine, words)
    assert {"unlink", "rename", "fsync", "mkdir", "fchmod"} <= {kind.removesuffix("at") for kind in changes} or "uninstall" in words
    restore()
    for kind, most in changes.items():
        for count in range(1, most + 1):
            done = traced(machine, words, "-o", "/dev/null", "-e", f"inject={kind}:signal=SIGKILL:when={count}")
            assert done.returncode in (-9, 137), (kind, count, done)
            yield f"killed before {kind} {count}"


def prepared(machine, backend, tmp_path):
    if backend == "hosts":
        hosts = machine.write("etc/hosts", "127.0.0.1 localhost", 0o664)
        if os.geteuid() == 0:
            os.chown(hosts, 1, 2)
        os.setxattr(hosts, "user.of-the-editor", b"kept")
        (tmp_path / "names").write_text(NAMES)
        return ["--backend", "hosts", "--names", tmp_path / "names"]
    return ["--backend", backend]


def test_each_kind_of_change_is_one_that_is_killed(machine, tmp_path):
    """What strace shows beside the calls that are known to change nothing."""
    words = prepared(machine, "hosts", tmp_path)
    assert {"fsetxattr", "fremovexattr"} <= set(changes_of(machine, ["install", *words]))
    assert {"rmdir", "rename", "fsetxattr"} <= set(changes_of(machine, ["uninstall"]))
    machine.with_resolved()
    assert {"link", "symlink", "chmod"} <= set(changes_of(machine, ["install", "--backend", "resolved-link"]))


@needs_strace
@pytest.mark.parametrize("backend, least", [("resolved-link", 15), ("networkmanager", 12), ("macos", 15), ("hosts", 8)])
def test_uninstall_after_a_crash_at_any_change_leaves_each_byte(machine, backend, least, tmp_path):
    words = prepared(machine, backend, tmp_path)
    before = machine.seen()
    halfway = 0
    for where in killed_at_each_change(machine, ["install", *words], machine.uninstall):
        halfway += machine.seen() != before
        machine.uninstall()
        assert machine.seen() == before, where
    assert halfway >= least, "too few of the crashes left something behind"


@needs_strace
@pytest.mark.parametrize("backend", ["resolved-link", "hosts"])
def test_a_crash_of_uninstall_is_mended_by_the_next(machine, backend, tmp_path):
    words = prepared(machine, backend, tmp_path)
    before = machine.seen()
    ok(machine.dns("install", *words))
    for where in killed_at_each_change(machine, ["uninstall"], lambda: machine.dns("install", *words)):
        ok(machine.dns("uninstall"))
        assert machine.seen() == before, where
        ok(machine.dns("install", *words))
    ok(machine.dns("uninstall"))


@needs_strace
def test_install_completes_what_a_crash_interrupted(machine):
    machine.with_resolved()
    ok(machine.dns("install"))
    installed = machine.seen()
    ok(machine.dns("uninstall"))
    for where in killed_at_each_change(machine, ["install"], machine.uninstall):
        ok(machine.dns("install"))
        assert machine.seen() == installed, where
        ok(machine.dns("uninstall"))


# --- what others do ---

def test_a_hosts_file_that_others_edit_meanwhile_keeps_their_lines(machine, tmp_path):
    """Each edit replaces the file, as editors do; none of them may be lost."""
    hosts = machine.write("etc/hosts", "127.0.0.1 localhost\n")
    (tmp_path / "names").write_text(NAMES)
    stop, edits = threading.Event(), []

    def edit():
        while not stop.is_set():
            text = hosts.read_text()
            beside = tmp_path / "root/etc/hosts~"
            beside.write_text(text + f"127.0.1.1 edit-{len(edits)}\n")
            if hosts.read_text() == text:  # as we do: the moment between is theirs
                beside.rename(hosts)
                edits.append(f"127.0.1.1 edit-{len(edits)}\n")
            stop.wait(0.02)

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        for _ in range(6):
            ok(machine.dns("install", "--backend", "hosts", "--names", tmp_path / "names"))
            ok(machine.dns("uninstall"))
    finally:
        stop.set()
        editor.join()
    assert len(edits) > 3
    lines = hosts.read_text().splitlines(keepends=True)
    assert lines[0] == "127.0.0.1 localhost\n" and "kube-tunnel" not in hosts.read_text()
    missing = set(edits) - set(lines)
    assert len(missing) <= 1, missing  # theirs is not atomic: it may overwrite ours, never we theirs


def test_changed_files_are_named_and_kept(machine):
    machine.with_resolved()
    ok(machine.dns("install"))
    machine.write(UNIT, "[Unit]\nDescription=mine\n")
    for words in (["install"], ["repair"], ["repair", "--domain", "corp.internal"], ["uninstall"]):
        done = machine.dns(*words)
        assert done.returncode == 1 and "is not as kube-tunnel wrote it" in done.stderr, done
        assert machine.read(UNIT) == "[Unit]\nDescription=mine\n"
    (machine.root / UNIT).unlink()
    ok(machine.dns("uninstall"))
    assert not (machine.root / "etc/systemd").exists() and not (machine.root / JOURNAL).exists()


def test_a_journal_of_another_version_is_left_alone(machine):
    machine.with_resolved()
    machine.write(JOURNAL, '{"format": 7}')
    before = machine.seen()
    for words in (["install"], ["uninstall"], ["repair"], ["status"]):
        done = machine.dns(*words)
        assert done.returncode == 1 and "(its format is 7, and 1 is known here)" in done.stderr, done
    assert machine.seen() == before


def started(machine, *words, before=()):
    return subprocess.Popen([*before, BINARY, "dns", *words, "--root", machine.root], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE,
                            env=clean_environment(HOME=str(machine.home), XDG_RUNTIME_DIR=str(machine.home)))


def test_several_at_once_wait_for_each_other(machine):
    machine.with_resolved()
    before = machine.seen()
    for process in [started(machine, "install") for _ in range(8)]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and ("written" in out) != ("already installed" in out), (out, err)
    ok(machine.dns("status"))
    mixed = [started(machine, word) for word in ("uninstall", "repair", "install", "uninstall", "repair", "uninstall")]
    for process in mixed:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 or "nothing is installed" in err, (out, err)
    ok(machine.dns("uninstall"))
    assert machine.seen() == before


@contextlib.contextmanager
def lock_of(machine, name="kube-tunnel-dns.lock"):
    folder = machine.root / "var/lib" / name
    folder.mkdir(0o700)
    with open(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def test_status_and_dry_runs_need_no_lock_and_others_wait_for_it(machine):
    machine.with_resolved()
    with lock_of(machine):
        waiting = started(machine, "install")
        assert "not installed" in ok(machine.dns("status"))
        assert "would be written" in ok(machine.dns("install", "--dry-run"))
        assert not (machine.root / JOURNAL).exists() and waiting.poll() is None
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and "written" in out, (out, err)
    ok(machine.dns("uninstall"))


def opened(process):
    """What the program that strace runs has open."""
    found = set()
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            for fd in Path(f"/proc/{child}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(os.readlink(fd))
    return found


@needs_strace
def test_the_lock_of_a_removed_file_is_not_taken_for_the_lock(machine):
    """The holder takes the file away after the next process has opened it and before that locks it (strace delays it),
    and a third process has a new one."""
    machine.with_resolved()
    path = machine.root / "var/lib/kube-tunnel-dns.lock"
    delayed = ["strace", "-f", "-qq", "-o", "/dev/null", "-E", UNTRACED, "-e", "inject=fcntl:delay_enter=300000"]
    with lock_of(machine, "third"):
        with lock_of(machine):
            waiting = started(machine, "install", before=delayed)
            eventually(lambda: f"{path}/lock" in opened(waiting), pause=0.005)
            path.rename(path.with_name("first"))
            path.with_name("third").rename(path)
        eventually(lambda: f"{path}/lock" in opened(waiting) or waiting.poll() is not None, pause=0.005)
        assert waiting.poll() is None and not (machine.root / JOURNAL).exists()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and "written" in out, (out, err)
    ok(machine.dns("uninstall"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: NOTHING about them is tested")
def test_no_other_user_can_hold_the_lock():
    """Another user locks each file and folder that may be opened, while root installs."""
    folder = tempfile.mkdtemp()  # pytest's is closed to other users
    machine = Machine(Path(folder)).with_resolved()
    try:
        for path in (machine.root.parent, machine.home):
            path.chmod(0o755)
        ok(machine.dns("install"))
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, machine.root], user=65534, group=65534, extra_groups=[], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
        held = holder.stdout.readline().split()
        assert "var/lib" in held and JOURNAL in held
        ok(machine.dns("repair"))
        ok(machine.dns("uninstall"))
        holder.communicate()
    finally:
        shutil.rmtree(folder)


HOLDER = """import fcntl, os, sys
held = []
for folder, folders, files in os.walk(sys.argv[1]):
    for name in folders + files:
        path = os.path.join(folder, name)
        if os.path.islink(path):
            continue
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        held.append(os.path.relpath(path, sys.argv[1]))
print(*held, flush=True)
sys.stdin.read()
"""
