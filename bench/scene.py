"""A control plane full of organizations, and operators on it."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.bare import MERGE, Access, Bare
from bench.copies import Original, store
from bench.measure import demand
from bench.organizations import (
    CRON_JOBS,
    JOBS,
    RESOURCES,
    VENDORS,
    YEARLY,
    Written,
    finished_job,
    resource,
    within,
    written,
)
from dev.cluster.command import wait_until
from dev.cluster.processes import PROC
from dev.plane import Plane, chart
from vendorsync_api.group import KIND
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.plane import OperatorProcess

Document = dict[str, Any]

SETTING_UP: Final = 32
"""Requests in flight while a scene is set up."""
NAMESPACE: Final = "solar"
READY_SECONDS: Final = 300
SETTLED_SECONDS: Final = 900
_FIRST_ID: Final = 1_000_000
"""Of organizations outside NAMESPACE."""
_SERVED_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 3.0
_QUIET_SHARE: Final = 0.1
"""Of one core: below, the operator has done all that there was to do."""
_TICKS: Final = 100
"""Of a second, in which the kernel counts what a process has used."""


@dataclass
class Scene:
    """A plane and what stands on it; `count` resources of NAMESPACE have all that is theirs."""

    plane: Plane
    count: int = 0
    original: Original | None = None
    memory: dict[int, int] = field(default_factory=dict)
    """Bytes of an operator that has come to rest, by the number of resources."""
    _ids: int = 0

    @classmethod
    @contextmanager
    def open(cls, name: str, *, controllers: bool = False) -> Iterator[Scene]:
        """Open an empty one."""
        with Plane(name, controllers=controllers) as plane:
            yield cls(plane)

    def next_ids(self, count: int) -> int:
        """Return the first of so many organization ids that nobody else has."""
        self._ids += count
        return _FIRST_ID + self._ids - count

    @property
    def settings(self) -> Settings:
        """What the operator's process works by."""
        return Settings.from_env(chart.environment(self.plane.documents, "operator"))

    @property
    def access(self) -> Access:
        """The API server with the operator's own rights, so that both sides cost it the same."""
        return Access(self.plane.server, self.plane.ca, self.plane.token())

    @property
    def administrator(self) -> Access:
        """The API server with all rights."""
        return Access.of(self.plane.cluster.kubeconfig)

    @contextmanager
    def operator(self) -> Iterator[OperatorProcess]:
        """Lend an operator that is not started."""
        operator = self.plane.operator()
        try:
            yield operator
        finally:
            if operator.alive:
                operator.stop()

    async def grow(self, count: int) -> None:
        """Have so many resources with CronJobs, a finished Job of each, and a status."""
        async with Bare.connected(self.administrator) as bare:
            if self.original is None:
                self.original = await self._first(bare)
                self.count = 1
            numbers = range(self.count, count)
            await store(self.original, numbers, self.plane.cluster.machine, self.settings)
            self.count = max(count, self.count)
            async with asyncio.timeout(_SERVED_SECONDS):
                while await bare.count(JOBS) < self.count * len(VENDORS):
                    await asyncio.sleep(_POLL_SECONDS)
            demand(await bare.count(RESOURCES), self.count)

    async def _first(self, bare: Bare) -> Original:
        """Make the first of them through the API."""
        document = resource(0, NAMESPACE, YEARLY)
        live = await bare.send("POST", within(RESOURCES, NAMESPACE), orjson.dumps(document))
        made = await written(live, self.settings, with_jobs=True)
        for name, rendered in made.cron_jobs.items():
            cron_job = await bare.apply(within(CRON_JOBS, NAMESPACE, name), rendered)
            job = finished_job(rendered, cron_job["metadata"]["uid"], live["metadata"])
            await bare.send("POST", within(JOBS, NAMESPACE), orjson.dumps(job))
            path = within(JOBS, NAMESPACE, job["metadata"]["name"])
            status = orjson.dumps({"status": job["status"]})
            await bare.send("PATCH", f"{path}/status", status, MERGE)
        await apply_status(bare, made)
        parts = [
            each
            for collection in (CRON_JOBS, JOBS)
            async for page in bare.pages(within(collection, NAMESPACE))
            for each in page["items"]
        ]
        return await Original.read(live, parts, self.plane.cluster.machine, self.settings)

    def writes(self) -> int:
        """Return how often the operator wrote since the plane's mark; its Lease is left out."""
        return sum(
            number
            for (verb, resource), number in self.plane.requests().items()
            if verb in ("create", "update", "patch", "delete") and resource != "leases"
        )


async def apply_status(bare: Bare, made: Written) -> None:
    """Apply the status as the operator does."""
    metadata = {name: made.document["metadata"][name] for name in ("name", "namespace", "uid")}
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
    path = within(RESOURCES, metadata["namespace"], metadata["name"])
    await bare.apply(f"{path}/status", document | {"status": made.status})


def await_rest(operator: OperatorProcess) -> None:
    """Wait until the operator uses next to no processor time."""

    def is_quiet() -> bool:
        used = _used(operator.pid)
        time.sleep(_QUIET_SECONDS)
        return _used(operator.pid) - used < _QUIET_SECONDS * _QUIET_SHARE

    wait_until(is_quiet, what="the rest of the operator", seconds=SETTLED_SECONDS)


def _used(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
