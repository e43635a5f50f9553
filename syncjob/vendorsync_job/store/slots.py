"""Places for runs: so many at one account, so many at one adapter, over all of a database.

A place is one row of the adapter, whose owner names account and run, so that one row serves both
limits. A short advisory lock puts those who want one in order; nothing is held while they wait. A
place ends by itself shortly after its run's deadline, and the next pod of a Job takes over the
place of the one before.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Final, Self

from vendorsync_job.errors import AccountBusyError, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_api.policy import VendorPolicy
    from vendorsync_job.models import Account
    from vendorsync_job.store.connection import Cursor, Database

log = logging.getLogger(__name__)

LOCKS: Final = 0x7673_736C  # "vssl"
MARGIN: Final = 60.0
"""Seconds that a place outlives its run's deadline: the watchdog's grace and the last report."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0


class Slot:
    """A place for one run, held inside a `with`.

    `deadline` is the run's own, on `clock`; half of the time until then is spent on waiting at
    most. `owner` is the Job's name, so that a retried pod finds its place again. With `leaves_one`
    the run does not take the last place of the adapter, so that runs which last long, plant by
    plant, never keep all of them from short ones.
    """

    def __init__(
        self,
        database: Database,
        policy: VendorPolicy,
        account: Account,
        *,
        owner: str,
        deadline: float,
        leaves_one: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._policy = policy
        self._leaves_one = leaves_one and policy.adapter_concurrency > 1
        self._account = account.key.hex()
        self._owner = f"{self._account}/{owner}"
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._number = 0
        self._until: datetime | None = None

    def __enter__(self) -> Self:
        """Wait for a place; raises AccountBusyError when there is none in time."""
        end = (self._clock() + self._deadline) / 2
        longest = FIRST_PAUSE
        while (obstacle := self.attempt()) is not None:
            pause = longest * (0.5 + 0.5 * self._jitter())
            if self._clock() + pause > end:
                raise AccountBusyError(obstacle)
            # A thousand that wait must not hold a thousand connections.
            self._database.close()
            self._sleep(pause)
            longest = min(2 * longest, LONGEST_PAUSE)
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def attempt(self) -> str | None:
        """Take a place; when there is none, return which limit is in the way."""
        return self._database.retrying(self._take)

    def free(self) -> None:
        """Give the place up if it is still ours; safe to repeat."""
        if self._until is None:
            return
        try:
            with self._database.transaction() as cursor:
                # Another pod of the same Job may have taken it over; then its end is another.
                cursor.execute(
                    "UPDATE vendorsync.slots SET owner = '', until = '-infinity'"
                    " WHERE scope = %s AND number = %s AND owner = %s AND until = %s",
                    [self._policy.adapter, self._number, self._owner, self._until],
                )
        except SyncError as error:
            log.warning("the run's place at the account could not be freed: %s", error)
        self._until = None

    def _take(self, cursor: Cursor) -> str | None:
        obstacle, _ = self._choice(cursor)
        if obstacle is not None:
            return obstacle
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCKS, self._policy.adapter]
        )
        obstacle, number = self._choice(cursor)
        if obstacle is not None:
            return obstacle
        cursor.execute(
            "INSERT INTO vendorsync.slots AS held (scope, number, owner, until)"
            " VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))"
            " ON CONFLICT (scope, number) DO UPDATE"
            " SET owner = excluded.owner, until = excluded.until RETURNING until",
            [
                self._policy.adapter,
                number,
                self._owner,
                max(0.0, self._deadline - self._clock()) + MARGIN,
            ],
        )
        (self._until,) = cursor.fetchone() or (None,)
        self._number = number
        return None

    def _choice(self, cursor: Cursor) -> tuple[str | None, int]:
        """Return which limit is in the way, or None and the number of a free place."""
        cursor.execute(
            "SELECT number, owner FROM vendorsync.slots"
            " WHERE scope = %s AND until > clock_timestamp()",
            [self._policy.adapter],
        )
        held: dict[int, str] = dict(cursor.fetchall())
        mine = [number for number, owner in held.items() if owner == self._owner]
        if mine:
            return None, mine[0]
        policy = self._policy
        here = [owner for owner in held.values() if owner.startswith(f"{self._account}/")]
        if len(here) >= policy.account_concurrency:
            limit = policy.account_concurrency
            return _busy(limit, policy.title, "the vendor lets one account have no more"), 0
        limit = policy.adapter_concurrency - self._leaves_one
        if len(held) >= limit:
            rest = "; the last place is for plants" if self._leaves_one else ""
            said = f"VendorSync lets all accounts together have no more{rest}"
            return _busy(limit, policy.title, said), 0
        return None, next(number for number in range(1, len(held) + 2) if number not in held)


def _busy(limit: int, title: str, why: str) -> str:
    runs = "another run" if limit == 1 else f"{limit} other runs"
    return f"{runs} of {title} went on for half of this run's time, and {why}"
