"""The write path of the job that VendorSync replaces: upserts of 100 rows.

Every batch is a statement and a commit of its own, and takes all its rows, changed or not.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from bench.database import ORGANIZATION, VENDOR
from vendorsync_job.models import Rejection
from vendorsync_job.vendors.solarman import PLANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from vendorsync_job.models import Fields, Page, Plant, Read

BATCH: Final = 100
COLUMNS: Final = (
    "name",
    "capacity_kw",
    "latitude",
    "longitude",
    "address",
    "time_zone",
    "plant_type",
    "status",
    "commissioned_at",
)


@cache
def statement(rows: int) -> bytes:
    """Return the upsert of so many rows."""
    width = 3 + len(COLUMNS)
    one = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() * width))
    made = sql.SQL(
        "INSERT INTO plants (org_id, vendor_id, vendor_plant_id, {columns}) VALUES {rows}"
        " ON CONFLICT (vendor_id, vendor_plant_id) DO UPDATE SET updated_at = now(), {changes}"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        rows=sql.SQL(", ").join([one] * rows),
        changes=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in COLUMNS
        ),
    )
    return made.as_bytes(None)


def write(connection: psycopg.Connection[Any], pages: Iterable[Page[Fields]]) -> None:
    """Read and write all plants; the connection commits each statement."""
    plants = [found.record for found in _read(pages)]
    for first in range(0, len(plants), BATCH):
        batch = plants[first : first + BATCH]
        values = [
            value
            for plant in batch
            for value in (
                ORGANIZATION,
                VENDOR,
                plant.vendor_plant_id,
                *(getattr(plant, name) for name in COLUMNS),
            )
        ]
        connection.execute(statement(len(batch)), values)


def _read(pages: Iterable[Page[Fields]]) -> Iterator[Read[Plant]]:
    for page in pages:
        for found in map(PLANT, page.records):
            if isinstance(found, Rejection):
                raise TypeError(found.reason)
            yield found
