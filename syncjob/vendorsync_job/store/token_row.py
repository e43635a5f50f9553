"""The row of a vendor account: its token, encrypted, and what the vendor said of the account."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec import Struct

from vendorsync_job.models import Token
from vendorsync_job.store.ciphers import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from vendorsync_job.models import Account
    from vendorsync_job.store.ciphers import Ciphers
    from vendorsync_job.store.connection import Cursor

log = logging.getLogger(__name__)

REFRESH_TOKEN: Final = "vendorsync.refresh_token"  # noqa: S105 - a name, not a secret
"""Where the encrypted metadata holds the refresh token."""


class Stored(Struct, frozen=True):
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


class TokenRow:
    """Reads one account's row, or writes it if it is there, in the caller's transaction.

    `on_token` hears of every token that is read, so that logs can hide it.
    """

    def __init__(
        self, account: Account, ciphers: Ciphers, on_token: Callable[[Token], object]
    ) -> None:
        self._account = account
        self._ciphers = ciphers
        self._on_token = on_token
        self._warned = False

    def lock(self, cursor: Cursor) -> Stored:
        """Lock the row for the rest of the transaction, and return what it holds."""
        cursor.execute(
            "SELECT FROM vendorsync.accounts WHERE key = %s FOR NO KEY UPDATE", [self._account.key]
        )
        return self.look(cursor)

    def look(self, cursor: Cursor) -> Stored:
        """Return what the row holds, and whether the credentials at hand are blocked."""
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

    def store(self, cursor: Cursor, token: Token, owner: str) -> bool:
        """Store the token of a login and end its lease; False if another's took its place."""
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
            " resting_message = NULL, login_until = NULL"
            " WHERE key = %(key)s AND login_owner = %(owner)s",
            {
                "key": key,
                "owner": owner,
                "token": encrypt(token.value, account=key, column="token"),
                "metadata": encrypt(orjson.dumps(details).decode(), account=key, column="metadata"),
                "fingerprint": self._account.fingerprint,
                "expires_at": token.expires_at,
                "obtained_at": token.obtained_at,
                "generation": token.generation,
            },
        )
        return cursor.rowcount > 0

    def block(self, cursor: Cursor, message: str) -> None:
        """Block the credentials at hand."""
        cursor.execute(
            "INSERT INTO vendorsync.blocks (account_key, fingerprint, message)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [self._account.key, self._account.fingerprint, message],
        )

    def rest(self, cursor: Cursor, until: datetime, reason: str, message: str) -> None:
        """Let the account rest."""
        cursor.execute(
            "UPDATE vendorsync.accounts SET resting_until = %s, resting_reason = %s,"
            " resting_message = %s WHERE key = %s",
            [until, reason, message, self._account.key],
        )

    def wake(self, cursor: Cursor, until: datetime) -> None:
        """End the rest that lasts until then; another one that came meanwhile goes on."""
        cursor.execute(
            "UPDATE vendorsync.accounts SET resting_until = NULL, resting_reason = NULL,"
            " resting_message = NULL WHERE key = %s AND resting_until = %s",
            [self._account.key, until],
        )

    def note_thefts(self, cursor: Cursor, stolen_at: Sequence[datetime]) -> None:
        """Note thefts and forget the token: it is dead, and no run must count it again."""
        cursor.execute(
            "UPDATE vendorsync.accounts SET stolen_at = %s, token = NULL WHERE key = %s",
            [list(stolen_at), self._account.key],
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
        token = Token(value, expires_at, obtained_at, generation, details, refresh_token)
        self._on_token(token)
        return token
