"""What the real CronJob controller makes of our schedules, in one story of three minutes.

All cases share the wait. The controller manager is down from before `late` until just after
`edge`, when the windows of some cases begin: what it makes up for must be one run at most, and
none that a window restricts. `last`, a minute after `edge`, is a tick with the controller up; its
Jobs show, too, that everything before them was dealt with.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from dev.cluster.command import wait_until
from dev.plane.resources import NAMESPACE, vendor_sync
from vendorsync_api.run import RUN_VARIABLE, RunSpec
from vendorsync_api.schedule import Timetable, hashed_offset
from vendorsync_job import gate
from vendorsync_job.errors import RestrictedWindowError
from vendorsync_operator.names import cron_job_name

CONTROLLER = "kube-controller-manager"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MINUTE = timedelta(minutes=1)
LEAD = timedelta(seconds=25)
"""What it takes, at most, until the resources of the story have their CronJobs."""
LONG_AGO = timedelta(days=3)
HALF = 30


def now() -> datetime:
    return datetime.now(UTC)


def named(offset: int) -> int:
    """The number of a resource whose name gives it that offset in half an hour."""
    names = ((number, f"organization-{number}") for number in count(100))
    return next(n for n, name in names if hashed_offset(NAMESPACE, name, HALF) == offset)


def hourly(moment: datetime) -> dict:
    """An hourly schedule with a tick at that moment."""
    return {"cron": f"{moment.minute} * * * *", "timeZone": "UTC", "restrictedWindows": []}


def hashed() -> dict:
    """The same every quarter of an hour, by the resource's own offset, in Kolkata."""
    schedule = {"intervalMinutes": HALF, "spread": "Hashed", "timeZone": "Asia/Kolkata"}
    return {**schedule, "restrictedWindows": []}


def restricted(schedule: dict, start: datetime) -> dict:
    """The schedule with a window of four hours from that moment."""
    zone = ZoneInfo(schedule["timeZone"])
    ends = {"start": start, "end": start + timedelta(hours=4)}
    window = {end: f"{moment.astimezone(zone):%H:%M}" for end, moment in ends.items()}
    return {**schedule, "restrictedWindows": [window]}


class Story:
    """The moments, the resources by the name of their case, and what was seen of them."""

    def __init__(self, plane) -> None:
        self.plane = plane
        soon = now() + LEAD
        self.late = soon.replace(second=0, microsecond=0) + MINUTE
        self.edge = self.late + MINUTE
        self.last = self.edge + MINUTE
        # Older than the starting deadline of half an hour, and long before the next tick.
        self.stale = self.late - 8 * MINUTE
        self.numbers: dict[str, int] = {}
        self.before: dict[str, dict] = {}
        self.jobs: list[dict] = []

    def create(self, case: str, schedule: dict, *, offset: int | None = None, **spec) -> None:
        number = len(self.numbers) if offset is None else named(offset)
        self.numbers[case] = number
        document = vendor_sync(number, vendors=1, schedule=schedule, **spec)
        self.plane.api.create("vendorsyncs", document)

    def edit(self, case: str, **spec) -> None:
        name = f"organization-{self.numbers[case]}"
        self.plane.api.patch("vendorsyncs", NAMESPACE, name, {"spec": spec})

    def forget(self, case: str) -> None:
        """Let the CronJob look as if its last run was days ago, so that all since was missed."""
        at = f"{now() - LONG_AGO:%Y-%m-%dT%H:%M:%SZ}"
        status = {"status": {"lastScheduleTime": at}}
        self.plane.api.patch("cronjobs", NAMESPACE, f"{self.cron_job(case)}/status", status)

    def cron_job(self, case: str) -> str:
        return cron_job_name(f"organization-{self.numbers[case]}", "v0", "plants")

    def jobs_of(self, case: str) -> list[dict]:
        """The Jobs of a case; those seen at the end of the story when it is over."""
        jobs = self.jobs or self.plane.api.list("jobs", NAMESPACE)
        owner = self.cron_job(case)
        return [job for job in jobs if job["metadata"]["ownerReferences"][0]["name"] == owner]

    def wait_for_job(self, case: str) -> None:
        wait_until(lambda: bool(self.jobs_of(case)), what=f"a Job of the case {case}")

    def wait_for(self, moment: datetime) -> None:
        wait_until(lambda: now() >= moment, what=f"{moment:%H:%M:%S}", seconds=150)


def is_let_through(job: dict) -> bool:
    """Whether the run's own gate lets it go on, were its pod to start with the Job."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    text = next(each["value"] for each in container["env"] if each["name"] == RUN_VARIABLE)
    schedule = RunSpec.model_validate_json(text).schedule
    created = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    started = gate.start(schedule, job["metadata"]["name"], "", created)
    assert started.tick == tick_of(job)
    try:
        gate.check(schedule, started, created)
    except RestrictedWindowError:
        return False
    return True


def tick_of(job: dict) -> datetime:
    """The minute that the controller gave the Job, which its name tells as well."""
    return datetime.fromisoformat(job["metadata"]["annotations"][SCHEDULED])


@pytest.fixture(scope="module")
def story(module_controlled_plane):
    plane = module_controlled_plane
    plane.clear()
    with plane.operator("ticks") as operator:
        operator.ready()
        told = Story(plane)
        _set_up(told)
        plane.settled()
        resources = plane.api.list("vendorsyncs")
        told.before = {each["metadata"]["name"]: each["status"] for each in resources}
        assert now() < told.late, "setting up took longer than LEAD"
        _miss_ticks(told)
        _come_back_inside_the_windows(told)
        told.wait_for(told.last)
        for case in ("cron", "hashed"):
            told.wait_for_job(case)
        told.jobs = plane.api.list("jobs", NAMESPACE)
    return told


def _set_up(story: Story) -> None:
    late, edge, last, stale = story.late, story.edge, story.last, story.stale
    story.create("cron", hourly(last))
    story.create("hashed", hashed(), offset=last.minute % HALF)
    story.create("missed", hourly(late))
    story.create("missed before the window", restricted(hourly(late), edge))
    story.create("missed long ago", hashed(), offset=stale.minute % HALF)
    story.create("rested", hourly(late), suspend=True)
    story.create("rested until the window", restricted(hourly(late), edge), suspend=True)
    story.create("rested since long ago", hourly(edge - 20 * MINUTE), suspend=True)
    other = restricted(hourly(edge + 30 * MINUTE), edge)
    story.create("edited inside the window", other)
    story.create("edited during the downtime", other)


def _miss_ticks(story: Story) -> None:
    story.plane.cluster.end(CONTROLLER)
    for case in story.numbers:
        if case.startswith(("missed", "rested", "edited")):
            story.forget(case)
    story.wait_for(story.edge)
    story.edit("edited during the downtime", schedule=hourly_again(story))
    story.plane.settled()


def _come_back_inside_the_windows(story: Story) -> None:
    story.plane.cluster.begin(CONTROLLER)
    story.wait_for_job("missed")
    for case in story.numbers:
        if case.startswith("rested"):
            story.edit(case, suspend=False)
    story.edit("edited inside the window", schedule=hourly_again(story))
    story.plane.settled()


def hourly_again(story: Story) -> dict:
    """A schedule whose tick was missed a minute ago, before the window that holds now."""
    return restricted(hourly(story.late), story.edge)


@pytest.mark.requirement("R15")
@pytest.mark.requirement("C03")
@pytest.mark.parametrize("case", ["cron", "hashed"])
def test_a_run_starts_in_the_minute_that_the_status_told(story, case):
    (job,) = story.jobs_of(case)
    told = story.before[f"organization-{story.numbers[case]}"]["nextScheduleTime"]

    assert tick_of(job) == datetime.fromisoformat(told) == story.last
    minutes = int(story.last.timestamp()) // 60
    assert job["metadata"]["name"] == f"{story.cron_job(case)}-{minutes}"
    assert is_let_through(job)


@pytest.mark.requirement("R15")
def test_the_hashed_run_is_the_timetables_next_one(story):
    (job,) = story.jobs_of("hashed")
    offset = hashed_offset(NAMESPACE, f"organization-{story.numbers['hashed']}", HALF)
    timetable = Timetable("Asia/Kolkata", HALF, offset=offset)

    assert tick_of(job) == timetable.next_run(story.late)


@pytest.mark.promise("P6")
@pytest.mark.fault("K4")
def test_after_days_of_downtime_one_run_is_made_up(story):
    (job,) = story.jobs_of("missed")

    assert tick_of(job) == story.late
    assert is_let_through(job)


@pytest.mark.promise("P5")
@pytest.mark.requirement("R17")
@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    "case",
    [
        "missed before the window",
        "rested until the window",
        "edited inside the window",
        "edited during the downtime",
    ],
)
def test_inside_a_window_no_made_up_run_gets_past_the_gate(story, case):
    jobs = story.jobs_of(case)

    assert len(jobs) <= 1
    assert not any(map(is_let_through, jobs))


@pytest.mark.promise("P5")
@pytest.mark.promise("P6")
@pytest.mark.fault("K4")
@pytest.mark.parametrize("case", ["missed long ago", "rested since long ago"])
def test_a_tick_older_than_the_starting_deadline_is_not_made_up(story, case):
    assert story.jobs_of(case) == []


@pytest.mark.promise("P6")
@pytest.mark.requirement("R14")
def test_after_a_long_suspension_one_run_is_made_up_in_allowed_hours(story):
    (job,) = story.jobs_of("rested")

    assert tick_of(job) == story.late
    assert is_let_through(job)
