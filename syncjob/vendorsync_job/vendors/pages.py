"""What vendors' answers have in common: tokens, and pages with a count and a list of rows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from vendorsync_job import normalise
from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Page, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Record = TypeVar("Record")


class Records(NamedTuple, Generic[Record]):
    """What the rows of a page become."""

    good: tuple[Record, ...]
    bad: tuple[Rejection, ...]
    dropped: tuple[str, ...]
    """Of each value that a good record has to do without: why."""


def records(
    rows: Iterable[object],
    read: Callable[[normalise.Row], Record],
    key: str | Callable[[normalise.Row], str],
) -> Records[Record]:
    """Read the rows of a page.

    A value that is unfit costs the record only where it cannot do without. `key` is the name of the
    field that identifies a row, or what makes the record's key of it.
    """
    good: list[Record] = []
    bad: list[Rejection] = []
    dropped: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            bad.append(Rejection(None, "the record is not an object", {"value": row}))
            continue
        try:
            good.append(read(row))
        except normalise.UnfitError as error:
            try:
                good.append(_read_without(row, read, error, dropped))
            except normalise.UnfitError:
                bad.append(Rejection(_key_of(row, key), str(error), row))
    return Records(tuple(good), tuple(bad), tuple(dropped))


def _read_without(
    row: normalise.Row,
    read: Callable[[normalise.Row], Record],
    error: normalise.UnfitError,
    dropped: list[str],
) -> Record:
    """Read a row without its unfit values; raises UnfitError for one that has to be there."""
    told: list[str] = []
    while error.field is not None and row.get(error.field) is not None:
        row = {**row, error.field: None}
        told.append(str(error))
        try:
            found = read(row)
        except normalise.UnfitError as further:
            error = further
        else:
            dropped += told
            return found
    raise error


def _key_of(row: normalise.Row, key: str | Callable[[normalise.Row], str]) -> str | None:
    try:
        return key(row) if callable(key) else normalise.identifier(row.get(key), key)
    except normalise.UnfitError:
        return None


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
    read_rows = records(found, read, key=key)
    return Page(
        read_rows.good,
        read_rows.bad,
        normalise.whole(answer.get(total)),
        is_last=not found,
        dropped=read_rows.dropped,
    )


def numbered(read: Callable[[int], Page[Record]]) -> Iterator[Page[Record]]:
    """Yield the pages that `read` gives by their numbers, from one to a page that is the last."""
    for number in count(1):
        page = read(number)
        yield page
        if page.is_last:
            return


def read_token(answer: Mapping[str, Any], field: str, *, sender: str) -> str:
    """Return the token of a login's answer; raises VendorContractError when there is none."""
    token = answer.get(field)
    if not isinstance(token, str) or not token:
        raise VendorContractError(f"{sender} without a token")
    return token
