"""What `make test` tells in the end, and what the loop while editing leaves out."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dev.suite import PAIR, PARTS, SLOWEST, WORKERS, Ending

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def left(tmp_path):
    """Write what a session leaves."""

    def write(name, seconds, **outcomes):
        file = tmp_path / name
        file.write_text(json.dumps({"outcomes": outcomes, "seconds": seconds}))
        return file

    return write


def test_the_closing_line_counts_the_tests_of_all_parts(left):
    first = left("first", {}, passed=3000, failed=1, error=0, skipped=2)
    second = left("second", {}, passed=600, failed=0, error=2, skipped=1)

    assert Ending.read(first, second).line == "3600 passed, 3 failed, 3 skipped"


def test_a_part_that_left_nothing_counts_as_a_failure(left, tmp_path):
    first = left("first", {}, passed=1)

    assert Ending.read(first, tmp_path / "none").line == "1 passed, 1 failed, 0 skipped"


def test_the_slowest_files_are_listed_with_the_time_of_all_parts(left):
    many = {f"tests/test_{number:02}.py": float(number) for number in range(SLOWEST + 5)}
    first = left("first", many)
    second = left("second", {"tests/test_01.py": 99.0})

    lines = Ending.read(first, second).slowest.splitlines()

    assert len(lines) == SLOWEST
    assert lines[0] == "  100.0 s  tests/test_01.py"
    assert lines[1] == "   19.0 s  tests/test_19.py"


def test_what_is_covered_is_looked_at_on_demand():
    for part in PARTS:
        assert "--cov" in part.command(cover=True)
        assert "--cov" not in part.command(cover=False)


def test_ci_finds_the_closing_line():
    (pattern,) = re.findall(r"grep -E '(.*?)'", (ROOT / ".ci" / "run").read_text())

    assert re.search(pattern, Ending(Counter(), Counter()).line)


def pytest_run(*options):
    """Run the suite's own pytest in a process of its own; return its code and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, options)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if "PYTEST" not in key},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_every_test_is_in_one_part():
    def collected(*options):
        text = pytest_run("--collect-only", "-p", "no:xdist", *options)[1]
        return Counter(line for line in text.splitlines() if "::" in line)

    def chosen(part):
        return [option for option in part.options if option not in (*WORKERS, *PAIR)]

    assert sum((collected(*chosen(part)) for part in PARTS), Counter()) == collected()


@pytest.mark.slow
def test_workers_record_the_same_rows_and_outcomes(tmp_path):
    found = []
    for workers in (0, 2):
        rows, sums = tmp_path / f"rows-{workers}.json", tmp_path / f"sums-{workers}.json"
        code, text = pytest_run(
            "tests/controller/test_runs.py", "-n", workers, f"--rows={rows}", f"--sums={sums}"
        )
        assert code == 0, text
        found.append((json.loads(rows.read_text()), json.loads(sums.read_text())["outcomes"]))

    assert found[0] == found[1]
    assert all(each["passed"] for each in found[0][0].values())
    assert found[0][1]["passed"] > 0


@pytest.mark.slow
def test_the_loop_while_editing_runs_every_test_that_is_neither_slow_nor_in_need_of_a_server():
    _, everything = pytest_run(
        "--collect-only", "-m", "not e2e and not postgres and not slow", "tests"
    )
    _, loop = pytest_run("--collect-only", "--fast", "tests")

    def names(text):
        return {line for line in text.splitlines() if "::" in line}

    assert names(loop) == names(everything) != set()
