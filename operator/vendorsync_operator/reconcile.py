"""Decisions: what to write so that the cluster is as a resource asks, and what its status says.

`Reconciler.reconcile` may be called at any time and any number of times: it compares what is
rendered with what lives and writes only a difference.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from vendorsync_api.reasons import ConditionReason, DelayReason
from vendorsync_api.v1alpha1 import Metadata, VendorStatus, VendorSync, VendorSyncStatus
from vendorsync_operator import accept, backoff, delays, events, render, resolve, runs, status
from vendorsync_operator.cache import LiveCronJob, LiveJob
from vendorsync_operator.drift import drifts
from vendorsync_operator.lookout import Lookout, Ration
from vendorsync_operator.status import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from vendorsync_api.v1alpha1 import Delay
    from vendorsync_operator.accept import Accepted, Policies
    from vendorsync_operator.cache import Cache, Key, LiveResource
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]

RETRY_SECONDS = 60.0
"""When to try again what the API server refused, and what belongs to somebody else; and when to see
whether a run that is overdue still is, which asks the API server less often."""
_UNSTARTED = (DelayReason.NOT_STARTED, DelayReason.JOB_REFUSED)
"""Delays that no Job stands for; the status alone remembers them."""
_COUNTERS = re.compile(r", requested: .*", re.DOTALL)
"""What the API server adds to a refusal by a quota, and what changes with each try."""

_RETRIED = (ConditionReason.API_REFUSED, ConditionReason.NAME_CONFLICT)


class RefusedError(Exception):
    """The API server refuses a write, and would again; the text is the server's."""


class ConflictError(Exception):
    """What was to be created exists."""


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
        """Apply a CronJob to the object of that uid, or create it; return it as it lives.

        Without a uid it is created, and ConflictError is raised if one of that name exists, of
        which nothing is changed.
        """

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Suspend a CronJob and leave the rest of it alone; return it as it lives."""

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Delete the CronJob of that uid, its Jobs after it."""

    async def create_job(self, job: Document) -> bool:
        """Create a Job; return False if one of that name exists."""

    async def read_job(self, key: Key) -> Document | None:
        """Return a Job."""

    async def pods(self, job: Key) -> list[Document]:
        """Return the pods of a Job."""

    async def refusals(self, namespace: str, uid: str) -> list[Document]:
        """Return the Events that tell of what the object of that uid could not create.

        Raises RefusedError where Events may not be listed.
        """

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
    current: Document | None = None
    """The resource as the server has it, once it was read."""
    request_done: str | None = None
    again: float | None = None
    """In how many seconds a run may have become overdue, or no longer be."""
    failure: Exception | None = None
    """The first write that failed and is worth another try."""
    undecided: set[tuple[str, str]] = field(default_factory=set)
    """Whose run may be overdue, about which nothing could be asked yet."""

    @cached_property
    def entries(self) -> dict[tuple[str, str], VendorStatus]:
        """What the status says, by vendor and stream."""
        return {(entry.name, entry.stream): entry for entry in self.resource.status.vendors}

    def entry(self, key: tuple[str, str]) -> VendorStatus:
        """Return what the status says of one vendor and stream."""
        return self.entries.get(key) or VendorStatus(name=key[0], stream=key[1])

    def look_again(self, seconds: float) -> None:
        """Have the next visit in that time, unless it is sooner."""
        self.again = seconds if self.again is None else min(self.again, seconds)


@dataclass
class _Memory:
    """What is remembered of the resource of one uid between visits; a restart may lose it."""

    uid: str
    lookout: Lookout
    written: float = float("-inf")
    """When its status was written, by the clock."""
    outcomes: dict[str, runs.Outcome] = field(default_factory=dict)
    """By the Job's uid: those that were read and are not in the status yet."""
    told: set[str] = field(default_factory=set)
    """Jobs that were read and are in the status, as long as they exist."""
    applied: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """By CronJob: the generation and the schedule that it was rendered from, and its hash."""
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
        self.ration = Ration(clock)
        """Of lists about runs that are overdue."""
        self._memories: dict[Key, _Memory] = {}

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
        visit = _Visit(live, resource, assignments)
        try:
            await self._apply(visit)
            await self._honour_request(visit)
        except _ResourceGoneError:
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

    def _memory(self, live: LiveResource) -> _Memory:
        """Return what is remembered of a resource: nothing of a predecessor of its name."""
        found = self._memories.get(live.key)
        if found is None or found.uid != live.uid:
            found = self._memories[live.key] = _Memory(live.uid, self._lookout())
        return found

    def _lookout(self) -> Lookout:
        return Lookout(self._clock, self.ration)

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
                clock = backoff.clock(visit.entry(assignment.key), verdict.timetable)
                verdict = replace(verdict, clock=clock)
                visit.accepted[assignment.key] = verdict
                await self._guarded(visit, str(assignment), self._ensure(visit, verdict))
                continue
            await self._guarded(visit, str(assignment), self._rest(visit, assignment))
        await self._prune(visit)

    async def _guarded(self, visit: _Visit, subject: str, write: Awaitable[None]) -> bool:
        """Await a write and tell whether it succeeded.

        A refusal becomes a problem of the resource, another failure that of the visit at its end.
        """
        try:
            await write
        except RefusedError as refused:
            message = runs.clean(_COUNTERS.sub("", str(refused)))
            visit.problems.append(Problem(ConditionReason.API_REFUSED, message, subject))
            return False
        except _ResourceGoneError:
            raise
        except Exception as error:
            visit.failure = visit.failure or error
            return False
        return True

    async def _ensure(self, visit: _Visit, accepted: Accepted) -> None:
        name = accepted.assignment.cron_job
        live = self._cache.cron_jobs.get((visit.live.key[0], name))
        # Rendering takes a third of a visit, and most visits find nothing but the end of a run.
        applied, source = (
            self._memory(visit.live).applied,
            (visit.live.generation, accepted.expression),
        )
        if live is not None and live.settled and applied.get(name) == (*source, live.settled):
            return
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        if live is None:
            live = await self._create(visit, rendered)
        if not _owns(visit.live, live):
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

    async def _create(self, visit: _Visit, rendered: Document) -> LiveCronJob:
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

    async def _verify(self, visit: _Visit) -> Document:
        """Return the resource as the server has it, so that nothing is done for a ghost.

        That is for one whose CronJobs went away or are to go. One that is new was heard of a moment
        ago; should it be gone again, what is made for it has no owner and is collected.
        """
        if visit.current is None:
            found = await self._cluster.read_resource(visit.live.key)
            if found is None or found["metadata"]["uid"] != visit.live.uid:
                raise _ResourceGoneError
            visit.current = found
        return visit.current

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
                await self._guarded(visit, live.key[1], self._remove(visit, live))

    async def _remove(self, visit: _Visit, live: LiveCronJob) -> None:
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
        self._memory(visit.live).applied.pop(live.key[1], None)

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
        last = visit.resource.status.last_sync_request or ""
        job = render.request_job(rendered, live.uid, request, last=last)
        name = job["metadata"]["name"]
        if name in requested or visit.entry(accepted.assignment.key).job == name:
            return True
        return await self._guarded(
            visit, str(accepted.assignment), self._make(visit, accepted, job)
        ) and (name in requested)

    async def _make(self, visit: _Visit, accepted: Accepted, job: Document) -> None:
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
        self._memory(visit.live).requested.add(key[1])
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

    async def _see(self, visit: _Visit) -> status.Sight:
        outcomes = await self._read_outcomes(visit)
        timetables = {key: accepted.timetable for key, accepted in visit.accepted.items()}
        known = visit.resource.status.observed_generation
        return status.Sight(
            generation=known if known and visit.failure else visit.live.generation,
            unfinished=visit.failure is not None,
            suspended=visit.resource.spec.suspend or not self._settings.schedule.enabled,
            switched_off=not self._settings.schedule.enabled,
            assignments=tuple(visit.assignments),
            timetables=timetables,
            shares={key: each.share for key, each in visit.accepted.items() if each.share},
            problems=tuple(visit.problems),
            outcomes=outcomes,
            delays=await self._delays(visit, outcomes),
            undecided=frozenset(visit.undecided),
            request_done=visit.request_done,
            namespace=visit.live.key[0],
        )

    async def _read_outcomes(self, visit: _Visit) -> tuple[runs.Outcome, ...]:
        """Return how the Jobs ended that the status does not know; each is looked into once."""
        memory = self._memory(visit.live)
        pending = memory.outcomes
        jobs = self._cache.jobs.of(visit.live.key)
        for assignment in visit.assignments:
            entry = visit.entry(assignment.key)
            for job in runs.unrecorded(entry, jobs, since=visit.live.created):
                is_read = job.uid in pending or job.uid in memory.told
                if not is_read and job.cron_job == assignment.cron_job:
                    pending[job.uid] = runs.outcome(job, await self._cluster.pods(job.key))
        return tuple(pending.values())

    # Runs that are overdue

    async def _delays(
        self, visit: _Visit, outcomes: tuple[runs.Outcome, ...]
    ) -> dict[tuple[str, str], Delay]:
        """Return what keeps the runs that are overdue."""
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
        self._memory(visit.live).lookout.keep(watched)
        return found

    async def _stuck(self, visit: _Visit, jobs: list[LiveJob]) -> Delay | None:
        """Return what keeps the first of some Jobs that have not ended and is kept."""
        now, lookout = self._now(), self._memory(visit.live).lookout
        for job in jobs:
            due = delays.due(job)
            if now < due:
                visit.look_again((due - now).total_seconds())
                continue
            visit.look_again(RETRY_SECONDS)
            found = delays.of_time(job, now)
            if found is None and job.waiting:
                look = await lookout.look(job.uid, partial(self._look_into, job))
                found = look.found if look else None
            if found is not None:
                return found
        return None

    async def _look_into(self, job: LiveJob) -> Delay | None:
        pods = await self._cluster.pods(job.key)
        if pods:
            return delays.of_pods(job, pods, self._now())
        return delays.without_pod(job, await self._refusals(job.key[0], job.uid))

    async def _unstarted(
        self, visit: _Visit, accepted: Accepted, *, has_ended: bool
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
            lookout = self._memory(visit.live).lookout
            look = await lookout.look(live.uid, partial(self._look_for, live, tick))
            if look is None:
                visit.undecided.add(assignment.key)
                visit.look_again(RETRY_SECONDS)
            return look.found if look else None
        return entry.delay if entry.delay and entry.delay.reason in _UNSTARTED else None

    def _serves(self, visit: _Visit, live: LiveCronJob) -> bool:
        """Tell whether a CronJob is as the spec asks, so that it fires when we expect it to."""
        is_applied = live.key[1] in self._memory(visit.live).applied
        return is_applied and _owns(visit.live, live) and not visit.failure

    async def _look_for(self, live: LiveCronJob, tick: str) -> Delay | None:
        """Return why a CronJob made no Job for a tick; None if we have only not heard of it."""
        found = await self._cluster.read_cron_job(live.key)
        if found is None:
            return None
        self._cache.cron_jobs.found(found)
        if LiveCronJob.of(found).ticked >= tick:
            return None
        return delays.without_job(await self._refusals(live.key[0], live.uid), since=tick)

    async def _refusals(self, namespace: str, uid: str) -> list[Document]:
        try:
            return await self._cluster.refusals(namespace, uid)
        except RefusedError:
            logger.warning("events may not be listed", exc_info=True)
            return []

    # Status

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
        if _clocks(new) != _clocks(old):
            # The CronJobs follow the status that is written, so that a restart sees the same.
            return 0.0
        return self._until(status.overdue_at(new, self._now()))

    def _tell(self, live: LiveResource, memory: _Memory) -> None:
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


def _clocks(found: VendorSyncStatus) -> list[tuple[str, str, str]]:
    return [(e.name, e.stream, e.slowed_to) for e in found.vendors if e.slowed_to]


def _drifts(rendered: Document, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is not what is rendered; the hash is part of that."""
    if live.settled:
        return live.settled != render.hash_of(rendered)
    return drifts(rendered, live.document)


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
