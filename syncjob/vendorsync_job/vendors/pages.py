"""A page of a listing as vendors send it: a count and a list of rows, either may be null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from vendorsync_job import normalise
from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Record = TypeVar("Record")


def read_page(
    answer: Mapping[str, Any],
    read: Callable[[normalise.Row], Record],
    *,
    rows: str,
    total: str,
    key: str | Callable[[normalise.Row], str],
    sender: str,
) -> Page[Record]:
    """Read a page; `rows`, `total` and `key` are the vendor's names for list, count and record id.

    A record without an id of its own has a function for `key`, which may raise UnfitError.

    An empty account may send null for the list, but then it sends a count. `sender` says in an
    error who answered what. Raises VendorContractError when there is no list.
    """
    found = answer.get(rows)
    if found is None and total in answer:
        found = []
    if not isinstance(found, list):
        raise VendorContractError(f"{sender} without {rows}")
    read_rows = normalise.records(found, read, key=key)
    return Page(
        read_rows.good,
        read_rows.bad,
        normalise.whole(answer.get(total)),
        is_last=not found,
        dropped=read_rows.dropped,
    )
