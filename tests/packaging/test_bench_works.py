"""Every work of `make bench-sync` at a tiny size: that it runs, and measures what it names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import controller, sync

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    "writes": ["1 % changed, local", "all new, local", "20 ms away"],
    "loads": ["from payload dicts"],
    "unchanged": ["WAL", "dead rows", "sequence values"],
    "million": ["peak memory", "all new, time per plant", "unchanged, time per plant"],
    "start": ["job start to first vendor request"],
    "pages": ["100 ms a page"],
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
