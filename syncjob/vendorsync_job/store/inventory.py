"""What becomes of each column of the application's tables, in a line each, for their owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vendorsync_job.store import catalogue
from vendorsync_job.store.columns import OBJECTS
from vendorsync_job.store.rights import TOKENS
from vendorsync_job.store.schema import STREAMS, VANISHED, marks_vanished, stamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_job.store.catalogue import Column
    from vendorsync_job.store.columns import Holder
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.schema import Wanted

TABLES = ("organizations", "vendors", *STREAMS)
READ = {
    "organizations": {"id": "read, and never written"},
    "vendors": {
        "id": "read; a new vendor gets one",
        "org_id": "read; written for a new vendor",
        "name": "written for a new vendor",
        "vendor_type": "written for a new vendor",
        "last_synced_at": "written with each run of plants",
        **dict.fromkeys(TOKENS, "as spec.database.legacyTokens says"),
    },
}
OF_STAMPS = {
    "created_at": "written with a new row",
    "updated_at": "written with each change",
    VANISHED: "written when the vendor no longer lists the plant",
}
ALONE = "left alone"


def inventory(database: Database) -> list[str]:
    """Return a line for each column of the four tables, and for each that a table could have."""
    with database.transaction(read_only=True) as cursor:
        tables = catalogue.tables(cursor, database.schema, list(TABLES))
    return [line for table in TABLES for line in _lines(table, tables.get(table, {}))]


def _lines(table: str, found: Mapping[str, Column]) -> Iterator[str]:
    if not found:
        yield f"{table}: missing"
    elif table in STREAMS:
        yield from _present(STREAMS[table], found)
        yield from _absent(STREAMS[table], found)
    else:
        for name, column in found.items():
            # Rows of organizations are the application's own.
            usual = _alone(column) if table == "vendors" else ALONE
            yield f"{table}.{name}: {READ[table].get(name, usual)}"


def _present(wanted: Wanted, found: Mapping[str, Column]) -> Iterator[str]:
    holders = {holder.name: holder for holder in wanted.holders}
    times = {*stamps(found), *([VANISHED] if marks_vanished(wanted, found) else [])}
    for name, column in found.items():
        said = _alone(column)
        if name in wanted.identity:
            said = "written: it tells whose record a row is"
        elif name in holders:
            said = _of_holder(holders[name], column)
        elif name in times:
            said = OF_STAMPS[name]
        yield f"{wanted.name}.{name}: {said}"


def _absent(wanted: Wanted, found: Mapping[str, Column]) -> Iterator[str]:
    for name in wanted.identity:
        if name not in found:
            yield f"{wanted.name}.{name}: missing, so runs of {wanted.name} are refused"
    for holder in wanted.holders:
        if holder.name not in found:
            yield f"{wanted.name}.{holder.name}: {_missing(wanted, holder, found)}"


def _of_holder(holder: Holder, column: Column) -> str:
    """Tell whether the values that a column could hold are written."""
    if column.generated:
        return f"{ALONE}: the server computes it"
    if column.type not in holder.types:
        return f"{ALONE}: it is {column.type}, not {' or '.join(sorted(holder.types))}"
    if not column.updates:
        return f"{ALONE}: the role may not update it; run migrate with the owner's role"
    filled = f"; {holder.filler} where the vendor gives none" if column.demands else ""
    return f"written from {holder.source}{filled if holder.filler is not None else ''}" + (
        " (its other keys stay)" if holder.types == OBJECTS else ""
    )


def _missing(wanted: Wanted, holder: Holder, found: Mapping[str, Column]) -> str:
    if holder.is_required:
        return f"missing, so runs of {wanted.name} are refused"
    others = [
        other.name
        for other in wanted.holders
        if other.name in found and set(holder.fields) <= set(other.fields)
    ]
    return f"missing; {' and '.join(others)} has it" if others else "missing"


def _alone(column: Column) -> str:
    if column.demands and not column.generated:
        return f"{ALONE}, but it must have a value and has no default, so no row can be added"
    return ALONE
