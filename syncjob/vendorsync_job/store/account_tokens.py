"""Tokens of vendor accounts in the database: encrypted, renewed by one process at a time.

The database holds four facts beside the token: credentials that the vendor refused, which are
never tried again; until when the vendor wants to be left alone; how many logins there were; and
when tokens were found dead that should have lived, for then another program logs in to the account.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct
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
from vendorsync_job.store.account_row import ensure_account
from vendorsync_job.store.login_lease import LOGIN_SECONDS, LoginLease
from vendorsync_job.store.thefts import THEFTS, is_shared
from vendorsync_job.store.token_row import TokenRow
from vendorsync_job.tokens import CLOCK_SLACK, is_fresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_job.models import Account, Grant
    from vendorsync_job.store.ciphers import Ciphers
    from vendorsync_job.store.connection import Cursor, Database
    from vendorsync_job.store.legacy import LegacyColumns
    from vendorsync_job.store.token_row import Stored

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0
"""Seconds between looks at another process's login."""
MARGIN: Final = 30.0
"""Seconds for which a login is waited for beyond the time that it has."""
LONGEST_REST = timedelta(days=1)
RESTS = {kind.reason.value: kind for kind in (QuotaExhaustedError, AccountLockedError)}
"""Errors of a resting account by their reasons; any other is a ThrottledError."""
NO_MORE = "no further login is tried until the Secret or the options change"
TOO_LONG: Final = "another run has been logging in to the same account for too long"
SHARED: Final = (
    "another program logs in to the same account and takes its token away again and again, so no"
    " login is tried for an hour or until the Secret changes; give VendorSync an account of its own"
    " at the vendor, or stop the other program"
)


class TokenSettings(Struct, frozen=True):
    """How a run gets an account's token and what it does with it."""

    writes: bool = True
    """False as in a dry run: a login is kept in memory only."""
    asks: bool = False
    """A person started the run: the vendor is asked once although its quota is used up."""
    login_seconds: float = LOGIN_SECONDS
    """What a login may take at most."""
    prepare: Callable[[], None] = lambda: None
    """Called before the turn to log in is taken, so that a login waits for nothing of others."""
    renew: Callable[[str], Grant] | None = None
    """That of a `RenewingAdapter`."""
    legacy: LegacyColumns | None = None
    """The old system's columns, where a token may be found and left."""
    on_token: Callable[[str], None] = lambda _: None
    """Hears of every token, so that logs can hide it."""
    redact: Callable[[str], str] = str


class AccountTokens:
    """The `TokenStore` of `ports` on the accounts table."""

    def __init__(
        self,
        database: Database,
        account: Account,
        ciphers: Ciphers,
        settings: TokenSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._account = account
        self._row = TokenRow(account, ciphers, self._heard)
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._asks = settings.asks
        self._refused: str | None = None
        self._overlooked: datetime | None = None

    def check(self) -> None:
        """Raise, without a call, while the account is blocked, rests or is shared.

        The first one decides which rest a run that `asks` overlooks: no later one, which somebody
        else's call or its own has brought.
        """
        stored = self._look()
        if self._asks and stored.resting_reason == QuotaExhaustedError.reason.value:
            self._overlooked = stored.resting_until
        self._asks = False
        self._refuse(stored)

    def answered(self) -> None:
        """Take note that the vendor answers again: the rest that was overlooked is over."""
        until = self._overlooked
        if until is not None and self._settings.writes:
            self._database.retrying(lambda cursor: self._row.wake(cursor, until))

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

        No transaction is open and no connection is held while the vendor answers, nor while
        another process's login is waited for. Raises CredentialsRejectedError, without a call,
        while the credentials at hand are blocked, ThrottledError while the account rests,
        AccountSharedError when three tokens were taken away within an hour, and
        VendorUnavailableError when another process's login lasts too long.
        """
        if not self._settings.writes:
            return self._refresh_in_memory(stale, login)
        self._settings.prepare()
        lease = LoginLease(self._account.key, self._settings.login_seconds)
        database = self._database.second()
        try:
            turn = self._await_turn(database, lease, stale)
            if isinstance(turn, Token):
                return turn
            database.close()
            return self._log_in(database, lease, turn, login)
        except BaseException:
            self._free(database, lease)
            raise
        finally:
            database.close()

    def rest(self, error: ThrottledError) -> None:
        """Leave the account alone until the time that the vendor named.

        Our own ledger needs no such rest: it knows for which calls there is still room.
        """
        if self._settings.writes and not isinstance(error, BudgetSpentError):
            self._database.retrying(lambda cursor: self._store_rest(cursor, error))

    def _current(self, cursor: Cursor) -> Token | None:
        stored = self._row.look(cursor)
        mine = stored.token if stored.fingerprint == self._account.fingerprint else None
        if mine is not None and is_fresh(mine, self._clock()):
            return mine
        return self._borrowed(cursor, stored) or mine

    def _borrowed(self, cursor: Cursor, stored: Stored, stale: Token | None = None) -> Token | None:
        """Return the old system's token if it is fresh, none that failed, and of no old Secret."""
        legacy = self._settings.legacy
        if legacy is None or stored.fingerprint not in (b"", self._account.fingerprint):
            return None
        token = legacy.read(cursor, self._clock(), stored.generation)
        if token is None or token.value in (self._refused, stale.value if stale else None):
            return None
        return self._heard(token) if is_fresh(token, self._clock()) else None

    def _refresh_in_memory(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        stored = self._look()
        self._refuse(stored)
        newer = self._newer(stored, stale)
        return newer or self._heard(login())

    def _await_turn(
        self, database: Database, lease: LoginLease, stale: Token | None
    ) -> Token | Stored:
        """Return the token that another process brought, or the row when it is our turn."""
        waited, longest = 0.0, FIRST_PAUSE
        while True:
            found = database.retrying(lambda cursor: self._attempt(cursor, lease, stale))
            if isinstance(found, SyncError):
                raise found
            if found is not None:
                return found
            pause = longest * (0.5 + 0.5 * self._jitter())
            if waited + pause > self._settings.login_seconds + MARGIN:
                raise VendorUnavailableError(TOO_LONG)
            # A thousand that wait must not hold a thousand connections.
            database.close()
            self._sleep(pause)
            waited, longest = waited + pause, min(2 * longest, LONGEST_PAUSE)

    def _attempt(
        self, cursor: Cursor, lease: LoginLease, stale: Token | None
    ) -> Token | Stored | SyncError | None:
        """Return a newer token, the row when the lease is ours, or None while another has it.

        An error is returned where what it came with must be committed.
        """
        ensure_account(cursor, self._account)
        stored = self._row.lock(cursor)
        self._refuse(stored)
        newer = self._newer(stored, stale) or self._borrowed(cursor, stored, stale)
        if newer is not None:
            return newer
        if not lease.take(cursor):
            return None
        refusal = self._judge(cursor, stored)
        if refusal is not None:
            lease.free(cursor)
        return refusal or stored

    def _log_in(
        self, database: Database, lease: LoginLease, stored: Stored, login: Callable[[], Token]
    ) -> Token:
        """Log in and store what came of it, the token or the vendor's refusal."""
        try:
            brought = self._renewed(stored) or self._logged_in(database, lease, stored, login)
        except BudgetSpentError:
            raise
        except (CredentialsRejectedError, ThrottledError) as error:
            refusal = self._worded(error)
            self._remember(database, lease, refusal)
            raise refusal from None
        fresh = replace(brought, generation=stored.generation + 1)
        self._keep(database, lease, fresh)
        return fresh

    def _logged_in(
        self, database: Database, lease: LoginLease, stored: Stored, login: Callable[[], Token]
    ) -> Token:
        """Log in; if a renewal was tried before, the lease begins anew."""
        if self._refresh_token(stored) is not None:
            if not database.retrying(lease.take):
                raise VendorUnavailableError(TOO_LONG)
            database.close()
        return self._heard(login())

    def _keep(self, database: Database, lease: LoginLease, fresh: Token) -> None:
        """A good login must not be lost with the database: some vendors keep one token alive."""
        try:
            is_stored = database.retrying(lambda cursor: self._store(cursor, fresh, lease))
        except DatabaseUnavailableError as error:
            log.warning("the new token could not be stored and is kept in memory: %s", error)
            return
        if not is_stored:
            log.warning("the login took so long that another run logged in; its token is stored")
        lease.is_held = False

    def _store(self, cursor: Cursor, fresh: Token, lease: LoginLease) -> bool:
        is_stored = self._row.store(cursor, fresh, lease.owner)
        if is_stored and self._settings.legacy is not None:
            self._settings.legacy.write(cursor, fresh)
        return is_stored

    def _worded(self, error: CredentialsRejectedError | ThrottledError) -> SyncError:
        if isinstance(error, ThrottledError):
            return error
        return CredentialsRejectedError(self._settings.redact(f"{error}; {NO_MORE}"))

    def _remember(self, database: Database, lease: LoginLease, refusal: SyncError) -> None:
        """Store the vendor's refusal; without a database it still ends this run."""

        def work(cursor: Cursor) -> None:
            if isinstance(refusal, ThrottledError):
                self._store_rest(cursor, refusal)
            else:
                self._row.block(cursor, str(refusal))
            lease.free(cursor)

        try:
            database.retrying(work)
        except DatabaseUnavailableError as error:
            log.warning("the vendor's refusal could not be stored: %s", error)

    def _free(self, database: Database, lease: LoginLease) -> None:
        """Let the next process log in, after a login that failed or was broken off."""
        if not lease.is_held:
            return
        try:
            with database.transaction() as cursor:
                lease.free(cursor)
        except SyncError as error:
            log.warning("the next login has to wait for the end of this one's time: %s", error)

    def _renewed(self, stored: Stored) -> Token | None:
        """Renew the token without a login; None if that cannot be."""
        refresh_token = self._refresh_token(stored)
        if self._settings.renew is None or refresh_token is None:
            return None
        try:
            grant = tokens.require_sendable(self._settings.renew(refresh_token))
        except (TokenExpiredError, CredentialsRejectedError) as error:
            log.info("the refresh token is not good any more, so a login follows: %s", error)
            return None
        brought = tokens.token(grant, self._clock())
        kept = brought.refresh_token or refresh_token
        return self._heard(replace(brought, refresh_token=kept))

    def _refresh_token(self, stored: Stored) -> str | None:
        """Return the refresh token that the credentials at hand brought, if the adapter renews."""
        is_ours = stored.fingerprint == self._account.fingerprint
        if self._settings.renew is None or stored.token is None or not is_ours:
            return None
        return stored.token.refresh_token

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
        self._row.note_thefts(cursor, stolen_at)
        log.warning("a token that should have lived was refused; did another program log in?")
        return AccountSharedError(SHARED) if is_shared(stolen_at, now) else None

    def _heard(self, token: Token) -> Token:
        self._settings.on_token(token.value)
        if token.refresh_token is not None:
            self._settings.on_token(token.refresh_token)
        return token

    def _newer(self, stored: Stored, stale: Token | None) -> Token | None:
        """Return the stored token if another process brought it meanwhile."""
        token = stored.token
        if token is None or stored.fingerprint != self._account.fingerprint:
            return None
        is_newer = (
            stale is None
            or token.generation > stale.generation
            # Of two logins that overlapped, the other one's was stored.
            or (token.generation == stale.generation and token.value != stale.value)
        )
        return token if is_newer and is_fresh(token, self._clock()) else None

    def _refuse(self, stored: Stored) -> None:
        if stored.block is not None:
            raise CredentialsRejectedError(stored.block)
        now = self._clock()
        is_ours = stored.fingerprint == self._account.fingerprint
        if is_ours and is_shared(stored.stolen_at, now):
            raise AccountSharedError(SHARED)
        if stored.resting_until == self._overlooked:
            return
        # No rest is longer: one that seems so is left from before a clock was set back.
        if stored.resting_until and now < stored.resting_until <= now + LONGEST_REST + CLOCK_SLACK:
            kind = RESTS.get(stored.resting_reason, ThrottledError)
            rest = (stored.resting_until - now).total_seconds()
            raise kind(stored.resting_message, retry_after=rest)

    def _look(self) -> Stored:
        return self._database.retrying(self._row.look, read_only=True)

    def _store_rest(self, cursor: Cursor, error: ThrottledError) -> None:
        self._overlooked = None
        ensure_account(cursor, self._account)
        until = self._clock() + min(timedelta(seconds=error.rest), LONGEST_REST)
        self._row.rest(cursor, until, error.reason.value, self._settings.redact(str(error)))
