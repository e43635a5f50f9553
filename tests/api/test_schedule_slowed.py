"""A timetable made slower after repeated failure: fewer of the same runs, never others."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.windows import WINDOWS
from vendorsync_api.schedule import DAY, INTERVALS, Timetable, Window

NIGHT = Window(19 * 60, 6 * 60)
START = datetime(2026, 2, 1, tzinfo=UTC)


def _values(low: int, high: int) -> st.SearchStrategy[str]:
    some = st.sets(st.integers(low, high), min_size=1, max_size=8)
    return some.map(lambda values: ",".join(map(str, sorted(values)))) | st.just(f"{low}-{high}/4")


STAR = st.just("*")
CRONS = st.tuples(
    _values(0, 59), _values(0, 23), STAR | _values(1, 28), STAR, STAR | _values(0, 6)
).map(" ".join)
TIMETABLES = st.one_of(
    st.sampled_from(INTERVALS).flatmap(
        lambda interval: st.builds(
            Timetable,
            st.just("Asia/Kolkata"),
            interval=st.just(interval),
            windows=WINDOWS,
            offset=st.integers(0, interval - 1),
        )
    ),
    st.builds(Timetable, st.just("Asia/Kolkata"), cron=CRONS, windows=WINDOWS),
).filter(lambda timetable: not timetable.never_runs)
WISHES = st.sampled_from(INTERVALS) | st.integers(1, 2 * DAY)


def runs(timetable: Timetable, days: int) -> set[datetime]:
    end = START + timedelta(days=days)
    return set(takewhile(lambda run: run < end, timetable.upcoming(START)))


@given(TIMETABLES, WISHES)
def test_every_run_of_a_slowed_timetable_is_one_of_the_usual_ones(timetable, minutes):
    assert runs(timetable.slowed(minutes), 8) <= runs(timetable, 8)


@given(TIMETABLES, WISHES)
def test_each_day_that_had_a_run_keeps_one(timetable, minutes):
    def days(of: Timetable) -> set[date]:
        return {run.astimezone(of.zone).date() for run in runs(of, 8)}

    # The first and the last day are cut where UTC begins its days, and may have lost theirs.
    ends = {START.date(), (START + timedelta(days=8)).date()}
    assert days(timetable.slowed(minutes)) - ends == days(timetable) - ends


@given(
    st.sampled_from(INTERVALS).flatmap(
        lambda interval: st.tuples(st.just(interval), st.integers(0, interval - 1))
    ),
    st.integers(1, DAY),
)
def test_without_windows_the_gaps_are_as_long_as_wished(interval_and_offset, minutes):
    interval, offset = interval_and_offset
    slowed = Timetable("Asia/Kolkata", interval=interval, offset=offset).slowed(minutes)

    found = list(islice(slowed.upcoming(START), 20))
    assert all(later - earlier >= timedelta(minutes=minutes) for earlier, later in pairwise(found))
    assert slowed.offset == offset


@given(CRONS, st.integers(1, DAY))
def test_without_windows_cron_thins_to_the_wished_gaps(cron, minutes):
    slowed = Timetable("Asia/Kolkata", cron=cron).slowed(minutes)

    found = list(islice(slowed.upcoming(START), 30))
    assert all(later - earlier >= timedelta(minutes=minutes) for earlier, later in pairwise(found))


@given(TIMETABLES, WISHES, WISHES)
def test_slowing_never_makes_the_gaps_shorter(timetable, minutes, more):
    slowed = timetable.slowed(minutes)

    assert slowed.shortest_gap >= timetable.shortest_gap
    assert slowed.slowed(min(minutes, more)).shortest_gap >= slowed.shortest_gap


@given(TIMETABLES, WISHES)
def test_a_slowed_run_may_last_as_long_as_a_usual_one(timetable, minutes):
    slowed = timetable.slowed(minutes)

    assert slowed.deadline_seconds == timetable.deadline_seconds
    assert slowed.slowed(2 * minutes).deadline_seconds == timetable.deadline_seconds
    assert slowed.starting_deadline_seconds >= timetable.starting_deadline_seconds


@given(TIMETABLES)
def test_a_timetable_that_is_slow_enough_stays_itself(timetable):
    assert timetable.slowed(timetable.shortest_gap) is timetable


@pytest.mark.parametrize(
    ("timetable", "minutes", "expression"),
    [
        pytest.param(
            Timetable("Asia/Kolkata", interval=15, windows=(NIGHT,)),
            60,
            "0 6-18 * * *",
            id="an hour",
        ),
        pytest.param(
            Timetable("Asia/Kolkata", interval=15, windows=(NIGHT,), offset=7),
            45,
            "7 6-18 * * *",
            id="the next longer interval at the same offset",
        ),
        pytest.param(
            Timetable("Asia/Kolkata", interval=15, windows=(NIGHT,)),
            1440,
            "0 12 * * *",
            id="a day would be midnight, inside the window",
        ),
        pytest.param(
            Timetable("UTC", interval=15, windows=(Window(0, 11 * 60), Window(12 * 60, 23 * 60))),
            240,
            "0 11-23/12 * * *",
            id="no even hour is allowed",
        ),
        pytest.param(
            Timetable("UTC", cron="5,20,50 8-18 * * Mon-Fri"), 60, "5 8-18 * * Mon-Fri", id="minute"
        ),
        pytest.param(Timetable("UTC", cron="*/20 * * * *"), 40, "0 * * * *", id="two of three"),
        pytest.param(
            Timetable("UTC", cron="*/20 * 13 * Fri"), 360, "0 */6 13 * Fri", id="days stay"
        ),
        pytest.param(
            Timetable("UTC", cron="0,30 * * * *", windows=(Window(0, 21 * 60 + 30),)),
            720,
            "30 21 * * *",
            id="the first hour's minute that is allowed",
        ),
        pytest.param(Timetable("UTC", cron="0 3 * * Mon"), 2880, "0 3 * * Mon", id="weekly"),
    ],
)
def test_what_people_meet_when_a_vendor_is_slowed(timetable, minutes, expression):
    assert timetable.slowed(minutes).expression == expression


def test_each_weekday_keeps_its_run_though_their_windows_differ():
    mornings = Window(0, 12 * 60, frozenset({1}))
    evenings = Window(12 * 60, 23 * 60 + 59, frozenset({2}))
    timetable = Timetable("UTC", interval=60, windows=(mornings, evenings))

    slowed = timetable.slowed(DAY)

    assert slowed.interval == 720
    assert {run.isoweekday() for run in runs(slowed, 8)} == set(range(1, 8))
