"""Options of the whole suite: which tests are for the fast loop, and what is recorded of them.

Inputs: the markers `requirement(id)`, `fault(id)` and `promise(id)`. Outputs: with `--rows FILE` a
JSON object from test to its rows and outcome, which `dev.suite` merges over its sessions; with
`--sums FILE` one of outcomes and of the time that each file took.
"""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import recording

# A busy machine must not fail a test: where a time is asserted, it only tells waiting from hanging.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("suite"), max_examples=10)
settings.load_profile("suite")

FOLDER = Path(__file__).parent
ROWS = tomllib.loads((FOLDER / "rows.toml").read_text())
SLOW = (
    "api/test_schedule_slowed.py",
    "api/test_schedule_spread.py",
    "api/test_schedule_year.py",
    "simulators",
    "vendors",
    "controller/test_cluster.py",
    "controller/test_intake.py",
    "faults",
    "packaging/test_commands.py",
    "packaging/test_import_circles.py",
    "packaging/test_installs.py",
    "packaging/test_layout.py",
    "packaging/test_locks.py",
    "packaging/test_sizes.py",
    "syncjob/test_adapters_load.py",
    "syncjob/test_command.py",
    "syncjob/test_http.py",
    "syncjob/test_network.py",
)
"""Below tests/: what opens sockets, starts processes, simulates years or reads the whole checkout.

It is not for the fast loop.
"""
CLUSTERS = ("e2e", "plane")
LOOP = "not e2e and not postgres and not slow"
DECLARED = re.compile(r"^pytestmark = (?:\[[^\]]*|.*)\bmark\.(?:e2e|postgres|slow)\b", re.MULTILINE)
"""In a file: none of its tests is for the fast loop."""


def pytest_addoption(parser):
    parser.addoption("--rows", type=Path, help="record the rows that tests have shown in this file")
    parser.addoption("--sums", type=Path, help="write outcomes and the time of each file into this")
    parser.addoption("--keep-cluster", action="store_true", help="leave the test cluster up")
    parser.addoption("--fast", action="store_true", help=f"the loop while editing: {LOOP}")


def pytest_configure(config):
    if config.option.fast:
        config.option.markexpr = config.option.markexpr or LOOP
        settings.load_profile("fast")
    config.pluginmanager.register(recording)
    # A worker's reports are recorded where they arrive.
    if not hasattr(config, "workerinput"):
        if config.option.rows is not None:
            config.pluginmanager.register(recording.Rows(config.option.rows))
        if config.option.sums is not None:
            config.pluginmanager.register(recording.Sums(config.option.sums))


def pytest_ignore_collect(collection_path, config):
    """Leave out what has no test for the loop, since importing it takes longer than its tests."""
    if not config.option.fast or not collection_path.is_relative_to(FOLDER):
        return None
    if collection_path.relative_to(FOLDER).as_posix().startswith((*SLOW, *CLUSTERS)):
        return True
    is_file = collection_path.suffix == ".py"
    return True if is_file and DECLARED.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.relative_to(FOLDER).as_posix().startswith(SLOW):
            item.add_marker("slow")
        unknown = [
            row
            for row in recording.marked_rows(item)
            if not any(row in rows for rows in ROWS.values())
        ]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: rows.toml has no {', '.join(unknown)}")
