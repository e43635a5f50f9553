"""Where the records of a run belong."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from psycopg import sql

VENDOR_AND_ORGANIZATION = sql.SQL("p.vendor_id = %(vendor)s AND p.org_id = %(organization)s")
"""What every row of a run has in common, in a table called p; its values are `Place.values`."""


class Place(Struct, frozen=True):
    """One vendor of one organization; `vendor_id` is None before the first binding."""

    schema: str
    organization_id: int
    vendor_id: int | None

    def table(self, name: str) -> sql.Identifier:
        """Return a table of the application by name."""
        return sql.Identifier(self.schema, name)

    @property
    def values(self) -> dict[str, Any]:
        """Values of statements: vendor and organization."""
        return {"vendor": self.vendor_id, "organization": self.organization_id}
