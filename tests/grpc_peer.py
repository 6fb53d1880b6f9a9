"""Programs of grpc-go, built from tests/grpc: a server and client of gRPC's own tests, and grpcurl.

SPDX-License-Identifier: MIT
"""
import collections
import fcntl
import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from tunnel_process import BINARY, ROOT, clean_environment, eventually, free_ports

FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kube-tunnel" / "grpc"
PROGRAMS = {"peer": ".", "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl"}
SERVICE = "grpc.testing.TestService"

# What `peer check` can run: gRPC's interoperability tests, and those of tests/grpc/checks.go.
CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "custom_metadata",
    "status_code_and_message", "special_status_message", "unimplemented_service", "unimplemented_method",
    "messages_of_4_mib", "compression", "deadline", "many_fields", "health", "health_watch", "reflection",
    "many_at_once"]


def build():
    """Compiles what has changed; the first time takes minutes, and script/bootstrap does it. Returns the paths."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, package in PROGRAMS.items():
            subprocess.run(["go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", FOLDER / name,
                            package], cwd=ROOT / "tests" / "grpc", check=True,
                           env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"})
    return {name: FOLDER / name for name in PROGRAMS}


class GoServer:
    """A server of grpc-go on this machine; .lines is what it printed."""

    def __init__(self, *flags, port=None):
        self.port = port or free_ports(1)[0]
        self.lines = []
        self.process = subprocess.Popen([FOLDER / "peer", "serve", *flags, f"127.0.0.1:{self.port}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        eventually(lambda: "listening" in self.lines)

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def drain(self):
        """It accepts no more connections, finishes its calls, and ends."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        self.process.kill()
        self.process.wait(10)
        self.thread.join(10)
        self.process.stdout.close()


def check(case, target, *flags, **environment):
    """Runs one of CASES against this target."""
    done = subprocess.run([FOLDER / "peer", "check", *flags, target, case], capture_output=True, text=True, timeout=60,
                          env=clean_environment(**environment))
    assert done.returncode == 0 and done.stdout == f"passed {case}\n", done


def export_ca(tunnel, folder):
    """The file of the local CA that this kube-tunnel uses."""
    file = folder / "ca.pem"
    subprocess.run([BINARY, "ca", "export", "-o", file], check=True, env=tunnel.environment, stdout=subprocess.DEVNULL)
    return file


def grpcurl(*words, ca=None, **environment):
    """Without an authority of certificates: in plain text."""
    flags = ["-cacert", ca] if ca else ["-plaintext"]
    done = subprocess.run([FOLDER / "grpcurl", *flags, *words], capture_output=True, text=True, timeout=60,
                          env=clean_environment(**environment))
    assert done.returncode == 0, done
    return done.stdout


class Call:
    def __init__(self, number, future):
        self.number, self.future = number, future

    @property
    def error(self):
        return self.future.exception()

    @property
    def pod(self):
        return dict(self.future.initial_metadata()).get("pod")


class Load:
    """with Load(port, authority) as load: break something. Unary calls on one channel at a fixed rate, answered or not."""

    def __init__(self, port, authority, rate=200, patience=30, metadata=()):
        import grpc
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [
            ("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)])
        self.method = self.channel.unary_unary(f"/{SERVICE}/EmptyCall")
        self.rate, self.patience, self.metadata = rate, patience, metadata
        self.calls = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        began = time.monotonic()
        while not self.over.is_set():
            due = began + len(self.calls) / self.rate
            if self.over.wait(max(0, due - time.monotonic())):
                return
            self.call()

    def call(self):
        number = len(self.calls) + 1
        future = self.method.future(b"", timeout=self.patience, metadata=[("call-id", str(number)), *self.metadata])
        self.calls.append(Call(number, future))
        return self.calls[-1]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(10)
        for call in self.calls:
            call.future.exception()  # waits
        self.channel.close()

    @property
    def failed(self):
        return [call for call in self.calls if call.error]


def held_stream(port, authority, options=()):
    """A stream of both directions that has carried a message each way. Returns its channel, and what carries another."""
    import grpc
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [
        ("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), *options])
    requests = queue.Queue()
    answers = channel.stream_stream(f"/{SERVICE}/FullDuplexCall")(iter(requests.get, None), timeout=60)

    def exchange():
        requests.put(bytes.fromhex("12020801"))  # asks for one answer of a byte
        return next(answers)
    exchange()
    return channel, exchange


def seen(servers):
    """How often each call reached a server, by its number."""
    lines = "\n".join(line for server in servers for line in server.lines)
    return collections.Counter(map(int, re.findall(r"^seen /seen/(\d+)$", lines, re.M)))
