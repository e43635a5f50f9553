"""`python -m dev.suite [--cover]`: all tests, in three parts, with one closing line.

The parts run at once. Tests on the cluster run one by one and those on planes two by two, since
both wait more than they compute. What needs neither runs beside them, on the time of the processors
that they leave. Rows, times and outcomes are of all parts together, and with --cover the table of
lines that no test ran, which takes a good deal longer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dev import rows

if TYPE_CHECKING:
    from collections.abc import Iterable

CACHE: Final = Path(__file__).resolve().parents[1] / ".cache"
ROWS: Final = CACHE / "rows.json"
SLOWEST: Final = 15
WORKERS: Final = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
PAIR: Final = ("--numprocesses=2", "--dist=loadfile")
_LEAST: Final = 19
"""The niceness that leaves all others the processors."""


@dataclass(frozen=True)
class Part:
    """A session of pytest."""

    title: str
    options: tuple[str, ...]
    nice: int = 0
    """What is added to its niceness."""

    def left(self, what: str) -> Path:
        """Return where it leaves its `rows`, its `sums`, its `coverage` and what it prints."""
        return CACHE / f"{self.title.replace(' ', '-')}-{what}"

    def command(self, *, cover: bool) -> list[str]:
        """Return what runs it."""
        found = [sys.executable, "-m", "pytest", *self.options]
        found += ["--cov", "--cov-report="] if cover else []
        found += [f"--rows={self.left('rows')}", f"--sums={self.left('sums')}"]
        return ["nice", "-n", str(self.nice), *found] if self.nice else found

    def start(self, *, cover: bool, output: Path | None = None) -> Running:
        """Start it; what it prints goes to a file if there is one."""
        for what in ("rows", "sums", "coverage"):
            self.left(what).unlink(missing_ok=True)
        env = os.environ | {"COVERAGE_FILE": str(self.left("coverage"))}
        command, started = self.command(cover=cover), time.monotonic()
        with output.open("wb") if output else nullcontext() as file:
            process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
        return Running(self, process, started, output)


@dataclass(frozen=True)
class Running:
    """A part that was started."""

    part: Part
    process: subprocess.Popen[bytes]
    started: float
    output: Path | None

    def end(self) -> int:
        """Wait for it, print what it printed and how long it took, and return its exit code."""
        code = self.process.wait()
        if self.output:
            print(self.output.read_text(encoding="utf-8", errors="replace"))
        print(f"[{self.part.title}: {time.monotonic() - self.started:.0f} s]", flush=True)
        return code

    def cut_off(self) -> None:
        """End it if it still runs, as Ctrl-C does: pytest then takes down what tests have made."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


ALONE: Final = Part("tests without a cluster", ("-m", "not e2e", *WORKERS), nice=_LEAST)
PLANES: Final = Part("tests on planes", ("-m", "e2e", "tests/plane", *PAIR))
CLUSTER: Final = Part("tests on the cluster", ("-m", "e2e", "--ignore=tests/plane"))
PARTS: Final = (ALONE, PLANES, CLUSTER)


@dataclass(frozen=True)
class Ending:
    """How sessions ended: tests by outcome, and the seconds of each file."""

    outcomes: Counter[str]
    seconds: Counter[str]

    @classmethod
    def read(cls, *files: Path) -> Ending:
        """Add up what sessions have left; one that has left nothing counts as an error."""
        ending = cls(Counter(), Counter())
        for file in files:
            if file.exists():
                found = json.loads(file.read_text(encoding="utf-8"))
                ending.outcomes.update(found["outcomes"])
                ending.seconds.update(found["seconds"])
            else:
                ending.outcomes["error"] += 1
        return ending

    @property
    def slowest(self) -> str:
        """The slowest files, a line each."""
        listed = self.seconds.most_common(SLOWEST)
        return "\n".join(f"{seconds:7.1f} s  {name}" for name, seconds in listed)

    @property
    def line(self) -> str:
        """The closing line; a fixture that broke is a failure."""
        failed = self.outcomes["failed"] + self.outcomes["error"]
        skipped = self.outcomes["skipped"]
        return f"{self.outcomes['passed']} passed, {failed} failed, {skipped} skipped"


_CLUSTER_UP: Final = (
    *(sys.executable, "-m", "dev.timed", "test cluster"),
    *(sys.executable, "-m", "dev.cluster", "--name", "test", "up"),
)


def merged(files: Iterable[Path]) -> dict[str, Any]:
    """Return the JSON objects of files as one; a file that does not exist has none."""
    found: dict[str, Any] = {}
    for file in files:
        found |= json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def _report_coverage() -> None:
    files = [str(part.left("coverage")) for part in PARTS if part.left("coverage").exists()]
    for arguments in (("combine", *files), ("report",)):
        subprocess.run([sys.executable, "-m", "coverage", *arguments], check=False)


def main(*, cover: bool) -> int:
    """Run the suite; the closing line is the last one."""
    CACHE.mkdir(exist_ok=True)
    beside = [part.start(cover=cover, output=part.left("output")) for part in (ALONE, PLANES)]
    try:
        if code := subprocess.run(_CLUSTER_UP, check=False).returncode:
            return code
        codes = [running.end() for running in (CLUSTER.start(cover=cover), *beside)]
    finally:
        for running in beside:
            running.cut_off()
    ROWS.write_text(json.dumps(merged(part.left("rows") for part in PARTS)), encoding="utf-8")
    if cover:
        _report_coverage()
    ending = Ending.read(*(part.left("sums") for part in PARTS))
    print(f"the slowest files:\n{ending.slowest}")
    rows.main(ROWS, summary=True)
    print(ending.line, flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main(cover="--cover" in sys.argv[1:]))
