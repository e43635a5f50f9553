"""The run role's rights: the least that a run does with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.store.columns import ALERT, PLANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.store.connection import Cursor

Rights = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Table -> right -> columns; no columns stands for the whole table."""

WHOLE: tuple[str, ...] = ()
READ = {"SELECT": WHOLE}
KEEP = READ | {"INSERT": WHOLE, "UPDATE": WHOLE}
CLEAN = KEEP | {"DELETE": WHOLE}
OURS: Rights = {
    "schema_version": READ,
    "applications": READ,
    "bindings": KEEP,
    "accounts": KEEP,
    "blocks": READ | {"INSERT": WHOLE},
    "leases": KEEP,
    "runs": CLEAN,
    "streams": KEEP,
    "calls": CLEAN,
    "allowances": CLEAN,
    "slots": KEEP,
    "hashes": CLEAN,
    "quarantine": CLEAN,
}
TOKENS = ("access_token", "token_expires_at", "token_metadata")
"""Columns of the old system, for `legacyTokens`."""
THEIRS: Rights = {
    "organizations": {"SELECT": ("id",)},
    "vendors": {
        "SELECT": ("id", "org_id", *TOKENS),
        "INSERT": ("org_id", "name", "vendor_type"),
        "UPDATE": ("last_synced_at", *TOKENS),
    },
    "plants": {
        "SELECT": WHOLE,
        "INSERT": WHOLE,
        "UPDATE": (*(holder.name for holder in PLANT), "vanished_at", "updated_at"),
    },
    "alerts": {
        "SELECT": WHOLE,
        "INSERT": WHOLE,
        "UPDATE": (*(holder.name for holder in ALERT), "updated_at"),
    },
}
"""Least rights of the run role on the application's tables, as far as they have the columns."""
NEW_ORGANIZATION = ("id", "name")
"""Columns of organizations that the role may insert where the tables are ours."""


def grant(cursor: Cursor, schema: str, role: str) -> Iterator[str]:
    """Give the role what it lacks; yield one line for what was given and one for what was taken."""
    theirs = dict(THEIRS)
    revoked: list[str] = []
    if is_ours(cursor, schema):
        theirs["organizations"] = {**theirs["organizations"], "INSERT": NEW_ORGANIZATION}
        revoked = [
            *_revoke(cursor, "vendorsync", OURS, role),
            *_revoke(cursor, schema, theirs, role),
        ]
    granted = [
        *_grant_on_schema(cursor, "vendorsync", role),
        *_grant_on_schema(cursor, schema, role),
        *_grant_on_tables(cursor, "vendorsync", OURS, role),
        *_grant_on_tables(cursor, schema, theirs, role),
        *_grant_on_sequences(cursor, schema, role),
        *_grant_temporary(cursor, role),
    ]
    if revoked:
        yield f"revoked from {role} {'; '.join(revoked)}"
    if granted:
        yield f"granted {role} {'; '.join(granted)}"


def _revoke(cursor: Cursor, schema: str, tables: Rights, role: str) -> Iterator[str]:
    """Take back what an earlier version gave for a whole table and columns are enough for.

    Only on tables of ours: on an application's, its owner may have given the right.
    """
    cursor.execute(
        "SELECT c.relname, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a"
        " WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = ANY (%s)"
        " AND c.relowner <> a.grantee AND a.grantee = to_regrole(quote_ident(%s))"
        " ORDER BY 1, 2",
        [schema, list(tables), role],
    )
    for table, right in cursor.fetchall():
        if tables[table].get(right) != WHOLE:
            cursor.execute(
                sql.SQL("REVOKE {} ON {} FROM {}").format(
                    sql.SQL(right), sql.Identifier(schema, table), sql.Identifier(role)
                )
            )
            yield f"{right} on {schema}.{table}"


def _grant_on_schema(cursor: Cursor, schema: str, role: str) -> Iterator[str]:
    cursor.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", [role, schema])
    if not truth(cursor):
        cursor.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
                sql.Identifier(schema), sql.Identifier(role)
            )
        )
        yield f"USAGE on {schema}"


def _grant_on_tables(cursor: Cursor, schema: str, tables: Rights, role: str) -> Iterator[str]:
    for table, rights in tables.items():
        for right, columns in rights.items():
            if columns:
                yield from _grant_on_columns(cursor, (schema, table), right, columns, role)
            else:
                yield from _grant_on_table(cursor, (schema, table), right, role)


def _grant_on_table(cursor: Cursor, table: tuple[str, str], right: str, role: str) -> Iterator[str]:
    cursor.execute(
        "SELECT has_table_privilege(%s, format('%%I.%%I', %s::text, %s::text), %s)",
        [role, *table, right],
    )
    if not truth(cursor):
        cursor.execute(
            sql.SQL("GRANT {} ON {} TO {}").format(
                sql.SQL(right), sql.Identifier(*table), sql.Identifier(role)
            )
        )
        yield f"{right} on {'.'.join(table)}"


def _grant_on_columns(
    cursor: Cursor, table: tuple[str, str], right: str, columns: tuple[str, ...], role: str
) -> Iterator[str]:
    cursor.execute(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " AND attname = ANY (%s) AND NOT attisdropped"
        " AND NOT has_column_privilege(%s, attrelid, attnum, %s) ORDER BY attnum",
        [*table, list(columns), role, right],
    )
    lacking = [name for (name,) in cursor.fetchall()]
    if lacking:
        cursor.execute(
            sql.SQL("GRANT {} ({}) ON {} TO {}").format(
                sql.SQL(right),
                sql.SQL(", ").join(map(sql.Identifier, lacking)),
                sql.Identifier(*table),
                sql.Identifier(role),
            )
        )
        yield f"{right} on {'.'.join(table)} ({', '.join(lacking)})"


def _grant_temporary(cursor: Cursor, role: str) -> Iterator[str]:
    """Large batches go through a temporary table; usually everybody has the right."""
    cursor.execute(
        "SELECT current_database(), has_database_privilege(%s, current_database(), 'TEMPORARY')",
        [role],
    )
    name, has = cursor.fetchone() or ("", True)
    if not has:
        cursor.execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(
                sql.Identifier(name), sql.Identifier(role)
            )
        )
        yield f"TEMPORARY on database {name}"


def _grant_on_sequences(cursor: Cursor, schema: str, role: str) -> Iterator[str]:
    """Serial columns of an application's tables need it; identity columns do not."""
    cursor.execute(
        "SELECT s.oid::regclass::text FROM pg_class s"
        " JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a' AND s.relkind = 'S'"
        " JOIN pg_class t ON t.oid = d.refobjid"
        " WHERE t.relnamespace = to_regnamespace(quote_ident(%s)) AND t.relname = ANY (%s)"
        # Conditions are evaluated in any order, and this function refuses what is no sequence.
        " AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(%s, s.oid, 'USAGE') END",
        [schema, ["vendors", "plants", "alerts"], role],
    )
    for (sequence,) in cursor.fetchall():
        # regclass::text comes quoted and qualified where that is needed.
        cursor.execute(
            sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(
                sql.SQL(sequence), sql.Identifier(role)
            )
        )
        yield f"USAGE on {sequence}"


def is_ours(cursor: Cursor, schema: str) -> bool:
    """Tell whether the tables of that schema were made by us, not by an application."""
    cursor.execute("SELECT FROM vendorsync.applications WHERE schema_name = %s", [schema])
    return cursor.rowcount > 0


def truth(cursor: Cursor) -> bool:
    """Return the only value of a query as a truth value."""
    (value,) = cursor.fetchone() or (False,)
    return bool(value)
