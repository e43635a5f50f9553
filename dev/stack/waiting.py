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
