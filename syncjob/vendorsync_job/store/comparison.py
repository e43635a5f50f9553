"""Compares the records of a stream with what was last written; tells what a run would do.

Records whose digest is known are settled at once. The others wait, so that a look at the database
is worth its round trip.
"""

from __future__ import annotations

import logging
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

import psycopg

from vendorsync_job.logs import log_dropped
from vendorsync_job.models import Counts, Rejection
from vendorsync_job.store import hashes
from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.rows import Digests, described, document, is_storable
from vendorsync_job.store.statements import RecordStatements
from vendorsync_job.store.upsert import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from vendorsync_job.models import Fields
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.rows import Row, RowMaker
    from vendorsync_job.store.tables import RecordTable

log = logging.getLogger(__name__)

Record = TypeVar("Record")
Offer = tuple["Row", bytes, int]
"""A row, or the fields that it is read from, the digest of these, and the head of that."""

UNWRITABLE = (UnicodeError, OverflowError, TypeError)
"""What MessagePack says of values that no JSON has, which only an adapter can make."""
NOT_JSON = "a value that JSON does not have, such as text that is not Unicode"
NOT_UNICODE = "text that is not Unicode"
LOOKUP = 2000
"""Records that are looked up at a time where the digests at hand do not settle them."""


class RecordComparison(Generic[Record]):
    """Sorts records into new, changed and unchanged; writes nothing.

    With `full`, records whose digest is known are compared with their rows as well. `known_limit`
    is the number of digests up to which all are held in memory.
    """

    def __init__(
        self,
        database: Database,
        table: RecordTable,
        place: Place,
        rows: RowMaker[Record],
        *,
        full: bool = False,
        known_limit: int = hashes.MOST,
    ) -> None:
        self.full = full
        self._database = database
        self._table = table
        self._place = place
        self._rows = rows
        self._digests = Digests(table, rows.version)
        self._statements = RecordStatements(table, place)
        # Of years of alerts only the listed ones are asked for.
        most = 0 if table.has_history else known_limit
        self._known = hashes.Known(database, self._statements, place, table.name, most=most)
        self._undecided: dict[str, Offer] = {}
        self._changes: dict[str, Offer] = {}
        self._has_told = False
        """A value that a record does without was logged."""
        self._repairs: set[str] = set()
        """Keys among the changes whose digest is known: somebody else changed the row."""

    @property
    def pending(self) -> int:
        """Changes that wait for a commit."""
        return len(self._changes)

    def take(self, records: Sequence[Record], rejected: Sequence[Rejection]) -> Counts:
        """Sort records out, without writing, and count those that are settled by that.

        The keys of the records are unique.
        """
        refused = list(rejected)
        counts = self._sort_out(self._rows.known_by(records), refused)
        counts.rejected += len(refused)
        self._refuse(refused)
        if len(self._undecided) >= LOOKUP:
            counts = counts + self._decide()
        return counts

    def commit(self) -> Counts:
        """Settle what waits, and count it."""
        counts = self._decide()
        changes, self._changes, self._repairs = self._changes, {}, set()
        rows = [changes[key][0] for key in sorted(changes)]
        standing: dict[str, bool] = {}
        for start in range(0, len(rows), PIECE):
            standing |= self._standing(rows[start : start + PIECE])
        differing = sum(standing.values())
        return counts + Counts(
            created=len(rows) - len(standing),
            updated=differing,
            unchanged=len(standing) - differing,
        )

    def renew(self) -> None:
        """Hold nothing, so there is nothing to renew."""

    def _refuse(self, rejections: Sequence[Rejection]) -> None:
        """Keep no record of what is rejected."""

    def _refused_heads(self) -> AbstractSet[int]:
        """Return the heads of rows that the database refused; only a store remembers them."""
        return frozenset()

    def _is_refused(self, digest: bytes) -> bool:  # noqa: ARG002
        """Tell whether the database refused this very row before."""
        return False

    def _sort_out(self, found: Iterable[Fields | Rejection], refused: list[Rejection]) -> Counts:
        """Tell known records from others; what has no row goes to `refused`."""
        everything = list(found)
        listed = [each for each in everything if not isinstance(each, Rejection)]
        refused += [each for each in everything if isinstance(each, Rejection)]
        others, counts = self._unsettled(listed, refused), Counts()
        counts.unchanged = len(listed) - len(others)
        if counts.unchanged and self._changes:
            self._drop_all(listed, others, counts)
        for fields, digest, head in others:
            read = self._rows.row(fields)
            if isinstance(read, Rejection):
                refused.append(read)
            elif not read.dropped:
                self._offer((read.record, digest, head), refused, counts)
            else:
                marked = (*fields, *read.dropped)
                self._tell(read.dropped, counts)
                for _, own, its_head in self._without(marked, refused, counts):
                    self._offer((read.record, own, its_head), refused, counts)
        return counts

    def _tell(self, dropped: Sequence[str], counts: Counts) -> None:
        """Count the values that a record does without, and log the first of a run."""
        if not self._has_told:
            log_dropped(log, dropped[0])
            self._has_told = True
        counts.values_dropped += len(dropped)

    def _without(self, marked: Fields, refused: list[Rejection], counts: Counts) -> list[Offer]:
        """Return the marked fields of a record that does without values; nothing if known.

        Under a digest of their own it is read, and these values are counted, in each run.
        """
        listed = [marked]
        others = self._unsettled(listed, refused)
        if listed and not others:
            counts.unchanged += 1
            self._drop_all(listed, [], counts)
        return others

    def _offer(self, offer: Offer, refused: list[Rejection], counts: Counts) -> None:
        """Let a row wait for a look at the database, or to be written, unless it cannot be."""
        (row, digest, head), known = offer, self._known.all()
        if not _is_storable(row):
            refused.append(self._unstorable(row))
        elif not self.full and self._is_refused(digest):
            counts.rejected += 1
            counts.duplicate += self._undecided.pop(row[0], None) is not None
            self._drop_all([row], [], counts)
        elif known is None or head in known:
            counts.duplicate += row[0] in self._undecided
            self._undecided[row[0]] = offer
        else:
            counts.duplicate += self._undecided.pop(row[0], None) is not None
            self._change(offer, counts)

    def _unsettled(self, listed: list[Fields], refused: list[Rejection]) -> list[Offer]:
        """Return the records that no known digest settles; those without one leave `listed`."""
        try:
            digests = self._digests(listed)
        except UNWRITABLE:
            odd = [fields for fields in listed if not self._is_writable(fields)]
            refused += [Rejection(fields[0], NOT_JSON, {}) for fields in odd]
            listed[:] = filter(self._is_writable, listed)
            digests = self._digests(listed)
        heads, known = hashes.heads(digests), self._known.all()
        self._known.meet(heads)
        settled = frozenset[int]() if known is None or self.full else known
        # Most records of most runs come no further.
        others = [place for place, head in enumerate(heads) if head not in settled]
        if doubted := self._refused_heads():
            others = sorted({*others, *(n for n, head in enumerate(heads) if head in doubted)})
        return [(listed[place], digests[place], heads[place]) for place in others]

    def _drop_all(self, rows: Sequence[Row], others: Sequence[Offer], counts: Counts) -> None:
        """Let no change wait whose record came again as one that is not to be written."""
        waiting = self._changes.keys() & map(itemgetter(0), rows)
        for key in waiting - {row[0] for row, _, _ in others}:
            self._drop(key, counts)

    def _is_writable(self, fields: Fields) -> bool:
        try:
            self._digests([fields])
        except UNWRITABLE:
            return False
        return True

    def _unstorable(self, row: Row) -> Rejection:
        return Rejection(row[0], NOT_UNICODE, described(self._table, row))

    def _change(self, offer: Offer, counts: Counts, *, repair: bool = False) -> None:
        """Let a row wait; an earlier one with its key becomes a duplicate."""
        key = offer[0][0]
        counts.duplicate += key in self._changes
        self._changes[key] = offer
        if repair:
            self._repairs.add(key)
        else:
            self._repairs.discard(key)

    def _drop(self, key: str, counts: Counts) -> None:
        """Let a row wait no longer, since its record is back to what is stored."""
        del self._changes[key]
        self._repairs.discard(key)
        counts.duplicate += 1

    def _decide(self) -> Counts:
        """Look up the records that the digests at hand did not settle."""
        counts = Counts()
        while self._undecided:
            keys = list(islice(self._undecided, LOOKUP))
            self._look_up([self._undecided.pop(key) for key in keys], counts)
        return counts

    def _look_up(self, offers: Sequence[Offer], counts: Counts) -> None:
        known = self._known.among([row[0] for row, _, _ in offers])
        same = [row for row, _, head in offers if head in known]
        standing = self._standing(same) if self.full else {row[0]: False for row in same}
        for offer in offers:
            row, _, head = offer
            key = row[0]
            if head in known and standing.get(key) is False:
                counts.unchanged += 1
                if key in self._changes:
                    self._drop(key, counts)
            else:
                self._change(offer, counts, repair=key in standing)

    def _standing(self, rows: Sequence[Row]) -> dict[str, bool]:
        """Return the rows that are there, and whether an upsert would change them."""
        if not rows or self._place.vendor_id is None:
            return {}
        values = self._place.values | {"rows": document(self._table, rows)}

        def work() -> list[tuple[str, bool]] | None:
            with self._database.exchange(read_only=True) as exchange:
                try:
                    found: list[tuple[str, bool]]
                    (found,) = exchange.commit(Statement(self._statements.standing(), values))
                except (psycopg.DataError, psycopg.IntegrityError):
                    return None
                return found

        found = self._database.repeated(work)
        if found is not None:
            return dict(found)
        if len(rows) > 1:
            middle = len(rows) // 2
            return self._standing(rows[:middle]) | self._standing(rows[middle:])
        # A value that the table cannot hold differs from what it holds.
        values = self._place.values | {"keys": [rows[0][0]]}
        (present,) = self._database.read(Statement(self._statements.present(), values))
        return {key: True for (key,) in present}


def _is_storable(row: Row) -> bool:
    return all(is_storable(value) for value in row if isinstance(value, str))
