"""Invented Indian solar plants: the same seed gives the same plants on every machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from hashlib import blake2b
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

T = TypeVar("T")
Kind = Literal["HOUSE_ROOF", "COMMERCIAL_ROOF", "INDUSTRIAL_ROOF", "GROUND"]
Status = Literal["online", "partial", "offline"]

INDIA: Final = ZoneInfo("Asia/Kolkata")
PER_KW: Final = {"kWp": Decimal(1), "MWp": Decimal("0.001"), "Wp": Decimal(1000)}
"""Units of capacity in a kilowatt."""
FIRST_CREATED: Final = int(datetime(2018, 4, 1, tzinfo=UTC).timestamp())
LAST_CREATED: Final = int(datetime(2026, 3, 31, tzinfo=UTC).timestamp())

PLACES: Final = (
    ("Pune", "Maharashtra", 18.52, 73.86),
    ("Nashik", "Maharashtra", 20.00, 73.79),
    ("Nagpur", "Maharashtra", 21.15, 79.09),
    ("Ahmedabad", "Gujarat", 23.02, 72.57),
    ("Surat", "Gujarat", 21.17, 72.83),
    ("Bhuj", "Gujarat", 23.24, 69.67),
    ("Jaipur", "Rajasthan", 26.91, 75.79),
    ("Jodhpur", "Rajasthan", 26.24, 73.02),
    ("Bhadla", "Rajasthan", 27.54, 71.92),
    ("Indore", "Madhya Pradesh", 22.72, 75.86),
    ("Rewa", "Madhya Pradesh", 24.53, 81.30),
    ("Bengaluru", "Karnataka", 12.97, 77.59),
    ("Pavagada", "Karnataka", 14.10, 77.28),
    ("Hyderabad", "Telangana", 17.39, 78.49),
    ("Kurnool", "Andhra Pradesh", 15.83, 78.04),
    ("Chennai", "Tamil Nadu", 13.08, 80.27),
    ("Coimbatore", "Tamil Nadu", 11.02, 76.96),
    ("Kochi", "Kerala", 9.93, 76.27),
    ("Bhubaneswar", "Odisha", 20.30, 85.82),
    ("Kolkata", "West Bengal", 22.57, 88.36),
    ("Guwahati", "Assam", 26.14, 91.74),
    ("Lucknow", "Uttar Pradesh", 26.85, 80.95),
    ("Gurugram", "Haryana", 28.46, 77.03),
    ("Ludhiana", "Punjab", 30.90, 75.86),
    ("Leh", "Ladakh", 34.15, 77.58),
)
OWNERS: Final = (
    "Aravali", "Chandra", "Deepak", "Ganga", "Himadri", "Indus", "Jyoti", "Kaveri", "Lakshmi",
    "Malabar", "Narmada", "Om Shakti", "Prakash", "Ravi", "Sahyadri", "Surya", "Tapti",
    "Ujjwala", "Vindhya", "Yamuna", "सूर्य", "ஒளி",
)  # fmt: skip
SITES: Final[dict[Kind, tuple[str, ...]]] = {
    "HOUSE_ROOF": ("Residence", "Villa", "Row House", "Apartments"),
    "COMMERCIAL_ROOF": ("Hospital", "Mall", "School", "Cold Store", "Petrol Pump"),
    "INDUSTRIAL_ROOF": ("Textiles", "Foundry", "Auto Parts", "Rice Mill", "Pharma"),
    "GROUND": ("Solar Park", "Solar Farm", "Agro Solar"),
}
STREETS: Final = ("MG Road", "Station Road", "GIDC Estate", "Industrial Area", "Gandhi Nagar")
CAPACITIES_KW: Final[dict[Kind, tuple[float, float]]] = {
    "HOUSE_ROOF": (1.5, 15),
    "COMMERCIAL_ROOF": (15, 250),
    "INDUSTRIAL_ROOF": (100, 2500),
    "GROUND": (1000, 50000),
}
KINDS: Final[tuple[Kind, ...]] = (
    "HOUSE_ROOF", "HOUSE_ROOF", "COMMERCIAL_ROOF", "COMMERCIAL_ROOF", "COMMERCIAL_ROOF",
    "INDUSTRIAL_ROOF", "INDUSTRIAL_ROOF", "INDUSTRIAL_ROOF", "INDUSTRIAL_ROOF", "GROUND",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What a plant really is, before a vendor words it; `created_at` is UNIX seconds."""

    id: int
    name: str
    kind: Kind
    status: Status
    capacity_kw: float
    latitude: float | None
    longitude: float | None
    address: str | None
    city: str
    state: str
    created_at: int
    timezone: str | None = None
    """Set by a change only: then the vendor sends this text instead of its usual one."""
    offset: str | None = None
    """Set by a change only: what the vendor now says of a clock that its times were not told on.

    So is a plant whose offset moves with the season, while the texts of its times stay.
    """
    connecting: bool = False
    """The vendor still connects it, so some listings leave it out."""


def zone_of(of: Plant) -> tzinfo:
    """Give the zone of the plant's clock; a text of its own is an IANA name or like `GMT+5:30`."""
    if of.timezone is None:
        return INDIA
    offset = re.fullmatch(r"GMT([+-])(\d{1,2})(?::(\d\d))?", of.timezone)
    if offset is None:
        return ZoneInfo(of.timezone)
    sign, hours, minutes = offset.groups()
    ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-ahead if sign == "-" else ahead)


class Dice:
    """Named draws from a seed; adding a draw leaves the others as they were."""

    def __init__(self, *seed: object) -> None:
        self._seed = ":".join(map(str, seed))

    def number(self, name: str) -> float:
        """Draw from 0 up to, not including, 1."""
        drawn = blake2b(f"{self._seed}:{name}".encode(), digest_size=6).digest()
        return int.from_bytes(drawn, "big") / 2**48

    def below(self, name: str, limit: int) -> int:
        """Draw a whole number from 0 up to, not including, `limit`."""
        return int(self.number(name) * limit)

    def choice(self, name: str, values: Sequence[T]) -> T:
        """Draw one of the values."""
        return values[self.below(name, len(values))]


def plant(seed: int, index: int) -> Plant:
    """Make the plant with this index; its id tells the seed and the index."""
    dice = Dice(seed, index)
    kind = dice.choice("kind", KINDS)
    city, state, latitude, longitude = dice.choice("place", PLACES)
    low, high = CAPACITIES_KW[kind]
    located = dice.number("located") >= 0.03
    house = dice.below("house", 400) + 1
    share = dice.number("status")
    owner, site = dice.choice("owner", OWNERS), dice.choice("site", SITES[kind])
    return Plant(
        id=seed * 1_000_000 + index + 1,
        name=f"{owner} {site} {city} {index + 1}",
        kind=kind,
        status="online" if share < 0.9 else "partial" if share < 0.95 else "offline",
        capacity_kw=round(low + (high - low) * dice.number("capacity") ** 3, 2),
        latitude=round(latitude + dice.number("latitude") / 5 - 0.1, 6) if located else None,
        longitude=round(longitude + dice.number("longitude") / 5 - 0.1, 6) if located else None,
        address=f"Plot {house}, {dice.choice('street', STREETS)}, {city}, {state}, India"
        if dice.number("address") >= 0.03
        else None,
        city=city,
        state=state,
        created_at=FIRST_CREATED + dice.below("created", LAST_CREATED - FIRST_CREATED),
    )


def plants(seed: int, count: int) -> tuple[Plant, ...]:
    """Make `count` plants; a smaller count gives the beginning of a bigger one."""
    return tuple(plant(seed, index) for index in range(count))


class Fleet:
    """The plants of one account, in list order; each is made when it is first looked at."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self._next = count
        self._plants: list[Plant | int] = list(range(count))

    def __len__(self) -> int:
        return len(self._plants)

    def __iter__(self) -> Iterator[Plant]:
        return iter(self.slice(0, len(self)))

    def slice(self, start: int, stop: int) -> list[Plant]:
        """Give the plants from position `start` up to `stop`."""
        return [self._at(position) for position in range(start, min(stop, len(self)))]

    def get(self, plant_id: int) -> Plant | None:
        """Find a plant by its id."""
        position = self._position(plant_id)
        return None if position is None else self._at(position)

    def settled(self) -> list[Plant] | None:
        """Give the plants without those that are still being connected; None if there are none."""
        if not any(isinstance(held, Plant) and held.connecting for held in self._plants):
            return None
        return [plant for plant in self if not plant.connecting]

    def add(self, count: int = 1) -> list[Plant]:
        """Append plants that were never there before."""
        new = list(range(self._next, self._next + count))
        self._next += count
        self._plants.extend(new)
        return self.slice(len(self) - count, len(self))

    def remove(self, plant_id: int) -> None:
        """Take a plant out of the list."""
        del self._plants[self._known(plant_id)]

    def change(self, plant_id: int, **fields: Any) -> Plant:
        """Replace fields of a plant, such as `name` or `capacity_kw`."""
        position = self._known(plant_id)
        changed = replace(self._at(position), **fields)
        self._plants[position] = changed
        return changed

    def _at(self, position: int) -> Plant:
        held = self._plants[position]
        if isinstance(held, int):
            held = self._plants[position] = plant(self._seed, held)
        return held

    def _known(self, plant_id: int) -> int:
        position = self._position(plant_id)
        if position is None:
            raise LookupError(f"no plant {plant_id}")
        return position

    def _position(self, plant_id: int) -> int | None:
        index = plant_id - self._seed * 1_000_000 - 1
        for position, held in enumerate(self._plants):
            if held == index or (isinstance(held, Plant) and held.id == plant_id):
                return position
        return None


def plant_truth(of: Plant, row: dict[str, Any], *, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a plant is, with the row that is sent for it.

    `sent` holds what the vendor words in its own way: `timezone`, `type`, `created_as_sent` and
    `capacity_sent`, which is false where the row has no capacity.
    """
    return {
        "id": str(of.id),
        "name": of.name,
        "capacity_kw": of.capacity_kw,
        "latitude": of.latitude,
        "longitude": of.longitude,
        "address": of.address,
        "status": of.status,
        "created_at": of.created_at,
        **sent,
        "row": row,
    }


def power_kw(of: Plant, now: float) -> float:
    """Tell the power at an instant, in steps of five minutes: a sine from 06:00 to 18:00 IST."""
    if of.status == "offline":
        return 0.0
    moment = datetime.fromtimestamp(now - now % 300, INDIA)
    sun = sin((moment.hour + moment.minute / 60 - 6) / 12 * pi)
    weather = 0.6 + 0.4 * cos(of.id + moment.toordinal()) ** 2
    return round(max(0.0, sun) * weather * 0.8 * of.capacity_kw, 3)
