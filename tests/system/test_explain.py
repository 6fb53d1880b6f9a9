"""kube-tunnel explain: how names lead to pods, on the playground.

SPDX-License-Identifier: MIT
"""
import json
import re
import shlex
import time

import pytest

import control_api
from kubeconfigs import Kubeconfig
from tunnel_process import eventually


@pytest.fixture
def explain(start_tunnel):
    """explain(NAME): the answer, as documented, after a check that the command agrees in its exit status."""
    tunnel = start_tunnel("--alias", "front=web.shop:9000", "--deny-namespace", "secret")

    def ask(name):
        path = f"/v1/explain?name={name}"
        answer = control_api.check("GET", path, tunnel.control(path))
        done = tunnel.ask("explain", name)
        assert done.returncode == (0 if answer["reachable"] else 1) and done.stderr == ""
        assert [s["finding"] for s in answer["steps"]]
        ask.printed = done.stdout
        return answer

    ask.tunnel = tunnel
    return ask


def steps(answer, step):
    return [s for s in answer["steps"] if s["step"] == step]


def refusal(answer):
    """The step that ended it."""
    assert answer["reachable"] is False and "pod" not in answer
    return [s for s in answer["steps"] if not s["ok"]][-1]


def test_a_service_leads_to_a_ready_pod(explain):
    answer = explain("web.shop.svc.cluster.local")
    assert answer["pod"]["namespace"] == "shop" and answer["pod"]["name"].startswith("web-")
    assert answer["pod"]["port"] == 8080
    assert steps(answer, "service")[0]["object"] == "Service shop/web"
    assert steps(answer, "port")[0]["finding"].startswith("80 (http) leads to targetPort http")
    assert [s["ok"] for s in steps(answer, "endpoint")] == [True, True]
    assert f"It leads to pod shop/{answer['pod']['name']}" in explain.printed or "It leads to pod shop/web-" in explain.printed
    assert "\x1b" not in explain.printed


def test_the_pod_is_one_that_a_request_gets(explain):
    pods = {explain("db-0.db.shop.svc.cluster.local")["pod"]["name"]}
    assert pods == {"db-0"}
    assert explain.tunnel.get("db-0.db.shop.svc.cluster.local").text.startswith("pod db-0")


def test_a_url_with_the_listeners_port_is_understood(explain):
    answer = explain(f"http://web.shop.localhost:{explain.tunnel.port}/path?q=1")
    assert answer["reachable"] and answer["pod"]["port"] == 8080


def test_an_alias_and_its_port(explain):
    answer = explain("front")
    assert answer["pod"]["port"] == 9000
    assert steps(answer, "name")[0]["finding"].startswith("an alias: a service, web in namespace shop, port 9000")


@pytest.mark.parametrize("name, step, finding, next_", [
    ("nope.shop", "service", "services \"nope\" not found", "kube-tunnel list"),
    ("web.shop:81", "port", "services \"web\" has no port 81: it declares 80 (http), 9000 (echo)", "kube-tunnel list"),
    ("empty.shop", "choice", "no pod matches selector app=nobody", "kubectl --context playground -n shop get pods"),
    ("web.secret", "settings", "its namespace is closed", "kube-tunnel config show"),
    ("localhost", "name", "kube-tunnel itself", "kube-tunnel list"),
    ("a..b", "name", "", "kube-tunnel list"),
    ("web.shop:99999", "name", "its port is no number from 1 to 65535", "kube-tunnel list"),
    ("ext.shop", "external name", "is an ExternalName for example.org", "kubectl --context playground -n shop get service ext"),
    ("192.0.2.1", "address", "no service or pod of the cluster has the address", "kube-tunnel list"),
    ("nope.shop.pod", "service", "pods \"nope\" not found", "kube-tunnel list"),
])
def test_a_name_that_leads_nowhere_ends_in_the_reason(explain, name, step, finding, next_):
    answer = explain(name)
    last = refusal(answer)
    assert last["step"] == step and finding in last["finding"], answer
    assert answer["next"].startswith(next_)
    assert f"type: {next_}" in explain.printed


@pytest.mark.parametrize("context", ["arn:aws:eks:eu-west-1:1:cluster/one", "it's $(mine); \"x\""])
def test_the_command_that_helps_is_for_the_context(playground, start_tunnel, tmp_path, context):
    """Which is not the current one. A shell reads it as one word."""
    kubeconfig = Kubeconfig(tmp_path / "config", current="other", other=playground).add(context, playground).write()
    tunnel = start_tunnel("--context", context, kubeconfig=kubeconfig)
    answer = json.loads(tunnel.control("/v1/explain?name=empty.shop").text)
    assert shlex.split(answer["next"]) == ["kubectl", "--context", context, "-n", "shop", "get", "pods"]


def test_an_endpoint_that_is_not_ready_is_marked(start_both):
    playground, tunnel = start_both()
    whole = json.loads(tunnel.control("/v1/explain?name=web.shop").text)
    pod = next(s["object"] for s in whole["steps"] if s["step"] == "endpoint").removeprefix("Pod shop/")
    playground.order(f"pod ready shop/{pod} false")

    def marked():
        answer = json.loads(tunnel.control("/v1/explain?name=web.shop").text)
        states = {s["object"]: (s["ok"], s["finding"]) for s in answer["steps"] if s["step"] == "endpoint"}
        ok, finding = states[f"Pod shop/{pod}"]
        return answer["pod"]["name"] != pod and not ok and "not ready" in finding

    eventually(marked)


def test_no_right_to_look_up_is_named(start_both):
    _, tunnel = start_both("--rights", "none", ready=False)
    done = tunnel.ask("explain", "web.shop")
    assert done.returncode == 1
    assert "type: kube-tunnel rbac --check" in done.stdout, done.stdout


def test_nothing_is_dialled(explain):
    for _ in range(5):
        explain("web.shop")
    assert json.loads(explain.tunnel.control("/v1/status").text)["tunnels"] == []


@pytest.mark.parametrize("name", ["\x1b[31mred.shop", "we\u202eb.shop", "web.shop\x07", "a" * 300, "\u00e9.shop", "%00"])
def test_hostile_names_are_printed_harmless(explain, name):
    done = explain.tunnel.ask("explain", name)
    assert done.returncode == 1
    for output in (done.stdout, done.stderr, explain.tunnel.ask("explain", name, "-o", "json").stdout,
                   explain.tunnel.ask("explain", name, "-o", "yaml").stdout):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", output), output


def test_without_a_name_the_usage_is_printed(explain):
    done = explain.tunnel.ask("explain")
    assert done.returncode == 2 and "kube-tunnel explain web.shop" in done.stderr
    answer = explain.tunnel.control("/v1/explain")
    assert answer.status == 400
    control_api.check("GET", "/v1/explain", answer)


def test_output_name_is_the_pod(explain):
    done = explain.tunnel.ask("explain", "db-0.db.shop.svc", "-o", "name")
    assert (done.returncode, done.stdout) == (0, "pod/db-0\n")


def test_ten_thousand_services_do_not_slow_it(start_both):
    """Not a figure: a guard. script/bench has the figure."""
    _, tunnel = start_both("--scale", "10000:10000")
    eventually(lambda: json.loads(tunnel.control("/v1/status").text)["clusters"][0]["services"] > 10000, seconds=30)
    for command in (["status", "-o", "name"], ["explain", "web.shop"]):
        begun = time.monotonic()
        assert tunnel.ask(*command).returncode == 0
        assert time.monotonic() - begun < 1
