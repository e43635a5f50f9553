"""Plants into rows: compare with what was last written, then write only what changed.

A chunk's rows, hashes and counters are one transaction, which first locks the lease. A row that the
database refuses is found by halving and goes to quarantine; the others of its chunk are written.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg import sql

from vendorsync_job.errors import DatabaseUnavailableError, SchemaMismatchError
from vendorsync_job.models import Counts, Rejection
from vendorsync_job.store import hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vendorsync_job.models import Plant
    from vendorsync_job.store.connection import Cursor, Database
    from vendorsync_job.store.lease import Lease
    from vendorsync_job.store.quarantine import Quarantine
    from vendorsync_job.store.runs import RunRow
    from vendorsync_job.store.schema import PlantTable
    from vendorsync_job.store.writers import Writers

STREAM = "plants"
KEY = "vendor_plant_id"
TYPES = {"capacity_kw": "numeric", "latitude": "numeric", "longitude": "numeric"} | {
    "commissioned_at": "timestamptz"
}
FOREIGN = "OwnedByAnotherOrganization"
HOPELESS = 100
"""Refused rows of one chunk, with none written, after which the table itself is at fault."""
PAUSES = (0.2, 2.0)
"""Seconds before a chunk that broke off is tried again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where the plants of a run belong; `vendor_id` is None before the first binding."""

    schema: str
    organization_id: int
    vendor_id: int | None

    @property
    def table(self) -> sql.Identifier:
        """The table of plants."""
        return sql.Identifier(self.schema, "plants")


@dataclass
class Change:
    """What is to be done for one chunk, and what became of it."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    hashes: dict[str, bytes] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    """Keys among `rows` whose plant is there and differs; the others are new."""
    unchanged: int = 0
    rejections: list[Rejection] = field(default_factory=list)


@dataclass
class Written:
    """Keys of a chunk by what the database did with them."""

    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    equal: set[str] = field(default_factory=set)
    """Written by somebody else with the very same values."""
    refused: list[Rejection] = field(default_factory=list)

    @property
    def done(self) -> set[str]:
        """Keys whose rows are now as the vendor has them."""
        return self.created | self.updated | self.equal


class PlantComparison:
    """Sorts plants into new, changed and unchanged; writes nothing."""

    def __init__(self, database: Database, table: PlantTable, place: Place) -> None:
        self._database = database
        self._table = table
        self._place = place

    def write(self, plants: Sequence[Plant], rejected: Sequence[Rejection]) -> Counts:
        """Count what a run would do with the records."""
        change = self.compare(plants)
        differing = [change.rows[key] for key in sorted(change.existing)]
        equal = self._database.retrying(
            lambda cursor: self._equal(cursor, differing), read_only=True
        )
        return Counts(
            created=len(change.rows) - len(change.existing),
            updated=len(change.existing) - equal,
            unchanged=change.unchanged + equal,
            rejected=len(rejected) + len(change.rejections),
        )

    def renew(self) -> None:
        """Hold nothing, so there is nothing to renew."""

    def compare(self, plants: Sequence[Plant]) -> Change:
        """Return what would have to be written."""
        change = Change()
        for plant in plants:
            row = plant_row(plant, self._table.columns)
            try:
                change.hashes[plant.vendor_plant_id] = hashes.digest(row)
            except TypeError:
                change.rejections.append(
                    Rejection(plant.vendor_plant_id, "text is not valid Unicode", row)
                )
            else:
                change.rows[plant.vendor_plant_id] = row
        known = self._database.retrying(
            lambda cursor: self._known(cursor, list(change.rows)), read_only=True
        )
        for key, stored in known.items():
            if stored == change.hashes[key]:
                del change.rows[key], change.hashes[key]
                change.unchanged += 1
        change.existing = frozenset(change.rows) & known.keys()
        return change

    def _equal(self, cursor: Cursor, rows: list[dict[str, Any]]) -> int:
        """Count the rows that an upsert would leave alone: written by somebody else, say."""
        if not rows:
            return 0
        try:
            with cursor.connection.transaction():
                cursor.execute(
                    _equal_statement(self._place, self._table),
                    {
                        "rows": orjson.dumps(rows).decode(),
                        "vendor": self._place.vendor_id,
                        "organization": self._place.organization_id,
                    },
                )
                (count,) = cursor.fetchone() or (0,)
                return int(count)
        except (psycopg.DataError, psycopg.IntegrityError):
            # A value that the table cannot hold differs from what it holds.
            if len(rows) == 1:
                return 0
            middle = len(rows) // 2
            return self._equal(cursor, rows[:middle]) + self._equal(cursor, rows[middle:])

    def _known(self, cursor: Cursor, keys: list[str]) -> dict[str, bytes | None]:
        """Return the stored hash of each plant that is there; joined, since people delete rows."""
        if self._place.vendor_id is None or not keys:
            return {}
        cursor.execute(
            sql.SQL(
                "SELECT p.vendor_plant_id, h.hash FROM {} AS p LEFT JOIN vendorsync.hashes AS h"
                " ON h.vendor_id = p.vendor_id AND h.stream = %s AND h.key = p.vendor_plant_id"
                " WHERE p.vendor_id = %s AND p.org_id = %s AND p.vendor_plant_id = ANY (%s)"
            ).format(self._place.table),
            [STREAM, self._place.vendor_id, self._place.organization_id, keys],
        )
        return dict(cursor.fetchall())


class PlantStore(PlantComparison):
    """Writes the plants of one run."""

    def __init__(
        self,
        database: Database,
        table: PlantTable,
        place: Place,
        *,
        lease: Lease,
        quarantine: Quarantine,
        run: RunRow,
        writers: Writers,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(database, table, place)
        self._vendor = lease.vendor_id
        self._lease = lease
        self._quarantine = quarantine
        self._run = run
        self._writers = writers
        self._sleep = sleep
        self._chunk = 0
        self._totals = Counts()
        self._statement = _upsert_statement(place, table)
        self._refusals: tuple[type[psycopg.Error], ...] = (
            psycopg.DataError,
            psycopg.IntegrityError,
        )
        if table.row_security:
            self._refusals += (psycopg.errors.InsufficientPrivilege,)

    def write(self, plants: Sequence[Plant], rejected: Sequence[Rejection]) -> Counts:
        """Bring the rows of one chunk up to date and return what happened to its records."""
        change = self.compare(plants)
        refused = [*rejected, *change.rejections]
        if not (change.rows or self._quarantine.has_news(refused) or self._lease.is_due):
            counts = Counts(unchanged=change.unchanged, rejected=len(refused))
        else:
            counts = self._commit(change, refused)
        self._totals = self._totals + counts
        return counts

    def renew(self) -> None:
        """Keep the lease while pages come in slowly; LeaseLostError once it is another run's."""
        if self._lease.is_due:
            self._database.retrying(self._lease.hold)

    def _commit(self, change: Change, refused: Sequence[Rejection]) -> Counts:
        """Write in one transaction, again when another writer or the network broke it off."""
        self._chunk += 1
        outcome: Counts | None = None

        def work(cursor: Cursor) -> Counts:
            nonlocal outcome
            self._lease.hold(cursor)
            # The answer to an earlier COMMIT may have got lost with the connection.
            if outcome is None or not self._run.is_committed(cursor, self._chunk):
                outcome = self._apply(cursor, change, refused)
            return outcome

        for pause in PAUSES:
            try:
                return self._writers.run(self._database, work)
            except DatabaseUnavailableError as error:
                log.warning("chunk failed and is repeated: %s", error)
                self._sleep(pause)
        return self._writers.run(self._database, work)

    def _apply(self, cursor: Cursor, change: Change, refused: Sequence[Rejection]) -> Counts:
        written = Written()
        self._insert(cursor, [change.rows[key] for key in sorted(change.rows)], written)
        if change.rows and len(written.refused) >= HOPELESS and not written.done:
            raise SchemaMismatchError(
                f"the database refuses every plant: {written.refused[0].reason}"
            )
        done = written.done
        if done:
            hashes.store(cursor, self._vendor, STREAM, {key: change.hashes[key] for key in done})
        refused = [*refused, *written.refused]
        self._quarantine.add(cursor, refused)
        counts = Counts(
            created=len(written.created),
            updated=len(written.updated),
            unchanged=change.unchanged + len(written.equal),
            rejected=len(refused),
        )
        self._run.count(cursor, self._chunk, self._totals + counts)
        return counts

    def _insert(self, cursor: Cursor, rows: list[dict[str, Any]], written: Written) -> None:
        """Write the rows, halving a batch that the database refuses until the culprit is alone."""
        if not rows:
            return
        try:
            with cursor.connection.transaction():
                found = self._upsert(cursor, rows)
        except self._refusals as error:
            if len(rows) == 1:
                written.refused.append(Rejection(rows[0][KEY], _reason(error), rows[0]))
                return
            middle = len(rows) // 2
            self._insert(cursor, rows[:middle], written)
            self._insert(cursor, rows[middle:], written)
            return
        self._sort(cursor, rows, found, written)

    def _upsert(self, cursor: Cursor, rows: list[dict[str, Any]]) -> dict[str, bool]:
        """Run the statement; return whether each row that it wrote is new."""
        cursor.execute(
            self._statement,
            {
                "rows": orjson.dumps(rows).decode(),
                "vendor": self._vendor,
                "organization": self._place.organization_id,
            },
        )
        return dict(cursor.fetchall())

    def _sort(
        self,
        cursor: Cursor,
        rows: list[dict[str, Any]],
        found: Mapping[str, bool],
        written: Written,
    ) -> None:
        written.created |= {key for key, is_new in found.items() if is_new}
        written.updated |= {key for key, is_new in found.items() if not is_new}
        rest = {row[KEY]: row for row in rows if row[KEY] not in found}
        equal = set(self._known(cursor, list(rest))) if rest else set()
        written.equal |= equal
        written.refused += [
            Rejection(key, FOREIGN, row) for key, row in rest.items() if key not in equal
        ]


def plant_row(plant: Plant, columns: Iterable[str]) -> dict[str, Any]:
    """Return the owned columns of a plant as JSON values, with its key."""
    return {KEY: plant.vendor_plant_id} | {name: _json(getattr(plant, name)) for name in columns}


def _json(value: str | Decimal | datetime | None) -> str | None:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, datetime) else value


def _upsert_statement(place: Place, table: PlantTable) -> sql.Composed:
    """One statement for any number of rows: no parameter limit, no temporary table.

    Rows come sorted by key, so that two writers lock in the same order. A plant of another
    organization and one that is equal already are left alone and not returned.
    """
    owned = [sql.Identifier(name) for name in table.columns]
    stamps = [sql.Identifier(name) for name in table.stamps]
    new = _new_values(table)
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in new.items()
    ] + [sql.SQL("updated_at = excluded.updated_at")] * ("updated_at" in table.stamps)
    comma = sql.SQL(", ")
    return sql.SQL(
        "INSERT INTO {table} AS stored"
        " (org_id, vendor_id, {columns})"
        " SELECT %(organization)s, %(vendor)s, {values}"
        " FROM jsonb_to_recordset(%(rows)s::jsonb) AS r ({types})"
        " ORDER BY r.vendor_plant_id"
        " ON CONFLICT (vendor_id, vendor_plant_id) DO UPDATE SET {assignments}"
        " WHERE stored.org_id = excluded.org_id AND {differs}"
        " RETURNING vendor_plant_id, xmax = 0"
    ).format(
        table=place.table,
        columns=comma.join([sql.Identifier(KEY), *owned, *stamps]),
        values=comma.join(
            [sql.Identifier("r", KEY)]
            + [sql.Identifier("r", name) for name in table.columns]
            + [sql.SQL("now()")] * len(stamps)
        ),
        types=comma.join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(TYPES.get(name, "text")))
            for name in (KEY, *table.columns)
        ),
        assignments=comma.join(assignments),
        differs=_differs(table),
    )


def _equal_statement(place: Place, table: PlantTable) -> sql.Composed:
    """Count the rows that the upsert would leave alone; the table's row type rounds as it would."""
    return sql.SQL(
        "SELECT count(*) FROM {table} AS stored"
        " JOIN jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb) AS excluded"
        " USING (vendor_plant_id) WHERE stored.vendor_id = %(vendor)s"
        " AND stored.org_id = %(organization)s AND NOT {differs}"
    ).format(table=place.table, differs=_differs(table))


def _new_values(table: PlantTable) -> dict[str, sql.Composed]:
    """Return what each owned column becomes, in terms of `stored` and `excluded`."""
    return {
        # A vendor that once leaves the capacity out has not taken the panels away.
        name: sql.SQL(
            "coalesce(excluded.{0}, stored.{0})" if name == "capacity_kw" else "excluded.{0}"
        ).format(sql.Identifier(name))
        for name in table.columns
    }


def _differs(table: PlantTable) -> sql.Composed:
    comma = sql.SQL(", ")
    return sql.SQL("(({old}) IS DISTINCT FROM ({new}))").format(
        old=comma.join(sql.Identifier("stored", name) for name in table.columns),
        new=comma.join(_new_values(table).values()),
    )


def _reason(error: psycopg.Error) -> str:
    """Name the fault and the column or constraint; the text itself would show values."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return FOREIGN
    where = error.diag.column_name or error.diag.constraint_name
    return f"refused by the database: {type(error).__name__}" + (f" of {where}" if where else "")
