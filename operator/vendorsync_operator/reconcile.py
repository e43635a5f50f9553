"""Decisions: what to write so that the cluster is as a resource asks, and what its status says.

`Reconciler.reconcile` may be called at any time and any number of times: it compares what is
rendered with what lives and writes only a difference.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import Metadata, VendorSync, VendorSyncStatus
from vendorsync_operator import accept, events, pace, resolve, runs, status
from vendorsync_operator.cronjobs import CronJobs
from vendorsync_operator.overdue import Overdue
from vendorsync_operator.prose import Problem
from vendorsync_operator.request import Requests
from vendorsync_operator.verdicts import Sight
from vendorsync_operator.visit import RETRY_SECONDS, Memory, ResourceGoneError, Visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_operator.accept import Policies
    from vendorsync_operator.cache import Cache
    from vendorsync_operator.live import Key, LiveResource
    from vendorsync_operator.lookout import Ration
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]


_RETRIED = (ConditionReason.API_REFUSED, ConditionReason.NAME_CONFLICT)


class Reconciler:
    """Reconciles resources of the cache."""

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        *,
        settings: Settings,
        policies: Policies,
        recorder: events.Recorder,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._settings = settings
        self._policies = policies
        self._recorder = recorder
        self._now = now
        self._clock = clock
        self._cron_jobs = CronJobs(cache, cluster, settings)
        self._requests = Requests(cache, cluster, settings)
        self._overdue = Overdue(cache, cluster, now, clock)
        self._memories: dict[Key, Memory] = {}

    @property
    def ration(self) -> Ration:
        """The lists about runs that are overdue that are left."""
        return self._overdue.ration

    async def reconcile(self, key: Key) -> float | None:
        """Make the cluster as the resource asks; return in how many seconds to look again."""
        live = self._cache.resources.get(key)
        if live is None or live.deleting:
            self._forget(key)
            return None
        try:
            resource = VendorSync.model_validate_json(live.text)
        except ValidationError as error:
            return await self._refuse(live, error)
        assignments = resolve.assignments(resource, self._settings.schedule)
        visit = Visit(live, resource, self._memory(live), assignments)
        try:
            await self._apply(visit)
            await self._requests.honour(visit)
        except ResourceGoneError:
            self._cache.resources.drop(key, live.uid)
            return None
        if visit.failure and resource.status.observed_generation is None:
            raise visit.failure
        new = status.compute(resource.status, await self._see(visit), self._now())
        delay = await self._record(live, resource.status, new)
        if visit.failure:
            # After the status, so that one write that fails hides no other vendor's results.
            raise visit.failure
        if any(problem.reason in _RETRIED for problem in visit.problems):
            visit.look_again(RETRY_SECONDS)
        return min((wait for wait in (delay, visit.again) if wait is not None), default=None)

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self._recorder.forget(key)

    def _memory(self, live: LiveResource) -> Memory:
        """Return what is remembered of a resource: nothing of a predecessor of its name."""
        found = self._memories.get(live.key)
        if found is None or found.uid != live.uid:
            found = self._memories[live.key] = Memory(live.uid, self._overdue.lookout())
        return found

    async def _refuse(self, live: LiveResource, error: ValidationError) -> float | None:
        """Say in the status that the resource cannot be read, and touch nothing else."""
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        problem = Problem(ConditionReason.SPEC_INVALID, f"{where}: {fault['msg']}")
        try:
            old = VendorSyncStatus.model_validate(live.document["status"])
        except ValidationError:
            old = VendorSyncStatus()
        generation = live.document["metadata"].get("generation", 0)
        return await self._record(live, old, status.refused(old, problem, generation, self._now()))

    async def _apply(self, visit: Visit) -> None:
        """Bring the CronJobs in step with the spec."""
        older = self._cache.older_sibling(visit.live)
        if older is not None:
            visit.problems.append(_duplicate(visit.live, older))
        for assignment in visit.assignments:
            verdict = accept.judge(
                visit.resource, assignment, settings=self._settings, policies=self._policies
            )
            if isinstance(verdict, accept.Refusal):
                visit.problems.append(Problem(verdict.reason, verdict.message, str(assignment)))
            elif older is None:
                followed = pace.of(visit.entry(assignment.key), verdict.timetable)
                verdict = replace(verdict, pace=followed)
                visit.accepted[assignment.key] = verdict
                await visit.guarded(str(assignment), self._cron_jobs.ensure(visit, verdict))
                continue
            await visit.guarded(str(assignment), self._cron_jobs.rest(visit, assignment))
        await self._cron_jobs.prune(visit)

    async def _see(self, visit: Visit) -> Sight:
        outcomes = await self._read_outcomes(visit)
        timetables = {key: accepted.timetable for key, accepted in visit.accepted.items()}
        known = visit.resource.status.observed_generation
        return Sight(
            generation=known if known and visit.failure else visit.live.generation,
            unfinished=visit.failure is not None,
            suspended=visit.resource.spec.suspend or not self._settings.schedule.enabled,
            switched_off=not self._settings.schedule.enabled,
            assignments=tuple(visit.assignments),
            timetables=timetables,
            shares={key: each.share for key, each in visit.accepted.items() if each.share},
            notices={key: each.notice for key, each in visit.accepted.items() if each.notice},
            problems=tuple(visit.problems),
            outcomes=outcomes,
            delays=await self._overdue.delays(visit, outcomes),
            undecided=frozenset(visit.undecided),
            request_done=visit.request_done,
            namespace=visit.live.key[0],
        )

    async def _read_outcomes(self, visit: Visit) -> tuple[runs.Outcome, ...]:
        """Return how the Jobs ended that the status does not know; each is looked into once."""
        memory = visit.memory
        pending = memory.outcomes
        jobs = self._cache.jobs.of(visit.live.key)
        for assignment in visit.assignments:
            entry = visit.entry(assignment.key)
            for job in runs.unrecorded(entry, jobs, since=visit.live.created):
                is_read = job.uid in pending or job.uid in memory.told
                if not is_read and job.cron_job == assignment.cron_job:
                    pending[job.uid] = runs.outcome(job, await self._cluster.pods(job.key))
        return tuple(pending.values())

    async def _record(
        self, live: LiveResource, old: VendorSyncStatus, new: VendorSyncStatus
    ) -> float | None:
        """Write the status if it changed, not too often; return when to look again, in seconds."""
        memory = self._memory(live)
        if new.wire() == old.wire():
            self._tell(live, memory)
            return self._until(status.overdue_at(new, self._now()))
        elapsed = self._clock() - memory.written
        if elapsed < self._settings.status_interval:
            return self._settings.status_interval - elapsed
        found = await self._cluster.apply_status(live.key, live.uid, new.wire())
        if found is None:
            self._cache.resources.drop(live.key, live.uid)
            return None
        memory.written = self._clock()
        self._tell(live, memory)
        if new.last_sync_request != old.last_sync_request:
            memory.requested.clear()
        self._cache.status_written(found)
        await self._announce(live, old, new)
        if _followed(new) != _followed(old):
            # CronJobs and verdicts follow the status that is written, so that a restart sees the
            # same.
            return 0.0
        return self._until(status.overdue_at(new, self._now()))

    def _tell(self, live: LiveResource, memory: Memory) -> None:
        """Note that the status says all that was read."""
        if memory.outcomes:
            existing = {job.uid for job in self._cache.jobs.of(live.key)}
            memory.told = existing & (memory.told | memory.outcomes.keys())
            memory.outcomes.clear()

    def _until(self, moment: datetime | None) -> float | None:
        return None if moment is None else max((moment - self._now()).total_seconds(), 1.0)

    async def _announce(
        self, live: LiveResource, old: VendorSyncStatus, new: VendorSyncStatus
    ) -> None:
        metadata = Metadata.model_validate(live.document["metadata"])
        for transition in events.transitions(old, new):
            event = self._recorder.event(metadata, transition, self._now())
            if event is None:
                continue
            try:
                await self._cluster.create_event(event)
            except Exception:
                # The status says the same; an Event is not worth another try.
                logger.warning("event not recorded", exc_info=True)


def _followed(found: VendorSyncStatus) -> list[tuple[str, str, str | None, int | None]]:
    """Return what of a status decides about CronJobs: the pace and the size of each account."""
    return [(e.name, e.stream, e.slowed_to, e.size) for e in found.vendors if e.slowed_to or e.size]


def _duplicate(live: LiveResource, older: LiveResource) -> Problem:
    return Problem(
        ConditionReason.DUPLICATE_ORGANIZATION,
        f"organization {live.organization} belongs to the older VendorSync {'/'.join(older.key)}",
    )
