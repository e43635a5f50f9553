"""The row of a run: opened when it starts, counted on with each chunk, closed with its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict

from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from vendorsync_api.run import RunReport
    from vendorsync_job.models import Counts

RETENTION_DAYS = 30


class RunRow(Struct, frozen=True):
    """One row of vendorsync.runs."""

    id: UUID
    vendor_id: int
    organization_id: int
    stream: str
    job: str
    trigger: str
    started_at: datetime

    def open_statement(self) -> Statement:
        """Insert the row."""
        return Statement(
            "INSERT INTO vendorsync.runs"
            " (id, vendor_id, organization_id, stream, job, trigger, started_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                self.id,
                self.vendor_id,
                self.organization_id,
                self.stream,
                self.job,
                self.trigger,
                self.started_at,
            ],
        )

    def count_statement(self, chunk: int, counts: Counts) -> Statement:
        """Set the counters, in the transaction that writes the chunk's rows."""
        return Statement(
            "UPDATE vendorsync.runs SET chunk = %(chunk)s, created = %(created)s,"
            " updated = %(updated)s, unchanged = %(unchanged)s, rejected = %(rejected)s,"
            " duplicate = %(duplicate)s, vanished = %(vanished)s, repaired = %(repaired)s"
            " WHERE id = %(id)s",
            {**asdict(counts), "id": self.id, "chunk": chunk},
        )

    def committed_statement(self, chunk: int) -> Statement:
        """Tell whether a chunk's transaction was committed although its answer got lost."""
        return Statement(
            "SELECT coalesce((SELECT chunk >= %s FROM vendorsync.runs WHERE id = %s), false)",
            [chunk, self.id],
            lambda rows: rows[0][0],
        )

    def close_statements(self, report: RunReport) -> list[Statement]:
        """Write down how the run ended, and drop runs that are past their time."""
        return [
            Statement(
                "UPDATE vendorsync.runs SET finished_at = clock_timestamp(), result = %(result)s,"
                " reason = %(reason)s, message = %(message)s, complete = %(complete)s,"
                " created = %(created)s, updated = %(updated)s, unchanged = %(unchanged)s,"
                " rejected = %(rejected)s, duplicate = %(duplicate)s, vanished = %(vanished)s,"
                " repaired = %(repaired)s, calls = %(calls)s WHERE id = %(id)s",
                {**report.model_dump(mode="json"), "id": self.id},
            ),
            Statement(
                "DELETE FROM vendorsync.runs WHERE id IN (SELECT id FROM vendorsync.runs"
                " WHERE vendor_id = %s AND stream = %s"
                " AND started_at < now() - make_interval(days => %s) ORDER BY started_at LIMIT 3)",
                [self.vendor_id, self.stream, RETENTION_DAYS],
            ),
        ]
