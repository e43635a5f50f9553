"""Pure: the status of a resource, from its old status and what was seen since.

The status is the operator's only memory. It depends on nothing but its inputs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vendorsync_api.reasons import Result
from vendorsync_api.v1alpha1 import (
    Display,
    Summary,
    VendorStatus,
    VendorSyncStatus,
)
from vendorsync_operator.bounds import cut_bytes
from vendorsync_operator.results import delays, pace, runs
from vendorsync_operator.status import brevity
from vendorsync_operator.status.verdicts import Sight, conditions, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_api.schedule import Timetable
    from vendorsync_operator.cache.live import LiveCronJob
    from vendorsync_operator.spec.resolve import Assignment
    from vendorsync_operator.status.prose import Problem


_NO_FAILURES = (Result.SUCCEEDED, Result.SKIPPED, Result.UNKNOWN)
_REQUEST_LIMIT = 600
"""Bytes about runs that a syncRequest could not start."""


def compute(old: VendorSyncStatus, sight: Sight, now: datetime) -> VendorSyncStatus:
    """Return the status after what was seen."""
    entries = _entries(old, sight, now)
    wanted = {a.key for a in sight.assignments if a.wanted}
    active = [entry for entry in entries if (entry.name, entry.stream) in wanted]
    return VendorSyncStatus(
        observed_generation=sight.generation,
        conditions=conditions(old, sight, active, now),
        display=_display(sight, entries, active),
        next_schedule_time=_soonest(entry for entry in entries if entry.stream == "plants"),
        last_sync_request=sight.request.done or old.last_sync_request,
        sync_request_message=_request_message(old, sight),
        summary=_summary(active),
        vendors=tuple(brevity.brief(entries)),
    )


def refused(
    old: VendorSyncStatus, problem: Problem, generation: int, now: datetime
) -> VendorSyncStatus:
    """Return the status of a resource that cannot be read: its last runs, and not ready."""
    sight = Sight(generation, suspended=False, problems=(problem,))
    blank = {"next_schedule_time": None, "slowed_to": None, "delay": None}
    entries = [entry.model_copy(update=blank) for entry in old.vendors]
    return old.model_copy(
        update={
            "observed_generation": generation,
            "conditions": conditions(old, sight, entries, now),
            "next_schedule_time": None,
            "vendors": tuple(entries),
        }
    )


def unserved(
    old: VendorSyncStatus, problem: Problem, generation: int, now: datetime
) -> VendorSyncStatus:
    """Return the status of a resource of which nothing is known but what stops the operator."""
    known = old.observed_generation
    sight = Sight(generation if known is None else known, suspended=False, problems=(problem,))
    ready = next(each for each in conditions(old, sight, [], now) if each.type == "Ready")
    others = (each for each in old.conditions if each.type != "Ready")
    return old.model_copy(update={"conditions": (ready, *others)})


def _request_message(old: VendorSyncStatus, sight: Sight) -> str | None:
    """Return what the last syncRequest could not start, which is said until the next is done."""
    if sight.request.done is None:
        return old.sync_request_message
    return cut_bytes(". ".join(sight.request.missed), _REQUEST_LIMIT) or None


def _entries(old: VendorSyncStatus, sight: Sight, now: datetime) -> list[VendorStatus]:
    known = {(entry.name, entry.stream): brevity.restored(entry) for entry in old.vendors}
    found = []
    for assignment in sight.assignments:
        name, stream = assignment.key
        entry = known.get(assignment.key) or VendorStatus(name=name, stream=stream)
        ended = [o for o in sight.outcomes if (o.job.vendor, o.job.stream) == assignment.key]
        entry = runs.advance(entry, ended)
        found.append(entry.model_copy(update=_prospects(entry, assignment, sight, now)))
    return brevity.bounded(found)


def _prospects(
    entry: VendorStatus, assignment: Assignment, sight: Sight, now: datetime
) -> dict[str, object]:
    """Return what the entry says of runs to come."""
    timetable = None if assignment.suspend else sight.timetables.get(assignment.key)
    followed = timetable and pace.of(entry, timetable)
    notice = sight.notices.get(assignment.key)
    return {
        "next_schedule_time": (
            entry.next_schedule_time
            if assignment.key in sight.undecided
            else _next_time(entry, followed, now)
        ),
        "slowed_to": pace.slowed_to(entry, timetable) if timetable else None,
        "delay": sight.delays.get(assignment.key),
        "requested": sight.request.started.get(assignment.key),
        "tolerated_percent": (
            (notice.percent if notice else None)
            if assignment.key in sight.timetables
            # An edit that is refused may be taken back.
            else entry.tolerated_percent
        ),
    }


def _next_time(entry: VendorStatus, timetable: Timetable | None, now: datetime) -> str | None:
    """Return when the next run is due.

    A time that has just passed stays until its run ended or was due to be under way: one write then
    tells both the result, or what keeps it, and the next time.
    """
    if timetable is None:
        return None
    old = entry.next_schedule_time
    if old is not None and (entry.completion_time or "") < old:
        moment = datetime.fromisoformat(old)
        is_tick = timetable.next_run(moment - timedelta(minutes=1)) == moment
        if is_tick and moment <= now < moment + delays.LATE:
            return old
    upcoming = timetable.next_run(now)
    return timestamp(upcoming) if upcoming else None


def overdue_at(status: VendorSyncStatus, now: datetime) -> datetime | None:
    """Return when the next times must be looked at again although nothing happened.

    One that is long past waits for something else, see Sight.undecided.
    """
    times = (entry.next_schedule_time for entry in status.vendors)
    looks = (datetime.fromisoformat(time) + delays.LATE for time in times if time)
    return min((look for look in looks if look > now), default=None)


def missed(entry: VendorStatus, timetable: Timetable, live: LiveCronJob, now: datetime) -> bool:
    """Tell whether the next time of an entry passed and its CronJob made no Job for it.

    The CronJob says for which tick it made the last one. A Job that is not needed any more is gone
    before the operator looks, so Jobs that are not there prove nothing.
    """
    due = entry.next_schedule_time
    if due is None or live.ticked >= due or (entry.completion_time or "") >= due:
        return False
    moment = datetime.fromisoformat(due)
    if now < moment + delays.LATE or not delays.covers(live, moment):
        return False
    return pace.of(entry, timetable).next_run(moment - timedelta(minutes=1)) == moment


def _soonest(entries: Iterable[VendorStatus]) -> str | None:
    times = (entry.next_schedule_time for entry in entries)
    return min(filter(None, times), default=None)


def _display(sight: Sight, entries: list[VendorStatus], active: list[VendorStatus]) -> Display:
    tables = [table for (_, stream), table in sight.timetables.items() if stream == "plants"]
    plants = [entry for entry in entries if entry.stream == "plants"]
    synced = [entry for entry in active if entry.stream == "plants"]
    good = sum(runs.standing(entry) is not None and not runs.failing(entry) for entry in synced)
    return Display(
        interval=_joined((table.interval_text for table in tables), 120),
        window=_joined((table.window_text for table in tables), 400),
        vendors=f"{good}/{len(synced)}",
        last_sync_time=max(filter(None, map(_last_sync, plants)), default=None),
    )


def _last_sync(entry: VendorStatus) -> str | None:
    """Return when the last run ended that was not skipped."""
    return max(entry.last_successful_time or "", entry.last_failure_time or "") or None


def _joined(texts: Iterable[str], limit: int) -> str | None:
    joined = ", ".join(dict.fromkeys(texts))
    return joined[:limit] or None


def _summary(active: list[VendorStatus]) -> Summary:
    plants = [entry for entry in active if entry.stream == "plants"]
    results = [entry.result for entry in plants if entry.result]
    return Summary(
        total_vendors=len(plants),
        successful=results.count(Result.SUCCEEDED),
        skipped=results.count(Result.SKIPPED),
        failed=sum(result not in _NO_FAILURES for result in results),
        total_plants_synced=sum(_synced_plants(entry) for entry in plants),
        total_plants_created=sum(entry.created or 0 for entry in plants),
        total_plants_updated=sum(entry.updated or 0 for entry in plants),
        duration_seconds=max(
            (entry.duration_seconds or 0 for entry in plants if runs.listed(entry)), default=0
        ),
    )


def _synced_plants(entry: VendorStatus) -> int:
    return (entry.created or 0) + (entry.updated or 0) + (entry.unchanged or 0)
