import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta

import psycopg
import pytest
from msgspec.structs import replace

from dev.database.pooler import pooler
from dev.stack.waiting import until
from tests.syncjob.builders import NOON, RUN_PASSWORD, account, ciphers
from vendorsync_job.errors import (
    AccountLockedError,
    AccountSharedError,
    BudgetSpentError,
    CredentialsRejectedError,
    DatabaseUnavailableError,
    QuotaExhaustedError,
    ThrottledError,
    TokenExpiredError,
    VendorUnavailableError,
)
from vendorsync_job.models import Grant, Token
from vendorsync_job.session import AccountSession
from vendorsync_job.store.account_row import ensure_account
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.ciphers import Ciphers
from vendorsync_job.store.connection import Database
from vendorsync_job.store.exchange import Exchange

pytestmark = pytest.mark.postgres


class Vendor:
    """Hands out numbered tokens that live an hour, or raises what it is told to."""

    def __init__(self, error=None):
        self.logins = 0
        self.error = error
        self.counting = threading.Lock()

    def login(self):
        with self.counting:
            self.logins += 1
        if self.error:
            raise self.error
        return Token(f"token-{self.logins}", NOON + timedelta(hours=1), NOON, metadata={"uid": 7})


class Waiting:
    """The sleep of runs that wait for a login; knows how many of them do."""

    def __init__(self):
        self.threads = set()

    def __call__(self, _seconds):
        self.threads.add(threading.get_ident())
        time.sleep(0.02)

    def await_others(self, vendor, number):
        """Wait until so many runs wait for the login, or log in without waiting."""
        until(lambda: len(self.threads) >= number or vendor.logins > 1, "the others", every=0.01)


@pytest.fixture
def tokens(app):
    opened = []

    def make(*, of=None, with_keys=None, now=NOON, **options):
        database = Database(app.run_url, organization_id=3, sleep=lambda _: None)
        opened.append(database)
        pauses = {name: options.pop(name) for name in ("sleep", "jitter") if name in options}
        return AccountTokens(
            database,
            of or account(),
            with_keys or ciphers(),
            TokenSettings(**options),
            clock=lambda: now,
            **pauses,
        )

    yield make
    for database in opened:
        database.close()


@pytest.mark.requirement("R02")
@pytest.mark.requirement("R04")
def test_a_login_is_stored_encrypted_and_found_by_the_next_run(app, tokens):
    got = tokens().refresh(None, Vendor().login)

    assert got.generation == 1
    assert tokens().current() == got
    stored = app.rows("SELECT token, metadata, host FROM vendorsync.accounts")[0]
    assert "token-1" not in str(stored)
    assert stored[0].startswith("v1:k1:")


@pytest.mark.fault("T2")
def test_eight_runs_at_once_log_in_once(tokens):
    vendor, waiting = Vendor(), Waiting()

    def login():
        got = vendor.login()
        waiting.await_others(vendor, 7)
        return got

    with ThreadPoolExecutor(8) as pool:
        runs = [tokens(sleep=waiting) for _ in range(8)]
        got = list(pool.map(lambda each: each.refresh(None, login), runs))

    assert vendor.logins == 1
    assert {token.value for token in got} == {"token-1"}


def test_a_stale_token_is_renewed_and_one_that_another_run_renewed_is_taken(tokens):
    vendor = Vendor()
    first = tokens().refresh(None, vendor.login)
    second = tokens().refresh(first, vendor.login)

    assert (second.value, second.generation) == ("token-2", 2)
    assert tokens().refresh(first, vendor.login) == second
    assert vendor.logins == 2


@pytest.mark.fault("T6")
@pytest.mark.requirement("R05")
def test_refused_credentials_are_tried_once_until_they_change(tokens):
    vendor = Vendor(CredentialsRejectedError("Solarman refuses the password"))
    messages = set()
    for _ in range(5):
        with pytest.raises(CredentialsRejectedError) as caught:
            tokens().refresh(None, vendor.login)
        messages.add(str(caught.value))
    with pytest.raises(CredentialsRejectedError):
        tokens().check()

    assert vendor.logins == 1
    assert messages == {
        "Solarman refuses the password; no further login is tried until the Secret or the options"
        " change"
    }
    changed = tokens(of=account(b"g" * 32))
    changed.check()
    assert changed.refresh(None, Vendor().login).value == "token-1"


@pytest.mark.fault("T6")
def test_eight_runs_at_once_try_a_wrong_password_once(tokens):
    vendor, waiting = Vendor(), Waiting()

    def login():
        vendor.login()
        waiting.await_others(vendor, 7)
        raise CredentialsRejectedError("no")

    def attempt(each):
        with pytest.raises(CredentialsRejectedError):
            each.refresh(None, login)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, [tokens(sleep=waiting) for _ in range(8)]))

    assert vendor.logins == 1


@pytest.mark.fault("T6")
def test_two_wrong_secrets_of_one_account_do_not_wake_each_other(tokens):
    vendor = Vendor(CredentialsRejectedError("no"))

    for fingerprint in (b"a" * 32, b"b" * 32) * 3:
        with pytest.raises(CredentialsRejectedError):
            tokens(of=account(fingerprint)).refresh(None, vendor.login)

    assert vendor.logins == 2


def test_a_changed_secret_is_tried_although_the_old_token_lives(tokens):
    tokens().refresh(None, Vendor().login)

    assert tokens(of=account(b"g" * 32)).current() is None


@pytest.mark.fault("V4")
@pytest.mark.parametrize("kind", [ThrottledError, QuotaExhaustedError])
def test_a_throttled_account_rests_until_the_named_time(tokens, kind):
    vendor = Vendor(kind("too many calls", retry_after=600))
    with pytest.raises(kind):
        tokens().refresh(None, vendor.login)

    with pytest.raises(kind, match="too many calls"):
        tokens(now=NOON + timedelta(seconds=599)).check()
    tokens(now=NOON + timedelta(seconds=601)).check()
    assert vendor.logins == 1


@pytest.mark.fault("V4")
@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(ThrottledError, 300), (QuotaExhaustedError, 86_400), (AccountLockedError, 86_400)],
)
def test_without_a_named_time_a_throttle_rests_minutes_and_a_used_up_allowance_a_day(
    tokens, kind, seconds
):
    vendor = Vendor(kind("no more"))
    with pytest.raises(kind):
        tokens().refresh(None, vendor.login)

    with pytest.raises(kind) as caught:
        tokens(now=NOON + timedelta(seconds=seconds - 1)).check()
    assert type(caught.value) is kind
    tokens(now=NOON + timedelta(seconds=seconds + 1)).check()


@pytest.mark.fault("V4")
def test_a_run_by_hand_asks_once_although_the_quota_is_used_up_and_others_rest_on(tokens):
    vendor = Vendor(QuotaExhaustedError("no calls left"))
    with pytest.raises(QuotaExhaustedError):
        tokens().refresh(None, vendor.login)

    by_hand = tokens(asks=True)
    by_hand.check()
    with pytest.raises(QuotaExhaustedError):
        by_hand.refresh(None, vendor.login)
    for again in (by_hand.check, lambda: by_hand.refresh(None, vendor.login), tokens().check):
        with pytest.raises(QuotaExhaustedError):
            again()
    assert vendor.logins == 2


@pytest.mark.fault("V4")
def test_when_the_vendor_answers_a_run_by_hand_the_account_rests_no_longer(app, tokens):
    stored = tokens().refresh(None, Vendor().login)
    tokens().rest(QuotaExhaustedError("no calls left"))
    by_hand = tokens(asks=True)
    by_hand.check()
    assert by_hand.current() == stored
    with pytest.raises(QuotaExhaustedError):
        tokens().check()

    by_hand.answered()

    tokens().check()


@pytest.mark.fault("V4")
def test_an_answer_ends_no_rest_that_came_after_the_one_that_was_overlooked(tokens):
    tokens().rest(QuotaExhaustedError("no calls left"))
    by_hand = tokens(asks=True)
    by_hand.check()
    tokens().rest(ThrottledError("slower", retry_after=600))

    by_hand.answered()

    with pytest.raises(ThrottledError, match="slower"):
        by_hand.check()


@pytest.mark.fault("V4")
@pytest.mark.parametrize("kind", [ThrottledError, AccountLockedError])
def test_a_run_by_hand_respects_every_other_rest(tokens, kind):
    tokens().rest(kind("slower", retry_after=600))

    with pytest.raises(kind):
        tokens(asks=True).check()


@pytest.mark.fault("T6")
def test_a_locked_account_is_left_alone_and_its_credentials_are_not_blocked(app, tokens):
    vendor = Vendor(AccountLockedError("locked"))
    for _ in range(3):
        with pytest.raises(AccountLockedError, match=r"^locked$"):
            tokens().refresh(None, vendor.login)

    assert vendor.logins == 1
    assert app.value("SELECT count(*) FROM vendorsync.blocks") == 0


def test_a_newer_token_that_other_credentials_brought_is_not_taken(tokens):
    first = tokens().refresh(None, Vendor().login)
    other = tokens(of=account(b"g" * 32)).refresh(first, Vendor().login)
    vendor = Vendor()

    got = tokens().refresh(first, vendor.login)

    assert (other.generation, got.generation, vendor.logins) == (2, 3, 1)


@pytest.mark.fault("T9")
def test_a_token_whose_key_is_gone_counts_as_none_and_is_replaced(tokens, caplog):
    tokens().refresh(None, Vendor().login)
    other = tokens(with_keys=ciphers("k2", current="k2"))

    assert other.current() is None
    assert other.current() is None
    assert len(caplog.records) == 1
    assert other.refresh(None, Vendor().login).generation == 2


@pytest.mark.fault("T9")
def test_a_token_of_another_row_is_not_used(app, tokens):
    tokens().refresh(None, Vendor().login)
    tokens(of=account(key=b"o" * 32)).refresh(None, Vendor().login)
    app.do(
        "UPDATE vendorsync.accounts a SET token = b.token, metadata = b.metadata"
        " FROM vendorsync.accounts b WHERE a.key <> b.key"
    )

    assert tokens().current() is None


@pytest.mark.fault("T3")
def test_a_holder_that_dies_while_logging_in_makes_way(app, tokens):
    holder = psycopg.connect(app.run_url)
    with holder.transaction(), holder.cursor() as cursor:
        ensure_account(cursor, account())
    holder.execute("SELECT FROM vendorsync.accounts FOR NO KEY UPDATE")
    threading.Timer(0.1, holder.close).start()

    assert tokens().refresh(None, Vendor().login).value == "token-1"


@pytest.mark.fault("T3")
def test_a_good_login_is_stored_although_all_connections_died_meanwhile(app, tokens):
    vendor = Vendor()

    def login():
        app.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'vendorsync_run' AND datname = current_database()"
        )
        return vendor.login()

    got = tokens().refresh(None, login)

    assert tokens().current() == got


@pytest.mark.fault("T3")
def test_a_good_login_survives_a_database_that_takes_nobody_in_any_more(app, tokens, caplog):
    vendor = Vendor()
    name = app.value("SELECT current_database()")

    def login():
        app.do(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        return vendor.login()

    got = tokens().refresh(None, login)

    assert got.value == "token-1"
    assert "kept in memory" in caplog.text


def test_a_dry_run_logs_in_without_writing(app, tokens):
    got = tokens(writes=False).refresh(None, Vendor().login)

    assert got.value == "token-1"
    assert app.value("SELECT count(*) FROM vendorsync.accounts") == 0


@pytest.mark.fault("S2")
def test_every_token_is_made_known_to_the_logs(tokens):
    heard: list[str] = []
    tokens(on_token=heard.append).refresh(None, Vendor().login)
    tokens(on_token=heard.append).current()

    assert heard == ["token-1", "token-1"]


@pytest.mark.fault("D1")
def test_an_error_of_the_database_is_no_error_of_the_vendor(app, tokens):
    app.do("ALTER TABLE vendorsync.accounts RENAME TO gone")

    with pytest.raises(Exception, match="lacks what the job needs") as caught:
        tokens().current()
    assert not isinstance(caught.value, DatabaseUnavailableError | psycopg.Error)


def test_the_generation_of_a_login_is_the_databases_and_not_the_callers(tokens):
    first = tokens().refresh(None, Vendor().login)

    assert tokens().refresh(replace(first, generation=1), Vendor().login).generation == 2


def steal(make, vendor, *minutes):
    """A run that finds its token dead at each of these times, and logs in again."""
    for minute in minutes:
        now = NOON + timedelta(minutes=minute)
        run = make(now=now)
        with closing(run._database):
            stale = run.current() or run.refresh(None, lambda now=now: vendor.login_at(now))
            run.refused(stale)
            run.refresh(stale, lambda now=now: vendor.login_at(now))


class OneTokenVendor(Vendor):
    """Like `Vendor`, on a clock."""

    def login_at(self, now):
        return replace(self.login(), expires_at=now + timedelta(hours=9), obtained_at=now)


@pytest.mark.fault("T7")
def test_the_third_token_taken_away_within_an_hour_ends_the_logins(tokens):
    vendor = OneTokenVendor()
    steal(tokens, vendor, 0, 20)
    for _ in range(3):
        with pytest.raises(AccountSharedError, match="another program logs in") as caught:
            steal(tokens, vendor, 40)
    with pytest.raises(AccountSharedError):
        tokens(now=NOON + timedelta(minutes=99)).check()

    assert vendor.logins == 3
    assert "an hour or until the Secret changes" in str(caught.value)


@pytest.mark.fault("T7")
def test_after_an_hour_a_shared_account_is_tried_again_and_no_storm_follows(tokens):
    vendor = OneTokenVendor()
    for minute in range(0, 12 * 60, 10):
        with suppress(AccountSharedError):
            steal(tokens, vendor, minute)

    assert 12 < vendor.logins < 12 * 4


@pytest.mark.fault("T7")
def test_new_credentials_are_tried_at_once_although_the_account_was_shared(tokens):
    vendor = OneTokenVendor()
    with pytest.raises(AccountSharedError):
        steal(tokens, vendor, 0, 1, 2)
    changed = tokens(of=account(b"g" * 32), now=NOON + timedelta(minutes=3))
    changed.check()
    changed.refresh(None, vendor.login)

    changed.check()
    assert vendor.logins == 4


@pytest.mark.fault("T7")
@pytest.mark.parametrize(
    "minutes",
    [pytest.param((0, 40, 80, 120), id="too seldom"), pytest.param((0, 1), id="twice")],
)
def test_fewer_than_three_thefts_within_an_hour_cost_a_login_each(tokens, minutes):
    vendor = OneTokenVendor()
    steal(tokens, vendor, *minutes)

    assert vendor.logins == 1 + len(minutes)


@pytest.mark.fault("T7")
def test_a_planned_renewal_and_a_token_near_its_end_are_no_thefts(app, tokens):
    vendor = OneTokenVendor()
    now = NOON
    for hours in (0, 5, 10, 15):
        now = NOON + timedelta(hours=hours)
        run = tokens(now=now)
        stale = run.current()
        if stale is not None:
            run.refused(stale)
        run.refresh(stale, lambda now=now: vendor.login_at(now))
    run.refresh(run.current(), lambda: vendor.login_at(now))

    assert app.value("SELECT stolen_at = '{}' FROM vendorsync.accounts")


@pytest.mark.fault("T7")
def test_a_token_that_another_run_of_ours_replaced_was_not_stolen(app, tokens):
    vendor = OneTokenVendor()
    slow = tokens()
    stale = slow.refresh(None, lambda: vendor.login_at(NOON))
    tokens().refresh(stale, lambda: vendor.login_at(NOON))

    slow.refused(stale)
    assert slow.refresh(stale, vendor.login).value == "token-2"
    assert app.value("SELECT stolen_at = '{}' FROM vendorsync.accounts")


@pytest.mark.fault("T7")
def test_a_theft_is_counted_once_although_the_login_after_it_fails(app, tokens):
    vendor = OneTokenVendor()
    run = tokens()
    stale = run.refresh(None, lambda: vendor.login_at(NOON))
    vendor.error = VendorUnavailableError("down")
    for _ in range(4):
        run.refused(stale)
        with pytest.raises(VendorUnavailableError):
            run.refresh(stale, vendor.login)
    vendor.error = ThrottledError("slower", retry_after=0.001)
    with pytest.raises(ThrottledError):
        run.refresh(stale, vendor.login)
    run.check = lambda: None

    assert app.value("SELECT cardinality(stolen_at) FROM vendorsync.accounts") == 1
    assert run.current() is None


@pytest.mark.fault("T5")
def test_thefts_that_a_clock_put_far_ahead_lock_nobody_out(tokens):
    vendor = OneTokenVendor()
    with pytest.raises(AccountSharedError):
        steal(tokens, vendor, 10_000, 10_001, 10_002)

    tokens().check()


@pytest.mark.fault("T5")
def test_a_rest_that_a_clock_put_far_ahead_locks_nobody_out(tokens):
    far = tokens(now=NOON + timedelta(days=400))
    far.rest(ThrottledError("too many calls", retry_after=3600))
    with pytest.raises(ThrottledError):
        far.check()

    tokens().check()


@pytest.mark.fault("T5")
def test_a_clock_that_jumps_costs_a_login_each_time_and_makes_no_token_immortal(tokens):
    vendor = OneTokenVendor()
    for days in (0, 0, 400, 400, 0, 0, 0):
        run = tokens(now=NOON + timedelta(days=days))
        session = AccountSession(
            run, lambda: Grant(vendor.login().value, expires_in=3600), run._clock
        )
        for _ in range(3):
            session.call(lambda token: token)

    assert vendor.logins == 3


@pytest.mark.fault("V4")
def test_our_own_ledgers_refusal_is_not_kept_as_a_rest(tokens):
    vendor = Vendor(BudgetSpentError("used up", retry_after=9999))
    with pytest.raises(BudgetSpentError):
        tokens().refresh(None, vendor.login)
    tokens().rest(vendor.error)

    tokens().check()


@pytest.mark.fault("V3")
def test_an_account_that_never_logged_in_rests_as_well(tokens):
    tokens().rest(ThrottledError("too many calls", retry_after=600))

    with pytest.raises(ThrottledError):
        tokens().check()


def test_a_login_is_prepared_before_its_turn_is_taken(app, tokens):
    seen = []

    tokens(
        prepare=lambda: seen.append(app.value("SELECT count(*) FROM vendorsync.accounts"))
    ).refresh(None, Vendor().login)

    assert seen == [0]


def test_a_login_holds_no_connection_while_the_vendor_answers(app, tokens):
    vendor, seen = Vendor(), []

    def login():
        # A session that was closed ends a moment later.
        app.await_sessions_end()
        seen.append(app.value("SELECT login_until > now() FROM vendorsync.accounts"))
        return vendor.login()

    tokens().refresh(None, login)

    assert seen == [True]
    assert app.value("SELECT login_until IS NULL FROM vendorsync.accounts")


@pytest.mark.fault("T2")
@pytest.mark.fault("D4")
def test_a_slow_login_and_those_who_wait_for_it_leave_a_poolers_only_connection_free(server, app):
    """The query would end with an error at once that no connection came free for it."""
    vendor, waiting = Vendor(), Waiting()
    asked: list[object] = []
    passwords = {"postgres": server.password, "vendorsync_run": RUN_PASSWORD}
    with pooler(server, passwords, size=1, settings={"query_wait_timeout": 5}) as bouncer:
        url = bouncer.url(app.value("SELECT current_database()"), "vendorsync_run")

        def login():
            got = vendor.login()
            waiting.await_others(vendor, 2)
            with psycopg.connect(url, prepare_threshold=None) as client:
                asked.extend(client.execute("SELECT 1").fetchall())
            return got

        def refresh(_number):
            with closing(Database(url, organization_id=3)) as database:
                run = AccountTokens(
                    database,
                    account(),
                    ciphers(),
                    TokenSettings(),
                    clock=lambda: NOON,
                    sleep=waiting,
                )
                run.check()
                return run.refresh(None, login).value

        with ThreadPoolExecutor(3) as pool:
            got = list(pool.map(refresh, range(3)))

    assert (got, asked, vendor.logins) == (["token-1"] * 3, [(1,)], 1)


@pytest.mark.fault("T3")
@pytest.mark.parametrize(
    "error",
    [VendorUnavailableError("down"), BudgetSpentError("used up"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_a_login_that_fails_makes_way_at_once(tokens, error):
    with pytest.raises(type(error)):
        tokens().refresh(None, Vendor(error).login)

    got = tokens(sleep=lambda _: pytest.fail("nobody logs in")).refresh(None, Vendor().login)
    assert got.value == "token-1"


@pytest.mark.fault("T3")
def test_while_another_process_may_log_in_nobody_else_does_however_long_it_takes(app, tokens):
    tokens().refresh(None, Vendor().login)
    app.do(
        "UPDATE vendorsync.accounts SET token = NULL, login_owner = 'another',"
        " login_until = now() + interval '1 h'"
    )
    vendor = Vendor()
    slept: list[float] = []

    with pytest.raises(VendorUnavailableError, match="for too long"):
        tokens(sleep=slept.append, login_seconds=10).refresh(None, vendor.login)
    assert vendor.logins == 0
    assert 39 < sum(slept) <= 40


@pytest.mark.fault("T3")
def test_a_login_that_outlived_its_time_overwrites_no_later_one(app, tokens, caplog):
    late, other = Vendor(), Vendor()
    other.logins = 1

    def login():
        app.do("UPDATE vendorsync.accounts SET login_until = now()")
        tokens().refresh(None, other.login)
        return late.login()

    run = tokens()
    got = run.refresh(None, login)

    assert (got.value, run.current().value) == ("token-1", "token-2")
    assert "took so long that another run logged in" in caplog.text
    run.refused(got)
    assert run.refresh(got, late.login).value == "token-2"
    assert app.value("SELECT stolen_at = '{}' FROM vendorsync.accounts")


@pytest.mark.fault("T3")
@pytest.mark.parametrize("lost", [1, 2])
def test_a_commit_whose_answer_is_lost_costs_no_login(app, tokens, monkeypatch, caplog, lost):
    """The first commit takes the turn, the second one stores the token."""
    commits = []

    class Losing(Exchange):
        def commit(self, *statements):
            got = super().commit(*statements)
            commits.append(1)
            if len(commits) == lost:
                self.connection.close()
                raise psycopg.OperationalError("the connection is lost")
            return got

    monkeypatch.setattr("vendorsync_job.store.connection.Exchange", Losing)
    vendor = Vendor()
    got = tokens().refresh(None, vendor.login)

    assert vendor.logins == 1
    assert len(commits) == 3
    assert "another run logged in" not in caplog.text
    assert tokens().current() == got
    assert app.value("SELECT login_until IS NULL FROM vendorsync.accounts")


class RenewingVendor:
    """Grants refresh tokens by a list; None is an answer without one, an error is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[str] = []

    def login(self):
        return Token("logged-in", NOON + timedelta(hours=1), NOON, refresh_token="refresh-token-0")

    def renew(self, refresh_token):
        self.asked.append(refresh_token)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Grant(f"renewed-{len(self.asked)}", expires_in=3600, refresh_token=answer)


@pytest.mark.fault("T8")
def test_a_token_is_renewed_without_a_login_and_the_refresh_token_is_kept_if_none_comes(tokens):
    vendor = RenewingVendor("refresh-token-1", None, None)
    token = tokens().refresh(None, vendor.login)
    for _ in range(3):
        run = tokens(renew=vendor.renew)
        token = run.refresh(run.current(), lambda: pytest.fail("no login is needed"))

    assert vendor.asked == ["refresh-token-0", "refresh-token-1", "refresh-token-1"]
    assert (token.value, token.generation) == ("renewed-3", 4)


@pytest.mark.fault("T8")
@pytest.mark.parametrize(
    "refusal", [TokenExpiredError("invalid_grant"), CredentialsRejectedError("invalid_grant")]
)
def test_a_refresh_token_that_is_not_good_any_more_costs_one_login_and_no_block(tokens, refusal):
    vendor = RenewingVendor(refusal, "refresh-token-2")
    stale = tokens().refresh(None, vendor.login)

    got = tokens(renew=vendor.renew).refresh(stale, vendor.login)

    assert (got.value, got.generation) == ("logged-in", 2)
    tokens().check()


@pytest.mark.fault("T8")
def test_a_refresh_token_is_never_used_twice_by_two_runs(app, tokens):
    vendor = RenewingVendor("refresh-token-1", "refresh-token-2")
    stale = tokens().refresh(None, vendor.login)
    runs = [tokens(renew=vendor.renew) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        got = set(pool.map(lambda run: run.refresh(stale, vendor.login).value, runs))

    assert got == {"renewed-1"}
    assert vendor.asked == ["refresh-token-0"]


@pytest.mark.fault("T8")
def test_other_credentials_and_dry_runs_leave_the_refresh_token_alone(tokens):
    vendor = RenewingVendor()
    stale = tokens().refresh(None, vendor.login)

    tokens(renew=vendor.renew, writes=False).refresh(stale, vendor.login)
    tokens(renew=vendor.renew, of=account(b"g" * 32)).refresh(None, vendor.login)
    assert vendor.asked == []


@pytest.mark.fault("T8")
@pytest.mark.fault("S2")
def test_a_refresh_token_is_encrypted_hidden_and_no_part_of_the_metadata(app, tokens):
    heard: list[str] = []
    tokens(on_token=heard.append).refresh(None, RenewingVendor().login)

    stored = tokens().current()
    assert (stored.metadata, stored.refresh_token) == ({}, "refresh-token-0")
    assert "refresh-token-0" in heard
    assert "refresh-token-0" not in repr(stored)
    assert "refresh-token-0" not in str(app.rows("SELECT metadata FROM vendorsync.accounts"))


@pytest.mark.fault("T9")
def test_after_a_rotation_the_old_key_reads_until_the_next_login_writes_with_the_new_one(
    app, tokens
):
    first = tokens().refresh(None, Vendor().login)
    rotated = ciphers("k1", "k2", current="k2")

    assert tokens(with_keys=rotated).current() == first
    tokens(with_keys=rotated).refresh(first, Vendor().login)
    assert app.value("SELECT token FROM vendorsync.accounts").startswith("v1:k2:")
    assert tokens(with_keys=ciphers("k2", current="k2")).current() is not None


@pytest.mark.fault("T9")
@pytest.mark.parametrize("text", ["plain-old-token", "v0:k1:AA:AA", "v1:k1:AA:AA", ""])
def test_a_text_of_another_format_in_our_own_column_counts_as_none(app, tokens, text):
    tokens().refresh(None, Vendor().login)
    with app.connect() as connection:
        connection.execute("UPDATE vendorsync.accounts SET token = %s", [text])

    assert tokens().current() is None
    assert tokens().refresh(None, Vendor().login).generation == 2


@pytest.mark.fault("T9")
def test_a_wrong_key_under_the_right_name_counts_as_none(tokens):
    tokens().refresh(None, Vendor().login)

    assert tokens(with_keys=Ciphers({"k1": b"w" * 32}, "k1")).current() is None
