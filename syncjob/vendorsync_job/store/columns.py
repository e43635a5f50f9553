"""Which columns of an application's tables can hold what is known of a record, and how.

Columns are found by their names: those that a table has are written. Several may hold the same, as
`commissioned_at` and `start_operating_time` do; then all of them are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_job.models import Plant

INTEGERS = frozenset({"bigint", "integer"})
TEXTS = frozenset({"text", "character varying"})
NUMBERS = frozenset({"numeric", "double precision", "real"})
TIMES = frozenset({"timestamp with time zone", "timestamp without time zone"})
OBJECTS = frozenset({"jsonb"})
CASTS = {NUMBERS: "numeric", TIMES: "timestamptz", INTEGERS: "bigint", OBJECTS: "jsonb"}

NETWORK = {
    "online": "NORMAL",
    # Something is wrong with the plant, and the vendor hears of it.
    "fault": "NORMAL",
    "partial": "PARTIAL_OFFLINE",
    "offline": "ALL_OFFLINE",
}


class Holder(Struct, frozen=True):
    """A column that can hold something of a record: the field of its name, or what `make` makes.

    `of` names the fields that `make` asks for.
    """

    name: str
    types: frozenset[str]
    make: Callable[[Any], object] | None = None
    of: tuple[str, ...] = ()
    is_required: bool = False
    is_kept: bool = False
    """It stays as it is when the vendor gives no value."""
    filler: int | None = None
    """What a new row gets where it must have a value and the vendor gives none; kept as well."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The record's fields that it holds."""
        return self.of or (self.name,)

    @property
    def source(self) -> str:
        """Those fields, for people."""
        *first, last = (field.replace("_", " ") for field in self.fields)
        return f"{', '.join(first)} and {last}" if first else last


def _network_status(plant: Plant) -> str | None:
    return NETWORK.get(plant.status or "")


def _location(plant: Plant) -> dict[str, object]:
    """Return the keys that the vendor knows; others of the column stay."""
    found = {
        "lat": None if plant.latitude is None else float(plant.latitude),
        "lng": None if plant.longitude is None else float(plant.longitude),
        "address": plant.address,
    }
    return {key: value for key, value in found.items() if value is not None}


def _commissioned_at(plant: Plant) -> object:
    return plant.commissioned_at


PLANT = (
    Holder("name", TEXTS, is_required=True),
    # A vendor that once leaves the capacity out has not taken the panels away.
    Holder("capacity_kw", NUMBERS, is_required=True, is_kept=True, filler=0),
    Holder("latitude", NUMBERS),
    Holder("longitude", NUMBERS),
    Holder("address", TEXTS),
    Holder("location", OBJECTS, _location, of=("latitude", "longitude", "address")),
    Holder("time_zone", TEXTS),
    Holder("plant_type", TEXTS),
    Holder("status", TEXTS, is_kept=True),
    Holder("network_status", TEXTS, _network_status, of=("status",), is_kept=True),
    Holder("commissioned_at", TIMES),
    Holder("start_operating_time", TIMES, _commissioned_at, of=("commissioned_at",)),
    Holder("vendor_created_date", TIMES),
)
ALERT = (
    Holder("title", TEXTS, is_required=True),
    Holder("status", TEXTS, is_required=True),
    Holder("started_at", TIMES, is_required=True),
    Holder("plant_id", INTEGERS),
    Holder("code", TEXTS),
    Holder("description", TEXTS),
    Holder("severity", TEXTS),
    Holder("device_serial", TEXTS),
    Holder("resolved_at", TIMES),
)
