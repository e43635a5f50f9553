"""Timing in turns: whatever else the machine does hits both sides alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Figure:
    """Seconds of several rounds."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The shortest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return median(self.seconds)

    def __str__(self) -> str:
        """Show the best round and the spread."""
        return f"{shown(self.best)} (to {shown(max(self.seconds))})"


def shown(seconds: float) -> str:
    """Return a duration for people."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternate(rounds: int, *sides: Callable[[int], float]) -> tuple[Figure, ...]:
    """Run the sides in turns and return a figure for each.

    A side takes the number of its round, from 1 on, prepares what it needs and returns the seconds
    of the part that counts.
    """
    found: list[list[float]] = [[] for _ in sides]
    for number in range(1, rounds + 1):
        for side, seconds in zip(sides, found, strict=True):
            seconds.append(side(number))
    return tuple(Figure(tuple(seconds)) for seconds in found)


class WrongResultError(RuntimeError):
    """A side did something else than it should, so that its time means nothing."""


def demand(found: object, expected: object) -> None:
    """Raise WrongResultError unless a side did what it should."""
    if found != expected:
        raise WrongResultError(f"expected {expected}, found {found}")
