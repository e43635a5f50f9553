"""The sink for the records of a stream: writes those that differ from what was last written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vendorsync_job.models import Counts
from vendorsync_job.store import hashes
from vendorsync_job.store.chunks import Chunk
from vendorsync_job.store.comparison import Record, RecordComparison
from vendorsync_job.store.upsert import Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from vendorsync_job.models import Rejection
    from vendorsync_job.store.chunks import Chunks
    from vendorsync_job.store.comparison import Offer
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.exchange import Exchange, Statement
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.quarantine import Quarantine
    from vendorsync_job.store.rows import RowMaker
    from vendorsync_job.store.stream_row import StreamRow
    from vendorsync_job.store.tables import RecordTable


class RecordStore(RecordComparison[Record]):
    """Writes the records of one run."""

    def __init__(
        self,
        database: Database,
        table: RecordTable,
        place: Place,
        rows: RowMaker[Record],
        *,
        chunks: Chunks,
        quarantine: Quarantine,
        stream: StreamRow,
        full: bool = False,
        known_limit: int = hashes.MOST,
    ) -> None:
        super().__init__(database, table, place, rows, full=full, known_limit=known_limit)
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
