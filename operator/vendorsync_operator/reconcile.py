"""Decisions: what to write so that the cluster is as a resource asks, and what its status says.

`Reconciler.reconcile` may be called at any time and any number of times: it compares what is
rendered with what lives and writes only a difference.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import Metadata, VendorStatus, VendorSync, VendorSyncStatus
from vendorsync_operator import accept, events, render, resolve, runs, status
from vendorsync_operator.cache import LiveCronJob
from vendorsync_operator.drift import drifts
from vendorsync_operator.status import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from vendorsync_operator.accept import Accepted, Policies
    from vendorsync_operator.cache import Cache, Key, LiveResource
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]

RETRY_SECONDS = 60.0
"""When to try again what the API server refused, and what belongs to somebody else."""


_RETRIED = (ConditionReason.API_REFUSED, ConditionReason.NAME_CONFLICT)


class RefusedError(Exception):
    """The API server refuses a write, and would again; the text is the server's."""


class Cluster(Protocol):
    """The API server, as far as reconciling needs it.

    Reads return None for what does not exist. Writes raise RefusedError for a refusal that lasts;
    other errors are worth another try.
    """

    async def read_resource(self, key: Key) -> Document | None:
        """Return a VendorSync."""

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob."""

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Apply a CronJob, to the object of that uid if one is given; return it as it lives."""

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Suspend a CronJob and leave the rest of it alone; return it as it lives."""

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Delete the CronJob of that uid, its Jobs after it."""

    async def create_job(self, job: Document) -> None:
        """Create a Job; one of that name that exists already is fine."""

    async def pods(self, job: Key) -> list[Document]:
        """Return the pods of a Job."""

    async def apply_status(self, key: Key, uid: str, status: Document) -> Document | None:
        """Apply the status of the VendorSync of that uid; return it as it lives."""

    async def create_event(self, event: Document) -> None:
        """Create an Event."""


@dataclass
class _Visit:
    """One reconciliation: the resource and what was found on the way."""

    live: LiveResource
    resource: VendorSync
    assignments: list[resolve.Assignment]
    accepted: dict[tuple[str, str], Accepted] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    verified: bool = False
    """The resource was read from the server, so it may own what is created."""
    request_done: str | None = None


@dataclass
class _Memory:
    """What is remembered of the resource of one uid between visits; a restart may lose it."""

    uid: str
    written: float = float("-inf")
    """When its status was written, by the clock."""
    outcomes: dict[str, runs.Outcome] = field(default_factory=dict)
    """By the Job's uid: those that were read and are not in the status yet."""
    told: set[str] = field(default_factory=set)
    """Jobs that were read and are in the status, as long as they exist."""
    requested: set[str] = field(default_factory=set)
    """Jobs made for a syncRequest that is not done; they may have ended and be gone."""


class _ResourceGoneError(Exception):
    """The resource does not exist any more."""


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
        self._memories: dict[Key, _Memory] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Make the cluster as the resource asks; return in how many seconds to look again."""
        live = self._cache.resources.get(key)
        if live is None or live.deleting:
            self._forget(key)
            return None
        try:
            resource = VendorSync.model_validate(live.document)
        except ValidationError as error:
            return await self._refuse(live, error)
        assignments = resolve.assignments(resource, self._settings.schedule)
        visit = _Visit(live, resource, assignments)
        try:
            await self._apply(visit)
            await self._honour_request(visit)
        except _ResourceGoneError:
            self._cache.resources.drop(key, live.uid)
            return None
        new = status.compute(resource.status, await self._see(visit), self._now())
        delay = await self._record(live, resource.status, new)
        if any(problem.reason in _RETRIED for problem in visit.problems):
            return min(delay or RETRY_SECONDS, RETRY_SECONDS)
        return delay

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self._recorder.forget(key)

    def _memory(self, live: LiveResource) -> _Memory:
        """Return what is remembered of a resource: nothing of a predecessor of its name."""
        found = self._memories.get(live.key)
        if found is None or found.uid != live.uid:
            found = self._memories[live.key] = _Memory(live.uid)
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

    # CronJobs

    async def _apply(self, visit: _Visit) -> None:
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
                visit.accepted[assignment.key] = verdict
                await self._guarded(visit, str(assignment), self._ensure(visit, verdict))
                continue
            await self._guarded(visit, str(assignment), self._rest(visit, assignment))
        await self._prune(visit)

    async def _guarded(self, visit: _Visit, subject: str, write: Awaitable[None]) -> bool:
        """Await a write and tell whether it succeeded.

        A refusal becomes a problem of the resource, not the end of the visit.
        """
        try:
            await write
        except RefusedError as refused:
            message = runs.clean(str(refused))
            visit.problems.append(Problem(ConditionReason.API_REFUSED, message, subject))
            return False
        return True

    async def _ensure(self, visit: _Visit, accepted: Accepted) -> None:
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        name = accepted.assignment.cron_job
        live = await self._live_cron_job(visit, (visit.live.key[0], name))
        if live is not None and not _owns(visit.live, live):
            visit.problems.append(
                Problem(
                    ConditionReason.NAME_CONFLICT,
                    f"CronJob {name} exists and is not this resource's",
                    str(accepted.assignment),
                )
            )
        elif live is None or drifts(rendered, live.document):
            uid = live.uid if live else None
            self._cache.cron_jobs.found(await self._cluster.apply_cron_job(rendered, uid))
            logger.info("cron job applied", extra={"cron_job": name, "resource": visit.live.key})

    async def _live_cron_job(self, visit: _Visit, key: Key) -> LiveCronJob | None:
        """Return a CronJob; one that is not in the cache may still exist, without our labels."""
        known = self._cache.cron_jobs.get(key)
        if known is not None:
            return known
        await self._verify(visit)
        found = await self._cluster.read_cron_job(key)
        return None if found is None else LiveCronJob.of(found)

    async def _verify(self, visit: _Visit) -> None:
        """Make sure that the resource exists, so that nothing is created for a ghost."""
        if visit.verified:
            return
        found = await self._cluster.read_resource(visit.live.key)
        if found is None or found["metadata"]["uid"] != visit.live.uid:
            raise _ResourceGoneError
        visit.verified = True

    async def _rest(self, visit: _Visit, assignment: resolve.Assignment) -> None:
        """Suspend the CronJob of what is refused, if there is one."""
        key = (visit.live.key[0], assignment.cron_job)
        live = self._cache.cron_jobs.get(key)
        if live is None or not _owns(visit.live, live) or live.suspended:
            return
        found = await self._cluster.suspend_cron_job(key)
        if found is not None:
            self._cache.cron_jobs.found(found)

    async def _prune(self, visit: _Visit) -> None:
        """Delete our CronJobs that the spec no longer asks for."""
        kept = {assignment.cron_job for assignment in visit.assignments}
        for live in self._cache.cron_jobs.of(visit.live.key):
            if live.key[1] not in kept and _owns(visit.live, live):
                delete = self._cluster.delete_cron_job(live.key, live.uid)
                if await self._guarded(visit, live.key[1], delete):
                    self._cache.cron_jobs.drop(live.key, live.uid)

    # Runs

    async def _honour_request(self, visit: _Visit) -> None:
        """Start a run of everything that is wanted if a new syncRequest asks for it."""
        request = visit.resource.spec.sync_request
        if request in (None, visit.resource.status.last_sync_request) or not visit.accepted:
            return
        wanted = [each for each in visit.accepted.values() if each.assignment.wanted]
        if all([await self._start(visit, accepted, request) for accepted in wanted]):
            visit.request_done = request

    async def _start(self, visit: _Visit, accepted: Accepted, request: str) -> bool:
        """Create the Job that a request makes of one CronJob; tell whether it was created."""
        live = self._cache.cron_jobs.get((visit.live.key[0], accepted.assignment.cron_job))
        if live is None or not _owns(visit.live, live):
            return False
        requested = self._memory(visit.live).requested
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        job = render.request_job(rendered, live.uid, request)
        name = job["metadata"]["name"]
        if name not in requested:
            create = self._cluster.create_job(job)
            if not await self._guarded(visit, str(accepted.assignment), create):
                return False
            requested.add(name)
        return True

    async def _see(self, visit: _Visit) -> status.Sight:
        timetables = {key: accepted.timetable for key, accepted in visit.accepted.items()}
        return status.Sight(
            generation=visit.resource.metadata.generation,
            suspended=visit.resource.spec.suspend or not self._settings.schedule.enabled,
            assignments=tuple(visit.assignments),
            timetables=timetables,
            shares={key: each.share for key, each in visit.accepted.items() if each.share},
            problems=tuple(visit.problems),
            outcomes=await self._read_outcomes(visit),
            request_done=visit.request_done,
            namespace=visit.live.key[0],
        )

    async def _read_outcomes(self, visit: _Visit) -> tuple[runs.Outcome, ...]:
        """Return how the Jobs ended that the status does not know; each is looked into once."""
        memory = self._memory(visit.live)
        pending = memory.outcomes
        known = {(entry.name, entry.stream): entry for entry in visit.resource.status.vendors}
        jobs = self._cache.jobs.of(visit.live.key)
        for assignment in visit.assignments:
            name, stream = assignment.key
            entry = known.get(assignment.key) or VendorStatus(name=name, stream=stream)
            for job in runs.unrecorded(entry, jobs, since=visit.live.created):
                is_read = job.uid in pending or job.uid in memory.told
                if not is_read and job.cron_job == assignment.cron_job:
                    pending[job.uid] = runs.outcome(job, await self._cluster.pods(job.key))
        return tuple(pending.values())

    # Status

    async def _record(
        self, live: LiveResource, old: VendorSyncStatus, new: VendorSyncStatus
    ) -> float | None:
        """Write the status if it changed, not too often; return when to look again, in seconds."""
        if new.wire() == old.wire():
            return self._until(status.overdue_at(new))
        memory = self._memory(live)
        elapsed = self._clock() - memory.written
        if elapsed < self._settings.status_interval:
            return self._settings.status_interval - elapsed
        found = await self._cluster.apply_status(live.key, live.uid, new.wire())
        if found is None:
            self._cache.resources.drop(live.key, live.uid)
            return None
        memory.written = self._clock()
        existing = {job.uid for job in self._cache.jobs.of(live.key)}
        memory.told = existing & (memory.told | memory.outcomes.keys())
        memory.outcomes.clear()
        if new.last_sync_request != old.last_sync_request:
            memory.requested.clear()
        self._cache.resources.found(found)
        await self._announce(live, old, new)
        return self._until(status.overdue_at(new))

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


def _duplicate(live: LiveResource, older: LiveResource) -> Problem:
    return Problem(
        ConditionReason.DUPLICATE_ORGANIZATION,
        f"organization {live.organization} belongs to the older VendorSync {'/'.join(older.key)}",
    )


def _owns(resource: LiveResource, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is the resource's, even if somebody took its owner reference away."""
    if live.owner_uid:
        return live.owner_uid == resource.uid
    return live.resource == resource.key[1]
