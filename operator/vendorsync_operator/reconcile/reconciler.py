"""Decisions: what to write so that the cluster is as a resource asks, and what its status says.

`Reconciler.reconcile` may be called at any time and any number of times: it compares what is
rendered with what lives and writes only a difference.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vendorsync_api import run
from vendorsync_api.reasons import ConditionReason
from vendorsync_operator.ports import RefusedError
from vendorsync_operator.reconcile.cronjobs import CronJobs
from vendorsync_operator.reconcile.overdue import Overdue
from vendorsync_operator.reconcile.request import Requests
from vendorsync_operator.reconcile.statuses import Statuses
from vendorsync_operator.reconcile.visit import RETRY_SECONDS, Memory, ResourceGoneError, Visit
from vendorsync_operator.results import pace, runs
from vendorsync_operator.spec import accept, resolve
from vendorsync_operator.status import events, reading, status
from vendorsync_operator.status.prose import Problem
from vendorsync_operator.status.verdicts import Sight

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_api.v1alpha1 import Delay, VendorSync
    from vendorsync_operator.cache.cache import Cache
    from vendorsync_operator.cache.live import Key, LiveJob, LiveResource
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.results.lookout import Ration
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.accept import Policies

logger = logging.getLogger(__name__)

Document = dict[str, Any]


TOLD_FAILURES = 2
"""Visits in a row in which a write failed, from which on the status tells of it."""
OUTCOMES_KEPT = 100
"""Outcomes of one resource that are kept although their Jobs are gone, until they are written."""
_RETRIED = {
    ConditionReason.API_REFUSED: RETRY_SECONDS,
    ConditionReason.NAME_CONFLICT: RETRY_SECONDS,
    ConditionReason.AWAITING_REMOVAL: 5.0,
}
"""When to look again at what others have to put right, in seconds."""


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
        self._statuses = Statuses(cache, cluster, settings.status_interval, recorder, now, clock)
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
            resource = reading.resource(live.text)
        except ValidationError as error:
            return await self._refuse(live, error)
        visit = self._visit(live, resource)
        keeper = self._cron_jobs.keeper(live)
        if keeper != self._settings.instance:
            return await self._stand_aside(visit, keeper)
        try:
            await self._apply(visit)
            await self._requests.honour(visit)
        except ResourceGoneError:
            self._cache.resources.drop(key, live.uid)
            return None
        return await self._conclude(visit)

    async def tell_denied(self, key: Key, refusal: str) -> float | None:
        """Say in the status that the namespace is not served, if that may still be written.

        Nothing else of the status changes, since nothing else is known.
        """
        live = self._cache.resources.get(key)
        if live is None or live.deleting:
            return None
        problem = Problem(ConditionReason.NAMESPACE_DENIED, refusal)
        old = reading.status(live.document["status"])
        new = status.unserved(old, problem, live.generation, self._now())
        try:
            return await self._statuses.write(live, self._memory(live), old, new)
        except RefusedError:
            return None

    async def _conclude(self, visit: Visit) -> float | None:
        """Write the status, whatever failed, so that one failure hides no other vendor's results.

        Raises the failure after that, so that the visit is tried again. Of a failure that passes
        with the next try nothing is told.
        """
        memory, known = visit.memory, visit.resource.status.observed_generation
        memory.failed = visit.failed
        if visit.failure:
            memory.failures += 1
        else:
            memory.failures, memory.words = 0, ""
        is_told = memory.failures >= TOLD_FAILURES
        if visit.failure and known is None and not is_told:
            raise visit.failure
        sight = await self._see(visit, is_told=is_told)
        new = status.compute(visit.resource.status, sight, self._now())
        delay = await self._statuses.write(visit.live, memory, visit.resource.status, new)
        if failure := visit.failure or visit.unread:
            raise failure
        for problem in visit.problems:
            if problem.reason in _RETRIED:
                visit.look_again(_RETRIED[problem.reason])
        return min((wait for wait in (delay, visit.again) if wait is not None), default=None)

    async def _stand_aside(self, visit: Visit, keeper: str) -> float | None:
        """Leave a resource to the other operator that keeps its CronJobs.

        If nobody keeps its status for a while, the other operator is most likely gone. The status
        then says so, since otherwise it would look well for ever.
        """
        memory, found = visit.memory, visit.resource.status
        jobs = self._cache.jobs.of(visit.live.key)
        untold = (
            runs.unrecorded(visit.entry(each.key), jobs, since=visit.live.created)
            for each in visit.assignments
        )
        if found.observed_generation == visit.live.generation and not any(untold):
            memory.lagging = None
            return None
        now = self._clock()
        memory.lagging = now if memory.lagging is None else memory.lagging
        if now - memory.lagging < RETRY_SECONDS:
            return RETRY_SECONDS - (now - memory.lagging)
        logger.warning(
            "another operator keeps this resource, and its status stands still",
            extra={"resource": visit.live.key, "instance": keeper},
        )
        visit.problems.append(_kept_elsewhere(visit.live, keeper, self._settings.instance))
        new = status.compute(found, await self._see(visit, is_told=False), self._now())
        return await self._statuses.write(visit.live, memory, found, new)

    def _visit(self, live: LiveResource, resource: VendorSync) -> Visit:
        memory = self._memory(live)
        if resource.status.observed_generation is None:
            # A new status, or one that somebody took away: nothing of it was told.
            memory.told.clear()
        assignments = resolve.assignments(resource, self._settings.schedule)
        return Visit(live, resource, memory, assignments, self._clock, self._clock())

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
        problem = Problem(ConditionReason.SPEC_INVALID, reading.fault(error))
        old = reading.status(live.document["status"])
        generation = live.document["metadata"].get("generation", 0)
        return await self._statuses.write(
            live, self._memory(live), old, status.refused(old, problem, generation, self._now())
        )

    async def _apply(self, visit: Visit) -> None:
        """Bring the CronJobs in step with the spec."""
        older = self._cache.older_sibling(visit.live)
        if older is not None:
            visit.problems.append(_duplicate(visit.live, older))
        # What failed last time comes last, so that it keeps nobody else waiting.
        failed = visit.memory.failed
        for assignment in sorted(visit.assignments, key=lambda each: str(each) in failed):
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

    async def _see(self, visit: Visit, *, is_told: bool) -> Sight:
        """Return what the visit found; `is_told` if a write that fails is to be told by now."""
        outcomes = await self._read_outcomes(visit)
        delays = await self._delays(visit, outcomes)
        timetables = {key: accepted.timetable for key, accepted in visit.accepted.items()}
        known = visit.resource.status.observed_generation
        is_open = visit.is_unfinished and not is_told
        problems = sorted(visit.problems, key=lambda problem: problem.subject)
        if is_told and visit.failure:
            subjects = ", ".join(sorted(visit.failed | visit.left))
            visit.memory.words = visit.memory.words or _words(visit.failure)
            problems.append(Problem(ConditionReason.API_FAILING, visit.memory.words, subjects))
        return Sight(
            generation=known if known and is_open else visit.live.generation,
            unfinished=is_open,
            suspended=visit.resource.spec.suspend or not self._settings.schedule.enabled,
            switched_off=not self._settings.schedule.enabled,
            assignments=tuple(visit.assignments),
            timetables=timetables,
            shares={key: each.share for key, each in visit.accepted.items() if each.share},
            notices={key: each.notice for key, each in visit.accepted.items() if each.notice},
            problems=tuple(problems),
            outcomes=(*outcomes, *visit.ends),
            delays=delays,
            undecided=frozenset(visit.undecided),
            request=visit.request,
            namespace=visit.live.key[0],
        )

    async def _delays(
        self, visit: Visit, outcomes: tuple[runs.Outcome, ...]
    ) -> dict[tuple[str, str], Delay]:
        try:
            return await self._overdue.delays(visit, outcomes)
        except Exception as error:
            visit.unread = visit.unread or error
            return {key: entry.delay for key, entry in visit.entries.items() if entry.delay}

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
                    await self._read_outcome(visit, job)
        _bound(pending, {job.uid for job in jobs})
        return tuple(pending.values())

    async def _read_outcome(self, visit: Visit, job: LiveJob) -> None:
        """Look into one Job; one that cannot be read hides no other's result."""
        try:
            pods = await self._cluster.pods(job.key, job.version)
            visit.memory.outcomes[job.uid] = runs.outcome(job, pods)
        except Exception as error:
            visit.unread = visit.unread or error


def _bound(pending: dict[str, runs.Outcome], existing: set[str]) -> None:
    """Drop the oldest outcomes of Jobs that are gone while there are too many of them."""
    gone = [uid for uid in pending if uid not in existing]
    for uid in gone[: max(len(gone) - OUTCOMES_KEPT, 0)]:
        del pending[uid]


def _words(failure: Exception) -> str:
    """Return what a failure says, in one line; a time-out has no words of its own."""
    if isinstance(failure, TimeoutError):
        return "the API server did not answer in time; an admission webhook may hang"
    return runs.clean(str(failure)) or type(failure).__name__


def _kept_elsewhere(live: LiveResource, keeper: str, instance: str) -> Problem:
    namespace, name = live.key
    return Problem(
        ConditionReason.CONTESTED,
        f"the CronJobs belong to the operator instance {keeper}, which does not keep this status."
        f" If it is gone, hand them over to {instance}: kubectl label cronjobs --namespace"
        f" {namespace} -l {run.RESOURCE_LABEL}={name} {run.INSTANCE_LABEL}-",
    )


def _duplicate(live: LiveResource, older: LiveResource) -> Problem:
    return Problem(
        ConditionReason.DUPLICATE_ORGANIZATION,
        f"organization {live.organization} belongs to the older VendorSync {'/'.join(older.key)}",
    )
