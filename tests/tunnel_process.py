"""The kube-tunnel under test, run as a process; requests are sent by curl.

Used by tests/system (on the playground) and tests/kubernetes (on a real
cluster). SPDX-License-Identifier: MIT
"""
import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("KUBE_TUNNEL", ROOT / "build" / "kube-tunnel"))
PLAYGROUND = Path(os.environ.get("KUBE_PLAYGROUND", ROOT / "build" / "kube-playground"))

# Under nohup SIGHUP is ignored, which children inherit; a handler they do not.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

RUNNING = []  # each KubeTunnel that was started and not stopped, for the report of a test that fails
STOP_SECONDS = 10  # what SIGTERM may take, under whatever load


def receive(s, count):
    """So many bytes, or all there are; with a time-out a socket does not obey MSG_WAITALL."""
    received = b""
    while len(received) < count and (some := s.recv(count - len(received))):
        received += some
    return received


def eventually(question, seconds=10, pause=0.1):
    """Call until the result is true, and return it; an assertion may fail meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = question()
            if answer or time.monotonic() > deadline:
                assert answer, f"not within {seconds} s"
                return answer
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_ports(n):
    """Ports without a listener at present, below those that the kernel gives out, which any
    other test may get at any time."""
    return random.sample([p for p in random.sample(range(10240, 32768), n + 20) if is_free(p)], n)


def clean_environment(**extra):
    """An environment without the caller's configuration, proxies, control sockets and what OpenTelemetry reads."""
    left = {"KUBECONFIG", "XDG_RUNTIME_DIR"}
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("KTUN_", "OTEL_")) and k not in left and not k.lower().endswith("_proxy")}
    return {**kept, **extra}


def runtime_directory():
    """A directory for control sockets, removed at the end. Its path is short, as sockets need."""
    folder = tempfile.mkdtemp(prefix="ktun-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class Response:
    """The result of a request by curl; exit is curl's status, 18 for a truncated body."""

    def __init__(self, exit, facts, head, body):
        self.exit, self.head, self.body = exit, head, body
        self.status = facts["response_code"]
        self.seconds = facts["time_total"]
        self.text = body.decode(errors="replace")

    def header(self, name):
        """The last value of that header (a trailer counts), or None."""
        found = re.findall(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", self.head)
        return found[-1] if found else None

    @property
    def pod(self):
        return self.header("X-Pod")

    def __repr__(self):
        return f"<{self.status} (curl {self.exit}) {self.text[:500]!r}>"


def curl(*arguments, seconds=30, stdin=None):
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        command = ["curl", "-sS", "--max-time", str(seconds), "-D", head, "-o", body,
                   "-w", "%{json}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True,
                              env=clean_environment(), timeout=seconds + 10)
        return Response(done.returncode, json.loads(done.stdout),
                        head.read_text("latin-1") if head.exists() else "",
                        body.read_bytes() if body.exists() else b"")


def add_logs(report):
    """To the report of a test: what each kube-tunnel that runs has logged last."""
    if report.when == "call" and report.failed:
        report.sections += [(f"the end of {tunnel.log_path}", tunnel.tail(100)) for tunnel in RUNNING]


class KubeTunnel:
    """One running kube-tunnel. Names are sent in the Host header, unless a test wants more."""

    def __init__(self, *flags, kubeconfig=None, folder, binary=BINARY, listen=("127.0.0.1:0",),
                 environment=None, user=None, wrapper=(), terminal=subprocess.DEVNULL):
        self.log_path = Path(tempfile.mkstemp(suffix=".log", dir=folder)[1])
        command = [str(binary), "run", "--log-level", "debug"]
        for listener in listen:
            command += ["--listen", listener]
        if kubeconfig:
            command += ["--kubeconfig", str(kubeconfig)]
        self.command = [*map(str, wrapper), *command, *map(str, flags)]
        home = Path(tempfile.mkdtemp(dir=folder))
        self.runtime = runtime_directory()
        self.environment = clean_environment(**{
            "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(self.runtime), **(environment or {})})
        self.process = None
        self.told_to_stop = False
        self.port = None
        self.stdin = terminal
        self.user = {}
        if user is not None:  # one that cannot look into `home`
            self.environment = clean_environment(HOME="/nonexistent", **(environment or {}))
            self.user = {"user": user, "group": user, "extra_groups": []}

    # life

    def start(self, ready=True):
        self.told_to_stop = False
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdin=self.stdin,
                                            stdout=subprocess.DEVNULL, env=self.environment,
                                            **self.user)
        RUNNING.append(self)
        self.port = int(self.wait_for_log(r"listening\b.*address\"?[=:]\"?127\.0\.0\.1:(\d+)").group(1))
        if ready:
            self.wait_until_ready()
        return self

    def wait_until_ready(self):
        try:
            eventually(lambda: self.own("/readyz").status == 200, 30, pause=0.02)
        except AssertionError:
            raise AssertionError(f"not ready: {self.own('/readyz').text}\n{self.tail(but=' serve s')}") from None

    # its control socket

    @property
    def control_socket(self):
        return self.runtime / "kube-tunnel" / "default.sock"

    def control(self, path, *arguments, **options):
        """A request to the control socket, by curl."""
        return curl("--unix-socket", self.control_socket, f"http://control{path}", *arguments, **options)

    def ask(self, *arguments, seconds=20, binary=BINARY, **variables):
        """A command of kube-tunnel that asks this one; a finished process with text."""
        return subprocess.run([str(binary), *map(str, arguments)], env={**self.environment, **variables},
                              capture_output=True, text=True, timeout=seconds, check=False)

    # its end

    def terminate(self, sig=signal.SIGTERM):
        """Tells it to stop, as a service manager does. stop() sends no second signal, which would end it at once."""
        self.told_to_stop = True
        self.process.send_signal(sig)

    def stop(self, sig=signal.SIGTERM):
        """Stops it by a signal unless it was told to. Asserts that the exit status is right."""
        if self in RUNNING:
            RUNNING.remove(self)
        if self.process.poll() is None and not self.told_to_stop:
            self.terminate(sig)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"alive {STOP_SECONDS} s after {sig!r}\n{self.tail()}") from None
        assert status == 0, f"ended with {status}\n{self.tail()}"

    # its output

    def log(self):
        return self.log_path.read_text(errors="replace")

    def tail(self, lines=60, but=None):
        """Its last lines, without those that contain `but`."""
        return "\n".join([line for line in self.log().splitlines() if not but or but not in line][-lines:])

    def wait_for_log(self, pattern, seconds=10):
        def look():
            found = re.search(pattern, self.log())
            if not found and self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}\n{self.tail()}")
            return found
        try:
            return eventually(look, seconds, pause=0.02)
        except AssertionError:
            raise AssertionError(f"never logged {pattern!r}\n{self.tail()}") from None

    def own(self, path, *arguments):
        """GET of one of kube-tunnel's own pages."""
        return curl(f"http://127.0.0.1:{self.port}{path}", *arguments)

    def metrics(self):
        """Every sample of /metrics: name{labels} -> number."""
        samples = {}
        for line in self.own("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def total(self, name):
        """A metric summed over its labels."""
        return sum(v for k, v in self.metrics().items() if k.split("{")[0] == name)

    # requests

    def get(self, host, path="/", *arguments, **options):
        return curl(f"http://127.0.0.1:{self.port}{path}", "-H", f"Host: {host}",
                    *arguments, **options)

    def statuses(self, hosts):
        """The statuses of GETs to all of these hosts at the same time."""
        with ThreadPoolExecutor(len(hosts)) as pool:
            return list(pool.map(lambda host: self.get(host).status, hosts))

    def connect(self, seconds=10):
        return socket.create_connection(("127.0.0.1", self.port), seconds)

    def refuses(self):
        """Are new connections refused? A reset counts: the connection was in the backlog when the listener closed."""
        try:
            self.connect(1).close()
            return False
        except ConnectionResetError:
            return False
        except ConnectionRefusedError:
            return True

    def talk(self, raw, seconds=10):
        """Send bytes, return all that comes back until the other side closes or is silent."""
        with self.connect(seconds) as s:
            s.sendall(raw)
            answer = b""
            try:
                while chunk := s.recv(65536):
                    answer += chunk
            except (socket.timeout, ConnectionResetError):
                pass
            return answer
