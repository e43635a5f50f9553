"""A real PgBouncer in transaction mode between the job and PostgreSQL.

Few connections to the server carry many clients, so whatever one transaction leaves behind is found
by the next one of somebody else.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from dev.database.pooler import pooler
from tests.syncjob.builders import RUN_PASSWORD, App, plant, plants, settle, stored_run
from vendorsync_job.errors import AlreadyRunningError, DatabaseUnavailableError, SyncError
from vendorsync_job.store.connection import Database, Timeouts

pytestmark = [pytest.mark.postgres, pytest.mark.fault("D4")]

SIZE = 3
"""Connections to the server."""


@pytest.fixture(scope="module")
def bouncer(server):
    passwords = {"postgres": server.password, "vendorsync_run": RUN_PASSWORD}
    with pooler(server, passwords, size=SIZE) as running:
        yield running


@pytest.fixture
def pooled(app, bouncer) -> App:
    """The test's database, whose runs go through the pooler."""
    name = app.value("SELECT current_database()")
    return App(app.owner_url, bouncer.url(name, "vendorsync_run"))


def left_behind(pooled) -> list[tuple]:
    """What the server's connections of the run role hold outside of a transaction."""
    found = []
    with ThreadPoolExecutor(SIZE) as threads:
        barrier = threading.Barrier(SIZE)

        def look(_):
            with psycopg.connect(pooled.run_url, prepare_threshold=None) as connection:
                rows = connection.execute(
                    "SELECT pg_backend_pid(), current_setting('statement_timeout'),"
                    " current_setting('lock_timeout'),"
                    " current_setting('idle_in_transaction_session_timeout'),"
                    " current_setting('transaction_read_only'),"
                    " coalesce(current_setting('vendorsync.organization_id', true), ''),"
                    " current_setting('search_path'), current_setting('timezone'),"
                    " (SELECT count(*) FROM pg_prepared_statements),"
                    " (SELECT count(*) FROM pg_cursors WHERE name <> ''),"
                    " (SELECT count(*) FROM pg_class WHERE relpersistence = 't')"
                ).fetchall()
                barrier.wait(timeout=30)  # so that each thread looks at another connection
            found.extend(rows)

        list(threads.map(look, range(SIZE)))
    return sorted(found)


def assert_nothing_is_left_behind(pooled) -> None:
    rows = left_behind(pooled)
    zone = pooled.value("SELECT current_setting('timezone')")
    assert len({row[0] for row in rows}) == SIZE
    assert {row[1:] for row in rows} == {
        ("0", "0", "0", "off", "", '"$user", public', zone, 0, 0, 0)
    }
    assert pooled.rows("SELECT FROM pg_locks WHERE locktype = 'advisory'") == []
    assert pooled.rows("SELECT FROM pg_prepared_xacts") == []


def run(pooled, vendor_id: int, *batches):
    counts = None
    with stored_run(pooled, vendor_id=vendor_id) as stored:
        for batch in batches:
            written = settle(stored.records, batch)
            counts = written if counts is None else counts + written
    return counts


def test_runs_share_a_few_connections_and_leave_nothing_on_them(pooled):
    vendors = range(1, 13)
    for vendor_id in vendors:
        pooled.add_vendor(vendor_id)
    large = plants(1500)

    with ThreadPoolExecutor(8) as threads:
        first = list(threads.map(lambda vendor: run(pooled, vendor, large, plants(5)), vendors))
        again = list(threads.map(lambda vendor: run(pooled, vendor, large), vendors))

    assert [(counts.created, counts.unchanged) for counts in first] == [(1500, 5)] * 12
    assert [counts.unchanged for counts in again] == [1500] * 12
    assert_nothing_is_left_behind(pooled)


def test_ten_thousand_transactions_meet_no_statement_of_another(pooled):
    clients, each = 20, 500

    def work(number: int) -> int:
        seen = 0
        with pooled.database(organization_id=number) as database:
            for turn in range(each):
                with database.transaction(read_only=turn % 2 == 0) as cursor:
                    cursor.execute(
                        "SELECT current_setting('vendorsync.organization_id')::int, %s::text"
                        " FROM vendorsync.schema_version LIMIT 1",
                        [f"{number}/{turn}"],
                    )
                    seen += cursor.fetchone() == (number, f"{number}/{turn}")
        return seen

    with ThreadPoolExecutor(clients) as threads:
        assert list(threads.map(work, range(clients))) == [each] * clients
    assert_nothing_is_left_behind(pooled)


def test_a_pipeline_ends_with_its_transaction(pooled):
    def work(number: int) -> list[int]:
        with (
            pooled.database() as database,
            database.transaction() as cursor,
            cursor.connection.pipeline(),
        ):
            cursors = [cursor.connection.cursor() for _ in range(20)]
            for turn, each in enumerate(cursors):
                each.execute("SELECT %s::int", [number * 100 + turn])
            return [each.fetchone()[0] for each in cursors]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(work, range(40)))

    assert found == [[number * 100 + turn for turn in range(20)] for number in range(40)]
    assert_nothing_is_left_behind(pooled)


def test_limits_hold_inside_the_transaction_and_nowhere_else(pooled):
    limits = Timeouts(statement=12, lock=3, idle=45)

    with pooled.transaction(timeouts=limits) as cursor:
        shown = {}
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            shown[name] = cursor.fetchone()[0]

    assert shown == {
        "statement_timeout": "12s",
        "lock_timeout": "3s",
        "idle_in_transaction_session_timeout": "45s",
    }
    assert_nothing_is_left_behind(pooled)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT pg_sleep(30)", id="statement"),
        pytest.param("LOCK TABLE vendorsync.schema_version", id="refused"),
        pytest.param("SELECT 1 / 0", id="fault"),
    ],
)
def test_a_transaction_that_failed_leaves_nothing_either(pooled, statement):
    def work(cursor):
        cursor.execute("SELECT pg_advisory_xact_lock(7)")
        cursor.execute("CREATE TEMPORARY TABLE leftover () ON COMMIT DROP")
        cursor.execute(statement)

    with (
        pooled.database(sleep=lambda _: None) as database,
        pytest.raises(SyncError, match=r"broke off|refuse"),
    ):
        database.retrying(work, timeouts=Timeouts(statement=0.2))

    assert_nothing_is_left_behind(pooled)


@pytest.mark.fault("D10")
def test_after_an_organizations_transaction_the_next_client_sees_no_rows(pooled):
    """The setting is an empty text on a used connection, and absent on a new one."""
    pooled.add_vendor()
    run(pooled, 1, plants(3))

    with psycopg.connect(pooled.run_url, prepare_threshold=None) as connection:
        assert connection.execute("SELECT count(*) FROM plants").fetchone() == (0,)


@contextmanager
def own_pooler(app, server):
    passwords = {"vendorsync_run": RUN_PASSWORD}
    name = app.value("SELECT current_database()")
    with pooler(server, passwords, size=SIZE) as running:
        yield running, App(app.owner_url, running.url(name, "vendorsync_run"))


@pytest.mark.fault("D2")
def test_a_run_survives_a_pooler_that_restarts_between_and_inside_its_chunks(app, server):
    app.add_vendor()
    with own_pooler(app, server) as (running, pooled), stored_run(pooled) as stored:
        first = settle(stored.records, plants(3))
        restart(running)
        second = settle(stored.records, [plant(3, name="Other"), plant(4)])

    assert (first.created, second.updated, second.created) == (3, 1, 1)
    assert app.value("SELECT count(*) FROM plants") == 4


@pytest.mark.fault("D2")
def test_a_pooler_that_restarts_inside_a_transaction_has_it_repeated(app, server):
    restarts: list[bool] = []
    with own_pooler(app, server) as (running, pooled), pooled.database() as database:

        def work(cursor):
            cursor.execute("INSERT INTO vendorsync.streams VALUES (1, 'plants')")
            if not restarts:
                restarts.append(restart(running))
            cursor.execute("SELECT count(*) FROM vendorsync.streams")
            return cursor.fetchone()

        assert database.retrying(work) == (1,)
    assert app.value("SELECT count(*) FROM vendorsync.streams") == 1


@pytest.mark.fault("D2")
def test_a_pooler_that_stays_away_is_a_database_that_cannot_be_reached(app, server):
    with own_pooler(app, server) as (running, pooled):
        database = Database(pooled.run_url, sleep=lambda _: None)
        database.retrying(lambda cursor: cursor.execute("SELECT 1"))
        running.stop()

        with pytest.raises(
            DatabaseUnavailableError, match=r"cannot be reached|broke off"
        ) as caught:
            database.retrying(lambda cursor: cursor.execute("SELECT 1"))
        database.close()

    assert caught.value.reason.exit_code == 69


def restart(running) -> bool:
    running.stop()
    running.start()
    return True


@pytest.mark.promise("P4")
def test_two_runs_of_one_vendor_do_not_meet_on_a_shared_connection(pooled):
    pooled.add_vendor()
    with stored_run(pooled) as stored:
        settle(stored.records, plants(2))
        with pytest.raises(AlreadyRunningError), stored_run(pooled):
            pass
    assert_nothing_is_left_behind(pooled)
