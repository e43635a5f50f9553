"""What is Sungrow's own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.vendors.clouds import CLOUDS
from tests.vendors.reading import read
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
from vendorsync_job.models import AlertQuery
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
    return read(made, next(iter(made.plants(once_with("sim-token")))))


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
        ("0", r"the account or its password is wrong, or the account is on another gateway"),
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
    ("left", "words"),
    [("1", "; 1 try left before the lock$"), (3, "; 3 tries left before the lock$")],
)
def test_a_wrong_password_tells_how_many_tries_are_left(left, words):
    made, _ = adapter(wrapped({"login_state": "0", "token": None, "remain_times": left}))

    with pytest.raises(CredentialsRejectedError, match=words):
        made.authenticate()


def test_a_refusal_without_words_shows_no_word_of_python():
    made, _ = adapter({"result_code": "201", "result_msg": None, "result_data": None})

    with pytest.raises(VendorRefusedError, match=r"with code 201$"):
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
        "valid_flag": "1,3",
    }
    assert client.requests[0].purpose is Purpose.LISTING


def test_plants_that_are_still_being_connected_are_listed(at, sim):
    vendor = at(CLOUDS["sungrow"])
    before = {plant.vendor_plant_id for page in vendor.listing() for plant in page.records}
    new = min(before)

    sim.change_plants("sungrow", None, [{"op": "change", "id": int(new), "connecting": True}])

    found = {plant.vendor_plant_id for page in vendor.listing() for plant in page.records}
    assert found == before


def test_a_station_becomes_a_plant_in_our_units():
    (plant,) = listed().records

    assert plant.vendor_plant_id == "5100001"
    assert plant.capacity_kw == Decimal("250.500")
    assert (plant.latitude, plant.longitude) == (Decimal("19.99"), Decimal("73.78"))
    assert plant.time_zone == "UTC+05:30"
    assert plant.commissioned_at.isoformat() == "2024-04-01T04:00:00+00:00"
    assert (plant.name, plant.address) == ("Sim Factory", "Nashik, India")
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
def test_a_capacity_that_is_unfit_is_dropped_and_the_plant_stays(capacity, words):
    page = listed(total_capcity=capacity)

    assert words in page.dropped[0]
    assert page.records[0].capacity_kw is None
    assert page.records[0].name == "Sim Factory"


@pytest.mark.parametrize(
    "changes",
    [
        {"grid_connection_time": 0},
        {"total_capcity": {"unit": "", "value": "5"}},
        {"ps_location": "x" * 1001},
        {"latitude": 91},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_stored_costs_itself_only(changes):
    page = listed(**changes)

    assert len(page.dropped) == len(changes)
    assert [plant.name for plant in page.records] == ["Sim Factory"]


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
        wrapped("none"),
        wrapped({"rows": []}),
        wrapped({"rowCount": 1, "pageList": {}}),
    ],
    ids=repr,
)
def test_an_answer_without_its_parts_breaks_the_contract(answer):
    made, _ = adapter(answer)

    with pytest.raises(VendorContractError, match="answered /openapi/getPowerStationList without"):
        list(made.plants(once_with("sim-token")))


@pytest.mark.fault("V7")
@pytest.mark.parametrize("data", [None, [], {}, ""], ids=repr)
def test_success_without_data_is_an_empty_listing_that_tells_no_absence(at, data):
    vendor = at(CLOUDS["sungrow"])
    vendor.fault("no_data", path=CLOUDS["sungrow"].list_path, data=data)
    vendor.fault("no_data", path=CLOUDS["sungrow"].alert_path, data=data)

    for listing in (vendor.listing(), vendor.alerts()):
        assert [page.records for page in listing] == [()]
        assert not listing.tells_absent
        assert "without result_data" in listing.doubt


@pytest.mark.fault("V7")
def test_success_without_data_says_what_to_check(at):
    vendor = at(CLOUDS["sungrow"])
    vendor.fault("no_data", path=CLOUDS["sungrow"].list_path)
    listing = vendor.listing()

    assert list(listing)
    for hint in ("shared with the account", "option orgId", "baseURL"):
        assert hint in listing.doubt


@pytest.mark.fault("V7")
def test_success_without_data_in_mid_listing_leaves_it_short(at):
    vendor = at(CLOUDS["sungrow"])
    vendor.fault("no_data", path=CLOUDS["sungrow"].list_path, page=2)
    listing = vendor.listing()

    assert sum(len(page.records) for page in listing) == vendor.page_size
    assert not listing.complete
    assert listing.doubt == ""


@pytest.mark.parametrize("data", [None, [], {}], ids=repr)
def test_a_login_without_data_breaks_the_contract(data):
    made, _ = adapter(wrapped(data))

    with pytest.raises(VendorContractError, match="answered /openapi/login without"):
        made.authenticate()


@pytest.mark.fault("V2")
@pytest.mark.parametrize("state", ["-1", "0", "2", "5"])
def test_the_simulated_cloud_refuses_with_the_same_states(at, state):
    kind = AccountLockedError if state in "25" else CredentialsRejectedError
    vendor = at(CLOUDS["sungrow"])
    vendor.fault("login_state", path="/openapi/login", state=state)

    with pytest.raises(kind, match=f"login_state {state}"):
        vendor.adapter().authenticate()

    assert vendor.logins() == 1


FAULT = {
    "ps_id": 5100001,
    "ps_key": "5100001_1_1_1",
    "fault_code": "60001.202602.0a1b2c3d4e5f6",
    "fault_type_code": 60001,
    "fault_type": 1,
    "fault_level": 2,
    "fault_name": "Grid overvoltage",
    "fault_desc": "the grid's voltage is above its limit",
    "device_name": "Inverter 1",
    "process_status": 1,
    "create_time": "2026-02-02 08:31:00",
    "over_time": None,
}
QUERY = AlertQuery(
    since=datetime(2026, 1, 1, tzinfo=UTC),
    until=datetime(2026, 2, 10, tzinfo=UTC),
    zones={"5100001": "UTC+05:30"},
)


def alerted(query=QUERY, **changes):
    row = {key: value for key, value in (FAULT | changes).items() if value != "absent"}
    made, client = adapter(wrapped({"rowCount": 1, "pageList": [row]}))
    return next(iter(made.alerts(once_with("300001_sim"), query))), client


def test_faults_are_asked_for_by_the_account_without_a_window():
    _, client = alerted()

    (request,) = client.requests
    assert request.path == "/openapi/getFaultAlarmInfo"
    assert request.purpose is Purpose.LISTING
    assert request.json == {
        "appkey": "sim-appkey",
        "lang": "_en_US",
        "token": "300001_sim",
        "curPage": 1,
        "size": 100,
    }


def test_a_fault_becomes_an_alert():
    (alert,) = alerted()[0].records

    assert alert.vendor_alert_id == "60001.202602.0a1b2c3d4e5f6"
    assert alert.vendor_plant_id == "5100001"
    assert (alert.title, alert.code) == ("Grid overvoltage", "60001")
    assert alert.description == "Inverter 1: the grid's voltage is above its limit"
    assert alert.started_at == datetime(2026, 2, 2, 3, 1, tzinfo=UTC)
    assert (alert.status, alert.severity, alert.resolved_at) == ("active", "HIGH", None)


@pytest.mark.parametrize("code", [None, "", "absent", 60001, "60001"], ids=repr)
def test_a_code_that_names_a_kind_gives_way_to_device_kind_and_time(code):
    (alert,) = alerted(fault_code=code)[0].records
    (later,) = alerted(fault_code=code, create_time="2026-02-02 08:32:00")[0].records

    assert alert.vendor_alert_id == "5100001_1_1_1/60001/2026-02-02 08:31:00"
    assert later.vendor_alert_id != alert.vendor_alert_id


def test_the_name_of_an_occurrence_depends_on_no_zone():
    elsewhere = AlertQuery(QUERY.since, QUERY.until, default_zone="Europe/Berlin")

    (here,) = alerted(fault_code=None)[0].records
    (there,) = alerted(elsewhere, fault_code=None)[0].records

    assert here.vendor_alert_id == there.vendor_alert_id
    assert here.started_at != there.started_at


@pytest.mark.parametrize(
    ("zones", "default", "hour"),
    [
        ({"5100001": "UTC+04:00"}, "Asia/Kolkata", "04:31"),
        ({"5100002": "UTC+04:00"}, "Europe/Berlin", "07:31"),
        ({}, "Asia/Kolkata", "03:01"),
    ],
)
def test_a_time_is_on_the_clock_of_its_plant_or_on_the_default_one(zones, default, hour):
    query = AlertQuery(QUERY.since, QUERY.until, zones=zones, default_zone=default)

    assert f"{alerted(query)[0].records[0].started_at:%H:%M}" == hour


@pytest.mark.parametrize(
    ("level", "kind", "severity"),
    [
        (1, 4, "CRITICAL"),
        ("2", 1, "HIGH"),
        (3, 1, "MEDIUM"),
        (4, 1, "LOW"),
        (None, 1, "CRITICAL"),
        ("absent", "2", "HIGH"),
        (9, 3, "MEDIUM"),
        (None, 4, "LOW"),
        (None, None, None),
    ],
)
def test_the_severity_is_the_level_and_without_one_the_type(level, kind, severity):
    assert alerted(fault_level=level, fault_type=kind)[0].records[0].severity == severity


@pytest.mark.parametrize(
    ("process", "over", "status"),
    [
        (1, None, "active"),
        (2, None, "active"),
        ("3", None, "active"),
        (4, None, "resolved"),
        (9, "2026-02-02 09:00:00", "resolved"),
        (1, "2026-02-02 09:00:00", "resolved"),
        (None, None, "active"),
    ],
)
def test_a_fault_is_over_when_it_was_closed_or_has_recovered(process, over, status):
    (alert,) = alerted(process_status=process, over_time=over)[0].records

    assert alert.status == status
    assert (alert.resolved_at is None) == (over is None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ps_id": None}, "ps_id is missing"),
        ({"create_time": "--"}, "create_time is missing"),
        ({"create_time": "2026-02-30 08:00:00"}, "create_time '2026-02-30 08:00:00' is not a time"),
        ({"fault_code": None, "ps_key": None}, "ps_key is missing"),
        ({"fault_name": None, "fault_type_code": None}, "fault_name is missing"),
    ],
    ids=str,
)
@pytest.mark.fault("V13")
def test_a_fault_that_is_unfit_is_rejected_with_its_reason(changes, reason):
    (rejection,) = alerted(**changes)[0].rejected

    assert rejection.reason == reason


@pytest.mark.fault("V13")
def test_a_fault_that_is_unfit_is_still_the_occurrence_that_is_stored():
    """Or a complete list of open faults would seem to lack it, and end it."""
    typed = {"fault_code": 14}
    stored = alerted(**typed)[0].records[0].vendor_alert_id

    (rejection,) = alerted(**typed, ps_id=None)[0].rejected

    assert rejection.key == stored


@pytest.mark.fault("V2")
def test_faults_that_are_not_granted_are_refused_with_advice_and_without_a_login(at):
    vendor = at(CLOUDS["sungrow"])
    vendor.sim.change_account("sungrow", "sim-busy", {"refused": ["getFaultAlarmInfo"]})

    with pytest.raises(VendorRefusedError, match=r"code E900 .*granted on the developer portal"):
        list(vendor.alerts())

    assert vendor.logins() == 1
    assert len(list(vendor.listing(**vendor.cloud.busy))) == 1


def test_a_refusal_that_comes_with_http_404_is_told_by_the_vendors_code(at, monkeypatch):
    monkeypatch.setattr("vendorsync_job.vendors.sungrow.LIST_PATH", "/openapi/nothing")

    with pytest.raises(VendorRefusedError, match=r"with code E996 \(er_api_path_not_found\)"):
        list(at(CLOUDS["sungrow"]).listing())
