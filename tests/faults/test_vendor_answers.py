"""What whole runs make of a vendor's refusals, odd pages and hostile bytes, on real PostgreSQL."""

import tracemalloc
from email.utils import formatdate
from time import time

import pytest

from dev.simulators import SolarmanAccount, SungrowAccount
from tests.faults.jobs import before_page
from tests.syncjob.jobs import LIST, LOGIN, NORTH, PLANTS, WEST

pytestmark = pytest.mark.postgres

SUNGROW_LIST = "/openapi/getPowerStationList"


def untouched(job):
    """Everything that a run may leave of the vendor's plants."""
    return job.app.rows("SELECT ctid::text, xmin::text, * FROM plants ORDER BY id"), job.app.rows(
        "SELECT last_synced_at FROM vendors"
    )


@pytest.mark.fault("V1")
@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("30", 30),
        ("0", 300),
        ("-5", 300),
        ("1000000000", 3600),
        ("9" * 5000, 3600),
        ("soon", 300),
        ("date ahead", 90),
        ("date behind", 300),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_throttled_account_rests_a_bounded_time_and_is_not_hammered(job, clouds, text, rest):
    dates = {"date ahead": time() + 90, "date behind": time() - 90}
    text = formatdate(dates[text], usegmt=True) if text in dates else text
    clouds.fault("too_many_requests", path=LIST, retry_after=text)

    first = job.run()

    assert first.reason == (69, "VendorThrottled")
    assert len(clouds.calls(path=LIST)) == 1

    clouds.clear_calls()
    assert job.run().reason == (69, "VendorThrottled")
    assert clouds.calls() == []

    [(left,)] = job.app.rows(
        "SELECT extract(epoch FROM resting_until - now())::float8 FROM vendorsync.accounts"
    )
    assert rest - 20 < left <= rest


@pytest.mark.fault("V1")
def test_a_server_that_is_busy_is_tried_three_times(job, clouds):
    clouds.fault("http_error", path=LIST, status=503)

    ended = job.run()

    assert ended.reason == (69, "VendorUnavailable")
    assert len(clouds.calls(path=LIST)) == 3


REFUSED: list[tuple[SolarmanAccount | SungrowAccount, str, str, tuple[int, str]]] = [
    (NORTH, LIST, "2101002", (69, "VendorThrottled")),
    (NORTH, LIST, "2101010", (65, "QuotaExhausted")),
    (NORTH, LIST, "2101017", (77, "CredentialsRejected")),
    (NORTH, LIST, "3201001", (69, "VendorUnavailable")),
    (NORTH, LIST, "9999999", (65, "VendorRefused")),
    (NORTH, LOGIN, "2101025", (77, "CredentialsRejected")),
    (NORTH, LOGIN, "2101018", (77, "CredentialsRejected")),
    (WEST, SUNGROW_LIST, "E00003", (77, "CredentialsRejected")),
    (WEST, SUNGROW_LIST, "E901", (69, "VendorThrottled")),
    (WEST, SUNGROW_LIST, "E998", (65, "QuotaExhausted")),
    (WEST, SUNGROW_LIST, "E900", (65, "VendorRefused")),
]


@pytest.mark.fault("V2")
@pytest.mark.parametrize(
    ("account", "path", "code", "reason"),
    REFUSED,
    ids=[f"{row[0].name} {row[2]}" for row in REFUSED],
)
def test_a_refusal_inside_http_200_is_never_an_empty_list(job, clouds, account, path, code, reason):
    job.lay_out(account, vanishAfter=1)
    assert job.run().code == 0
    before = untouched(job)
    if path == LOGIN:
        job.app.do("DELETE FROM vendorsync.accounts")
    clouds.fault("error", path=path, code=code)

    ended = job.run()

    assert ended.reason == reason
    assert (ended.report["total"], ended.report.get("vanished", 0)) == (0, 0)
    assert untouched(job) == before


@pytest.mark.fault("V3")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("too_many_requests", {"retry_after": 1}),
        ("error", {"code": "2101002"}),
        ("error", {"code": "2101010"}),
        ("error", {"code": "3201001"}),
        ("http_error", {"status": 502}),
        ("reset", {}),
    ],
    ids=["429", "throttled", "quota", "transient", "502", "reset"],
)
def test_a_listing_that_ends_early_is_partial_and_nothing_vanishes(job, clouds, kind, options):
    job.lay_out(vanishAfter=1)
    job.run()
    clouds.change_plants("solarman", "north", [{"op": "add", "count": 5}])
    clouds.fault(kind, path=LIST, page=2, **options)

    ended = job.run()

    assert ended.reason == (0, "ListingIncomplete")
    assert ended.report["result"] == "Partial"
    assert ended.counts["unchanged"] == 100
    assert "vanished" not in ended.counts
    assert not ended.report["complete"]
    assert job.count() == PLANTS


@pytest.mark.fault("V5")
@pytest.mark.parametrize(
    ("kind", "options", "reason", "counts"),
    [
        ("repeated_page", {}, (65, "VendorContractBroken"), {"created": 100}),
        ("changed_total", {"by": 7}, (0, "ListingIncomplete"), {"created": PLANTS}),
        ("last_page_empty", {}, (0, "ListingIncomplete"), {"created": 200}),
        ("duplicate_rows", {}, (0, "Synced"), {"created": PLANTS, "duplicate": 2}),
        ("empty_list", {"page": 2, "total": PLANTS}, (0, "ListingIncomplete"), {"created": 100}),
    ],
)
def test_odd_pages_end_and_are_counted_right(job, clouds, kind, options, reason, counts):
    clouds.fault(kind, path=LIST, **options)

    ended = job.run()

    assert ended.reason == reason
    assert ended.counts == counts
    assert ended.report["total"] == sum(counts.values())
    assert job.count() == counts["created"]
    assert len(clouds.calls(path=LIST)) <= 4


@pytest.mark.fault("V6")
def test_of_a_plant_on_two_pages_the_newer_content_wins_and_is_counted_once(job, clouds):
    last = [plant["id"] for plant in clouds.truth("solarman", "north")][99]
    clouds.fault("duplicate_rows", path=LIST, page=2)
    change = {"op": "rename", "id": last, "name": "Newer"}

    with before_page(clouds, 2, lambda: clouds.change_plants("solarman", "north", [change])):
        ended = job.lay_out(batchSize=1000).run()

    assert ended.reason == (0, "Synced")
    assert ended.counts == {"created": PLANTS, "duplicate": 1}
    assert job.app.rows("SELECT name FROM plants WHERE vendor_plant_id = %s", str(last)) == [
        ("Newer",)
    ]


HOSTILE = {
    "depth of a million": ("deep_json", {"depth": 1_000_000}),
    "depth of a hundred": ("deep_json", {"depth": 100}),
    "digits": ("huge_number", {"digits": 5000}),
    "NaN": ("nan", {}),
    "lone surrogate": ("lone_surrogate", {}),
    "byte order mark": ("byte_order_mark", {}),
    "UTF-16": ("utf16", {}),
    "login page": ("login_page", {}),
    "100 MiB": ("padded_json", {"mebibytes": 100}),
}


@pytest.mark.fault("V9")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_break_the_contract_and_touch_no_row(job, clouds, name):
    job.run()
    before = untouched(job)
    clouds.clear_calls()
    kind, options = HOSTILE[name]
    clouds.fault(kind, path=LIST, **options)

    ended = job.run()

    assert ended.reason == (65, "VendorContractBroken")
    assert untouched(job) == before
    assert len(clouds.calls(path=LIST)) == 1


@pytest.mark.fault("V9")
def test_a_bomb_of_a_gibibyte_takes_bounded_memory(job, clouds):
    job.run()
    clouds.fault("gzip_bomb", path=LIST)
    tracemalloc.start()
    try:
        ended = job.run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert ended.reason == (65, "VendorContractBroken")
    assert "more than 32 MiB" in ended.report["message"]
    assert peak < 100 << 20


@pytest.mark.fault("V9")
def test_a_nul_in_a_text_costs_no_row(job, clouds):
    clouds.fault("nul_in_name", path=LIST)

    ended = job.run()

    assert ended.counts == {"created": PLANTS}
    assert job.app.value("SELECT count(*) FROM plants WHERE name LIKE '%% x'") == PLANTS
