"""Which namespaces are seen whole, so that nothing is decided on half a picture.

A namespace (None stands for all of them) is whole once each of its streams has read a complete
list. It ceases to be when the server refuses one for long, or has gone back in time, until the
lists are read again. The others are served meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_UNREAD = "the first list is not read yet"


class Part:
    """What one stream adds to the picture of its namespace."""

    def __init__(self, picture: Picture, stream: str, namespace: str | None) -> None:
        self._picture = picture
        self._stream = stream
        self._namespace = namespace

    def read(self) -> None:
        """Take note of a complete list, from which on the stream is followed."""
        self._picture.fill(self._namespace, self._stream)

    def lost(self, why: str) -> None:
        """Take note that what was read counts no longer, until it is listed again."""
        self._picture.lose(self._namespace, self._stream, why)

    def denied(self, why: str) -> None:
        """Take note that the server refuses the stream and goes on to refuse it."""
        self._picture.deny(self._namespace, self._stream, why)


class Picture:
    """Hears of each list and each refusal.

    `turned` is called with a namespace that is whole, or so again, and with one that is denied.
    """

    def __init__(self, turned: Callable[[str | None], None]) -> None:
        self.begun = asyncio.Event()
        """Set when the first namespace is whole."""
        self.whole = asyncio.Event()
        """Set while every namespace is whole."""
        self._turned = turned
        self._denied: dict[str | None, dict[str, str]] = defaultdict(dict)
        """By namespace: its streams that the server refuses, and its words."""
        self._missing: dict[str | None, dict[str, str]] = {}
        """By namespace: its streams that have no complete list, and why."""
        self._lost: set[str | None] = set()

    def expect(self, stream: str, namespace: str | None) -> Part:
        """Start to expect the list of a stream."""
        self._missing.setdefault(namespace, {})[stream] = _UNREAD
        return Part(self, stream, namespace)

    def shows(self, namespace: str) -> bool:
        """Tell whether a namespace is whole, by itself or as one of all."""
        return not self._gaps(namespace)

    def refusal(self, namespace: str) -> str:
        """Return which streams of a namespace the server refuses, in its words; empty for none."""
        denied = self._denied.get(namespace, {})
        return "; ".join(f"{stream}: {why}" for stream, why in sorted(denied.items()))

    @property
    def unserved(self) -> list[str]:
        """The namespaces that are not whole, sorted."""
        return sorted(name or "all" for name, gaps in self._missing.items() if gaps)

    def fill(self, namespace: str | None, stream: str) -> None:
        """Take note that a stream has read a complete list."""
        self._denied[namespace].pop(stream, None)
        gaps = self._missing[namespace]
        if gaps.pop(stream, None) is None or gaps:
            return
        if namespace in self._lost:
            self._lost.discard(namespace)
            logger.info("namespace is served again", extra={"namespace": namespace or "all"})
        self.begun.set()
        if not self.unserved:
            self.whole.set()
        self._turned(namespace)

    def deny(self, namespace: str | None, stream: str, why: str) -> None:
        """Take note that the server goes on to refuse a stream."""
        self.lose(namespace, stream, why)
        is_news = stream not in self._denied[namespace]
        self._denied[namespace][stream] = why
        if is_news:
            self._turned(namespace)

    def lose(self, namespace: str | None, stream: str, why: str) -> None:
        """Take note that what a stream has read counts no longer, or never came."""
        self._missing[namespace][stream] = why
        self.whole.clear()
        if namespace not in self._lost:
            self._lost.add(namespace)
            logger.error(
                "namespace is not served",
                extra={"namespace": namespace or "all", "stream": stream, "why": why},
            )

    def _gaps(self, namespace: str) -> dict[str, str]:
        return self._missing.get(namespace) or self._missing.get(None, {})
