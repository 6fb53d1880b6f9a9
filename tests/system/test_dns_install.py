"""`kube-tunnel dns install`, repair, status and uninstall: files, journals, crashes, and what others change.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from resolver_machine import JOURNAL, Machine
from tunnel_process import BINARY, clean_environment

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
CHANGES = ("mkdir", "chmod", "fchmod", "fchown", "unlink", "rmdir", "rename", "link", "symlink", "fsync", "write")
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="no strace here: NOTHING about crashes is tested")


def killed_at_each_change(machine, *words):
    """Runs it again and again, and kills it (SIGKILL) before the first, the second, ... call of each kind; yields
    after each. The caller restores what was there before."""
    for kind in CHANGES:
        for count in range(1, 100):
            before = ["strace", "-f", "-o", "/dev/null", "-E", UNTRACED, "-e", f"inject={kind}:signal=SIGKILL:when={count}"]
            done = machine.dns(*words, before=before)
            assert done.returncode in (0, -9, 137), done
            yield f"killed before {kind} {count}" if done.returncode else ""
            if done.returncode == 0:
                break


def prepared(machine, backend, tmp_path):
    if backend == "hosts":
        machine.write("etc/hosts", "127.0.0.1 localhost", 0o664)
        (tmp_path / "names").write_text(NAMES)
        return ["--backend", "hosts", "--names", tmp_path / "names"]
    return ["--backend", backend]


@needs_strace
@pytest.mark.parametrize("backend, least", [("resolved-link", 15), ("networkmanager", 12), ("macos", 15), ("hosts", 8)])
def test_uninstall_after_a_crash_at_any_change_leaves_each_byte(machine, backend, least, tmp_path):
    words = prepared(machine, backend, tmp_path)
    before = machine.seen()
    halfway = 0
    for where in killed_at_each_change(machine, "install", *words):
        halfway += bool(where) and machine.seen() != before
        ok(machine.dns("uninstall"))
        assert machine.seen() == before, where
    assert halfway >= least, "too few of the crashes left something behind"


@needs_strace
@pytest.mark.parametrize("backend", ["resolved-link", "hosts"])
def test_a_crash_of_uninstall_is_mended_by_the_next(machine, backend, tmp_path):
    words = prepared(machine, backend, tmp_path)
    before = machine.seen()
    ok(machine.dns("install", *words))
    for where in killed_at_each_change(machine, "uninstall"):
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
    for where in killed_at_each_change(machine, "install"):
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


def test_two_at_once_do_not_mix(machine):
    machine.with_resolved()
    before = machine.seen()
    running = [subprocess.Popen([BINARY, "dns", "install", "--root", machine.root], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.PIPE, env=clean_environment(HOME=str(machine.home))) for _ in range(8)]
    results = [(process.communicate(timeout=30), process.returncode) for process in running]
    for (out, err), status in results:
        assert status == 0 or 'another "kube-tunnel dns" is running' in err, (out, err)
    ok(machine.dns("status"))
    ok(machine.dns("uninstall"))
    assert machine.seen() == before
