"""What the vendors of several resources declare of one account or app: the smallest holds for all.

Each run writes down what its own resource declares, once a day, so what nobody declares any more is
forgotten after a week. Allowances that only the adapter's policy knows are not written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from vendorsync_api.policy import Scope, Source, declared_budget, replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vendorsync_api.policy import Budget
    from vendorsync_job.store.connection import Cursor

RENEWED: Final = 86_400.0
"""Seconds after which a declaration is written down again."""
FORGOTTEN: Final = 7 * 86_400.0
"""Seconds after which it does not count any more."""


class Declarer(Struct, frozen=True):
    """The vendor of a resource that a run belongs to, by its binding."""

    organization_id: int
    vendor_name: str


class Declaration(Struct, frozen=True):
    """One row of vendorsync.allowances."""

    key: bytes
    """Of the account or the app."""
    seconds: int
    declarer: Declarer
    calls: int
    declared_at: float
    """Seconds since the epoch."""

    def counts(self, now: float) -> bool:
        """Tell whether it was declared lately; a clock that was set back forgets nothing."""
        return now < self.declared_at + FORGOTTEN


class Allowances(Struct, frozen=True):
    """What a run's own resource says, and whose calls that counts.

    `keys` has the key of the account and, where the adapter tells apps apart, that of the app.
    """

    own: tuple[Budget, ...]
    keys: Mapping[Scope, bytes]
    declarer: Declarer | None = None
    """None writes nothing down."""

    def key(self, budget: Budget) -> bytes:
        """Return what the calls of an allowance are counted under."""
        return self.keys.get(budget.per) or self.keys[Scope.ACCOUNT]

    def in_force(self, found: Iterable[Declaration], now: float) -> tuple[Budget, ...]:
        """Return what holds beside the declarations of others."""
        scopes = {key: scope for scope, key in self.keys.items()}
        declared = [budget for budget in self.own if budget.source is Source.DECLARED]
        known = [budget for budget in self.own if budget.source is not Source.DECLARED]
        others = [
            declared_budget(each.calls, each.seconds, scopes[each.key], self.own)
            for each in found
            if each.declarer != self.declarer and each.counts(now)
        ]
        return replaced(known, [*declared, *others])

    def write(self, cursor: Cursor, found: Iterable[Declaration], now: float) -> None:
        """Write down what is declared, and clear away what is over; most runs change nothing."""
        if self.declarer is None:
            return
        rows = {(each.key, each.seconds): each for each in found if each.declarer == self.declarer}
        wanted: dict[tuple[bytes, int], int] = {}
        for budget in sorted(self.own, key=lambda each: -each.calls):
            if budget.source is Source.DECLARED:
                wanted[self.key(budget), budget.seconds] = budget.calls
        for (key, seconds), calls in wanted.items():
            row = rows.get((key, seconds))
            if row is None or row.calls != calls or not _is_fresh(row, now):
                _put(cursor, Declaration(key, seconds, self.declarer, calls, now))
        taken_back = [row for place, row in rows.items() if place not in wanted]
        over = [each for each in found if each.declarer != self.declarer and not each.counts(now)]
        for row in [*taken_back, *over]:
            _drop(cursor, row)


def _is_fresh(row: Declaration, now: float) -> bool:
    return row.declared_at <= now < row.declared_at + RENEWED


def _put(cursor: Cursor, row: Declaration) -> None:
    cursor.execute(
        "INSERT INTO vendorsync.allowances"
        " (key, seconds, organization_id, vendor_name, calls, declared_at)"
        " VALUES (%(key)s, %(seconds)s, %(organization)s, %(vendor)s, %(calls)s,"
        " to_timestamp(%(now)s))"
        " ON CONFLICT (key, seconds, organization_id, vendor_name)"
        " DO UPDATE SET calls = excluded.calls, declared_at = excluded.declared_at",
        _place(row) | {"calls": row.calls, "now": row.declared_at},
    )


def _drop(cursor: Cursor, row: Declaration) -> None:
    cursor.execute(
        "DELETE FROM vendorsync.allowances WHERE key = %(key)s AND seconds = %(seconds)s"
        " AND organization_id = %(organization)s AND vendor_name = %(vendor)s",
        _place(row),
    )


def _place(row: Declaration) -> dict[str, object]:
    return {
        "key": row.key,
        "seconds": row.seconds,
        "organization": row.declarer.organization_id,
        "vendor": row.declarer.vendor_name,
    }
