"""Kubeconfigs of the shapes that docs/clusters.md is about, against the playground.

Each is written as the provider's own tool writes it: names, arguments, fields that mean
nothing, and where certificates stand. Plugins have the real names and check the real
arguments. SPDX-License-Identifier: MIT
"""
import base64
import re
import subprocess

import pytest

from plugins import V1, V1BETA1, Plugin
from test_certificates import pair_of
from test_ways import authority, needs, start_program  # noqa: F401
from tunnel_process import BINARY, ROOT, clean_environment, eventually, free_ports

SHAPES = ("eks", "gke", "aks", "aks-local", "openshift", "rancher", "teleport", "k3s", "rke2", "kind", "minikube")


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Shapes:
    """Where the parts of a kubeconfig come from: the playground, and a folder of the test."""

    def __init__(self, playground, folder, front=None):
        text = playground.kubeconfig.read_text()
        self.server, self.folder, self.front = playground.server, folder, front
        self.playground = playground
        self.ca_data = re.search(r"certificate-authority-data: (\S+)", text).group(1)
        self.certificate, self.key = pair_of(playground)
        self.bin = folder / "bin"
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin"}
        self.plugins = {}

    def plugin(self, name, version=V1BETA1, **status):
        plugin = self.plugins[name] = Plugin(self.bin, name, version)
        if status:
            plugin.print(plugin.credential(**status))
        return plugin

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def config(self, *, context, cluster, user, user_name=None, cluster_name=None, namespace="", extra=""):
        cluster_name, user_name = cluster_name or context, user_name or context
        path = self.file("config", f"""apiVersion: v1
clusters:
- cluster:
{cluster}
  name: {cluster_name}
contexts:
- context:
    cluster: {cluster_name}
{f"    namespace: {namespace}" if namespace else ""}
    user: {user_name}
  name: {context}
current-context: {context}
kind: Config
preferences: {{}}
users:
- name: {user_name}
  user:
{user}
{extra}""")
        path.chmod(0o600)
        return path

    # one method for each shape

    def eks(self):
        self.plugin("aws")
        return self.config(
            context="arn:aws:eks:eu-west-1:111122223333:cluster/prod",
            cluster=f"    certificate-authority-data: {self.ca_data}\n    server: {self.server}",
            user="""    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - eu-west-1
      - eks
      - get-token
      - --cluster-name
      - prod
      - --output
      - json
      command: aws
      env:
      - name: AWS_PROFILE
        value: prod""")

    def gke(self):
        self.plugin("gke-gcloud-auth-plugin")
        return self.config(
            context="gke_acme-prod_europe-west1_prod",
            cluster=f"    certificate-authority-data: {self.ca_data}\n    server: {self.server}",
            user="""    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: gke-gcloud-auth-plugin
      installHint: Install gke-gcloud-auth-plugin for use with kubectl by following
        https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin
      provideClusterInfo: true""")

    def aks(self):
        self.plugin("kubelogin")
        return self.config(
            context="prod", user_name="clusterUser_rg_prod",
            cluster=f"    certificate-authority-data: {self.ca_data}\n    server: {self.server}",
            user="""    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 72f988bf-0000-0000-0000-2d7cd011db47
      - --login
      - devicecode
      command: kubelogin
      env: null
      installHint: |2

        kubelogin is not installed which is required to connect to AAD enabled cluster.

        To learn more, please go to https://aka.ms/aks/kubelogin
      provideClusterInfo: false""")

    def aks_local(self):
        """Local accounts: a certificate and a token at once."""
        return self.config(
            context="prod-admin", cluster_name="prod", user_name="clusterAdmin_rg_prod",
            cluster=f"    certificate-authority-data: {self.ca_data}\n    server: {self.server}",
            user=f"    client-certificate-data: {b64(self.certificate)}\n"
                 f"    client-key-data: {b64(self.key)}\n    token: playground")

    def openshift(self):
        """A public certificate, so the system's authorities; here those of SSL_CERT_FILE."""
        authorities = self.file("authorities.pem", base64.b64decode(self.ca_data).decode())
        self.environment["SSL_CERT_FILE"] = str(authorities)
        self.playground.order("accept sha256~jLZSYcIEKBkCvJ6tiV5ZAaG0qBFgQKvQJf3vSDYd_Ms")
        host = self.server.removeprefix("https://").replace(".", "-")
        return self.config(
            context=f"shop/{host}/kube:admin", cluster_name=host, user_name=f"kube:admin/{host}", namespace="shop",
            cluster=f"    server: {self.server}",
            user="    token: sha256~jLZSYcIEKBkCvJ6tiV5ZAaG0qBFgQKvQJf3vSDYd_Ms")

    def rancher(self):
        port, _, ca = self.front
        self.playground.order("accept kubeconfig-u-abcde:q8w7e6r5t4")
        return self.config(
            context="prod", cluster=f'    server: "https://127.0.0.1:{port}/k8s/clusters/c-m-x7k2p"\n'
                                    f'    certificate-authority-data: "{ca}"',
            user='    token: "kubeconfig-u-abcde:q8w7e6r5t4"')

    def teleport(self):
        _, port, ca = self.front
        tsh = self.plugin("tsh", clientCertificateData=self.certificate, clientKeyData=self.key,
                          expirationTimestamp="2100-01-01T00:00:00Z")
        return self.config(
            context="tele.example-prod", cluster_name="tele.example",
            cluster=f"    certificate-authority-data: {ca}\n    server: https://127.0.0.1:{port}\n"
                    "    tls-server-name: kube-teleport-proxy-alpn.tele.example",
            user=f"""    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - kube
      - credentials
      - --kube-cluster=prod
      - --teleport-cluster=tele.example
      - --proxy=tele.example:443
      command: {tsh.path}
      env: null
      provideClusterInfo: false""")

    def k3s(self, name="default"):
        return self.config(
            context=name, cluster=f"    certificate-authority-data: {self.ca_data}\n    server: {self.server}",
            user=f"    client-certificate-data: {b64(self.certificate)}\n    client-key-data: {b64(self.key)}")

    rke2 = k3s

    def kind(self):
        return self.k3s("kind-kind")

    def minikube(self):
        """Certificates in files, and extensions that mean nothing here."""
        ca = self.file(".minikube/ca.crt", base64.b64decode(self.ca_data).decode())
        certificate = self.file(".minikube/profiles/minikube/client.crt", self.certificate)
        key = self.file(".minikube/profiles/minikube/client.key", self.key)
        extension = """    extensions:
    - extension:
        last-update: Sat, 28 Nov 2026 10:00:00 CET
        provider: minikube.sigs.k8s.io
        version: v1.38.0
      name: cluster_info
"""
        return self.config(context="minikube", namespace="default", user=f"    client-certificate: {certificate}\n"
                           f"    client-key: {key}",
                           cluster=f"    certificate-authority: {ca}\n{extension}    server: {self.server}")


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 100; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    map $http_upgrade $onward {{ default upgrade; '' ''; }}
    proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 600s;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $onward;
    server {{  # Rancher: a path for each cluster
        listen 127.0.0.1:{rancher} ssl;
        ssl_certificate {folder}/rancher.pem; ssl_certificate_key {folder}/rancher.key;
        location /k8s/clusters/c-m-x7k2p/ {{ proxy_pass https://127.0.0.1:{port}/; }}
    }}
    server {{  # Teleport: a name of its own, and client certificates that end here
        listen 127.0.0.1:{teleport} ssl;
        server_name kube-teleport-proxy-alpn.tele.example;
        if ($ssl_server_name != "kube-teleport-proxy-alpn.tele.example") {{ return 421; }}
        ssl_certificate {folder}/teleport.pem; ssl_certificate_key {folder}/teleport.key;
        ssl_verify_client optional_no_ca;
        if ($ssl_client_s_dn = "") {{ return 401; }}
        location / {{
            proxy_pass https://127.0.0.1:{port};
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $onward;
            proxy_set_header Authorization "Bearer playground";
        }}
    }}
}}
"""


@pytest.fixture
def front(start_program, tmp_path, playground, authority):  # noqa: F811
    """Ports of a Rancher and a Teleport before the playground, and their authority."""
    folder = tmp_path / "front"
    folder.mkdir()
    for name, names in (("rancher", "IP:127.0.0.1"), ("teleport", "DNS:kube-teleport-proxy-alpn.tele.example")):
        for path in authority.issue(name, names):
            (folder / path.name).write_bytes(path.read_bytes())
    rancher, teleport = free_ports(2)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, rancher=rancher, teleport=teleport, port=playground.port))
    start_program(rancher, "nginx", "-p", folder, "-c", config, "-e", folder / "error.log")
    return rancher, teleport, b64(authority.path.read_text())


@pytest.fixture
def shapes(playground, tmp_path, request):
    def make(shape):
        front = request.getfixturevalue("front") if shape in ("rancher", "teleport") else None
        shapes = Shapes(playground, tmp_path / "shape", front)
        return shapes, getattr(shapes, shape.replace("-", "_"))()
    return make


@pytest.mark.parametrize("transport", ("spdy", "websocket"))
@pytest.mark.parametrize("shape", [pytest.param(s, marks=needs("nginx")) if s in ("rancher", "teleport") else s
                                   for s in SHAPES])
def test_a_kubeconfig_of_this_shape_serves_requests(shapes, start_tunnel, shape, transport):
    made, kubeconfig = shapes(shape)
    environment = clean_environment(HOME=str(made.folder), **made.environment)
    for command in ("list", ["rbac", "--check"]):
        command = [command] if isinstance(command, str) else command
        done = subprocess.run([BINARY, *command, "--kubeconfig", kubeconfig], env=environment, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, (command, done)
    tunnel = start_tunnel("--transport", transport, kubeconfig=kubeconfig, environment=made.environment, ready=False)
    for name in ("web.shop.localhost", "web.shop.svc.cluster.local", "db-0.db.shop.svc"):
        answer = tunnel.get(name)
        assert answer.status == 200, answer
    assert "WARN" not in tunnel.log() and "ERROR" not in tunnel.log(), tunnel.log()


ARGUMENTS = {
    "eks": ("aws", ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "prod", "--output", "json"]),
    "gke": ("gke-gcloud-auth-plugin", []),
    "aks": ("kubelogin", ["get-token", "--environment", "AzurePublicCloud", "--server-id",
                          "6dae42f8-4368-4678-94ff-3960e28e3630", "--client-id",
                          "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id",
                          "72f988bf-0000-0000-0000-2d7cd011db47", "--login", "devicecode"]),
}


@pytest.mark.parametrize("shape", ARGUMENTS)
def test_plugins_are_run_as_the_file_says(shapes, shape):
    made, kubeconfig = shapes(shape)
    environment = clean_environment(HOME=str(made.folder), **made.environment)
    subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig], env=environment, capture_output=True, check=True)
    name, arguments = ARGUMENTS[shape]
    plugin = made.plugins[name]
    assert plugin.arguments[1:] == arguments
    if shape == "eks":
        assert plugin.environment["AWS_PROFILE"] == "prod"
    if shape == "gke":
        assert plugin.info["spec"]["cluster"]["server"] == made.server


@pytest.mark.parametrize("shape, words", (("gke", "cluster-access-for-kubectl#install_plugin"),
                                          ("aks", "https://aka.ms/aks/kubelogin")))
def test_a_missing_plugin_is_named_with_its_hint(shapes, shape, words):
    made, kubeconfig = shapes(shape)
    done = subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig], capture_output=True, text=True,
                          env=clean_environment(HOME=str(made.folder), PATH=str(made.folder)))
    assert done.returncode == 1 and words in done.stderr and ARGUMENTS[shape][0] in done.stderr, done


@pytest.mark.parametrize("provider, words", (("gcp", "gke-gcloud-auth-plugin"), ("azure", "kubelogin")))
def test_outdated_kubeconfigs_are_refused_with_advice(shapes, provider, words):
    made, _ = shapes("kind")
    kubeconfig = made.config(context="old", cluster=f"    server: {made.server}",
                             user=f"    auth-provider:\n      name: {provider}\n      config:\n        x: y")
    done = subprocess.run([BINARY, "list", "--kubeconfig", kubeconfig], capture_output=True, text=True,
                          env=clean_environment(HOME=str(made.folder)))
    assert done.returncode == 1 and words in done.stderr, done


def test_the_domain_of_a_cluster_of_rke2_is_found(start_playground, start_tunnel, tmp_path):
    manifest = tmp_path / "objects.json"
    manifest.write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rke2-coredns-rke2-coredns", '
                        '"namespace": "kube-system"}, "data": {"Corefile": '
                        '".:53 {\\n    kubernetes rke2.example in-addr.arpa ip6.arpa {\\n    }\\n}\\n"}}')
    playground = start_playground("--manifest", str(manifest))
    kubeconfig = Shapes(playground, tmp_path / "shape").rke2()
    tunnel = start_tunnel(kubeconfig=kubeconfig)
    eventually(lambda: tunnel.get("web.shop.svc.rke2.example").status == 200)


def test_docs_have_a_section_for_each_shape():
    text = (ROOT / "docs/clusters.md").read_text()
    for name in ("EKS", "GKE", "AKS", "OpenShift", "Rancher", "Teleport", "k3s and RKE2", "kind and minikube"):
        assert re.search(rf"^## .*{name}$", text, re.M), name
    assert V1 and V1BETA1
