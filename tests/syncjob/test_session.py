"""When a session logs in, and when it gives up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from vendorsync_job.errors import (
    CredentialsRejectedError,
    TokenExpiredError,
    VendorContractError,
    VendorRefusedError,
)
from vendorsync_job.models import Grant, Token
from vendorsync_job.session import AccountSession

NOW = datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)


class Store:
    """Keeps one token and counts what is asked of it."""

    def __init__(self, token=None):
        self.token = token
        self.looked = self.asked = 0

    def current(self):
        self.looked += 1
        return self.token

    def refresh(self, stale, login):
        self.asked += 1
        if self.token is None or (stale and stale.generation >= self.token.generation):
            self.token = replace(login(), generation=self.token.generation + 1 if self.token else 1)
        return self.token


class Vendor:
    """Gives tokens named after their number and knows only those that are still alive."""

    def __init__(self, lifetime=3600.0):
        self.alive: set[str] = set()
        self.logins = 0
        self.lifetime = lifetime

    def login(self):
        self.logins += 1
        self.alive.add(f"sim-{self.logins}")
        return Grant(f"sim-{self.logins}", expires_in=self.lifetime)

    def ask(self, token):
        if token.value not in self.alive:
            raise TokenExpiredError("Sim does not know the token")
        return token.value


def session(store, vendor, clock=lambda: NOW, **settings):
    return AccountSession(store, vendor.login, clock, **settings)


def stored(value="stored", *, seconds=3000, generation=1):
    return Token(value, NOW + timedelta(seconds=seconds), NOW - timedelta(seconds=600), generation)


@pytest.mark.requirement("R02")
def test_a_stored_token_that_is_fresh_is_used():
    vendor = Vendor()
    vendor.alive.add("stored")

    assert session(Store(stored()), vendor).call(vendor.ask) == "stored"
    assert vendor.logins == 0


@pytest.mark.requirement("R04")
def test_a_stale_token_is_renewed_before_it_is_refused():
    vendor = Vendor()

    assert session(Store(stored(seconds=100)), vendor).call(vendor.ask) == "sim-1"


def test_the_store_is_asked_once_for_many_calls():
    vendor, store = Vendor(), Store()
    lent = session(store, vendor)

    assert {lent.call(vendor.ask) for _ in range(5)} == {"sim-1"}
    assert (store.looked, store.asked) == (1, 1)


def test_a_token_that_would_die_during_the_run_is_renewed_at_its_start():
    vendor = Vendor()
    vendor.alive.add("stored")

    assert session(Store(stored(seconds=1000)), vendor, needed=1100).call(vendor.ask) == "sim-1"


def test_a_token_in_use_is_kept_until_its_buffer_whatever_the_run_needs():
    vendor = Vendor(lifetime=1000)
    seconds = [0, 600, 850]
    now = NOW
    lent = session(Store(), vendor, clock=lambda: now, needed=700)
    used = []
    for passed in seconds:
        now = NOW + timedelta(seconds=passed)
        used.append(lent.call(vendor.ask))

    assert used == ["sim-1", "sim-1", "sim-2"]


@pytest.mark.fault("T4")
def test_a_life_shorter_than_the_run_does_not_mean_a_login_per_call():
    vendor = Vendor(lifetime=30)
    lent = session(Store(), vendor, needed=600)

    for _ in range(5):
        lent.call(vendor.ask)

    assert vendor.logins == 1


@pytest.mark.fault("T1")
def test_a_refused_token_is_renewed_once_and_the_request_repeated_once():
    vendor = Vendor()
    lent = session(Store(), vendor)
    lent.call(vendor.ask)
    vendor.alive.clear()

    assert lent.call(vendor.ask) == "sim-2"
    assert vendor.logins == 2


@pytest.mark.fault("T2")
def test_the_token_of_another_process_is_taken_in_place_of_a_login():
    vendor, store = Vendor(), Store()
    lent = session(store, vendor)
    lent.call(vendor.ask)
    vendor.alive = {"theirs"}
    store.token = stored("theirs", generation=7)

    assert lent.call(vendor.ask) == "theirs"
    assert vendor.logins == 1


@pytest.mark.fault("T7")
def test_a_second_refusal_is_the_end_and_says_why():
    vendor = Vendor()
    lent = session(Store(), vendor)

    def never(_token):
        raise TokenExpiredError("Sim does not know the token")

    with pytest.raises(
        CredentialsRejectedError, match="does not know the token, even with a token"
    ):
        lent.call(never)
    assert vendor.logins == 2


def test_other_errors_pass_through_without_a_login():
    vendor = Vendor()
    lent = session(Store(), vendor)

    with pytest.raises(ZeroDivisionError):
        lent.call(lambda _token: 1 / 0)
    assert vendor.logins == 1


def test_a_refused_login_is_not_repeated():
    calls = []

    def refused():
        calls.append(1)
        raise CredentialsRejectedError("wrong password")

    lent = AccountSession(Store(), refused, lambda: NOW)
    with pytest.raises(CredentialsRejectedError):
        lent.call(lambda token: token)
    assert len(calls) == 1


@pytest.mark.fault("T2")
def test_a_token_renewed_meanwhile_by_another_request_is_taken_from_memory():
    vendor, store = Vendor(), Store()
    lent = session(store, vendor)
    lent.call(vendor.ask)
    vendor.alive.clear()

    def slow(token):
        if token.value == "sim-1":
            lent.call(vendor.ask)
        return vendor.ask(token)

    assert lent.call(slow) == "sim-2"
    assert (vendor.logins, store.asked) == (2, 2)


@pytest.mark.fault("T2")
def test_many_threads_share_one_renewal():
    vendor, store = Vendor(), Store()
    lent = session(store, vendor)
    lent.call(vendor.ask)
    vendor.alive.clear()
    together = threading.Barrier(8)
    found = []

    def work():
        together.wait()
        found.append(lent.call(vendor.ask))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["sim-2"] * 8
    assert vendor.logins == 2


@pytest.mark.fault("T7")
def test_the_store_hears_of_a_refused_token_before_it_is_renewed_and_of_no_other():
    vendor, store, heard = Vendor(), Store(), []
    lent = session(store, vendor, on_refused=lambda token: heard.append((token.value, store.asked)))
    lent.call(vendor.ask)
    vendor.alive.clear()
    lent.call(vendor.ask)

    assert heard == [("sim-1", 1)]


@pytest.mark.fault("T5")
@pytest.mark.parametrize("jump", [timedelta(minutes=-10), timedelta(minutes=10), timedelta(400)])
def test_a_clock_that_jumps_in_mid_run_costs_a_login_at_most(jump):
    vendor = Vendor(lifetime=3600)
    now = NOW
    lent = session(Store(), vendor, clock=lambda: now)
    lent.call(vendor.ask)
    now += jump

    for _ in range(5):
        lent.call(vendor.ask)
    assert vendor.logins <= 2


class Unauthorized(Vendor):
    """Answers HTTP 401 to tokens that it does not know, or to all."""

    def __init__(self, status=401, *, always=False):
        super().__init__()
        self.status, self.always = status, always

    def ask(self, token):
        if self.always or token.value not in self.alive:
            raise VendorRefusedError(f"Sim answered HTTP {self.status}", self.status)
        return token.value


def test_http_401_is_an_expired_token_once():
    vendor = Unauthorized()
    heard: list[Token] = []

    found = session(Store(stored()), vendor, on_refused=heard.append).call(vendor.ask)

    assert found == "sim-1"
    # Nothing says that another program took the token.
    assert heard == []


def test_http_401_with_a_token_just_renewed_is_a_refusal():
    vendor = Unauthorized(always=True)

    with pytest.raises(VendorRefusedError, match="HTTP 401"):
        session(Store(stored()), vendor).call(vendor.ask)

    assert vendor.logins == 1


@pytest.mark.parametrize("status", [403, None])
def test_another_refusal_costs_no_login(status):
    vendor = Unauthorized(status, always=True)

    with pytest.raises(VendorRefusedError):
        session(Store(stored()), vendor).call(vendor.ask)

    assert vendor.logins == 0


def test_a_login_that_brings_a_token_that_cannot_be_sent_breaks_the_contract():
    with pytest.raises(VendorContractError, match="cannot be sent"):
        AccountSession(Store(), lambda: Grant(" "), lambda: NOW).call(lambda token: token.value)
