"""D2: connections lost, limits reached, a failover, a full disk, and the time-outs."""

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dev.database.binaries import server_identity
from dev.stack.waiting import until
from tests.faults.jobs import before_page
from tests.faults.moments import AT_ITS_COMMIT, IN_A_CHUNK, end_sessions, moment, sessions
from tests.syncjob.jobs import PLANTS
from vendorsync_job.errors import DatabaseUnavailableError, SyncError
from vendorsync_job.store.connection import LockTimeoutError, Timeouts

pytestmark = [pytest.mark.postgres, pytest.mark.fault("D2")]


@pytest.mark.parametrize("trigger", [IN_A_CHUNK, AT_ITS_COMMIT], ids=["chunk", "commit"])
def test_a_session_that_the_administrator_ends_is_replaced(job, trigger):
    with moment(job.app, trigger, lambda: end_sessions(job.app)):
        ended = job.run()

    assert ended.counts == {"created": PLANTS}
    assert job.count() == PLANTS
    assert job.app.value("SELECT created FROM vendorsync.runs") == PLANTS


def test_a_pooler_that_restarts_while_a_run_is_idle_is_not_noticed(job, clouds, database_proxy):
    job.lay_out(database_port=database_proxy.port)

    def restart():
        assert sessions(job.app) >= 1
        database_proxy.cut()
        job.app.await_sessions_end()
        database_proxy.restore()

    with before_page(clouds, 2, restart):
        ended = job.run()

    assert ended.reason == (0, "Synced")
    assert job.count() == PLANTS


def test_too_many_connections_are_told_and_cost_no_call(job, clouds):
    job.app.do("ALTER ROLE vendorsync_run CONNECTION LIMIT 0")
    try:
        ended = job.run()
    finally:
        job.app.do("ALTER ROLE vendorsync_run CONNECTION LIMIT -1")

    assert ended.reason == (69, "DatabaseUnavailable")
    assert "too many connections for role" in ended.report["message"]
    assert clouds.calls() == []
    assert job.run().code == 0


@contextmanager
def turned_read_only(app, clouds):
    """What a failover looks like: between two pages sessions end, and new ones cannot write."""
    name = app.value("SELECT current_database()")

    def turn():
        app.do(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        end_sessions(app)

    try:
        with before_page(clouds, 2, turn):
            yield
    finally:
        app.do(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {name} RESET default_transaction_read_only",
        )


def test_a_server_that_turns_read_only_keeps_whole_chunks_and_the_next_run_completes(job, clouds):
    with turned_read_only(job.app, clouds):
        ended = job.run()

    assert ended.reason == (69, "DatabaseUnavailable")
    assert "read-only transaction" in ended.report["message"]
    assert job.count() == 100

    again = job.run()
    assert again.counts == {"created": PLANTS - 100, "unchanged": 100}


@pytest.fixture
def small_disk(app):
    """A file system of 640 KiB that holds the table of plants."""
    folder = Path(tempfile.mkdtemp(prefix="vendorsync-small-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("a file system that can be filled needs root and the right to mount")
    try:
        server_identity().own(folder)
        with app.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            connection.execute("ALTER TABLE plants SET TABLESPACE small")
        yield folder
        app.do("ALTER TABLE plants SET TABLESPACE pg_default", "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def test_a_full_disk_is_told_and_what_was_committed_stays(job, small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1))
    room = os.statvfs(small_disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - 48 * 1024))

    ended = job.run()

    assert ended.reason == (69, "DatabaseUnavailable")
    assert ended.report["message"].endswith("broke off: its disk is full")
    kept = job.count()
    assert kept < PLANTS
    assert kept == ended.report["created"]

    filler.unlink()
    assert job.run().counts == {
        name: count
        for name, count in {"created": PLANTS - kept, "unchanged": kept}.items()
        if count
    }


def slowly(app, database, timeouts, statement):
    with database.transaction(timeouts=timeouts) as cursor:
        if timeouts.idle < 1:
            app.await_sessions_end()
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("timeouts", "statement", "kind"),
    [
        (Timeouts(statement=0.05), "SELECT pg_sleep(60)", DatabaseUnavailableError),
        (Timeouts(lock=0.05), "SELECT count(*) FROM plants", LockTimeoutError),
        (Timeouts(idle=0.05), "SELECT 1", DatabaseUnavailableError),
    ],
    ids=["statement", "lock", "idle"],
)
def test_every_time_out_of_the_server_is_transient(app, timeouts, statement, kind):
    with app.connect() as other, other.transaction(), app.database() as database:
        other.execute("LOCK TABLE plants")

        with pytest.raises(SyncError) as caught:
            slowly(app, database, timeouts, statement)

        assert type(caught.value) is kind
        with database.transaction() as cursor:
            assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_falls_silent_cannot_keep_a_run_from_ending(job, clouds, database_proxy):
    """Nobody can break off a wait for an answer that never comes: the process ends itself.

    A second signal does at once what the watchdog does ten seconds after the first.
    """
    job.lay_out(database_port=database_proxy.port)
    heard = "SELECT max(state_change) FROM pg_stat_activity WHERE usename = 'vendorsync_run'"
    silent_since = []

    def silence():
        silent_since.append(job.app.value(heard))
        database_proxy.add("timeout", timeout=0)

    def is_waiting():
        return silent_since and job.app.value(heard) > silent_since[0]

    process = job.start()
    with before_page(clouds, 2, silence):
        until(is_waiting, "page 2 at the server", every=0.02)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)  # signals that come together are one
        ended = job.finish(process)

    assert ended.reason == (75, "Interrupted")
    assert ended.report["created"] == job.count() == 100
