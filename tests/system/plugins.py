"""Credential plugins for tests: real scripts, kubeconfigs that name them, and what they were given.

SPDX-License-Identifier: MIT
"""
import json
import re
from pathlib import Path

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"

SCRIPT = """#!/bin/sh
# Notes each run, then does what the test has written down.
echo run >>"{folder}/runs"
env >"{folder}/environment"
printf '%s\\n' "$KUBERNETES_EXEC_INFO" >"{folder}/info"
printf '%s\\n' "$0" "$@" >"{folder}/arguments"
. "{folder}/behaviour"
"""


class Plugin:
    """A script in a folder of its own. What it does can be changed between runs."""

    def __init__(self, folder, name="plugin", version=V1):
        self.folder, self.version = Path(folder), version
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / name
        self.path.write_text(SCRIPT.format(folder=self.folder))
        self.path.chmod(0o755)
        self.token("playground")

    def behave(self, shell):
        new = self.folder / "behaviour.new"
        new.write_text(shell)
        new.rename(self.folder / "behaviour")

    def credential(self, **status):
        return json.dumps({"kind": "ExecCredential", "apiVersion": self.version, "status": status})

    def print(self, text, before=""):
        """Print that, after some shell."""
        (self.folder / "output").write_text(text)
        self.behave(f'{before}\ncat "{self.folder}/output"')

    def token(self, token, before="", **status):
        self.print(self.credential(token=token, **status), before)

    def fail(self, words, status=1):
        (self.folder / "words").write_text(words)
        self.behave(f'cat "{self.folder}/words" >&2; exit {status}')

    @property
    def runs(self):
        path = self.folder / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def info(self):
        return json.loads((self.folder / "info").read_text())

    @property
    def environment(self):
        return dict(line.split("=", 1) for line in
                    (self.folder / "environment").read_text().splitlines() if "=" in line)

    @property
    def arguments(self):
        return (self.folder / "arguments").read_text().splitlines()

    def user(self, **more):
        """The user of a kubeconfig."""
        spec = {"apiVersion": self.version, "command": str(self.path), "interactiveMode": "Never", **more}
        return {"exec": {k: v for k, v in spec.items() if v is not None}}


def kubeconfig_for(playground, path, user, **cluster):
    """The playground's, with another user; JSON is YAML."""
    text = playground.kubeconfig.read_text()
    ca = re.search(r"certificate-authority-data: (\S+)", text).group(1)
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "c", "cluster": {"server": playground.server,
                                               "certificate-authority-data": ca, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    }
    path = Path(path)
    path.write_text(json.dumps(config, indent=1))
    path.chmod(0o600)
    return path
