"""1,000 organizations from nothing to all CronJobs, against the same requests sent bare."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import orjson

from bench.bare import Bare, in_flight
from bench.measure import alternate, demand
from bench.organizations import (
    CRON_JOBS,
    QUARTERLY,
    RESOURCES,
    VENDORS,
    resource,
    within,
    written,
)
from bench.report import Goal, Line
from bench.scene import READY_SECONDS, SETTING_UP, Scene, apply_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.organizations import Document, Written

COUNT: Final = 1000
ROUNDS: Final = 2
GOAL: Final = Goal(1.25, at_least=False)
_WARM_UP: Final = 5
_POLL_SECONDS: Final = 0.5
"""Rarely: each look is work for the server on our side alone."""


def from_nothing(scene: Scene, count: int = COUNT) -> Iterator[Line]:
    """Measure from the operator's readiness to the last CronJob and status."""
    asks: list[int] = []
    # A new server works out its schemas with the first applies, for seconds.
    asyncio.run(_theirs(scene, "first", count // _WARM_UP))

    def our_side(number: int) -> float:
        return asyncio.run(_ours(scene, f"ours-{number}", count, asks))

    def their_side(number: int) -> float:
        return asyncio.run(_theirs(scene, f"theirs-{number}", count))

    ours, baseline = alternate(ROUNDS, our_side, their_side)
    yield Line(
        f"{count:,} resources of {len(VENDORS)} vendors to all CronJobs and statuses",
        f"{ours}; {min(asks) / count:.1f} requests a resource",
        f"the same applies, {scene.settings.workers} in flight: {baseline}",
        ours.best / baseline.best,
        GOAL,
    )


async def _ours(scene: Scene, namespace: str, count: int, asks: list[int]) -> float:
    """Return the seconds of an operator; adds to `asks` how many requests it made."""
    async with Bare.connected(scene.administrator) as bare:
        await _create(scene, bare, namespace, count)
        with scene.operator() as operator:
            scene.plane.mark()
            operator.start()
            await asyncio.to_thread(operator.ready, READY_SECONDS)
            began = time.perf_counter()
            await _await_all(bare, namespace, count)
            seconds = time.perf_counter() - began
            asks.append(scene.plane.requests().total())
        await _clear(bare, namespace)
    return seconds


async def _theirs(scene: Scene, namespace: str, count: int) -> float:
    """Return the seconds of a bare client for the same CronJobs and statuses."""
    settings = scene.settings
    async with Bare.connected(scene.administrator) as bare:
        lives = await _create(scene, bare, namespace, count)
        made = [await written(live, settings, with_jobs=False) for live in lives]
        async with Bare.connected(scene.access) as equal:

            async def put(one: Written) -> None:
                for name, rendered in one.cron_jobs.items():
                    await equal.apply(within(CRON_JOBS, namespace, name), rendered)
                await apply_status(equal, one)

            began = time.perf_counter()
            await in_flight(settings.workers, put, made)
            seconds = time.perf_counter() - began
        demand(await bare.count(within(CRON_JOBS, namespace)), count * len(VENDORS))
        await _clear(bare, namespace)
    return seconds


async def _create(scene: Scene, bare: Bare, namespace: str, count: int) -> list[Document]:
    """Make a namespace with resources; return them as they live."""
    scene.plane.namespace(namespace)
    # An organization belongs to one resource, so each namespace has ids of its own.
    first_id = scene.next_ids(count)

    async def post(number: int) -> Document:
        document = resource(number, namespace, QUARTERLY, first_id)
        return await bare.send("POST", within(RESOURCES, namespace), orjson.dumps(document))

    return await in_flight(SETTING_UP, post, range(count))


async def _await_all(bare: Bare, namespace: str, count: int) -> None:
    """Wait until all CronJobs exist and all statuses say so."""
    while await bare.count(within(CRON_JOBS, namespace)) < count * len(VENDORS):
        await asyncio.sleep(_POLL_SECONDS)
    while not await _all_told(bare, namespace):
        await asyncio.sleep(_POLL_SECONDS)


async def _all_told(bare: Bare, namespace: str) -> bool:
    async for page in bare.pages(within(RESOURCES, namespace)):
        if not all(each.get("status", {}).get("conditions") for each in page["items"]):
            return False
    return True


async def _clear(bare: Bare, namespace: str) -> None:
    """Delete what the round made, so that the next one finds the server as this one did."""
    for collection in (RESOURCES, CRON_JOBS):
        await bare.send("DELETE", within(collection, namespace))
