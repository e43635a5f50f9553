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
from vendorsync_operator.bounds import cut
from vendorsync_operator.results import runs
from vendorsync_operator.status.prose import (
    PARTS_LIMIT,
    Problem,
    advised,
    by_reason,
    failures,
    title,
    told_entries,
    told_problems,
)

if TYPE_CHECKING:
    from vendorsync_api.schedule import Timetable
    from vendorsync_operator.spec.accept import Notice, Share
    from vendorsync_operator.spec.resolve import Assignment

_MESSAGE_LIMIT = 4096
"""What the CRD allows."""
_SLOWED_LIMIT = 160
"""Most characters about runs that are slowed; each entry says it too."""
_PASSING = frozenset(
    {
        ConditionReason.API_FAILING,
        ConditionReason.AWAITING_REMOVAL,
        ConditionReason.NAMESPACE_DENIED,
    }
)
"""They may pass by themselves, so whether the resource is ready is not known."""
ConditionStatus = Literal["True", "False", "Unknown"]
_NEEDS_AN_EDIT = frozenset(
    {
        ConditionReason.SPEC_INVALID,
        ConditionReason.UNKNOWN_TIME_ZONE,
        ConditionReason.UNKNOWN_ADAPTER,
        ConditionReason.STREAM_UNSUPPORTED,
        ConditionReason.OPTIONS_INVALID,
        ConditionReason.ENDPOINT_NOT_ALLOWED,
        ConditionReason.BUDGET_EXCEEDED,
        ConditionReason.NEVER_RUNS,
    }
)
"""Refusals of the spec itself. A CronJob of somebody else or an older resource of the organization
may go away, and what the API server refuses is tried again."""


@dataclass
class Progress:
    """How far a syncRequest has come."""

    started: dict[tuple[str, str], str] = field(default_factory=dict)
    """By vendor and stream: the Job that it made; empty once the request is done."""
    missed: list[str] = field(default_factory=list)
    """Whose run it cannot start, and why, one sentence each."""
    done: str | None = None
    """The text of the request, once every run that can be started was."""


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
    request: Progress = field(default_factory=Progress)
    """Of a syncRequest that was not done before."""
    delays: dict[tuple[str, str], Delay] = field(default_factory=dict)
    """Of the vendors and streams whose run is overdue."""
    namespace: str = "default"
    unfinished: bool = False
    """A write failed and is tried again: whether the resource is ready is not known until then."""
    undecided: frozenset[tuple[str, str]] = frozenset()
    """Of the vendors and streams whose next time passed and stays, since it was not looked into."""


TYPES = frozenset({"Ready", "Synced", "Degraded", "Stalled", "DataStale"})
"""The conditions that are the operator's; others belong to whoever set them."""


def ours(found: VendorSyncStatus) -> VendorSyncStatus:
    """Return a status without the conditions that others set."""
    kept = tuple(condition for condition in found.conditions if condition.type in TYPES)
    return found.model_copy(update={"conditions": kept})


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    old: VendorSyncStatus, sight: Sight, active: list[VendorStatus], now: datetime
) -> tuple[Condition, ...]:
    """Return Ready, Synced and Degraded, and Stalled while it is true."""
    before = {condition.type: condition for condition in old.conditions}

    def condition(kind: str, verdict: tuple[ConditionStatus, ConditionReason, str]) -> Condition:
        status, reason, message = verdict
        previous = before.get(kind)
        if sight.unfinished and kind == "Ready" and previous:
            return previous
        kept = previous is not None and previous.status == status
        message = cut(message, _MESSAGE_LIMIT)
        if previous and _is_same(previous, reason, message, sight.generation):
            # The API server tells the faults of one refusal in another order each time, and those
            # of one failure with other addresses.
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

    stalled = _stalled(sight)
    return (
        condition("Ready", _ready(sight)),
        condition("Synced", _synced(sight, active)),
        condition("Degraded", _degraded(sight, active)),
        *([condition("Stalled", stalled)] if stalled else ()),
    )


def _is_same(old: Condition, reason: ConditionReason, message: str, generation: int) -> bool:
    """Tell whether a message says nothing new."""
    if reason is ConditionReason.API_FAILING:
        return (old.reason, old.observed_generation) == (reason, generation)
    return old.message == message or _words(old.message) == _words(message)


def _words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text))


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
    passes = all(problem.reason in _PASSING for problem in sight.problems)
    return "Unknown" if passes else "False", sight.problems[0].reason, told


def _stalled(sight: Sight) -> tuple[ConditionStatus, ConditionReason, str] | None:
    """Return why no further try helps, but an edit of the spec; None if one may.

    Tools that wait for a resource (kstatus, which Flux uses) take it for failed then, and for in
    progress while it is merely not ready.
    """
    refused = [problem for problem in sight.problems if problem.reason in _NEEDS_AN_EDIT]
    if not refused:
        return None
    return "True", refused[0].reason, cut(told_problems(refused), PARTS_LIMIT)


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
    lost = [entry for entry in active if runs.is_lost(entry)]
    waiting = [e for e in active if runs.standing(e) is None and not runs.is_lost(e)]
    if lost:
        return "Unknown", ConditionReason.REPORT_LOST, _lost(lost, waiting)
    if waiting:
        return "Unknown", ConditionReason.AWAITING_FIRST_RUN, _awaited(sight, waiting)
    told = "the last run of every vendor and stream succeeded"
    if under_way:
        names = cut(", ".join(map(title, under_way)), PARTS_LIMIT)
        told += f", except {names}, where a round over all plants takes several runs and goes on"
    return "True", ConditionReason.ALL_SYNCED, told


def _overdue(late: list[VendorStatus]) -> str:
    """Return what keeps each run that is overdue, and what to do about it."""
    groups = by_reason(told_entries((e.delay.reason, e, e.delay.message) for e in late if e.delay))
    return " ".join(advised(found, _delay_advice(reason)) for reason, found in groups)


def _failed(failed: list[VendorStatus]) -> str:
    return advised((told for _, told in failures(failed)), "")


def _slowed(active: list[VendorStatus]) -> str:
    """Return whose scheduled runs are slowed, and until when."""
    groups = by_reason((e.slowed_to, title(e)) for e in active if e.slowed_to)
    told = [f"{', '.join(names)} to {minutes}" for minutes, names in groups]
    if not told:
        return ""
    slowed = cut(
        f"Scheduled runs are slowed until one succeeds: {' and '.join(told)}", _SLOWED_LIMIT
    )
    return advised([slowed], "")


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
    names = ", ".join(map(title, waiting))
    told = f"no run of {names} has ended yet. The first run checks the Secrets and the database"
    keys = {(entry.name, entry.stream) for entry in waiting} & sight.timetables.keys()
    name = next((a.cron_job for a in sight.assignments if a.key in keys), None)
    if name is None:
        return told
    # A second Job of one name is refused, so that each time the command makes another one.
    command = f"kubectl create job by-hand-$(date +%s) --from=cronjob/{name}"
    return f"{told}. To start one now: {command} --namespace {sight.namespace}"


def _lost(lost: list[VendorStatus], waiting: list[VendorStatus]) -> str:
    """Return of whom the last run is not known, and of whom there was none."""
    names = cut(", ".join(map(title, lost)), PARTS_LIMIT)
    told = f"the last run of {names} completed, but its pod and its report are gone"
    if waiting:
        told += f". No run has ended yet of {cut(', '.join(map(title, waiting)), PARTS_LIMIT)}"
    return advised([told], ConditionReason.REPORT_LOST.advice)


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
