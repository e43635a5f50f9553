import psycopg
import pytest

from tests.syncjob.builders import stored_run
from vendorsync_job.errors import ConfigurationError, SchemaMismatchError, SchemaOutdatedError
from vendorsync_job.store import schema

pytestmark = pytest.mark.postgres


def test_an_empty_database_gets_everything_and_a_second_time_nothing(empty):
    first = empty.migrate()

    assert first[:2] == [
        "migrated schema vendorsync to version 1",
        "created tables organizations, vendors, plants, alerts in schema public",
    ]
    assert empty.migrate() == []


@pytest.mark.requirement("R25")
def test_the_run_role_can_do_a_run_and_no_more(app):
    app.add_vendor()
    with stored_run(app) as run:
        run.plants.write([], [])

    with psycopg.connect(app.run_url) as connection:
        for statement in (
            "CREATE TABLE public.x ()",
            "CREATE TABLE vendorsync.x ()",
            "DELETE FROM plants",
            "DELETE FROM vendorsync.hashes",
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


def test_a_url_without_a_password_is_refused(empty):
    with pytest.raises(ConfigurationError, match="needs a user and a password"):
        empty.migrate(run_url="postgresql://db/app")


@pytest.mark.fault("D9")
def test_some_of_the_applications_tables_are_not_completed(empty):
    empty.do("CREATE TABLE vendors (id bigint)", "CREATE TABLE plants (id bigint)")

    with pytest.raises(SchemaMismatchError, match="has vendors, plants but not organizations"):
        empty.migrate()

    assert empty.value("SELECT to_regnamespace('vendorsync')") is None


def test_an_existing_application_is_left_as_it_is(empty):
    for table in ("organizations", "vendors", "plants", "alerts"):
        empty.do(f"CREATE TABLE {table} (id bigint)")

    assert empty.migrate() == ["migrated schema vendorsync to version 1"]
    assert empty.value("SELECT count(*) FROM pg_policy") == 0


def test_policies_are_added_only_where_row_security_is_on_already(empty):
    for table in ("organizations", "vendors", "plants", "alerts"):
        empty.do(f"CREATE TABLE {table} (id bigint, org_id bigint)")
    empty.do("ALTER TABLE plants ENABLE ROW LEVEL SECURITY")

    done = empty.migrate(policies=True)

    assert done[1:] == ["added policy vendorsync_organization to public.plants"]


def test_the_application_may_live_in_another_schema(empty):
    done = empty.migrate(schema="Solar App")

    assert "created tables organizations, vendors, plants, alerts in schema Solar App" in done
    assert empty.value('SELECT count(*) FROM "Solar App".plants') == 0


def test_a_newer_database_is_not_touched(app):
    app.do("INSERT INTO vendorsync.schema_version VALUES (99)")

    with pytest.raises(SchemaMismatchError, match="version 99 and this release knows 1"):
        app.migrate()
    with app.transaction() as cursor, pytest.raises(SchemaMismatchError):
        schema.check_version(cursor)


def test_a_database_without_our_schema_names_the_command(empty):
    told = pytest.raises(SchemaOutdatedError, match="vendorsync_job migrate")
    with empty.transaction() as cursor, told:
        schema.check_version(cursor)
