"""The alerts of many plants, one listing after the other, as far as the budget goes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from vendorsync_job.errors import (
    ThrottledError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vendorsync_job.errors import SyncError
    from vendorsync_job.models import Alert, AlertQuery, Page
    from vendorsync_job.ports import Session, VendorAdapter

log = logging.getLogger(__name__)

REFUSALS = 3
"""Plants in excess of those answered that may be refused before the account itself is at fault."""


class Round:
    """One listing of alerts for each plant: iterate over it once, then read its attributes.

    It begins after the plant `cursor`, where the round before ended, and goes on from the front
    when it reaches the end. `reached` hears of each plant whose alerts are all read. When the
    budget or the vendor's patience ends after the first plant, the round ends and `error` holds the
    reason. A plant that the vendor refuses is left out; many of them raise the refusal.
    """

    def __init__(
        self,
        adapter: VendorAdapter,
        session: Session,
        query: AlertQuery,
        plants: Sequence[str],
        *,
        cursor: str = "",
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._adapter = adapter
        self._session = session
        self._query = query
        self._reached = reached
        ordered = sorted(plants)
        self._plants = [key for key in ordered if key > cursor] + [
            key for key in ordered if key <= cursor
        ]
        self.asked = 0
        """Plants whose alerts are all read."""
        self.refused = 0
        """Plants that the vendor knows nothing of, or does not show."""
        self.duplicates = 0
        self.complete = False
        """Every plant was asked, and none of the listings lacks a record."""
        self.error: SyncError | None = None
        """Why the round ended early or has a gap."""

    def __iter__(self) -> Iterator[Page[Alert]]:
        whole = True
        for plant in self._plants:
            listing = Listing(
                self._adapter.alerts(self._session, replace(self._query, plant=plant)),
                key=lambda alert: alert.vendor_alert_id,
            )
            try:
                yield from self._counted(listing)
            except (ThrottledError, VendorUnavailableError) as error:
                if not self.asked:
                    raise
                self.error = error
                return
            except VendorRefusedError as error:
                self._refuse(plant, error)
                continue
            if listing.error is not None:
                self.error = listing.error
                return
            whole = whole and listing.complete
            self.asked += 1
            self._reached(plant)
        self.complete = whole and not self.refused

    def _counted(self, listing: Listing[Alert]) -> Iterator[Page[Alert]]:
        before = self.duplicates
        for page in listing:
            self.duplicates = before + listing.duplicates
            yield page

    def _refuse(self, plant: str, error: VendorRefusedError) -> None:
        self.refused += 1
        if self.refused > self.asked + REFUSALS - 1:
            raise error
        log.warning("plant %s is left out: %s", plant, error)
        self.error = self.error or error
