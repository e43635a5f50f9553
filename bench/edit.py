"""One edited resource among thousands: how long until its CronJobs are as it asks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.bare import MERGE, Bare
from bench.measure import Figure, shown
from bench.organizations import CRON_JOBS, RESOURCES, VENDORS, within, written
from bench.report import Goal, Line
from bench.scene import NAMESPACE, READY_SECONDS, await_rest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scene import Scene

COUNT: Final = 5000
ROUNDS: Final = 5
_POLL_SECONDS: Final = 0.005
_LIMIT_SECONDS: Final = 60


def one(scene: Scene, count: int = COUNT) -> Iterator[Line]:
    """Measure from the edit to the last CronJob, against bare applies of the same CronJobs."""
    asyncio.run(scene.grow(count))
    with scene.operator() as operator:
        operator.start()
        operator.ready(READY_SECONDS)
        await_rest(operator)
        ours, baseline = asyncio.run(_rounds(scene, count))
    yield Line(
        f"one edited resource among {count:,}",
        f"median {shown(ours.median)} (to {shown(max(ours.seconds))})",
        f"its {len(VENDORS)} applies: median {shown(baseline.median)}",
        ours.median - baseline.median,
        Goal(1, " s", at_least=False),
    )


async def _rounds(scene: Scene, count: int) -> tuple[Figure, Figure]:
    ours, theirs = [], []
    async with Bare.connected(scene.administrator) as bare:
        for number in range(1, ROUNDS + 1):
            name = f"organization-{count * number // (ROUNDS + 1):05}"
            deadline = 300 + number
            began = time.perf_counter()
            await _edit(bare, name, deadline)
            async with asyncio.timeout(_LIMIT_SECONDS):
                while not await _applied(bare, name, deadline):
                    await asyncio.sleep(_POLL_SECONDS)
            ours.append(time.perf_counter() - began)
            theirs.append(await _bare(scene, bare, name))
    return Figure(tuple(ours)), Figure(tuple(theirs))


async def _edit(bare: Bare, name: str, deadline: int) -> dict[str, Any]:
    change = orjson.dumps({"spec": {"run": {"deadlineSeconds": deadline}}})
    return await bare.send("PATCH", within(RESOURCES, NAMESPACE, name), change, MERGE)


async def _applied(bare: Bare, name: str, deadline: int) -> bool:
    """Tell whether every CronJob carries the edit."""
    for vendor in VENDORS:
        path = within(CRON_JOBS, NAMESPACE, f"{name}-{vendor}-plants")
        live = await bare.send("GET", path)
        if f'"deadlineSeconds":{deadline},' not in _contract(live):
            return False
    return True


def _contract(cron_job: dict[str, Any]) -> str:
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return str(pod["containers"][0]["env"][0]["value"])


async def _bare(scene: Scene, bare: Bare, name: str) -> float:
    """Return the seconds of applies of the same CronJobs with another change, one by one.

    The resource stays as it was, so the operator sets its CronJobs right afterwards.
    """
    live = await bare.send("GET", within(RESOURCES, NAMESPACE, name))
    live["spec"]["run"] = {"deadlineSeconds": 299}
    made = await written(live, scene.settings, with_jobs=False)
    async with Bare.connected(scene.access) as equal:
        # The first request pays for the connection, which the operator has already.
        await equal.count(within(RESOURCES, NAMESPACE))
        began = time.perf_counter()
        for cron_job, rendered in made.cron_jobs.items():
            await equal.apply(within(CRON_JOBS, NAMESPACE, cron_job), rendered)
        return time.perf_counter() - began
