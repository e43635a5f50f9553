"""Sliding windows of calls, made of slices: the arithmetic of the ledger, without its database.

A window of 24 slices never lets more than its calls through in any of its seconds: it counts the
current slice, the 24 before it, and those before them whose calls may have been sent as late as
that, since a run reserves calls before it sends them. So a window lets a little less through than
it could: 24/26 of the calls over long times, 24/37 where runs wait for it (`Budget.paces`). The
operator accepts schedules by the same rule (`Budget.seconds_counted`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from vendorsync_api.policy import SLICES, Scope
from vendorsync_job.errors import BudgetSpentError, DetailsSpentError
from vendorsync_job.ports import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vendorsync_api.policy import Budget

LARGEST_BLOCK: Final = 50
UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Window(Struct, frozen=True):
    """One allowance of an account."""

    budget: Budget

    @property
    def paces(self) -> bool:
        """Whether a run waits for room instead of ending."""
        return self.budget.paces

    @property
    def width(self) -> float:
        """Seconds of one slice."""
        return self.budget.seconds / SLICES

    @property
    def block(self) -> int:
        """Calls that a run may hold at most: what a killed one takes with it until the turn."""
        return max(1, self.budget.calls // (10 if self.paces else 50))

    def slice(self, now: float) -> int:
        """Return the number of the slice of a moment, in seconds since the epoch."""
        return math.floor(now / self.width)

    def good_until(self, now: float) -> float:
        """Return when a call that is reserved now must have been sent."""
        return (self.slice(now) + self.budget.slices_held + 1) * self.width

    def counts_until(self, number: int) -> float:
        """Return when a slice stops counting."""
        return (number + self.budget.slices_counted) * self.width

    def limit(self, purpose: Purpose) -> int:
        """Return how many calls of the window such calls may bring it to."""
        calls = self.budget.calls
        return calls - self.budget.reserve if purpose is Purpose.DETAIL else calls

    def stops(self, purpose: Purpose) -> bool:
        """Whether such calls end when it is full.

        A size that only users report stops calls about single plants, which are shared out by it.
        Logins and listings go on until the vendor refuses them.
        """
        return self.budget.is_firm or self.paces or purpose is Purpose.DETAIL

    def tally(self, found: Mapping[int, int], now: float) -> Tally:
        """Count the slices at a moment; one from the future, after a clock was set, is now's."""
        current = self.slice(now)
        slices: dict[int, int] = {}
        for number, calls in found.items():
            if calls > 0 and self.counts_until(number) > now:
                slices[min(number, current)] = slices.get(min(number, current), 0) + calls
        return Tally(self, slices, now)

    def spent(self, purpose: Purpose, wait: float) -> BudgetSpentError:
        """Return the error of a window without room; `wait` are the seconds until it has some."""
        budget = self.budget
        kept = (
            f" but for the {budget.reserve} that are kept for logins and listings"
            if purpose is Purpose.DETAIL and budget.reserve
            else ""
        )
        kind = DetailsSpentError if purpose is Purpose.DETAIL else BudgetSpentError
        whose = "app" if budget.per is Scope.APP else "account"
        known = "" if budget.is_firm else ", as users report it,"
        return kind(
            f"the {whose}'s allowance of {numbered(budget.calls, 'call')} in"
            f" {_duration(budget.seconds)}{known} is used up{kept}, so nothing is sent until it"
            " turns; lengthen the interval, or have the vendor raise the allowance and declare it"
            " in vendors[].allowances",
            retry_after=wait,
        )


class Tally(Struct):
    """The slices of a window that count at a moment, with their calls."""

    window: Window
    slices: dict[int, int]
    now: float

    @property
    def used(self) -> int:
        """Calls that were sent or are reserved."""
        return sum(self.slices.values())

    @property
    def left(self) -> int:
        """Calls that are not taken yet, 0 at least."""
        return max(0, self.window.budget.calls - self.used)

    def room(self, purpose: Purpose = Purpose.LISTING) -> int:
        """Return how many calls of a purpose may still be taken, 0 at least."""
        if not self.window.stops(purpose):
            return LARGEST_BLOCK
        return max(0, self.window.limit(purpose) - self.used)

    def wait(self, purpose: Purpose) -> float:
        """Return the seconds until there is room for one call."""
        used, limit = self.used, self.window.limit(purpose)
        for number in sorted(self.slices):
            if used < limit:
                break
            used -= self.slices[number]
            if used < limit:
                return max(0.0, self.window.counts_until(number) - self.now)
        return 0.0 if used < limit else float(self.window.budget.seconds)

    def take(self, calls: int) -> int:
        """Count calls as sent now and return their slice."""
        number = self.window.slice(self.now)
        self.slices[number] = self.slices.get(number, 0) + calls
        return number

    def give_back(self, number: int, calls: int) -> None:
        """Take reserved calls out of the slice that they were counted in."""
        left = self.slices.get(number, 0) - calls
        if left > 0:
            self.slices[number] = left
        else:
            self.slices.pop(number, None)


def numbered(count: int, unit: str) -> str:
    """Return a count with its unit: `1 call`, `2 calls`."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _duration(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    return numbered(seconds // size, unit)
