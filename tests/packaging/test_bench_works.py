"""Every work of `make bench-sync` at a tiny size: that it runs, and measures what it names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import controller, finishing, spread, sync
from bench.scene import NAMESPACE

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    "writes": ["1 % changed, local", "all new, local", "20 ms away"],
    "loads": ["from payload dicts"],
    "unchanged": ["WAL", "dead rows", "sequence values"],
    "million": ["peak memory", "all new, time per plant", "unchanged, time per plant"],
    "start": ["job start to first vendor request", "a bare script"],
    "pages": ["a page of 100 rows", "100 ms a page"],
}
"""What the lines of a work are called, in parts."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("work", sync.WORKS)
def test_a_work_measures_what_it_names_on_any_size(work):
    done = subprocess.run(
        [sys.executable, "-m", "bench.sync", "--smoke", work],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "STRICT"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name in NAMES[work] if name not in done.stdout] == []


def test_the_tiny_size_leaves_no_work_out():
    assert sync.SMOKE.keys() == sync.WORKS.keys()
    assert controller.SMOKE.names == controller.WORKS.names


def test_a_minute_of_the_smallest_measure_of_runs_starts_some_of_them():
    minutes = {spread.minute(number, NAMESPACE) for number in range(finishing.FEW)}

    assert minutes == set(range(spread.MINUTES))


@pytest.mark.parametrize(
    ("target", "module"), [("bench-sync", "bench.sync"), ("bench-operator", "bench.controller")]
)
def test_make_runs_a_bench_as_a_module(target, module):
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, "WORKS=--smoke start"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        check=True,
        capture_output=True,
        text=True,
    )

    assert shown.stdout.splitlines()[-1] == f".venv/bin/python -m {module} --smoke start"
