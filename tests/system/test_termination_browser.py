"""A real browser and the local CA: https:// to plain services, and what the browser refuses.

SPDX-License-Identifier: MIT
"""
import http.server
import queue
import ssl
import subprocess

import pytest

from browser import command, needs_browser  # noqa: F401
from local_ca import Home, needs_certutil
from local_server import web_servers
from tunnel_process import clean_environment

pytestmark = [needs_browser, needs_certutil]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose NSS database trusts a new local CA, as after `kube-tunnel ca install`."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.make_nss()
    authority = home.ca("export", isolated=False).stdout
    home.run("certutil", "-d", f"sql:{home.nss}", "-A", "-a", "-t", "C,,", "-n", "kube-tunnel", "-f", "/dev/null",
             isolated=False, input=authority)
    assert "C,," in home.run("certutil", "-d", f"sql:{home.nss}", "-L", isolated=False).stdout
    return home


@pytest.fixture
def look(command, home):
    """look(url, *flags, hosts=(), home=home): the page, as text."""
    def run(url, *flags, hosts=(), home=home):
        done = subprocess.run(command(url, "--dump-dom", *flags, hosts=hosts), capture_output=True, text=True,
                              timeout=60, env=clean_environment(**home.environment))
        return done.stdout
    return run


@pytest.fixture
def tunnel(start_tunnel, home):
    return start_tunnel(environment=home.environment)


@pytest.mark.parametrize("name", ["web.shop.localhost", "web.shop.svc.cluster.local"])
def test_a_browser_opens_https_to_a_plain_service(tunnel, look, name):
    page = look(f"https://{name}:{tunnel.port}/x", hosts=[name])
    assert f"method GET host {name}:{tunnel.port} path /x" in page, page
    tunnel.wait_for_log(r"session from=greet to=streams")  # HTTP/2


def test_full_names_need_no_dns_and_no_port_with_the_pac_file(tunnel, look):
    page = look("https://web.shop.svc.cluster.local/x", f"--proxy-pac-url=http://localhost:{tunnel.port}/proxy.pac")
    assert "method GET host web.shop.svc.cluster.local path /x" in page, page


def test_a_browser_without_the_ca_shows_no_page(tunnel, look, tmp_path):
    (tmp_path / "other").mkdir()
    page = look(f"https://web.shop.localhost:{tunnel.port}/x", home=Home(tmp_path / "other"))
    assert "method GET" not in page, page
    tunnel.wait_for_log(r"does not trust the local CA .*kube-tunnel ca install")


SOCKET = """<!doctype html><script>
const done = said => fetch("/said", {method: "POST", body: said});
const ws = new WebSocket("wss://TARGET/ws");
ws.onopen = () => ws.send("hello over TLS");
ws.onmessage = e => { ws.close(); done("echo: " + e.data) };
ws.onerror = () => done("not open");
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    """One page, perhaps over TLS; what browsers post, and the alerts that they send, are kept."""

    def setup(self):
        self.failed = False
        if self.server.context:
            try:
                self.request = self.server.context.wrap_socket(self.request, server_side=True)
            except (ssl.SSLError, OSError) as e:
                self.failed = True
                self.server.alerts.put(str(e))
        super().setup()

    def handle(self):
        if not self.failed:
            super().handle()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page)

    def do_POST(self):
        self.server.said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """serve(page, context=None): a server of this page."""
    with web_servers() as start:
        def start_with_page(page, context=None):
            server = start(Page)
            server.page, server.context = page.encode(), context
            server.said, server.alerts = queue.Queue(), queue.Queue()
            return server
        yield start_with_page


def test_a_websocket_works_over_tls(tunnel, command, serve, home):
    server = serve(SOCKET.replace("TARGET", f"web.shop.localhost:{tunnel.port}"))
    browser = subprocess.Popen(command(f"http://localhost:{server.server_port}/"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=clean_environment(**home.environment))
    try:
        assert server.said.get(timeout=30) == "echo: hello over TLS"
    finally:
        browser.terminate()
        browser.wait(10)


def sign(home, names, folder):
    """A context of a server with a certificate for these names, signed with the CA's key."""
    (folder / "extensions").write_text(f"basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n"
                                       "extendedKeyUsage=serverAuth\n")
    for command in (
            ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             folder / "key", "-out", folder / "request", "-subj", "/O=thief"],
            ["openssl", "x509", "-req", "-in", folder / "request", "-CA", home.key, "-CAkey", home.key,
             "-CAcreateserial", "-CAserial", folder / "serial", "-days", "2", "-extfile", folder / "extensions",
             "-out", folder / "certificate"]):
        done = home.run(*command, isolated=False)
        assert done.returncode == 0, done
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.mark.parametrize("names, host, works", [
    ("DNS:web.shop.localhost", "web.shop.localhost", True), ("DNS:example.com", "example.com", False),
    ("DNS:web.shop.svc.cluster.local", "web.shop.svc.cluster.local", True),
    ("DNS:a.b.cluster.local", "a.b.cluster.local", False), ("IP:127.0.0.2", "127.0.0.2", False), ("DNS:web.shop.localhost,DNS:example.com", "web.shop.localhost", False)])
def test_a_certificate_that_a_thief_signs_works_in_the_cluster_only(home, look, serve, tmp_path, names, host, works):
    """The first row shows that the browser trusts the CA in this test at all."""
    server = serve("<p>a page of the thief</p>", sign(home, names, tmp_path))
    log = tmp_path / "net.json"
    page = look(f"https://{host}:{server.server_port}/", f"--log-net-log={log}", hosts=["*"])
    assert ("a page of the thief" in page) == works, page
    if not works:
        assert "CERTIFICATE" in server.alerts.get(timeout=10), "the browser sends an alert"
        assert "Not permitted by name constraints" in log.read_text(), "its reason"
