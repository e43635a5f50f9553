"""What is Sungrow's own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.vendors.clouds import CLOUDS
from tests.vendors.recorded import RecordedClient, once_with
from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    QuotaExhaustedError,
    ThrottledError,
    TokenExpiredError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.ports import Purpose
from vendorsync_job.vendors.sungrow import SungrowAdapter

CREDENTIALS = CLOUDS["sungrow"].credentials
ROW = {
    "ps_id": 5100001,
    "ps_name": "Sim Factory",
    "ps_type": 3,
    "ps_location": "Nashik, India",
    "latitude": 19.99,
    "longitude": 73.78,
    "ps_current_time_zone": "GMT+5:30",
    "ps_status": 1,
    "online_status": 1,
    "ps_fault_status": 3,
    "grid_connection_time": 20240401093000,
    "total_capcity": {"unit": "kWp", "value": "250.5"},
}


def wrapped(result, code="1"):
    return {"req_serial_num": "sim1", "result_code": code, "result_msg": "m", "result_data": result}


def adapter(*answers):
    client = RecordedClient(*answers)
    return SungrowAdapter(client, CREDENTIALS, SungrowAdapter.policy.check_options({})), client


def listed(**changes):
    made, _ = adapter(wrapped({"rowCount": 1, "pageList": [{**ROW, **changes}]}))
    return next(iter(made.plants(once_with("sim-token"))))


def test_the_login_sends_keys_in_header_and_body_and_the_password_as_it_is():
    made, client = adapter(wrapped({"login_state": "1", "token": "300001_sim"}))

    grant = made.authenticate()

    (request,) = client.requests
    assert request.path == "/openapi/login"
    assert request.headers["x-access-key"] == CREDENTIALS["secretKey"]
    assert request.headers["sys_code"] == "901"
    assert request.json == {
        "appkey": "sim-appkey",
        "lang": "_en_US",
        "user_account": "sim@example.test",
        "user_password": "Sim-Passw0rd!",
        "login_type": "1",
    }
    assert request.purpose is Purpose.LOGIN
    assert (grant.token, grant.default_lifetime) == ("300001_sim", 86_400)


@pytest.mark.fault("V2")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("-1", r"does not exist on this gateway.*baseURL.*https://gateway\.isolarcloud\.in"),
        (-1, "does not exist on this gateway"),
        ("0", "password is wrong"),
        ("7", "login_state 7: sim words"),
    ],
    ids=repr,
)
def test_a_refused_login_is_told_by_its_state_though_the_answer_says_success(state, words):
    made, _ = adapter(wrapped({"login_state": state, "token": None, "msg": "sim words"}))

    with pytest.raises(CredentialsRejectedError, match=words):
        made.authenticate()


@pytest.mark.fault("V2")
@pytest.mark.parametrize(
    ("state", "words"),
    [("2", "locked after wrong passwords"), (5, "locked by an administrator")],
    ids=repr,
)
def test_a_locked_account_is_not_taken_for_wrong_credentials(state, words):
    made, _ = adapter(wrapped({"login_state": state, "token": None}))

    with pytest.raises(AccountLockedError, match=words):
        made.authenticate()


def test_a_login_without_a_token_breaks_the_contract():
    made, _ = adapter(wrapped({"login_state": "1"}))

    with pytest.raises(VendorContractError, match="without a token"):
        made.authenticate()


def test_the_token_travels_in_the_body():
    made, client = adapter(wrapped({"rowCount": 0, "pageList": []}))

    list(made.plants(once_with("300001_sim")))

    assert client.requests[0].json == {
        "appkey": "sim-appkey",
        "lang": "_en_US",
        "token": "300001_sim",
        "curPage": 1,
        "size": 100,
    }
    assert client.requests[0].purpose is Purpose.LISTING


def test_a_station_becomes_a_plant_in_our_units():
    (plant,) = listed().records

    assert plant.vendor_plant_id == "5100001"
    assert plant.capacity_kw == Decimal("250.500")
    assert (plant.latitude, plant.longitude) == (Decimal("19.99"), Decimal("73.78"))
    assert plant.time_zone == "UTC+05:30"
    assert plant.commissioned_at.isoformat() == "2024-04-01T04:00:00+00:00"
    assert (plant.status, plant.plant_type) == ("online", "DISTRIBUTED")


@pytest.mark.parametrize(
    "capacity",
    [
        {"unit": "kWp", "value": "250.5"},
        {"unit": "MWp", "value": "0.2505"},
        {"unit": "Wp", "value": "250500"},
        {"unit": "kWp", "value": 250.5},
    ],
    ids=repr,
)
def test_a_capacity_is_read_by_its_unit(capacity):
    assert listed(total_capcity=capacity).records[0].capacity_kw == Decimal("250.500")


@pytest.mark.parametrize(
    "capacity", [None, {}, {"unit": "", "value": "--"}, {"unit": "kWp", "value": ""}], ids=repr
)
def test_a_capacity_that_is_not_sent_is_none(capacity):
    assert listed(total_capcity=capacity).records[0].capacity_kw is None


@pytest.mark.parametrize(
    ("capacity", "words"),
    [
        ({"unit": "kWp", "value": "5,5"}, "'5,5' is not a number"),
        ({"unit": "kVA", "value": "5"}, "has the unit 'kVA'"),
        ("5 kWp", "not an object with value and unit"),
    ],
    ids=repr,
)
def test_a_capacity_that_is_unfit_rejects_the_record_with_its_key(capacity, words):
    (rejection,) = listed(total_capcity=capacity).rejected

    assert rejection.key == "5100001"
    assert words in rejection.reason


@pytest.mark.parametrize(
    ("connected", "fault", "status"),
    [
        (1, 3, "online"),
        (1, 4, "online"),
        (1, 2, "online"),
        (1, 1, "fault"),
        (0, 3, "offline"),
        (0, 1, "offline"),
        (None, None, None),
        ("1", "3", "online"),
    ],
    ids=repr,
)
def test_status_comes_from_connectivity_and_faults_and_not_from_deployment(
    connected, fault, status
):
    found = listed(ps_status=connected, ps_fault_status=fault, online_status=0)

    assert found.records[0].status == status


def test_without_a_zone_a_local_time_is_left_out():
    assert listed(ps_current_time_zone=None).records[0].commissioned_at is None


@pytest.mark.parametrize(("sent", "kept"), [(4, "RESIDENTIAL"), (99, "99"), (None, None)], ids=repr)
def test_a_type_is_named_if_the_portal_names_it(sent, kept):
    assert listed(ps_type=sent).records[0].plant_type == kept


@pytest.mark.fault("V2")
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("E00003", TokenExpiredError),
        ("002", TokenExpiredError),
        ("E00000", CredentialsRejectedError),
        ("E911", CredentialsRejectedError),
        ("E912", CredentialsRejectedError),
        ("E914", CredentialsRejectedError),
        ("E901", ThrottledError),
        ("E903", ThrottledError),
        ("E916", ThrottledError),
        ("E998", QuotaExhaustedError),
        ("E999", QuotaExhaustedError),
        ("-1", VendorUnavailableError),
        ("000", VendorUnavailableError),
        ("E997", VendorUnavailableError),
        ("E900", VendorRefusedError),
        ("E918", VendorRefusedError),
        ("010", VendorRefusedError),
        ("E12345", VendorRefusedError),
    ],
)
def test_each_code_has_its_meaning(code, error):
    made, _ = adapter(wrapped(None, code))

    with pytest.raises(error, match=rf"code {code} \(m\)") as caught:
        list(made.plants(once_with("sim-token")))
    assert type(caught.value) is error


def test_the_hourly_quota_turns_within_the_hour():
    made, _ = adapter(wrapped(None, "E999"))

    with pytest.raises(QuotaExhaustedError) as caught:
        list(made.plants(once_with("sim-token")))
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("code", [1, "1"], ids=repr)
def test_success_is_a_number_or_a_text(code):
    made, _ = adapter(wrapped({"rowCount": 0, "pageList": None}, code))

    (page,) = made.plants(once_with("sim-token"))
    assert page.records == ()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": "invalid", "error_description": "sim"},
        wrapped(None),
        wrapped([]),
        wrapped({}),
        wrapped({"rowCount": 1, "pageList": {}}),
    ],
    ids=repr,
)
def test_an_answer_without_its_parts_breaks_the_contract(answer):
    made, _ = adapter(answer)

    with pytest.raises(VendorContractError, match="answered /openapi/getPowerStationList without"):
        list(made.plants(once_with("sim-token")))


@pytest.mark.fault("V2")
@pytest.mark.parametrize("state", ["-1", "0", "2", "5"])
def test_the_simulated_cloud_refuses_with_the_same_states(at, state):
    kind = AccountLockedError if state in "25" else CredentialsRejectedError
    vendor = at(CLOUDS["sungrow"])
    vendor.fault("login_state", path="/openapi/login", state=state)

    with pytest.raises(kind, match=f"login_state {state}"):
        vendor.adapter().authenticate()

    assert vendor.logins() == 1
