import pytest

from vendorsync_job.errors import DatabaseRefusedError, SchemaMismatchError
from vendorsync_job.store import schema

pytestmark = [pytest.mark.postgres, pytest.mark.fault("D9")]


def check(app):
    with app.transaction(read_only=True) as cursor:
        return schema.check_application(cursor, "public")


def test_our_own_tables_have_every_column(app):
    table = check(app)

    assert table.columns == ("name", "capacity_kw", *schema.OPTIONAL)
    assert table.stamps == ("created_at", "updated_at")
    assert table.row_security


def test_everything_that_is_missing_is_named_at_once(app):
    app.do(
        "ALTER TABLE plants DROP COLUMN capacity_kw, DROP CONSTRAINT"
        " plants_vendor_id_vendor_plant_id_key",
        "ALTER TABLE vendors ALTER last_synced_at TYPE text",
        "ALTER TABLE alerts DROP COLUMN plant_id",
    )

    with pytest.raises(SchemaMismatchError) as caught:
        check(app)

    assert str(caught.value) == (
        "schema public lacks vendors.last_synced_at as timestamp with time zone or timestamp"
        " without time zone (it is text); column plants.capacity_kw; a unique key of plants on"
        " (vendor_id, vendor_plant_id)"
    )


def test_a_missing_table_is_named(app):
    app.do("DROP TABLE alerts, plants")

    with pytest.raises(SchemaMismatchError, match=r"lacks table plants$"):
        check(app)


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

    with pytest.raises(SchemaMismatchError, match=r"plants\.tariff .* NOT NULL without a default"):
        check(app)


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


def test_a_missing_right_is_named(app):
    app.do("REVOKE UPDATE ON plants FROM vendorsync_run")

    with pytest.raises(DatabaseRefusedError, match="lacks UPDATE on plants in schema public"):
        check(app)
