from __future__ import annotations

import time

import jwt
import pytest

from dev.simulators.solarman import signing_key
from tests.simulators.clients import HURRIED, NORTH, SOLARMAN_LIST, SOUTH

ALERTS = "/station/v1.0/alertV2"
SHA_256_OF_NORTH = "cd438ee80577f99df4d3f2d68a1b8988af5f58490adf524cf670b3bb9f488301"


def test_a_token_comes_flat_with_null_code_and_text_expiry(solarman):
    answer = solarman.token(password=SHA_256_OF_NORTH)
    assert (answer["code"], answer["msg"], answer["success"]) == (None, None, True)
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", "5183999")
    claims = jwt.decode(
        answer["access_token"], signing_key().public_key(), ["RS256"], options={"verify_aud": False}
    )
    assert claims["exp"] == pytest.approx(time.time() + 5183999, abs=5)


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("2101018", {"app_id": ""}),
        ("2101021", {"app_id": "sim-unknown"}),
        ("2101005", {"appSecret": None}),
        ("2101005", {"password": None}),
        ("2101005", {"email": None}),
        ("2101006", {"username": "sim-too"}),
        ("2101025", {"appSecret": "sim-wrong"}),
        ("2101025", {"password": "Sim-Passw0rd!"}),
        ("2101025", {"password": SHA_256_OF_NORTH.upper()}),
        ("2101025", {"email": "sim-nobody@example.test"}),
        ("2101020", {"orgId": 1}),
    ],
)
def test_a_refused_login_names_its_reason(solarman, expected, changes):
    answer = solarman.token(**changes)
    assert (answer["code"], answer["success"], answer["access_token"]) == (expected, False, None)
    assert solarman.sim.calls()[-1].outcome == expected


def test_a_user_name_logs_in_too(solarman):
    assert solarman.token(HURRIED, email=None, username=HURRIED.username)["success"]


def test_the_list_has_every_plant_once(solarman):
    solarman.login()
    answers = [solarman.list(page).json() for page in (1, 2, 3)]
    assert [answer["total"] for answer in answers] == [25, 25, 25]
    rows = [row for answer in answers for row in answer["stationList"]]
    truth = solarman.sim.truth("solarman")
    assert [str(row["id"]) for row in rows] == [plant["id"] for plant in truth]
    assert [row["installedCapacity"] for row in rows] == [plant["capacity_kw"] for plant in truth]
    assert [row["createdDate"] for row in rows] == [plant["created_as_sent"] for plant in truth]


def test_ids_are_numbers_or_text_and_times_are_floats(solarman):
    rows = solarman.login().list(size=25).json()["stationList"]
    assert {type(row["id"]) for row in rows} == {int, str}
    assert {type(row[key]) for row in rows for key in ("createdDate", "lastUpdateTime")} == {float}


def test_a_call_that_says_nothing_gets_the_first_page(solarman):
    answer = solarman.login().post(SOLARMAN_LIST, {}).json()
    assert (answer["success"], answer["total"], len(answer["stationList"])) == (True, 25, 20)


def test_some_states_have_blanks_around_them(solarman):
    rows = solarman.login().list(size=25).json()["stationList"]
    words = {row["networkStatus"] for row in rows}
    assert {"NORMAL", " NORMAL "} <= words


def test_a_page_after_the_last_is_empty(solarman):
    answer = solarman.login().list(4).json()
    assert (answer["success"], answer["total"], answer["stationList"]) == (True, 25, [])


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        (None, {}),
        (None, {"page": 2}),
        ("2101008", {"page": "one", "size": 10}),
        ("2101008", {"page": True, "size": 10}),
        ("2101006", {"page": 0, "size": 10}),
        ("2101026", {"page": 1, "size": 201}),
        (None, {"page": "1", "size": 200}),
    ],
)
def test_paging_is_checked(solarman, expected, body):
    answer = solarman.login().post(SOLARMAN_LIST, body)
    assert (answer.status_code, answer.json()["code"]) == (200, expected)


@pytest.mark.parametrize("scheme", ["bearer", "Bearer"])
def test_both_spellings_of_bearer_are_accepted(solarman, scheme):
    token = solarman.token()["access_token"]
    assert solarman.list(headers={"Authorization": f"{scheme} {token}"}).json()["success"]


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        ("2101017", {}),
        ("2101017", {"Authorization": "Basic sim"}),
        ("2101019", {"Authorization": "bearer sim-unknown"}),
    ],
)
def test_a_call_without_a_live_token_is_refused(solarman, expected, headers):
    assert solarman.list(headers=headers).json()["code"] == expected


def test_a_new_token_leaves_the_older_one_alive(solarman):
    older = solarman.login().headers
    solarman.login()
    assert solarman.list(headers=older).json()["success"]


def test_an_account_can_be_told_to_hold_a_single_token(solarman):
    older = solarman.login(HURRIED).headers
    assert solarman.login(HURRIED).list(headers=older).json()["code"] == "2101019"


def test_a_token_ends_with_its_lifetime(solarman):
    solarman.login(HURRIED).sim.set_clock(offset=31)
    assert solarman.list().json()["code"] == "2101019"


def test_expired_tokens_are_still_logged_under_their_account(solarman):
    solarman.login()
    assert solarman.sim.expire_tokens("solarman", "sim-north") == 1
    assert solarman.list().json()["code"] == "2101019"
    assert solarman.sim.calls()[-1].account == "sim-north"


def test_a_changed_password_kills_the_tokens(solarman):
    solarman.login().sim.set_password("solarman", "sim-north", "sim-new")
    assert solarman.list().json()["code"] == "2101019"
    assert solarman.token()["code"] == "2101025"


@pytest.mark.parametrize(("number", "code"), [("700200", None), ("x", "2101020"), ("1", "2101020")])
def test_the_company_of_a_login_may_be_text(solarman, number, code):
    assert solarman.token(SOUTH, orgId=number)["code"] == code


def test_plants_of_a_company_need_its_org_id(solarman):
    personal = solarman.login(SOUTH).list().json()
    companies = solarman.post("/account/v1.0/info").json()["orgInfoList"]
    assert (personal["total"], personal["stationList"]) == (0, [])
    assert solarman.login(SOUTH, orgId=companies[0]["companyId"]).list().json()["total"] == 3


def test_too_many_calls_in_a_burst_are_refused(solarman):
    solarman.login(HURRIED)
    assert [solarman.list().json()["code"] for _ in range(3)] == [None, None, "2101002"]


def test_a_used_up_allowance_refuses_the_token_call_too(solarman):
    solarman.login(SOUTH)
    codes = [solarman.list().json()["code"] for _ in range(6)]
    assert codes == [None] * 5 + ["2101010"]
    refused = solarman.token(SOUTH)
    assert (refused["code"], refused["msg"]) == ("2101010", "appId insufficient allowance")
    assert set(refused) == {"code", "msg", "success", "requestId"}


@pytest.mark.parametrize(
    ("expected", "start", "end"),
    [
        ("2101012", "2026-01-01", "2026-02-01"),
        (None, "2026-01-02", "2026-02-01"),
        ("2101014", "2026-02-02", "2026-02-01"),
        ("2101015", "20260101", "2026-02-01"),
    ],
)
def test_the_window_of_alerts_is_checked(solarman, expected, start, end):
    body = {"stationId": 9000001, "startTime": start, "endTime": end, "page": 1, "size": 10}
    assert solarman.login().post(ALERTS, body).json()["code"] == expected


def test_both_alert_endpoints_tell_the_same_alarms(solarman):
    solarman.login().sim.set_clock(frozen_at=1770000000)
    body = {"startTime": "2026-01-03", "endTime": "2026-02-01", "page": 1, "size": 50}
    found = 0
    for plant in solarman.sim.truth("solarman"):
        old, new = (
            solarman.post(f"/station/v1.0/{name}", {**body, "stationId": plant["id"]}).json()
            for name in ("alert", "alertV2")
        )
        pairs = list(zip(old["stationAlertItems"], new["stationAlertItems"], strict=True))
        assert all(a["alertTime"] == b["alertStartTime"] for a, b in pairs)
        assert all((b["alertEndTime"] is None) == (b["status"] == 1) for _, b in pairs)
        found += len(pairs)
    assert found > 0


def test_alarms_come_and_go_with_the_clock_and_always_in_the_same_way(solarman):
    solarman.login()

    def listed(now):
        solarman.sim.set_clock(frozen_at=now)
        return {row["id"]: row["ended_at"] for row in solarman.sim.alert_truth("solarman")}

    first, later, again = listed(1770000000), listed(1770000000 + 86_400), listed(1770000000)

    assert first == again
    lasting = {key for key, ended in first.items() if ended is None}
    assert any(later.get(key) for key in lasting), "one that lasted has ended by now"
    assert len(later) > len(first.keys() & later.keys()), "others have begun"


def test_a_busy_account_has_its_alarms_on_every_plant_and_day(solarman):
    solarman.login().sim.set_clock(frozen_at=1770000000)
    plant = solarman.sim.truth("solarman")[0]["id"]
    solarman.sim.change_account("solarman", "sim-north", {"busy": 3})
    body = {"startTime": "2026-01-03", "endTime": "2026-01-12", "page": 1, "size": 50}

    answer = solarman.post(ALERTS, {**body, "stationId": plant}).json()

    assert answer["total"] == 3 * 10
    assert len({item["id"] for item in answer["stationAlertItems"]}) == 30


def test_an_unknown_station_has_no_alerts(solarman):
    body = {
        "stationId": 1,
        "startTime": "2026-01-03",
        "endTime": "2026-01-04",
        "page": 1,
        "size": 5,
    }
    assert solarman.login().post(ALERTS, body).json()["code"] == "2101031"


def test_other_paths_and_methods_are_plain_http_errors(solarman):
    assert solarman.post("/station/v1.0/alerts").status_code == 404
    assert solarman.http.get(solarman.sim.solarman_url + SOLARMAN_LIST).status_code == 405


def test_an_account_exists_under_its_own_app_id_only(solarman):
    assert solarman.token(NORTH)["uid"] == NORTH.uid
    assert solarman.token(SOUTH, app_id=NORTH.app_id)["code"] == "2101025"
