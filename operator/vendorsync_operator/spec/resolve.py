"""What applies to each vendor and stream: the effective schedule and the allowances of calls.

Of a schedule, field by field the first that says something wins: the vendor's stream, the
organization's stream, the organization, the operator's settings. `intervalMinutes` and `cron` count
as one field. Of allowances, the vendor's own hold as far as the operator's settings do not say
less, else those of the settings, else those of the adapter's policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vendorsync_api.policy import Scope, declared_budget, replaced
from vendorsync_api.schedule import DAYS, Timetable, Window, hashed_offset, minute_of_day
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator.names import cron_job_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vendorsync_api.policy import Budget, VendorPolicy
    from vendorsync_api.v1alpha1 import (
        Allowance,
        RestrictedWindow,
        Schedule,
        Stream,
        StreamSpec,
        Vendor,
        VendorSync,
    )
    from vendorsync_operator.settings import AdapterAllowance, ScheduleDefaults


_TIMETABLES = 64
"""Schedules that are kept; one with its ticks takes about 0.1 MiB."""


@dataclass(frozen=True)
class Assignment:
    """One vendor and stream of a resource: what becomes one CronJob.

    `wanted` is false when the vendor or the stream is suspended; `suspend` is true when scheduled
    runs rest for any reason.
    """

    vendor: Vendor
    stream: Stream
    cron_job: str
    wanted: bool
    suspend: bool

    @property
    def key(self) -> tuple[str, str]:
        """Names of the vendor and of the stream."""
        return self.vendor.name, self.stream

    def __str__(self) -> str:
        return f"{self.vendor.name}/{self.stream}"


def assignments(resource: VendorSync, defaults: ScheduleDefaults) -> list[Assignment]:
    """Return the resource's vendors and streams, sorted by name and stream."""
    found = [
        _assignment(resource, vendor, stream, declared, defaults)
        for vendor in resource.spec.vendors
        for stream, declared in resource.spec.stream_specs.items()
    ]
    return sorted(found, key=lambda assignment: assignment.key)


def _assignment(
    resource: VendorSync,
    vendor: Vendor,
    stream: Stream,
    declared: StreamSpec,
    defaults: ScheduleDefaults,
) -> Assignment:
    wanted = not (vendor.suspend or declared.suspend)
    return Assignment(
        vendor=vendor,
        stream=stream,
        cron_job=cron_job_name(resource.metadata.name, vendor.name, stream),
        wanted=wanted,
        suspend=resource.spec.suspend or not wanted or not defaults.enabled,
    )


def time_zone(resource: VendorSync, assignment: Assignment, defaults: ScheduleDefaults) -> str:
    """Return the name of the effective time zone, which may be unknown."""
    return _first(list(_layers(resource, assignment)), "time_zone") or defaults.time_zone


def timetable(
    resource: VendorSync, assignment: Assignment, defaults: ScheduleDefaults
) -> Timetable:
    """Return the effective schedule of one vendor and stream, or raise ScheduleError."""
    layers = list(_layers(resource, assignment))
    interval, cron = _ticks(layers, defaults)
    declared = _first(layers, "restricted_windows")
    inherited = () if defaults.window is None else (defaults.window,)
    windows = inherited if declared is None else tuple(map(_window, declared))
    offset = 0
    if interval is not None and _first(layers, "spread") == "Hashed":
        metadata = resource.metadata
        place = _place(resource, assignment.vendor)
        offset = hashed_offset(metadata.namespace, metadata.name, interval, windows, place)
    zone = time_zone(resource, assignment, defaults)
    return _timetable(zone, interval, cron, windows, offset)


def _place(resource: VendorSync, vendor: Vendor) -> int:
    """Return the vendor's place, by name, among the resource's vendors of its kind."""
    return sum(
        other.adapter == vendor.adapter and other.name < vendor.name
        for other in resource.spec.vendors
    )


@lru_cache(maxsize=_TIMETABLES)
def _timetable(
    time_zone: str,
    interval: int | None,
    cron: str | None,
    windows: tuple[Window, ...],
    offset: int,
) -> Timetable:
    # Most resources share a few schedules; working out the ticks of one is half of a visit.
    return Timetable(time_zone, interval, cron, windows, offset)


def _layers(resource: VendorSync, assignment: Assignment) -> Iterator[Schedule]:
    """Yield the schedules that are declared, the nearest to the vendor first."""
    own = getattr(assignment.vendor.streams, assignment.stream, None)
    shared = resource.spec.stream_specs[assignment.stream]
    for schedule in (own and own.schedule, shared.schedule, resource.spec.schedule):
        if schedule is not None:
            yield schedule


def _ticks(layers: list[Schedule], defaults: ScheduleDefaults) -> tuple[int | None, str | None]:
    for layer in layers:
        if layer.interval_minutes is not None or layer.cron is not None:
            return layer.interval_minutes, layer.cron
    return defaults.interval, defaults.cron


def _first(layers: list[Schedule], field: str) -> Any:  # noqa: ANN401 - the field's own type
    values = (getattr(layer, field) for layer in layers)
    return next((value for value in values if value is not None), None)


def _window(window: RestrictedWindow) -> Window:
    days = frozenset(DAYS.index(day) for day in window.days or ())
    return Window(minute_of_day(window.start), minute_of_day(window.end), days)


@dataclass(frozen=True)
class Allowances:
    """What the calls of one vendor are held against."""

    budgets: tuple[Budget, ...]
    bounds: tuple[str, ...] = ()
    """A sentence for each declared allowance that the operator's settings make smaller."""


def entry(resource: VendorSync, assignment: Assignment) -> VendorStatus:
    """Return what the status says of a vendor and stream; a blank entry if it says nothing."""
    name, stream = assignment.key
    found = (e for e in resource.status.vendors if (e.name, e.stream) == (name, stream))
    return next(found, VendorStatus(name=name, stream=stream))


def allowances(
    resource: VendorSync,
    assignment: Assignment,
    policy: VendorPolicy,
    granted: Iterable[AdapterAllowance],
) -> Allowances:
    """Return the allowances of a vendor; `granted` are those of the operator's settings."""
    plants = entry(resource, replace(assignment, stream="plants")).size
    known = policy.budgets_of(plants)
    most = [each for each in granted if each.adapter == policy.adapter]
    own = assignment.vendor.allowances or ()
    declared = [
        declared_budget(each.calls, each.seconds, _scope(each, policy, known), known)
        for each in (*own, *most)
    ]
    bounds = (_bound(each, most, policy.adapter) for each in own)
    return Allowances(replaced(known, declared), tuple(filter(None, bounds)))


def _bound(own: Allowance, most: Iterable[Allowance], adapter: str) -> str:
    """Return that the settings give less over the same time than is declared, if they do."""
    limit = min((each.calls for each in most if each.seconds == own.seconds), default=own.calls)
    if limit >= own.calls:
        return ""
    return (
        f"the resource declares {own.calls} calls in {own.seconds} seconds, and the operator's"
        f" settings allow {limit} for {adapter}, which hold"
    )


def _scope(declared: Allowance, policy: VendorPolicy, known: Iterable[Budget]) -> Scope:
    """Return whose calls a declared allowance counts: unless it says so, as the vendor counts."""
    if not policy.app_keys:
        return Scope.ACCOUNT
    if declared.per is not None:
        return Scope(declared.per)
    times = {budget.seconds: budget.per for budget in known}
    if declared.seconds in times:
        return times[declared.seconds]
    lasting = [budget.per for budget in known if not budget.paces]
    return Scope.APP if Scope.APP in lasting else Scope.ACCOUNT
