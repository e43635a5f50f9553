"""List and watch one kind: the state machine, over a port.

A complete list is the truth, so what it does not contain is swept from the store; a watch goes on
from the list's version, its bookmarks move that version, and a version that the server has
forgotten leads to a new list.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from vendorsync_operator.pulse import Pulse

logger = logging.getLogger(__name__)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
DENIALS = frozenset({401, 403, 404, 405})
"""Answers of a server that does not know us, our rights or the kind, or not yet."""


class GoneError(Exception):
    """The server no longer knows the version or the page asked for; list again."""


class StreamError(Exception):
    """A list or watch broke off; trying again may help, after `retry_after` seconds at least."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StreamDeniedError(StreamError):
    """The server denies a list or watch; a server that starts does so, too, for a moment."""


@dataclass(frozen=True)
class Page:
    """One page of a list; `next_page` is empty on the last one."""

    items: list[dict[str, Any]]
    version: str
    next_page: str = ""


class Source(Protocol):
    """One kind in one namespace, or in all.

    Both methods raise GoneError and StreamError; any other error ends the operator.
    """

    name: str
    namespace: str | None

    async def page(self, next_page: str) -> Page:
        """Return a page of the list; the first when `next_page` is empty."""

    def events(self, version: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the watch events after a version, until the server ends the stream."""


class Sink(Protocol):
    """Where the objects go."""

    def found(self, document: dict[str, Any]) -> None:
        """Take an object that exists."""

    def gone(self, document: dict[str, Any]) -> None:
        """Drop an object that was deleted."""

    def sweep(self, listed: Iterable[tuple[str, str]], namespace: str | None) -> None:
        """Drop every object of the namespace that is not listed."""


class Follower:
    """Keeps a sink in step with a source."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        pulse: Pulse,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self.listed = asyncio.Event()
        """Set after the first complete list."""
        self._source = source
        self._sink = sink
        self._pulse = pulse
        self._sleep = sleep
        self._random = random
        self._version = ""
        self._failures = 0

    async def follow(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except GoneError:
                self._version = ""
                await self._rest("version is gone, listing again")
            except StreamError as error:
                is_denied = isinstance(error, StreamDeniedError)
                await self._rest(str(error), error.retry_after, is_denied=is_denied)

    async def _list(self) -> None:
        listed: list[tuple[str, str]] = []
        next_page = ""
        while True:
            page = await self._source.page(next_page)
            self._pulse.heard()
            for document in page.items:
                self._sink.found(document)
                listed.append((document["metadata"]["namespace"], document["metadata"]["name"]))
            if not page.next_page:
                break
            next_page = page.next_page
        self._sink.sweep(listed, self._source.namespace)
        self._version = page.version
        self.listed.set()

    async def _watch(self) -> None:
        silent = True
        async for event in self._source.events(self._version):
            silent = False
            self._pulse.heard()
            self._take(event["type"], event["object"])
            self._failures = 0
        if silent:
            # A server or proxy that hangs up at once must not be asked again in a tight loop.
            raise StreamError("the stream ended without a word")

    def _take(self, kind: str, document: dict[str, Any]) -> None:
        if kind == "ERROR":
            if document.get("code") == 410:
                raise GoneError
            seconds = (document.get("details") or {}).get("retryAfterSeconds") or 0
            raise StreamError(f"the watch failed: {document.get('message')}", float(seconds))
        if kind in ("ADDED", "MODIFIED"):
            self._sink.found(document)
        elif kind == "DELETED":
            self._sink.gone(document)
        self._version = document["metadata"]["resourceVersion"]

    async def _rest(self, why: str, least: float = 0.0, *, is_denied: bool = False) -> None:
        (self._pulse.denied if is_denied else self._pulse.failed)(why)
        longest = min(FIRST_BACKOFF * 2.0 ** min(self._failures, 16), LONGEST_BACKOFF)
        self._failures += 1
        delay = max(longest * (0.5 + self._random() / 2), least)
        logger.warning(
            "stream interrupted",
            extra={"stream": self._source.name, "why": why, "retry_seconds": round(delay, 1)},
        )
        await self._sleep(delay)
