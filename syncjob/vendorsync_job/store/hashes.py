"""Digests of what was last written, so that unchanged records are neither offered nor locked."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vendorsync_job.store.connection import Cursor

MAPPING_VERSION = 1
"""Counts changes in how vendor fields become columns; a new number writes every row once."""


def digest(row: Mapping[str, Any]) -> bytes:
    """Return 16 bytes for the owned columns of a row, their names included.

    Raises TypeError for text that is not Unicode.
    """
    return blake2b(
        orjson.dumps([MAPPING_VERSION, row], option=orjson.OPT_SORT_KEYS), digest_size=16
    ).digest()


def store(cursor: Cursor, vendor_id: int, stream: str, hashes: Mapping[str, bytes]) -> None:
    """Insert or replace hashes by key, in the transaction that writes the records."""
    keys = sorted(hashes)
    cursor.execute(
        "INSERT INTO vendorsync.hashes AS stored (vendor_id, stream, key, hash)"
        " SELECT %s, %s, key, hash FROM unnest(%s::text[], %s::bytea[]) AS h (key, hash)"
        " ON CONFLICT (vendor_id, stream, key) DO UPDATE SET hash = excluded.hash"
        " WHERE stored.hash <> excluded.hash",
        [vendor_id, stream, keys, [hashes[key] for key in keys]],
    )
