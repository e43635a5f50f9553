"""What every adapter with alerts must do, whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vendorsync_api.policy import load_policy
from vendorsync_job.errors import (
    CredentialsRejectedError,
    QuotaExhaustedError,
    ThrottledError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)

NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)
"""Evening in India: alarms of today have begun, and in no time zone of the tests it is the 1st."""


@pytest.fixture
def vendor(vendor):
    if "alerts" not in load_policy(vendor.cloud.name).streams:
        pytest.skip(f"{vendor.cloud.name} has no alerts")
    assert vendor.cloud.alert_path, "the description of the cloud says where its alerts are"
    vendor.sim.set_clock(frozen_at=NOW.timestamp())
    return vendor


def alerts(listing):
    return {alert.vendor_alert_id: alert for page in listing for alert in page.records}


def rejected(listing):
    return [item for page in listing for item in page.rejected]


@pytest.mark.requirement("R26")
def test_every_alert_of_every_page_is_listed_once(vendor):
    listing = vendor.alerts()

    found = alerts(listing)

    truth = vendor.listed_truth()
    assert found.keys() == truth.keys()
    assert len(truth) > 2 * load_policy(vendor.cloud.name).page_size
    assert listing.complete
    assert (listing.rows, listing.duplicates, listing.rejected) == (len(truth), 0, 0)
    assert vendor.logins() == 1
    assert vendor.pages(vendor.cloud.alert_path) == list(range(1, listing.pages + 1))


@pytest.mark.requirement("R26")
def test_an_alert_says_where_when_and_how_grave(vendor):
    truth = vendor.listed_truth()

    for key, alert in alerts(vendor.alerts()).items():
        real = truth[key]
        assert alert.vendor_plant_id == real["plant"]
        assert alert.title == real["name"]
        assert alert.severity == real["severity"]
        assert alert.started_at == datetime.fromtimestamp(real["started_at"], UTC)
        ended = real["ended_at"] and datetime.fromtimestamp(real["ended_at"], UTC)
        assert alert.resolved_at == ended
        assert alert.status == ("active" if ended is None else "resolved")


def test_the_alerts_have_every_level_there_is(vendor):
    levels = {alert.severity for alert in alerts(vendor.alerts()).values()}

    assert levels == {row["severity"] for row in vendor.listed_truth().values()}
    assert len(levels) == 3


@pytest.mark.parametrize("zone", ["GMT+4", "GMT-3:30"])
def test_times_are_read_on_the_clock_of_the_plant(vendor, zone):
    plant = vendor.truth("plants")[0]["id"]
    change = {"op": "change", "id": plant, "timezone": zone}
    vendor.sim.change_plants(vendor.cloud.name, vendor.cloud.busy_account, [change])
    listed = [p for page in vendor.listing(**vendor.cloud.busy) for p in page.records]
    truth = vendor.listed_truth()

    found = alerts(vendor.alerts(zones={p.vendor_plant_id: p.time_zone for p in listed}))

    own = {key: alert for key, alert in found.items() if alert.vendor_plant_id == plant}
    assert own
    for key, alert in own.items():
        assert alert.started_at.timestamp() == truth[key]["started_at"]


def test_a_zone_that_does_not_exist_gives_way_to_the_default(vendor):
    zones = {row["id"]: "Mars/Olympus" for row in vendor.truth("plants")}

    assert alerts(vendor.alerts(zones=zones)) == alerts(vendor.alerts())


def test_an_alert_is_the_same_one_in_the_next_listing(vendor):
    first = alerts(vendor.alerts())
    vendor.sim.set_clock(frozen_at=NOW.timestamp() + 3600)

    second = alerts(vendor.alerts())

    kept = first.keys() & second.keys()
    assert len(kept) > len(first) / 2
    for key in kept:
        before, after = first[key], second[key]
        assert (before.title, before.started_at) == (after.title, after.started_at)
        assert before == after or (before.status, after.status) == ("active", "resolved")


def test_an_alert_that_ended_is_listed_as_resolved_or_not_at_all(vendor):
    ended = vendor.listed_truth()
    before = {k for k, a in alerts(vendor.alerts()).items() if a.status == "active"}
    vendor.sim.set_clock(frozen_at=NOW.timestamp() + 4 * 86_400)

    after = alerts(vendor.alerts())

    assert before
    assert before <= ended.keys()
    for key in before:
        assert key not in after or after[key].status == "resolved"
    listing = load_policy(vendor.cloud.name).alerts
    assert listing
    if listing.active_only:
        assert not before & after.keys()


@pytest.mark.fault("T1")
def test_a_token_that_dies_between_two_pages_is_renewed_once_and_no_alert_is_lost(vendor):
    listing = vendor.alerts()
    found = set()
    for page in listing:
        found |= {alert.vendor_alert_id for alert in page.records}
        if listing.pages == 2:
            vendor.sim.expire_tokens(vendor.cloud.name, vendor.cloud.busy_account)

    assert vendor.logins() == 2
    assert found == vendor.listed_truth().keys()
    assert listing.complete


@pytest.mark.fault("T7")
def test_a_token_that_another_program_takes_each_time_ends_the_run_with_two_logins(vendor):
    vendor.fault("steal", path=vendor.cloud.alert_path)

    with pytest.raises(CredentialsRejectedError, match="another program may be using"):
        alerts(vendor.alerts())

    assert vendor.logins() == 2


@pytest.mark.fault("V2")
@pytest.mark.fault("V4")
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("throttled", ThrottledError),
        ("quota", QuotaExhaustedError),
        ("transient", VendorUnavailableError),
        ("refused", VendorRefusedError),
    ],
)
def test_a_refusal_inside_http_200_is_no_empty_list(vendor, code, error):
    vendor.fault("error", path=vendor.cloud.alert_path, code=getattr(vendor.cloud, code))

    with pytest.raises(error, match=getattr(vendor.cloud, code)) as caught:
        alerts(vendor.alerts())

    assert type(caught.value) is error
    assert vendor.logins() == 1, "no refusal but that of a token asks for a login"


@pytest.mark.fault("V2")
def test_alerts_that_are_not_granted_leave_the_plants_alone(vendor):
    vendor.fault("error", path=vendor.cloud.alert_path, code=vendor.cloud.refused)

    listing = vendor.listing()

    assert sum(len(page.records) for page in listing) > 0
    assert listing.complete


@pytest.mark.fault("V3")
@pytest.mark.parametrize("kind", ["throttled", "quota", "transient"])
def test_what_came_before_a_refusal_in_mid_listing_is_kept(vendor, kind):
    vendor.fault("error", path=vendor.cloud.alert_path, page=2, code=getattr(vendor.cloud, kind))
    listing = vendor.alerts()

    found = alerts(listing)

    assert len(found) == load_policy(vendor.cloud.name).page_size
    assert not listing.complete
    assert getattr(vendor.cloud, kind) in str(listing.error)


@pytest.mark.fault("V1")
def test_http_429_is_a_throttle_with_its_time(vendor):
    vendor.fault("too_many_requests", path=vendor.cloud.alert_path, retry_after=90)

    with pytest.raises(ThrottledError) as caught:
        alerts(vendor.alerts())

    assert caught.value.retry_after == 90


@pytest.mark.fault("V9")
@pytest.mark.parametrize("kind", ["login_page", "truncated_json", "deep_json", "lone_surrogate"])
def test_an_answer_that_is_no_clean_json_breaks_the_contract(vendor, kind):
    vendor.fault(kind, path=vendor.cloud.alert_path)

    with pytest.raises(VendorContractError):
        alerts(vendor.alerts())


@pytest.mark.fault("V5")
def test_a_page_repeated_for_ever_ends_the_run(vendor):
    vendor.fault("repeated_page", path=vendor.cloud.alert_path)

    with pytest.raises(VendorContractError, match="page 2 of the listing repeats page 1"):
        alerts(vendor.alerts())


@pytest.mark.fault("V5")
def test_a_row_listed_on_two_pages_is_counted_and_kept_once(vendor):
    vendor.fault("duplicate_rows", path=vendor.cloud.alert_path)
    listing = vendor.alerts()

    found = alerts(listing)

    assert found.keys() == vendor.listed_truth().keys()
    assert listing.duplicates == listing.pages - 1
    assert listing.complete


@pytest.mark.fault("V5")
@pytest.mark.parametrize("kind", ["changed_total", "last_page_empty"])
def test_a_listing_short_of_its_total_ends_and_is_not_complete(vendor, kind):
    vendor.fault(kind, path=vendor.cloud.alert_path)
    listing = vendor.alerts()

    alerts(listing)

    assert not listing.complete
    assert listing.error is None


@pytest.mark.parametrize("rows", [[], None])
def test_no_alerts_are_complete_and_empty(vendor, rows):
    vendor.fault("empty_list", path=vendor.cloud.alert_path, rows=rows)
    listing = vendor.alerts()

    assert alerts(listing) == {}
    assert listing.complete
    assert listing.pages == 1


@pytest.mark.fault("V7")
@pytest.mark.parametrize("rows", [[], None])
def test_a_total_without_rows_is_an_error_and_not_the_end_of_all_alerts(vendor, rows):
    vendor.fault("empty_list", path=vendor.cloud.alert_path, rows=rows, total=9)

    with pytest.raises(VendorContractError, match="lists none"):
        alerts(vendor.alerts())


@pytest.mark.fault("V13")
def test_optional_fields_that_are_null_cost_no_alert(vendor):
    vendor.fault("null_optional", path=vendor.cloud.alert_path)
    listing = vendor.alerts()

    found = alerts(listing)

    assert found.keys() == vendor.listed_truth().keys()
    assert {alert.severity for alert in found.values()} == {None}


@pytest.mark.fault("V13")
@pytest.mark.parametrize("kind", ["missing_field", "renamed_field"])
def test_an_alert_without_its_time_is_rejected_with_key_and_reason(vendor, kind):
    vendor.fault(kind, path=vendor.cloud.alert_path)

    found = rejected(vendor.alerts())

    assert {item.key for item in found} == vendor.listed_truth().keys()
    moment = vendor.sim.vendors[vendor.cloud.name].alert_listing.moment
    assert {item.reason for item in found} == {f"{moment} is missing"}


@pytest.mark.fault("S3")
def test_words_that_would_act_on_a_terminal_are_cleaned_away(vendor):
    vendor.fault("name_suffix", path=vendor.cloud.alert_path, text="\x1b[31m\n\u202e")

    titles = {alert.title for alert in alerts(vendor.alerts()).values()}

    assert titles
    assert all(title.isprintable() for title in titles)
