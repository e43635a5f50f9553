"""How many chunks the whole database takes at once: transaction-scoped advisory locks, k of n.

The server frees a lock with its transaction, so a killed run leaves none behind, and a pooler may
stand between.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

from vendorsync_job.errors import DatabaseUnavailableError
from vendorsync_job.store.exchange import Statement, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.exchange import Exchange

Result = TypeVar("Result")

LOCKS = 0x7673_796E  # "vsyn"
PATIENCE = 60.0
"""Seconds that a chunk waits for its turn."""


class WritersBusyError(DatabaseUnavailableError):
    """No lock was free within PATIENCE."""


class Writers:
    """The writers' limit of one database; `limit` runs write at any moment."""

    def __init__(
        self,
        limit: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    def run(
        self,
        database: Database,
        work: Callable[[Exchange, list[Any]], Result],
        opening: Callable[[], Sequence[Statement]] = tuple,
    ) -> Result:
        """Run `work` in a transaction that counts as one writer, waiting for a free place.

        The opening statements travel with the question for a place; `work` gets what is read from
        their answers. It is `work` that commits.
        """
        end = self._clock() + PATIENCE
        while True:
            with database.exchange() as exchange:
                asked = opening()
                entered, *answers = exchange.run(self._place_statement(), *asked)
                if entered:
                    return work(exchange, read(asked, answers))
            if self._clock() > end:
                raise WritersBusyError(
                    f"database {database.where} has all {self._limit} writers busy"
                )
            # Outside the transaction, so that a waiting run holds nothing.
            self._sleep(0.02 + 0.2 * self._jitter())

    def _place_statement(self) -> Statement:
        places = sorted(range(1, self._limit + 1), key=lambda _: self._jitter())
        return Statement(
            "SELECT place FROM (SELECT unnest(%s::int[]) AS place) AS places"
            " WHERE pg_try_advisory_xact_lock(%s, place) LIMIT 1",
            [places, LOCKS],
        )
