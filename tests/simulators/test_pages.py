"""Which page a call asks for, in the ways that vendors have of asking."""

import pytest

from dev.simulators.exchange import Listing, Request, page_of


@pytest.mark.parametrize(
    ("way", "asked", "page"),
    [
        ({}, {"at": "1", "size": "50"}, 1),
        ({}, {"at": "3", "size": "50"}, 3),
        ({"first": 0}, {"at": "0", "size": "50"}, 1),
        ({"first": 0, "by_record": True}, {"at": "100", "size": "50"}, 3),
        ({"first": 1, "by_record": True}, {"at": "51", "size": "50"}, 2),
        ({}, {"size": "50"}, None),
    ],
    ids=str,
)
def test_pages_are_counted_from_one_however_they_are_asked_for(way, asked, page):
    listing = Listing(
        path="/list", page="at", size="size", rows=("rows",), total=("n",), name="name",
        optional=(), **way,
    )  # fmt: skip

    assert page_of(listing, Request(method="GET", path="/list", query=asked)) == page
    assert page_of(listing, Request(method="POST", path="/list", body=asked)) == page
