"""The rows of vendorsync.calls: what was taken of each allowance, by slices of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vendorsync_job.store.allowances import Declaration, Declarer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vendorsync_job.store.connection import Cursor

LOCKS: Final = 0x7673_636C  # "vscl"

Place = tuple[bytes, int]
"""Key of an account or app, and the seconds of an allowance."""
Slices = dict[int, int]
"""Number of a slice -> calls."""


def lock(cursor: Cursor, keys: Iterable[bytes]) -> None:
    """Put the runs of these accounts and apps in order until the transaction ends.

    Locks are taken by their number, so runs that share some of them never wait for each other.
    """
    cursor.execute(
        "SELECT pg_advisory_xact_lock(%s, number) FROM (SELECT DISTINCT hashtext(key) AS number"
        " FROM unnest(%s::text[]) AS wanted (key) ORDER BY number) AS locks",
        [LOCKS, [key.hex() for key in keys]],
    )


def read(
    cursor: Cursor, keys: Iterable[bytes]
) -> tuple[float, dict[Place, Slices], list[Declaration]]:
    """Return the database's time (seconds since the epoch), its counts and its declarations."""
    cursor.execute(
        "SELECT extract(epoch FROM clock_timestamp())::float8, found.*"
        " FROM (VALUES (1)) AS one LEFT JOIN ("
        " SELECT account_key, seconds, slice, calls, NULL::bigint, NULL::text, NULL::float8"
        " FROM vendorsync.calls WHERE account_key = ANY (%(keys)s)"
        " UNION ALL SELECT key, seconds, NULL, calls, organization_id, vendor_name,"
        " extract(epoch FROM declared_at)::float8"
        " FROM vendorsync.allowances WHERE key = ANY (%(keys)s)"
        ") AS found ON true",
        {"keys": list(keys)},
    )
    rows = cursor.fetchall()
    counts: dict[Place, Slices] = {}
    declarations = []
    for _, key, seconds, number, calls, organization, vendor, declared_at in rows:
        if number is not None:
            counts.setdefault((key, seconds), {})[number] = calls
        elif key is not None:
            declarer = Declarer(organization, vendor)
            declarations.append(Declaration(key, seconds, declarer, calls, declared_at))
    return rows[0][0], counts, declarations


def write(
    cursor: Cursor, place: Place, before: Mapping[int, int], after: Mapping[int, int]
) -> None:
    """Bring the rows of an allowance up to date; a row that is over becomes the new one."""
    key, seconds = place
    over = sorted(number for number in before if number not in after)
    for number, calls in after.items():
        values = {"key": key, "s": seconds, "slice": number, "calls": calls}
        if before.get(number) == calls:
            continue
        if number in before or over:
            values["old"] = number if number in before else over.pop()
            cursor.execute(
                "UPDATE vendorsync.calls SET slice = %(slice)s, calls = %(calls)s"
                " WHERE account_key = %(key)s AND seconds = %(s)s AND slice = %(old)s",
                values,
            )
        else:
            cursor.execute(
                "INSERT INTO vendorsync.calls (account_key, seconds, slice, calls)"
                " VALUES (%(key)s, %(s)s, %(slice)s, %(calls)s)",
                values,
            )
    if over:
        cursor.execute(
            "DELETE FROM vendorsync.calls"
            " WHERE account_key = %s AND seconds = %s AND slice = ANY (%s)",
            [key, seconds, over],
        )


def give_back(cursor: Cursor, place: Place, number: int, calls: int) -> None:
    """Take calls out of a slice, none of them twice."""
    cursor.execute(
        "UPDATE vendorsync.calls SET calls = greatest(calls - %s, 0)"
        " WHERE account_key = %s AND seconds = %s AND slice = %s",
        [calls, *place, number],
    )
