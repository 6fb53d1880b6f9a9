"""`kube-tunnel doctor` against a real API server, kubelet and container runtime.

SPDX-License-Identifier: MIT
"""
import json
import subprocess

import pytest

from tunnel_process import BINARY, clean_environment, free_ports


def doctor(kubeconfig, *words):
    port, = free_ports(1)
    done = subprocess.run([BINARY, "doctor", *words, "--kubeconfig", kubeconfig, "--port", str(port), "-o", "json"],
                          capture_output=True, text=True, env=clean_environment(HOME="/nonexistent"), timeout=60)
    return done.returncode, {c["name"]: c for c in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("words", [[], ["web.shop"]])
def test_all_is_well_with_the_rights_to_watch(cluster, words):
    status, checks = doctor(cluster.config("watcher"), *words)
    assert status == 0 and {c["status"] for c in checks.values()} == {"ok"}, checks
    assert checks["login"]["text"] == "as watcher" and "expires in" in checks["credentials"]["text"]
    assert "s from the API server's" in checks["clock"]["text"] and " v1." in checks["API server"]["text"]


def test_a_service_that_does_not_exist_fails_the_tunnel(cluster):
    status, checks = doctor(cluster.config("watcher"), "no-such.shop")
    assert status == 1 and checks["tunnel"]["status"] == "failed" and "describe service no-such" in checks["tunnel"]["fix"]
