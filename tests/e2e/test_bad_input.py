"""Bad input: one clear sentence at the earliest place, and no row lost or changed."""

from typing import Any

import pytest

from dev.stack import backing

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHECKSUM = (
    "select count(*) as rows, md5(string_agg(p::text, '|' order by id)) as md5 from plants p"
    " where org_id = %s"
)

SPECS: dict[str, Any] = {
    "unknown adapter": (
        lambda v: ({**v, "name": "other", "adapter": "helios"}, {}),
        "UnknownAdapter",
        ("helios", "solarman", "sungrow"),
    ),
    "unknown zone": (
        lambda v: (v, {"schedule": {"timeZone": "Mars/Olympus"}}),
        "UnknownTimeZone",
        ("Mars/Olympus", "Asia/Kolkata"),
    ),
    "unknown option": (
        lambda v: ({**v, "options": {"orgid": 3}}, {}),
        "OptionsInvalid",
        ("orgid", "orgId"),
    ),
    "address outside the adapter's endpoints": (
        lambda v: ({**v, "baseURL": "https://example.test"}, {}),
        "EndpointNotAllowed",
        ("https://example.test", "https://globalapi.solarmanpv.com"),
    ),
    "windows that leave no tick": (
        lambda v: (v, {"schedule": {"intervalMinutes": 1440}}),
        "NeverRuns",
        ("window",),
    ),
}


@pytest.mark.requirement("R33")
@pytest.mark.parametrize("case", SPECS)
def test_a_spec_that_cannot_be_served_says_so_in_ready(solar, stack, case):
    change, reason, words = SPECS[case]
    good = solar.vendor()
    solar.apply(good)
    solar.run()
    before = stack.query(CHECKSUM, solar.organization)
    vendor, spec = change(good)

    solar.apply(vendor, **spec)

    ready = solar.await_condition("Ready", "False", reason)
    for word in words:
        assert word in ready["message"]
    assert stack.query(CHECKSUM, solar.organization) == before
    assert before[0]["rows"] == 250


# kind of fault and its options, or another change -> reason, exit code, words of the message.
FAULTS: dict[str, Any] = {
    "HTML": ({"kind": "login_page"}, "VendorContractBroken", 65, ("HTML", "baseURL")),
    "a page for ever": ({"kind": "repeated_page"}, "VendorContractBroken", 65, ("page", "repeats")),
    "1 GiB of gzip": ({"kind": "gzip_bomb"}, "VendorContractBroken", 65, ("MiB",)),
    "vendor down": ({"kind": "http_error", "status": 502}, "VendorUnavailable", 69, ("502",)),
}


@pytest.mark.fault("V9")
@pytest.mark.parametrize("case", FAULTS)
def test_a_vendor_that_answers_badly_changes_no_row(solar, stack, case):
    fault, reason, code, words = FAULTS[case]
    solar.apply(solar.vendor())
    solar.run()
    before = stack.query(CHECKSUM, solar.organization)

    stack.fault(**fault, vendor="solarman", path="/station/v1.0/list")
    result = solar.run(seconds=200)

    assert (result["result"], result["reason"], result["exitCode"]) == ("Failed", reason, code)
    for word in words:
        assert word in result["message"]
    assert stack.query(CHECKSUM, solar.organization) == before
    assert before[0]["rows"] == 250


@pytest.mark.fault("D1")
def test_an_unreachable_database_is_one_sentence_without_the_password(solar, stack):
    password = "planted-in-url"
    host = f"nowhere.{backing.NAMESPACE}.svc.cluster.local"
    solar.secret("vendorsync-database", {"url": f"postgresql://sim:{password}@{host}:5432/solar"})
    solar.apply(solar.vendor())

    result = solar.run(seconds=200)

    assert (result["reason"], result["exitCode"]) == ("DatabaseUnavailable", 69)
    assert password not in str(solar.status())
    assert stack.calls(vendor="solarman") == []
