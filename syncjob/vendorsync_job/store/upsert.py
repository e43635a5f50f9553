"""Rows into their table, inside a transaction: one statement if the database takes them all.

A row that the database refuses is found by halving; the others are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from vendorsync_job.errors import SchemaMismatchError
from vendorsync_job.models import Rejection
from vendorsync_job.store.exchange import RELEASE, SAVEPOINT, Statement
from vendorsync_job.store.rows import described, document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vendorsync_job.store.exchange import Exchange
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.rows import Row
    from vendorsync_job.store.statements import RecordStatements
    from vendorsync_job.store.tables import RecordTable

FOREIGN = "OwnedByAnotherOrganization"
HOPELESS = 100
"""Refused rows, with none written, after which the table itself is at fault."""
PIECE = 1000
"""Rows up to which a JSON document costs less than a COPY into a temporary table."""


@dataclass
class Written:
    """What the database did with the rows of a chunk."""

    created: int = 0
    updated: int = 0
    equal: int = 0
    """Written by somebody else with the very same values."""
    refused: dict[str, Rejection] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Rows that are now as the vendor has them."""
        return self.created + self.updated + self.equal


class Upsert:
    """Writes rows of one table."""

    def __init__(self, table: RecordTable, place: Place, statements: RecordStatements) -> None:
        self._table = table.name
        self._statements = statements
        self._values = place.values
        self._refusals: tuple[type[psycopg.Error], ...] = (
            psycopg.DataError,
            psycopg.IntegrityError,
        )
        if table.row_security:
            self._refusals += (psycopg.errors.InsufficientPrivilege,)

    def write(self, exchange: Exchange, rows: Sequence[Row], *, first: bool) -> Written:
        """Write rows that are sorted by key; each of them is in the result once.

        If they are the `first` of a run, so many refusals mean that the table itself is at fault:
        SchemaMismatchError.
        """
        written = Written()
        self._write(exchange, rows, written)
        if first and not written.done and len(written.refused) >= HOPELESS:
            reason = next(iter(written.refused.values())).reason
            raise SchemaMismatchError(
                f"the database refuses every record of {self._table}: {reason}"
            )
        return written

    def _write(self, exchange: Exchange, rows: Sequence[Row], written: Written) -> None:
        if not rows:
            return
        counted = (self._staged if len(rows) > PIECE else self._sent)(exchange, rows)
        if isinstance(counted, psycopg.Error):
            self._halve(exchange, rows, written, counted)
        else:
            self._count(exchange, rows, written, *counted)

    def _halve(
        self, exchange: Exchange, rows: Sequence[Row], written: Written, error: psycopg.Error
    ) -> None:
        if len(rows) == 1:
            self._refuse(rows[0], _reason(error), written)
            return
        middle = len(rows) // 2
        self._write(exchange, rows[:middle], written)
        self._write(exchange, rows[middle:], written)

    def _sent(self, exchange: Exchange, rows: Sequence[Row]) -> tuple[int, int] | psycopg.Error:
        """Write rows as a JSON document; return how many were written and are new, or a refusal."""
        names = self._statements.names
        values = self._values | {"rows": document(rows, names)}
        try:
            _, counted, _ = exchange.run(
                SAVEPOINT, Statement(self._statements.upsert(), values), RELEASE
            )
        except self._refusals as error:
            exchange.refused()
            return error
        return counted[0][0], counted[0][1]

    def _staged(self, exchange: Exchange, rows: Sequence[Row]) -> tuple[int, int] | psycopg.Error:
        """Write rows by way of a temporary table."""
        statements = self._statements
        # Outside the try: a right that is missing here is no fault of a row.
        exchange.run(SAVEPOINT, Statement(statements.stage()))
        try:
            exchange.copy(statements.copy(), statements.types, rows)
            counted, _, _ = exchange.run(
                Statement(statements.upsert_staged(), self._values),
                Statement(statements.unstage()),
                RELEASE,
            )
        except self._refusals as error:
            exchange.refused()
            return error
        return counted[0][0], counted[0][1]

    def _count(
        self, exchange: Exchange, rows: Sequence[Row], written: Written, count: int, created: int
    ) -> None:
        written.created += created
        written.updated += count - created
        if count == len(rows):
            return
        values = self._values | {"keys": [row[0] for row in rows]}
        (found,) = exchange.run(Statement(self._statements.present(), values))
        present = {key for (key,) in found}
        written.equal += len(present) - count
        for row in rows:
            if row[0] not in present:
                self._refuse(row, FOREIGN, written)

    def _refuse(self, row: Row, reason: str, written: Written) -> None:
        written.refused[row[0]] = Rejection(row[0], reason, described(row, self._statements.names))


def _reason(error: psycopg.Error) -> str:
    """Name the fault and the column or constraint; the text itself would show values."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return FOREIGN
    where = error.diag.column_name or error.diag.constraint_name
    return f"refused by the database: {type(error).__name__}" + (f" of {where}" if where else "")
