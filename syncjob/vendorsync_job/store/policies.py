"""The policy by which a run sees the rows of its own organization only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from vendorsync_job.store.rights import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_job.store.connection import Cursor

POLICY: Final = "vendorsync_organization"
COLUMNS: Final = {
    "organizations": "id",
    "vendors": "org_id",
    "plants": "org_id",
    "alerts": "org_id",
}
"""The column of each table that holds the organization."""


EVERYBODY: Final = "public"
"""What PostgreSQL calls all roles."""


def secure(cursor: Cursor, schema: str, role: str | None, *, existing: bool) -> Iterator[str]:
    """Put the organization policy on tables that are ours, and on others where RLS is on.

    On tables of an application it is for the `role` of runs alone. For everybody it would open
    them: policies add up, and each role may make the setting that ours goes by.
    """
    ours = is_ours(cursor, schema)
    for table, column in COLUMNS.items():
        if (found := _found(cursor, schema, table)) is None:
            continue
        enabled, roles = found
        place = {
            "table": sql.Identifier(schema, table),
            "column": sql.Identifier(column),
            "policy": sql.Identifier(POLICY),
        }
        if roles is None and ours:
            cursor.execute(sql.SQL("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY").format(**place))
            _create(cursor, sql.SQL("PUBLIC"), place)
            yield f"added policy {POLICY} to {schema}.{table}"
        elif roles is None and existing and enabled and role:
            _create(cursor, sql.Identifier(role), place)
            yield f"added policy {POLICY} to {schema}.{table} for {role}"
        elif roles is not None and not ours and role and role not in roles:
            wanted = sorted({*roles, role} - {EVERYBODY})
            cursor.execute(
                sql.SQL("ALTER POLICY {policy} ON {table} TO {roles}").format(
                    roles=sql.SQL(", ").join(map(sql.Identifier, wanted)), **place
                )
            )
            yield f"policy {POLICY} of {schema}.{table} is now for {', '.join(wanted)} alone"


def _found(cursor: Cursor, schema: str, table: str) -> tuple[bool, list[str] | None] | None:
    """Tell of a table whether RLS is on, and for which roles our policy is; None without it."""
    cursor.execute(
        "SELECT c.relrowsecurity, (SELECT array(SELECT coalesce(r.rolname, %s)::text"
        " FROM unnest(p.polroles) AS o (oid) LEFT JOIN pg_roles AS r USING (oid))"
        " FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = %s)"
        " FROM pg_class AS c WHERE c.oid = to_regclass(format('%%I.%%I', %s::text, %s::text))",
        [EVERYBODY, POLICY, schema, table],
    )
    return cursor.fetchone()


def _create(cursor: Cursor, roles: sql.Composable, place: Mapping[str, sql.Composable]) -> None:
    cursor.execute(
        sql.SQL(
            "CREATE POLICY {policy} ON {table} TO {roles} USING ({column} ="
            # After a SET LOCAL on a pooled connection the setting is an empty text.
            " nullif(current_setting('vendorsync.organization_id', true), '')::bigint)"
        ).format(roles=roles, **place)
    )
