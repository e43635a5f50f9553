"""Connections and transactions, and what PostgreSQL's errors mean to a run.

Safe behind a pooler in transaction mode: nothing outlives a transaction. Settings are local to it,
statements are never prepared by name, names are qualified with their schema. A transaction's BEGIN
travels with its settings, since a round trip to a pooler in another zone costs more than most work.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import psycopg
from msgspec import Struct

from vendorsync_job.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    SchemaMismatchError,
    SyncError,
)
from vendorsync_job.store.exchange import Exchange, Statement
from vendorsync_job.store.refusals import CACHED, judged, passes
from vendorsync_job.store.url import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Cursor = psycopg.Cursor[Any]

ATTEMPTS = 3
LOCK_NOT_AVAILABLE = "55P03"
OBJECT_IN_USE = "55006"
MISMATCHES = {"3F000", "42P01", "42P10", "42703", "42804"}
TRANSIENT_CLASSES = {"08", "40", "53", "57", "58"}
TRANSIENT = {LOCK_NOT_AVAILABLE, OBJECT_IN_USE, "25006", "25P03", "25P04"}
PLAINLY = {"53100": "its disk is full", "58030": "it cannot read or write its files"}
"""In place of texts that name files and blocks, which change from run to run."""
UNENCRYPTED = (
    "the connection to database %s is not encrypted: passwords and rows can be read on the way; add"
    " sslmode=verify-full and sslrootcert=FILE to the database URL, or at least sslmode=require"
)


class LockTimeoutError(DatabaseUnavailableError):
    """A lock was not free in time."""


class Timeouts(Struct, frozen=True):
    """Limits inside one transaction, in seconds."""

    statement: float = 30
    lock: float = 10
    idle: float = 60


class Database:
    """One connection to one database, opened when first needed and again after it broke.

    `organization_id` is what row-level security policies compare with; `schema` holds the
    application's tables. `shield` surrounds each transaction: a signal must not end the run inside.
    """

    exchange_type: ClassVar[type[Exchange]] = Exchange
    """What speaks with the server in `exchange`."""

    def __init__(
        self,
        url: str,
        *,
        schema: str = "public",
        organization_id: int | None = None,
        shield: Callable[[], AbstractContextManager[object]] = nullcontext,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.schema = schema
        self._parameters = parameters(url)
        self._organization = "" if organization_id is None else str(organization_id)
        self._shield = shield
        self._sleep = sleep
        self._jitter = jitter
        self._warned = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def where(self) -> str:
        """The database for people: host, port and name, never the role or its password."""
        found = self._parameters
        address = f"{found.get('host', 'localhost')}:{found.get('port', 5432)}"
        return f"{address}/{found.get('dbname', '')}".rstrip("/")

    def second(self) -> Database:
        """Return another connection to the same database, whose commits are its own."""
        other = object.__new__(Database)
        other.__dict__.update(self.__dict__, _connection=None)
        return other

    def close(self) -> None:
        """Close the connection; a transaction that is open is rolled back by the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cancel(self) -> None:
        """Ask the server to cancel the statement in hand; for use from another thread."""
        if self._connection is not None:
            self._connection.cancel_safe(timeout=2)

    @contextmanager
    def transaction(
        self,
        *,
        read_only: bool = False,
        timeouts: Timeouts | None = None,
        shielded: bool = True,
    ) -> Iterator[Cursor]:
        """Run the block in one transaction; psycopg's errors become errors of `errors`."""
        opening = self._opening(read_only=read_only, timeouts=timeouts or Timeouts())
        shield = self._shield if shielded else nullcontext
        with self._translated():
            connection = self._open()
            with shield(), Exchange(connection, opening) as exchange:
                exchange.run()
                with connection.cursor() as cursor:
                    yield cursor
                exchange.commit()

    @contextmanager
    def exchange(
        self, *, read_only: bool = False, timeouts: Timeouts | None = None
    ) -> Iterator[Exchange]:
        """Open a transaction whose statements travel in groups; it ends by its own `commit`.

        Without that it is rolled back. Errors are those of `transaction`.
        """
        opening = self._opening(read_only=read_only, timeouts=timeouts or Timeouts())
        with (
            self._translated(),
            self._shield(),
            self.exchange_type(self._open(), opening) as exchange,
        ):
            yield exchange

    def read(self, *statements: Statement) -> list[list[Any]]:
        """Return the rows of each statement: one transaction and one round trip, retried."""

        def work() -> list[list[Any]]:
            with self.exchange(read_only=True) as exchange:
                return exchange.commit(*statements)

        return self.repeated(work)

    def retrying(self, work: Callable[[Cursor], Result], **options: Any) -> Result:
        """Run `work` in a transaction, again when another writer or the network broke it off."""

        def once() -> Result:
            with self.transaction(**options) as cursor:
                return work(cursor)

        return self.repeated(once)

    def repeated(self, work: Callable[[], Result]) -> Result:
        """Run `work`, again with a pause when it broke off; it must be safe to repeat."""
        for attempt in range(1, ATTEMPTS):
            try:
                return work()
            except DatabaseUnavailableError as error:
                log.warning("transaction failed and is repeated: %s", error)
                self._sleep(self._jitter() * 0.2 * 4**attempt)
        return work()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # The cause would carry the password and, in DETAIL, the values of a row.
            raise translate(error, self.where) from None
        finally:
            if self._connection is not None and self._connection.broken:
                self.close()

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = psycopg.connect(
                    **self._parameters, prepare_threshold=None, autocommit=True
                )
            except psycopg.Error as error:
                raise refusal(error, self.where) from None
            self._warn_of_plain_text(self._connection)
        return self._connection

    def _warn_of_plain_text(self, connection: psycopg.Connection[Any]) -> None:
        """Warn once, here and in every `second`, of a remote database without TLS."""
        if connection.pgconn.ssl_in_use or self._warned.is_set():
            return
        if is_remote(connection.info.hostaddr):
            self._warned.set()
            log.warning(UNENCRYPTED, self.where)

    def _opening(self, *, read_only: bool, timeouts: Timeouts) -> Statement:
        """Return the statement that makes the settings of a transaction."""
        settings = {
            "statement_timeout": f"{timeouts.statement * 1000:.0f}",
            "lock_timeout": f"{timeouts.lock * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{timeouts.idle * 1000:.0f}",
            # For triggers of the application; statements of ours name the schema themselves.
            "search_path": f"{quoted(self.schema)}, pg_temp",
            "timezone": "UTC",
            "vendorsync.organization_id": self._organization,
        }
        if read_only:
            settings["transaction_read_only"] = "on"
        calls = ", ".join("pg_catalog.set_config(%s, %s, true)" for _ in settings)
        return Statement(f"SELECT {calls}", [part for pair in settings.items() for part in pair])


def is_remote(address: str) -> bool:
    """Tell whether an IP address is another machine's; a Unix socket has none."""
    return bool(address) and not ipaddress.ip_address(address.partition("%")[0]).is_loopback


def quoted(identifier: str) -> str:
    """Return an SQL identifier in double quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def translate(error: psycopg.Error, where: str) -> SyncError:
    """Return what an error of psycopg means, without DETAIL, passwords or values of rows."""
    state = error.sqlstate or ""
    if not state:
        # What broke a connection that stood; whatever it was, the next one may stand.
        cause, _ = judged(str(error))
        return DatabaseUnavailableError(f"database {where} cannot be reached: {cause}")
    said = PLAINLY.get(state) or error.diag.message_primary or type(error).__name__
    if state.startswith("28") or state in {"42501", "3D000"}:
        return DatabaseRefusedError(f"database {where} refuses the role: {said}")
    if state[:2] == "08" and CACHED in said and not passes(said):
        return DatabaseRefusedError(f"database {where} refuses the connection: {said}")
    if state in MISMATCHES:
        return SchemaMismatchError(f"database {where} lacks what the job needs: {said}")
    if state[:2] in TRANSIENT_CLASSES or state in TRANSIENT:
        kind = LockTimeoutError if state == LOCK_NOT_AVAILABLE else DatabaseUnavailableError
        return kind(f"database {where} broke off: {said}")
    fault = f"{type(error).__name__} ({state})"
    if state.startswith("42"):
        # Texts of this class name tables and columns; all others may quote a value of a row.
        fault = f"{said} ({state})"
    return SyncError(f"database {where} refused a statement: {fault}")


def refusal(error: psycopg.Error, where: str) -> SyncError:
    """Return what it means that no connection came about."""
    cause, is_passing = judged(str(error))
    if is_passing:
        return DatabaseUnavailableError(f"database {where} cannot be reached: {cause}")
    return DatabaseRefusedError(f"database {where} refuses the connection: {cause}")
