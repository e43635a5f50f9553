"""The plants of a vendor that are not marked as vanished, for whom alerts are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from vendorsync_job.store.connection import Cursor


@dataclass(frozen=True, slots=True)
class ActivePlant:
    """A row of plants; `time_zone` is as stored, None where the table or the row has none."""

    id: int
    time_zone: str | None


def active_plants(
    cursor: Cursor, schema: str, organization_id: int, vendor_id: int
) -> dict[str, ActivePlant]:
    """Return the plants by vendor_plant_id."""
    cursor.execute(
        sql.SQL(
            # Through jsonb, since an application's table may have no such column.
            "SELECT p.vendor_plant_id, p.id, to_jsonb(p) ->> 'time_zone' FROM {} AS p"
            " LEFT JOIN vendorsync.hashes AS h ON h.vendor_id = p.vendor_id"
            " AND h.stream = 'plants' AND h.key = p.vendor_plant_id"
            " WHERE p.vendor_id = %s AND p.org_id = %s AND h.vanished_at IS NULL"
        ).format(sql.Identifier(schema, "plants")),
        [vendor_id, organization_id],
    )
    return {key: ActivePlant(number, zone) for key, number, zone in cursor.fetchall()}
