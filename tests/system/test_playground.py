"""The playground itself: unmodified kubectl and a bare SPDY client are its judges.

The bare client looks for what kubectl does not show: the one-second rules, the
verdicts, and the worker that never comes back. SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from tunnel_process import clean_environment, curl, eventually

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl")


# the API, by hand


class Api:
    """The API server of a playground, as its kubeconfig describes it."""

    def __init__(self, playground):
        text = playground.kubeconfig.read_text()
        self.server = re.search(r"server: (\S+)", text).group(1)
        self.token = re.search(r"token: (\S+)", text).group(1)
        authority = re.search(r"certificate-authority-data: (\S+)", text).group(1)
        self.tls = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        self.tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF

    def open(self, path, method="GET", body=None, token=None, accept="application/json"):
        request = urllib.request.Request(
            self.server + path, method=method, data=body.encode() if body else None,
            headers={"Authorization": f"Bearer {token or self.token}", "Accept": accept})
        return urllib.request.urlopen(request, context=self.tls, timeout=10)

    def get(self, path, **options):
        """Status and object; errors of the API are answers, too."""
        try:
            with self.open(path, **options) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def command(self, *lines):
        with self.open("/playground", "POST", "\n".join(lines)) as answer:
            return answer.read().decode()

    def pods(self, ns="shop", app="web"):
        items = self.get(f"/api/v1/namespaces/{ns}/pods?labelSelector=app%3D{app}")[1]["items"]
        return [pod["metadata"]["name"] for pod in items]

    def connect(self):
        host, port = self.server.removeprefix("https://").split(":")
        return self.tls.wrap_socket(socket.create_connection((host, int(port)), 10),
                                    server_hostname=host)


@pytest.fixture
def api(playground):
    return Api(playground)


@pytest.fixture
def own(start_playground):
    """own(*flags): the API of a playground of the test's own, to be spoiled."""
    return lambda *flags: Api(start_playground(*flags))


@pytest.mark.parametrize("path, message", [
    ("/api/v1/namespaces/shop/services/nope", 'services "nope" not found'),
    ("/api/v1/namespaces/shop/pods/nope", 'pods "nope" not found'),
    ("/api/v1/namespaces/shop/pods/nope/portforward", 'pods "nope" not found'),
])
def test_an_unknown_path_is_a_status(api, path, message):
    code, status = api.get(path)
    assert (code, status["kind"], status["reason"]) == (404, "Status", "NotFound")
    assert status["message"] == message


def test_a_wrong_token_is_refused(api):
    code, status = api.get("/api/v1/namespaces/shop/pods", token="wrong")
    assert (code, status["message"]) == (401, "Unauthorized")


def test_a_forbidden_request_has_the_message_of_kubernetes(own):
    api = own("--rights", "namespace")
    assert api.get("/api/v1/pods")[1]["message"] == (
        'pods is forbidden: User "dev" cannot list resource "pods" in API group "" at the cluster scope')
    assert api.get("/api/v1/namespaces/other/services/web")[1]["message"] == (
        'services "web" is forbidden: User "dev" cannot get resource "services" in API group "" '
        'in the namespace "other"')
    assert api.get("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices")[0] == 403
    assert api.get("/api/v1/namespaces/shop/pods?watch=1")[0] == 403
    assert api.get("/api/v1/namespaces/shop/pods")[0] == 200


@pytest.mark.parametrize("level, verb, resource, ns, allowed", [
    ("watch", "watch", "services", "", True),
    ("original", "watch", "services", "", False),
    ("original", "list", "services", "", True),
    ("namespace", "list", "pods", "", False),
    ("namespace", "list", "pods", "shop", True),
    ("none", "get", "pods", "shop", False),
])
def test_access_reviews_return_the_rights(own, level, verb, resource, ns, allowed):
    review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {
        "resourceAttributes": {"verb": verb, "resource": resource, "namespace": ns}}}
    code, answer = own("--rights", level).get(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", method="POST", body=json.dumps(review))
    assert (code, answer["status"]["allowed"]) == (201, allowed)


def test_lists_come_in_pages(own):
    api = own("--pods", "250")
    seen, token = [], ""
    for _ in range(3):
        page = api.get(f"/api/v1/namespaces/many/pods?limit=100&continue={token}")[1]
        seen += [pod["metadata"]["name"] for pod in page["items"]]
        token = urllib.request.quote(page["metadata"].get("continue", ""))
    assert not token and len(set(seen)) == len(seen) == 250
    slices = api.get("/apis/discovery.k8s.io/v1/namespaces/many/endpointslices")[1]["items"]
    assert sorted(len(s["endpoints"]) for s in slices) == [50, 100, 100]


@pytest.mark.parametrize("selector, apps", [
    ("app=web", {"web"}), ("app==db", {"db"}), ("app!=web", {"db"}), ("app in (web, db)", {"web", "db"}),
    ("app notin (web)", {"db"}), ("app", {"web", "db"}), ("!app", set()), ("app=web,app=db", set()),
])
def test_a_label_selector_selects_objects(api, selector, apps):
    quoted = urllib.request.quote(selector)
    items = api.get(f"/api/v1/namespaces/shop/pods?labelSelector={quoted}")[1]["items"]
    assert {pod["metadata"]["labels"]["app"] for pod in items} == apps


class Watch:
    """The events of one watch, gathered by a thread."""

    def __init__(self, api, path):
        self.events = []
        self.answer = api.open(path)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.answer:
            event = json.loads(line)
            self.events.append((event["type"], event["object"]))

    def names(self):
        return [(kind, o["metadata"].get("name")) for kind, o in self.events]


def test_a_watch_returns_changes(own):
    api = own()
    revision = api.get("/api/v1/pods")[1]["metadata"]["resourceVersion"]
    watch = Watch(api, f"/api/v1/namespaces/shop/pods?watch=1&resourceVersion={revision}&timeoutSeconds=2")
    slices = Watch(api, "/apis/discovery.k8s.io/v1/endpointslices?watch=1&timeoutSeconds=2"
                        "&labelSelector=kubernetes.io%2Fservice-name%3Dweb")
    api.command("pod add shop/web-new web", "pod ready shop/web-new false", "pod add other/x web",
                "pod delete shop/web-new")
    watch.thread.join(10)
    assert watch.names() == [("ADDED", "web-new"), ("MODIFIED", "web-new"), ("DELETED", "web-new")]
    slices.thread.join(10)
    ready = [[e["conditions"]["ready"] for e in o["endpoints"]] for kind, o in slices.events
             if kind != "ADDED" and o["metadata"]["namespace"] == "shop"]
    assert ready == [[True] * 3, [True, True, False], [True, True]]


def test_a_malformed_selector_is_refused(api):
    assert api.get("/api/v1/pods?labelSelector=%3D%3D")[0] == 400


def test_an_old_revision_is_gone(own):
    api = own()
    revision = api.get("/api/v1/pods")[1]["metadata"]["resourceVersion"]
    api.command("forget")
    watch = Watch(api, f"/api/v1/pods?watch=1&resourceVersion={revision}&timeoutSeconds=1")
    watch.thread.join(10)
    [(kind, status)] = watch.events
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


def test_a_streaming_list_ends_with_a_bookmark(api):
    watch = Watch(api, "/api/v1/namespaces/shop/services?watch=1&sendInitialEvents=true&timeoutSeconds=1"
                       "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
    watch.thread.join(10)
    kinds = [kind for kind, _ in watch.events]
    assert set(kinds[:-1]) == {"ADDED"} and kinds[-1] == "BOOKMARK"
    assert watch.events[-1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_manifest_adds_objects(own, tmp_path):
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps({"kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mine", "namespace": "shop"},
         "spec": {"selector": {"app": "db"}, "ports": [{"port": 80, "targetPort": 8080}]}}]}))
    api = own("--manifest", str(manifest))
    assert api.get("/api/v1/namespaces/shop/services/mine")[0] == 200
    slices = api.get("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
                     "?labelSelector=kubernetes.io/service-name%3Dmine")[1]["items"]
    assert [e["targetRef"]["name"] for e in slices[0]["endpoints"]] == ["db-0", "db-1"]


# kubectl


def kubectl(playground, *arguments, **environment):
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, timeout=30,
                          env=clean_environment(KUBECONFIG=str(playground.kubeconfig), **environment))
    return done.returncode, done.stdout, done.stderr


@needs_kubectl
def test_kubectl_get_prints_objects(playground):
    code, out, err = kubectl(playground, "get", "pods,svc,endpointslices", "-o", "wide")
    assert code == 0, err
    for column in ("NOMINATED NODE", "SELECTOR", "ADDRESSTYPE"):
        assert column in out
    code, out, err = kubectl(playground, "get", "pods", "-A", "-o", "name")
    assert code == 0 and {"pod/db-0", "pod/db-1"} < set(out.split())
    code, out, err = kubectl(playground, "get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}")
    assert (code, out) == (0, "80 9000"), err
    code, out, err = kubectl(playground, "get", "svc", "nope")
    assert code == 1 and err == 'Error from server (NotFound): services "nope" not found\n'


@needs_kubectl
def test_kubectl_may_authenticate_by_certificate(playground):
    code, out, err = kubectl(playground, "--context", "playground-certificate", "get", "svc", "-o", "name")
    assert code == 0 and "service/web" in out.split(), err


@needs_kubectl
def test_kubectl_get_watch_prints_changes(start_playground):
    playground = start_playground()
    process = subprocess.Popen(["kubectl", "get", "pods", "-w"], stdout=subprocess.PIPE, text=True,
                               env=clean_environment(KUBECONFIG=str(playground.kubeconfig)))
    lines = []
    threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
    eventually(lambda: len(lines) == 5)
    Api(playground).command("pod add shop/web-new web")
    eventually(lambda: len(lines) == 6)
    process.terminate()
    process.wait(10)
    assert lines[0].startswith("NAME ") and lines[5].startswith("web-new ")


@contextlib.contextmanager
def port_forward(playground, target, *ports, websockets):
    """kubectl port-forward: a dictionary of pod port to local port."""
    process = subprocess.Popen(
        ["kubectl", "port-forward", target, *(f":{p}" for p in ports)], text=True, bufsize=1,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=clean_environment(KUBECONFIG=str(playground.kubeconfig),
                              KUBECTL_PORT_FORWARD_WEBSOCKETS=str(websockets).lower()))
    lines = []
    threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()

    def forwarded():
        return {int(pod): int(local) for local, pod in
                re.findall(r"127\.0\.0\.1:(\d+) -> (\d+)", "".join(lines))}

    try:
        eventually(lambda: len(forwarded()) == len(ports), pause=0.02)
        yield forwarded(), lines
    finally:
        process.terminate()
        process.wait(10)


transports = pytest.mark.parametrize("websockets", [False, True], ids=["spdy", "websocket"])


@needs_kubectl
@transports
def test_kubectl_port_forward_reaches_a_service(playground, websockets):
    with port_forward(playground, "svc/web", "80", "9000", websockets=websockets) as (ports, _):
        url = f"http://127.0.0.1:{ports[8080]}"
        assert re.match(r"pod web-\S+ method GET host 127.0.0.1:\d+ path /a\?b\n", curl(url + "/a?b").text)
        assert curl(url + "/bytes?n=5000000").body == (bytes(range(256)) * 19532)[:5000000]
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda i: curl(f"{url}/slow?ms={100 + i}").text, range(10)))
        assert answers == [f"slept {100 + i}\n" for i in range(10)]
        with socket.create_connection(("127.0.0.1", ports[9000]), 10) as s:
            s.sendall(b"hello")
            assert s.recv(100) == b"hello"


@needs_kubectl
@transports
def test_kubectl_port_forward_reaches_a_pod(playground, api, websockets):
    pod = api.pods()[1]
    with port_forward(playground, f"pod/{pod}", "8080", "9004", websockets=websockets) as (ports, _):
        body = os.urandom(3000000)
        answer = curl("-H", "Expect:", "--data-binary", "@-", f"http://127.0.0.1:{ports[8080]}/upload", stdin=body)
        assert answer.text.startswith("3000000 ") and answer.text.endswith(" <nil>\n")
        with socket.create_connection(("127.0.0.1", ports[9004]), 10) as s:
            assert s.recv(100) == f"220 {pod} hello\r\n".encode()


@needs_kubectl
@transports
def test_kubectl_port_forward_prints_a_refused_port(playground, api, websockets):
    with port_forward(playground, f"pod/{api.pods()[0]}", "9999", websockets=websockets) as (ports, lines):
        assert curl(f"http://127.0.0.1:{ports[9999]}/").exit in (52, 56)
        eventually(lambda: "connection refused" in "".join(lines))


# a bare SPDY client

FIN = 1
DATA, SYN_STREAM, SYN_REPLY, RST, PING, GOAWAY = 0, 1, 2, 3, 6, 7


class Spdy:
    """One port-forward session. Frames come back as (type, id, flags, body)."""

    def __init__(self, api, pod, ns="shop", method="POST"):
        self.socket = api.connect()
        self.socket.sendall(
            f"{method} /api/v1/namespaces/{ns}/pods/{pod}/portforward HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.token}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            "X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n".encode())
        self.buffer = b""
        head = self.until(lambda: b"\r\n\r\n" in self.buffer and self.buffer.split(b"\r\n\r\n", 1))
        self.head, self.buffer = head
        self.first = True
        self.next_id = 1
        self.next_ping = 1

    def until(self, look):
        while not (found := look()):
            if not (more := self.socket.recv(65536)):
                raise EOFError
            self.buffer += more
        return found

    def control(self, kind, flags, body):
        return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body

    def syn(self, stream, flags, headers):
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            plain += struct.pack(">I", len(name)) + name.encode()
            plain += struct.pack(">I", len(value)) + value.encode()
        block = b"\x78\x3f\xe3\xc6\xa7\xc2" if self.first else b""
        block += struct.pack("<BHH", 0, len(plain), len(plain) ^ 0xffff) + plain + b"\0\0\0\xff\xff"
        self.first = False
        return self.control(SYN_STREAM, flags, struct.pack(">IIH", stream, 0, 0) + block)

    def data(self, stream, payload=b"", flags=0):
        return struct.pack(">II", stream, flags << 24 | len(payload)) + payload

    def pair(self, port, payload=b"", step=2, flags=0):
        """Both streams and the first data in one write; returns their ids."""
        error, data = self.next_id, self.next_id + step
        self.next_id = data + 2
        headers = {"port": str(port), "requestid": str(error)}
        bytes_ = self.syn(error, FIN, {"streamtype": "error", **headers})
        bytes_ += self.syn(data, 0, {"streamtype": "data", **headers})
        if payload or flags:
            bytes_ += self.data(data, payload, flags)
        self.socket.sendall(bytes_)
        return error, data

    def frame(self, seconds=5):
        self.socket.settimeout(seconds)
        self.until(lambda: len(self.buffer) >= 8)
        first, length = struct.unpack(">II", self.buffer[:8])
        flags, length = length >> 24, length & 0xffffff
        self.until(lambda: len(self.buffer) >= 8 + length)
        body, self.buffer = self.buffer[8:8 + length], self.buffer[8 + length:]
        if not first >> 31:
            return DATA, first, flags, body
        number = struct.unpack(">I", body[:4])[0]
        return first & 0xffff, number, flags, body[4:]

    def frames(self, seconds=5, stop=lambda f: False):
        """All that come until the one that stops it, or until there is silence."""
        seen = []
        with contextlib.suppress(TimeoutError, EOFError, ssl.SSLError):
            while not seen or not stop(seen[-1]):
                seen.append(self.frame(seconds))
        return seen

    def verdict(self, error, seconds=5):
        """Everything up to the end of the error stream, and how long it took."""
        began = time.monotonic()
        seen = self.frames(seconds, lambda f: f[1] == error and (f[0] == RST or f[0] == DATA and f[2] & FIN))
        text = b"".join(body for kind, number, _, body in seen if kind == DATA and number == error)
        return seen, text.decode(), time.monotonic() - began

    def pings(self, n=5):
        """How many of n pings come back."""
        ids = [self.next_ping + 2 * i for i in range(n)]
        self.next_ping += 2 * n
        self.socket.sendall(b"".join(self.control(PING, 0, struct.pack(">I", i)) for i in ids))
        back = []
        self.frames(0.5, lambda f: f[0] == PING and (back.append(f[1]) or len(back) == n))
        return len(set(back) & set(ids))


@pytest.fixture(params=["1.7", "2.1"])
def runtime(request):
    return request.param


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def bodies(seen, stream):
    return b"".join(body for kind, number, _, body in seen if kind == DATA and number == stream)


def test_opening_costs_no_round_trip(api):
    spdy = Spdy(api, api.pods()[0])
    assert spdy.head.startswith(b"HTTP/1.1 101 ")
    _, data = spdy.pair(8080, GET)
    seen = spdy.frames(1, lambda f: f[:2] == (DATA, data))
    assert sorted(f[1] for f in seen if f[0] == SYN_REPLY) == [1, 3]
    assert b"pod web-" in bodies(seen, data)
    assert spdy.pings() == 5


def test_port_forward_takes_get_or_post_by_right(own):
    def statuses(api):
        pod = api.pods()[0]
        return [int(Spdy(api, pod, method=method).head.split()[1]) for method in ("POST", "GET")]

    assert statuses(own("--rights", "original")) == [101, 403]
    for version, without_create in ("1.34", [403, 101]), ("1.35", [403, 403]):
        api = own("--kubernetes", version)
        assert statuses(api) == [101, 101]
        api.command("deny create pods/portforward")
        assert statuses(api) == without_create


def test_the_end_comes_one_second_after_the_pods(api):
    spdy = Spdy(api, api.pods()[0])
    error, data = spdy.pair(8080, CLOSE)
    seen, text, seconds = spdy.verdict(error)
    assert text == "" and 0.95 < seconds < 1.8
    assert [f[:3] for f in seen[-2:]] == [(DATA, data, FIN), (DATA, error, FIN)]


def test_a_fin_leaves_the_answer_one_second(api):
    spdy = Spdy(api, api.pods()[0])
    error, data = spdy.pair(8080, b"GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n", flags=FIN)
    seen, text, seconds = spdy.verdict(error)
    assert bodies(seen, data) == b"" and text == "" and 0.95 < seconds < 1.8


def test_both_ends_at_once_when_both_have_finished(api):
    spdy = Spdy(api, api.pods()[0])
    error, _ = spdy.pair(8080, CLOSE, flags=FIN)
    _, text, seconds = spdy.verdict(error)
    assert text == "" and seconds < 0.9


def test_a_refused_connection_has_the_text_of_containerd(own, runtime):
    """The text is as long as a real one; 1.7 loses the worker if data was pipelined."""
    api = own("--containerd", runtime)
    for payload, alive in (b"", 5), (b"x", 4 if runtime == "1.7" else 5):
        spdy = Spdy(api, api.pods()[0])
        error, data = spdy.pair(9999, payload, step=10)
        seen, text, seconds = spdy.verdict(error)
        assert len(text) == 458 and "connection refused" in text and seconds < 0.9
        assert seen[-1][0] == (DATA if runtime == "1.7" else RST)
        assert spdy.pings() == alive
        if alive == 4:  # its slot is dead, the others live on
            spdy.next_id = 25
            _, data = spdy.pair(8080, GET)
            assert b"pod web-" in bodies(spdy.frames(0.5), data)


def test_a_reset_connection_has_the_text_of_containerd(own, runtime):
    api = own("--containerd", runtime)
    spdy = Spdy(api, api.pods()[0])
    error, _ = spdy.pair(9005)
    seen, text, seconds = spdy.verdict(error)
    assert text.endswith("read: connection reset by peer")
    assert seconds < 0.9 if runtime == "1.7" else 0.95 < seconds < 1.8
    assert seen[-1][0] == (DATA if runtime == "1.7" else RST)


def test_a_connection_reset_during_an_answer_ends_both_streams(api):
    spdy = Spdy(api, api.pods()[0])
    error, data = spdy.pair(8080, b"GET /reset HTTP/1.1\r\nHost: x\r\n\r\n")
    seen, text, _ = spdy.verdict(error)
    assert bodies(seen, data).endswith(b"0" * 100)
    assert text.endswith("read: connection reset by peer")


def test_the_second_frame_after_the_end_stops_the_worker(api):
    for late, alive in (1, 5), (2, 4):
        spdy = Spdy(api, api.pods()[0])
        error, data = spdy.pair(8080, CLOSE)
        spdy.verdict(error)
        for _ in range(late):
            spdy.socket.sendall(spdy.data(data, b"late"))
        assert spdy.pings() == alive


def test_a_stuck_reader_stalls_its_worker_then_the_session(api):
    spdy = Spdy(api, api.pods()[0])
    _, data = spdy.pair(9002)
    spdy.socket.settimeout(2)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 100 << 20:
            spdy.socket.sendall(spdy.data(data, bytes(32768)))
            sent += 32768
    assert 2 << 20 < sent < 40 << 20


def test_a_stuck_reader_stops_a_fifth_of_the_pings(api):
    spdy = Spdy(api, api.pods()[0])
    _, data = spdy.pair(9002)
    answered = [spdy.pings()]
    while answered[-1] == 5 and len(answered) < 100:
        spdy.socket.sendall(b"".join(spdy.data(data, bytes(32768)) for _ in range(8)))
        answered.append(spdy.pings())
    assert answered[-1] == 4, "the other four workers live on"


def test_even_pings_and_low_ids_are_refused(api):
    spdy = Spdy(api, api.pods()[0])
    spdy.socket.sendall(spdy.control(PING, 0, struct.pack(">I", 2)))
    spdy.pair(8080)
    spdy.socket.sendall(spdy.syn(1, 0, {"streamtype": "data", "port": "1", "requestid": "9"}))
    seen = spdy.frames(0.5)
    assert (RST, 1, 0, struct.pack(">I", 1)) in seen
    assert not [f for f in seen if f[0] == PING]


def test_a_stream_without_a_port_is_reset(api):
    spdy = Spdy(api, api.pods()[0])
    spdy.socket.sendall(spdy.syn(1, 0, {"streamtype": "data", "requestid": "1"}))
    assert spdy.frame() == (RST, 1, 0, struct.pack(">I", 5))
    spdy.next_id = 3
    _, data = spdy.pair(8080, GET)
    assert bodies(spdy.frames(0.5), data), "the session lives on"


def test_a_deleted_pod_ends_its_connections(own):
    api = own()
    pod = api.pods()[0]
    spdy = Spdy(api, pod)
    error, _ = spdy.pair(9000, b"alive")
    spdy.frames(0.3)
    api.command(f"pod delete shop/{pod}")
    _, text, seconds = spdy.verdict(error)
    assert text == "" and 0.7 < seconds < 1.8
    error, _ = spdy.pair(9000)
    _, text, _ = spdy.verdict(error)
    assert len(text) == 215 and "failed to find sandbox" in text
    assert spdy.pings() == 5, "the tunnel itself stays"
    assert Spdy(api, pod).head.startswith(b"HTTP/1.1 404 ")


def test_a_replaced_pod_is_another(own):
    api = own()
    old = api.get("/api/v1/namespaces/shop/pods/db-0")[1]["metadata"]["uid"]
    spdy = Spdy(api, "db-0")
    api.command("pod replace shop/db-0")
    assert api.get("/api/v1/namespaces/shop/pods/db-0")[1]["metadata"]["uid"] != old
    error, _ = spdy.pair(8080, GET)
    assert "failed to find sandbox" in spdy.verdict(error)[1]
    fresh = Spdy(api, "db-0")
    _, data = fresh.pair(8080, GET)
    assert b"pod db-0" in bodies(fresh.frames(0.3), data)


def test_a_port_can_be_served_from_outside(own):
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = own("--backend", f"web:8080=127.0.0.1:{server.getsockname()[1]}")
        spdy = Spdy(api, api.pods()[0])
        _, data = spdy.pair(8080, b"to the outside")
        connection, _ = server.accept()
        assert connection.recv(100) == b"to the outside"
        connection.sendall(b"from there")
        assert bodies(spdy.frames(0.3), data) == b"from there"
    connection.close()
    error, _ = spdy.pair(8080)
    assert "connection refused" in spdy.verdict(error)[1]


# misbehaviour on command


def test_dials_fail_as_commanded(own):
    api = own()
    pod = api.pods()[0]
    api.command("throttle 1", "empty-500 1", "bare-404 1")
    heads = [Spdy(api, pod).head for _ in range(4)]
    assert [int(head.split()[1]) for head in heads] == [429, 500, 404, 101]
    assert b"\r\nRetry-After: 1\r\n" in heads[0] and b"\r\nContent-Length: 0" in heads[1]


def test_connections_fail_as_commanded(own):
    api = own()
    pod = api.pods()[0]
    for command, text in ("refuse", "connection refused"), ("reset", "reset by peer"), ("heal", None):
        api.command(f"{command} shop/{pod}:8080")
        spdy = Spdy(api, pod)
        error, data = spdy.pair(8080, GET)
        if text:
            assert text in spdy.verdict(error)[1]
        else:
            assert b"pod web-" in bodies(spdy.frames(0.3), data)


def test_a_reset_may_come_without_a_text(own, runtime):
    api = own("--containerd", runtime)
    pod = api.pods()[0]
    api.command(f"reset-silently shop/{pod}:8080")
    spdy = Spdy(api, pod)
    error, data = spdy.pair(8080)
    seen, text, _ = spdy.verdict(error)
    assert text == "" and [f[:2] for f in seen[-2:]] == [(RST, data), (RST, error)]


def test_tunnels_fail_as_commanded(own):
    api = own()
    pod = api.pods()[0]
    spdy = Spdy(api, pod)
    api.command("stall-worker 2")
    assert spdy.pings() == 4
    api.command("freeze")
    assert spdy.pings() == 0
    for command in "drop-tunnels", "cut-mid-frame":
        spdy = Spdy(api, pod)
        api.command(command)
        with contextlib.suppress(OSError):
            spdy.pair(8080, GET)
        with pytest.raises((EOFError, OSError)):
            while True:
                spdy.frame(2)


def test_tunnels_may_end_by_close_or_reset(own):
    """A relay sends close_notify, a killed process does not, a reset is one."""
    api = own()
    pod = api.pods()[0]
    for command, end in (("drop-tunnels", b""), ("kill-tunnels", ssl.SSLError),
                         ("reset-tunnels", (ConnectionResetError, ssl.SSLEOFError)), ("node off", b"")):
        spdy = Spdy(api, pod)
        spdy.socket.suppress_ragged_eofs = False
        api.command(command)
        if end == b"":
            assert spdy.socket.recv(100) == b""
        else:
            with pytest.raises(end):
                spdy.socket.recv(100)
    head = Spdy(api, pod).head
    assert head.startswith(b"HTTP/1.1 500 ")
    api.command("node on")
    assert Spdy(api, pod).head.startswith(b"HTTP/1.1 101 ")


def test_a_verdict_can_be_late(own):
    """The data stream ends when it should, its error stream has the reason later."""
    api = own()
    api.command("late-verdict 700")
    for port, words in (8080, ""), (9999, "connection refused"):
        spdy = Spdy(api, api.pods()[0])
        error, data = spdy.pair(port, CLOSE if port == 8080 else b"")
        seen = spdy.frames(2, lambda f: f[:3] == (DATA, data, FIN))
        assert not bodies(seen, error)
        _, text, seconds = spdy.verdict(error)
        assert words in text and 0.6 < seconds < 1.2


def test_slices_can_be_outdated(own):
    api = own()
    path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb"

    def named():
        return {e["targetRef"]["name"] for s in api.get(path)[1]["items"] for e in s["endpoints"]}

    before = named()
    api.command("stale on", "pod add shop/web-new web", f"pod delete shop/{min(before)}")
    assert named() == before
    api.command("stale off")
    assert named() == before - {min(before)} | {"web-new"}


def test_trickled_frames_are_complete(own):
    api = own()
    api.command("trickle on")
    spdy = Spdy(api, api.pods()[0])
    _, data = spdy.pair(8080, GET)
    assert b"path /\n" in bodies(spdy.frames(0.5), data)


def test_rights_and_tokens_can_be_revoked(own):
    api = own()
    api.command("deny create pods/portforward")
    assert Spdy(api, api.pods()[0]).head.startswith(b"HTTP/1.1 403 ")
    api.command("allow create pods/portforward", "token off")
    assert api.get("/api/v1/pods")[0] == 401


def test_a_restart_ends_all_connections(own):
    api = own()
    spdy = Spdy(api, api.pods()[0])
    api.command("restart 300")
    with pytest.raises(ssl.SSLError, match="EOF"):
        spdy.frame()
    with pytest.raises(OSError):
        api.connect()
    eventually(lambda: answers(api), pause=0.05)


def answers(api):
    try:
        return api.get("/version")[0] == 200
    except OSError:
        return False


def test_a_black_hole_opens_and_closes(start_playground, tmp_path):
    control = tmp_path / "control"
    api = Api(start_playground("--control", str(control)))
    spdy = Spdy(api, api.pods()[0])

    def command(line):
        return curl("--unix-socket", str(control), "-d", line, "http://control/playground").status

    assert command("blackhole on") == 200
    assert spdy.pings() == 0
    assert command("blackhole off") == 200
    assert len([f for f in spdy.frames(0.5) if f[0] == PING]) == 5


def test_help_lists_the_commands(api):
    assert "pod delete" in api.command("help")
    with pytest.raises(urllib.error.HTTPError) as error:
        api.command("dance")
    assert error.value.code == 400 and b"no such command" in error.value.read()
