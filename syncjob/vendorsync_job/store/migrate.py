"""Versions of our schema and of tables that are ours, and the order of all that the owner does.

One transaction under an advisory lock, so that it is whole or absent and two of them take turns.
Safe to repeat: what is there already is left alone.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.errors import ConfigurationError, SchemaMismatchError
from vendorsync_job.store.connection import Database, Timeouts, quoted
from vendorsync_job.store.policies import COLUMNS, secure
from vendorsync_job.store.rights import grant, truth
from vendorsync_job.store.run_role import RunRole, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.store.connection import Cursor

LATEST = 4
LOCK = 0x7665_6E64_6F72  # "vendor"
APPLICATION = tuple(COLUMNS)
"""Tables that are made where an application has none of them."""
APPLICATION_PREFIX = "application_"


def migrate(
    database: Database,
    *,
    run_url: str | None = None,
    policies: bool = False,
    version: int = LATEST,
) -> list[str]:
    """Bring the database up to `version` and return one line for each thing done.

    Raises SchemaMismatchError for a database that a newer release migrated, and for one that has
    some of the application's tables; ConfigurationError for a run_url without user or password,
    and for policies without one.
    """
    if policies and run_url is None:
        raise ConfigurationError(
            "--policies needs --run-url-file: the policies are for the role of runs alone"
        )
    run_role = RunRole.of(run_url) if run_url else None
    done: list[str] = []
    with database.transaction(timeouts=Timeouts(statement=600, lock=60, idle=60)) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        done += _upgrade(cursor, version)
        done += _create_application(cursor, database.schema, version)
        name = None
        if run_role:
            name = run_role.name(cursor)
            done += create(cursor, run_role, name)
        done += secure(cursor, database.schema, name, existing=policies)
        if name:
            done += grant(cursor, database.schema, name)
    return done


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
