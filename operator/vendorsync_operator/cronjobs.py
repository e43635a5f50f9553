"""The CronJobs of a resource: made, kept as they are rendered, suspended and removed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_operator import render, resolve
from vendorsync_operator.drift import drifts
from vendorsync_operator.live import LiveCronJob
from vendorsync_operator.ports import ConflictError
from vendorsync_operator.prose import Problem
from vendorsync_operator.visit import ResourceGoneError, Visit, owns

if TYPE_CHECKING:
    from vendorsync_operator.accept import Accepted
    from vendorsync_operator.cache import Cache
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]


class CronJobs:
    """Brings the CronJobs of a resource in step with its spec."""

    def __init__(self, cache: Cache, cluster: Cluster, settings: Settings) -> None:
        self._cache = cache
        self._cluster = cluster
        self._settings = settings

    async def ensure(self, visit: Visit, accepted: Accepted) -> None:
        """Make the CronJob of what is accepted, or apply it where it differs."""
        name = accepted.assignment.cron_job
        live = self._cache.cron_jobs.get((visit.live.key[0], name))
        # Rendering takes a third of a visit, and most visits find nothing but the end of a run.
        applied, source = visit.memory.applied, (visit.live.generation, accepted.source)
        if live is not None and live.settled and applied.get(name) == (*source, live.settled):
            return
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        if live is None:
            live = await self._create(visit, rendered)
        if not owns(visit.live, live):
            visit.problems.append(
                Problem(
                    ConditionReason.NAME_CONFLICT,
                    f"CronJob {name} exists and is not this resource's",
                    str(accepted.assignment),
                )
            )
            return
        if _drifts(rendered, live):
            applied.pop(name, None)
            live = await self._apply_cron_job(rendered, live.uid)
            logger.info("cron job applied", extra={"cron_job": name, "resource": visit.live.key})
        if not live.settled:
            live = live.settle(render.hash_of(rendered))
        if self._cache.cron_jobs.get(live.key) is not live:
            self._cache.cron_jobs.put(live)
        applied[name] = (*source, render.hash_of(rendered))

    async def _create(self, visit: Visit, rendered: Document) -> LiveCronJob:
        """Create a CronJob, or return the one of its name, which may live without our labels."""
        if visit.resource.status.observed_generation is not None:
            await self._verify(visit)
        try:
            live = await self._apply_cron_job(rendered, None)
        except ConflictError:
            metadata = rendered["metadata"]
            found = await self._cluster.read_cron_job((metadata["namespace"], metadata["name"]))
            if found is None:
                raise
            return LiveCronJob.of(found)
        logger.info("cron job made", extra={"cron_job": live.key[1], "resource": visit.live.key})
        return live

    async def _apply_cron_job(self, rendered: Document, uid: str | None) -> LiveCronJob:
        """Apply a CronJob; what comes back is what was rendered, so it is not compared."""
        found = await self._cluster.apply_cron_job(rendered, uid)
        return LiveCronJob.of(found, settled=render.hash_of(rendered))

    async def _verify(self, visit: Visit) -> Document:
        """Return the resource as the server has it, so that nothing is done for a ghost.

        That is for one whose CronJobs went away or are to go. One that is new was heard of a moment
        ago; should it be gone again, what is made for it has no owner and is collected.
        """
        if visit.current is None:
            found = await self._cluster.read_resource(visit.live.key)
            if found is None or found["metadata"]["uid"] != visit.live.uid:
                raise ResourceGoneError
            visit.current = found
        return visit.current

    async def rest(self, visit: Visit, assignment: resolve.Assignment) -> None:
        """Suspend the CronJob of what is refused, if there is one."""
        key = (visit.live.key[0], assignment.cron_job)
        live = self._cache.cron_jobs.get(key)
        if live is None or not owns(visit.live, live) or live.suspended:
            return
        found = await self._cluster.suspend_cron_job(key)
        if found is not None:
            self._cache.cron_jobs.found(found)

    async def prune(self, visit: Visit) -> None:
        """Delete our CronJobs that the spec no longer asks for."""
        kept = {assignment.cron_job for assignment in visit.assignments}
        for live in self._cache.cron_jobs.of(visit.live.key):
            if live.key[1] not in kept and owns(visit.live, live):
                await visit.guarded(live.key[1], self._remove(visit, live))

    async def _remove(self, visit: Visit, live: LiveCronJob) -> None:
        """Delete a CronJob, its runs with it, unless the spec asks for it by now.

        The streams are not equally quick: a leader before us may have made the CronJob for an edit
        that we have not heard of.
        """
        found = await self._verify(visit)
        if found["metadata"].get("generation") != visit.live.generation:
            self._cache.resources.found(found)
            return
        await self._cluster.delete_cron_job(live.key, live.uid)
        self._cache.cron_jobs.drop(live.key, live.uid)
        visit.memory.applied.pop(live.key[1], None)


def _drifts(rendered: Document, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is not what is rendered; the hash is part of that."""
    if live.settled:
        return live.settled != render.hash_of(rendered)
    return drifts(rendered, live.document)
