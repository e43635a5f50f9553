from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from dev.simulators import Accounts, SungrowAccount, simulators
from dev.simulators.plants import plants
from dev.simulators.sungrow_rows import capacity_text
from tests.simulators.clients import DISABLED, EAST, SUNGROW_LIST, WEST, SungrowClient

FAULTS = "/openapi/getFaultAlarmInfo"
CALL_INFO = "/openapi/getOpenApiCallInfo"
PER_KW = {"Wp": Decimal(1000), "kWp": Decimal(1), "MWp": Decimal("0.001")}
NONCE = "0123456789abcdef0123456789ABCDE"


def replay(last="0", **changes):
    return {
        "api_key_param": {"timestamp": int(time.time() * 1000), "nonce": NONCE + last, **changes}
    }


def test_a_login_gives_an_opaque_token_and_text_values(sungrow):
    answer = sungrow.try_login()
    result = answer["result_data"]
    assert (answer["result_code"], result["login_state"]) == ("1", "1")
    assert re.fullmatch("300001_[0-9a-f]{32}", result["token"])
    assert all(value is None or isinstance(value, str) for value in result.values())


@pytest.mark.parametrize(
    ("state", "account", "changes"),
    [
        ("-1", WEST, {"user_account": "sim-nobody"}),
        ("0", WEST, {"user_password": "sim-wrong"}),
        ("5", DISABLED, {}),
    ],
)
def test_a_refused_login_looks_like_success_outside(sungrow, state, account, changes):
    answer = sungrow.try_login(account, **changes)
    assert (answer["result_code"], answer["result_data"]["login_state"]) == ("1", state)
    assert not answer["result_data"]["token"]
    assert sungrow.sim.calls()[-1].outcome == f"login_state {state}"


def test_five_wrong_passwords_lock_the_account(sungrow):
    wrong = [sungrow.try_login(user_password="sim-wrong")["result_data"] for _ in range(5)]
    assert [answer["login_state"] for answer in wrong] == ["0", "0", "0", "0", "2"]
    assert [answer.get("remain_times") for answer in wrong] == ["4", "3", "2", "1", None]
    assert sungrow.try_login()["result_data"]["login_state"] == "2"
    sungrow.sim.set_clock(offset=WEST.lock_seconds + 1)
    assert sungrow.try_login(user_password="sim-wrong")["result_data"]["login_state"] == "0"
    assert sungrow.try_login()["result_data"]["login_state"] == "1"


def test_a_right_password_forgets_the_wrong_ones(sungrow):
    for _ in range(2):
        for _ in range(4):
            sungrow.try_login(user_password="sim-wrong")
        assert sungrow.try_login()["result_data"]["login_state"] == "1"


def test_a_new_password_unlocks(sungrow):
    for _ in range(5):
        sungrow.try_login(user_password="sim-wrong")
    sungrow.sim.set_password("sungrow", "sim-west", "sim-new")
    assert sungrow.try_login(user_password="sim-new")["result_data"]["login_state"] == "1"


@pytest.mark.parametrize(
    ("code", "headers", "body"),
    [
        ("E911", {"x-access-key": None}, {}),
        ("E912", {"x-access-key": "sim-unknown"}, {}),
        ("E914", {"x-access-key": EAST.access_key}, {}),
        ("003", {"sys_code": None}, {}),
        ("010", {"sys_code": "900"}, {}),
        ("001", {}, {"appkey": None}),
        ("E00000", {}, {"appkey": "sim-unknown"}),
        ("002", {}, {"token": None}),
        ("E00003", {}, {"token": "300001_00000000000000000000000000000000"}),
        ("1", {}, {"curPage": None, "size": None}),
        ("010", {}, {"size": 0}),
        ("010", {}, {"size": 1001}),
        # Made when the test runs: a time stamp of the collection would be old by then.
        ("E909", {}, lambda: replay(nonce="sim-short")),
        ("E913", {}, lambda: replay(timestamp="1770001445000")),
        ("1", {}, lambda: replay(timestamp=str(int(time.time() * 1000)))),
    ],
)
def test_each_wrong_call_has_its_code(sungrow, code, headers, body):
    answer = sungrow.login().list(headers=headers, **(body() if callable(body) else body))
    assert (answer.status_code, answer.json()["result_code"]) == (200, code)


def test_an_unknown_path_is_an_envelope_too(sungrow):
    answer = sungrow.login().post("/openapi/nothing")

    assert (answer.status_code, answer.json()["result_code"]) == (404, "E996")


def test_a_nonce_is_good_for_one_call(sungrow):
    assert sungrow.try_login(EAST)["result_code"] == "E908"
    sungrow.login(EAST, **replay("1"))
    codes = [sungrow.list(**replay("2")).json()["result_code"] for _ in range(2)]
    assert codes == ["1", "E910"]


def test_the_token_of_another_application_is_refused(sungrow):
    secret = sungrow.login(WEST).secret
    sungrow.account = EAST
    assert sungrow.list(token=secret, **replay("3")).json()["result_code"] == "E00003"


def test_each_call_prolongs_the_token(sungrow):
    sungrow.login()
    codes = []
    for hours in (20, 40, 63, 88):
        sungrow.sim.set_clock(offset=hours * 3600)
        codes.append(sungrow.list().json()["result_code"])
    assert codes == ["1", "1", "1", "E00003"]


def test_the_list_has_every_plant_once(sungrow):
    sungrow.login()
    answers = [sungrow.list(page, 25).json()["result_data"] for page in (1, 2, 3)]
    rows = [row for answer in answers for row in answer["pageList"]]
    truth = sungrow.sim.truth("sungrow")
    assert {answer["rowCount"] for answer in answers} == {60}
    assert [str(row["ps_id"]) for row in rows] == [plant["id"] for plant in truth]
    assert [row["install_date"] for row in rows] == [plant["created_as_sent"] for plant in truth]
    assert {row["ps_current_time_zone"] for row in rows} == {"GMT+5:30"}


def test_a_call_that_says_nothing_gets_the_first_page(sungrow):
    result = sungrow.login().post(SUNGROW_LIST).json()["result_data"]
    assert (result["rowCount"], len(result["pageList"])) == (60, 10)


def test_an_organization_has_the_plants_that_are_not_shared_with_it(sungrow):
    sungrow.sim.change_account("sungrow", "sim-west", {"shared": 50})
    login = sungrow.try_login()["result_data"]
    sungrow.login()

    own, foreign = (
        sungrow.list(size=60, org_id=organization).json()["result_data"]
        for organization in (login["user_master_org_id"], "1")
    )

    assert login["user_master_org_id"] == str(WEST.org_id)
    assert (own["rowCount"], len(own["pageList"])) == (10, 10)
    assert foreign == {"rowCount": 0, "pageList": []}


@pytest.mark.parametrize("data", [None, []], ids=repr)
def test_success_may_come_without_data(sungrow, data):
    sungrow.login().sim.fault("no_data", path=SUNGROW_LIST, data=data)
    answer = sungrow.list().json()
    assert (answer["result_code"], answer["result_data"]) == ("1", data)


def test_capacities_are_text_in_units_that_differ_and_some_rows_have_none(sungrow):
    rows = sungrow.login().list(size=60).json()["result_data"]["pageList"]
    sent = [row.get("total_capcity") for row in rows]
    truth = sungrow.sim.truth("sungrow")
    assert [capacity is not None for capacity in sent] == [item["capacity_sent"] for item in truth]
    assert {capacity["unit"] for capacity in sent if capacity} == {"Wp", "kWp", "MWp"}
    assert any("curr_power" in row for row in rows if "total_capcity" not in row)
    assert any("curr_power" not in row for row in rows)
    assert {"unit": "", "value": "--"} in [row.get("today_income") for row in rows]


def test_capacity_text_is_exact():
    for plant in plants(51, 500):
        said = capacity_text(plant)
        if said:
            kilowatts = Decimal(said["value"]) / PER_KW[said["unit"]]
            assert kilowatts == Decimal(str(plant.capacity_kw))


def test_the_hour_has_a_quota_that_can_be_read(sungrow):
    sungrow.login(EAST, **replay("1"))
    counters = sungrow.post(CALL_INFO, **replay("2")).json()["result_data"]
    assert counters["curr_hour_accessed_times"] == counters["today_accessed_times"] == 2
    codes = [sungrow.list(**replay(last)).json()["result_code"] for last in "34"]
    assert codes == ["1", "E999"]
    sungrow.sim.set_clock(offset=3600)
    now = int((time.time() + 3600) * 1000)
    assert sungrow.list(**replay("5", timestamp=now)).json()["result_code"] == "1"


def test_a_refused_interface_leaves_the_others_alone(trust):
    account = SungrowAccount(
        name="sim", appkey="sim-key", access_key="sim", user_account="sim", user_password="sim",
        user_id=1, seed=1, plants=1, refused=("getFaultAlarmInfo",),
    )  # fmt: skip
    with simulators(Accounts(sungrow=(account,))) as sim, httpx.Client(verify=trust) as http:
        client = SungrowClient(http, sim).login(account)
        assert client.post(FAULTS, curPage=1, size=1).json()["result_code"] == "E900"
        assert client.list().json()["result_code"] == "1"


def test_faults_are_the_open_ones_of_all_plants_by_default(sungrow):
    sungrow.login().sim.set_clock(frozen_at=1770000000)
    sungrow.login()
    month = {"startTime": "202601010000", "endTime": "2026-01-31 23:59:59", "curPage": 1}
    opened, closed, both = (
        sungrow.post(FAULTS, **month, size=1000, process_status=status).json()["result_data"]
        for status in (8, 9, 999)
    )
    assert {fault["process_status"] for fault in opened["pageList"]} == {1}
    assert {fault["process_status"] for fault in closed["pageList"]} == {9}
    assert both["rowCount"] == len(both["pageList"]) >= closed["rowCount"] > 0
    codes = [fault["fault_code"] for fault in both["pageList"]]
    assert len(set(codes)) == len(codes)
    assert len({fault["ps_id"] for fault in both["pageList"]}) > 1


def test_closed_faults_are_asked_for_by_the_month(sungrow):
    window = {"startTime": "202601310000", "endTime": "202602010000", "curPage": 1, "size": 5}
    assert sungrow.login().post(FAULTS, **window, process_status=9).json()["result_code"] == "010"


def test_faults_of_one_plant(sungrow):
    sungrow.sim.set_clock(frozen_at=1770000000)
    rows = sungrow.login().post(FAULTS, curPage=1, size=100).json()["result_data"]["pageList"]
    one = sungrow.post(FAULTS, curPage=1, size=100, ps_id=rows[0]["ps_id"]).json()["result_data"]
    assert {row["ps_id"] for row in one["pageList"]} == {rows[0]["ps_id"]}


def test_times_are_on_the_clock_of_the_plant(sungrow):
    sungrow.sim.set_clock(frozen_at=1770000000)
    sungrow.login()
    row = sungrow.post(FAULTS, curPage=1, size=1).json()["result_data"]["pageList"][0]
    change = {"op": "change", "id": row["ps_id"], "timezone": "GMT-2"}
    sungrow.sim.change_plants("sungrow", "sim-west", [change])

    moved = sungrow.post(FAULTS, curPage=1, size=1).json()["result_data"]["pageList"][0]

    before, after = (datetime.fromisoformat(each["create_time"]) for each in (row, moved))
    assert before - after == timedelta(hours=7.5)
    assert moved["fault_code"] == row["fault_code"]


def test_the_offset_of_a_plant_may_move_while_the_texts_of_its_times_stay(sungrow):
    row = sungrow.login().list(size=1).json()["result_data"]["pageList"][0]
    change = {"op": "change", "id": row["ps_id"], "offset": "GMT+6:30"}
    sungrow.sim.change_plants("sungrow", "sim-west", [change])

    moved = sungrow.list(size=1).json()["result_data"]["pageList"][0]

    assert moved["ps_current_time_zone"] == "GMT+6:30"
    assert moved["install_date"] == row["install_date"]
    assert moved["grid_connection_time"] == row["grid_connection_time"]


def test_the_server_tells_its_time(sungrow):
    sungrow.sim.set_clock(offset=600)
    told = sungrow.http.get(f"{sungrow.sim.sungrow_url}/timestamp")
    assert int(told.text) / 1000 == pytest.approx(time.time() + 600, abs=5)


def test_a_list_needs_a_post(sungrow):
    headers = {"x-access-key": WEST.access_key, "sys_code": "901"}
    answer = sungrow.http.get(sungrow.sim.sungrow_url + SUNGROW_LIST, headers=headers)
    assert answer.json()["result_code"] == "001"


def test_a_plant_that_is_still_being_connected_is_listed_on_demand_only(sungrow):
    caller = sungrow.login()
    row = caller.list().json()["result_data"]["pageList"][0]
    sungrow.sim.change_plants(
        "sungrow", "sim-west", [{"op": "change", "id": row["ps_id"], "connecting": True}]
    )

    usual = caller.list().json()["result_data"]
    all_of_them = caller.list(valid_flag="1,3").json()["result_data"]

    assert row["ps_id"] not in {each["ps_id"] for each in usual["pageList"]}
    assert all_of_them["rowCount"] == usual["rowCount"] + 1
    assert all_of_them["pageList"][0]["valid_flag"] == 3
