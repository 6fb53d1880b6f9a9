"""Real programs on a real cluster: databases, mail, TLS, HTTP of every version.

Their servers run beside the cluster, in its network; a pod with hostNetwork leads to them, so each connection goes
through the API server, kubelet and the container runtime. SPDX-License-Identifier: MIT
"""
import os

import pytest

from real_programs import *  # noqa: F401, F403 - the tests and fixtures
from real_programs import PORTS, Mail
from tunnel_process import KubeTunnel, free_ports

NAMESPACE = f"programs-{os.getpid()}"


def service(name, port, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"app": "beside"}, "ports": [{"port": port, "targetPort": target}]}}


POD = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"name": "beside", "namespace": NAMESPACE, "labels": {"app": "beside"}},
       "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "pause", "image": "localhost/ktunnel-pause:1", "imagePullPolicy": "Never"}]}}


@pytest.fixture(scope="module")
def programs(cluster, tmp_path_factory):
    mail = Mail()
    ports = free_ports(2 * len(PORTS))
    exposed, backends = dict(zip(PORTS, ports)), dict(zip(PORTS, ports[len(PORTS):]))
    backends["mail"] = mail.port
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, POD,
                     *(service(name, port, backends[name]) for name, port in PORTS.items()))
    cluster.wait_for_pods("app=beside", 1, NAMESPACE)
    flags = [word for name, port in PORTS.items() for word in ("--expose", f"{name}.{NAMESPACE}:{port}={exposed[name]}")]
    tunnel = KubeTunnel(*flags, kubeconfig=cluster.config("watcher"), folder=tmp_path_factory.mktemp("programs"))
    tunnel.exposed, tunnel.backends, tunnel.namespace = exposed, backends, NAMESPACE
    yield tunnel.start()
    tunnel.stop()
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    mail.server.close()
