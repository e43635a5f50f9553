"""The commands of the README that need no cluster, run as a newcomer would."""

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
@pytest.mark.sockets
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


def test_a_demo_without_a_cluster_names_the_trial():
    done = run("dev.demo", "up", CLUSTER="other")

    assert done.returncode == 69
    assert "CLUSTER=other is no provider" in done.stderr
    assert "`make try`" in done.stderr


def test_make_lists_its_targets():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    names = [line.split()[0] for line in listed.splitlines() if line]
    assert names[:4] == ["help", "check", "test", "demo"]
    assert {"demo-down", "try", "generate", "rows"} <= set(names)
