import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from tests.syncjob.builders import NOON, account, ciphers
from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    DatabaseUnavailableError,
    QuotaExhaustedError,
    ThrottledError,
)
from vendorsync_job.models import Token
from vendorsync_job.store.connection import Database
from vendorsync_job.store.tokens import AccountTokens

pytestmark = pytest.mark.postgres


class Vendor:
    """Hands out numbered tokens, or raises what it is told to."""

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


def await_others(app, vendor, number):
    """Wait until so many runs wait for the lock of the account, or log in without it."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    end = time.monotonic() + 30
    while app.value(waiting) < number and vendor.logins == 1:
        assert time.monotonic() < end, "the other runs did not come"


@pytest.fixture
def tokens(app):
    opened = []

    def make(*, of=None, with_keys=None, now=NOON, **options):
        database = Database(app.run_url, organization_id=3, sleep=lambda _: None)
        opened.append(database)
        return AccountTokens(
            database, of or account(), with_keys or ciphers(), clock=lambda: now, **options
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
def test_eight_runs_at_once_log_in_once(app, tokens):
    vendor = Vendor()

    def login():
        got = vendor.login()
        await_others(app, vendor, 7)
        return got

    with ThreadPoolExecutor(8) as pool:
        runs = [tokens() for _ in range(8)]
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
        "Solarman refuses the password; no further login is tried until the Secret changes"
    }
    changed = tokens(of=account(b"g" * 32))
    changed.check()
    assert changed.refresh(None, Vendor().login).value == "token-1"


@pytest.mark.fault("T6")
def test_eight_runs_at_once_try_a_wrong_password_once(app, tokens):
    vendor = Vendor()

    def login():
        vendor.login()
        await_others(app, vendor, 7)
        raise CredentialsRejectedError("no")

    def attempt(each):
        with pytest.raises(CredentialsRejectedError):
            each.refresh(None, login)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, [tokens() for _ in range(8)]))

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
    tokens()._database.retrying(tokens()._ensure_row)
    holder.execute("SELECT FROM vendorsync.accounts FOR NO KEY UPDATE")
    threading.Timer(0.1, holder.close).start()

    assert tokens().refresh(None, Vendor().login).value == "token-1"


@pytest.mark.fault("T3")
def test_a_good_login_survives_a_database_that_dies_before_the_commit(app, tokens, caplog):
    vendor = Vendor()

    def login():
        app.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'vendorsync_run' AND datname = current_database()"
        )
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
