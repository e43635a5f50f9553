"""Runs that did not start in time or do not end, and what keeps them."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import DelayReason
from vendorsync_operator.cache.live import LiveCronJob, LiveJob
from vendorsync_operator.ports import RefusedError
from vendorsync_operator.reconcile.visit import RETRY_SECONDS, Visit, owns
from vendorsync_operator.results import delays, runs
from vendorsync_operator.results.lookout import Finding, Lookout, Ration
from vendorsync_operator.status import status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_api.v1alpha1 import Delay
    from vendorsync_operator.cache.cache import Cache
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.spec.accept import Accepted

logger = logging.getLogger(__name__)

Document = dict[str, Any]

_UNSTARTED = (DelayReason.NOT_STARTED, DelayReason.JOB_REFUSED)
"""Delays that no Job stands for; the status alone remembers them."""


class Overdue:
    """Finds what keeps the runs of a resource that are overdue."""

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._now = now
        self._clock = clock
        self.ration = Ration(clock)
        """Of lists about runs that are overdue."""

    def lookout(self) -> Lookout:
        """Return a memory of what was found about the runs of one resource."""
        return Lookout(self._clock, self.ration)

    async def delays(
        self, visit: Visit, outcomes: tuple[runs.Outcome, ...]
    ) -> dict[tuple[str, str], Delay]:
        """Return what keeps the runs that are overdue.

        Ends of runs whose Jobs go on are found on the way and left in the visit.
        """
        going: dict[str, list[LiveJob]] = {}
        for job in self._cache.jobs.of(visit.live.key):
            if not job.finished and job.created >= visit.live.created:
                going.setdefault(job.cron_job, []).append(job)
        ended = {(outcome.job.vendor, outcome.job.stream) for outcome in outcomes}
        found: dict[tuple[str, str], Delay] = {}
        watched: set[str] = set()
        for key, accepted in visit.accepted.items():
            jobs = going.get(accepted.assignment.cron_job, [])
            delay = (
                await self._stuck(visit, jobs)
                if jobs
                else await self._unstarted(visit, accepted, has_ended=key in ended)
            )
            watched.update(job.uid for job in jobs)
            if delay is not None:
                found[key] = delay
                visit.look_again(RETRY_SECONDS)
                live = self._cache.cron_jobs.get((visit.live.key[0], accepted.assignment.cron_job))
                watched.update([live.uid] if live else [])
        visit.memory.lookout.keep(watched)
        return found

    async def _stuck(self, visit: Visit, jobs: list[LiveJob]) -> Delay | None:
        """Return what keeps the first of some Jobs that have not ended and is kept."""
        now, found = self._now(), None
        for job in jobs:
            due = delays.due(job)
            if now < due:
                visit.look_again((due - now).total_seconds())
                continue
            visit.look_again(RETRY_SECONDS)
            late = delays.of_time(job, now)
            if late is None and job.waiting:
                late = await self._kept(visit, job)
            found = found or late
        return found

    async def _kept(self, visit: Visit, job: LiveJob) -> Delay | None:
        """Return what keeps a Job without a container that runs; an end of its run is noted."""
        look = await visit.memory.lookout.look(job.uid, partial(self._look_into, job))
        if look is None:
            return None
        if look.found.end is not None:
            visit.ends.append(look.found.end)
        return look.found.delay

    async def _look_into(self, job: LiveJob) -> Finding:
        pods = await self._cluster.pods(job.key, job.version)
        if pods:
            delay = delays.of_pods(job, pods, self._now())
            return Finding(delay, runs.early_outcome(job, pods))
        return Finding(delays.without_pod(job, await self._refusals(job.key[0], job.uid)))

    async def _unstarted(
        self, visit: Visit, accepted: Accepted, *, has_ended: bool
    ) -> Delay | None:
        """Return why there is no Job although the time of a run passed.

        The next time in the status moves on, so what was found stays until a run ends.
        """
        assignment = accepted.assignment
        entry = visit.entry(assignment.key)
        live = self._cache.cron_jobs.get((visit.live.key[0], assignment.cron_job))
        if assignment.suspend or has_ended or live is None or not self._serves(visit, live):
            return None
        tick = entry.next_schedule_time
        if tick and status.missed(entry, accepted.timetable, live, self._now()):
            lookout = visit.memory.lookout
            look = await lookout.look(live.uid, partial(self._look_for, live, tick))
            if look is None:
                visit.undecided.add(assignment.key)
                visit.look_again(RETRY_SECONDS)
            return look.found.delay if look else None
        return entry.delay if entry.delay and entry.delay.reason in _UNSTARTED else None

    def _serves(self, visit: Visit, live: LiveCronJob) -> bool:
        """Tell whether a CronJob is as the spec asks, so that it fires when we expect it to."""
        is_applied = live.key[1] in visit.memory.applied
        return is_applied and owns(visit.live, live) and not visit.failure

    async def _look_for(self, live: LiveCronJob, tick: str) -> Finding:
        """Return why a CronJob made no Job for a tick; nothing if we only have not heard of it."""
        found = await self._cluster.read_cron_job(live.key)
        if found is None:
            return Finding()
        self._cache.cron_jobs.found(found)
        if LiveCronJob.of(found).ticked >= tick:
            return Finding()
        refusals = await self._refusals(live.key[0], live.uid)
        return Finding(delays.without_job(live.key[1], refusals, since=tick))

    async def _refusals(self, namespace: str, uid: str) -> list[Document]:
        try:
            return await self._cluster.refusals(namespace, uid)
        except RefusedError:
            logger.warning("events may not be listed", exc_info=True)
            return []
