"""Statuses as they are written: only when they say something new, and not too often."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from vendorsync_api.v1alpha1 import Metadata, VendorSyncStatus
from vendorsync_operator.status import events, reading, status
from vendorsync_operator.status.verdicts import ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_operator.cache.cache import Cache
    from vendorsync_operator.cache.live import Document, LiveResource
    from vendorsync_operator.ports import Cluster
    from vendorsync_operator.reconcile.visit import Memory

logger = logging.getLogger(__name__)

_UNDONE = "undone"
"""Whatever a status says, it counts as the same while somebody changes it back."""


class Statuses:
    """Writes the statuses of resources, and Events of what turned.

    `interval` is the least time between two writes of one resource, in seconds.
    """

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        interval: float,
        recorder: events.Recorder,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._interval = interval
        self._recorder = recorder
        self._now = now
        self._clock = clock

    async def write(
        self, live: LiveResource, memory: Memory, old: VendorSyncStatus, new: VendorSyncStatus
    ) -> float | None:
        """Write the status if it changed, not too often; return when to look again, in seconds."""
        if new.wire() == ours(old).wire():
            self._tell(live, memory)
            return self._until(status.overdue_at(new, self._now()))
        if wait := self._wait(memory, old):
            return wait
        found = await self._cluster.apply_status(live.key, live.uid, new.wire())
        if found is None:
            self._cache.resources.drop(live.key, live.uid)
            return None
        self._note(live, memory, old, found["status"])
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

    def _wait(self, memory: Memory, old: VendorSyncStatus) -> float:
        """Return for how many seconds the next write has to wait; 0 for not at all."""
        now = self._clock()
        wait = memory.written + self._interval - now
        if _is_undone(memory, old):
            wait = max(wait, memory.status_contest.wait(_UNDONE, now))
        return max(wait, 0.0)

    def _note(
        self, live: LiveResource, memory: Memory, old: VendorSyncStatus, written: Document
    ) -> None:
        """Take note of a write, as the server answered it."""
        now, contest = self._clock(), memory.status_contest
        if _is_undone(memory, old):
            contest.wrote(_UNDONE, now)
        memory.written, memory.said = now, _digest(reading.status(written))
        if contest.is_contested(now):
            logger.warning("somebody else changes the status back", extra={"resource": live.key})

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


def _is_undone(memory: Memory, old: VendorSyncStatus) -> bool:
    """Tell whether somebody changed the status since we wrote it."""
    return memory.said not in ("", _digest(old))


def _digest(found: VendorSyncStatus) -> str:
    return hashlib.sha256(ours(found).model_dump_json().encode()).hexdigest()


def _followed(found: VendorSyncStatus) -> list[tuple[str, str, str | None, int | None]]:
    """Return what of a status decides about CronJobs: the pace and the size of each account."""
    return [(e.name, e.stream, e.slowed_to, e.size) for e in found.vendors if e.slowed_to or e.size]
