"""How a run ends early: a signal, its deadline, and a watchdog that ends it whatever blocks.

First the run is asked: the flag is checked between chunks, and a wait is broken off at once unless
a shield is up. A shield surrounds each transaction, so a chunk is whole or absent. Who does not
obey within the grace is ended by the watchdog, with a report; a second signal does so at once.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vendorsync_job.errors import DeadlineExceededError, InterruptedRunError, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

RESERVE = 30.0
"""Seconds at the end of a run that the vendor does not get, so that what was read is written."""
RESERVE_SHARE = 0.1
"""Of a short run, this share instead."""
CANCEL_AFTER = 3.0
"""Seconds after which the statement in hand is cancelled."""
GRACE = 10.0
"""Seconds after which the process is ended; Kubernetes gives 30 before it kills."""
KICK = 0.25
"""Seconds between two attempts to break off a wait."""


def pages_deadline(deadline: float, now: float) -> float:
    """Return when the vendor's pages must be read, for a run that ends at `deadline`.

    A request must end before the pages, and the pages before the run: what is left is for writing
    and for the report.
    """
    return deadline - min(RESERVE, max(0.0, deadline - now) * RESERVE_SHARE)


class Stop:
    """The wish that a run ends, why, and whether it may be obeyed right now."""

    def __init__(self) -> None:
        self.error: SyncError | None = None
        self.emergency: Callable[[SyncError], None] | None = None
        """Ends the process with a report."""
        self._event = threading.Event()
        self._shields = 0
        self._armed = False
        self._listener: int | None = None

    def listen(self) -> None:
        """Take over SIGTERM and SIGINT, and SIGUSR1 for the watchdog; main thread only."""
        self._listener = threading.get_ident()
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)
        signal.signal(signal.SIGUSR1, self._kicked)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Let waits inside the block be broken off; outside it only the flag is set."""
        self.check()
        self._armed = True
        try:
            yield
        finally:
            self._armed = False

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Protect the block from being broken off."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def request(self, error: SyncError) -> None:
        """Ask the run to end; the first reason counts."""
        self.error = self.error or error
        self._event.set()

    def check(self) -> None:
        """Raise the reason if the run was asked to end."""
        if self.error is not None:
            raise self.error

    def sleep(self, seconds: float) -> None:
        """Sleep until the run is asked to end at the latest.

        Raises the reason where waits may be broken off, returns elsewhere. A shield does not keep
        that away: who sleeps has nothing open.
        """
        self._event.wait(seconds)
        if self._armed:
            self.check()

    def kick(self) -> None:
        """Break off the wait of the thread that listens, from another thread."""
        if self._listener is not None:
            signal.pthread_kill(self._listener, signal.SIGUSR1)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.error is not None and self.emergency is not None:
            self.emergency(self.error)
        name = signal.Signals(number).name
        self.request(InterruptedRunError(f"the run was asked to stop by {name}"))
        self._kicked(number, frame)

    def _kicked(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed and self._shields == 0:
            # Raised once: what cleans up afterwards must not be broken off again.
            self._armed = False
            self.check()


class Watchdog:
    """A thread that makes a run keep its deadline and obey the wish to stop."""

    def __init__(
        self,
        stop: Stop,
        *,
        seconds: float,
        cancel: Callable[[], None],
        emergency: Callable[[SyncError], None],
        clock: Callable[[], float] = time.monotonic,
        kick: float = KICK,
    ) -> None:
        self._kick = kick
        self._stop = stop
        self._seconds = seconds
        self._cancel = cancel
        self._emergency = emergency
        self._clock = clock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._stop.emergency = self._emergency
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        deadline = self._clock() + self._seconds
        while self._stop.error is None:
            if self._over.wait(self._kick):
                return
            if self._clock() >= deadline:
                self._stop.request(
                    DeadlineExceededError(f"the run did not end within {self._seconds:g} seconds")
                )
        self._enforce(self._stop.error)

    def _enforce(self, error: SyncError) -> None:
        """Break off what may be broken off, then the statement in hand, then the process."""
        asked = self._clock()
        cancels = False
        while not self._over.wait(self._kick):
            self._stop.kick()
            waited = self._clock() - asked
            if waited > CANCEL_AFTER and not cancels:
                cancels = True
                threading.Thread(target=self._cancel, daemon=True).start()
            if waited > GRACE:
                self._emergency(error)
