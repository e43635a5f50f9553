"""Live tokens of one vendor, with their owners and ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Grant:
    """Whose token it is, and until when; `scope` is the company it was asked for, if any."""

    account: str
    expires_at: float
    scope: int | None = None


class Tokens:
    """Tokens that answer for an account until they end or are killed."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}

    def issue(self, token: str, grant: Grant, *, single: bool = False) -> None:
        """Make a token live; the others of its account stay so unless it must be the single one."""
        if single:
            self.expire(grant.account)
        self._grants[token] = grant

    def owner(self, token: object) -> Grant | None:
        """Find whose token it is or was, for the call log."""
        return self._grants.get(token) if isinstance(token, str) else None

    def live(self, token: object, now: float) -> Grant | None:
        """Find the grant of a token that has not ended."""
        grant = self.owner(token)
        return grant if grant and grant.expires_at > now else None

    def expire(self, account: str) -> int:
        """End every token of an account; they keep their owner for the call log."""
        ended = 0
        for grant in self._grants.values():
            if grant.account == account and grant.expires_at > 0:
                grant.expires_at = 0
                ended += 1
        return ended
