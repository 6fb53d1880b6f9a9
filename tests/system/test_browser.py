"""A real browser: the names it resolves by itself, and what pages may and may not do.

SPDX-License-Identifier: MIT
"""
import http.server
import json
import queue
import re
import shutil
import subprocess
import threading

import pytest

from tunnel_process import clean_environment

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here: NOTHING about browsers is tested")

# A page that takes some steps and then tells its own server what came of each.
PAGE = """<!doctype html><script>
const attempt = async step => { try { return await step() } catch (e) { return "failed: " + e.name } };
(async () => {
    const said = {};
    for (const [name, step] of Object.entries({%s})) said[name] = await attempt(step);
    await fetch("/said", {method: "POST", body: JSON.stringify(said)});
})();
</script>"""


@pytest.fixture
def command(tmp_path):
    """command(url, *flags, hosts={}): the browser in a home of its own; hosts are names it is to know."""
    def make(url, *flags, hosts=()):
        rules = ",".join(f"MAP {name} 127.0.0.1" for name in hosts)
        return [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run",
                f"--user-data-dir={tmp_path}/profile", f"--host-resolver-rules={rules}", *flags, url]
    return make


@pytest.fixture
def look(command):
    """look(url): the page, as text."""
    def run(url, **options):
        done = subprocess.run(command(url, "--dump-dom", **options), capture_output=True, text=True, timeout=60,
                              env=clean_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


@pytest.fixture
def visit(command):
    """visit(url, told): open a PAGE and return what it told its server, which is what told() returns."""
    def run(url, told, **options):
        browser = subprocess.Popen(command(url, **options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=clean_environment())
        try:
            return json.loads(told())
        finally:
            browser.terminate()
            browser.wait(10)
    return run


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A web server of somebody else, with a PAGE."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page)

    def do_POST(self):
        self.server.told.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.told = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_browser_needs_no_dns(tunnel, look):
    page = look(f"http://web.shop.localhost:{tunnel.port}/x")
    assert f"method GET host web.shop.localhost:{tunnel.port} path /x" in page


def test_an_error_is_a_page(tunnel, look):
    page = look(f"http://nosuch.shop.localhost:{tunnel.port}/")
    assert '<h1>Failed to get service shop/nosuch: services "nosuch" not found</h1>' in page


STEPS_AT_HOME = """
    post: async () => (await fetch("/post", {method: "POST", body: "hello"})).status,
    events: () => new Promise(done => {
        const source = new EventSource("/events"), seen = [];
        source.onmessage = e => { seen.push(e.data); if (seen.length == 3) { source.close(); done(seen) } };
    }),
    socket: () => new Promise((done, fail) => {
        const ws = new WebSocket("ws://web.shop.localhost:PORT/ws");
        ws.onopen = () => ws.send("x".repeat(1 << 20));
        ws.onmessage = e => { done(e.data.length); ws.close() };
        ws.onerror = () => fail(new Error("no WebSocket"));
    }),
    other: async () => (await fetch("http://web.shop.localhost:PORT/", {mode: "no-cors"})).type,
"""


def test_a_page_of_the_cluster_works(start_tunnel, pod, visit):
    """It posts to itself, gets events, and talks through a WebSocket to another service."""
    tunnel = start_tunnel("--target-port", "8080")  # the URL's port is the door's
    page = (PAGE % STEPS_AT_HOME.replace("PORT", str(tunnel.port))).encode()

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
    assert said == {"post": 200, "events": ["0", "1", "2"], "socket": 1 << 20, "other": "opaque"}
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


def test_a_page_from_elsewhere_reaches_nothing(start_tunnel, pod, elsewhere, visit):
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


def test_a_name_bent_to_this_machine_reads_nothing(tunnel, look):
    page = look(f"http://www.evil.example:{tunnel.port}/metrics", hosts=["www.evil.example"])
    assert "Invalid host" in page and "kube_tunnel_" not in page
