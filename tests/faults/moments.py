"""Moments inside a run's transactions: a trigger waits for a lock that the test holds."""

from collections.abc import Callable
from contextlib import contextmanager, suppress

import psycopg

from tests.faults.jobs import meanwhile
from tests.syncjob.builders import App

LOCK = 4242
IN_A_CHUNK = "CREATE TRIGGER hold AFTER INSERT ON plants FOR EACH STATEMENT"
AT_ITS_COMMIT = (
    "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON plants DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW"
)
AT_THE_SUMMARY = (
    "CREATE TRIGGER hold AFTER UPDATE ON vendorsync.runs FOR EACH ROW"
    " WHEN (new.finished_at IS NOT NULL)"
)


@contextmanager
def moment(app: App, trigger: str, act: Callable[[], object]):
    """When a run first comes to the trigger: act, then let it go on, and never wait again."""
    app.do(
        "CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NULL; END $$",
        f"{trigger} EXECUTE FUNCTION public.hold()",
    )
    with app.connect() as holder:
        holder.execute(f"SELECT pg_advisory_lock({LOCK})")

        def act_and_release():
            try:
                act()
            finally:
                with suppress(psycopg.OperationalError):  # the fault may have taken the holder too
                    holder.execute(f"SELECT pg_advisory_unlock({LOCK})")

        try:
            with meanwhile(lambda: waits(app), act_and_release):
                yield
        finally:
            app.do("DROP FUNCTION public.hold() CASCADE")


def waits(app: App):
    return app.value(
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def sessions(app: App):
    """How many sessions runs have open."""
    return app.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'vendorsync_run'"
        " AND datname = current_database()"
    )


def end_sessions(app: App) -> None:
    app.do(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'vendorsync_run' AND datname = current_database()"
    )
