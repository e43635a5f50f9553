"""A running cron oracle: questions and answers are lines of JSON."""

from __future__ import annotations

import json
import subprocess
import zoneinfo
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dev.building import ORACLE, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator


class OracleError(ValueError):
    """The Go program refuses the zone or the expression; the text is its own."""


class Oracle:
    """A running program; `questions` and `answers` are its two ends."""

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions = questions
        self._answers = answers

    def times(self, zone: str, expression: str, after: datetime, count: int) -> list[datetime]:
        """Return up to `count` times later than `after` (aware), in UTC, or raise OracleError.

        There are fewer when robfig/cron finds none within five years of the last one.
        """
        question = {
            "zone": zone,
            "expression": expression,
            "after": int(after.timestamp()),
            "count": count,
        }
        self._questions.write(json.dumps(question) + "\n")
        self._questions.flush()
        if not (line := self._answers.readline()):
            raise RuntimeError("the cron oracle has ended; its last words are above")
        answer = json.loads(line)
        if answer.get("error"):
            raise OracleError(answer["error"])
        return [datetime.fromtimestamp(second, UTC) for second in answer["times"]]


@contextmanager
def oracle() -> Iterator[Oracle]:
    """Run the program until the block ends; the first time on a machine builds it.

    It reads the same zone files as this Python, so a difference is never one of the database.
    """
    with subprocess.Popen(
        [ensure(ORACLE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"ZONEINFO": str(zone_folder())},
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the cron oracle has no pipes")
        # Leaving the block closes its input, which ends the program.
        yield Oracle(process.stdin, process.stdout)


def zone_folder() -> Path:
    """Return the folder from which this Python's zoneinfo reads: the system's, or the package's."""
    folders = (Path(folder) for folder in zoneinfo.TZPATH)
    packaged = Path(str(resources.files("tzdata") / "zoneinfo"))
    return next((folder for folder in folders if (folder / "Asia/Kolkata").exists()), packaged)
