"""What the database refuses of a record costs that record alone, whatever the reason."""

from decimal import Decimal

import pytest

from tests.syncjob.builders import (
    alert,
    plant,
    plants,
    run_report,
    settle,
    stored_run,
)
from vendorsync_job.errors import DatabaseRefusedError, SchemaMismatchError, SyncError
from vendorsync_job.models import Counts, Rejection
from vendorsync_job.store.connection import Database
from vendorsync_job.store.exchange import Exchange
from vendorsync_job.store.quarantine import KEPT

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R09"), pytest.mark.fault("D5")]

JUDGE = """CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF {condition} THEN {verdict}; END IF; RETURN NEW; END $$"""
WATCH = """CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON plants
    FOR EACH ROW EXECUTE FUNCTION judge()"""


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()


def judged(app, verdict, condition="NEW.vendor_plant_id = '7'"):
    app.do(JUDGE.format(condition=condition, verdict=verdict), WATCH)


def sync(app, records, rejected=(), *, complete=True, **options):
    with stored_run(app, **options) as run:
        counts = settle(run.records, records, rejected)
        run.finish(run_report(counts, complete=complete))
    return counts


def reasons(app):
    return dict(app.rows("SELECT key, reason FROM vendorsync.quarantine ORDER BY key"))


def keys(app):
    return {key for (key,) in app.rows("SELECT vendor_plant_id FROM plants")}


@pytest.mark.parametrize("count", [10, 1500], ids=["document", "copy"])
@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ("RAISE EXCEPTION 'no %, please', NEW.name", "RaiseException in function judge"),
        ("RAISE EXCEPTION 'no' USING ERRCODE = 'SOLAR'", "SOLAR in function judge"),
        ("ASSERT false", "AssertFailure in function judge"),
        ("PERFORM 1 / 0", "DivisionByZero in function judge"),
        ("PERFORM missing FROM plants", "UndefinedColumn in function judge"),
        ("RAISE insufficient_privilege", "InsufficientPrivilege in function judge"),
        ("PERFORM repeat('x', 2000000000)", "ProgramLimitExceeded in function judge"),
    ],
)
def test_whatever_a_trigger_says_of_a_row_costs_that_row(app, verdict, reason, count):
    app.do("ALTER TABLE plants DISABLE ROW LEVEL SECURITY")
    judged(app, verdict)

    assert sync(app, plants(count)) == Counts(created=count - 1, rejected=1)
    assert reasons(app) == {"7": f"refused by the database: {reason}"}
    assert "7" not in keys(app)


def test_a_limit_of_an_index_costs_the_row_that_breaks_it(app):
    app.do("CREATE INDEX by_address ON plants (address)")
    # Hardly compressible, so that it stays above a third of a page.
    address = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(1000))
    records = [plant(n, address=address if n == 7 else "x") for n in range(1, 11)]

    assert sync(app, records) == Counts(created=9, rejected=1)
    assert reasons(app)["7"].startswith("refused by the database: ProgramLimitExceeded")


def test_a_function_of_an_index_costs_the_row_that_it_fails_on(app):
    app.do("CREATE INDEX per_kw ON plants ((1 / (capacity_kw - 7)))")
    records = [plant(n, capacity_kw=Decimal(n)) for n in range(1, 11)]

    assert sync(app, records) == Counts(created=9, rejected=1)


def test_a_deferred_constraint_costs_the_row_that_breaks_it(app):
    app.do(
        "CREATE TABLE names (name text PRIMARY KEY)",
        "INSERT INTO names SELECT 'Plant ' || n FROM generate_series(1, 10) AS n WHERE n <> 7",
        "GRANT SELECT ON names TO vendorsync_run",
        "ALTER TABLE plants ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES names"
        " DEFERRABLE INITIALLY DEFERRED",
    )

    assert sync(app, plants(10)) == Counts(created=9, rejected=1)
    assert reasons(app) == {"7": "refused by the database: ForeignKeyViolation of known"}


@pytest.mark.parametrize("pages", [1, 2], ids=["one page", "a page each"])
def test_two_keys_that_are_one_by_the_collation_cost_the_second(app, pages):
    app.do(
        "CREATE COLLATION folded"
        " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "ALTER TABLE plants ALTER vendor_plant_id TYPE text COLLATE folded",
    )
    records = [plant("A"), plant("a"), plant("b")]
    for listed in ([records], [[plant("A"), plant("b")], records])[pages - 1]:
        counts = sync(app, listed)

    assert counts.rejected == 1
    assert keys(app) == {"A", "b"}
    assert dict(app.rows("SELECT vendor_plant_id, name FROM plants"))["A"] == "Plant A"
    assert reasons(app) == {"a": "its key is that of another record, by the column's collation"}


@pytest.mark.parametrize("security", ["ENABLE", "DISABLE"])
@pytest.mark.parametrize("change", [False, True], ids=["insert", "update"])
def test_a_row_that_a_trigger_leaves_out_is_told_as_that(app, security, change):
    if change:
        sync(app, plants(10, name="before"))
    app.do(f"ALTER TABLE plants {security} ROW LEVEL SECURITY")
    judged(app, "RETURN NULL")

    counts = sync(app, plants(10))

    done = {"updated": 9} if change else {"created": 9}
    assert counts == Counts(**done, rejected=1)
    assert reasons(app)["7"].startswith("left out by trigger judge")


class Counting(Exchange):
    sent = 0

    def _send(self, statements):
        Counting.sent += 1
        return super()._send(statements)


@pytest.fixture
def messages(monkeypatch):
    monkeypatch.setattr(Database, "exchange_type", Counting)
    Counting.sent = 0
    return lambda: Counting.sent


def test_a_table_that_refuses_all_is_found_by_a_handful_of_messages(app, messages):
    app.do("ALTER TABLE plants ADD CONSTRAINT never CHECK (capacity_kw < 0)")

    with pytest.raises(SchemaMismatchError, match=r"refuses every record of plants: .* of never"):
        sync(app, plants(5000))

    assert messages() < 30


def test_a_right_that_is_missing_is_no_fault_of_the_rows(app):
    app.do("ALTER TABLE plants DISABLE ROW LEVEL SECURITY")
    with stored_run(app) as run:
        app.do("REVOKE UPDATE ON plants FROM vendorsync_run")
        with pytest.raises(DatabaseRefusedError, match="plants"):
            settle(run.records, plants(3))

    assert reasons(app) == {}


def test_a_table_that_went_away_in_the_middle_is_no_fault_of_the_rows(app):
    with stored_run(app) as run:
        app.do("ALTER TABLE plants RENAME TO roofs")
        with pytest.raises(SyncError, match=r"plants"):
            settle(run.records, plants(3))

    assert reasons(app) == {}


def test_refused_rows_are_offered_again_when_they_change_and_with_the_full_compare(app, messages):
    app.do("ALTER TABLE plants ADD CONSTRAINT small CHECK (capacity_kw < 100)")
    records = [plant(n, capacity_kw=Decimal(500 if n % 10 == 0 else 5)) for n in range(1, 1001)]
    assert sync(app, records) == Counts(created=900, rejected=100)

    before = messages()
    assert sync(app, records) == Counts(unchanged=900, rejected=100)
    assert messages() - before < 10

    changed = [plant(10, capacity_kw=Decimal(600)), *records[10:]]
    assert sync(app, [*records[:9], *changed]) == Counts(unchanged=900, rejected=100)
    assert sync(app, [*records[:9], *changed]) == Counts(unchanged=900, rejected=100)

    app.do("ALTER TABLE plants DROP CONSTRAINT small")
    assert sync(app, records, full_compare_hours=0) == Counts(created=100, unchanged=900)
    assert reasons(app) == {}


def test_a_correction_that_is_refused_stays_refused_until_it_is_taken(app):
    sync(app, plants(3))
    app.do(
        "UPDATE plants SET name = 'edited' WHERE vendor_plant_id = '2'",
        "ALTER TABLE plants ADD CONSTRAINT kept CHECK (name <> 'Plant 2')",
    )
    refused = Counts(unchanged=2, rejected=1)

    assert sync(app, plants(3), full_compare_hours=0) == refused
    assert sync(app, plants(3)) == refused
    assert sync(app, plants(3)) == refused
    assert reasons(app) == {"2": "refused by the database: CheckViolation of kept"}

    app.do("ALTER TABLE plants DROP CONSTRAINT kept", "DELETE FROM vendorsync.quarantine")
    assert sync(app, plants(3)) == Counts(updated=1, unchanged=2)
    assert sync(app, plants(3)) == Counts(unchanged=3)


def test_a_refused_change_leaves_the_row_as_it_was_and_takes_it_back_at_once(app):
    sync(app, plants(3))
    app.do("ALTER TABLE plants ADD CONSTRAINT polite CHECK (name <> 'rude')")

    for _ in range(2):
        assert sync(app, [plant(1, name="rude"), plant(2), plant(3)]) == Counts(
            unchanged=2, rejected=1
        )
    assert sync(app, plants(3)) == Counts(unchanged=3)
    assert reasons(app) == {}


def test_of_a_record_listed_twice_the_refused_one_counts_if_it_comes_last(app):
    app.do("ALTER TABLE plants ADD CONSTRAINT polite CHECK (name <> 'rude')")
    rude = plant(1, name="rude")
    assert sync(app, [rude]) == Counts(rejected=1)

    with stored_run(app) as run:
        counts = run.records.take([plant(1, name="kind")], [])
        counts = counts + run.records.take([rude], [])
        counts = counts + run.records.commit()

    assert counts == Counts(rejected=1, duplicate=1)
    assert keys(app) == set()


def test_a_mark_that_a_trigger_refuses_does_not_end_the_run(app):
    sync(app, plants(20))
    judged(app, "RAISE EXCEPTION 'hands off'", "NEW.vanished_at IS NOT NULL AND NEW.name LIKE '%7'")
    with stored_run(app, vanish_after=1, vanish_guard_percent=100) as run:
        assert run.retire({"1", "2"}.__contains__).marked == 18

    assert app.value("SELECT count(*) FROM plants WHERE vanished_at IS NULL") == 4
    assert app.value("SELECT count(*) FROM vendorsync.hashes WHERE vanished_at IS NOT NULL") == 18


def test_an_alert_that_may_not_end_stays_open_and_the_others_end(app):
    sync(app, plants(1))
    with stored_run(app, stream="alerts") as run:
        settle(run.records, [alert(n) for n in range(1, 6)])
    app.do(
        JUDGE.format(
            condition="NEW.vendor_alert_id = '3' AND NEW.status = 'resolved'",
            verdict="RAISE EXCEPTION 'not yet'",
        ),
        "CREATE TRIGGER judge BEFORE UPDATE ON alerts FOR EACH ROW EXECUTE FUNCTION judge()",
    )

    with stored_run(app, stream="alerts") as run:
        assert run.end_absent({"1"}.__contains__) == 3

    assert app.rows("SELECT vendor_alert_id FROM alerts WHERE status = 'active' ORDER BY 1") == [
        ("1",),
        ("3",),
    ]


def test_numbers_that_move_leave_the_quarantine_as_it_is(app):
    for number in range(3):
        record = {"id": 9, "generationPower": 17.5 + number, "lastUpdateTime": 1.7e9 + number}
        nameless = Rejection(None, "the id is missing", {"power": number})
        sync(
            app, plants(3), [Rejection("9", f"capacity {number} is no capacity", record), nameless]
        )
    app.await_sessions_end()

    assert app.rows(
        "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
        " WHERE relname = 'quarantine'"
    ) == [(2, 0, 0)]


def test_the_quarantine_has_an_end_though_no_listing_is_complete(app):
    for number in range(3):
        bad = [Rejection(f"{number}-{n}", "name is missing", {"id": n}) for n in range(600)]
        sync(app, [], bad, complete=False)

    assert app.value("SELECT count(*) FROM vendorsync.quarantine") == KEPT
    assert app.value("SELECT count(*) FROM vendorsync.quarantine WHERE key LIKE '2-%%'") == 600


def test_a_complete_listing_clears_what_an_earlier_release_left_above_the_end(app):
    app.do(
        "INSERT INTO vendorsync.quarantine"
        " (vendor_id, stream, digest, key, reason, record, run_id)"
        " SELECT 1, 'plants', decode(md5(n::text), 'hex'), n, 'old', '{}', gen_random_uuid()"
        " FROM generate_series(1, 1100) AS n"
    )
    assert app.value("SELECT count(*) FROM vendorsync.quarantine") > KEPT

    assert sync(app, plants(3)) == Counts(created=3)
    assert reasons(app) == {}


def test_a_run_reads_of_years_of_alerts_those_that_are_listed(app):
    sync(app, plants(1))
    with stored_run(app, stream="alerts") as run:
        settle(run.records, [alert(n) for n in range(1, 4)])
    app.do(
        "INSERT INTO vendorsync.hashes (vendor_id, stream, key, hash)"
        " SELECT 1, 'alerts', 'h' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 3000) n"
    )
    app.await_sessions_end()
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'hashes'"
    before = app.value(read)

    with stored_run(app, stream="alerts") as run:
        assert settle(run.records, [alert(n) for n in range(1, 4)]) == Counts(unchanged=3)
    app.await_sessions_end()

    assert app.value(read) - before < 100
