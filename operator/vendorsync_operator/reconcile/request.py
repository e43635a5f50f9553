"""A syncRequest: one run now of everything that is wanted.

What a request has started is in the status, so that no restart starts it again. A run that waits
for something that passes, such as a quota or an API server that is away, is started later. One that
only a person can make room for is told, and the request is done without it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_operator.cache.live import LiveJob
from vendorsync_operator.reconcile.visit import Visit, owns
from vendorsync_operator.spec import render
from vendorsync_operator.status.verdicts import Progress

if TYPE_CHECKING:
    from vendorsync_operator.cache.cache import Cache
    from vendorsync_operator.cache.live import Key, LiveCronJob
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.accept import Accepted

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
        if request in (None, visit.resource.status.last_sync_request):
            return
        progress = visit.request = Progress()
        progress.started = {
            key: entry.requested for key, entry in visit.entries.items() if entry.requested
        }
        wanted = [each for each in visit.accepted.values() if each.assignment.wanted]
        settled = [await self._start(visit, accepted, request, progress) for accepted in wanted]
        if wanted and all(settled):
            progress.done, progress.started = request, {}

    async def _start(
        self, visit: Visit, accepted: Accepted, request: str, progress: Progress
    ) -> bool:
        """Create the Job that a request makes of one CronJob; return False to try again."""
        key, subject = accepted.assignment.key, str(accepted.assignment)
        live = self._cache.cron_jobs.get((visit.live.key[0], accepted.assignment.cron_job))
        if live is None or not owns(visit.live, live):
            conflict = None if _is_predecessors(visit, live) else _conflict(visit, subject)
            progress.missed += [f"no run of {subject}: {conflict}"] if conflict else []
            return conflict is not None
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        last = visit.resource.status.last_sync_request or ""
        job = render.request_job(rendered, live.uid, request, last=last)
        name = job["metadata"]["name"]
        if name in (progress.started.get(key), visit.entry(key).job):
            return True
        if not await visit.guarded(subject, self._make(visit, accepted, job)):
            return False
        if name in visit.memory.requested:
            progress.started[key] = name
        else:
            found = f"Job {name} exists and is not this resource's"
            progress.missed.append(f"no run of {subject}: {found}")
        return True

    async def _make(self, visit: Visit, accepted: Accepted, job: Document) -> None:
        """Create a Job and remember it, also one of ours that is there; not one of another's."""
        key = visit.live.key[0], job["metadata"]["name"]
        cron_job = accepted.assignment.cron_job
        if (
            key[1] in visit.memory.requested
            or self._is_ours(key, cron_job)
            or await self._cluster.create_job(job)
            or await self._lives(key, cron_job)
        ):
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


def _is_predecessors(visit: Visit, live: LiveCronJob | None) -> bool:
    """Tell whether a CronJob is of a resource of the same name before: it is being collected."""
    return live is not None and live.owner_name == visit.live.key[1]


def _conflict(visit: Visit, subject: str) -> str | None:
    """Return why a CronJob is not the resource's, None if it is only not there yet."""
    found = (p for p in visit.problems if p.reason is ConditionReason.NAME_CONFLICT)
    return next((problem.message for problem in found if problem.subject == subject), None)
