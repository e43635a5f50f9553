"""D1: the server goes away at each step of a run, and comes back at once, later, or never."""

from contextlib import closing

import pytest

from tests.faults.jobs import before_page
from tests.faults.moments import AT_ITS_COMMIT, AT_THE_SUMMARY, IN_A_CHUNK, moment
from tests.syncjob.jobs import LOGIN, PLANTS, through
from vendorsync_job.errors import DatabaseUnavailableError
from vendorsync_job.store.connection import Database

pytestmark = [pytest.mark.postgres, pytest.mark.fault("D1")]

STEPS = {"in a chunk": IN_A_CHUNK, "at its commit": AT_ITS_COMMIT, "at the summary": AT_THE_SUMMARY}


@pytest.fixture
def job(job, database_proxy):
    return job.lay_out(database_port=database_proxy.port)


def blink(proxy):
    proxy.cut()
    proxy.restore()


def exactly_once(job):
    """No plant is missing, none is there twice, and none was counted as created twice."""
    assert job.count() == PLANTS
    assert job.app.value("SELECT sum(created) FROM vendorsync.runs") == PLANTS


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_is_back_at_once_costs_nothing(job, database_proxy, step):
    with moment(job.app, STEPS[step], lambda: blink(database_proxy)):
        ended = job.run()

    assert ended.reason == (0, "Synced")
    assert ended.counts == {"created": PLANTS}
    exactly_once(job)


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_stays_away_is_reported_and_the_next_run_completes(
    job, database_proxy, clouds, step
):
    with moment(job.app, STEPS[step], database_proxy.cut):
        ended = job.run()

    assert ended.reason == (69, "DatabaseUnavailable")
    assert not ended.report["complete"]
    assert ended.report["message"].endswith("cannot be reached: Connection refused")
    database_proxy.restore()
    again = job.run()
    assert again.reason == (0, "Synced")
    assert again.report["created"] + again.report["unchanged"] == PLANTS
    exactly_once(job)
    assert len(clouds.calls(path=LOGIN)) == 1, "the token outlives the outage"


@pytest.mark.parametrize("step", ["in a chunk", "at its commit"])
def test_after_a_crash_of_the_server_every_plant_is_there_once(job, server, step):
    # The suite's server gives its last commits up in a crash, which no real one does.
    name = job.app.value("SELECT current_database()")
    job.app.do(f"ALTER DATABASE {name} SET synchronous_commit = on")

    def crash():
        server.stop("kill")
        server.start()

    try:
        with moment(job.app, STEPS[step], crash):
            ended = job.run()
    finally:
        job.app.do(f"ALTER DATABASE {name} RESET synchronous_commit")

    # Recovery may take longer than a run waits; then it is the next run's turn.
    assert ended.reason in [(0, "Synced"), (69, "DatabaseUnavailable")]
    if ended.code:
        assert job.run().reason == (0, "Synced")
    exactly_once(job)


def test_a_server_that_is_away_between_two_pages_is_not_noticed(job, clouds, database_proxy):
    with before_page(clouds, 2, lambda: blink(database_proxy)):
        ended = job.run()

    assert ended.counts == {"created": PLANTS}
    exactly_once(job)


@pytest.mark.parametrize(("back_after", "tries"), [(0.5, 2), (1, 3), (60, 3)])
def test_at_the_start_a_run_waits_seconds_and_not_minutes(app, database_proxy, back_after, tries):
    waited: list[float] = []

    def sleep(seconds):
        waited.append(seconds)
        if sum(waited) >= back_after:
            database_proxy.restore()

    database_proxy.cut()
    url = through(app.run_url, database_proxy.port)
    with closing(Database(url, sleep=sleep, jitter=lambda: 1.0)) as database:
        if back_after < 60:
            assert database.retrying(lambda cursor: cursor.execute("SELECT 1").fetchone()) == (1,)
        else:
            with pytest.raises(DatabaseUnavailableError, match="Connection refused"):
                database.retrying(lambda cursor: cursor.execute("SELECT 1").fetchone())

    assert len(waited) == tries - 1
    assert sum(waited) < 10
