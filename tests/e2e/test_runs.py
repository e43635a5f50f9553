"""From apply to rows, each look at the truth: the simulator's plants and the table itself."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dev.cluster.errors import CommandError
from dev.stack.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PHYSICAL = "vendor_plant_id, xmin::text, ctid::text"
WRITES = (
    "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables"
    " where relname in ('plants', 'hashes') order by 1"
)


INDIA = timezone(timedelta(hours=5, minutes=30))
COLUMNS = (
    "vendor_plant_id, name, capacity_kw, latitude, longitude, address, time_zone, status,"
    " commissioned_at"
)


def number(value):
    return None if value is None else Decimal(str(value)).normalize()


def expected(vendor, plant):
    """The row that a plant of the simulator must have become, from what it sent."""
    sent = plant["row"]
    if vendor == "solarman":
        zone = sent["regionTimezone"]
        started = datetime.fromtimestamp(sent["startOperatingTime"], UTC)
    else:
        zone = "UTC+05:30"
        text = sent["grid_connection_time"]
        started = text and datetime.strptime(str(text), "%Y%m%d%H%M%S").replace(tzinfo=INDIA)
    status = plant["status"]
    return {
        "vendor_plant_id": plant["id"],
        "name": plant["name"],
        "capacity_kw": number(plant["capacity_kw"]) if plant["capacity_sent"] else None,
        "latitude": number(plant["latitude"]),
        "longitude": number(plant["longitude"]),
        "address": plant["address"],
        "time_zone": zone,
        # iSolarCloud has no word for a plant that is partly there; it reports a fault.
        "status": "fault" if (vendor, status) == ("sungrow", "partial") else status,
        "commissioned_at": started,
    }


def stored(row):
    numbers = ("capacity_kw", "latitude", "longitude")
    return {**row, **{name: number(row[name]) for name in numbers}}


@pytest.mark.requirement("C02")
@pytest.mark.requirement("C04")
@pytest.mark.requirement("C05")
@pytest.mark.requirement("C06")
@pytest.mark.requirement("R01")
@pytest.mark.requirement("R06")
@pytest.mark.requirement("R07")
@pytest.mark.parametrize(
    ("vendor", "account", "count"), [("solarman", "sim-north", 250), ("sungrow", "sim-west", 180)]
)
def test_from_apply_to_rows_that_equal_the_vendors_plants(solar, stack, vendor, account, count):
    solar.apply(solar.vendor(vendor, account))

    result = solar.run(vendor)

    assert (result["result"], result["reason"], result["trigger"]) == (
        "Succeeded",
        "Synced",
        "Manual",
    )
    assert (result["total"], result["created"]) == (count, count)
    truth = stack.truth(vendor, account)
    assert len(truth) == count
    rows = [stored(row) for row in solar.plants(COLUMNS)]
    assert rows == sorted(
        (expected(vendor, plant) for plant in truth), key=lambda row: row["vendor_plant_id"]
    )
    assert {row["org_id"] for row in solar.plants("org_id")} == {solar.organization}
    solar.await_condition("Synced", "True", "AllSynced")


@pytest.mark.requirement("R10")
@pytest.mark.fault("D8")
def test_an_unchanged_run_writes_no_plant(solar, stack):
    solar.apply(solar.vendor())
    solar.run()
    before = solar.plants(PHYSICAL)
    stack.query("select pg_stat_clear_snapshot()")
    writes = stack.query(WRITES)
    synced = stack.query("select last_synced_at from vendors where org_id = %s", solar.organization)

    result = solar.run()

    assert (result.get("created", 0), result.get("updated", 0), result["unchanged"]) == (0, 0, 250)
    assert solar.plants(PHYSICAL) == before
    assert stack.query(WRITES) == writes
    again = stack.query("select last_synced_at from vendors where org_id = %s", solar.organization)
    assert again[0]["last_synced_at"] > synced[0]["last_synced_at"]


@pytest.mark.requirement("R08")
def test_only_what_changed_at_the_vendor_is_written(solar, stack):
    solar.apply(solar.vendor())
    solar.run()
    before = {row["vendor_plant_id"]: row for row in solar.plants(PHYSICAL)}
    first = stack.truth("solarman", "sim-north")[0]["id"]
    changes = [{"op": "rename", "id": first, "name": "Renamed Roof"}, {"op": "add", "count": 2}]
    stack.control(
        "POST",
        "/plants",
        json={"vendor": "solarman", "account": "sim-north", "changes": changes},
    )

    result = solar.run()

    assert (result["created"], result["updated"], result["unchanged"]) == (2, 1, 249)
    after = {row["vendor_plant_id"]: row for row in solar.plants(PHYSICAL)}
    touched = {key for key, row in after.items() if before.get(key) != row}
    assert first in touched
    assert len(touched) == 3
    assert "Renamed Roof" in {row["name"] for row in solar.plants("name")}


@pytest.mark.requirement("R16")
@pytest.mark.requirement("R17")
@pytest.mark.requirement("R24")
def test_ticks_fire_on_their_own_and_are_skipped_inside_a_window(solar, stack):
    """Two vendors on a clock of a minute; one of them is inside a restricted window."""
    now = datetime.now(UTC)
    around = {
        "start": f"{now - timedelta(minutes=3):%H:%M}",
        "end": f"{now + timedelta(minutes=17):%H:%M}",
    }
    every_minute = {"cron": "* * * * *", "timeZone": "UTC", "restrictedWindows": []}
    inside = {"schedule": {**every_minute, "restrictedWindows": [around]}}
    solar.apply(
        solar.vendor("solarman"),
        solar.vendor("sungrow", "sim-west", streams={"plants": inside}),
        schedule=every_minute,
    )
    assert solar.await_cron_job("sungrow")["spec"]["schedule"] == "* * * * *"

    def ticked():
        found = {v["name"]: v for v in solar.status().get("vendors", ()) if v.get("result")}
        return found if len(found) == 2 else None

    found = until(ticked, "a scheduled run of both vendors", seconds=150)

    assert found["solarman"]["result"] == "Succeeded"
    assert found["solarman"]["trigger"] == "Schedule"
    assert re.fullmatch(rf"{solar.cron_job()}-\d{{8}}", found["solarman"]["job"])
    assert (found["sungrow"]["result"], found["sungrow"]["reason"]) == (
        "Skipped",
        "RestrictedWindow",
    )
    assert stack.calls(vendor="sungrow") == []
    assert len(solar.plants("1")) == 250

    # By hand the window does not count.
    assert solar.run("sungrow")["result"] == "Succeeded"
    assert len(solar.plants("1")) == 430


@pytest.mark.requirement("R05")
@pytest.mark.requirement("R11")
@pytest.mark.requirement("R33")
@pytest.mark.fault("T6")
def test_a_wrong_password_is_tried_once_and_hurts_nobody_else(solar, stack):
    solar.apply(
        solar.vendor("solarman", credentials={"password": "sim-wrong"}),
        solar.vendor("sungrow", "sim-west"),
    )

    refused = solar.run("solarman")
    again = solar.run("solarman")
    unharmed = solar.run("sungrow")

    assert (refused["result"], refused["reason"], refused["exitCode"]) == (
        "Failed",
        "CredentialsRejected",
        77,
    )
    assert again["reason"] == "CredentialsRejected"
    assert again["consecutiveFailures"] == 2
    assert len(stack.calls(vendor="solarman", path="/account/v1.0/token")) == 1
    assert unharmed["result"] == "Succeeded"
    degraded = solar.await_condition("Degraded", "True")
    assert "solarman" in degraded["message"]
    assert "Correct the credentials in the Secret" in degraded["message"]
    solar.await_condition("Synced", "False", "RunsFailed")

    # A new password is tried at once.
    solar.vendor("solarman")
    assert solar.run("solarman")["result"] == "Succeeded"
    solar.await_condition("Degraded", "False")
    solar.await_condition("Synced", "True")
    reasons = [event["reason"] for event in stack.items("events", solar.namespace)]
    assert "CredentialsRejected" in reasons


@pytest.mark.fault("K5")
def test_a_missing_secret_and_a_missing_key_are_named(solar, stack):
    vendor = solar.vendor("sungrow", "sim-west")
    solar.apply({**vendor, "credentialsSecretRef": {"name": "not-there"}})

    missing = solar.run("sungrow")

    assert (missing["reason"], missing["exitCode"]) == ("SecretMissing", 64)
    for word in (
        "not-there",
        solar.namespace,
        "appKey",
        "secretKey",
        "userAccount",
        "userPassword",
    ):
        assert word in missing["message"]

    solar.secret("not-there", {"appKey": "sim", "userAccount": "sim"})
    incomplete = solar.run("sungrow")

    assert incomplete["reason"] == "SecretKeyMissing"
    assert "the missing keys secretKey, userPassword;" in incomplete["message"]
    assert stack.calls(vendor="sungrow") == []


@pytest.mark.requirement("C04")
def test_the_printed_columns_show_what_is_asked_first(solar, stack):
    noon_only = {"intervalMinutes": 720, "timeZone": "Asia/Kolkata"}
    solar.apply(solar.vendor(), solar.vendor("sungrow", "sim-west"), schedule=noon_only)
    solar.run("solarman")
    solar.await_condition("Ready", "True", "Applied")

    head, row = stack.kubectl("get", "vs", "-n", solar.namespace).splitlines()

    names = re.split(r"\s{2,}", head.strip())
    words = "NAME ORG INTERVAL WINDOW VENDORS READY SYNCED LAST·SYNC NEXT·SYNC PLANTS AGE"
    assert names == [word.replace("·", " ") for word in words.split()]
    cells = dict(zip(names, re.split(r"\s{2,}", row.strip()), strict=True))
    assert cells["INTERVAL"] == "12h"
    assert cells["WINDOW"] == "19:00-06:00"
    assert cells["VENDORS"] == "1/2"
    assert (cells["READY"], cells["SYNCED"], cells["PLANTS"]) == ("True", "Unknown", "250")
    next_sync = datetime.fromisoformat(cells["NEXT SYNC"])
    assert timedelta(0) < next_sync - datetime.now(UTC) < timedelta(hours=24)


def test_a_sync_request_runs_everything_once(solar):
    solar.apply(solar.vendor(), solar.vendor("sungrow", "sim-west"), syncRequest="first")

    def both():
        found = [v for v in solar.status().get("vendors", ()) if v.get("result")]
        return found if len(found) == 2 else None

    found = until(both, "a requested run of both vendors", seconds=90)

    assert {(v["result"], v["trigger"]) for v in found} == {("Succeeded", "Request")}
    assert solar.status()["lastSyncRequest"] == "first"
    assert len(solar.plants("1")) == 430


def test_a_cronjob_that_a_person_edits_or_deletes_comes_back(solar, stack):
    solar.apply(solar.vendor())
    before = solar.await_cron_job()
    name = before["metadata"]["name"]

    patch = json.dumps({"spec": {"schedule": "1 1 1 1 *", "suspend": True}})
    stack.kubectl("patch", "cronjob", name, "-n", solar.namespace, "--type=merge", "-p", patch)

    def put_right():
        spec = stack.get("cronjob", name, solar.namespace)["spec"]
        return spec["schedule"] == before["spec"]["schedule"] and not spec["suspend"]

    until(put_right, "the edited CronJob as it was", seconds=30)
    stack.kubectl("delete", "cronjob", name, "-n", solar.namespace)

    def made_anew():
        try:
            found = stack.get("cronjob", name, solar.namespace)
        except CommandError:
            return False
        return found["metadata"]["uid"] != before["metadata"]["uid"]

    until(made_anew, "the deleted CronJob again", seconds=30)


@pytest.mark.requirement("R13")
@pytest.mark.requirement("R14")
def test_suspending_and_changing_reach_the_cronjobs(solar, stack):
    solarman, sungrow = solar.vendor(), solar.vendor("sungrow", "sim-west")
    solar.apply(solarman, sungrow)
    solar.await_cron_job("sungrow")

    solar.apply(solarman, {**sungrow, "suspend": True}, schedule={"intervalMinutes": 30})

    def followed():
        specs = {
            item["metadata"]["name"]: item["spec"]
            for item in stack.items("cronjobs", solar.namespace)
        }
        return (
            specs[solar.cron_job("sungrow")]["suspend"]
            and not specs[solar.cron_job()].get("suspend")
            and specs[solar.cron_job()]["schedule"] == "*/30 6-18 * * *"
        )

    until(followed, "one CronJob suspended, the other every 30 minutes", seconds=30)
    solar.apply(solarman, sungrow, suspend=True)
    until(
        lambda: all(item["spec"]["suspend"] for item in stack.items("cronjobs", solar.namespace)),
        "both CronJobs suspended",
        seconds=30,
    )
    solar.await_condition("Synced", "Unknown", "Suspended")
