"""Digests of what was last written, so that unchanged records are neither offered nor locked."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg import sql

    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.statements import RecordStatements

MOST = 1_000_000
"""Digests that are held in memory, some 70 MB; vendors with more records are read page by page."""


def store_statement(vendor_id: int, stream: str, hashes: Mapping[str, bytes]) -> Statement:
    """Insert or replace hashes by key, and return those that were replaced, one after the other.

    For the transaction that writes the records; the keys come sorted.
    """
    return Statement(
        "WITH new AS (SELECT key, substr(%(hashes)s::bytea, (16 * n - 15)::int, 16) AS hash"
        " FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS k (key, n)),"
        # OFFSET keeps the planner to a look-up by key, which it misses without statistics.
        " old AS (SELECT h.hash FROM new, LATERAL (SELECT s.hash FROM vendorsync.hashes AS s"
        " WHERE s.vendor_id = %(vendor)s AND s.stream = %(stream)s AND s.key = new.key"
        " OFFSET 0) AS h),"
        " written AS (INSERT INTO vendorsync.hashes AS stored (vendor_id, stream, key, hash)"
        " SELECT %(vendor)s, %(stream)s, key, hash FROM new"
        " ON CONFLICT (vendor_id, stream, key) DO UPDATE SET hash = excluded.hash"
        " WHERE stored.hash <> excluded.hash)"
        " SELECT string_agg(hash, ''::bytea) FROM old",
        {
            "vendor": vendor_id,
            "stream": stream,
            "keys": list(hashes),
            "hashes": b"".join(hashes.values()),
        },
    )


def heads(digests: Iterable[bytes]) -> array[int]:
    """Return the first halves of digests as numbers, by which they are told apart in memory.

    Of a million digests two share theirs once in 37 million vendors.
    """
    return array("Q", b"".join(digests))[::2]


class Known:
    """The heads of the digests of the rows that are there, as they were last written.

    A digest covers the record's key, so that a set of them tells whether a record is unchanged.
    Up to `most` of them are read once; of more, those that are asked for.
    """

    def __init__(
        self,
        database: Database,
        statements: RecordStatements,
        place: Place,
        stream: str,
        *,
        most: int = MOST,
    ) -> None:
        self._database = database
        self._statements = statements
        self._values = place.values | {"stream": stream}
        self._most = most
        self._loaded = False
        self._heads: set[int] | None = set() if place.vendor_id is None else None

    def all(self) -> set[int] | None:
        """Return all heads, None when there are too many."""
        if self._most and not self._loaded and self._heads is None:
            every, orphans = self._read(*self._statements.known())
            if len(every) <= self._most:
                self._heads = set(every)
                # Of rows that somebody deleted.
                self._heads.difference_update(orphans)
        self._loaded = True
        return self._heads

    def among(self, keys: list[str]) -> set[int]:
        """Return at least the heads of these records."""
        if self._heads is not None:
            return self._heads
        ((found),) = self._read(self._statements.known_of(), keys=keys)
        return set(found)

    def replace(self, old: bytes | None, new: Mapping[str, bytes]) -> None:
        """Learn what was written instead of the digests `old`, one after the other."""
        if self._heads is None:
            return
        self._heads.difference_update(heads([old or b""]))
        self._heads.update(heads(new.values()))
        if len(self._heads) > self._most:
            self.forget()

    def forget(self) -> None:
        """Ask the database from now on."""
        self._heads = None

    def _read(self, *queries: sql.Composed, **values: object) -> list[array[int]]:
        answers = self._database.read(
            *(Statement(query, self._values | values) for query in queries)
        )
        return [array("Q", row[0] or b"") for (row,) in answers]
