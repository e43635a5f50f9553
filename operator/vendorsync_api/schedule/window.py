"""Times of day, and the windows in which nothing starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

DAY = 24 * 60
DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


class ScheduleError(ValueError):
    """A schedule that cannot be understood; the text names the value and what to do."""


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
                f"restricted window starts and ends at {time_of_day(self.start)};"
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
        return f"{time_of_day(self.start)}-{time_of_day(self.end)}" + (f" {days}" if days else "")


def time_of_day(minute: int) -> str:
    """Return `HH:MM` for minutes since midnight."""
    return f"{minute // 60:02}:{minute % 60:02}"


def restricts(windows: tuple[Window, ...], day: int, minute: int) -> bool:
    """Tell whether any of the windows holds that minute of that weekday."""
    return any(window.covers(day, minute) for window in windows)


def weekday(moment: datetime) -> int:
    """Return the weekday as cron counts it, 0 for Sunday."""
    return moment.isoweekday() % 7
