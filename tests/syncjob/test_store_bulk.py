"""Thousands of rows: the temporary table, poison among many, and what no change costs."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pytest

from bench.database import create
from bench.loaders import ours
from dev.database import postgres
from tests.syncjob.builders import (
    RUN_PASSWORD,
    App,
    plant,
    plants,
    run_report,
    settle,
    stored_run,
)
from vendorsync_job.models import Counts
from vendorsync_job.store.upsert import PIECE

pytestmark = pytest.mark.postgres

WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'"
TAKEN = "SELECT last_value FROM plants_id_seq"
DEAD = (
    "SELECT coalesce(sum(n_dead_tup + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
    " WHERE relname IN ('plants', 'hashes')"
)


@pytest.fixture
def app(app):
    app.add_vendor()
    return app


def run_once(app, records, **options):
    with stored_run(app, **options) as run:
        counts = Counts()
        for start in range(0, len(records), 500):
            counts = counts + run.records.take(records[start : start + 500], [])
        counts = counts + run.records.commit()
        run.finish(run_report(counts))
    return counts


def test_more_rows_than_a_document_holds_go_through_a_temporary_table(app):
    records = plants(2 * PIECE, latitude=Decimal("18.5"), address='12 "Hill" Road\\')

    assert run_once(app, records) == Counts(created=2 * PIECE)
    assert run_once(app, plants(2 * PIECE)) == Counts(updated=2 * PIECE)
    assert run_once(app, plants(2 * PIECE)) == Counts(unchanged=2 * PIECE)
    assert app.value("SELECT chunk FROM vendorsync.runs ORDER BY started_at LIMIT 1") == 1


def test_both_ways_of_writing_give_the_same_rows(app):
    rows = (
        "SELECT vendor_plant_id::int, name, capacity_kw, latitude, address FROM plants ORDER BY 1"
    )
    records = plants(PIECE + 1, latitude=Decimal("-1E-7"), address="\u20ac \t", name="n'\"\n")
    run_once(app, records)
    copied = app.rows(rows)
    app.do("TRUNCATE plants, alerts, vendorsync.hashes")
    for start in range(0, len(records), PIECE):
        run_once(app, records[start : start + PIECE])

    assert app.rows(rows) == copied


@pytest.mark.fault("D5")
@pytest.mark.requirement("R09")
def test_ten_poison_records_of_ten_thousand_are_found_and_only_these(app):
    app.do("ALTER TABLE plants ADD CONSTRAINT honest CHECK (capacity_kw >= 0)")
    bad = {1, 2, 999, 1000, 1001, 4321, 5000, 7777, 9999, 10_000}
    records = [plant(n, capacity_kw=Decimal(-1 if n in bad else 5)) for n in range(1, 10_001)]

    assert run_once(app, records) == Counts(created=9990, rejected=10)

    kept = {key for (key,) in app.rows("SELECT key::int FROM vendorsync.quarantine")}
    assert kept == bad
    assert app.value("SELECT count(*) FROM plants") == 9990


@pytest.mark.parametrize("known_limit", [0, 1500])
def test_a_vendor_too_large_for_memory_is_compared_page_by_page(app, known_limit):
    records = plants(3000)
    assert run_once(app, records, known_limit=known_limit) == Counts(created=3000)
    records[7], records[2900] = plant(8, name="renamed"), plant(2901, name="renamed")

    counts = run_once(app, records, known_limit=known_limit)

    assert counts == Counts(updated=2, unchanged=2998)


@pytest.mark.fault("D12")
def test_a_hundred_unchanged_runs_take_no_sequence_value(app):
    records = plants(50)
    run_once(app, records)
    before = app.value(TAKEN)

    with stored_run(app) as run:
        for _ in range(100):
            assert settle(run.records, records) == Counts(unchanged=50)

    assert app.value(TAKEN) == before


@pytest.mark.fault("D8")
def test_an_unchanged_run_leaves_next_to_nothing_behind():
    """On a server with full-page images, since these are what a touched row costs."""
    with postgres(settings={"fsync": "off", "autovacuum": "off"}) as running:
        running.create_database("wal")
        app = App(running.url("wal"), running.url("wal", "vendorsync_run", RUN_PASSWORD))
        app.migrate(run_url=app.run_url)
        app.add_vendor()
        records = plants(10_000)
        run_once(app, records)
        # Hint bits of rows just written are set by whoever reads them first.
        app.do("VACUUM")
        for checkpoint in (["CHECKPOINT"], []):
            app.do(*checkpoint)
            app.do("SELECT pg_stat_reset()")
            before = app.value(WAL), app.value(TAKEN)

            assert run_once(app, records) == Counts(unchanged=10_000)

            assert app.value(WAL) - before[0] < 20 * 10_000
            assert app.value(TAKEN) == before[1]
            assert app.value(DEAD) == 0


@pytest.mark.fault("D3")
@pytest.mark.parametrize("count", [2, PIECE + 2], ids=["document", "copy"])
def test_a_deadlock_with_the_application_costs_neither_rows_nor_counts(app, count):
    run_once(app, plants(count))
    slept: list[float] = []
    with psycopg.connect(app.owner_url) as other, ThreadPoolExecutor(1) as threads:
        # The application locks the second plant, then the first: the other way round.
        other.execute("SET deadlock_timeout = '1h'")
        other.execute("SELECT FROM plants WHERE vendor_plant_id = '2' FOR UPDATE")
        run = threads.submit(run_once, app, plants(count, name="renamed"), sleep=slept.append)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not app.value(waiting):
            pass
        other.execute("SELECT FROM plants WHERE vendor_plant_id = '1' FOR UPDATE")
        other.rollback()

        assert run.result(30) == Counts(updated=count)

    assert slept
    assert app.rows("SELECT DISTINCT name FROM plants") == [("renamed",)]
    assert app.value("SELECT max(updated) FROM vendorsync.runs") == count


@pytest.mark.fault("D11")
def test_memory_grows_with_the_keys_and_not_with_the_records():
    """10, 100 and 20,000 plants in processes of their own; `make bench-sync` takes a million."""
    peaks = {}
    with postgres(fast=True) as own:
        for count in (10, 100, 20_000):
            bench = create(own, f"plants_{count}")
            with ours().loading(bench.url) as loader:
                first = loader.load(count=count, version=0)
                second = loader.load(count=count, version=0)
            assert (first["created"], first["updated"]) == (count, 0)
            assert (second["created"], second["updated"]) == (0, 0)
            peaks[count] = second["peak"]

    # Whoever kept the records would need twice as much.
    assert peaks[20_000] - peaks[10] < 25_000_000
