"""Options of the whole suite, and the record of which rows its tests have shown.

Inputs: the markers `requirement(id)`, `fault(id)` and `promise(id)`. Output: with `--rows FILE`, a
JSON object from test to its rows and outcome, merged over the sessions of one `make test`.
"""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: where a time is asserted, it only tells waiting from hanging.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("suite"), max_examples=20)
settings.load_profile("suite")

ROWS = tomllib.loads((Path(__file__).parent / "rows.toml").read_text())
SLOW = (
    "api/test_schedule_spread.py",
    "api/test_schedule_year.py",
    "simulators",
    "vendors",
    "controller/test_cluster.py",
    "faults",
    "packaging/test_commands.py",
    "packaging/test_layout.py",
    "syncjob/test_command.py",
    "syncjob/test_http.py",
    "syncjob/test_network.py",
)
"""Below tests/: what opens sockets, starts processes or simulates years: not for the fast loop."""
RECORD = pytest.StashKey[dict]()
MARKED = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--rows", type=Path, help="record the rows that tests have shown in this file")
    parser.addoption("--keep-cluster", action="store_true", help="leave the test cluster up")


def pytest_configure(config):
    config.stash[RECORD] = {}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(SLOW):
            item.add_marker("slow")
        item.stash[MARKED] = [
            row
            for kind in ("requirement", "fault", "promise")
            for mark in item.iter_markers(kind)
            for row in mark.args
        ]
        unknown = [
            row for row in item.stash[MARKED] if not any(row in rows for rows in ROWS.values())
        ]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: rows.toml has no {', '.join(unknown)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    rows = item.stash[MARKED]
    if rows and (report.when == "call" or report.failed):
        found = item.config.stash[RECORD].setdefault(item.nodeid, {"rows": rows, "passed": True})
        found["passed"] = found["passed"] and report.passed
    return report


def pytest_sessionfinish(session):
    path = session.config.getoption("rows")
    if path is None:
        return
    known = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**known, **session.config.stash[RECORD]}, indent=1, sort_keys=True))
