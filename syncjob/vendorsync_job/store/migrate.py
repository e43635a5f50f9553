"""Migrations, the run role and row-level security: everything the owner's role does.

One transaction under an advisory lock, so that it is whole or absent and two of them take turns.
Safe to repeat: what is there already is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from vendorsync_job.errors import ConfigurationError, SchemaMismatchError
from vendorsync_job.store.connection import Database, Timeouts, parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vendorsync_job.store.connection import Cursor

LATEST = 2
LOCK = 0x7665_6E64_6F72  # "vendor"
APPLICATION = ("organizations", "vendors", "plants", "alerts")

POLICY = "vendorsync_organization"
ORGANIZATION_COLUMNS = dict.fromkeys(APPLICATION, "org_id") | {"organizations": "id"}

OURS = {
    "schema_version": ("SELECT",),
    "applications": ("SELECT",),
    "bindings": ("SELECT", "INSERT", "UPDATE"),
    "accounts": ("SELECT", "INSERT", "UPDATE"),
    "blocks": ("SELECT", "INSERT"),
    "leases": ("SELECT", "INSERT", "UPDATE"),
    "runs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "streams": ("SELECT", "INSERT", "UPDATE"),
    "calls": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "slots": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "hashes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "quarantine": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
THEIRS = {
    "organizations": ("SELECT",),
    "vendors": ("SELECT", "INSERT", "UPDATE"),
    "plants": ("SELECT", "INSERT", "UPDATE"),
    "alerts": ("SELECT", "INSERT", "UPDATE"),
}
"""Least rights of the run role; organizations gets INSERT where the tables are ours."""


@dataclass(frozen=True)
class RunRole:
    """The role of runs, as the URL in its Secret has it."""

    name: str
    password: str

    @classmethod
    def of(cls, url: str) -> RunRole:
        """Take role and password out of a URL, or raise ConfigurationError."""
        found = parameters(url)
        if not (found.get("user") and found.get("password")):
            raise ConfigurationError(
                "the run role's URL needs a user and a password;"
                " write postgresql://user:password@host:5432/database"
            )
        return cls(str(found["user"]), str(found["password"]))


def migrate(database: Database, *, run_url: str | None = None, policies: bool = False) -> list[str]:
    """Bring the database up to date and return one line for each thing done."""
    run_role = RunRole.of(run_url) if run_url else None
    keeps_password = run_url is not None and _logs_in(run_url)
    done: list[str] = []
    with database.transaction(timeouts=Timeouts(statement=600, lock=60, idle=60)) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        done += _upgrade(cursor)
        done += _create_application(cursor, database.schema)
        done += _secure(cursor, database.schema, existing=policies)
        if run_role:
            done += _set_up_role(cursor, run_role, keeps_password=keeps_password)
            done += _grant(cursor, database.schema, run_role.name)
    return done


def _logs_in(url: str) -> bool:
    """Tell whether the run role's password is in force already."""
    try:
        psycopg.connect(**{**parameters(url), "connect_timeout": 5}).close()
    except psycopg.Error:
        return False
    return True


def _upgrade(cursor: Cursor) -> Iterator[str]:
    cursor.execute("SELECT to_regclass('vendorsync.schema_version') IS NOT NULL")
    if not _truth(cursor):
        cursor.execute("CREATE SCHEMA IF NOT EXISTS vendorsync")
        cursor.execute(
            "CREATE TABLE vendorsync.schema_version"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    cursor.execute("SELECT coalesce(max(version), 0) FROM vendorsync.schema_version")
    (version,) = cursor.fetchone() or (0,)
    if version > LATEST:
        raise SchemaMismatchError(
            f"schema vendorsync has version {version} and this release knows {LATEST};"
            " a newer release migrated it, use that one"
        )
    for number, statements in _migrations():
        if number > version:
            cursor.execute(statements)
            cursor.execute("INSERT INTO vendorsync.schema_version VALUES (%s)", [number])
            yield f"migrated schema vendorsync to version {number}"


def _migrations() -> Iterator[tuple[int, bytes]]:
    folder = files(__package__).joinpath("migrations")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name[:4].isdigit():
            yield int(file.name[:4]), file.read_bytes()


def _create_application(cursor: Cursor, schema: str) -> Iterator[str]:
    cursor.execute(
        "SELECT name FROM unnest(%s::text[]) AS w (name)"
        " WHERE to_regclass(format('%%I.%%I', %s::text, name)) IS NOT NULL",
        [list(APPLICATION), schema],
    )
    found = {name for (name,) in cursor.fetchall()}
    missing = [name for name in APPLICATION if name not in found]
    if not missing:
        return
    if found:
        raise SchemaMismatchError(
            f"schema {schema} has {', '.join(n for n in APPLICATION if n in found)} but not"
            f" {', '.join(missing)}; create the missing tables, or use a schema with none of them"
        )
    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    folder = files(__package__).joinpath("migrations")
    cursor.execute(folder.joinpath("application.sql").read_bytes())
    cursor.execute("INSERT INTO vendorsync.applications (schema_name) VALUES (%s)", [schema])
    yield f"created tables {', '.join(APPLICATION)} in schema {schema}"


def _secure(cursor: Cursor, schema: str, *, existing: bool) -> Iterator[str]:
    """Put the organization policy on tables that are ours, and on others where RLS is on."""
    cursor.execute("SELECT FROM vendorsync.applications WHERE schema_name = %s", [schema])
    ours = cursor.rowcount > 0
    for table, column in ORGANIZATION_COLUMNS.items():
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


def _set_up_role(cursor: Cursor, role: RunRole, *, keeps_password: bool) -> Iterator[str]:
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role.name])
    exists = cursor.rowcount > 0
    if exists and keeps_password:
        return
    # The server gets a SCRAM verifier, so no log or statement view ever holds the password.
    verifier = cursor.connection.pgconn.encrypt_password(
        role.password.encode(), role.name.encode(), b"scram-sha-256"
    ).decode()
    command = "ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}"
    cursor.execute(sql.SQL(command).format(sql.Identifier(role.name), sql.Literal(verifier)))
    yield f"{'set the password of' if exists else 'created'} role {role.name}"


def _grant(cursor: Cursor, schema: str, role: str) -> Iterator[str]:
    cursor.execute("SELECT FROM vendorsync.applications WHERE schema_name = %s", [schema])
    theirs = dict(THEIRS)
    if cursor.rowcount:
        theirs["organizations"] = ("SELECT", "INSERT")
    granted = [
        *_grant_on_schema(cursor, "vendorsync", role),
        *_grant_on_schema(cursor, schema, role),
        *_grant_on_tables(cursor, "vendorsync", OURS.items(), role),
        *_grant_on_tables(cursor, schema, theirs.items(), role),
        *_grant_on_sequences(cursor, schema, role),
    ]
    if granted:
        yield f"granted {role} {'; '.join(granted)}"


def _grant_on_schema(cursor: Cursor, schema: str, role: str) -> Iterator[str]:
    cursor.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", [role, schema])
    if not _truth(cursor):
        cursor.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
                sql.Identifier(schema), sql.Identifier(role)
            )
        )
        yield f"USAGE on {schema}"


def _grant_on_tables(
    cursor: Cursor, schema: str, tables: Iterable[tuple[str, tuple[str, ...]]], role: str
) -> Iterator[str]:
    for table, rights in tables:
        name = sql.Identifier(schema, table)
        cursor.execute(
            "SELECT w FROM unnest(%s::text[]) AS w"
            " WHERE NOT has_table_privilege(%s, format('%%I.%%I', %s::text, %s::text), w)",
            [list(rights), role, schema, table],
        )
        lacking = [right for (right,) in cursor.fetchall()]
        if lacking:
            cursor.execute(
                sql.SQL("GRANT {} ON {} TO {}").format(
                    sql.SQL(", ").join(map(sql.SQL, lacking)), name, sql.Identifier(role)
                )
            )
            yield f"{', '.join(lacking)} on {schema}.{table}"


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


def _truth(cursor: Cursor) -> bool:
    (value,) = cursor.fetchone() or (False,)
    return bool(value)
