"""kube-tunnel port-forward beside the real kubectl, on a real cluster: the same command lines, good and bad.

Standard output and exit status must be equal, but for DIFFERENCES, each of which has its reason here and in
docs/decisions/195-port-forward-as-kubectl.md. SPDX-License-Identifier: MIT
"""
import os
import re
import signal
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from port_forward_process import KUBECTL, OURS, PortForward
from tunnel_process import BINARY, clean_environment, curl, eventually, free_ports

NAMESPACE = f"forward-{os.getpid()}"


def pod_spec(**more):
    return {"terminationGracePeriodSeconds": 1,
            "containers": [{"name": "web", "image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never",
                            "ports": [{"name": "http", "containerPort": 8080}, {"name": "echo", "containerPort": 9000},
                                      {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}], **more}


def template(app, **more):
    return {"metadata": {"labels": {"app": app}}, "spec": pod_spec(**more)}


def workload(kind, name, version="apps/v1", **spec):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def selected(kind, name, **spec):
    return workload(kind, name, selector={"matchLabels": {"app": name}}, template=template(name), **spec)


def service(name, app, *ports, **spec):
    return workload("Service", name, "v1", ports=list(ports), **({"selector": {"app": app}} if app else {}), **spec)


OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    selected("Deployment", "web", replicas=2),
    selected("StatefulSet", "db", serviceName="db", replicas=1),
    selected("DaemonSet", "log"),
    selected("ReplicaSet", "old", replicas=1),
    workload("Job", "once", "batch/v1", template=template("once", restartPolicy="Never")),
    workload("ReplicationController", "rc", "v1", replicas=1, selector={"app": "rc"}, template=template("rc")),
    service("web", "web", {"name": "http", "port": 80, "targetPort": "http"},
            {"name": "echo", "port": 9000}, {"name": "lost", "port": 83, "targetPort": "nope"},
            {"name": "dns", "port": 53, "protocol": "UDP"}),
    service("db", "db", {"name": "http", "port": 8080}, clusterIP="None"),
    service("empty", "nobody", {"port": 80}),
    service("manual", None, {"port": 80}),
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": NAMESPACE}},
    # no node has this label, so it stays Pending
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stuck", "namespace": NAMESPACE},
     "spec": pod_spec(nodeSelector={"nowhere": "at-all"})},
]


@pytest.fixture(scope="module")
def shop(cluster):
    cluster.apply(*OBJECTS)
    cluster.wait_for_pods("app=web", 2, NAMESPACE, 90)
    for app in ("db", "log", "old", "once", "rc"):
        cluster.wait_for_pods(f"app={app}", 1, NAMESPACE, 90)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def forward(shop):
    """forward(*arguments, program=OURS): is stopped after the test."""
    running = []

    def start(*arguments, **options):
        running.append(PortForward("-n", NAMESPACE, *arguments, kubeconfig=shop.config(), **options))
        return running[-1]

    yield start
    for one in running:
        one.kill()


# --- the same command lines ---

# Of each: {A} and {B} are free local ports. The number is of lines "Forwarding from".
GOOD = [
    ("db-0 {A}:8080", 2),
    ("pod/db-0 {A}:8080 {B}:9000", 4),
    ("pods/db-0 {A}:http", 2),
    ("po/db-0 :8080", 2),
    ("po/db-0 0:8080", 2),
    ("Pod/db-0 {A}:8080 --address 127.0.0.1", 1),
    ("pod/db-0 {A}:8080 --address localhost,127.0.0.2", 3),
    ("pod/db-0 {A}:8080 --address=::1 --address=127.0.0.1", 2),
    ("--pod-running-timeout=5s deploy/web {A}:8080", 2),
    ("deployment/web {A}:http", 2),
    ("deployments.apps/web {A}:8080", 2),
    ("deployments.v1.apps/web {A}:8080", 2),
    ("deploy.apps/web {A}:8080", 2),
    ("rs/old {A}:8080", 2),
    ("sts/db {A}:8080", 2),
    ("statefulset/db {A}:8080", 2),
    ("ds/log {A}:8080", 2),
    ("job/once {A}:8080", 2),
    ("jobs.batch/once {A}:8080", 2),
    ("rc/rc {A}:8080", 2),
    ("svc/web {A}:80", 2),
    ("svc/web {A}:http {B}:echo", 4),
    ("service/web :80", 2),
    ("services/db {A}:8080", 2),
    ("svc/web -- {A}:80", 2),
]

BAD = [
    "",
    "db-0",
    "nope 80",
    "pod/nope 80",
    "deploy/nope 80",
    "svc/nope 80",
    "foo/x 80",
    "pod/ 80",
    "pod/db-0/x 80",
    "pod,svc/db-0 80",
    "pod db-0 80",
    "stuck {A}:8080",
    "svc/empty {A}:80 --pod-running-timeout=500ms",
    "svc/manual {A}:80",
    "cm/settings {A}:80",
    "svc/web {A}:81",
    "svc/web {A}:nope",
    "svc/web {A}:lost",
    "svc/web {A}:dns",
    "db-0 {A}:nope",
    "db-0 {A}:dns",
    "db-0 {A}:53",
    "db-0 abc:80",
    "db-0 70000:80",
    "db-0 {A}:70000",
    "db-0 {A}:0",
    "db-0 {A}:8080 --address foo",
    "db-0 {A}:8080 --address 192.0.2.1",
    "db-0 {A}:8080 --pod-running-timeout=0s",
    "db-0 {A}:8080 --pod-running-timeout=-1s",
    "db-0 {A}:8080 --pod-running-timeout=x",
    "db-0 {A}:8080 --nope",
    "db-0 {A}:8080 --context nope",
    "db-0 {A}:8080 --kubeconfig /nonexistent",
    "db-0 1:2:3",
]

DIFFERENCES = {
    "db-0 1:2:3": "kubectl ignores all but the first number and forwards 1 to 1; no one can have meant that",
}


def result_of(kubeconfig, program, line, lines=None):
    """Standard output, with the local ports as A and B, and the exit status."""
    ports = dict(zip("AB", map(str, free_ports(2))))
    f = PortForward("-n", NAMESPACE, *line.format(**ports).split(), program=program, kubeconfig=kubeconfig)
    try:
        if lines:
            eventually(lambda: len(f.forwarding()) >= lines or f.process.poll() is not None, 30, pause=0.02)
            status = f.stop()
        else:
            status = f.ends(30)
        out = f.out
        for name, port in ports.items():
            out = out.replace(f":{port} ", f":{name} ")
        if "{A}" not in line:
            out = re.sub(r":\d+ ->", ":ANY ->", out)
        return out, status
    finally:
        f.kill()


def compare(shop, lines):
    kubeconfig = shop.config()
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(lambda case: result_of(kubeconfig, KUBECTL, *case), lines))
        ours = list(pool.map(lambda case: result_of(kubeconfig, OURS, *case), lines))
    wrong = [f"{line[0]}\n  kubectl: {a}\n  ours:    {b}" for line, a, b in zip(lines, theirs, ours)
             if (a != b) != (line[0] in DIFFERENCES)]
    assert not wrong, "\n".join(wrong)
    return theirs


def test_good_command_lines_print_what_kubectl_prints(shop):
    for (out, status), (_, lines) in zip(compare(shop, GOOD), GOOD):
        assert status == 0 and out.count("Forwarding from") == lines


def test_bad_command_lines_end_as_kubectl_does(shop):
    same = [(line,) for line in BAD if line not in DIFFERENCES]
    assert all(result == ("", 1) for result in compare(shop, same))


def test_the_differences_from_kubectl_are_as_recorded(shop):
    for line in DIFFERENCES:
        assert result_of(shop.config(), OURS, line) == ("", 1)


def test_users_without_a_right_read_the_same_error(shop):
    """Reasons are compared, too: it is the API server's sentence that names the missing right."""
    for line in ("db-0 80", "svc/web 80", "deploy/web 80"):
        done = [subprocess.run([*program, "-n", NAMESPACE, *line.split(), "--kubeconfig", shop.config("no-pods")],
                               capture_output=True, text=True, env=clean_environment()) for program in (KUBECTL, OURS)]
        assert [d.returncode for d in done] == [1, 1]
        assert done[1].stdout == ""
        assert "Error from server (Forbidden): " in done[1].stderr, done[1].stderr
        assert done[0].stderr.splitlines()[-1][:100] == done[1].stderr.splitlines()[-1][:100]


def test_a_user_who_may_not_forward_reads_the_same_error(shop):
    ours, theirs = (subprocess.run([*program, "-n", NAMESPACE, "db-0", ":8080", "--kubeconfig", shop.config("no-forward")],
                                   capture_output=True, text=True, env=clean_environment()) for program in (OURS, KUBECTL))
    assert (ours.returncode, ours.stdout, ours.stderr) == (1, "", theirs.stderr)
    assert theirs.returncode == 1 and 'error upgrading connection: pods "db-0" is forbidden' in theirs.stderr


# --- what kubectl does not survive ---


def pod_at(port):
    return curl(f"http://127.0.0.1:{port}/").pod


def test_a_rollout_is_followed(shop, forward):
    f = forward("deploy/web", ":8080")
    port = f.ports(1)[0]
    first = pod_at(port)
    shop.kubectl("rollout", "restart", "deployment/web", "-n", NAMESPACE)
    deadline = time.monotonic() + 90
    while (now := pod_at(port)) in (None, first) or now not in shop.pods("app=web", NAMESPACE):
        assert time.monotonic() < deadline, (now, f.err)
        assert f.process.poll() is None
        time.sleep(0.3)
    shop.kubectl("rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=60s")
    assert pod_at(port) in shop.pods("app=web", NAMESPACE)
    assert "deployment/web: forwarding to pod/" in f.err
    assert f.stop() == 0


def test_a_pod_of_a_statefulset_is_waited_for(shop, forward):
    f = forward("db-0", ":8080")
    port = f.ports(1)[0]
    assert pod_at(port)
    shop.kubectl("delete", "pod", "db-0", "-n", NAMESPACE, "--wait=true")
    assert curl(f"http://127.0.0.1:{port}/", seconds=60).status == 200, f.err
    f.wait_for("pod/db-0: forwarding to the new pod/db-0 now", 30, where="err")
    assert f.stop() == 0


def test_a_refused_connection_ends_kubectl_only(shop, forward):
    ours, theirs = forward("deploy/web", ":9999", ":8080"), forward("deploy/web", ":9999", ":8080", program=KUBECTL)
    for f in (ours, theirs):
        refused, _, served, _ = f.ports(4)
        assert curl(f"http://127.0.0.1:{refused}/").exit in (7, 52, 56)
    assert theirs.ends() == 1
    refused, _, served, _ = ours.ports(4)
    assert curl(f"http://127.0.0.1:{served}/").status == 200
    assert "port 9999 refused a connection: " in ours.err
    assert ours.stop() == 0


# --- speed ---


def seconds_to_first_byte(shop, program):
    f = PortForward("-n", NAMESPACE, "svc/web", ":80", program=program, kubeconfig=shop.config())
    try:
        port = f.ports(1)[0]
        forwarding = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(30)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1) == b"H"
        now = time.monotonic()
        return now - f.started, now - forwarding
    finally:
        f.stop(signal.SIGINT)
        f.kill()


def test_the_first_byte_is_not_later_than_kubectls(shop):
    """From the start of the process, and from its line; both alternate, so that the machine's load hits both."""
    measured = {OURS: [], KUBECTL: []}
    for _ in range(7):
        for program, times in measured.items():
            times.append(seconds_to_first_byte(shop, program))
    (start, byte), (kubectl_start, kubectl_byte) = (
        [statistics.median(t[i] for t in times) for i in range(2)] for times in measured.values())
    print(f"to the first byte: {start:.3f} s from the start, {byte * 1000:.1f} ms from the line; "
          f"kubectl {kubectl_start:.3f} s, {kubectl_byte * 1000:.1f} ms")
    assert start < kubectl_start
    assert byte < 1.3 * kubectl_byte + 0.005


# --- as a plugin ---


def test_kubectl_runs_it_as_a_plugin(shop, tmp_path):
    (tmp_path / "kubectl-tunnel").symlink_to(BINARY)
    path = f"{tmp_path}:{os.environ['PATH']}"
    f = PortForward("tunnel", "port-forward", "-n", NAMESPACE, "svc/web", ":80", program=["kubectl"],
                    kubeconfig=shop.config(), environment={"PATH": path})
    try:
        assert curl(f"http://127.0.0.1:{f.ports(1)[0]}/").status == 200
        assert f.stop() == 0
    finally:
        f.kill()
    helped = subprocess.run(["kubectl", "tunnel", "port-forward", "--help"], capture_output=True, text=True,
                            env=clean_environment(PATH=path), check=True).stdout
    assert helped.startswith("Usage: kubectl tunnel port-forward TYPE/NAME ")
