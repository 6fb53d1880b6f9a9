"""Rights of every shape, on the playground: what works with the least, and which errors name the rest.

The same rows are judged by the RBAC of a real cluster in tests/kubernetes/test_rights.py.
SPDX-License-Identifier: MIT
"""
import re

import pytest
from tunnel_process import eventually

WEB, OTHER, SEED = "web.shop.svc", "web.other.svc", "seed.shop.svc"
FORWARD = "create pods/portforward * *"


def rules(*texts):
    """"get,list services shop *" as flags of the playground."""
    return [flag for text in texts for verb in text.split()[0].split(",")
            for flag in ("--grant", " ".join([verb, *text.split()[1:]]))]


@pytest.fixture
def start(start_both):
    def start(*texts, tunnel=()):
        return start_both("--rights", "none", *rules(*texts), tunnel=tunnel)
    return start


WATCH = "get,list,watch"
SLICES = "endpointslices"

ROWS = {
    "watch": ([f"{WATCH} services * *", f"{WATCH} {SLICES} * *"], "watch"),
    "watch without get": (["list,watch services * *", f"list,watch {SLICES} * *"], "watch"),
    "watch of endpoints": (["list,watch services * *", "list,watch endpoints * *"], "watch"),
    "get and list": (["get,list services * *", "get,list pods * *"], "lookup"),
    "get and list of slices without pods": (["get,list services * *", f"list {SLICES} * *"], "lookup"),
    "pods without slices": (["get services * *", "list pods * *"], "lookup"),
    "list without get": (["list services * *", "list pods * *"], "lookup"),
    "endpoints alone": (["get services * *", "get endpoints * *"], "lookup"),
    "named services only": (["get services shop web", "get endpoints shop web"], "lookup"),
    "watch of slices, get of services": (["get,list services * *", f"{WATCH} {SLICES} * *"], "lookup"),
}


@pytest.mark.parametrize("row", ROWS)
def test_requests_are_answered_with_these_rights(start, row):
    texts, level = ROWS[row]
    _, tunnel = start(*texts, FORWARD)
    for _ in range(3):
        assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log(f"rights found .*rights={level}")
    assert len(re.findall("rights found", tunnel.log())) == 1


def test_names_that_the_role_does_not_list_are_refused_with_the_rule(start):
    _, tunnel = start("get services shop web", "get endpoints shop web", FORWARD)
    answer = tunnel.get(SEED)
    assert answer.status == 502, answer
    assert "services" in answer.text and "apiGroups" in answer.text and "get" in answer.text


def test_without_rights_to_pods_the_error_names_the_rights_that_suffice(start):
    _, tunnel = start("get,list services * *", FORWARD)
    answer = tunnel.get(WEB)
    assert answer.status == 502
    for word in ("pods", "endpointslices", "endpoints", "apiGroups"):
        assert word in answer.text, answer


@pytest.mark.parametrize("flags", [(), ("--namespaces", "shop,other")])
def test_several_namespaces_by_role_are_each_watched(start, flags):
    """Without --namespaces the second one is watched once a service of it is requested again."""
    _, tunnel = start(*(f"{WATCH} {kind} {ns} *" for kind in ("services", SLICES) for ns in ("shop", "other")),
                      FORWARD, tunnel=flags)
    for name in (WEB, OTHER, OTHER):
        assert tunnel.get(name).status == 200
    for ns in ("shop", "other"):
        eventually(lambda ns=ns: re.search(f"rights found .*rights=watch scope={ns}", tunnel.log()))


def test_one_namespace_is_watched_and_one_looked_up(start):
    _, tunnel = start(*(f"{WATCH} {kind} shop *" for kind in ("services", SLICES)),
                      "get services other *", "list pods other *", FORWARD, tunnel=["--namespaces", "shop,other"])
    for name in (WEB, OTHER):
        assert tunnel.get(name).status == 200
    for ns, level in (("shop", "watch"), ("other", "lookup")):
        eventually(lambda ns=ns, level=level: f"rights={level} scope={ns}" in tunnel.log())


@pytest.mark.parametrize("verb, transport", [("create", "spdy"), ("get", "websocket")])
def test_port_forward_needs_one_verb_only(start, verb, transport):
    """SPDY is a POST and needs create; a WebSocket is a GET and needs get, before 1.35."""
    _, tunnel = start("get,list services * *", "list pods * *", f"{verb} pods/portforward * *")
    assert tunnel.get(WEB).status == 200
    tunnel.wait_for_log(f"transport={transport}")
