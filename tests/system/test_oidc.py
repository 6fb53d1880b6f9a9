"""The auth-provider oidc against an issuer of our own: TLS, discovery, refresh, and the file.

SPDX-License-Identifier: MIT
"""
import base64
import http.server
import json
import os
import re
import ssl
import stat
import subprocess
import threading
import time
import urllib.parse

import pytest

from plugins import kubeconfig_for
from tunnel_process import BINARY, clean_environment, eventually

HOST = "web.shop.localhost"


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """An OpenID provider: signs tokens with a key of its own, takes each refresh-token once."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self.key = folder / "issuer.crt", folder / "issuer.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key,
                        "-out", self.ca, "-days", "1", "-subj", "/CN=issuer",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.refresh, self.serial = "refresh-0", 0
        self.life = 3600        # of the tokens it gives, seconds
        self.secret_in = "header"
        self.refusal = None     # (status, JSON)
        self.issued, self.discoveries, self.refreshes = [], 0, 0
        self.on_issue = lambda token: None
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                assert self.path == "/dex/.well-known/openid-configuration"
                issuer.discoveries += 1
                self.answer(200, {"issuer": issuer.url, "token_endpoint": issuer.url + "/token"})

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(
                    self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.answer(*issuer.token(self.path, self.headers.get("Authorization"), form))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/dex"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sign(self, life):
        self.serial += 1
        head = base64url(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
        body = base64url(json.dumps({"iss": self.url, "aud": "the client", "sub": f"jane-{self.serial}",
                                     "exp": int(time.time()) + life}).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=f"{head}.{body}".encode(), check=True, capture_output=True).stdout
        token = f"{head}.{body}.{base64url(signature)}"
        self.on_issue(token)
        return token

    def token(self, path, authorization, form):
        expected = "Basic " + base64.b64encode(b"the%20client:s%3Acret").decode()
        in_body = form.get("client_id") == "the client" and form.get("client_secret") == "s:cret"
        if path != "/dex/token" or form.get("grant_type") != "refresh_token":
            return 400, {"error": "unsupported_grant_type"}
        if not (authorization == expected if self.secret_in == "header" else in_body):
            return 401, {"error": "invalid_client"}
        if self.refusal:
            return self.refusal
        if form.get("refresh_token") != self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "Refresh token was used already"}
        self.refreshes += 1
        self.refresh = f"refresh-{self.refreshes}"
        self.issued.append(self.sign(self.life))
        return 200, {"id_token": self.issued[-1], "refresh_token": self.refresh,
                     "access_token": "unused", "token_type": "bearer"}

    def user(self, **more):
        config = {"idp-issuer-url": self.url + "/", "client-id": "the client", "client-secret": "s:cret",
                  "idp-certificate-authority": str(self.ca), "refresh-token": self.refresh, **more}
        return {"auth-provider": {"name": "oidc", "config": {k: v for k, v in config.items() if v}}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def cluster(start_playground):
    return start_playground()


@pytest.fixture
def issuer(tmp_path, cluster):
    folder = tmp_path / "issuer"
    folder.mkdir()
    issuer = Issuer(folder)
    issuer.on_issue = lambda token: cluster.order(f"accept {token}")
    yield issuer
    issuer.close()


def list_services(path):
    return subprocess.run([BINARY, "list", "--kubeconfig", path], capture_output=True, text=True,
                          timeout=60, env=clean_environment())


def provider_of(path):
    return json.loads(path.read_text())["users"][0]["user"]["auth-provider"]["config"]


def cluster_authority(cluster):
    """Of the API server, which is not the provider's."""
    data = re.search(r"certificate-authority-data: (\S+)", cluster.kubeconfig.read_text()).group(1)
    return base64.b64decode(data)


def test_an_id_token_that_has_not_expired_is_used(cluster, issuer, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"id-token": issuer.sign(600)}))
    before = path.read_text()
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    assert list_services(path).returncode == 0
    assert issuer.refreshes == 0 and path.read_text() == before


def test_a_token_in_its_last_ten_seconds_is_refreshed_and_written_back(
        cluster, issuer, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"id-token": issuer.sign(9)}))
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, -1, 4321)
    group = path.stat().st_gid
    before = json.loads(path.read_text())
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    assert issuer.refreshes == 1
    after = provider_of(path)
    assert (after["id-token"], after["refresh-token"]) == (issuer.issued[0], "refresh-1")
    expected = before
    expected["users"][0]["user"]["auth-provider"]["config"].update(
        {"id-token": after["id-token"], "refresh-token": "refresh-1"})
    assert json.loads(path.read_text()) == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and path.stat().st_gid == group
    assert not os.path.exists(f"{path}.lock")
    time.sleep(1)
    assert "the credentials of a context changed" not in tunnel.log()  # what we wrote is no news
    assert "refresh-1" not in tunnel.log() and issuer.issued[0] not in tunnel.log()


@pytest.mark.parametrize("where", ["header", "body"])
def test_the_client_secret_goes_where_the_provider_wants_it(cluster, issuer, tmp_path, where):
    issuer.secret_in = where
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user())
    done = list_services(path)
    assert done.returncode == 0 and "web.shop" in done.stdout, done
    assert provider_of(path)["id-token"] == issuer.issued[0]


def test_the_authority_of_the_provider_may_be_in_the_kubeconfig(cluster, issuer, tmp_path):
    data = base64.b64encode(issuer.ca.read_bytes()).decode()
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(
        **{"idp-certificate-authority": None, "idp-certificate-authority-data": data}))
    assert list_services(path).returncode == 0


def test_a_provider_that_is_not_trusted_gets_no_secret(cluster, issuer, tmp_path):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"idp-certificate-authority": None}))
    done = list_services(path)
    assert done.returncode == 1 and "oidc provider" in done.stderr and "certificate" in done.stderr, done.stderr
    assert issuer.discoveries == issuer.refreshes == 0


def test_fifty_requests_that_meet_an_expired_id_token_cause_one_refresh(
        cluster, issuer, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"id-token": issuer.sign(13)}))
    tunnel = start_tunnel(kubeconfig=path)
    time.sleep(3.5)
    assert tunnel.statuses([HOST] * 50) == [200] * 50
    assert issuer.refreshes == 1


def test_contexts_with_the_same_user_share_a_refresh(cluster, issuer, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user())
    config = json.loads(path.read_text())
    config["contexts"].append({"name": "second", "context": {"cluster": "c", "user": "u"}})
    path.write_text(json.dumps(config))
    tunnel = start_tunnel("--context", "test", "--context", "second", kubeconfig=path)
    assert tunnel.statuses([HOST, "web.shop.second.localhost"]) == [200, 200] and issuer.refreshes == 1


def test_a_refresh_by_another_program_is_taken_over(cluster, issuer, tmp_path, start_tunnel):
    """kubectl in another window has used the refresh-token, which the provider takes once."""
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"id-token": issuer.sign(12)}))
    tunnel = start_tunnel(kubeconfig=path)
    renewed = issuer.sign(3600)
    issuer.refresh = "refresh-of-kubectl"
    kubeconfig_for(cluster, path, issuer.user(**{"id-token": renewed}))
    time.sleep(2.5)
    assert tunnel.get(HOST).status == 200
    assert issuer.refreshes == 0


def test_a_new_login_in_the_kubeconfig_is_taken_over_at_once(cluster, issuer, tmp_path,
                                                             start_tunnel):
    first, second = issuer.sign(3600), issuer.sign(3600)
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"id-token": first}))
    tunnel = start_tunnel(kubeconfig=path)
    kubeconfig_for(cluster, path, issuer.user(**{"id-token": second}))
    tunnel.wait_for_log("credentials renewed")
    cluster.order(f"revoke {first}", "kill-tunnels")
    assert tunnel.get(HOST).status == 200
    assert issuer.refreshes == 0 and "the credentials of a context changed" not in tunnel.log()


def test_a_refusal_is_shown_in_the_words_of_the_provider_and_retried(cluster, issuer, tmp_path,
                                                                     start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(**{"refresh-token": "stale"}))
    tunnel = start_tunnel("--wait", "1s", kubeconfig=path, ready=False)
    answer = tunnel.get(HOST)
    assert answer.status == 502
    assert "failed to refresh the token: invalid_grant: Refresh token was used already" in answer.text
    kubeconfig_for(cluster, path, issuer.user(**{"id-token": issuer.sign(3600)}))  # a new login
    eventually(lambda: tunnel.get(HOST).status == 200, seconds=20)
    assert "s:cret" not in tunnel.log() and "stale" not in tunnel.log()


def test_without_a_refresh_token_the_error_names_the_login(cluster, issuer, tmp_path):
    done = list_services(kubeconfig_for(cluster, tmp_path / "config", issuer.user(
        **{"id-token": issuer.sign(-5), "refresh-token": None})))
    assert done.returncode == 1
    assert "the id-token has expired, and there is no refresh-token: log in again" in done.stderr


def test_a_symbolic_link_is_followed_and_kept(cluster, issuer, tmp_path):
    real = tmp_path / "elsewhere"
    real.mkdir()
    path = kubeconfig_for(cluster, real / "real-config", issuer.user())
    link = tmp_path / "config"
    link.symlink_to("elsewhere/real-config")
    assert list_services(link).returncode == 0
    assert link.is_symlink() and provider_of(path)["refresh-token"] == "refresh-1"
    assert sorted(p.name for p in real.iterdir()) == ["real-config"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_a_file_that_is_a_mount_point_is_overwritten(cluster, issuer, tmp_path):
    """As a kubeconfig in a container often is: a rename is refused there (EBUSY)."""
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user())
    inode = path.stat().st_ino
    done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$1" && exec "$0" list --kubeconfig "$1"',
                           BINARY, path], capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0 and not done.stderr, done
    assert provider_of(path)["refresh-token"] == "refresh-1" and path.stat().st_ino == inode
    assert sorted(p.name for p in tmp_path.glob("config*")) == ["config"]


def test_comments_and_order_of_the_file_stay(cluster, issuer, tmp_path):
    config = json.loads(kubeconfig_for(cluster, tmp_path / "json", issuer.user()).read_text())
    c, p = config["clusters"][0]["cluster"], config["users"][0]["user"]["auth-provider"]["config"]
    text = f"""# my clusters
apiVersion: v1
current-context: test   # the only one
contexts: [{{name: test, context: {{cluster: c, user: u}}}}]
users:
  - name: u             # jane
    user:
      auth-provider:
        name: oidc
        config:
          refresh-token: 'refresh-0'   # from the login
          idp-issuer-url: {p['idp-issuer-url']}
          client-id: the client
          client-secret: "s:cret"
          idp-certificate-authority: {p['idp-certificate-authority']}
clusters:
- name: c
  cluster: {{server: "{c['server']}", certificate-authority-data: {c['certificate-authority-data']}}}
"""
    path = tmp_path / "config"
    path.write_text(text)
    assert list_services(path).returncode == 0
    expected = text.replace("'refresh-0'", '"refresh-1"').replace(
        "          refresh-token:", f'          id-token: "{issuer.issued[0]}"\n          refresh-token:')
    assert path.read_text() == expected


def test_a_lock_of_kubectl_is_waited_for(cluster, issuer, tmp_path, start_tunnel):
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user())
    lock = tmp_path / "config.lock"
    lock.touch()
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200   # the request does not wait for it
    assert provider_of(path)["refresh-token"] == "refresh-0"
    lock.unlink()
    eventually(lambda: provider_of(path)["refresh-token"] == "refresh-1")


def test_a_file_that_cannot_be_written_costs_no_request(cluster, issuer, tmp_path, start_tunnel):
    folder = tmp_path / "readonly"
    folder.mkdir()
    path = kubeconfig_for(cluster, folder / "config", issuer.user())
    (folder / "config.lock").touch()    # for ever
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    tunnel.wait_for_log("the new tokens could not be written into the kubeconfig", seconds=15)
    assert issuer.refreshes == 1


def test_a_refresh_token_that_could_not_be_written_is_not_forgotten(cluster, issuer, tmp_path,
                                                                    start_tunnel):
    """The file holds the one of the login still, which the provider takes only once."""
    issuer.life = 13
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user())
    (tmp_path / "config.lock").touch()
    tunnel = start_tunnel(kubeconfig=path)
    assert tunnel.get(HOST).status == 200
    tunnel.wait_for_log("the new tokens could not be written into the kubeconfig", seconds=15)
    path.write_text(path.read_text() + "\n")    # by another program, about something else
    cluster.order(f"revoke {issuer.issued[0]}", "kill-tunnels")
    issuer.life = 600
    assert tunnel.get(HOST).status == 200, tunnel.log()
    assert issuer.refreshes == 2


def test_another_authority_of_the_provider_counts_at_once(cluster, issuer, tmp_path, start_tunnel):
    wrong = base64.b64encode(cluster_authority(cluster)).decode()
    path = kubeconfig_for(cluster, tmp_path / "config", issuer.user(
        **{"idp-certificate-authority": None, "idp-certificate-authority-data": wrong}))
    tunnel = start_tunnel("--wait", "0", kubeconfig=path, ready=False)
    assert tunnel.get(HOST).status == 502
    kubeconfig_for(cluster, path, issuer.user())
    eventually(lambda: tunnel.get(HOST).status == 200, seconds=10)


@pytest.mark.parametrize("name, advice", [("gcp", "gke-gcloud-auth-plugin"), ("azure", "kubelogin")])
def test_removed_providers_are_refused_with_advice(cluster, tmp_path, name, advice):
    done = list_services(kubeconfig_for(cluster, tmp_path / "config", {"auth-provider": {"name": name}}))
    assert done.returncode == 1 and advice in done.stderr and "was removed from kubectl" in done.stderr
