from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_api.reasons import ExitCode, RunReason
from vendorsync_api.schedule import INTERVALS, Timetable, Window
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator.results import pace

DAYTIME = Timetable("Asia/Kolkata", interval=15, windows=(Window(19 * 60, 6 * 60),))
BLOCKING = [r for r in RunReason if r.exit_code is ExitCode.CREDENTIALS]


def failing(times, reason="VendorUnavailable", **fields):
    values = {"result": "Failed", "reason": reason, "consecutive_failures": times or None}
    return VendorStatus(
        name="alpha", stream="plants", **values | {"hard_failures": times or None} | fields
    )


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(0, None), (2, None), (3, "30m"), (4, "60m"), (5, "120m"), (6, "240m"), (400, "240m")],
)
def test_from_three_failures_on_the_interval_doubles_up_to_four_hours(failures, minutes):
    assert pace.slowed_to(failing(failures), DAYTIME) == minutes


@pytest.mark.parametrize("reason", BLOCKING)
@pytest.mark.parametrize("failures", [1, 9])
def test_an_account_that_lets_nobody_in_is_on_an_hourly_clock_from_the_first_failure(
    reason, failures
):
    assert pace.slowed_to(failing(failures, reason.value), DAYTIME) == "60m"


def test_a_run_that_was_skipped_meanwhile_leaves_a_blocked_account_on_its_hourly_clock():
    skipped = {"result": "Skipped", "reason": "AlreadyRunning", "standing": "CredentialsRejected"}

    entry = failing(1).model_copy(update=skipped)

    assert pace.slowed_to(entry, DAYTIME) == "60m"


@pytest.mark.parametrize("reason", ["CredentialsRejected", "VendorUnavailable"])
def test_a_schedule_that_is_slower_already_stays_as_it_is(reason):
    daily = replace(DAYTIME, interval=1440, windows=())

    assert pace.of(failing(9, reason), daily) is daily
    assert pace.slowed_to(failing(9, reason), daily) is None


@given(
    st.sampled_from(INTERVALS),
    st.integers(0, 40),
    st.sampled_from(["VendorUnavailable", "CredentialsRejected", "SomethingNew"]),
)
def test_it_is_never_faster_never_more_than_four_hours_and_said_exactly_when_it_differs(
    interval, failures, reason
):
    timetable = Timetable("Asia/Kolkata", interval=interval)
    entry = failing(failures, reason)

    slower = pace.of(entry, timetable)

    assert timetable.shortest_gap <= slower.shortest_gap <= max(240, timetable.shortest_gap)
    assert (pace.slowed_to(entry, timetable) is None) == (slower == timetable)
