"""Migrations, the run role and row-level security: everything the owner's role does.

One transaction under an advisory lock, so that it is whole or absent and two of them take turns.
Safe to repeat: what is there already is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from vendorsync_job.errors import ConfigurationError, SchemaMismatchError
from vendorsync_job.store.connection import Database, Timeouts, parameters, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.store.connection import Cursor

LATEST = 3
LOCK = 0x7665_6E64_6F72  # "vendor"
APPLICATION = ("organizations", "vendors", "plants", "alerts")
APPLICATION_PREFIX = "application_"

POLICY = "vendorsync_organization"
ORGANIZATION_COLUMNS = dict.fromkeys(APPLICATION, "org_id") | {"organizations": "id"}

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
    "quarantine": READ | {"INSERT": WHOLE, "DELETE": WHOLE},
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
        "UPDATE": (
            "name",
            "capacity_kw",
            "latitude",
            "longitude",
            "address",
            "time_zone",
            "plant_type",
            "status",
            "commissioned_at",
            "vanished_at",
            "updated_at",
        ),
    },
    "alerts": {
        "SELECT": WHOLE,
        "INSERT": WHOLE,
        "UPDATE": (
            "plant_id",
            "code",
            "title",
            "description",
            "severity",
            "status",
            "device_serial",
            "started_at",
            "resolved_at",
            "updated_at",
        ),
    },
}
"""Least rights of the run role on the application's tables, as far as they have the columns."""
NEW_ORGANIZATION = ("id", "name")
"""Columns of organizations that the role may insert where the tables are ours."""


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
            done += _grant(cursor, database.schema, run_role.name)
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
    """Yield the files of one version: `0002_….sql`, or `application_0002_….sql`."""
    for file in files(__package__).joinpath("migrations").iterdir():
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
    ours = _is_ours(cursor, schema)
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
    theirs = dict(THEIRS)
    revoked: list[str] = []
    if _is_ours(cursor, schema):
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


def _is_ours(cursor: Cursor, schema: str) -> bool:
    cursor.execute("SELECT FROM vendorsync.applications WHERE schema_name = %s", [schema])
    return cursor.rowcount > 0


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
    if not _truth(cursor):
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
    if not _truth(cursor):
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


def _truth(cursor: Cursor) -> bool:
    (value,) = cursor.fetchone() or (False,)
    return bool(value)
