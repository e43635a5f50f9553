"""What vendors' answers have in common: tokens, and pages with a count and a list of rows."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from vendorsync_job import normalise
from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Page, Read, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vendorsync_job.models import Fields

Record = TypeVar("Record")


class Records(NamedTuple, Generic[Record]):
    """What the rows of a page become."""

    good: tuple[Record, ...]
    bad: tuple[Rejection, ...]
    dropped: tuple[str, ...]
    """Of each value that a good record has to do without: why."""


class RowReader(Generic[Record]):
    """Takes from a row what a record is read from, and reads it when it is wanted.

    Most records of most runs are as they were. Taking the fields is a tenth of reading them.
    """

    def __init__(
        self, read: Callable[[normalise.Row], Record], *names: str, version: int = 1
    ) -> None:
        """`names` are the vendor's names of all that `read` asks for; the first is the id.

        Whoever makes `read` give something else for the same row raises `version`, or plants whose
        fields stay keep what was read before.
        """
        self.version = version
        self._read = read
        self._names = names
        # Of fewer names it would give no tuple.
        self._pick: Callable[[normalise.Row], Fields] | None = (
            itemgetter(*names[1:]) if len(names) > 2 else None
        )

    def fields(self, row: normalise.Row) -> Fields:
        """Return the fields of a row; raises UnfitError without a good id."""
        name = self._names[0]
        key: Fields = (normalise.identifier(row.get(name), name),)
        if self._pick is not None:
            # A missing name is rare, and a sum of tuples makes no list on the way.
            with suppress(KeyError):
                return key + self._pick(row)
        return key + tuple(map(row.get, self._names[1:]))

    def __call__(self, fields: Fields, /) -> Read[Record] | Rejection:
        """Return the record, or why it cannot be stored."""
        row = dict(zip(self._names, fields, strict=True))
        try:
            return _read_fit(row, self._read)
        except normalise.UnfitError as error:
            return Rejection(fields[0], str(error), row)


def records(
    rows: Sequence[Any],
    read: Callable[[normalise.Row], Record],
    key: str | Callable[[normalise.Row], str],
) -> Records[Record]:
    """Read the rows of a page.

    A value that is unfit costs the record only where it cannot do without. `key` is the name of the
    field that identifies a row, or what makes the record's key of it.
    """
    if all(isinstance(row, dict) for row in rows):
        # Nearly every page is so, and one without an odd row takes half the time.
        with suppress(normalise.UnfitError):
            return Records(tuple(map(read, rows)), (), ())
    good: list[Record] = []
    bad: list[Rejection] = []
    dropped: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            bad.append(Rejection(None, "the record is not an object", {"value": row}))
            continue
        try:
            found = _read_fit(row, read)
        except normalise.UnfitError as error:
            bad.append(Rejection(_key_of(row, key), str(error), row))
        else:
            good.append(found.record)
            dropped += found.dropped
    return Records(tuple(good), tuple(bad), tuple(dropped))


def _read_fit(row: normalise.Row, read: Callable[[normalise.Row], Record]) -> Read[Record]:
    """Read a row, if need be without its unfit values.

    Raises UnfitError, about the first of them, if the record cannot do without one.
    """
    unfit: list[normalise.UnfitError] = []
    while True:
        try:
            return Read(read(row), tuple(map(str, unfit)))
        except normalise.UnfitError as error:
            unfit.append(error)
            if error.field is None or row.get(error.field) is None:
                raise unfit[0] from None
            row = {**row, error.field: None}


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
