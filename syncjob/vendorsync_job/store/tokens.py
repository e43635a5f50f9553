"""Tokens of vendor accounts in the database: encrypted, renewed by one process at a time.

The database holds four facts beside the token: credentials that the vendor refused, which are
never tried again; until when the vendor wants to be left alone; how many logins there were; and
when tokens were found dead that should have lived, for then another program logs in to the account.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec.structs import replace

from vendorsync_job import tokens
from vendorsync_job.errors import (
    AccountLockedError,
    AccountSharedError,
    BudgetSpentError,
    CredentialsRejectedError,
    DatabaseUnavailableError,
    QuotaExhaustedError,
    SyncError,
    ThrottledError,
    TokenExpiredError,
    VendorUnavailableError,
)
from vendorsync_job.models import Token
from vendorsync_job.store.accounts import ensure_account
from vendorsync_job.store.ciphers import Ciphers, UnreadableError
from vendorsync_job.store.connection import LockTimeoutError, Timeouts
from vendorsync_job.store.thefts import THEFTS, is_shared
from vendorsync_job.tokens import CLOCK_SLACK, is_fresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_job.models import Account, Grant
    from vendorsync_job.store.connection import Cursor, Database
    from vendorsync_job.store.legacy import LegacyColumns

log = logging.getLogger(__name__)

LOGIN_SECONDS = 120.0
"""The longest login, its retries included, and so the longest wait for another process's."""
LONGEST_REST = timedelta(days=1)
RESTS = {kind.reason.value: kind for kind in (QuotaExhaustedError, AccountLockedError)}
"""Errors of a resting account by their reasons; any other is a ThrottledError."""
NO_MORE = "no further login is tried until the Secret changes"
SHARED: Final = (
    "another program logs in to the same account and takes its token away again and again, so no"
    " login is tried for an hour or until the Secret changes; give VendorSync an account of its own"
    " at the vendor, or stop the other program"
)
REFRESH_TOKEN: Final = "vendorsync.refresh_token"  # noqa: S105 - a name, not a secret
"""Where the encrypted metadata holds the refresh token."""


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
    stolen_at: tuple[datetime, ...] = ()
    """When the last tokens were found dead that should have lived, oldest first."""


class AccountTokens:
    """The `TokenStore` of `ports` on the accounts table.

    `on_token` hears of every token, so that logs can hide it. With `writes` off, as in a dry run,
    a login is kept in memory only. `prepare` is called before a login's transaction begins, so
    that the login need not wait for what others hold. `renew` is that of a `RenewingAdapter`.
    `legacy` are the old system's columns, where a token may be found and left.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        ciphers: Ciphers,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_token: Callable[[str], None] = lambda _: None,
        redact: Callable[[str], str] = str,
        writes: bool = True,
        prepare: Callable[[], None] = lambda: None,
        renew: Callable[[str], Grant] | None = None,
        legacy: LegacyColumns | None = None,
    ) -> None:
        self._database = database
        self._account = account
        self._ciphers = ciphers
        self._clock = clock
        self._on_token = on_token
        self._redact = redact
        self._writes = writes
        self._prepare = prepare
        self._renew = renew
        self._legacy = legacy
        self._refused: str | None = None
        self._warned = False

    def check(self) -> None:
        """Raise, without a call, while the account is blocked, rests or is shared."""
        self._refuse(self._look())

    def current(self) -> Token | None:
        """Return the stored token, stale or not; None if other credentials brought it.

        One of the legacy columns comes in when there is no fresh one.
        """
        return self._database.retrying(self._current, read_only=True)

    def refused(self, token: Token) -> None:
        """Take note that the vendor does not know a token; the next `refresh` judges why."""
        self._refused = token.value

    def refresh(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        """Return a token newer than `stale`, logging in at most once across all processes.

        Raises CredentialsRejectedError, without a call, while the credentials at hand are blocked,
        ThrottledError while the account rests, and AccountSharedError when three tokens were taken
        away within an hour.
        """
        if not self._writes:
            return self._refresh_in_memory(stale, login)
        self._prepare()
        database = self._database.second()
        try:
            return self._refresh(database, stale, login)
        finally:
            database.close()

    def rest(self, error: ThrottledError) -> None:
        """Leave the account alone until the time that the vendor named.

        Our own ledger needs no such rest: it knows for which calls there is still room.
        """
        if self._writes and not isinstance(error, BudgetSpentError):
            self._database.retrying(lambda cursor: self._store_rest(cursor, error))

    def _current(self, cursor: Cursor) -> Token | None:
        stored = self._look(cursor)
        mine = stored.token if stored.fingerprint == self._account.fingerprint else None
        if mine is not None and is_fresh(mine, self._clock()):
            return mine
        return self._borrowed(cursor, stored) or mine

    def _borrowed(self, cursor: Cursor, stored: Stored, stale: Token | None = None) -> Token | None:
        """Return the old system's token if it is fresh, none that failed, and of no old Secret."""
        if self._legacy is None or stored.fingerprint not in (b"", self._account.fingerprint):
            return None
        token = self._legacy.read(cursor, self._clock(), stored.generation)
        if token is None or token.value in (self._refused, stale.value if stale else None):
            return None
        return self._heard(token) if is_fresh(token, self._clock()) else None

    def _refresh_in_memory(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        stored = self._look()
        self._refuse(stored)
        newer = self._newer(stored, stale)
        return newer or self._heard(login())

    def _refresh(
        self, database: Database, stale: Token | None, login: Callable[[], Token]
    ) -> Token:
        database.retrying(lambda cursor: ensure_account(cursor, self._account))
        fresh: Token | None = None
        refusal: SyncError | None = None
        # The row stays locked during the login, which is what makes it the only one.
        # Waiting for the lock is part of a statement, which must not be what ends first.
        limits = Timeouts(statement=LOGIN_SECONDS + 5, lock=LOGIN_SECONDS, idle=LOGIN_SECONDS)
        try:
            with database.transaction(timeouts=limits, shielded=False) as cursor:
                cursor.execute(
                    "SELECT FROM vendorsync.accounts WHERE key = %s FOR NO KEY UPDATE",
                    [self._account.key],
                )
                stored = self._look(cursor)
                self._refuse(stored)
                newer = self._newer(stored, stale) or self._borrowed(cursor, stored, stale)
                if newer is not None:
                    return newer
                refusal = self._judge(cursor, stored)
                if refusal is None:
                    fresh, refusal = self._log_in(cursor, stored, login)
                if fresh is not None:
                    self._store(cursor, fresh)
        except DatabaseUnavailableError as error:
            if isinstance(error, LockTimeoutError) and fresh is None and refusal is None:
                raise VendorUnavailableError(
                    "another run has been logging in to the same account for too long"
                ) from None
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

    def _log_in(
        self, cursor: Cursor, stored: Stored, login: Callable[[], Token]
    ) -> tuple[Token | None, SyncError | None]:
        """Return a new token, or what the vendor refused it with, which is stored."""
        try:
            brought = self._renewed(stored) or self._heard(login())
        except BudgetSpentError:
            raise
        except (CredentialsRejectedError, ThrottledError) as error:
            return None, self._store_refusal(cursor, error)
        return replace(brought, generation=stored.generation + 1), None

    def _renewed(self, stored: Stored) -> Token | None:
        """Renew the token without a login; None if that cannot be."""
        old = stored.token
        if self._renew is None or old is None or old.refresh_token is None:
            return None
        if stored.fingerprint != self._account.fingerprint:
            return None
        try:
            grant = tokens.require_sendable(self._renew(old.refresh_token))
        except (TokenExpiredError, CredentialsRejectedError) as error:
            log.info("the refresh token is not good any more, so a login follows: %s", error)
            return None
        brought = tokens.token(grant, self._clock())
        kept = brought.refresh_token or old.refresh_token
        return self._heard(replace(brought, refresh_token=kept))

    def _judge(self, cursor: Cursor, stored: Stored) -> AccountSharedError | None:
        """Note that a token was taken away; return the error of an account that is shared.

        Only the first half of a token's life counts: near its end a vendor's clock may be ahead.
        """
        token, now = stored.token, self._clock()
        if token is None or token.value != self._refused:
            return None
        half = token.obtained_at + (token.expires_at - token.obtained_at) / 2
        if stored.fingerprint != self._account.fingerprint or now >= half:
            return None
        stolen_at = [*stored.stolen_at, now][-THEFTS:]
        # The token is dead, and must not be counted again by another run.
        cursor.execute(
            "UPDATE vendorsync.accounts SET stolen_at = %s, token = NULL WHERE key = %s",
            [stolen_at, self._account.key],
        )
        log.warning("a token that should have lived was refused; did another program log in?")
        return AccountSharedError(SHARED) if is_shared(stolen_at, now) else None

    def _heard(self, token: Token) -> Token:
        self._on_token(token.value)
        if token.refresh_token is not None:
            self._on_token(token.refresh_token)
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
        now = self._clock()
        is_ours = stored.fingerprint == self._account.fingerprint
        if is_ours and is_shared(stored.stolen_at, now):
            raise AccountSharedError(SHARED)
        # No rest is longer: one that seems so is left from before a clock was set back.
        if stored.resting_until and now < stored.resting_until <= now + LONGEST_REST + CLOCK_SLACK:
            kind = RESTS.get(stored.resting_reason, ThrottledError)
            rest = (stored.resting_until - now).total_seconds()
            raise kind(stored.resting_message, retry_after=rest)

    def _look(self, cursor: Cursor | None = None) -> Stored:
        if cursor is None:
            return self._database.retrying(self._look, read_only=True)
        cursor.execute(
            "SELECT a.token, a.metadata, a.expires_at, a.obtained_at, a.generation, a.fingerprint,"
            " a.resting_until, a.resting_reason, a.resting_message, a.stolen_at,"
            " (SELECT b.message FROM vendorsync.blocks AS b"
            " WHERE b.account_key = a.key AND b.fingerprint = %s)"
            " FROM vendorsync.accounts AS a WHERE a.key = %s",
            [self._account.fingerprint, self._account.key],
        )
        row = cursor.fetchone()
        if row is None:
            return Stored(None, b"", 0, None, "", "", None)
        text, metadata, expires, obtained, generation, fingerprint, *others = row
        until, reason, said, stolen_at, block = others
        return Stored(
            token=self._read(text, metadata, expires, obtained, generation),
            fingerprint=bytes(fingerprint or b""),
            generation=generation,
            resting_until=until,
            resting_reason=reason or "",
            resting_message=said or "",
            block=block,
            stolen_at=tuple(stolen_at),
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
        refresh_token = details.pop(REFRESH_TOKEN, None)
        return self._heard(
            Token(value, expires_at, obtained_at, generation, details, refresh_token)
        )

    def _store(self, cursor: Cursor, token: Token) -> None:
        key, encrypt = self._account.key, self._ciphers.encrypt
        details = dict(token.metadata)
        if token.refresh_token is not None:
            details[REFRESH_TOKEN] = token.refresh_token
        cursor.execute(
            "UPDATE vendorsync.accounts SET token = %(token)s, metadata = %(metadata)s,"
            " stolen_at = CASE WHEN fingerprint = %(fingerprint)s THEN stolen_at ELSE '{}' END,"
            " fingerprint = %(fingerprint)s, expires_at = %(expires_at)s,"
            " obtained_at = %(obtained_at)s,"
            " generation = %(generation)s, resting_until = NULL, resting_reason = NULL,"
            " resting_message = NULL WHERE key = %(key)s",
            {
                "key": key,
                "token": encrypt(token.value, account=key, column="token"),
                "metadata": encrypt(orjson.dumps(details).decode(), account=key, column="metadata"),
                "fingerprint": self._account.fingerprint,
                "expires_at": token.expires_at,
                "obtained_at": token.obtained_at,
                "generation": token.generation,
            },
        )
        if self._legacy is not None:
            self._legacy.write(cursor, token)

    def _store_refusal(
        self, cursor: Cursor, error: CredentialsRejectedError | ThrottledError
    ) -> SyncError:
        """Remember that the vendor refused, and return the error to raise after the commit."""
        if isinstance(error, ThrottledError):
            self._store_rest(cursor, error)
            return error
        message = self._redact(f"{error}; {NO_MORE}")
        cursor.execute(
            "INSERT INTO vendorsync.blocks (account_key, fingerprint, message)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [self._account.key, self._account.fingerprint, message],
        )
        return CredentialsRejectedError(message)

    def _store_rest(self, cursor: Cursor, error: ThrottledError) -> None:
        ensure_account(cursor, self._account)
        cursor.execute(
            "UPDATE vendorsync.accounts SET resting_until = %s, resting_reason = %s,"
            " resting_message = %s WHERE key = %s",
            [
                self._clock() + min(timedelta(seconds=error.rest), LONGEST_REST),
                error.reason.value,
                self._redact(str(error)),
                self._account.key,
            ],
        )
