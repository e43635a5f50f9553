"""The alerts of many plants, one listing after the other, as far as the budget goes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vendorsync_job.errors import (
    BudgetSpentError,
    DetailsSpentError,
    ListingTimeoutError,
    ThrottledError,
    VendorError,
)
from vendorsync_job.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vendorsync_job.errors import SyncError
    from vendorsync_job.models import Alert, AlertQuery, Page
    from vendorsync_job.ports import Session, VendorAdapter

log = logging.getLogger(__name__)

ENDS = (ThrottledError, ListingTimeoutError)
"""What ends a round, whichever plant it meets."""
FAILURES = 3
"""Plants in excess of those answered that may fail before the account itself is at fault."""


class Round:
    """One listing of alerts for each plant: iterate over it once, then read its attributes.

    It begins after the plant `cursor`, where the round before ended, and goes on from the front
    when it reaches the end. `reached` hears of each plant whose alerts are all read. When the
    budget or the vendor's patience ends after the first plant, the round ends and `error` holds the
    reason; when no call about single plants is left, also before it. A plant that alone takes more
    calls than a run has is passed by half read, or none after it would ever be asked for. So is a
    plant that the vendor refuses or answers badly; many of them raise the error.
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
        self.failed = 0
        """Plants that the vendor does not show, or answers badly for."""
        self.duplicates = 0
        self.complete = False
        """Every plant was asked, and none of the listings lacks a record."""
        self.error: SyncError | None = None
        """Why the round ended early or has a gap."""
        self.doubt = ""
        self.tells_absent = False
        """Never so: a plant's list goes back some days only."""

    @property
    def share_spent(self) -> bool:
        """Whether the round ended because the run has no calls left for it."""
        return isinstance(self.error, BudgetSpentError)

    def has(self, key: str) -> bool:  # noqa: ARG002
        """Tell nothing: no record counts as absent because of a round."""
        return False

    def __iter__(self) -> Iterator[Page[Alert]]:
        whole = True
        for plant in self._plants:
            listing = Listing(
                self._adapter.alerts(self._session, replace(self._query, plant=plant)),
                key=lambda alert: alert.vendor_alert_id,
                page_size=self._adapter.policy.page_size,
            )
            try:
                yield from self._counted(listing)
            except ENDS as error:
                if not (self.asked or isinstance(error, DetailsSpentError)):
                    raise
                self.error = error
                return
            except VendorError as error:
                self._pass_by(plant, error)
                continue
            if isinstance(listing.error, ENDS):
                self.error = listing.error
                if not self.asked and isinstance(listing.error, DetailsSpentError):
                    self._reached(plant)
                return
            if listing.error is not None:
                self._pass_by(plant, listing.error)
                continue
            whole = whole and listing.complete
            self.asked += 1
            self._reached(plant)
        self.complete = whole and not self.failed

    def _counted(self, listing: Listing[Alert]) -> Iterator[Page[Alert]]:
        before = self.duplicates
        for page in listing:
            self.duplicates = before + listing.duplicates
            yield page

    def _pass_by(self, plant: str, error: VendorError) -> None:
        self.failed += 1
        if self.failed > self.asked + FAILURES - 1:
            raise error
        log.warning("plant %s is left out: %s", plant, error)
        self.error = self.error or error
        # Or the next round would begin with it, and may never come to the others.
        self._reached(plant)
