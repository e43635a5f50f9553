"""10,000 plants from pages to commit, and what a run without a change costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from bench import upserts
from bench.database import behind, create
from bench.delay import far_away
from bench.fleet import Fleet, pages
from bench.measure import Figure, alternate, demand, timed
from bench.ours import writer
from bench.report import Goal, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.database import Bench
    from dev.database import PostgresServer
    from vendorsync_job.models import Fields, Page

COUNT: Final = 10_000
ROUNDS: Final = 5
ROUND_TRIP: Final = 20.0
"""Milliseconds."""
BASELINE: Final = "upserts of 100"
GOALS: Final = {
    ("1 % changed", "whole run"): Goal(12),
    ("1 % changed", "writing"): Goal(20),
    ("all new", "writing"): Goal(2.6),
}
"""Next door, by work and part of it."""


def listing(count: int, version: int) -> tuple[Page[Fields], ...]:
    """Return the pages of a listing; their plants are still to be read, by both sides."""
    return tuple(pages(Fleet(count, version)))


def changed_and_new(server: PostgresServer, count: int = COUNT) -> Iterator[Line]:
    """Measure the changed and the new plants, next door and far away.

    A whole run is from the lease to the closing of its row. Its writing is the part from the first
    page to the last commit.
    """
    ours, theirs = create(server, "writes"), create(server, "upserts")
    with far_away(server.port, ROUND_TRIP) as port:
        for where, through, goals in (
            ("local", server.port, GOALS),
            (f"{ROUND_TRIP:g} ms away", port, {("1 % changed", "writing"): Goal(15)}),
        ):
            for what, new in (("1 % changed", False), ("all new", True)):
                write, whole, baseline = _compare(ours, theirs, through, count, new=new)
                for part, figure in (("whole run", whole), ("writing", write)):
                    yield Line(
                        f"{count:,} plants, {what}, {where}: {part}",
                        str(figure),
                        f"{BASELINE}: {baseline}",
                        baseline.best / figure.best,
                        goals.get((what, part)),
                    )


def _compare(
    ours: Bench, theirs: Bench, port: int, count: int, *, new: bool
) -> tuple[Figure, Figure, Figure]:
    """Return the figures of our chunks, of our whole run, and of the baseline."""
    whole: list[float] = []
    with (
        writer(behind(ours.url, port)) as job,
        psycopg.connect(behind(theirs.owner_url, port), autocommit=True) as connection,
    ):
        first = listing(count, 0)
        job.run(first)
        upserts.write(connection, first)

        def our_side(number: int) -> float:
            wanted = listing(count, number)
            ours.empty() if new else ours.settle()
            taken = job.run(wanted)
            whole.append(taken.whole)
            expected = (count, 0) if new else (0, count // 100)
            demand((taken.counts.created, taken.counts.updated), expected)
            return taken.writing

        def their_side(number: int) -> float:
            wanted = listing(count, number)
            theirs.empty() if new else theirs.settle()
            return timed(lambda: upserts.write(connection, wanted))

        write, baseline = alternate(ROUNDS, our_side, their_side)
    return write, Figure(tuple(whole)), baseline


def unchanged(server: PostgresServer, count: int = COUNT) -> Iterator[Line]:
    """Measure what a run that changes nothing leaves behind, after a checkpoint and without one."""
    bench = create(server, "unchanged")
    wanted = listing(count, 0)
    for _ in range(2):
        with writer(bench.url) as job:
            job.run(wanted)
    bench.settle()
    for when in ("right after a checkpoint", "again without one"):
        wal, values = bench.wal_position(), bench.sequence_values()
        with writer(bench.url) as job:
            job.run(wanted)
        per_row = (bench.wal_position() - wal) / count
        work = f"{count:,} plants unchanged, {when}"
        yield Line(
            f"{work}: WAL",
            f"{per_row:.2f} bytes a row",
            "-",
            per_row,
            Goal(20, " B", at_least=False),
        )
        dead = bench.dead_rows()
        yield Line(f"{work}: dead rows", str(dead), "-", dead, Goal(0, "", at_least=False))
        taken = bench.sequence_values() - values
        yield Line(f"{work}: sequence values", str(taken), "-", taken, Goal(0, "", at_least=False))
