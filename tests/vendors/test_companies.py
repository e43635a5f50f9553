"""Plants of companies: who has to name one, and how the vendors tell which there are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vendors.clouds import ACCOUNTS, CLOUDS
from tests.vendors.recorded import RecordedClient, once_with
from vendorsync_job.errors import ConfigurationError, ThrottledError
from vendorsync_job.vendors.solarman import SolarmanAdapter
from vendorsync_job.vendors.sungrow import SungrowAdapter

INFO = "/account/v1.0/info"
COMPANY = ACCOUNTS.solarman[1].secret
EMPTY: dict[str, Any] = {"success": True, "code": None, "total": 0, "stationList": []}
SHARED = 150
"""Plants of the Sungrow account that are not its own organization's."""
OWN_ORGANIZATION = ACCOUNTS.sungrow[0].org_id


def plants(listing):
    return [plant for page in listing for plant in page.records]


def infos(vendor):
    return len(vendor.sim.calls(path=INFO))


@pytest.fixture
def solarman(at):
    return at(CLOUDS["solarman"])


@pytest.fixture
def sungrow(at):
    return at(CLOUDS["sungrow"])


def told(*companies):
    """Ask for the plants of a login that has these companies and none of its own."""
    info = {"success": True, "code": None, "orgInfoList": list(companies)}
    adapter = SolarmanAdapter(
        RecordedClient(EMPTY, info), COMPANY, SolarmanAdapter.policy.check_options({})
    )
    return list(adapter.plants(once_with("sim-token")))


@pytest.mark.fault("V7")
def test_a_login_whose_plants_are_a_companys_is_told_which_one_to_name(solarman):
    with pytest.raises(ConfigurationError, match=r"700200 \(Sim EPC sim-company\); set the option"):
        plants(solarman.listing(**COMPANY))

    assert infos(solarman) == 1


@pytest.mark.parametrize("number", [700200, "700200"], ids=repr)
def test_a_login_that_names_its_company_sees_the_plants_of_it(solarman, number):
    assert len(plants(solarman.listing(options={"orgId": number}, **COMPANY))) == 3
    assert infos(solarman) == 0


def test_an_empty_account_without_companies_is_empty(solarman):
    listing = solarman.listing(**solarman.cloud.empty)

    assert plants(listing) == []
    assert listing.tells_absent
    assert infos(solarman) == 1


def test_a_company_without_plants_is_asked_for_no_other():
    client = RecordedClient(EMPTY)
    options = SolarmanAdapter.policy.check_options({"orgId": 700200})

    (page,) = SolarmanAdapter(client, COMPANY, options).plants(once_with("sim-token"))

    assert (page.records, page.doubt) == ((), "")


@pytest.mark.fault("V7")
@pytest.mark.parametrize(
    ("kind", "options"), [("error", {"code": "2101023"}), ("http_error", {"status": 404})]
)
def test_where_companies_are_not_told_an_empty_account_stays_in_doubt(solarman, kind, options):
    solarman.fault(kind, path=INFO, **options)
    listing = solarman.listing(**solarman.cloud.empty)

    assert plants(listing) == []
    assert not listing.tells_absent
    assert "set the option orgId" in listing.doubt


@pytest.mark.fault("V2")
def test_a_throttle_meanwhile_is_a_throttle(solarman):
    solarman.fault("error", path=INFO, code=solarman.cloud.throttled)

    with pytest.raises(ThrottledError):
        plants(solarman.listing(**solarman.cloud.empty))


def test_a_message_names_a_handful_of_companies_in_clean_short_words():
    companies = [
        {"companyId": str(number), "companyName": f"Sun \x1b[31m{'x' * 300}", "roleName": "Owner"}
        for number in range(7001, 7009)
    ]

    with pytest.raises(ConfigurationError) as caught:
        told(*companies)

    message = str(caught.value)
    assert "\x1b" not in message
    assert "7001 (Sun [31mx" in message
    assert "7005" in message
    assert "7006" not in message
    assert "and 3 more" in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("company", "shown"),
    [({"companyId": 7001}, "7001;"), ({"companyId": "7001", "companyName": " "}, "7001;")],
)
def test_a_company_without_a_name_goes_by_its_id(company, shown):
    with pytest.raises(ConfigurationError, match=shown):
        told(company)


@pytest.mark.parametrize("odd", [None, "x", {}, {"companyId": None}, {"companyId": [1]}], ids=repr)
def test_a_company_without_an_id_is_none(odd):
    (page,) = told(odd)

    assert page.records == ()


def test_an_organization_narrows_the_plants_to_its_own(sungrow):
    sungrow.sim.change_account("sungrow", None, {"shared": SHARED})
    everything = plants(sungrow.listing())

    own = plants(sungrow.listing(options={"orgId": OWN_ORGANIZATION}))

    assert len(everything) == sungrow.cloud.plants
    assert own == everything[:-SHARED]
    # The login is the same, and so is its token.
    assert sungrow.logins() == 1


def test_alerts_of_plants_of_other_organizations_are_left_out(sungrow):
    account = ACCOUNTS.sungrow[2]
    wanted = frozenset(row["id"] for row in sungrow.truth("plants")[:3])
    expected = {key for key, row in sungrow.listed_truth().items() if row["plant"] in wanted}
    listing = sungrow.alerts(options={"orgId": account.org_id}, plants=wanted)

    found = {alert.vendor_alert_id for page in listing for alert in page.records}

    assert 0 < len(found) < len(sungrow.listed_truth())
    assert found == expected
    assert (listing.complete, listing.tells_absent) == (True, True)


def test_a_login_tells_its_own_organization(sungrow):
    grant = sungrow.adapter().authenticate()

    assert grant.companies == {str(OWN_ORGANIZATION): "Sim EPC"}
    assert grant.metadata == {}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, {}),
        ({"user_master_org_id": None}, {}),
        ({"user_master_org_id": 700001}, {"700001": ""}),
        (
            {"user_master_org_id": "700001", "user_master_org_name": "Sim\nEPC"},
            {"700001": "Sim EPC"},
        ),
    ],
    ids=str,
)
def test_an_organization_is_told_as_far_as_it_can_be_read(said, found):
    result = {"login_state": "1", "token": "sim", **said}
    answer = {"result_code": "1", "result_msg": "m", "result_data": result}
    adapter = SungrowAdapter(
        RecordedClient(answer), CLOUDS["sungrow"].credentials, SungrowAdapter.policy.options()
    )

    assert adapter.authenticate().companies == found
