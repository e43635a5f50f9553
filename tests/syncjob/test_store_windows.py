"""The arithmetic of allowances, without a database."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendorsync_api.policy import Budget
from vendorsync_job.ports import Purpose
from vendorsync_job.store.windows import Window

pytestmark = pytest.mark.fault("V4")
HOUR = Budget(calls=100, seconds=3600, reserve=10)

blocks = st.lists(
    st.tuples(
        st.floats(0, 40),  # slices since the block before
        st.integers(1, 60),  # calls wanted
        st.lists(st.floats(0, 1), max_size=60),  # when each is sent, as a share of the block's life
    ),
    max_size=40,
)


def sent_times(budget: Budget, wanted) -> list[float]:
    """Reserve and send as runs do, whatever the order; unsent calls are given back at the end."""
    window, rows, now, sent = Window(budget), dict[int, int](), 1e6, []
    for pause, calls, shares in wanted:
        now += pause * window.width
        tally = window.tally(rows, now)
        got = min(calls, tally.room())
        number = tally.take(got)
        life = window.good_until(now) - now
        mine = [now + share * life * 0.999 for share in shares[:got]]
        tally.give_back(number, got - len(mine))
        rows = tally.slices
        sent += mine
    return sorted(sent)


@given(blocks, st.integers(1, 50), st.sampled_from([10, 60, 3600]))
@example([(0, 5, [1.0] * 5), (26, 5, [0.0] * 5)], 5, 10)
@example([(0, 5, [1.0] * 5), (25, 5, [0.0] * 5)], 5, 3600)
def test_no_more_calls_are_sent_in_any_such_time_than_allowed(wanted, calls, seconds):
    sent = sent_times(Budget(calls, seconds), wanted)

    for first, beyond in zip(sent, sent[calls:], strict=False):
        assert beyond - first >= seconds


@given(blocks, st.integers(1, 50), st.sampled_from([10, 60, 3600]))
def test_after_the_wait_there_is_room_and_a_moment_before_there_is_none(wanted, calls, seconds):
    window, rows, now = Window(Budget(calls, seconds)), dict[int, int](), 1e6
    for pause, number, _ in wanted:
        now += pause * window.width
        tally = window.tally(rows, now)
        tally.take(min(number, tally.room()))
        rows = tally.slices

    wait = window.tally(rows, now).wait(Purpose.LISTING)

    assert wait < 2.1 * seconds
    assert window.tally(rows, now + wait + 1e-3).room() > 0
    if wait > 1e-3:
        assert window.tally(rows, now + wait - 1e-3).room() == 0


def test_details_leave_the_reserve_alone():
    tally = Window(HOUR).tally({}, 1e6)
    tally.take(90)

    assert tally.room(Purpose.DETAIL) == 0
    assert tally.room(Purpose.LISTING) == tally.room(Purpose.LOGIN) == 10


def test_calls_from_a_future_that_a_clock_took_back_count_as_now_and_grow_old():
    window = Window(HOUR)
    ahead = window.slice(1e6 + 86_400)

    assert window.tally({ahead: 100}, 1e6).slices == {window.slice(1e6): 100}


def test_a_reserve_as_large_as_the_allowance_leaves_no_details_ever():
    window = Window(Budget(calls=5, seconds=3600, reserve=5))

    assert window.tally({}, 1e6).wait(Purpose.DETAIL) == 3600


@pytest.mark.parametrize(
    ("budget", "purpose", "words"),
    [
        (Budget(100_000, 365 * 86_400, 500), Purpose.DETAIL, "100000 calls in 365 days is used up"),
        (Budget(100_000, 365 * 86_400, 500), Purpose.DETAIL, "but for the 500 that are kept for"),
        (Budget(2_000, 3_600, 20), Purpose.LISTING, "2000 calls in 1 hour is used up, so nothing"),
        (Budget(1, 90), Purpose.LOGIN, "1 call in 90 seconds"),
        (Budget(1, 90), Purpose.LOGIN, "lengthen the interval"),
    ],
)
def test_the_error_names_the_allowance_and_what_to_do(budget, purpose, words):
    error = Window(budget).spent(purpose, 17.5)

    assert words in str(error)
    assert error.retry_after == 17.5


def test_the_message_is_the_same_each_time():
    messages = [str(Window(HOUR).spent(Purpose.LOGIN, wait)) for wait in (1, 2000)]

    assert all(one == other for one, other in pairwise(messages))
