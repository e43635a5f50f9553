"""One organization's rows stay its own, with and without row-level security, come what may."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.syncjob.applications import OLD_APPLICATION
from tests.syncjob.builders import (
    RUN_PASSWORD,
    App,
    alert,
    plant,
    plants,
    run_report,
    run_spec,
    settle,
    stored_run,
)
from vendorsync_job.errors import (
    BindingConflictError,
    ConfigurationError,
    DatabaseRefusedError,
)
from vendorsync_job.store import bindings
from vendorsync_job.store.connection import Database

pytestmark = pytest.mark.postgres

OURS, THEIRS = 3, 4
"""Organizations."""


def database_of(server, name, *statements) -> App:
    server.create_database(name)
    app = App(server.url(name), server.url(name, "vendorsync_run", RUN_PASSWORD))
    app.do(*statements)
    app.migrate(run_url=app.run_url)
    return app


@pytest.fixture(scope="module")
def with_policies(server, template):
    return database_of(server, "with_policies")


@pytest.fixture(scope="module")
def without_policies(server, template):
    """An application of others, without row-level security."""
    vanished = "ALTER TABLE plants ADD COLUMN vanished_at timestamptz"
    return database_of(server, "without_policies", *OLD_APPLICATION, vanished)


@pytest.fixture(params=["with_policies", "without_policies"])
def either(request):
    """Either database, with two organizations and a vendors row of each."""
    app = request.getfixturevalue(request.param)
    start_over(app)
    return app


def start_over(app, organizations=(OURS, THEIRS)) -> None:
    """Empty all tables, and insert a vendors row of each of the organizations."""
    app.do(
        # Deleting few rows is much faster than truncating.
        "DELETE FROM vendorsync.bindings",
        "DELETE FROM vendorsync.leases",
        "DELETE FROM vendorsync.runs",
        "DELETE FROM vendorsync.streams",
        "DELETE FROM vendorsync.hashes",
        "DELETE FROM vendorsync.quarantine",
        "DELETE FROM alerts",
        "DELETE FROM plants",
        "DELETE FROM vendors",
        "DELETE FROM organizations",
        "ALTER SEQUENCE vendors_id_seq RESTART WITH 100",
        "INSERT INTO organizations (id, name) VALUES (3, 'O'), (4, 'O'), (5, 'O')",
    )
    for number, organization in enumerate(organizations, start=1):
        app.rows(
            "INSERT INTO vendors (id, org_id, name, vendor_type) VALUES (%s, %s, 'V', 'x')"
            " RETURNING id",
            number,
            organization,
        )


def move(app, table, organization, **where) -> None:
    """Give rows to another organization, as the application may."""
    ((column, value),) = where.items()
    app.rows(
        sql.SQL("UPDATE {} SET org_id = %s WHERE {} = %s RETURNING id").format(
            sql.Identifier(table), sql.Identifier(column)
        ),
        organization,
        value,
    )


def rows_of_others(app, organization):
    """Everything in the application's tables that belongs to anybody else."""
    return app.rows(
        "SELECT 'plants', to_jsonb(p) FROM plants AS p WHERE org_id <> %s"
        " UNION ALL SELECT 'alerts', to_jsonb(a) FROM alerts AS a WHERE org_id <> %s"
        " UNION ALL SELECT 'vendors', to_jsonb(v) FROM vendors AS v WHERE org_id <> %s"
        " UNION ALL SELECT 'organizations', to_jsonb(o) FROM organizations AS o WHERE id <> %s"
        " ORDER BY 1, 2",
        *[organization] * 4,
    )


def spec_of(organization: int, name: str, vendor_id: int | None):
    return run_spec(
        organization={"id": organization, "name": f"Organization {organization}"},
        resource={"namespace": "solar", "name": f"organization-{organization}", "uid": "u"},
        vendor={"name": name, "adapter": "solarman", "id": vendor_id},
    )


def sync(app, organization: int, name: str, vendor_id, keys, stream="plants", turn="") -> None:
    """One run with a complete listing, as far as the database is concerned."""
    with app.transaction(organization) as cursor:
        bound = bindings.bind(cursor, spec_of(organization, name, vendor_id))
    owner = f"of organization {organization}{turn}"
    records = {
        "plants": [plant(key, name=f"{key} {owner}") for key in keys],
        "alerts": [alert(key, key, title=f"{key} {owner}") for key in keys],
    }
    options = {"vanish_after": 1, "vanish_guard_percent": 100, "stream": stream}
    with stored_run(app, vendor_id=bound, organization_id=organization, **options) as stored:
        settle(stored.records, records[stream])
        if stream == "plants":
            stored.retire(set(keys).__contains__)
        else:
            stored.end_absent(set(keys).__contains__)
        stored.finish(run_report())


@dataclass(frozen=True)
class Step:
    """What the application gives to other organizations, and then a run."""

    gives: dict[tuple[str, str], int]
    vendor_id: int | None
    organization: int | None
    """None is whoever has the vendor."""
    keys: list[str]
    stream: str


ORGANIZATIONS = st.sampled_from([OURS, THEIRS, 5])
GIVEN = [("vendors", "1"), ("plants", "a"), ("plants", "b"), ("alerts", "a"), ("alerts", "b")]
KEYS = {"vendors": "id", "plants": "vendor_plant_id", "alerts": "vendor_alert_id"}
STEPS = st.lists(
    st.builds(
        Step,
        gives=st.dictionaries(st.sampled_from(GIVEN), ORGANIZATIONS, max_size=3),
        vendor_id=st.sampled_from([1, 1, 1, 2, None]),
        organization=st.sampled_from([None, None, None, OURS, THEIRS]),
        keys=st.sampled_from([["a"], ["b"], ["a", "b"], []]),
        stream=st.sampled_from(["plants", "plants", "alerts"]),
    ),
    min_size=3,
    max_size=8,
)


def owner_of(app, vendor_id) -> int:
    rows = app.rows("SELECT org_id FROM vendors WHERE id = %s", vendor_id)
    return rows[0][0] if rows else OURS


@pytest.mark.fault("S5", "V15")
@pytest.mark.parametrize("kind", ["with_policies", "without_policies"])
@given(organizations=st.lists(ORGANIZATIONS, min_size=2, max_size=2), steps=STEPS)
@settings(max_examples=20)
def test_a_run_changes_nothing_of_another_organization(request, kind, organizations, steps):
    app = request.getfixturevalue(kind)
    start_over(app, organizations)
    for turn, step in enumerate(steps):
        for (table, key), organization in step.gives.items():
            move(app, table, organization, **{KEYS[table]: key})
        own = step.organization or owner_of(app, step.vendor_id)
        before = rows_of_others(app, own)
        name = f"vendor{step.vendor_id or ''}"
        with suppress(BindingConflictError):
            sync(app, own, name, step.vendor_id, step.keys, step.stream, f", {turn}")
        assert rows_of_others(app, own) == before


def test_what_is_checked_above_would_be_seen(either):
    """The snapshot does hold the rows of others."""
    sync(either, THEIRS, "one", 2, ["a"])
    sync(either, THEIRS, "one", 2, ["a"], "alerts")

    kinds = {kind for kind, _ in rows_of_others(either, OURS)}
    assert kinds == {"plants", "alerts", "vendors", "organizations"}


@pytest.mark.fault("V15")
def test_one_account_in_two_organizations_gives_each_its_own_plants(either):
    sync(either, OURS, "one", 1, ["a", "b"])
    sync(either, THEIRS, "one", 2, ["a", "b"])

    assert either.rows("SELECT org_id, vendor_id, name FROM plants ORDER BY org_id, name") == [
        (OURS, 1, "a of organization 3"),
        (OURS, 1, "b of organization 3"),
        (THEIRS, 2, "a of organization 4"),
        (THEIRS, 2, "b of organization 4"),
    ]


@pytest.mark.fault("V15")
def test_a_plant_that_moves_to_another_organizations_account_is_new_there(either):
    sync(either, OURS, "one", 1, ["a", "b"])
    sync(either, THEIRS, "one", 2, ["b"])
    sync(either, OURS, "one", 1, ["a"])

    assert either.rows("SELECT org_id, vendor_plant_id FROM plants ORDER BY 1, 2") == [
        (OURS, "a"),
        (OURS, "b"),
        (THEIRS, "b"),
    ]


@pytest.mark.fault("V15", "S5")
def test_a_plant_that_the_application_gave_to_another_organization_is_quarantined(either):
    sync(either, OURS, "one", 1, ["a"])
    move(either, "plants", THEIRS, vendor_plant_id="a")
    either.do("UPDATE plants SET name = 'theirs'")

    sync(either, OURS, "one", 1, ["a", "b"])

    assert either.rows("SELECT vendor_plant_id, org_id, name FROM plants ORDER BY 1") == [
        ("a", THEIRS, "theirs"),
        ("b", OURS, "b of organization 3"),
    ]
    assert either.rows("SELECT key, reason FROM vendorsync.quarantine") == [
        ("a", "OwnedByAnotherOrganization")
    ]


@pytest.mark.fault("V15", "S5")
def test_a_vendor_that_changes_organization_in_mid_run_gets_no_more_rows(either):
    with stored_run(either) as stored:
        settle(stored.records, [plant("a")])
        move(either, "vendors", THEIRS, id=1)
        with pytest.raises(
            BindingConflictError, match=r"vendors\.id 1 is no row of organization 3"
        ):
            settle(stored.records, [plant("b")])

    assert either.rows("SELECT vendor_plant_id FROM plants") == [("a",)]


@pytest.mark.fault("V15", "S5")
def test_a_vendor_that_changed_organization_gets_no_time_of_sync(either):
    with stored_run(either) as stored:
        move(either, "vendors", THEIRS, id=1)
        with pytest.raises(BindingConflictError):
            stored.finish(run_report())

    assert either.rows("SELECT last_synced_at FROM vendors WHERE id = 1") == [(None,)]


@pytest.mark.requirement("R25")
@pytest.mark.fault("D10")
def test_the_run_role_cannot_go_round_the_policies(with_policies):
    assert with_policies.rows(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname = 'vendorsync_run'"
    ) == [(False, False, False, False)]
    assert with_policies.rows(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relowner <>"
        " 'vendorsync_run'::regrole ORDER BY 1"
    ) == [("alerts",), ("organizations",), ("plants",), ("vendors",)]


STATEMENTS = {
    "plants": "INSERT INTO plants (org_id, vendor_id, vendor_plant_id, name)"
    " VALUES (4, 2, 'x', 'X')",
    "alerts": "INSERT INTO alerts (org_id, vendor_id, vendor_alert_id, title, status, started_at)"
    " VALUES (4, 2, 'x', 'X', 'active', now())",
    "vendors": "INSERT INTO vendors (org_id, name, vendor_type) VALUES (4, 'X', 'x')",
    "organizations": "INSERT INTO organizations (id, name) VALUES (9, 'X')",
}


@pytest.mark.fault("D10", "S5")
@pytest.mark.parametrize("table", STATEMENTS)
def test_a_statement_without_its_guard_meets_the_policy(with_policies, table):
    start_over(with_policies)

    with (
        with_policies.database(OURS) as database,
        pytest.raises(DatabaseRefusedError, match=f'policy for table "{table}"'),
    ):
        database.retrying(lambda cursor: cursor.execute(STATEMENTS[table]))


@pytest.mark.fault("D10", "S5")
@pytest.mark.parametrize("organization", [None, THEIRS], ids=["none", "another"])
def test_rows_of_another_organization_are_not_seen(with_policies, organization):
    start_over(with_policies)
    sync(with_policies, OURS, "one", 1, ["a"])

    with with_policies.transaction(organization) as cursor:
        seen = cursor.execute("SELECT count(*) FROM plants").fetchone()
        updated = cursor.execute("UPDATE plants SET name = 'X'").rowcount

    assert (seen, updated) == ((0,), 0)


class Hostile(Database):
    """A connection on which somebody made temporary tables in the way of ours."""

    def _open(self):
        is_new = self._connection is None or self._connection.closed
        connection = super()._open()
        if is_new:
            for table in ("plants", "alerts", "vendors", "hashes", "leases", "incoming"):
                connection.execute(f"CREATE TEMPORARY TABLE {table} (id bigint)")
            connection.commit()
        return connection


@pytest.mark.fault("D10")
def test_temporary_tables_of_the_same_names_are_not_written(either):
    with stored_run(either, connect=Hostile) as stored:
        counts = settle(stored.records, plants(1500))

    assert counts.created == 1500
    assert either.value("SELECT count(*) FROM public.plants") == 1500


EVIL = (
    "DROP SCHEMA IF EXISTS evil CASCADE",
    "CREATE SCHEMA evil",
    "GRANT USAGE ON SCHEMA evil TO vendorsync_run",
    *(
        f"CREATE TABLE evil.{table} (LIKE {source} INCLUDING ALL)"
        for table, source in {
            "plants": "public.plants",
            "vendors": "public.vendors",
            "hashes": "vendorsync.hashes",
            "leases": "vendorsync.leases",
        }.items()
    ),
    "GRANT ALL ON ALL TABLES IN SCHEMA evil TO vendorsync_run",
    "CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql"
    " AS $$ SELECT pg_catalog.set_config($1, CASE WHEN $1 = 'vendorsync.organization_id'"
    " THEN '4' WHEN $1 = 'search_path' THEN 'evil, pg_catalog' ELSE $2 END, $3) $$",
    "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql"
    " AS $$ SELECT '2001-01-01'::timestamptz $$",
)


@pytest.mark.fault("D10")
def test_a_hostile_search_path_of_the_role_changes_nothing(either):
    name = either.value("SELECT current_database()")
    role = f"ALTER ROLE vendorsync_run IN DATABASE {name}"
    either.do(*EVIL, f"{role} SET search_path = evil, pg_catalog")

    try:
        sync(either, OURS, "one", 1, ["a"])
    finally:
        either.do(f"{role} RESET search_path")

    assert either.value("SELECT count(*) FROM evil.plants") == 0
    assert either.value("SELECT count(*) FROM public.plants WHERE created_at > '2020-01-01'") == 1


@pytest.mark.fault("D10")
def test_a_database_with_policies_of_its_own_keeps_them_and_gets_ours(server, template):
    app = database_of(
        server,
        "own_policies",
        *OLD_APPLICATION,
        *(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
            for table in ("organizations", "vendors", "plants", "alerts")
        ),
        "CREATE POLICY tenant ON plants"
        " USING (org_id = nullif(current_setting('app.tenant', true), '')::int)",
    )
    app.migrate(run_url=app.run_url, policies=True)

    sync(app, OURS, "one", 1, ["a"])

    assert app.rows("SELECT polname FROM pg_policy WHERE polrelid = 'plants'::regclass") == [
        ("tenant",),
        ("vendorsync_organization",),
    ]
    assert app.value("SELECT count(*) FROM plants") == 1
    with app.transaction(THEIRS) as cursor:
        assert cursor.execute("SELECT count(*) FROM plants").fetchone() == (0,)


PAGES = ("anon", "authenticated")
"""Roles of an application's pages."""


@pytest.fixture
def pages(empty):
    """An application whose pages see one organization, by policies of its own."""
    tables = "organizations", "vendors", "plants", "alerts"
    empty.do(
        *(f"CREATE ROLE {role}" for role in PAGES),
        *OLD_APPLICATION,
        "INSERT INTO organizations (id, name) VALUES (4, 'Organization B')",
        "INSERT INTO vendors (id, org_id, name, vendor_type) VALUES (2, 4, 'V', 'solarman')",
        "INSERT INTO plants (org_id, vendor_id, vendor_plant_id, name)"
        " VALUES (3, 1, 'a', 'Roof'), (4, 2, 'b', 'Barn')",
        *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in tables),
        "CREATE POLICY page ON plants TO authenticated USING (org_id = 3)",
        *(f"GRANT SELECT, UPDATE, DELETE ON {table} TO anon, authenticated" for table in tables),
    )
    empty.migrate(run_url=empty.run_url)
    yield empty
    for role in PAGES:
        empty.do(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def within_reach(app):
    """What roles of pages see and could change, also once they made our setting."""
    found = {}
    for role, organization, table in product(PAGES, ("", "3", "4"), ("plants", "vendors")):
        with app.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL ROLE {role}")
            connection.execute(
                "SELECT set_config('vendorsync.organization_id', %s, true)", [organization]
            )
            seen = connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()  # noqa: S608
            changed = connection.execute(f"UPDATE {table} SET name = 'x'").rowcount  # noqa: S608
            found[role, organization, table] = seen, changed
    return found


@pytest.mark.fault("D10")
def test_our_policies_show_the_roles_of_pages_not_one_row_more(pages):
    before = within_reach(pages)

    done = pages.migrate(run_url=pages.run_url, policies=True)

    assert "added policy vendorsync_organization to public.plants for vendorsync_run" in done
    assert within_reach(pages) == before
    assert pages.migrate(run_url=pages.run_url, policies=True) == []


@pytest.mark.fault("D10")
def test_policies_of_an_earlier_release_are_narrowed_to_the_role_of_runs(pages):
    before = within_reach(pages)
    pages.do(
        "CREATE POLICY vendorsync_organization ON plants USING (org_id ="
        " nullif(current_setting('vendorsync.organization_id', true), '')::bigint)"
    )
    assert within_reach(pages) != before

    done = pages.migrate(run_url=pages.run_url)

    assert done == [
        "policy vendorsync_organization of public.plants is now for vendorsync_run alone"
    ]
    assert within_reach(pages) == before


def test_policies_without_the_role_that_they_are_for_are_refused(empty):
    with pytest.raises(ConfigurationError, match="--policies needs --run-url-file"):
        empty.migrate(policies=True)
