from datetime import UTC, datetime

import pytest

from tests.syncjob.builders import NOON, alert, plants, run_report, settle, stored_run
from vendorsync_job.models import Counts
from vendorsync_job.store.active_plants import active_plants
from vendorsync_job.store.place import Place

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R26")]


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()
    with stored_run(app) as run:
        settle(run.records, plants(3))


def listed(app, alerts, *, active=False, **options):
    """One run of alerts; with `active` they are all that are open."""
    keys = {record.vendor_alert_id for record in alerts}
    with stored_run(app, stream="alerts", **options) as run:
        counts = settle(run.records, alerts)
        ended = run.end_absent(keys.__contains__) if active else 0
        run.finish(run_report(counts))
    return counts, ended


def test_every_field_of_an_alert_reaches_its_column(app):
    full = alert(
        "a-1",
        2,
        severity="HIGH",
        code="E-17",
        description="grid",
        device_serial="SN1",
        status="resolved",
        resolved_at=datetime(2026, 3, 3, tzinfo=UTC),
    )

    assert listed(app, [full]) == (Counts(created=1), 0)

    (row,) = app.rows(
        "SELECT vendor_alert_id, title, started_at, status, severity, code, description,"
        " device_serial, resolved_at FROM alerts"
    )
    assert row == (
        *("a-1", "Grid overvoltage", NOON, "resolved", "HIGH", "E-17", "grid", "SN1"),
        datetime(2026, 3, 3, tzinfo=UTC),
    )
    assert (
        app.value("SELECT p.vendor_plant_id FROM alerts a JOIN plants p ON p.id = a.plant_id")
        == "2"
    )


def test_alerts_that_did_not_change_are_not_written_again(app):
    listed(app, [alert(1), alert(2)])
    before = app.rows("SELECT xmin::text FROM alerts ORDER BY id")

    assert listed(app, [alert(1), alert(2)]) == (Counts(unchanged=2), 0)
    assert app.rows("SELECT xmin::text FROM alerts ORDER BY id") == before


def test_an_alert_of_a_plant_that_is_not_there_is_rejected_by_name(app):
    assert listed(app, [alert(1, 1), alert(2, "p-99")])[0] == Counts(created=1, rejected=1)

    assert app.rows("SELECT key, reason FROM vendorsync.quarantine") == [
        ("2", "plant p-99 of the alert is not in the table of plants")
    ]


@pytest.mark.fault("S5")
def test_an_alert_never_points_to_a_plant_of_another_organization(app):
    app.add_vendor(2, organization_id=4)
    app.do("UPDATE plants SET org_id = 4, vendor_id = 2 WHERE vendor_plant_id = '2'")

    assert listed(app, [alert(1, 2)])[0] == Counts(rejected=1)


def test_open_alerts_that_a_complete_active_list_lacks_end(app):
    listed(app, [alert(1), alert(2), alert(3, status="resolved", resolved_at=NOON)])

    assert listed(app, [alert(1)], active=True) == (Counts(unchanged=1), 1)

    assert app.rows(
        "SELECT vendor_alert_id, status, resolved_at IS NULL, resolved_at = %s FROM alerts"
        " ORDER BY 1",
        NOON,
    ) == [
        ("1", "active", True, None),
        ("2", "resolved", False, False),
        ("3", "resolved", False, True),
    ]
    assert app.value("SELECT max(vanished) FROM vendorsync.runs") == 0


def test_an_ended_alert_that_is_listed_again_is_open_again(app):
    listed(app, [alert(1), alert(2)])
    listed(app, [alert(1)], active=True)

    assert listed(app, [alert(1), alert(2)], active=True)[0] == Counts(updated=1, unchanged=1)

    assert app.rows("SELECT status, resolved_at FROM alerts") == [("active", None)] * 2


def test_alerts_of_other_vendors_do_not_end(app):
    app.add_vendor(2)
    app.do(
        "INSERT INTO alerts (org_id, vendor_id, vendor_alert_id, title, status, started_at)"
        " VALUES (3, 2, '7', 'theirs', 'active', now())"
    )

    assert listed(app, [], active=True)[1] == 0


def test_an_empty_active_list_ends_all_and_nothing_is_deleted(app):
    listed(app, [alert(number) for number in range(1, 8)])

    assert listed(app, [], active=True)[1] == 7
    assert app.rows("SELECT DISTINCT status FROM alerts") == [("resolved",)]


def test_a_record_that_comes_for_a_second_time_in_a_run_is_settled_once(app):
    with stored_run(app, stream="alerts") as run:
        for _ in range(2):
            run.records.take([alert(1)], [])
        assert run.records.commit() == Counts(created=1)


def test_alerts_are_wanted_of_plants_that_are_listed_and_not_marked(app):
    app.do(
        "ALTER TABLE vendorsync.hashes SET (autovacuum_enabled = off)",
        "INSERT INTO plants (org_id, vendor_id, vendor_plant_id, name, time_zone)"
        " SELECT 3, 1, 'p' || n, 'P', 'Asia/Kolkata' FROM generate_series(1, 20000) AS n",
        "INSERT INTO vendorsync.hashes (vendor_id, stream, key, hash, vanished_at)"
        " SELECT 1, 'plants', 'p' || n, '', CASE n WHEN 7 THEN now() END"
        " FROM generate_series(1, 19999) AS n",
    )

    # Within the time-out of statements, which a look at every hash for each plant is not.
    with app.database() as database:
        found = active_plants(database, Place("public", 3, 1))

    assert len(found) == 19_998 + 3
    assert found["p1"] == "Asia/Kolkata"
    assert {"p7", "p20000"} & found.keys() == set()
