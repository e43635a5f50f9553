import pytest

from tests.syncjob.builders import run_spec
from vendorsync_job.errors import BindingConflictError
from vendorsync_job.store import bindings

pytestmark = pytest.mark.postgres


def bind(app, spec=None):
    with app.transaction() as cursor:
        return bindings.bind(cursor, spec or run_spec())


def vendor(**changes):
    return {"name": "solarman", "adapter": "solarman"} | changes


def test_the_first_run_inserts_organization_and_vendor_and_later_ones_find_them(app):
    spec = run_spec(vendor=vendor(displayName="Solarman Vendor 1"))

    assert bind(app, spec) == bind(app, spec)
    assert app.rows("SELECT id, name FROM organizations") == [(3, "Organization A")]
    assert app.rows("SELECT org_id, name, vendor_type, is_active FROM vendors") == [
        (3, "Solarman Vendor 1", "solarman", True)
    ]


def test_an_id_binds_the_row_that_exists(app):
    app.add_vendor(42)

    assert bind(app, run_spec(vendor=vendor(id=42))) == 42
    assert app.value("SELECT count(*) FROM vendors") == 1


@pytest.mark.fault("S5")
def test_an_id_of_another_organization_is_refused(app):
    app.add_vendor(42, organization_id=4)

    with pytest.raises(BindingConflictError, match=r"vendors\.id 42 is no row of organization 3"):
        bind(app, run_spec(vendor=vendor(id=42)))


def test_a_vendor_is_never_guessed_by_its_name(app):
    app.add_vendor(42)

    assert bind(app) != 42


def test_an_organization_is_not_inserted_into_an_application_of_others(app):
    app.do("DELETE FROM vendorsync.applications")

    with pytest.raises(BindingConflictError, match=r"organizations\.id 3 does not exist"):
        bind(app)


def test_a_resource_that_was_made_anew_takes_its_rows_over(app):
    first = bind(app)
    anew = {"namespace": "solar", "name": "organization-a", "uid": "uid-new"}

    assert bind(app, run_spec(resource=anew)) == first
    assert app.value("SELECT owner_uid FROM vendorsync.bindings") == "uid-new"


@pytest.mark.parametrize("name", ["solarman", "sungrow"])
def test_another_resource_for_the_same_organization_is_refused(app, name):
    bind(app)
    other = {"namespace": "solar", "name": "organization-b", "uid": "uid-b"}

    with pytest.raises(BindingConflictError, match="bound to resource solar/organization-a"):
        bind(app, run_spec(resource=other, vendor=vendor(name=name)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"vendor": vendor(adapter="sungrow")}, id="adapter"),
        pytest.param({"vendor": vendor(id=77)}, id="id"),
        pytest.param({"applicationSchema": "other"}, id="schema"),
    ],
)
def test_what_was_bound_once_is_not_changed(app, changes):
    bind(app)

    with pytest.raises(BindingConflictError, match="adapter solarman, schema public; the run asks"):
        bind(app, run_spec(**changes))


def test_two_vendors_cannot_share_a_row(app):
    app.add_vendor(42)
    bind(app, run_spec(vendor=vendor(id=42)))

    with pytest.raises(BindingConflictError, match="42 is bound to vendor 'solarman' of org"):
        bind(app, run_spec(vendor=vendor(id=42, name="second")))


def test_a_row_that_was_deleted_is_not_replaced_silently(app):
    bind(app)
    app.do("DELETE FROM vendors")

    with pytest.raises(BindingConflictError, match="is no row of organization 3"):
        bind(app)


def test_looking_binds_nothing(app):
    with app.transaction(read_only=True) as cursor:
        assert bindings.find(cursor, run_spec()) is None
    assert app.value("SELECT count(*) FROM vendorsync.bindings") == 0
