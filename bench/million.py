"""1,000,000 plants in one vendor: memory of the job's process, and time per plant.

They take minutes, so a smaller number can stand in for them; what it shows of linear time and
bounded memory is the same, only weaker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.database import create, server
from bench.loaders import ours
from bench.measure import demand, shown
from bench.report import Goal, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.database import PostgresServer

FEW: Final = 10_000
MANY: Final = 1_000_000
QUICK: Final = 100_000
MEGABYTES: Final = Goal(300, " MB", at_least=False)
LINEAR: Final = Goal(1.3, at_least=False)
ROUNDS: Final = 3
"""Of the small number; one of the large."""


def memory_and_time(_: PostgresServer, many: int = MANY, few: int = FEW) -> Iterator[Line]:
    """Measure one first run and one that changes nothing, of a few plants and of many.

    On a server with autovacuum, as in production: a first run of so many plants lasts long enough
    for the planner to get statistics on the way.
    """
    with server(autovacuum="on") as running:
        yield from _lines(running, many, few)


def _lines(running: PostgresServer, many: int, few: int) -> Iterator[Line]:
    new: dict[int, float] = {}
    same: dict[int, float] = {}
    peak: dict[int, float] = {}
    for count, rounds in ((few, ROUNDS), (many, 1)):
        answers = [_runs(running, count, number) for number in range(rounds)]
        new[count] = min(first["seconds"] for first, _ in answers)
        same[count] = min(second["seconds"] for _, second in answers)
        peak[count] = max(second["peak"] for _, second in answers) / 1e6
    yield Line(
        f"{many:,} plants, peak memory",
        f"{peak[many]:.0f} MB",
        f"{few:,} plants: {peak[few]:.0f} MB",
        peak[many],
        MEGABYTES,
    )
    for what, seconds in (("all new", new), ("unchanged", same)):
        each = {count: seconds[count] / count * 1e6 for count in (few, many)}
        yield Line(
            f"{many:,} plants, {what}, time per plant",
            f"{each[many]:.1f} µs ({shown(seconds[many])})",
            f"{few:,} plants: {each[few]:.1f} µs ({shown(seconds[few])})",
            each[many] / each[few],
            LINEAR,
        )


def _runs(running: PostgresServer, count: int, number: int) -> tuple[dict[str, Any], ...]:
    """Make both runs in one process."""
    bench = create(running, f"million_{count}_{number}")
    with ours().loading(bench.url) as loader:
        bench.settle()
        first = loader.load(count=count, version=0)
        demand(first["created"], count)
        bench.settle()
        second = loader.load(count=count, version=0)
        demand((second["created"], second["updated"]), (0, 0))
    return first, second
