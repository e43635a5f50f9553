"""Another program that logs in to the same account: real sockets, a vendor with one live token."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from dev.simulators import Accounts, SungrowAccount, simulators
from tests.syncjob.builders import account, ciphers
from vendorsync_api.policy import Budget
from vendorsync_api.vendors import SUNGROW
from vendorsync_job.errors import AccountSharedError
from vendorsync_job.http import HttpVendorClient
from vendorsync_job.network import Endpoint
from vendorsync_job.ports import Purpose
from vendorsync_job.session import AccountSession
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.connection import Database
from vendorsync_job.store.ledger import Ledger, Spending
from vendorsync_job.vendors.sungrow import LOGIN_PATH, SungrowAdapter

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.fault("T7")]
WEST = SungrowAccount(
    name="west",
    appkey="sim-appkey-west",
    access_key="sim-access-key-west-000000000000",
    user_account="west@example.test",
    user_password="sim-password-west",
    user_id=300001,
    seed=51,
    plants=250,
    single_token=True,
)
CREDENTIALS = {
    "appKey": WEST.appkey,
    "secretKey": WEST.access_key,
    "userAccount": WEST.user_account,
    "userPassword": WEST.user_password,
}


@pytest.fixture
def cloud():
    with simulators(Accounts(sungrow=(WEST,))) as running:
        yield running


@contextmanager
def client(cloud, spend=lambda _: None):
    with HttpVendorClient(
        Endpoint(cloud.sungrow_url, allow_private=True, ca_file=cloud.ca_file),
        adapter_title="Sungrow",
        spend=spend,
    ) as opened:
        yield SungrowAdapter(opened, CREDENTIALS, SUNGROW.options())


def thief(cloud):
    with client(cloud) as adapter:
        adapter.authenticate()


def run(app, cloud, now, budgets=SUNGROW.budgets) -> int:
    """List the plants like a run of ours, all its parts wired together."""
    with (
        closing(Database(app.run_url)) as database,
        Ledger(database, account(), Spending(budgets, expected=3)) as ledger,
        client(cloud, ledger.spend) as adapter,
    ):
        tokens = AccountTokens(
            database,
            account(),
            ciphers(),
            TokenSettings(prepare=ledger.prepare),
            clock=lambda: now,
        )
        tokens.check()
        session = AccountSession(
            tokens, adapter.authenticate, lambda: now, on_refused=tokens.refused
        )
        return sum(len(page.records) for page in adapter.plants(session))


def logins(cloud) -> int:
    return len(cloud.calls(path=LOGIN_PATH))


@pytest.mark.fault("V4")
def test_a_thief_is_reported_and_no_storm_of_logins_follows(app, cloud):
    now = datetime.now(UTC)
    listed = [run(app, cloud, now)]
    outcomes = []
    for minute in range(1, 8):
        thief(cloud)
        stolen = logins(cloud)
        try:
            listed.append(run(app, cloud, now + timedelta(minutes=minute)))
        except AccountSharedError as error:
            outcomes.append(str(error))
            assert logins(cloud) == stolen

    assert listed == [250, 250, 250]
    assert len(outcomes) == 5
    assert len(set(outcomes)) == 1
    ours = len(cloud.calls()) - 7
    assert app.value("SELECT sum(calls) FROM vendorsync.calls") == ours

    listed.append(run(app, cloud, now + timedelta(minutes=64)))
    assert listed[-1] == 250


def test_a_theft_in_mid_listing_loses_no_page(app, cloud):
    now = datetime.now(UTC)
    run(app, cloud, now)
    with closing(Database(app.run_url)) as database, client(cloud) as adapter:
        tokens = AccountTokens(database, account(), ciphers(), TokenSettings(), clock=lambda: now)
        session = AccountSession(
            tokens, adapter.authenticate, lambda: now, on_refused=tokens.refused
        )
        pages = adapter.plants(session)
        seen = len(next(pages).records)
        thief(cloud)
        seen += sum(len(page.records) for page in pages)

    assert seen == 250
    assert app.value("SELECT cardinality(stolen_at) FROM vendorsync.accounts") == 1


def test_a_call_that_the_ledger_refuses_is_never_sent(app, cloud):
    bought = (Budget(calls=50, seconds=3_600),)
    with closing(Database(app.run_url)) as database:
        ledger = Ledger(database, account(), Spending(bought))
        for _ in range(50):
            ledger.spend(Purpose.LOGIN)
        with pytest.raises(Exception, match="is used up"):
            run(app, cloud, datetime.now(UTC), bought)

    assert cloud.calls() == []
