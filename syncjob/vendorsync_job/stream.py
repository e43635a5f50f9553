"""The plants of one run: from the database's checks to its last transaction."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vendorsync_api.reasons import RunReason
from vendorsync_job.access import open_access
from vendorsync_job.errors import SyncError, ThrottledError
from vendorsync_job.listing import Listing
from vendorsync_job.logs import context
from vendorsync_job.report import Outcome
from vendorsync_job.session import AccountSession
from vendorsync_job.store import bindings, schema
from vendorsync_job.store.ciphers import Ciphers
from vendorsync_job.store.connection import Database, passwords
from vendorsync_job.store.plants import Place, PlantComparison
from vendorsync_job.store.runs import RunRow
from vendorsync_job.store.stored_run import StoredRun
from vendorsync_job.store.tokens import AccountTokens
from vendorsync_job.sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_job.access import VendorAccess
    from vendorsync_job.run import Inputs, Run
    from vendorsync_job.store.connection import Cursor
    from vendorsync_job.store.schema import PlantTable
    from vendorsync_job.sync import PlantSink

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlantStream:
    """A run on open connections."""

    run: Run
    database: Database
    access: VendorAccess
    tokens: AccountTokens
    table: PlantTable
    vendor_id: int | None

    def sync(self) -> Outcome:
        """List the plants and write them, or in a dry run only compare."""
        self.tokens.check()
        with context(vendorId=self.vendor_id):
            return self._compare() if self.run.setting.dry_run else self._write()

    @property
    def _place(self) -> Place:
        spec = self.run.spec
        return Place(spec.application_schema, spec.organization.id, self.vendor_id)

    def _compare(self) -> Outcome:
        return self._list(PlantComparison(self.database, self.table, self._place))

    def _write(self) -> Outcome:
        run, spec = self.run, self.run.spec
        row = RunRow(
            id=run.id,
            vendor_id=self.vendor_id or 0,
            organization_id=spec.organization.id,
            stream=spec.stream,
            job=run.setting.job_name,
            trigger=run.trigger.value,
            started_at=run.started,
        )
        stored = StoredRun(
            self.database,
            self.table,
            self._place,
            row,
            owner=run.setting.job_name or str(run.id),
            writers=spec.concurrency_limit,
            sleep=run.setting.stop.sleep,
        )
        stored.begin()
        outcome = run.guarded(lambda: self._list(stored.plants))
        try:
            stored.finish(run.report(outcome))
        except SyncError as error:
            if outcome.reason is not RunReason.SYNCED:
                log.warning("the run's row could not be closed: %s", error)
                return outcome
            run.progress.complete = False
            return Outcome.of(error)
        return outcome

    def _list(self, sink: PlantSink) -> Outcome:
        run = self.run
        session = AccountSession(
            self.tokens,
            self.access.adapter.authenticate,
            run.setting.now,
            needed=run.deadline - run.setting.monotonic(),
        )
        listing = Listing(
            self.access.adapter.plants(session), key=lambda plant: plant.vendor_plant_id
        )
        try:
            sync(
                listing,
                sink,
                run.progress,
                batch_size=run.spec.batch_size,
                stop=run.setting.stop,
            )
        except ThrottledError as error:
            self.tokens.rest(error)
            raise
        if isinstance(listing.error, ThrottledError):
            self.tokens.rest(listing.error)
        return _outcome(run)


def _outcome(run: Run) -> Outcome:
    progress = run.progress
    if progress.error is not None:
        return Outcome(RunReason.LISTING_INCOMPLETE, f"the listing stopped early: {progress.error}")
    if not progress.complete:
        return Outcome(
            RunReason.LISTING_INCOMPLETE, "the vendor speaks of more plants than it listed"
        )
    if progress.counts.rejected:
        return Outcome(
            RunReason.RECORDS_REJECTED,
            "some records could not be stored; vendorsync.quarantine has the reason of each",
        )
    return Outcome()


def sync_plants(run: Run, inputs: Inputs) -> Outcome:
    """Do the part of a run that needs the database and the vendor."""
    with _opened(run, inputs) as stream:
        return stream.sync()


@contextmanager
def _opened(run: Run, inputs: Inputs) -> Iterator[PlantStream]:
    spec, setting, keys = run.spec, run.setting, inputs.token_keys
    database = Database(
        inputs.database_url,
        schema=spec.application_schema,
        organization_id=spec.organization.id,
        shield=setting.stop.shield,
        sleep=setting.stop.sleep,
    )
    run.redactor.add(*passwords(inputs.database_url))
    run.cancel = database.cancel
    access = open_access(
        spec,
        inputs.policy,
        inputs.credentials,
        mounts=setting.mounts,
        fingerprint_key=keys.fingerprint,
        deadline=run.deadline,
        sleep=setting.stop.sleep,
    )
    with closing(database), access as vendor:
        run.calls = vendor.calls
        table, vendor_id = _bind(run, database)
        tokens = AccountTokens(
            database,
            vendor.account,
            Ciphers(keys.keys, keys.current),
            clock=setting.now,
            on_token=run.redactor.add,
            writes=not setting.dry_run,
        )
        yield PlantStream(run, database, vendor, tokens, table, vendor_id)


def _bind(run: Run, database: Database) -> tuple[PlantTable, int | None]:
    """Check the database, and find out which vendors row the run belongs to."""
    dry_run = run.setting.dry_run

    def work(cursor: Cursor) -> tuple[PlantTable, int | None]:
        schema.check_version(cursor)
        table = schema.check_application(cursor, run.spec.application_schema)
        decide = bindings.find if dry_run else bindings.bind
        return table, decide(cursor, run.spec)

    table, vendor_id = database.retrying(work, read_only=dry_run)
    for column in table.ignored:
        log.warning("column plants.%s takes no value of ours and is left out", column)
    return table, vendor_id
