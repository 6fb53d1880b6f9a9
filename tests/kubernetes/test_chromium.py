"""A real browser on a real cluster: without DNS, with the PAC file, with SOCKS, and over TLS with the local CA.

SPDX-License-Identifier: MIT
"""
import subprocess
import sys
from pathlib import Path

import pytest

from tunnel_process import clean_environment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
from browser import BROWSER  # noqa: E402
from test_termination_browser import command, home, look, pytestmark  # noqa: E402, F401
from test_termination_browser import test_a_browser_opens_https_to_a_plain_service  # noqa: E402, F401

FULL = "web.shop.svc.cluster.local"


@pytest.fixture(scope="module")
def tunnel(cluster, home, tmp_path_factory):  # noqa: F811
    from tunnel_process import KubeTunnel
    tunnel = KubeTunnel(kubeconfig=cluster.config("watcher"), folder=tmp_path_factory.mktemp("browser"),
                        environment=home.environment)
    yield tunnel.start()
    tunnel.stop()


@pytest.mark.parametrize("host, proxy", [
    ("web.shop.localhost:PORT", "--no-proxy-server"), (FULL, "--proxy-pac-url=http://localhost:PORT/proxy.pac"),
    (FULL, "--proxy-server=socks5://localhost:PORT"), (FULL, "--proxy-server=http://localhost:PORT")],
    ids=["localhost", "PAC", "SOCKS", "proxy"])
def test_a_browser_opens_a_service(tunnel, tmp_path, host, proxy):
    host, proxy = (word.replace("PORT", str(tunnel.port)) for word in (host, proxy))
    done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", proxy,
                           f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"http://{host}/x"],
                          capture_output=True, text=True, timeout=60, env=clean_environment())
    assert f"method GET host {host} path /x" in done.stdout, done
