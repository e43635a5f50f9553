"""What the schema cannot say: whether a vendor and stream can be served as declared.

Each check ends in a `Refusal` with a reason and one sentence that names the value at fault. The
sentence depends on the spec and the settings alone, so it can stand in a condition.
"""

from __future__ import annotations

import calendar
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vendorsync_api.policy import PolicyError
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.schedule import Cron, ScheduleError, zone
from vendorsync_operator import quantity, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_api.policy import Budget, VendorPolicy
    from vendorsync_api.run import AllowedEndpoint
    from vendorsync_api.schedule import Timetable
    from vendorsync_api.v1alpha1 import ResourceAmounts, Stream, VendorSync
    from vendorsync_operator.resolve import Assignment
    from vendorsync_operator.settings import Settings

    Policies = Callable[[str], VendorPolicy]

_DAY = 86_400


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
        kept = max(budget.reserve for budget in self.policy.budgets if not budget.paces)
        return Share(self.detail_calls, kept)


class _RefusedError(Exception):
    """Carries a reason and a sentence from a check to `judge`."""

    def __init__(self, reason: ConditionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def judge(
    resource: VendorSync, assignment: Assignment, *, settings: Settings, policies: Policies
) -> Accepted | Refusal:
    """Return what to render of one vendor and stream, or why it is refused."""
    try:
        _check_amounts(resource.spec.run.resources)
        policy = _policy(assignment, policies)
        endpoint = _endpoint(assignment, policy, settings.allowed_endpoints)
        timetable = _timetable(resource, assignment, settings)
        share = None
        # A private address is a stand-in for the vendor's cloud, which alone has these limits.
        if endpoint is None or not endpoint.allow_private:
            _check_interval(timetable, policy)
            loads = [_load(assignment.stream, timetable, policy)]
            if assignment.stream != "plants":
                loads = [*_plants(resource, assignment, settings, policies), *loads]
            share = _share(loads, policy)
    except _RefusedError as refused:
        return Refusal(assignment, refused.reason, str(refused))
    adapter_endpoints = (e for e in settings.allowed_endpoints if e.adapter == policy.adapter)
    return Accepted(
        assignment,
        timetable,
        policy,
        tuple(sorted(adapter_endpoints, key=lambda allowed: allowed.origin)),
        endpoint.ca_secret if endpoint else None,
        share,
    )


def _check_amounts(given: ResourceAmounts | None) -> None:
    """Refuse an amount that admission takes and nothing could be rendered from."""
    if given is None:
        return
    for kind, amounts in (("requests", given.requests), ("limits", given.limits)):
        for name, amount in (amounts or {}).items():
            try:
                quantity.canonical(amount)
            except quantity.QuantityError as error:
                where = f"spec.run.resources.{kind}.{name}"
                raise _RefusedError(ConditionReason.SPEC_INVALID, f"{where}: {error}") from error


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
        raise _RefusedError(
            ConditionReason.BUDGET_EXCEEDED,
            f"runs of {timetable.interval_text} start {_counted(timetable.shortest_gap, 'minute')}"
            f" apart; {policy.title} needs {policy.minimum_interval_minutes} or more",
        )


@dataclass(frozen=True)
class _Load:
    """The runs of one stream, as the account's allowance sees them."""

    stream: Stream
    timetable: Timetable
    calls: int
    """Of one run, those about single plants left out."""
    by_plant: bool = False
    """A run makes calls about single plants besides, its share of what the others leave."""

    def runs(self, budget: Budget) -> int:
        """Return the most runs whose calls the ledger counts together."""
        days, seconds = divmod(budget.seconds_counted, _DAY)
        daily = self.timetable.ticks_per_day
        rest = math.ceil(seconds / (self.timetable.shortest_gap * 60))
        return int(days) * daily + min(daily, rest)


def _load(stream: Stream, timetable: Timetable, policy: VendorPolicy) -> _Load:
    if stream == "plants" or policy.alerts is None:
        return _Load(stream, timetable, policy.calls_per_run)
    return _Load(stream, timetable, policy.alerts.calls_per_run, policy.alerts.per_plant)


def _plants(
    resource: VendorSync, assignment: Assignment, settings: Settings, policies: Policies
) -> list[_Load]:
    """Return what the same vendor's plants spend: nothing if they do not run.

    The plants come first: alerts are refused when both do not fit, and the plants go on.
    """
    if resource.spec.stream_specs["plants"].suspend:
        return []
    plants = replace(assignment, stream="plants")
    verdict = judge(resource, plants, settings=settings, policies=policies)
    if isinstance(verdict, Refusal):
        return []
    return [_load("plants", verdict.timetable, verdict.policy)]


def _share(loads: list[_Load], policy: VendorPolicy) -> int | None:
    """Return the calls about single plants that each run of the last load may make.

    None if it makes none, or has no allowance that it could use up. Refuses loads that do not fit.
    """
    shares = {budget: _left(loads, policy, budget) for budget in policy.budgets}
    lasting = [share for budget, share in shares.items() if not budget.paces]
    return min(lasting, default=None) if loads[-1].by_plant else None


def _left(loads: list[_Load], policy: VendorPolicy, budget: Budget) -> int:
    """Return what each run of the last load has of what the runs of all of them leave."""
    runs = [load.runs(budget) for load in loads]
    calls = sum(n * load.calls for n, load in zip(runs, loads, strict=True))
    left = budget.calls - budget.reserve
    if calls + (runs[-1] if loads[-1].by_plant else 0) <= left:
        return (left - calls) // runs[-1]
    span = _span(budget.seconds_counted)
    said = [
        f"{_counted(n, 'run')}{f' of {load.stream}' if len(loads) > 1 else ''} in {span} of"
        f" {_counted(load.calls, 'call')} each"
        for n, load in zip(runs, loads, strict=True)
    ]
    kept = f", less {budget.reserve} kept for further logins and listings" * bool(budget.reserve)
    besides = ""
    if loads[-1].by_plant:
        calls += runs[-1]
        besides = " and one for the alerts of a plant in each run of alerts"
    raise _RefusedError(
        ConditionReason.BUDGET_EXCEEDED,
        f"{' and '.join(said)}{besides} make {calls} calls; {policy.title} leaves {left}"
        f" ({budget.calls} in {_span(budget.seconds)}, which count for up to {span}{kept})",
    )


def _span(seconds: float) -> str:
    for size, unit in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0 or seconds >= 2 * size:
            return _counted(round(seconds / size, 1), unit)
    return _counted(round(seconds, 1), "second")


def _counted(number: float, noun: str) -> str:
    return f"{number:.10g} {noun}{'s' * (number != 1)}"
