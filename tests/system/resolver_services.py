#!/usr/bin/python3
"""systemctl of a machine in a namespace (resolver_namespace.py): the words that `kube-tunnel dns` uses.

A service is a line of words in /run/services/NAME, and NAME.reload has those that reload it; it runs while /run/services/NAME.pid has a process. A unit of
kube-tunnel is a file of /etc/systemd/system, whose Exec lines are run as systemd runs them.
SPDX-License-Identifier: MIT
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

SERVICES = Path("/run/services")


def run_unit(path, *keys):
    for key, command in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M):
        if key in keys:
            words = shlex.split(command.lstrip("-"))
            failed = subprocess.run(words).returncode
            if failed and not command.startswith("-"):
                sys.exit(f"{path.name}: {command} failed with {failed}")


def stop(name):
    try:
        pid = int((SERVICES / f"{name}.pid").read_text())
    except FileNotFoundError:
        return False
    os.kill(pid, signal.SIGTERM)
    while os.path.exists(f"/proc/{pid}") and "Z (" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)
    return True


def start(name):
    with open(f"/run/services/{name}.log", "ab") as log:
        process = subprocess.Popen(shlex.split((SERVICES / name).read_text()), stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
    (SERVICES / f"{name}.pid").write_text(str(process.pid))


def main(verb, name=None):
    unit = Path("/etc/systemd/system") / (name or "")
    (SERVICES / "calls").open("a").write(f"{verb} {name}\n")
    if (SERVICES / f"{verb} fails").exists():
        sys.exit(f"{verb}: the test wants it to fail")
    if verb == "daemon-reload":
        return
    if name.startswith("kube-tunnel"):
        if not unit.exists():
            sys.exit(f"Unit {name} not loaded.")
        run_unit(unit, *(["ExecStop"] if verb == "stop" else ["ExecStartPre", "ExecStart"]))
    elif verb == "try-reload-or-restart" and (SERVICES / f"{name}.reload").exists():
        subprocess.run(shlex.split((SERVICES / f"{name}.reload").read_text()), check=True)
    elif stop(name) or verb == "start":
        start(name)


main(*sys.argv[1:])
