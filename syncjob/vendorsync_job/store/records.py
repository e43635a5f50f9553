"""Sinks for the records of a stream: compare with what was last written, write only what changed.

`RecordComparison` only tells what a run would do; `RecordStore` does it. Records whose digest is
known are settled at once. The others wait, so that a commit is worth its round trips.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

import psycopg

from vendorsync_job.models import Counts, Rejection
from vendorsync_job.store import hashes
from vendorsync_job.store.chunks import Chunk
from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.rows import Digests, described, document, is_storable
from vendorsync_job.store.statements import RecordStatements
from vendorsync_job.store.upsert import PIECE, Upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from vendorsync_job.store.chunks import Chunks
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.exchange import Exchange
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.quarantine import Quarantine
    from vendorsync_job.store.rows import Row, RowMaker
    from vendorsync_job.store.stream_row import StreamRow
    from vendorsync_job.store.tables import RecordTable

Record = TypeVar("Record")
Offer = tuple["Row", bytes, int]
"""A row, its digest, and the head of that."""

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
        to_rows: RowMaker[Record],
        *,
        full: bool = False,
        known_limit: int = hashes.MOST,
    ) -> None:
        self.full = full
        self._database = database
        self._table = table
        self._place = place
        self._to_rows = to_rows
        self._digests = Digests(table)
        self._statements = RecordStatements(table, place)
        # Of years of alerts only the listed ones are asked for.
        most = 0 if table.has_history else known_limit
        self._known = hashes.Known(database, self._statements, place, table.name, most=most)
        self._undecided: dict[str, Offer] = {}
        self._changes: dict[str, Offer] = {}
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
        counts = self._sort_out(self._to_rows(records), refused)
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

    def _sort_out(self, found: Iterable[Row | Rejection], refused: list[Rejection]) -> Counts:
        """Tell known rows from others; what has no row goes to `refused`."""
        rows: list[Row] = []
        for row in found:
            if isinstance(row, Rejection):
                refused.append(row)
            else:
                rows.append(row)
        known, counts = self._known.all(), Counts()
        others = self._unsettled(rows, refused, known)
        counts.unchanged = len(rows) - len(others)
        if counts.unchanged and self._changes:
            self._drop_all(rows, others, counts)
        for offer in others:
            row, digest, head = offer
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
        return counts

    def _unsettled(
        self, rows: list[Row], refused: list[Rejection], known: AbstractSet[int] | None
    ) -> list[Offer]:
        """Return the rows that no known digest settles; those without one leave `rows`."""
        try:
            digests = self._digests(rows)
        except UnicodeError:
            refused += [self._unstorable(row) for row in rows if not _is_storable(row)]
            rows[:] = filter(_is_storable, rows)
            digests = self._digests(rows)
        heads = hashes.heads(digests)
        self._known.meet(heads)
        settled = frozenset[int]() if known is None or self.full else known
        doubted = self._refused_heads()
        # Most records of most runs come no further.
        return [
            (rows[place], digests[place], head)
            for place, head in enumerate(heads)
            if head not in settled or head in doubted
        ]

    def _drop_all(self, rows: Sequence[Row], others: Sequence[Offer], counts: Counts) -> None:
        """Let no change wait whose record came again as one that is not to be written."""
        waiting = self._changes.keys() & map(itemgetter(0), rows)
        for key in waiting - {row[0] for row, _, _ in others}:
            self._drop(key, counts)

    def _unstorable(self, row: Row) -> Rejection:
        return Rejection(row[0], "text that is not Unicode", described(self._table, row))

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


class RecordStore(RecordComparison[Record]):
    """Writes the records of one run."""

    def __init__(
        self,
        database: Database,
        table: RecordTable,
        place: Place,
        to_rows: RowMaker[Record],
        *,
        chunks: Chunks,
        quarantine: Quarantine,
        stream: StreamRow,
        full: bool = False,
        known_limit: int = hashes.MOST,
    ) -> None:
        super().__init__(database, table, place, to_rows, full=full, known_limit=known_limit)
        self._chunks = chunks
        self._quarantine = quarantine
        self._stream = stream
        self._upsert = Upsert(table, place, self._statements)
        self._rejections: list[Rejection] = []
        """Those that go to quarantine with the next chunk."""

    @property
    def pending(self) -> int:
        """Changes that wait for a commit, records for the quarantine among them."""
        return len(self._changes) + len(self._rejections)

    def take(self, records: Sequence[Record], rejected: Sequence[Rejection]) -> Counts:
        """Sort records out, without writing, and count those that are settled by that."""
        return self._settled(super().take(records, rejected))

    def commit(self) -> Counts:
        """Write what waits in one transaction, and count it; without any, write nothing."""
        counts = self._settled(self._decide())
        if not (self._changes or self._rejections or self._stream.moved):
            return counts
        changes = {key: self._changes[key] for key in sorted(self._changes)}
        chunk = self._chunks.write(lambda exchange: self._write(exchange, changes))
        self._learn(chunk)
        self._changes.clear()
        self._repairs.clear()
        self._rejections.clear()
        self._quarantine.settled()
        self._stream.settled()
        return counts + chunk.counts

    def unmet(self) -> set[int] | None:
        """Return the heads of stored digests that no listed record had, None if not known."""
        return self._known.unmet()

    def renew(self) -> None:
        """Keep the lease while pages come in slowly; LeaseLostError once it is another run's."""
        self._chunks.renew()

    def _settled(self, counts: Counts) -> Counts:
        self._chunks.totals = self._chunks.totals + counts
        return counts

    def _refuse(self, rejections: Sequence[Rejection]) -> None:
        self._rejections += [item for item in rejections if self._quarantine.has_news(item)]

    def _refused_heads(self) -> AbstractSet[int]:
        return self._quarantine.refused_heads

    def _is_refused(self, digest: bytes) -> bool:
        return self._quarantine.holds(digest)

    def _write(self, exchange: Exchange, changes: dict[str, Offer]) -> Chunk:
        totals = self._chunks.totals
        written = self._upsert.write(
            exchange,
            [row for row, _, _ in changes.values()],
            first=not (totals.created or totals.updated or totals.unchanged),
        )
        refused = written.refused
        done = {key: digest for key, (_, digest, _) in changes.items() if key not in refused}
        closing = [
            *(
                [
                    hashes.store_statement(
                        self._chunks.lease.vendor_id,
                        self._table.name,
                        done,
                        # Whoever has no row had no digest either, unless there were some before.
                        are_new=self._known.began_empty and written.created == len(done),
                    )
                ]
                if done
                else []
            ),
            *self._quarantine.add_statements(
                [*self._rejections, *refused.values()], {key: changes[key][1] for key in refused}
            ),
            *self._spoil(self._repairs & refused.keys()),
            *self._stream.move_statements(),
        ]
        return Chunk(
            Counts(
                created=written.created,
                updated=written.updated,
                unchanged=written.equal,
                rejected=len(refused),
                repaired=min(written.updated, len(self._repairs & done.keys())),
            ),
            closing,
            done,
        )

    def _spoil(self, keys: AbstractSet[str]) -> list[Statement]:
        """Let no digest say of rows that they are as the vendor has them, for these are not."""
        if not keys:
            return []
        return [hashes.spoil_statement(self._chunks.lease.vendor_id, self._table.name, keys)]

    def _learn(self, chunk: Chunk) -> None:
        """Know the digests that were written."""
        if not chunk.hashes:
            return
        if chunk.answers is None:
            self._known.forget()
            return
        self._known.replace(chunk.answers[0], chunk.hashes)


def _is_storable(row: Row) -> bool:
    return all(is_storable(value) for value in row if isinstance(value, str))
