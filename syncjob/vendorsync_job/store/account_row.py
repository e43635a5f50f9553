"""The row of a vendor account, which its token, its calls and its blocks hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vendorsync_job.models import Account
    from vendorsync_job.store.connection import Cursor


def ensure_account(cursor: Cursor, account: Account) -> None:
    """Insert the account's row unless it is there."""
    cursor.execute(
        "INSERT INTO vendorsync.accounts (key, adapter, host) SELECT %(key)s, %(adapter)s,"
        " %(host)s WHERE NOT EXISTS (SELECT FROM vendorsync.accounts WHERE key = %(key)s)"
        " ON CONFLICT DO NOTHING",
        {"key": account.key, "adapter": account.adapter, "host": account.host},
    )
