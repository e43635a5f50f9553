"""A client that plays answers back in order, and a session that lends one token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vendorsync_job.models import Token
from vendorsync_job.ports import Purpose

LONG_AGO = datetime(2026, 2, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """One call as the adapter made it."""

    path: str
    json: Any
    params: Any = field(default_factory=dict)
    headers: Any = field(default_factory=dict)
    purpose: Purpose = Purpose.LISTING


class RecordedClient:
    """A `VendorClient` without a vendor."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.requests: list[Request] = []
        self._answers = iter(answers)

    def get(self, path, *, params=None, headers=None, purpose=Purpose.LISTING):
        raise NotImplementedError

    def post(self, path, *, json, params=None, headers=None, purpose=Purpose.LISTING):
        self.requests.append(Request(path, dict(json), params or {}, headers or {}, purpose))
        return next(self._answers)


class LentToken:
    """A session with one token and no second try."""

    def __init__(self, value: str) -> None:
        self.token = Token(value, LONG_AGO, LONG_AGO)

    def call(self, request):
        return request(self.token)


def once_with(value: str) -> LentToken:
    """Lend this token to every request."""
    return LentToken(value)
