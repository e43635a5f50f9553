from importlib.resources import files
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.syncjob.applications import OLD_APPLICATION
from tests.syncjob.builders import App, plant, plants, settle, stored_run
from tests.syncjob.tenants import TENANT, tenants
from vendorsync_job.errors import ConfigurationError, SchemaMismatchError, SchemaOutdatedError
from vendorsync_job.models import Counts
from vendorsync_job.store import schema
from vendorsync_job.store.migrate import LATEST

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("template")]


def test_an_empty_database_gets_everything_and_a_second_time_nothing(empty):
    first = empty.migrate()

    assert first[:5] == [
        "migrated schema vendorsync to version 1",
        "migrated schema vendorsync to version 2",
        "migrated schema vendorsync to version 3",
        "migrated schema vendorsync to version 4",
        "created tables organizations, vendors, plants, alerts in schema public",
    ]
    assert empty.migrate() == []


@pytest.mark.requirement("R25")
def test_the_run_role_can_do_a_run_and_no_more(app):
    app.add_vendor()
    with stored_run(app) as run:
        settle(run.records, [])

    with psycopg.connect(app.run_url) as connection:
        for statement in (
            "CREATE TABLE public.x ()",
            "CREATE TABLE vendorsync.x ()",
            "DELETE FROM plants",
            "DELETE FROM vendorsync.bindings",
            "UPDATE plants SET org_id = 4",
            "UPDATE vendors SET org_id = 4",
            "UPDATE organizations SET name = ''",
            "SELECT name FROM vendors",
            "ALTER TABLE plants DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


def test_the_password_of_the_run_role_never_reaches_the_server(app):
    stored = app.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'vendorsync_run'")

    assert stored.startswith("SCRAM-SHA-256$")


def test_a_changed_password_is_set(app):
    changed = app.run_url.replace("run%3Apass", "other")
    try:
        assert app.migrate(run_url=changed) == ["set the password of role vendorsync_run"]
        psycopg.connect(changed).close()
    finally:
        app.migrate(run_url=app.run_url)


@pytest.fixture
def pooler(server):
    with tenants(server.port) as running:
        yield running


def through(url, pooler, *, host=None):
    """Return a URL by way of the pooler, which wants the tenant behind the user."""
    parts = urlsplit(url)
    user, _, rest = parts.netloc.partition(":")
    password = rest.rpartition("@")[0]
    port = pooler.server_address[1]
    place = f"{user}.{TENANT}:{password}@{host or '127.0.0.1'}:{port}"
    hidden = "?hostaddr=127.0.0.1" if host else ""
    return f"postgresql://{place}{parts.path}{hidden}"


def role_names(app):
    return {name for (name,) in app.rows("SELECT rolname FROM pg_roles")}


@pytest.mark.fault("D4")
def test_a_pooler_of_many_tenants_is_told_which_one_and_the_role_is_not(empty, pooler):
    run_url = through(empty.run_url, pooler)
    pooled = App(through(empty.owner_url, pooler), run_url)

    done = pooled.migrate(run_url=run_url)

    assert f"postgres.{TENANT}" in pooler.users
    assert not any(TENANT in line for line in done)
    assert not any(TENANT in name for name in role_names(empty))
    empty.add_vendor()
    with stored_run(pooled) as run:
        assert settle(run.records, [plant(1)]) == Counts(created=1)
    assert f"vendorsync_run.{TENANT}" in pooler.users


@pytest.mark.fault("D4")
def test_that_is_known_of_such_a_pooler_by_its_name_where_the_owner_comes_directly(empty, pooler):
    host = "aws-0-region.pooler.supabase.com"

    empty.migrate(run_url=through(empty.run_url, pooler, host=host))

    assert "vendorsync_run" in role_names(empty)
    assert not any(TENANT in name for name in role_names(empty))


def test_a_role_with_a_dot_is_one_where_no_pooler_wants_that(empty):
    empty.migrate(run_url=empty.run_url.replace("vendorsync_run", "vendorsync.run"))
    try:
        assert "vendorsync.run" in role_names(empty)
    finally:
        empty.do('DROP OWNED BY "vendorsync.run"', 'DROP ROLE "vendorsync.run"')


def test_a_url_without_a_password_is_refused(empty):
    with pytest.raises(ConfigurationError, match="needs a user and a password"):
        empty.migrate(run_url="postgresql://db/app")


@pytest.mark.fault("D9")
def test_some_of_the_applications_tables_are_not_completed(empty):
    empty.do("CREATE TABLE vendors (id bigint)", "CREATE TABLE plants (id bigint)")

    with pytest.raises(SchemaMismatchError, match="has vendors, plants but not organizations"):
        empty.migrate()

    assert empty.value("SELECT to_regnamespace('vendorsync')") is None


def columns_and_policies(app):
    return app.rows(
        "SELECT attrelid::regclass::text, attname, atttypid::regtype::text FROM pg_attribute"
        " JOIN pg_class AS c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT polrelid::regclass::text, polname, '' FROM pg_policy ORDER BY 1, 2"
    )


@pytest.mark.requirement("R34")
def test_an_existing_application_is_left_as_it_is(empty):
    empty.do(*OLD_APPLICATION)
    before = columns_and_policies(empty)

    assert empty.migrate() == [
        "migrated schema vendorsync to version 1",
        "migrated schema vendorsync to version 2",
        "migrated schema vendorsync to version 3",
        "migrated schema vendorsync to version 4",
    ]
    assert columns_and_policies(empty) == before


@pytest.mark.fault("D10")
def test_policies_are_added_only_where_row_security_is_on_already(empty):
    empty.do(*OLD_APPLICATION, "ALTER TABLE plants ENABLE ROW LEVEL SECURITY")

    assert empty.migrate(run_url=empty.run_url)[LATEST + 1 :] == []
    assert empty.migrate(run_url=empty.run_url, policies=True) == [
        "added policy vendorsync_organization to public.plants for vendorsync_run"
    ]


def version_1(app, **options):
    """Bring a database to where the first version left it, the run role's wide rights included."""
    app.migrate(version=1, **options)
    app.do(
        "GRANT USAGE ON SCHEMA public, vendorsync TO vendorsync_run",
        "GRANT SELECT, INSERT, UPDATE ON vendors, plants TO vendorsync_run",
        "GRANT SELECT ON vendorsync.schema_version TO vendorsync_run",
    )


def marks_vanished(app, schema="public"):
    return app.value(
        "SELECT count(*) = 1 FROM pg_attribute"
        " WHERE attrelid = format('%%I.plants', %s::text)::regclass AND attname = 'vanished_at'",
        schema,
    )


def test_tables_that_the_first_version_made_are_brought_up_to_date_in_every_schema(empty):
    version_1(empty)
    empty.migrate(schema="Solar App", version=1)
    empty.add_vendor()
    assert not marks_vanished(empty)

    done = empty.migrate(run_url=empty.run_url)

    assert done[:3] == [
        "migrated schema vendorsync to version 2",
        "migrated the tables in schema Solar App to version 2",
        "migrated the tables in schema public to version 2",
    ]
    assert marks_vanished(empty)
    assert marks_vanished(empty, "Solar App")
    assert empty.migrate(run_url=empty.run_url) == []
    with stored_run(empty) as run:
        assert settle(run.records, plants(2)).created == 2


def test_an_applications_own_tables_get_no_column_from_an_upgrade(empty):
    empty.do(*OLD_APPLICATION)
    version_1(empty)

    done = empty.migrate()

    assert done == [
        "migrated schema vendorsync to version 2",
        "migrated schema vendorsync to version 3",
        "migrated schema vendorsync to version 4",
    ]
    assert not marks_vanished(empty)


def test_a_column_that_somebody_dropped_is_not_added_again(app):
    app.do("ALTER TABLE plants DROP COLUMN vanished_at")

    app.migrate()

    assert not marks_vanished(app)


def test_a_schema_that_is_gone_does_not_stop_an_upgrade(empty):
    version_1(empty)
    empty.migrate(schema="old", version=1)
    empty.do("DROP SCHEMA old CASCADE")

    assert empty.migrate()[:2] == [
        "migrated schema vendorsync to version 2",
        "migrated the tables in schema public to version 2",
    ]


def holds(app, right, column):
    return app.value(
        "SELECT has_column_privilege('vendorsync_run', 'vendors', %s, %s)", column, right
    )


@pytest.mark.requirement("R25")
def test_rights_on_whole_tables_of_ours_shrink_to_columns(empty):
    version_1(empty)

    done = empty.migrate(run_url=empty.run_url)

    assert (
        "revoked from vendorsync_run UPDATE on public.plants; INSERT on public.vendors;"
        " SELECT on public.vendors; UPDATE on public.vendors"
    ) in done
    assert holds(empty, "UPDATE", "last_synced_at")
    assert not holds(empty, "UPDATE", "org_id")


@pytest.mark.requirement("R34")
def test_no_right_is_taken_away_on_an_applications_own_tables(empty):
    empty.do(*OLD_APPLICATION)
    version_1(empty)

    empty.migrate(run_url=empty.run_url)

    assert holds(empty, "UPDATE", "org_id")


@pytest.mark.requirement("R34")
def test_an_old_applications_credentials_stay_out_of_the_run_roles_sight(empty):
    empty.do(*OLD_APPLICATION)

    empty.migrate(run_url=empty.run_url)

    assert not holds(empty, "SELECT", "credentials")


def test_the_application_may_live_in_another_schema(empty):
    done = empty.migrate(schema="Solar App")

    assert "created tables organizations, vendors, plants, alerts in schema Solar App" in done
    assert empty.value('SELECT count(*) FROM "Solar App".plants') == 0


def test_a_newer_database_is_not_touched(app):
    app.do("INSERT INTO vendorsync.schema_version VALUES (99)")

    with pytest.raises(SchemaMismatchError, match=f"version 99 and this release knows {LATEST}"):
        app.migrate()
    with app.transaction() as cursor, pytest.raises(SchemaMismatchError):
        schema.check_version(cursor)


def test_a_job_refuses_a_database_of_the_version_before(empty):
    version_1(empty)

    told = pytest.raises(SchemaOutdatedError, match=f"version 1 and this job needs {LATEST}; run")
    with empty.transaction() as cursor, told:
        schema.check_version(cursor)


def test_calls_that_the_version_before_counted_are_kept(empty):
    """And may be those of an app, which is no account."""
    empty.migrate(version=2)
    empty.do(
        "INSERT INTO vendorsync.accounts (key, adapter, host) VALUES ('k', 'solarman', 'h')",
        "INSERT INTO vendorsync.calls VALUES ('k', 86400, 1, 77)",
    )

    assert empty.migrate() == [
        "migrated schema vendorsync to version 3",
        "migrated schema vendorsync to version 4",
    ]
    empty.do("INSERT INTO vendorsync.calls VALUES ('an app', 86400, 1, 8)")
    assert empty.value("SELECT sum(calls) FROM vendorsync.calls") == 85
    assert empty.migrate() == []


def test_every_version_up_to_the_latest_has_its_file():
    folder = files("vendorsync_job.store").joinpath("migrations")

    numbers = [int(file.name[:4]) for file in folder.iterdir() if file.name[:4].isdigit()]

    assert sorted(set(numbers)) == list(range(1, LATEST + 1))


def test_a_right_to_temporary_tables_that_not_everybody_has_is_granted(empty):
    name = empty.value("SELECT current_database()")
    empty.do(f"REVOKE TEMPORARY ON DATABASE {name} FROM public")

    done = empty.migrate(run_url=empty.run_url)

    assert f"TEMPORARY on database {name}" in done[-1]
    assert empty.migrate(run_url=empty.run_url) == []


def test_a_database_without_our_schema_names_the_command(empty):
    told = pytest.raises(SchemaOutdatedError, match="vendorsync_job migrate")
    with empty.transaction() as cursor, told:
        schema.check_version(cursor)
