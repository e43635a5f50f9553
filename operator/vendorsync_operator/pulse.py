"""Where word goes of a stream, or of the Lease: whether it lives."""

from __future__ import annotations

from typing import Protocol


class Pulse(Protocol):
    """Hears of one stream, or of the Lease."""

    def heard(self) -> None:
        """Take note of a page or an event, a bookmark included."""

    def failed(self, why: str) -> None:
        """Take note of an attempt that failed."""

    def denied(self, why: str) -> bool:
        """Take note of an attempt that the server refused to us; tell whether that lasts."""
