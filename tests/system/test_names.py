"""Every shape of a name, through the real program.

SPDX-License-Identifier: MIT
"""
import json
import re

import pytest

LONG = "a" * 63


def pod(name, *, ip, ports=(("http", 8080),), labels=None, ready=True, ips=None, owner=None, **spec):
    metadata = {"name": name, "namespace": "names", "uid": f"uid-of-{name}", "labels": labels or {}}
    if owner:
        metadata["labels"] = {**metadata["labels"], "pod-template-hash": "5d9"}
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True,
                                        "name": f"{owner}-5d9", "uid": "uid-of-the-set"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"nodeName": "n1", **spec, "containers": [
                {"name": "c", "ports": [{"name": n, "containerPort": p} for n, p in ports]}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": i} for i in ips or [ip]],
                       "conditions": [{"type": "Ready", "status": str(ready)}]}}


def service(name, *ports, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "names"},
            "spec": {"clusterIP": "10.0.0.9", "ports": list(ports), **spec}}


def port(number, target=None, name="", protocol="TCP"):
    return {"name": name, "port": number, "targetPort": target or number, "protocol": protocol}


def endpoint_slice(name, of, family, *endpoints, ports=(8080,)):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": "names", "labels": {"kubernetes.io/service-name": of}},
            "ports": [{"name": "", "port": p, "protocol": "TCP"} for p in ports],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True},
                           "targetRef": {"kind": "Pod", "namespace": "names", "name": to, "uid": f"uid-of-{to}"}}
                          for address, to in endpoints]}


def deployment(name, selector, ports):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "names"},
            "spec": {"selector": selector, "template": {"spec": {"containers": [
                {"name": "c", "ports": ports}]}}}}


def external(name, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "names"},
            "spec": {"type": "ExternalName", "externalName": target}}


OBJECTS = [
    # one service, with a named target port that differs from pod to pod
    pod("app-1", ip="10.9.0.1", labels={"app": "app"}),
    pod("app-2", ip="10.9.0.2", labels={"app": "app"}, ports=(("http", 8081),)),
    service("app", port(80, "http", "web"), port(9000, name="echo"), port(53, name="dns", protocol="UDP"),
            selector={"app": "app"}),
    service("udp", port(53, name="dns", protocol="UDP"), port(9, name="sig", protocol="SCTP"),
            selector={"app": "app"}),
    # pods that no service selects
    pod("free-1", ip="10.9.0.3", labels={"app": "free", "tier": "a"}, owner="free"),
    pod("free-2", ip="10.9.0.4", labels={"app": "free", "tier": "b"}, ready=False, owner="free"),
    pod("v6", ip="fd00::7", ips=["fd00::7", "10.9.0.5"]),
    pod("v6-end", ip="fd00:1::"),
    deployment("free", {"matchLabels": {"app": "free"}},
               [{"name": "side", "containerPort": 9000}, {"name": "http", "containerPort": 8080}]),
    deployment("by-set", {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "c"]}]}, []),
    deployment("nothing", {"matchLabels": {"app": "nothing"}}, []),
    # a headless service by hostname and subdomain
    pod("db-x7", ip="10.9.0.6", labels={"app": "db"}, hostname="primary", subdomain="db"),
    pod("db-x8", ip="10.9.0.7", labels={"app": "db"}, hostname="second", subdomain="db"),
    service("db", port(80, 8080), selector={"app": "db"}, clusterIP="None"),
    # one slice for each family, both of the same pod
    service("dual", port(80, 8080)),
    pod("dual-1", ip="10.9.0.8", ips=["10.9.0.8", "fd00::8"]),
    endpoint_slice("dual-v4", "dual", "IPv4", ("10.9.0.8", "dual-1")),
    endpoint_slice("dual-v6", "dual", "IPv6", ("fd00::8", "dual-1")),
    # without a selector, with slices that lead to pods
    service("manual", port(80, 8080)),
    endpoint_slice("manual-1", "manual", "IPv4", ("10.9.0.3", "free-1")),
    # names of digits, and as long as they may be
    pod("4", ip="10.9.0.10", labels={"app": "digits"}),
    service("1", port(80, 8080), selector={"app": "digits"}),
    pod(LONG, ip="10.9.0.11", labels={"app": "long"}),
    service(LONG, port(80, 8080), selector={"app": "long"}),
]


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS}))
    return path


@pytest.fixture(scope="module")
def names(tmp_path_factory, objects):
    """A playground with these objects, and a kube-tunnel for it."""
    from conftest import Playground
    from tunnel_process import KubeTunnel
    playground = Playground(tmp_path_factory.mktemp("playground"), "--manifest", str(objects))
    tunnel = KubeTunnel("--short-names", kubeconfig=playground.kubeconfig,
                        folder=tmp_path_factory.mktemp("tunnel"))
    yield tunnel.start()
    tunnel.stop()
    playground.stop()


FULL = ("app.names.svc.cluster.local", "app.names.svc.cluster.local.", "app.names.svc", "app.names",
        "app.names.localhost", "app.names.svc.localhost", "APP.Names.SVC.Cluster.Local")


@pytest.mark.parametrize("name", FULL)
def test_a_service_is_reached_by_every_form_of_its_name(names, name):
    assert names.get(name).pod in ("app-1", "app-2")


@pytest.mark.parametrize("suffix", ("svc.cluster.local", "svc.cluster.local.", "svc", "svc.localhost"))
@pytest.mark.parametrize("prefix", ("_web._tcp", "web.tcp", "_web.tcp", "web._tcp"))
def test_a_port_name_may_have_underscores(names, prefix, suffix):
    assert names.get(f"{prefix}.app.names.{suffix}").pod in ("app-1", "app-2")


def test_an_unknown_port_name_is_refused(names):
    answer = names.get("_nope._tcp.app.names.svc")
    assert answer.status == 404 and "80 (web)" in answer.text, answer


@pytest.mark.parametrize("name", ("_dns._udp.app.names.svc", "dns.udp.app.names.svc", "udp.names.svc",
                                  "udp.names.svc:53", "_sig._sctp.udp.names.svc", "udp.names.svc:9"))
def test_a_port_that_is_not_tcp_is_refused_by_name(names, name):
    answer = names.get(name)
    assert answer.status == 501 and "TCP only" in answer.text, answer


def test_a_named_target_port_may_differ_from_pod_to_pod(names):
    """app-2 has it at 8081, which answers with the head of the request."""
    seen = {names.get("app.names.svc", "/", "-H", "Connection: close").text[:3] for _ in range(12)}
    assert len(seen) == 2, seen


@pytest.mark.parametrize("suffix", ("pod", "pod.cluster.local", "pod.cluster.local.", "pod.localhost"))
@pytest.mark.parametrize("name, pod", (("free-1", "free-1"), ("10-9-0-3", "free-1"), ("fd00--7", "v6"),
                                       ("10-9-0-5", "v6"), ("fd00-0-0-0-0-0-0-7", "v6"),
                                       ("fd00-1--0", "v6-end"), ("4", "4"), (LONG, LONG)))
def test_one_pod_is_reached_by_name_and_by_address(names, name, pod, suffix):
    answer = names.get(f"{name}.names.{suffix}:8080")
    assert (answer.status, answer.pod) == (200, pod), answer


@pytest.mark.parametrize("suffix", ("svc", "svc.cluster.local", "svc.localhost"))
@pytest.mark.parametrize("label, pod", (("primary", "db-x7"), ("second", "db-x8"), ("db-x7", "db-x7"),
                                        ("10-9-0-7", "db-x8")))
def test_hostname_and_subdomain_name_a_pod(names, label, pod, suffix):
    assert names.get(f"{label}.db.names.{suffix}").pod == pod


@pytest.mark.parametrize("suffix", ("deploy", "deploy.cluster.local", "deploy.cluster.local.", "deploy.localhost"))
def test_a_deployment_leads_to_a_ready_pod(names, suffix):
    for _ in range(4):
        answer = names.get(f"_http._tcp.free.names.{suffix}", "/", "-H", "Connection: close")
        assert (answer.status, answer.pod) == (200, "free-1"), answer
    assert names.get(f"free.names.{suffix}:8080").pod == "free-1"


def test_a_deployment_without_declared_ports_accepts_any_port(names):
    answer = names.get("by-set.names.deploy:8080")
    assert (answer.status, answer.pod) == (200, "free-1"), answer


def test_an_unknown_port_name_of_a_deployment_is_refused(names):
    answer = names.get("_nope._tcp.free.names.deploy")
    assert answer.status == 404 and "9000 (side), 8080 (http)" in answer.text, answer


def test_an_unknown_deployment_is_a_404(names):
    answer = names.get("nope.names.deploy")
    assert answer.status == 404, answer
    assert answer.text.startswith("Failed to get deployment names/nope: "), answer
    assert "kubectl -n names get deployments" in answer.text, answer


def test_a_deployment_without_pods_is_a_503(start_both, objects):
    _, tunnel = start_both("--manifest", str(objects), tunnel=("--wait", "0"))
    answer = tunnel.get("nothing.names.deploy")
    assert answer.status == 503 and "no pod matches selector app=nothing" in answer.text, answer


def test_a_deployment_that_may_not_be_read_names_the_right(start_both, objects):
    """Its pods are known by the ReplicaSet that made them."""
    playground, tunnel = start_both("--manifest", str(objects))
    playground.order("deny get deployments")
    assert tunnel.get("free.names.deploy:8080").pod == "free-1"
    answer = tunnel.get("nothing.names.deploy")
    assert answer.status == 502 and "deployments" in answer.text and "apps" in answer.text, answer


def test_a_slice_for_each_family_names_each_pod_once(names):
    assert names.get("dual.names.svc").pod == "dual-1"
    entry = names.wait_for_log(r"catalog entry .*\bname=dual\b.*")
    assert "endpoints=1 " in entry.group(0), entry.group(0)


def test_without_a_selector_slices_lead_to_pods(names):
    assert names.get("manual.names.svc").pod == "free-1"


@pytest.mark.parametrize("name", ("1.names.svc.cluster.local", "1.names.svc", "1.names", "1.names.localhost"))
def test_names_may_consist_of_digits(names, name):
    assert names.get(name).pod == "4"


def test_labels_may_have_63_bytes(names):
    assert names.get(f"{LONG}.names.svc.cluster.local").pod == LONG
    answer = names.get(f"{LONG}a.names.svc.cluster.local")
    assert answer.status == 400 and "63 bytes" in answer.text, answer


def test_pods_that_are_not_ready_serve_where_published(start_both, tmp_path):
    """Both by their slices, where the controller has made them ready, and by the pods alone."""
    items = [pod("slow-1", ip="10.9.1.1", labels={"app": "slow"}, ready=False),
             service("eager", port(80, 8080), selector={"app": "slow"}, publishNotReadyAddresses=True),
             service("strict", port(80, 8080), selector={"app": "slow"})]
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    for rights in ("watch", "original"):
        _, tunnel = start_both("--manifest", str(manifest), "--rights", rights, tunnel=("--wait", "0"))
        assert tunnel.get("eager.names.svc").pod == "slow-1", rights
        assert tunnel.get("strict.names.svc").status == 503, rights


def test_a_deployment_has_a_port_of_its_own(start_both, objects):
    from tunnel_process import curl, free_ports
    number, named = free_ports(2)
    _, tunnel = start_both("--manifest", str(objects), tunnel=(
        "--expose", f"free.names.deploy:8080={number}", "--expose", f"free.names.deploy:http={named}"))
    for port in (number, named):
        assert curl(f"http://127.0.0.1:{port}/").pod == "free-1"


# --- ExternalName ---

ZONE = "names.svc.cluster.local"
EXTERNALS = [
    external("to-app", f"app.{ZONE}"), external("to-dot", f"APP.{ZONE}."),
    external("to-ext", f"to-app.{ZONE}"), external("to-end", f"primary.db.{ZONE}"),
    external("to-pod", "10-9-0-3.names.pod.cluster.local"), external("to-other", "web.other.svc.cluster.local"),
    external("to-web", "example.org"), external("to-short", "app.names.svc"), external("to-nothing", f"nope.{ZONE}"),
    external("to-itself", f"to-itself.{ZONE}"), external("round-1", f"round-2.{ZONE}"),
    external("round-2", f"round-1.{ZONE}"), external("to-local", "app.names.localhost"),
    *(external(f"long-{n}", f"long-{n + 1}.{ZONE}") for n in range(10)), external("long-10", f"app.{ZONE}"),
]


@pytest.fixture(scope="module")
def externals(tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS + EXTERNALS}))
    return path


@pytest.fixture(params=("watch", "original"))
def led(request, start_both, externals):
    """Where services are watched, and where they are looked up."""
    _, tunnel = start_both("--manifest", str(externals), "--rights", request.param, tunnel=("--wait", "0"))
    return tunnel


def test_external_names_that_lead_to_a_service_are_followed(led):
    for name, pods in (("to-app", ("app-1", "app-2")), ("to-dot", ("app-1", "app-2")),
                       ("to-ext", ("app-1", "app-2")), ("to-end", ("db-x7",)), ("long-3", ("app-1", "app-2"))):
        for suffix in ("svc", "svc.cluster.local", "localhost"):
            answer = led.get(f"{name}.names.{suffix}")
            assert answer.pod in pods, (name, answer)
    assert led.get("to-pod.names.svc:8080").pod == "free-1"
    assert led.get("_web._tcp.to-app.names.svc").pod in ("app-1", "app-2")
    assert led.get("to-other.names.svc").pod.startswith("web-5d8c")


@pytest.mark.parametrize("name, words", (
    ("to-web", ("ExternalName for example.org", "no full name of a service of this cluster", "connect to example.org itself")),
    ("to-short", ("app.names.svc, which is no full name",)),
    ("to-local", ("app.names.localhost, which is no full name",)),
    ("to-itself", ("names/to-itself leads back to names/to-itself", "a loop")),
    ("round-1", ("names/round-1 leads back to names/round-1", "a loop")),
    ("long-2", ("names/long-2 leads through more than 8 ExternalNames",)),
    ("long-0", ("names/long-0 leads through more than 8 ExternalNames",)),
    ("to-nothing", ("to-nothing is an ExternalName for nope.names.svc.cluster.local", '"nope" not found')),
))
def test_an_external_name_that_leads_nowhere_is_explained(led, name, words):
    answer = led.get(f"{name}.names.svc")
    assert answer.status in (404, 503) and answer.seconds < 2, answer
    for word in words:
        assert word in answer.text, answer


def test_an_external_name_has_a_port_of_its_own(start_both, externals):
    from tunnel_process import curl, free_ports
    port, closed = free_ports(2)
    _, tunnel = start_both("--manifest", str(externals), tunnel=(
        "--expose", f"to-app.names:80={port}", "--expose", f"to-other.names:80={closed},raw",
        "--deny-namespace", "other"))
    assert curl(f"http://127.0.0.1:{port}/").pod in ("app-1", "app-2")
    assert curl(f"http://127.0.0.1:{closed}/").status == 0, "a raw connection has no page: it is reset"
    tunnel.wait_for_log("connection failed.*namespace other is closed")


def test_an_external_name_into_a_denied_namespace_is_refused(start_both, externals):
    _, tunnel = start_both("--manifest", str(externals), tunnel=("--deny-namespace", "other"))
    answer = tunnel.get("to-other.names.svc")
    assert answer.status == 403 and "namespace other is closed" in answer.text, answer
    assert tunnel.get("to-app.names.svc").status == 200


def test_web_pages_reach_no_other_namespace_by_an_external_name(start_both, externals):
    _, tunnel = start_both("--manifest", str(externals))

    def post(to, origin):
        return tunnel.get(f"{to}.names.localhost", "/", "-X", "POST", "-H", f"Origin: {origin}").status
    assert post("to-app", "http://app.names.localhost") == 200
    assert post("to-other", "http://app.names.localhost") == 403
    assert post("to-other", "http://localhost:3000") == 200


def test_a_page_reads_no_other_namespace_under_its_own_name(start_both, externals):
    """Its Service was one with pods, and has become an ExternalName while the page is shown."""
    _, tunnel = start_both("--manifest", str(externals))
    same_origin, visit = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"
    for fields in (("-H", "Origin: http://to-other.names.localhost", "-X", "POST"),
                   ("-H", same_origin), ("-H", same_origin, "-H", visit, "-H", "Sec-Fetch-Dest: document"),
                   ("-A", "Mozilla/5.0")):
        answer = tunnel.get("to-other.names.localhost", "/", *fields)
        assert answer.status == 403 and "use the target's own name" in answer.text, (fields, answer)
    assert tunnel.get("to-app.names.localhost", "/", "-H", same_origin).status == 200
    assert tunnel.get("to-other.names.localhost").status == 200


# --- what the documents describe ---

def documented():
    """The names of README's tables and of the manual, but for the alias."""
    from tunnel_process import ROOT
    manual = (ROOT / "docs/kube-tunnel.1").read_text().split(".Sh NAMES")[1].split(".Sh CONTEXTS")[0]
    readme = (ROOT / "README.md").read_text().split("## Names")[1].split("## Supported protocols")[0]
    found = re.findall(r"^\.It Li (\S+)$", manual, re.M) + re.findall(r"^\| `([^`]*\.[^`]*)` ", readme, re.M)
    return sorted(set(name for name in found if "shop`" not in name))


@pytest.mark.parametrize("name", documented())
def test_every_name_in_the_documents_is_accepted(tunnel, name):
    """It leads to something, or to a pod or address that the playground has not: never "Invalid host"."""
    from tunnel_process import curl
    forms = [name]
    if name.endswith(".cluster.local"):
        forms += [name.removesuffix(".cluster.local"), name.replace(".cluster.local", ".localhost"), name + "."]
    for form in forms:
        answer = curl("-x", f"http://127.0.0.1:{tunnel.port}", f"http://{form}/")
        assert answer.status not in (0, 400) and "This is kube-tunnel" not in answer.text, (form, answer)


def test_the_documents_have_the_same_names():
    assert len(documented()) >= 8, documented()


# --- aliases ---

ALIASES = ("--alias", "front=app.names", "--alias", "first=db-x7.db.names,sock=app.names:echo",
           "--alias", "pg.corp.example=free.names.deploy:8080")


@pytest.fixture(scope="module")
def aliases(names, tmp_path_factory):
    from tunnel_process import KubeTunnel
    kubeconfig = names.command[names.command.index("--kubeconfig") + 1]
    tunnel = KubeTunnel(*ALIASES, kubeconfig=kubeconfig, folder=tmp_path_factory.mktemp("tunnel"))
    yield tunnel.start()
    tunnel.stop()


@pytest.mark.parametrize("host, pods", (
    ("front", ("app-1", "app-2")), ("front.localhost", ("app-1", "app-2")), ("FRONT.", ("app-1", "app-2")),
    ("first", ("db-x7",)), ("pg.corp.example", ("free-1",)), ("pg.corp.example.localhost", ("free-1",))))
def test_an_alias_is_another_name(aliases, host, pods):
    assert aliases.get(host).pod in pods


def test_an_alias_works_through_the_proxy(aliases):
    from tunnel_process import curl
    answer = curl("-x", f"http://127.0.0.1:{aliases.port}", "http://first/")
    assert answer.pod == "db-x7", answer


def test_the_port_of_a_request_goes_before_that_of_an_alias(aliases):
    assert aliases.get("pg.corp.example:9999").status == 502
    assert aliases.get("sock:80").pod in ("app-1", "app-2")


def test_a_host_that_only_looks_like_an_alias_is_refused(aliases):
    for host in ("fron", "front.example", "x.front.y", "pg.corp.example.com"):
        assert aliases.get(host).status in (400, 403, 404), host
    assert aliases.get("fron").status == 400


def test_pages_of_an_alias_are_of_its_namespace(aliases):
    def post(origin):
        return aliases.get("front.localhost", "/", "-X", "POST", "-H", f"Origin: {origin}").status
    assert post("http://first.localhost") == 200
    assert post("http://front.localhost:8080") == 200
    assert post("http://pg.corp.example") == 403
    assert post("http://web.shop.localhost") == 403


def test_an_alias_of_a_denied_namespace_is_refused(aliases):
    import subprocess
    from tunnel_process import BINARY
    done = subprocess.run([BINARY, "config", "check", "--alias", "a=web.shop", "--deny-namespace", "shop"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "namespace shop is closed" in done.stderr, done


def test_list_shows_aliases(aliases):
    import subprocess
    from tunnel_process import BINARY
    kubeconfig = aliases.command[aliases.command.index("--kubeconfig") + 1]

    def listed(*flags):
        return subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig, *ALIASES, *flags],
                              capture_output=True, text=True, check=True).stdout
    assert ["front", "http://front.localhost/", "app.names"] in [line.split() for line in listed().splitlines()]
    assert "free.names.deploy:8080" in listed()
    assert "front" not in listed("-n", "shop")
    rows = {(s["namespace"], s["name"]): s["aliases"] for s in json.loads(listed("-o", "json"))}
    assert [u.split("/")[2].split(":")[0] for u in rows["names", "app"]] == ["front.localhost", "sock.localhost"]
    assert rows["shop", "web"] == []


def test_config_show_has_aliases(tmp_path):
    import subprocess
    from tunnel_process import BINARY
    file = tmp_path / "config.yaml"
    file.write_text("alias:\n  - front=web.shop\n  - pg=pg.shop:5432\n")
    done = subprocess.run([BINARY, "config", "show", "alias", "--config", file], capture_output=True, text=True)
    assert "front=web.shop,pg=pg.shop:5432" in done.stdout and "config.yaml:2" in done.stdout, done


# --- the cluster's domain ---

def config_map(zone, name="coredns", namespace="kube-system"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace},
            "data": {"Corefile": f""".:53 {{
    errors
    kubernetes {zone} in-addr.arpa ip6.arpa {{
       pods insecure
    }}
    forward . /etc/resolv.conf
}}
"""}}


@pytest.fixture
def domain(start_both, tmp_path):
    """domain(*flags, **of the ConfigMap): a kube-tunnel for a cluster of the domain corp.example."""
    def start(*flags, items=None, order=None, **where):
        manifest = tmp_path / "objects.json"
        items = items or OBJECTS + [config_map("corp.example", **where), external("to-app", "app.names.svc.corp.example")]
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return start_both("--manifest", str(manifest), tunnel=flags)
    return start


@pytest.mark.parametrize("where", ({}, {"name": "rke2-coredns-rke2-coredns"},
                                   {"name": "dns-default", "namespace": "openshift-dns"}))
def test_the_domain_is_found_in_the_config_map_of_the_dns_server(domain, where):
    _, tunnel = domain(**where)
    tunnel.wait_for_log("cluster domain found.* domain=corp.example")
    for name in ("app.names.svc.corp.example", "app.names.svc.CORP.example.", "app.names.svc.cluster.local"):
        assert tunnel.get(name).pod in ("app-1", "app-2"), name
    assert tunnel.get("to-app.names.svc").pod in ("app-1", "app-2"), "external names lead to it"
    assert tunnel.get("app.names.svc.other.example").status == 400
    assert "svc.corp.example" in tunnel.get("app.names.svc.other.example").text
    assert "svc.corp.example" in tunnel.own("/").text


def test_list_shows_names_of_the_found_domain(domain):
    import subprocess
    from tunnel_process import BINARY
    playground, _ = domain()

    def urls(*flags):
        done = subprocess.run([BINARY, "list", "--kubeconfig", playground.kubeconfig, "-o", "json", *flags],
                              capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return {s["clusterURL"].split("/")[2].split(":")[0] for s in json.loads(done.stdout) if s["name"] == "app"}
    assert urls() == {"app.names.svc.corp.example"}
    assert urls("--cluster-domain", "k8s.example") == {"app.names.svc.k8s.example"}
    playground.order("deny get configmaps")
    assert urls() == {"app.names.svc.cluster.local"}


def test_pages_of_the_found_domain_are_of_their_namespace(domain):
    _, tunnel = domain()
    tunnel.wait_for_log("cluster domain found")

    def post(origin):
        return tunnel.get("app.names.svc.corp.example", "/", "-X", "POST", "-H", f"Origin: {origin}").status
    assert post("http://db.names.svc.corp.example") == 200
    assert post("http://web.shop.svc.corp.example") == 403
    assert post("http://db.names.svc.evil.example") == 403


def test_the_flag_wins_over_the_domain_of_the_cluster(domain):
    playground, tunnel = domain("--cluster-domain", "k8s.example")
    assert tunnel.get("app.names.svc.k8s.example").pod in ("app-1", "app-2")
    assert tunnel.get("app.names.svc.corp.example").status == 400
    assert "configmaps" not in tunnel.log() and "cluster domain" not in tunnel.log(), "it is not even asked for"


def test_a_domain_that_may_not_be_read_is_not_logged(start_both):
    _, tunnel = start_both("--rights", "original")
    assert tunnel.get("web.shop.svc.cluster.local").status == 200
    tunnel.wait_for_log("cluster domain found=none")
    lines = [line for line in tunnel.log().splitlines() if " WARN " in line or " ERROR " in line]
    assert not [line for line in lines if "domain" in line or "configmap" in line.lower()], lines
    assert tunnel.get("web.shop.svc.corp.example").status == 400


def test_a_corefile_without_a_domain_changes_nothing(domain):
    items = OBJECTS + [config_map("{$DOMAIN}")]
    _, tunnel = domain(items=items)
    tunnel.wait_for_log("cluster domain found=none")
    assert tunnel.get("app.names.svc.cluster.local").status == 200


def test_a_first_request_by_the_domain_of_the_cluster_waits_for_it(start_playground, tmp_path,
                                                                   start_tunnel):
    """Sent as soon as the port is open: while the domain may not be known yet."""
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS + [config_map("corp.example")]}))
    playground = start_playground("--manifest", str(manifest))
    for _ in range(5):
        tunnel = start_tunnel(kubeconfig=playground.kubeconfig, ready=False)
        answer = tunnel.get("app.names.svc.corp.example")
        assert answer.pod in ("app-1", "app-2"), answer
