"""One login to an account at a time, over all processes, without a transaction that stays open.

A login may take as long as the vendor likes, and an open transaction would keep a connection of
the pooler from everybody else. So the account's row says who logs in and until when. A process
that is killed on the way keeps the others from it until then, and no longer.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vendorsync_job.store.connection import Cursor

LOGIN_SECONDS: Final = 120.0
"""The longest login: three tries to connect, and for each the wait for its allowance."""


class LoginLease:
    """The right to log in to one account, on the server's clock.

    Each use takes a cursor of the caller's transaction. After it is freed the row still names the
    owner: a transaction that is repeated because its COMMIT was lost finds itself.
    """

    def __init__(self, key: bytes, seconds: float = LOGIN_SECONDS) -> None:
        self.owner = uuid.uuid4().hex
        self.is_held = False
        self._values = {"key": key, "owner": self.owner, "seconds": seconds}

    def take(self, cursor: Cursor) -> bool:
        """Take or prolong it, or return False while another process has it."""
        cursor.execute(
            "UPDATE vendorsync.accounts SET login_owner = %(owner)s,"
            " login_until = clock_timestamp() + make_interval(secs => %(seconds)s)"
            " WHERE key = %(key)s"
            " AND (login_owner = %(owner)s OR login_until IS NULL"
            " OR login_until <= clock_timestamp())",
            self._values,
        )
        self.is_held = cursor.rowcount > 0
        return self.is_held

    def free(self, cursor: Cursor) -> None:
        """Let the next one log in, if it is still ours."""
        cursor.execute(
            "UPDATE vendorsync.accounts SET login_until = NULL"
            " WHERE key = %(key)s AND login_owner = %(owner)s",
            self._values,
        )
        self.is_held = False
