"""Invented alarms: which plant had which on which day follows from its id and the day alone.

They begin and end as the vendor's clock goes on; a clock that is moved back opens them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zlib import crc32

from dev.simulators.plants import INDIA, Dice, Plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dev.simulators.exchange import Json

ONE_IN: Final = 40
"""About one plant in so many has an alarm on a given day."""
MOST_A_DAY: Final = 100
LONGEST: Final = timedelta(days=3)
LISTED: Final = timedelta(days=30)
"""How far back the truth goes."""

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


def alerts(of: Plant, first: date, last: date, now: float, busy: int = 0) -> Iterator[Alert]:
    """Give the alarms of a plant that began between two days, both included, and before now.

    With `busy` each plant has so many on each day, at most 100, instead of one now and then.
    """
    for day in range(first.toordinal(), last.toordinal() + 1):
        for serial in range(busy or crc32(f"{of.id}:{day}".encode()) % ONE_IN == 0):
            alert = _alert(of, date.fromordinal(day), serial, now)
            if alert.started_at <= now:
                yield alert


def open_alerts(of: Plant, now: float, busy: int = 0) -> Iterator[Alert]:
    """Give the alarms of a plant that last."""
    today = datetime.fromtimestamp(now, INDIA).date()
    first = today - LONGEST - timedelta(days=1)
    return (alert for alert in alerts(of, first, today, now, busy) if alert.ended_at is None)


def truth_of(
    plants: Iterable[Plant],
    now: float,
    busy: int,
    *,
    id_as_sent: Callable[[Alert], str],
    severities: Sequence[str],
) -> list[Json]:
    """Tell every alarm of the last 30 days; `severities` are those of the three levels."""
    today = datetime.fromtimestamp(now, INDIA).date()
    return [
        {
            "id": id_as_sent(alert),
            "plant": str(alert.plant.id),
            "name": alert.name,
            "severity": severities[alert.level],
            "started_at": alert.started_at,
            "ended_at": alert.ended_at,
        }
        for plant in plants
        for alert in alerts(plant, today - LISTED + timedelta(days=1), today, now, busy)
    ]


def _alert(of: Plant, day: date, serial: int, now: float) -> Alert:
    dice = Dice("alert", of.id, day, serial)
    rule, code, name, level = dice.choice("kind", KINDS)
    midnight = datetime.combine(day, time(), INDIA)
    started = midnight + timedelta(hours=6, seconds=dice.below("start", 12 * 3600))
    length = timedelta(seconds=60 + dice.below("length", 86400 * LONGEST.days))
    ended = int((started + length).timestamp())
    return Alert(
        id=(of.id * 1000 + day.toordinal() % 1000) * MOST_A_DAY + serial,
        plant=of,
        rule=rule,
        code=code,
        name=name,
        level=level,
        started_at=int(started.timestamp()),
        ended_at=ended if ended <= now else None,
        inverter=dice.below("inverter", 4) + 1,
    )
