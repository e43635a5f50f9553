"""What the job needs of the application's tables, and whether a database has it.

A database that an application made before us is looked at, never changed: everything that is
missing is named in one message. Optional columns are written where they exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vendorsync_job.errors import DatabaseRefusedError, SchemaMismatchError, SchemaOutdatedError
from vendorsync_job.store.migrate import LATEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vendorsync_job.store.connection import Cursor

INTEGERS = frozenset({"bigint", "integer"})
TEXTS = frozenset({"text", "character varying"})
NUMBERS = frozenset({"numeric", "double precision", "real"})
TIMES = frozenset({"timestamp with time zone", "timestamp without time zone"})

REQUIRED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "organizations": {"id": INTEGERS},
    "vendors": {"id": INTEGERS, "org_id": INTEGERS, "last_synced_at": TIMES},
    "plants": {
        "org_id": INTEGERS,
        "vendor_id": INTEGERS,
        "vendor_plant_id": TEXTS,
        "name": TEXTS,
        "capacity_kw": NUMBERS,
    },
}
OPTIONAL: Mapping[str, frozenset[str]] = {
    "latitude": NUMBERS,
    "longitude": NUMBERS,
    "address": TEXTS,
    "time_zone": TEXTS,
    "plant_type": TEXTS,
    "status": TEXTS,
    "commissioned_at": TIMES,
}
"""Columns of plants that are owned where they exist with a type that takes the value."""
STAMPS = ("created_at", "updated_at")
PLANT_KEY = frozenset({"vendor_id", "vendor_plant_id"})
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "organizations": ("SELECT",),
    "vendors": ("SELECT", "UPDATE"),
    "plants": ("SELECT", "INSERT", "UPDATE"),
}


@dataclass(frozen=True)
class Column:
    """One column as the catalogue describes it; `demands` is NOT NULL without a default."""

    type: str
    demands: bool


@dataclass(frozen=True)
class PlantTable:
    """The columns of plants that this job owns, in order, and which stamps it may set."""

    columns: tuple[str, ...]
    stamps: tuple[str, ...] = STAMPS
    row_security: bool = False
    ignored: tuple[str, ...] = ()
    """Optional columns whose type takes no value of ours."""


def check_version(cursor: Cursor) -> None:
    """Raise SchemaOutdatedError or SchemaMismatchError unless our schema is the one we know."""
    cursor.execute("SELECT to_regclass('vendorsync.schema_version') IS NOT NULL")
    found = 0
    if _value(cursor):
        cursor.execute("SELECT coalesce(max(version), 0) FROM vendorsync.schema_version")
        found = int(str(_value(cursor)))
    if found < LATEST:
        raise SchemaOutdatedError(
            f"schema vendorsync has version {found} and this job needs {LATEST}; run"
            " python -m vendorsync_job migrate with the owner's role"
        )
    if found > LATEST:
        raise SchemaMismatchError(
            f"schema vendorsync has version {found} and this job knows {LATEST}; use the image of"
            " the release that migrated the database"
        )


def check_application(cursor: Cursor, schema: str) -> PlantTable:
    """Return how plants are written, or raise SchemaMismatchError naming all that is missing."""
    tables = {table: _columns(cursor, schema, table) for table in REQUIRED}
    faults = [fault for table, columns in tables.items() for fault in _faults(table, columns)]
    plants = tables["plants"]
    if plants and not _has_plant_key(cursor, schema):
        faults.append("a unique key of plants on (vendor_id, vendor_plant_id)")
    if faults:
        raise SchemaMismatchError(f"schema {schema} lacks {'; '.join(faults)}")
    demanding = _demanding(plants)
    if demanding:
        raise SchemaMismatchError(
            f"plants.{demanding[0]} in schema {schema} is NOT NULL without a default and this job"
            " has no value for it; give the column a default"
        )
    _check_rights(cursor, schema)
    return _plant_table(cursor, schema, plants)


def _faults(table: str, columns: Mapping[str, Column]) -> list[str]:
    if not columns:
        return [f"table {table}"]
    wanted = REQUIRED[table]
    missing = [f"column {table}.{name}" for name in wanted if name not in columns]
    mistyped = [
        f"{table}.{name} as {' or '.join(sorted(types))} (it is {columns[name].type})"
        for name, types in wanted.items()
        if name in columns and columns[name].type not in types
    ]
    return missing + mistyped


def _demanding(plants: Mapping[str, Column]) -> list[str]:
    ours = {*REQUIRED["plants"], *OPTIONAL, *STAMPS}
    return [name for name, column in plants.items() if column.demands and name not in ours]


def _plant_table(cursor: Cursor, schema: str, plants: Mapping[str, Column]) -> PlantTable:
    cursor.execute("SELECT row_security_active(format('%%I.plants', %s::text)::regclass)", [schema])
    fitting = [name for name, types in OPTIONAL.items() if _type(plants, name) in types]
    return PlantTable(
        columns=("name", "capacity_kw", *fitting),
        stamps=tuple(name for name in STAMPS if _type(plants, name) in TIMES),
        row_security=bool(_value(cursor)),
        ignored=tuple(name for name in OPTIONAL if name in plants and name not in fitting),
    )


def _type(columns: Mapping[str, Column], name: str) -> str:
    return columns[name].type if name in columns else ""


def _columns(cursor: Cursor, schema: str, table: str) -> dict[str, Column]:
    cursor.execute(
        "SELECT a.attname, regexp_replace(format_type(a.atttypid, NULL), '\\(.*\\)', ''),"
        " a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''"
        " FROM pg_attribute a"
        " WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        " AND a.attnum > 0 AND NOT a.attisdropped",
        [schema, table],
    )
    return {name: Column(kind, demands) for name, kind, demands in cursor.fetchall()}


def _has_plant_key(cursor: Cursor, schema: str) -> bool:
    cursor.execute(
        "SELECT array(SELECT a.attname::text FROM pg_attribute a"
        " WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))"
        " FROM pg_index i WHERE i.indrelid = to_regclass(format('%%I.plants', %s::text))"
        # ON CONFLICT takes no deferrable key.
        " AND i.indisunique AND i.indimmediate AND i.indisvalid"
        " AND i.indpred IS NULL AND i.indexprs IS NULL",
        [schema],
    )
    return any(frozenset(columns) == PLANT_KEY for (columns,) in cursor.fetchall())


def _check_rights(cursor: Cursor, schema: str) -> None:
    wanted = [(table, right) for table, rights in RIGHTS.items() for right in rights]
    cursor.execute(
        "SELECT t || ' on ' || n FROM unnest(%s::text[], %s::text[]) AS w (n, t)"
        " WHERE NOT has_table_privilege(format('%%I.%%I', %s::text, n), t)",
        [[table for table, _ in wanted], [right for _, right in wanted], schema],
    )
    lacking = [right for (right,) in cursor.fetchall()]
    if lacking:
        raise DatabaseRefusedError(
            f"the role lacks {', '.join(lacking)} in schema {schema}; grant it, or run"
            " python -m vendorsync_job migrate --run-url-file with the owner's role"
        )


def _value(cursor: Cursor) -> object:
    row = cursor.fetchone()
    return row[0] if row else None
