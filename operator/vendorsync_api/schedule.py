"""Time, decided in one place: which minutes a vendor and stream may be synced.

Pure functions and values; the operator renders CronJobs from them, the job's gate and the preview
ask the same object. A tick is what robfig/cron v3.0.1 finds, which the CronJob controller uses: a
minute of the world whose wall clock in the zone matches, so a wall time that spring skips does not
fire and one that comes twice in autumn fires twice. Where robfig finds something else, so does this
module: in zones whose clock moves by half an hour (Australia/Lord_Howe) or, for an expression of
some days only, at midnight (Asia/Beirut). One difference is known: in Pacific/Chatham, where the
clock goes back in the middle of an hour, robfig may find the same minute for ever.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
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
HORIZON = timedelta(days=6 * 366)
"""How far ahead ticks are looked for."""
YEARS = 5
"""How many years of the calendar robfig/cron looks ahead for one tick."""


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
        by_week = _weekday(moment) in self.days_of_week
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
                f"intervalMinutes {self.interval} does not tile an hour or a day;"
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
        fields = (_field({m % 60 for m in minutes}, 60), _field({m // 60 for m in minutes}, 24))
        return Cron.parse(" ".join((*fields, "*", "*", "*")))

    def is_restricted(self, moment: datetime) -> bool:
        """Tell whether a scheduled sync may not start at that moment (aware)."""
        local = moment.astimezone(self.zone)
        return self._restricts(_weekday(local), local.hour * 60 + local.minute)

    def _restricts(self, day: int, minute: int) -> bool:
        return _covers(self.windows, day, minute)

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
        day, month, weekday = "*", "*", _names(days)
        if self.cron is not None:
            _, _, day, month, weekday = base.text.split()
            # Naming weekdays beside a restricted day of month would turn "and" into "or".
            if base.any_day_of_month and days != base.days_of_week:
                weekday = _names(days)
            if hours == base.hours and minutes == base.minutes and weekday == base.text.split()[4]:
                return base.text
        return f"{_field(minutes, 60)} {_field(hours, 24)} {day} {month} {weekday}"

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
                yield replace(self, cron=f"{_field(minute, 60)} {_field(hour, 24)} {days}")

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


def hashed_offset(
    namespace: str, name: str, interval: int, windows: tuple[Window, ...] = (), place: int = 0
) -> int:
    """Return a stable offset in minutes, less than the interval, for one resource.

    The minute and the hour come from different parts of the digest: taken from one number they
    would be tied, and only some of the slots would ever be used. The name counts, not the uid, so
    a restored resource keeps its slot. An offset whose every tick lies inside the windows is
    replaced by one that has a tick outside, if there is any. `place` counts the vendors of one kind
    in the resource: each takes the next minute, and none takes another's while there are enough.
    """
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    minute = int.from_bytes(digest[:8]) % min(interval, 60)
    phase = int.from_bytes(digest[8:16]) % max(interval // 60, 1)
    offset = phase * 60 + minute
    free = _free_offsets(interval, windows) or range(interval)
    first = bisect_left(free, offset)
    if first == len(free) or free[first] != offset:
        first = int.from_bytes(digest[16:24])
    return free[(first + place) % len(free)]


@lru_cache(maxsize=64)
def _free_offsets(interval: int, windows: tuple[Window, ...]) -> tuple[int, ...]:
    """Return the offsets of which a tick lies outside the windows on some weekday, in order."""
    closed = [all(_covers(windows, day, minute) for day in range(7)) for minute in range(DAY)]
    return tuple(o for o in range(interval) if not all(closed[o::interval]))


def _covers(windows: tuple[Window, ...], day: int, minute: int) -> bool:
    return any(window.covers(day, minute) for window in windows)


def _thinnings(values: Collection[int], gap: int, size: int) -> Iterator[list[int]]:
    """Yield, for each first one, the values that lie `gap` apart on a circle of `size`."""
    ordered = sorted(values)
    for first in ordered:
        kept = [first]
        for value in ordered:
            if value - kept[-1] >= gap and first + size - value >= gap:
                kept.append(value)
        yield kept


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
