"""Which of several operators works: an election by one Lease, and the fence around every write.

A candidate measures how long a Lease has stood still by its own steady clock, from the moment it
saw the last change; the times written in a Lease are for people, since clocks of two machines
differ. The holder may write until `renew` seconds after it *asked* for its last renewal; another
takes the Lease `duration` seconds after it *saw* that renewal, which is later. Between the two lie
`duration - renew` seconds for requests that are on their way.

A Lease whose version goes back tells that etcd was restored from a backup. Who holds it by then may
not know yet, so whoever does not lead waits for the whole `duration`, whatever the Lease says.

`Candidate` is the state without any waiting; `Election` asks the API server.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from vendorsync_operator.pulse import Pulse

logger = logging.getLogger(__name__)


class NotLeadingError(Exception):
    """This operator may not write: it does not hold the Lease, or could not renew it in time."""


class UnreachableError(Exception):
    """The Lease could not be read or written; trying again may help."""


class LeaseDeniedError(UnreachableError):
    """The server denies us the Lease; a server that starts does so, too, for a moment."""


@dataclass(frozen=True)
class Times:
    """Seconds; `retry` < `renew` < `duration`."""

    duration: float = 15.0
    """A Lease that nobody renewed for so long may be taken."""
    renew: float = 10.0
    """The holder that did not manage to renew for so long stops writing."""
    retry: float = 2.0
    """Between two requests."""


@dataclass(frozen=True)
class Record:
    """A Lease as it lives; `holder` is empty when it is free, `version` before it exists."""

    holder: str
    duration: float
    transitions: int
    acquired: datetime | None
    renewed: datetime | None
    version: str = ""


class Leases(Protocol):
    """The one Lease on the API server.

    Each raises UnreachableError for what may pass; any other error ends the operator.
    """

    async def read(self) -> Record | None:
        """Return the Lease, None if there is none."""

    async def create(self, record: Record) -> Record | None:
        """Create the Lease; None if somebody was quicker."""

    async def update(self, record: Record) -> Record | None:
        """Replace the Lease of that version; None if it is another by now, or gone."""


class Candidate:
    """What one operator knows of the Lease; times are seconds of its own steady clock."""

    def __init__(self, identity: str, times: Times) -> None:
        self._identity = identity
        self._times = times
        self._seen: Record | None = None
        self._changed = 0.0
        self._asked: float | None = None
        self._newest = 0
        """The highest version of the Lease that was told."""
        self._restored = False
        """Whether the Lease went back and nobody has written it since."""

    def observe(self, record: Record | None, now: float) -> bool:
        """Take the Lease as it was just read; tell whether it is of an earlier version than before.

        One that vanished while somebody held it is waited for like one that is not renewed: the
        holder may not know yet.
        """
        if record is None:
            self._seen = self._seen and replace(self._seen, version="")
            return False
        went_back = self._goes_back(record)
        if went_back or self._seen is None or not _same_term(self._seen, record):
            self._changed = now
            self._restored = went_back and not self.is_leading(now)
        self._seen = record
        if record.holder != self._identity:
            self._asked = None
        return went_back

    def _goes_back(self, record: Record) -> bool:
        version = int(record.version) if record.version.isdigit() else self._newest
        went_back = version < self._newest
        self._newest = version
        return went_back

    def bid(self, now: float, wall: datetime) -> Record | None:
        """Return the Lease to write, one without a version to create; None while it is another's.

        `wall` is the time of day that people read in it.
        """
        seen = self._seen
        if seen is None:
            return Record(self._identity, self._times.duration, 0, wall, wall)
        if self.wait(now) > 0:
            return None
        if seen.holder == self._identity:
            return replace(seen, duration=self._times.duration, renewed=wall)
        return Record(
            self._identity, self._times.duration, seen.transitions + 1, wall, wall, seen.version
        )

    def wait(self, now: float) -> float:
        """Return for how many seconds the Lease cannot be taken, unless it is released."""
        seen = self._seen
        if seen is None or (seen.holder in ("", self._identity) and not self._restored):
            return 0.0
        return max(self._changed + seen.duration - now, 0.0)

    def won(self, record: Record, asked: float, now: float) -> bool:
        """Note that a bid was accepted, sent when `asked`; tell as `observe` does."""
        self._seen, self._changed, self._asked = record, now, asked
        self._restored = False
        return self._goes_back(record)

    def resign(self, wall: datetime) -> Record | None:
        """Stop leading; return the Lease to write so that another may lead at once."""
        self._asked = None
        seen = self._seen
        if seen is None or seen.holder != self._identity or not seen.version:
            return None
        return replace(seen, holder="", renewed=wall)

    def is_leading(self, now: float) -> bool:
        """Tell whether this operator may write."""
        return self._asked is not None and now < self._asked + self._times.renew

    def safe(self, now: float) -> float:
        """Return for how many seconds nobody else can hold the Lease, or raise NotLeadingError."""
        if self._asked is None or not self.is_leading(now):
            raise NotLeadingError("another operator may hold the Lease by now; nothing is written")
        return self._asked + self._times.duration - now

    def renewable(self, now: float) -> float:
        """Return for how many seconds a renewal may still be tried; 0 when it does not lead."""
        return 0.0 if self._asked is None else max(self._asked + self._times.renew - now, 0.0)

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last seen; empty if nobody."""
        return self._seen.holder if self._seen else ""


def _same_term(old: Record, new: Record) -> bool:
    return (old.holder, old.transitions, old.renewed) == (
        new.holder,
        new.transitions,
        new.renewed,
    )


class Election:
    """Keeps a candidate in step with the Lease on the API server."""

    def __init__(
        self,
        candidate: Candidate,
        leases: Leases,
        *,
        times: Times,
        pulse: Pulse,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        restored: Callable[[], None],
    ) -> None:
        """Take a candidate; `restored` is called when the API server went back in time."""
        self._candidate = candidate
        self._leases = leases
        self._times = times
        self._pulse = pulse
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._random = random
        self._restored = restored
        self._why = ""
        """Why the last attempt failed; one outage is told once."""
        self._leading = asyncio.Event()
        self._standing_by = asyncio.Event()
        self._standing_by.set()

    async def gained(self) -> None:
        """Wait until this operator leads."""
        await self._leading.wait()

    async def lost(self) -> None:
        """Wait until this operator does not lead."""
        await self._standing_by.wait()

    def fence(self) -> float:
        """Return how many seconds a write may take from now on, or raise NotLeadingError."""
        return self._candidate.safe(self._clock())

    @property
    def role(self) -> str:
        """Say in a few words what this operator is."""
        if self._candidate.is_leading(self._clock()):
            return "leading"
        return f"standing by for {self._candidate.holder or 'nobody'}"

    async def run(self) -> None:
        """Try to lead, and to go on leading, until cancelled."""
        while True:
            await self._turn()
            await self._sleep(self._rest())

    async def release(self) -> None:
        """Give the Lease up, so that another need not wait; call it after `run` has ended.

        Nothing may be in flight any more. What cannot be written is left to time.
        """
        freed = self._candidate.resign(self._now())
        self._announce()
        if freed is None:
            return
        try:
            async with asyncio.timeout(self._times.retry):
                if await self._leases.update(freed) is None:
                    # A renewal that was cut off may have been stored all the same.
                    self._candidate.observe(await self._leases.read(), self._clock())
                    if again := self._candidate.resign(self._now()):
                        await self._leases.update(again)
        except Exception as error:
            # The process is ending: the next leader only has to wait for the Lease to run out.
            logger.warning("lease not released", extra={"why": str(error)})

    async def _turn(self) -> None:
        self._announce()
        # One request that hangs must leave time for another, on another connection.
        left = self._candidate.renewable(self._clock()) or self._times.renew
        patience = min(left, self._times.renew / 2)
        try:
            async with asyncio.timeout(patience):
                await self._bid()
        except (UnreachableError, TimeoutError) as error:
            why = str(error) or f"no answer within {patience:.0f} s"
            is_denied = isinstance(error, LeaseDeniedError)
            (self._pulse.denied if is_denied else self._pulse.failed)(why)
            if why != self._why:
                logger.warning("lease not reached", extra={"why": why})
            self._why = why
        else:
            self._why = ""
            self._pulse.heard()
        self._announce()

    async def _bid(self) -> None:
        """Renew a Lease that is held without reading it first; else read it, then try to take it.

        A leader thus costs one request, a standby one.
        """
        if self._candidate.is_leading(self._clock()) and await self._write():
            return
        record = await self._leases.read()
        if self._candidate.observe(record, self._clock()):
            self._restored()
        await self._write()

    async def _write(self) -> bool:
        asked = self._clock()
        wanted = self._candidate.bid(asked, self._now())
        if wanted is None:
            return False
        write = self._leases.update if wanted.version else self._leases.create
        record = await write(wanted)
        if record is None:
            return False
        if self._candidate.won(record, asked, self._clock()):
            self._restored()
        return True

    def _rest(self) -> float:
        """Return the pause before the next request; never beyond the moment that decides."""
        now = self._clock()
        pause = self._times.retry * (0.75 + self._random() / 4)
        ahead = self._candidate.renewable(now) or self._candidate.wait(now)
        return min(pause, ahead) if ahead > 0 else pause

    def _announce(self) -> None:
        """Let those who wait hear of a change."""
        leading = self._candidate.is_leading(self._clock())
        if leading == self._leading.is_set():
            return
        logger.info("leading" if leading else "standing by", extra={"lease": self.role})
        for event, is_true in ((self._leading, leading), (self._standing_by, not leading)):
            if is_true:
                event.set()
            else:
                event.clear()
