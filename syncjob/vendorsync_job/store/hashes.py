"""Digests of what was last written, so that unchanged records are neither offered nor locked."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.lookup import lookup
from vendorsync_job.store.statements import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.statements import RecordStatements

MOST = 1_000_000
"""Digests that are held in memory, some 70 MB; vendors with more records are read page by page."""
NO_HASH = sql.SQL("SELECT NULL::bytea AS hash WHERE false")
OLD_HASHES = sql.SQL("SELECT h.hash FROM new, {}").format(lookup(hash_of("new"), "h"))


def store_statement(
    vendor_id: int, stream: str, hashes: Mapping[str, bytes], *, are_new: bool = False
) -> Statement:
    """Insert or replace hashes by key; its reading returns those that were replaced, in a row.

    For the transaction that writes the records; the keys come sorted. Hashes that `are_new` replace
    none, so none are looked for, which is a third of the work.
    """
    return Statement(
        sql.SQL(
            "WITH new AS (SELECT key, substr(%(hashes)s::bytea, (16 * n - 15)::int, 16) AS hash"
            " FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS k (key, n)),"
            " old AS ({old}),"
            " written AS (INSERT INTO vendorsync.hashes AS stored (vendor_id, stream, key, hash)"
            " SELECT %(vendor)s, %(stream)s, key, hash FROM new"
            " ON CONFLICT (vendor_id, stream, key) DO UPDATE SET hash = excluded.hash"
            " WHERE stored.hash <> excluded.hash)"
            " SELECT string_agg(hash, ''::bytea) FROM old"
        ).format(old=NO_HASH if are_new else OLD_HASHES),
        {
            "vendor": vendor_id,
            "stream": stream,
            "keys": list(hashes),
            "hashes": b"".join(hashes.values()),
        },
        lambda rows: rows[0][0] or b"",
    )


def spoil_statement(vendor_id: int, stream: str, keys: Iterable[str]) -> Statement:
    """Have the hashes of these records match no row, so that they are offered again."""
    return Statement(
        "UPDATE vendorsync.hashes SET hash = %(hash)s WHERE vendor_id = %(vendor)s"
        " AND stream = %(stream)s AND key = ANY (%(keys)s)",
        {"vendor": vendor_id, "stream": stream, "keys": sorted(keys), "hash": bytes(16)},
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
        self._orphans: set[int] = set()
        self._met = array("Q")
        self.began_empty = False
        """No record of the vendor had a digest when all were read."""

    def all(self) -> set[int] | None:
        """Return all heads, None when there are too many."""
        if self._most and not self._loaded and self._heads is None:
            every, has_all_rows = self._read(self._statements.known())
            if len(every) <= self._most:
                self._heads = set(every)
                self.began_empty = not every
                if not has_all_rows:
                    (orphans,) = self._read(self._statements.orphans())
                    self._orphans = set(orphans)
                    self._heads -= self._orphans
        self._loaded = True
        return self._heads

    def among(self, keys: list[str]) -> set[int]:
        """Return at least the heads of these records."""
        if self._heads is not None:
            return self._heads
        (found,) = self._read(self._statements.known_of(), keys=keys)
        return set(found)

    def meet(self, heads: array[int]) -> None:
        """Note the heads of records that were listed."""
        if self._heads is not None:
            self._met.extend(heads)

    def unmet(self) -> set[int] | None:
        """Return the heads that were not met, those without a row among them.

        None if that is not known. A record whose new digest was not stored has its old one here.
        The listing is over then: to spare a second set of a million, nothing else is known after.
        """
        unmet, self._heads = self._heads, None
        if unmet is not None:
            unmet |= self._orphans
            unmet.difference_update(self._met)
        return unmet

    def replace(self, old: bytes, new: Mapping[str, bytes]) -> None:
        """Learn what was written instead of the digests `old`, one after the other."""
        if self._heads is None:
            return
        self._heads.difference_update(heads([old]))
        self._heads.update(heads(new.values()))
        if len(self._heads) > self._most:
            self.forget()

    def forget(self) -> None:
        """Ask the database from now on."""
        self._heads = None

    def _read(self, query: sql.Composed, **values: object) -> list[Any]:
        """Return the only row of an answer, its first column as heads."""
        (((packed, *others),),) = self._database.read(Statement(query, self._values | values))
        return [array("Q", packed or b""), *others]
