"""`python -m dev.suite`: all tests, in two parts, and how they ended in one closing line.

What needs no cluster comes first, side by side, a file in one worker. The rest follows one by one:
clusters share the machine's network and want all of its processors. Rows, coverage, times and
outcomes are of both parts together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import rows

CACHE: Final = Path(__file__).resolve().parents[1] / ".cache"
ROWS: Final = CACHE / "rows.json"
SLOWEST: Final = 15
WORKERS: Final = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")


@dataclass(frozen=True)
class Part:
    """A session of pytest."""

    title: str
    options: tuple[str, ...]

    @property
    def sums(self) -> Path:
        """Where it leaves its outcomes and times."""
        return CACHE / f"{self.title.replace(' ', '-')}.json"

    def run(self) -> int:
        """Run it, print how long it took, and return its exit code."""
        self.sums.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", f"--rows={ROWS}", f"--sums={self.sums}"]
        started = time.monotonic()
        code = subprocess.run([*command, *self.options], check=False).returncode
        print(f"[{self.title}: {time.monotonic() - started:.0f} s]", flush=True)
        return code


PARTS: Final = (
    Part("tests without a cluster", ("-m", "not e2e", *WORKERS, "--cov", "--cov-report=")),
    Part(
        "tests on clusters",
        ("-m", "e2e", "--cov", "--cov-append", "--cov-report=term:skip-covered"),
    ),
)


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


def main() -> int:
    """Run the suite; the closing line is the last one."""
    ROWS.unlink(missing_ok=True)
    codes = [part.run() for part in PARTS]
    ending = Ending.read(*(part.sums for part in PARTS))
    print(f"the slowest files:\n{ending.slowest}")
    rows.main(ROWS, summary=True)
    print(ending.line, flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
