"""Runs that finish all the time, on kwok's nodes: what the operator writes and reads for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.bare import Bare, in_flight
from bench.measure import demand
from bench.organizations import CRON_JOBS, QUARTERLY, RESOURCES, VENDORS, resource, within
from bench.report import Goal, Line
from bench.scene import NAMESPACE, READY_SECONDS, SETTING_UP, Scene
from dev.nodes import Runs, hasten, nodes
from dev.plane import chart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.plane import OperatorProcess

COUNT: Final = 1000
SECONDS: Final = 15 * 60
QUICK: Final = 3 * 60
FEW: Final = 80
"""So many that some of them start at every minute of the quarter."""
A_TICK: Final = 80
"""Seconds in which a minute begins and what it starts ends."""
LAG: Final = Goal(30, " s", at_least=False)
RUNS: Final = Runs(seconds=5, jitter=10)
_APPLY_SECONDS: Final = 300
_POLL_SECONDS: Final = 1.0


@dataclass
class Told:
    """What the statuses told while somebody listened."""

    lags: list[float] = field(default_factory=list)
    """Seconds from the end of a Job, in whole seconds, to the event of the status with it."""
    known: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, document: dict[str, Any], now: datetime) -> None:
        """Take a resource as it is now."""
        for entry in document.get("status", {}).get("vendors", ()):
            job = (document["metadata"]["name"], entry.get("job", ""))
            if "completionTime" not in entry or job in self.known:
                continue
            self.known.add(job)
            ended = datetime.fromisoformat(entry["completionTime"])
            self.lags.append((now - ended).total_seconds())


def quarter(scene: Scene, count: int = COUNT, seconds: float = SECONDS) -> Iterator[Line]:
    """Let the real controllers start and end runs for that long, and count."""
    hasten(scene.plane.cluster)
    with nodes(scene.plane.cluster, runs=RUNS), scene.operator() as operator:
        asyncio.run(_prepare(scene, operator, count))
        scene.plane.mark()
        told = asyncio.run(_listen(scene, seconds))
    runs = len(told.lags)
    span = f"{runs:,} runs in {seconds / 60:g} minutes"
    requests = scene.plane.requests()
    pods, statuses = requests["list", "pods"], _status_writes(scene)
    yield Line(
        f"{span}: lag of the status",
        f"longest; mean {sum(told.lags) / max(runs, 1):.1f} s",
        "the end of the Job, in whole seconds",
        max(told.lags, default=0.0),
        LAG,
    )
    yield Line(
        f"{span}: status writes of a resource within the coalescing interval",
        f"most; {statuses.total():,} writes in all",
        f"{scene.settings.status_interval:g} s",
        _most_within(scene, scene.settings.status_interval),
        Goal(1, "", at_least=False),
    )
    yield Line(
        f"{span}: pod lists",
        f"{pods:,}",
        "finished Jobs",
        pods / max(runs, 1),
        # A Job that ended in the last moment was looked into and is not told yet.
        Goal(1.01, at_least=False),
    )


async def _prepare(scene: Scene, operator: OperatorProcess, count: int) -> None:
    """Make the resources and let the operator apply all of their CronJobs."""
    async with Bare.connected(scene.administrator) as bare:

        async def post(number: int) -> None:
            document = resource(number, NAMESPACE, QUARTERLY)
            await bare.send("POST", within(RESOURCES, NAMESPACE), orjson.dumps(document))

        await in_flight(SETTING_UP, post, range(count))
        operator.start()
        await asyncio.to_thread(operator.ready, READY_SECONDS)
        async with asyncio.timeout(_APPLY_SECONDS):
            while await bare.count(CRON_JOBS) < count * len(VENDORS):
                await asyncio.sleep(_POLL_SECONDS)
        demand(operator.alive, True)


async def _listen(scene: Scene, seconds: float) -> Told:
    """Follow the statuses for that long."""
    told = Told()
    async with Bare.connected(scene.administrator) as bare:

        async def hear() -> None:
            async for event in bare.changes(RESOURCES):
                told.hear(event["object"], datetime.now(UTC))

        listening = asyncio.create_task(hear())
        await asyncio.sleep(seconds)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return told


def _status_writes(scene: Scene) -> Counter[str]:
    """Return the status writes of each resource since the mark."""
    return Counter(
        request.name
        for request in scene.plane.audit.requests(chart.USER)
        if (request.verb, request.resource) == ("patch", "vendorsyncs/status")
    )


def _most_within(scene: Scene, interval: float) -> int:
    """Return the most status writes of one resource that began within the interval."""
    moments: dict[str, list[float]] = {}
    for request in scene.plane.audit.requests(chart.USER):
        if (request.verb, request.resource) == ("patch", "vendorsyncs/status"):
            at = datetime.fromisoformat(request.at).timestamp()
            moments.setdefault(request.name, []).append(at)
    return max((_densest(sorted(each), interval) for each in moments.values()), default=0)


def _densest(moments: list[float], interval: float) -> int:
    first, most = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= interval:
            first += 1
        most = max(most, last - first + 1)
    return most
