"""exec --env-from on a real cluster, compared with the environment of the container's process.

SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest
from tunnel_process import BINARY, clean_environment, eventually, runtime_directory

NAMESPACE = "exec-env"
MARK = uuid.uuid4().hex
IMAGE = {"image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never"}


def field(path):
    return {"fieldRef": {"fieldPath": path}}


def key(kind, name, of, **more):
    return {f"{kind}KeyRef": {"name": name, "key": of, **more}}


ENV = [
    {"name": "MARK", "value": MARK}, {"name": "MODE", "value": "from-env"}, {"name": "EMPTY", "value": ""},
    {"name": "URL", "value": "http://$(HOST):$(W_PORT)/$$(HOST)/$(UNKNOWN)"},
    {"name": "LEVEL", "valueFrom": key("configMap", "settings", "level")},
    {"name": "NO_KEY", "valueFrom": key("configMap", "settings", "none", optional=True)},
    {"name": "PASSWORD", "valueFrom": key("secret", "db", "password")}, {"name": "DSN", "value": "u:$(PASSWORD)@db"},
    {"name": "NAMESPACE", "valueFrom": field("metadata.namespace")}, {"name": "POD", "valueFrom": field("metadata.name")},
    {"name": "POD_ADDRESS", "valueFrom": field("status.podIP")}, {"name": "NODE", "valueFrom": field("spec.nodeName")},
    {"name": "APP", "valueFrom": field("metadata.labels['app']")},
    {"name": "ACCOUNT", "valueFrom": field("spec.serviceAccountName")},
    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
    {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
    {"name": "BASH_ENV", "value": "/tmp/evil"}, {"name": "LD_DEBUG", "value": "help-is-no-code"},
]
ENV_FROM = [
    {"configMapRef": {"name": "settings"}}, {"prefix": "W_", "configMapRef": {"name": "ports"}},
    {"secretRef": {"name": "keys"}}, {"configMapRef": {"name": "none", "optional": True}},
]


def secret(name, **values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}}


def config_map(name, **values):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": values}


WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": NAMESPACE},
       "spec": {"selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                    "enableServiceLinks": False, "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "web", **IMAGE, "env": ENV, "envFrom": ENV_FROM,
                                    "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}}]}}}}


def workload(kind, version="apps/v1", **spec):
    """Each has a variable of its own, and no pods."""
    name = f"the-{kind.lower()}"
    template = {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", **IMAGE, "env": [
                    {"name": "KIND", "value": kind}, {"name": "FROM_MAP", "valueFrom": key("configMap", "settings", "level")},
                    {"name": "POD", "valueFrom": field("metadata.name")}]}]}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"template": template, **spec}}


def selecting(kind, **spec):
    return workload(kind, selector={"matchLabels": {"app": f"the-{kind.lower()}"}}, **spec)


NOT_RESTARTED = {"restartPolicy": "Never"}
JOB = workload("Job", "batch/v1", suspend=True)
JOB["spec"]["template"]["spec"].update(NOT_RESTARTED)
CRON_JOB = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "the-cronjob", "namespace": NAMESPACE},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {
                **JOB["spec"]["template"], "metadata": {}}}}}}
RC = {**workload("ReplicationController", "v1", replicas=0, selector={"app": "the-replicationcontroller"})}
DAEMONS = selecting("DaemonSet")
DAEMONS["spec"]["template"]["spec"]["nodeSelector"] = {"no-node": "has-this"}
WORKLOADS = [selecting("StatefulSet", serviceName="none", replicas=0), selecting("ReplicaSet", replicas=0), DAEMONS, JOB, CRON_JOB, RC]


@pytest.fixture(scope="module")
def pod(cluster):
    """The name of the pod; its variables are in the environment of a process on this machine."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                  config_map("settings", MODE="from-map", HOST="example.org", level="high"),
                  config_map("ports", PORT="81"), secret("db", password="s3cret"), secret("keys", API_KEY="k3y"), WEB, *WORKLOADS)
    yield next(iter(cluster.wait_for_pods("app=web", 1, NAMESPACE)))
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def environment_of_container():
    def look():
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                text = path.read_bytes().decode()
            except OSError:
                continue
            if f"MARK={MARK}\0" in text:
                return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
        return None
    return eventually(look, 30)


@pytest.fixture(scope="module")
def run(cluster):
    folder = runtime_directory()
    environment = clean_environment(HOME=str(folder), XDG_RUNTIME_DIR=str(folder), KUBECONFIG=str(cluster.config()))

    def run(*flags):
        done = subprocess.run([str(BINARY), "exec", "-n", NAMESPACE, *flags, "--", "env", "-0"], env=environment,
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        found = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)
        return done, {k: v for k, v in found.items() if k not in environment}

    run.environment = environment
    return run


def named(environment):
    names = {v["name"] for v in ENV} | {"HOST", "level", "W_PORT", "API_KEY"}
    return {k: v for k, v in environment.items() if k in names}


def test_variables_are_those_of_the_container(pod, run):
    real = named(environment_of_container())
    assert real["URL"] == "http://example.org:81/$(HOST)/$(UNKNOWN)" and real["PASSWORD"] == "s3cret"
    done, found = run("--env-from", f"pod/{pod}", "--with-secrets")
    assert done.returncode == 0, done.stderr
    refused = {"BASH_ENV", "LD_DEBUG"}
    assert named(found) == {k: v for k, v in real.items() if k not in refused}
    assert "BASH_ENV, LD_DEBUG" in done.stderr
    done, found = run("--env-from", f"pod/{pod}", "--with-secrets", "--env", "BASH_ENV", "--env", "LD_DEBUG")
    assert {**named(found), "LD_DEBUG": real["LD_DEBUG"]} == real, done.stderr


def test_template_has_all_but_what_only_a_pod_has(pod, run):
    real = named(environment_of_container())
    done, found = run("--env-from", "deploy/web", "--with-secrets")
    left = {"POD", "POD_ADDRESS", "NODE", "BASH_ENV", "LD_DEBUG"}
    assert named(found) == {k: v for k, v in real.items() if k not in left}, done.stderr
    assert re.search(r"left out of deploy/web: POD, POD_ADDRESS, NODE \(known of a running pod only", done.stderr)


@pytest.mark.parametrize("kind, names", [
    ("StatefulSet", ("sts", "statefulset", "statefulsets")), ("ReplicaSet", ("rs", "replicasets")),
    ("DaemonSet", ("ds", "daemonset")), ("Job", ("job", "jobs.batch")), ("ReplicationController", ("rc",)),
])
def test_each_kind_of_workload_has_the_variables_of_its_template(pod, run, kind, names):
    for name in names:
        done, found = run("--env-from", f"{name}/the-{kind.lower()}")
        assert done.returncode == 0 and found["KIND"] == kind and found["FROM_MAP"] == "high", done
        assert "POD" not in found and f"left out of {name}/the-{kind.lower()}: POD (known of a running pod only" in done.stderr


def test_secrets_are_left_out_unless_asked_for(pod, run):
    done, found = run("--env-from", "deploy/web")
    assert done.returncode == 0
    assert not {"PASSWORD", "DSN", "API_KEY"} & set(found) and found["MODE"] == "from-env"
    assert re.search(r"left out of deploy/web: Secret keys, PASSWORD, DSN \(of Secrets", done.stderr)
    assert "s3cret" not in done.stdout + done.stderr


def memory_of(pid):
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, access in re.findall(r"(?m)^(\w+)-(\w+) (\S+)", Path(f"/proc/{pid}/maps").read_text()):
            if access.startswith("rw"):
                memory.seek(int(start, 16))
                with contextlib.suppress(OSError):
                    found.append(memory.read(int(end, 16) - int(start, 16)))
    return b"".join(found)


def test_secrets_are_in_no_process_beside_the_command(pod, run):
    """The keepers and the kube-tunnel of the command live as long as it."""
    words = [str(BINARY), "exec", "-n", NAMESPACE, "--env-from", "deploy/web", "--with-secrets", "--", "sleep", "100"]
    command = subprocess.Popen(words, env=run.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: Path(f"/proc/{command.pid}/comm").read_text() == "sleep\n", 30)
        assert b"PASSWORD=s3cret\0" in Path(f"/proc/{command.pid}/environ").read_bytes()
        others = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "exe") == str(BINARY) and \
                        f"XDG_RUNTIME_DIR={run.environment['XDG_RUNTIME_DIR']}\0".encode() in \
                        (process / "environ").read_bytes():
                    others.append(process.name)
        assert len(others) == 3
        assert all(NAMESPACE.encode() in memory_of(pid) for pid in others)
        assert not [pid for pid in others if b"s3cret" in memory_of(pid)]
    finally:
        command.kill()
        command.wait()


@pytest.mark.parametrize("flags, error", [
    (("--env-from", "deploy/none"), '"none" not found'),
    (("--env-from", "deploy/web", "-c", "side"), 'no container "side"; there are: web'),
    (("--env-from", "cronjob/the-cronjob"), "cronjob"),
    (("--env-from", "svc/web"), "expected pod, deploy, sts, rs, ds or job"),
])
def test_what_is_not_there_is_named(pod, run, flags, error):
    done, _ = run(*flags)
    assert done.returncode == 125 and error in done.stderr, done
    assert done.stdout == ""
