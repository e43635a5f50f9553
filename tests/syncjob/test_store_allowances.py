"""What several resources declare of one account or app of a vendor, on a real database."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from msgspec import structs

from tests.syncjob.builders import account
from vendorsync_api.policy import Budget, Scope, Source
from vendorsync_job.errors import BudgetSpentError, DetailsSpentError
from vendorsync_job.ports import Purpose
from vendorsync_job.store.allowances import Declarer
from vendorsync_job.store.connection import Database
from vendorsync_job.store.ledger import Ledger, Spending

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V4")]
DAY, YEAR = 86_400, 365 * 86_400
APP = b"p" * 32
NORTH = structs.replace(account(key=b"n" * 32), app=APP)
SOUTH = structs.replace(account(key=b"s" * 32), app=APP)
ELSEWHERE = structs.replace(account(key=b"e" * 32), app=b"q" * 32)
A, B = Declarer(3, "solarman"), Declarer(4, "solarman")
REPORTED = Budget(calls=100, seconds=DAY, reserve=10, per=Scope.APP, source=Source.REPORTED)
DECLARATIONS = (
    "SELECT organization_id, seconds, calls FROM vendorsync.allowances"
    " ORDER BY organization_id, seconds"
)
CHANGES = (
    "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'allowances'"
)


def bought(calls, seconds=DAY, per=Scope.APP):
    return Budget(calls=calls, seconds=seconds, per=per, source=Source.DECLARED)


class Clock:
    def __init__(self):
        self.now = 1.7e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(app, clock):
    """Ledgers of runs: each has an account, what its resource says, and whose that is."""

    def make(of, *budgets, declarer=None):
        database = Database(app.run_url, sleep=lambda _: None)
        return Ledger(database, of, Spending(budgets, declarer), clock=clock)

    return make


def sent(ledger, most=10_000, purpose=Purpose.LISTING):
    """Spend until there is no more; return how many calls were sent."""
    number = 0
    with contextlib.suppress(BudgetSpentError), ledger:
        while number < most:
            ledger.spend(purpose)
            number += 1
    return number


def test_accounts_of_one_app_share_what_is_counted_per_app_and_nothing_else(ledger):
    month = bought(150, 30 * DAY, Scope.ACCOUNT)

    assert sent(ledger(NORTH, bought(200), month)) == 150
    assert sent(ledger(SOUTH, bought(200), month)) == 50
    assert sent(ledger(ELSEWHERE, bought(200), month)) == 150


def test_the_smallest_that_any_resource_of_an_app_declares_holds_for_all(ledger):
    assert sent(ledger(SOUTH, bought(80), declarer=B), most=1) == 1
    assert sent(ledger(NORTH, bought(200), declarer=A)) == 79
    assert sent(ledger(SOUTH, bought(80), declarer=B)) == 0
    assert ledger(NORTH, bought(200), declarer=A).remaining() == 0


def test_runs_at_once_of_two_resources_never_send_more_than_the_smallest(ledger):
    sent(ledger(NORTH, bought(90), declarer=A), most=1)
    runs = [ledger(NORTH, bought(90), declarer=A) for _ in range(4)]
    runs += [ledger(SOUTH, bought(300), declarer=B) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(sent, runs)) == 89


def test_a_resource_that_declares_nothing_keeps_to_what_another_of_its_app_declares(ledger):
    sent(ledger(SOUTH, bought(80), declarer=B), most=1)

    assert sent(ledger(NORTH, REPORTED, declarer=A)) == 79


def test_more_than_users_report_may_be_declared_by_any_resource_of_the_app(ledger):
    sent(ledger(SOUTH, bought(500), declarer=B), most=1)

    run = ledger(NORTH, REPORTED, declarer=A)
    assert run.remaining() == 499
    assert sent(run, purpose=Purpose.DETAIL) == 489


def test_what_another_declares_over_another_time_is_counted_too(app, ledger):
    sent(ledger(SOUTH, bought(80, 7 * DAY), declarer=B), most=1)

    assert sent(ledger(NORTH, bought(200), declarer=A)) == 79
    assert app.value("SELECT sum(calls) FROM vendorsync.calls WHERE seconds = %s", 7 * DAY) == 80


def test_what_is_declared_of_one_account_holds_for_each_resource_that_has_it(ledger):
    own = bought(80, per=Scope.ACCOUNT)
    sent(ledger(NORTH, own, declarer=A), most=1)

    assert sent(ledger(NORTH, replace(own, calls=200), declarer=B)) == 79
    assert sent(ledger(SOUTH, replace(own, calls=200), declarer=B)) == 200


def test_an_edit_that_declares_more_or_nothing_holds_with_the_next_run(app, ledger):
    sent(ledger(NORTH, bought(50), bought(60, YEAR), declarer=A), most=1)
    sent(ledger(NORTH, bought(90), declarer=A), most=1)
    assert app.rows(DECLARATIONS) == [(3, DAY, 90)]
    assert sent(ledger(SOUTH, bought(200), declarer=B)) == 88

    sent(ledger(NORTH, REPORTED, declarer=A), most=1)
    assert app.rows(DECLARATIONS) == [(4, DAY, 200)]


def test_what_the_policy_knows_is_not_written_down(app, ledger):
    sent(ledger(NORTH, REPORTED, Budget(50, YEAR), declarer=A), most=1)
    sent(ledger(NORTH, bought(50)), most=1)

    assert app.rows(DECLARATIONS) == []


def test_a_declaration_is_written_once_a_day(app, ledger, clock):
    def changes():
        app.await_sessions_end()
        return app.value(CHANGES)

    def run():
        sent(ledger(NORTH, bought(50_000, YEAR), declarer=A), most=3)

    run()
    before = changes()
    for _ in range(23):
        clock.now += 3_600
        run()
    assert changes() == before
    clock.now += 3_600
    run()
    assert changes() == before + 1


def test_what_nobody_declares_any_more_is_forgotten_after_a_week_and_cleared_away(
    app, ledger, clock
):
    """The resource is gone, or its vendor."""
    sent(ledger(SOUTH, bought(80), declarer=B), most=1)
    clock.now += 7 * DAY - 1
    assert sent(ledger(NORTH, bought(200), declarer=A)) == 80

    clock.now += 2 * DAY
    assert sent(ledger(NORTH, bought(200), declarer=A)) == 200
    assert app.rows(DECLARATIONS) == [(3, DAY, 200)]


def test_a_figure_that_only_users_report_stops_calls_about_plants_alone(ledger):
    assert sent(ledger(NORTH, REPORTED), purpose=Purpose.DETAIL) == 90
    assert sent(ledger(NORTH, REPORTED), most=30) == 30
    assert sent(ledger(NORTH, REPORTED), most=5, purpose=Purpose.LOGIN) == 5

    run = ledger(NORTH, REPORTED)
    assert run.remaining() == 0
    with pytest.raises(DetailsSpentError, match="the app's allowance of 100 calls in 1 day, as"):
        run.spend(Purpose.DETAIL)


def test_calls_that_were_counted_per_account_until_now_count_on_for_its_app(app, ledger):
    """Else an upgrade, or a vendor that turns out to count per app, would forget a year's calls."""
    sent(ledger(NORTH, bought(200, per=Scope.ACCOUNT)), most=120)
    sent(ledger(SOUTH, bought(200, per=Scope.ACCOUNT)), most=30)

    run = ledger(NORTH, bought(200))
    assert run.remaining() == 80
    sent(run, most=1)
    assert sent(ledger(SOUTH, bought(200))) == 49
    assert app.rows("SELECT DISTINCT account_key FROM vendorsync.calls") == [(APP,)]


def test_an_account_whose_vendor_has_no_apps_counts_for_itself(app, ledger):
    assert sent(ledger(account(), bought(60))) == 60
    assert app.value("SELECT DISTINCT account_key FROM vendorsync.calls") == account().key


def test_a_run_without_an_allowance_of_its_own_keeps_to_what_others_of_its_app_declare(ledger):
    assert sent(ledger(NORTH), most=300) == 300
    assert ledger(NORTH).remaining() is None
    sent(ledger(SOUTH, bought(80), declarer=B), most=1)

    assert sent(ledger(NORTH)) == 79
