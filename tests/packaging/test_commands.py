"""The commands of the pages that need no cluster, run as a newcomer would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(module, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.postgres
@pytest.mark.requirement("R08")
@pytest.mark.requirement("R23")
def test_the_trial_brings_rows_and_then_changes_nothing():
    done = run("dev.trial")

    assert done.returncode == 0, done.stdout + done.stderr
    ended = [line for line in done.stdout.splitlines() if "run ended: Succeeded (Synced)" in line]
    assert len(ended) == 3
    assert "250 created, 0 updated, 0 unchanged" in ended[1]
    assert "0 created, 0 updated, 250 unchanged" in ended[2]
    assert done.stdout.count(" | ") == 15


def test_render_and_preview_need_no_cluster():
    sample = "manifests/samples/two-vendors.yaml"

    rendered = run("vendorsync_operator", "render", sample)
    previewed = run(
        "vendorsync_operator", "preview", sample, "--at", "2026-02-02T18:50:00+05:30", "--count=2"
    )

    assert rendered.stdout.count("kind: CronJob") == 4
    assert previewed.returncode == 0
    assert len(previewed.stdout.splitlines()) == 9
    assert "Tue 2026-02-03 06:" in previewed.stdout


def test_a_demo_without_a_cluster_names_the_trial():
    done = run("dev.demo", "up", CLUSTER="other")

    assert done.returncode == 69
    assert "CLUSTER=other is no provider" in done.stderr
    assert "`make try`" in done.stderr


def test_make_lists_its_targets():
    outside = {k: v for k, v in os.environ.items() if k not in ("MAKELEVEL", "MAKEFLAGS")}
    listed = subprocess.run(
        ["make"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True
    ).stdout

    names = [line.split()[0] for line in listed.splitlines() if line]
    assert names[:4] == ["help", "check", "test", "demo"]
    assert {"demo-down", "try", "generate", "rows"} <= set(names)


def test_the_variables_of_a_cluster_that_is_not_there_fail_the_shell_that_wants_them(tmp_path):
    """Else the next kubectl would ask the reader's own cluster."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    done = subprocess.run(
        ["bash", "-c", 'eval "$(make -s env)"'],
        cwd=ROOT,
        env=env | {"VENDORSYNC_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "make demo" in done.stderr
