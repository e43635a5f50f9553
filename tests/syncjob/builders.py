"""Values that the job's tests start from; every argument has a plain default."""

import base64
import json
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from msgspec.structs import asdict, astuple, replace

from dev.stack.waiting import until
from vendorsync_api.reasons import Result, Trigger
from vendorsync_api.run import RunReport, RunSpec
from vendorsync_job.models import Account, Alert, Counts, Fields, Page, Plant
from vendorsync_job.store import schema
from vendorsync_job.store.ciphers import Ciphers
from vendorsync_job.store.connection import Database
from vendorsync_job.store.migrate import migrate
from vendorsync_job.store.place import Place
from vendorsync_job.store.rows import AlertRows, PlantRows
from vendorsync_job.store.run_row import RunRow
from vendorsync_job.store.stored_run import StoredRun, StoredRunSettings
from vendorsync_job.store.tables import RecordTable
from vendorsync_job.store.vanish import Guard
from vendorsync_job.vendors.pages import RowReader

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RUN_PASSWORD = "run:pass/word@1"


def run_spec(**changes) -> RunSpec:
    """A run of organization 3; keys of `changes` are fields of the RunSpec."""
    return RunSpec.model_validate(
        {
            "resource": {"namespace": "solar", "name": "organization-a", "uid": "uid-a"},
            "organization": {"id": 3, "name": "Organization A"},
            "vendor": {"name": "solarman", "adapter": "solarman"},
            "credentials": {"name": "organization-a-solarman"},
            "database": {"name": "vendorsync-database", "keys": ["url"]},
        }
        | changes
    )


def plant(key: str | int = 1, **changes) -> Plant:
    usual = Plant(str(key), f"Plant {key}", Decimal("5.5"))
    return replace(usual, **changes)


def plants(count: int, **changes) -> list[Plant]:
    return [plant(number, **changes) for number in range(1, count + 1)]


def alert(key: str | int = 1, plant_key: str | int = 1, **changes) -> Alert:
    usual = Alert(str(key), str(plant_key), "Grid overvoltage", NOON)
    return replace(usual, **changes)


def page(*records: Plant, rejected=(), total=None, is_last=False) -> Page[Plant]:
    return Page(tuple(records), tuple(rejected), total, is_last)


def account(fingerprint: bytes = b"f" * 32, key: bytes = b"k" * 32) -> Account:
    return Account(key=key, adapter="solarman", host="vendor.test", fingerprint=fingerprint)


def ciphers(*ids: str, current: str = "k1") -> Ciphers:
    return Ciphers({name: name.encode().ljust(32, b".") for name in ids or ("k1",)}, current)


@dataclass(frozen=True)
class App:
    """A migrated database: URLs of both roles, and ways to look into it."""

    owner_url: str
    run_url: str

    @contextmanager
    def connect(self):
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            yield connection

    def rows(self, query, *values):
        with self.connect() as connection:
            return connection.execute(query, values).fetchall()

    def value(self, query: str, *values):
        return self.rows(query, *values)[0][0]

    def do(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def await_sessions_end(self) -> None:
        """Wait until runs have no session, and so until the server has counted their writes."""
        until(
            lambda: self.value(
                "SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'vendorsync_run'"
                " AND datname = current_database()"
            ),
            "the end of all sessions of runs",
            every=0.02,
        )

    def add_vendor(self, vendor_id: int = 1, organization_id: int = 3) -> None:
        with self.connect() as connection:
            connection.execute(
                "INSERT INTO organizations (id, name) VALUES (%s, 'O') ON CONFLICT DO NOTHING",
                [organization_id],
            )
            connection.execute(
                "INSERT INTO vendors (id, org_id, name, vendor_type)"
                " VALUES (%s, %s, 'V', 'solarman')",
                [vendor_id, organization_id],
            )

    @contextmanager
    def database(self, organization_id: int | None = 3, **options):
        """Connect as the role of runs."""
        database = Database(self.run_url, organization_id=organization_id, **options)
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def transaction(self, organization_id: int | None = 3, **options):
        """Open one transaction as the role of runs."""
        with (
            self.database(organization_id) as database,
            database.transaction(**options) as cursor,
        ):
            yield cursor

    def ask(self, *statements):
        """Run statements in one transaction as the role of runs; return what is read from each."""
        with self.database() as database, database.exchange() as exchange:
            read = exchange.ask(*statements)
            exchange.commit()
        return read

    def migrate(self, *, schema: str = "public", **options) -> list[str]:
        """Migrate as the owner."""
        database = Database(self.owner_url, schema=schema)
        try:
            return migrate(database, **options)
        finally:
            database.close()


def place(organization_id: int = 3, vendor_id: int | None = 1) -> Place:
    return Place("public", organization_id, vendor_id)


def record_table(app: App, stream: str = "plants") -> RecordTable:
    with app.transaction(read_only=True) as cursor:
        return schema.check_application(cursor, "public", stream)


@contextmanager
def stored_run(
    app: App,
    *,
    vendor_id=1,
    organization_id=3,
    stream="plants",
    table=None,
    owner=None,
    connect=Database,
    rows=None,
    **options,
):
    """A run that holds its lease, on a connection of its own."""
    table = table or record_table(app, stream)
    identity = uuid.uuid4()
    row = RunRow(
        id=identity,
        vendor_id=vendor_id,
        organization_id=organization_id,
        stream=stream,
        job="job",
        trigger="Manual",
        started_at=datetime.now(UTC),
    )
    database = connect(app.run_url, organization_id=organization_id)
    where = place(organization_id, vendor_id)
    if rows is None:
        rows = ReadPlants(table) if stream == "plants" else AlertRows(database, table, where)
    guard = Guard(options.pop("vanish_after", 3), options.pop("vanish_guard_percent", 20))
    sleeping = {"sleep": options.pop("sleep")} if "sleep" in options else {}
    settings = StoredRunSettings(owner or str(identity), 5, guard, **options)
    stored = StoredRun(database, table, where, row, rows, settings, **sleeping)
    try:
        stored.begin()
        yield stored
        app.ask(stored.lease.free_statement())
    finally:
        database.close()


class ReadPlants(PlantRows):
    """Makes rows of plants that are read already."""

    def __init__(self, table: RecordTable) -> None:
        super().__init__(table, RowReader(lambda row: Plant(**row), *Plant.__struct_fields__))

    def known_by(self, records: Sequence[Any], /) -> list[Fields]:
        return [astuple(record) for record in records]


def settle(sink, records, rejected=()):
    """Hand records to a sink in one page and commit them."""
    taken = sink.take(records, list(rejected))
    return taken + sink.commit()


def run_report(counts: Counts | None = None, *, complete: bool = True) -> RunReport:
    return RunReport(
        **asdict(counts or Counts()),
        vendor="v",
        stream="plants",
        result=Result.SUCCEEDED,
        reason="Synced",
        trigger=Trigger.MANUAL,
        start_time="",
        completion_time="",
        complete=complete,
    )


def write_mounts(root: Path, *, credentials: dict[str, str], database_url: str, ca: str = ""):
    """Lay Secrets out as Kubernetes mounts them."""
    secret = base64.b64encode(b"t" * 32).decode()
    folders = {
        "credentials": credentials,
        "database": {"url": f"{database_url}\n"},
        "token-keys": {"current": "k1\n", "k1": secret, "fingerprint": secret},
        "ca": {"ca.crt": ca} if ca else {},
    }
    for folder, files in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (root / folder / name).write_text(text)


def write_spec(path: Path, spec: RunSpec) -> Path:
    path.write_text(json.dumps(spec.wire()))
    return path
