"""Tokens of vendor accounts in the database: encrypted, renewed by one process at a time.

The database holds three facts beside the token: credentials that the vendor refused, which are
never tried again; until when the vendor wants to be left alone; and how many logins there were.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    DatabaseUnavailableError,
    QuotaExhaustedError,
    SyncError,
    ThrottledError,
    VendorUnavailableError,
)
from vendorsync_job.models import Token
from vendorsync_job.store.ciphers import Ciphers, UnreadableError
from vendorsync_job.store.connection import LockTimeoutError, Timeouts
from vendorsync_job.tokens import is_fresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_job.models import Account
    from vendorsync_job.store.connection import Cursor, Database

log = logging.getLogger(__name__)

LOGIN_SECONDS = 120.0
"""The longest login, its retries included, and so the longest wait for another process's."""
LONGEST_REST = timedelta(days=1)
RESTS = {kind.reason.value: kind for kind in (QuotaExhaustedError, AccountLockedError)}
"""Errors of a resting account by their reasons; any other is a ThrottledError."""
NO_MORE = "no further login is tried until the Secret changes"


@dataclass(frozen=True)
class Stored:
    """An account's row; `token` is None where there is none that can be read."""

    token: Token | None
    fingerprint: bytes
    generation: int
    resting_until: datetime | None
    resting_reason: str
    resting_message: str
    block: str | None
    """What the vendor said when it refused the credentials at hand."""


class AccountTokens:
    """The `TokenStore` of `ports` on the accounts table.

    `on_token` hears of every token, so that logs can hide it. With `writes` off, as in a dry run,
    a login is kept in memory only.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        ciphers: Ciphers,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_token: Callable[[str], None] = lambda _: None,
        writes: bool = True,
    ) -> None:
        self._database = database
        self._account = account
        self._ciphers = ciphers
        self._clock = clock
        self._on_token = on_token
        self._writes = writes
        self._warned = False

    def check(self) -> None:
        """Raise, without a call, while the account is blocked or rests."""
        self._refuse(self._look())

    def current(self) -> Token | None:
        """Return the stored token, stale or not; None if other credentials brought it."""
        stored = self._look()
        return stored.token if stored.fingerprint == self._account.fingerprint else None

    def refresh(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        """Return a token newer than `stale`, logging in at most once across all processes.

        Raises CredentialsRejectedError, without a call, while the credentials at hand are blocked,
        and ThrottledError while the account rests.
        """
        if not self._writes:
            return self._refresh_in_memory(stale, login)
        database = self._database.second()
        try:
            return self._refresh(database, stale, login)
        finally:
            database.close()

    def rest(self, error: ThrottledError) -> None:
        """Leave the account alone until the time that the vendor named."""
        if self._writes:
            self._database.retrying(lambda cursor: self._store_rest(cursor, error))

    def _refresh_in_memory(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        stored = self._look()
        self._refuse(stored)
        newer = self._newer(stored, stale)
        return newer or self._heard(login())

    def _refresh(
        self, database: Database, stale: Token | None, login: Callable[[], Token]
    ) -> Token:
        database.retrying(self._ensure_row)
        fresh: Token | None = None
        refusal: SyncError | None = None
        # The row stays locked during the login, which is what makes it the only one.
        limits = Timeouts(statement=LOGIN_SECONDS, lock=LOGIN_SECONDS, idle=LOGIN_SECONDS)
        try:
            with database.transaction(timeouts=limits, shielded=False) as cursor:
                cursor.execute(
                    "SELECT FROM vendorsync.accounts WHERE key = %s FOR NO KEY UPDATE",
                    [self._account.key],
                )
                stored = self._look(cursor)
                self._refuse(stored)
                newer = self._newer(stored, stale)
                if newer is not None:
                    return newer
                try:
                    fresh = self._log_in(stored, login)
                except (CredentialsRejectedError, ThrottledError) as error:
                    refusal = self._store_refusal(cursor, error)
                else:
                    self._store(cursor, fresh)
        except LockTimeoutError:
            raise VendorUnavailableError(
                "another run has been logging in to the same account for too long"
            ) from None
        except DatabaseUnavailableError as error:
            return self._kept(fresh, refusal, error)
        if refusal is not None:
            raise refusal
        assert fresh is not None  # noqa: S101 - tells the type checker
        return fresh

    def _kept(
        self, fresh: Token | None, refusal: SyncError | None, error: DatabaseUnavailableError
    ) -> Token:
        """A good login must not be lost with the database: some vendors keep one token alive."""
        if fresh is not None:
            log.warning("the new token could not be stored and is kept in memory: %s", error)
            return fresh
        if refusal is not None:
            raise refusal
        raise error

    def _log_in(self, stored: Stored, login: Callable[[], Token]) -> Token:
        brought = self._heard(login())
        return Token(
            value=brought.value,
            expires_at=brought.expires_at,
            obtained_at=brought.obtained_at,
            generation=stored.generation + 1,
            metadata=brought.metadata,
        )

    def _heard(self, token: Token) -> Token:
        self._on_token(token.value)
        return token

    def _newer(self, stored: Stored, stale: Token | None) -> Token | None:
        """Return the stored token if another process brought it meanwhile."""
        token = stored.token
        if token is None or stored.fingerprint != self._account.fingerprint:
            return None
        is_newer = stale is None or token.generation > stale.generation
        return token if is_newer and is_fresh(token, self._clock()) else None

    def _refuse(self, stored: Stored) -> None:
        if stored.block is not None:
            raise CredentialsRejectedError(stored.block)
        if stored.resting_until is not None and stored.resting_until > self._clock():
            kind = RESTS.get(stored.resting_reason, ThrottledError)
            rest = (stored.resting_until - self._clock()).total_seconds()
            raise kind(stored.resting_message, retry_after=rest)

    def _look(self, cursor: Cursor | None = None) -> Stored:
        if cursor is None:
            return self._database.retrying(self._look, read_only=True)
        cursor.execute(
            "SELECT a.token, a.metadata, a.expires_at, a.obtained_at, a.generation, a.fingerprint,"
            " a.resting_until, a.resting_reason, a.resting_message,"
            " (SELECT b.message FROM vendorsync.blocks AS b"
            " WHERE b.account_key = a.key AND b.fingerprint = %s)"
            " FROM vendorsync.accounts AS a WHERE a.key = %s",
            [self._account.fingerprint, self._account.key],
        )
        row = cursor.fetchone()
        if row is None:
            return Stored(None, b"", 0, None, "", "", None)
        text, metadata, expires, obtained, generation, fingerprint, until, reason, said, block = row
        return Stored(
            token=self._read(text, metadata, expires, obtained, generation),
            fingerprint=bytes(fingerprint or b""),
            generation=generation,
            resting_until=until,
            resting_reason=reason or "",
            resting_message=said or "",
            block=block,
        )

    def _read(
        self,
        text: str | None,
        metadata: str | None,
        expires_at: datetime | None,
        obtained_at: datetime | None,
        generation: int,
    ) -> Token | None:
        if text is None or metadata is None or expires_at is None or obtained_at is None:
            return None
        key = self._account.key
        try:
            value = self._ciphers.decrypt(text, account=key, column="token")
            details: Any = orjson.loads(
                self._ciphers.decrypt(metadata, account=key, column="metadata")
            )
        except UnreadableError as error:
            if not self._warned:
                log.warning("the stored token cannot be read and counts as none: %s", error)
            self._warned = True
            return None
        return self._heard(Token(value, expires_at, obtained_at, generation, details))

    def _ensure_row(self, cursor: Cursor) -> None:
        account = self._account
        cursor.execute(
            "INSERT INTO vendorsync.accounts (key, adapter, host) SELECT %(key)s, %(adapter)s,"
            " %(host)s WHERE NOT EXISTS (SELECT FROM vendorsync.accounts WHERE key = %(key)s)"
            " ON CONFLICT DO NOTHING",
            {"key": account.key, "adapter": account.adapter, "host": account.host},
        )

    def _store(self, cursor: Cursor, token: Token) -> None:
        key, encrypt = self._account.key, self._ciphers.encrypt
        cursor.execute(
            "UPDATE vendorsync.accounts SET token = %(token)s, metadata = %(metadata)s,"
            " fingerprint = %(fingerprint)s, expires_at = %(expires_at)s,"
            " obtained_at = %(obtained_at)s,"
            " generation = %(generation)s, resting_until = NULL, resting_reason = NULL,"
            " resting_message = NULL WHERE key = %(key)s",
            {
                "key": key,
                "token": encrypt(token.value, account=key, column="token"),
                "metadata": encrypt(
                    orjson.dumps(dict(token.metadata)).decode(), account=key, column="metadata"
                ),
                "fingerprint": self._account.fingerprint,
                "expires_at": token.expires_at,
                "obtained_at": token.obtained_at,
                "generation": token.generation,
            },
        )

    def _store_refusal(
        self, cursor: Cursor, error: CredentialsRejectedError | ThrottledError
    ) -> SyncError:
        """Remember that the vendor refused, and return the error to raise after the commit."""
        if isinstance(error, ThrottledError):
            self._store_rest(cursor, error)
            return error
        message = f"{error}; {NO_MORE}"
        cursor.execute(
            "INSERT INTO vendorsync.blocks (account_key, fingerprint, message)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [self._account.key, self._account.fingerprint, message],
        )
        return CredentialsRejectedError(message)

    def _store_rest(self, cursor: Cursor, error: ThrottledError) -> None:
        cursor.execute(
            "UPDATE vendorsync.accounts SET resting_until = %s, resting_reason = %s,"
            " resting_message = %s WHERE key = %s",
            [
                self._clock() + min(timedelta(seconds=error.rest), LONGEST_REST),
                error.reason.value,
                str(error),
                self._account.key,
            ],
        )
