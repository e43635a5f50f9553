"""Time against a walk over every minute of a leap year in ten zones, written for this test alone.

The walk knows nothing of cron: each minute has a wall clock, and is a tick when the interval says
so and no window holds it. All zones change their clocks, if at all, by whole hours by night.
"""

from array import array
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import compress, islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vendorsync_api.schedule import INTERVALS, Cron, ScheduleError, Timetable, Window, hashed_offset

ZONES = (
    "Asia/Kolkata",
    "UTC",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "Africa/Casablanca",
    "Australia/Adelaide",
    "Pacific/Auckland",
)
YEAR = datetime(2028, 1, 1, tzinfo=UTC)
MINUTES = 366 * 24 * 60
WEEK = 7 * 24 * 60


@cache
def wall_clock(name: str) -> array:
    """The minute of the week, from Sunday 00:00, that each minute of the year shows."""
    where = ZoneInfo(name)
    shown = array("H")
    for quarter in range(0, MINUTES, 15):
        local = (YEAR + timedelta(minutes=quarter)).astimezone(where)
        first = (local.weekday() + 1) % 7 * 1440 + local.hour * 60 + local.minute
        shown.extend((first + minute) % WEEK for minute in range(15))
    return shown


def open_week(interval: int, offset: int, windows: tuple[Window, ...]) -> bytes:
    """For each minute of the week, 1 when it is a tick outside every window."""
    week = bytearray(minute % 1440 % interval == offset for minute in range(WEEK))
    for window in windows:
        length = (window.end - window.start) % 1440
        for day in window.days or range(7):
            for minute in range(length):
                week[(day * 1440 + window.start + minute) % WEEK] = 0
    return bytes(week)


def walk(name: str, week: bytes, first: int = 0, last: int = MINUTES) -> list[datetime]:
    """The ticks among the minutes of the year from `first` until before `last`."""
    shown = wall_clock(name)[first:last]
    found = compress(range(first, last), map(week.__getitem__, shown))
    return [YEAR + timedelta(minutes=minute) for minute in found]


WINDOWS = st.lists(
    st.builds(
        lambda start, length, days: Window(start, (start + length) % 1440, days),
        st.integers(0, 1439),
        st.integers(1, 1439) | st.sampled_from([60, 240, 660, 1439]),
        st.frozensets(st.integers(0, 6), max_size=4),
    ),
    max_size=4,
).map(tuple)


@st.composite
def timetables(draw, intervals=INTERVALS):
    interval = draw(st.sampled_from(intervals))
    windows = draw(WINDOWS)
    hashed = st.text(min_size=1, max_size=20).map(
        lambda name: hashed_offset("solar", name, interval, windows)
    )
    offset = draw(st.just(0) | hashed | st.integers(0, interval - 1))
    return Timetable(draw(st.sampled_from(ZONES)), interval, None, windows, offset)


def week_of(timetable: Timetable) -> bytes:
    return open_week(timetable.shortest_gap, timetable.offset, timetable.windows)


@pytest.mark.requirement("R15")
@pytest.mark.requirement("R16")
@pytest.mark.promise("P5")
@given(timetables(), st.integers(0, MINUTES - 1))
def test_a_week_of_runs_equals_the_walk(timetable, start):
    end = min(start + WEEK, MINUTES)
    walked = walk(timetable.time_zone, week_of(timetable), start + 1, end)

    runs = timetable.upcoming(YEAR + timedelta(minutes=start))

    assert list(takewhile(lambda run: run < YEAR + timedelta(minutes=end), runs)) == walked


@pytest.mark.slow
@pytest.mark.requirement("R15")
@pytest.mark.requirement("R16")
@pytest.mark.promise("P5")
@pytest.mark.parametrize("interval", INTERVALS)
def test_a_whole_year_of_runs_equals_the_walk(interval):
    # The shorter the interval, the more there is to walk: at 1440 it is 366 ticks a year.
    @settings(max_examples=min(2 + interval // 60, 8), phases=[Phase.generate])
    @given(timetables([interval]))
    def check(timetable):
        walked = walk(timetable.time_zone, week_of(timetable), first=1)
        assert list(islice(timetable.upcoming(YEAR), len(walked))) == walked

    check()


@pytest.mark.slow
@pytest.mark.requirement("R15")
@pytest.mark.requirement("R16")
@pytest.mark.fault("K4")
@pytest.mark.parametrize("name", ZONES)
def test_the_usual_schedule_equals_the_walk_over_a_year_in_every_zone(name):
    timetable = Timetable(name, interval=15, windows=(Window(19 * 60, 6 * 60),))
    walked = walk(name, week_of(timetable), first=1)

    assert list(islice(timetable.upcoming(YEAR), len(walked))) == walked


@pytest.mark.requirement("R17")
@given(timetables())
def test_the_expression_is_the_smallest_product_that_holds_every_run(timetable):
    ticks = [minute for minute, is_open in enumerate(week_of(timetable)) if is_open]
    if not ticks:
        assert timetable.never_runs
        with pytest.raises(ScheduleError, match="cover every tick"):
            _ = timetable.expression
        return

    rendered = Cron.parse(timetable.expression)

    assert rendered.days_of_week == {minute // 1440 for minute in ticks}
    assert rendered.hours == {minute % 1440 // 60 for minute in ticks}
    assert rendered.minutes == {minute % 60 for minute in ticks}
    assert rendered.any_day_of_month


@pytest.mark.requirement("R17")
@given(timetables())
def test_an_expression_is_called_exact_when_it_fires_at_nothing_but_runs(timetable):
    week = week_of(timetable)
    if not any(week):
        return
    rendered = Cron.parse(timetable.expression)

    fired = {
        day * 1440 + hour * 60 + minute
        for day in rendered.days_of_week
        for hour in rendered.hours
        for minute in rendered.minutes
    }

    assert timetable.is_exact is all(week[minute] for minute in fired)


@pytest.mark.requirement("R16")
@given(
    st.sampled_from(ZONES),
    WINDOWS,
    st.lists(st.integers(0, MINUTES - 1), min_size=1, max_size=50),
    st.integers(0, 59),
)
def test_a_moment_is_restricted_when_the_walk_finds_it_in_a_window(name, windows, minutes, second):
    timetable = Timetable(name, interval=60, windows=windows)
    free = open_week(1, 0, windows)

    for minute in minutes:
        moment = YEAR + timedelta(minutes=minute, seconds=second)
        assert timetable.is_restricted(moment) is not bool(free[wall_clock(name)[minute]])


@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        pytest.param("Europe/Berlin", "2028-03-26", 23, id="spring"),
        pytest.param("Europe/Berlin", "2028-10-29", 25, id="autumn"),
        pytest.param("America/New_York", "2028-03-12", 23, id="spring in the west"),
        pytest.param("Pacific/Auckland", "2028-04-02", 25, id="autumn in the south"),
        pytest.param("Asia/Kolkata", "2028-02-29", 24, id="29 February"),
    ],
)
def test_a_day_that_changes_the_clock_has_a_run_for_each_hour_that_passes(name, day, hours):
    where = ZoneInfo(name)
    start = datetime.fromisoformat(day).replace(tzinfo=where)
    midnight = (start + timedelta(days=1)).astimezone(UTC)
    runs = Timetable(name, interval=60).upcoming(start.astimezone(UTC) - timedelta(seconds=1))

    assert len(list(takewhile(lambda run: run < midnight, runs))) == hours


@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    ("day", "first"),
    [
        pytest.param("2028-03-26", "2028-03-26T04:00+02:00", id="spring"),
        pytest.param("2028-10-29", "2028-10-29T04:00+01:00", id="autumn"),
    ],
)
def test_a_window_over_the_clock_change_ends_by_the_wall_clock(day, first):
    timetable = Timetable("Europe/Berlin", interval=20, windows=(Window(23 * 60, 4 * 60),))
    midnight = datetime.fromisoformat(day).replace(tzinfo=timetable.zone)

    assert timetable.next_run(midnight) == datetime.fromisoformat(first)


@pytest.mark.fault("K4")
def test_a_window_that_starts_when_it_ends_is_refused_with_what_to_do():
    with pytest.raises(ScheduleError, match=r"starts and ends at 19:00; make it end later"):
        Window(19 * 60, 19 * 60)


@pytest.mark.fault("K4")
@pytest.mark.parametrize("interval", [45, 90])
def test_an_interval_that_drifts_at_midnight_is_refused_with_those_that_do_not(interval):
    with pytest.raises(ScheduleError, match=rf"{interval} is not one .* 30, 60, 120"):
        Timetable("Asia/Kolkata", interval=interval)


@pytest.mark.fault("K4")
@pytest.mark.parametrize("offset", [-1, 15, 60])
def test_an_offset_outside_the_interval_is_refused(offset):
    with pytest.raises(ScheduleError, match=rf"offset {offset} .* 0 to 14"):
        Timetable("Asia/Kolkata", interval=15, offset=offset)


@pytest.mark.fault("K4")
@pytest.mark.promise("P6")
@pytest.mark.parametrize("interval", INTERVALS)
def test_a_trigger_may_be_late_by_less_than_the_gap_so_one_run_at_most_is_made_up(interval):
    # The CronJob controller starts the last tick that is younger than the starting deadline.
    deadline = Timetable("Asia/Kolkata", interval=interval).starting_deadline_seconds

    assert 60 <= deadline <= interval * 60 // 4
