from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.syncjob.builders import plant, plants, run_report, settle, stored_run
from vendorsync_api.reasons import Result
from vendorsync_job.models import Counts
from vendorsync_job.store import rows

pytestmark = pytest.mark.postgres

DAY_AGO = "UPDATE vendorsync.streams SET compared_at = now() - interval '25 hours'"


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()


def run_once(app, records, *, complete=True, **options):
    with stored_run(app, **options) as run:
        counts = settle(run.records, records)
        run.finish(run_report(counts, complete=complete))
    return counts


def test_a_column_that_somebody_edited_is_put_right_by_the_next_full_compare(app):
    run_once(app, plants(3))
    app.do("UPDATE plants SET name = 'by hand' WHERE vendor_plant_id = '2'")
    assert run_once(app, plants(3)) == Counts(unchanged=3)
    app.do(DAY_AGO)

    assert run_once(app, plants(3)) == Counts(updated=1, repaired=1, unchanged=2)

    assert app.value("SELECT name FROM plants WHERE vendor_plant_id = '2'") == "Plant 2"
    assert app.value("SELECT compared_at > now() - interval '1 minute' FROM vendorsync.streams")


def test_between_full_compares_rows_are_not_compared(app):
    run_once(app, plants(3))

    with stored_run(app) as run:
        assert not run.records.full


def test_a_change_of_the_mapping_compares_all_rows_once(app):
    run_once(app, plants(3))
    app.do(
        "UPDATE vendorsync.streams SET mapping_version = mapping_version - 1",
        "UPDATE plants SET capacity_kw = 1 WHERE vendor_plant_id = '3'",
    )

    assert run_once(app, plants(3)) == Counts(updated=1, repaired=1, unchanged=2)
    assert app.value("SELECT mapping_version FROM vendorsync.streams") == rows.MAPPING_VERSION


@pytest.mark.parametrize(
    ("result", "compared"),
    [(Result.INTERRUPTED, 0), (Result.FAILED, 0), (Result.PARTIAL, 1), (Result.SUCCEEDED, 1)],
)
def test_a_listing_that_ends_early_by_itself_is_a_full_compare_too(app, result, compared):
    """Or a vendor whose listing never completes would be compared in full in every run."""
    with stored_run(app) as run:
        settle(run.records, plants(3))
        run.finish(run_report(complete=False).model_copy(update={"result": result}))

    counted = "SELECT count(*) FROM vendorsync.streams WHERE compared_at IS NOT NULL"
    assert app.value(counted) == compared


def test_the_hours_between_full_compares_are_a_setting(app):
    run_once(app, plants(3))
    app.do("UPDATE vendorsync.streams SET compared_at = now() - interval '2 hours'")

    for hours, due in ((1, True), (3, False)):
        with stored_run(app, full_compare_hours=hours) as run:
            assert run.records.full is due


def test_values_that_the_table_rounds_are_no_difference(app):
    app.do("ALTER TABLE plants ALTER capacity_kw TYPE numeric(8, 1), ALTER latitude TYPE real")
    records = plants(3, capacity_kw=Decimal("5.55"), latitude=Decimal("18.520431"))
    run_once(app, records)
    app.do(DAY_AGO)

    assert run_once(app, records) == Counts(unchanged=3)


def test_a_capacity_that_the_vendor_left_out_is_no_difference(app):
    run_once(app, plants(2))
    run_once(app, plants(2, capacity_kw=None))
    app.do(DAY_AGO)

    assert run_once(app, plants(2, capacity_kw=None)) == Counts(unchanged=2)


def test_a_full_compare_finds_a_row_that_somebody_deleted(app):
    run_once(app, plants(3))
    app.do(DAY_AGO, "DELETE FROM plants WHERE vendor_plant_id = '2'")

    assert run_once(app, plants(3)) == Counts(created=1, unchanged=2)


@pytest.mark.parametrize("known_limit", [0, 2, 1000])
def test_a_run_that_finds_edits_and_changes_counts_each_record_once(app, known_limit):
    run_once(app, plants(6), known_limit=known_limit)
    app.do(DAY_AGO, "UPDATE plants SET name = 'by hand' WHERE vendor_plant_id IN ('1', '2')")
    listed = plants(7)
    listed[1] = replace(listed[1], name="renamed")

    counts = run_once(app, listed, known_limit=known_limit)

    assert counts == Counts(created=1, updated=2, repaired=1, unchanged=4)


@pytest.mark.fault("V6")
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("known_limit", [0, 1000])
def test_a_plant_that_is_listed_with_two_contents_ends_as_the_last_one_says(app, known_limit, full):
    run_once(app, [plant(1)])
    if full:
        app.do(DAY_AGO)
    with stored_run(app, known_limit=known_limit) as run:
        total = Counts()
        for name in ("Plant 1", "other", "Plant 1", "other", "Plant 1"):
            total = total + run.records.take([plant(1, name=name)], [])
        total = total + run.records.commit()

        assert total.total == 5
        assert (total.created, total.updated) == (0, 0)
        for name in ("third", "Plant 1"):
            assert settle(run.records, [plant(1, name=name)]) == Counts(updated=1)
            assert app.rows("SELECT name FROM plants") == [(name,)]


def test_where_a_round_goes_on_is_kept_with_the_rows_before_it(app):
    with stored_run(app) as run:
        assert run.cursor is None
        run.records.take(plants(2), [])
        run.set_cursor("2")
        assert app.rows("SELECT cursor FROM vendorsync.streams") == []
        run.records.commit()
        assert app.rows("SELECT cursor FROM vendorsync.streams") == [("2",)]

    with stored_run(app) as run:
        assert run.cursor == "2"
        run.set_cursor(None)
        run.records.commit()
        assert app.rows("SELECT cursor FROM vendorsync.streams") == [(None,)]
