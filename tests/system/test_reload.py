"""The kubeconfig changes while kube-tunnel runs: every way to change it, and every kind of change.

SPDX-License-Identifier: MIT
"""
import datetime
import os
import re
import shutil
import threading
import time

import pytest

from conftest import SANITIZED
from http_client import Client
from kubeconfigs import Kubeconfig
from test_contexts import said, start_cluster  # noqa: F401 (a fixture)
from tunnel_process import KubeTunnel, eventually

WITHIN = 1.0  # seconds that a change may take to be in effect
LATEST = 10 if SANITIZED else 4  # the same with the question, on a busy machine


@pytest.fixture
def one_and_two(start_cluster, tmp_path):  # noqa: F811
    folder = tmp_path / "kube"
    folder.mkdir()
    config = Kubeconfig(folder / "config", current="ctx")
    config.one, config.two = start_cluster("one"), start_cluster("two")
    config.add("ctx", config.one).write()
    return config


REPLACED = re.compile(r"(\S+)Z INFO  cluster the (?:server|credentials|namespace) of a context changed")


def now_says(tunnel, name, host="web.shop.localhost"):
    """The next requests reach that cluster; by the log that was so within a second."""
    changed = time.time()
    eventually(lambda: said(tunnel.get(host)) == name, 10, pause=0.02)
    before = tunnel.reloads = getattr(tunnel, "reloads", 0) + 1
    lines = eventually(lambda: len(found := REPLACED.findall(tunnel.log())) >= before and found)
    line = lines[-1]
    took = datetime.datetime.fromisoformat(line + "+00:00").timestamp() - changed
    assert SANITIZED or took < WITHIN, took


# ways to change it


def in_place(config):
    config.write()


def by_rename(config):
    config.replace()


def removed_and_made_again(config):
    config.path.unlink()
    time.sleep(0.2)
    config.write()


def the_folder_removed_and_made_again(config):
    shutil.rmtree(config.path.parent)
    time.sleep(0.2)
    config.path.parent.mkdir()
    config.write()


def slowly_in_place(config):
    text = config.text()
    with open(config.path, "w") as f:
        for i in range(0, len(text), 200):
            f.write(text[i:i + 200])
            f.flush()
            time.sleep(0.03)


@pytest.mark.parametrize("change", [in_place, by_rename, removed_and_made_again, slowly_in_place,
                                    the_folder_removed_and_made_again])
def test_a_changed_server_takes_effect_within_a_second(one_and_two, start_tunnel, change):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    config.add("ctx", config.two)
    change(config)
    now_says(tunnel, "two")
    config.add("ctx", config.one)
    change(config)
    now_says(tunnel, "one")


def test_a_symlink_swap_as_kubernetes_does_it_takes_effect(one_and_two, start_tunnel, tmp_path):
    """config -> ..data/config, ..data -> ..1: the second link is replaced by rename."""
    config, mount = one_and_two, tmp_path / "mount"
    for name, cluster in (("..1", config.one), ("..2", config.two)):
        (mount / name).mkdir(parents=True)
        config.add("ctx", cluster)
        (mount / name / "config").write_text(config.text())
    (mount / "..data").symlink_to("..1")
    (mount / "config").symlink_to("..data/config")
    tunnel = start_tunnel(kubeconfig=mount / "config")
    assert said(tunnel.get("web.shop.localhost")) == "one"
    (mount / "..data_tmp").symlink_to("..2")
    os.rename(mount / "..data_tmp", mount / "..data")
    shutil.rmtree(mount / "..1")
    now_says(tunnel, "two")


def test_a_symlink_into_another_folder_is_followed(one_and_two, start_tunnel, tmp_path):
    config = one_and_two
    link = tmp_path / "link"
    link.symlink_to(config.path)
    tunnel = start_tunnel(kubeconfig=link)
    config.add("ctx", config.two).replace()
    now_says(tunnel, "two")


def test_a_kubeconfig_that_appears_later_is_read(one_and_two, tmp_path):
    config = one_and_two
    config.add("later", config.one)
    late = Kubeconfig(tmp_path / "not" / "yet" / "there", current=None)
    late.add("other", config.two)
    last = tmp_path / "last"
    environment = {"KUBECONFIG": f"{config.path}:{late.path}:{last}"}
    tunnel = KubeTunnel("--context", "all", environment=environment, folder=tmp_path).start()
    assert tunnel.get("web.shop.other.localhost").status == 404
    late.path.parent.mkdir(parents=True)
    late.write()
    eventually(lambda: said(tunnel.get("web.shop.other.localhost")) == "two", LATEST)
    third = Kubeconfig(last).add("third", config.two)
    third.write()
    eventually(lambda: said(tunnel.get("web.shop.third.localhost")) == "two", LATEST)
    tunnel.stop()


# kinds of change


def test_added_and_removed_contexts_take_effect(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    assert tunnel.get("web.shop.new.localhost").status == 404
    config.add("new", config.two).write()
    eventually(lambda: said(tunnel.get("web.shop.new.localhost")) == "two", LATEST)
    config.remove("new").write()
    eventually(lambda: tunnel.get("web.shop.new.localhost").status == 404, LATEST)
    assert 'context "new" is no longer in the kubeconfig' in tunnel.get("web.shop.new.localhost").text
    assert "new: it is no longer in the kubeconfig" in tunnel.own("/readyz").text
    config.add("new", config.two).write()
    eventually(lambda: said(tunnel.get("web.shop.new.localhost")) == "two", LATEST)
    assert said(tunnel.get("web.shop.localhost")) == "one"


def test_a_label_stays_with_its_context(one_and_two, start_tunnel):
    """The context that had the label is gone: another one with the same name part gets a number."""
    config = one_and_two
    config.add("arn:aws:eks:a:1:cluster/prod", config.one).write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    assert said(tunnel.get("web.shop.prod.localhost")) == "one"
    config.remove("arn:aws:eks:a:1:cluster/prod").add("prod", config.two).write()
    eventually(lambda: said(tunnel.get("web.shop.prod-2.localhost")) == "two", LATEST)
    assert tunnel.get("web.shop.prod.localhost").status == 404


def test_an_added_context_is_not_reached_where_one_was_chosen(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    config.add("new", config.two).write()
    tunnel.wait_for_log("the kubeconfig was read again")
    assert tunnel.get("web.shop.new.localhost").status == 404


def test_another_current_context_does_not_move_plain_names(one_and_two, start_tunnel):
    config = one_and_two
    config.add("other", config.two).write()
    tunnel = start_tunnel(kubeconfig=config.path)
    config.current = "other"
    config.write()
    tunnel.wait_for_log("current-context changed; names without a label still lead to the first context.*current=other first=ctx")
    assert said(tunnel.get("web.shop.localhost")) == "one"


def test_removing_the_only_context_is_reported_and_reversible(one_and_two, start_tunnel):
    """As kind and minikube do it when their cluster is deleted and made again."""
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    config.remove("ctx").add("unrelated", server="https://127.0.0.1:1").write()
    eventually(lambda: tunnel.get("web.shop.localhost").status == 404, LATEST)
    assert tunnel.own("/readyz").status == 503
    config.add("ctx", config.two).write()
    eventually(lambda: said(tunnel.get("web.shop.localhost")) == "two", LATEST)
    eventually(lambda: tunnel.own("/readyz").status == 200)


def test_changed_credentials_take_effect_within_a_second(start_playground, start_tunnel, tmp_path):
    playground = start_playground("--token", "second")
    config = Kubeconfig(tmp_path / "config", current="ctx")
    config.add("ctx", playground, token="first").write()
    tunnel = start_tunnel("--wait", "0", kubeconfig=config.path, ready=False)
    assert tunnel.get("web.shop.localhost").status == 502
    config.add("ctx", playground, token="second").write()
    eventually(lambda: tunnel.get("web.shop.localhost").status == 200, LATEST)
    config.add("ctx", playground, token="third").write()
    eventually(lambda: tunnel.get("web.shop.localhost").status == 502, 15)


def test_requests_that_wait_for_the_old_server_are_served_by_the_new_one(one_and_two, start_tunnel):
    config = one_and_two
    config.add("ctx", server="https://127.0.0.1:1").write()
    tunnel = start_tunnel("--wait", "20s", kubeconfig=config.path, ready=False)
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(tunnel.get("web.shop.localhost"))) for _ in range(5)]
    for thread in waiting:
        thread.start()
    tunnel.wait_for_log("waiting for an endpoint")
    time.sleep(0.5)
    changed = time.monotonic()
    config.add("ctx", config.two).write()
    for thread in waiting:
        thread.join(20)
    assert time.monotonic() - changed < LATEST
    assert [said(answer) for answer in answers] == ["two"] * 5


@pytest.mark.parametrize("text", ["", "{", "contexts: [", "apiVersion: v1\nkind: Config\n", "\0\0\0"])
def test_a_broken_or_empty_file_is_ignored_and_logged_once(one_and_two, start_tunnel, text):
    config = one_and_two
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    for _ in range(3):
        config.path.write_text(text)
        time.sleep(0.7)
        assert said(tunnel.get("web.shop.localhost")) == "one"
    tunnel.wait_for_log("WARN .*the kubeconfig cannot be read: keeping the last one")
    assert tunnel.log().count("the kubeconfig cannot be read") == 1
    config.add("ctx", config.two).write()
    now_says(tunnel, "two")


def test_an_unreadable_or_missing_file_is_ignored(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    config.path.unlink()
    tunnel.wait_for_log("the kubeconfig cannot be read: keeping the last one")
    assert said(tunnel.get("web.shop.localhost")) == "one"
    config.add("ctx", config.two).write()
    now_says(tunnel, "two")


def test_a_pipe_in_place_of_the_file_is_not_waited_for(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    pipe = config.path.with_name("pipe")
    os.mkfifo(pipe)
    pipe.rename(config.path)
    tunnel.wait_for_log("the kubeconfig cannot be read: keeping the last one.*it is a pipe")
    assert said(tunnel.get("web.shop.localhost")) == "one"
    config.path.unlink()
    config.add("ctx", config.two).write()
    now_says(tunnel, "two")


def test_a_context_that_becomes_unusable_keeps_its_cluster(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    config.entries["ctx"]["cluster"]["certificate-authority"] = "/nonexistent/ca.crt"
    del config.entries["ctx"]["cluster"]["certificate-authority-data"]
    config.write()
    tunnel.wait_for_log("a context cannot be used: keeping its last configuration.*/nonexistent/ca.crt")
    assert said(tunnel.get("web.shop.localhost")) == "one"


def test_a_file_rewritten_with_the_same_content_changes_nothing(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    dials = tunnel.total("kube_tunnel_dials_total")
    for change in (in_place, by_rename):
        change(config)
        time.sleep(0.7)
    config.entries["ctx"]["namespace"] = "other"  # as kubens does; all namespaces may be watched
    config.write()
    time.sleep(0.7)
    assert tunnel.log().count("the kubeconfig was read again") == 3
    assert said(tunnel.get("web.shop.localhost")) == "one"
    assert tunnel.total("kube_tunnel_dials_total") == dials
    assert "of a context changed" not in tunnel.log()


# what goes on meanwhile


class Download:
    """A slow download through a tunnel, which is read for as long as a test likes."""

    def __init__(self, tunnel, host, total=30_000_000):
        self.client, self.got = Client(tunnel.port, seconds=20), 0
        self.client.socket.sendall(f"GET /bytes?n={total} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        self.total = total

    def read(self, n):
        while n > 0:
            piece = self.client.socket.recv(min(n, 65536))
            assert piece, f"ended after {self.got}"
            n -= len(piece)
            self.got += len(piece)

    def finish(self):
        """The rest, and that it is whole."""
        while self.got < self.total:
            self.read(min(65536, self.total - self.got))
        self.client.close()


@pytest.mark.parametrize("kind", ["credentials", "server", "removed", "another context"])
def test_a_download_survives_a_change(start_playground, start_tunnel, tmp_path, kind):
    a, b = start_playground(), start_playground()
    config = Kubeconfig(tmp_path / "config", current="ctx", ctx=a, unchanged=b)
    config.write()
    tunnel = start_tunnel("--context", "all", kubeconfig=config.path)
    downloads = [Download(tunnel, f"web.shop.{label}.localhost") for label in ("ctx", "unchanged")]
    for download in downloads:
        download.read(1_000_000)
    if kind == "credentials":
        config.entries["ctx"]["user"] = {"token": "another"}
    elif kind == "server":
        config.add("ctx", b)
    elif kind == "removed":
        config.remove("ctx")
    else:
        config.add("third", b)
    config.write()
    tunnel.wait_for_log("the kubeconfig was read again")
    time.sleep(0.3)
    for download in downloads:
        download.finish()
    if kind in ("server", "removed"):  # the old cluster goes with its last connection
        eventually(lambda: b"" == a_connections(a), 10)


def a_connections(playground):
    """Connections to that API server that are still established, as text."""
    wanted = f":{playground.port:04X} ".encode()
    lines = [line for line in open("/proc/net/tcp", "rb").read().splitlines()[1:]
             if line.split()[3] == b"01" and wanted.strip() in line.split()[2]]
    return b"\n".join(lines)


def test_nothing_is_left_of_replaced_clusters(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    assert said(tunnel.get("web.shop.localhost")) == "one"

    def files():
        return len(os.listdir(f"/proc/{tunnel.process.pid}/fd"))

    counts = []
    for i in range(6):
        config.add("ctx", config.two if i % 2 == 0 else config.one).replace()
        now_says(tunnel, "two" if i % 2 == 0 else "one")
        eventually(lambda: not a_connections(config.one if i % 2 == 0 else config.two), 10)
        counts.append(files())
    assert max(counts[1:]) <= counts[0] + 2, counts
    assert tunnel.metrics()["kube_tunnel_tunnels"] <= 4


def test_a_hundred_changes_a_second_are_read_a_few_times(one_and_two, start_tunnel):
    config = one_and_two
    tunnel = start_tunnel(kubeconfig=config.path)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        config.write()
        time.sleep(0.01)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    assert 1 <= tunnel.log().count("the kubeconfig was read again") <= 6


def test_a_pipe_is_read_once(one_and_two, start_tunnel, tmp_path):
    """kube-tunnel --kubeconfig <(...): there is nothing to read a second time."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_text(one_and_two.text()))
    writer.start()
    tunnel = start_tunnel(kubeconfig=fifo)
    writer.join()
    (tmp_path / "beside").write_text("")
    time.sleep(0.7)
    assert said(tunnel.get("web.shop.localhost")) == "one"
    assert "read again" not in tunnel.log()
