"""Records that could not be stored, kept with the reason and without personal data.

A record stays one row however often it comes back and whatever its numbers do meanwhile, so a run
in which nothing changed writes none.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.hashes import heads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence, Set
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
NUMBER = re.compile(r"[0-9]+")
LONGEST_TEXT = 100
LONGEST_NAME = 64
MOST_FIELDS = 200


class Quarantine:
    """The rejected records of one vendor and stream, at most KEPT."""

    def __init__(self, vendor_id: int, stream: str, run_id: UUID) -> None:
        self._scope = {"vendor": vendor_id, "stream": stream, "run": run_id}
        self._stored: dict[bytes, bytes | None] = {}
        """What is stored, the oldest first, with the digest of the row that was refused, if any."""
        self._seen: set[bytes] = set()
        self._refused: dict[bytes, bytes] = {}
        self.refused_heads: frozenset[int] = frozenset()
        """Of the digests of the rows that the database refused."""
        self._adding: dict[bytes, bytes | None] = {}
        self._leaving: list[bytes] = []

    def load_statement(self) -> Statement:
        """Return what reads which records are there already, and learns them."""
        return Statement(
            "SELECT digest, row_hash FROM vendorsync.quarantine"
            " WHERE vendor_id = %(vendor)s AND stream = %(stream)s ORDER BY seen_at, digest",
            self._scope,
            self._learn,
        )

    def _learn(self, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        self._stored = dict(rows)
        self._refused = {row_hash: digest for digest, row_hash in rows if row_hash}
        self.refused_heads = frozenset(heads(self._refused))

    def holds(self, row_hash: bytes) -> bool:
        """Tell whether the database refused this very row before; it counts as seen in this run."""
        digest = self._refused.get(row_hash)
        if digest is None:
            return False
        self._see(digest)
        return True

    def has_news(self, rejection: Rejection) -> bool:
        """Tell whether the record is not stored yet; it counts as seen in this run."""
        digest = _digest(rejection)
        return self._see(digest) and digest not in self._stored

    def add_statements(
        self, rejections: Sequence[Rejection], row_hashes: Mapping[str, bytes]
    ) -> list[Statement]:
        """Return what stores the records that are not stored yet, if there are any.

        `row_hashes` has the digest of each row that the database refused, by key.
        """
        rows, self._adding, self._leaving = {}, {}, []
        for rejection in rejections:
            digest = _digest(rejection)
            row_hash = row_hashes.get(rejection.key or "")
            if self._see(digest) and self._stored.get(digest, b"") != row_hash:
                rows[digest] = _row(rejection, row_hash)
                self._adding[digest] = row_hash
        if not rows:
            return []
        self._leaving = self._surplus(rows.keys())
        values = [{"digest": digest.hex(), **row} for digest, row in rows.items()]
        return [
            *self._delete_statements(self._leaving),
            Statement(
                "INSERT INTO vendorsync.quarantine AS stored"
                " (vendor_id, stream, digest, key, reason, record, row_hash, run_id)"
                " SELECT %(vendor)s, %(stream)s, decode(r.digest, 'hex'), r.key, r.reason,"
                " r.record, decode(r.row_hash, 'hex'), %(run)s"
                " FROM jsonb_to_recordset(%(rows)s::jsonb)"
                " AS r (digest text, key text, reason text, record jsonb, row_hash text)"
                " ON CONFLICT (vendor_id, stream, digest) DO UPDATE"
                " SET row_hash = excluded.row_hash, record = excluded.record",
                self._scope | {"rows": orjson.dumps(values).decode()},
            ),
        ]

    def settled(self) -> None:
        """Know that the records of `add_statements` are stored."""
        for digest in self._leaving:
            del self._stored[digest]
        self._stored |= self._adding
        self._adding, self._leaving = {}, []

    def forget_statements(self) -> list[Statement]:
        """Return what deletes the rows that a complete listing did not bring again, if any."""
        return self._delete_statements(self._stored.keys() - self._seen)

    def _see(self, digest: bytes) -> bool:
        if len(self._seen) < KEPT:
            self._seen.add(digest)
        return digest in self._seen

    def _surplus(self, added: Set[bytes]) -> list[bytes]:
        """Return the oldest rows that were not seen in this run, as many as are too many."""
        unseen = [digest for digest in self._stored if digest not in self._seen]
        return unseen[: max(0, len(self._stored.keys() | added) - KEPT)]

    def _delete_statements(self, digests: Collection[bytes]) -> list[Statement]:
        if not digests:
            return []
        return [
            Statement(
                "DELETE FROM vendorsync.quarantine WHERE vendor_id = %(vendor)s"
                " AND stream = %(stream)s AND digest = ANY (%(digests)s)",
                self._scope | {"digests": sorted(digests)},
            )
        ]


def _row(rejection: Rejection, row_hash: bytes | None) -> dict[str, Any]:
    return {
        "key": _text(rejection.key),
        "reason": _text(rejection.reason),
        "record": without_personal_data(rejection.record),
        "row_hash": row_hash and row_hash.hex(),
    }


def _digest(rejection: Rejection) -> bytes:
    """Tell records apart by key and reason: a power or a time may move with each run.

    Those without a key that can be read are told apart by the fields that they have.
    """
    reason = NUMBER.sub("0", rejection.reason)
    names = sorted(map(str, rejection.record)) if rejection.key is None else None
    known = [rejection.key, reason, names]
    return blake2b(repr(known).encode(errors="replace"), digest_size=16).digest()


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
