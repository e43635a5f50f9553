"""How long a token lives, whatever a vendor says of it."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Grant, Token
from vendorsync_job.tokens import LONGEST_LIFETIME, is_fresh, jwt_lifetime, require_sendable, token

NOW = datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)


def part(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def jwt(payload):
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(payload)}.{part('signature')}"


def lifetime(grant):
    return (token(grant, NOW).expires_at - NOW).total_seconds()


def at(seconds):
    return NOW.timestamp() + seconds


@pytest.mark.requirement("R03")
def test_expires_in_comes_first_for_no_clock_can_spoil_it():
    grant = Grant(
        jwt({"exp": at(500)}), expires_in=100, expires_at=NOW + timedelta(200), default_lifetime=7
    )

    assert lifetime(grant) == 100


@pytest.mark.requirement("R03")
def test_a_stated_instant_comes_second():
    grant = Grant(jwt({"exp": at(500)}), expires_at=NOW + timedelta(seconds=200))

    assert lifetime(grant) == 200


@pytest.mark.requirement("R03")
def test_the_expiry_inside_a_jwt_comes_third():
    assert lifetime(Grant(jwt({"exp": at(500)}))) == 500


@pytest.mark.requirement("R03")
def test_an_opaque_token_lives_as_long_as_the_adapter_says():
    assert lifetime(Grant("300001_0123456789abcdef", default_lifetime=86_400)) == 86_400


@pytest.mark.fault("T4")
@pytest.mark.parametrize("seconds", [0, -5, math.inf, -math.inf, math.nan, True, 1e300])
def test_a_senseless_expires_in_counts_as_not_said(seconds):
    assert lifetime(Grant("opaque", expires_in=seconds, default_lifetime=70)) == 70


@pytest.mark.fault("T4")
@pytest.mark.parametrize(
    "moment",
    [NOW, NOW - timedelta(days=1), datetime(9999, 12, 31, tzinfo=UTC), datetime(2026, 2, 3)],  # noqa: DTZ001
)
def test_a_senseless_instant_counts_as_not_said(moment):
    assert lifetime(Grant("opaque", expires_at=moment, default_lifetime=70)) == 70


@pytest.mark.fault("T4")
@pytest.mark.parametrize(
    "payload",
    [
        '{"exp": "1770001500"}',
        '{"exp": Infinity}',
        '{"exp": NaN}',
        '{"exp": true}',
        '{"exp": null}',
        '{"exp": -1}',
        '{"exp": 0}',
        '{"exp": []}',
        '{"exp": 1e400}',
        f'{{"exp": {"9" * 4000}}}',
        f'{{"exp": {"9" * 5000}}}',
        "[]",
        "{}",
        "not json",
        "[" * 10_000,
    ],
)
def test_a_hostile_payload_counts_as_not_said(payload):
    assert lifetime(Grant(jwt(payload), default_lifetime=70)) == 70


@pytest.mark.fault("T4")
def test_milliseconds_are_told_by_their_size():
    assert lifetime(Grant(jwt({"exp": int(at(500)) * 1000}))) == 500


@pytest.mark.fault("T4")
def test_a_token_of_ten_megabytes_is_not_looked_into():
    assert jwt_lifetime(jwt({"exp": at(500), "pad": "x" * 10_000_000}), NOW) is None


@pytest.mark.fault("T4")
@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", "..", "a.b.c.d.e", "\0.\0.\0", "é.é.é", "\ud800.x.y"]
)
def test_what_is_no_jwt_is_opaque(text):
    assert lifetime(Grant(text, default_lifetime=70)) == 70


@given(st.text(max_size=60), st.one_of(st.none(), st.floats(), st.integers(), st.booleans()))
def test_whatever_a_vendor_says_the_expiry_is_within_ten_years(text, seconds):
    found = lifetime(Grant(text, expires_in=seconds))

    assert 0 < found <= LONGEST_LIFETIME


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(json_values)
def test_whatever_a_jwt_holds_the_expiry_is_within_ten_years(value):
    for payload in (value, {"exp": value}):
        assert 0 < lifetime(Grant(jwt(payload))) <= LONGEST_LIFETIME


def living(lifetime, age):
    return Token(
        "sim",
        expires_at=NOW + timedelta(seconds=lifetime - age),
        obtained_at=NOW - timedelta(seconds=age),
    )


@pytest.mark.requirement("R03")
@pytest.mark.fault("T4")
@pytest.mark.parametrize(
    ("lifetime", "age", "fresh"),
    [
        pytest.param(3600, 3299, True, id="five minutes and a second before the end"),
        pytest.param(3600, 3300, False, id="five minutes before the end"),
        pytest.param(300, 239, True, id="a short life keeps a fifth as buffer"),
        pytest.param(300, 240, False, id="within the last fifth of a short life"),
        pytest.param(30, 0, True, id="a very short life is fresh at first"),
        pytest.param(3600, 4000, False, id="dead"),
    ],
)
def test_the_buffer_is_five_minutes_or_a_fifth_of_the_life(lifetime, age, fresh):
    assert is_fresh(living(lifetime, age), NOW) is fresh


@pytest.mark.parametrize(
    ("lifetime", "age", "fresh"),
    [
        pytest.param(3600, 2900, True, id="covers the run"),
        pytest.param(3600, 3100, False, id="would die during the run"),
        pytest.param(600, 100, True, id="a whole life cannot cover it, so the buffer counts"),
    ],
)
def test_a_token_must_outlive_the_run_if_its_kind_can(lifetime, age, fresh):
    assert is_fresh(living(lifetime, age), NOW, needed=600) is fresh


@pytest.mark.fault("T5")
@pytest.mark.parametrize("vendors_clock", [-600, 600, 86_400 * 400])
def test_the_vendors_clock_does_not_touch_a_life_counted_from_now(vendors_clock):
    theirs = NOW + timedelta(seconds=vendors_clock + 3600)

    assert lifetime(Grant(jwt({"exp": theirs.timestamp()}), 3600, theirs)) == 3600


@pytest.mark.fault("T5")
@pytest.mark.parametrize(("ahead", "fresh"), [(299, True), (301, False), (86_400 * 400, False)])
def test_a_token_from_the_future_is_not_immortal_when_our_clock_was_set_back(ahead, fresh):
    assert is_fresh(living(3600, -ahead), NOW) is fresh


def test_a_token_is_not_shown():
    assert "sim-token" not in repr(token(Grant("sim-token", refresh_token="sim-token"), NOW))


@pytest.mark.parametrize(
    "value", ["", " ", "sim ", "\tsim", "sim\u00a0token", "sim\ntoken", "\u00e9"]
)
def test_a_token_that_could_not_be_sent_is_refused_at_the_login(value):
    with pytest.raises(VendorContractError, match="a token that cannot be sent") as refused:
        require_sendable(Grant(value))

    assert value.strip() == "" or value not in str(refused.value)
