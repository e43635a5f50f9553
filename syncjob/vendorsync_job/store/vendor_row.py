"""The vendors row of a run, which stays with its organization while the run writes.

An application may give a vendor to another organization at any moment. The row is locked in each
transaction that writes, so the run's rows are committed before that or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from vendorsync_job.errors import BindingConflictError
from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vendorsync_job.store.place import Place


class VendorRow:
    """The row of `place`, whose `vendor_id` is known.

    Reading the answer of a statement raises BindingConflictError unless the row was found with its
    organization.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def hold_statement(self) -> Statement:
        """Return what locks the row until the transaction ends."""
        return self._statement(
            "SELECT id FROM {} WHERE id = %(vendor)s AND org_id = %(organization)s FOR SHARE"
        )

    def synced_statement(self) -> Statement:
        """Return what sets last_synced_at."""
        return self._statement(
            "UPDATE {} SET last_synced_at = now()"
            " WHERE id = %(vendor)s AND org_id = %(organization)s RETURNING id"
        )

    def _confirm(self, rows: Sequence[object]) -> None:
        if not rows:
            place = self._place
            raise BindingConflictError(
                f"vendors.id {place.vendor_id} is no row of organization {place.organization_id} in"
                f" schema {place.schema} any more; correct its org_id, or the resource"
            )

    def _statement(self, query: str) -> Statement:
        return Statement(
            sql.SQL(query).format(self._place.table("vendors")), self._place.values, self._confirm
        )
