import pytest

from vendorsync_operator.reconcile.contest import CALM, CONTESTED, LONGEST_PAUSE, Contest


def fought(turns, digest="a"):
    """Return a contest in which the same was written again that often, and when it was last."""
    contest, now = Contest(), 0.0
    contest.wrote(digest, now)
    for _ in range(turns):
        now += contest.wait(digest, now)
        contest.wrote(digest, now)
    return contest, now


def test_the_first_change_is_undone_at_once():
    contest, now = fought(0)

    assert contest.wait("a", now) == 0


def test_each_change_that_comes_back_is_undone_later():
    waits = [contest.wait("a", now) for contest, now in map(fought, range(5))]

    assert waits == [0, 2, 4, 8, 16]


def test_a_contest_of_any_length_costs_few_writes():
    contest, now = fought(100)

    assert contest.wait("a", now) == LONGEST_PAUSE
    assert now > 3600


def test_a_new_spec_is_written_at_once_whoever_contests_the_old_one():
    contest, now = fought(9)

    assert contest.wait("b", now) == 0
    contest.wrote("b", now)
    assert not contest.is_contested(now)


@pytest.mark.parametrize(("turns", "contested"), [(CONTESTED - 1, False), (CONTESTED, True)])
def test_a_person_who_edits_twice_contests_nothing(turns, contested):
    contest, now = fought(turns)

    assert contest.is_contested(now) is contested


def test_a_change_after_a_calm_time_counts_as_the_first():
    contest, now = fought(9)

    later = now + contest.pause + CALM
    assert not contest.is_contested(later)
    contest.wrote("a", later)

    assert not contest.is_contested(later)
