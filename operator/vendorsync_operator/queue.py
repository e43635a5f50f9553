"""A queue of keys: one worker per key at a time, duplicates merged, failures tried again later.

A key that waits for its next try occupies no worker, and those that failed last time occupy at most
half of the workers, so that what hangs keeps nobody else waiting. `Schedule` is the state without
any waiting; `Queue` lets workers wait on it.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

logger = logging.getLogger(__name__)

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 60.0

K = TypeVar("K", bound="Hashable")


class Schedule(Generic[K]):
    """Which keys are ready, running or waiting; times are seconds of any steady clock."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._retries: int | None = None
        """Keys that failed last time that may run at once; as many as there are if None."""
        self._ready: OrderedDict[K, float] = OrderedDict()
        self._ready_again: OrderedDict[K, float] = OrderedDict()
        """Those that failed last time."""
        self._running: dict[K, float] = {}
        self._finished = float("-inf")
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._failures: dict[K, int] = {}

    def limit_retries(self, limit: int) -> None:
        """Let at most so many keys run at once that failed last time."""
        self._retries = limit

    def add(self, key: K, now: float) -> None:
        """Make a key ready; while it runs, let it run once more."""
        if key in self._running:
            self._again.add(key)
        else:
            self._due.pop(key, None)
            lane = self._ready_again if key in self._failures else self._ready
            lane.setdefault(key, now)

    def add_later(self, key: K, at: float) -> None:
        """Make a key ready at a time, unless it is due earlier."""
        if self._is_ready(key) or key in self._again or self._due.get(key, at + 1) <= at:
            return
        self._due[key] = at
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, key))

    def take(self, now: float) -> K | None:
        """Return a ready key, which runs from now on, or None."""
        self._wake(now)
        lane = self._lane()
        if not lane:
            return None
        key, _ = lane.popitem(last=False)
        self._running[key] = now
        self._due.pop(key, None)
        return key

    def done(self, key: K, now: float, *, again_at: float | None = None) -> None:
        """Note that a key was handled well; it becomes ready again at `again_at` if given."""
        self._failures.pop(key, None)
        self._finish(key, now, again_at)

    def failed(self, key: K, now: float, least: float = 0.0) -> float:
        """Note that a key could not be handled; return in how many seconds it is tried again.

        Not before `least` seconds: the server may have asked for them.
        """
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        longest = min(FIRST_BACKOFF * 2.0 ** min(count, 16), LONGEST_BACKOFF)
        delay = max(longest * (0.5 + self._random() / 2), least)
        # What was heard during the failed try may be its own doing; it waits with the key.
        self._again.discard(key)
        self._finish(key, now, now + delay)
        return delay

    def next_due(self) -> float | None:
        """Return when the next waiting key becomes ready."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def stalled(self, now: float) -> float:
        """Return for how many seconds work has stood still.

        That is how long the slowest key has been running, or, if longer, for how long a key has
        been ready while no other was finished. A long queue that moves does not stand still.
        """
        running = now - min(self._running.values(), default=now)
        ready = [*self._ready.values(), *self._ready_again.values()]
        waiting = now - max(min(ready, default=now), self._finished)
        return max(running, waiting)

    def _is_ready(self, key: K) -> bool:
        return key in self._ready or key in self._ready_again

    def _lane(self) -> OrderedDict[K, float]:
        """Return where the next key is taken from: the one that waits longest and may run."""
        running = sum(key in self._failures for key in self._running)
        if self._retries is not None and running >= self._retries:
            return self._ready
        first = next(iter(self._ready.values()), float("inf"))
        again = next(iter(self._ready_again.values()), float("inf"))
        return self._ready if first <= again else self._ready_again

    def _finish(self, key: K, now: float, again_at: float | None) -> None:
        del self._running[key]
        self._finished = now
        if key in self._again:
            self._again.discard(key)
            self.add(key, now)
        elif again_at is not None:
            self.add_later(key, again_at)

    def _wake(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            self.add(key, now)

    def _drop_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)


class Queue(Generic[K]):
    """Workers over a schedule; `handle` returns in how many seconds to look again, or None.

    An error of `handle` may have an attribute `retry_after`, the least seconds until the next try.
    """

    def __init__(
        self,
        handle: Callable[[K], Awaitable[float | None]],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._handle = handle
        self._clock = clock
        self._schedule: Schedule[K] = Schedule(random)
        self._news = asyncio.Event()

    def add(self, key: K) -> None:
        """Ask for a key to be handled soon."""
        self._schedule.add(key, self._clock())
        self._news.set()

    def stalled(self) -> float:
        """Return for how many seconds work has stood still."""
        return self._schedule.stalled(self._clock())

    async def work(self, workers: int) -> None:
        """Handle keys until cancelled, at most `workers` at once."""
        slots = asyncio.Semaphore(workers)
        self._schedule.limit_retries(max(workers // 2, 1))
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                key = await self._next()
                task = group.create_task(self._run(key))
                task.add_done_callback(lambda _: slots.release())

    async def _next(self) -> K:
        while True:
            self._news.clear()
            key = self._schedule.take(self._clock())
            if key is not None:
                return key
            due = self._schedule.next_due()
            timeout = None if due is None else max(due - self._clock(), 0)
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except TimeoutError:
                continue

    async def _run(self, key: K) -> None:
        try:
            delay = await self._handle(key)
        except Exception as error:
            least = getattr(error, "retry_after", 0.0)
            wait = self._schedule.failed(key, self._clock(), least)
            logger.exception("reconciliation failed", extra={"key": key, "retry_seconds": wait})
        else:
            now = self._clock()
            self._schedule.done(key, now, again_at=None if delay is None else now + delay)
        finally:
            self._news.set()
