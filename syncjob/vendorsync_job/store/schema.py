"""What the job needs of the application's tables, and whether a database has it.

A database that an application made before us is looked at, never changed: everything that is
missing is named in one message. Optional columns are written where they exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from vendorsync_job.errors import (
    ConfigurationError,
    DatabaseRefusedError,
    SchemaMismatchError,
    SchemaOutdatedError,
)
from vendorsync_job.store import catalogue, columns
from vendorsync_job.store.catalogue import Target
from vendorsync_job.store.columns import CASTS, INTEGERS, TEXTS, TIMES
from vendorsync_job.store.migrate import LATEST
from vendorsync_job.store.tables import RecordTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vendorsync_job.store.catalogue import Column
    from vendorsync_job.store.columns import Holder
    from vendorsync_job.store.connection import Cursor, Database

STAMPS = ("created_at", "updated_at")
VANISHED = "vanished_at"


class Wanted(Struct, frozen=True):
    """What a stream needs of the table that holds its records.

    Those of its `holders` that are not required are owned where they exist, the role may update
    them, and their type takes the value.
    """

    name: str
    key: str
    holders: tuple[Holder, ...]
    others: Mapping[str, Mapping[str, frozenset[str]]]
    """Columns of further tables, which are read only."""
    vanishes: bool = False

    @property
    def required(self) -> Mapping[str, frozenset[str]]:
        """Columns without which nothing can be written."""
        return {holder.name: holder.types for holder in self.holders if holder.is_required}

    @property
    def optional(self) -> tuple[Holder, ...]:
        """Those that a table may lack."""
        return tuple(holder for holder in self.holders if not holder.is_required)

    @property
    def identity(self) -> Mapping[str, frozenset[str]]:
        """Columns that say whose record a row is."""
        return {"org_id": INTEGERS, "vendor_id": INTEGERS, self.key: TEXTS}

    @property
    def tables(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """All that is required, by table."""
        return {**COMMON, **self.others, self.name: {**self.identity, **self.required}}


COMMON: Mapping[str, Mapping[str, frozenset[str]]] = {
    "organizations": {"id": INTEGERS},
    "vendors": {"id": INTEGERS, "org_id": INTEGERS, "last_synced_at": TIMES},
}
PLANTS = Wanted(
    name="plants", key="vendor_plant_id", holders=columns.PLANT, others={}, vanishes=True
)
ALERTS = Wanted(
    name="alerts",
    key="vendor_alert_id",
    holders=columns.ALERT,
    others={
        "plants": {
            "id": INTEGERS,
            "org_id": INTEGERS,
            "vendor_id": INTEGERS,
            "vendor_plant_id": TEXTS,
        }
    },
)
STREAMS: Mapping[str, Wanted] = {"plants": PLANTS, "alerts": ALERTS}


class Findings(Struct):
    """What is wrong with a database, by who can mend it."""

    lacks: list[str] = field(default_factory=list)
    """For whoever owns the tables."""
    denied: list[str] = field(default_factory=list)
    """For whoever grants rights in the schema."""
    denied_outside: list[str] = field(default_factory=list)
    """For whoever grants rights on the database."""

    def refuse(self, schema: str) -> None:
        """Raise one error that names everything, if there is anything."""
        said = [f"schema {schema} lacks {'; '.join(self.lacks)}"] if self.lacks else []
        denied = [f"{'; '.join(self.denied)} in schema {schema}"] if self.denied else []
        denied += self.denied_outside
        if denied:
            said.append(
                f"the role lacks {'; '.join(denied)}: grant it, or run"
                " python -m vendorsync_job migrate --run-url-file with the owner's role"
            )
        if said:
            kind = SchemaMismatchError if self.lacks else DatabaseRefusedError
            raise kind("; and ".join(said))


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


def lacks(database: Database) -> dict[str, str]:
    """Return what the application's tables lack, by the stream whose runs will be refused."""
    found = {}
    for stream in STREAMS:
        try:
            with database.transaction(read_only=True) as cursor:
                check_application(cursor, database.schema, stream)
        except ConfigurationError as error:
            found[stream] = str(error)
    return found


def check_application(cursor: Cursor, schema: str, stream: str = "plants") -> RecordTable:
    """Return how the records of a stream are written.

    Raises SchemaMismatchError, or DatabaseRefusedError where only rights are missing, with one
    sentence that names all tables, columns, types, keys and rights.
    """
    wanted = STREAMS[stream]
    tables = catalogue.tables(cursor, schema, list(wanted.tables))
    security = catalogue.row_security(cursor, schema, list(tables))
    findings = Findings()
    for table, needed in wanted.tables.items():
        findings.lacks += _faults(table, tables.get(table, {}), needed)
    found, target = tables.get(wanted.name, {}), Target()
    if found:
        target = catalogue.target(cursor, schema, wanted.name)
        findings.lacks += _faults_of_target(cursor, schema, wanted, found, target)
    findings.denied += _denied(cursor, schema, wanted, tables)
    findings.denied_outside += _denied_outside(cursor)
    findings.denied += [
        f"a row-level security policy of {table} (add --policies)"
        for table, lets_through in security.items()
        if not lets_through
    ]
    findings.refuse(schema)
    return _record_table(wanted, found, target, row_security=wanted.name in security)


def _faults(
    table: str, found: Mapping[str, Column], wanted: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    if not found:
        yield f"table {table}"
        return
    for name, types in wanted.items():
        if name not in found:
            yield f"column {table}.{name}"
        elif found[name].type not in types:
            kinds = " or ".join(sorted(types))
            yield f"{table}.{name} as {kinds} (it is {found[name].type})"
        elif found[name].generated:
            yield f"{table}.{name} as a column that can be written (it is generated)"


def _faults_of_target(
    cursor: Cursor, schema: str, wanted: Wanted, found: Mapping[str, Column], target: Target
) -> Iterator[str]:
    if target.is_partitioned:
        yield (
            f"{wanted.name} as a table that is not partitioned (the server does not tell there"
            " which rows an upsert created)"
        )
    if not catalogue.has_key(cursor, schema, wanted.name, {"vendor_id", wanted.key}):
        yield f"a unique key of {wanted.name} on (vendor_id, {wanted.key})"
    ours = {*wanted.tables[wanted.name], *fitting(wanted, found), *stamps(found)}
    for name, column in found.items():
        if column.demands and name not in ours:
            yield (
                f"a default of {wanted.name}.{name} (it is NOT NULL and this job has no value"
                " for it)"
            )


def fitting(wanted: Wanted, found: Mapping[str, Column]) -> list[str]:
    """Return the optional columns that can be written."""
    return [
        holder.name
        for holder in wanted.optional
        if holder.name in found
        and found[holder.name].takes(holder.types)
        and found[holder.name].updates
    ]


def stamps(found: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the columns for the times of a row that can be written."""
    return tuple(
        name
        for name in STAMPS
        # created_at is only inserted.
        if name in found
        and found[name].takes(TIMES)
        and (found[name].updates or name == "created_at")
    )


def marks_vanished(wanted: Wanted, found: Mapping[str, Column]) -> bool:
    """Tell whether there is a column for when a record vanished that can be written."""
    column = found.get(VANISHED)
    return wanted.vanishes and column is not None and column.takes(TIMES) and column.updates


def _record_table(
    wanted: Wanted, found: Mapping[str, Column], target: Target, *, row_security: bool
) -> RecordTable:
    written = fitting(wanted, found)
    owned = [h for h in wanted.holders if h.is_required or h.name in written]
    return RecordTable(
        name=wanted.name,
        key=wanted.key,
        columns=tuple(holder.name for holder in owned),
        types={holder.name: CASTS[holder.types] for holder in owned if holder.types in CASTS},
        kept=frozenset(holder.name for holder in owned if holder.is_kept),
        fillers={
            holder.name: holder.filler
            for holder in owned
            if holder.filler is not None and found[holder.name].demands
        },
        limits={
            holder.name: limit
            for holder in owned
            if (limit := found[holder.name].limit) is not None
        },
        stamps=stamps(found),
        row_security=row_security,
        triggers=target.triggers,
        ignored=tuple(h.name for h in wanted.optional if h.name in found and h not in owned),
        marks_vanished=marks_vanished(wanted, found),
    )


def _denied(
    cursor: Cursor, schema: str, wanted: Wanted, tables: Mapping[str, Mapping[str, Column]]
) -> Iterator[str]:
    """Name the rights that the role lacks, as far as the columns are there."""
    asked = [
        (right, table, name)
        for right, table, names in _rights(wanted)
        for name in names
        if name in tables.get(table, {})
    ]
    cursor.execute(
        "SELECT 'USAGE', %(schema)s::text, ''"
        " WHERE NOT has_schema_privilege(to_regnamespace(quote_ident(%(schema)s)), 'USAGE')"
        " UNION ALL SELECT r, t, c FROM unnest(%(rights)s::text[], %(tables)s::text[],"
        " %(columns)s::text[]) AS w (r, t, c)"
        " WHERE NOT has_column_privilege(format('%%I.%%I', %(schema)s::text, t), c, r)",
        {
            "schema": schema,
            "rights": [right for right, _, _ in asked],
            "tables": [table for _, table, _ in asked],
            "columns": [name for _, _, name in asked],
        },
    )
    lacking: dict[tuple[str, str], list[str]] = {}
    for right, place, name in cursor.fetchall():
        lacking.setdefault((right, place), []).append(name)
    for (right, place), names in lacking.items():
        columns = f" ({', '.join(names)})" if any(names) else ""
        yield f"{right} on {'schema ' if right == 'USAGE' else ''}{place}{columns}"


def _denied_outside(cursor: Cursor) -> Iterator[str]:
    """Name the right to temporary tables, by which large pages are written, if it is lacking."""
    cursor.execute(
        "SELECT current_database(), format('GRANT TEMPORARY ON DATABASE %I TO %I',"
        " current_database(), current_user)"
        " WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')"
    )
    for database, command in cursor.fetchall():
        yield f"TEMPORARY on database {database} ({command})"


def _rights(wanted: Wanted) -> Iterator[tuple[str, str, Sequence[str]]]:
    for table, needed in wanted.tables.items():
        yield "SELECT", table, [name for name in needed if name != "last_synced_at"]
    yield "UPDATE", "vendors", ["last_synced_at"]
    yield "INSERT", wanted.name, [*wanted.identity, *wanted.required]
    yield "UPDATE", wanted.name, list(wanted.required)


def _value(cursor: Cursor) -> object:
    row = cursor.fetchone()
    return row[0] if row else None
