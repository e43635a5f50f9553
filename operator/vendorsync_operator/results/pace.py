"""Pure: how far apart the scheduled runs of a vendor and stream are while it keeps failing.

It follows from the spec and the status alone, so a restart changes nothing. Runs by hand and those
of a syncRequest are not slowed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from vendorsync_api.reasons import ExitCode, RunReason
from vendorsync_operator.results import runs

if TYPE_CHECKING:
    from vendorsync_api.schedule import Timetable
    from vendorsync_api.v1alpha1 import VendorStatus

PATIENCE = 3
"""Failures in a row after which the interval is doubled, and doubled again by each further one."""
LONGEST = 240
"""Minutes that an interval is lengthened to at the most."""
BLOCKED = 60
"""Minutes between runs that only look whether the Secret has changed; they call no vendor."""

_BLOCKING = frozenset(r.value for r in RunReason if r.exit_code is ExitCode.CREDENTIALS)
_TIMETABLES = 64


def of(entry: VendorStatus, timetable: Timetable) -> Timetable:
    """Return the timetable that the scheduled runs follow: the effective one, or a slower one."""
    minutes = _minutes(entry, timetable.shortest_gap)
    return timetable if minutes is None else _slowed(timetable, minutes)


def slowed_to(entry: VendorStatus, timetable: Timetable) -> str | None:
    """Return the time between runs if they are slowed, such as `60m`."""
    slower = of(entry, timetable)
    return None if slower == timetable else f"{slower.shortest_gap}m"


def _minutes(entry: VendorStatus, gap: int) -> int | None:
    if runs.failing(entry) in _BLOCKING:
        return BLOCKED
    failures = runs.hard_failures(entry)
    if failures < PATIENCE:
        return None
    # An exponent of 16 is beyond the longest anyway; counts have no bound.
    doublings = min(failures - PATIENCE + 1, 16)
    return min(gap << doublings, LONGEST)


@lru_cache(maxsize=_TIMETABLES)
def _slowed(timetable: Timetable, minutes: int) -> Timetable:
    # Working out the ticks of a timetable takes longer than the rest of a visit.
    slower = timetable.slowed(minutes)
    # Its runs are some of the usual ones: of those every three hours, none but every six. And where
    # a day has but one of them, none is left out.
    is_slower = slower.expression != timetable.expression and slower.shortest_gap <= LONGEST
    return slower if is_slower else timetable
