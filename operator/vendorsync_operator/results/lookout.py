"""Who asks the API server about runs that are overdue, and how seldom.

A run that starts and ends as it should is never asked about here. One that does not costs one list
when it is found to be overdue, and then at most one a minute, less and less often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from vendorsync_api.v1alpha1 import Delay
    from vendorsync_operator.results.runs import Outcome

FIRST_WAIT = 60.0
"""Seconds between the first two lists about one object; each further wait is twice as long."""
LONGEST_WAIT = 300.0
RATION = 240
"""Lists a minute about all resources. When the whole cluster is late, so is the API server, and
there is one cause for all; asking about each run would make it worse."""


@dataclass(frozen=True)
class Finding:
    """What was found about one object."""

    delay: Delay | None = None
    """What keeps it, if anything does."""
    end: Outcome | None = None
    """How its run ended, although its Job goes on."""


@dataclass(frozen=True)
class Look:
    """What was found about one object, and when to ask again, in seconds of the clock."""

    found: Finding
    due: float
    wait: float


class Ration:
    """Gives out so many lists a minute."""

    def __init__(self, clock: Callable[[], float], size: int = RATION) -> None:
        self._clock = clock
        self._size = size
        self._minute = float("-inf")
        self._left = 0

    def take(self) -> bool:
        """Take one, or return False if none is left."""
        minute = self._clock() // 60
        if minute != self._minute:
            self._minute, self._left = minute, self._size
        self._left -= 1
        return self._left >= 0


class Lookout:
    """Remembers what was found of one resource's Jobs and CronJobs, by uid."""

    def __init__(self, clock: Callable[[], float], ration: Ration) -> None:
        self._clock = clock
        self._ration = ration
        self._looks: dict[str, Look] = {}

    async def look(self, uid: str, ask: Callable[[], Awaitable[Finding]]) -> Look | None:
        """Return what is known about an object, as it was found last or by asking.

        None if it was never asked about and the ration is used up.
        """
        known = self._looks.get(uid)
        if known is not None and self._clock() < known.due:
            return known
        if not self._ration.take():
            return known
        found = await ask()
        wait = FIRST_WAIT if known is None else min(2 * known.wait, LONGEST_WAIT)
        look = self._looks[uid] = Look(found, self._clock() + wait, wait)
        return look

    def keep(self, uids: Collection[str]) -> None:
        """Forget all other objects."""
        if self._looks:
            self._looks = {uid: look for uid, look in self._looks.items() if uid in uids}
