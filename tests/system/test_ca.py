"""The local CA: its files, what it may sign, and where `kube-tunnel ca` lets it be trusted.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from local_ca import Home, needs_certutil, needs_namespaces
from tunnel_process import BINARY, clean_environment, curl

WITH_SBIN = f"{os.environ['PATH']}:/usr/sbin"
NAME = "web.shop.svc.cluster.local"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def exported(home):
    done = home.ca("export", isolated=False)
    assert done.returncode == 0, done
    return done.stdout


# --- what it may sign ---

def sign(home, names, extensions="basicConstraints=critical,CA:FALSE", issuer=None, key=None, out="leaf"):
    """openssl signs a certificate with the CA's key, as a thief of it could."""
    folder = home.path
    (folder / "extensions").write_text(f"{extensions}\n" + (f"subjectAltName={names}\n" if names else ""))
    for command in (
            ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             folder / f"{out}.key", "-out", folder / "request", "-subj", f"/CN={out}"],
            ["openssl", "x509", "-req", "-in", folder / "request", "-CA", issuer or home.key, "-CAkey",
             key or home.key, "-CAcreateserial", "-CAserial", folder / "serial", "-days", "2", "-extfile",
             folder / "extensions", "-out", folder / out]):
        done = home.run(*command, isolated=False)
        assert done.returncode == 0, done
    return folder / out


def verify(home, certificate, *flags):
    return home.run("openssl", "verify", "-CAfile", home.certificate, "-purpose", "sslserver", *flags, certificate,
                    isolated=False)


SERVED = ["DNS:" + name for name in (
    NAME, "web-0.web.shop.svc.cluster.local", "_http._tcp.web.shop.svc.cluster.local", "web-0.shop.pod.cluster.local",
    "web.shop.deploy.cluster.local", "web.shop.localhost", "web.shop.svc", "web.shop.svc.prod.k8s")]
BESIDE = ["DNS:example.com", "DNS:dashboard.cluster.local", "DNS:a.b.cluster.local", "DNS:a.b.notsvc.cluster.local"]


@pytest.mark.parametrize("names", SERVED)
def test_openssl_accepts_names_of_the_cluster(home, names):
    exported(home)
    assert verify(home, sign(home, names)).returncode == 0


@pytest.mark.parametrize("names, error", [
    *((name, "permitted subtree violation") for name in BESIDE), ("IP:127.0.0.2", "excluded subtree violation"),
    ("IP:::1", "excluded subtree violation"), ("email:me@example.com", "permitted subtree violation"),
    ("URI:https://example.com/", "permitted subtree violation"), (f"DNS:{NAME},DNS:example.com", "permitted subtree"),
    (f"DNS:{NAME},IP:127.0.0.1", "excluded subtree violation")])
def test_openssl_refuses_all_others(home, names, error):
    exported(home)
    done = verify(home, sign(home, names))
    assert done.returncode != 0 and error in done.stderr, done


@needs_certutil
def test_nss_judges_the_same_names(home):
    """As Firefox does, and Chromium for what it trusts."""
    exported(home)
    home.make_nss()
    store = ("certutil", "-d", f"sql:{home.nss}")

    def nss(*words):
        return home.run(*store, *words, isolated=False)
    assert nss("-A", "-n", "ca", "-t", "C,,", "-a", "-i", home.certificate).returncode == 0
    for number, name in enumerate([*SERVED, *BESIDE, "IP:127.0.0.2"]):
        leaf = sign(home, name, out=f"leaf-{number}")
        assert nss("-A", "-n", f"leaf-{number}", "-t", ",,", "-a", "-i", leaf).returncode == 0
        done = nss("-V", "-n", f"leaf-{number}", "-u", "V", "-e")
        assert (done.returncode == 0) == (name in SERVED), (name, done)
        if name not in SERVED:
            assert "not permitted to issue a certificate with this name" in done.stdout + done.stderr, done


def test_openssl_refuses_an_authority_below_it(home):
    exported(home)
    sub = sign(home, None, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign", out="sub")
    leaf = sign(home, "DNS:" + NAME, issuer=sub, key=home.path / "sub.key")
    done = verify(home, leaf, "-untrusted", sub)
    assert done.returncode != 0 and "path length constraint exceeded" in done.stderr, done


# --- its files ---

def test_export_makes_it_once(home):
    first = exported(home)
    assert first.count("BEGIN CERTIFICATE") == 1 and "PRIVATE" not in first
    assert exported(home) == first
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600 and stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_export_writes_a_file(home, tmp_path):
    done = home.ca("export", "-o", tmp_path / "ca.pem", isolated=False)
    assert done.returncode == 0 and (tmp_path / "ca.pem").read_text() == exported(home), done
    assert home.ca("export", "-o", "/nonexistent/ca.pem", isolated=False).returncode == 1


def test_processes_at_once_make_one(home):
    running = [subprocess.Popen([BINARY, "ca", "export"], env=clean_environment(**home.environment), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(6)]
    assert len({process.communicate(timeout=30)[0] for process in running}) == 1
    assert os.listdir(home.folder).count("cluster.local.pem") == 1 and len(os.listdir(home.folder)) == 2


def test_a_new_domain_gets_a_new_one(home):
    first = exported(home)
    both = home.ca("export", "--cluster-domain", "corp.internal", isolated=False)
    assert first in both.stdout and both.stdout.count("BEGIN CERTIFICATE") == 2, both
    assert "made a local CA for corp.internal" in both.stderr
    (home.path / "two").write_text(both.stdout)
    found = json.loads(home.ca("status", "-o", "json", isolated=False).stdout)
    assert [(ca["domain"], ca["names"]) for ca in found] == [
        ("cluster.local", ["cluster.local", "localhost", "svc", "k8s"]),
        ("corp.internal", ["corp.internal", "localhost", "svc", "k8s"])]


@pytest.mark.parametrize("path, mode, words", [
    ("key", 0o644, "mode 0644 lets other users in"), ("folder", 0o777, "mode 0777 lets other users in")])
def test_files_of_others_are_refused(home, path, mode, words):
    exported(home)
    getattr(home, path).chmod(mode)
    for action in ("export", "install", "remove"):
        done = home.ca(action, isolated=False)
        assert done.returncode == 1 and words in done.stderr and f"chmod {'600' if path == 'key' else '700'}" in done.stderr
    assert words in home.ca("status", isolated=False).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_key_of_another_user_is_refused(home):
    exported(home)
    os.chown(home.key, 65534, 65534)
    done = home.ca("export", isolated=False)
    assert done.returncode == 1 and "it belongs to user 65534, and this process is user 0" in done.stderr, done


def test_status_without_one_says_how_to_get_it(home):
    assert "kube-tunnel ca install makes one" in home.ca("status", isolated=False).stdout
    assert json.loads(home.ca("status", "-o", "json", isolated=False).stdout) == []
    assert not home.folder.exists()


@pytest.mark.parametrize("words, error", [
    ([], "the subcommand is missing"), (["list"], 'unknown subcommand "list"'), (["install", "now"], "unexpected argument"),
    (["status", "-o", "yaml"], "expected json"), (["export", "--dry-run"], "take --dry-run"),
    (["install", "-o", "json"], "take --output")])
def test_mistakes_are_named(home, words, error):
    done = home.ca(*words, isolated=False)
    assert done.returncode == 2 and error in done.stderr, done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be there by sudo")
def test_sudo_is_refused(home):
    """Root's home has another CA than the user's."""
    for action in ("install", "export"):
        done = home.ca(action, isolated=False, extra={"SUDO_UID": "1000"})
        assert done.returncode == 2 and "run it without sudo" in done.stderr, done
    assert not home.folder.exists()


# --- where it is trusted ---

@needs_namespaces
@needs_certutil
def test_install_and_remove(home, start_tunnel):
    """Trusted by the system's programs and by NSS; afterwards as before."""
    home.make_nss()
    tunnel = start_tunnel(environment=home.environment)
    assert home.run("update-ca-certificates", path=WITH_SBIN).returncode == 0
    before = home.seen()
    done = home.ca("install")
    assert done.returncode == 0 and done.stdout.count("now trusted") == 2, done
    url = ("curl", "-sS", "--connect-to", f"{NAME}:443:127.0.0.1:{tunnel.port}", f"https://{NAME}/x")
    assert f"host {NAME} path /x" in home.run(*url).stdout
    assert home.ca("install").stdout.count("already trusted") == 2
    stores = json.loads(home.ca("status", "-o", "json").stdout)[0]["stores"]
    assert [store["trusted"] for store in stores] == [True, True]
    assert "C,," in home.seen()[0] and "kube-tunnel-" in home.seen()[0]
    done = home.ca("remove")
    assert done.returncode == 0 and done.stdout.count("no longer trusted") == 2, done
    assert home.seen() == before and not home.folder.exists()
    assert "unable to get local issuer" in home.run(*url).stderr


@needs_namespaces
@needs_certutil
def test_firefox_profiles_are_found(home):
    for profile in (".mozilla/firefox/abc.default", "snap/firefox/common/.mozilla/firefox/x.y"):
        home.nss = home.path / profile
        home.make_nss()
    (home.path / ".mozilla/firefox/Crash Reports").mkdir()
    done = home.ca("install")
    assert done.returncode == 0, done
    assert re.findall(r"(\S+) \(Firefox\): now trusted", done.stdout) == [
        f"{home.path}/.mozilla/firefox/abc.default", f"{home.path}/snap/firefox/common/.mozilla/firefox/x.y"]


@needs_namespaces
@needs_certutil
def test_a_home_without_a_database_gets_one(home):
    done = home.ca("install")
    assert done.returncode == 0 and f"{home.nss} (Chromium and Chrome): now trusted" in done.stdout, done


@needs_namespaces
@needs_certutil
def test_a_dry_run_changes_nothing(home):
    home.make_nss()
    home.isolate()
    before = home.seen()
    done = home.ca("install", "--dry-run")
    assert done.returncode == 0 and done.stdout.count("would be trusted") == 2 and "would be made" in done.stdout, done
    assert home.seen() == before and not home.folder.exists()
    home.ca("install")
    between = home.seen()
    done = home.ca("remove", "--dry-run")
    assert done.stdout.count("would no longer be trusted") == 2 and "would be deleted" in done.stdout, done
    assert home.seen() == between != before and home.key.exists()


@pytest.fixture
def public_folder():
    """Unlike pytest's, one that other users can look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@needs_namespaces
@needs_certutil
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_without_the_right_the_command_is_printed(public_folder):
    """The printed command is run by root, without its sudo, and does it."""
    home = Home(public_folder)
    os.chown(home.path, 65534, 65534)
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = home.run(*as_nobody, BINARY, "ca", "install")
    assert done.returncode == 1 and "nssdb (Chromium and Chrome): now trusted" in done.stdout, done
    command, = re.findall(r"^ +run: (sudo install .*)$", done.stdout, re.M)
    assert home.run("sh", "-c", command.replace("sudo ", "")).returncode == 0
    assert home.run(*as_nobody, BINARY, "ca", "install").returncode == 0
    done = home.run(*as_nobody, BINARY, "ca", "remove")
    assert done.returncode == 1 and "its key stays until then" in done.stdout and home.key.exists(), done
    command, = re.findall(r"^ +run: (sudo rm .*)$", done.stdout, re.M)
    assert home.run("sh", "-c", command.replace("sudo ", "")).returncode == 0
    assert home.run(*as_nobody, BINARY, "ca", "remove").returncode == 0 and not home.key.exists()


@needs_namespaces
def test_without_certutil_the_package_is_named(home, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in os.listdir("/usr/bin"):
        if name != "certutil":
            (folder / name).symlink_to(f"/usr/bin/{name}")
    done = home.ca("install", path=f"{folder}:/usr/sbin:/sbin")
    assert done.returncode == 1 and "certutil is not installed (Debian and Ubuntu: libnss3-tools" in done.stdout, done
    assert "ca-certificates (curl, git, openssl and most programs): now trusted" in done.stdout
    stores = json.loads(home.ca("status", "-o", "json", path=f"{folder}:/usr/sbin:/sbin").stdout)[0]["stores"]
    assert [store["trusted"] for store in stores] == [True, None]


@needs_namespaces
@needs_certutil
def test_a_database_with_a_password_is_named(home, tmp_path):
    (tmp_path / "password").write_text("secret\n")
    home.make_nss("-f", tmp_path / "password")
    done = home.ca("install")
    assert done.returncode == 1 and f"{home.nss}: certutil: " in done.stdout and "password" in done.stdout.lower(), done


def test_the_running_process_uses_the_exported_one(home, start_tunnel):
    exported(home)
    tunnel = start_tunnel(environment=home.environment)
    answer = curl("--cacert", home.certificate, "--connect-to", f"{NAME}:443:127.0.0.1:{tunnel.port}",
                  f"https://{NAME}/x")
    assert answer.status == 200 and "a local CA was made" not in tunnel.log(), answer
