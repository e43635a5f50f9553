"""One writer per vendor and stream: a lease with an owner, an end and an epoch.

The epoch fences: each transaction that writes locks the lease's row with the epoch it was given, so
a run that slept through its lease and wakes up writes nothing. The end frees the lease of a run
that was killed; a new pod of the same Job need not wait for it. It is renewed with chunks and
between pages once a third of its life is over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vendorsync_job.errors import AlreadyRunningError, LeaseLostError
from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIFETIME = 180.0
"""Seconds; two thirds of it outlast one page with all its tries, which is what renewing needs.

A login behind another run's may take longer; then the epoch decides who goes on.
"""
HELD = "another run of this vendor and stream holds the lease"


class Lease:
    """The lease of one vendor and stream."""

    def __init__(
        self,
        vendor_id: int,
        stream: str,
        *,
        owner: str,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.vendor_id = vendor_id
        self.stream = stream
        self.owner = owner
        self.epoch = 0
        self._lifetime = lifetime
        self._clock = clock
        self._renewed = 0.0

    def take_statement(self) -> Statement:
        """Return what takes the lease; its reading raises AlreadyRunningError without an epoch."""
        return Statement(
            "INSERT INTO vendorsync.leases AS held (vendor_id, stream, owner, until, epoch)"
            " VALUES (%(vendor)s, %(stream)s, %(owner)s,"
            " clock_timestamp() + make_interval(secs => %(lifetime)s), 1)"
            " ON CONFLICT (vendor_id, stream) DO UPDATE"
            " SET owner = excluded.owner, until = excluded.until, epoch = held.epoch + 1"
            " WHERE held.until < clock_timestamp() OR held.owner = excluded.owner"
            " RETURNING epoch",
            self._values,
            self._read_epoch,
        )

    def _read_epoch(self, rows: Sequence[tuple[int]]) -> None:
        if not rows:
            raise AlreadyRunningError(HELD)
        self.epoch = rows[0][0]
        self._renewed = self._clock()

    def hold_statement(self) -> Statement:
        """Return what locks the lease for the rest of the transaction.

        It also renews it once a third of its life is over. Its reading raises LeaseLostError, or
        returns when the lease was renewed last, for `settled`.
        """
        if self.is_due:
            now = self._clock()
            return Statement(
                "UPDATE vendorsync.leases"
                " SET until = clock_timestamp() + make_interval(secs => %(lifetime)s)"
                " WHERE vendor_id = %(vendor)s AND stream = %(stream)s AND epoch = %(epoch)s"
                " RETURNING epoch",
                self._values,
                lambda rows: self._confirmed(rows, now),
            )
        renewed = self._renewed
        return Statement(
            "SELECT epoch FROM vendorsync.leases WHERE vendor_id = %(vendor)s"
            " AND stream = %(stream)s AND epoch = %(epoch)s FOR NO KEY UPDATE",
            self._values,
            lambda rows: self._confirmed(rows, renewed),
        )

    @staticmethod
    def _confirmed(rows: Sequence[object], renewed: float) -> float:
        if not rows:
            raise LeaseLostError("another run took the lease over while this one slept")
        return renewed

    def settled(self, renewed: float) -> None:
        """Know that the transaction with `hold_statement` was committed, and so the renewal."""
        self._renewed = renewed

    @property
    def is_due(self) -> bool:
        """Whether a third of the lease's life is over, so that it wants renewing."""
        return self._clock() - self._renewed > self._lifetime / 3

    def free_statement(self) -> Statement:
        """Return what gives the lease up if it is still ours."""
        return Statement(
            "UPDATE vendorsync.leases SET until = '-infinity', owner = ''"
            " WHERE vendor_id = %(vendor)s AND stream = %(stream)s AND epoch = %(epoch)s",
            self._values,
        )

    @property
    def _values(self) -> dict[str, object]:
        return {
            "vendor": self.vendor_id,
            "stream": self.stream,
            "owner": self.owner,
            "lifetime": self._lifetime,
            "epoch": self.epoch,
        }
