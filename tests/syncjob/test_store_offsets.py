"""Times of vendors that tell local times: an offset that moves with the season moves none."""

from datetime import timedelta
from typing import Any

import pytest

from dev.simulators import Accounts, simulators
from tests.syncjob.builders import NOON, alert, plant, settle, stored_run
from tests.syncjob.jobs import WEST, Job

pytestmark = pytest.mark.postgres
HOUR = timedelta(hours=1)
SHIFTS = [HOUR, -HOUR, HOUR / 2, -HOUR / 2]


def written(app, *records, **options):
    with stored_run(app, **options) as run:
        return settle(run.records, list(records))


def commissioned(app):
    return app.value("SELECT commissioned_at FROM plants")


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
def test_a_time_that_only_the_offset_moves_stays(app, shift):
    app.add_vendor()
    written(app, plant(1, commissioned_at=NOON, time_zone="UTC+01:00"))

    counts = written(app, plant(1, commissioned_at=NOON + shift, time_zone="UTC+02:00"))

    assert commissioned(app) == NOON
    # The zone itself follows: what is told from now on is told on that clock.
    assert counts.updated == 1
    assert app.value("SELECT time_zone FROM plants") == "UTC+02:00"


def test_the_row_is_settled_by_that_and_not_offered_again(app):
    app.add_vendor()
    summer = plant(1, commissioned_at=NOON - HOUR, time_zone="UTC+02:00")
    written(app, plant(1, commissioned_at=NOON, time_zone="UTC+01:00"))
    written(app, summer)
    seen = app.rows("SELECT ctid::text, xmin::text FROM plants")

    assert written(app, summer).unchanged == 1
    assert app.rows("SELECT ctid::text, xmin::text FROM plants") == seen
    assert written(app, plant(1, commissioned_at=NOON, time_zone="UTC+01:00")).updated == 1
    assert commissioned(app) == NOON


def test_a_row_of_which_only_the_time_would_move_is_not_touched(app):
    app.add_vendor()
    written(app, plant(1, commissioned_at=NOON))
    seen = app.rows("SELECT ctid::text, xmin::text FROM plants")

    counts = written(app, plant(1, commissioned_at=NOON + HOUR))

    assert (counts.updated, counts.unchanged) == (0, 1)
    assert app.rows("SELECT ctid::text, xmin::text FROM plants") == seen


@pytest.mark.parametrize(
    "shift", [timedelta(seconds=1), HOUR * 1.5, HOUR * 2, HOUR * 4.5, timedelta(days=1)], ids=str
)
def test_a_time_that_moves_by_anything_else_is_corrected(app, shift):
    app.add_vendor()
    written(app, plant(1, commissioned_at=NOON))

    assert written(app, plant(1, commissioned_at=NOON + shift)).updated == 1
    assert commissioned(app) == NOON + shift


def test_a_time_that_was_not_known_is_set(app):
    app.add_vendor()
    written(app, plant(1))

    assert written(app, plant(1, commissioned_at=NOON)).updated == 1
    assert commissioned(app) == NOON


def test_the_start_and_the_end_of_an_alert_stay_too(app):
    app.add_vendor()
    written(app, plant(1))
    over: dict[str, Any] = {"status": "resolved", "severity": "LOW"}
    written(app, alert(resolved_at=NOON + HOUR * 3, **over), stream="alerts")

    moved = alert(started_at=NOON - HOUR, resolved_at=NOON + HOUR * 2, **over)
    written(app, moved, stream="alerts")

    assert app.rows("SELECT started_at, resolved_at FROM alerts") == [(NOON, NOON + HOUR * 3)]


def test_a_full_compare_of_a_moved_offset_repairs_nothing(app):
    app.add_vendor()
    written(app, plant(1, commissioned_at=NOON, time_zone="UTC+01:00"))
    written(app, plant(1, commissioned_at=NOON - HOUR, time_zone="UTC+02:00"))

    with stored_run(app, full_compare_hours=0) as run:
        run.records.full = True
        counts = settle(run.records, [plant(1, commissioned_at=NOON - HOUR, time_zone="UTC+02:00")])

    assert (counts.updated, counts.repaired) == (0, 0)
    assert commissioned(app) == NOON


def test_a_whole_run_after_the_vendor_moved_every_offset_moves_no_time(app, tmp_path):
    times = {
        "plants": "SELECT vendor_plant_id, commissioned_at FROM plants ORDER BY 1",
        "alerts": "SELECT vendor_alert_id, started_at, resolved_at FROM alerts ORDER BY 1",
    }
    with simulators(Accounts(sungrow=(WEST,))) as clouds:
        job = Job(app, tmp_path, clouds)
        for stream in times:
            assert job.lay_out(WEST, stream=stream).run().report["reason"] == "Synced"
        before = {stream: app.rows(query) for stream, query in times.items()}
        for row in clouds.truth("sungrow", "west"):
            change = {"op": "change", "id": row["id"], "offset": "GMT+6:30"}
            clouds.change_plants("sungrow", "west", [change])

        for stream in times:
            assert job.lay_out(WEST, stream=stream).run().report["reason"] == "Synced"

    assert all(before.values())
    assert {stream: app.rows(query) for stream, query in times.items()} == before
    assert app.rows("SELECT DISTINCT time_zone FROM plants") == [("UTC+06:30",)]
