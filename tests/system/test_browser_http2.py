"""A real browser over HTTP/2: a WebSocket in a stream of the connection that the page came on (RFC 8441).

SPDX-License-Identifier: MIT
"""
import asyncio
import contextlib
import http
import queue
import subprocess
import threading

import websockets

from test_termination_browser import command, home, pytestmark  # noqa: F401
from tunnel_process import clean_environment

PAGE = b"""<!doctype html><script>
const ws = new WebSocket("wss://" + location.host + "/ws");
let size = 0;
ws.onopen = () => ws.send("hello");
ws.onmessage = e => ws.send(e.data == "hello" ? "x".repeat(300000) : "got " + e.data.length);
</script>"""


class Site:
    """A pod of HTTP/1.1 with this page, and a WebSocket that sends back what comes."""

    def __init__(self):
        self.messages = queue.Queue()
        self.started = queue.Queue()
        threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True).start()
        self.port = self.started.get(timeout=10)

    async def run(self):
        async with websockets.serve(self.echo, "127.0.0.1", 0, process_request=self.page) as server:
            self.started.put(server.sockets[0].getsockname()[1])
            await asyncio.Future()

    async def page(self, path, _):
        if path != "/ws":
            return http.HTTPStatus.OK, [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE)))], PAGE

    async def echo(self, ws, *_):
        with contextlib.suppress(websockets.ConnectionClosed):  # the browser ends
            async for message in ws:
                self.messages.put(message)
                await ws.send(message)


def test_a_websocket_is_a_stream_of_the_connection_of_its_page(start_playground, start_tunnel, command, home):  # noqa: F811
    site = Site()
    playground = start_playground("--pods", "1", "--backend", f"many:8080=127.0.0.1:{site.port}")
    tunnel = start_tunnel(kubeconfig=playground.kubeconfig, environment=home.environment)
    browser = subprocess.Popen(command(f"https://many.many.localhost:{tunnel.port}/page"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=clean_environment(**home.environment))
    try:
        assert site.messages.get(timeout=30) == "hello"
        assert site.messages.get(timeout=30) == "x" * 300000
        assert site.messages.get(timeout=30) == "got 300000"
    finally:
        browser.terminate()
        browser.wait(10)
    session = tunnel.wait_for_log(r"(s\d+)\.\d+ request received method=GET host=many\.many\.localhost:?\d* path=/page")
    tunnel.wait_for_log(rf"{session.group(1)} session from=greet to=streams")
    tunnel.wait_for_log(rf"{session.group(1)}\.\d+ request received method=GET .* path=/ws")
