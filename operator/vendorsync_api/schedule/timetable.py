"""The effective schedule of one vendor and stream, the one place that decides about time.

The operator renders CronJobs from a timetable. The gate of the job and the preview ask the same
object.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from vendorsync_api.schedule.cron import Cron, spelled, spelled_days
from vendorsync_api.schedule.window import DAY, ScheduleError, Window, restricts, weekday
from vendorsync_api.schedule.zones import zone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

INTERVALS = (5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)
"""Minutes between ticks that tile an hour or a day, so that every gap is equal."""


@dataclass(frozen=True)
class Timetable:
    """The effective schedule of one vendor and stream: the resolved fields of a spec.

    Exactly one of `interval` (minutes, one of INTERVALS) and `cron` is set. `offset` is the minutes
    after local midnight of the first tick, less than the interval; it spreads organizations.
    `usual_gap` is set on a slowed timetable: the shortest gap of the one that was slowed.
    """

    time_zone: str
    interval: int | None = None
    cron: str | None = None
    windows: tuple[Window, ...] = ()
    offset: int = 0
    usual_gap: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no CronJob could express."""
        if (self.interval is None) == (self.cron is None):
            raise ScheduleError("a schedule needs intervalMinutes or cron, and not both")
        if self.interval is not None and self.interval not in INTERVALS:
            raise ScheduleError(
                f"intervalMinutes {self.interval} is not one that a CronJob can keep evenly;"
                f" use one of {', '.join(map(str, INTERVALS))}"
            )
        if not 0 <= self.offset < (self.interval or 1):
            raise ScheduleError(
                f"offset {self.offset} is not a minute of the interval; use 0 to"
                f" {(self.interval or 1) - 1}"
            )
        _ = self.zone, self._base

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone of the windows and ticks."""
        return zone(self.time_zone)

    @cached_property
    def _base(self) -> Cron:
        """The ticks before windows are taken away."""
        if self.cron is not None:
            return Cron.parse(self.cron)
        minutes = range(self.offset, DAY, self.interval or DAY)
        fields = (
            spelled({m % 60 for m in minutes}, 60),
            spelled({m // 60 for m in minutes}, 24),
        )
        return Cron.parse(" ".join((*fields, "*", "*", "*")))

    def is_restricted(self, moment: datetime) -> bool:
        """Tell whether a scheduled sync may not start at that moment (aware)."""
        local = moment.astimezone(self.zone)
        return self._restricts(weekday(local), local.hour * 60 + local.minute)

    def _restricts(self, day: int, minute: int) -> bool:
        return restricts(self.windows, day, minute)

    @cached_property
    def _allowed(self) -> dict[int, frozenset[tuple[int, int]]]:
        """Weekday to the (hour, minute) pairs of its ticks outside every window."""
        days = range(7) if any(window.days for window in self.windows) else range(1)
        found = [self._allowed_on(day) for day in days]
        return {day: found[day % len(found)] for day in range(7)}

    def _allowed_on(self, day: int) -> frozenset[tuple[int, int]]:
        return frozenset(
            (hour, minute)
            for hour in self._base.hours
            for minute in self._base.minutes
            if not self._restricts(day, hour * 60 + minute)
        )

    @cached_property
    def _product(self) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
        """The smallest days x hours x minutes that hold every allowed tick."""
        days = frozenset(
            day for day, ticks in self._allowed.items() if ticks and self._may_run_on(day)
        )
        pairs = frozenset[tuple[int, int]]().union(*(self._allowed[day] for day in days))
        return days, frozenset(h for h, _ in pairs), frozenset(m for _, m in pairs)

    def _may_run_on(self, day: int) -> bool:
        return self._base.either_day or day in self._base.days_of_week

    @property
    def never_runs(self) -> bool:
        """Whether the windows cover every tick."""
        return not self._product[1]

    @cached_property
    def expression(self) -> str:
        """The CronJob's schedule: exact where cron can say it, else the smallest superset.

        Raises ScheduleError when the windows leave no tick at all.
        """
        if self.never_runs:
            raise ScheduleError("the restricted windows cover every tick of the schedule")
        days, hours, minutes = self._product
        base = self._base
        day, month, weekday = "*", "*", spelled_days(days)
        if self.cron is not None:
            _, _, day, month, weekday = base.text.split()
            # Naming weekdays beside a restricted day of month would turn "and" into "or".
            if base.any_day_of_month and days != base.days_of_week:
                weekday = spelled_days(days)
            if hours == base.hours and minutes == base.minutes and weekday == base.text.split()[4]:
                return base.text
        return f"{spelled(minutes, 60)} {spelled(hours, 24)} {day} {month} {weekday}"

    @cached_property
    def _rendered(self) -> Cron:
        return Cron.parse(self.expression)

    @property
    def is_exact(self) -> bool:
        """Whether the expression fires at allowed ticks only, so that the gate never skips."""
        rendered = self._rendered
        days = range(7) if rendered.either_day else rendered.days_of_week
        return all(
            not self._restricts(day, hour * 60 + minute)
            for day in days
            for hour in rendered.hours
            for minute in rendered.minutes
        )

    def upcoming(self, after: datetime) -> Iterator[datetime]:
        """Yield the runs that will not be skipped, later than `after`, in UTC."""
        if self.never_runs:
            return
        for tick in self._rendered.ticks(self.zone, after):
            if not self.is_restricted(tick):
                yield tick

    def next_run(self, after: datetime) -> datetime | None:
        """Return the first run later than `after` that will not be skipped, in UTC."""
        return next(self.upcoming(after), None)

    @cached_property
    def shortest_gap(self) -> int:
        """Minutes between the two closest runs of any week, as if every date were a day of it."""
        if self.interval is not None:
            return self.interval
        days, _, _ = self._product
        ticks = sorted(day * DAY + h * 60 + m for day in days for h, m in self._allowed[day])
        wrapped = [*ticks, *(tick + 7 * DAY for tick in ticks[:1])]
        return min((later - earlier for earlier, later in pairwise(wrapped)), default=7 * DAY)

    def slowed(self, minutes: int) -> Timetable:
        """Return this timetable with gaps of at least `minutes`, for a vendor that keeps failing.

        Its runs are some of this one's, and each weekday that had a run keeps one; where that asks
        for shorter gaps, they are the longest of INTERVALS that do. A day is the longest of all.
        Its runs may start as late as their own gap allows, but last no longer than the usual ones.
        """
        if minutes <= self.shortest_gap:
            return self
        candidates = (
            replace(slower, usual_gap=self.usual_gap or self.shortest_gap)
            for gap in self._gaps(minutes)
            for slower in self._thinned(gap)
        )
        return next((slower for slower in candidates if self._keeps_days(slower)), self)

    def _gaps(self, minutes: int) -> list[int]:
        """Return the gaps to try: the next of at least `minutes`, then from the longest down."""
        known = [
            gap for gap in INTERVALS if gap > self.shortest_gap and gap % (self.interval or 1) == 0
        ]
        longer = [gap for gap in known if gap >= minutes]
        return longer[:1] + [gap for gap in reversed(known) if gap < minutes]

    def _keeps_days(self, slower: Timetable) -> bool:
        return slower._product[0] == self._product[0]

    def _thinned(self, gap: int) -> Iterator[Timetable]:
        """Yield the timetables of that gap, in minutes, whose ticks are some of this one's."""
        if self.interval is not None:
            yield replace(self, interval=gap)
            return
        _, hours, minutes = self._product
        days = " ".join(self._base.text.split()[2:])
        for hour in _thinnings(hours, -(-gap // 60), 24):
            for minute in _thinnings(minutes, min(gap, 60), 60):
                yield replace(self, cron=f"{spelled(minute, 60)} {spelled(hour, 24)} {days}")

    @property
    def ticks_per_day(self) -> int:
        """The most runs that any day can have; what a vendor's daily allowance is held against."""
        return max((len(ticks) for ticks in self._allowed.values()), default=0)

    @property
    def starting_deadline_seconds(self) -> int:
        """How late a tick may still start: a quarter of the gap, from a minute to an hour."""
        return min(max(self.shortest_gap * 60 // 4, 60), 3600)

    @property
    def deadline_seconds(self) -> int:
        """The default length of a run: ten minutes, but less than the usual gap."""
        return max(min(600, (self.usual_gap or self.shortest_gap) * 60 - 60), 60)

    @property
    def interval_text(self) -> str:
        """The schedule for people: `15m`, `2h`, or the cron expression."""
        if self.interval is None:
            return str(self.cron)
        return f"{self.interval}m" if self.interval < 60 else f"{self.interval // 60}h"

    @property
    def window_text(self) -> str:
        """The windows for people: `19:00-06:00`, `none`."""
        return "; ".join(map(str, self.windows)) or "none"


def _thinnings(values: Collection[int], gap: int, size: int) -> Iterator[list[int]]:
    """Yield, for each first one, the values that lie `gap` apart on a circle of `size`."""
    ordered = sorted(values)
    for first in ordered:
        kept = [first]
        for value in ordered:
            if value - kept[-1] >= gap and first + size - value >= gap:
                kept.append(value)
        yield kept
