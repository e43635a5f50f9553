"""What is Solarman's own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import pytest

from tests.vendors.clouds import CLOUDS
from tests.vendors.reading import read
from tests.vendors.recorded import RecordedClient, once_with
from vendorsync_job.errors import (
    AccountLockedError,
    ConfigurationError,
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
from vendorsync_job.vendors.solarman import SolarmanAdapter
from vendorsync_job.vendors.words import MOST, Words

CREDENTIALS = CLOUDS["solarman"].credentials
# SHA-256 of `Sim-Passw0rd!`, computed elsewhere.
DIGEST = "cd438ee80577f99df4d3f2d68a1b8988af5f58490adf524cf670b3bb9f488301"
GRANTED = {"success": True, "code": None, "access_token": "sim-token", "expires_in": "5183999"}
ROW = {
    "id": 900001,
    "name": "Sim Roof Pune",
    "locationLat": 18.52,
    "locationLng": 73.85,
    "locationAddress": "Plot 1, Pune",
    "regionTimezone": "Asia/Kolkata",
    "type": "COMMERCIAL_ROOF",
    "installedCapacity": 98.4,
    "startOperatingTime": 1700000000.0,
    "networkStatus": "NORMAL",
}


def adapter(*answers, options=None, **credentials):
    client = RecordedClient(*answers)
    chosen = SolarmanAdapter.policy.check_options(options or {})
    return SolarmanAdapter(client, {**CREDENTIALS, **credentials}, chosen), client


def listed(**changes):
    answer = {"success": True, "code": None, "total": 1, "stationList": [{**ROW, **changes}]}
    made, _ = adapter(answer)
    return read(made, next(iter(made.plants(once_with("sim-token")))))


def test_the_login_sends_the_hash_of_the_password_and_one_identity():
    made, client = adapter(GRANTED)

    grant = made.authenticate()

    (request,) = client.requests
    assert (request.path, request.params["appId"]) == ("/account/v1.0/token", "sim-app")
    assert request.json == {
        "appSecret": "sim-app-secret",
        "email": "sim@example.test",
        "password": DIGEST,
    }
    assert request.purpose is Purpose.LOGIN
    assert not request.headers
    assert (grant.token, grant.expires_in) == ("sim-token", 5183999.0)


@pytest.mark.parametrize("given", [DIGEST, DIGEST.upper(), f"{DIGEST}\n"], ids=repr)
def test_the_hash_of_a_password_does_in_its_place(given):
    made, client = adapter(GRANTED, password="", passwordSha256=given)

    made.authenticate()

    assert client.requests[0].json["password"] == DIGEST


def test_a_password_goes_before_the_hash_of_one():
    made, client = adapter(GRANTED, passwordSha256="0" * 64)

    made.authenticate()

    assert client.requests[0].json["password"] == DIGEST


@pytest.mark.fault("S2")
@pytest.mark.parametrize("given", ["Sim-Passw0rd!", DIGEST[:-1], DIGEST + "0", "g" * 64])
def test_what_is_no_hash_of_a_password_is_refused_before_a_call_and_not_shown(given):
    made, client = adapter(GRANTED, password="", passwordSha256=given)

    with pytest.raises(ConfigurationError, match=r"passwordSha256 .* is not 64 hex") as caught:
        made.authenticate()

    assert not client.requests
    assert given not in str(caught.value)


def test_a_refused_password_that_looks_like_a_hash_is_told_the_key_for_one():
    refused = {"success": False, "code": "2101025", "msg": "wrong"}
    made, client = adapter(refused, password=DIGEST)

    with pytest.raises(CredentialsRejectedError, match="give it the key passwordSha256") as caught:
        made.authenticate()

    assert client.requests[0].json["password"] == sha256(DIGEST.encode()).hexdigest()
    assert DIGEST not in str(caught.value)


def test_another_refused_password_is_not():
    made, _ = adapter({"success": False, "code": "2101025", "msg": "wrong"})

    with pytest.raises(CredentialsRejectedError) as caught:
        made.authenticate()

    assert "passwordSha256" not in str(caught.value)


def test_the_cloud_takes_the_hash_of_a_password(at):
    solarman = at(CLOUDS["solarman"])

    assert len(solarman.fields(password="", passwordSha256=DIGEST)) == solarman.cloud.plants


@pytest.mark.parametrize("lifetime", ["5183999", 5183999, 5183999.0], ids=repr)
def test_the_lifetime_may_be_text_or_number(lifetime):
    made, _ = adapter({**GRANTED, "expires_in": lifetime})

    assert made.authenticate().expires_in == 5183999.0


@pytest.mark.parametrize("lifetime", [None, "soon", True, {}])
def test_a_lifetime_that_is_none_is_left_to_the_token(lifetime):
    made, _ = adapter({**GRANTED, "expires_in": lifetime})

    assert made.authenticate().expires_in is None


def test_a_mobile_number_goes_with_its_country():
    made, client = adapter(GRANTED, email="", mobile="98765", countryCode="91")

    made.authenticate()

    assert client.requests[0].json["mobile"] == "98765"
    assert client.requests[0].json["countryCode"] == "91"
    assert "email" not in client.requests[0].json


def test_a_company_is_named_at_the_login():
    made, client = adapter(GRANTED, options={"orgId": 700200})

    made.authenticate()

    assert client.requests[0].json["orgId"] == 700200


def test_the_list_asks_with_a_lower_case_bearer_and_counts_pages_from_one():
    made, client = adapter({"success": True, "total": 0, "stationList": []}, {"success": True})

    list(made.plants(once_with("sim-token")))

    request = client.requests[0]
    assert request.path == "/station/v1.0/list"
    assert request.headers["Authorization"] == "bearer sim-token"
    assert request.json == {"page": 1, "size": 100}


def test_a_station_becomes_a_plant_in_our_units():
    (plant,) = listed().records

    assert plant.vendor_plant_id == "900001"
    assert plant.capacity_kw == Decimal("98.400")
    assert (plant.latitude, plant.longitude) == (Decimal("18.52"), Decimal("73.85"))
    assert plant.commissioned_at.isoformat() == "2023-11-14T22:13:20+00:00"
    assert (plant.name, plant.address) == ("Sim Roof Pune", "Plot 1, Pune")
    assert plant.time_zone == "Asia/Kolkata"
    assert (plant.status, plant.plant_type) == ("online", "COMMERCIAL_ROOF")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("PARTIAL_OFFLINE", "partial"),
        (" ALL_OFFLINE", "offline"),
        ("Normal\n", "online"),
        ("NEW", None),
        (" ", None),
        (1, None),
        (None, None),
    ],
)
def test_a_network_status_becomes_one_of_ours_or_none(sent, status):
    assert listed(networkStatus=sent).records[0].status == status


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"startOperatingTime": -28800}, "startOperatingTime"),
        ({"locationAddress": "x" * 1001}, "locationAddress"),
        ({"installedCapacity": "ten"}, "installedCapacity"),
        ({"locationLat": 91}, "locationLat"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_stored_costs_itself_only(changes, field):
    page = listed(**changes)

    assert [reason.split()[0] for reason in page.dropped] == [field]
    assert [plant.name for plant in page.records] == ["Sim Roof Pune"]
    assert page.rejected == ()


def test_a_word_that_is_not_known_is_logged_once(caplog):
    words = Words("networkStatus", {"NORMAL": "online"})

    for word in ("ASLEEP", "NORMAL", "ASLEEP", " ", *(f"word {n}" for n in range(100))):
        words(word)

    told = [record.word for record in caplog.records]
    assert told[0] == "ASLEEP"
    assert len(told) == len(set(told)) == MOST


@pytest.mark.parametrize("code", ["2101028", "2101035", "2101036"])
def test_what_refuses_the_login_there_refuses_a_call_elsewhere(code):
    answer = {"success": False, "code": code, "msg": None}
    made, _ = adapter(answer, answer)

    with pytest.raises(CredentialsRejectedError, match=rf"code {code}; check the account's name"):
        made.authenticate()
    with pytest.raises(VendorRefusedError):
        list(made.plants(once_with("sim-token")))


@pytest.mark.parametrize("zone", ["PRC", "Asia/Kolkata"])
def test_a_legacy_name_of_a_zone_is_a_zone(zone):
    assert listed(regionTimezone=zone).records[0].time_zone == zone


def test_an_id_as_text_is_the_same_plant():
    assert listed(id="900001").records == listed(id=900001).records


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("3201001", VendorUnavailableError),
        ("3501004", VendorUnavailableError),
        ("2101002", ThrottledError),
        ("2101010", QuotaExhaustedError),
        ("2101017", TokenExpiredError),
        ("2101019", TokenExpiredError),
        (2101019, TokenExpiredError),
        ("2101018", CredentialsRejectedError),
        ("2101020", CredentialsRejectedError),
        ("2101025", CredentialsRejectedError),
        ("2101009", AccountLockedError),
        ("2101023", VendorRefusedError),
        ("2101026", VendorRefusedError),
        ("9999999", VendorRefusedError),
    ],
    ids=repr,
)
@pytest.mark.fault("V2")
def test_each_code_has_its_meaning(code, error):
    made, _ = adapter({"success": False, "code": code, "msg": "sim words"})

    with pytest.raises(
        error, match=rf"/station/v1\.0/list with code {code} \(sim words\)"
    ) as caught:
        list(made.plants(once_with("sim-token")))
    assert type(caught.value) is error


def test_a_refusal_of_the_login_names_the_reason_and_what_to_check():
    answer = {
        "code": "2101025",
        "msg": 'auth failed:{"error":"invalid_grant"}',
        "success": False,
        "access_token": None,
    }
    made, _ = adapter(answer)

    with pytest.raises(CredentialsRejectedError, match=r"invalid_grant.*check appSecret"):
        made.authenticate()


def test_a_lost_token_at_the_login_means_refused_credentials():
    made, _ = adapter({"success": False, "code": "2101017", "msg": "auth token not found"})

    with pytest.raises(CredentialsRejectedError):
        made.authenticate()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": []},
        {"success": True},
        {"success": True, "total": 1, "stationList": {}},
        {"success": True, "stations": []},
    ],
    ids=repr,
)
def test_an_answer_without_its_parts_breaks_the_contract(answer):
    made, _ = adapter(answer)

    with pytest.raises(VendorContractError, match="Solarman OpenAPI answered"):
        list(made.plants(once_with("sim-token")))


@pytest.mark.parametrize("token", [None, "", 5])
def test_a_login_without_a_token_breaks_the_contract(token):
    made, _ = adapter({**GRANTED, "access_token": token})

    with pytest.raises(VendorContractError, match="without a token"):
        made.authenticate()


ALERT = {
    "id": 77001,
    "deviceSn": "SIMINV0001",
    "alertName": "Grid voltage out of range",
    "code": "F04",
    "level": 2,
    "status": 1,
    "alertStartTime": 1770001445,
    "alertEndTime": None,
}
QUERY = AlertQuery(
    since=datetime(2026, 1, 1, tzinfo=UTC),
    until=datetime(2026, 2, 10, 20, tzinfo=UTC),
    plant="900001",
    zones={"900001": "Asia/Kolkata"},
)


def alerted(query=QUERY, **changes):
    row = {key: value for key, value in (ALERT | changes).items() if value != "absent"}
    made, client = adapter({"success": True, "total": 1, "stationAlertItems": [row]})
    return next(iter(made.alerts(once_with("sim-token"), query))), client


def test_alerts_are_asked_for_by_plant_as_details():
    _, client = alerted()

    (request,) = client.requests
    assert request.path == "/station/v1.0/alertV2"
    assert request.purpose is Purpose.DETAIL
    assert request.json == {
        "stationId": 900001,
        "startTime": "2026-01-13",
        "endTime": "2026-02-11",
        "page": 1,
        "size": 100,
    }


def test_a_shorter_window_is_asked_for_as_it_is():
    query = AlertQuery(
        since=datetime(2026, 2, 9, 20, tzinfo=UTC), until=QUERY.until, plant="S-1", zones={}
    )

    _, client = alerted(query)

    asked = client.requests[0].json
    assert (asked["startTime"], asked["endTime"]) == ("2026-02-10", "2026-02-11")
    assert asked["stationId"] == "S-1"


def test_a_station_alert_becomes_an_alert():
    (alert,) = alerted()[0].records

    assert (alert.vendor_alert_id, alert.vendor_plant_id) == ("77001", "900001")
    assert (alert.title, alert.code) == ("Grid voltage out of range", "F04")
    assert alert.started_at == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)
    assert (alert.status, alert.resolved_at) == ("active", None)
    assert alert.device_serial == "SIMINV0001"


@pytest.mark.parametrize(
    "moment", [1770001445.0, "1770001445", "1770001445.0", 1770001445000], ids=repr
)
def test_a_time_may_be_number_fraction_or_text(moment):
    assert alerted(alertStartTime=moment)[0].records == alerted()[0].records


@pytest.mark.parametrize(
    ("level", "influence", "severity"),
    [
        (0, "absent", "LOW"),
        (1, "absent", "MEDIUM"),
        (2, "absent", "HIGH"),
        ("2", None, "HIGH"),
        (2, 1, "HIGH"),
        (2, 2, "CRITICAL"),
        (2, "3", "CRITICAL"),
        (1, 3, "MEDIUM"),
        (9, 3, None),
        (None, 3, None),
    ],
)
def test_the_severity_is_the_level_and_a_fault_that_touches_safety_is_critical(
    level, influence, severity
):
    assert alerted(level=level, influence=influence)[0].records[0].severity == severity


@pytest.mark.parametrize(
    ("status", "ended", "found"),
    [
        (0, 1770005045, ("resolved", datetime(2026, 2, 2, 4, 4, 5, tzinfo=UTC))),
        ("0", "1770005045.0", ("resolved", datetime(2026, 2, 2, 4, 4, 5, tzinfo=UTC))),
        (0, None, ("resolved", None)),
        (1, 1770005045, ("active", None)),
        (7, 1770005045, ("resolved", datetime(2026, 2, 2, 4, 4, 5, tzinfo=UTC))),
        ("absent", 0, ("active", None)),
    ],
)
def test_an_alert_is_over_as_its_status_says_or_without_one_as_its_end_says(status, ended, found):
    (alert,) = alerted(status=status, alertEndTime=ended)[0].records

    assert (alert.status, alert.resolved_at) == found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "absent"}, "id is missing"),
        ({"alertStartTime": "yesterday"}, "alertStartTime 'yesterday' is not a number"),
        ({"alertStartTime": 0}, "alertStartTime is missing"),
        ({"alertName": None, "code": None}, "alertName is missing"),
        ({"alertName": ["x"], "code": None}, "alertName is a list, not a text"),
    ],
    ids=str,
)
@pytest.mark.fault("V13")
def test_an_alert_that_is_unfit_is_rejected_with_its_reason(changes, reason):
    (rejection,) = alerted(**changes)[0].rejected

    assert reason in rejection.reason


def test_an_alert_without_a_name_goes_by_its_code():
    assert alerted(alertName=None)[0].records[0].title == "F04"


def test_a_plant_that_has_left_the_account_has_no_alerts():
    made, _ = adapter({"success": False, "code": "2101031", "msg": "station not found"})

    (page,) = made.alerts(once_with("sim-token"), QUERY)

    assert (page.records, page.is_last) == ((), True)


def test_the_widest_window_is_one_that_the_simulated_cloud_takes(at):
    vendor = at(CLOUDS["solarman"])

    assert len(list(vendor.alerts())) > 0
