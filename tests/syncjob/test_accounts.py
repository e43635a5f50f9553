"""Who counts as the same account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vendorsync_api.vendors import SOLARMAN, SUNGROW
from vendorsync_job.accounts import account

CREDENTIALS = {
    "appId": "sim-app",
    "appSecret": "sim-app-secret",
    "email": "sim@example.test",
    "password": "Sim-Passw0rd!",
}
HOST = "globalapi.solarmanpv.com"


def of(host=HOST, key=b"sim-key", options=None, **changes):
    return account(
        SOLARMAN, {**CREDENTIALS, **changes}, SOLARMAN.check_options(options or {}), host, key
    )


def test_the_same_identity_is_the_same_account():
    assert of() == of()
    assert (of().adapter, of().host) == ("solarman", HOST)


@pytest.mark.parametrize(
    "other",
    [
        {"email": "other@example.test"},
        {"appId": "other"},
        {"username": "also"},
        {"host": "api.solarmanpv.com"},
        {"options": {"orgId": 5}},
    ],
)
def test_another_identity_host_or_company_is_another_account(other):
    assert of(**other).key != of().key


def test_a_new_password_is_the_same_account_with_another_fingerprint():
    changed = of(password="sim-new")

    assert changed.key == of().key
    assert changed.fingerprint != of().fingerprint


def test_keys_that_the_adapter_does_not_use_change_nothing():
    assert of(note="sim") == of()


def test_the_fingerprint_depends_on_its_key():
    assert of(key=b"sim-other").fingerprint != of().fingerprint


def test_values_that_join_to_the_same_text_are_told_apart():
    def named(**credentials):
        return account(SUNGROW, credentials, SUNGROW.check_options({}), "h", b"k")

    one, two = named(appKey="x", userAccount="y"), named(appKey="xuserAccounty")

    assert one.key != two.key
    assert one.fingerprint != two.fingerprint


def test_accounts_with_one_app_share_it_and_are_told_apart_all_the_same():
    other = of(email="other@example.test", password="sim-other")

    assert other.app == of().app
    assert other.key != of().key
    assert len({other.app, other.key, of().key}) == 3


@pytest.mark.parametrize("other", [{"appId": "other"}, {"host": "api.solarmanpv.com"}])
def test_another_app_or_host_is_another_app(other):
    assert of(**other).app != of().app


def test_where_nothing_tells_apps_apart_there_is_none():
    policy = replace(SOLARMAN, app_keys=(), budgets=())

    assert account(policy, CREDENTIALS, policy.check_options({}), HOST, b"k").app is None
