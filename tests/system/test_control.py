"""The control socket: where it is, who may use it, its interface, and the commands status and stop.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

import control_api
from http_client import Client, request
from tunnel_process import BINARY, clean_environment, curl, eventually, runtime_directory


@pytest.fixture
def api(start_tunnel):
    """api(METHOD, PATH, body): the JSON of an answer, which is as control/openapi.yaml documents it."""
    tunnel = start_tunnel()

    def call(method, path, body=None, status=200):
        data = ["--data-binary", json.dumps(body)] if body is not None else []
        answer = tunnel.control(path, "-X", method, *data)
        assert answer.status == status, answer
        return control_api.check(method, path, answer)

    call.tunnel = tunnel
    return call


def speak(path, text, seconds=10):
    """Send these bytes to the socket and return all that comes back."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(seconds)
        s.connect(str(path))
        s.sendall(text)
        received = b""
        while block := s.recv(65536):
            received += block
        return received


# the socket


def test_the_socket_and_its_directory_are_the_users_alone(api):
    path = api.tunnel.control_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_socket_is_removed_at_the_end(start_tunnel):
    tunnel = start_tunnel()
    path = tunnel.control_socket
    assert path.exists()
    tunnel.stop()
    assert not path.exists()


def test_the_socket_of_a_dead_process_is_replaced(start_tunnel):
    first = start_tunnel()
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    assert first.control_socket.exists()
    refused = first.ask("status")
    assert refused.returncode == 1 and "no kube-tunnel called \"default\" runs" in refused.stderr
    second = start_tunnel(environment={"XDG_RUNTIME_DIR": str(first.runtime)})
    answer = first.control("/v1")
    assert json.loads(answer.text)["pid"] == second.process.pid
    first.process = second.process  # its end was ours


def test_a_second_one_names_the_first_and_serves_without_a_socket(start_tunnel):
    first = start_tunnel()
    second = start_tunnel(environment={"XDG_RUNTIME_DIR": str(first.runtime)})
    line = second.wait_for_log(r"no control socket reason=\"(.*?)\"\n").group(1)
    assert f"pid {first.process.pid}" in line and "--name" in line
    assert second.get("web.shop.localhost").status == 200
    assert json.loads(first.control("/v1").text)["pid"] == first.process.pid
    second.stop()
    assert first.control_socket.exists(), "the second one removed the socket of the first"


def test_a_lost_lock_file_leads_to_no_second_socket(start_tunnel):
    first = start_tunnel()
    lock = first.control_socket.with_suffix(".lock")
    assert lock.stat().st_mode & stat.S_ISVTX, "systemd-tmpfiles keeps sticky files"
    lock.unlink()
    second = start_tunnel(environment={"XDG_RUNTIME_DIR": str(first.runtime)})
    assert f"pid {first.process.pid}" in second.wait_for_log(r"no control socket reason=\"(.*?)\"\n").group(1)
    second.stop()
    assert json.loads(first.control("/v1").text)["pid"] == first.process.pid


def test_two_names_have_two_sockets(start_tunnel):
    first = start_tunnel()
    second = start_tunnel("--name", "dev", environment={"XDG_RUNTIME_DIR": str(first.runtime)})
    named = second.ask("status", "--name", "dev", "-o", "json", XDG_RUNTIME_DIR=str(first.runtime))
    assert json.loads(named.stdout)["pid"] == second.process.pid
    missing = first.ask("status", "--name", "other")
    assert missing.returncode == 1 and missing.stdout == ""
    assert re.search(r"choose one with --name:( default| dev){2}\n$", missing.stderr), missing.stderr


def test_without_control_there_is_no_socket(start_tunnel):
    tunnel = start_tunnel("--no-control")
    assert not tunnel.control_socket.exists()
    refused = tunnel.ask("status")
    assert refused.returncode == 1
    assert refused.stderr.endswith("start it with: kube-tunnel run\n")


def reason(start_tunnel, runtime):
    """Why there is no control socket in this directory, by the log."""
    tunnel = start_tunnel(environment={"XDG_RUNTIME_DIR": str(runtime)})
    return tunnel.wait_for_log(r"no control socket reason=\"(.*?)\"\n").group(1)


def test_a_directory_that_others_may_enter_is_refused(start_tunnel):
    runtime = runtime_directory()
    (runtime / "kube-tunnel").mkdir(mode=0o755)
    os.chmod(runtime / "kube-tunnel", 0o755)
    assert "chmod 700" in reason(start_tunnel, runtime)


def test_a_symbolic_link_in_place_of_the_directory_is_refused(start_tunnel):
    runtime, elsewhere = runtime_directory(), runtime_directory()
    (runtime / "kube-tunnel").symlink_to(elsewhere)
    assert "is not a directory" in reason(start_tunnel, runtime)
    assert not list(elsewhere.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a directory of another user")
def test_a_directory_of_another_user_is_refused(start_tunnel):
    runtime = runtime_directory()
    (runtime / "kube-tunnel").mkdir(mode=0o700)
    os.chown(runtime / "kube-tunnel", 12345, 12345)
    assert "belongs to user 12345" in reason(start_tunnel, runtime)


def test_a_path_that_is_too_long_for_a_socket_is_refused(start_tunnel):
    runtime = runtime_directory() / ("long" * 30)
    runtime.mkdir()
    assert "too long for a socket" in reason(start_tunnel, runtime)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
def test_another_user_cannot_use_the_socket(api):
    tunnel = api.tunnel
    os.chmod(tunnel.runtime, 0o755)
    other = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    done = subprocess.run([*other, "curl", "-sS", "--unix-socket", tunnel.control_socket, "http://x/v1"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 7 and done.stdout == ""
    os.chmod(tunnel.control_socket.parent, 0o755)  # even where the modes allow it
    os.chmod(tunnel.control_socket, 0o777)
    done = subprocess.run([*other, "curl", "-sS", "--unix-socket", tunnel.control_socket, "http://x/v1"],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and done.stdout == ""
    tunnel.wait_for_log(r"another user may not use the control socket uid=12345")
    assert api("GET", "/v1")["pid"] == tunnel.process.pid


def test_without_a_runtime_directory_the_socket_is_in_a_private_one(playground, tmp_path):
    """In a mount namespace with a /tmp of its own."""
    script = (f"mount -t tmpfs none /tmp && cp {playground.kubeconfig} /tmp/kc && "
              f"{BINARY} --kubeconfig /tmp/kc --listen 127.0.0.1:0 2>/tmp/log & "
              "for i in $(seq 100); do sleep 0.1; S=$(ls /tmp/kube-tunnel-*/default.sock 2>/dev/null) && break; done; "
              "stat -c '%a %n' $(dirname $S) $S; "
              f"{BINARY} status -o name; {BINARY} stop; wait")
    hidden = tmp_path / "kc"
    hidden.write_text(playground.kubeconfig.read_text())
    script = script.replace(f"cp {playground.kubeconfig}", f"printf %s \"$KC\" > /tmp/kc; true")
    done = subprocess.run(["unshare", "-m", *([] if os.geteuid() == 0 else ["-r"]), "sh", "-c",
                           script.replace(" && ", "; ", 1)],
                          env=clean_environment(KC=hidden.read_text(), HOME="/nonexistent"),
                          capture_output=True, text=True, timeout=30, check=False)
    modes = done.stdout.splitlines()[:2]
    uid = os.geteuid()
    assert modes == [f"700 /tmp/kube-tunnel-{uid}", f"600 /tmp/kube-tunnel-{uid}/default.sock"], done
    assert "context/playground" in done.stdout and "stopping" in done.stdout


# the interface


def test_every_path_of_the_document_answers_as_it_says(api):
    """The operations that end the process come last."""
    seen = set()
    for method, path in sorted(control_api.OPERATIONS, key=lambda o: ("stop" in o[1], "drain" in o[1])):
        if "{" in path or path in ("/v1/events", "/v1/names", "/v1/explain"):
            continue  # these have tests of their own
        answer = api.tunnel.control(path, "-X", method)
        control_api.check(method, path, answer)
        seen.add(path)
    assert {"/v1", "/v1/status", "/v1/services", "/v1/stop", "/v1/drain", "/v1/reload"} <= seen
    assert api.tunnel.process.wait(10) == 0


def test_every_property_of_the_status_appears(start_tunnel):
    """With a client, a tunnel, an exposed port and an alias."""
    tunnel = start_tunnel("--expose", "raw.shop:9004=0", "--alias", "front=web.shop:80")
    port = int(tunnel.wait_for_log(r"listening address=127.0.0.1:(\d+) exposes=raw.shop").group(1))
    with Client(tunnel.port) as client, socket.create_connection(("127.0.0.1", port)) as raw:
        client.ask(request("web.shop.localhost"))
        raw.recv(10)
        answer = tunnel.control("/v1/status")
        status = control_api.check("GET", "/v1/status", answer)
    assert [c["context"] for c in status["clusters"]] == ["playground"]
    assert status["clusters"][0]["state"] == "ready" and status["clusters"][0]["services"] >= 10
    assert {"name": "front", "target": "web.shop", "port": 80} in status["aliases"]
    exposed = [x for x in status["listeners"] if "exposes" in x]
    assert {(x["exposes"], x["port"]) for x in exposed} == {("raw.shop", "9004")}
    clients = {c["protocol"]: c for c in status["clients"]}
    assert clients["http"]["requests"] == 1 and clients["http"]["state"] == "idle"
    assert clients["raw"]["pod"].startswith("raw-") or clients["raw"]["pod"]
    assert clients["raw"]["exposes"] == "raw.shop"
    assert sum(t["connections"] for t in status["tunnels"]) >= 1
    assert sum(p["requests"] for p in status["pods"]) == 2 and sum(p["running"] for p in status["pods"]) == 1
    assert status["lastMinute"]["requests"] == 1


def test_services_are_selected_by_prefix_namespace_and_limit(api):
    whole = api("GET", "/v1/services")["services"]
    web = next(s for s in whole if s["host"] == "web.shop")
    assert {"number": 80, "name": "http"} in web["ports"] and web["ready"] == 2
    assert api("GET", "/v1/services?names&prefix=web") == {"services": ["web.other", "web.shop"]}
    assert api("GET", "/v1/services?names=1&namespace=other") == {"services": ["web.other"]}
    cut = api("GET", "/v1/services?names=true&limit=2")
    assert len(cut["services"]) == 2 and cut["leftOut"] == len(whole) - 2
    assert api("GET", "/v1/services?names&prefix=%77eb%2Es") == {"services": ["web.shop"]}


def test_a_closed_namespace_has_no_services(start_tunnel):
    tunnel = start_tunnel("--deny-namespace", "other")
    hosts = json.loads(tunnel.control("/v1/services?names").text)["services"]
    assert "web.shop" in hosts and "web.other" not in hosts


def test_unknown_paths_and_methods_are_refused(api):
    assert api("GET", "/v1/nothing", status=404)["error"]["code"] == "no_such_operation"
    assert api("GET", "/v1/stop", status=405)["error"]["code"] == "method_not_allowed"
    answer = api.tunnel.control("/v1/status", "-X", "DELETE")
    assert answer.status == 405 and answer.header("Allow") == "GET"


@pytest.mark.parametrize("request_, status", [
    (b"garbage\r\n\r\n", 400),
    (b"GET /v1 HTTP/1.1\r\n\r\n", 400),
    (b"GET /v1 HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET /v1 HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100 + b"\r\n", 431),
    (b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n", 413),
    (b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    (b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", 400),
    (b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{\"x", 400),
])
def test_a_bad_request_gets_an_error_and_nothing_happens(api, request_, status):
    received = speak(api.tunnel.control_socket, request_)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received
    assert json.loads(body)["error"]["message"]
    assert api("GET", "/v1")["state"] == "running"


def test_a_request_in_single_bytes_is_answered(api):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(api.tunnel.control_socket))
        for byte in b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}":
            s.sendall(bytes([byte]))
        assert b"404" in s.recv(100)


def test_an_unfinished_request_ends_after_five_seconds(api):
    begun = time.monotonic()
    assert speak(api.tunnel.control_socket, b"GET /v1") == b""
    assert 4 < time.monotonic() - begun < 8


def test_more_than_32_connections_are_refused(api):
    held = []
    for _ in range(32):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].connect(str(api.tunnel.control_socket))
    assert api.tunnel.control("/v1").exit != 0
    for s in held:
        s.close()
    eventually(lambda: api.tunnel.control("/v1").status == 200)


# exposed ports and aliases


def test_a_port_is_added_and_removed_without_a_restart(api):
    port = api("POST", "/v1/exposes", {"expose": "web.shop:9000=127.0.0.1:0", "raw": True}, status=201)["port"]
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"before")
        assert raw.recv(100) == b"before"
        assert [x["exposes"] for x in api("GET", "/v1/status")["listeners"] if "exposes" in x] == ["web.shop"]
        assert api("DELETE", f"/v1/exposes/{port}") == {"port": port}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        raw.sendall(b"after")  # the connection through it goes on
        assert raw.recv(100) == b"after"
    assert api("DELETE", f"/v1/exposes/{port}", status=404)["error"]["code"] == "not_found"


@pytest.mark.parametrize("body, text", [
    ({}, "is missing"),
    ({"expose": 5}, "is missing"),
    ({"expose": "web.shop"}, "web.shop"),
    ({"expose": "a.b.c.d:80=127.0.0.1:0"}, "expose a.b.c.d:80: "),
    ({"expose": "web.secret:80=0"}, "closed by deny-namespace"),
    ({"expose": "web.shop:80=192.0.2.1:0"}, "192.0.2.1"),
])
def test_a_port_that_cannot_be_exposed_is_refused(start_tunnel, body, text):
    tunnel = start_tunnel("--deny-namespace", "secret")
    answer = tunnel.control("/v1/exposes", "--data-binary", json.dumps(body))
    assert answer.status == 422, answer
    error = control_api.check("POST", "/v1/exposes", answer)["error"]
    assert text in error["message"] and error["next"].startswith("kube-tunnel ")


def test_a_reload_keeps_a_port_that_was_added(api):
    port = api("POST", "/v1/exposes", {"expose": "web.shop:80=127.0.0.1:0"}, status=201)["port"]
    assert api("POST", "/v1/reload") == {"state": "reloaded", "changes": []}
    assert curl(f"http://127.0.0.1:{port}/").status == 200


def test_a_port_in_use_is_refused_with_its_owner(api):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = api("POST", "/v1/exposes", {"expose": f"web.shop:80=127.0.0.1:{port}"}, status=409)["error"]
    assert error["code"] == "not_available" and f"pid {os.getpid()}" in error["message"], error


def test_the_listener_for_names_cannot_be_removed(api):
    assert api("DELETE", f"/v1/exposes/{api.tunnel.port}", status=404)
    assert api.tunnel.get("web.shop.localhost").status == 200


def test_an_alias_is_added_and_removed(api):
    assert api.tunnel.get("front.localhost").status != 200
    assert api("POST", "/v1/aliases", {"alias": "front=web.shop:80"}, status=201) == {"alias": "front"}
    assert api.tunnel.get("front.localhost").status == 200
    again = api("POST", "/v1/aliases", {"alias": "front=db.shop"}, status=422)["error"]
    assert "it is an alias already" in again["message"]
    assert api("DELETE", "/v1/aliases/front") == {"alias": "front"}
    assert api.tunnel.get("front.localhost").status != 200
    assert api("DELETE", "/v1/aliases/front", status=404)


def test_an_alias_that_was_added_survives_a_reload(start_tunnel, tmp_path):
    path = tmp_path / "conf.yaml"
    path.write_text("alias: [shop=web.shop]\n")
    tunnel = start_tunnel("--config", path)

    def aliases():
        return {a["name"]: a["target"] for a in json.loads(tunnel.control("/v1/status").text)["aliases"]}

    for added in ("front=web.shop", "gone=web.shop", "taken=web.shop"):
        assert tunnel.ask("expose", "--alias", added).returncode == 0
    assert tunnel.ask("expose", "--remove", "gone").returncode == 0
    path.write_text("alias: [taken=db.shop]\n")
    for _ in range(2):
        assert tunnel.ask("reload").returncode == 0
        assert aliases() == {"taken": "db.shop", "front": "web.shop"}
    assert tunnel.get("front.localhost").status == 200
    assert tunnel.get("shop.localhost").status != 200
    assert tunnel.ask("expose", "--remove", "front").returncode == 0
    assert aliases() == {"taken": "db.shop"}


def test_an_alias_into_a_closed_namespace_is_refused_and_not_kept(start_tunnel):
    tunnel = start_tunnel("--deny-namespace", "secret")
    answer = tunnel.control("/v1/aliases", "--data-binary", json.dumps({"alias": "x=web.secret"}))
    assert answer.status == 422 and "closed" in answer.text
    assert json.loads(tunnel.control("/v1/status").text)["aliases"] == []


def test_the_command_expose(start_tunnel):
    tunnel = start_tunnel()
    done = tunnel.ask("expose", "web.shop:80=127.0.0.1:0")
    port = re.fullmatch(r"localhost:(\d+) leads to web\.shop:80\n", done.stdout).group(1)
    assert curl(f"http://127.0.0.1:{port}/").status == 200
    assert tunnel.ask("expose", "--remove", port).stdout == f"{port} is removed\n"
    assert curl(f"http://127.0.0.1:{port}/").exit == 7
    assert tunnel.ask("expose", "--alias", "front=web.shop").stdout == "http://front.localhost/ leads to web.shop\n"
    assert tunnel.get("front.localhost").status == 200
    assert tunnel.ask("expose", "--remove", "front").returncode == 0
    wrong = tunnel.ask("expose", "--remove", "front")
    assert wrong.returncode == 1 and wrong.stderr.endswith("type: kube-tunnel status\n")
    assert tunnel.ask("expose").returncode == 2


def test_an_added_port_is_only_for_the_users_of_the_setting(start_tunnel):
    """--clients holds for ports that are added later, too."""
    tunnel = start_tunnel("--clients", "12345", ready=False)
    port = json.loads(tunnel.control("/v1/exposes", "--data-binary",
                                     json.dumps({"expose": "web.shop:80=127.0.0.1:0"})).text)["port"]
    assert curl(f"http://127.0.0.1:{port}/").exit != 0
    tunnel.wait_for_log("a client of this machine is refused")


# the commands


def test_status_prints_clients_tunnels_and_rates(start_tunnel):
    tunnel = start_tunnel()
    with Client(tunnel.port) as client:
        client.ask(request("web.shop.localhost"))
        shown = tunnel.ask("status")
    assert shown.returncode == 0 and shown.stderr == ""
    assert f"is running: pid {tunnel.process.pid}" in shown.stdout
    assert "last minute: 1 requests" in shown.stdout
    assert re.search(r"^CONTEXT +STATE", shown.stdout, re.M) and re.search(r"^playground +ready", shown.stdout, re.M)
    assert re.search(rf"^127\.0\.0\.1:{tunnel.port} +this machine +any name$", shown.stdout, re.M)
    assert re.search(r"^s\d+ +127\.0\.0\.1 +http +idle", shown.stdout, re.M)
    assert re.search(r"^shop/web-\S+ +1 +- +\d+ +\d+ +\d+ *$", shown.stdout, re.M)
    assert "\x1b" not in shown.stdout


def test_status_prints_json_yaml_names_and_wide(start_tunnel):
    yaml = pytest.importorskip("yaml")
    tunnel = start_tunnel("--alias", "front=web.shop")
    tunnel.get("web.shop.localhost")
    as_json = json.loads(tunnel.ask("status", "-o", "json").stdout)
    as_yaml = yaml.safe_load(tunnel.ask("status", "--output", "yaml").stdout)
    assert as_json["aliases"] == as_yaml["aliases"] == [{"name": "front", "target": "web.shop"}]
    assert as_json.keys() == as_yaml.keys() and as_json["pid"] == as_yaml["pid"]
    names = tunnel.ask("status", "-o", "name").stdout.splitlines()
    assert {"context/playground", "alias/front", f"listener/127.0.0.1:{tunnel.port}"} <= set(names)
    assert re.search(r"^t1 +shop/web-", tunnel.ask("status", "-o", "wide").stdout, re.M)
    wrong = tunnel.ask("status", "-o", "xml")
    assert wrong.returncode == 2 and "expected wide, json, yaml or name" in wrong.stderr


@pytest.mark.parametrize("name", ["\x1b[31mred\x1b[0m", "we\u202eb", "a\x07\x9bb"])
def test_hostile_names_are_printed_harmless(start_tunnel, playground, tmp_path, name):
    """A context of the kubeconfig, which is in each output of status and in explain."""
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(playground.kubeconfig.read_text())
    config["contexts"][0]["name"] = config["current-context"] = name
    path = tmp_path / "hostile"
    path.write_text(json.dumps(config))
    tunnel = start_tunnel(kubeconfig=path)
    outputs = [tunnel.ask("status", *output).stdout for output in ([], ["-o", "wide"], ["-o", "json"], ["-o", "yaml"],
                                                                   ["-o", "name"])]
    outputs += [tunnel.ask("explain", "web.shop").stdout, tunnel.control("/v1/status").text]
    for output in outputs:
        assert output and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", output), output
    assert json.loads(outputs[2])["clusters"][0]["context"] == name


def test_stop_ends_the_process_in_order(start_tunnel):
    tunnel = start_tunnel()
    assert tunnel.ask("stop").stdout == "stopping\n"
    assert tunnel.process.wait(10) == 0
    assert not tunnel.control_socket.exists()
    again = tunnel.ask("stop")
    assert again.returncode == 1 and again.stderr.endswith("kube-tunnel run\n")


def test_stop_lets_a_request_finish(start_tunnel):
    tunnel = start_tunnel()
    slow = subprocess.Popen(["curl", "-sS", "-o", "/dev/null", "-w", "%{response_code}", "-H", "Host: db.shop.localhost",
                             f"http://127.0.0.1:{tunnel.port}/slow?ms=1500"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: json.loads(tunnel.control("/v1/status").text)["clients"])
    assert tunnel.ask("stop").returncode == 0
    assert slow.communicate()[0] == "200"
    assert tunnel.process.wait(10) == 0


def test_stop_now_cuts_a_request_that_runs(start_tunnel):
    tunnel = start_tunnel()
    with Client(tunnel.port) as client:
        client.send(request("db.shop.localhost", "/slow?ms=20000"))
        eventually(lambda: tunnel.total("kube_tunnel_leases_total") >= 1)
        assert tunnel.ask("stop", "--now").stdout == "stopping\n"
        assert tunnel.process.wait(5) == 1, "as after a second signal"
        tunnel.process.returncode = 0  # expected here


def test_drain_refuses_new_clients_and_keeps_the_process(start_tunnel):
    tunnel = start_tunnel()
    assert tunnel.ask("stop", "--drain").stdout == "draining\n"
    assert tunnel.refuses()
    assert json.loads(tunnel.control("/v1").text)["state"] == "draining"
    assert tunnel.ask("stop").returncode == 0
    assert tunnel.process.wait(10) == 0


def test_reload_takes_a_change_over_or_refuses_it(start_tunnel, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("alias: [front=web.shop]\n")
    tunnel = start_tunnel("--config", path)
    with open(path, "w") as file:  # while it is open the watch leaves it alone, so this reload makes the change
        file.write("alias: [shop=web.shop]\n")
        file.flush()
        assert re.match("reloaded\nalias +front=web.shop -> shop=web.shop ", tunnel.ask("reload").stdout)
    assert [a["name"] for a in json.loads(tunnel.control("/v1/status").text)["aliases"]] == ["shop"]
    path.write_text("alias: [nonsense]\n")
    refused = tunnel.ask("reload")
    assert refused.returncode == 1 and "nonsense" in refused.stderr
    assert refused.stderr.endswith("type: kube-tunnel config check\n")
    assert tunnel.get("shop.localhost").status == 200


def test_flags_of_stop_exclude_each_other(start_tunnel):
    tunnel = start_tunnel()
    wrong = tunnel.ask("stop", "--now", "--drain")
    assert wrong.returncode == 2 and "exclude each other" in wrong.stderr
    assert tunnel.ask("list", "--now").stderr == "kube-tunnel: only \"stop\" takes --now\n"
