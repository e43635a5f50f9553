"""The token columns of the old system on vendors: plain text, read with suspicion.

What the columns hold was written by other programs. A value that cannot be a token, or whose end
is not known, counts as none.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
import psycopg
from psycopg import sql

from vendorsync_api.run import LegacyTokens
from vendorsync_job.errors import ConfigurationError
from vendorsync_job.models import Token
from vendorsync_job.tokens import LONGEST_JWT, LONGEST_LIFETIME, jwt_lifetime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from vendorsync_job.store.connection import Cursor

log = logging.getLogger(__name__)

TIMES: Final = frozenset({"timestamp with time zone", "timestamp without time zone"})
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "access_token": frozenset({"text", "character varying"}),
    "token_expires_at": TIMES,
    "token_metadata": frozenset({"jsonb", "json", "text"}),
}
PLAIN: Final = re.compile(r"[!-~]+")
"""A token goes into a header or a JSON text, so it is printable ASCII without blanks."""
PATIENCE: Final = "2s"
"""How long a write waits for a row that the application holds; all of the account wait with it."""
KNOWN_LIFE: Final = timedelta(hours=1)
"""When it was obtained is not stored; so much at least keeps the buffer of five minutes."""


class LegacyColumns:
    """access_token, token_expires_at and token_metadata of one vendors row.

    With mode Ignore nothing is read or written. Times without a zone are UTC.
    """

    def __init__(self, mode: LegacyTokens, schema: str, vendor_id: int | None) -> None:
        self._mode = mode
        self._schema = schema
        self._vendor_id = vendor_id

    def check(self, cursor: Cursor) -> None:
        """Raise ConfigurationError unless the columns are there; warn before plain text is written.

        Call it once at the start of a run.
        """
        if self._mode is LegacyTokens.IGNORE:
            return
        cursor.execute(
            "SELECT attname, regexp_replace(format_type(atttypid, NULL), '\\(.*\\)', '')"
            " FROM pg_attribute WHERE attrelid = to_regclass(format('%%I.vendors', %s::text))"
            " AND attnum > 0 AND NOT attisdropped",
            [self._schema],
        )
        found: dict[str, str] = dict(cursor.fetchall())
        faults = [
            f"vendors.{name}"
            + (f" of a fitting type (it is {found[name]})" if name in found else "")
            for name, types in COLUMNS.items()
            if found.get(name) not in types
        ]
        if faults:
            raise ConfigurationError(
                f"legacyTokens is {self._mode.value}, and schema {self._schema} lacks"
                f" {', '.join(faults)}; add the columns or set legacyTokens to Ignore"
            )
        if self._mode is LegacyTokens.READ_WRITE:
            log.warning(
                "legacyTokens is ReadWrite: tokens are kept as plain text in vendors.access_token;"
                " set it to Ignore as soon as no other program reads them"
            )

    def read(self, cursor: Cursor, now: datetime, generation: int) -> Token | None:
        """Return the stored token; None if there is none whose end is known and ahead."""
        if self._mode is LegacyTokens.IGNORE or self._vendor_id is None:
            return None
        cursor.execute(
            sql.SQL(
                "SELECT left(access_token, %s), extract(epoch FROM token_expires_at)::float8,"
                " left(token_metadata::text, %s) FROM {} WHERE id = %s"
            ).format(self._table),
            [LONGEST_JWT + 1, LONGEST_JWT + 1, self._vendor_id],
        )
        text, end, metadata = cursor.fetchone() or (None, None, None)
        if not text:
            return None
        if len(text) > LONGEST_JWT or not PLAIN.fullmatch(text):
            log.warning("vendors.access_token holds no token and is left alone")
            return None
        life = jwt_lifetime(text, now) if end is None else end - now.timestamp()
        if life is None or not 0 < life <= LONGEST_LIFETIME:
            return None
        expires_at = now + timedelta(seconds=life)
        return Token(
            value=text,
            expires_at=expires_at,
            obtained_at=min(now, expires_at - KNOWN_LIFE),
            generation=generation,
            metadata=_object(metadata),
        )

    def write(self, cursor: Cursor, token: Token) -> None:
        """Store a new token in the caller's transaction, if the mode says so.

        A table that refuses it must not cost the login, so that is only logged.
        """
        if self._mode is not LegacyTokens.READ_WRITE or self._vendor_id is None:
            return
        try:
            with cursor.connection.transaction():
                cursor.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [PATIENCE])
                cursor.execute(
                    sql.SQL(
                        "UPDATE {} SET access_token = %s, token_expires_at = %s,"
                        " token_metadata = %s WHERE id = %s"
                    ).format(self._table),
                    [
                        token.value,
                        token.expires_at,
                        orjson.dumps(dict(token.metadata)).decode(),
                        self._vendor_id,
                    ],
                )
        except (
            psycopg.DataError,
            psycopg.IntegrityError,
            psycopg.ProgrammingError,
            psycopg.errors.LockNotAvailable,
        ) as error:
            log.warning(
                "the token could not be written to vendors.access_token (%s)", type(error).__name__
            )

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self._schema, "vendors")


def _object(text: str | None) -> dict[str, Any]:
    """Return the metadata if it is a JSON object."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
