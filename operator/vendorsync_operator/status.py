"""Pure: the status of a resource, from its old status and what was seen since.

The status is the operator's only memory. It depends on nothing but its inputs, and every message is
made of words that stay the same while the state does, so writing it cannot cause another write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

from vendorsync_api.reasons import ConditionReason, DelayReason, Result, RunReason
from vendorsync_api.v1alpha1 import (
    Condition,
    Delay,
    Display,
    Summary,
    VendorStatus,
    VendorSyncStatus,
)
from vendorsync_operator import backoff, brevity, delays, runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_api.schedule import Timetable
    from vendorsync_operator.accept import Share
    from vendorsync_operator.cache import LiveCronJob
    from vendorsync_operator.resolve import Assignment

_MESSAGE_LIMIT = 4096
"""What the CRD allows."""
_PART_LIMIT = 300
"""Most characters that a condition says of one vendor and stream, without the advice."""
_PARTS_LIMIT = 600
"""Most characters of all these parts, so that the status stays small: many of them are shorter."""
_SLOWED_LIMIT = 160
"""Most characters about runs that are slowed; each entry says it too."""
_SHORTEST_PART = 60
"""With less than that for each part, names are told by reason."""
_ACTIONABLE = frozenset(
    {
        ConditionReason.SPEC_INVALID,
        ConditionReason.UNKNOWN_TIME_ZONE,
        ConditionReason.UNKNOWN_ADAPTER,
        ConditionReason.STREAM_UNSUPPORTED,
        ConditionReason.OPTIONS_INVALID,
        ConditionReason.ENDPOINT_NOT_ALLOWED,
        ConditionReason.NEVER_RUNS,
    }
)
"""Their sentences name what is possible or what to do; the advice would say it again."""

ConditionStatus = Literal["True", "False", "Unknown"]
_Reason = TypeVar("_Reason", bound=str)


@dataclass(frozen=True)
class Problem:
    """Something that keeps the spec from being applied; `subject` names it, or is empty."""

    reason: ConditionReason
    message: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message


@dataclass(frozen=True)
class Sight:
    """What one reconciliation found out about a resource."""

    generation: int
    """Of the spec that the status speaks of."""
    suspended: bool
    """Scheduled runs of the whole resource rest."""
    switched_off: bool = False
    """They rest by the operator's own setting, whatever the resource says."""
    assignments: tuple[Assignment, ...] = ()
    timetables: dict[tuple[str, str], Timetable] = field(default_factory=dict)
    """Effective schedules by vendor and stream, of those that are accepted."""
    shares: dict[tuple[str, str], Share] = field(default_factory=dict)
    """Of those asked plant by plant, what each run has of the vendor's allowance."""
    problems: tuple[Problem, ...] = ()
    outcomes: tuple[runs.Outcome, ...] = ()
    request_done: str | None = None
    """The syncRequest whose Jobs exist now."""
    delays: dict[tuple[str, str], Delay] = field(default_factory=dict)
    """Of the vendors and streams whose run is overdue."""
    namespace: str = "default"
    unfinished: bool = False
    """A write failed and is tried again: whether the resource is ready is not known until then."""
    undecided: frozenset[tuple[str, str]] = frozenset()
    """Of the vendors and streams whose next time passed and stays, since it was not looked into."""


def compute(old: VendorSyncStatus, sight: Sight, now: datetime) -> VendorSyncStatus:
    """Return the status after what was seen."""
    entries = _entries(old, sight, now)
    wanted = {a.key for a in sight.assignments if a.wanted}
    active = [entry for entry in entries if (entry.name, entry.stream) in wanted]
    summary = _summary(active)
    return VendorSyncStatus(
        observed_generation=sight.generation,
        conditions=_conditions(old, sight, active, now),
        display=_display(sight, entries, active),
        next_schedule_time=_soonest(entry for entry in entries if entry.stream == "plants"),
        last_sync_request=sight.request_done or old.last_sync_request,
        summary=summary,
        vendors=tuple(brevity.brief(entries, summary.duration_seconds)),
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
            "conditions": _conditions(old, sight, entries, now),
            "next_schedule_time": None,
            "vendors": tuple(entries),
        }
    )


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
    clock = timetable and backoff.clock(entry, timetable)
    return {
        "next_schedule_time": (
            entry.next_schedule_time
            if assignment.key in sight.undecided
            else _next_time(entry, clock, now)
        ),
        "slowed_to": backoff.slowed_to(entry, timetable) if timetable else None,
        "delay": sight.delays.get(assignment.key),
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
    return backoff.clock(entry, timetable).next_run(moment - timedelta(minutes=1)) == moment


def _soonest(entries: Iterable[VendorStatus]) -> str | None:
    times = (entry.next_schedule_time for entry in entries)
    return min(filter(None, times), default=None)


def _conditions(
    old: VendorSyncStatus, sight: Sight, active: list[VendorStatus], now: datetime
) -> tuple[Condition, ...]:
    before = {condition.type: condition for condition in old.conditions}

    def condition(kind: str, verdict: tuple[ConditionStatus, ConditionReason, str]) -> Condition:
        status, reason, message = verdict
        previous = before.get(kind)
        if sight.unfinished and kind == "Ready" and previous:
            return previous
        kept = previous is not None and previous.status == status
        message = _cut(message, _MESSAGE_LIMIT)
        if previous and _says_the_same(previous.message, message):
            # The API server tells the faults of one refusal in another order each time.
            message = previous.message
        return Condition(
            type=kind,
            status=status,
            reason=reason.value,
            message=message,
            observed_generation=sight.generation,
            last_transition_time=(
                previous.last_transition_time if previous and kept else timestamp(now)
            ),
        )

    return (
        condition("Ready", _ready(sight)),
        condition("Synced", _synced(sight, active)),
        condition("Degraded", _degraded(sight, active)),
    )


def _says_the_same(old: str, new: str) -> bool:
    return old == new or sorted(re.findall(r"\w+", old)) == sorted(re.findall(r"\w+", new))


def _ready(sight: Sight) -> tuple[ConditionStatus, ConditionReason, str]:
    if not sight.problems:
        count = len(sight.timetables)
        applied = f"{count} CronJob{'s' * (count != 1)} applied"
        return "True", ConditionReason.APPLIED, applied + _rounds(sight)
    told = _told(sight.problems)
    if stopped := _stopped(sight):
        ending = f" Scheduled runs of {', '.join(stopped)} are stopped until then."
        told = _cut(told, max(_MESSAGE_LIMIT - len(ending), 0)) + ending
    return "False", sight.problems[0].reason, told


def _rounds(sight: Sight) -> str:
    """Return what to expect of the streams that are asked plant by plant.

    The numbers follow from the spec, so they stand still while it does.
    """
    names: dict[int, list[str]] = {}
    for (vendor, stream), share in sight.shares.items():
        names.setdefault(share.calls, []).append(f"{vendor}/{stream}")
    told = [
        f"; the vendor's allowance leaves each run of {', '.join(found)} {calls}"
        f" call{'s' * (calls != 1)} about single plants, so one round over all plants may take"
        " several runs"
        for calls, found in names.items()
    ]
    return _cut("".join(told), _PARTS_LIMIT)


def _stopped(sight: Sight) -> list[str]:
    """Return what would run if it were not refused; its CronJobs are suspended."""
    unwritten = {p.subject for p in sight.problems if p.reason is ConditionReason.API_REFUSED}
    return [
        str(assignment)
        for assignment in sight.assignments
        if assignment.key not in sight.timetables
        and not assignment.suspend
        and str(assignment) not in unwritten
    ]


def _synced(
    sight: Sight, active: list[VendorStatus]
) -> tuple[ConditionStatus, ConditionReason, str]:
    if sight.suspended:
        switch = " by the operator's ENABLE_PLANT_SYNC_CRON" if sight.switched_off else ""
        return "Unknown", ConditionReason.SUSPENDED, f"scheduled runs are suspended{switch}"
    if not active:
        return "Unknown", ConditionReason.NO_STREAMS, "every vendor or stream is suspended"
    late = [entry for entry in active if entry.delay]
    under_way = [entry for entry in active if _goes_on(sight, entry)]
    failed = [e for e in active if runs.failing(e) and e not in under_way and e not in late]
    if late or failed:
        reason = ConditionReason.RUNS_OVERDUE if late else ConditionReason.RUNS_FAILED
        parts = [_overdue(late), _failed(failed), _slowed(active)]
        return "False", reason, " ".join(filter(None, parts))
    waiting = [entry for entry in active if runs.standing(entry) is None]
    if waiting:
        return "Unknown", ConditionReason.AWAITING_FIRST_RUN, _awaited(sight, waiting)
    told = "the last run of every vendor and stream succeeded"
    if under_way:
        names = _cut(", ".join(map(_title, under_way)), _PARTS_LIMIT)
        told += f", but for {names}: a round over all plants takes several runs there and goes on"
    return "True", ConditionReason.ALL_SYNCED, told


def _overdue(late: list[VendorStatus]) -> str:
    """Return what keeps each run that is overdue, and what to do about it."""
    groups = _by_reason(_told_of((e.delay.reason, e, e.delay.message) for e in late if e.delay))
    return " ".join(_advised(found, _delay_advice(reason)) for reason, found in groups)


def _failed(failed: list[VendorStatus]) -> str:
    return "; ".join(told for _, told in _failures(failed))


def _slowed(active: list[VendorStatus]) -> str:
    """Return whose scheduled runs are slowed, and until when."""
    groups = _by_reason((e.slowed_to, _title(e)) for e in active if e.slowed_to)
    told = [f"{', '.join(names)} to {minutes}" for minutes, names in groups]
    if not told:
        return ""
    return _cut(f"(scheduled runs are slowed until one succeeds: {'; '.join(told)})", _SLOWED_LIMIT)


def _delay_advice(reason: str) -> str:
    return DelayReason(reason).advice if reason in set(DelayReason) else ""


def _is_stuck(entry: VendorStatus) -> bool:
    """Tell whether a run is overdue by something that does not pass by itself."""
    reason = entry.delay and entry.delay.reason
    return reason in set(DelayReason) and DelayReason(reason).needs_action


def _goes_on(sight: Sight, entry: VendorStatus) -> bool:
    """Tell whether a partial run did all that it had calls for, in a round that goes on.

    Such a run stands in `vendors` as the partial one it was, but is no reason for Synced to be
    false, which it would be for ever. One that stopped because the allowance itself is used up but
    for the reserve is: somebody spends more than the schedules do.
    """
    share = sight.shares.get((entry.name, entry.stream))
    if share is None or runs.failing(entry) != RunReason.BUDGET_SPENT:
        return False
    return entry.budget_remaining is None or entry.budget_remaining > share.kept


def _awaited(sight: Sight, waiting: list[VendorStatus]) -> str:
    """Return who waits for a first run, what that run checks and how to start one."""
    told = (
        f"no run has ended yet of {', '.join(map(_title, waiting))}; Secrets and the database are"
        " checked by the first run"
    )
    keys = {(entry.name, entry.stream) for entry in waiting} & sight.timetables.keys()
    name = next((a.cron_job for a in sight.assignments if a.key in keys), None)
    if name is None:
        return told
    command = f"kubectl create job first --from=cronjob/{name} --namespace {sight.namespace}"
    return f"{told}; to start one now: {command}"


def _degraded(
    sight: Sight, active: list[VendorStatus]
) -> tuple[ConditionStatus, ConditionReason, str]:
    failures = _failures(
        entry for entry in active if (reason := runs.failing(entry)) and runs.needs_action(reason)
    )
    told = [_advised(found, RunReason(reason).advice) for reason, found in _by_reason(failures)]
    if stuck := _overdue([entry for entry in active if _is_stuck(entry)]):
        told.append(stuck)
    if sight.problems:
        told.append(_told(sight.problems))
    if not told:
        return "False", ConditionReason.AS_EXPECTED, "nobody has to act"
    return "True", ConditionReason.ACTION_REQUIRED, " ".join(told)


def _failures(entries: Iterable[VendorStatus]) -> list[tuple[str, str]]:
    """Return the reason of each failing entry, and `vendor/stream: Reason: message`, bounded.

    Where they are too many for that, return each reason once with the names of its entries.
    """
    return _told_of((runs.failing(entry) or "", entry, entry.message or "") for entry in entries)


def _told_of(found: Iterable[tuple[str, VendorStatus, str]]) -> list[tuple[str, str]]:
    """Return the same of any reasons and messages of entries."""
    parts = list(found)
    room = min(_PART_LIMIT, _PARTS_LIMIT // max(len(parts), 1))
    if room >= _SHORTEST_PART:
        return [
            (reason, _cut(": ".join(filter(None, (_title(entry), reason, message))), room))
            for reason, entry, message in parts
        ]
    groups = _by_reason((reason, _title(entry)) for reason, entry, _ in parts)
    return [(reason, f"{reason}: {', '.join(names)}") for reason, names in groups]


def _told(problems: Iterable[Problem]) -> str:
    """Return the problems by reason, what several share once with all their names."""
    subjects: dict[tuple[ConditionReason, str], list[str]] = {}
    for problem in problems:
        subjects.setdefault((problem.reason, problem.message), []).append(problem.subject)
    told = [
        (reason, str(Problem(reason, message, ", ".join(filter(None, names)))))
        for (reason, message), names in subjects.items()
    ]
    return " ".join(
        _advised(found, "" if reason in _ACTIONABLE else reason.advice)
        for reason, found in _by_reason(told)
    )


def _by_reason(told: Iterable[tuple[_Reason, str]]) -> Iterable[tuple[_Reason, list[str]]]:
    """Return what is told of each reason, in the order in which they first appear."""
    found: dict[_Reason, list[str]] = {}
    for reason, text in told:
        found.setdefault(reason, []).append(text)
    return found.items()


def _advised(told: Iterable[str], advice: str) -> str:
    """Return sentences and the advice that follows from them."""
    sentences = [text if text.endswith((".", "…")) else f"{text}." for text in told]
    return " ".join(filter(None, [*sentences, advice]))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _title(entry: VendorStatus) -> str:
    return f"{entry.name}/{entry.stream}"


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
        failed=sum(result not in (Result.SUCCEEDED, Result.SKIPPED) for result in results),
        total_plants_synced=sum(_synced_plants(entry) for entry in plants),
        total_plants_created=sum(entry.created or 0 for entry in plants),
        total_plants_updated=sum(entry.updated or 0 for entry in plants),
        duration_seconds=max((entry.duration_seconds or 0 for entry in plants), default=0),
    )


def _synced_plants(entry: VendorStatus) -> int:
    return (entry.created or 0) + (entry.updated or 0) + (entry.unchanged or 0)
