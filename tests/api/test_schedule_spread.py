"""How evenly a hash of the name spreads organizations over their interval, as a simulation."""

from collections import Counter
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.windows import WINDOWS
from vendorsync_api.schedule import DAY, INTERVALS, Timetable, Window, hashed_offset

ORGANIZATIONS = 1_000
DRAWS = 101
NIGHT = Window(19 * 60, 6 * 60)


def busiest_share(draw: int, interval: int) -> float:
    """Runs in the busiest minute of the interval over the mean, of one set of names."""
    slots = Counter(
        hashed_offset("solar", f"organization-{draw}-{number}", interval)
        for number in range(ORGANIZATIONS)
    )
    return max(slots.values()) * interval / ORGANIZATIONS


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("interval", "most"),
    [
        pytest.param(15, 1.4, id="the promise"),
        # A fair die does no better than this with fewer organizations to a slot.
        pytest.param(30, 1.5, id="30 minutes"),
        pytest.param(60, 1.8, id="an hour"),
    ],
)
def test_the_busiest_minute_of_a_thousand_organizations_is_near_the_mean(interval, most):
    shares = [busiest_share(draw, interval) for draw in range(DRAWS)]

    assert median(shares) <= most


@pytest.mark.promise("P8")
def test_plainly_numbered_organizations_spread_as_evenly():
    slots = Counter(hashed_offset("solar", f"organization-{n}", 15) for n in range(ORGANIZATIONS))

    assert max(slots.values()) <= 1.4 * ORGANIZATIONS / 15


@pytest.mark.promise("P8")
def test_a_daily_run_may_fall_on_every_minute_of_the_day():
    found = {hashed_offset("solar", f"organization-{n}", DAY) for n in range(20_000)}

    assert found == set(range(DAY))


@pytest.mark.promise("P8")
def test_the_minute_tells_nothing_of_the_hour():
    # Taken from one number, minute and hour would share their remainders: 120 slots of 1,440.
    offsets = [hashed_offset("solar", f"organization-{n}", DAY) for n in range(20_000)]

    pairs = Counter((offset // 60 % 12, offset % 60 % 12) for offset in offsets)

    mean = len(offsets) / 144
    assert len(pairs) == 144
    assert max(pairs.values()) < 1.4 * mean
    assert min(pairs.values()) > 0.6 * mean


@given(
    st.sampled_from(INTERVALS),
    st.text(min_size=1, max_size=20),
    WINDOWS,
    st.integers(0, 50),
)
def test_an_offset_is_less_than_the_interval_and_keeps_a_run_if_any_can(
    interval, name, windows, place
):
    offset = hashed_offset("solar", name, interval, windows, place)

    assert 0 <= offset < interval
    others = (
        Timetable("UTC", interval=interval, windows=windows, offset=other)
        for other in range(interval)
    )
    moved = Timetable("UTC", interval=interval, windows=windows, offset=offset)
    assert not moved.never_runs or all(other.never_runs for other in others)


@pytest.mark.promise("P8")
@given(
    st.sampled_from(INTERVALS), st.text(min_size=1, max_size=20), st.sampled_from([(), (NIGHT,)])
)
def test_vendors_of_one_kind_never_share_a_minute_while_there_are_enough(interval, name, windows):
    free = [
        offset
        for offset in range(interval)
        if not Timetable("UTC", interval=interval, windows=windows, offset=offset).never_runs
    ]
    places = range(min(len(free), 20))

    offsets = {hashed_offset("solar", name, interval, windows, place) for place in places}

    assert len(offsets) == len(places)
    assert offsets <= set(free)


def test_a_namespace_and_a_name_are_told_apart():
    offsets = {hashed_offset(namespace, "same", DAY) for namespace in ("a", "b", "c", "d")}

    assert len(offsets) == 4


def test_an_offset_stays_what_it_was_in_earlier_releases():
    found = [hashed_offset("solar", f"organization-{n}", DAY) for n in range(5)]

    assert found == [740, 886, 1208, 319, 175]
