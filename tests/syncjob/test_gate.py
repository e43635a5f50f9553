from datetime import UTC, datetime, timedelta

import pytest

from tests.syncjob.builders import run_spec
from vendorsync_api.reasons import Trigger
from vendorsync_job import gate
from vendorsync_job.errors import RestrictedWindowError

NIGHT = datetime(2026, 3, 2, 15, tzinfo=UTC)  # 20:30 in Kolkata
DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)  # 11:30 in Kolkata
EVENING = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)  # 19:00 in Kolkata


def schedule(**changes):
    return run_spec(
        schedule={
            "timeZone": "Asia/Kolkata",
            "windows": [{"start": "19:00", "end": "06:00"}],
            "cronJob": "organization-a-solarman-plants",
            "startingDeadlineSeconds": 225,
            "activeDeadlineSeconds": 1320,
        }
        | changes
    ).schedule


def job_name(tick: datetime, cron_job: str = "organization-a-solarman-plants") -> str:
    return f"{cron_job}-{int(tick.timestamp()) // 60}"


def test_a_job_named_after_a_recent_minute_is_scheduled():
    started = gate.start(schedule(), job_name(DAY), "", DAY + timedelta(seconds=90))

    assert started == gate.Start(Trigger.SCHEDULE, DAY)


@pytest.mark.parametrize(
    ("name", "now"),
    [
        pytest.param("organization-a-solarman-plants-by-hand", DAY, id="a name by hand"),
        pytest.param(job_name(DAY), DAY + timedelta(seconds=1546), id="a minute too long ago"),
        pytest.param(job_name(DAY), DAY - timedelta(minutes=5), id="a minute still to come"),
        pytest.param(job_name(DAY, "another-cronjob"), DAY, id="another CronJob"),
        pytest.param("", DAY, id="no Job at all"),
        pytest.param(
            "organization-a-solarman-plants-9876543210", DAY, id="a minute beyond all calendars"
        ),
    ],
)
@pytest.mark.requirement("C06")
def test_every_other_job_is_manual(name, now):
    assert gate.start(schedule(), name, "", now).trigger is Trigger.MANUAL


def test_the_operator_marks_the_jobs_of_a_sync_request():
    started = gate.start(schedule(), job_name(DAY), "Request", DAY)

    assert started == gate.Start(Trigger.REQUEST)


def test_without_a_schedule_every_run_is_manual():
    assert gate.start(None, job_name(DAY), "", DAY).trigger is Trigger.MANUAL


@pytest.mark.requirement("R17")
@pytest.mark.parametrize(
    ("tick", "now"),
    [
        pytest.param(NIGHT, NIGHT, id="tick and now inside"),
        pytest.param(EVENING - timedelta(minutes=1), EVENING, id="a late start reaches the window"),
        pytest.param(EVENING, EVENING, id="the first minute of the window"),
        pytest.param(
            datetime(2026, 3, 3, 0, 29, tzinfo=UTC),
            datetime(2026, 3, 3, 0, 31, tzinfo=UTC),
            id="the tick was inside, now is not",
        ),
    ],
)
def test_a_scheduled_run_in_a_window_is_refused(tick, now):
    with pytest.raises(RestrictedWindowError, match="19:00-06:00 Asia/Kolkata"):
        gate.check(schedule(), gate.Start(Trigger.SCHEDULE, tick), now)


@pytest.mark.requirement("R16")
def test_the_window_ends_with_its_last_minute():
    six = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)

    gate.check(schedule(), gate.Start(Trigger.SCHEDULE, six), six)


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.REQUEST])
@pytest.mark.requirement("C06")
def test_runs_by_hand_and_by_request_ignore_windows(trigger):
    gate.check(schedule(), gate.Start(trigger), NIGHT)
