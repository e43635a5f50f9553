"""The calls of vendor accounts: counted before they are sent, for all runs of an account together.

Where the vendor's allowance is the app's, the runs of all accounts with that app are counted
together. What holds is the smallest that any of their resources declares, see `allowances`.

Each run reserves calls in blocks, one short transaction for a block, and gives back at its end what
it did not send. A killed run gives nothing back: its block counts until the window turns. One
advisory lock per account or app puts the runs in order, and the database's clock is the only one,
so pods need not agree on the time. A transaction whose commit got lost is repeated, so calls may be
counted twice, never not at all.

Without the database nothing is sent: an allowance spent unseen locks the account out for hours or
a month, and a run that cannot count could not store what it fetched either.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from math import inf
from typing import TYPE_CHECKING, Final, Self, TypeVar

from msgspec import Struct

from vendorsync_api.policy import LONGEST_PACED, Budget, Scope
from vendorsync_job.errors import DetailsSpentError, SyncError
from vendorsync_job.ports import Purpose
from vendorsync_job.store import calls
from vendorsync_job.store.allowances import Allowances
from vendorsync_job.store.windows import LARGEST_BLOCK, Tally, Window, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vendorsync_job.models import Account
    from vendorsync_job.store.allowances import Declaration, Declarer
    from vendorsync_job.store.calls import Place, Slices
    from vendorsync_job.store.connection import Cursor, Database

log = logging.getLogger(__name__)

PATIENCE: Final = 20.0
"""Seconds that one call waits for windows that turn soon."""

Result = TypeVar("Result")
Windows = dict["Place", Window]
Tallies = dict["Place", Tally]


class Block(Struct):
    """Calls that are counted in the database and not sent yet."""

    size: int
    plain: int
    """How many of them do not touch the reserve, so that they are good for details."""
    slices: Mapping[Place, int]
    """The slice that they are counted in, by the window's place."""
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


class Shortage(Struct, frozen=True):
    """A window without room, and the seconds until it has some."""

    window: Window
    wait: float


class Spending(Struct, frozen=True):
    """What a run may spend."""

    budgets: tuple[Budget, ...]
    """What holds for the run's own resource."""
    declarer: Declarer | None = None
    """For whom those that are declared are written down: they hold for others of the app, too."""
    expected: int = 1
    """The calls of an ordinary run, which is the size of the first block."""
    details: int | None = None
    """The calls about single plants that this run may make, None for no limit of its own."""


class Ledger:
    """The `CallBudget` of `ports` on vendorsync.calls; several threads may share it.

    Without `clock` (seconds since the epoch) the database's own is used. As a context manager it
    settles at the end. It has a connection of its own, open only while a block is fetched.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        spending: Spending,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        patience: float = PATIENCE,
    ) -> None:
        keys = {Scope.ACCOUNT: account.key} | ({Scope.APP: account.app} if account.app else {})
        self._allowances = Allowances(spending.budgets, keys, spending.declarer)
        self._windows: Windows = {}
        self._database = database
        self._clock = clock
        self._elapsed = clock or time.monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._patience = patience
        self._wanted = max(1, spending.expected)
        self._share = self._details = spending.details
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
        if self._is_free:
            return None
        with self._lock:
            if self._left is None:
                self._left = self._with_cursor(self._look)
            if self._left is None:
                return None
            return self._left + (self._block.left if self._block else 0)

    def settle(self) -> None:
        """Give back what was reserved and not sent; safe to repeat.

        Windows that turn within a minute are not worth a write.
        """
        with self._lock:
            block, self._block = self._block, None
            if block is None or block.left == 0:
                return
            lasting = [place for place in block.slices if place[1] > LONGEST_PACED]
            if not lasting:
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

    @property
    def _is_free(self) -> bool:
        """Whether nothing limits the calls, whatever others may have declared."""
        return not self._allowances.own and Scope.APP not in self._allowances.keys

    def _ready(self, purpose: Purpose) -> Block | None:
        if self._is_free:
            return None
        if self._block is None or not self._block.serves(purpose, self._elapsed()):
            self._block = self._next_block(purpose)
        return self._block

    def _next_block(self, purpose: Purpose) -> Block:
        waited = 0.0
        while True:
            found = self._with_cursor(lambda cursor: self._reserve(cursor, purpose))
            if isinstance(found, Block):
                self._wanted = LARGEST_BLOCK
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
        calls.lock(cursor, self._allowances.keys.values())
        began = self._elapsed()
        now, found, declarations = self._read(cursor)
        self._allowances.write(cursor, declarations, now)
        tallies = self._tallies(found, now)
        for place, number in old.slices.items() if old else ():
            if place in tallies:
                tallies[place].give_back(number, old.left if old else 0)
        result = self._taken(tallies, purpose, now, began)
        for place in sorted({*found, *tallies}):
            after = tallies[place].slices if place in tallies else {}
            calls.write(cursor, place, found.get(place, {}), after)
        self._left = self._lasting_room(tallies)
        return result

    def _tallies(self, found: Mapping[Place, Slices], now: float) -> Tallies:
        """Count every window that holds, and those of an older policy until they are over."""
        counts = self._moved(found)
        windows = {place: Window(Budget(0, place[1])) for place in counts} | self._windows
        return {
            place: window.tally(counts.get(place, {}), now) for place, window in windows.items()
        }

    def _moved(self, found: Mapping[Place, Slices]) -> dict[Place, Slices]:
        """Return the counts, those of the account with those of the app that took their place."""
        counts = {place: dict(slices) for place, slices in found.items()}
        keys = self._allowances.keys
        for (key, seconds), slices in found.items():
            app = keys.get(Scope.APP), seconds
            if key == app[0] or (key, seconds) in self._windows or app not in self._windows:
                continue
            del counts[key, seconds]
            sums = counts.setdefault((app[0] or b"", seconds), {})
            for number, taken in slices.items():
                sums[number] = sums.get(number, 0) + taken
        return counts

    def _taken(
        self, tallies: Tallies, purpose: Purpose, now: float, began: float
    ) -> Block | Shortage:
        mine = [tallies[place] for place in self._windows]
        full = [
            Shortage(tally.window, tally.wait(purpose)) for tally in mine if not tally.room(purpose)
        ]
        if full:
            return max(full, key=lambda shortage: shortage.wait)
        most = [LARGEST_BLOCK, *(window.block for window in self._windows.values())]
        size = min([self._wanted, *most, *(tally.room(purpose) for tally in mine)])
        return Block(
            size=size,
            plain=min([size, *(tally.room(Purpose.DETAIL) for tally in mine)]),
            until=began + min([tally.window.good_until(now) - now for tally in mine], default=inf),
            slices={place: tallies[place].take(size) for place in self._windows},
        )

    def _look(self, cursor: Cursor) -> int | None:
        now, found, _ = self._read(cursor)
        return self._lasting_room(self._tallies(found, now))

    def _lasting_room(self, tallies: Tallies) -> int | None:
        rooms = [tallies[p].left for p, window in self._windows.items() if not window.paces]
        return min(rooms, default=None)

    def _read(self, cursor: Cursor) -> tuple[float, dict[Place, Slices], list[Declaration]]:
        """Return the time, the counts and the declarations, and note which windows hold by them."""
        now, found, declarations = calls.read(cursor, self._allowances.keys.values())
        if self._clock:
            now = self._clock()
        holding = self._allowances.in_force(declarations, now)
        # Of two allowances over the same time the smaller one holds.
        ordered = sorted(holding, key=lambda budget: -budget.calls)
        self._windows = {
            (self._allowances.key(budget), budget.seconds): Window(budget) for budget in ordered
        }
        return now, found, declarations

    def _return(self, block: Block, lasting: Iterable[Place]) -> None:
        """Give calls back in one try, for a second one might give them back twice."""
        database = self._database.second()
        try:
            with database.transaction() as cursor:
                for place in sorted(lasting):
                    calls.give_back(cursor, place, block.slices[place], block.left)
        finally:
            database.close()
