"""Kubeconfigs made of those of several playgrounds. SPDX-License-Identifier: MIT"""
import json
import os
import re


def part(playground):
    """(cluster, user) of it, as mappings; python3-yaml is not needed for tests."""
    text = playground.kubeconfig.read_text()
    server, ca, token = (re.search(rf"{key}: (\S+)", text).group(1)
                         for key in ("server", "certificate-authority-data", "token"))
    return {"server": server, "certificate-authority-data": ca}, {"token": token}


class Kubeconfig:
    """A kubeconfig in memory; write() puts it into a file (JSON, which is YAML)."""

    def __init__(self, path, current=None, **contexts):
        """contexts: name=playground, or use add()."""
        self.path, self.current, self.entries = path, current, {}
        for name, playground in contexts.items():
            self.add(name, playground)

    def add(self, name, playground=None, server=None, namespace="shop", **user):
        """A context of that name, with a cluster and a user of its own."""
        cluster, its_user = part(playground) if playground else ({"server": server}, {"token": "x"})
        if server:
            cluster["server"] = server
        self.entries[name] = {"cluster": cluster, "user": user or its_user, "namespace": namespace}
        return self

    def remove(self, name):
        del self.entries[name]
        return self

    def text(self):
        def rows(kind, value):
            return [{"name": name, kind: value(name, e)} for name, e in self.entries.items()]
        return json.dumps({
            "apiVersion": "v1", "kind": "Config",
            **({"current-context": self.current} if self.current else {}),
            "clusters": rows("cluster", lambda _, e: e["cluster"]),
            "users": rows("user", lambda _, e: e["user"]),
            "contexts": rows("context", lambda n, e: {"cluster": n, "user": n, "namespace": e["namespace"]}),
        })

    def write(self):
        """In place, as kubectl does it."""
        self.path.write_text(self.text())
        return self.path

    def replace(self):
        """By rename."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(self.text())
        os.rename(new, self.path)
        return self.path
