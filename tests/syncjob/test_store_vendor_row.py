import psycopg
import pytest

from vendorsync_job.errors import BindingConflictError
from vendorsync_job.store.place import Place
from vendorsync_job.store.vendor_row import VendorRow

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V15")]

ROW = VendorRow(Place("public", 3, 1))


@pytest.fixture
def app(app):
    app.add_vendor(1)
    app.add_vendor(2, organization_id=4)
    return app


@pytest.mark.parametrize(
    "statement", [ROW.hold_statement(), ROW.synced_statement()], ids=["hold", "synced"]
)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE vendors SET org_id = 4 WHERE id = 1", id="moved"),
        pytest.param("DELETE FROM vendors WHERE id = 1", id="deleted"),
    ],
)
def test_a_row_that_changed_hands_is_refused(app, statement, change):
    app.ask(statement)
    app.do(change)

    with pytest.raises(BindingConflictError, match=r"vendors\.id 1 is no row of organization 3"):
        app.ask(statement)


def test_a_row_that_is_held_stays_with_its_organization_until_the_commit(app):
    with app.database() as database, app.connect() as other:
        other.execute("SET lock_timeout = '100ms'")
        with database.exchange() as exchange:
            exchange.run(ROW.hold_statement())
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("UPDATE vendors SET org_id = 4 WHERE id = 1")
            exchange.commit()
        other.execute("UPDATE vendors SET org_id = 4 WHERE id = 1")


def test_two_streams_of_a_vendor_may_hold_it_at_once(app):
    with app.database() as one, app.database() as two, one.exchange() as first:
        (rows,) = first.run(ROW.hold_statement())
        with two.exchange() as second:
            assert second.run(ROW.hold_statement()) == [rows]
