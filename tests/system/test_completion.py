"""`kube-tunnel completion`: the scripts, in the shells that they are for.

SPDX-License-Identifier: MIT
"""
import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time
from pathlib import Path

import pytest

from conftest import SANITIZED
from kubeconfigs import Kubeconfig, part
from tunnel_process import BINARY, clean_environment, eventually

HOSTILE = 'dev $(touch owned) \'a" `b`'


def candidates(*words, shell="zsh", **environment):
    done = subprocess.run([BINARY, "__complete", shell, "--", *map(str, words)], capture_output=True, text=True,
                          env=clean_environment(**{"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent",
                                              **environment}), timeout=20)
    assert done.returncode == 0 and done.stderr == "", done
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def own_terminal():
    """Make standard input the controlling terminal of the new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Shell:
    """An interactive shell on a terminal, where kube-tunnel prints its arguments."""

    START = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(kube-tunnel completion bash)"),
        "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; source <(kube-tunnel completion zsh)"),
        "fish": (["fish", "--no-config", "-i"], "kube-tunnel completion fish | source"),
    }

    def __init__(self, name, folder, **environment):
        bin = folder / "bin"
        bin.mkdir()
        wrapper = bin / "kube-tunnel"
        wrapper.write_text(f'#!/bin/sh\ncase $1 in __complete|completion) exec {BINARY} "$@" ;; esac\n'
                           'printf "ARGS"; printf "<%s>" "$@"; printf "END\\n"\n')
        wrapper.chmod(0o755)
        command, setup = self.START[name]
        variables = clean_environment(HOME=str(folder), TERM="dumb", PS1="> ", **environment)
        variables["PATH"] = f"{bin}:{variables['PATH']}"
        env = clean_environment(HOME=str(folder), TERM="dumb", PS1="> ", **environment)
        env["PATH"] = f"{bin}:{env['PATH']}"
        # No pty.fork: a child that fails before its exec would go on as a second pytest.
        self.fd, terminal = pty.openpty()
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal,
                                        start_new_session=True, preexec_fn=own_terminal)
        os.close(terminal)
        self.output = ""
        self.type(setup + "; echo rea''dy\r")
        self.until("ready")

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            self.output += os.read(self.fd, 65536).decode(errors="replace")

    def until(self, pattern, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output)):
            assert time.monotonic() < deadline, self.output[-2000:]
            self.read(0.2)
        return found

    def line(self, typed):
        """Type this, where a Tab completes, and run it: the arguments that the program gets."""
        self.output = ""
        for part in re.split("(\t)", typed):
            self.type(part)
            deadline = time.monotonic() + (1.5 if part == "\t" else 0.2)
            while time.monotonic() < deadline:
                self.read(0.1)
        self.type("\r")
        found = self.until(r"ARGS((?:<[^>]*>)*)END").group(1)
        return re.findall("<([^>]*)>", found)

    def close(self):
        os.close(self.fd)
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, tmp_path, playground):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    config = Kubeconfig(tmp_path / "kubeconfig", current="c").add("c", playground).add(HOSTILE, playground)
    shell = Shell(request.param, tmp_path, KUBECONFIG=str(config.write()), XDG_RUNTIME_DIR=str(tmp_path))
    yield shell
    shell.close()


def test_commands_flags_and_values_are_completed(shell):
    assert shell.line("kube-tunnel doc\t") == ["doctor"]
    assert shell.line("kube-tunnel config sh\t idle-t\t") == ["config", "show", "idle-timeout"]
    assert shell.line("kube-tunnel run --log-f\t js\t") == ["run", "--log-format", "json"]
    assert shell.line("kube-tunnel run --log-format=js\t") == ["run", "--log-format=json"]


def test_services_and_namespaces_are_completed_from_the_cluster(shell):
    assert shell.line("kube-tunnel doctor web.o\t") == ["doctor", "web.other"]
    assert shell.line("kube-tunnel list -n oth\t") == ["list", "-n", "other"]


def test_a_hostile_name_of_a_context_arrives_as_it_is_and_runs_nothing(shell, tmp_path):
    assert shell.line("kube-tunnel list --context dev\t") == ["list", "--context", HOSTILE]
    assert not (tmp_path / "owned").exists()


def test_files_are_completed_by_the_shell(shell, tmp_path):
    (tmp_path / "some file.yaml").write_text("")
    assert shell.line("kube-tunnel list --kubeconfig some\t") == ["list", "--kubeconfig", "some file.yaml"]


# what the scripts get


def test_bash_gets_what_follows_its_word_breaks(tmp_path, playground):
    config = Kubeconfig(tmp_path / "c", current="c").add("arn:aws:eks:here:1:cluster/prod", playground)
    kubeconfig = str(config.write())
    assert candidates("list", "--context", "arn", ":", "aws", ":", "e", shell="bash",
                      KUBECONFIG=kubeconfig) == ["eks:here:1:cluster/prod"]
    assert candidates("list", "--context", "=", "arn", ":", shell="bash",
                      KUBECONFIG=kubeconfig) == ["aws:eks:here:1:cluster/prod"]
    assert candidates("--log-format", "=", shell="bash") == ["text", "json"]


def test_names_with_control_characters_are_left_out(tmp_path, playground):
    config = Kubeconfig(tmp_path / "c", current="c").add("c", playground).add("a\nb", playground).add("a\u202eb", playground)
    assert candidates("--context", "", KUBECONFIG=str(config.write())) == ["c", "all"]


def test_a_context_called_files_does_not_become_a_word_of_the_script(tmp_path, playground):
    """The scripts complete files where the only line is ":files"."""
    config = str(Kubeconfig(tmp_path / "kubeconfig", current=":files").add(":files", playground).write())
    assert candidates("list", "--context", "", KUBECONFIG=config) == ["all"]
    assert candidates("list", "--context=", KUBECONFIG=config) == ["--context=:files", "--context=all"]


def test_each_command_and_flag_is_a_candidate():
    overview = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=20).stdout
    commands = re.findall(r"(?m)^  ([a-z-]+)", overview[overview.index("Commands"):])
    assert candidates("") == commands
    assert {"--idle-timeout", "--output", "--help", "--config"} <= set(candidates("list", "--"))
    assert "--role-name" in candidates("rbac", "--r") and "--role-name" not in candidates("list", "--r")


def test_targets_and_ports_of_port_forward_are_candidates(playground, tmp_path):
    def of(*words, shell="zsh"):
        return candidates("port-forward", "-n", "shop", *words, shell=shell, KUBECONFIG=str(playground.kubeconfig),
                          HOME=str(tmp_path))

    assert of("s") == ["sts/", "svc/"]
    assert of("svc/w") == ["svc/web"]
    assert of("pods/db-") == ["pods/db-0", "pods/db-1"]
    assert of("foo/") == []
    assert of("svc/web", "") == ["80", "http", "9000", "echo"]
    assert of("svc/web", "8080:") == ["8080:80", "8080:http", "8080:9000", "8080:echo"]
    assert of("svc/web", "8080:e") == ["8080:echo"]
    assert of("svc/web", "80", "pod/db-0", "h") == ["http"]
    assert of("svc/web", "80", "po") == ["pod/"]
    assert of("svc/web", "8080", ":", "h", shell="bash") == ["http"]
    assert of("-f", "") == [":files"]
    assert of("svc/nope", "") == []


def test_services_come_from_the_running_kube_tunnel(start_tunnel, tmp_path, playground):
    """Which here has another kubeconfig than the one that completes."""
    runtime = tmp_path / "run"
    runtime.mkdir(0o700)
    tunnel = start_tunnel("--deny-namespace", "other,many", environment={"XDG_RUNTIME_DIR": str(runtime)})
    assert tunnel.get("web.shop.svc").status == 200
    began = time.monotonic()
    found = candidates("explain", "web", KUBECONFIG="/nonexistent", XDG_RUNTIME_DIR=str(runtime))
    assert found == ["web.shop"] and (SANITIZED or time.monotonic() - began < 0.5)
    assert candidates("list", "-n", "", KUBECONFIG="/nonexistent", XDG_RUNTIME_DIR=str(runtime)) == ["shop"]


def test_without_a_cluster_it_ends_within_a_second_or_so(tmp_path):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = Kubeconfig(tmp_path / "c", current="c").add(
            "c", server=f"https://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert candidates("explain", "", KUBECONFIG=str(config.write())) == []
    assert time.monotonic() - began < 3


def processes_of_group(group):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z" and int(its_group) == group:
            found.append(stat.parent.name)
    return found


def test_a_plugin_gets_no_terminal_and_ends_with_the_completion(tmp_path, playground):
    plugin, seen, pid = tmp_path / "plugin", tmp_path / "stdin", tmp_path / "pid"
    plugin.write_text(f"#!/bin/sh\necho $$ >{pid}\n[ -t 0 ] && echo terminal >{seen} || echo none >{seen}\n"
                      "echo prompt >&2\nsleep 60\n")
    plugin.chmod(0o755)
    config = Kubeconfig(tmp_path / "c", current="c").add("c", server=part(playground)[0]["server"], exec={
        "apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "IfAvailable"})
    environment = clean_environment(HOME="/nonexistent", XDG_RUNTIME_DIR="/nonexistent", KUBECONFIG=str(config.write()))

    def plugin_has_run():
        """On a busy machine the time may be over before the plugin has begun."""
        master, terminal = pty.openpty()
        done = subprocess.run([BINARY, "__complete", "zsh", "--", "explain", ""], stdin=terminal, capture_output=True,
                              text=True, start_new_session=True, preexec_fn=own_terminal, timeout=20, check=False,
                              env=environment)
        os.close(terminal)
        os.close(master)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return seen.exists() and seen.read_text()

    assert eventually(plugin_has_run, seconds=30) == "none\n"
    group = int(pid.read_text())
    eventually(lambda: not processes_of_group(group), seconds=20)


@pytest.mark.parametrize("words", [["ksh"], [], ["bash", "zsh"]])
def test_another_shell_is_refused(words):
    done = subprocess.run([BINARY, "completion", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and done.stdout == ""
