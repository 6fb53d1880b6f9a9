"""The DNS server beside a real CoreDNS on the same cluster: answers are equal but for addresses.

SPDX-License-Identifier: MIT
"""
import json
import re
import subprocess

import pytest

from conftest import CLUSTER, MACHINE_NETWORK, set_network
from dig import dig, dig_many
from tunnel_process import clean_environment, curl, eventually, free_ports

ZONE = "cluster.local"
NS = "dns-names"
TYPES = ("A", "AAAA", "SRV", "TXT", "CNAME", "MX", "PTR", "NS", "SOA", "HTTPS", "ANY")
IMAGE = {"image": "localhost/ktunnel-pod:1", "imagePullPolicy": "Never"}


def service(name, selector="peer", ports=({"name": "http", "port": 80, "targetPort": 8080},), **spec):
    chosen = {"selector": {"app": selector}} if selector else {}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NS},
            "spec": {**chosen, "ports": list(ports), **spec}}


def external(name, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NS},
            "spec": {"type": "ExternalName", "externalName": target}}


def pod(name, app="peer", probe=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NS, "labels": {"app": app}},
            "spec": {"terminationGracePeriodSeconds": 1,
                     "containers": [{"name": "web", **IMAGE, **({"readinessProbe": probe} if probe else {})}], **spec}}


TWO = ({"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"})
NEVER = {"httpGet": {"path": "/", "port": 9999}, "periodSeconds": 1}

OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS + "-empty"}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NS}},
    service("web"), service("two", ports=TWO), service("many", ports=[{"name": f"p{n}", "port": 8000 + n}
                                                                      for n in range(7)]),
    service("unnamed", ports=[{"port": 8080}]),
    service("heads", ports=TWO, clusterIP="None"),
    service("portless", ports=(), clusterIP="None"),
    service("none", "nothing", clusterIP="None"),
    service("idle", "nothing"),
    service("unready", "unready", clusterIP="None"),
    service("early", "unready", clusterIP="None", publishNotReadyAddresses=True),
    service("bare", None),
    external("outside", "www.example.com"), external("inside", f"web.{NS}.svc.{ZONE}"),
    external("chain", f"inside.{NS}.svc.{ZONE}"), external("loop", f"loop.{NS}.svc.{ZONE}"),
    external("lost", f"nope.{NS}.svc.{ZONE}"), external("heads-too", f"heads.{NS}.svc.{ZONE}"),
    pod("named", hostname="first", subdomain="heads"), pod("plain"), pod("unready", "unready", NEVER),
]


@pytest.fixture(scope="module")
def objects(cluster):
    cluster.apply(*OBJECTS[:3])
    cluster.apply(*OBJECTS[3:])
    cluster.wait_for_pods("app=peer", 2, NS)

    def address():
        return json.loads(cluster.kubectl("get", "pod", "unready", "-n", NS, "-o", "json"))["status"].get("podIP")
    eventually(address, 60)
    yield cluster
    cluster.kubectl("delete", "namespace", NS, NS + "-empty", "--wait=false")


@pytest.fixture(scope="module")
def coredns(objects, tmp_path_factory):
    """The port of a CoreDNS; it is compiled in the machine's network, which has a registry."""
    built = subprocess.run([CLUSTER, "coredns"], check=True, capture_output=True, text=True,
                           preexec_fn=lambda: set_network(MACHINE_NETWORK))
    folder, port = tmp_path_factory.mktemp("coredns"), free_ports(1)[0]
    (folder / "Corefile").write_text(f"""{ZONE}:{port} {{
        bind 127.0.0.1
        errors
        any
        kubernetes {ZONE} {{
            kubeconfig {objects.config()}
            pods verified
        }}
    }}
    """)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([built.stdout.strip(), "-conf", "Corefile"], cwd=folder, stdout=log, stderr=log,
                                   env=clean_environment())
    try:
        eventually(lambda: dig(port, f"web.{NS}.svc.{ZONE}").answer, 30)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def ours(objects, tmp_path_factory):
    from tunnel_process import KubeTunnel
    tunnel = KubeTunnel("--dns-listen", "127.0.0.1:0", kubeconfig=objects.config("admin"),
                        folder=tmp_path_factory.mktemp("dns")).start()
    port = int(tunnel.wait_for_log(r"dns DNS server address=127\.0\.0\.1:(\d+)").group(1))
    eventually(lambda: dig(port, f"web.{NS}.svc.{ZONE}").answer, 30)
    yield port
    tunnel.stop()


def dashed_addresses(objects):
    found = json.loads(objects.kubectl("get", "pods", "-n", NS, "-o", "json"))
    return {p["metadata"]["name"]: p["status"]["podIP"].replace(".", "-") for p in found["items"]}


def names(objects):
    pods = dashed_addresses(objects)
    services = [o["metadata"]["name"] for o in OBJECTS if o["kind"] == "Service"]
    yield from (f"{name}.{NS}.svc.{ZONE}" for name in [*services, "nope", "WEB", "-web", "we_b"])
    for port in ("_http._tcp", "http.tcp", "_http._udp", "_dns._udp", "_nope._tcp", "_._tcp"):
        yield from (f"{port}.{name}.{NS}.svc.{ZONE}" for name in ("web", "two", "heads", "inside", "outside"))
    yield from (f"{end}.{name}.{NS}.svc.{ZONE}" for name in ("heads", "web", "early", "unready", "outside")
                for end in ("first", pods["named"], pods["plain"], pods["unready"], "nope"))
    yield from (f"{pods[name]}.{NS}.pod.{ZONE}" for name in ("named", "plain"))
    yield f"{pods['named']}.shop.pod.{ZONE}"
    yield from (f"{name}.{ZONE}" for name in (
        f"{NS}.svc", f"{NS}.pod", f"{NS}-empty.svc", f"{NS}-empty.pod", "nope.svc", "nope.pod", f"nope.{NS}-empty.svc",
        "svc", "pod", "dns-version", "ns.dns", "dns", "nope", f"web.{NS}", f"a.b.c.web.{NS}.svc",
        f"web.{NS}.svc.{ZONE}.{NS}.svc", f"web.{NS}.svc.{ZONE}.svc", f"web.{NS}.svc.{ZONE}", f"web.{NS}.{NS}.svc",
        f"www.example.com.{NS}.svc", "www.example.com.svc", "www.example.com"))
    yield ZONE


def is_exception(name, kind):
    """Here CoreDNS denies names that exist, or not those that do not, for the type alone; and as a
    process beside the cluster it has no address (decision 175)."""
    empty = re.fullmatch(rf"(({NS}|{NS}-empty)\.)?(svc|pod)\.{ZONE}|{ZONE}", name)
    return ((kind == "TXT" and empty) or (kind == "SOA" and name != ZONE) or (kind == "NS" and name == ZONE) or
            (kind == "SRV" and name.endswith(f"{NS}.pod.{ZONE}")) or  # a record with port 0
            name == f"ns.dns.{ZONE}" or (name == f"dns-version.{ZONE}" and kind not in ("TXT", "ANY")))


def comparable(got):
    """Each section without addresses, serial numbers and order."""
    def line(text):
        text = re.sub(r" A \d+\.\d+\.\d+\.\d+$", " A ADDRESS", text)
        return re.sub(r"(hostmaster\S* )\d+", r"\1SERIAL", text).lower()
    sections = {name: sorted(map(line, lines)) for name, lines in got.sections.items() if name != "OPT PSEUDO"}
    return got.status, sorted(got.flags - {"ra"}), sections


def test_answers_are_those_of_coredns(objects, coredns, ours):
    questions = [(name, kind) for name in names(objects) for kind in TYPES if not is_exception(name, kind)]
    different = [f"{name} {kind}\n  CoreDNS: {comparable(theirs)}\n  ours:    {comparable(mine)}"
                 for (name, kind), theirs, mine in zip(questions, dig_many(coredns, questions),
                                                       dig_many(ours, questions))
                 if comparable(theirs) != comparable(mine)]
    assert not different, f"{len(different)} of {len(questions)}\n" + "\n".join(different)
    assert len(questions) > 800


def test_answers_over_tcp_and_without_edns_are_those_of_coredns(objects, coredns, ours):
    for flags in (["+tcp"], ["+noedns"], ["+bufsize=4096"], ["+norecurse"]):
        for name, kind in ((f"web.{NS}.svc.{ZONE}", "A"), (f"heads.{NS}.svc.{ZONE}", "SRV"), (f"nope.{ZONE}", "A")):
            theirs, mine = (comparable(dig(port, name, kind, *flags)) for port in (coredns, ours))
            assert theirs == mine, (name, kind, flags)


def test_names_whose_answer_of_coredns_is_wrong(objects, ours):
    """An NXDOMAIN would deny the other types, too (RFC 8020)."""
    for name in (f"svc.{ZONE}", f"{NS}.svc.{ZONE}", ZONE):
        got = dig(ours, name, "TXT")
        assert got.status == "NOERROR" and not got.answer and got.authority
    assert dig(ours, f"dns-version.{ZONE}", "A").status == "NOERROR"


def test_pods_have_names_too(objects, ours):
    """CoreDNS knows them by address only, without an option."""
    by_name = dig(ours, f"plain.{NS}.pod.{ZONE}")
    by_address = dig(ours, f"{dashed_addresses(objects)['plain']}.{NS}.pod.{ZONE}")
    assert by_name.answer[0].split()[-1] == by_address.answer[0].split()[-1]
    assert len(dig(ours, f"plain.heads.{NS}.svc.{ZONE}").answer) == 1


def test_each_address_leads_where_its_name_says(objects, ours):
    """The names of headless endpoints, of services and of pods, by their addresses alone."""
    web = dig(ours, f"web.{NS}.svc.{ZONE}").answer[0].split()[-1]
    answer = curl("--resolve", f"web.{NS}.svc.{ZONE}:80:{web}", f"http://web.{NS}.svc.{ZONE}/")
    assert answer.status == 200, answer
    one = f"first.heads.{NS}.svc.{ZONE}"
    address = dig(ours, one).answer[0].split()[-1]
    assert curl("--resolve", f"{one}:8080:{address}", f"http://{one}:8080/").status == 200


def test_a_new_service_is_known_within_a_second_of_its_negative_answer(objects, ours):
    name = f"late.{NS}.svc.{ZONE}"
    assert dig(ours, name).status == "NXDOMAIN"
    objects.apply(service("late"))
    eventually(lambda: dig(ours, name).answer, 5)
    objects.kubectl("delete", "service", "late", "-n", NS)
    eventually(lambda: dig(ours, name).status == "NXDOMAIN", 5)
