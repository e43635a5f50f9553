"""Rows into their table, inside a transaction: one statement if the database takes them all.

A row that the database refuses costs itself alone, whatever it was refused for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from msgspec import Struct, field

from vendorsync_job.errors import SchemaMismatchError
from vendorsync_job.models import Rejection
from vendorsync_job.store import each
from vendorsync_job.store.each import CHECK_NOW
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
SAME_BY_COLLATION = "its key is that of another record, by the column's collation"
RIGHT_MISSING = "42501"
"""Insufficient privilege: on a table with row-level security a row of another organization."""
HOPELESS = 100
"""Refused rows, with none written, after which the table itself is at fault."""
PIECE = 1000
"""Rows up to which a JSON document costs less than a COPY into a temporary table."""


class Written(Struct):
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
        self._table = table
        self._statements = statements
        self._values = place.values

    def write(self, exchange: Exchange, rows: Sequence[Row], *, first: bool) -> Written:
        """Write rows that are sorted by key; each of them is in the result once.

        Raises SchemaMismatchError if they are the `first` of a run and so many that are all refused
        mean that the table itself is at fault, and psycopg's error if it is no fault of rows.
        """
        written = Written()
        if not rows:
            return written
        error = self._write_all(exchange, rows, written)
        if error is not None:
            self._write_each(exchange, rows, written, error)
        if first and not written.done and len(written.refused) >= HOPELESS:
            reason = next(iter(written.refused.values())).reason
            raise SchemaMismatchError(
                f"the database refuses every record of {self._table.name}: {reason}"
            )
        return written

    def _write_all(
        self, exchange: Exchange, rows: Sequence[Row], written: Written
    ) -> psycopg.Error | None:
        """Write all rows at once; return why the database refuses that, with nothing written."""
        staged = len(rows) > PIECE
        if staged:
            # Outside the try: a right that is missing here is no fault of a row.
            exchange.run(SAVEPOINT, Statement(self._statements.stage()))
        send = self._staged if staged else self._sent
        answer = each.try_all(exchange, lambda: send(exchange, rows))
        if isinstance(answer, psycopg.Error):
            return answer
        count, created, keys = answer
        written.created += created
        written.updated += count - created
        if count < len(rows):
            done = set(keys or ())
            self._sort_out(exchange, [row for row in rows if row[0] not in done], written)
        return None

    def _sent(self, exchange: Exchange, rows: Sequence[Row]) -> tuple[int, int, list[str] | None]:
        """Write rows as a JSON document."""
        values = {"rows": self._document(rows), "count": len(rows)}
        upsert = Statement(self._statements.upsert(), self._values | values)
        return self._counted(exchange, SAVEPOINT, upsert, CHECK_NOW, RELEASE)

    def _staged(self, exchange: Exchange, rows: Sequence[Row]) -> tuple[int, int, list[str] | None]:
        """Write rows by way of the temporary table."""
        statements = self._statements
        statements.copy(exchange, rows)
        upsert = Statement(statements.upsert_staged(), self._values | {"count": len(rows)})
        return self._counted(exchange, upsert, Statement(statements.unstage()), CHECK_NOW, RELEASE)

    @staticmethod
    def _counted(exchange: Exchange, *statements: Statement) -> tuple[int, int, list[str] | None]:
        """Run statements and return the only row that they have."""
        ((count, created, keys),) = (row for rows in exchange.run(*statements) for row in rows)
        return count, created, keys

    def _write_each(
        self, exchange: Exchange, rows: Sequence[Row], written: Written, error: psycopg.Error
    ) -> None:
        upsert = Statement(self._statements.upsert_one(), self._values)
        outcomes = each.run_each(exchange, upsert, rows, self._document)
        written.created += len(outcomes.new)
        written.updated += len(outcomes.changed)
        if len(outcomes.refused) == len(rows) and not any(
            refusal.is_of_row or self._is_foreign(refusal) for _, refusal in outcomes.refused
        ):
            raise error
        for row, refusal in outcomes.refused:
            reason = FOREIGN if self._is_foreign(refusal) else str(refusal)
            self._refuse(row, reason, written)
        self._sort_out(exchange, outcomes.left, written)

    def _is_foreign(self, refusal: each.Refusal) -> bool:
        return self._table.row_security and refusal.state == RIGHT_MISSING

    def _sort_out(self, exchange: Exchange, rows: Sequence[Row], written: Written) -> None:
        """Find out why rows were neither written nor refused."""
        if not rows:
            return
        values: dict[str, Any] = {"rows": self._document(rows)}
        keys = {"keys": [row[0] for row in rows]}
        standing, others = exchange.run(
            Statement(self._statements.standing(), self._values | values),
            Statement(self._statements.others(), self._values | keys),
        )
        differs, is_same_key = dict(standing), dict(others)
        for row in rows:
            key = row[0]
            if differs.get(key) is False:
                written.equal += 1
            elif key not in differs and is_same_key.get(key) is False:
                self._refuse(row, SAME_BY_COLLATION, written)
            elif key not in differs and (key in is_same_key or not self._table.triggers):
                self._refuse(row, FOREIGN, written)
            else:
                self._refuse(row, self._left_out, written)

    @property
    def _left_out(self) -> str:
        triggers = " or ".join(self._table.triggers)
        reason = (
            f"left out by trigger {triggers}" if triggers else "left out by a rule of the table"
        )
        # Row-level security hides the rows of others.
        return f"{reason}, or {FOREIGN}" if self._table.row_security else reason

    def _document(self, rows: Sequence[Row]) -> str:
        return document(self._table, rows)

    def _refuse(self, row: Row, reason: str, written: Written) -> None:
        written.refused[row[0]] = Rejection(row[0], reason, described(self._table, row))
