"""The browser of the tests.

SPDX-License-Identifier: MIT
"""
import shutil

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(not BROWSER, reason="no chromium here: NOTHING about browsers is tested")


@pytest.fixture
def command(tmp_path):
    """command(url, *flags, hosts=()): the browser in a home of its own; hosts are names it is to know."""
    def make(url, *flags, hosts=()):
        rules = ",".join(f"MAP {name} 127.0.0.1" for name in hosts)
        proxy = [] if any(flag.startswith("--proxy-") for flag in flags) else ["--no-proxy-server"]
        return [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *proxy, "--no-first-run",
                f"--user-data-dir={tmp_path}/profile", f"--host-resolver-rules={rules}", *flags, url]
    return make
