"""Random lives of an account against a model of a few lines: logins, blocks, rests, thefts.

The vendor keeps one live token. The model knows what each run must come to and how many logins
that costs; the real AccountTokens and AccountSession run on PostgreSQL. Places are done likewise.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.syncjob.builders import NOON, account, ciphers
from vendorsync_api.vendors import SOLARMAN
from vendorsync_job.errors import (
    AccountSharedError,
    CredentialsRejectedError,
    SyncError,
    ThrottledError,
    TokenExpiredError,
)
from vendorsync_job.models import Grant
from vendorsync_job.session import AccountSession
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.connection import Database
from vendorsync_job.store.slots import Slot

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
LIFE = timedelta(hours=3)
BUFFER = timedelta(minutes=5)
HOUR = timedelta(hours=1)
SECRETS = (b"a" * 32, b"b" * 32)
BOUNDS = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class AccountMachine(RuleBasedStateMachine):
    """One account, its vendor, and runs that come one after the other."""

    url = ""

    def __init__(self):
        super().__init__()
        self.key = secrets.token_bytes(32)
        self.database = Database(self.url, sleep=lambda _: None)
        self.now = NOON
        # The vendor.
        self.live, self.logins, self.right, self.throttles = "", 0, SECRETS[0], False
        # The model of what is stored.
        self.token, self.owner, self.obtained = "", b"", NOON
        self.blocked: set[bytes] = set()
        self.rest_ends = NOON
        self.thefts: list = []

    def teardown(self):
        self.database.close()

    def login(self, secret):
        self.logins += 1
        if self.throttles:
            raise ThrottledError("too many logins", retry_after=600)
        if secret != self.right:
            raise CredentialsRejectedError("the password is wrong")
        self.live = f"ours-{self.logins}"
        return Grant(self.live, expires_in=LIFE.total_seconds())

    def ask(self, token):
        if token.value != self.live:
            raise TokenExpiredError("the vendor does not know the token")

    @rule(minutes=st.sampled_from([1, 7, 20, 61, 175, 1500]))
    def time_passes(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule()
    def another_program_logs_in(self):
        self.live = "theirs"

    @rule(secret=st.sampled_from(SECRETS))
    def the_password_becomes(self, secret):
        self.right = secret

    @rule(throttles=st.booleans())
    def the_vendor_throttles_logins(self, throttles):
        self.throttles = throttles

    @precondition(lambda self: self.thefts)
    @rule()
    def a_run_rests_the_account(self):
        self.tokens(self.owner).rest(ThrottledError("slower", retry_after=300))
        self.rest_ends = self.now + timedelta(minutes=5)

    @rule(secret=st.sampled_from(SECRETS))
    def a_run_comes(self, secret):
        expected, logins = self.expected(secret), self.logins
        got: type = type(None)
        tokens = self.tokens(secret)
        session = AccountSession(
            tokens, lambda: self.login(secret), lambda: self.now, on_refused=tokens.refused
        )
        try:
            tokens.check()
            session.call(self.ask)
        except SyncError as error:
            got = type(error)
        assert (got, self.logins - logins) == expected

    def tokens(self, secret):
        return AccountTokens(
            self.database,
            account(secret, self.key),
            ciphers(),
            TokenSettings(),
            clock=lambda: self.now,
        )

    def expected(self, secret):
        """Return how the next run ends and its logins, and keep in mind what it leaves behind."""
        if secret in self.blocked:
            return CredentialsRejectedError, 0
        if secret == self.owner and self.is_shared():
            return AccountSharedError, 0
        if self.now < self.rest_ends:
            return ThrottledError, 0
        usable = self.token and secret == self.owner and self.now < self.obtained + LIFE - BUFFER
        if usable and self.token == self.live:
            return type(None), 0
        thefts = list(self.thefts)
        if usable and self.now < self.obtained + LIFE / 2:
            thefts.append(self.now)
            if self.is_shared(thefts):
                self.thefts, self.token = thefts, ""
                return AccountSharedError, 0
        return self.expected_login(secret, thefts)

    def expected_login(self, secret, thefts):
        if self.throttles:
            self.rest_ends = self.now + timedelta(minutes=10)
            outcome: type = ThrottledError
        elif secret != self.right:
            self.blocked.add(secret)
            outcome = CredentialsRejectedError
        else:
            self.thefts = thefts if secret == self.owner else []
            self.token, self.owner, self.obtained = f"ours-{self.logins + 1}", secret, self.now
            self.rest_ends = self.now
            return type(None), 1
        if len(thefts) > len(self.thefts):
            self.thefts, self.token = thefts, ""
        return outcome, 1

    def is_shared(self, thefts=None):
        last = (self.thefts if thefts is None else thefts)[-3:]
        return len(last) == 3 and last[2] - last[0] <= HOUR and self.now - last[2] < HOUR


class PlacesMachine(RuleBasedStateMachine):
    """Four accounts with two runs each, for two places at once and one per account."""

    url = ""
    policy = replace(SOLARMAN, account_concurrency=1, adapter_concurrency=2)

    def __init__(self):
        super().__init__()
        self.database = Database(self.url, sleep=lambda _: None)
        self.policy = replace(self.policy, adapter=f"sim-{secrets.token_hex(8)}")
        self.held: dict[tuple[int, int], Slot] = {}

    def teardown(self):
        self.database.close()

    def place(self, run):
        of = account(key=run[0].to_bytes(32, "big"))
        return Slot(
            self.database, self.policy, of, owner=f"job-{run[1]}", deadline=60.0, clock=lambda: 0.0
        )

    runs = st.tuples(st.integers(0, 3), st.integers(0, 1))

    @rule(run=runs)
    def a_run_tries(self, run):
        """A run that holds a place already is a new pod of the same Job."""
        free = len(self.held) < 2 and not any(number == run[0] for number, _ in self.held)
        place = self.place(run)

        assert (place.attempt() is None) is (run in self.held or free)
        if run in self.held:
            self.held[run].free()
        if run in self.held or free:
            self.held[run] = place

    @rule(run=runs)
    def a_run_ends(self, run):
        if run in self.held:
            self.held.pop(run).free()

    @rule(run=runs)
    def a_run_is_killed_and_its_place_expires(self, run):
        place = self.held.pop(run, None)
        if place is not None:
            with self.database.transaction() as cursor:
                cursor.execute(
                    "UPDATE vendorsync.slots SET until = now() - interval '1 s'"
                    " WHERE scope = %s AND number = %s",
                    [self.policy.adapter, place._number],
                )

    @invariant()
    def as_many_places_are_held_as_runs_hold(self):
        with self.database.transaction(read_only=True) as cursor:
            cursor.execute(
                "SELECT count(*) FROM vendorsync.slots WHERE scope = %s AND until > now()",
                [self.policy.adapter],
            )
            assert cursor.fetchone() == (len(self.held),)


@pytest.mark.fault("T6")
@pytest.mark.fault("T7")
def test_the_tokens_of_an_account_behave_like_the_model(app):
    AccountMachine.url = app.run_url
    run_state_machine_as_test(AccountMachine, settings=BOUNDS)


@pytest.mark.fault("K2")
@pytest.mark.fault("V12")
def test_the_places_behave_like_the_model(app):
    PlacesMachine.url = app.run_url
    run_state_machine_as_test(PlacesMachine, settings=BOUNDS)
