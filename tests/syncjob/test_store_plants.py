from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.syncjob.builders import (
    ReadPlants,
    page,
    place,
    plant,
    plants,
    record_table,
    run_report,
    settle,
    stored_run,
)
from vendorsync_job.errors import SchemaMismatchError
from vendorsync_job.listing import Listing
from vendorsync_job.models import Counts, Rejection
from vendorsync_job.store.comparison import RecordComparison
from vendorsync_job.store.connection import Database
from vendorsync_job.store.exchange import Exchange
from vendorsync_job.sync import Progress, sync

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()


def write(app, records, rejected=(), **options):
    with stored_run(app, **options) as run:
        counts = settle(run.records, records, rejected)
        run.finish(run_report(counts))
        return counts


def names(app):
    return dict(app.rows("SELECT vendor_plant_id, name FROM plants"))


@pytest.mark.requirement("R08")
def test_created_updated_and_unchanged_are_told_apart(app):
    assert write(app, plants(3)) == Counts(created=3)

    counts = write(app, [plant(1), plant(2, name="renamed"), plant(4)])

    assert counts == Counts(created=1, updated=1, unchanged=1)
    assert names(app) == {"1": "Plant 1", "2": "renamed", "3": "Plant 3", "4": "Plant 4"}


@pytest.mark.requirement("R07")
def test_every_field_reaches_its_column(app):
    full = plant(
        7,
        latitude=Decimal("18.5204"),
        longitude=Decimal("-73.8567"),
        address="12 Hill Road",
        time_zone="Asia/Kolkata",
        plant_type="rooftop",
        status="online",
        commissioned_at=datetime(2020, 5, 1, 6, 30, tzinfo=UTC),
    )

    write(app, [full])

    (row,) = app.rows(
        "SELECT vendor_plant_id, name, capacity_kw, latitude, longitude, address, time_zone,"
        " plant_type, status, commissioned_at FROM plants"
    )
    # Our own tables have no column for the vendor's date.
    assert row == tuple(getattr(full, name) for name in full.__struct_fields__[:-1])
    assert app.rows("SELECT org_id, vendor_id FROM plants") == [(3, 1)]


@pytest.mark.fault("D8")
@pytest.mark.fault("D12")
def test_an_unchanged_run_writes_no_row_and_takes_no_sequence_value(app):
    write(app, plants(500))
    seen = (
        "SELECT p.ctid::text, p.xmin::text, h.ctid::text, h.xmin::text FROM plants p"
        " JOIN vendorsync.hashes h ON h.key = p.vendor_plant_id ORDER BY p.id"
    )
    before = app.rows(seen), app.value("SELECT last_value FROM plants_id_seq")

    with stored_run(app) as run:
        for _ in range(3):
            assert settle(run.records, plants(500)) == Counts(unchanged=500)

    assert (app.rows(seen), app.value("SELECT last_value FROM plants_id_seq")) == before


@pytest.mark.fault("D9")
def test_columns_that_people_edit_stay_as_they_are(app):
    app.do("ALTER TABLE plants ADD COLUMN note text")
    write(app, [plant(1)])
    app.do("UPDATE plants SET note = 'call first', plant_type = 'barn'")

    write(app, [plant(1, name="renamed")])

    assert app.rows("SELECT name, note FROM plants") == [("renamed", "call first")]


def test_a_status_that_the_vendor_does_not_tell_keeps_its_value(app):
    write(app, [plant(1, status="offline")])
    write(app, [plant(1, name="renamed", status=None)])

    assert app.rows("SELECT name, status FROM plants") == [("renamed", "offline")]


def test_a_capacity_that_the_vendor_leaves_out_keeps_its_value(app):
    write(app, [plant(1)])
    write(app, [plant(1, name="renamed", capacity_kw=None)])

    assert app.rows("SELECT name, capacity_kw FROM plants") == [("renamed", Decimal("5.5"))]


def test_a_row_that_somebody_deleted_comes_back(app):
    write(app, plants(2))
    app.do("DELETE FROM plants WHERE vendor_plant_id = '1'")

    assert write(app, plants(2)) == Counts(created=1, unchanged=1)


def test_rows_that_are_equal_already_are_adopted_without_a_write(app):
    write(app, plants(2))
    app.do("DELETE FROM vendorsync.hashes")
    before = app.rows("SELECT xmin::text FROM plants")

    assert write(app, plants(2)) == Counts(unchanged=2)
    assert app.rows("SELECT xmin::text FROM plants") == before
    assert app.value("SELECT count(*) FROM vendorsync.hashes") == 2


def previewed(app, records):
    table = record_table(app)
    with app.database() as database:
        return settle(RecordComparison(database, table, place(), ReadPlants(table)), records)


def test_a_dry_run_counts_rows_that_are_equal_already_as_unchanged(app):
    app.do(
        "ALTER TABLE plants ALTER capacity_kw TYPE numeric(8, 1), ALTER latitude TYPE real,"
        " ALTER commissioned_at TYPE timestamp, ALTER name TYPE varchar(20)"
    )
    records = plants(
        4,
        capacity_kw=Decimal("5.55"),
        latitude=Decimal("18.520431"),
        commissioned_at=datetime(2020, 5, 1, 6, 30, tzinfo=UTC),
    )
    write(app, records)
    app.do("DELETE FROM vendorsync.hashes")
    changed = [
        replace(records[0], name="renamed"),
        replace(records[1], name="x" * 21),
        *records[2:],
        plant(5),
    ]

    assert previewed(app, changed) == Counts(created=1, updated=2, unchanged=2)
    assert previewed(app, changed[2:4]) == write(app, changed[2:4]) == Counts(unchanged=2)


def test_an_application_without_stamps_or_optional_columns_is_served(app):
    app.do(
        "ALTER TABLE plants DROP COLUMN updated_at, DROP COLUMN created_at, DROP COLUMN address,"
        " ALTER capacity_kw TYPE double precision, ALTER vendor_plant_id TYPE varchar(40)"
    )

    assert write(app, plants(2)) == Counts(created=2)
    assert write(app, [plant(1, address="new")]) == Counts(unchanged=1)


def test_the_time_of_an_update_is_that_of_the_write(app):
    write(app, plants(2))
    app.do("UPDATE plants SET updated_at = '2020-01-01', created_at = '2020-01-01'")

    write(app, [plant(1, name="renamed"), plant(2)])

    assert app.rows(
        "SELECT vendor_plant_id, updated_at > '2021-01-01', created_at > '2021-01-01'"
        " FROM plants ORDER BY 1"
    ) == [("1", True, False), ("2", False, False)]


@pytest.mark.requirement("R09")
@pytest.mark.fault("D5")
@pytest.mark.parametrize("bad", [{1}, {50}, {100}, {7, 8, 60, 99}])
def test_a_row_that_the_database_refuses_is_found_and_the_others_are_written(app, bad):
    app.do("ALTER TABLE plants ADD CONSTRAINT honest CHECK (capacity_kw >= 0)")
    records = [plant(n, capacity_kw=Decimal(-1)) if n in bad else plant(n) for n in range(1, 101)]

    counts = write(app, records)

    assert counts == Counts(created=100 - len(bad), rejected=len(bad))
    assert {int(key) for key in names(app)} == set(range(1, 101)) - bad
    assert app.rows("SELECT key::int, reason FROM vendorsync.quarantine ORDER BY 1") == [
        (n, "refused by the database: CheckViolation of honest") for n in sorted(bad)
    ]


@pytest.mark.fault("V9")
def test_text_that_postgresql_cannot_hold_is_quarantined(app):
    counts = write(app, [plant(1, name="nul \0"), plant(2, name="half \ud800"), plant(3)])

    assert counts == Counts(created=1, rejected=2)


def test_a_record_is_quarantined_once_however_often_it_comes(app):
    rejected = [Rejection("9", "capacity: not a number", {"id": 9, "name": "Sharma House"})]
    for _ in range(3):
        write(app, [plant(1)], rejected)

    assert app.rows("SELECT key, reason, record FROM vendorsync.quarantine") == [
        ("9", "capacity: not a number", {"id": 9, "name": "text of 12 characters"})
    ]


def test_a_database_that_refuses_every_row_is_at_fault_itself(app):
    app.do("ALTER TABLE plants ADD CONSTRAINT never CHECK (false)")

    with pytest.raises(SchemaMismatchError, match=r"refuses every record of plants: .* never"):
        write(app, plants(150))

    assert app.value("SELECT count(*) FROM vendorsync.quarantine") == 0


@pytest.mark.fault("D5")
def test_many_bad_rows_of_a_table_that_took_others_go_to_quarantine(app):
    write(app, plants(150))
    app.do("ALTER TABLE plants ADD CONSTRAINT never CHECK (name <> 'bad')")

    counts = write(app, [*plants(120, name="bad"), *plants(150)[120:]])

    assert counts == Counts(unchanged=30, rejected=120)
    assert app.value("SELECT count(*) FROM vendorsync.quarantine") == 120


@pytest.mark.fault("S5")
@pytest.mark.requirement("R25")
@pytest.mark.parametrize("row_security", ["ENABLE", "DISABLE"])
def test_a_row_of_another_organization_is_never_written(app, row_security):
    app.do(
        f"ALTER TABLE plants {row_security} ROW LEVEL SECURITY",
        "INSERT INTO organizations (id, name) VALUES (4, 'B')",
        "INSERT INTO plants (org_id, vendor_id, vendor_plant_id, name) VALUES (4, 1, '2', 'of B')",
    )

    counts = write(app, plants(3))

    assert counts == Counts(created=2, rejected=1)
    assert names(app)["2"] == "of B"
    assert app.value("SELECT reason FROM vendorsync.quarantine") == "OwnedByAnotherOrganization"


@pytest.mark.requirement("R25")
@pytest.mark.fault("D10")
def test_a_run_sees_only_the_rows_of_its_organization(app):
    write(app, plants(2))

    with app.transaction(4) as cursor:
        cursor.execute("SELECT count(*) FROM public.plants")
        assert cursor.fetchone() == (0,)
    with psycopg.connect(app.run_url) as connection:
        assert connection.execute("SELECT count(*) FROM plants").fetchone() == (0,)


@pytest.mark.fault("D10")
def test_a_table_that_shadows_ours_gets_nothing(app):
    app.do("CREATE SCHEMA vendorsync_run AUTHORIZATION vendorsync_run")
    app.do("CREATE TABLE vendorsync_run.plants (LIKE public.plants)")

    write(app, plants(2))

    assert app.value("SELECT count(*) FROM vendorsync_run.plants") == 0
    assert app.value("SELECT count(*) FROM public.plants") == 2


@pytest.mark.fault("D2")
def test_a_broken_connection_is_opened_again_and_the_counts_stay_exact(app):
    with stored_run(app, sleep=lambda _: None) as run:
        settle(run.records, plants(5))
        app.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'vendorsync_run' AND datname = current_database()"
        )
        assert settle(run.records, [plant(1), plant(6)]) == Counts(created=1, unchanged=1)


@pytest.mark.fault("D3")
def test_a_deadlock_with_the_application_is_tried_again(app):
    app.do(
        "CREATE TABLE tries (n int)",
        "GRANT ALL ON tries TO vendorsync_run",
        "CREATE SEQUENCE tried",
        "GRANT ALL ON SEQUENCE tried TO vendorsync_run",
        "CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('public.tried') = 1 THEN RAISE deadlock_detected; END IF;"
        " RETURN new; END $$",
        "CREATE TRIGGER clash BEFORE INSERT ON plants FOR EACH ROW EXECUTE FUNCTION clash()",
    )

    assert write(app, plants(3), sleep=lambda _: None) == Counts(created=3)
    assert app.rows("SELECT chunk, created FROM vendorsync.runs") == [(1, 3)]


class LostAnswers(Exchange):
    """Commits, and loses the answer to the first COMMIT of a chunk."""

    left = 1

    def commit(self, *statements):
        answers = super().commit(*statements)
        if self.left and any("vendorsync.runs SET chunk" in str(s.query) for s in statements):
            LostAnswers.left = 0
            raise psycopg.OperationalError("the connection broke after the COMMIT")
        return answers


class LosingDatabase(Database):
    """Speaks by way of LostAnswers."""

    exchange_type = LostAnswers


@pytest.mark.fault("D1")
def test_a_commit_whose_answer_got_lost_is_not_counted_twice(app):
    with stored_run(app, connect=LosingDatabase, sleep=lambda _: None) as run:
        assert settle(run.records, plants(3)) == Counts(created=3)
        assert LostAnswers.left == 0
        assert settle(run.records, [plant(1), plant(2, name="renamed")]) == Counts(
            updated=1, unchanged=1
        )

    assert app.rows("SELECT chunk, created, updated, unchanged FROM vendorsync.runs") == [
        (2, 3, 1, 1)
    ]


class Calm:
    """Never asks the run to end."""

    def check(self):
        pass

    def shield(self):
        return nullcontext()


def listed(app, pages, batch_size):
    progress = Progress()
    with stored_run(app) as run:
        listing = Listing(pages, key=lambda record: record.vendor_plant_id)
        sync(listing, run.records, progress, batch_size=batch_size, stop=Calm())
    return progress.counts, listing.rows


rows = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["a", "b"]), st.sampled_from([1, 1, -1])),
    max_size=9,
)


@pytest.mark.fault("H4")
@given(runs=st.lists(st.lists(rows, max_size=3), max_size=3), batch_size=st.integers(1, 12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_table_and_the_counts_agree_with_what_was_listed(app, runs, batch_size):
    app.do(
        "TRUNCATE plants, alerts, vendorsync.hashes",
        "ALTER TABLE plants DROP CONSTRAINT IF EXISTS honest",
        "ALTER TABLE plants ADD CONSTRAINT honest CHECK (capacity_kw >= 0)",
    )
    for number, run in enumerate(runs):
        pages = [
            page(
                plant(f"page {n} of {number}"),
                *(plant(key, name=name, capacity_kw=Decimal(sign)) for key, name, sign in part),
            )
            for n, part in enumerate(run)
        ]
        before = set(names(app))

        counts, sent = listed(app, pages, batch_size)

        assert counts.total == sent
        assert counts.created == len(set(names(app)) - before)
        last = {record.vendor_plant_id: record for part in pages for record in part.records}
        good = {key: record.name for key, record in last.items() if record.capacity_kw != -1}
        assert {key: names(app).get(key) for key in good} == good
