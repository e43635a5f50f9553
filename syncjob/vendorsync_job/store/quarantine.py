"""Records that could not be stored, kept with the reason and without personal data.

A record stays one row however often it comes back, so a run in which nothing changed writes none.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from vendorsync_job.models import Rejection

KEPT = 1000
"""Rows per vendor and stream; an adapter gone wrong rejects everything, and counts show that."""

TELLING = re.compile(
    r"id|ids|sn|code|status|state|type|kind|unit|capacity|power|peak|zone|offset|time|date|version"
)
"""Words in a field's name that make its text worth keeping; any other text may name a person."""
PLACES = re.compile(r"lat|latitude|lng|lon|longitude|location|tel|fax")
PERSONAL = re.compile(
    r"owner|contact|phone|mobile|mail|user|customer|person|linkman", re.IGNORECASE
)
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LONGEST_TEXT = 100
LONGEST_NAME = 64
MOST_FIELDS = 200


class Quarantine:
    """The rejected records of one vendor and stream."""

    def __init__(self, vendor_id: int, stream: str, run_id: UUID) -> None:
        self._scope = {"vendor": vendor_id, "stream": stream, "run": run_id}
        self._stored: set[bytes] = set()
        self._seen: set[bytes] = set()

    def loading(self) -> Statement:
        """Return what reads which records are there already, for `loaded`."""
        return Statement(
            "SELECT digest FROM vendorsync.quarantine"
            " WHERE vendor_id = %(vendor)s AND stream = %(stream)s",
            self._scope,
        )

    def loaded(self, rows: Sequence[tuple[bytes]]) -> None:
        """Learn which records are there already."""
        self._stored = {bytes(digest) for (digest,) in rows}

    def has_news(self, rejections: Sequence[Rejection]) -> bool:
        """Tell whether any of the records is not stored yet; all count as seen in this run."""
        return bool(self._news(rejections))

    def adding(self, rejections: Sequence[Rejection]) -> list[Statement]:
        """Return what inserts the records that are not stored yet, if there are any."""
        rows = self._news(rejections)
        if not rows:
            return []
        values = [{"digest": digest.hex(), **row} for digest, row in rows.items()]
        return [
            Statement(
                "INSERT INTO vendorsync.quarantine"
                " (vendor_id, stream, digest, key, reason, record, run_id)"
                " SELECT %(vendor)s, %(stream)s, decode(r.digest, 'hex'), r.key, r.reason,"
                " r.record, %(run)s FROM jsonb_to_recordset(%(rows)s::jsonb)"
                " AS r (digest text, key text, reason text, record jsonb) ON CONFLICT DO NOTHING",
                self._scope | {"rows": orjson.dumps(values).decode()},
            )
        ]

    def _news(self, rejections: Sequence[Rejection]) -> dict[bytes, dict[str, Any]]:
        rows = {_digest(row): row for row in map(_row, rejections)}
        for digest in rows:
            if len(self._seen) < KEPT:
                self._seen.add(digest)
        return {
            digest: row
            for digest, row in rows.items()
            if digest in self._seen and digest not in self._stored
        }

    def forgetting(self) -> list[Statement]:
        """Return what deletes the rows that a complete listing did not bring again, if any."""
        gone = self._stored - self._seen
        if not gone:
            return []
        return [
            Statement(
                "DELETE FROM vendorsync.quarantine WHERE vendor_id = %(vendor)s"
                " AND stream = %(stream)s AND digest = ANY (%(gone)s)",
                self._scope | {"gone": sorted(gone)},
            )
        ]


def _row(rejection: Rejection) -> dict[str, Any]:
    return {
        "key": _text(rejection.key),
        "reason": _text(rejection.reason),
        "record": without_personal_data(rejection.record),
    }


def _digest(row: Mapping[str, Any]) -> bytes:
    return blake2b(orjson.dumps(row), digest_size=16).digest()


def without_personal_data(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what helps to understand a rejection: numbers, codes, types, and lengths of texts."""
    return {
        _text(name[:LONGEST_NAME]) or "": _shown(name, value)
        for name, value in islice(record.items(), MOST_FIELDS)
    }


def _shown(name: str, value: object) -> object:
    words = [word.lower() for word in WORDS.findall(name)]
    hides = bool(PERSONAL.search(name)) or any(map(PLACES.fullmatch, words))
    if isinstance(value, str):
        telling = any(map(TELLING.fullmatch, words)) and not hides
        return _text(value[:LONGEST_TEXT]) if telling else f"text of {len(value)} characters"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return "number" if hides else _number(value)
    return type(value).__name__


def _number(value: float) -> float | str:
    # JSON has no infinity, and jsonb no integers of thousands of digits.
    return value if abs(value) < 1e15 else "number out of range"


def _text(value: str | None) -> str | None:
    """Return text that PostgreSQL can store: no NUL, no lone surrogate."""
    if value is None:
        return None
    return value.encode(errors="replace").decode().replace("\0", "\\0")
