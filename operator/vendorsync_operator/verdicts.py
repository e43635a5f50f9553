"""Pure: the conditions of a resource, from what one reconciliation saw."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from vendorsync_api.reasons import ConditionReason, DelayReason, RunReason
from vendorsync_api.v1alpha1 import (
    Condition,
    Delay,
    VendorStatus,
    VendorSyncStatus,
)
from vendorsync_operator import runs
from vendorsync_operator.prose import (
    PARTS_LIMIT,
    Problem,
    advised,
    by_reason,
    cut,
    failures,
    title,
    told_entries,
    told_problems,
)

if TYPE_CHECKING:
    from vendorsync_api.schedule import Timetable
    from vendorsync_operator.accept import Notice, Share
    from vendorsync_operator.resolve import Assignment

_MESSAGE_LIMIT = 4096
"""What the CRD allows."""
_SLOWED_LIMIT = 160
"""Most characters about runs that are slowed; each entry says it too."""
ConditionStatus = Literal["True", "False", "Unknown"]


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
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    """What is to be said of those that are accepted."""
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


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    old: VendorSyncStatus, sight: Sight, active: list[VendorStatus], now: datetime
) -> tuple[Condition, ...]:
    """Return Ready, Synced and Degraded."""
    before = {condition.type: condition for condition in old.conditions}

    def condition(kind: str, verdict: tuple[ConditionStatus, ConditionReason, str]) -> Condition:
        status, reason, message = verdict
        previous = before.get(kind)
        if sight.unfinished and kind == "Ready" and previous:
            return previous
        kept = previous is not None and previous.status == status
        message = cut(message, _MESSAGE_LIMIT)
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
        reason, told = _noted(sight)
        return "True", reason, applied + _rounds(sight) + told
    told = told_problems(sight.problems)
    if stopped := _stopped(sight):
        ending = f" Scheduled runs of {', '.join(stopped)} are stopped until then."
        told = cut(told, max(_MESSAGE_LIMIT - len(ending), 0)) + ending
    return "False", sight.problems[0].reason, told


def _noted(sight: Sight) -> tuple[ConditionReason, str]:
    """Return the reason of a resource that is ready, and what is to be said of its vendors."""
    reasons = {notice.reason for notice in sight.notices.values()}
    tight = ConditionReason.BUDGET_TIGHT in reasons
    reason = ConditionReason.BUDGET_TIGHT if tight else ConditionReason.APPLIED
    if not reasons:
        return reason, ""
    told = told_problems(
        Problem(notice.reason, notice.message, f"{vendor}/{stream}")
        for (vendor, stream), notice in sight.notices.items()
    )
    return reason, ". " + told


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
    return cut("".join(told), PARTS_LIMIT)


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
        names = cut(", ".join(map(title, under_way)), PARTS_LIMIT)
        told += f", but for {names}: a round over all plants takes several runs there and goes on"
    return "True", ConditionReason.ALL_SYNCED, told


def _overdue(late: list[VendorStatus]) -> str:
    """Return what keeps each run that is overdue, and what to do about it."""
    groups = by_reason(told_entries((e.delay.reason, e, e.delay.message) for e in late if e.delay))
    return " ".join(advised(found, _delay_advice(reason)) for reason, found in groups)


def _failed(failed: list[VendorStatus]) -> str:
    return "; ".join(told for _, told in failures(failed))


def _slowed(active: list[VendorStatus]) -> str:
    """Return whose scheduled runs are slowed, and until when."""
    groups = by_reason((e.slowed_to, title(e)) for e in active if e.slowed_to)
    told = [f"{', '.join(names)} to {minutes}" for minutes, names in groups]
    if not told:
        return ""
    return cut(f"(scheduled runs are slowed until one succeeds: {'; '.join(told)})", _SLOWED_LIMIT)


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
        f"no run has ended yet of {', '.join(map(title, waiting))}; Secrets and the database are"
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
    failed = failures(
        entry for entry in active if (reason := runs.failing(entry)) and runs.needs_action(reason)
    )
    told = [advised(found, RunReason(reason).advice) for reason, found in by_reason(failed)]
    if stuck := _overdue([entry for entry in active if _is_stuck(entry)]):
        told.append(stuck)
    if sight.problems:
        told.append(told_problems(sight.problems))
    if not told:
        return "False", ConditionReason.AS_EXPECTED, "nobody has to act"
    return "True", ConditionReason.ACTION_REQUIRED, " ".join(told)
