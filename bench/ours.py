"""The product's write path, from pages of Solarman's plants to the last commit."""

from __future__ import annotations

import time
import uuid
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from bench.database import ORGANIZATION, VENDOR
from vendorsync_api.reasons import Trigger
from vendorsync_api.run import RunSpec
from vendorsync_job import report
from vendorsync_job.listing import Listing
from vendorsync_job.report import Outcome
from vendorsync_job.store import schema
from vendorsync_job.store.connection import Database
from vendorsync_job.store.place import Place
from vendorsync_job.store.rows import PlantRows
from vendorsync_job.store.run_row import RunRow
from vendorsync_job.store.stored_run import StoredRun, StoredRunSettings
from vendorsync_job.sync import Progress, sync
from vendorsync_job.vendors.solarman import PLANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vendorsync_api.run import RunReport
    from vendorsync_job.models import Counts, Fields, Page
    from vendorsync_job.store.tables import RecordTable

BATCH: Final = RunSpec.model_fields["batch_size"].default


@dataclass(frozen=True)
class Taken:
    """Seconds of a run: `writing` is the part from the first page to the commit of the last change.

    `whole` has in addition the lease, the search for vanished plants and the closing of the run.
    """

    writing: float
    whole: float
    counts: Counts


class NeverStops:
    """An `Interruption` that does not happen."""

    def check(self) -> None:
        """Go on."""

    def shield(self) -> AbstractContextManager[None]:
        """Shield from nothing."""
        return nullcontext()


@dataclass
class Writer:
    """An open connection that runs are made on, one after the other."""

    database: Database
    table: RecordTable

    def run(self, pages: Iterable[Page[Fields]]) -> Taken:
        """Make one run of these pages."""
        started = time.perf_counter()
        stored = self._stored()
        stored.begin()
        writing = time.perf_counter()
        listing = Listing(pages, key=itemgetter(0))
        progress = Progress()
        sync(listing, stored.records, progress, batch_size=BATCH, stop=NeverStops())
        written = time.perf_counter()
        stored.retire(listing.has)
        stored.finish(_report(progress))
        done = time.perf_counter()
        return Taken(written - writing, done - started, progress.counts)

    def _stored(self) -> StoredRun[Fields]:
        row = RunRow(
            id=uuid.uuid4(),
            vendor_id=VENDOR,
            organization_id=ORGANIZATION,
            stream="plants",
            job="bench",
            trigger=Trigger.MANUAL.value,
            started_at=datetime.now(UTC),
        )
        place = Place("public", ORGANIZATION, VENDOR)
        return StoredRun(
            self.database,
            self.table,
            place,
            row,
            PlantRows(self.table, PLANT),
            StoredRunSettings(owner="bench", writers=5),
        )


@contextmanager
def writer(url: str) -> Iterator[Writer]:
    """Connect as the role of runs."""
    with closing(Database(url, organization_id=ORGANIZATION)) as database:
        with database.transaction(read_only=True) as cursor:
            table = schema.check_application(cursor, "public")
        yield Writer(database, table)


def _report(progress: Progress) -> RunReport:
    now = datetime.now(UTC)
    return report.build(
        vendor="solarman",
        stream="plants",
        outcome=Outcome(),
        trigger=Trigger.MANUAL,
        start=now,
        end=now,
        complete=progress.complete,
        counts=progress.counts,
        calls=0,
    )
