"""What the schema cannot say: whether a vendor and stream can be served as declared.

Each check ends in a `Refusal` with a reason and one sentence that names the value at fault. The
sentence depends on the spec, the settings and the pages that the account has, so a condition can
show it without a write each time.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vendorsync_api.policy import PolicyError
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.schedule import Cron, ScheduleError, zone
from vendorsync_operator.spec import amounts, budget, resolve
from vendorsync_operator.spec.budget import Load

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_api.policy import Budget, VendorPolicy
    from vendorsync_api.run import AllowedEndpoint
    from vendorsync_api.schedule import Timetable
    from vendorsync_api.v1alpha1 import VendorSync
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.resolve import Assignment

    Policies = Callable[[str], VendorPolicy]


@dataclass(frozen=True)
class Refusal:
    """Why no CronJob is made of one vendor and stream."""

    assignment: Assignment
    reason: ConditionReason
    message: str

    def __str__(self) -> str:
        return f"{self.assignment}: {self.message}"


@dataclass(frozen=True)
class Share:
    """What a run of a stream that is asked plant by plant has of the vendor's allowance."""

    calls: int
    """About single plants, of each run."""
    kept: int
    """Calls of the allowance that no such call may use."""


@dataclass(frozen=True)
class Notice:
    """What somebody should know of a vendor and stream that is served."""

    reason: ConditionReason
    message: str
    percent: int | None = None
    """What the runs need of an allowance whose size is sure, where it is more than all of it."""

    def __str__(self) -> str:
        tight = self.reason is ConditionReason.BUDGET_TIGHT
        return f"{self.reason.value}: {self.message}" if tight else self.message


@dataclass(frozen=True)
class Accepted:
    """A vendor and stream that can be served, and what rendering must know of it."""

    assignment: Assignment
    timetable: Timetable
    policy: VendorPolicy
    endpoints: tuple[AllowedEndpoint, ...] = ()
    """The allowed addresses of this adapter, sorted."""
    ca_secret: str | None = None
    """Secret that signs the certificate of the vendor's address."""
    detail_calls: int | None = None
    """Calls about single plants that each run may make; None without a limit."""
    budgets: tuple[Budget, ...] = ()
    """The allowances that hold for the vendor."""
    notice: Notice | None = None
    pace: Timetable | None = None
    """What scheduled runs follow while they are slowed; None for the timetable itself."""

    @property
    def followed(self) -> Timetable:
        """What scheduled runs follow: the timetable, or the slower one."""
        return self.pace or self.timetable

    @property
    def expression(self) -> str:
        """The CronJob's schedule."""
        return self.followed.expression

    @property
    def share(self) -> Share | None:
        """How the runs divide the vendor's allowance among them; None if they need not."""
        if self.detail_calls is None:
            return None
        kept = max(each.reserve for each in self.budgets if not each.paces)
        return Share(self.detail_calls, kept)

    @property
    def source(self) -> tuple[object, ...]:
        """What of the rendered CronJob may change while the spec does not."""
        deadline = self.followed.starting_deadline_seconds
        return self.expression, deadline, self.detail_calls, self.budgets


class _RefusedError(Exception):
    """Carries a reason and a sentence from a check to `judge`."""

    def __init__(self, reason: ConditionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def judge(
    resource: VendorSync, assignment: Assignment, *, settings: Settings, policies: Policies
) -> Accepted | Refusal:
    """Return what to render of one vendor and stream, or why it is refused.

    The resource's status says how large the account is and what went on until now.
    """
    try:
        _check_amounts(resource)
        policy = _policy(assignment, policies)
        endpoint = _endpoint(assignment, policy, settings.allowed_endpoints)
        timetable = _timetable(resource, assignment, settings)
        allowances = _allowances(resource, assignment, policy, settings)
        verdict = budget.Verdict()
        # A private address is a stand-in for the vendor's cloud, which alone has these limits.
        if endpoint is None or not endpoint.allow_private:
            _check_interval(timetable, policy)
            loads = [_load(resource, assignment, timetable, policy)]
            if assignment.stream != "plants":
                loads = [*_plants(resource, assignment, settings, policies), *loads]
            verdict = budget.weigh(loads, policy, allowances.budgets)
            _check_budget(resource, assignment, verdict, allowances)
    except _RefusedError as refused:
        return Refusal(assignment, refused.reason, str(refused))
    adapter_endpoints = (e for e in settings.allowed_endpoints if e.adapter == policy.adapter)
    return Accepted(
        assignment,
        timetable,
        policy,
        tuple(sorted(adapter_endpoints, key=lambda allowed: allowed.origin)),
        endpoint.ca_secret if endpoint else None,
        verdict.share,
        allowances.budgets,
        _notice(verdict, allowances),
    )


def _check_amounts(resource: VendorSync) -> None:
    fault = amounts.fault(resource.spec.run.resources)
    if fault:
        raise _RefusedError(ConditionReason.SPEC_INVALID, fault)


def _policy(assignment: Assignment, policies: Policies) -> VendorPolicy:
    vendor = assignment.vendor
    try:
        policy = policies(vendor.adapter)
    except PolicyError as error:
        raise _RefusedError(ConditionReason.UNKNOWN_ADAPTER, str(error)) from error
    if assignment.stream not in policy.streams:
        raise _RefusedError(
            ConditionReason.STREAM_UNSUPPORTED,
            f"adapter {policy.adapter} does not provide the stream {assignment.stream}; it"
            f" provides {', '.join(policy.streams)}",
        )
    _check_options(policy, vendor.options)
    return policy


def _check_options(policy: VendorPolicy, options: dict[str, Any]) -> None:
    try:
        policy.check_options(options)
    except PolicyError as error:
        raise _RefusedError(ConditionReason.OPTIONS_INVALID, str(error)) from error


def _endpoint(
    assignment: Assignment, policy: VendorPolicy, allowed: tuple[AllowedEndpoint, ...]
) -> AllowedEndpoint | None:
    """Return the administrator's entry for the vendor's address, None for the adapter's own."""
    origin = _origin(assignment.vendor.base_url or policy.endpoints[0])
    matching = [e for e in allowed if e.adapter == policy.adapter]
    for endpoint in matching:
        if _origin(endpoint.origin) == origin:
            return endpoint
    if origin in map(_origin, policy.endpoints):
        return None
    known = [*policy.endpoints, *sorted(endpoint.origin for endpoint in matching)]
    raise _RefusedError(
        ConditionReason.ENDPOINT_NOT_ALLOWED,
        f"baseURL {assignment.vendor.base_url} is not an endpoint of {policy.adapter};"
        f" allowed: {', '.join(known)}, and what an administrator adds to the operator's"
        " allowedEndpoints",
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", url, None
    return parts.scheme, parts.hostname or "", port or 443


def _timetable(resource: VendorSync, assignment: Assignment, settings: Settings) -> Timetable:
    try:
        zone(resolve.time_zone(resource, assignment, settings.schedule))
    except ScheduleError as error:
        raise _RefusedError(ConditionReason.UNKNOWN_TIME_ZONE, str(error)) from error
    try:
        timetable = resolve.timetable(resource, assignment, settings.schedule)
    except ScheduleError as error:
        raise _RefusedError(ConditionReason.SPEC_INVALID, str(error)) from error
    if timetable.never_runs:
        raise _RefusedError(
            ConditionReason.NEVER_RUNS,
            f"the restricted windows {timetable.window_text} cover every tick of"
            f" {timetable.interval_text}; change the schedule or shorten a window",
        )
    if timetable.cron is not None and not _has_a_date(Cron.parse(timetable.cron)):
        raise _RefusedError(
            ConditionReason.NEVER_RUNS,
            f"cron {timetable.cron!r} never fires: no month of it has a day of month that it names;"
            " change the day or the month",
        )
    return timetable


def _has_a_date(cron: Cron) -> bool:
    """Tell whether any year has a day of the expression."""
    first = min(cron.days_of_month)
    return cron.either_day or any(first <= _days(month) for month in cron.months)


def _days(month: int) -> int:
    leap_year = 2024
    return calendar.monthrange(leap_year, month)[1]


def _check_interval(timetable: Timetable, policy: VendorPolicy) -> None:
    if timetable.shortest_gap < policy.minimum_interval_minutes:
        gap = f"{timetable.shortest_gap} minute{'s' * (timetable.shortest_gap != 1)}"
        raise _RefusedError(
            ConditionReason.BUDGET_EXCEEDED,
            f"runs of {timetable.interval_text} start {gap}"
            f" apart; {policy.title} needs {policy.minimum_interval_minutes} or more",
        )


def _allowances(
    resource: VendorSync, assignment: Assignment, policy: VendorPolicy, settings: Settings
) -> resolve.Allowances:
    """Return what holds, or refuse an allowance per app of a vendor that has no such thing."""
    vendor = assignment.vendor
    if not policy.app_keys and any(each.per == "App" for each in vendor.allowances or ()):
        raise _RefusedError(
            ConditionReason.SPEC_INVALID,
            f"an allowance of {vendor.name} is per App, and adapter {policy.adapter} does not tell"
            " apps apart; write per: Account",
        )
    return resolve.allowances(resource, assignment, policy, settings.allowances)


def _check_budget(
    resource: VendorSync,
    assignment: Assignment,
    verdict: budget.Verdict,
    allowances: resolve.Allowances,
) -> None:
    percent = verdict.percent
    if percent and not _tolerates(resource, assignment, percent):
        told = verdict.excesses[0].message, *allowances.bounds
        raise _RefusedError(ConditionReason.BUDGET_EXCEEDED, "; ".join(told))


def _notice(verdict: budget.Verdict, allowances: resolve.Allowances) -> Notice | None:
    told = [each.message for each in verdict.excesses] + list(allowances.bounds)
    if not told:
        return None
    tight = bool(verdict.excesses)
    reason = ConditionReason.BUDGET_TIGHT if tight else ConditionReason.APPLIED
    return Notice(reason, "; ".join(told), verdict.percent or None)


def _plants(
    resource: VendorSync, assignment: Assignment, settings: Settings, policies: Policies
) -> list[Load]:
    """Return what the same vendor's plants spend: nothing if they do not run.

    The plants come first: alerts are refused when both do not fit, and the plants go on.
    """
    if resource.spec.stream_specs["plants"].suspend:
        return []
    plants = replace(assignment, stream="plants")
    verdict = judge(resource, plants, settings=settings, policies=policies)
    if isinstance(verdict, Refusal):
        return []
    return [_load(resource, plants, verdict.timetable, verdict.policy)]


def _load(
    resource: VendorSync, assignment: Assignment, timetable: Timetable, policy: VendorPolicy
) -> Load:
    size = resolve.entry(resource, assignment).size
    return Load.of(assignment.stream, timetable, policy, size)


def _tolerates(resource: VendorSync, assignment: Assignment, percent: int) -> bool:
    """Tell whether what does not fit goes on all the same: only an edit is ever refused.

    The last status knows what went on with this spec, or with one that needed no less.
    """
    entry, status = resolve.entry(resource, assignment), resource.status
    if percent <= (entry.tolerated_percent or 0):
        return True
    if status.observed_generation != resource.metadata.generation:
        return False
    ready = any(each.type == "Ready" and each.status == "True" for each in status.conditions)
    return ready or entry.next_schedule_time is not None
