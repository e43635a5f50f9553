"""`python -m bench.sync [WORK ...]`: the sync engine's measures, a line each.

Ours and the baseline take turns in one run on one machine. A figure is the best round with the
worst in brackets; ratios are those of the best rounds, of the medians where it says so. The
database is a PostgreSQL of the bench's own with fsync on; before each round it is vacuumed and a
checkpoint made. With STRICT=1 a short line fails the bench.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import loads, million, vendor, writes
from bench.database import SETTINGS, server
from bench.report import HEAD, exit_code, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.report import Line
    from dev.database import PostgresServer

    Work = Callable[[PostgresServer], Iterator[Line]]

WORKS: Final[Mapping[str, Work]] = {
    "writes": writes.changed_and_new,
    "loads": loads.changed,
    "unchanged": writes.unchanged,
    "million": million.memory_and_time,
    "start": vendor.start,
    "pages": vendor.pages,
}
QUICK: Final[Mapping[str, Work]] = {
    **WORKS,
    "million": partial(million.memory_and_time, many=million.QUICK),
}
SMOKE: Final[Mapping[str, Work]] = {
    "writes": partial(writes.changed_and_new, count=200),
    "loads": partial(loads.changed, count=200),
    "unchanged": partial(writes.unchanged, count=200),
    "million": partial(million.memory_and_time, many=400, few=200),
    "start": partial(vendor.start, starts=1),
    "pages": partial(vendor.pages, plants=200),
}
"""Sizes that show no more than that each work does what it should."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.sync",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"all, or {', '.join(WORKS)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help=f"{million.QUICK:,} plants for {million.MANY:,}"
    )
    size.add_argument(
        "--smoke", action="store_true", help="tiny sizes: it runs, and its figures mean nothing"
    )
    options = parser.parse_args(arguments)
    wanted = options.works or list(WORKS)
    if unknown := set(wanted) - WORKS.keys():
        parser.error(f"no work {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    works = SMOKE if options.smoke else QUICK if options.quick else WORKS
    if options.quick:
        print(f"quick: {million.QUICK:,} plants stand in for {million.MANY:,}, which take minutes")
    # Servers and loaders must end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lines: list[Line] = []
    with server() as running:
        settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
        print(
            f"PostgreSQL {running.binaries.version}, fsync on, {settings}; {os.cpu_count()} cores"
        )
        print(" | ".join(HEAD).rstrip(" |"), flush=True)
        for name in wanted:
            for line in works[name](running):
                lines.append(line)
                print(" | ".join(line.cells), flush=True)
    print(f"\n{table(lines)}")
    return exit_code(lines, os.environ)


if __name__ == "__main__":
    sys.exit(main())
