"""A real browser: the names it resolves by itself, and what pages may and may not do.

SPDX-License-Identifier: MIT
"""
import http.server
import json
import queue
import re
import shutil
import socket
import subprocess

import pytest

from browser import command, needs_browser  # noqa: F401
from http_client import Client, request
from local_server import web_servers
from tunnel_process import clean_environment, eventually

pytestmark = needs_browser

# A page that takes some steps and then posts the result of each to its own server.
PAGE = """<!doctype html><script>
const attempt = async step => { try { return await step() } catch (e) { return "failed: " + e.name } };
(async () => {
    const said = {};
    for (const [name, step] of Object.entries({%s})) said[name] = await attempt(step);
    await fetch("/said", {method: "POST", body: JSON.stringify(said)});
})();
</script>"""


@pytest.fixture
def look(command):
    """look(url, *flags): the page, as text."""
    def run(url, *flags, **options):
        done = subprocess.run(command(url, "--dump-dom", *flags, **options), capture_output=True, text=True, timeout=60,
                              env=clean_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


@pytest.fixture
def visit(command):
    """visit(url, told): open a PAGE and return what it posted to its server, which is what told() returns."""
    def run(url, told, *flags, **options):
        browser = subprocess.Popen(command(url, *flags, **options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=clean_environment())
        try:
            return json.loads(told())
        finally:
            browser.terminate()
            browser.wait(10)
    return run


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A foreign web server: one page, or one for each of its names."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.pages.get(self.headers["Host"].partition(":")[0], self.server.page))

    def do_POST(self):
        self.server.told.put(self.rfile.read(int(self.headers["Content-Length"])))
        Elsewhere.do_GET(self)

    def log_message(self, *_):
        pass


class Rebound(Elsewhere):
    """The same, and after /page its name leads to kube-tunnel, as a hostile DNS server would have it."""

    def do_GET(self):
        if self.path == "/page":
            super().do_GET()
        else:
            self.pass_on()

    def do_POST(self):
        if self.path == "/said":
            super().do_POST()
        else:
            self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def pass_on(self, body=b""):
        self.headers.replace_header("Connection", "close")
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        with socket.create_connection(("127.0.0.1", self.server.tunnel_port), 10) as tunnel:
            tunnel.sendall(self.raw_requestline + fields.encode("latin-1") + b"\r\n" + body)
            while some := tunnel.recv(65536):
                self.wfile.write(some)
        self.close_connection = True


@pytest.fixture
def start_server():
    """start_server(handler): a web server, with a queue of what its pages posted."""
    with web_servers() as start:
        def start_with_pages(handler):
            server = start(handler)
            server.told, server.pages, server.page = queue.Queue(), {}, b""
            return server
        yield start_with_pages


@pytest.fixture
def elsewhere(start_server):
    return start_server(Elsewhere)


def test_a_browser_needs_no_dns(tunnel, look):
    page = look(f"http://web.shop.localhost:{tunnel.port}/x")
    assert f"method GET host web.shop.localhost:{tunnel.port} path /x" in page


def test_an_error_is_a_page(tunnel, look):
    page = look(f"http://nosuch.shop.localhost:{tunnel.port}/")
    assert '<h1>Failed to get service shop/nosuch: services "nosuch" not found</h1>' in page


def test_full_names_work_with_the_pac_file(tunnel, look):
    """http://localhost:PORT/proxy.pac sends them here, and no DNS knows them."""
    page = look("http://web.shop.svc.cluster.local/x", f"--proxy-pac-url=http://localhost:{tunnel.port}/proxy.pac")
    assert "method GET host web.shop.svc.cluster.local path /x" in page


def test_other_names_are_direct_with_the_pac_file(tunnel, elsewhere, look):
    elsewhere.page = b"a page from elsewhere"
    page = look(f"http://web.shop.example:{elsewhere.server_port}/",
                f"--proxy-pac-url=http://localhost:{tunnel.port}/proxy.pac", hosts=["web.shop.example"])
    assert "a page from elsewhere" in page


def test_full_names_work_with_socks(tunnel, look):
    page = look("http://web.shop.svc.cluster.local/x", f"--proxy-server=socks5://localhost:{tunnel.port}")
    assert "method GET host web.shop.svc.cluster.local path /x" in page


STEPS_THROUGH_A_PROXY = """
    post: async () => (await fetch("http://TARGET/post", {method: "POST", mode: "no-cors", body: "x"})).type,
    socket: () => new Promise(done => {
        const ws = new WebSocket("ws://TARGET/ws");
        ws.onopen = () => done("open");
        ws.onerror = () => done("not open");
    }),
"""


@pytest.mark.parametrize("kind", ["PAC", "SOCKS"])
def test_a_page_from_elsewhere_reaches_nothing_through_the_proxy(start_tunnel, elsewhere, visit, kind):
    """A browser sends ws:// URLs through CONNECT, and everything through SOCKS."""
    tunnel = start_tunnel()
    flag = {"PAC": f"--proxy-pac-url=http://localhost:{tunnel.port}/proxy.pac",
            "SOCKS": f"--proxy-server=socks5://localhost:{tunnel.port}"}[kind]
    steps = STEPS_THROUGH_A_PROXY.replace("TARGET", "web.shop.svc.cluster.local")
    elsewhere.page = (PAGE % steps).encode()
    said = visit(f"http://evil.localhost:{elsewhere.server_port}/", lambda: elsewhere.told.get(timeout=30), flag)
    assert said["socket"] == "not open", said
    for path in ("post", "ws"):
        tunnel.wait_for_log(rf"request method=\S+ host=web\.shop\S* path=/{path} status=403")


@pytest.mark.parametrize("kind, opened", [("PAC", ["socket"]), ("SOCKS", ["socket", "post"])])
def test_raw_proxy_bytes_let_a_page_from_elsewhere_reach_services(start_tunnel, pod, elsewhere, visit, kind, opened):
    """What --proxy-raw opens in a browser that uses the proxy, and why it is not the default (decision 151)."""
    tunnel = start_tunnel("--proxy-raw", "--target-port", "8080")
    flag = {"PAC": f"--proxy-pac-url=http://localhost:{tunnel.port}/proxy.pac",
            "SOCKS": f"--proxy-server=socks5://localhost:{tunnel.port}"}[kind]

    def script(connection):
        connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    pod.plays(script)
    steps = STEPS_THROUGH_A_PROXY.replace("TARGET", f"{pod.name}.many.pod.cluster.local:8080")
    elsewhere.page = (PAGE % steps).encode()
    visit(f"http://evil.localhost:{elsewhere.server_port}/", lambda: elsewhere.told.get(timeout=30), flag)
    paths = {"socket": b"GET /ws", "post": b"POST /post"}
    for step in opened:
        head = next(h for h in pod.heads if h.startswith(paths[step]))
        assert b"\r\nOrigin: http://evil.localhost:" in head, head


STEPS_AT_HOME = """
    post: async () => (await fetch("/post", {method: "POST", body: "hello"})).status,
    events: () => new Promise(done => {
        const source = new EventSource("/events"), seen = [];
        source.onmessage = e => { seen.push(e.data); if (seen.length == 3) { source.close(); done(seen) } };
    }),
"""


def test_a_page_of_the_cluster_works(start_tunnel, pod, visit):
    """It posts to itself and gets events."""
    tunnel = start_tunnel("--target-port", "8080")  # the URL's port is the listener's
    page = (PAGE % STEPS_AT_HOME).encode()

    def script(connection):
        method, path = connection.head.split(b" ")[:2]
        kind, answer = b"text/html", page
        if method == b"POST":
            length = int(re.search(rb"(?i)content-length: (\d+)", connection.head).group(1))
            body, answer = connection.take(length), b""
            if path == b"/said":
                pod.tell(body)
        elif path == b"/events":
            kind, answer = b"text/event-stream", b"".join(b"data: %d\n\n" % i for i in range(3))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (kind, len(answer), answer))
    pod.plays(script)
    said = visit(f"http://{pod.name}.many.pod.localhost:{tunnel.port}/", lambda: pod.told(30))
    assert said == {"post": 200, "events": ["0", "1", "2"]}
    assert any(head.startswith(b"POST /post") and b"\r\nOrigin: http://" in head for head in pod.heads)


STEPS_ELSEWHERE = """
    post: async () => (await fetch("http://TARGET/post", {method: "POST", mode: "no-cors", body: "x"})).type,
    get: async () => (await fetch("http://TARGET/get", {mode: "no-cors"})).type,
    image: () => new Promise(done => {
        const image = new Image();
        image.onload = () => done("loaded");
        image.onerror = () => done("not loaded");
        image.src = "http://TARGET/image";
    }),
    socket: () => new Promise(done => {
        const ws = new WebSocket("ws://TARGET/ws");
        ws.onopen = () => done("open");
        ws.onerror = () => done("not open");
    }),
"""


def test_a_page_from_elsewhere_reaches_no_service(start_tunnel, pod, elsewhere, visit):
    """Not by a form's kind of request, not by a subresource, not by a WebSocket."""
    tunnel = start_tunnel("--target-port", "8080")
    pod.answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    target = f"{pod.name}.many.pod.localhost:{tunnel.port}"
    elsewhere.page = (PAGE % STEPS_ELSEWHERE.replace("TARGET", target)).encode()
    said = visit(f"http://evil.example:{elsewhere.server_port}/", lambda: elsewhere.told.get(timeout=30),
                 hosts=["evil.example"])
    assert (said["image"], said["socket"]) == ("not loaded", "not open"), said
    assert pod.heads == [], "whatever the page was told, the pod heard nothing of it"
    for path in ("post", "get", "image", "ws"):
        tunnel.wait_for_log(rf"request method=\S+ host=\S+ path=/{path} status=403")


# What pages of one origin try against a service; {n} makes the paths of each page its own.
STEPS_OF_A_PAGE = """
    post: async () => (await fetch("http://TARGET/post-NAME", {method: "POST", mode: "no-cors", body: "x"})).type,
    socket: () => new Promise(done => {
        const ws = new WebSocket("ws://TARGET/ws");
        ws.onopen = () => ws.send("x".repeat(1 << 20));
        ws.onmessage = e => { done(e.data.length); ws.close() };
        ws.onerror = () => done("not open");
    }),
    frames: () => Promise.all(["iframe", "object", "embed"].map(kind => new Promise(done => {
        const frame = document.createElement(kind);
        frame.onload = frame.onerror = done;
        setTimeout(done, 2000);
        frame[kind == "object" ? "data" : "src"] = "http://TARGET/" + kind + "-NAME";
        document.body.append(frame);
    }))).then(() => 0),
    login: () => new Promise(done => {
        const frame = document.createElement("iframe"), form = document.createElement("form");
        frame.name = "login";
        document.body.append(frame, form);
        Object.assign(form, {method: "POST", action: "http://TARGET/login-NAME", target: "login"});
        frame.onload = () => done(0);
        setTimeout(() => done(0), 2000);
        form.submit();
    }),
"""
# ... and all of them in frames of one page, so that one browser is enough.
ALL_PAGES = """<!doctype html><body><script>
for (const url of %s) document.body.append(Object.assign(document.createElement("iframe"), {src: url}));
</script>"""


def statuses(tunnel, name):
    """What kube-tunnel answered to that page: {path without the name: status}."""
    found = re.findall(rf"request method=\S+ host=\S+ path=/(\w+)-{name} status=(\d+)", tunnel.log())
    return {path: int(status) for path, status in found}


def test_pages_reach_services_of_their_own_namespace_and_others_that_are_listed(
        start_tunnel, elsewhere, visit, command):
    """A single-page application, its API in one namespace and in two, a development server, a login, an IDE."""
    port = elsewhere.server_port
    pages = {"spa": "spa.shop.localhost", "dev": "localhost", "far": "spa.other.localhost", "ide": "ide.example",
             "named": "named.shop"}
    urls = {name: f"http://{host}:{port}" for name, host in pages.items()}
    strict = start_tunnel("--target-port", "8080")
    listed = start_tunnel("--target-port", "8080", "--allow-origin", urls["far"], "--allow-origin", urls["ide"],
                          "--allow-origin", "*.shop")
    steps = {tunnel: STEPS_OF_A_PAGE.replace("TARGET", f"web.shop.localhost:{tunnel.port}")
             for tunnel in (strict, listed)}
    elsewhere.page = (ALL_PAGES % json.dumps([url + "/page" for url in urls.values()])).encode()
    for name, host in pages.items():
        both = "".join(re.sub(r"(?m)^    (\w+):", rf"    {kind}_\1:", text)
                       for kind, text in (("strict", steps[strict]), ("listed", steps[listed])))
        page = PAGE % (f'name: () => "{name}",' + both.replace("NAME", name))
        elsewhere.pages[host] = page.replace("<script>", "<body><script>", 1).encode()

    def told():
        said = [json.loads(elsewhere.told.get(timeout=30)) for _ in pages]
        return json.dumps({one["name"]: one for one in said})
    said = visit(f"http://hub.example:{port}/", told, hosts=["hub.example", "ide.example", "named.shop"])

    for tunnel in (strict, listed):
        eventually(lambda: all(len(statuses(tunnel, name)) == 5 for name in pages))
    all_of = dict.fromkeys(("post", "iframe", "object", "embed", "login"), 200)
    none = dict.fromkeys(all_of, 403)
    # Frames of a page of the same namespace are same-site; those of localhost are not.
    assert statuses(strict, "spa") == all_of and said["spa"]["strict_socket"] == 1 << 20
    assert statuses(strict, "dev") == {**none, "post": 200, "login": 200} and said["dev"]["strict_socket"] == 1 << 20
    for name in ("far", "ide", "named"):
        assert statuses(strict, name) == none and said[name]["strict_socket"] == "not open", name
        assert statuses(listed, name) == all_of and said[name]["listed_socket"] == 1 << 20, name
        fields = [f"Origin: {urls[name]}", "Content-Length: 0"]
        with Client(strict.port) as client:
            refusal = client.ask(request("web.shop.localhost", "/", "POST", fields=fields)).text
        assert refusal.endswith(f" --allow-origin {urls[name]}\n"), "the flag that allows it"


STEPS_OF_A_REBOUND_PAGE = """
    fetch: async () => (await fetch("/secret")).text(),
    post: async () => (await fetch("/upload", {method: "POST", body: "x"})).text(),
    xhr: () => new Promise(done => {
        const xhr = new XMLHttpRequest();
        xhr.onloadend = () => done(xhr.responseText);
        xhr.open("GET", "/secret");
        xhr.send();
    }),
    events: () => new Promise(done => {
        const source = new EventSource("/sse");
        source.onmessage = e => { source.close(); done(e.data) };
        source.onerror = () => { source.close(); done("refused") };
    }),
    form: () => new Promise(done => {
        const frame = document.createElement("iframe"), form = document.createElement("form");
        frame.name = "form";
        document.body.append(frame, form);
        Object.assign(form, {method: "POST", action: "/upload", target: "form"});
        const read = () => { try { return frame.contentDocument.body.innerText } catch (e) { return "not readable" } };
        frame.onload = () => done(read());
        setTimeout(() => done(read()), 3000);
        form.submit();
    }),
"""


@pytest.mark.parametrize("flags", [[], ["--user-agent=curl/8.0"]], ids=["own", "changed"])
def test_a_domain_named_like_a_service_cannot_read_it(start_tunnel, start_server, visit, flags):
    """web.shop may exist: its page rebinds the name to this machine, and is same-origin with the service."""
    tunnel, server = start_tunnel("--target-port", "8080"), start_server(Rebound)
    server.tunnel_port = tunnel.port
    page = PAGE % STEPS_OF_A_REBOUND_PAGE
    server.page = page.replace("<script>", "<body><script>", 1).encode()
    said = visit(f"http://web.shop:{server.server_port}/page", lambda: server.told.get(timeout=30), *flags,
                 hosts=["web.shop"])
    refusal = "Forbidden: short name web.shop"
    for step in ("fetch", "post", "xhr"):
        assert said[step].startswith(refusal), said
    assert said["events"] == "refused" and "method" not in said["form"], said
    seen = r"request method=\S+ host=web\.shop\S* path=/\w+ status=(\d+)"
    eventually(lambda: re.findall(seen, tunnel.log()) == ["403"] * 5)


NODE_FETCHES = """
require("dns").lookup = (name, options, done) =>
    options.all ? done(null, [{address: "127.0.0.1", family: 4}]) : done(null, "127.0.0.1", 4);
Promise.all(process.argv.slice(1).map(async url => (await fetch(url)).status)).then(all => console.log(all.join()));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here: its fetch is not tested")
def test_node_fetch_reaches_services_by_full_name_and_localhost(tunnel):
    """It sends Sec-Fetch-Mode: cors, and is no browser."""
    names = ("web.shop.svc.cluster.local", "web.shop.localhost")
    urls = [f"http://{name}:{tunnel.port}/node" for name in names]
    done = subprocess.run(["node", "-e", NODE_FETCHES, *urls], capture_output=True, text=True, timeout=30,
                          env=clean_environment())
    assert done.stdout == "200,200\n", done.stderr
    with Client(tunnel.port) as client:
        sent = ["accept: */*", "accept-language: *", "sec-fetch-mode: cors", "user-agent: node"]
        assert client.ask(request("web.shop", "http://web.shop/", fields=sent)).status == 200


def test_a_name_resolved_to_this_machine_cannot_read_services(tunnel, look):
    page = look(f"http://www.evil.example:{tunnel.port}/metrics", hosts=["www.evil.example"])
    assert "Invalid host" in page and "kube_tunnel_" not in page
