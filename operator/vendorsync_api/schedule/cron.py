"""Cron expressions as robfig/cron v3.0.1 reads them, which the CronJob controller uses.

A tick is a minute of the world whose wall clock in the zone matches, so a wall time that spring
skips does not fire and one that comes twice in autumn fires twice. Where robfig finds something
else, so does this module: in zones whose clock moves by half an hour (Australia/Lord_Howe) or, for
an expression of some days only, at midnight (Asia/Beirut). One difference is known: in
Pacific/Chatham, where the clock goes back in the middle of an hour, robfig may find the same minute
for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from vendorsync_api.schedule.window import DAYS, ScheduleError, weekday

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from zoneinfo import ZoneInfo

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HORIZON = timedelta(days=6 * 366)
"""How far ahead ticks are looked for."""
YEARS = 5
"""How many years of the calendar robfig/cron looks ahead for one tick."""


@dataclass(frozen=True)
class Cron:
    """A five-field cron expression, understood as robfig/cron's standard parser understands it."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_month: frozenset[int]
    months: frozenset[int]
    days_of_week: frozenset[int]
    any_day_of_month: bool
    """A part of the field is a star without a step: then a day must match both day fields."""
    any_day_of_week: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Return the expression, or raise ScheduleError naming the field at fault."""
        fields = text.split()
        if len(fields) != 5:
            raise ScheduleError(
                f"cron {text!r} has {len(fields)} fields; write minute, hour, day of month, month"
                " and day of week"
            )
        minute, hour, day, month, weekday = fields
        return cls(
            text=" ".join(fields),
            minutes=_parse_field(text, minute, "minute", 0, 59),
            hours=_parse_field(text, hour, "hour", 0, 23),
            days_of_month=_parse_field(text, day, "day of month", 1, 31),
            months=_parse_field(text, month, "month", 1, 12, MONTHS),
            days_of_week=_parse_field(text, weekday, "day of week", 0, 6, DAYS),
            any_day_of_month=_has_star(day),
            any_day_of_week=_has_star(weekday),
        )

    @property
    def either_day(self) -> bool:
        """Whether both day fields are restricted: a day matches when either of them does."""
        return not (self.any_day_of_month or self.any_day_of_week)

    def ticks(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """Yield the ticks later than `after`, in order, in UTC, up to the horizon."""
        end = after + HORIZON
        tick = self._next(zone, after)
        while tick is not None and tick <= end:
            yield tick
            tick = self._next(zone, tick)

    def _next(self, zone: ZoneInfo, after: datetime) -> datetime | None:
        """Return the first tick later than `after`, in UTC.

        The steps are robfig's, since with a clock that changes the steps decide what is found: a
        field that does not match moves on until it does, and one that wraps starts all over.
        """
        earliest = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        seek = _Seek(self, earliest.replace(second=0).astimezone(zone))
        last_year = seek.local.year + YEARS
        while seek.local.year <= last_year:
            if not (seek.month() and seek.day() and seek.hour() and seek.minute()):
                continue
            if (found := seek.local.astimezone(UTC)) >= earliest:
                return found
            seek.forward(minutes=1)
        return None

    def on_day(self, moment: datetime) -> bool:
        """Tell whether the date of the moment is one of the expression's days, of any month."""
        by_month = moment.day in self.days_of_month
        by_week = weekday(moment) in self.days_of_week
        return by_month or by_week if self.either_day else by_month and by_week

    @cached_property
    def waits(self) -> tuple[int, ...]:
        """Minutes from each minute of an hour to the next one that ticks, or to the next hour."""
        return tuple(
            min((other for other in self.minutes if other > minute), default=60) - minute
            for minute in range(60)
        )


class _Seek:
    """A search for a tick at `local`, an aware time of the zone.

    Each step moves one field on until it matches, and returns False when the field wrapped: then
    the ones before it may match no more.
    """

    def __init__(self, cron: Cron, local: datetime) -> None:
        self.local = local
        self._cron = cron
        self._moved = False
        self._zone = local.tzinfo

    def month(self) -> bool:
        while self.local.month not in self._cron.months:
            self._begin(day=1, hour=0, minute=0)
            wall = self.local.replace(tzinfo=None)
            first = wall.replace(day=1)
            next_month = (first + timedelta(days=32)).replace(day=1)
            self.local = self._at(next_month + (wall - first))
            if self.local.month == 1:
                return False
        return True

    def day(self) -> bool:
        while not self._cron.on_day(self.local):
            self._begin(hour=0, minute=0)
            self.local = self._at(self.local.replace(tzinfo=None) + timedelta(days=1))
            # There may be no midnight on a day that changes the clock.
            hour = self.local.hour
            self.forward(hours=24 - hour if hour > 12 else -hour)
            if self.local.day == 1:
                return False
        return True

    def hour(self) -> bool:
        while self.local.hour not in self._cron.hours:
            self._begin(minute=0)
            self.forward(hours=1)
            if self.local.hour == 0:
                return False
        return True

    def minute(self) -> bool:
        while self.local.minute not in self._cron.minutes:
            self.forward(minutes=self._cron.waits[self.local.minute])
            if self.local.minute == 0:
                return False
        return True

    def forward(self, *, hours: int = 0, minutes: int = 0) -> None:
        """Let that much time pass, whatever the wall clock does."""
        passed = timedelta(hours=hours, minutes=minutes)
        self._moved = True
        if passed:
            self.local = (self.local.astimezone(UTC) + passed).astimezone(self._zone)

    def _begin(self, **fields: int) -> None:
        """Go back to where the field began, unless the search has moved already."""
        if not self._moved:
            self._moved = True
            self.local = self._at(self.local.replace(tzinfo=None, **fields))

    def _at(self, wall: datetime) -> datetime:
        """Return the moment of that wall clock as Go's time.Date does when there is none, or two.

        It takes the offset that held when UTC showed this time, and corrects itself once.
        """
        moment = wall.replace(tzinfo=UTC)
        for _ in range(2):
            offset = moment.astimezone(self._zone).utcoffset() or timedelta()
            moment = wall.replace(tzinfo=UTC) - offset
        return moment.astimezone(self._zone)


def _has_star(field: str) -> bool:
    """Tell what robfig/cron keeps as the star bit: a step over 1 takes it away."""
    spans = (part.partition("/") for part in field.split(","))
    return any(span in ("*", "?") and int(step or 1) == 1 for span, _, step in spans)


def _parse_field(
    text: str, field: str, title: str, low: int, high: int, names: tuple[str, ...] = ()
) -> frozenset[int]:
    return frozenset(
        value
        for part in field.split(",")
        for value in _parse_range(text, part, title, low, high, names)
    )


def _parse_range(
    text: str, part: str, title: str, low: int, high: int, names: tuple[str, ...]
) -> range:
    span, slash, step_text = part.partition("/")
    step = _parse_value(text, step_text, title, 1, high, ()) if slash else 1
    if span in ("*", "?"):
        return range(low, high + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _parse_value(text, first_text, title, low, high, names)
    if dash:
        last = _parse_value(text, last_text, title, low, high, names)
    else:
        last = high if slash else first
    if last < first:
        raise ScheduleError(f"cron {text!r}: {title} {part!r} ends before it starts")
    return range(first, last + 1, step)


def _parse_value(
    text: str, value: str, title: str, low: int, high: int, names: tuple[str, ...]
) -> int:
    known = {name.lower(): low + index for index, name in enumerate(names)}
    if value.lower() in known:
        return known[value.lower()]
    if not (value.isascii() and value.isdigit() and len(value) < 4 and low <= int(value) <= high):
        raise ScheduleError(
            f"cron {text!r}: {title} {value!r} is not a number from {low} to {high}"
        )
    return int(value)


def spelled(values: Collection[int], size: int) -> str:
    """Return the shortest usual spelling of a minute or hour field."""
    ordered = sorted(values)
    if len(ordered) == size:
        return "*"
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 0
    if step > 1 and ordered == list(range(ordered[0], size, step)):
        # robfig reads "3/15" as 3-59/15, but people know only the form with a range.
        start = "*" if ordered[0] == 0 else f"{ordered[0]}-{size - 1}"
        return f"{start}/{step}"
    if step > 1 and len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1, step)):
        return f"{ordered[0]}-{ordered[-1]}/{step}"
    return ",".join(_runs(ordered))


def spelled_days(days: Collection[int]) -> str:
    """Return the field of days of the week, `*` for all of them."""
    return "*" if len(days) == 7 else ",".join(str(day) for day in sorted(days))


def _runs(ordered: list[int]) -> Iterator[str]:
    """Yield the runs of consecutive values: `6-18`, `20`."""
    first = last = ordered[0]
    for value in [*ordered[1:], None]:
        if value is not None and value == last + 1:
            last = value
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if value is not None:
            first = last = value
