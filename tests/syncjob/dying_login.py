"""A login in a process of its own that stops at a chosen point and is killed there.

`python -m tests.syncjob.dying_login URL COUNTER POINT` logs in as an account whose vendor counts
logins in a file, prints `stopped` at the point and then sleeps until it is killed. The points are
in the middle of the login, after it and before the store, and after the store and before the
commit. Its turn to log in ends after `SECONDS`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.syncjob.builders import account, ciphers
from vendorsync_job.models import Token
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.connection import Database
from vendorsync_job.store.login_lease import LOGIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POINTS = ("login", "store", "commit")
SECONDS = 4.0


@dataclass
class CountedVendor:
    """Hands out tokens numbered by a file to which each login adds a byte."""

    counter: Path
    seconds: float = 0.0
    stop: Callable[[], None] = lambda: None

    def login(self) -> Token:
        with self.counter.open("ab") as file:
            file.write(b".")
        self.stop()
        time.sleep(self.seconds)
        now = datetime.now(UTC)
        return Token(
            f"token-{self.counter.stat().st_size}", now + timedelta(hours=1), now, metadata={}
        )


class StoppingTokens(AccountTokens):
    """Stops before or after the token is stored, in the transaction of the login."""

    stop_before: Callable[[], None] = staticmethod(lambda: None)
    stop_after: Callable[[], None] = staticmethod(lambda: None)

    def _store(self, *arguments: Any, **named: Any) -> bool:
        self.stop_before()
        is_stored = super()._store(*arguments, **named)
        self.stop_after()
        return is_stored


def tokens_on(
    database: Database,
    kind: type[AccountTokens] = AccountTokens,
    seconds: float = LOGIN_SECONDS,
) -> AccountTokens:
    """Return the tokens of the one account that all these processes share."""
    return kind(database, account(), ciphers(), TokenSettings(login_seconds=seconds))


def refresh(url: str, counter: Path, seconds: float) -> str:
    """Log in with a vendor that takes so many seconds, or get another's token."""
    database = Database(url)
    try:
        return tokens_on(database).refresh(None, CountedVendor(counter, seconds).login).value
    finally:
        database.close()


@contextmanager
def stopped_at(url: str, counter: Path, point: str) -> Iterator[subprocess.Popen[str]]:
    """Give a process that has stopped at the point; it is killed at the end."""
    holder = subprocess.Popen(
        [sys.executable, "-m", __name__, url, str(counter), point],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "stopped\n"
            yield holder
        finally:
            holder.kill()


def stop() -> None:
    """Say so, and wait to be killed."""
    sys.stdout.write("stopped\n")
    sys.stdout.flush()
    time.sleep(60)


def main(url: str, counter: str, point: str) -> None:
    """Log in and stop at the point."""
    tokens = tokens_on(Database(url), StoppingTokens, SECONDS)
    assert isinstance(tokens, StoppingTokens)
    if point == "store":
        tokens.stop_before = stop
    if point == "commit":
        tokens.stop_after = stop
    vendor = CountedVendor(Path(counter))
    if point == "login":
        vendor.stop = stop
    tokens.refresh(None, vendor.login)


if __name__ == "__main__":
    main(*sys.argv[1:])
