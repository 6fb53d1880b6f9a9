"""What the tests themselves stand on. SPDX-License-Identifier: MIT"""
import os
import subprocess
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
