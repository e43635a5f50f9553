"""Restarts with nothing to do, and the memory of an operator that has come to rest."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bench.bare import Bare
from bench.measure import alternate, demand
from bench.organizations import CRON_JOBS, JOBS, MANAGED, RESOURCES, VENDORS
from bench.report import Goal, Line
from bench.scene import READY_SECONDS, await_rest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.scene import Scene

COUNT: Final = 5000
SIZES: Final = (1000, COUNT)
LARGE: Final = (10_000,)
ROUNDS: Final = 3
MEMORY: Final = 300.0
"""MB at COUNT and below, and in proportion above."""
_MEGABYTE: Final = 1e6


def restart(scene: Scene, count: int = COUNT) -> Iterator[Line]:
    """Measure from the start of the process to its readiness, and count what it then writes."""
    asyncio.run(scene.grow(count))
    rest: list[float] = []
    writes: list[int] = []

    def our_side(_: int) -> float:
        with scene.operator() as operator:
            scene.plane.mark()
            began = time.perf_counter()
            operator.start()
            operator.ready(READY_SECONDS)
            seconds = time.perf_counter() - began
            await_rest(operator)
            rest.append(time.perf_counter() - began)
            writes.append(scene.writes())
        return seconds

    ours, baseline = alternate(ROUNDS, our_side, lambda _: asyncio.run(_lists(scene, count)))
    work = f"{count:,} resources, restart with nothing changed"
    yield Line(
        work,
        f"{ours}; at rest within {min(rest):.0f} s",
        f"one list of each resource: {baseline}",
        ours.best / baseline.best,
        Goal(3, at_least=False),
    )
    yield Line(f"{work}: writes", str(max(writes)), "-", max(writes), Goal(0, "", at_least=False))


async def _lists(scene: Scene, count: int) -> float:
    """Return the seconds of the three lists, in the operator's chunks, read as JSON."""
    async with Bare.connected(scene.access) as bare:
        began, found = time.perf_counter(), 0
        for path, selector in ((RESOURCES, ""), (CRON_JOBS, MANAGED), (JOBS, MANAGED)):
            async for page in bare.pages(path, selector):
                found += len(page["items"])
        seconds = time.perf_counter() - began
    demand(found, count * (1 + 2 * len(VENDORS)))
    return seconds


def memory(scene: Scene, sizes: Sequence[int] = SIZES) -> Iterator[Line]:
    """Measure a rested operator at each size, and the slope from the smallest size on."""
    for size in sizes:
        asyncio.run(scene.grow(size))
        with scene.operator() as operator:
            operator.start()
            operator.ready(READY_SECONDS)
            await_rest(operator)
            scene.memory[size] = operator.rss_bytes
        yield _line(scene, size)


def _line(scene: Scene, size: int) -> Line:
    found = scene.memory[size]
    smallest = min(scene.memory)
    slope = ""
    if smallest < size:
        bytes_each = (found - scene.memory[smallest]) / (size - smallest)
        slope = f"; {bytes_each / 1000:.1f} kB a resource from {smallest:,} on"
    return Line(
        f"memory at {size:,} resources of {len(VENDORS)} vendors, a finished Job each",
        f"{found / _MEGABYTE:.0f} MB{slope}",
        "-",
        found / _MEGABYTE,
        Goal(MEMORY * max(1.0, size / COUNT), " MB", at_least=False),
    )
