import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.syncjob.builders import App, plant, plants, run_report, settle, stored_run
from vendorsync_job.models import Counts
from vendorsync_job.store import vanish
from vendorsync_job.store.vanish import Guard, Retired

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def vendor(app):
    app.add_vendor()
    app.do("ALTER TABLE plants ADD COLUMN IF NOT EXISTS vanished_at timestamptz")


def listed(app, records, *, complete=True, **options):
    """One run that lists these plants."""
    keys = {record.vendor_plant_id for record in records}
    with stored_run(app, **options) as run:
        counts = settle(run.records, records)
        retired = run.retire(keys.__contains__, complete=complete)
        run.finish(run_report(counts, complete=complete))
    return counts, retired


def vanished(app):
    return sorted(
        int(key)
        for (key,) in app.rows(
            "SELECT vendor_plant_id FROM plants p JOIN vendorsync.hashes h"
            " ON h.key = p.vendor_plant_id AND h.vendor_id = p.vendor_id"
            " WHERE p.vanished_at IS NOT NULL AND h.vanished_at IS NOT NULL"
        )
    )


def test_a_plant_is_marked_after_the_third_complete_listing_without_it(app):
    listed(app, plants(10))
    rest = plants(9)

    assert [listed(app, rest)[1] for _ in range(4)] == [
        Retired(),
        Retired(),
        Retired(marked=1),
        Retired(),
    ]
    assert vanished(app) == [10]
    assert app.value("SELECT count(*) FROM plants") == 10


def test_a_run_in_which_a_vanished_plant_stays_away_writes_no_row(app):
    listed(app, plants(10))
    for _ in range(3):
        listed(app, plants(9))
    seen = "SELECT xmin::text, ctid::text FROM vendorsync.hashes ORDER BY key"
    before = app.rows(seen)

    listed(app, plants(9))

    assert app.rows(seen) == before


def test_a_listing_that_is_not_complete_counts_no_absence(app):
    listed(app, plants(10))
    for _ in range(4):
        listed(app, plants(9), complete=False)

    assert app.value("SELECT max(absences) FROM vendorsync.hashes") == 0


def test_absences_count_only_in_a_row(app):
    listed(app, plants(10))
    for count in (9, 9, 10, 9, 9):
        listed(app, plants(count))

    assert vanished(app) == []


def test_of_a_full_listing_no_row_is_read_to_find_what_is_absent(app, monkeypatch):
    listed(app, plants(500))
    read = []
    pages = vanish.Vanishing._pages

    def counted(self, query, **values):
        for row in pages(self, query, **values):
            read.append(row)
            yield row

    monkeypatch.setattr(vanish.Vanishing, "_pages", counted)
    records = [plant(1, name="renamed"), *plants(500)[1:]]

    assert listed(app, records) == (Counts(updated=1, unchanged=499), Retired())
    assert read == []
    assert listed(app, records[2:]) == (Counts(unchanged=498), Retired())
    assert len(read) == 2


@pytest.mark.parametrize("complete", [True, False])
def test_a_plant_that_is_back_unchanged_is_cleared(app, complete):
    listed(app, plants(10))
    for _ in range(3):
        listed(app, plants(9))

    counts, retired = listed(app, plants(10), complete=complete)

    assert (counts, retired) == (Counts(unchanged=10), Retired(returned=1))
    assert app.rows("SELECT key FROM vendorsync.hashes WHERE absences > 0") == []
    assert app.value("SELECT count(*) FROM plants WHERE vanished_at IS NOT NULL") == 0


@pytest.mark.fault("V7")
def test_nothing_vanishes_when_the_vendor_lists_nothing_any_more(app):
    listed(app, plants(100))

    retired = [listed(app, [])[1] for _ in range(4)]

    assert retired == [Retired(held=True)] * 4
    assert vanished(app) == []


def test_a_share_above_the_guard_is_held_until_somebody_raises_it(app):
    listed(app, plants(40), vanish_after=1)

    assert listed(app, plants(31), vanish_after=1)[1] == Retired(held=True)
    assert listed(app, plants(32), vanish_after=1)[1] == Retired(marked=8)
    assert listed(app, [], vanish_after=1, vanish_guard_percent=100)[1] == Retired(marked=32)


def test_a_table_without_the_column_is_marked_in_our_schema_only(app):
    app.do("ALTER TABLE plants DROP COLUMN vanished_at")
    listed(app, plants(10), vanish_after=1)

    assert listed(app, plants(9), vanish_after=1)[1] == Retired(marked=1)
    assert app.rows("SELECT key FROM vendorsync.hashes WHERE vanished_at IS NOT NULL") == [("10",)]


def test_the_digest_of_a_plant_that_somebody_deleted_goes_with_it(app):
    listed(app, plants(3))
    app.do("DELETE FROM plants WHERE vendor_plant_id = '3'")

    assert listed(app, plants(2))[1] == Retired()
    assert app.value("SELECT count(*) FROM vendorsync.hashes") == 2


def test_the_count_of_marked_plants_reaches_the_row_of_the_run(app):
    listed(app, plants(10), vanish_after=1)
    with stored_run(app, vanish_after=1) as run:
        settle(run.records, plants(8))
        run.retire({str(n) for n in range(1, 9)}.__contains__)

        assert app.value("SELECT max(vanished) FROM vendorsync.runs") == 2


@pytest.mark.parametrize(
    ("due", "live", "percent", "held"),
    [
        (0, 0, 20, False),
        (1, 1, 20, True),
        (5, 6, 20, False),
        (6, 29, 20, True),
        (6, 30, 20, False),
        (20, 100, 20, False),
        (21, 100, 20, True),
        (5, 100, 0, False),
        (6, 100, 0, True),
        (100, 100, 99, True),
        (100, 100, 100, False),
    ],
)
def test_the_guard_allows_five_or_its_share_and_never_all(due, live, percent, held):
    assert Guard(3, percent).holds(due, live) is held


class VanishModel(RuleBasedStateMachine):
    """Plants that come and go, against a plain model of absences."""

    app: App

    @initialize(after=st.integers(1, 3), percent=st.sampled_from([0, 20, 60, 100]))
    def begin(self, after, percent):
        self.app.do("TRUNCATE plants, alerts, vendorsync.hashes")
        self.options = {"vanish_after": after, "vanish_guard_percent": percent}
        self.guard = Guard(after, percent)
        self.absences: dict[int, int] = {}
        self.gone: set[int] = set()

    @rule(away=st.sets(st.integers(1, 12)), complete=st.sampled_from([True, True, False]))
    def list(self, away, complete):
        records = [record for record in plants(12) if int(record.vendor_plant_id) not in away]
        keys = {int(record.vendor_plant_id) for record in records}
        live = (self.absences.keys() | keys) - self.gone
        absent = live - keys if complete else set()
        due = {key for key in absent if self.absences[key] + 1 >= self.guard.after}
        held = self.guard.holds(len(absent), len(live))
        expected = Retired(0 if held else len(due), len(self.gone & keys), held)
        for key in self.absences:
            if complete and key not in keys:
                self.absences[key] += 1
        self.absences |= dict.fromkeys(keys, 0)
        self.gone = (self.gone - keys) | (set() if held else due)

        _, retired = listed(self.app, records, complete=complete, **self.options)

        assert retired == expected

    @rule()
    def somebody_deletes_a_plant(self):
        if self.absences:
            key = min(self.absences)
            self.app.rows(
                "WITH gone AS (DELETE FROM plants WHERE vendor_plant_id = %s RETURNING 1),"
                " forgotten AS (DELETE FROM vendorsync.hashes WHERE key = %s RETURNING 1)"
                " SELECT FROM gone, forgotten",
                str(key),
                str(key),
            )
            del self.absences[key]
            self.gone.discard(key)

    @invariant()
    def marks_are_those_of_the_model(self):
        assert set(vanished(self.app)) == self.gone
        assert self.app.value("SELECT count(*) FROM plants") == len(self.absences)


@pytest.mark.fault("V7")
@pytest.mark.parametrize("page", [vanish.PAGE, 2], ids=["what is absent", "page by page"])
def test_marks_follow_a_plain_model_of_absences_and_nothing_is_deleted(app, page, monkeypatch):
    monkeypatch.setattr(vanish, "PAGE", page)
    model = type("BoundModel", (VanishModel,), {"app": app})
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=8,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
