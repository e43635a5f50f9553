"""Chunks of a run: each is one transaction that carries what it writes and the run's counters.

It first locks the lease and the vendors row, so a run that lost the one or whose vendor changed
hands writes nothing, and it counts as one writer of the database. When the connection breaks at the
COMMIT, the run's row tells whether it had happened.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from vendorsync_job.errors import DatabaseUnavailableError
from vendorsync_job.models import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.exchange import Exchange, Statement
    from vendorsync_job.store.lease import Lease
    from vendorsync_job.store.run_row import RunRow
    from vendorsync_job.store.vendor_row import VendorRow
    from vendorsync_job.store.writers import Writers

PAUSES = (0.2, 2.0)
"""Seconds before a chunk that broke off is tried again."""

log = logging.getLogger(__name__)


class Chunk(Struct):
    """What a transaction did, and what is left to travel with its COMMIT."""

    counts: Counts
    closing: list[Statement] = field(default_factory=list)
    hashes: dict[str, bytes] = field(default_factory=dict)
    """Digests by key that the first closing statement stores, if there are any."""
    answers: list[Any] | None = None
    """What the closing statements' answers say; None when they got lost with the connection."""


class Chunks:
    """The chunks of one run, one after the other."""

    def __init__(
        self,
        database: Database,
        *,
        lease: Lease,
        vendor: VendorRow,
        run: RunRow,
        writers: Writers,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lease = lease
        self.totals = Counts()
        """All that is settled in this run, written or not."""
        self._database = database
        self._vendor = vendor
        self._run = run
        self._writers = writers
        self._sleep = sleep
        self._number = 0

    def write(self, work: Callable[[Exchange], Chunk]) -> Chunk:
        """Commit what `work` does, again when another writer or the network broke it off."""
        self._number += 1
        done: Chunk | None = None

        def once(exchange: Exchange, answers: list[Any]) -> Chunk:
            nonlocal done
            renewed, _, is_committed = answers
            # The answer to an earlier COMMIT may have got lost with the connection.
            if done is not None and is_committed:
                return done
            done = work(exchange)
            counts = self._run.count_statement(self._number, self.totals + done.counts)
            done.answers = exchange.commit(*done.closing, counts)
            self.lease.settled(renewed)
            return done

        def attempt() -> Chunk:
            return self._writers.run(
                self._database,
                once,
                lambda: (
                    self.lease.hold_statement(),
                    self._vendor.hold_statement(),
                    self._run.committed_statement(self._number),
                ),
            )

        for pause in PAUSES:
            try:
                return self._settled(attempt())
            except DatabaseUnavailableError as error:
                log.warning("chunk failed and is repeated: %s", error)
                self._sleep(pause)
        return self._settled(attempt())

    def _settled(self, chunk: Chunk) -> Chunk:
        self.totals = self.totals + chunk.counts
        return chunk

    def renew(self) -> None:
        """Keep the lease while the vendor takes its time; LeaseLostError once it is another's."""
        if self.lease.is_due:
            self._database.repeated(self._renew)

    def _renew(self) -> None:
        with self._database.exchange() as exchange:
            (renewed,) = exchange.ask(self.lease.hold_statement())
            exchange.commit()
        self.lease.settled(renewed)
