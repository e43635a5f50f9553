from __future__ import annotations

import json
import math
import os
import socket
import time
import zlib
from contextlib import contextmanager, suppress
from threading import Thread

import httpx
import pytest

from dev.simulators import simulators
from dev.simulators.effects import gzip_bomb
from dev.simulators.faults import KINDS, Fault
from tests.simulators.clients import EAST, SOLARMAN_LIST, SUNGROW_LIST


@pytest.fixture(params=["solarman", "sungrow"])
def client(request, solarman, sungrow):
    return {"solarman": solarman, "sungrow": sungrow}[request.param].login()


def rows(client, page=1, size=10):
    answer = client.list(page, size).json()
    return answer["stationList"] if "stationList" in answer else answer["result_data"]["pageList"]


def total(client, page=1):
    answer = client.list(page).json()
    return answer["total"] if "total" in answer else answer["result_data"]["rowCount"]


def ids(client, page=1, size=10):
    return [str(row.get("id", row.get("ps_id"))) for row in rows(client, page, size)]


def capacity(row):
    return row.get("installedCapacity", row.get("total_capcity"))


@contextmanager
def asked(sim, trust):
    """Send a request over a socket of our own."""
    url = httpx.URL(sim.solarman_url)
    with (
        socket.create_connection((url.host, url.port), 5) as plain,
        trust.wrap_socket(plain, server_hostname=url.host) as connection,
    ):
        head = f"POST {SOLARMAN_LIST} HTTP/1.1\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(f"{head}{{}}".encode())
        yield connection


def until_closed(read):
    """Read until the other side closes."""
    return b"".join(iter(lambda: read(65536), b""))


def test_latency_delays_the_answer(client):
    client.sim.fault("latency", seconds=0.15)
    begun = time.monotonic()
    assert client.list().status_code == 200
    assert time.monotonic() - begun >= 0.15


def test_a_latency_ends_when_the_faults_are_cleared(client):
    client.sim.fault("latency", seconds=60)

    def clear():
        while client.sim.calls()[-1].outcome != "pending":
            time.sleep(0.005)
        client.sim.set_faults()

    clearing = Thread(target=clear)
    clearing.start()
    assert client.list().status_code == 200  # the client waits five seconds at most
    clearing.join()


@pytest.mark.parametrize("kind", ["reset", "reset_mid_body"])
def test_a_reset_breaks_the_call(client, kind):
    client.sim.fault(kind)
    with pytest.raises(httpx.TransportError):
        client.list()


@pytest.mark.parametrize("kind", ["reset", "reset_mid_body"])
def test_a_reset_is_one_of_tcp(sim, trust, kind):
    """Reads below TLS, which words a reset as an end of file."""
    sim.fault(kind)
    with asked(sim, trust) as connection:
        connection.settimeout(None)
        with pytest.raises(ConnectionResetError):
            until_closed(lambda size: os.read(connection.fileno(), size))


@pytest.mark.parametrize("status", [500, 502])
def test_an_http_error_has_an_html_body(client, status):
    client.sim.fault("http_error", status=status)
    answer = client.list()
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")


def test_a_login_page_comes_with_status_200(client):
    client.sim.fault("login_page")
    answer = client.list()
    assert (answer.status_code, "<form" in answer.text) == (200, True)


@pytest.mark.parametrize("value", ["30", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "soon"])
def test_too_many_requests_tells_when_to_come_back(client, value):
    client.sim.fault("too_many_requests", retry_after=value)
    answer = client.list()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, value)


def test_any_code_can_be_ordered(solarman, sungrow):
    solarman.login().sim.fault("error", vendor="solarman", code="3201001", message="sim")
    solarman.sim.fault("error", vendor="sungrow", code="E901")
    assert solarman.list().json()["code"] == "3201001"
    assert sungrow.list().json()["result_code"] == "E901"


def test_a_login_state_can_be_ordered(sungrow):
    sungrow.sim.fault("login_state", path="/openapi/login", state=2)
    answer = sungrow.try_login()
    assert (answer["result_code"], answer["result_data"]["login_state"]) == ("1", "2")


def test_truncated_json_is_no_json(client):
    client.sim.fault("truncated_json")
    with pytest.raises(json.JSONDecodeError):
        client.list().json()


def test_a_drip_comes_byte_by_byte(client):
    client.sim.fault("drip", seconds=0.002)
    with client.http.stream("POST", client.sim.solarman_url, json={}) as answer:
        pieces = list(answer.iter_raw())
    assert len(pieces) > 1
    assert {len(piece) for piece in pieces} == {1}


def test_a_stall_sends_headers_only(client):
    client.sim.fault("stall")
    url = client.sim.solarman_url
    with client.http.stream("POST", url, json={}, timeout=httpx.Timeout(60, read=0.5)) as answer:
        assert answer.headers["content-length"]
        with pytest.raises(httpx.ReadTimeout):
            answer.read()


@pytest.mark.parametrize("by", [10, -5])
def test_a_wrong_length_is_declared(sim, trust, by):
    sim.fault("wrong_length", by=by)
    with asked(sim, trust) as connection:
        head, body = until_closed(connection.recv).split(b"\r\n\r\n", 1)
    assert f"content-length: {len(body) + by}".encode() in head.lower()


def test_duplicate_rows_repeat_across_pages(client):
    client.sim.fault("duplicate_rows")
    assert ids(client, 2)[0] == ids(client, 1)[-1]
    assert len(ids(client, 2)) == 11


def test_a_repeated_page_comes_for_every_number(client):
    client.sim.fault("repeated_page")
    assert ids(client, 1) == ids(client, 2) == ids(client, 99)


def test_a_fault_of_rows_costs_no_second_call_and_repeats_no_nonce(sungrow):
    now = int(time.time() * 1000)
    keys = [{"timestamp": now, "nonce": f"{number:032}"} for number in range(EAST.calls_per_hour)]
    sungrow.login(EAST, api_key_param=keys[0]).sim.fault("repeated_page")
    first, second = (
        sungrow.list(page, size=2, api_key_param=keys[page]).json()["result_data"]
        for page in (1, 2)
    )
    assert len(first["pageList"]) == 2
    assert first == second


def test_the_total_changes_between_pages(client):
    right = total(client)
    client.sim.fault("changed_total")
    assert [total(client, page) for page in (1, 2)] == [right + 1, right + 2]


def test_a_total_may_count_its_page_alone(client):
    client.sim.fault("page_total")
    assert total(client) == len(ids(client)) == 10


def test_a_total_may_be_text(client):
    right = total(client)
    client.sim.fault("total_as_text")
    assert total(client) == str(right)


def test_only_the_last_page_is_empty(client):
    last = math.ceil(total(client) / 10)
    client.sim.fault("last_page_empty")
    assert len(ids(client, last - 1)) == 10
    assert ids(client, last) == []


def test_an_empty_list_is_a_success(client):
    client.sim.fault("empty_list")
    assert (ids(client), total(client)) == ([], 0)


def test_an_empty_list_may_be_null_under_a_total(client):
    client.sim.fault("empty_list", rows=None, total=7)
    assert (rows(client), total(client)) == (None, 7)


def test_optional_fields_can_be_null(client):
    client.sim.fault("null_optional")
    kept = {"id", "name", "ps_id", "ps_name"}
    assert all({key for key in row if row[key] is not None} <= kept for row in rows(client))


def test_a_field_can_be_missing(client):
    client.sim.fault("missing_field")
    assert all(capacity(row) is None for row in rows(client))


def test_a_field_can_be_renamed(client):
    field = {"solarman": "name", "sungrow": "ps_name"}[client.sim.calls()[-1].vendor]
    client.sim.fault("renamed_field", field=field, to="title")
    assert all(field not in row and row["title"] for row in rows(client))


def test_capacity_can_have_a_comma(solarman, sungrow):
    solarman.login().sim.fault("capacity_with_comma")
    assert rows(solarman)[0]["installedCapacity"] == "1470,66"
    assert rows(sungrow.login())[0]["total_capcity"]["value"] == "1,53"


def test_capacity_can_be_anything(solarman):
    solarman.login().sim.fault("capacity", value="5,5 kW")
    assert {row["installedCapacity"] for row in rows(solarman)} == {"5,5 kW"}


def test_capacity_can_be_worded_in_another_unit(sungrow):
    sungrow.login()
    before = sungrow.list(size=60).json()["result_data"]["pageList"]
    sungrow.sim.fault("capacity_unit", unit="Wp")
    after = sungrow.list(size=60).json()["result_data"]["pageList"]
    units = {row["total_capcity"]["unit"] for row in after if "total_capcity" in row}
    assert (units, after != before) == ({"Wp"}, True)


def test_a_number_can_be_huge(solarman):
    solarman.login().sim.fault("huge_number", digits=5000)
    assert f":{'9' * 5000}," in solarman.list().text


def test_a_number_can_be_not_a_number(solarman):
    solarman.login().sim.fault("nan")
    assert '"installedCapacity":NaN,' in solarman.list().text


def test_json_can_be_deep(client):
    client.sim.fault("deep_json", depth=100_000)
    with pytest.raises(RecursionError):
        client.list().json()


def test_a_name_can_hold_nul_or_a_lone_surrogate(client):
    client.sim.fault("nul_in_name", times=1)
    assert "\\u0000" in client.list().text
    client.sim.fault("lone_surrogate", times=1)
    assert "\\ud800" in client.list().text
    client.sim.fault("name_suffix", text="\x1b[31m")
    assert "\\u001b[31m" in client.list().text


def test_encodings_that_json_forbids(client):
    client.sim.fault("byte_order_mark", times=1)
    assert client.list().content.startswith(b"\xef\xbb\xbf{")
    client.sim.fault("utf16", times=1)
    assert client.list().content.decode("utf-16").startswith("{")


@pytest.mark.parametrize("layers", [1, 2])
def test_gzip_in_layers(client, layers):
    plain = ids(client)
    client.sim.fault("gzip", layers=layers)
    content = client.list().content
    for _ in range(layers - 1):
        content = zlib.decompress(content, zlib.MAX_WBITS | 16)
    assert plain[0] in content.decode()


def test_gzip_can_be_claimed_only(client):
    client.sim.fault("false_gzip")
    with pytest.raises(httpx.DecodingError):
        client.list()


def test_gzip_can_be_truncated(client):
    client.sim.fault("truncated_gzip")
    try:
        content = client.list().content
    except httpx.DecodingError:
        return
    with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting"):
        json.loads(content or b"{")


def test_a_gzip_bomb_inflates_in_one_stream(client):
    client.sim.fault("gzip_bomb", mebibytes=3)
    with client.http.stream("POST", client.sim.sungrow_url + SUNGROW_LIST, json={}) as answer:
        inflated = b"".join(answer.iter_bytes())
        assert answer.num_bytes_downloaded < 2**13
    assert inflated == bytes(3 * 2**20)


def test_a_gzip_bomb_is_a_valid_stream():
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert len(b"".join(stream.decompress(piece) for piece in gzip_bomb(2))) == 2**21
    assert stream.eof


def test_a_gibibyte_of_bomb_is_a_mebibyte_on_the_wire():
    pieces = gzip_bomb(2)
    next(pieces)
    assert len(next(pieces)) < 1100


def test_padded_json_is_long_and_still_json(client):
    client.sim.fault("padded_json", mebibytes=2)
    answer = client.list()
    assert len(answer.content) > 2**21
    assert answer.json()


def test_filters_choose_the_calls(solarman, sungrow):
    solarman.login().sim.fault("http_error", vendor="solarman", path=SOLARMAN_LIST, page=2)
    sungrow.login()
    assert [solarman.list(page).status_code for page in (1, 2, 3)] == [200, 500, 200]
    assert sungrow.list(2).status_code == 200


def test_a_fault_of_one_account_leaves_the_others_alone(solarman):
    solarman.login().sim.fault("http_error", account="sim-south")
    assert solarman.list().status_code == 200


def test_a_fault_waits_and_wears_off(client):
    client.sim.fault("http_error", after=1, times=2)
    assert [client.list().status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert client.sim.faults() == ()


def test_row_faults_do_not_wear_off_on_other_calls(solarman):
    solarman.sim.fault("repeated_page", times=1)
    solarman.login()
    assert len(solarman.sim.faults()) == 1


def test_faults_of_rows_hit_the_list_of_alarms_too(sungrow):
    sungrow.sim.set_clock(frozen_at=1770000000)
    sungrow.sim.change_account("sungrow", "sim-west", {"busy": 2})
    sungrow.login().sim.fault("repeated_page")
    first, second = (
        sungrow.post("/openapi/getFaultAlarmInfo", curPage=page, size=5).json() for page in (1, 2)
    )
    assert len(first["result_data"]["pageList"]) == 5
    assert first["result_data"] == second["result_data"]


def test_a_fault_of_capacities_leaves_alarms_alone(sungrow):
    sungrow.login().sim.fault("nan", times=1)
    answer = sungrow.post("/openapi/getFaultAlarmInfo", curPage=1, size=5)
    assert answer.json()["result_code"] == "1"
    assert len(sungrow.sim.faults()) == 1


def test_another_program_can_be_told_to_steal_the_token(client):
    client.sim.fault("steal", after=1, times=1)
    outcomes = [(client.list(), client.sim.calls()[-1].outcome)[1] for _ in range(2)]
    assert outcomes[0] == "ok"
    assert outcomes[1] in ("2101019", "E00003")


def test_two_faults_act_together(client):
    client.sim.fault("repeated_page")
    client.sim.fault("changed_total", by=1000)
    assert (ids(client, 2)[0], total(client) > 1000) == (ids(client)[0], True)


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match=r"there are .*latency"):
        Fault.from_json({"kind": "sim-nothing"})


@pytest.mark.parametrize("kind", sorted(KINDS - {"gzip_bomb", "padded_json", "drip", "stall"}))
def test_every_fault_ends_and_is_logged(sungrow, kind):
    options = {"unit": "kWp", "code": "sim", "state": "0", "value": 1, "text": "x", "seconds": 0}
    sungrow.login().sim.fault(kind, times=1, **options)
    with suppress(httpx.HTTPError):
        sungrow.list()
    assert sungrow.sim.calls()[-1].faults == (kind,)
    assert sungrow.list().status_code == 200


def test_a_stop_does_not_wait_for_a_stall_or_a_drip(trust):
    def call(url):
        with httpx.Client(verify=trust) as http, pytest.raises(httpx.TransportError):
            http.post(url, json={})

    with simulators() as sim:
        sim.fault("stall", vendor="solarman")
        sim.fault("drip", vendor="sungrow", seconds=60)
        threads = [Thread(target=call, args=(u,)) for u in (sim.solarman_url, sim.sungrow_url)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while {c.outcome for c in sim.calls()} != {"http 404", "E911"}:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        begun = time.monotonic()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 20  # only tells a stop from a wait for the next drop
