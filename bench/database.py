"""A PostgreSQL server of the bench's own, durable as in production, and what it tells of itself."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from dev.database import postgres
from vendorsync_job.store.connection import Database
from vendorsync_job.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dev.database import PostgresServer

SETTINGS: Final[Mapping[str, object]] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    # Both would fall into some rounds and not into others; each round is preceded by its own.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
"""fsync, synchronous_commit and full_page_writes stay on."""
ROLE: Final = "vendorsync_run"
ORGANIZATION: Final = 3
VENDOR: Final = 1
OURS: Final = ("public.plants", "vendorsync.hashes")
"""Tables with a row for each plant."""


@dataclass(frozen=True)
class Bench:
    """A migrated database with one vendor; `url` is for the role of runs."""

    owner_url: str
    url: str

    def value(self, statement: str, *values: object) -> Any:  # noqa: ANN401
        """Return the first column of the first row."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
            return row[0] if row else None

    def do(self, *statements: str) -> None:
        """Run statements, each by itself."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def settle(self) -> None:
        """Clear what earlier rounds left behind, and start from a checkpoint."""
        self.do("VACUUM (ANALYZE)", "CHECKPOINT")

    def empty(self) -> None:
        """Take all plants away."""
        self.do("TRUNCATE alerts, plants, vendorsync.hashes, vendorsync.streams")
        self.settle()

    def dead_rows(self) -> int:
        """Return the dead rows in the tables that hold a row for each plant."""
        counted = (
            "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables"
            " WHERE schemaname || '.' || relname = ANY (%s)"
        )
        return int(self.value(counted, list(OURS)))

    def sequence_values(self) -> int:
        """Return how many values all sequences have given out."""
        taken = "SELECT coalesce(sum(last_value), 0)::bigint FROM pg_sequences"
        return int(self.value(taken))

    def wal_position(self) -> int:
        """Return where the write-ahead log ends, in bytes."""
        return int(self.value("SELECT pg_current_wal_insert_lsn() - '0/0'"))


@contextmanager
def server(**changes: object) -> Iterator[PostgresServer]:
    """Run the server; `changes` are settings that differ from SETTINGS."""
    with postgres(settings={**SETTINGS, **changes}) as running:
        yield running


def create(server: PostgresServer, name: str) -> Bench:
    """Create a database as a migration leaves it, with an organization and a vendor."""
    owner_url = server.create_database(name)
    bench = Bench(owner_url, server.url(name, ROLE, server.password))
    with closing(Database(owner_url)) as database:
        migrate(database, run_url=bench.url)
    with psycopg.connect(owner_url) as connection:
        connection.execute(
            "INSERT INTO organizations (id, name) VALUES (%s, 'Organization A')", [ORGANIZATION]
        )
        connection.execute(
            "INSERT INTO vendors (id, org_id, name, vendor_type) OVERRIDING SYSTEM VALUE"
            " VALUES (%s, %s, 'Solarman', 'solarman')",
            [VENDOR, ORGANIZATION],
        )
    return bench


def behind(url: str, port: int) -> str:
    """Return a URL with another port of this machine."""
    return make_conninfo(url, port=port)
