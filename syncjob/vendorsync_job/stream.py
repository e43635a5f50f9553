"""One stream of a run: from the database's checks to its last transaction."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from vendorsync_api.reasons import RunReason, Trigger
from vendorsync_job.access import access_of
from vendorsync_job.errors import SyncError, ThrottledError
from vendorsync_job.logs import context
from vendorsync_job.ports import RenewingAdapter
from vendorsync_job.report import Outcome
from vendorsync_job.session import AccountSession
from vendorsync_job.sources import Absence, Alerts, Plants
from vendorsync_job.store import bindings, schema
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.allowances import Declarer
from vendorsync_job.store.ciphers import Ciphers
from vendorsync_job.store.comparison import RecordComparison
from vendorsync_job.store.connection import Database
from vendorsync_job.store.ledger import Ledger, Spending
from vendorsync_job.store.legacy import LegacyColumns
from vendorsync_job.store.place import Place
from vendorsync_job.store.run_row import RunRow
from vendorsync_job.store.slots import Slot
from vendorsync_job.store.stored_run import StoredRun, StoredRunSettings
from vendorsync_job.store.url import passwords
from vendorsync_job.store.vanish import Guard
from vendorsync_job.sync import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vendorsync_api.policy import Budget, VendorPolicy
    from vendorsync_api.run import RunSpec
    from vendorsync_job.models import Account
    from vendorsync_job.ports import VendorAdapter
    from vendorsync_job.run import Inputs, Run
    from vendorsync_job.sources import Source
    from vendorsync_job.store.connection import Cursor
    from vendorsync_job.store.tables import RecordTable
    from vendorsync_job.sync import Sink

log = logging.getLogger(__name__)

BUILT_IN_ZONE = "Asia/Kolkata"


class OpenStream(Struct, frozen=True):
    """A run on open connections."""

    run: Run
    policy: VendorPolicy
    database: Database
    account: Account
    adapter: VendorAdapter
    ledger: Ledger
    tokens: AccountTokens
    table: RecordTable
    place: Place

    def sync(self) -> Outcome:
        """List the records and write them, or in a dry run only compare."""
        self.tokens.check()
        with context(vendorId=self.place.vendor_id):
            return self._compare() if self.run.setting.dry_run else self._write()

    def _compare(self) -> Outcome:
        source = self._source()
        rows = source.rows(self.database, self.table, self.place)
        full = self.run.setting.full_compare
        sink = RecordComparison(self.database, self.table, self.place, rows, full=full)
        with self._place_at_vendor(self.run.setting.stop.sleep):
            return self._list(source, sink, None)

    def _write(self) -> Outcome:
        run, source = self.run, self._source()
        stored = self._stored(source)
        stored.begin()
        outcome = run.guarded(lambda: self._list_in_turn(source, stored))
        try:
            stored.finish(run.report(outcome))
        except SyncError as error:
            if outcome.reason is not RunReason.SYNCED:
                log.warning("the run's row could not be closed: %s", error)
                return outcome
            run.progress.complete = False
            return Outcome.of(error)
        return outcome

    def _stored(self, source: Source) -> StoredRun[Any]:
        run, spec = self.run, self.run.spec
        row = RunRow(
            id=run.id,
            vendor_id=self.place.vendor_id or 0,
            organization_id=spec.organization.id,
            stream=spec.stream,
            job=run.setting.job_name,
            trigger=run.trigger.value,
            started_at=run.started,
        )
        settings = StoredRunSettings(
            owner=self._owner,
            writers=spec.concurrency_limit,
            guard=Guard(spec.vanish_after, spec.vanish_guard_percent),
            full_compare_hours=0 if run.setting.full_compare else spec.full_compare_hours,
        )
        rows = source.rows(self.database, self.table, self.place)
        return StoredRun(
            self.database,
            self.table,
            self.place,
            row,
            rows,
            settings,
            sleep=run.setting.stop.sleep,
        )

    @property
    def _owner(self) -> str:
        # Two namespaces may have Jobs of one name that work for one account.
        job = self.run.setting.job_name
        return f"{self.run.spec.resource.namespace}/{job}" if job else str(self.run.id)

    def _source(self) -> Source:
        run, policy, adapter = self.run, self.policy, self.adapter
        if run.spec.stream == "alerts" and policy.alerts is not None:
            schedule = run.spec.schedule
            zone = BUILT_IN_ZONE if schedule is None else schedule.time_zone
            return Alerts(adapter, policy.alerts, self.database, self.place, run.started, zone)
        return Plants(adapter)

    def _list_in_turn(self, source: Source, stored: StoredRun[Any]) -> Outcome:
        def wait(seconds: float) -> None:
            self.run.setting.stop.sleep(seconds)
            stored.records.renew()

        with self._place_at_vendor(wait):
            return self._list(source, stored.records, stored)

    @contextmanager
    def _place_at_vendor(self, sleep: Callable[[float], None]) -> Iterator[None]:
        slot = Slot(
            self.database,
            self.policy,
            self.account,
            owner=self._owner,
            deadline=self.run.deadline,
            leaves_one=self.run.spec.stream != "plants",
            clock=self.run.setting.monotonic,
            sleep=sleep,
        )
        with slot:
            # Whoever had the place before may have met a refusal.
            self.tokens.check()
            yield

    def _list(self, source: Source, sink: Sink[Any], stored: StoredRun[Any] | None) -> Outcome:
        run = self.run
        session = AccountSession(
            self.tokens,
            self.adapter.authenticate,
            run.setting.now,
            needed=run.deadline - run.setting.monotonic(),
            on_refused=self.tokens.refused,
        )
        pages = source.pages(session, stored)
        try:
            sync(pages, sink, run.progress, batch_size=run.spec.batch_size, stop=run.setting.stop)
        except ThrottledError as error:
            self.tokens.rest(error)
            raise
        if isinstance(pages.error, ThrottledError):
            self.tokens.rest(pages.error)
        elif pages.error is None:
            self.tokens.answered()
        run.budget_remaining = self.ledger.remaining()
        gap = source.gap(pages)
        run.progress.complete = run.progress.complete and not gap
        absence = Absence() if stored is None else source.absent(pages, stored)
        run.progress.counts = replace(run.progress.counts, vanished=absence.marked)
        if pages.share_spent:
            return Outcome(RunReason.BUDGET_SPENT, str(pages.error))
        return _outcome(run, gap=gap, held=absence.is_held)


def _outcome(run: Run, *, gap: str, held: bool) -> Outcome:
    progress = run.progress
    if progress.error is not None:
        return Outcome(RunReason.LISTING_INCOMPLETE, f"the listing stopped early: {progress.error}")
    if not progress.complete:
        return Outcome(
            RunReason.LISTING_INCOMPLETE, gap or "the vendor speaks of more records than it listed"
        )
    if held:
        return Outcome(
            RunReason.VANISH_HELD,
            f"a complete listing lacks more than {run.spec.vanish_guard_percent} % of the plants"
            " that are stored, so none was marked as vanished"
            + ("; some records could not be stored either" if progress.counts.rejected else ""),
        )
    if progress.counts.rejected:
        return Outcome(
            RunReason.RECORDS_REJECTED,
            "some records could not be stored; vendorsync.quarantine has the reason of each",
        )
    return Outcome()


def sync_stream(run: Run, inputs: Inputs) -> Outcome:
    """Do the part of a run that needs the database and the vendor."""
    with _opened(run, inputs) as stream:
        return stream.sync()


@contextmanager
def _opened(run: Run, inputs: Inputs) -> Iterator[OpenStream]:
    spec, setting, policy = run.spec, run.setting, inputs.policy
    database = Database(
        inputs.database_url,
        schema=spec.application_schema,
        organization_id=spec.organization.id,
        shield=setting.stop.shield,
        sleep=setting.stop.sleep,
    )
    run.redactor.add(*passwords(inputs.database_url))
    run.cancel = database.cancel
    access = access_of(
        spec,
        policy,
        inputs.credentials,
        mounts=setting.mounts,
        fingerprint_key=inputs.token_keys.fingerprint,
    )
    ledger = _ledger(run, policy, database, access.account)
    opened = access.open(deadline=run.deadline, sleep=setting.stop.sleep, spend=ledger.spend)
    with closing(database), opened as vendor, ledger:
        run.calls = vendor.calls
        table, legacy, vendor_id = _bind(run, database)
        tokens = AccountTokens(
            database,
            access.account,
            Ciphers(inputs.token_keys.keys, inputs.token_keys.current),
            _token_settings(run, vendor.adapter, ledger, legacy),
            clock=setting.now,
            sleep=setting.stop.sleep,
        )
        place = Place(spec.application_schema, spec.organization.id, vendor_id)
        yield OpenStream(
            run, policy, database, access.account, vendor.adapter, ledger, tokens, table, place
        )


def _ledger(run: Run, policy: VendorPolicy, database: Database, account: Account) -> Ledger:
    spec, setting = run.spec, run.setting
    spending = Spending(
        _budgets(spec, policy),
        declarer=_declarer(spec) if not setting.dry_run else None,
        expected=_expected(spec, policy),
        details=spec.detail_calls,
    )
    return Ledger(database, account, spending, sleep=setting.stop.sleep)


def _token_settings(
    run: Run, adapter: VendorAdapter, ledger: Ledger, legacy: LegacyColumns
) -> TokenSettings:
    return TokenSettings(
        writes=not run.setting.dry_run,
        asks=run.trigger is not Trigger.SCHEDULE,
        prepare=ledger.prepare,
        renew=adapter.renew if isinstance(adapter, RenewingAdapter) else None,
        legacy=legacy,
        on_token=run.redactor.add,
        redact=run.redactor,
    )


def _budgets(spec: RunSpec, policy: VendorPolicy) -> tuple[Budget, ...]:
    """Return what the operator holds calls against; an older one leaves that to the policy."""
    if spec.allowances is None:
        return policy.budgets_of(None)
    return tuple(allowance.budget for allowance in spec.allowances)


def _declarer(spec: RunSpec) -> Declarer:
    return Declarer(spec.organization.id, spec.vendor.name)


def _expected(spec: RunSpec, policy: VendorPolicy) -> int:
    """Return the calls of an ordinary run."""
    alerts = policy.alerts if spec.stream == "alerts" else None
    return (alerts or policy).calls_per_run


def _bind(run: Run, database: Database) -> tuple[RecordTable, LegacyColumns, int | None]:
    """Check the database, and find out which vendors row the run belongs to."""
    spec, dry_run = run.spec, run.setting.dry_run

    def work(cursor: Cursor) -> tuple[RecordTable, LegacyColumns, int | None]:
        schema.check_version(cursor)
        table = schema.check_application(cursor, spec.application_schema, spec.stream)
        decide = bindings.find if dry_run else bindings.bind
        vendor_id = decide(cursor, spec)
        legacy = LegacyColumns(spec.legacy_tokens, spec.application_schema, vendor_id)
        legacy.check(cursor)
        return table, legacy, vendor_id

    table, legacy, vendor_id = database.retrying(work, read_only=dry_run)
    for column in table.ignored:
        log.warning("column %s.%s takes no value of ours and is left out", table.name, column)
    return table, legacy, vendor_id
