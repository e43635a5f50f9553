"""Time, decided in one place: which minutes a vendor and stream may be synced.

Everything here is pure: functions and values.
"""

from vendorsync_api.schedule.cron import HORIZON, MONTHS, YEARS, Cron
from vendorsync_api.schedule.spread import hashed_offset
from vendorsync_api.schedule.timetable import INTERVALS, Timetable
from vendorsync_api.schedule.window import (
    DAY,
    DAYS,
    ScheduleError,
    Window,
    minute_of_day,
    time_of_day,
)
from vendorsync_api.schedule.zones import zone

__all__ = [
    "DAY",
    "DAYS",
    "HORIZON",
    "INTERVALS",
    "MONTHS",
    "YEARS",
    "Cron",
    "ScheduleError",
    "Timetable",
    "Window",
    "hashed_offset",
    "minute_of_day",
    "time_of_day",
    "zone",
]
