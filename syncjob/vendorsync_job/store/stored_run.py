"""A run in the database, from its lease to its last transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.errors import AlreadyRunningError
from vendorsync_job.store.connection import LockTimeoutError, Timeouts
from vendorsync_job.store.lease import HELD, Lease
from vendorsync_job.store.plants import PlantStore
from vendorsync_job.store.quarantine import Quarantine
from vendorsync_job.store.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_api.run import RunReport
    from vendorsync_job.store.connection import Cursor, Database
    from vendorsync_job.store.plants import Place
    from vendorsync_job.store.runs import RunRow
    from vendorsync_job.store.schema import PlantTable


class StoredRun:
    """Takes the lease, hands out the store of plants, and closes both in one transaction.

    `owner` names the holder of the lease: a Job's name, since its pods come one after the other.
    """

    def __init__(
        self,
        database: Database,
        table: PlantTable,
        place: Place,
        row: RunRow,
        *,
        owner: str,
        writers: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._place = place
        self._row = row
        self._quarantine = Quarantine(row.vendor_id, row.stream, row.id)
        self.lease = Lease(row.vendor_id, row.stream, owner=owner)
        self.plants = PlantStore(
            database,
            table,
            place,
            lease=self.lease,
            quarantine=self._quarantine,
            run=row,
            writers=Writers(writers, sleep=sleep),
            sleep=sleep,
        )

    def begin(self) -> None:
        """Take the lease, or raise AlreadyRunningError, and open the run's row."""
        try:
            with self._database.transaction(timeouts=Timeouts(lock=2)) as cursor:
                self.lease.take(cursor)
                self._row.open(cursor)
                self._quarantine.load(cursor)
        except LockTimeoutError:
            # Its holder locks the lease while it writes a chunk.
            raise AlreadyRunningError(HELD) from None

    def finish(self, report: RunReport) -> None:
        """Close the run's row and free the lease; a complete listing leaves its time behind."""
        self._database.retrying(lambda cursor: self._close(cursor, report))

    def _close(self, cursor: Cursor, report: RunReport) -> None:
        if report.complete:
            self.lease.hold(cursor)
            self._quarantine.forget_others(cursor)
            cursor.execute(
                sql.SQL("UPDATE {} SET last_synced_at = now() WHERE id = %s").format(
                    sql.Identifier(self._place.schema, "vendors")
                ),
                [self._row.vendor_id],
            )
        self._row.close(cursor, report)
        self.lease.free(cursor)
