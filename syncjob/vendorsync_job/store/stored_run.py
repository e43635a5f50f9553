"""A run in the database, from its lease to its last transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, field

from vendorsync_api.reasons import Result
from vendorsync_job.errors import AlreadyRunningError
from vendorsync_job.store.chunks import Chunks
from vendorsync_job.store.connection import LockTimeoutError, Timeouts
from vendorsync_job.store.hashes import MOST
from vendorsync_job.store.lease import HELD, Lease
from vendorsync_job.store.quarantine import Quarantine
from vendorsync_job.store.records import RecordStore
from vendorsync_job.store.stream_row import StreamRow
from vendorsync_job.store.vanish import Guard, Retired, Vanishing
from vendorsync_job.store.vendor_row import VendorRow
from vendorsync_job.store.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_api.run import RunReport
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.rows import RowMaker
    from vendorsync_job.store.run_row import RunRow
    from vendorsync_job.store.tables import RecordTable

Record = TypeVar("Record")


class StoredRunSettings(Struct, frozen=True):
    """How a run writes.

    `owner` names the holder of the lease: a Job's name, since its pods come one after the other.
    `writers` is the number of runs that the whole database takes at once, and `known_limit` the
    number of digests up to which all are held in memory.
    """

    owner: str
    writers: int
    guard: Guard = field(default_factory=Guard)
    full_compare_hours: float = 24
    known_limit: int = MOST


class StoredRun(Generic[Record]):
    """Takes the lease, hands out the store of records, and closes both in one transaction."""

    def __init__(
        self,
        database: Database,
        table: RecordTable,
        place: Place,
        row: RunRow,
        rows: RowMaker[Record],
        settings: StoredRunSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._place = place
        self._row = row
        self._vendor = VendorRow(place)
        self._settings = settings
        self._quarantine = Quarantine(row.vendor_id, row.stream, row.id)
        self._stream = StreamRow(row.vendor_id, row.stream)
        self.lease = Lease(row.vendor_id, row.stream, owner=settings.owner)
        chunks = self._chunks(Writers(settings.writers, sleep=sleep), sleep)
        self.records = RecordStore(
            database,
            table,
            place,
            rows,
            chunks=chunks,
            quarantine=self._quarantine,
            stream=self._stream,
            known_limit=settings.known_limit,
        )
        self._vanishing = Vanishing(database, table, place, chunks, settings.guard)

    def _chunks(self, writers: Writers, sleep: Callable[[float], None]) -> Chunks:
        return Chunks(
            self._database,
            lease=self.lease,
            vendor=self._vendor,
            run=self._row,
            writers=writers,
            sleep=sleep,
        )

    def begin(self) -> None:
        """Take the lease, or raise AlreadyRunningError, and open the run's row."""
        try:
            with self._database.exchange(timeouts=Timeouts(lock=2)) as exchange:
                *_, self.records.full = exchange.ask(
                    self.lease.take_statement(),
                    self._row.open_statement(),
                    self._quarantine.load_statement(),
                    self._stream.load_statement(self._settings.full_compare_hours),
                )
                exchange.commit()
        except LockTimeoutError:
            # Its holder locks the lease while it writes a chunk.
            raise AlreadyRunningError(HELD) from None

    @property
    def cursor(self) -> str | None:
        """Where this run goes on; None from the start."""
        return self._stream.cursor

    def set_cursor(self, text: str | None) -> None:
        """Say where the next run goes on, once all that was taken so far is committed."""
        self._stream.cursor = text

    def retire(self, has: Callable[[str], bool], *, complete: bool = True) -> Retired:
        """Hold the stored records against a listing, and mark those that are gone for good.

        A record counts as vanished after so many complete listings in a row without it; it is
        marked in vendorsync.hashes and, if the table has the column, in its row. Records that are
        back are cleared, and for a listing that is not complete that is all.
        """
        return self._vanishing.retire(has, complete=complete, unmet=self.records.unmet())

    def end_absent(self, has: Callable[[str], bool]) -> int:
        """Resolve the open alerts that a complete list of active ones lacks; return how many."""
        return self._vanishing.end_absent(has)

    def finish(self, report: RunReport) -> None:
        """Close the run's row and free the lease; a complete listing leaves its time behind."""
        self._database.repeated(lambda: self._close(report))

    def _has_compared(self, report: RunReport) -> bool:
        """Tell whether a full compare is behind us; a listing that never completes counts."""
        return self.records.full and report.result in (Result.SUCCEEDED, Result.PARTIAL)

    def _close(self, report: RunReport) -> None:
        with self._database.exchange() as exchange:
            if report.complete:
                # The old system's column is about plants; alerts keep out of it.
                is_plants = self._row.stream == "plants"
                vendor = self._vendor
                exchange.ask(
                    self.lease.hold_statement(),
                    vendor.synced_statement() if is_plants else vendor.hold_statement(),
                )
            exchange.commit(
                *(self._quarantine.forget_statements() if report.complete else ()),
                *([self._stream.compared_statement()] if self._has_compared(report) else ()),
                *self._row.close_statements(report),
                self.lease.free_statement(),
            )
