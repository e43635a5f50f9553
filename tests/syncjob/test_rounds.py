"""A round of alerts, plant by plant."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from vendorsync_api.policy import load_policy
from vendorsync_job.errors import (
    BudgetSpentError,
    DetailsSpentError,
    ListingTimeoutError,
    ThrottledError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.models import Alert, AlertQuery, Page
from vendorsync_job.rounds import Round

if TYPE_CHECKING:
    from vendorsync_job.ports import Session

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)
QUERY = AlertQuery(since=NOON, until=NOON)


def alert(plant, number=1, **fields) -> Alert:
    return Alert(f"{plant}-{number}", plant, "Low insulation", NOON, **fields)


class Vendor:
    """Answers each plant with its pages; an error among them is raised."""

    policy = load_policy("solarman")

    def __init__(self, **pages):
        self.pages = pages

    def alerts(self, session, query):
        for page in self.pages.get(query.plant, [Page((alert(query.plant),), is_last=True)]):
            if isinstance(page, Exception):
                raise page
            yield page


def round_of(vendor, *plants, **options) -> Round:
    return Round(vendor, cast("Session", None), QUERY, plants, **options)


def ids(made: Round) -> list[str]:
    return [record.vendor_alert_id for page in made for record in page.records]


@pytest.mark.requirement("R26")
def test_every_plant_is_asked_for_its_alerts():
    made = round_of(Vendor(), "b", "a", "c")

    assert ids(made) == ["a-1", "b-1", "c-1"]
    assert made.complete
    assert made.asked == 3


def test_a_round_goes_on_where_the_one_before_ended():
    reached: list[str] = []
    made = round_of(Vendor(), "a", "b", "c", cursor="b", reached=reached.append)

    assert ids(made) == ["c-1", "a-1", "b-1"]
    assert reached == ["c", "a", "b"]


@pytest.mark.parametrize(
    "error",
    [BudgetSpentError("spent"), ThrottledError("slower"), ListingTimeoutError("late")],
    ids=["budget", "throttled", "late"],
)
def test_what_ends_a_round_early_keeps_what_was_read(error):
    reached: list[str] = []
    made = round_of(Vendor(b=[error]), "a", "b", "c", reached=reached.append)

    assert ids(made) == ["a-1"]
    assert made.error is error
    assert not made.complete
    assert reached == ["a"]


@pytest.mark.fault("V3")
def test_a_plant_cut_off_in_the_middle_is_asked_again_by_the_next_round():
    reached: list[str] = []
    pages = [Page((alert("b"),), total=2), ThrottledError("slower")]
    made = round_of(Vendor(b=pages), "a", "b", "c", reached=reached.append)

    assert ids(made) == ["a-1", "b-1"]
    assert reached == ["a"]
    assert isinstance(made.error, ThrottledError)


def test_what_happens_before_any_plant_is_read_ends_the_run():
    made = round_of(Vendor(a=[BudgetSpentError("spent")]), "a", "b")

    with pytest.raises(BudgetSpentError):
        ids(made)


def test_without_a_call_for_any_plant_the_round_ends_and_the_run_does_not_fail():
    reached: list[str] = []
    made = round_of(Vendor(a=[DetailsSpentError("spent")]), "a", "b", reached=reached.append)

    assert ids(made) == []
    assert isinstance(made.error, DetailsSpentError)
    assert (made.complete, reached) == (False, [])


def test_a_plant_that_takes_more_than_a_run_has_does_not_keep_the_others_waiting_for_ever():
    reached: list[str] = []
    pages = [Page((alert("a"),), total=2), DetailsSpentError("share")]
    made = round_of(Vendor(a=pages), "a", "b", reached=reached.append)

    assert ids(made) == ["a-1"]
    assert reached == ["a"]
    assert not made.complete


@pytest.mark.parametrize(
    "pages",
    [
        [VendorRefusedError("not so")],
        [VendorContractError("not so")],
        [VendorUnavailableError("not so")],
        [Page((alert("b"),), total=2), VendorUnavailableError("not so")],
    ],
    ids=["refused", "nonsense", "down", "down in the middle"],
)
def test_a_plant_that_fails_is_left_out_and_keeps_no_other_from_its_turn(pages):
    reached: list[str] = []
    made = round_of(Vendor(b=pages), "a", "b", "c", cursor="a", reached=reached.append)

    assert {"c-1", "a-1"} <= set(ids(made))
    assert (made.failed, made.asked, made.complete) == (1, 2, False)
    assert str(made.error) == "not so"
    assert reached == ["b", "c", "a"]


def test_a_vendor_that_refuses_plant_after_plant_refuses_the_account():
    refused = {key: [VendorRefusedError("not granted")] for key in "abcd"}
    made = round_of(Vendor(**refused), *"abcd")

    with pytest.raises(VendorRefusedError):
        ids(made)
    assert made.failed == 3


def test_duplicates_of_all_plants_add_up():
    twice = [Page((alert("a"), alert("a")), is_last=True)]
    made = round_of(Vendor(a=twice, b=twice), "a", "b")

    assert ids(made) == ["a-1", "a-1"]
    assert made.duplicates == 2
