"""The statements that read and write the records of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.store.each import ITEM
from vendorsync_job.store.lookup import lookup
from vendorsync_job.store.place import VENDOR_AND_ORGANIZATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_job.store.exchange import Exchange
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.rows import Row
    from vendorsync_job.store.tables import RecordTable

COMMA = sql.SQL(", ")
STAGE = sql.Identifier("pg_temp", "vendorsync_rows")
"""The temporary table that a COPY fills."""
HASHES = sql.SQL("vendorsync.hashes AS s WHERE s.vendor_id = %(vendor)s AND s.stream = %(stream)s")


class RecordStatements:
    """SQL for one table; values are vendor, organization, and rows, keys or hashes as named."""

    def __init__(self, table: RecordTable, place: Place) -> None:
        self._table = table
        self._place = place
        self._types = [table.types.get(name, "text") for name in table.row]

    def upsert(self) -> sql.Composed:
        """Write the rows of the JSON document %(rows)s: no parameter limit, no temporary table."""
        return self._counted(
            sql.SQL("jsonb_to_recordset(%(rows)s::jsonb) AS r ({})").format(self._definitions())
        )

    def upsert_staged(self) -> sql.Composed:
        """Write the rows of the temporary table."""
        return self._counted(sql.SQL("{} AS r").format(STAGE))

    def upsert_one(self) -> sql.Composed:
        """Write the row in ITEM, and return whether it is new, or nothing if it was left alone."""
        return self._upsert(
            sql.SQL("jsonb_to_record({}) AS r ({})").format(ITEM, self._definitions())
        )

    def stage(self) -> sql.Composed:
        """Create the temporary table."""
        return sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(
            sql.Identifier("pg_temp", "vendorsync_rows"), self._definitions()
        )

    def copy(self, exchange: Exchange, rows: Iterable[Row]) -> None:
        """Fill the temporary table."""
        query = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(STAGE)
        exchange.copy(query, self._types, rows)

    def unstage(self) -> sql.Composed:
        """Drop the temporary table, since the transaction may need another one."""
        return sql.SQL("DROP TABLE {}").format(STAGE)

    def others(self) -> sql.Composed:
        """Return which of %(keys)s are rows of another organization, or are taken for a row's key.

        A collation may take two keys for one.
        """
        names = self._names()
        stored = sql.SQL(
            "SELECT p.{key} FROM {table} AS p WHERE p.vendor_id = %(vendor)s AND p.{key} = k.key"
        ).format(**names)
        return sql.SQL(
            'SELECT k.key, p.{key} COLLATE "C" = k.key'
            " FROM unnest(%(keys)s::text[]) AS k (key), {stored}"
        ).format(stored=lookup(stored, "p"), **names)

    def present(self) -> sql.Composed:
        """Return which of %(keys)s are rows of the organization."""
        return sql.SQL("SELECT k.key FROM unnest(%(keys)s::text[]) AS k (key), {row}").format(
            row=self._row("k")
        )

    def standing(self) -> sql.Composed:
        """Return the keys of %(rows)s that are there, and whether the upsert would change them.

        The table's own row type rounds as the upsert would.
        """
        names = self._names()
        stored = sql.SQL(
            "SELECT * FROM {table} AS p WHERE {ours} AND p.{key} = excluded.{key}"
        ).format(**names)
        return sql.SQL(
            "SELECT stored.{key}, {differs}"
            " FROM jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb) AS excluded, {stored}"
        ).format(stored=lookup(stored, "stored"), differs=self._differs(), **names)

    def known(self) -> sql.Composed:
        """Return the heads of all hashes, and whether hashes and rows have the same keys.

        Sums of 64 bits tell that by one scan of each table; comparing the keys costs three times
        as much.
        """
        return sql.SQL(
            "SELECT string_agg(substr(s.hash, 1, 8), ''::bytea), sum(hashtextextended(s.key, 0))"
            " IS NOT DISTINCT FROM (SELECT sum(hashtextextended(p.{key}, 0)) FROM {table} AS p"
            " WHERE {ours}) FROM {hashes}"
        ).format(hashes=HASHES, **self._names())

    def orphans(self) -> sql.Composed:
        """Return the heads of the hashes whose row is not there: people delete some.

        EXCEPT costs a scan of each table, whatever the planner knows of them; a join may cost one
        for each row.
        """
        return sql.SQL(
            "SELECT string_agg(substr(h.hash, 1, 8), ''::bytea) FROM (SELECT s.key FROM {hashes}"
            " EXCEPT SELECT p.{key} FROM {table} AS p WHERE {ours}) AS orphan (key), {hash}"
        ).format(hashes=HASHES, hash=_hash("orphan"), **self._names())

    def _names(self) -> dict[str, sql.Composable]:
        return {
            "key": sql.Identifier(self._table.key),
            "table": self._place.table(self._table.name),
            "ours": VENDOR_AND_ORGANIZATION,
        }

    def known_of(self) -> sql.Composed:
        """Return the heads of the hashes of %(keys)s whose rows are there."""
        return sql.SQL(
            "SELECT string_agg(substr(h.hash, 1, 8), ''::bytea)"
            " FROM unnest(%(keys)s::text[]) AS k (key), {hash}, {row}"
        ).format(hash=_hash("k"), row=self._row("k"))

    def _row(self, keys: str) -> sql.Composed:
        """Join the row of each key in the column `key` of `keys`, if it is there."""
        row = sql.SQL("SELECT FROM {table} AS p WHERE {ours} AND p.{key} = {keys}.key").format(
            keys=sql.Identifier(keys), **self._names()
        )
        return lookup(row, "p")

    def _definitions(self) -> sql.Composed:
        return COMMA.join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in zip(self._table.row, self._types, strict=True)
        )

    def _counted(self, source: sql.Composed) -> sql.Composed:
        """Upsert from rows called r; return how many were written, how many of them are new.

        The third column has the keys that were written if these are fewer than %(count)s.
        """
        return sql.SQL(
            "WITH written AS ({upsert}, stored.{key} AS key)"
            " SELECT count(*), count(*) FILTER (WHERE is_new),"
            " CASE WHEN count(*) < %(count)s THEN array_agg(key) END FROM written"
        ).format(upsert=self._upsert(source), key=sql.Identifier(self._table.key))

    def _upsert(self, source: sql.Composed) -> sql.Composed:
        """Upsert from rows called r, and return of each row that was written whether it is new.

        Rows go in sorted by key, so that two writers lock in the same order. A row of another
        organization, one that is equal already, and one whose key is another one's by the column's
        collation are left alone.
        """
        table = self._table
        stamps = [sql.Identifier(name) for name in table.stamps]
        assignments = [
            sql.SQL("{} = {}").format(sql.Identifier(name), value)
            for name, value in zip(table.columns, self._new_values(), strict=True)
        ] + [sql.SQL("updated_at = excluded.updated_at")] * ("updated_at" in table.stamps)
        return sql.SQL(
            "INSERT INTO {table} AS stored (org_id, vendor_id, {columns})"
            " SELECT %(organization)s, %(vendor)s, {values} FROM {source}"
            " WHERE NOT EXISTS ({equal})"
            ' ORDER BY r.{key} COLLATE "C"'
            " ON CONFLICT (vendor_id, {key}) DO UPDATE SET {assignments}"
            " WHERE stored.org_id = excluded.org_id"
            ' AND stored.{key} COLLATE "C" = excluded.{key} COLLATE "C" AND {differs}'
            " RETURNING xmax = 0 AS is_new"
        ).format(
            table=self._place.table(table.name),
            key=sql.Identifier(table.key),
            columns=COMMA.join([*map(sql.Identifier, self._table.row), *stamps]),
            values=COMMA.join([*map(self._inserted, table.row), *[sql.SQL("now()")] * len(stamps)]),
            source=source,
            equal=self._equal(),
            assignments=COMMA.join(assignments),
            differs=self._differs(),
        )

    def _equal(self) -> sql.Composed:
        """Select the stored row of `r` if that would not change it.

        What a vendor changes may reach no column. ON CONFLICT would find out as well, but only
        after it took a number of the sequence and locked the row. A number that the column rounds
        is left to it.
        """
        return sql.SQL(
            "SELECT FROM {table} AS stored WHERE stored.vendor_id = %(vendor)s"
            " AND stored.org_id = %(organization)s AND stored.{key} = r.{key}"
            ' AND stored.{key} COLLATE "C" = r.{key} COLLATE "C" AND NOT {differs} OFFSET 0'
        ).format(
            table=self._place.table(self._table.name),
            key=sql.Identifier(self._table.key),
            differs=self._differs("r"),
        )

    def _inserted(self, name: str) -> sql.Composable:
        """Return what a column of a new row gets."""
        value = sql.Identifier("r", name)
        filler = self._table.fillers.get(name)
        return value if filler is None else sql.SQL("coalesce({}, {})").format(value, filler)

    def _new_values(self, given: str = "excluded") -> list[sql.Composed]:
        """Return what each owned column becomes, in terms of `stored` and of what is given."""
        return [self._new_value(name, given) for name in self._table.columns]

    def _new_value(self, name: str, given: str) -> sql.Composed:
        """Return what a column becomes.

        A time that moves by just half an hour or an hour stays. Vendors that tell local times tell
        a plant's offset apart from them, and where that moves with the season the times do not.
        """
        new, old = sql.Identifier(given, name), sql.Identifier("stored", name)
        kind = self._table.types.get(name)
        if name in self._table.fillers:
            # No vendor means it, so it counts as no value.
            usual = sql.SQL("coalesce(nullif({}, {}), {})").format(
                new, self._table.fillers[name], old
            )
        elif kind == "jsonb":
            # Keys of others stay; what is no object is none of ours.
            usual = sql.SQL(
                "CASE WHEN jsonb_typeof({old}) = 'object' THEN {old} || {new} ELSE {new} END"
            ).format(old=old, new=new)
        elif name in self._table.kept:
            usual = sql.SQL("coalesce({}, {})").format(new, old)
        else:
            usual = sql.SQL("{}").format(new)
        if kind != "timestamptz":
            return usual
        return sql.SQL(
            "CASE WHEN abs(extract(epoch FROM {new} - {old})) IN (1800, 3600) THEN {old}"
            " ELSE {usual} END"
        ).format(new=new, old=old, usual=usual)

    def _differs(self, given: str = "excluded") -> sql.Composed:
        return sql.SQL("(({old}) IS DISTINCT FROM ({new}))").format(
            old=_listed("stored", self._table.columns), new=COMMA.join(self._new_values(given))
        )


def hash_of(keys: str) -> sql.Composed:
    """Select the hash of the key in the column `key` of `keys`."""
    return sql.SQL("SELECT s.hash FROM {} AND s.key = {}.key").format(HASHES, sql.Identifier(keys))


def _listed(table: str, names: Iterable[str]) -> sql.Composed:
    return COMMA.join(sql.Identifier(table, name) for name in names)


def _hash(keys: str) -> sql.Composed:
    """Join the hash of each key in the column `key` of `keys`."""
    return lookup(hash_of(keys), "h")
