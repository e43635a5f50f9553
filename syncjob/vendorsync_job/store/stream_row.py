"""The row of a vendor's stream: when rows were last compared in full, and where a round goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.rows import MAPPING_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence


class StreamRow:
    """One row of vendorsync.streams, read when a run begins."""

    def __init__(self, vendor_id: int, stream: str) -> None:
        self.cursor: str | None = None
        """Where the next run goes on; None from the start."""
        self._scope = {"vendor": vendor_id, "stream": stream}
        self._committed: str | None = None

    def load_statement(self, full_compare_hours: float) -> Statement:
        """Return what reads the row; its answer reads as whether a full compare is due."""
        return Statement(
            "SELECT cursor, mapping_version IS DISTINCT FROM %(mapping)s"
            " OR compared_at IS NULL OR compared_at < now() - make_interval(secs => %(seconds)s)"
            " FROM vendorsync.streams WHERE vendor_id = %(vendor)s AND stream = %(stream)s",
            self._scope | {"mapping": MAPPING_VERSION, "seconds": full_compare_hours * 3600},
            self._learn,
        )

    def _learn(self, rows: Sequence[tuple[str | None, bool]]) -> bool:
        if not rows:
            return True
        ((self.cursor, due),) = rows
        self._committed = self.cursor
        return due

    @property
    def moved(self) -> bool:
        """Whether the cursor differs from the stored one."""
        return self.cursor != self._committed

    def move_statements(self) -> list[Statement]:
        """Return what stores the cursor, for the transaction with the rows before it."""
        if not self.moved:
            return []
        return [
            Statement(
                "INSERT INTO vendorsync.streams (vendor_id, stream, cursor)"
                " VALUES (%(vendor)s, %(stream)s, %(cursor)s)"
                " ON CONFLICT (vendor_id, stream) DO UPDATE SET cursor = excluded.cursor",
                self._scope | {"cursor": self.cursor},
            )
        ]

    def settled(self) -> None:
        """Know that the cursor is stored."""
        self._committed = self.cursor

    def compared_statement(self) -> Statement:
        """Return what notes that all rows were compared in full now."""
        return Statement(
            "INSERT INTO vendorsync.streams (vendor_id, stream, mapping_version, compared_at)"
            " VALUES (%(vendor)s, %(stream)s, %(mapping)s, now())"
            " ON CONFLICT (vendor_id, stream) DO UPDATE"
            " SET mapping_version = excluded.mapping_version, compared_at = excluded.compared_at",
            self._scope | {"mapping": MAPPING_VERSION},
        )
