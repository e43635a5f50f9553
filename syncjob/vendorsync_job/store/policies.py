"""The policy by which a run sees the rows of its own organization only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from vendorsync_job.store.rights import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.store.connection import Cursor

POLICY: Final = "vendorsync_organization"
COLUMNS: Final = {
    "organizations": "id",
    "vendors": "org_id",
    "plants": "org_id",
    "alerts": "org_id",
}
"""The column of each table that holds the organization."""


def secure(cursor: Cursor, schema: str, *, existing: bool) -> Iterator[str]:
    """Put the organization policy on tables that are ours, and on others where RLS is on."""
    ours = is_ours(cursor, schema)
    for table, column in COLUMNS.items():
        cursor.execute(
            "SELECT relrowsecurity, EXISTS (SELECT FROM pg_policy"
            " WHERE polrelid = c.oid AND polname = %s)"
            " FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %s::text, %s::text))",
            [POLICY, schema, table],
        )
        enabled, has_policy = cursor.fetchone() or (False, True)
        if has_policy or not (ours or (existing and enabled)):
            continue
        place = {"table": sql.Identifier(schema, table), "column": sql.Identifier(column)}
        if ours:
            cursor.execute(sql.SQL("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY").format(**place))
        cursor.execute(
            sql.SQL(
                "CREATE POLICY {policy} ON {table} USING ({column} ="
                # After a SET LOCAL on a pooled connection the setting is an empty text.
                " nullif(current_setting('vendorsync.organization_id', true), '')::bigint)"
            ).format(policy=sql.Identifier(POLICY), **place)
        )
        yield f"added policy {POLICY} to {schema}.{table}"
