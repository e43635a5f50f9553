"""Time, decided in one place: which minutes a vendor and stream may be synced.

Pure functions and values; the operator renders CronJobs from them, the job's gate and the preview
ask the same object. Clock changes follow robfig/cron v3.0.1, which the CronJob controller uses: a
tick is a minute of the world whose wall clock in the zone matches, so a wall time that spring skips
does not fire and one that comes twice in autumn fires twice. The one known difference is a clock
that moves by half an hour (Australia/Lord_Howe), on whose two days robfig misses some ticks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

DAY = 24 * 60
INTERVALS = (5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)
"""Minutes between ticks that tile an hour or a day, so that every gap is equal."""

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HORIZON = timedelta(days=5 * 366)
"""How far ahead a next tick is looked for; robfig/cron gives up after five years too."""


class ScheduleError(ValueError):
    """A schedule that cannot be understood; the text names the value and what to do."""


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name, or raise ScheduleError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(
            f"time zone {name!r} is not in the IANA database; use a name such as Asia/Kolkata"
        ) from error


def minute_of_day(text: str) -> int:
    """Return the minutes since midnight of `HH:MM`, or raise ScheduleError."""
    hours, _, minutes = text.partition(":")
    if not (
        len(hours) == len(minutes) == 2
        and (hours + minutes).isascii()
        and (hours + minutes).isdigit()
    ):
        raise ScheduleError(f"time {text!r} is not HH:MM; write for example 19:00")
    if int(hours) > 23 or int(minutes) > 59:
        raise ScheduleError(f"time {text!r} is not a time of day; use 00:00 to 23:59")
    return int(hours) * 60 + int(minutes)


@dataclass(frozen=True)
class Window:
    """Minutes of the day in which no scheduled sync starts: start <= t < end, across midnight too.

    `start` and `end` are minutes since midnight; `days` are cron day numbers (0 is Sunday) on which
    the window starts, all of them when empty.
    """

    start: int
    end: int
    days: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a window whose length nobody could tell: none, or a whole day."""
        if self.start == self.end:
            raise ScheduleError(
                f"restricted window starts and ends at {clock(self.start)};"
                " make it end later, or remove it"
            )

    def covers(self, day: int, minute: int) -> bool:
        """Tell whether the window holds that minute of that weekday."""
        if self.start < self.end:
            return self._starts(day) and self.start <= minute < self.end
        if minute >= self.start:
            return self._starts(day)
        return minute < self.end and self._starts((day - 1) % 7)

    def _starts(self, day: int) -> bool:
        return not self.days or day in self.days

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days))
        return f"{clock(self.start)}-{clock(self.end)}" + (f" {days}" if days else "")


def clock(minute: int) -> str:
    """Return `HH:MM` for minutes since midnight."""
    return f"{minute // 60:02}:{minute % 60:02}"


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

    def on_day(self, moment: datetime) -> bool:
        """Tell whether the local date of the moment is one of the expression's days."""
        by_month = moment.day in self.days_of_month
        by_week = _weekday(moment) in self.days_of_week
        days = by_month or by_week if self.either_day else by_month and by_week
        return moment.month in self.months and days

    def ticks(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """Yield the ticks later than `after`, in order, in UTC, up to the horizon."""
        moment = after.astimezone(UTC).replace(second=0, microsecond=0)
        end = moment + HORIZON
        moment += timedelta(minutes=1)
        while moment < end:
            local = moment.astimezone(zone)
            if not self.on_day(local):
                # Not past 22:00, so that a clock change never carries it over a whole hour.
                hours = max(22 - local.hour, 1)
                moment += timedelta(hours=hours, minutes=-local.minute)
            elif local.hour not in self.hours:
                # To the next hour of the wall clock, never past it: offsets are not whole hours.
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                yield moment
                moment += timedelta(minutes=1)


def _has_star(field: str) -> bool:
    """Tell what robfig/cron keeps as the star bit: a step over 1 takes it away."""
    spans = (part.partition("/") for part in field.split(","))
    return any(span in ("*", "?") and step in ("", "1") for span, _, step in spans)


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


@dataclass(frozen=True)
class Timetable:
    """The effective schedule of one vendor and stream: the resolved fields of a spec.

    Exactly one of `interval` (minutes, one of INTERVALS) and `cron` is set. `offset` is the minutes
    after local midnight of the first tick, less than the interval; it spreads organizations.
    """

    time_zone: str
    interval: int | None = None
    cron: str | None = None
    windows: tuple[Window, ...] = ()
    offset: int = 0

    def __post_init__(self) -> None:
        """Refuse what no CronJob could express."""
        if (self.interval is None) == (self.cron is None):
            raise ScheduleError("a schedule needs intervalMinutes or cron, and not both")
        if self.interval is not None and self.interval not in INTERVALS:
            raise ScheduleError(
                f"intervalMinutes {self.interval} does not tile an hour or a day;"
                f" use one of {', '.join(map(str, INTERVALS))}"
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
        fields = (_field({m % 60 for m in minutes}, 60), _field({m // 60 for m in minutes}, 24))
        return Cron.parse(" ".join((*fields, "*", "*", "*")))

    def is_restricted(self, moment: datetime) -> bool:
        """Tell whether a scheduled sync may not start at that moment (aware)."""
        local = moment.astimezone(self.zone)
        return self._restricts(_weekday(local), local.hour * 60 + local.minute)

    def _restricts(self, day: int, minute: int) -> bool:
        return any(window.covers(day, minute) for window in self.windows)

    @cached_property
    def _allowed(self) -> dict[int, frozenset[tuple[int, int]]]:
        """Weekday to the (hour, minute) pairs of its ticks outside every window."""
        return {
            day: frozenset(
                (hour, minute)
                for hour in self._base.hours
                for minute in self._base.minutes
                if not self._restricts(day, hour * 60 + minute)
            )
            for day in range(7)
        }

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
        day, month, weekday = "*", "*", _names(days)
        if self.cron is not None:
            _, _, day, month, weekday = base.text.split()
            # Naming weekdays beside a restricted day of month would turn "and" into "or".
            if base.any_day_of_month and days != base.days_of_week:
                weekday = _names(days)
            if hours == base.hours and minutes == base.minutes and weekday == base.text.split()[4]:
                return base.text
        return f"{_field(minutes, 60)} {_field(hours, 24)} {day} {month} {weekday}"

    @property
    def is_exact(self) -> bool:
        """Whether the expression fires at allowed ticks only, so that the gate never skips."""
        rendered = Cron.parse(self.expression)
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
        for tick in Cron.parse(self.expression).ticks(self.zone, after):
            if not self.is_restricted(tick):
                yield tick

    def next_run(self, after: datetime) -> datetime | None:
        """Return the first run later than `after` that will not be skipped, in UTC."""
        return next(self.upcoming(after), None)

    @cached_property
    def shortest_gap(self) -> int:
        """Minutes between the two closest ticks of a day, a day when there is one tick."""
        if self.interval is not None:
            return self.interval
        ticks = sorted(h * 60 + m for h in self._base.hours for m in self._base.minutes)
        wrapped = [*ticks, ticks[0] + DAY]
        return min(later - earlier for earlier, later in pairwise(wrapped))

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
        """The default length of a run: ten minutes, but less than the gap."""
        return max(min(600, self.shortest_gap * 60 - 60), 60)

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


def hashed_offset(
    namespace: str, name: str, interval: int, windows: tuple[Window, ...] = ()
) -> int:
    """Return a stable offset in minutes, less than the interval, for one resource.

    The minute and the hour come from different parts of the digest: taken from one number they
    would be tied, and only some of the slots would ever be used. The name counts, not the uid, so
    a restored resource keeps its slot. An offset whose every tick lies inside the windows is
    replaced by one that has a tick outside, if there is any.
    """
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    minute = int.from_bytes(digest[:8]) % min(interval, 60)
    phase = int.from_bytes(digest[8:16]) % max(interval // 60, 1)
    offset = phase * 60 + minute
    if _has_free_tick(offset, interval, windows):
        return offset
    free = [other for other in range(interval) if _has_free_tick(other, interval, windows)]
    return free[int.from_bytes(digest[16:24]) % len(free)] if free else offset


def _has_free_tick(offset: int, interval: int, windows: tuple[Window, ...]) -> bool:
    return any(
        not any(window.covers(day, minute) for window in windows)
        for minute in range(offset, DAY, interval)
        for day in range(7)
    )


def _weekday(moment: datetime) -> int:
    return moment.isoweekday() % 7


def _field(values: Collection[int], size: int) -> str:
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


def _names(days: Collection[int]) -> str:
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
