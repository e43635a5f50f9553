"""Every work of `make bench-operator` at a tiny size: that it runs, and measures what it names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import controller

ROOT = Path(__file__).resolve().parents[2]
LINES = {
    "spread": ("busiest minute",),
    "creation": ("to all CronJobs and statuses",),
    "memory": ("memory at 10 resources", "memory at 20 resources"),
    "restart": ("restart with nothing changed", "restart with nothing changed: writes"),
    "edit": ("one edited resource among 20",),
    "large": ("memory at 30 resources",),
    "finishing": ("lag of the status", "within the coalescing interval", "pod lists"),
}
"""How the lines of a work are called, in parts."""


def run(*works):
    """Return the lines that were measured, as `make bench-operator` prints them."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.controller", "--smoke", *works],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "STRICT"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.count(" | ") >= 4]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("works", [controller.WORKS.growing, controller.WORKS.finishing], ids=list)
def test_the_works_of_a_plane_measure_what_they_name_on_any_size(works):
    lines = run(*works)

    for work in works:
        for name in LINES[work]:
            assert any(name in line for line in lines), (name, lines)


def test_how_evenly_the_runs_are_spread_is_measured_without_a_plane():
    assert any("busiest minute" in line for line in run("spread"))
