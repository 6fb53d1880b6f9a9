"""kube-tunnel list: what could be reached, without anything running.

SPDX-License-Identifier: MIT
"""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tunnel_process import BINARY, clean_environment


def listed(*arguments, prefix=()):
    return subprocess.run([*prefix, BINARY, "list", *map(str, arguments)], capture_output=True, text=True,
                          env=clean_environment(), timeout=30)


def may_have_port_80():
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    return os.geteuid() == 0 or int(first) <= 80


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_every_service_is_listed_with_its_urls(playground):
    done = listed("--kubeconfig", playground.kubeconfig)
    assert done.returncode == 0, done.stderr
    head, *services = rows(done.stdout)
    assert head[:4] == ["NAMESPACE", "SERVICE", "URL", "PORTS"]
    assert services == sorted(services, key=lambda row: row[:2])
    [web] = [row for row in services if row[:2] == ["shop", "web"]]
    assert web[3].startswith("80")
    port = "" if may_have_port_80() else ":8080"
    assert web[2::2] == [f"http://web.shop.localhost{port}/", f"http://web.shop.svc.cluster.local{port}/"]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a privilege away: needs root")
def test_the_urls_have_port_8080_where_80_is_privileged(playground):
    done = listed("--kubeconfig", playground.kubeconfig, prefix=["setpriv", "--bounding-set=-net_bind_service"])
    assert "http://web.shop.svc.cluster.local:8080/" in done.stdout, done.stderr
    assert "http://web.shop.localhost:8080/" in done.stdout


def test_every_url_routes_also_in_namespaces_called_like_parts_of_names(start_both, tmp_path):
    """In svc, pod and localhost SERVICE.NAMESPACE.localhost would name something else."""
    path = tmp_path / "objects.json"
    items = []
    for ns in ("svc", "pod", "localhost", "local", "cluster"):
        for name in ("web", "svc", "cluster"):
            of = {"namespace": ns, "name": name}
            items += [
                {"apiVersion": "v1", "kind": "Service", "metadata": of,
                 "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}},
                {"apiVersion": "v1", "kind": "Pod",
                 "metadata": {**of, "name": f"{name}-{ns}", "uid": f"{name}-{ns}", "labels": {"app": name}},
                 "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
                 "status": {"phase": "Running", "podIP": "10.9.0.1", "podIPs": [{"ip": "10.9.0.1"}],
                            "conditions": [{"type": "Ready", "status": "True"}]}}]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    playground, tunnel = start_both("--manifest", str(path))
    done = listed("--kubeconfig", playground.kubeconfig, "--port", "80")
    asked = 0
    for ns, name, *cells in rows(done.stdout)[1:]:
        if f"{name}-{ns}" not in {item["metadata"]["name"] for item in items}:
            continue
        for url in (cell for cell in cells if cell.startswith("http://")):
            answer = tunnel.get(url.removeprefix("http://").rstrip("/"))
            assert (answer.status, answer.pod) == (200, f"{name}-{ns}"), (url, answer)
            asked += 1
    assert asked == 30, done.stdout


def test_columns_are_aligned(playground):
    lines = listed("--kubeconfig", playground.kubeconfig).stdout.splitlines()
    assert len({line.index("http://") for line in lines[1:]} | {lines[0].index("URL")}) == 1


# widths and formats

LONG = "long" * 15 + "est"  # as long as names of services may be


@pytest.fixture
def many_ports(start_playground, tmp_path):
    """A cluster in which service shop/wide has 100 ports, and one with a long name."""
    def service(name, ports):
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name},
                "spec": {"selector": {"app": name}, "ports": ports}}
    ports = [{"name": f"port-{n}", "port": 10000 + n, "targetPort": 80} for n in range(100)]
    path = tmp_path / "wide.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List",
                                "items": [service("wide", ports), service(LONG, ports[:1])]}))
    return start_playground("--manifest", str(path))


def on_terminal(columns, *arguments):
    """What list prints on a terminal of that width: its lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([BINARY, "list", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.PIPE, env=clean_environment()) as child:
        os.close(theirs)
        text = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            text += chunk
        assert child.wait(30) == 0, child.stderr.read()
    os.close(ours)
    return text.decode().splitlines()


@pytest.mark.parametrize("columns, headings", [
    (400, ["NAMESPACE", "SERVICE", "URL", "PORTS", "URL WHERE THE CLUSTER'S DNS IS"]),
    (190, ["NAMESPACE", "SERVICE", "URL", "PORTS"]), (170, ["NAMESPACE", "SERVICE", "URL"]),
    (80, ["NAMESPACE", "SERVICE"]), (20, ["NAMESPACE", "SERVICE"])])
def test_lines_on_a_terminal_fit_it_and_names_are_whole(many_ports, columns, headings):
    lines = on_terminal(columns, "--kubeconfig", many_ports.kubeconfig, "--port", "80")
    assert re.split(r"\s{3,}", lines[0].strip()) == headings
    assert len(max(lines, key=len)) <= max(columns, 12 + len(LONG)), lines
    assert any(LONG in line.split() for line in lines) and any("wide" in line.split() for line in lines)


def test_ports_on_a_terminal_are_shortened_to_its_width(many_ports):
    [line] = [line for line in on_terminal(190, "--kubeconfig", many_ports.kubeconfig, "--port", "80")
              if " wide " in line]
    shown = re.search(r"10000, 10001, (.*, )?\+(\d+)$", line)
    assert shown and int(shown.group(2)) == 100 - line.count("100"), line


def test_a_service_with_100_ports_leaves_lines_in_a_pipe_short(many_ports):
    done = listed("--kubeconfig", many_ports.kubeconfig, "--port", "80")
    [wide] = [row for row in rows(done.stdout) if row[1] == "wide"]
    assert len(wide) == 5 and len(wide[3]) <= 40 and re.fullmatch(r"10000,10001(,\d+)*,\+9\d", wide[3])
    assert len(max(done.stdout.splitlines(), key=len)) < 12 + 3 * (len(LONG) + 45) and "\t" not in done.stdout
    [web] = [row for row in rows(done.stdout) if row[:2] == ["shop", "web"]]
    assert re.fullmatch(r"80(/\w+)?(,\d+(/\w+)?)*", web[3]), "few ports are all there, with their names"


def test_output_wide_shortens_nothing(many_ports):
    flags = "--kubeconfig", many_ports.kubeconfig, "-o", "wide"
    piped = listed(*flags).stdout.splitlines()
    [wide] = [line.split() for line in piped if " wide " in line]
    assert wide[3].split(",") == [f"{10000 + n}/port-{n}" for n in range(100)]
    assert on_terminal(80, *flags) == piped


def test_json_has_every_service_and_port(many_ports):
    services = json.loads(listed("--kubeconfig", many_ports.kubeconfig, "--port", "80", "--output=json").stdout)
    [wide] = [s for s in services if s["name"] == "wide"]
    assert wide == {"namespace": "shop", "name": "wide", "url": "http://wide.shop.localhost/",
                    "clusterURL": "http://wide.shop.svc.cluster.local/",
                    "ports": [{"name": f"port-{n}", "port": 10000 + n} for n in range(100)], "aliases": []}
    nothing = listed("--kubeconfig", many_ports.kubeconfig, "-n", "nothing-here", "-ojson")
    assert json.loads(nothing.stdout) == []


def test_names_of_json_are_accepted_by_expose_and_urls(many_ports):
    names = listed("--kubeconfig", many_ports.kubeconfig, "-oname").stdout.splitlines()
    assert {"web.shop", "wide.shop", f"{LONG}.shop"} < set(names)


def test_another_format_is_refused(playground):
    done = listed("--kubeconfig", playground.kubeconfig, "-o", "yaml")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == 'kube-tunnel: --output "yaml": expected wide, json or name\n'


def test_option_namespace_lists_one_namespace(playground):
    done = listed("--kubeconfig", playground.kubeconfig, "-n", "shop")
    assert {row[0] for row in rows(done.stdout)[1:]} == {"shop"}


def test_a_namespace_without_services_is_reported(playground):
    done = listed("--kubeconfig", playground.kubeconfig, "-n", "nothing-here")
    assert done.returncode == 0 and done.stdout == ""
    assert "no services" in done.stderr and "nothing-here" in done.stderr


def test_the_urls_have_the_listeners_port_and_the_clusters_domain(playground):
    done = listed("--kubeconfig", playground.kubeconfig, "--port", "8080", "--cluster-domain", "k8s.example")
    assert "http://web.shop.svc.k8s.example:8080/" in done.stdout
    assert "http://web.shop.localhost:8080/" in done.stdout


def test_rights_in_one_namespace_list_that_namespace(start_playground):
    done = listed("--kubeconfig", start_playground("--rights", "namespace").kubeconfig)
    assert done.returncode == 0, done.stderr
    assert {row[0] for row in rows(done.stdout)[1:]} == {"shop"}
    assert "namespace shop" in done.stderr and "-n" in done.stderr


def test_no_rights_at_all_are_an_error(start_playground):
    done = listed("--kubeconfig", start_playground("--rights", "none").kubeconfig)
    assert done.returncode == 1 and done.stdout == ""
    assert "forbidden" in done.stderr and "list" in done.stderr


def test_denied_namespaces_are_left_out(playground):
    def namespaces(*flags):
        done = listed("--kubeconfig", playground.kubeconfig, *flags)
        assert done.returncode == 0, done.stderr
        return {row[0] for row in rows(done.stdout)[1:]}

    every = namespaces()
    assert "shop" in every and len(every) > 1
    assert namespaces("--allow-namespace", "shop") == {"shop"}
    assert namespaces("--deny-namespace", "shop") == every - {"shop"}
    assert namespaces("--allow-namespace", "shop", "--deny-namespace", "shop") == set()


def test_a_refused_token_is_an_error(playground, tmp_path):
    path = tmp_path / "refused"
    path.write_text(re.sub(r"token: \S+", "token: wrong", playground.kubeconfig.read_text()))
    done = listed("--kubeconfig", path)
    assert done.returncode == 1 and done.stdout == ""
    assert "Unauthorized" in done.stderr and "does not accept the credentials (401)" in done.stderr
    assert "kubectl get namespaces" in done.stderr


def test_an_absent_api_server_is_an_error(tmp_path):
    path = tmp_path / "nowhere"
    path.write_text("{current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}],"
                    " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}")
    done = listed("--kubeconfig", path)
    assert done.returncode == 1 and done.stdout == ""
    assert "127.0.0.1:9" in done.stderr and "refused" in done.stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_a_list_that_takes_long_shows_its_progress_on_a_terminal_only(start_playground, terminal):
    playground = start_playground()
    playground.order("throttle-calls 4")  # each is repeated after a pause
    ours, theirs = pty.openpty()
    errors = theirs if terminal else subprocess.PIPE
    with subprocess.Popen([BINARY, "list", "--kubeconfig", playground.kubeconfig], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=errors, env=clean_environment(TERM="xterm")) as child:
        os.close(theirs)
        out, text = child.communicate(timeout=60)
        assert child.returncode == 0 and b"web.shop" in out and b"listing" not in out
    if terminal:
        text = os.read(ours, 65536)
        assert re.match(rb"\rkube-tunnel: listing services, [1-9] s(, \d+ so far)?\x1b\[K", text), text
        assert text.endswith(b"\r\x1b[K"), "the line is removed"
    else:
        assert text == b""
    os.close(ours)
