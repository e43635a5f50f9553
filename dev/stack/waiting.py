"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


def until(
    condition: Callable[[], Answer | None],
    what: str,
    *,
    seconds: float = 60,
    every: float = 0.2,
) -> Answer:
    """Return the condition's first true answer, or raise TimeoutError naming `what`."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds:g} s")
        time.sleep(every)


def settled(read: Callable[[], Answer], *, calm: float = 5, seconds: float = 60) -> Answer:
    """Return what `read` gave all the time for `calm` seconds, or raise TimeoutError.

    For what ends without a sign of its end.
    """
    last, since = read(), time.monotonic()

    def is_calm() -> bool:
        nonlocal last, since
        if (found := read()) != last:
            last, since = found, time.monotonic()
        return time.monotonic() - since >= calm

    until(is_calm, f"{calm:g} s without a change", seconds=seconds)
    return last
