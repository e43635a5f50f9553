"""Time against the CronJob controller's own cron module, asked through a small Go program."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.oracle import OracleError, oracle
from tests.api.windows import WINDOWS
from vendorsync_api.schedule import (
    DAYS,
    INTERVALS,
    MONTHS,
    Cron,
    ScheduleError,
    Timetable,
    zone,
)

pytestmark = pytest.mark.slow

ZONES = (
    "Asia/Kolkata",
    "UTC",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",  # minus 3:30, with summer time
    "America/Havana",  # no midnight in spring, two in autumn
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",  # clocks change around Ramadan
    "Atlantic/Azores",
    "Antarctica/Troll",  # clocks change by two hours
    "Australia/Adelaide",
    "Australia/Lord_Howe",  # clocks change by half an hour
    "Pacific/Auckland",
)
"""Not among them: Pacific/Chatham, the one known difference."""
AT_MIDNIGHT_OR_BY_HALVES = {
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Cairo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
}
"""Where robfig's ticks on a day that changes the clock depend on how the expression is spelled."""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 3 * 366 * 24


@cache
def changes(name: str) -> list[datetime]:
    """The hours in which the zone's clock changes, within three years."""
    where = ZoneInfo(name)
    hours = [FIRST + timedelta(hours=hour) for hour in range(HOURS)]
    offsets = [hour.astimezone(where).utcoffset() for hour in hours]
    return [hours[n] for n in range(1, HOURS) if offsets[n] != offsets[n - 1]] or [FIRST]


@st.composite
def places(draw, names=ZONES):
    """A zone and a second, as often as not shortly before the clock changes."""
    name = draw(st.sampled_from(names))
    anywhere = st.integers(0, HOURS * 3600).map(lambda second: FIRST + timedelta(seconds=second))
    before = st.builds(
        lambda change, seconds: change - timedelta(seconds=seconds),
        st.sampled_from(changes(name)),
        st.integers(-3600, 4 * 24 * 3600),
    )
    return name, draw(before | anywhere)


@st.composite
def fields(draw, low: int, high: int, names: tuple[str, ...] = ()):
    """One field: a list of stars, values, ranges, each with a step or without."""
    spell = {low + index: name for index, name in enumerate(names)}

    def value(number: int) -> str:
        return draw(st.sampled_from([str(number), spell[number]])) if names else str(number)

    parts = []
    for _ in range(draw(st.integers(1, 3))):
        first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
        span = draw(st.sampled_from(["*", "?", value(first), f"{value(first)}-{value(last)}"]))
        step = draw(st.sampled_from(["", "", "/1", "/2", f"/{draw(st.integers(1, high))}"]))
        parts.append(span + step)
    return ",".join(parts)


EXPRESSIONS = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(["*", "0", "30", "*/15", "7,37", "59"]) | fields(0, 59),
        st.sampled_from(["*", "0", "1", "2", "0-3", "22-23,0", "*/2"]) | fields(0, 23),
        st.just("*") | fields(1, 31),
        st.just("*") | fields(1, 12, MONTHS),
        st.just("*") | fields(0, 6, DAYS),
    ),
)


@pytest.fixture(scope="module")
def controller():
    with oracle() as running:
        yield running


@pytest.mark.fault("K4")
@settings(max_examples=1000)
@given(EXPRESSIONS, places())
def test_every_expression_ticks_when_the_controller_says(controller, expression, place):
    name, after = place
    found = list(islice(Cron.parse(expression).ticks(ZoneInfo(name), after), 20))

    fired = controller.times(name, expression, after, 20)
    # Both give up after years without a tick; the controller counts them from each tick anew.
    assert found == fired[: len(found)]
    assert len(found) == 20 or bool(found) == bool(fired)


@pytest.mark.requirement("R15")
@pytest.mark.requirement("R16")
@settings(max_examples=300)
@given(
    place=places(),
    interval=st.sampled_from(INTERVALS),
    share=st.floats(0, 1, exclude_max=True),
    windows=WINDOWS,
)
def test_upcoming_runs_are_the_controllers_ticks_outside_the_windows(
    controller, place, interval, share, windows
):
    name, after = place
    timetable = Timetable(name, interval, None, windows, int(interval * share))
    if timetable.never_runs:
        return
    fired = controller.times(name, timetable.expression, after, 100)

    wanted = [tick for tick in fired if not timetable.is_restricted(tick)]

    assert list(islice(timetable.upcoming(after), len(wanted))) == wanted


@settings(max_examples=300)
@given(
    expression=EXPRESSIONS,
    place=places([name for name in ZONES if name not in AT_MIDNIGHT_OR_BY_HALVES]),
    windows=WINDOWS,
)
def test_a_cron_expression_under_windows_keeps_its_ticks_outside_them(
    controller, expression, place, windows
):
    name, after = place
    timetable = Timetable(name, cron=expression, windows=windows)
    if timetable.never_runs:
        return

    fired = controller.times(name, timetable.expression, after, 100)
    usual = controller.times(name, expression, after, 100)
    end = min(fired[-1:] + usual[-1:], default=after)

    assert {tick for tick in fired if tick <= end} <= set(usual)
    assert [tick for tick in fired if not timetable.is_restricted(tick) and tick <= end] == [
        tick for tick in usual if not timetable.is_restricted(tick) and tick <= end
    ]


@given(st.text("0123456789*,-/? JanMo", min_size=9, max_size=30) | EXPRESSIONS)
def test_what_is_accepted_here_the_controller_accepts(controller, text):
    try:
        Cron.parse(text)
    except ScheduleError:
        return

    controller.times("UTC", text, FIRST, 1)


@pytest.mark.fault("K4")
@pytest.mark.parametrize("name", ["Mars/Olympus", "Asia/Kolkatta", "../etc/passwd", "Asia"])
def test_an_unknown_zone_is_refused_by_both(controller, name):
    with pytest.raises(OracleError):
        controller.times(name, "* * * * *", FIRST, 1)
    with pytest.raises(ScheduleError, match=name):
        zone(name)


@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        pytest.param("2024-02-29T00:00", ["2024-02-29T09:00", "2028-02-29T09:00"], id="usual"),
        pytest.param("2097-01-01T00:00", [], id="none within five years: 2100 has no such day"),
        pytest.param("2098-03-01T00:00", [], id="none within five years, in the sixth there is"),
        pytest.param("2099-03-01T00:00", ["2104-02-29T09:00"], id="in the fifth"),
    ],
)
def test_29_february_is_found_as_far_ahead_as_the_controller_looks(controller, after, wanted):
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    ticks = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in wanted]

    found = list(islice(Cron.parse("0 9 29 2 *").ticks(ZoneInfo("UTC"), start), len(ticks) or 1))

    assert found == controller.times("UTC", "0 9 29 2 *", start, len(ticks) or 1) == ticks


@pytest.mark.fault("K4")
def test_half_hours_that_change_the_clock_follow_the_controller(controller):
    # 5 April 2026, 02:00 in Lord Howe: the clock goes back to 01:30.
    after = datetime(2026, 4, 4, 13, tzinfo=UTC)
    found = list(islice(Cron.parse("45 * * * *").ticks(ZoneInfo("Australia/Lord_Howe"), after), 4))

    assert found == controller.times("Australia/Lord_Howe", "45 * * * *", after, 4)


@pytest.mark.fault("K4")
def test_a_second_before_the_clock_changes_is_a_start_of_its_own(controller):
    # Midnight does not come in Beirut that day: 23:59:59 is followed by 01:00:00.
    after = datetime(2026, 3, 28, 21, 59, 59, tzinfo=UTC)
    found = list(islice(Cron.parse("0 9 */2 * *").ticks(ZoneInfo("Asia/Beirut"), after), 3))

    assert found == controller.times("Asia/Beirut", "0 9 */2 * *", after, 3)
    assert found[0] == datetime(2026, 3, 29, 6, tzinfo=UTC)


@pytest.mark.fault("K4")
def test_the_known_difference_is_a_clock_that_goes_back_in_the_middle_of_an_hour(controller):
    # 5 April 2026 in Chatham: 03:45 becomes 02:45, and the controller's module stays at 02:59.
    after = datetime(2026, 4, 4, 14, tzinfo=UTC)
    expression = "59 3 * * *"
    stuck = datetime(2026, 4, 4, 14, 14, tzinfo=UTC)

    assert controller.times("Pacific/Chatham", expression, stuck, 3) == [stuck] * 3
    for minutes in range(120):
        later = after + timedelta(minutes=minutes)
        found = list(islice(Cron.parse(expression).ticks(ZoneInfo("Pacific/Chatham"), later), 2))
        assert later < found[0] < found[1]
