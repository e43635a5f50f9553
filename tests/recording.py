"""What is kept of a session: the rows that its tests have shown, its outcome, and its slow files.

A session with workers is recorded like one without: what is to be kept travels with the reports.
"""

import json
from collections import Counter

import pytest

KINDS = ("requirement", "fault", "promise")
OUTCOMES = ("passed", "failed", "error", "skipped")


def marked_rows(item):
    """Return the rows of tests/rows.toml that a test shows when it passes."""
    return [row for kind in KINDS for mark in item.iter_markers(kind) for row in mark.args]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    report.rows = marked_rows(item)
    return report


class Rows:
    """Keeps a JSON object from test to its rows and outcome."""

    def __init__(self, path):
        self._path = path
        self._record = {}

    def pytest_runtest_logreport(self, report):
        rows = getattr(report, "rows", ())  # a worker that died has no marks to tell
        if rows and (report.when == "call" or report.failed):
            new = {"rows": rows, "passed": True}
            found = self._record.setdefault(report.nodeid, new)
            found["passed"] = found["passed"] and report.passed

    def pytest_sessionfinish(self):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._record, indent=1, sort_keys=True))


class Sums:
    """Keeps a JSON object with how many tests ended in which way, and the seconds of each file."""

    def __init__(self, path):
        self._path = path
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report):
        self._seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_terminal_summary(self, terminalreporter):
        stats = terminalreporter.stats
        outcomes = {name: len(stats.get(name, ())) for name in OUTCOMES}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"outcomes": outcomes, "seconds": self._seconds}))
