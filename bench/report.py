"""The table of a bench: a line for each work, and what it means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEAD: Final = ("work", "ours", "baseline", "ratio", "goal", "")
STRICT: Final = "STRICT"
"""Environment variable: with `1` a short line fails the bench."""


@dataclass(frozen=True)
class Goal:
    """A bound for the ratio, with the unit it is printed in."""

    bound: float
    unit: str = "x"
    at_least: bool = True

    def holds(self, value: float) -> bool:
        """Tell whether a value reaches the goal; what it must stay under may equal the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.bound:g}{self.unit}"


@dataclass(frozen=True)
class Line:
    """One work as measured; without a goal it is shown and not judged."""

    work: str
    ours: str
    baseline: str
    value: float
    goal: Goal | None

    @property
    def is_short(self) -> bool:
        """Whether a goal is missed."""
        return self.goal is not None and not self.goal.holds(self.value)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the table."""
        unit = self.goal.unit if self.goal else "x"
        verdict = "short" if self.is_short else "ok"
        return (
            self.work,
            self.ours,
            self.baseline,
            f"{self.value:.3g}{unit}" if abs(self.value) < 100 else f"{self.value:.0f}{unit}",
            str(self.goal or "-"),
            verdict if self.goal else "-",
        )


def table(lines: Iterable[Line]) -> str:
    """Return the lines in columns, under a head."""
    rows = [HEAD, *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def exit_code(lines: Iterable[Line], environ: Mapping[str, str]) -> int:
    """Return 1 if STRICT is 1 and a line is short, or if nothing was measured."""
    measured = list(lines)
    strict = environ.get(STRICT) == "1"
    return int(not measured or (strict and any(line.is_short for line in measured)))
