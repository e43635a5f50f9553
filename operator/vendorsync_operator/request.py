"""A syncRequest: one run now of everything that is wanted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_operator import render
from vendorsync_operator.live import LiveJob
from vendorsync_operator.prose import Problem
from vendorsync_operator.visit import Visit, owns

if TYPE_CHECKING:
    from vendorsync_operator.accept import Accepted
    from vendorsync_operator.cache import Cache
    from vendorsync_operator.live import Key
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]


class Requests:
    """Starts the runs that a syncRequest asks for."""

    def __init__(self, cache: Cache, cluster: Cluster, settings: Settings) -> None:
        self._cache = cache
        self._cluster = cluster
        self._settings = settings

    async def honour(self, visit: Visit) -> None:
        """Start a run of everything that is wanted if a new syncRequest asks for it."""
        request = visit.resource.spec.sync_request
        if request in (None, visit.resource.status.last_sync_request) or not visit.accepted:
            return
        wanted = [each for each in visit.accepted.values() if each.assignment.wanted]
        if all([await self._start(visit, accepted, request) for accepted in wanted]):
            visit.request_done = request

    async def _start(self, visit: Visit, accepted: Accepted, request: str) -> bool:
        """Create the Job that a request makes of one CronJob; tell whether it was created."""
        live = self._cache.cron_jobs.get((visit.live.key[0], accepted.assignment.cron_job))
        if live is None or not owns(visit.live, live):
            return False
        requested = visit.memory.requested
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        last = visit.resource.status.last_sync_request or ""
        job = render.request_job(rendered, live.uid, request, last=last)
        name = job["metadata"]["name"]
        if name in requested or visit.entry(accepted.assignment.key).job == name:
            return True
        return await visit.guarded(str(accepted.assignment), self._make(visit, accepted, job)) and (
            name in requested
        )

    async def _make(self, visit: Visit, accepted: Accepted, job: Document) -> None:
        """Create a Job and remember it; one that is there already may be of an earlier visit."""
        key = visit.live.key[0], job["metadata"]["name"]
        cron_job = accepted.assignment.cron_job
        if not (
            self._is_ours(key, cron_job)
            or await self._cluster.create_job(job)
            or await self._lives(key, cron_job)
        ):
            visit.problems.append(
                Problem(
                    ConditionReason.NAME_CONFLICT,
                    f"Job {key[1]}, which syncRequest asks for, exists and is not this resource's",
                    str(accepted.assignment),
                )
            )
            return
        visit.memory.requested.add(key[1])
        logger.info("run requested", extra={"job": key[1], "resource": visit.live.key})

    def _is_ours(self, key: Key, cron_job: str) -> bool:
        known = self._cache.jobs.get(key)
        return known is not None and known.cron_job == cron_job

    async def _lives(self, key: Key, cron_job: str) -> bool:
        """Tell whether a Job is ours that we have not heard of: its answer, or a leader, was lost.

        It is not looked for in the cache, since another's Job without our labels never gets there.
        """
        found = await self._cluster.read_job(key)
        return found is not None and LiveJob.of(found).cron_job == cron_job
