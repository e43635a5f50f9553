"""The calls of an account: one count for all its runs, kept by a real database."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.syncjob.builders import account
from vendorsync_api.policy import Budget
from vendorsync_job.errors import (
    BudgetSpentError,
    DatabaseUnavailableError,
    DetailsSpentError,
)
from vendorsync_job.ports import Purpose
from vendorsync_job.store.connection import Database
from vendorsync_job.store.ledger import Ledger, Spending

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V4")]
DAY = Budget(calls=200, seconds=86_400, reserve=20)
BURST = Budget(calls=10, seconds=10)
WRITES = "SELECT coalesce(sum(calls), 0) FROM vendorsync.calls WHERE seconds = %s"
CHANGES = (
    "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'calls'"
)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, now=1.7e9):
        self.now = now
        self.slept: list[float] = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(app, clock):
    """Ledgers of one account, each like that of another run."""

    def make(*budgets, of=None, url=app.run_url, **options):
        usual = {"clock": clock, "sleep": clock.sleep, "jitter": lambda: 0.0}
        database = Database(url, sleep=lambda _: None)
        names = Spending.__struct_fields__
        own = {name: options.pop(name) for name in names if name in options}
        spending = Spending(budgets or (DAY,), **own)
        return Ledger(database, of or account(), spending, **usual | options)

    return make


def spend(ledger, number, purpose=Purpose.LISTING):
    for _ in range(number):
        ledger.spend(purpose)


def spend_all(ledger, purpose=Purpose.LISTING) -> int:
    sent = 0
    with contextlib.suppress(BudgetSpentError):
        while True:
            ledger.spend(purpose)
            sent += 1
    return sent


def test_an_allowance_that_is_used_up_stays_so_for_every_run_until_it_turns(ledger, clock):
    assert spend_all(ledger()) == 200
    for _ in range(3):
        with pytest.raises(BudgetSpentError) as caught:
            ledger().spend(Purpose.LOGIN)
    wait = caught.value.rest
    assert 86_400 < wait < 86_400 * 27 / 24

    clock.now += wait - 1
    assert spend_all(ledger()) == 0
    clock.now += 2
    assert spend_all(ledger()) == 200


def test_other_accounts_are_not_concerned(ledger):
    spend_all(ledger())

    ledger(of=account(key=b"o" * 32)).spend(Purpose.LISTING)


def test_details_stop_at_the_reserve_and_logins_and_listings_do_not(ledger):
    assert spend_all(ledger(), Purpose.DETAIL) == 180
    with pytest.raises(BudgetSpentError, match="but for the 20 that are kept"):
        ledger().spend(Purpose.DETAIL)
    assert spend_all(ledger(), Purpose.LOGIN) == 20


def test_a_run_stops_its_calls_about_plants_at_its_share_and_goes_on_with_others(app, ledger):
    with ledger(details=3) as run:
        assert spend_all(run, Purpose.DETAIL) == 3
        spend(run, 2, Purpose.LOGIN)
        spend(run, 2, Purpose.LISTING)

    assert app.value(WRITES, 86_400) == 7
    assert spend_all(ledger(details=3), Purpose.DETAIL) == 3


def test_a_share_that_is_used_up_is_told_in_the_same_words_each_time_without_asking(ledger):
    messages = []
    for _ in range(2):
        run = ledger(details=1)
        run.spend(Purpose.DETAIL)
        run.settle()
        with pytest.raises(DetailsSpentError) as caught:
            run.spend(Purpose.DETAIL)
        messages.append(str(caught.value))

    assert messages == 2 * [
        "this run's share of the account's allowance, 1 call about single plants, is used up; the"
        " next run goes on with the plants that are left"
    ]


def test_a_share_is_no_right_to_calls_that_the_account_no_longer_has(ledger):
    spend(ledger(), 178)

    run = ledger(details=5)
    with pytest.raises(DetailsSpentError, match="but for the 20 that are kept"):
        spend(run, 5, Purpose.DETAIL)
    with pytest.raises(DetailsSpentError, match="share"):
        ledger(details=0).spend(Purpose.DETAIL)


def test_logins_and_listings_without_room_are_not_taken_for_details(ledger):
    spend_all(ledger())

    with pytest.raises(BudgetSpentError) as caught:
        ledger().spend(Purpose.LISTING)
    assert not isinstance(caught.value, DetailsSpentError)


def test_a_block_that_reaches_into_the_reserve_holds_no_details(ledger):
    spent, mixed = ledger(), ledger()
    spend(spent, 179)
    spent.settle()
    mixed.spend(Purpose.LISTING)
    mixed.spend(Purpose.LISTING)

    with pytest.raises(BudgetSpentError):
        mixed.spend(Purpose.DETAIL)
    assert spend_all(mixed) == 19


def test_what_was_not_sent_is_given_back(app, ledger):
    with ledger(expected=4) as run:
        spend(run, 2)
        assert app.value(WRITES, 86_400) == 4
    run.settle()

    assert app.value(WRITES, 86_400) == 2


@pytest.mark.fault("D6")
def test_the_block_of_a_killed_run_stays_counted_and_is_small(app, ledger):
    spend(ledger(expected=3), 1)
    long = ledger(expected=3)
    spend(long, 5)

    assert app.value(WRITES, 86_400) - 6 <= 2 * DAY.calls // 50


@pytest.mark.fault("D8")
def test_an_ordinary_run_writes_twice_at_most_and_keeps_few_rows(app, ledger, clock):
    def run(calls):
        with ledger(expected=4) as run:
            spend(run, calls)

    def changes():
        app.await_sessions_end()
        return app.value(CHANGES)

    run(3)
    before = changes()
    run(3)
    run(4)
    assert changes() - before == 2 + 1
    for _ in range(100):
        clock.now += 3600
        run(1)
    assert app.value("SELECT count(*) FROM vendorsync.calls") <= 27
    before = changes()
    clock.now += 3600
    run(4)
    assert changes() - before == 1


def test_without_an_allowance_the_database_is_left_alone(ledger):
    free = Ledger(Database("postgresql://nobody@127.0.0.1:1/none"), account(), Spending(()))

    spend(free, 3)
    free.prepare()
    free.settle()
    assert free.remaining() is None


def test_short_windows_make_a_run_wait_and_never_let_too_many_through(ledger, clock):
    run, sent = ledger(BURST), []
    for _ in range(55):
        run.spend(Purpose.LISTING)
        sent.append(clock.now)

    assert clock.slept
    assert max(clock.slept) < 17
    for first, eleventh in zip(sent, sent[10:], strict=False):
        assert eleventh - first >= 10


def test_the_wait_for_a_short_window_has_an_end(ledger):
    with pytest.raises(BudgetSpentError, match="10 calls in 10 seconds"):
        spend(ledger(BURST, patience=5.0), 11)


def test_a_long_window_is_not_waited_for(ledger, clock):
    spend_all(ledger(BURST, DAY))

    assert sum(clock.slept) < 400
    with pytest.raises(BudgetSpentError, match="200 calls in 1 day"):
        ledger(BURST, DAY).spend(Purpose.LISTING)


def test_a_call_counts_in_every_allowance(app, ledger):
    with ledger(BURST, DAY) as run:
        spend(run, 5)

    assert app.value(WRITES, 86_400) == 5
    assert app.value(WRITES, 10) >= 5


def test_a_call_that_was_reserved_long_ago_is_counted_anew(app, ledger, clock):
    run = ledger(expected=4)
    spend(run, 1)
    clock.now += 7300
    spend(run, 1)

    assert app.rows("SELECT calls FROM vendorsync.calls ORDER BY slice") == [(1,), (4,)]


def test_what_remains_is_told_of_the_tightest_lasting_allowance(ledger):
    month = Budget(calls=1000, seconds=30 * 86_400)
    run = ledger(BURST, DAY, month)

    assert run.remaining() == 200
    spend(run, 3)
    assert run.remaining() == 197
    run.settle()
    assert run.remaining() == ledger(DAY).remaining() == 197
    assert ledger(BURST).remaining() is None


def test_a_smaller_allowance_of_a_new_release_holds_at_once(ledger):
    spend(ledger(), 100)

    assert spend_all(ledger(Budget(calls=50, seconds=86_400))) == 0


def test_rows_of_an_allowance_that_is_gone_are_deleted_when_they_are_over(app, ledger, clock):
    spend(ledger(DAY, BURST), 1)
    clock.now += 100
    spend(ledger(DAY), 1)

    assert app.value("SELECT count(*) FROM vendorsync.calls WHERE seconds = 10") == 0


@pytest.mark.fault("T5")
def test_a_clock_that_was_set_back_neither_frees_nor_locks_the_account(ledger, clock):
    clock.now += 365 * 86_400
    spend(ledger(), 50)
    clock.now -= 365 * 86_400
    assert spend_all(ledger()) <= 150

    clock.now += 86_400 * 27 / 24
    assert spend_all(ledger()) == 200


def test_runs_at_once_share_one_count(ledger):
    runs = [ledger(expected=7) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(spend_all, runs))

    assert sum(sent) == 200


def test_threads_of_one_run_share_its_block(app, ledger):
    run = ledger(expected=4)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: run.spend(Purpose.LISTING), range(40)))
    run.settle()

    assert app.value(WRITES, 86_400) == 40


@pytest.mark.fault("D1")
def test_without_the_database_nothing_is_sent(ledger):
    away = ledger(url="postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(DatabaseUnavailableError):
        away.spend(Purpose.LISTING)


@pytest.mark.fault("D2")
def test_a_lost_commit_counts_calls_twice_and_never_not_at_all(app, ledger, monkeypatch):
    """The server dies after the commit, before the run hears of it; then all is done again."""
    run = ledger(expected=4)
    spend(run, 1)
    take, tries = run._taken, []

    def breaks_once(*arguments):
        tries.append(1)
        if len(tries) == 1:
            raise DatabaseUnavailableError("the commit's answer got lost")
        return take(*arguments)

    run._taken = breaks_once
    run._block.sent = 3
    run._block.until = 0.0
    run.spend(Purpose.LISTING)

    assert app.value(WRITES, 86_400) == 8


@pytest.mark.fault("D1")
def test_a_run_that_cannot_give_back_ends_all_the_same(app, ledger, caplog):
    run = ledger(expected=4)
    spend(run, 1)
    app.do("ALTER TABLE vendorsync.calls RENAME TO gone")

    run.settle()

    assert "stay counted" in caplog.text


def test_a_login_may_be_counted_while_its_transaction_is_open(app, ledger):
    run = ledger()
    run.spend(Purpose.LISTING)
    run.settle()
    with app.transaction() as cursor:
        cursor.execute("SELECT FROM vendorsync.accounts FOR NO KEY UPDATE")
        run.spend(Purpose.LOGIN)


def test_a_prepared_login_needs_no_connection(app, ledger):
    run = ledger()
    run.prepare()
    app.do("ALTER TABLE vendorsync.calls RENAME TO gone")

    run.spend(Purpose.LOGIN)


def test_without_a_clock_the_databases_counts(app):
    with Ledger(Database(app.run_url), account(), Spending((DAY,))) as run:
        run.spend(Purpose.LISTING)

    now = app.value("SELECT floor(extract(epoch FROM now()) / 3600)::bigint")
    assert abs(app.value("SELECT slice FROM vendorsync.calls") - now) <= 1


def test_a_wait_holds_no_lock(ledger, clock):
    """While one run waits for its window, another one of the account may look and be refused."""
    other = ledger(BURST, patience=0.0)
    refused = threading.Event()

    def sleep(seconds):
        with contextlib.suppress(BudgetSpentError):
            other.spend(Purpose.LISTING)
            pytest.fail("the window is full")
        refused.set()
        clock.sleep(seconds)

    spend(ledger(BURST, sleep=sleep), 11)
    assert refused.is_set()
