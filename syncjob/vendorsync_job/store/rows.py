"""Records into rows: a key and the values of the owned columns, as Python has them."""

from __future__ import annotations

from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec.msgpack import Encoder
from orjson import dumps
from psycopg import sql

from vendorsync_job.models import Read, Rejection
from vendorsync_job.store.columns import PLANT
from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.lookup import lookup
from vendorsync_job.store.place import VENDOR_AND_ORGANIZATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vendorsync_job.models import Alert, Fields, Plant
    from vendorsync_job.ports import Reader
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.tables import RecordTable

MAPPING_VERSION = 3
"""Counts changes in how vendor fields become columns; a new number offers every row once."""

Row = tuple[Any, ...]
"""The key, then the values of the owned columns: those of RecordTable.row."""
Record_contra = TypeVar("Record_contra", contravariant=True)


OTHER_KEY = "the adapter reads another id from the record than the one that it lists"


class RowMaker(Protocol[Record_contra]):
    """Makes rows of records, and tells first by which values a record is known to be as it was."""

    @property
    def version(self) -> int:
        """Another number when other rows are made of the same values."""

    def known_by(self, records: Sequence[Record_contra], /) -> Iterable[Fields | Rejection]:
        """Yield the key and these values of each record, or why it can have no row."""

    def row(self, fields: Fields, /) -> Read[Row] | Rejection:
        """Return the row of a record that is not, or may not be, as it was."""


class PlantRows:
    """Makes rows of plants; one whose fields are known is not even read."""

    def __init__(self, table: RecordTable, read: Reader[Plant]) -> None:
        self.version = read.version
        self._read = read
        made = {holder.name: holder.make for holder in PLANT}
        self._names = table.row
        self._values: list[Callable[[Plant], Any]] = [
            made.get(name) or attrgetter(name) for name in table.row
        ]
        self._limits = [(table.row.index(name), limit) for name, limit in table.limits.items()]

    def known_by(self, records: Sequence[Fields], /) -> Sequence[Fields]:
        """Return the vendor's fields."""
        return records

    def row(self, fields: Fields, /) -> Read[Row] | Rejection:
        """Read the plant."""
        found = self._read(fields)
        if isinstance(found, Rejection):
            return found
        if found.record.vendor_plant_id != fields[0]:
            return Rejection(fields[0], OTHER_KEY, {"read": found.record.vendor_plant_id})
        row = [value(found.record) for value in self._values]
        wide = [(place, limit) for place, limit in self._limits if abs(row[place] or 0) >= limit]
        if not wide:
            return Read(tuple(row), found.dropped)
        told = [
            f"{self._names[place]} {row[place]} is too large for its column (below {limit})"
            for place, limit in wide
        ]
        for place, _ in wide:
            row[place] = None
        return Read(tuple(row), (*found.dropped, *told))


class AlertRows:
    """Makes rows of alerts; plants.id is looked up for each plant that has alerts, once."""

    version = 1

    def __init__(self, database: Database, table: RecordTable, place: Place) -> None:
        self._database = database
        self._place = place
        self._columns = table.columns
        self._plants: dict[str, int | None] = {}

    def known_by(self, records: Sequence[Alert], /) -> Iterator[Row | Rejection]:
        """Yield the rows; an alert of a plant that is not in the table is rejected."""
        if "plant_id" in self._columns:
            self._look_up({alert.vendor_plant_id for alert in records} - self._plants.keys())
        return map(self._row, records)

    def row(self, fields: Fields, /) -> Read[Row]:
        """Return the row that an alert is known by."""
        return Read(fields)

    def _row(self, alert: Alert) -> Row | Rejection:
        plant_id = self._plants.get(alert.vendor_plant_id)
        if plant_id is None and "plant_id" in self._columns:
            return Rejection(
                alert.vendor_alert_id,
                f"plant {alert.vendor_plant_id} of the alert is not in the table of plants",
                {"vendorAlertId": alert.vendor_alert_id, "plantId": alert.vendor_plant_id},
            )
        values = (
            plant_id if name == "plant_id" else getattr(alert, name) for name in self._columns
        )
        return (alert.vendor_alert_id, *values)

    def _look_up(self, keys: set[str]) -> None:
        if not keys:
            return
        self._plants |= dict.fromkeys(keys)
        storable = sorted(key for key in keys if is_storable(key))
        plant = sql.SQL("SELECT p.id FROM {} AS p WHERE {} AND p.vendor_plant_id = k.key").format(
            self._place.table("plants"), VENDOR_AND_ORGANIZATION
        )
        (found,) = self._database.read(
            Statement(
                sql.SQL("SELECT k.key, p.id FROM unnest(%(keys)s::text[]) AS k (key), {}").format(
                    lookup(plant, "p")
                ),
                self._place.values | {"keys": storable},
            )
        )
        self._plants |= dict(found)


class Digests:
    """Digests of what records are known by and of the owned columns' names: 16 bytes each."""

    def __init__(self, table: RecordTable, version: int) -> None:
        scope = repr((MAPPING_VERSION, version, table.name, table.row)).encode()
        self._start = blake2b(digest_size=16, person=blake2b(scope, digest_size=16).digest())

    def __call__(self, records: Sequence[Fields]) -> list[bytes]:
        """Return the digest of each record; raises UnicodeError for text that is not Unicode."""
        # Most records of most runs come no further. MessagePack writes times and Decimals too, and
        # numbers as they are in memory; a copied state costs half of a new one.
        encode, copied, digests = Encoder(order="deterministic").encode, self._start.copy, []
        for record in records:
            state = copied()
            state.update(encode(record))
            digests.append(state.digest())
        return digests


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold the text: no NUL, no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def document(table: RecordTable, rows: Iterable[Row]) -> str:
    """Return rows as a JSON array of objects; numbers and times are text."""
    columns = table.row
    return dumps([dict(zip(columns, row, strict=True)) for row in rows], default=str).decode()


def described(table: RecordTable, row: Row) -> dict[str, Any]:
    """Return a row by column, as it is kept with a rejection."""
    return {
        name: value if value is None or isinstance(value, str | int) else str(value)
        for name, value in zip(table.row, row, strict=True)
    }
