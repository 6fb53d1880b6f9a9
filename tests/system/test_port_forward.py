"""kube-tunnel port-forward on the playground: what it survives, several targets, files, and bad input.

SPDX-License-Identifier: MIT
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from port_forward_process import OURS, PortForward
from tunnel_process import BINARY, clean_environment, curl, eventually, free_ports

POD = "web-6c9f7d5b8-4xk2p"
OTHER = "web-6c9f7d5b8-w9tzm"
REFUSED = (7, 56)  # of curl: reset at once, or after it has sent its request


@pytest.fixture
def forward():
    """forward(playground, *arguments): a port-forward in the namespace shop; is stopped after the test."""
    running = []

    def start(playground, *arguments, **options):
        running.append(PortForward("-n", "shop", *arguments, kubeconfig=playground.kubeconfig, **options))
        return running[-1]

    yield start
    for one in running:
        one.kill()


def pod_of(response):
    found = re.search(r"^pod (\S+) ", response.text)
    assert found, response
    return found.group(1)


# --- lines and exit statuses ---


def test_it_ends_with_the_reader_of_its_lines(playground):
    out, theirs = os.pipe()
    command = [BINARY, "port-forward", "--kubeconfig", playground.kubeconfig, "-n", "shop", "svc/web", ":80"]
    child = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=clean_environment())
    os.close(theirs)
    with open(out) as lines:
        port = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", lines.readline()).group(1)
    subprocess.run(["curl", "-s", "-m", "10", f"http://127.0.0.1:{port}/"], stdout=subprocess.DEVNULL)
    assert child.wait(10) == -signal.SIGPIPE


def test_prints_the_lines_that_scripts_wait_for(playground, forward):
    [port] = free_ports(1)
    f = forward(playground, "svc/web", f"{port}:http").wait_for("[::1]")
    assert f.out == f"Forwarding from 127.0.0.1:{port} -> 8080\nForwarding from [::1]:{port} -> 8080\n"
    assert f.get(port).status == 200
    assert curl(f"http://[::1]:{port}/").status == 200
    assert f.out.endswith(2 * f"Handling connection for {port}\n")
    assert f.stop() == 0
    assert f.err == ""


def test_an_interrupt_before_the_ports_are_open_kills_it_as_kubectl(playground, forward):
    f = forward(playground, "svc/empty", ":80")
    time.sleep(0.5)
    assert f.stop() == -signal.SIGINT
    assert f.out == ""


def test_free_ports_are_the_same_on_both_loopback_addresses(playground, forward):
    for spec in (":8080", "0:8080"):
        f = forward(playground, "db-0", spec)
        first, second = f.ports(2)
        assert first == second
        assert f.get(first).status == 200
        assert f.stop() == 0


def test_a_port_in_use_is_named(playground, forward):
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        f = forward(playground, "db-0", f"{port}:8080")
        assert f.wait_for("[::1]").out == f"Forwarding from [::1]:{port} -> 8080\n"  # half of localhost is enough
        assert f.stop() == 0
        f = forward(playground, "db-0", f"{port}:8080", "--address", "127.0.0.1")
        assert f.ends() == 1
    assert f.out == ""
    assert f"Unable to listen on port {port}: Listeners failed to create with the following errors: [unable to " \
           f"create listener: Error listen tcp4 127.0.0.1:{port}: Address already in use]\n" in f.err
    assert f.err.endswith(f"error: unable to listen on any of the requested ports: [{{{port} 8080}}]\n")


@pytest.mark.parametrize("arguments, error", [
    (["pod/nope", "80"], 'Error from server (NotFound): pods "nope" not found\n'),
    (["svc/nope", "80"], 'Error from server (NotFound): services "nope" not found\n'),
    (["svc/web", "81"], "error: Service web does not have a service port 81\n"),
    (["svc/web", "nope"], "error: Service 'web' does not have a named port 'nope'\n"),
    (["db-0", "nope"], "error: Pod 'db-0' does not have a named port 'nope'\n"),
    (["svc/manual", "80"], "it is defined without a selector\n"),
    (["svc/empty", "80", "--pod-running-timeout", "200ms"], "error: timed out waiting for the condition\n"),
    (["foo/x", "80"], "error: the server doesn't have a resource type \"foo\""),
    (["db-0"], "error: TYPE/NAME and list of ports are required for port-forward\nSee '"),
    ([], "error: TYPE/NAME and list of ports are required for port-forward\nSee '"),
    (["db-0", "80", "--nope"], "error: unknown flag --nope\nSee '"),
    (["db-0", "80", "--pod-running-timeout", "0"], "error: --pod-running-timeout must be higher than zero\n"),
    (["db-0", "80", "--pod-running-timeout", "-1s"], "error: --pod-running-timeout must be higher than zero\n"),
    (["db-0", "80", "--pod-running-timeout", "x"], 'error: invalid argument "x" for "--pod-running-timeout"'),
    (["db-0", "80", "--address", "foo"], "error: foo is not a valid IP\n"),
    (["db-0", "80", "--context", "nope"], 'no context "nope"'),
    (["db-0", "80", "--context", "playground,playground-certificate"], "error: port-forward uses one context\n"),
    (["-f", "/nonexistent.yaml"], "error: /nonexistent.yaml: No such file or directory\n"),
])
def test_errors_go_to_stderr_with_status_1(playground, forward, arguments, error):
    f = forward(playground, *arguments)
    assert f.ends() == 1
    assert f.out == ""
    assert error in f.err
    assert f.err.count("\n") <= 2


def test_a_tunnel_that_is_refused_fails_the_start(start_playground, forward):
    playground = start_playground()
    playground.order("deny get pods/portforward", "deny create pods/portforward")
    f = forward(playground, "db-0", ":8080")
    assert f.ends() == 1
    assert f.out == ""
    assert f.err.startswith("error: error upgrading connection: pods \"db-0\" is forbidden: "), f.err


def test_what_the_api_server_refuses_is_printed_as_kubectl_does(start_playground, forward):
    playground = start_playground()
    playground.order("deny get pods")
    assert 'Error from server (Forbidden): pods "db-0" is forbidden: ' in ended(forward(playground, "db-0", "80"))
    playground.order("allow get pods", "deny list pods")
    assert "Error from server (Forbidden): pods is forbidden: " in ended(forward(playground, "svc/web", "80"))
    playground.order("allow list pods", "token off")
    assert "error: You must be logged in to the server (Unauthorized)\n" == ended(forward(playground, "db-0", "80"))


def test_an_api_server_that_is_not_there_is_named(playground, forward, tmp_path):
    [port] = free_ports(1)
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(playground.kubeconfig.read_text().replace(f":{playground.port}", f":{port}"))
    assert ended(forward(playground, "db-0", "80", "--kubeconfig", nowhere)) == \
        f"The connection to the server 127.0.0.1:{port} was refused - did you specify the right host or port?\n"


def ended(f):
    assert f.ends() == 1
    assert f.out == ""
    return f.err


# --- what it survives ---


def test_a_refused_connection_does_not_end_it(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":9999", ":8080")
    refused, served = f.ports(4)[::2]
    for _ in range(2):
        assert f.get(refused).exit in REFUSED
    assert f.get(served).status == 200
    assert "pod/db-0: port 9999 refused a connection: " in f.err
    assert f.stop() == 0


def test_a_connection_that_one_pod_refuses_is_taken_by_another(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "svc/web", ":80")
    port = f.ports(1)[0]
    first = pod_of(f.get(port))
    playground.order(f"refuse shop/{first}:8080", f"pod ready shop/{first} off")
    second = pod_of(f.get(port))
    assert second != first
    assert f"service/web: forwarding to pod/{second} now, instead of pod/{first}\n" in f.err
    assert f.stop() == 0


def test_a_reset_connection_does_not_end_it(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":8080")
    port = f.ports(1)[0]
    playground.order("reset shop/db-0:8080")
    assert f.get(port).exit != 0
    playground.order("heal shop/db-0:8080")
    assert f.get(port).status == 200
    assert f.stop() == 0


def test_a_deleted_pod_is_followed_by_another_of_its_service(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "svc/web", ":80")
    port = f.ports(1)[0]
    first = pod_of(f.get(port))
    playground.order(f"pod delete shop/{first}")
    second = pod_of(f.get(port))
    assert {first, second} == {POD, OTHER}
    f.wait_for(f"service/web: forwarding to pod/{second} now, instead of pod/{first}\n", where="err")
    assert f.stop() == 0


def test_a_pod_that_is_being_deleted_is_left_before_it_ends(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "svc/web", ":80")
    port = f.ports(1)[0]
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(10)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        first = re.search(rb"pod (\S+) ", s.recv(4096)).group(1).decode()
        playground.order(f"pod terminate shop/{first}")
        f.wait_for(f", instead of pod/{first}\n", where="err")  # no connection was needed to see it
        assert pod_of(f.get(port)) != first
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # an open connection stays with its pod
        assert f"pod {first} ".encode() in s.recv(4096)
    assert f.stop() == 0


def test_a_pod_named_by_itself_is_waited_for(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":8080")
    port = f.ports(1)[0]
    playground.order("pod delete shop/db-0")
    f.wait_for("pod/db-0: pod/db-0 is gone; waiting for another one\n", where="err")
    client = subprocess.Popen(["curl", "-s", "-m", "10", f"http://127.0.0.1:{port}/"], stdout=subprocess.PIPE)
    time.sleep(0.3)
    assert client.poll() is None
    playground.order("pod add shop/db-0 db")
    assert client.communicate(timeout=10)[0].startswith(b"pod db-0 ")
    assert "pod/db-0: forwarding to the new pod/db-0 now\n" in f.err
    assert f.stop() == 0


def test_a_replaced_pod_of_the_same_name_is_another_pod(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":8080")
    port = f.ports(1)[0]
    playground.order("pod replace shop/db-0")
    f.wait_for("pod/db-0: forwarding to the new pod/db-0 now\n", where="err")
    assert f.get(port).status == 200
    assert f.stop() == 0


def test_it_outlives_a_restart_of_the_api_server(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "svc/web", ":80")
    port = f.ports(1)[0]
    assert f.get(port).status == 200
    playground.order("restart 1500")
    f.wait_for("service/web: lost the connection: ", where="err")
    assert f.get(port).status == 200  # it waited
    f.wait_for("service/web: forwarding to pod/", where="err")
    assert f.err.count("\n") <= 4, f.err
    assert f.stop() == 0


def test_lost_tunnels_are_replaced_before_they_are_needed(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":8080")
    port = f.ports(1)[0]
    playground.order("drop-tunnels")
    assert f.get(port).status == 200
    playground.order("reset-tunnels")
    assert f.get(port).status == 200
    assert f.stop() == 0


LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def own_network():
    """A network of the test's own, in which the test and its children are. add_address() changes it."""
    if os.geteuid():
        pytest.skip("a network namespace needs root")
    name, before = f"ktunnel-forward-{os.getpid()}", os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = os.open(f"/run/netns/{name}", os.O_RDONLY)
    assert LIBC.setns(inside, 0) == 0
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    yield lambda address: subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    assert LIBC.setns(before, 0) == 0
    subprocess.run(["ip", "netns", "delete", name], check=True)
    os.close(inside)
    os.close(before)


def test_a_change_of_the_network_finds_dead_tunnels(own_network, start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":8080", "--ping-interval", "10m", "--ping-timeout", "11m")
    port = f.ports(1)[0]
    assert f.get(port).status == 200
    playground.order("freeze")
    own_network("10.99.98.97/32")
    eventually(lambda: f.get(port, seconds=5).status == 200, 20)
    assert f.stop() == 0


def test_without_the_right_to_watch_it_follows_too(start_playground, forward):
    playground = start_playground()
    playground.order("deny watch pods")
    f = forward(playground, "svc/web", ":80")
    port = f.ports(1)[0]
    first = pod_of(f.get(port))
    playground.order(f"pod delete shop/{first}")
    assert pod_of(f.get(port)) != first
    assert f.stop() == 0


def test_lines_about_failures_are_limited(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "db-0", ":9999")
    port = f.ports(1)[0]
    begin = time.monotonic()
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.settimeout(10)
                assert s.recv(1) == b""
        except ConnectionError:
            pass
    assert f.err.count("refused a connection") <= 11 + time.monotonic() - begin
    eventually(lambda: f.get(port).exit in REFUSED and " lines were left out)" in f.err, pause=0.5)
    assert f.stop() == 0


# --- several targets, labels, files ---


def test_several_targets_in_one_process(playground, forward):
    web, db = free_ports(2)
    f = forward(playground, "svc/web", f"{web}:80", "pod/db-0", f"{db}:8080").wait_for(f"[::1]:{db}")
    assert [line.split(" -> ")[0] for line in f.forwarding()] == [
        f"Forwarding from {a}:{p}" for p in (web, db) for a in ("127.0.0.1", "[::1]")]
    assert pod_of(f.get(web)) in (POD, OTHER)
    assert pod_of(f.get(db)) == "db-0"
    assert f.stop() == 0


def test_one_target_that_fails_fails_the_start(playground, forward):
    f = forward(playground, "svc/web", ":80", "svc/nope", ":80")
    assert f.ends() == 1
    assert f.out == ""
    assert f.err == 'Error from server (NotFound): services "nope" not found\n'


def test_pods_by_label_come_and_go(start_playground, forward):
    playground = start_playground()
    f = forward(playground, "-l", "app=cache", ":8080")
    time.sleep(0.3)
    assert f.process.poll() is None  # no pod has that label yet
    playground.order("pod add shop/cache-1 cache")
    port = f.ports(1)[0]
    assert pod_of(f.get(port)) == "cache-1"
    playground.order("pod add shop/cache-2 cache", "pod delete shop/cache-1")
    assert pod_of(f.get(port)) == "cache-2"
    assert f.stop() == 0


def test_a_file_that_a_team_shares(playground, forward, tmp_path):
    web, db = free_ports(2)
    file = tmp_path / "team.yaml"
    file.write_text(f"forwards:\n  - target: svc/web\n    ports: [ {web}:80 ]\n"
                    f"  - selector: app=db\n    namespace: shop\n    address: 127.0.0.2\n    ports: [ {db}:8080 ]\n")
    f = forward(playground, "-f", file, "-n", "shop").wait_for(f"127.0.0.2:{db}")
    assert pod_of(f.get(web)) in (POD, OTHER)
    assert pod_of(curl(f"http://127.0.0.2:{db}/")).startswith("db-")
    assert f.stop() == 0


def input_of(kind, text, tmp_path):
    """Standard input with this text, as a shell, a pipe and Node's child_process give it."""
    if kind == "file":
        (tmp_path / "team.yaml").write_text(text)
        return open(tmp_path / "team.yaml", "rb")
    theirs, ours = os.pipe() if kind == "pipe" else [s.detach() for s in socket.socketpair()]
    os.write(ours, text.encode())
    os.close(ours)
    return open(theirs, "rb")


@pytest.mark.parametrize("kind", ["file", "pipe", "socket"])
def test_a_file_may_come_from_standard_input(playground, forward, tmp_path, kind):
    [web] = free_ports(1)
    text = f"forwards:\n  - target: svc/web\n    namespace: shop\n    ports: [ {web}:80 ]\n"
    with input_of(kind, text, tmp_path) as file:
        f = forward(playground, "-f", "-", input=file).wait_for(f"127.0.0.1:{web}")
    assert pod_of(f.get(web)) in (POD, OTHER)
    assert f.stop() == 0
    with input_of(kind, text + "    command: [ rm ]\n", tmp_path) as file:
        assert ended(forward(playground, "-f", "-", input=file)).startswith('error: standard input:5: unknown key "command"')


def test_standard_input_that_ends_or_is_closed_is_named(playground, forward):
    assert ended(forward(playground, "-f", "-")).startswith("error: standard input: ")
    with open("/dev/null", "wb") as no_input:
        assert ended(forward(playground, "-f", "-", input=no_input)) == "error: standard input: Bad file descriptor\n"


def test_a_file_opens_no_address_but_loopback(playground, forward, tmp_path):
    [port] = free_ports(1)
    file = tmp_path / "team.yaml"
    file.write_text(f"forwards:\n  - target: svc/web\n    address: 0.0.0.0\n    ports: [ {port}:80 ]\n")
    f = forward(playground, "-f", file)
    assert f.ends() == 1
    assert f.out == ""
    assert f.err.startswith(f"error: {file}:3: address: a file may name loopback addresses only")
    f = forward(playground, "-f", file, "--address", "0.0.0.0").wait_for(f"0.0.0.0:{port}")
    assert f.get(port).status == 200
    assert f.stop() == 0


def test_errors_of_a_file_name_its_line(playground, forward, tmp_path):
    file = tmp_path / "team.yaml"
    file.write_text("forwards:\n  - target: svc/web\n    ports: [ 80 ]\n    command: [ rm ]\n")
    assert ended(forward(playground, "-f", file)).startswith(f"error: {file}:4: unknown key \"command\"")
    file.write_text("forwards:\n  - target: svc/web\n    ports: [ 80 ]\n  - target: svc/nope\n    ports: [ 80 ]\n")
    assert ended(forward(playground, "-f", file)) == \
        f'{file}:4: Error from server (NotFound): services "nope" not found\n'


# --- bytes, users, and other processes ---


def test_bytes_are_carried_unchanged(playground, forward):
    f = forward(playground, "svc/web", ":echo")
    port = f.ports(1)[0]
    sent = os.urandom(3_000_000)
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(20)
        s.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n")
        assert s.recv(16, socket.MSG_WAITALL) == b"GET / HTTP/1.1\r\n"
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(20)
        received = bytearray()
        for at in range(0, len(sent), 30_000):
            part = sent[at:at + 30_000]
            s.sendall(part)
            while len(received) < at + len(part):
                received += s.recv(65536)
        assert bytes(received) == sent
    assert f.stop() == 0


def test_two_of_them_and_a_kube_tunnel_run_side_by_side(playground, tunnel, forward):
    first, second = (forward(playground, "svc/web", ":80") for _ in range(2))
    assert all(f.get(f.ports(1)[0]).status == 200 for f in (first, second))
    assert curl("-H", "Host: web.shop.localhost", f"http://127.0.0.1:{tunnel.port}/").status == 200
    assert [f.stop() for f in (first, second)] == [0, 0]


def test_other_users_are_refused_where_clients_says_so(playground, forward):
    f = forward(playground, "svc/web", ":80", "--clients", "same-user")
    port = f.ports(1)[0]
    assert f.get(port).status == 200
    if os.getuid():
        pytest.skip("needs root to be another user")
    other = subprocess.run(["curl", "-s", "-m", "5", f"http://127.0.0.1:{port}/"], user=65533, group=65533,
                           extra_groups=[], env=clean_environment(HOME="/"))
    assert other.returncode != 0
    f.wait_for(f"port {port}: another user of this machine was refused", where="err")
    assert f.stop() == 0


def test_it_reads_only_the_objects_that_are_named(start_playground, forward):
    """With the narrow rights of a role for port-forward alone."""
    playground = start_playground()
    playground.order("deny list services", "deny watch services", "deny list endpointslices",
                     "deny watch endpointslices", "deny get namespaces", "deny get configmaps")
    f = forward(playground, "svc/web", ":80")
    assert f.get(f.ports(1)[0]).status == 200
    assert f.stop() == 0
    asked = playground.log_path.read_text(errors="replace")
    assert "endpointslices" not in asked


# --- as a plugin of kubectl ---


def test_help_has_the_name_by_which_it_runs(tmp_path):
    plugin = tmp_path / "kubectl-tunnel"
    plugin.symlink_to(BINARY)
    helped = subprocess.run([plugin, "port-forward", "--help"], capture_output=True, text=True, check=True).stdout
    assert helped.startswith("Usage: kubectl tunnel port-forward TYPE/NAME ")
    assert subprocess.run([*OURS, "--help"], capture_output=True, text=True,
                          check=True).stdout.startswith("Usage: kube-tunnel port-forward TYPE/NAME ")
    assert len(helped.splitlines()) <= 24 and max(map(len, helped.splitlines())) <= 80
    overview = subprocess.run([plugin, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Usage: kubectl tunnel [COMMAND]" in overview
    wrong = subprocess.run([plugin, "port-forward"], capture_output=True, text=True).stderr
    assert "See 'kubectl tunnel port-forward --help' for usage." in wrong
