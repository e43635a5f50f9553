"""The plants of a vendor that are listed and not marked as vanished: alerts are wanted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.lookup import lookup
from vendorsync_job.store.place import VENDOR_AND_ORGANIZATION

if TYPE_CHECKING:
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place


def active_plants(database: Database, place: Place) -> dict[str, str | None]:
    """Return the time zone of each plant by vendor_plant_id; None where the table has none."""
    if place.vendor_id is None:
        return {}
    listed = sql.SQL(
        "SELECT s.vanished_at FROM vendorsync.hashes AS s WHERE s.vendor_id = %(vendor)s"
        " AND s.stream = 'plants' AND s.key = p.vendor_plant_id"
    )
    (found,) = database.read(
        Statement(
            sql.SQL(
                # Through jsonb, since an application's table may have no such column.
                "SELECT p.vendor_plant_id, to_jsonb(p) ->> 'time_zone' FROM {} AS p, {}"
                " WHERE {} AND h.vanished_at IS NULL"
            ).format(place.table("plants"), lookup(listed, "h"), VENDOR_AND_ORGANIZATION),
            place.values,
        )
    )
    return dict(found)
