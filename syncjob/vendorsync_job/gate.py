"""Whether a run may go on: who started it, and whether a restricted window forbids that.

The window is checked a second time here; the schedule that started the run checked it first.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from vendorsync_api.reasons import Trigger
from vendorsync_job.errors import RestrictedWindowError

if TYPE_CHECKING:
    from vendorsync_api.run import RunSchedule

SKEW = timedelta(minutes=1)
"""How far the clock of the pod's node may be behind that of the CronJob controller."""


class Start(Struct, frozen=True):
    """What started the run; `tick` is the scheduled minute (UTC), None for any other start."""

    trigger: Trigger
    tick: datetime | None = None


def start(schedule: RunSchedule | None, job_name: str, trigger: str, now: datetime) -> Start:
    """Tell what started the run, from its Job's name and the trigger that the operator set.

    A run counts as scheduled only if its Job is called `<cronJob>-<minutes since the epoch>` and
    that minute is recent enough for a Job of the schedule to be still alive.
    """
    if trigger == Trigger.REQUEST:
        return Start(Trigger.REQUEST)
    tick = _tick(schedule, job_name)
    if schedule is None or tick is None:
        return Start(Trigger.MANUAL)
    longest = schedule.starting_deadline_seconds + schedule.active_deadline_seconds
    if not now - timedelta(seconds=longest) <= tick <= now + SKEW:
        return Start(Trigger.MANUAL)
    return Start(Trigger.SCHEDULE, tick)


def check(schedule: RunSchedule | None, started: Start, now: datetime) -> None:
    """Raise RestrictedWindowError for a scheduled run whose tick or whose now is in a window."""
    if schedule is None or started.tick is None:
        return
    timetable = schedule.restricts()
    if timetable.is_restricted(started.tick) or timetable.is_restricted(now):
        raise RestrictedWindowError(
            f"scheduled runs are restricted at {timetable.window_text} {schedule.time_zone}"
        )


def _tick(schedule: RunSchedule | None, job_name: str) -> datetime | None:
    if schedule is None:
        return None
    # Eight digits of minutes last until 2160; ten would be more than datetime can hold.
    match = re.fullmatch(re.escape(schedule.cron_job) + r"-([0-9]{1,8})", job_name)
    if match is None:
        return None
    return datetime.fromtimestamp(int(match[1]) * 60, UTC)
