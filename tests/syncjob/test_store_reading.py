"""A plant is read when its fields are not known, and only then."""

import logging
from decimal import Decimal
from operator import itemgetter

import pytest

from tests.syncjob.builders import place, record_table, run_report, settle, stored_run
from vendorsync_job.listing import Listing
from vendorsync_job.models import Counts, Page, Plant, Read, Rejection
from vendorsync_job.store.comparison import RecordComparison
from vendorsync_job.store.rows import PlantRows

pytestmark = pytest.mark.postgres


class Cloud:
    """A vendor whose rows are a key, a name and a capacity, and what was read of them."""

    def __init__(self):
        self.version = 1
        self.key = str
        self.words = "capacity 'much' is not a number"
        self.read = []

    def __call__(self, fields):
        key, name, capacity = fields
        self.read.append(key)
        if name is None:
            return Rejection(key, "name is missing", {"id": key})
        if capacity == "much":
            return Read(Plant(key, name), (self.words,))
        return Read(Plant(self.key(key), name, Decimal(capacity)))


@pytest.fixture
def cloud(app):
    app.add_vendor()
    return Cloud()


@pytest.fixture
def sync(app, cloud):
    def run(*pages, **options):
        cloud.read.clear()
        table = record_table(app)
        with stored_run(app, table=table, rows=PlantRows(table, cloud), **options) as stored:
            counts = Counts()
            for page in pages:
                counts = counts + stored.records.take(page, [])
            counts = counts + stored.records.commit()
            stored.finish(run_report(counts))
            return counts

    return run


def stored(app):
    return dict(app.rows("SELECT vendor_plant_id, capacity_kw FROM plants"))


def versions(app):
    return app.rows(
        "SELECT p.xmin::text, h.xmin::text FROM plants p"
        " JOIN vendorsync.hashes h ON h.key = p.vendor_plant_id ORDER BY p.id"
    )


@pytest.mark.requirement("R08")
def test_only_plants_with_other_fields_are_read(cloud, sync):
    first = [("1", "Roof", 5), ("2", "Barn", 7)]
    assert sync(first) == Counts(created=2)

    assert sync(first) == Counts(unchanged=2)
    assert cloud.read == []

    assert sync([("1", "Roof", 5), ("2", "Shed", 7)]) == Counts(updated=1, unchanged=1)
    assert cloud.read == ["2"]


@pytest.mark.fault("D8")
@pytest.mark.parametrize("count", [1, 1500])
def test_other_fields_that_mean_the_same_lock_no_plant_and_are_known_then(app, cloud, sync, count):
    """More than a thousand rows go another way to the server."""
    keys = [str(number) for number in range(count)]
    sync([(key, "Roof", 5) for key in keys])
    seen = "SELECT xmin::text, xmax::text FROM plants ORDER BY id"
    number = "SELECT last_value FROM plants_id_seq"
    before = app.rows(seen), app.value(number)
    others = [(key, "Roof", "5.0") for key in keys]

    assert sync(others) == Counts(unchanged=count)

    assert (app.rows(seen), app.value(number)) == before
    assert sync(others) == Counts(unchanged=count)
    assert cloud.read == []


@pytest.mark.fault("D8")
def test_values_that_a_plant_does_without_are_counted_in_each_run_and_cost_no_write(
    app, cloud, sync, caplog
):
    pages = [("1", "Roof", "much"), ("2", "Barn", "much"), ("3", "Shed", 7)]
    assert sync(pages) == Counts(created=3, values_dropped=2)
    before = versions(app)
    caplog.clear()

    with caplog.at_level(logging.WARNING):
        assert sync(pages) == Counts(unchanged=3, values_dropped=2)

    assert cloud.read == ["1", "2"]
    assert versions(app) == before
    assert [record.getMessage() for record in caplog.records] == [
        "a value cannot be stored, and its record does without: capacity 'much' is not a number"
    ]


def test_a_new_version_of_the_reader_reads_all_once(app, cloud, sync):
    pages = [("1", "Roof", 5), ("2", "Barn", 7)]
    sync(pages)
    before = app.rows("SELECT xmin::text FROM plants")
    cloud.version = 2

    assert sync(pages) == Counts(unchanged=2)
    assert cloud.read == ["1", "2"]
    assert sync(pages) == Counts(unchanged=2)
    assert cloud.read == []
    assert app.rows("SELECT xmin::text FROM plants") == before


def test_a_value_that_becomes_fit_is_stored_and_no_longer_counted(app, cloud, sync):
    sync([("1", "Roof", "much")])

    assert sync([("1", "Roof", 5)]) == Counts(updated=1)

    assert stored(app) == {"1": Decimal(5)}
    assert sync([("1", "Roof", 5)]) == Counts(unchanged=1)


def test_a_plant_that_cannot_be_stored_is_read_and_refused_in_each_run(app, sync):
    pages = [("1", None, 5), ("2", "Barn", 7)]

    assert sync(pages) == Counts(created=1, rejected=1)
    assert sync(pages) == Counts(unchanged=1, rejected=1)

    assert app.rows("SELECT key, reason FROM vendorsync.quarantine") == [("1", "name is missing")]


@pytest.mark.parametrize("between", [("1", "Barn", 7), ("1", "Barn", "much")])
def test_a_plant_that_comes_again_as_it_is_stored_takes_back_what_waited(app, sync, between):
    """Pages shift while they are read, and plants are edited meanwhile."""
    sync([("1", "Roof", "much")])
    before = versions(app)

    counts = sync([between], [("1", "Roof", "much")])

    assert (counts.unchanged, counts.updated, counts.duplicate) == (1, 0, 1)
    assert versions(app) == before


@pytest.mark.fault("V13")
def test_a_plant_that_can_be_read_outlives_one_of_its_key_that_cannot(app, cloud, sync):
    """On one page, as a listing yields them: the earlier one by itself."""
    found = Listing([Page((("1", "Roof", 5), ("1", None, 5)), is_last=True)], key=itemgetter(0))

    counts = sync(*(page.records for page in found))

    assert (counts.created, counts.rejected, found.duplicates) == (1, 1, 0)
    assert stored(app) == {"1": Decimal(5)}


def test_a_plant_under_another_key_than_it_is_listed_by_is_not_written(app, cloud, sync):
    """It would be taken for one that is not listed, and marked as vanished."""
    cloud.key = str.upper

    assert sync([("ab", "Roof", 5), ("1", "Barn", 5)]) == Counts(created=1, rejected=1)

    assert stored(app) == {"1": Decimal(5)}
    ((reason,),) = app.rows("SELECT reason FROM vendorsync.quarantine")
    assert reason == "the adapter reads another id from the record than the one that it lists"


@pytest.mark.fault("V9")
@pytest.mark.parametrize("odd", [2**64, {1: 2}, object(), "half \ud800"], ids=type)
def test_fields_that_no_json_has_cost_their_plant_alone(app, sync, odd):
    assert sync([("1", odd, 5), ("2", "Barn", 7)]) == Counts(created=1, rejected=1)

    assert stored(app) == {"2": Decimal(7)}


def test_a_reason_that_cannot_be_written_costs_its_plant_and_is_not_taken_for_unchanged(
    app, cloud, sync, caplog
):
    # What such a line becomes is the log's business.
    caplog.set_level(logging.ERROR)
    cloud.words = "capacity 'half \ud800' is not a number"

    assert sync([("1", "Roof", "much")]) == Counts(rejected=1, values_dropped=1)

    assert stored(app) == {}


@pytest.mark.fault("D9")
def test_a_full_compare_reads_all(app, cloud, sync):
    pages = [("1", "Roof", 5), ("2", "Barn", "much")]
    sync(pages)
    app.do("UPDATE plants SET name = 'edited'")

    counts = sync(pages, full_compare_hours=0)

    assert counts == Counts(updated=2, repaired=2, values_dropped=1)
    assert cloud.read == ["1", "2"]


def test_a_dry_run_reads_only_those_plants_too(app, cloud, sync):
    pages = [("1", "Roof", 5), ("2", "Barn", "much"), ("3", "Shed", 9)]
    sync(pages)
    cloud.read.clear()
    table = record_table(app)

    with app.database() as database:
        sink = RecordComparison(database, table, place(), PlantRows(table, cloud))
        counts = settle(sink, [*pages[:2], ("3", "Hall", 9)])

    assert counts == Counts(updated=1, unchanged=2, values_dropped=1)
    assert cloud.read == ["2", "3"]
