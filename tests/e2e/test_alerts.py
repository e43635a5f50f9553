"""Alerts on a clock of their own, from the vendor's cloud to the table and the status."""

import time

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HOURLY = {"intervalMinutes": 60, "restrictedWindows": []}
ONCE_A_YEAR = {"cron": "0 0 1 1 *", "restrictedWindows": []}
DAY = 86_400


@pytest.fixture(autouse=True)
def now(solar, stack):
    """Give every plant an alarm a day, and stop the vendors' clock: none begins or ends by itself.

    It is `solar` that sets it going again, for the next test.
    """
    moment = time.time()
    stack.control("PUT", "/clock", json={"frozen_at": moment})
    for vendor, account in (("solarman", "sim-south"), ("sungrow", "sim-west")):
        body = {"vendor": vendor, "account": account, "settings": {"busy": 1}}
        stack.control("PUT", "/accounts", json=body)
    return moment


def alerts(solar):
    return solar.stack.query(
        "select a.vendor_alert_id, a.status, a.severity, a.started_at, a.resolved_at, p.org_id as"
        " owner from alerts a join plants p on p.id = a.plant_id where a.org_id = %s order by 1",
        solar.organization,
    )


def still_open(solar):
    return {row["vendor_alert_id"] for row in alerts(solar) if row["status"] == "active"}


@pytest.mark.requirement("R26")
@pytest.mark.requirement("R27")
@pytest.mark.parametrize(
    ("vendor", "account", "options"),
    [("solarman", "sim-south", {"orgId": 700200}), ("sungrow", "sim-west", {})],
)
def test_alerts_of_all_plants_come_with_a_run_of_their_own(solar, vendor, account, options):
    made = solar.vendor(vendor, account, options=options)
    solar.apply(made, streams={"alerts": {"schedule": ONCE_A_YEAR}})
    solar.run(vendor)

    first = solar.run(vendor, "alerts")

    assert (first["result"], first["reason"]) == ("Succeeded", "Synced")
    rows = alerts(solar)
    assert rows
    assert len(rows) == first["created"] == first["total"]
    assert {row["owner"] for row in rows} == {solar.organization}
    again = solar.run(vendor, "alerts")
    assert (again.get("created", 0), again["unchanged"]) == (0, len(rows))
    assert alerts(solar) == rows
    streams = [(entry["name"], entry["stream"]) for entry in solar.status()["vendors"]]
    assert streams == [(vendor, "alerts"), (vendor, "plants")]


@pytest.mark.requirement("R26")
def test_an_open_alert_that_a_complete_list_lacks_has_ended(solar, stack, now):
    solar.apply(solar.vendor("sungrow", "sim-west"), streams={"alerts": {"schedule": ONCE_A_YEAR}})
    solar.run("sungrow")
    solar.run("sungrow", "alerts")
    before = still_open(solar)
    stack.control("PUT", "/clock", json={"frozen_at": now + 2 * DAY})

    result = solar.run("sungrow", "alerts")

    after = still_open(solar)
    ended = before - after
    assert ended
    assert result["vanished"] == len(ended)
    assert all(
        row["resolved_at"] is not None for row in alerts(solar) if row["vendor_alert_id"] in ended
    )


def test_alerts_keep_a_clock_of_their_own(solar):
    solar.apply(solar.vendor("sungrow", "sim-west"), streams={"alerts": {"schedule": HOURLY}})

    alerts_job = solar.await_cron_job("sungrow", "alerts")
    plants_job = solar.await_cron_job("sungrow")

    assert alerts_job["spec"]["schedule"] == "0 * * * *"
    assert plants_job["spec"]["schedule"] == ONCE_A_YEAR["cron"]
