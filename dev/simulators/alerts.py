"""Invented alarms: which plant had which on which day follows from its id and the day alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zlib import crc32

from dev.simulators.plants import INDIA, Dice, Plant

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_IN: Final = 40
"""About one plant in so many has an alarm on a given day."""

KINDS: Final = (
    (31, "F04", "Grid voltage out of range", 2),
    (32, "F07", "Low insulation resistance", 2),
    (41, "W11", "String current mismatch", 1),
    (42, "W15", "Fan speed low", 1),
    (51, "N02", "Communication restored", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alarm; times are UNIX seconds, `level` is 0 notice, 1 warning, 2 fault."""

    id: int
    plant: Plant
    rule: int
    code: str
    name: str
    level: int
    started_at: int
    ended_at: int | None
    inverter: int


def alerts(of: Plant, first: date, last: date, now: float) -> Iterator[Alert]:
    """Give the alarms of a plant that began between two days, both included, and before now."""
    for day in range(first.toordinal(), last.toordinal() + 1):
        if crc32(f"{of.id}:{day}".encode()) % ONE_IN == 0:
            alert = _alert(of, date.fromordinal(day), now)
            if alert.started_at <= now:
                yield alert


def _alert(of: Plant, day: date, now: float) -> Alert:
    dice = Dice("alert", of.id, day)
    rule, code, name, level = dice.choice("kind", KINDS)
    midnight = datetime.combine(day, time(), INDIA)
    started = midnight + timedelta(hours=6, seconds=dice.below("start", 12 * 3600))
    ended = int(started.timestamp()) + 60 + dice.below("length", 3 * 86400)
    return Alert(
        id=crc32(f"alert:{of.id}:{day}".encode()),
        plant=of,
        rule=rule,
        code=code,
        name=name,
        level=level,
        started_at=int(started.timestamp()),
        ended_at=ended if ended <= now else None,
        inverter=dice.below("inverter", 4) + 1,
    )
