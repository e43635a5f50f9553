from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from tests.simulators.clients import NORTH, SOLARMAN_LIST, WEST

FIRST = 9000001


@pytest.fixture(scope="module")
def client(running, trust):
    with httpx.Client(base_url=running.control_url, verify=trust) as opened:
        yield opened


@pytest.fixture
def control(client, sim):
    return client


def test_it_is_healthy_and_names_the_accounts(control):
    assert control.get("/healthz").json() == {"status": "ok"}
    assert control.get("/accounts").json()["sungrow"] == ["sim-west", "sim-east", "sim-disabled"]


def test_calls_are_logged_without_secrets(control, solarman, sungrow):
    solarman.login().list(2)
    sungrow.login().try_login(user_password="sim-wrong-secret")
    log = control.get("/calls").json()
    seen = [(call["vendor"], call["account"], call["page"], call["outcome"]) for call in log]
    assert seen == [
        ("solarman", "sim-north", None, "ok"),
        ("solarman", "sim-north", 2, "ok"),
        ("sungrow", "sim-west", None, "ok"),
        ("sungrow", "sim-west", None, "login_state 0"),
    ]
    assert {call["remote"] for call in log} == {"127.0.0.1"}
    assert all(datetime.fromisoformat(call["started_at"]).tzinfo for call in log)
    token = solarman.headers["Authorization"].split()[1]
    for secret in (NORTH.password, NORTH.app_secret, WEST.access_key, "sim-wrong", token):
        assert secret not in json.dumps(log)


def test_calls_are_filtered_and_forgotten(control, solarman):
    solarman.login().list()
    assert len(control.get("/calls", params={"path": SOLARMAN_LIST}).json()) == 1
    assert control.delete("/calls").status_code == 204
    assert control.get("/calls").json() == []


@pytest.mark.parametrize("vendor", ["solarman", "sungrow"])
def test_the_truth_is_what_a_table_should_hold(control, sim, vendor):
    told = control.get("/truth", params={"vendor": vendor}).json()
    assert told == json.loads(json.dumps(sim.truth(vendor)))
    wanted = {"id", "name", "capacity_kw", "latitude", "longitude", "address", "timezone"}
    assert wanted < told[0].keys()


def test_faults_are_set_and_cleared(control, solarman):
    solarman.login()
    fault = {"kind": "error", "code": "2101019", "path": SOLARMAN_LIST, "times": 1}
    assert control.put("/faults", json={"faults": [fault]}).json()[0]["options"] == {
        "code": "2101019"
    }
    assert [solarman.list().json()["code"] for _ in range(2)] == ["2101019", None]
    control.put("/faults", json={"faults": [{"kind": "http_error"}]})
    assert control.delete("/faults").status_code == 204
    assert solarman.list().status_code == 200


def test_plants_come_go_and_change(control, solarman):
    changes = [
        {"op": "add", "count": 2},
        {"op": "remove", "id": FIRST},
        {"op": "rename", "id": str(FIRST + 1), "name": "Sim New Name"},
        {"op": "resize", "id": FIRST + 2, "capacity_kw": 12.5},
        {"op": "change", "id": FIRST + 3, "timezone": "PRC", "latitude": None},
    ]
    body = {"vendor": "solarman", "account": "sim-north", "changes": changes}
    assert control.post("/plants", json=body).json()["ids"][:2] == ["9000026", "9000027"]
    listed = {str(row["id"]): row for row in solarman.login().list(size=50).json()["stationList"]}
    assert str(FIRST) not in listed
    assert len(listed) == 26
    assert listed["9000002"]["name"] == "Sim New Name"
    assert listed["9000003"]["installedCapacity"] == 12.5
    assert (listed["9000004"]["regionTimezone"], listed["9000004"]["locationLat"]) == ("PRC", None)
    assert {plant["id"] for plant in solarman.sim.truth("solarman")} == listed.keys()


def test_tokens_passwords_and_the_clock(control, solarman):
    solarman.login()
    body = {"vendor": "solarman", "account": "sim-north"}
    assert control.post("/tokens/expire", json=body).json() == {"expired": 1}
    assert control.put("/password", json={**body, "password": "sim-new"}).status_code == 204
    assert solarman.token()["code"] == "2101025"
    assert control.put("/clock", json={"frozen_at": 1770000000, "offset": 5}).json() == {
        "now": 1770000005
    }


def test_a_reset_is_a_fresh_start(control, solarman):
    solarman.login().sim.fault("login_page")
    solarman.sim.change_plants("solarman", None, [{"op": "remove", "id": FIRST}])
    assert control.post("/reset").status_code == 204
    assert solarman.list().json()["code"] == "2101019"
    assert solarman.login().list().json()["total"] == 25


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("PUT", "/faults", {"faults": [{"kind": "sim-none"}]}, "no fault"),
        ("PUT", "/faults", None, "JSON object"),
        ("GET", "/truth?vendor=sim-none", None, "no vendor"),
        ("GET", "/truth?vendor=sungrow&account=sim-none", None, "no sungrow account"),
        ("POST", "/plants", {"vendor": "solarman", "changes": [{"op": "sim"}]}, "id"),
        ("POST", "/plants", {"vendor": "solarman", "changes": [{"op": "remove", "id": 1}]}, "1"),
        (
            "POST",
            "/plants",
            {"vendor": "solarman", "changes": [{"op": "change", "id": FIRST, "created_at": 1}]},
            "created_at",
        ),
        ("GET", "/calls?colour=blue", None, "colour"),
        ("PUT", "/accounts", {"vendor": "sungrow", "settings": {"seed": 1}}, "seed"),
        ("PUT", "/accounts", {"vendor": "solarman", "settings": {"refused": []}}, "refused"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(control, method, path, body, told):
    answer = control.request(method, path, json=body)
    assert (answer.status_code, told in answer.json()["error"]) == (400, True)


def test_an_unknown_call_is_told_the_known_ones(control):
    answer = control.get("/nothing")
    assert (answer.status_code, "PUT /faults" in answer.json()["calls"]) == (404, True)


def test_fifty_clients_at_once(control, solarman, trust):
    solarman.login()

    def read(page):
        with httpx.Client(verify=trust, timeout=60) as http:
            body = {"page": page, "size": 1}
            url = solarman.sim.solarman_url + SOLARMAN_LIST
            return http.post(url, json=body, headers=solarman.headers).json()["stationList"][0]

    with ThreadPoolExecutor(25) as pool:
        found = list(pool.map(read, list(range(1, 26)) * 2))
    assert len({str(row["id"]) for row in found}) == 25
    assert len(solarman.sim.calls(path=SOLARMAN_LIST, outcome="ok")) == 50


def test_settings_of_an_account_change_while_it_is_in_use(control, solarman):
    older = solarman.login().headers
    change = {"vendor": "solarman", "settings": {"single_token": True}}

    assert control.put("/accounts", json=change).status_code == 204

    solarman.login()
    assert solarman.list(headers=older).json()["code"] == "2101019"


def test_the_truth_about_alarms_is_told(control):
    control.put("/clock", json={"frozen_at": 1770000000})

    told = control.get("/alerts", params={"vendor": "sungrow"}).json()

    assert told
    assert {"id", "plant", "severity", "started_at", "ended_at"} <= told[0].keys()
