"""Digests of what was last written, so that unchanged records are neither offered nor locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.statements import RecordStatements

SIZE = 16
"""Bytes of a digest."""
MOST = 200_000
"""Digests that are held in memory, some 20 MB; vendors with more records are read page by page."""


def storing(vendor_id: int, stream: str, hashes: Mapping[str, bytes]) -> Statement:
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


def apart(joined: bytes | None) -> Iterator[bytes]:
    """Yield the digests of a text of them."""
    for start in range(0, len(joined or b""), SIZE):
        yield (joined or b"")[start : start + SIZE]


class Known:
    """The digests of the rows that are there, as they were last written.

    A digest covers the record's key, so that a set of digests tells whether a record is unchanged.
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
        self._hashes: set[bytes] | None = set() if place.vendor_id is None else None

    def all(self) -> set[bytes] | None:
        """Return all digests, None when there are too many."""
        if not self._loaded and self._hashes is None:
            found = set(apart(self._read(of_keys=False, limit=self._most + 1)))
            self._hashes = found if len(found) <= self._most else None
        self._loaded = True
        return self._hashes

    def among(self, keys: list[str]) -> set[bytes]:
        """Return at least the digests of these records."""
        if self._hashes is not None:
            return self._hashes
        return set(apart(self._read(of_keys=True, keys=keys)))

    def replace(self, old: bytes | None, new: Mapping[str, bytes]) -> None:
        """Learn what was written."""
        if self._hashes is None:
            return
        self._hashes.difference_update(apart(old))
        self._hashes.update(new.values())
        if len(self._hashes) > self._most:
            self.forget()

    def forget(self) -> None:
        """Ask the database from now on."""
        self._hashes = None

    def _read(self, *, of_keys: bool, **values: object) -> bytes | None:
        ((row,),) = self._database.read(
            Statement(self._statements.known(of_keys=of_keys), self._values | values)
        )
        found: bytes | None = row[0]
        return found
