"""`python -m bench.job`: runs of the product's write path in a process of their own.

Reads one JSON object a line, {"file": path of rows as JSON lines} or {"count": plants made page by
page, "version": number}, and answers each with {"seconds": from rows to the last commit, "whole":
the same with lease and closing, "peak": bytes of memory so far, "created", "updated"}. What is in
memory before a run is frozen for all programs: it is no garbage of theirs.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

# What the real job has loaded by then, too.
import vendorsync_job.http
import vendorsync_job.stream
from bench.fleet import Fleet, ListedRows, pages
from bench.loaders import DATABASE
from bench.ours import writer

if TYPE_CHECKING:
    from bench.ours import Writer

LOADED = (vendorsync_job.http, vendorsync_job.stream)


def ordered(order: dict[str, Any]) -> Fleet | ListedRows:
    """Return the rows that are asked for; those of a file are in memory then."""
    if "file" not in order:
        return Fleet(order["count"], order["version"])
    with Path(order["file"]).open("rb") as lines:
        return ListedRows([orjson.loads(line) for line in lines])


def peak() -> int:
    """Return the most bytes of memory that this program had; getrusage begins with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]
    return int(kilobytes) * 1024


def answer(job: Writer, order: dict[str, Any]) -> dict[str, Any]:
    """Make one run."""
    fleet = ordered(order)
    gc.freeze()
    taken = job.run(pages(fleet))
    return {
        "seconds": taken.writing,
        "whole": taken.whole,
        "peak": peak(),
        "created": taken.counts.created,
        "updated": taken.counts.updated,
    }


def main() -> None:
    """Answer every line of standard input."""
    with writer(os.environ[DATABASE]) as job:
        for line in sys.stdin:
            print(json.dumps(answer(job, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
