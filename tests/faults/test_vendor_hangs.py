"""V11: a vendor hangs for ever for some organizations, and nobody else notices.

The runs that hang wait at the same time, and long enough for a busy machine.
"""

import pytest

from tests.faults.jobs import FAR, SOUTH
from tests.syncjob.jobs import EAST, LIST, LOGIN, NORTH, PLANTS, WEST

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V11")]

DEADLINE = 20
"""Seconds, the last two of which the vendor does not get."""


def organization(number: int, **changes):
    resource = {"namespace": "solar", "name": f"organization-{number}", "uid": f"uid-{number}"}
    return changes | {
        "organization": {"id": number, "name": f"Organization {number}"},
        "resource": resource,
    }


@pytest.mark.fault("V5")
@pytest.mark.requirement("R11")
@pytest.mark.requirement("R12")
def test_runs_that_wait_in_vain_end_in_time_with_what_they_read_and_the_others_finish(
    new_job, clouds, vendor_proxy
):
    late = {"deadlineSeconds": DEADLINE}
    jobs = {
        "no connection": new_job("connection").lay_out(
            SOUTH, port=vendor_proxy.port, **organization(1, **late)
        ),
        "no login": new_job("login").lay_out(FAR, **organization(2, **late)),
        "no third page": new_job("page").lay_out(NORTH, **organization(3, **late)),
        "same vendor": new_job("same").lay_out(EAST, **organization(4)),
        "other vendor": new_job("other").lay_out(WEST, **organization(5)),
    }
    app = jobs["no login"].app
    vendor_proxy.add("timeout", timeout=0)
    clouds.fault("stall", account="far", path=LOGIN)
    clouds.fault("stall", account="north", path=LIST, page=3)

    processes = {name: job.start(name=name) for name, job in jobs.items()}
    others = [jobs[name].finish(processes[name]) for name in ("same vendor", "other vendor")]
    still_waiting = [processes[name].poll() is None for name in list(jobs)[:3]]
    connection, login, page = (jobs[name].finish(processes[name]) for name in list(jobs)[:3])

    assert [ended.reason for ended in others] == [(0, "Synced")] * 2
    assert still_waiting == [True] * 3
    assert connection.reason == (69, "VendorUnavailable"), "nothing was read: another try may help"
    assert login.reason == (69, "VendorUnavailable")
    assert len(clouds.calls(path=LOGIN, account="far")) == 1
    assert page.reason == (0, "ListingIncomplete"), "the run's own deadline has another reason"
    assert "the time for the vendor's pages passed" in page.report["message"]
    assert page.report["created"] == 200
    assert app.rows("SELECT org_id, count(*) FROM plants GROUP BY 1 ORDER BY 1") == [
        (3, 200),
        (4, EAST.plants),
        (5, WEST.plants),
    ]
    assert app.value("SELECT count(*) FROM vendorsync.leases WHERE until > now()") == 0

    clouds.set_faults()
    again = jobs["no third page"].run()
    assert again.counts == {"created": PLANTS - 200, "unchanged": 200}
