"""Time: intervals, windows, cron and clock changes, as pure functions."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_api.schedule import (
    DAY,
    INTERVALS,
    Cron,
    ScheduleError,
    Timetable,
    Window,
    hashed_offset,
    minute_of_day,
)

IST = ZoneInfo("Asia/Kolkata")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
NIGHT = Window(19 * 60, 6 * 60)
ZONES = ("Asia/Kolkata", "UTC", "Europe/Berlin", "America/New_York")


def ist(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def ticks_of(timetable: Timetable, start: datetime, count: int) -> list[str]:
    runs = timetable.upcoming(start)
    return [f"{next(runs).astimezone(timetable.zone):%a %H:%M}" for _ in range(count)]


@pytest.mark.requirement("R16")
@pytest.mark.parametrize(
    ("moment", "restricted"),
    [
        pytest.param("2026-02-02T18:59:59", False, id="a second before the window"),
        pytest.param("2026-02-02T19:00:00", True, id="its first minute"),
        pytest.param("2026-02-02T23:59:00", True, id="before midnight"),
        pytest.param("2026-02-03T00:00:00", True, id="midnight"),
        pytest.param("2026-02-03T05:59:59", True, id="its last second"),
        pytest.param("2026-02-03T06:00:00", False, id="the end belongs to the day"),
    ],
)
def test_a_window_across_midnight_is_half_open(moment, restricted):
    timetable = Timetable("Asia/Kolkata", interval=15, windows=(NIGHT,))

    assert timetable.is_restricted(ist(moment)) is restricted


@pytest.mark.fault("K4")
def test_a_window_of_named_days_crosses_midnight_into_the_next_day():
    timetable = Timetable(
        "Asia/Kolkata", interval=60, windows=(Window(22 * 60, 2 * 60, frozenset({5})),)
    )

    assert timetable.is_restricted(ist("2026-02-06T22:00"))  # a Friday
    assert timetable.is_restricted(ist("2026-02-07T01:59"))
    assert not timetable.is_restricted(ist("2026-02-06T01:00"))
    assert not timetable.is_restricted(ist("2026-02-07T22:00"))


def test_a_window_that_starts_when_it_ends_is_refused():
    with pytest.raises(ScheduleError, match=r"starts and ends at 06:00"):
        Window(360, 360)


@pytest.mark.requirement("R15")
@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_ticks_evenly_from_local_midnight(interval):
    timetable = Timetable("Asia/Kolkata", interval=interval)
    runs = timetable.upcoming(ist("2026-02-01T23:59"))

    found = [next(runs) for _ in range(2 * DAY // interval + 1)]

    assert found[0] == ist("2026-02-02T00:00")
    gaps = {later - earlier for earlier, later in pairwise(found)}
    assert gaps == {timedelta(minutes=interval)}
    assert timetable.is_exact


@pytest.mark.requirement("R15")
def test_the_usual_schedule_is_one_exact_expression():
    timetable = Timetable("Asia/Kolkata", interval=15, windows=(NIGHT,))

    assert timetable.expression == "*/15 6-18 * * *"
    assert timetable.is_exact
    assert ticks_of(timetable, ist("2026-02-02T18:44"), 3) == [
        "Mon 18:45",
        "Tue 06:00",
        "Tue 06:15",
    ]


@pytest.mark.requirement("R17")
def test_what_cron_cannot_say_becomes_the_smallest_superset():
    timetable = Timetable("Asia/Kolkata", interval=15, windows=(Window(19 * 60, 6 * 60 + 30),))

    assert timetable.expression == "*/15 6-18 * * *"
    assert not timetable.is_exact
    assert ticks_of(timetable, ist("2026-02-02T18:44"), 2) == ["Mon 18:45", "Tue 06:30"]


@pytest.mark.parametrize("interval", [1, 7, 45, 90, 1439])
def test_an_interval_that_does_not_tile_is_refused(interval):
    with pytest.raises(ScheduleError, match=rf"{interval} is not one that a CronJob can keep"):
        Timetable("Asia/Kolkata", interval=interval)


@pytest.mark.fault("K4")
def test_an_unknown_zone_is_refused_by_name():
    with pytest.raises(ScheduleError, match=r"Mars/Olympus"):
        Timetable("Mars/Olympus", interval=15)


def test_windows_over_every_tick_leave_nothing_to_run():
    timetable = Timetable("Asia/Kolkata", interval=1440, windows=(NIGHT,))

    assert timetable.never_runs
    assert timetable.next_run(ist("2026-02-02T12:00")) is None
    with pytest.raises(ScheduleError, match="cover every tick"):
        _ = timetable.expression


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("* * * *", "4 fields"),
        ("60 * * * *", "minute '60'"),
        ("*/0 * * * *", "minute '0'"),
        ("5-1 * * * *", "ends before it starts"),
        ("* * * * 7", "day of week '7'"),
        ("* * 0 * *", "day of month '0'"),
        ("a * * * *", "minute 'a'"),
        ("* * * Foo *", "month 'Foo'"),
    ],
)
def test_a_bad_cron_expression_names_its_field(expression, fault):
    with pytest.raises(ScheduleError, match=fault):
        Cron.parse(expression)


def test_cron_names_lists_steps_and_ranges_are_understood():
    cron = Cron.parse("0,30 8-18/2 * Jan,dec Mon-Fri")

    assert cron.minutes == {0, 30}
    assert cron.hours == {8, 10, 12, 14, 16, 18}
    assert cron.months == {1, 12}
    assert cron.days_of_week == {1, 2, 3, 4, 5}


def test_two_restricted_day_fields_match_when_either_does():
    ticks = Cron.parse("0 12 13 * Fri").ticks(ZoneInfo("UTC"), datetime(2026, 2, 1, tzinfo=UTC))

    assert [next(ticks).day for _ in range(4)] == [6, 13, 20, 27]


@pytest.mark.parametrize(
    ("expression", "either"),
    [
        ("0 0 13 * Fri", True),
        ("0 0 */2 * Mon", True),
        ("0 0 1,* * Mon", False),
        ("0 0 */1 * Mon", False),
        ("0 0 */01 * Mon", False),
        ("0 0 ? * Mon", False),
        ("0 0 13 * *", False),
        ("0 0 13 * */2", True),
    ],
)
def test_a_star_with_a_step_restricts_as_robfig_cron_has_it(expression, either):
    assert Cron.parse(expression).either_day is either


def test_a_window_on_a_weekday_leaves_a_stepped_day_of_month_alone():
    timetable = Timetable("UTC", cron="0 12 */2 * *", windows=(Window(0, DAY - 1, frozenset({0})),))

    assert timetable.expression == "0 12 */2 * *"
    assert not timetable.is_exact


def test_a_window_never_turns_and_into_or():
    timetable = Timetable(
        "UTC", cron="0 12 13 * *", windows=(Window(11 * 60, 13 * 60, frozenset({5})),)
    )

    assert timetable.expression == "0 12 13 * *"
    assert not timetable.is_exact
    first = timetable.next_run(datetime(2026, 2, 1, tzinfo=UTC))
    assert first == datetime(2026, 4, 13, 12, tzinfo=UTC)  # 13 February and March are Fridays


@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    ("day", "count"),
    [
        pytest.param("2026-03-29", 0, id="skipped in spring"),
        pytest.param("2026-10-25", 2, id="twice in autumn"),
        pytest.param("2026-10-26", 1, id="once on other days"),
    ],
)
def test_clock_changes_follow_the_wall_clock(day, count):
    zone = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(day).replace(tzinfo=zone)

    found = [
        tick
        for tick, _ in zip(Cron.parse("30 2 * * *").ticks(zone, start), range(3), strict=False)
        if tick.astimezone(zone).date() == start.date()
    ]

    assert len(found) == count


@given(
    zone=st.sampled_from(ZONES),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    hour=st.integers(0, 23),
    start=st.integers(0, 334 * DAY).map(lambda n: NEW_YEAR + timedelta(minutes=n)),
)
def test_ticks_of_some_days_equal_a_walk_over_every_minute(zone, days, hour, start):
    where = ZoneInfo(zone)
    cron = Cron.parse(f"7,37 {hour} * * {','.join(map(str, days))}")

    walked = []
    for minute in range(1, 9 * DAY):
        moment = start + timedelta(minutes=minute)
        local = moment.astimezone(where)
        on = local.isoweekday() % 7 in days and local.hour == hour and local.minute in (7, 37)
        walked += [moment] * on

    found = cron.ticks(where, start)
    assert [next(found) for _ in walked] == walked


@pytest.mark.fault("K4")
def test_29_february_is_found_four_years_ahead():
    timetable = Timetable("Asia/Kolkata", cron="0 9 29 2 *")

    assert timetable.next_run(ist("2024-03-01T00:00")) == ist("2028-02-29T09:00")


@given(st.sampled_from(INTERVALS), st.text(min_size=1, max_size=30))
def test_a_hashed_offset_stays_inside_the_interval_and_keeps_the_count(interval, name):
    offset = hashed_offset("solar", name, interval)

    assert 0 <= offset < interval
    timetable = Timetable("Asia/Kolkata", interval=interval, offset=offset)
    assert timetable.ticks_per_day == DAY // interval
    assert timetable.is_exact


@given(st.text(min_size=1, max_size=30))
def test_a_daily_offset_keeps_out_of_the_restricted_hours(name):
    offset = hashed_offset("solar", name, 1440, (NIGHT,))

    assert 6 * 60 <= offset < 19 * 60
    timetable = Timetable("Asia/Kolkata", interval=1440, windows=(NIGHT,), offset=offset)
    assert not timetable.never_runs


def test_hashed_offsets_use_every_slot_of_two_hours():
    offsets = {hashed_offset("solar", f"organization-{n}", 120) for n in range(3000)}

    assert offsets == set(range(120))


@pytest.mark.parametrize(
    "text", ["19", "1:00", "24:00", "12:60", "ab:cd", "19:0", "\u0661\u0669:00", ""]
)
def test_a_time_of_day_is_two_digits_each(text):
    with pytest.raises(ScheduleError, match=r"19:00|23:59"):
        minute_of_day(text)


@pytest.mark.parametrize(
    ("interval", "starting", "deadline"), [(5, 75, 240), (15, 225, 600), (1440, 3600, 600)]
)
def test_deadlines_follow_the_interval(interval, starting, deadline):
    timetable = Timetable("Asia/Kolkata", interval=interval)

    assert timetable.starting_deadline_seconds == starting
    assert timetable.deadline_seconds == deadline


def test_a_run_of_every_minute_may_start_a_minute_late_and_last_one():
    timetable = Timetable("Asia/Kolkata", cron="* * * * *")

    assert (timetable.starting_deadline_seconds, timetable.deadline_seconds) == (60, 60)


def test_the_gap_of_a_cron_expression_is_that_of_the_runs_no_window_takes():
    lunch = Window(12 * 60 + 1, 13 * 60)

    assert Timetable("UTC", cron="0,5 12 * * *").shortest_gap == 5
    assert Timetable("UTC", cron="0,5 12 * * *", windows=(lunch,)).shortest_gap == DAY
    assert Timetable("UTC", cron="0 12 * * Mon,Thu").shortest_gap == 3 * DAY
    # From Saturday 23:00 to Sunday 00:00.
    assert Timetable("UTC", cron="0 0,23 * * Sat,Sun").shortest_gap == 60
