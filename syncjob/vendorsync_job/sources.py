"""What is listed for each stream, how its records become rows, and what their absence means."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from vendorsync_job.listing import Listing
from vendorsync_job.models import AlertQuery
from vendorsync_job.rounds import Round
from vendorsync_job.store.active_plants import active_plants
from vendorsync_job.store.rows import AlertRows, PlantRows

if TYPE_CHECKING:
    from vendorsync_api.policy import AlertListing
    from vendorsync_job.ports import Session, VendorAdapter
    from vendorsync_job.store.connection import Database
    from vendorsync_job.store.place import Place
    from vendorsync_job.store.rows import RowMaker
    from vendorsync_job.store.stored_run import StoredRun
    from vendorsync_job.store.tables import RecordTable
    from vendorsync_job.sync import Pages


class Absence(Struct, frozen=True):
    """What a complete listing lacked: records marked, and whether the guard kept more from that."""

    marked: int = 0
    is_held: bool = False


class Source(Protocol):
    """One stream of one vendor."""

    def rows(self, database: Database, table: RecordTable, place: Place) -> RowMaker[Any]:
        """Return what makes rows of its records."""

    def pages(self, session: Session, stored: StoredRun[Any] | None) -> Pages[Any]:
        """Return the pages to read; `stored` is None in a dry run."""

    def gap(self, pages: Pages[Any]) -> str:
        """Say why a listing that was read to its end may lack records; empty if it does not."""

    def absent(self, pages: Pages[Any], stored: StoredRun[Any]) -> Absence:
        """See to what a listing lacks, if it is complete, and to what is back."""


class Plants(Struct, frozen=True):
    """All plants of the account."""

    adapter: VendorAdapter

    def rows(self, database: Database, table: RecordTable, place: Place) -> RowMaker[Any]:  # noqa: ARG002
        """Return what makes rows of plants."""
        return PlantRows(table, self.adapter.plant)

    def pages(self, session: Session, stored: StoredRun[Any] | None) -> Listing[Any]:  # noqa: ARG002
        """Return the one listing that holds every plant."""
        return Listing(
            self.adapter.plants(session),
            key=itemgetter(0),
            page_size=self.adapter.policy.page_size,
        )

    def gap(self, pages: Pages[Any]) -> str:
        """Return what the listing leaves in doubt."""
        return pages.doubt

    def absent(self, pages: Pages[Any], stored: StoredRun[Any]) -> Absence:
        """Count the absence of each plant, mark those absent long enough, clear those back."""
        retired = stored.retire(pages.has, complete=pages.tells_absent)
        return Absence(retired.marked, retired.held)


class Alerts(Struct, frozen=True):
    """Alerts of the vendor's active plants."""

    adapter: VendorAdapter
    listing: AlertListing
    database: Database
    place: Place
    now: datetime
    default_zone: str

    def rows(self, database: Database, table: RecordTable, place: Place) -> RowMaker[Any]:
        """Return what makes rows of alerts."""
        return AlertRows(database, table, place)

    def pages(self, session: Session, stored: StoredRun[Any] | None) -> Pages[Any]:
        """Return one listing of the account, or one of each plant after the other."""
        plants = active_plants(self.database, self.place)
        query = AlertQuery(
            since=self.now - timedelta(days=self.listing.days),
            until=self.now,
            zones={key: zone for key, zone in plants.items() if zone},
            default_zone=self.default_zone,
            plants=frozenset(plants),
        )
        if not self.listing.per_plant:
            return Listing(
                self.adapter.alerts(session, query),
                key=attrgetter("vendor_alert_id"),
                page_size=self.adapter.policy.page_size,
            )
        if stored is None:
            return Round(self.adapter, session, query, list(plants))
        return Round(
            self.adapter,
            session,
            query,
            list(plants),
            cursor=stored.cursor or "",
            reached=stored.set_cursor,
        )

    def gap(self, pages: Pages[Any]) -> str:  # noqa: ARG002
        """Return nothing: most accounts have no alerts most of the time."""
        return ""

    def absent(self, pages: Pages[Any], stored: StoredRun[Any]) -> Absence:
        """End the open alerts that a complete list of open ones lacks."""
        if self.listing.active_only and pages.tells_absent:
            return Absence(stored.end_absent(pages.has))
        return Absence()
