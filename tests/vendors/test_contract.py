"""What every adapter must do, whoever wrote it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from dev.simulators.plants import INDIA
from vendorsync_api.policy import adapters, load_policy
from vendorsync_job.errors import (
    CredentialsRejectedError,
    QuotaExhaustedError,
    ThrottledError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.vendors import load, names


def plants(listing):
    return [plant for page in listing for plant in page.records]


@pytest.mark.requirement("R06")
@pytest.mark.requirement("R01")
def test_every_plant_of_every_page_is_listed_once(vendor):
    listing = vendor.listing()

    found = plants(listing)

    truth = vendor.sim.truth(vendor.cloud.name)
    assert [plant.vendor_plant_id for plant in found] == [row["id"] for row in truth]
    assert [plant.name for plant in found] == [row["name"] for row in truth]
    assert listing.complete
    assert (listing.rows, listing.duplicates, listing.rejected) == (vendor.cloud.plants, 0, 0)


@pytest.mark.requirement("R07")
def test_capacities_and_places_arrive_in_our_units(vendor):
    found = {plant.vendor_plant_id: plant for plant in plants(vendor.listing())}

    for row in vendor.sim.truth(vendor.cloud.name):
        plant = found[row["id"]]
        expected = Decimal(str(row["capacity_kw"])) if row["capacity_sent"] else None
        assert plant.capacity_kw == expected
        assert plant.address == row["address"]
        assert (plant.latitude is None) == (row["latitude"] is None)
        if plant.latitude is not None:
            assert (float(plant.latitude), float(plant.longitude)) == (
                row["latitude"],
                row["longitude"],
            )


def test_the_time_zone_is_one_that_exists_and_times_are_utc(vendor):
    for plant in plants(vendor.listing()):
        assert plant.time_zone in ("Asia/Kolkata", "UTC+05:30")
        assert plant.commissioned_at is None or plant.commissioned_at.utcoffset().seconds == 0
        assert plant.status in ("online", "offline", "partial", "fault")


def test_a_listing_costs_one_login_and_as_many_calls_as_there_are_pages(vendor):
    plants(vendor.listing())

    assert vendor.logins() == 1
    assert vendor.pages() == list(range(1, vendor.page_count + 1))
    # So the operator holds schedules against what runs really cost.
    assert len(vendor.pages()) == load_policy(vendor.cloud.name).calls(vendor.cloud.plants)


def test_a_full_page_that_is_the_whole_account_costs_one_more_call(vendor):
    everything = vendor.sim.truth(vendor.cloud.name)
    surplus = [{"op": "remove", "id": row["id"]} for row in everything[vendor.page_size :]]
    vendor.sim.change_plants(vendor.cloud.name, None, surplus)
    listing = vendor.listing()

    assert len(plants(listing)) == vendor.page_size
    assert listing.complete
    assert len(vendor.pages()) == load_policy(vendor.cloud.name).calls(vendor.page_size) == 2


@pytest.mark.fault("V7")
def test_a_total_that_counts_its_page_alone_hides_no_plant(vendor):
    vendor.fault("page_total")
    listing = vendor.listing()

    assert len(plants(listing)) == vendor.cloud.plants
    assert listing.tells_absent


@pytest.mark.fault("V13")
def test_a_total_may_be_text(vendor):
    vendor.fault("total_as_text")
    listing = vendor.listing()

    assert len(plants(listing)) == vendor.cloud.plants
    assert listing.total == vendor.cloud.plants
    assert listing.complete
    assert vendor.pages() == list(range(1, vendor.page_count + 1))


def test_apps_are_told_apart_by_keys_of_the_secret(vendor):
    policy = load_policy(vendor.cloud.name)

    assert set(policy.app_keys) <= policy.keys


@pytest.mark.requirement("R02")
def test_a_stored_token_is_used_without_a_login(vendor):
    plants(vendor.listing())
    vendor.sim.clear_calls()

    plants(vendor.listing())

    assert vendor.logins() == 0


@pytest.mark.fault("T1")
@pytest.mark.requirement("R04")
def test_a_token_that_dies_between_two_pages_is_renewed_once_and_no_page_is_lost(vendor):
    listing = vendor.listing()
    found = []
    for page in listing:
        found += page.records
        if listing.pages == 2:
            vendor.sim.expire_tokens(vendor.cloud.name)

    assert vendor.logins() == 2
    assert vendor.pages() == list(range(1, vendor.page_count + 1))
    assert len({plant.vendor_plant_id for plant in found}) == vendor.cloud.plants
    assert listing.complete


@pytest.mark.fault("T7")
def test_a_token_refused_twice_ends_the_run_with_two_logins(vendor):
    listing = vendor.listing()
    vendor.fault("error", path=vendor.cloud.list_path, code=vendor.cloud.expired)

    with pytest.raises(CredentialsRejectedError, match="another program may be using"):
        plants(listing)

    assert vendor.logins() == 2


@pytest.mark.fault("T6")
@pytest.mark.requirement("R05")
def test_a_wrong_password_is_tried_exactly_once(vendor):
    listing = vendor.listing(**{vendor.cloud.password_key: "sim-wrong"})

    with pytest.raises(CredentialsRejectedError) as caught:
        plants(listing)

    assert vendor.logins() == 1
    assert "sim-wrong" not in str(caught.value)


@pytest.mark.fault("V2")
def test_a_throttle_inside_http_200_is_a_throttle_and_no_empty_list(vendor):
    vendor.fault("error", path=vendor.cloud.list_path, code=vendor.cloud.throttled)

    with pytest.raises(ThrottledError, match=vendor.cloud.throttled):
        plants(vendor.listing())


@pytest.mark.fault("V4")
def test_a_quota_used_up_is_told_from_a_throttle(vendor):
    vendor.fault("error", path=vendor.cloud.login_path, code=vendor.cloud.quota)

    with pytest.raises(QuotaExhaustedError):
        plants(vendor.listing())

    assert vendor.logins() == 1


@pytest.mark.fault("V2")
@pytest.mark.parametrize("code", ["transient", "refused"])
def test_other_refusals_are_told_apart(vendor, code):
    vendor.fault("error", path=vendor.cloud.list_path, code=getattr(vendor.cloud, code))
    expected = {"transient": VendorUnavailableError, "refused": VendorRefusedError}[code]

    with pytest.raises(expected):
        plants(vendor.listing())


@pytest.mark.fault("V2")
def test_an_unknown_code_is_a_refusal_that_names_it(vendor):
    vendor.fault("error", path=vendor.cloud.list_path, code="sim77", message="sim \x1b[31m words")

    with pytest.raises(VendorRefusedError, match=r"code sim77 \(sim \[31m words\)"):
        plants(vendor.listing())


@pytest.mark.fault("V3")
@pytest.mark.parametrize("kind", ["throttled", "quota", "transient"])
def test_what_came_before_a_refusal_in_mid_listing_is_kept(vendor, kind):
    vendor.fault("error", path=vendor.cloud.list_path, page=2, code=getattr(vendor.cloud, kind))
    listing = vendor.listing()

    found = plants(listing)

    assert len(found) == vendor.page_size
    assert not listing.complete
    assert getattr(vendor.cloud, kind) in str(listing.error)


@pytest.mark.fault("V1")
def test_http_429_is_a_throttle_with_its_time(vendor):
    vendor.fault("too_many_requests", path=vendor.cloud.list_path, retry_after=90)

    with pytest.raises(ThrottledError) as caught:
        plants(vendor.listing())

    assert caught.value.retry_after == 90
    assert vendor.pages() == []


@pytest.mark.fault("V9")
def test_a_login_page_in_html_is_named_as_such(vendor):
    vendor.fault("login_page", path=vendor.cloud.list_path)

    with pytest.raises(VendorContractError, match="HTML page where JSON was promised"):
        plants(vendor.listing())


@pytest.mark.fault("V5")
def test_a_page_repeated_for_ever_ends_the_run(vendor):
    vendor.fault("repeated_page", path=vendor.cloud.list_path)

    with pytest.raises(VendorContractError, match="page 2 of the listing repeats page 1"):
        plants(vendor.listing())

    assert vendor.pages() == [1, 2]


@pytest.mark.fault("V5")
def test_a_row_listed_on_two_pages_is_counted_and_kept_once(vendor):
    vendor.fault("duplicate_rows", path=vendor.cloud.list_path)
    listing = vendor.listing()

    found = plants(listing)

    seams = vendor.page_count - 1
    assert len({plant.vendor_plant_id for plant in found}) == len(found) == vendor.cloud.plants
    assert (listing.duplicates, listing.rows) == (seams, vendor.cloud.plants + seams)
    assert listing.complete


@pytest.mark.fault("V5")
@pytest.mark.parametrize("kind", ["changed_total", "last_page_empty"])
def test_a_listing_short_of_its_total_ends_and_is_not_complete(vendor, kind):
    vendor.fault(kind, path=vendor.cloud.list_path)
    listing = vendor.listing()

    found = plants(listing)

    everything = vendor.cloud.plants
    without_the_last = (vendor.page_count - 1) * vendor.page_size
    assert len(found) == (everything if kind == "changed_total" else without_the_last)
    assert not listing.complete
    assert listing.error is None


@pytest.mark.parametrize("rows", [[], None])
def test_an_empty_account_is_complete_and_empty(vendor, rows):
    if rows is None:
        vendor.fault("empty_list", rows=None)
    listing = vendor.listing(**vendor.cloud.empty)

    assert plants(listing) == []
    assert listing.complete


@pytest.mark.fault("V7")
@pytest.mark.parametrize("rows", [[], None])
def test_a_total_without_rows_is_an_error_and_not_an_empty_account(vendor, rows):
    vendor.fault("empty_list", rows=rows, total=vendor.cloud.plants)

    with pytest.raises(VendorContractError, match="not an empty account"):
        plants(vendor.listing())


@pytest.mark.fault("V13")
def test_optional_fields_that_are_null_cost_no_plant(vendor):
    vendor.fault("null_optional")
    listing = vendor.listing()

    found = plants(listing)

    assert len(found) == vendor.cloud.plants
    assert {plant.capacity_kw for plant in found} == {None}


@pytest.mark.fault("V13")
@pytest.mark.parametrize("kind", ["missing_field", "renamed_field"])
def test_a_capacity_that_is_gone_is_none_and_never_zero(vendor, kind):
    vendor.fault(kind)

    assert {plant.capacity_kw for plant in plants(vendor.listing())} == {None}


@pytest.mark.fault("V13")
def test_a_capacity_that_is_no_number_is_dropped_with_its_reason_and_the_plant_stays(vendor):
    vendor.fault("capacity_with_comma")
    pages = list(vendor.listing())

    dropped = [reason for page in pages for reason in page.dropped]
    found = [plant for page in pages for plant in page.records]

    assert len(dropped) > vendor.cloud.plants / 2, "whole numbers have no comma"
    assert all("is not a number" in reason for reason in dropped)
    assert len(found) == vendor.cloud.plants
    # Some plants of some vendors have no capacity anyway.
    assert [plant.capacity_kw for plant in found].count(None) >= len(dropped)


@pytest.mark.fault("V13")
@pytest.mark.parametrize("kind", ["missing_field", "renamed_field"])
@pytest.mark.parametrize("what", ["key", "name"])
def test_a_plant_without_id_or_name_is_rejected_and_never_made_up(vendor, kind, what):
    listing = vendor.sim.vendors[vendor.cloud.name].listing
    field = getattr(listing, what)
    vendor.fault(kind, field=field)
    found = vendor.listing()

    rejected = [item for page in found for item in page.rejected]

    assert len(rejected) == vendor.cloud.plants
    assert {item.reason for item in rejected} == {f"{field} is missing"}


@pytest.mark.fault("V13")
@pytest.mark.parametrize("value", [True, {}, "1e400", "NaN", -5, "ten"], ids=repr)
def test_a_capacity_of_another_kind_costs_its_plant_the_capacity_only(vendor, value):
    vendor.fault("capacity", page=2, value=value)
    listing = vendor.listing()
    pages = list(listing)

    assert 0 < sum(len(page.dropped) for page in pages) <= vendor.page_size
    assert pages[0].dropped == ()
    assert sum(len(page.records) for page in pages) == vendor.cloud.plants
    assert listing.complete


@pytest.mark.fault("V13")
@pytest.mark.requirement("R07")
@pytest.mark.parametrize("unit", ["Wp", "kWp", "MWp"])
def test_a_capacity_in_another_unit_is_the_same_capacity(vendor, unit):
    before = plants(vendor.listing())
    vendor.fault("capacity_unit", unit=unit)

    assert plants(vendor.listing()) == before


@pytest.mark.fault("V14")
def test_nothing_of_the_live_values_is_what_a_plant_is_known_by(vendor):
    def at_hour(hour):
        vendor.sim.set_clock(frozen_at=datetime(2026, 2, 2, hour, 30, tzinfo=INDIA).timestamp())
        sent = [row["row"] for row in vendor.sim.truth(vendor.cloud.name)]
        return sent, vendor.fields()

    rows_at_noon, at_noon = at_hour(12)
    rows_at_midnight, at_midnight = at_hour(0)

    assert rows_at_noon != rows_at_midnight, "the cloud sends live values"
    assert at_noon == at_midnight


def test_a_plant_is_read_under_the_key_that_it_is_listed_by(vendor):
    adapter = vendor.adapter()

    for fields in vendor.fields():
        assert adapter.plant(fields).record.vendor_plant_id == fields[0]


@pytest.mark.requirement("R07")
def test_every_value_that_the_cloud_sends_is_read_from_some_plant(vendor):
    """A reader that does not name a field never sees it."""
    truth = vendor.sim.truth(vendor.cloud.name)
    told = {
        "capacity_kw": "capacity_kw",
        "latitude": "latitude",
        "address": "address",
        "time_zone": "timezone",
        "plant_type": "type",
        "status": "status",
        "commissioned_at": "created_at",
    }
    sent = {ours for ours, theirs in told.items() if any(row.get(theirs) for row in truth)}

    found = {ours for ours in told for plant in plants(vendor.listing()) if getattr(plant, ours)}

    assert sent - found == set()
    assert len(sent) >= 4


@pytest.mark.fault("V9")
def test_a_nul_in_a_name_is_cleaned_away(vendor):
    vendor.fault("nul_in_name")

    assert all(plant.name.endswith(" x") for plant in plants(vendor.listing()))


@pytest.mark.fault("V9")
@pytest.mark.fault("V8")
@pytest.mark.parametrize(
    "kind",
    [
        "nan",
        "huge_number",
        "deep_json",
        "lone_surrogate",
        "truncated_json",
        "byte_order_mark",
        "utf16",
        "truncated_gzip",
        "false_gzip",
        pytest.param("gzip twice", id="gzip twice"),
    ],
)
def test_an_answer_that_is_no_clean_json_breaks_the_contract_at_once(vendor, kind):
    if kind == "gzip twice":
        vendor.fault("gzip", path=vendor.cloud.list_path, layers=2)
    else:
        vendor.fault(kind, path=vendor.cloud.list_path)

    with pytest.raises(VendorContractError):
        plants(vendor.listing())

    assert len(vendor.sim.calls(path=vendor.cloud.list_path)) == 1


@pytest.mark.fault("V8")
def test_a_gzip_answer_is_read(vendor):
    vendor.fault("gzip", path=vendor.cloud.list_path)

    assert len(plants(vendor.listing())) == vendor.cloud.plants


@pytest.mark.fault("V9")
def test_a_bomb_of_a_gibibyte_is_stopped_early(vendor):
    vendor.fault("gzip_bomb", path=vendor.cloud.list_path)

    with pytest.raises(VendorContractError, match="more than 32 MiB"):
        plants(vendor.listing())


def test_policy_and_adapter_agree(cloud):
    policy = load_policy(cloud.name)
    adapter = load(cloud.name)

    assert adapter.policy is policy
    assert set(policy.streams) == {
        stream for stream in ("plants", "alerts") if hasattr(adapter, stream)
    }
    assert not policy.missing_keys(set(cloud.credentials))


def test_every_key_of_the_policy_is_used_at_the_login(vendor):
    for group in load_policy(vendor.cloud.name).secret_keys:
        present = next(key for key in group if key in vendor.cloud.credentials)
        adapter = vendor.adapter(**{present: "sim-other"})

        with pytest.raises((CredentialsRejectedError, VendorRefusedError)):
            adapter.authenticate()


def test_each_adapter_has_a_policy_and_each_policy_an_adapter():
    assert names() == sorted(adapters())
