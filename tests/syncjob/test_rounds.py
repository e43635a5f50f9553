"""A round of alerts, plant by plant."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from vendorsync_job.errors import (
    BudgetSpentError,
    ThrottledError,
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
    [BudgetSpentError("spent"), ThrottledError("slower"), VendorUnavailableError("down")],
    ids=["budget", "throttled", "down"],
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


def test_a_plant_that_the_vendor_refuses_is_left_out_and_the_round_has_a_gap():
    made = round_of(Vendor(b=[VendorRefusedError("no such plant")]), "a", "b", "c")

    assert ids(made) == ["a-1", "c-1"]
    assert made.refused == 1
    assert not made.complete
    assert str(made.error) == "no such plant"


def test_a_vendor_that_refuses_plant_after_plant_refuses_the_account():
    refused = {key: [VendorRefusedError("not granted")] for key in "abcd"}
    made = round_of(Vendor(**refused), *"abcd")

    with pytest.raises(VendorRefusedError):
        ids(made)
    assert made.refused == 3


def test_duplicates_of_all_plants_add_up():
    twice = [Page((alert("a"), alert("a")), is_last=True)]
    made = round_of(Vendor(a=twice, b=twice), "a", "b")

    assert ids(made) == ["a-1", "a-1"]
    assert made.duplicates == 2
