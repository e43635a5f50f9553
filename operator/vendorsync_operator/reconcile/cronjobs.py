"""The CronJobs of a resource: made, kept as they are rendered, suspended and removed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_operator.cache.live import LiveCronJob, rivals
from vendorsync_operator.ports import ConflictError
from vendorsync_operator.reconcile.contest import CALM
from vendorsync_operator.reconcile.drift import drifts, lacks
from vendorsync_operator.reconcile.visit import ResourceGoneError, Visit, owns
from vendorsync_operator.spec import render, resolve
from vendorsync_operator.status.prose import Problem

if TYPE_CHECKING:
    from vendorsync_operator.cache.cache import Cache
    from vendorsync_operator.cache.live import LiveResource
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.reconcile.contest import Contest
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.accept import Accepted

logger = logging.getLogger(__name__)

Document = dict[str, Any]


class CronJobs:
    """Brings the CronJobs of a resource in step with its spec."""

    def __init__(self, cache: Cache, cluster: Cluster, settings: Settings) -> None:
        self._cache = cache
        self._cluster = cluster
        self._settings = settings

    def keeper(self, resource: LiveResource) -> str:
        """Return the operator instance that keeps a resource's CronJobs, ours if nobody does.

        Two operators that start at once may each have made some of them; the one that made the
        oldest goes on, and takes over the others.
        """
        kept = [
            live
            for live in self._cache.cron_jobs.of(resource.key)
            if live.instance and owns(resource, live)
        ]
        oldest = min(kept, key=lambda live: (live.created, live.key), default=None)
        return oldest.instance if oldest else self._settings.instance

    async def ensure(self, visit: Visit, accepted: Accepted) -> None:
        """Make the CronJob of what is accepted, or apply it where it differs."""
        name = accepted.assignment.cron_job
        live = self._cache.cron_jobs.get((visit.live.key[0], name))
        # Rendering takes a third of a visit, and most visits find nothing but the end of a run.
        applied, source = visit.memory.applied, (visit.live.generation, accepted.source)
        await self._tell_contest(visit, name, str(accepted.assignment))
        if live is not None and live.settled and applied.get(name) == (*source, live.settled):
            return
        rendered = render.cron_job(visit.resource, accepted, self._settings)
        if live is None:
            live = await self._create(visit, rendered)
        if not owns(visit.live, live):
            visit.problems.append(_taken(visit.live, live, str(accepted.assignment)))
            return
        if _drifts(rendered, live):
            applied.pop(name, None)
            wait = visit.memory.contests[name].wait(render.hash_of(rendered), visit.clock())
            if wait:
                visit.look_again(wait)
                return
            live = await self._apply(visit, rendered, live)
        if self._settle(live, render.hash_of(rendered)):
            applied[name] = (*source, render.hash_of(rendered))
        else:
            # It was deleted while the answer was on its way, so it is to be made again.
            visit.look_again(0.0)

    def _settle(self, live: LiveCronJob, digest: str) -> bool:
        """Remember that a CronJob is what was rendered with that hash; False if it is gone."""
        settled = live if live.settled else live.settle(digest)
        known = self._cache.cron_jobs.get(live.key)
        return known is settled or self._cache.cron_jobs.put(settled)

    async def _tell_contest(self, visit: Visit, name: str, subject: str) -> None:
        """Say so if somebody changes a CronJob each time that it is put right."""
        contest = visit.memory.contests.get(name)
        if contest is None or not contest.is_contested(visit.clock()):
            return
        if not contest.rivals:
            found = await self._cluster.read_cron_job((visit.live.key[0], name))
            contest.rivals = rivals(found["metadata"]) if found else ()
        visit.problems.append(_contested(name, contest, self._settings.instance, subject))
        visit.look_again(CALM)

    async def _create(self, visit: Visit, rendered: Document) -> LiveCronJob:
        """Create a CronJob, or return the one of its name, which may live without our labels."""
        if visit.resource.status.observed_generation is not None:
            await self._verify(visit)
        try:
            found = await self._cluster.apply_cron_job(rendered, None)
        except ConflictError:
            metadata = rendered["metadata"]
            present = await self._cluster.read_cron_job((metadata["namespace"], metadata["name"]))
            if present is None:
                raise
            return LiveCronJob.of(present)
        logger.info(
            "cron job made",
            extra={"cron_job": rendered["metadata"]["name"], "resource": visit.live.key},
        )
        return _as_applied(found, rendered)

    async def _apply(self, visit: Visit, rendered: Document, live: LiveCronJob) -> LiveCronJob:
        """Apply a CronJob that lives; one that does not any more is forgotten."""
        try:
            found = await self._cluster.apply_cron_job(rendered, live.uid)
        except ConflictError:
            present = await self._cluster.read_cron_job(live.key)
            if present is None or present["metadata"]["uid"] != live.uid:
                self._cache.cron_jobs.drop(live.key, live.uid)
            raise
        visit.memory.contests[live.key[1]].wrote(render.hash_of(rendered), visit.clock())
        logger.info("cron job applied", extra={"cron_job": live.key[1], "resource": visit.live.key})
        return _as_applied(found, rendered)

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
        if found is None:
            self._cache.cron_jobs.drop(key, live.uid)
        else:
            self._cache.cron_jobs.found(found)

    async def prune(self, visit: Visit) -> None:
        """Delete our CronJobs that the spec no longer asks for."""
        kept = {assignment.cron_job for assignment in visit.assignments}
        visit.memory.forget_all_but(kept)
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


def _as_applied(found: Document, rendered: Document) -> LiveCronJob:
    """Return the answer to an apply; it is what was rendered, so it is not compared."""
    return LiveCronJob.of(found, settled=render.hash_of(rendered))


def _drifts(rendered: Document, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is not what is rendered; the hash is part of that.

    One that nobody but us has written is what we applied, however an admission webhook changed it.
    """
    wanted = render.hash_of(rendered)
    if live.settled:
        return live.settled != wanted
    if not live.touched and live.hash == wanted:
        # Who takes a field away leaves no trace in managedFields.
        return lacks(rendered, live.document)
    return drifts(rendered, live.document)


def _taken(resource: LiveResource, live: LiveCronJob, subject: str) -> Problem:
    name = live.key[1]
    if live.owner_name == resource.key[1]:
        # No two resources share a name, so its owner is gone.
        return Problem(
            ConditionReason.AWAITING_REMOVAL,
            f"CronJob {name} is left of an earlier resource of this name",
            subject,
        )
    return Problem(
        ConditionReason.NAME_CONFLICT, f"CronJob {name} exists and is not this resource's", subject
    )


def _contested(name: str, contest: Contest, instance: str, subject: str) -> Problem:
    who = ", ".join(contest.rivals) or f"another operator with the instance name {instance}"
    return Problem(
        ConditionReason.CONTESTED,
        f"{who} changes CronJob {name} each time that it is put right",
        subject,
    )
