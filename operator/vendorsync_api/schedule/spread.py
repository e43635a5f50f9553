"""Where the ticks of an organization begin, so that not all start in one minute."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from functools import lru_cache

from vendorsync_api.schedule.window import DAY, Window, restricts


def hashed_offset(
    namespace: str, name: str, interval: int, windows: tuple[Window, ...] = (), place: int = 0
) -> int:
    """Return a stable offset in minutes, less than the interval, for one resource.

    The minute and the hour come from different parts of the digest: taken from one number they
    would be tied, and only some of the slots would ever be used. The name counts, not the uid, so
    a restored resource keeps its slot. An offset whose every tick lies inside the windows is
    replaced by one that has a tick outside, if there is any. `place` counts the vendors of one kind
    in the resource: each takes the next minute, and none takes another's while there are enough.
    """
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    minute = int.from_bytes(digest[:8]) % min(interval, 60)
    phase = int.from_bytes(digest[8:16]) % max(interval // 60, 1)
    offset = phase * 60 + minute
    free = _free_offsets(interval, windows) or range(interval)
    first = bisect_left(free, offset)
    if first == len(free) or free[first] != offset:
        first = int.from_bytes(digest[16:24])
    return free[(first + place) % len(free)]


@lru_cache(maxsize=64)
def _free_offsets(interval: int, windows: tuple[Window, ...]) -> tuple[int, ...]:
    """Return the offsets of which a tick lies outside the windows on some weekday, in order."""
    closed = [all(restricts(windows, day, minute) for day in range(7)) for minute in range(DAY)]
    return tuple(o for o in range(interval) if not all(closed[o::interval]))
