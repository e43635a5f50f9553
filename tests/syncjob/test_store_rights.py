"""The run role has no right that the job does without: each one is taken away in turn."""

import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial

import psycopg
import pytest

from tests.syncjob.builders import (
    NOON,
    account,
    alert,
    ciphers,
    plant,
    plants,
    record_table,
    run_report,
    run_spec,
    settle,
    stored_run,
)
from vendorsync_api.policy import Budget, Source
from vendorsync_api.run import LegacyTokens
from vendorsync_api.vendors import SOLARMAN
from vendorsync_job.errors import CredentialsRejectedError, SyncError
from vendorsync_job.models import Rejection, Token
from vendorsync_job.ports import Purpose
from vendorsync_job.store import bindings, schema
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.active_plants import active_plants
from vendorsync_job.store.allowances import Declarer
from vendorsync_job.store.columns import ALERT, PLANT
from vendorsync_job.store.ledger import Ledger, Spending
from vendorsync_job.store.legacy import LegacyColumns
from vendorsync_job.store.place import Place
from vendorsync_job.store.rights import NEW_ORGANIZATION, OURS, THEIRS, WHOLE
from vendorsync_job.store.slots import Slot

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R25")]


def bind(app):
    with app.transaction() as cursor:
        schema.check_version(cursor)
        vendor_id = bindings.bind(cursor, run_spec())
    anew = {"namespace": "solar", "name": "organization-a", "uid": "uid-new"}
    with app.transaction() as cursor:
        bindings.bind(cursor, run_spec(resource=anew))
    return vendor_id


def use_tokens(app, vendor_id):
    def login():
        return Token("fresh", NOON + timedelta(hours=2), NOON)

    def refuse():
        raise CredentialsRejectedError("no")

    with app.database(sleep=lambda _: None) as database:
        legacy = LegacyColumns(LegacyTokens.READ_WRITE, "public", vendor_id)

        def tokens(of):
            settings = TokenSettings(legacy=legacy)
            return AccountTokens(database, of, ciphers(), settings, clock=lambda: NOON)

        tokens(account()).refresh(None, login)
        assert app.value("SELECT access_token FROM vendors") == "fresh"
        assert app.value("SELECT token_metadata IS NOT NULL FROM vendors")
        assert app.value("SELECT token_expires_at IS NOT NULL FROM vendors")
        assert tokens(account()).current().value == "fresh"
        app.do("UPDATE vendors SET token_expires_at = '2020-01-01'")
        other = tokens(account(key=b"o" * 32))
        with pytest.raises(CredentialsRejectedError):
            other.refresh(None, refuse)
        assert app.value("SELECT count(*) FROM vendorsync.blocks") == 1


def use_budget(app):
    clock = iter(range(0, 10_000_000, 90_000))
    day = Budget(calls=5, seconds=86_400, source=Source.DECLARED)
    budgets = (day, replace(day, seconds=3600))
    declarer = Declarer(3, "solarman")

    def spend(budgets, now):
        with (
            app.database(sleep=lambda _: None) as database,
            Ledger(
                database, account(), Spending(budgets, declarer), clock=partial(float, now)
            ) as ledger,
        ):
            ledger.spend(Purpose.LISTING)

    for _ in range(2):
        spend(budgets, next(clock))
    # An allowance that nobody has any more is cleared away once it is over.
    spend(budgets[:1], 9e6)
    assert app.value("SELECT count(*) FROM vendorsync.allowances") == 1


def use_slot(app):
    with app.database(sleep=lambda _: None) as database:
        slot = Slot(database, SOLARMAN, account(), owner="job", deadline=1e9)
        assert slot.attempt() is None
        slot.free()
        assert app.value("SELECT max(owner) FROM vendorsync.slots") == ""


def run(app, vendor_id, tables, stream, *batches, rejected=()):
    app.rows(
        "INSERT INTO vendorsync.runs (id, vendor_id, organization_id, stream, job, trigger,"
        " started_at) VALUES (%s, %s, 3, %s, 'old', 'Manual', '2020-01-01') RETURNING id",
        uuid.uuid4(),
        vendor_id,
        stream,
    )
    # The tables were looked at before a right was taken away; the pre-flight would name it.
    table = tables[stream]
    with stored_run(app, vendor_id=vendor_id, stream=stream, table=table, vanish_after=1) as stored:
        for batch in batches:
            settle(stored.records, batch, rejected)
            stored.set_cursor(f"after {len(batch)}")
        keys = {getattr(record, table.key) for batch in batches for record in batch}
        if stream == "plants":
            stored.retire(keys.__contains__)
        else:
            stored.end_absent(keys.__contains__)
        stored.finish(run_report())
    assert app.value("SELECT count(*) FROM vendorsync.runs WHERE job = 'old'") == 0


def everything(app, tables) -> None:
    """Use each store function, and look for what only logs its failure."""
    vendor_id = bind(app)
    use_tokens(app, vendor_id)
    use_budget(app)
    use_slot(app)
    rejection = Rejection("x", "no name", {"id": 1})
    run(app, vendor_id, tables, "plants", plants(1001), rejected=[rejection])
    app.do("DELETE FROM plants WHERE vendor_plant_id = '1001'")
    run(app, vendor_id, tables, "plants", [plant(key, name="X") for key in range(2, 1000)])
    assert app.value("SELECT count(*) FROM plants WHERE vanished_at IS NOT NULL") == 2
    with app.database() as database:
        assert active_plants(database, Place("public", 3, vendor_id))
    run(app, vendor_id, tables, "alerts", [alert(1, 2), alert(2, 2)])
    run(app, vendor_id, tables, "alerts", [alert(1, 2, title="Other")])
    assert app.value("SELECT count(*) FROM alerts WHERE status = 'resolved'") == 1


def rights():
    """Right, table and columns; a row of plants and of alerts is always written whole."""
    for table, granted in OURS.items():
        for right in granted:
            yield right, f"vendorsync.{table}", ()
    for table, granted in THEIRS.items():
        for right, columns in granted.items():
            if columns == WHOLE or table in {"plants", "alerts"}:
                yield right, table, columns
            else:
                yield from ((right, table, (column,)) for column in columns)
    yield from (("INSERT", "organizations", (column,)) for column in NEW_ORGANIZATION)


def statement(right, table, columns) -> str:
    listed = f" ({', '.join(columns)})" if columns else ""
    return f"REVOKE {right}{listed} ON {table} FROM vendorsync_run"


@pytest.fixture
def tables(app):
    return {stream: record_table(app, stream) for stream in ("plants", "alerts")}


def test_all_rights_together_are_enough(app, tables):
    everything(app, tables)


@pytest.mark.parametrize(
    "right", list(rights()), ids=lambda right: " ".join([right[0], right[1], *right[2][:1]])
)
def test_no_right_is_superfluous(app, tables, right):
    what, table, names = right
    if table in tables and names:
        # Those of other applications' tables are granted where they exist.
        ours = {*tables[table].columns, "vanished_at", "updated_at"}
        names = tuple(name for name in names if name in ours)
    app.do(statement(what, table, names))

    with pytest.raises((SyncError, psycopg.errors.InsufficientPrivilege, AssertionError)):
        everything(app, tables)


@pytest.mark.parametrize("stream", ["plants", "alerts"])
def test_columns_that_may_be_updated_are_those_that_are_owned(tables, stream):
    table = tables[stream]
    vanished = {"vanished_at"} if table.marks_vanished else set()

    holders = {"plants": PLANT, "alerts": ALERT}[stream]
    elsewhere = {holder.name for holder in holders} - {*table.columns}

    assert set(THEIRS[stream]["UPDATE"]) == {*table.columns, *elsewhere, "updated_at"} | vanished
