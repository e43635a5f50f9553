from urllib.parse import quote

import psycopg
import pytest

from tests.syncjob.applications import OLD_APPLICATION
from tests.syncjob.builders import App, plant, plants, settle, stored_run
from vendorsync_job.errors import DatabaseRefusedError, SchemaMismatchError
from vendorsync_job.store import columns, schema

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.fault("D9"),
    pytest.mark.usefixtures("template"),
]


def check(app, stream="plants"):
    with app.transaction(read_only=True) as cursor:
        return schema.check_application(cursor, "public", stream)


def refusal(app, stream="plants", kind=SchemaMismatchError):
    with pytest.raises(kind) as caught:
        check(app, stream)
    return str(caught.value)


THEIR_WAYS = {"location", "network_status", "start_operating_time", "vendor_created_date"}
"""Columns that only applications have."""


def test_our_own_plants_have_every_column_but_those_of_applications(app):
    table = check(app)

    assert table.columns == tuple(
        holder.name for holder in columns.PLANT if holder.name not in THEIR_WAYS
    )
    assert table.types["capacity_kw"] == "numeric"
    assert table.types["commissioned_at"] == "timestamptz"
    assert (table.key, table.kept) == ("vendor_plant_id", {"capacity_kw", "status"})
    assert table.stamps == ("created_at", "updated_at")
    assert table.row_security
    assert table.marks_vanished
    assert table.ignored == ()


@pytest.mark.requirement("R26")
def test_our_own_alerts_have_every_column(app):
    table = check(app, "alerts")

    assert table.columns == tuple(holder.name for holder in columns.ALERT)
    assert table.types == {
        "plant_id": "bigint",
        "started_at": "timestamptz",
        "resolved_at": "timestamptz",
    }
    assert (table.key, table.marks_vanished) == ("vendor_alert_id", False)


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("stream", ["plants", "alerts"])
def test_an_old_application_is_taken_as_it_is(empty, stream):
    empty.do(*OLD_APPLICATION)
    empty.migrate(run_url=empty.run_url)

    table = check(empty, stream)

    assert not table.row_security
    assert not table.marks_vanished
    assert table.ignored == ()


def test_everything_that_is_missing_is_named_at_once(app):
    app.do(
        "ALTER TABLE plants DROP COLUMN capacity_kw, DROP CONSTRAINT"
        " plants_vendor_id_vendor_plant_id_key, ADD tariff text NOT NULL,"
        " DROP COLUMN name, ADD name text GENERATED ALWAYS AS ('Plant') STORED",
        "ALTER TABLE vendors ALTER last_synced_at TYPE text",
        "ALTER TABLE alerts DROP COLUMN plant_id",
        "REVOKE SELECT (org_id) ON vendors FROM vendorsync_run",
        "REVOKE INSERT ON plants FROM vendorsync_run",
        "DROP POLICY vendorsync_organization ON plants",
    )
    database = app.value("SELECT current_database()")
    app.do(f"REVOKE TEMPORARY ON DATABASE {database} FROM public")

    assert refusal(app) == (
        "schema public lacks vendors.last_synced_at as timestamp with time zone or timestamp"
        " without time zone (it is text); plants.name as a column that can be written (it is"
        " generated); column plants.capacity_kw; a unique key of plants on (vendor_id,"
        " vendor_plant_id); a default of plants.tariff (it is NOT NULL and this job has no value"
        " for it); and the role lacks SELECT on vendors (org_id); INSERT on plants (org_id,"
        " vendor_id, vendor_plant_id, name); UPDATE on plants (name); a row-level security policy"
        f" of plants (add --policies) in schema public; TEMPORARY on database {database} (GRANT"
        f" TEMPORARY ON DATABASE {database} TO vendorsync_run):"
        " grant it, or run python -m vendorsync_job migrate --run-url-file with the owner's role"
    )


def test_the_alerts_stream_needs_the_plants_and_its_own_columns(app):
    app.do(
        "ALTER TABLE plants DROP COLUMN id CASCADE",
        "ALTER TABLE alerts DROP COLUMN title, DROP CONSTRAINT"
        " alerts_vendor_id_vendor_alert_id_key",
    )

    assert refusal(app, "alerts") == (
        "schema public lacks column plants.id; column alerts.title; a unique key of alerts on"
        " (vendor_id, vendor_alert_id)"
    )


def test_each_stream_is_content_without_what_the_other_needs(app):
    app.do("ALTER TABLE alerts DROP COLUMN title", "ALTER TABLE plants DROP COLUMN capacity_kw")

    assert "alerts" not in refusal(app)
    assert "capacity_kw" not in refusal(app, "alerts")


@pytest.mark.fault("D9")
def test_the_migration_tells_of_each_stream_what_its_runs_will_miss(app):
    with app.database() as database:
        assert schema.lacks(database) == {}
    app.do("ALTER TABLE alerts DROP COLUMN title")

    with app.database() as database:
        assert schema.lacks(database) == {"alerts": "schema public lacks column alerts.title"}


def test_a_partitioned_table_is_refused_before_anything_is_written(app):
    app.do(
        "DROP TABLE alerts, plants",
        "CREATE TABLE plants (id bigint GENERATED ALWAYS AS IDENTITY, org_id bigint NOT NULL,"
        " vendor_id bigint NOT NULL, vendor_plant_id text NOT NULL, name text NOT NULL,"
        " capacity_kw numeric, UNIQUE (vendor_id, vendor_plant_id)) PARTITION BY HASH (vendor_id)",
        "GRANT SELECT, INSERT, UPDATE ON plants TO vendorsync_run",
    )

    assert refusal(app) == (
        "schema public lacks plants as a table that is not partitioned (the server does not tell"
        " there which rows an upsert created)"
    )


def test_triggers_that_may_leave_a_row_out_are_known_by_name(app):
    app.do(
        "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        *(
            f"CREATE TRIGGER {name} {when} ON plants {each} EXECUTE FUNCTION pass()"
            for name, when, each in (
                ("off", "BEFORE INSERT", "FOR EACH ROW"),
                ("z_insert", "BEFORE INSERT", "FOR EACH ROW"),
                ("b_update", "BEFORE UPDATE OF name OR DELETE", "FOR EACH ROW"),
                ("deleting", "BEFORE DELETE", "FOR EACH ROW"),
                ("later", "AFTER INSERT OR UPDATE", "FOR EACH ROW"),
                ("whole", "BEFORE INSERT", "FOR EACH STATEMENT"),
                ("replica", "BEFORE INSERT", "FOR EACH ROW"),
            )
        ),
        "ALTER TABLE plants DISABLE TRIGGER off, ENABLE REPLICA TRIGGER replica",
    )

    assert check(app).triggers == ("b_update", "z_insert")
    assert check(app, "alerts").triggers == ()


@pytest.mark.parametrize("name", ["app", "My App"])
def test_a_missing_right_to_temporary_tables_comes_with_the_command_that_gives_it(
    server, app, name
):
    source = app.value("SELECT current_database()")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name} {source}" TEMPLATE {source}')
    there = App(*(url.replace(source, quote(f"{name} {source}")) for url in urls(app)))
    there.do(f'REVOKE TEMPORARY ON DATABASE "{name} {source}" FROM public')
    command = f'GRANT TEMPORARY ON DATABASE "{name} {source}" TO vendorsync_run'

    assert refusal(there, kind=DatabaseRefusedError) == (
        f"the role lacks TEMPORARY on database {name} {source} ({command}): grant it, or run"
        " python -m vendorsync_job migrate --run-url-file with the owner's role"
    )
    there.do(command)
    check(there)


def urls(app):
    return app.owner_url, app.run_url


def test_a_missing_table_is_named(app):
    app.do("DROP TABLE alerts, plants")

    with pytest.raises(SchemaMismatchError, match=r"lacks table plants$"):
        check(app)


def test_a_database_without_any_table_names_them_all(empty):
    empty.do("GRANT USAGE ON SCHEMA public TO vendorsync_run")

    assert refusal(empty, "alerts") == (
        "schema public lacks table organizations; table vendors; table plants; table alerts"
    )


def test_a_unique_key_over_part_of_the_rows_does_not_count(app):
    app.do(
        "ALTER TABLE plants DROP CONSTRAINT plants_vendor_id_vendor_plant_id_key",
        "CREATE UNIQUE INDEX ON plants (vendor_id, vendor_plant_id) WHERE status = 'online'",
    )

    with pytest.raises(SchemaMismatchError, match="unique key"):
        check(app)


def test_a_deferrable_key_does_not_count(app):
    app.do(
        "ALTER TABLE plants DROP CONSTRAINT plants_vendor_id_vendor_plant_id_key",
        "ALTER TABLE plants ADD UNIQUE (vendor_id, vendor_plant_id) DEFERRABLE",
    )

    with pytest.raises(SchemaMismatchError, match="unique key"):
        check(app)


def test_a_column_that_demands_a_value_of_the_application_is_named(app):
    app.do("ALTER TABLE plants ADD COLUMN tariff text NOT NULL DEFAULT 'x'")
    check(app)
    app.do("ALTER TABLE plants ALTER tariff DROP DEFAULT")

    assert "a default of plants.tariff (it is NOT NULL" in refusal(app)


def test_an_optional_column_that_takes_no_value_and_demands_one_is_named(app):
    app.do("CREATE TYPE plant_status AS ENUM ('online')")
    app.do("ALTER TABLE plants DROP status, ADD status plant_status NOT NULL")

    assert "a default of plants.status" in refusal(app)


def test_a_generated_column_is_left_out_and_demands_nothing(app):
    app.do(
        "ALTER TABLE plants DROP address,"
        " ADD address text NOT NULL GENERATED ALWAYS AS (name || '!') STORED,"
        " ADD label text NOT NULL GENERATED ALWAYS AS (upper(name)) STORED"
    )

    assert check(app).ignored == ("address",)
    app.add_vendor()
    with stored_run(app) as run:
        assert settle(run.records, [plant()]).created == 1
    assert app.rows("SELECT address, label FROM plants") == [("Plant 1!", "PLANT 1")]


def test_a_domain_counts_as_the_type_below_it(app):
    app.do(
        "CREATE DOMAIN kilowatts AS numeric CHECK (value >= 0)",
        "ALTER TABLE plants ALTER capacity_kw TYPE kilowatts",
    )

    assert "capacity_kw" in check(app).columns


def test_a_column_of_the_application_that_the_role_may_not_update_is_left_out(empty):
    empty.do(*OLD_APPLICATION)
    empty.migrate(run_url=empty.run_url)
    empty.do("ALTER TABLE plants ADD COLUMN address text")

    assert check(empty).ignored == ("address",)


def test_a_trigger_that_rewrites_updated_at_does_no_harm(app):
    app.do(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$",
        "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON plants"
        " FOR EACH ROW EXECUTE FUNCTION touch()",
    )
    app.add_vendor()
    with stored_run(app) as run:
        settle(run.records, plants(3))
    before = app.rows("SELECT updated_at FROM plants ORDER BY id")

    with stored_run(app) as run:
        again = settle(run.records, plants(3))
        changed = settle(run.records, [plant(2, name="Other")])

    after = app.rows("SELECT updated_at FROM plants ORDER BY id")
    assert (again.unchanged, changed.updated) == (3, 1)
    assert (before[0], before[2]) == (after[0], after[2])
    assert before[1] < after[1]


def test_optional_columns_that_are_absent_or_of_another_type_are_left_out(app):
    app.do(
        "CREATE TYPE plant_status AS ENUM ('online')",
        "ALTER TABLE plants DROP COLUMN address, ALTER status TYPE plant_status USING NULL,"
        " DROP COLUMN updated_at",
    )

    table = check(app)

    assert {"address", "status"}.isdisjoint(table.columns)
    assert table.ignored == ("status",)
    assert table.stamps == ("created_at",)


@pytest.mark.requirement("R25")
def test_missing_rights_alone_are_the_databases_refusal(app):
    app.do("REVOKE UPDATE (name) ON plants FROM vendorsync_run")

    assert refusal(app, kind=DatabaseRefusedError).startswith(
        "the role lacks UPDATE on plants (name) in schema public: grant it, or run"
    )


@pytest.mark.fault("D10")
def test_row_security_without_a_policy_for_the_role_is_named(empty):
    empty.do(
        *OLD_APPLICATION,
        "ALTER TABLE plants ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY people ON plants TO postgres USING (true)",
    )
    empty.migrate(run_url=empty.run_url)

    said = refusal(empty, kind=DatabaseRefusedError)
    empty.migrate(run_url=empty.run_url, policies=True)

    assert "lacks a row-level security policy of plants (add --policies)" in said
    assert check(empty).row_security
