"""Records that the vendor lists no more: plants are marked, open alerts end, nothing is deleted.

Only a complete listing can tell that a record is absent.
"""

from __future__ import annotations

import logging
from itertools import islice
from sys import byteorder
from typing import TYPE_CHECKING, Any

import psycopg
from msgspec import Struct, field
from psycopg import sql

from vendorsync_job.models import Counts
from vendorsync_job.store import each
from vendorsync_job.store.chunks import Chunk
from vendorsync_job.store.each import CHECK_NOW
from vendorsync_job.store.exchange import RELEASE, SAVEPOINT, Statement
from vendorsync_job.store.lookup import lookup
from vendorsync_job.store.place import VENDOR_AND_ORGANIZATION
from vendorsync_job.store.statements import HASHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Set

    from vendorsync_job.store.chunks import Chunks
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.exchange import Exchange
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.tables import RecordTable

PAGE = 10_000
"""Records that are read and written at a time."""
ALWAYS = 5
"""Records that may vanish at once whatever their share."""
MOST_ABSENCES = 32_767
"""What a smallint counts to."""
OURS = sql.SQL("vendor_id = %(vendor)s AND stream = %(stream)s AND key = ANY (%(keys)s)")
COUNT = sql.SQL("UPDATE vendorsync.hashes SET absences = absences + 1 WHERE {}").format(OURS)
MARK = sql.SQL(
    "UPDATE vendorsync.hashes SET absences = %(after)s, vanished_at = now() WHERE {}"
).format(OURS)
UNMARK = sql.SQL("UPDATE vendorsync.hashes SET absences = 0, vanished_at = NULL WHERE {}").format(
    OURS
)
FORGET = sql.SQL("DELETE FROM vendorsync.hashes WHERE {}").format(OURS)

SOME = sql.SQL(
    "(s.absences > 0 OR s.vanished_at IS NOT NULL OR substr(s.hash, 1, 8) = ANY (%(heads)s))"
)
"""Records that are absent, or were."""

log = logging.getLogger(__name__)


class Guard(Struct, frozen=True):
    """When an absent record counts as vanished, and how many may be absent at once.

    `after` is a number of complete listings in a row; `percent` is a share of the records that have
    not vanished yet, and 100 allows all of them to go.
    """

    after: int = 3
    percent: int = 20

    def holds(self, absent: int, live: int) -> bool:
        """Tell whether so many records at once are more likely a fault than the truth."""
        if self.percent == 100 or not absent:
            return False
        return absent >= live or absent > max(ALWAYS, live * self.percent / 100)


class RowMark(Struct, frozen=True):
    """What vanished_at of a row becomes, where it is (or is not) NULL: SQL."""

    value: str
    was: str


class Retired(Struct, frozen=True):
    """What became of absent records."""

    marked: int = 0
    """Newly marked as vanished."""
    returned: int = 0
    """Had been marked, and are listed again."""
    held: bool = False
    """More are absent than the guard allows, so none was marked."""


class Survey(Struct):
    """The stored records, held against a listing."""

    live: int = 0
    """Not marked as vanished so far."""
    due: list[str] = field(default_factory=list)
    """Absent often enough now."""
    absent: list[str] = field(default_factory=list)
    """Absent, and to be counted once more."""
    back: list[str] = field(default_factory=list)
    """Listed, and counted as absent before."""
    returned: int = 0
    """Those of `back` that had been marked."""
    orphans: list[str] = field(default_factory=list)
    """Absent, and somebody deleted the row."""


class Vanishing:
    """Marks the records of one vendor and stream that are gone, and clears those that are back."""

    def __init__(
        self, database: Database, table: RecordTable, place: Place, chunks: Chunks, guard: Guard
    ) -> None:
        self._database = database
        self._table = table
        self._place = place
        self._chunks = chunks
        self._guard = Guard(min(guard.after, MOST_ABSENCES), guard.percent)
        self._values = place.values | {"stream": table.name, "after": self._guard.after}

    def retire(
        self, has: Callable[[str], bool], *, complete: bool, unmet: Set[int] | None = None
    ) -> Retired:
        """Count absences against a listing; one that is not complete only brings records back.

        `unmet` are the heads of the digests that no listed record had. With them only the records
        are read that are absent or counted as such, and without them all.
        """
        survey = self._survey(has, complete=complete, unmet=unmet if complete else frozenset())
        # Those that are not due yet count too: whoever lost an account hears of it at once.
        held = self._guard.holds(len(survey.due) + len(survey.absent), survey.live)
        marked = [] if held else survey.due
        for keys in _pieces(survey.back):
            self._write(Counts(), keys, UNMARK, RowMark("NULL", "NOT NULL"))
        for keys in _pieces(survey.absent):
            self._write(Counts(), keys, COUNT)
        for keys in _pieces(marked):
            self._write(Counts(vanished=len(keys)), keys, MARK, RowMark("now()", "NULL"))
        for keys in _pieces(survey.orphans):
            self._write(Counts(), keys, FORGET)
        return Retired(len(marked), survey.returned, held)

    def end_absent(self, has: Callable[[str], bool]) -> int:
        """Resolve the open records that a complete list of active ones lacks; return how many."""
        if "status" not in self._table.columns:
            return 0
        absent = [key for (key,) in self._pages(self._open()) if not has(key)]
        ended = 0
        for keys in _pieces(absent):
            ended += self._end(keys)
        return ended

    def _survey(
        self, has: Callable[[str], bool], *, complete: bool, unmet: Set[int] | None
    ) -> Survey:
        survey = Survey()
        if unmet is None or len(unmet) > PAGE:
            reads_all, stored = True, self._pages(self._stored(sql.SQL("true")))
        else:
            packed = [head.to_bytes(8, byteorder) for head in unmet]
            reads_all, stored = False, self._pages(self._stored(SOME), heads=packed)
        for key, absences, vanished, orphaned in stored:
            survey.live += not (vanished or orphaned)
            if has(key):
                if absences or vanished:
                    survey.back.append(key)
                    survey.returned += vanished
            elif complete and orphaned:
                survey.orphans.append(key)
            elif complete and not vanished:
                self._count_absent(survey, key, absences)
        if not reads_all and (survey.due or survey.absent):
            survey.live = self._count_live()
        return survey

    def _count_live(self) -> int:
        (((live,),),) = self._database.read(
            Statement(
                sql.SQL("SELECT count(*) FROM {} AND s.vanished_at IS NULL").format(HASHES),
                self._values,
            )
        )
        return int(live)

    def _count_absent(self, survey: Survey, key: str, absences: int) -> None:
        if absences + 1 >= self._guard.after:
            survey.due.append(key)
        else:
            survey.absent.append(key)

    def _pages(self, query: sql.Composed, **values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query that is ordered by key, page by page."""
        last = ""
        while True:
            (rows,) = self._database.read(
                Statement(query, self._values | values | {"last": last, "page": PAGE})
            )
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1][0]

    def _stored(self, which: sql.SQL) -> sql.Composed:
        row = sql.SQL("SELECT p.{key} FROM {table} AS p WHERE {ours} AND p.{key} = h.key").format(
            **self._names()
        )
        return sql.SQL(
            "SELECT h.key, h.absences, h.vanished_at IS NOT NULL, p.{key} IS NULL"
            " FROM (SELECT s.* FROM {hashes} AND s.key > %(last)s AND {which}"
            " ORDER BY s.key LIMIT %(page)s) AS h LEFT JOIN {row} ON true ORDER BY h.key"
        ).format(**self._names(), hashes=HASHES, which=which, row=lookup(row, "p"))

    def _open(self) -> sql.Composed:
        return sql.SQL(
            "SELECT p.{key} FROM {table} AS p WHERE {ours} AND p.status = 'active'"
            " AND p.{key} > %(last)s ORDER BY p.{key} LIMIT %(page)s"
        ).format(**self._names())

    def _write(
        self, counts: Counts, keys: list[str], query: sql.Composed, row_mark: RowMark | None = None
    ) -> None:
        """Write to our hashes, and to the rows if they have a column for it."""
        closing = [Statement(query, self._values | {"keys": keys})]

        def work(exchange: Exchange) -> Chunk:
            if row_mark and self._table.marks_vanished:
                self._update(exchange, self._mark_rows(row_mark), keys)
            return Chunk(counts, closing)

        self._chunks.write(work)

    def _end(self, keys: list[str]) -> int:
        def work(exchange: Exchange) -> Chunk:
            ended = self._update(exchange, self._end_alerts(), keys)
            # Without its hash the alert is offered again when it is listed again.
            forget = Statement(FORGET, self._values | {"keys": keys})
            return Chunk(Counts(vanished=ended), [forget])

        return self._chunks.write(work).counts.vanished

    def _update(self, exchange: Exchange, query: sql.Composed, keys: list[str]) -> int:
        """Update the rows of these keys, or those of them that the database lets us; count them."""
        key = sql.Identifier("p", self._table.key)
        together = sql.SQL("{} AND {} = ANY (%(keys)s) RETURNING 1").format(query, key)
        update = Statement(together, self._values | {"keys": keys})
        answer = each.try_all(exchange, lambda: exchange.run(SAVEPOINT, update, CHECK_NOW, RELEASE))
        if not isinstance(answer, psycopg.Error):
            return len(answer[1])
        alone = sql.SQL("{} AND {} = {} #>> '{{}}' RETURNING false").format(query, key, each.ITEM)
        outcomes = each.run_each(exchange, Statement(alone, self._values), [(key,) for key in keys])
        if outcomes.refused:
            (refused, *_), refusal = outcomes.refused[0]
            log.warning(
                "%s rows of %s stay as they were; %s was %s",
                *(len(outcomes.refused), self._table.name, refused, refusal),
            )
        return len(outcomes.changed)

    def _mark_rows(self, mark: RowMark) -> sql.Composed:
        return sql.SQL(
            "UPDATE {table} AS p SET vanished_at = {value} WHERE {ours} AND p.vanished_at IS {was}"
        ).format(**self._names(), value=sql.SQL(mark.value), was=sql.SQL(mark.was))

    def _end_alerts(self) -> sql.Composed:
        times = [
            f", {name} = {value}"
            for name, value, there in (
                ("resolved_at", "coalesce(p.resolved_at, now())", self._table.columns),
                ("updated_at", "now()", self._table.stamps),
            )
            if name in there
        ]
        return sql.SQL(
            "UPDATE {table} AS p SET status = 'resolved'{times}"
            " WHERE {ours} AND p.status = 'active'"
        ).format(**self._names(), times=sql.SQL("".join(times)))

    def _names(self) -> dict[str, sql.Composable]:
        return {
            "table": self._place.table(self._table.name),
            "key": sql.Identifier(self._table.key),
            "ours": VENDOR_AND_ORGANIZATION,
        }


def _pieces(keys: list[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while piece := list(islice(remaining, PAGE)):
        yield piece
