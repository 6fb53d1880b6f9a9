"""The real kubectl and kube-tunnel on the same kubeconfigs: which of them each accepts, and a request through both.

kubeconfigs/*.yaml: each begins with what it is and what comes of it,

    #! A token in a file beside the kubeconfig.
    #! kubectl: works
    #! kube-tunnel: fails: words of its error
    #! env: NAME=VALUE

and is a template: ${NAME} is one of `places` below. kube-tunnel is tried twice, with `list` (REST) and
with `run` and a request (REST and a tunnel): both must come to the same. Where the two programs
differ, DIFFERENCES has the reason; no other difference passes.
SPDX-License-Identifier: MIT
"""
import base64
import json
import re
import shutil
import string
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fronts import (ApiServer, HttpProxy, PlainHttp, Resets, Says, Socks5, server_context)
from pki import Authority, openssl
from tunnel_process import BINARY, PLAYGROUND, KubeTunnel, clean_environment, eventually, free_ports

KUBECONFIGS = sorted(Path(__file__).with_name("kubeconfigs").glob("*.yaml"))

# Name of the file: why the two programs may differ.
DIFFERENCES = {
    "number-name": "kubectl wants text where YAML reads a number; the name is as plain without quotes",
    "yes-namespace": "likewise: YAML reads a truth, a person writes a name",
    "ca-folded": "kubectl refuses the blanks; they cannot be mistaken for anything in base64",
    "proxy-https-system": "kubectl checks a proxy by the cluster's authority alone; a company's proxy is "
                          "certified by one of the system's, which is trusted besides",
    "proxy-https-server-name": "kubectl compares a proxy's certificate with tls-server-name, which is the "
                               "API server's; here it is compared with the proxy's own name",
}


class Case:
    def __init__(self, path):
        self.name = path.stem
        self.template = path.read_text("latin-1")
        said = re.findall(r"(?m)^#! (.*?)\r?$", self.template)
        self.about = said[0]
        facts = [line.partition(": ")[::2] for line in said[1:]]
        self.kubectl = dict(facts)["kubectl"]
        self.ours, _, self.says = dict(facts)["kube-tunnel"].partition(": ")
        self.context = dict(facts).get("context")
        self.env = [value for key, value in facts if key == "env"]


def encoded(*paths):
    return base64.b64encode(b"".join(p.read_bytes() for p in paths)).decode()


def write_files(folder, root, inter, leaf):
    """Everything that kubeconfigs name beside themselves."""
    def put(name, text):
        (folder / name).write_text(text)

    def text(name):
        return (folder / name).read_text()

    other = Authority(folder, "other")
    root.issue("client", None, client=True)
    root.issue("rsa", None, client=True, rsa=True)
    other.issue("outsider", None, client=True)
    put("leaf.pem", leaf[0].read_text())
    put("client-chain.pem", text("client.pem") + text("root.pem"))
    put("client-both.pem", text("client.pem") + text("client.key"))
    put("client-reversed.pem", text("client.key") + text("client.pem"))
    put("client-crlf.pem", "")
    (folder / "client-crlf.pem").write_bytes(text("client.pem").replace("\n", "\r\n").encode())
    parameters = openssl("ecparam", "-name", "prime256v1").decode()
    sec1 = openssl("pkey", "-in", folder / "client.key", "-traditional").decode()
    put("client-sec1.key", parameters + sec1)
    put("rsa-pkcs1.key", openssl("pkey", "-in", folder / "rsa.key", "-traditional").decode())
    put("rsa-encrypted.key", openssl("rsa", "-in", folder / "rsa.key", "-traditional", "-aes128", "-passout",
                                     "pass:secret").decode())
    put("client-encrypted.key", openssl("pkcs8", "-topk8", "-in", folder / "client.key", "-passout",
                                        "pass:secret").decode())
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    put("damaged.pem", damaged)
    put("bundle.pem", text("other.pem") + text("root.pem"))
    put("damaged-bundle.pem", text("other.pem") + damaged + text("root.pem"))
    (folder / "text-around.pem").write_bytes(
        ("Subject: CN=root\n" + text("root.pem") + "the end\n").replace("\n", "\r\n").encode())
    (folder / "authorities").mkdir()
    (folder / "authorities" / "any name").write_text(text("root.pem"))
    (folder / "folder").mkdir()
    put("token", "playground\n")
    put("token-blanks", " \n playground \r\n\n")
    put("empty", " \n")
    put("broken", "{\n")
    write_plugins(folder)
    put("other-user", "users: [{name: u, user: {token: wrong}}]\n")


def write_plugins(folder):
    """Exec plugins, as small as they can be."""
    def put(name, *lines):
        (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
        (folder / name).chmod(0o755)

    def credential(status, version="v1"):
        return json.dumps({"kind": "ExecCredential", "apiVersion": f"client.authentication.k8s.io/{version}",
                           "status": status})

    token = credential({"token": "playground"})
    certificate = credential({"clientCertificateData": (folder / "client.pem").read_text(),
                              "clientKeyData": (folder / "client.key").read_text()})
    put("plugin", f"echo '{token}'")
    put("plugin-beta", f"echo '{credential({'token': 'playground'}, 'v1beta1')}'")
    put("plugin-env", f"""echo '{token}' | sed "s/playground/$PLUGIN_TOKEN/" """)
    put("plugin-args", f"""[ "$2" = "b c" ] && echo '{token}' | sed "s/playground/$1/" """)
    put("plugin-cluster", 'echo "$KUBERNETES_EXEC_INFO" | grep -q certificate-authority-data || exit 1',
        f"echo '{token}'")
    put("plugin-certificate", f"cat <<'END'\n{certificate}\nEND")
    put("plugin-fails", "echo log in first >&2; exit 1")
    put("plugin-text", "echo hello")


class Places:
    """The servers around one playground, and what templates call them."""

    def __init__(self, folder, playground):
        self.folder = folder
        root = Authority(folder, "root")
        inter = Authority(folder, "inter", signed_by=root)
        names = "IP:127.0.0.1,DNS:localhost,DNS:api.test"
        leaf = inter.issue("leaf-api", names)
        write_files(folder, root, inter, leaf)
        api = server_context(*leaf, chain=[inter.path], clients=root.path)
        expired = server_context(*inter.issue("expired", expired=True), chain=[inter.path])
        other_name = server_context(*inter.issue("other-name", "DNS:other.test"), chain=[inter.path])
        subject = server_context(*inter.issue("subject", None, "/CN=127.0.0.1"), chain=[inter.path])
        proxy = server_context(*root.issue("proxy"))
        localhost = server_context(*root.issue("proxy-localhost", "DNS:localhost"))
        other_authority = Authority.__new__(Authority)
        other_authority.__dict__.update(folder=folder, name="other", path=folder / "other.pem",
                                        key=folder / "other.key", chain=[])
        other_proxy = server_context(*other_authority.issue("other-proxy"))
        self.api = ApiServer(playground, api)
        to = self.api.port
        fronts = {
            "API": ("https", self.api),
            "EXPIRED": ("https", ApiServer(playground, expired)),
            "OTHERNAME": ("https", ApiServer(playground, other_name)),
            "SUBJECTONLY": ("https", ApiServer(playground, subject)),
            "PREFIX": ("https", ApiServer(playground, api, prefix="/k8s/clusters/c-1")),
            "PLAINAPI": ("http", ApiServer(playground, speaks_for=True)),
            "PLAINHTTP": ("https", PlainHttp()),
            "RESETS": ("https", Resets(api)),
            "REDIRECT": ("https", Says(api, "302 Found", "", "text/html",
                                       "Location: https://login.test/sign-in?to=x")),
            "HTML": ("https", Says(api, "200 OK", "<!DOCTYPE html><html>Sign in</html>", "text/html")),
            "HPROXY": ("http", HttpProxy(to)),
            "HSPROXY": ("https", HttpProxy(to, proxy)),
            "HSPROXY_LOCALHOST": ("https", HttpProxy(to, localhost)),
            "HSPROXY_OTHER": ("https", HttpProxy(to, other_proxy)),
            "SOCKS": ("socks5", Socks5(to)),
        }
        self.fronts = [front for _, front in fronts.values()]
        root64 = encoded(root.path)
        self.names = {
            "DIR": str(folder), "TOKEN": "playground",
            "TOKEN64": base64.b64encode(b"playground").decode(),
            "ROOT64": root64, "CLIENT64": encoded(folder / "client.pem"),
            "KEY64": encoded(folder / "client.key"),
            "ROOT64_LINES": "\n      ".join(root64[n:n + 64] for n in range(0, len(root64), 64)),
            "CLOSED": str(free_ports(1)[0]),
        }
        for name, (scheme, front) in fronts.items():
            path = front.prefix if isinstance(front, ApiServer) else ""
            host = "localhost" if name == "HSPROXY_LOCALHOST" else "127.0.0.1"
            self.names[name] = f"{scheme}://{host}:{front.port}{path}"
            self.names[name + "_PORT"] = str(front.port)
        cluster = f"{{server: '{self.names['API']}', certificate-authority-data: {root64}}}"
        (folder / "only-cluster").write_text(f"clusters: [{{name: c, cluster: {cluster}}}]\n")

    def filled(self, text, **more):
        return string.Template(text).substitute(self.names, **more)

    def close(self):
        for front in self.fronts:
            front.close()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    out, kubeconfig = folder / "out", folder / "kubeconfig"
    with open(out, "wb") as said:
        process = subprocess.Popen([PLAYGROUND, "--kubeconfig-out", kubeconfig], stdout=said,
                                   stdin=subprocess.DEVNULL, env=clean_environment())
    eventually(lambda: "ready" in out.read_text(), pause=0.02)
    places = Places(tmp_path_factory.mktemp("places"), int(out.read_text().rpartition(":")[2]))
    yield places
    places.close()
    process.terminate()
    process.wait(10)


class Trial:
    """One kubeconfig with both programs."""

    def __init__(self, case, places):
        self.case, self.folder = case, places.folder
        self.path = places.folder / f"{case.name}.kubeconfig"
        self.path.write_text(places.filled(case.template, FILE=self.path), "latin-1")
        self.env = dict(places.filled(e, FILE=self.path).split("=", 1) for e in case.env)
        self.says = places.filled(case.says)
        self.flags = [] if "KUBECONFIG" in self.env else ["--kubeconfig", str(self.path)]
        self.flags += ["--context", case.context] if case.context else []

    def run(self, *command):
        env = clean_environment(**{"HOME": str(self.folder), **self.env})
        env.pop("KUBERNETES_SERVICE_HOST", None)
        return subprocess.run([*map(str, command), *self.flags], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)

    def kubectl(self):
        done = self.run("kubectl", "get", "service", "web", "-n", "shop", "-o", "name",
                        "--request-timeout=10s", "--cache-dir", self.path.with_suffix(".cache"))
        good = done.returncode == 0 and "service/web" in done.stdout
        return ("works" if good else "fails"), done.stdout + done.stderr

    def list(self):
        done = self.run(BINARY, "list", "-n", "shop")
        assert done.returncode >= 0, f"{self.case.name}: ended by signal\n{done.stderr}"
        good = done.returncode == 0 and "web.shop" in done.stdout
        return ("works" if good else "fails"), done.stdout + done.stderr

    def request(self):
        patience = "10s" if self.case.ours == "works" else "500ms"
        tunnel = KubeTunnel("--wait", patience, *self.flags, folder=self.folder,
                            environment=self.env)
        try:
            tunnel.start(ready=False)
        except RuntimeError as e:
            return "fails", str(e)
        try:
            answer = tunnel.get("web.shop.localhost")
            return ("works" if answer.status == 200 else "fails"), answer.text + tunnel.log()
        finally:
            tunnel.stop()

    def judge(self):
        """Each deviation from the file, one a line."""
        wrong = []
        kubectl, said = self.kubectl()
        if kubectl != self.case.kubectl:
            wrong.append(f"kubectl {kubectl}, not {self.case.kubectl}: {said.strip()[:400]}")
        for way in (self.list, self.request):
            ours, said = way()
            if ours != self.case.ours:
                wrong.append(f"{way.__name__} {ours}, not {self.case.ours}: {said.strip()[-3000:]}")
            elif ours == "fails" and self.says not in said:
                wrong.append(f"{way.__name__} does not say \"{self.says}\": {said.strip()[-600:]}")
            if "hunter2" in said:
                wrong.append(f"{way.__name__} prints a password")
        return [f"{self.case.name}: {line}" for line in wrong]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl: script/bootstrap kubernetes")
def test_each_kubeconfig_is_accepted_or_refused_as_by_kubectl(places):
    cases = [Case(path) for path in KUBECONFIGS]
    assert len(cases) >= 80
    assert {c.name for c in cases if c.kubectl != c.ours} == set(DIFFERENCES)
    with ThreadPoolExecutor(6) as pool:
        wrong = [line for lines in pool.map(lambda c: Trial(c, places).judge(), cases) for line in lines]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_proxy_of_the_comparison_was_used(places):
    """The proxies of the comparison saw a connection: none of it went past them."""
    unused = [type(f).__name__ for f in places.fronts if isinstance(f, (HttpProxy, Socks5)) and not f.seen
              and f.context is None]
    assert not unused
