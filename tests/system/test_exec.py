"""kube-tunnel exec: names of the cluster for one command, everything else as outside.

The tests run as the user that runs them and, where that is root, as a user without rights.
SPDX-License-Identifier: MIT
"""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

import server_first
from kubeconfigs import Kubeconfig
from server_first import ACCOUNT, MARIADBD, SSHD, Ssh, mariadb_client, mariadb_server
from tunnel_process import BINARY, KubeTunnel, clean_environment, curl, eventually, free_ports

SANITIZED = b"__asan_init" in BINARY.read_bytes()
DAEMON = 1  # has an entry in the user database, and no rights
WEB, SEED = "web.shop.svc.cluster.local", "seed.shop.svc.cluster.local"
HTTP = f"http://{SEED}:8080/"


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not here: {' '.join(missing)}")


class Person:
    """A user, and a kube-tunnel of that user."""

    def __init__(self, uid, playground, folder):
        self.uid = uid
        self.folder = Path(tempfile.mkdtemp(prefix="ktun-exec-"))
        self.kubeconfig = self.folder / "kubeconfig"
        shutil.copy(playground.kubeconfig, self.kubeconfig)
        for path in (self.folder, self.kubeconfig):
            os.chown(path, uid, uid) if os.getuid() == 0 else None
        self.environment = clean_environment(HOME=str(self.folder), XDG_RUNTIME_DIR=str(self.folder),
                                             KUBECONFIG=str(self.kubeconfig))
        self.identity = {"user": uid, "group": uid, "extra_groups": []} if os.getuid() == 0 else {}
        self.tunnel = KubeTunnel(kubeconfig=self.kubeconfig, folder=folder)
        self.tunnel.environment, self.tunnel.user = self.environment, self.identity

    def start(self, *words, flags=(), binary=BINARY, **options):
        environment = {**self.environment, **options.pop("variables", {})}
        return subprocess.Popen([str(binary), "exec", *map(str, flags), "--", *map(str, words)], env=environment,
                                text=True, **{**self.identity, "cwd": self.folder, "stdin": subprocess.DEVNULL,
                                              "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def run(self, *words, input=None, seconds=30, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*words, **options)
        try:
            out, errors = process.communicate(input, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(words, process.returncode, out, errors)

    def python(self, text, **options):
        return self.run(sys.executable, "-c", text, **options)

    def close(self):
        if self.tunnel.process:
            self.tunnel.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


PEOPLE = [os.getuid(), DAEMON] if os.getuid() == 0 else [os.getuid()]


@pytest.fixture(scope="module", params=PEOPLE, ids=lambda uid: f"user{uid}")
def person(request, playground, tmp_path_factory):
    """Of each kind, with a kube-tunnel that runs."""
    person = Person(request.param, playground, tmp_path_factory.mktemp("person"))
    person.tunnel.start()
    yield person
    person.close()


@pytest.fixture
def lonely(request, playground, tmp_path):
    """Without rights and without a kube-tunnel."""
    person = Person(PEOPLE[-1], playground, tmp_path)
    yield person
    person.close()


@pytest.fixture
def own_cluster(start_playground, tmp_path):
    """A user without rights, and a playground that the test may change."""
    playground = start_playground()
    person = Person(PEOPLE[-1], playground, tmp_path)
    person.tunnel.start()
    yield person, playground
    person.close()


# names

@needs("curl", "getent")
def test_programs_find_full_names(person):
    done = person.run("curl", "-sS", HTTP)
    assert done.returncode == 0 and "pod" in done.stdout.lower(), done
    address = person.run("getent", "ahostsv4", WEB).stdout.split()[0]
    assert address.startswith("127.") and not address.startswith("127.0.")
    assert person.run("getent", "hosts", "no-such.shop.svc.cluster.local").returncode == 2


def test_http_at_port_80_works_without_the_right(person):
    """By the address where port 80 can be opened, else by http_proxy."""
    done = person.run("curl", "-sS", f"http://{WEB}/")
    assert done.returncode == 0 and "pod" in done.stdout.lower(), done


def test_short_names_are_those_of_the_namespaces(person):
    look = "import socket\nfor n in ('seed', 'seed.shop', 'seed.shop.svc', 'web', 'web.other', 'github.com.svc'):\n" \
           "    try: print(n, socket.gethostbyname(n))\n    except OSError: print(n, '-')"
    def addresses(*flags):
        return dict(line.split() for line in person.python(look, flags=flags).stdout.splitlines())
    assert set(addresses().values()) == {"-"}
    shop = addresses("-n", "shop")
    full = person.run("getent", "ahostsv4", SEED).stdout.split()[0]
    assert shop["seed"] == shop["seed.shop"] == shop["seed.shop.svc"] == full
    assert shop["web.other"] == "-" and shop["github.com.svc"] == "-"
    both, reverse = addresses("-n", "shop", "-n", "other"), addresses("-n", "other", "-n", "shop")
    assert both["web"] == shop["web"] and reverse["web"] == both["web.other"] != shop["web"]


def test_original_hosts_stay_and_nothing_can_be_written(person):
    done = person.python("import os\n"
                         "print(open('/etc/hosts').read())\n"
                         "for f in '/etc/hosts', '/etc/nsswitch.conf':\n"
                         "    try: open(f, 'a'); print('WRITTEN')\n"
                         "    except OSError as e: print('refused', e.errno)")
    before = Path("/etc/hosts").read_text()
    assert done.stdout.startswith(before) and done.stdout.count("refused") == 2, done
    assert WEB not in before and f" {WEB}" in done.stdout
    rule = re.search(r"(?m)^hosts:.*", person.run("cat", "/etc/nsswitch.conf").stdout).group()
    assert rule.split()[1] == "files"


def test_names_that_are_added_and_removed_appear(own_cluster):
    person, playground = own_cluster
    script = "import socket, sys\nfor line in sys.stdin:\n" \
             "    try: print(socket.gethostbyname(line.strip()), flush=True)\n" \
             "    except OSError: print('-', flush=True)"
    process = person.start(sys.executable, "-c", script, stdin=subprocess.PIPE)

    def address(name):
        process.stdin.write(name + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    new = "new.shop.svc.cluster.local"
    kept = address(SEED)
    assert kept.startswith("127.") and address(new) == "-"
    playground.order("service create shop/new web 8000 8080")
    eventually(lambda: address(new).startswith("127."))
    playground.order("service delete shop/new")
    eventually(lambda: address(new) == "-")
    person.tunnel.stop()
    assert address(SEED) == kept
    person.tunnel.start()
    playground.order("service create shop/new web 8000 8080")
    eventually(lambda: address(new).startswith("127."))
    assert address(SEED) == kept
    process.stdin.close()
    assert process.wait(10) == 0


def test_names_that_have_no_room_later_are_told(own_cluster, tmp_path):
    person, playground = own_cluster
    process = person.start("sleep", "100")
    eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    control = person.folder / "kube-tunnel" / "default.sock"
    pinned = json.loads(curl("--unix-socket", control, "http://control/v1/addresses").text)["listeners"]
    process.kill()
    process.communicate()
    person.tunnel.stop()
    person.tunnel.command += ["--max-address-listeners", str((pinned + 1) * 4 // 3)]
    person.tunnel.start()
    with open(tmp_path / "errors", "w+", encoding="utf-8") as errors:
        process = person.start("sleep", "100", stderr=errors)
        eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        at_first = Path(errors.name).read_text()
        playground.order(*(f"service create shop/zz{i} web {port} 8080" for i, port in enumerate(free_ports(4))))
        eventually(lambda: re.search(r"[1-4] names of services do not resolve", Path(errors.name).read_text()))
    process.kill()
    process.communicate()
    assert "do not resolve" not in at_first


GO = """package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
    answer, err := http.Get(os.Args[1])
    if err != nil { fmt.Println(err); os.Exit(1) }
    body, _ := io.ReadAll(answer.Body)
    fmt.Println(string(body))
}
"""
C = """#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int argc, char **argv)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *a;
    char text[INET6_ADDRSTRLEN];
    if (argc != 2 || getaddrinfo(argv[1], NULL, &hints, &a))
        return 1;
    inet_ntop(AF_INET, &((struct sockaddr_in *)a->ai_addr)->sin_addr, text, sizeof(text));
    puts(text);
}
"""
JAVA = """import java.net.*;
class Look { public static void main(String[] a) throws Exception {
    System.out.println(InetAddress.getByName(a[0]).getHostAddress());
    try (Socket s = new Socket(a[0], 8080)) { System.out.println("connected"); } } }
"""


@pytest.fixture(scope="module")
def programs():
    folder = Path(tempfile.mkdtemp(prefix="ktun-programs-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@needs("go")
def test_static_go_program_finds_names(person, programs):
    program = programs / "get"
    if not program.exists():
        (programs / "get.go").write_text(GO)
        subprocess.run(["go", "build", "-o", program, "get.go"], cwd=programs, check=True, timeout=120,
                       env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
    assert "static" in subprocess.run(["file", program], capture_output=True, text=True).stdout \
        or not shutil.which("file")
    done = person.run(program, HTTP)
    assert done.returncode == 0 and "pod" in done.stdout.lower(), done


@needs("musl-gcc")
def test_musl_program_finds_names(person, programs):
    program = programs / "look"
    (programs / "look.c").write_text(C)
    subprocess.run(["musl-gcc", "-static", "-o", program, programs / "look.c"], check=True, timeout=60)
    done = person.run(program, SEED)
    assert done.returncode == 0 and done.stdout.startswith("127."), done


@needs("java", "javac")
def test_java_program_finds_names(person, programs):
    if not (programs / "Look.class").exists():
        (programs / "Look.java").write_text(JAVA)
        subprocess.run(["javac", "-d", programs, programs / "Look.java"], check=True, timeout=120)
    done = person.run("java", "-cp", programs, "Look", SEED, seconds=60)
    assert done.returncode == 0 and "connected" in done.stdout, done


@needs("node")
def test_node_program_finds_names(person):
    done = person.run("node", "-e", "fetch(process.argv[1]).then(r => r.text()).then(console.log)", HTTP)
    assert done.returncode == 0 and "pod" in done.stdout.lower(), done


# as outside

def test_user_groups_and_files_are_those_of_the_caller(person):
    done = person.run("sh", "-c", "id -u; id -g; pwd; umask 022; echo x > file; stat -c %u file")
    uid = str(person.uid)
    assert done.stdout.split() == [uid, uid, str(person.folder), uid], done
    assert (person.folder / "file").stat().st_uid == person.uid


def test_no_capability_is_left_or_can_be_gained(person):
    done = person.run("cat", "/proc/self/status", "/proc/self/uid_map")
    found = dict(re.findall(r"(?m)^(Cap\w+|NoNewPrivs):\s+(\S+)", done.stdout))
    if person.uid == 0:
        before = dict(re.findall(r"(?m)^(Cap\w+):\s+(\S+)", Path("/proc/self/status").read_text()))
        assert found["CapEff"] == before["CapEff"] and found["NoNewPrivs"] == "0"
        return
    assert all(int(found[f"Cap{kind}"], 16) == 0 for kind in ("Eff", "Prm", "Inh", "Amb")), found
    assert found["NoNewPrivs"] == "1"
    assert done.stdout.splitlines()[-1].split() == [str(person.uid), str(person.uid), "1"]
    mount = person.run("mount", "-t", "tmpfs", "x", person.folder)
    assert mount.returncode != 0


def test_exit_status_and_signal_are_those_of_the_command(person):
    assert person.run("true").returncode == 0
    assert person.run("sh", "-c", "exit 7").returncode == 7
    assert person.run("sh", "-c", "kill -9 $$").returncode == -9
    missing = person.run("/no/such/program")
    assert missing.returncode == 127 and "/no/such/program: No such file" in missing.stderr
    assert person.run(person.folder).returncode == 126


def test_process_is_the_command_and_signals_reach_it(person):
    process = person.start("sh", "-c", "trap 'echo got; exit 3' USR1; echo $$; while :; do sleep 0.05; done")
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("got\n", 3)


def test_command_has_no_children_and_its_pipes_end(person):
    done = person.run(sys.executable, "-c", "import os\ntry: os.wait()\nexcept ChildProcessError: print('none')\n"
                      "print(sorted(os.listdir('/proc/self/fd')))")
    lines = done.stdout.splitlines()
    assert lines[0] == "none" and lines[1] == "['0', '1', '2', '3']", done  # 3 lists the directory
    assert person.run("sh", "-c", "cat; exec sleep 0", input="in\n").stdout == "in\n"


def test_terminal_and_job_control_are_those_of_the_shell(person):
    """Control-Z stops the command, fg continues it, and control-C ends it."""
    ours, theirs = pty.openpty()

    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background

    shell = person.start("bash", "--norc", "-i", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                         preexec_fn=take_terminal, variables={"PS1": "ready> "})
    os.close(theirs)
    seen = b""

    def wait_for(pattern):
        nonlocal seen
        def look():
            nonlocal seen
            with contextlib.suppress(BlockingIOError, OSError):
                seen += os.read(ours, 65536)
            return re.search(pattern, seen)
        os.set_blocking(ours, False)
        eventually(look, pause=0.02)
        seen = b""

    wait_for(b"ready> ")
    os.write(ours, b"sleep 100\n")
    wait_for(b"sleep 100")
    time.sleep(0.2)
    os.write(ours, b"\x1a")
    wait_for(b"Stopped")
    os.write(ours, b"fg\n")
    wait_for(b"sleep 100")
    time.sleep(0.2)
    os.write(ours, b"\x03")
    wait_for(b"ready> ")
    os.write(ours, b"exit 5\n")
    assert shell.wait(10) == 5
    os.close(ours)


def test_loopback_and_listening_ports_are_shared(person):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = person.python(f"import socket; socket.create_connection(('127.0.0.1', {port})).send(b'x')")
        assert done.returncode == 0, done
        assert server.accept()[0].recv(1) == b"x"
    port = free_ports(1)[0]
    process = person.start(sys.executable, "-c", f"import socket; s = socket.create_server(('127.0.0.1', {port}));"
                           "print('listening', flush=True); s.accept()[0].send(b'y')")
    assert process.stdout.readline() == "listening\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert client.recv(1) == b"y"
    assert process.wait(10) == 0
    process.communicate()


@needs("psql")
def test_default_user_of_psql_is_the_caller(person):
    """It is read from the user database by the user's id."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = person.start("psql", "-h", "127.0.0.1", "-p", server.getsockname()[1], "-d", "x", "-c", "select 1",
                               variables={"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"})
        server.settimeout(20)
        client = server.accept()[0]
        startup = client.recv(4096)
        client.close()
    process.communicate(timeout=10)
    user = subprocess.run(["id", "-nu", str(person.uid)], capture_output=True, text=True).stdout.strip()
    assert b"user\0" + user.encode() + b"\0" in startup


@needs("strace", "gdb")
@pytest.mark.skipif(SANITIZED, reason="LeakSanitizer and ptrace exclude each other")
@pytest.mark.parametrize("debugger", [["strace", "-f", "-o", "/dev/null", "-p"],
                                      ["gdb", "-nx", "-batch", "-ex", "info proc", "-p"]], ids=["strace", "gdb"])
def test_debugger_of_the_same_user_attaches_from_outside(person, debugger):
    process = person.start("sleep", "100")
    pid = process.pid
    eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    command = [*debugger, str(pid)]
    debugging = subprocess.Popen(command, env=person.environment, cwd=person.folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **person.identity)
    if debugger[0] == "strace":
        eventually(lambda: not re.search(r"(?m)^TracerPid:\s+0$", Path(f"/proc/{pid}/status").read_text()))
    else:
        assert f"process {pid}" in debugging.communicate(timeout=30)[0]
    process.kill()
    process.communicate()
    debugging.communicate(timeout=10)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@needs("git", "openssl")
def test_git_over_https_works_as_outside(person, tmp_path):
    site, key, certificate = tmp_path / "site", tmp_path / "key.pem", person.folder / "ca.pem"
    git = {**clean_environment(HOME=str(tmp_path)), "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    for command in (["init", "-q", site], ["-C", site, "commit", "-q", "--allow-empty", "-m", "x"],
                    ["-C", site, "update-server-info"]):
        subprocess.run(["git", *command], check=True, env=git)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    certificate.chmod(0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=site))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = tempfile.mkdtemp(dir=person.folder)
    os.chown(target, person.uid, person.uid)
    done = person.run("git", "clone", "-q", f"https://localhost:{server.server_port}/.git", f"{target}/clone",
                      variables={"GIT_SSL_CAINFO": str(certificate)})
    server.shutdown()
    assert done.returncode == 0, done


def test_proxies_of_the_caller_stay_and_leave_the_cluster_alone(person):
    done = person.run("env", variables={"http_proxy": "http://proxy.corp:3128", "no_proxy": "corp"}, flags=["-n", "shop"])
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["http_proxy"] == "http://proxy.corp:3128" and "HTTP_PROXY" not in found
    listed = found["no_proxy"].split(",")
    assert {"corp", ".svc.cluster.local", ".shop"} <= set(listed) and found["NO_PROXY"] == found["no_proxy"]


# another user

@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_another_user_cannot_see_the_files(lonely):
    lonely.tunnel.start()
    process = lonely.start("sleep", "100")
    eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    other = subprocess.run(["cat", f"/proc/{process.pid}/root/etc/hosts"], user=65533, group=65533, extra_groups=[],
                           capture_output=True, text=True)
    assert other.returncode != 0 and WEB not in other.stdout
    assert WEB in Path(f"/proc/{process.pid}/root/etc/hosts").read_text()
    process.kill()
    process.communicate()


# without user namespaces

# In a user namespace of the test the limit is 0; a program without capabilities cannot raise it.
WITHOUT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.getuid(), os.getgid()
assert libc.unshare(0x10000000) == 0, ctypes.get_errno()
for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
    with open(f"/proc/self/{name}", "w") as f: f.write(text)
with open("/proc/sys/user/max_user_namespaces", "w") as f: f.write("0")
for capability in range(64): libc.prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def run_without_namespaces(person, *words):
    return subprocess.run([sys.executable, "-c", WITHOUT, str(BINARY), "exec", "--", *words], env=person.environment,
                          cwd=person.folder, capture_output=True, text=True, timeout=30, check=False,
                          stdin=subprocess.DEVNULL, **person.identity)


def test_refused_namespaces_leave_proxies_and_one_sentence(person):
    done = run_without_namespaces(person, "sh", "-c", f"env; curl -sS http://{WEB}/; curl -sS {HTTP}")
    assert done.returncode == 0, done
    assert done.stderr.count("\n") == 1 and "user.max_user_namespaces is 0" in done.stderr
    found = dict(re.findall(r"(?m)^(\w+_proxy|\w+_PROXY)=(.*)$", done.stdout))
    assert found["http_proxy"] == found["https_proxy"] == f"http://127.0.0.1:{person.tunnel.port}"
    assert "127.0.0.1" in found["no_proxy"].split(",") and "all_proxy" not in found
    assert done.stdout.lower().count("pod") >= 2


def test_proxy_passes_on_the_rest_while_a_command_runs(person):
    """Hosts outside the cluster, at any port, though --proxy-outside is off; afterwards they are refused again."""
    ask = "import os, urllib.request, urllib.error\n" \
          "try: print(urllib.request.urlopen('http://no-such-host.invalid:8123/').status)\n" \
          "except urllib.error.HTTPError as e: print(e.code, e.read().decode())"
    done = run_without_namespaces(person, sys.executable, "-c", ask)
    inside = "Failed to get service invalid/no-such-host"
    assert done.stdout and "no-such-host.invalid" in done.stdout and inside not in done.stdout, done
    proxy = {"http_proxy": f"http://127.0.0.1:{person.tunnel.port}"}
    later = eventually(lambda: subprocess.run(
        [sys.executable, "-c", ask], env={**person.environment, **proxy}, capture_output=True, text=True,
        **person.identity).stdout.count(inside))
    assert later


# its own kube-tunnel

def processes_of(person):
    """Of that user's own folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"XDG_RUNTIME_DIR={person.folder}\0".encode() in (process / "environ").read_bytes() and \
                    os.readlink(process / "exe") == str(BINARY):
                found.append(int(process.name))
    return found


def leftovers(person):
    return processes_of(person) + list((person.folder / "kube-tunnel").glob("exec-*"))


def test_kube_tunnel_is_started_and_stopped_with_the_command(lonely):
    done = lonely.run("sh", "-c", f"curl -sS {HTTP}; exit 9")
    assert done.returncode == 9 and "pod" in done.stdout.lower(), done
    eventually(lambda: not leftovers(lonely))
    assert stat.S_IMODE((lonely.folder / "kube-tunnel").stat().st_mode) == 0o700


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_killed_command_leaves_nothing_behind(lonely, sig):
    process = lonely.start("sleep", "100")
    eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    assert len(processes_of(lonely)) >= 2
    assert stat.S_IMODE(next((lonely.folder / "kube-tunnel").glob("exec-*.log")).stat().st_mode) == 0o600
    process.send_signal(sig)
    process.communicate()
    eventually(lambda: not leftovers(lonely), 15)


def test_command_that_is_killed_while_it_starts_leaves_nothing_behind(lonely):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lonely.kubeconfig.write_text(re.sub(r"https://127.0.0.1:\d+", f"https://127.0.0.1:{silent.getsockname()[1]}",
                                            lonely.kubeconfig.read_text()))
        process = lonely.start("true")
        eventually(lambda: len(processes_of(lonely)) >= 3 and list((lonely.folder / "kube-tunnel").glob("*.sock")))
        process.kill()
        process.communicate()
        eventually(lambda: not leftovers(lonely), 15)


def test_error_of_its_kube_tunnel_is_printed(lonely):
    lonely.kubeconfig.write_text("clusters: [\n")
    done = lonely.run("true")
    assert done.returncode == 125 and "kubeconfig" in done.stderr and done.stderr.count("\n") == 1, done
    eventually(lambda: not leftovers(lonely))


def test_another_context_gets_a_kube_tunnel_of_its_own(lonely):
    lonely.tunnel.start()
    text = lonely.kubeconfig.read_text()
    other = lonely.folder / "other"
    other.write_text(text)
    shutil.chown(other, lonely.uid, lonely.uid) if os.getuid() == 0 else None
    sockets = "ls $XDG_RUNTIME_DIR/kube-tunnel | grep -c ^exec-.*sock"
    assert lonely.run("sh", "-c", sockets).stdout == "0\n"
    done = lonely.run("sh", "-c", f"{sockets}; curl -sS {HTTP}", flags=["--kubeconfig", other])
    assert done.stdout.startswith("1\n") and "pod" in done.stdout.lower(), done


@pytest.fixture
def two_contexts(lonely, playground, start_playground):
    """The contexts "first", which a running kube-tunnel serves, and "second", another cluster."""
    file = Kubeconfig(lonely.kubeconfig, current="first", first=playground, second=start_playground("--pods", "1"))
    file.write()
    lonely.tunnel.start()
    return lonely, file


OWN = "ls $XDG_RUNTIME_DIR/kube-tunnel | grep -c ^exec-.*sock"


def test_context_that_the_running_one_serves_needs_no_other(two_contexts):
    person, _ = two_contexts
    for flags in ([], ["--context", "first"], ["--context", "first", "--name", "default"], ["--name", "default"]):
        assert person.run("sh", "-c", OWN, flags=flags).stdout == "0\n"


def test_context_that_the_running_one_does_not_serve_gets_its_own(two_contexts):
    person, _ = two_contexts
    second = person.run("sh", "-c", f"{OWN}; curl -sS {HTTP}", flags=["--context", "second"])
    assert second.stdout.startswith("1\n") and "pod" in second.stdout.lower(), second
    for flags in (["--context", "first", "--context", "second"], ["--context", "all"]):
        assert person.run("sh", "-c", OWN, flags=flags).stdout == "1\n", flags
    done = person.run("true", flags=["--context", "second", "--name", "default"])
    assert done.returncode == 125 and "--name default: it serves context first (127.0.0.1:" in done.stderr, done
    assert "and not the context second of this command; without --name" in done.stderr
    eventually(lambda: not [path for path in leftovers(person) if "exec-" in str(path)])


def test_context_of_the_same_name_in_another_kubeconfig_gets_its_own(two_contexts, start_playground):
    person, file = two_contexts
    other = Kubeconfig(person.folder / "other", current="first", first=start_playground("--pods", "1")).write()
    shutil.chown(other, person.uid, person.uid) if os.getuid() == 0 else None
    variables = {"KUBECONFIG": str(other)}
    assert person.run("sh", "-c", OWN, variables=variables).stdout == "0\n"  # it has the current one of its start
    done = person.run("sh", "-c", f"{OWN}; curl -sS {HTTP}", flags=["--context", "first"], variables=variables)
    assert done.stdout.startswith("1\n") and "pod" in done.stdout.lower(), done
    none = person.run("true", flags=["--context", "third"], variables=variables)
    assert none.returncode == 125 and "third" in none.stderr and none.stderr.count("\n") == 1, none
    eventually(lambda: not [path for path in leftovers(person) if "exec-" in str(path)])


@pytest.mark.skipif(os.getuid() != 0 or SANITIZED, reason="gives a file a right, which LeakSanitizer does not bear")
@needs("setcap")
def test_program_with_a_file_capability_has_names(person):
    """As after dns install --low-ports setcap.  The shell makes it the program that gains the right."""
    if person.uid == 0:
        return
    program = person.folder / "kube-tunnel-low-ports"
    shutil.copy(BINARY, program)
    program.chmod(0o755)
    subprocess.run(["setcap", "cap_net_bind_service=+ep", program], check=True)
    look = "import socket; print(socket.gethostbyname('" + SEED + "'))"
    done = subprocess.run(["sh", "-c", '"$0" "$@"; true', program, "exec", "--", sys.executable, "-c", look],
                          env=person.environment, cwd=person.folder, capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, **person.identity)
    assert done.stdout.startswith("127.") and "do not resolve" not in done.stderr, done


# variables of the cluster whose names resolve

def test_variables_are_read_from_the_cluster_of_the_running_kube_tunnel(lonely, playground):
    """It keeps its context when another one becomes the current one."""
    file = Kubeconfig(lonely.kubeconfig, current="first", first=playground)
    file.add("second", server=f"https://127.0.0.1:{free_ports(1)[0]}", namespace="elsewhere").write()
    lonely.tunnel.start()
    file.current = "second"
    file.write()
    done = lonely.run("true", flags=["--env-from", "pod/db-0"])
    assert done.returncode == 0, done
    none = lonely.run("true", flags=["--env-from", "pod/none"])
    assert none.returncode == 125 and '"none" not found' in none.stderr, none


def test_variables_of_another_cluster_are_refused(lonely, playground):
    """A context of the same name in another kubeconfig."""
    Kubeconfig(lonely.kubeconfig, current="first", first=playground).write()
    lonely.tunnel.start()
    port = free_ports(1)[0]
    other = Kubeconfig(lonely.folder / "other", current="first").add("first", server=f"http://127.0.0.1:{port}").write()
    done = lonely.run("true", flags=["--env-from", "pod/none"], variables={"KUBECONFIG": str(other)})
    assert done.returncode == 125 and 'running kube-tunnel "default" to' in done.stderr, done
    assert f"127.0.0.1:{port}" in done.stderr and "--name NAME" in done.stderr


# real programs whose servers speak first

def service(name, port, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "many"},
            "spec": {"selector": {"app": "many"}, "ports": [{"port": port, "targetPort": target}]}}


@pytest.mark.skipif(not (MARIADBD.exists() and SSHD.exists()), reason="mariadbd or sshd is missing; run script/bootstrap test")
def test_mariadb_and_ssh_are_reached_by_name(start_playground, tmp_path):
    """By the bare name, too, for a user without rights; ssh knows the host's key by the service's name."""
    mysql, sshd = free_ports(2)
    (tmp_path / "manifest").write_text(json.dumps([service("mysql", 3306, mysql), service("ssh", 2222, sshd)]))
    playground = start_playground("--pods", "1", "--manifest", str(tmp_path / "manifest"),
                                  *[word for port in (mysql, sshd) for word in ("--backend", f"many:{port}=127.0.0.1:{port}")])
    person, folder = Person(PEOPLE[-1], playground, tmp_path), Path(tempfile.mkdtemp(prefix="ktun-servers-"))
    folder.chmod(0o755)  # pytest's folders are closed to other users
    running = []
    try:
        ssh = Ssh(folder, sshd)
        running = [server_first.start(mysql, *mariadb_server(folder, mysql)), server_first.start(sshd, *ssh.server())]
        for host in ("mysql", "mysql.many.svc.cluster.local"):
            done = person.run(*mariadb_client(host, 3306), flags=["-n", "many"])
            assert done.stdout == "42\n", done
        for host in ("ssh", "ssh.many.svc.cluster.local"):
            client = ssh.client(person.uid, host, 2222, "echo $USER; cat")
            done = person.run(*client, flags=["-n", "many"], input="a line\n")
            assert done.stdout == f"{ACCOUNT}\na line\n", done
    finally:
        for server in running:
            server.terminate()
            server.wait(20)
        person.close()
        shutil.rmtree(folder)


# the command line

@pytest.mark.parametrize("words, error", [
    ((), "exec takes a command: kube-tunnel exec -- COMMAND"),
    (("--env-from", "deploy/web"), "exec takes a command"),
    (("--env-form", "x", "--", "true"), "unknown flag --env-form; is it --env-from?"),
    (("--env-from", "--", "true"), None),
])
def test_wrong_command_lines_are_refused(lonely, words, error):
    done = subprocess.run([str(BINARY), "exec", *words], env=lonely.environment, capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and (error is None or error in done.stderr), done


def test_words_after_the_dashes_are_the_commands(person):
    assert person.run("echo", "--help", "-n", "x", "--").stdout == "--help -n x --\n"
