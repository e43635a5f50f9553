"""What a listing makes of good and of strange pages."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_job.errors import (
    CredentialsRejectedError,
    DeadlineExceededError,
    ListingTimeoutError,
    QuotaExhaustedError,
    ThrottledError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.listing import Listing
from vendorsync_job.models import Page, Plant, Rejection


def plant(key, name="Roof"):
    return Plant(str(key), name)


def page(*keys, total=None, is_last=False, rejected=()):
    records = tuple(key if isinstance(key, Plant) else plant(key) for key in keys)
    return Page(records, tuple(rejected), total, is_last)


def listing(*pages, **settings):
    def produce():
        for item in pages:
            if isinstance(item, Exception):
                raise item
            yield item

    return Listing(produce(), key=lambda record: record.vendor_plant_id, **settings)


def keys(found):
    return [record.vendor_plant_id for page in found for record in page.records]


def test_pages_are_followed_to_the_vendors_total_and_no_further():
    found = listing(page(1, 2, total=3), page(3, total=3), AssertionError("one page too many"))

    assert keys(found) == ["1", "2", "3"]
    assert (found.complete, found.pages, found.rows) == (True, 2, 3)


def test_without_a_total_the_last_page_says_so():
    found = listing(page(1, 2), page(3, is_last=True), AssertionError("one page too many"))

    assert keys(found) == ["1", "2", "3"]
    assert found.complete


@pytest.mark.fault("V5")
@pytest.mark.fault("V7")
def test_a_total_that_counts_its_page_alone_does_not_end_the_listing():
    found = listing(page(1, 2, total=2), page(3, total=1), page(total=0, is_last=True), page_size=2)

    assert keys(found) == ["1", "2", "3"]
    assert (found.complete, found.tells_absent, found.pages) == (True, True, 3)


@pytest.mark.fault("V5")
@pytest.mark.parametrize(
    "beyond",
    [page(total=2, is_last=True), page(1, 2, total=2), VendorRefusedError("no such page")],
    ids=["empty", "again", "refused"],
)
def test_a_full_page_that_is_all_there_is_costs_one_more_call(beyond):
    found = listing(page(1, 2, total=2), beyond, AssertionError("too many"), page_size=2)

    assert keys(found) == ["1", "2"]
    assert (found.complete, found.rows, found.duplicates) == (True, 2, 0)


def test_a_page_beyond_the_total_that_has_only_known_records_is_the_last():
    beyond = page(2, total=2)
    found = listing(page(1, 2, total=2), beyond, AssertionError("too many"), page_size=2)

    assert keys(found) == ["1", "2"]
    assert (found.complete, found.rows, found.duplicates) == (True, 3, 1)


@pytest.mark.parametrize(
    "pages",
    [
        (page(1, 2, total=2),),
        (page(1, 2, 3, total=5), page(4, 5, 6, total=6)),
        (page(1, 2, 3, total=6), page(4, 5, 6)),
    ],
    ids=["not full", "the total grew", "said once"],
)
def test_a_total_that_cannot_count_its_page_alone_is_the_end(pages):
    found = listing(*pages, AssertionError("one page too many"), page_size=3)

    assert len(keys(found)) == found.total
    assert found.complete


def test_without_an_answer_beyond_a_full_page_the_listing_is_not_whole():
    found = listing(page(1, 2, total=2), VendorUnavailableError("down"), page_size=2)

    assert keys(found) == ["1", "2"]
    assert not found.complete


@pytest.mark.fault("V5")
def test_a_page_shorter_than_the_others_is_not_taken_for_the_last():
    found = listing(page(1, 2, total=4), page(3, total=4), page(4, total=4))

    assert keys(found) == ["1", "2", "3", "4"]
    assert found.complete


@pytest.mark.fault("V5")
def test_rows_that_repeat_do_not_hide_the_page_that_is_still_to_come():
    found = listing(page(1, 2, total=4), page(2, 3, total=4), page(4, total=4))

    assert keys(found) == ["1", "2", "3", "4"]
    assert (found.duplicates, found.rows, found.complete) == (1, 5, True)


@pytest.mark.fault("V5")
def test_a_total_that_changes_is_tolerated_and_the_last_one_counts():
    found = listing(page(1, 2, total=3), page(3, 4, total=4), page(total=4, is_last=True))

    assert keys(found) == ["1", "2", "3", "4"]
    assert found.complete


@pytest.mark.fault("V5")
def test_a_total_that_is_too_small_is_not_believed():
    found = listing(page(1, 2, total=1), page(3, total=1), page(total=1, is_last=True))

    assert keys(found) == ["1", "2", "3"]
    assert found.complete


@pytest.mark.fault("V5")
def test_records_that_are_missing_make_the_listing_incomplete():
    found = listing(page(1, 2, total=9), page(total=9, is_last=True))

    assert keys(found) == ["1", "2"]
    assert not found.complete
    assert found.error is None


@pytest.mark.fault("V5")
def test_a_page_that_comes_again_is_an_error_that_names_both():
    found = listing(page(1, 2), page(3, 4), page(2, 1))

    with pytest.raises(VendorContractError, match="page 3 of the listing repeats page 1"):
        keys(found)


@pytest.mark.fault("V5")
def test_pages_without_end_are_an_error():
    found = listing(*(page(number) for number in range(5)), max_pages=3)

    with pytest.raises(VendorContractError, match="more than 3 pages"):
        keys(found)


@pytest.mark.fault("V7")
def test_a_total_without_any_record_is_an_error():
    with pytest.raises(VendorContractError, match="not an empty account"):
        keys(listing(page(total=500, is_last=True)))


def test_an_empty_account_is_complete():
    found = listing(page(total=0, is_last=True))

    assert keys(found) == []
    assert found.complete


@pytest.mark.fault("V6")
def test_a_record_that_differs_on_a_later_page_comes_again():
    found = listing(page(1, total=3), page(plant(1, "Newer"), 2, total=3), page(3, total=3))

    pages = list(found)

    assert pages[1].records == (plant(1, "Newer"), plant(2))
    assert (found.duplicates, found.rows, found.complete) == (0, 4, True)


@pytest.mark.fault("V6")
def test_within_a_page_the_last_of_a_key_comes_last():
    found = listing(page(plant(1, "Older"), 2, plant(1, "Newer"), is_last=True))

    yielded = [each.records for each in found]

    assert yielded == [(plant(1, "Older"),), (plant(1, "Newer"), plant(2))]
    assert (found.rows, found.duplicates) == (3, 0)


def test_within_a_page_the_same_record_counts_once():
    found = listing(page(plant(1), 2, plant(1), is_last=True))

    assert next(iter(found)).records == (plant(1), plant(2))
    assert found.duplicates == 1


@pytest.mark.fault("V3")
@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("slow"),
        QuotaExhaustedError("used up"),
        VendorUnavailableError("down"),
        ListingTimeoutError("late"),
    ],
)
def test_what_was_read_before_the_vendor_stopped_answering_is_kept(error):
    found = listing(page(1, 2, total=4), error)

    assert keys(found) == ["1", "2"]
    assert found.error is error
    assert not found.complete


@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("slow"),
        VendorUnavailableError("down"),
        QuotaExhaustedError("none"),
        ListingTimeoutError("late"),
    ],
)
def test_an_error_on_the_first_page_is_raised(error):
    with pytest.raises(type(error)):
        keys(listing(error))


@pytest.mark.parametrize(
    "error",
    [VendorContractError("odd"), CredentialsRejectedError("no"), DeadlineExceededError("late")],
)
def test_other_errors_in_mid_listing_are_raised(error):
    with pytest.raises(type(error)):
        keys(listing(page(1, total=4), error))


def test_pages_of_nothing_but_records_without_a_key_are_told_apart():
    def nameless(number):
        return page(total=4, rejected=(Rejection(None, "no id", {"number": number}),))

    assert keys(listing(nameless(1), nameless(2), page(3, 4, total=4))) == ["3", "4"]
    with pytest.raises(VendorContractError, match="repeats"):
        keys(listing(nameless(1), nameless(1)))


def test_rejected_records_are_counted_and_known_to_be_there():
    bad = (Rejection("2", "no name", {}), Rejection(None, "no id", {}))
    found = listing(page(1, total=3, rejected=bad))

    assert keys(found) == ["1"]
    assert (found.rejected, found.rows, found.complete) == (2, 3, True)


@pytest.mark.fault("V7")
def test_a_record_without_a_readable_key_may_be_the_one_that_is_missed():
    nameless = listing(page(1, total=2, rejected=(Rejection(None, "no id", {}),)))
    named = listing(page(1, total=2, rejected=(Rejection("2", "no name", {}),)))

    assert (keys(nameless), keys(named)) == (["1"], ["1"])
    assert (nameless.complete, nameless.tells_absent) == (True, False)
    assert (named.complete, named.tells_absent) == (True, True)
    assert named.has("2")


@pytest.mark.fault("H4")
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), max_size=6), max_size=8)
)
def test_every_row_is_yielded_rejected_or_a_duplicate_and_the_last_word_on_a_key_is_the_vendors(
    rows,
):
    pages = [page(*(plant(key, name) for key, name in chunk)) for chunk in rows]
    found = listing(*pages)
    yielded = []
    try:
        for item in found:
            assert max(Counter(r.vendor_plant_id for r in item.records).values(), default=1) == 1
            yielded += item.records
    except VendorContractError:
        return

    assert found.rows == len(yielded) + found.duplicates
    assert {r.vendor_plant_id: r.name for r in yielded} == {
        str(key): name for chunk in rows for key, name in chunk
    }
