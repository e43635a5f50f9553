import pytest

from tests.syncjob.builders import plants, settle, stored_run
from vendorsync_job.errors import AlreadyRunningError, LeaseLostError
from vendorsync_job.store.lease import Lease

pytestmark = [pytest.mark.postgres, pytest.mark.fault("D7")]

EXPIRE = "UPDATE vendorsync.leases SET until = now() - interval '1 second'"


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()


@pytest.mark.promise("P4")
def test_of_two_runs_at_once_one_is_turned_away(app):
    with stored_run(app), pytest.raises(AlreadyRunningError), stored_run(app):
        pytest.fail("the second run must not begin")

    assert app.value("SELECT count(*) FROM vendorsync.runs") == 1


def test_the_lease_of_a_killed_run_expires(app):
    with stored_run(app):
        app.do(EXPIRE)
        with stored_run(app) as second:
            assert second.lease.epoch == 2


def test_the_next_pod_of_a_job_need_not_wait(app):
    with stored_run(app, owner="job-1"), stored_run(app, owner="job-1") as second:
        assert second.lease.epoch == 2


def test_a_run_that_slept_through_its_lease_writes_nothing(app):
    with stored_run(app) as sleeper:
        app.do(EXPIRE)
        with stored_run(app), pytest.raises(LeaseLostError):
            settle(sleeper.records, plants(3))

    assert app.value("SELECT count(*) FROM plants") == 0


def test_an_expired_lease_that_nobody_took_still_holds(app):
    with stored_run(app) as run:
        app.do(EXPIRE)
        assert settle(run.records, plants(3)).created == 3


def test_a_held_lease_is_renewed_after_a_third_of_its_life(app):
    now = 1000.0
    lease = Lease(1, "plants", owner="me", lifetime=90, clock=lambda: now)
    app.ask(lease.take_statement())
    until = "SELECT until FROM vendorsync.leases"
    first = app.value(until)

    lease.settled(*app.ask(lease.hold_statement()))
    assert app.value(until) == first
    now += 31
    lease.settled(*app.ask(lease.hold_statement()))
    assert app.value(until) > first


def test_a_lease_is_renewed_between_pages_once_it_is_due(app):
    until = "SELECT until FROM vendorsync.leases"
    with stored_run(app) as run:
        first = app.value(until)
        run.records.renew()
        assert app.value(until) == first
        run.lease._renewed -= 61
        run.records.renew()
        assert app.value(until) > first
        assert app.value("SELECT chunk FROM vendorsync.runs") == 0


def test_a_lease_that_another_run_took_is_not_renewed(app):
    with stored_run(app) as sleeper:
        app.do(EXPIRE)
        sleeper.lease._renewed -= 61
        with stored_run(app), pytest.raises(LeaseLostError):
            sleeper.records.renew()


def test_a_freed_lease_can_be_taken_at_once_and_only_by_its_holder_freed(app):
    old, new = Lease(1, "plants", owner="old"), Lease(1, "plants", owner="new")
    app.ask(old.take_statement())
    app.ask(old.free_statement())
    app.ask(new.take_statement())
    app.ask(old.free_statement())

    assert app.value("SELECT owner FROM vendorsync.leases") == "new"


def test_streams_and_vendors_have_leases_of_their_own(app):
    for vendor_id, stream in ((1, "plants"), (1, "alerts"), (2, "plants")):
        app.ask(Lease(vendor_id, stream, owner=f"{vendor_id}{stream}").take_statement())
