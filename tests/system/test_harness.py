"""What the tests themselves stand on. SPDX-License-Identifier: MIT"""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from faults_load import kept

IMAGE = Path(__file__).parents[1] / "kubernetes" / "image"


def times(*values):
    """A measure whose runs give these, of at most 1 second; and the list of runs that were made."""
    made = []

    def measure():
        made.append(values[len(made)])
        return [(made[-1], 1, "longest wait, s"), (0.1, 1, "p99, s")]
    return measure, made


def test_a_limit_is_kept_when_two_of_three_runs_keep_it():
    measure, made = times(0.5, 1.6, 0.7)
    kept(measure)
    assert made == [0.5, 1.6, 0.7]


def test_two_runs_that_agree_leave_the_third_out():
    measure, made = times(0.5, 0.7, 9)
    kept(measure)
    assert made == [0.5, 0.7]


@pytest.mark.parametrize("values", [(1.6, 1.6, 0.5), (0.5, 1.6, 1.6), (1.6, 0.5, 1.6)])
def test_one_good_run_of_three_does_not_keep_a_limit(values):
    measure, _ = times(*values)
    with pytest.raises(AssertionError, match=r"OVER: longest wait, s: .*1\.6 of 1.*\nkept: p99, s"):
        kept(measure)


def test_a_run_with_a_limit_of_its_own_is_judged_by_it():
    runs = iter([(5, 10), (15, 10), (25, 30)])
    kept(lambda: [(*next(runs), "outage, s")])


def test_the_report_of_a_test_that_fails_has_the_log(tmp_path):
    path = tmp_path / "test_fails.py"
    path.write_text("def test_it(start_tunnel):\n    start_tunnel()\n    assert False\n")
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", path],
                          capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}"})
    assert done.returncode == 1, done
    assert re.search(r"-- the end of .*\.log --(.*\n)+.* INFO .* listening ", done.stdout), done.stdout


# tests/kubernetes/image, when Debian's archive is away

FAKES = {
    "apt-get": "echo Debian http://archive.test/debian",
    "buildah": 'case "$*" in *inspect*) exit 1;; *push*) touch pushed;; esac',
    "debootstrap": """echo asked >>asked
[ "$(wc -l <asked)" -gt "$AWAY" ] || exit 1
mkdir "$3/etc" && touch "$3/etc/debian_version\"""",
}


@pytest.fixture
def build_image(tmp_path):
    """build_image(away): with an archive that fails so often; and how often it was contacted in all."""
    for name, script in FAKES.items():
        fake = tmp_path / "bin" / name
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/bash\n{script}\n")
        fake.chmod(0o755)

    def build(away, seconds=120):
        # What script/env puts before PATH must not hide the fakes.
        tools = tmp_path / "cache" / "kube-tunnel" / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        if not (tools / "bin").exists():
            (tools / "bin").symlink_to(tmp_path / "bin")
        done = subprocess.run([IMAGE, "test:1"], cwd=tmp_path, capture_output=True, text=True, timeout=60, env={
            **os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "AWAY": str(away),
            "ARCHIVE_AWAY": str(seconds), "ARCHIVE_PAUSE": "0.1"})
        return done, (tmp_path / "asked").read_text().count("asked")
    return build


@pytest.mark.skipif(os.geteuid() != 0, reason="images are made by root")
def test_an_image_is_made_when_the_archive_is_back_and_its_base_is_kept(build_image, tmp_path):
    done, asked = build_image(away=5)
    assert done.returncode == 0 and asked == 6, done.stderr
    assert (tmp_path / "pushed").exists()
    done, asked = build_image(away=99)
    assert done.returncode == 0 and asked == 6, "the base is kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="images are made by root")
def test_an_archive_that_stays_away_is_an_error_and_no_base(build_image, tmp_path):
    done, asked = build_image(away=999, seconds=4)
    assert done.returncode == 1 and asked > 1 and "failed for 4 s" in done.stderr
    assert not list((tmp_path / "cache" / "kube-tunnel").glob("bookworm*"))


# tools/check-layers: each rule is broken once in a small tree

CHECK = Path(__file__).parents[2] / "tools" / "check-layers"

# Allowed as it is: tunnel/ may know kube/ and net/, net/ alone may know libuv.
TREE = {
    "src/base/str.h": "",
    "src/net/loop.h": '#include "base/str.h"\n',
    "src/net/loop.c": '#include "net/loop.h"\n#include <uv.h>\n',
    "src/yaml/cursor.h": "",
    "src/kube/api.h": '#include "base/str.h"\n',
    "src/tunnel/tunnel.h": '#include "kube/api.h"\n',
    "src/tunnel/tunnel.c": '#include "tunnel/tunnel.h"\n#include "net/loop.h"\n',
    "playground/pod.h": '#include "net/loop.h"\n',
}


@pytest.fixture
def layers(tmp_path):
    """layers({file: text, ...}): check the tree with these files in it instead."""
    def check(changes):
        for name, text in {**TREE, **changes}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([CHECK, tmp_path], capture_output=True, text=True, timeout=60)
    return check


def test_a_tree_that_keeps_the_layers_passes(layers):
    done = layers({})
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("changes, chain", [
    ({"src/net/loop.h": '#include "kube/api.h"\n'},
     "net/loop.h:1 -> kube/api.h: net must not reach kube"),
    ({"src/kube/api.h": '#include "yaml/cursor.h"\n'},
     "tunnel/tunnel.h:1 -> kube/api.h:1 -> yaml/cursor.h: tunnel must not reach yaml"),
    ({"src/net/loop.h": "#include <uv.h>\n"},
     "tunnel/tunnel.c:2 -> net/loop.h:1 -> uv.h: tunnel reaches <uv.h>, which is for net only"),
    ({"playground/pod.h": '#include "kube/api.h"\n'},
     "playground/pod.h:1 -> kube/api.h: playground must not reach kube"),
    ({"src/tunnel/tunnel.h": '#include "str.h"\n'},
     'tunnel/tunnel.h:1: "str.h" does not name its folder'),
    ({"src/tunnel/tunnel.h": '#include "base/gone.h"\n'},
     'tunnel/tunnel.h:1: "base/gone.h" does not exist'),
    ({"src/new/new.h": ""}, "new/new.h: new has no row in tools/check-layers"),
], ids=["upwards", "through a header", "library through a header", "playground", "no folder", "no file", "no row"])
def test_a_seeded_include_that_breaks_a_layer_is_reported_with_its_chain(layers, changes, chain):
    done = layers(changes)
    assert done.returncode == 1 and chain in done.stdout.splitlines(), done.stdout


@pytest.mark.parametrize("changes, chain", [
    ({"src/net/tcp.h": '#include "net/tls.h"\n', "src/net/tls.h": '#include "net/tcp.h"\n'},
     "net/tcp -> net/tls -> net/tcp: circle, one of 2 files"),
    ({"src/net/tcp.c": '#include "net/tls.h"\n', "src/net/tcp.h": "", "src/net/tls.h": '#include "net/tcp.h"\n'},
     "net/tcp -> net/tls -> net/tcp: circle, one of 2 files"),
    ({"playground/pod.h": '#include "playground/port.h"\n', "playground/port.h": '#include "playground/app.h"\n',
      "playground/app.h": '#include "playground/pod.h"\n'},
     "playground/app -> playground/pod -> playground/port -> playground/app: circle, one of 3 files"),
], ids=["headers", "a .c and its .h are one file", "three files"])
def test_a_seeded_circle_between_files_is_reported(layers, changes, chain):
    done = layers(changes)
    assert done.returncode == 1 and chain in done.stdout, done.stdout


# tools/check-words: each kind of word is written once into a small tree

@pytest.fixture
def words(tmp_path):
    """words({file: text, ...}): check a tree of these files."""
    def check(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([CHECK.with_name("check-words"), tmp_path], capture_output=True, text=True, timeout=60)
    return check


def test_words_in_strings_code_and_quotes_are_not_reported(words):
    done = words({"src/a.c": 'int spare; /* the user `nobody` */\nchar *s = "/* who */ told";\n',
                  "docs/a.md": "A user who may connect; the key `door` was renamed.\n"})
    assert (done.returncode, done.stdout) == (0, "check-words: 0 words to replace\n")


@pytest.mark.parametrize("files, line", [
    ({"src/a.c": "int a;\n/* A reader\n * who waits. */\n"}, 'src/a.c:3: "who"'),
    ({"tests/a.h": "/* Nobody reads it. */\n"}, 'tests/a.h:1: "Nobody"'),
    ({"src/a.c": "/* the spares of a pod */\n"}, 'src/a.c:1: "spares"'),
    ({"docs/decisions/001-a.md": "# 001\n\nThe carrier is chosen.\n"}, 'docs/decisions/001-a.md:3: "carrier"'),
    ({"docs/a.1": "The kernel is told.\n"}, 'docs/a.1:1: "told"'),
], ids=["person in a comment", "capital", "retired term in a comment", "retired term in a decision", "manual"])
def test_a_seeded_word_is_reported_with_its_line(words, files, line):
    done = words(files)
    assert done.returncode == 1 and line in done.stdout.splitlines(), done.stdout
