"""What PostgreSQL's catalogue says of an application's tables, as the role at hand sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from vendorsync_job.store.connection import Cursor


class Column(Struct, frozen=True):
    """One column as the catalogue describes it.

    `demands` is NOT NULL without a default, `generated` is computed by the server, `updates` tells
    whether the role may update it. A numeric column with a precision holds what is below `limit`.
    """

    type: str
    demands: bool
    generated: bool
    updates: bool
    limit: Decimal | None = None

    def takes(self, types: frozenset[str]) -> bool:
        """Tell whether values of ours can be written."""
        return self.type in types and not self.generated


class Target(Struct, frozen=True):
    """The table of a stream's records: whether it is partitioned, and which triggers come first.

    `triggers` are those that run before a row is inserted or updated: what such a one leaves out
    is not written, and the server tells nobody.
    """

    is_partitioned: bool = False
    triggers: tuple[str, ...] = ()


def tables(cursor: Cursor, schema: str, names: list[str]) -> dict[str, dict[str, Column]]:
    """Return the columns of those of the tables that are there."""
    cursor.execute(
        "SELECT w.name, a.attname,"
        # A domain counts as what it is made of; its checks are the database's business.
        " regexp_replace(format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),"
        " '\\(.*\\)', ''),"
        " a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',"
        " a.attgenerated <> '' OR a.attidentity = 'a',"
        " has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),"
        # What is rounded up to the first number with a digit too many does not fit either.
        " CASE WHEN coalesce(nullif(t.typbasetype, 0), t.oid) = 'numeric'::regtype"
        " AND m.precision IS NOT NULL"
        " THEN 10::numeric ^ (m.precision - m.scale) - 5 * 10::numeric ^ (-m.scale - 1) END"
        " FROM unnest(%s::text[]) AS w (name) JOIN pg_attribute AS a"
        " ON a.attrelid = to_regclass(format('%%I.%%I', %s::text, w.name))"
        " JOIN pg_type AS t ON t.oid = a.atttypid,"
        # The type modifier: precision, and scale in 11 bits with a sign.
        " LATERAL (SELECT nullif(greatest(a.atttypmod, t.typtypmod), -1) - 4) AS n (modifier),"
        " LATERAL (SELECT n.modifier >> 16, ((n.modifier & 2047) # 1024) - 1024)"
        " AS m (precision, scale)"
        " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
        [names, schema],
    )
    found: dict[str, dict[str, Column]] = {}
    for table, name, *column in cursor.fetchall():
        found.setdefault(table, {})[name] = Column(*column)
    return found


def target(cursor: Cursor, schema: str, table: str) -> Target:
    """Return what is to be known of the table that is written."""
    cursor.execute(
        "SELECT c.relkind = 'p', ARRAY(SELECT t.tgname::text FROM pg_trigger AS t"
        # Bits of tgtype: 1 for each row, 2 before, 4 insert, 16 update. R is for replicas only.
        " WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
        " AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 ORDER BY t.tgname)"
        " FROM pg_class AS c WHERE c.oid = to_regclass(format('%%I.%%I', %s::text, %s::text))",
        [schema, table],
    )
    is_partitioned, triggers = cursor.fetchone() or (False, ())
    return Target(is_partitioned, tuple(triggers))


def has_key(cursor: Cursor, schema: str, table: str, key: set[str]) -> bool:
    """Tell whether the table has a unique key of just these columns that ON CONFLICT takes."""
    cursor.execute(
        "SELECT array(SELECT a.attname::text FROM pg_attribute a"
        " WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))"
        " FROM pg_index i WHERE i.indrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        # ON CONFLICT takes no deferrable key.
        " AND i.indisunique AND i.indimmediate AND i.indisvalid"
        " AND i.indpred IS NULL AND i.indexprs IS NULL",
        [schema, table],
    )
    return any(set(columns) == key for (columns,) in cursor.fetchall())


def row_security(cursor: Cursor, schema: str, names: Sequence[str]) -> dict[str, bool]:
    """Return the tables whose row-level security binds the role, and if a policy lets it in."""
    cursor.execute(
        "SELECT c.relname, EXISTS (SELECT FROM pg_policy AS p, unnest(p.polroles) AS r (role)"
        " WHERE p.polrelid = c.oid AND p.polpermissive"
        " AND CASE r.role WHEN 0 THEN true ELSE pg_has_role(r.role, 'USAGE') END)"
        " FROM pg_class AS c WHERE row_security_active(c.oid)"
        " AND c.oid = ANY (SELECT to_regclass(format('%%I.%%I', %s::text, name))"
        " FROM unnest(%s::text[]) AS w (name)) ORDER BY c.relname",
        [schema, list(names)],
    )
    return dict(cursor.fetchall())
