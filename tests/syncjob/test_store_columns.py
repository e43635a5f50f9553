"""Plants in the tables of the application that we take over from."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from dev.lock.folder import ROOT
from dev.simulators import Accounts, simulators
from tests.syncjob.applications import WORK_ORDERS
from tests.syncjob.builders import plant, run_report, settle, stored_run
from tests.syncjob.jobs import NORTH, WEST, Job
from vendorsync_job.__main__ import main
from vendorsync_job.models import Counts
from vendorsync_job.store.columns import ALERT, NETWORK, PLANT

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R34")]

BUILT, LISTED = datetime(2023, 11, 14, 22, 13, tzinfo=UTC), datetime(2023, 11, 10, 5, tzinfo=UTC)
ROOF = replace(
    plant(1, name="Roof", capacity_kw=Decimal("98.4")),
    latitude=Decimal("18.52"),
    longitude=Decimal("73.850001"),
    address="Plot 1, Pune",
    status="online",
    commissioned_at=BUILT,
    vendor_created_date=LISTED,
)


@pytest.fixture
def app(empty):
    empty.do(*WORK_ORDERS)
    empty.migrate(run_url=empty.run_url)
    return empty


def write(app, *plants, **options):
    with stored_run(app, **options) as run:
        counts = settle(run.records, list(plants))
        run.finish(run_report(counts))
        return counts


def stored(app, *names):
    return app.rows(f"SELECT {', '.join(names)} FROM plants ORDER BY vendor_plant_id")  # noqa: S608


def test_every_column_that_a_page_reads_about_a_plant_is_written(app):
    assert write(app, ROOF) == Counts(created=1)

    names = "name", "capacity_kw", "location", "network_status", "start_operating_time"
    place = {"lat": 18.52, "lng": 73.850001, "address": "Plot 1, Pune"}
    assert stored(app, *names) == [("Roof", Decimal("98.40"), place, "NORMAL", BUILT)]
    assert stored(app, "vendor_created_date") == [(LISTED,)]


@pytest.mark.parametrize("count", [3, 1500])
def test_a_run_that_changes_nothing_writes_nothing(app, count):
    """More than a thousand rows go another way to the server."""
    plants = [replace(ROOF, vendor_plant_id=str(number)) for number in range(count)]
    assert write(app, *plants) == Counts(created=count)
    before = stored(app, "xmin::text", "location", "capacity_kw")

    assert write(app, *plants) == Counts(unchanged=count)
    assert write(app, *plants, full_compare_hours=0) == Counts(unchanged=count)

    assert stored(app, "xmin::text", "location", "capacity_kw") == before


@pytest.mark.parametrize(
    ("status", "network"),
    [("online", "NORMAL"), ("fault", "NORMAL"), ("partial", "PARTIAL_OFFLINE"),
     ("offline", "ALL_OFFLINE"), (None, "kept")],
)  # fmt: skip
def test_the_network_status_follows_the_status(app, status, network):
    write(app, ROOF)
    app.do("UPDATE plants SET network_status = 'kept'")

    write(app, replace(ROOF, status=status, name="Other"))

    assert stored(app, "network_status") == [(network,)]


@pytest.mark.fault("D9")
def test_keys_of_others_in_the_location_stay_and_are_no_difference(app):
    write(app, ROOF)
    app.do("UPDATE plants SET location = location || '{\"gate\": 4}'")

    assert write(app, ROOF, full_compare_hours=0) == Counts(unchanged=1)
    moved = replace(ROOF, latitude=None, longitude=None, address="Plot 2")
    assert write(app, moved) == Counts(updated=1)

    assert stored(app, "location") == [
        ({"lat": 18.52, "lng": 73.850001, "address": "Plot 2", "gate": 4},)
    ]


@pytest.mark.parametrize("odd", ["NULL", "'[1]'", "'\"Pune\"'"])
def test_a_location_that_is_no_object_becomes_one(app, odd):
    write(app, ROOF)
    app.do(f"UPDATE plants SET location = {odd}")  # noqa: S608

    assert write(app, ROOF, full_compare_hours=0) == Counts(updated=1, repaired=1)
    assert write(app, ROOF, full_compare_hours=0) == Counts(unchanged=1)


def test_a_new_plant_without_a_capacity_gets_zero_and_a_known_one_keeps_its_own(app):
    without = replace(ROOF, capacity_kw=None)

    assert write(app, ROOF, replace(without, vendor_plant_id="2")) == Counts(created=2)
    assert stored(app, "capacity_kw") == [(Decimal("98.40"),), (Decimal(0),)]

    assert write(app, replace(without, name="Other")) == Counts(updated=1)
    assert stored(app, "name", "capacity_kw")[0] == ("Other", Decimal("98.40"))

    fitted = replace(ROOF, vendor_plant_id="2", capacity_kw=Decimal(7))
    assert write(app, fitted) == Counts(updated=1)
    assert stored(app, "capacity_kw")[1] == (Decimal(7),)


@pytest.mark.fault("D9")
@pytest.mark.parametrize(
    ("capacity", "kept"),
    [("99999999.994", "99999999.99"), ("99999999.995", "0"), ("1e12", "0"), ("0.004", "0")],
)
def test_a_number_that_its_column_has_no_room_for_costs_itself_alone(app, capacity, kept):
    given = replace(ROOF, capacity_kw=Decimal(capacity))
    is_wide = Decimal(capacity) > 1 and kept == "0"

    assert write(app, given) == Counts(created=1, values_dropped=int(is_wide))

    assert stored(app, "name", "capacity_kw") == [("Roof", Decimal(kept))]
    assert write(app, given) == Counts(unchanged=1, values_dropped=int(is_wide))


def test_the_command_tells_what_becomes_of_each_column(app, tmp_path, capsys):
    app.do(
        "ALTER TABLE plants ADD COLUMN address integer, ADD COLUMN grade text NOT NULL,"
        " ADD COLUMN status text GENERATED ALWAYS AS ('x') STORED",
    )
    file = tmp_path / "url"
    file.write_text(app.owner_url)

    assert main(["columns", "--url-file", str(file)]) == 0

    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    every = "SELECT table_name || '.' || column_name FROM information_schema.columns"
    names = app.rows(f"{every} WHERE table_schema = 'public' AND table_name <> 'pg_stat'")
    assert {name for (name,) in names} <= told.keys()
    expected = {
        "organizations.name": "left alone",
        "vendors.last_synced_at": "written with each run of plants",
        "vendors.access_token": "as spec.database.legacyTokens says",
        "plants.id": "left alone",
        "plants.org_id": "written: it tells whose record a row is",
        "plants.name": "written from name",
        "plants.capacity_kw": "written from capacity kw; 0 where the vendor gives none",
        "plants.location": "written from latitude, longitude and address (its other keys stay)",
        "plants.network_status": "written from status",
        "plants.start_operating_time": "written from commissioned at",
        "plants.updated_at": "written with each change",
        "plants.address": "left alone: it is integer, not character varying or text",
        "plants.status": "left alone: the server computes it",
        "plants.current_power_kw": "left alone",
        "plants.latitude": "missing; location has it",
        "plants.commissioned_at": "missing; start_operating_time has it",
        "plants.plant_type": "missing",
        "plants.grade": "left alone, but it must have a value and has no default, so no row can"
        " be added",
        "alerts.started_at": "missing, so runs of alerts are refused",
        "alerts.org_id": "missing, so runs of alerts are refused",
        "alerts.title": "written from title",
    }
    assert {name: told.get(name) for name in expected} == expected


def test_a_migration_of_an_applications_tables_ends_with_these_lines(app, tmp_path, capsys):
    file = tmp_path / "url"
    file.write_text(app.owner_url)

    assert main(["migrate", "--url-file", str(file)]) == 0

    assert "\nplants.location: written from latitude" in capsys.readouterr().out


def test_a_migration_of_our_own_tables_does_not(empty, tmp_path, capsys):
    file = tmp_path / "url"
    file.write_text(empty.owner_url)

    assert main(["migrate", "--url-file", str(file)]) == 0

    assert "plants." not in capsys.readouterr().out


def test_the_command_tells_of_rights_that_the_role_lacks(app, tmp_path, capsys):
    app.do("REVOKE UPDATE (network_status) ON plants FROM vendorsync_run")
    file = tmp_path / "url"
    file.write_text(app.run_url)

    assert main(["columns", "--url-file", str(file)]) == 0

    assert (
        "plants.network_status: left alone: the role may not update it; run migrate with the"
        " owner's role" in capsys.readouterr().out
    )


@pytest.mark.fault("S2")
@pytest.mark.parametrize("url", ["postgresql://owner:hun/ter2@127.0.0.1:1/app", ""])
def test_the_command_names_the_file_of_a_url_that_cannot_be_used(tmp_path, capsys, url):
    file = tmp_path / "url"
    file.write_text(url)

    assert main(["columns", "--url-file", str(file)]) == 64

    told = capsys.readouterr()
    assert str(file) in told.err
    assert "ter2" not in told.err + told.out


@pytest.fixture
def job(app, tmp_path):
    """A run's process on these tables, against a simulated cloud."""
    accounts = Accounts(solarman=(NORTH,), sungrow=(WEST,))
    with simulators(accounts) as clouds:
        made = Job(app, tmp_path, clouds)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("account", [NORTH, WEST], ids=["solarman", "sungrow"])
def test_a_run_writes_what_the_vendor_says_field_by_field(app, job, account):
    adapter = "solarman" if account is NORTH else "sungrow"
    origin = job.clouds.url(adapter)
    vendor = {"name": adapter, "adapter": adapter, "baseURL": origin, "id": 1}
    job.lay_out(account, vendor=vendor)

    assert job.run().reason == (0, "Synced")

    truth = {row["id"]: row for row in job.clouds.truth(adapter, account.name)}
    rows = app.rows(
        "SELECT vendor_plant_id, name, capacity_kw, location, network_status,"
        " extract(epoch FROM vendor_created_date) FROM plants"
    )
    assert len(rows) == len(truth) > 0
    for key, name, capacity, location, network, listed in rows:
        plant = truth[key]
        sent = plant.get("capacity_sent", True)
        expected = Decimal(str(plant["capacity_kw"] if sent else 0))
        assert (name, capacity) == (plant["name"], expected.quantize(Decimal("0.01")))
        place = {name: plant[name] for name in ("latitude", "longitude", "address")}
        known = zip(("lat", "lng", "address"), place.values(), strict=True)
        assert location == {name: value for name, value in known if value is not None}
        assert network == NETWORK[plant["status"]]
        assert listed == (plant["created_at"] if adapter == "solarman" else None)


@pytest.mark.parametrize(("table", "holders"), [("plants", PLANT), ("alerts", ALERT)])
def test_the_page_about_tables_names_every_column(table, holders):
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    (line,) = [
        line for line in page.splitlines() if line.startswith(f"| `{table}`") and "unique" in line
    ]

    assert [holder.name for holder in holders if f"`{holder.name}`" not in line] == []
