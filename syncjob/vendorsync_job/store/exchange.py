"""One transaction whose statements travel in groups, so that a round trip is paid per group.

Statements are put together with their values in the client and sent as one message of the simple
protocol: every pooler understands that, and nothing is prepared.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from vendorsync_job.models import Veiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from psycopg import sql

log = logging.getLogger(__name__)


class Statement(Veiled, frozen=True):
    """SQL with its values, and what reads the rows of its answer."""

    hidden = ("values", "read")

    query: str | sql.Composed
    values: Sequence[Any] | Mapping[str, Any] = ()
    read: Callable[[list[Any]], Any] = list


def read(statements: Iterable[Statement], answers: Iterable[list[Any]]) -> list[Any]:
    """Return what is read from the rows that answer each statement."""
    return [asked.read(rows) for asked, rows in zip(statements, answers, strict=True)]


SAVEPOINT = Statement("SAVEPOINT piece")
RELEASE = Statement("RELEASE SAVEPOINT piece")
ROLLBACK_TO_SAVEPOINT = Statement("ROLLBACK TO SAVEPOINT piece")


class Exchange:
    """A transaction on `connection`, rolled back unless `commit` was called.

    `opening` travels with the first statements. Errors are psycopg's.
    """

    def __init__(self, connection: psycopg.Connection[Any], opening: Statement) -> None:
        self.connection = connection
        self._cursor = psycopg.ClientCursor(connection)
        self._waiting = [Statement("BEGIN"), opening]

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cursor.close()
        status = self.connection.info.transaction_status
        if status in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}:
            return
        try:
            self.connection.rollback()
        except psycopg.Error:
            log.debug("a transaction could not be rolled back; its connection is closed")
            self.connection.close()

    def run(self, *statements: Statement) -> list[list[Any]]:
        """Send the statements in one message and return the rows of each."""
        waiting, self._waiting = self._waiting, []
        return self._send([*waiting, *statements])[len(waiting) :]

    def ask(self, *statements: Statement) -> list[Any]:
        """Send the statements in one message and return what is read from the answer of each."""
        return read(statements, self.run(*statements))

    def commit(self, *statements: Statement) -> list[Any]:
        """Send the statements and COMMIT in one message; the transaction is over then.

        Returns what is read from the answer of each statement.
        """
        return self.ask(*statements, Statement("COMMIT"))[:-1]

    def refused(self) -> None:
        """Go back to the savepoint after a statement that the server refused."""
        self.run(ROLLBACK_TO_SAVEPOINT, RELEASE)

    def merged(self, statement: Statement) -> str:
        """Return the statement as text, its values put in."""
        return self._cursor.mogrify(statement.query, statement.values or None)

    def copy(self, query: sql.Composed, types: Sequence[str], rows: Iterable[Any]) -> None:
        """Send rows by a binary COPY: two round trips."""
        with self._cursor.copy(query) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _send(self, statements: Sequence[Statement]) -> list[list[Any]]:
        if not statements:
            return []
        self._cursor.execute(self._message(statements))
        return [
            result.fetchall() if result.description else [] for result in self._cursor.results()
        ]

    def _message(self, statements: Iterable[Statement]) -> bytes:
        return b";".join(self.merged(statement).encode() for statement in statements)
