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
from vendorsync_job.store.connection import Database, Timeouts, quoted
from vendorsync_job.store.rights import grant, is_ours, truth
from vendorsync_job.store.url import parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.store.connection import Cursor

LATEST = 4
LOCK = 0x7665_6E64_6F72  # "vendor"
APPLICATION = ("organizations", "vendors", "plants", "alerts")
APPLICATION_PREFIX = "application_"

POLICY = "vendorsync_organization"
ORGANIZATION_COLUMNS = dict.fromkeys(APPLICATION, "org_id") | {"organizations": "id"}


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


def migrate(
    database: Database,
    *,
    run_url: str | None = None,
    policies: bool = False,
    version: int = LATEST,
) -> list[str]:
    """Bring the database up to `version` and return one line for each thing done.

    Raises SchemaMismatchError for a database that a newer release migrated, and for one that has
    some of the application's tables; ConfigurationError for a run_url without user or password.
    """
    run_role = RunRole.of(run_url) if run_url else None
    keeps_password = run_url is not None and _logs_in(run_url)
    done: list[str] = []
    with database.transaction(timeouts=Timeouts(statement=600, lock=60, idle=60)) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        done += _upgrade(cursor, version)
        done += _create_application(cursor, database.schema, version)
        done += _secure(cursor, database.schema, existing=policies)
        if run_role:
            done += _set_up_role(cursor, run_role, keeps_password=keeps_password)
            done += grant(cursor, database.schema, run_role.name)
    return done


def _logs_in(url: str) -> bool:
    """Tell whether the run role's password is in force already."""
    try:
        psycopg.connect(**{**parameters(url), "connect_timeout": 5}).close()
    except psycopg.Error:
        return False
    return True


def _upgrade(cursor: Cursor, wanted: int) -> Iterator[str]:
    cursor.execute("SELECT to_regclass('vendorsync.schema_version') IS NOT NULL")
    if not truth(cursor):
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
    for number in range(version + 1, wanted + 1):
        for statements in _migrations("", number):
            cursor.execute(statements)
        cursor.execute("INSERT INTO vendorsync.schema_version (version) VALUES (%s)", [number])
        yield f"migrated schema vendorsync to version {number}"
        yield from _upgrade_applications(cursor, number)


def _upgrade_applications(cursor: Cursor, number: int) -> Iterator[str]:
    """Change tables that an earlier version made; never those of an application."""
    cursor.execute(
        "SELECT schema_name FROM vendorsync.applications"
        " WHERE to_regclass(format('%I.plants', schema_name)) IS NOT NULL ORDER BY schema_name"
    )
    schemas = [schema for (schema,) in cursor.fetchall()]
    for statements in _migrations(APPLICATION_PREFIX, number):
        for schema in schemas:
            _run_in(cursor, schema, statements)
            yield f"migrated the tables in schema {schema} to version {number}"


def _run_in(cursor: Cursor, schema: str, statements: bytes) -> None:
    """Run statements whose tables carry no schema, and leave the search path as it was."""
    cursor.execute("SELECT current_setting('search_path')")
    (before,) = cursor.fetchone() or ("",)
    change = "SELECT set_config('search_path', %s, true)"
    cursor.execute(change, [f"{quoted(schema)}, pg_temp"])
    cursor.execute(statements)
    cursor.execute(change, [before])


def _migrations(prefix: str, number: int) -> Iterator[bytes]:
    """Yield the files of one version by name: `0002_….sql`, or `application_0002_….sql`."""
    folder = files(__package__).joinpath("migrations")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.startswith(f"{prefix}{number:04}_"):
            yield file.read_bytes()


def _create_application(cursor: Cursor, schema: str, version: int) -> Iterator[str]:
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
    for number in range(1, version + 1):
        for statements in _migrations(APPLICATION_PREFIX, number):
            _run_in(cursor, schema, statements)
    cursor.execute("INSERT INTO vendorsync.applications (schema_name) VALUES (%s)", [schema])
    yield f"created tables {', '.join(APPLICATION)} in schema {schema}"


def _secure(cursor: Cursor, schema: str, *, existing: bool) -> Iterator[str]:
    """Put the organization policy on tables that are ours, and on others where RLS is on."""
    ours = is_ours(cursor, schema)
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
