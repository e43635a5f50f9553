"""Pure: whether a vendor's allowance of calls has room for the runs of its streams.

A run costs a call for each page that the account has as last listed. Allowances that turn within a
minute are left out: a run waits for those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vendorsync_api.policy import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_api.policy import Budget, VendorPolicy
    from vendorsync_api.schedule import Timetable
    from vendorsync_api.v1alpha1 import Stream

_DAY = 86_400


@dataclass(frozen=True)
class Load:
    """The runs of one stream, as the account's allowance sees them."""

    stream: Stream
    timetable: Timetable
    calls: int
    """Of one run, logins and those about single plants left out."""
    by_plant: bool = False
    """A run makes calls about single plants besides, its share of what the others leave."""

    @classmethod
    def of(
        cls, stream: Stream, timetable: Timetable, policy: VendorPolicy, size: int | None
    ) -> Load:
        """Return the load of a stream whose last listing had `size` records, None if unknown."""
        by_plant = stream == "alerts" and policy.alerts is not None and policy.alerts.per_plant
        return cls(stream, timetable, 0 if by_plant else policy.calls(size), by_plant)

    def runs(self, budget: Budget) -> int:
        """Return the most runs whose calls the ledger counts together."""
        days, seconds = divmod(budget.seconds_counted, _DAY)
        daily = self.timetable.ticks_per_day
        rest = math.ceil(seconds / (self.timetable.shortest_gap * 60))
        return int(days) * daily + min(daily, rest)


@dataclass(frozen=True)
class Excess:
    """That runs need more than an allowance leaves them."""

    is_firm: bool
    """The size of the allowance is sure, not only what users report."""
    percent: int
    """What they need of what it leaves, more than 100."""
    message: str


@dataclass(frozen=True)
class Verdict:
    """What allowances mean for the runs of a stream and of those that come before it."""

    share: int | None = None
    """Calls about single plants that each run may make; None if it makes none, or without limit."""
    excesses: tuple[Excess, ...] = ()

    @property
    def percent(self) -> int:
        """What the runs need of the tightest allowance whose size is sure, if that is too much."""
        return max((each.percent for each in self.excesses if each.is_firm), default=0)


def weigh(loads: list[Load], policy: VendorPolicy, budgets: Iterable[Budget]) -> Verdict:
    """Hold the runs of all loads against each allowance; the last one gets what the others leave.

    A run that asks plant by plant has at least one such call, whatever is left.
    """
    lasting = [budget for budget in budgets if not budget.paces]
    needs = [_Need(loads, policy, budget) for budget in lasting]
    excesses = [need.excess() for need in needs if need.calls > need.left]
    # What has to be refused comes first.
    found = tuple(sorted(excesses, key=lambda each: (not each.is_firm, -each.percent)))
    if not (needs and loads[-1].by_plant):
        return Verdict(None, found)
    return Verdict(min(need.share for need in needs), found)


class _Need:
    """What all loads need of one allowance."""

    def __init__(self, loads: list[Load], policy: VendorPolicy, budget: Budget) -> None:
        self._loads = loads
        self._policy = policy
        self._budget = budget
        self._runs = [load.runs(budget) for load in loads]
        self._logins = policy.logins(sum(self._runs), budget.seconds_counted)
        listed = sum(n * load.calls for n, load in zip(self._runs, loads, strict=True))
        self._scheduled = listed + self._logins
        self.left = budget.calls - budget.reserve
        self.calls = self._scheduled + (self._runs[-1] if loads[-1].by_plant else 0)

    @property
    def share(self) -> int:
        """Calls about single plants for each run of the last load."""
        return max((self.left - self._scheduled) // self._runs[-1], 1)

    def excess(self) -> Excess:
        """Return what is too much, with the sum."""
        budget = self._budget
        span = _span(budget.seconds_counted)
        sum_ = f"{' and '.join(self._parts(span))} make {_counted(self.calls, 'call')}"
        kept = f", less {budget.reserve} kept for further logins and listings"
        allowed = f"{budget.calls} in {_span(budget.seconds)}, which count for up to {span}"
        return Excess(
            budget.is_firm,
            math.ceil(100 * self.calls / max(self.left, 1)),
            f"{sum_}; {self._allower()} {self.left} ({allowed}{kept * bool(budget.reserve)})",
        )

    def _parts(self, span: str) -> list[str]:
        several = len(self._loads) > 1
        parts = [
            f"{_counted(n, 'run')}{f' of {load.stream}' * several} in {span}{self._each(load)}"
            for n, load in zip(self._runs, self._loads, strict=True)
        ]
        if self._logins:
            parts.append(_counted(self._logins, "login"))
        if self._loads[-1].by_plant:
            parts.append("one for the alerts of a plant in each run of alerts")
        return parts

    def _each(self, load: Load) -> str:
        if load.by_plant:
            return ""
        pages = f" ({self._policy.page_size} {load.stream} a page)" * (load.calls > 1)
        return f" of {_counted(load.calls, 'call')} each{pages}"

    def _allower(self) -> str:
        match self._budget.source:
            case Source.DECLARED:
                return "what the resource or the operator's settings declare leaves"
            case Source.REPORTED:
                return f"by what users report, {self._policy.title} leaves"
            case Source.DOCUMENTED:
                return f"{self._policy.title} leaves"


def _span(seconds: float) -> str:
    for size, unit in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0 or seconds >= 2 * size:
            return _counted(round(seconds / size, 1), unit)
    return _counted(round(seconds, 1), "second")


def _counted(number: float, noun: str) -> str:
    return f"{number:.10g} {noun}{'s' * (number != 1)}"
