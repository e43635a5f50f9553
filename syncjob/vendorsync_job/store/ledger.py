"""The calls of vendor accounts: counted before they are sent, for all runs of an account together.

Each run reserves calls in blocks, one short transaction for a block, and gives back at its end what
it did not send. A killed run gives nothing back: its block counts until the window turns. One
advisory lock per account puts the runs in order, and the database's clock is the only one, so pods
need not agree on the time. A transaction whose commit got lost is repeated, so calls may be counted
twice, never not at all.

Without the database nothing is sent: an allowance spent unseen locks the account out for hours or
a month, and a run that cannot count could not store what it fetched either.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

from vendorsync_api.policy import Budget
from vendorsync_job.errors import DetailsSpentError, SyncError
from vendorsync_job.ports import Purpose
from vendorsync_job.store.accounts import ensure_account
from vendorsync_job.store.windows import LARGEST_BLOCK, Tally, Window, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vendorsync_job.models import Account
    from vendorsync_job.store.connection import Cursor, Database

log = logging.getLogger(__name__)

LOCKS: Final = 0x7673_636C  # "vscl"
PATIENCE: Final = 20.0
"""Seconds that one call waits for windows that turn soon."""

Result = TypeVar("Result")
Tallies = dict[int, Tally]


@dataclass
class Block:
    """Calls that are counted in the database and not sent yet."""

    size: int
    plain: int
    """How many of them do not touch the reserve, so that they are good for details."""
    slices: Mapping[int, int]
    """The slice that they are counted in, by the seconds of the window."""
    until: float
    """When they must have been sent, on the clock of the run."""
    sent: int = 0

    @property
    def left(self) -> int:
        """Calls not sent yet."""
        return self.size - self.sent

    def serves(self, purpose: Purpose, now: float) -> bool:
        """Tell whether a call of that purpose may be taken from it."""
        mine = min(self.size, self.plain) if purpose is Purpose.DETAIL else self.size
        return self.sent < mine and now < self.until


@dataclass(frozen=True)
class Shortage:
    """A window without room, and the seconds until it has some."""

    window: Window
    wait: float


class Ledger:
    """The `CallBudget` of `ports` on vendorsync.calls; several threads may share it.

    `expected` are the calls of an ordinary run, which is the size of the first block. `details` are
    the calls about single plants that this run may make, None for no limit of its own. Without
    `clock` (seconds since the epoch) the database's own is used. As a context manager it settles
    at the end. It has a connection of its own, open only while a block is fetched, so it may be
    used while a login holds a transaction.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        budgets: Iterable[Budget],
        *,
        expected: int = 1,
        details: int | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        patience: float = PATIENCE,
    ) -> None:
        # Of two allowances over the same time the smaller one holds.
        ordered = sorted(budgets, key=lambda budget: -budget.calls)
        self._windows = {budget.seconds: Window(budget) for budget in ordered}
        self._database = database
        self._account = account
        self._clock = clock
        self._elapsed = clock or time.monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._patience = patience
        self._largest = min([LARGEST_BLOCK, *(window.block for window in self._windows.values())])
        self._wanted = min(max(1, expected), self._largest)
        self._share = self._details = details
        self._block: Block | None = None
        self._left: int | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()

    def spend(self, purpose: Purpose) -> None:
        """Take one call, before each try.

        Waits up to PATIENCE where windows of a minute or less are full. Raises BudgetSpentError
        when a longer one is, DetailsSpentError when only calls about single plants have no room or
        the run has made its share of them, and DatabaseUnavailableError when the call cannot be
        counted.
        """
        with self._lock:
            if purpose is Purpose.DETAIL and self._details == 0:
                raise self._share_spent()
            block = self._ready(purpose)
            if block is not None:
                block.sent += 1
            if purpose is Purpose.DETAIL and self._details is not None:
                self._details -= 1

    def prepare(self) -> None:
        """Have a call in hand, so that the next `spend` of a login needs no connection."""
        with self._lock:
            self._ready(Purpose.LOGIN)

    def remaining(self) -> int | None:
        """Return the calls left in the tightest allowance; None without one.

        Allowances that runs wait for are not looked at, for they are back within a minute.
        """
        lasting = [window for window in self._windows.values() if not window.paces]
        if not lasting:
            return None
        with self._lock:
            if self._left is None:
                self._left = self._with_cursor(self._look)
            return (self._left or 0) + (self._block.left if self._block else 0)

    def settle(self) -> None:
        """Give back what was reserved and not sent; safe to repeat.

        Windows that turn within a minute are not worth a write.
        """
        with self._lock:
            block, self._block = self._block, None
            lasting = [s for s, window in self._windows.items() if not window.paces]
            if block is None or block.left == 0 or not lasting:
                return
            try:
                self._return(block, lasting)
            except SyncError as error:
                log.warning("calls that were reserved and not sent stay counted: %s", error)
                return
            if self._left is not None:
                self._left += block.left

    def _share_spent(self) -> DetailsSpentError:
        calls = numbered(self._share or 0, "call")
        return DetailsSpentError(
            f"this run's share of the account's allowance, {calls} about single plants, is used up;"
            " the next run goes on with the plants that are left"
        )

    def _ready(self, purpose: Purpose) -> Block | None:
        if not self._windows:
            return None
        if self._block is None or not self._block.serves(purpose, self._elapsed()):
            self._block = self._next_block(purpose)
        return self._block

    def _next_block(self, purpose: Purpose) -> Block:
        waited = 0.0
        while True:
            found = self._with_cursor(lambda cursor: self._reserve(cursor, purpose))
            if isinstance(found, Block):
                self._wanted = self._largest
                return found
            # A little late, so that those who wait do not all come at once.
            pause = found.wait + 0.05 + 0.2 * self._jitter()
            if not found.window.paces or waited + pause > self._patience:
                raise found.window.spent(purpose, found.wait)
            waited += pause
            self._sleep(pause)

    def _with_cursor(self, work: Callable[[Cursor], Result]) -> Result:
        database = self._database.second()
        try:
            return database.retrying(work)
        finally:
            database.close()

    def _reserve(self, cursor: Cursor, purpose: Purpose) -> Block | Shortage:
        """Turn the block in hand in, and take a new one or tell which window is full."""
        # Dropped first: should this be tried again, nothing is given back twice.
        old, self._block = self._block, None
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCKS, self._account.key.hex()]
        )
        began = self._elapsed()
        now, found = self._read(cursor)
        if not found:
            ensure_account(cursor, self._account)
        tallies = self._tallies(found, now)
        for seconds, number in old.slices.items() if old else ():
            tallies[seconds].give_back(number, old.left if old else 0)
        result = self._taken(tallies, purpose, began)
        for seconds, tally in tallies.items():
            self._write(cursor, seconds, found.get(seconds, {}), tally.slices)
        self._left = self._lasting_room(tallies)
        return result

    def _tallies(self, found: Mapping[int, Mapping[int, int]], now: float) -> Tallies:
        """Count every window of the policy, and those of an older one until they are over."""
        windows = {seconds: Window(Budget(0, seconds)) for seconds in found} | self._windows
        return {s: window.tally(found.get(s, {}), now) for s, window in windows.items()}

    def _taken(self, tallies: Tallies, purpose: Purpose, began: float) -> Block | Shortage:
        mine = [tallies[seconds] for seconds in self._windows]
        full = [
            Shortage(tally.window, tally.wait(purpose)) for tally in mine if not tally.room(purpose)
        ]
        if full:
            return max(full, key=lambda shortage: shortage.wait)
        size = min([self._wanted, *(tally.room(purpose) for tally in mine)])
        return Block(
            size=size,
            plain=min(tally.room(Purpose.DETAIL) for tally in mine),
            until=began + min(tally.window.good_until(tally.now) - tally.now for tally in mine),
            slices={tally.window.budget.seconds: tally.take(size) for tally in mine},
        )

    def _look(self, cursor: Cursor) -> int | None:
        now, found = self._read(cursor)
        return self._lasting_room(self._tallies(found, now))

    def _lasting_room(self, tallies: Tallies) -> int | None:
        rooms = [tallies[s].room() for s, window in self._windows.items() if not window.paces]
        return min(rooms, default=None)

    def _read(self, cursor: Cursor) -> tuple[float, dict[int, dict[int, int]]]:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp())::float8, c.seconds, c.slice, c.calls"
            " FROM (VALUES (1)) AS one LEFT JOIN vendorsync.calls AS c ON c.account_key = %s",
            [self._account.key],
        )
        rows = cursor.fetchall()
        found: dict[int, dict[int, int]] = {}
        for _, seconds, number, calls in rows:
            if seconds is not None:
                found.setdefault(seconds, {})[number] = calls
        return (self._clock() if self._clock else rows[0][0]), found

    def _write(
        self, cursor: Cursor, seconds: int, before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        """Bring the rows of a window up to date; a row that is over becomes the new one."""
        over = sorted(number for number in before if number not in after)
        for number, calls in after.items():
            values = {"key": self._account.key, "s": seconds, "slice": number, "calls": calls}
            if before.get(number) == calls:
                continue
            if number in before or over:
                values["old"] = number if number in before else over.pop()
                cursor.execute(
                    "UPDATE vendorsync.calls SET slice = %(slice)s, calls = %(calls)s"
                    " WHERE account_key = %(key)s AND seconds = %(s)s AND slice = %(old)s",
                    values,
                )
            else:
                cursor.execute(
                    "INSERT INTO vendorsync.calls (account_key, seconds, slice, calls)"
                    " VALUES (%(key)s, %(s)s, %(slice)s, %(calls)s)",
                    values,
                )
        if over:
            cursor.execute(
                "DELETE FROM vendorsync.calls"
                " WHERE account_key = %s AND seconds = %s AND slice = ANY (%s)",
                [self._account.key, seconds, over],
            )

    def _return(self, block: Block, lasting: Iterable[int]) -> None:
        """Give calls back in one try, for a second one might give them back twice."""
        database = self._database.second()
        try:
            with database.transaction() as cursor:
                for seconds in sorted(lasting):
                    cursor.execute(
                        "UPDATE vendorsync.calls SET calls = greatest(calls - %s, 0)"
                        " WHERE account_key = %s AND seconds = %s AND slice = %s",
                        [block.left, self._account.key, seconds, block.slices[seconds]],
                    )
        finally:
            database.close()
