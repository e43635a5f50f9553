"""List and watch one kind: the state machine, over a port.

A complete list is the truth, so what it does not contain is swept from the store; a watch goes on
from the list's version, its bookmarks move that version, and a version that the server has
forgotten leads to a new list. So does a watch that falls silent: after a restore of etcd the server
is behind the version that it was asked for, and says nothing until it has caught up.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from vendorsync_operator.pulse import Pulse
    from vendorsync_operator.watch.picture import Part

logger = logging.getLogger(__name__)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
DENIALS = frozenset({*range(400, 500)} - {408, 410, 429})
"""Answers of a server that does not know us, our rights or the kind, or not yet; or of a proxy."""


class GoneError(Exception):
    """The server does not know the version or the page asked for, or not any more; list again."""


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
        """Yield the watch events after a version, until the server ends the stream.

        Raises GoneError also when nothing was heard for so long that the stream seems dead.
        """


class Sink(Protocol):
    """Where the objects go."""

    def found(self, document: dict[str, Any]) -> object:
        """Take an object that a watch tells of."""

    def listed(self, document: dict[str, Any], revision: str) -> None:
        """Take an object of a list that shows the cluster as of a revision."""

    def gone(self, document: dict[str, Any]) -> None:
        """Drop an object that was deleted."""

    def sweep(
        self, listed: Iterable[tuple[str, str]], namespace: str | None, revision: str
    ) -> None:
        """Drop every object of the namespace that a list as of a revision did not contain."""

    def doubt(self, namespace: str | None) -> None:
        """Let the list that comes replace all that is known of the namespace."""


class Stream:
    """How the list and watch of one kind is doing, in one namespace or in all."""

    def __init__(
        self,
        name: str,
        namespace: str | None,
        *,
        pulse: Pulse,
        part: Part,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self.name = name
        self.namespace = namespace
        self._pulse = pulse
        self._part = part
        self._sleep = sleep
        self._random = random
        self._failures = 0
        self._newest = 0
        """The highest revision that the server told."""
        self._is_doubted = False

    def heard(self) -> None:
        """Take note of an answer."""
        self._pulse.heard()

    def went_on(self) -> None:
        """Take note of an event, so that the next interruption is a short one again."""
        self._pulse.heard()
        self._failures = 0

    def told(self, revision: str) -> bool:
        """Take note of a revision of the server; tell whether it is lower than one before.

        Only a restore of etcd does that.
        """
        number = int(revision) if revision.isdigit() else self._newest
        is_lower = number < self._newest
        self._newest = number
        self._is_doubted = self._is_doubted or is_lower
        return is_lower

    def begin(self, revision: str, sink: Sink) -> None:
        """Begin a list as of a revision; one that goes back replaces all that is known."""
        self.told(revision)
        if self._is_doubted:
            self._is_doubted = False
            logger.warning(
                "the API server went back to an earlier revision, as after a restore of etcd",
                extra={"stream": self.name, "revision": revision},
            )
            sink.doubt(self.namespace)

    def read(self) -> None:
        """Take note of a complete list."""
        self._part.read()

    def doubt(self, why: str) -> None:
        """Take note that what was read is of a server that went back in time."""
        self._is_doubted = True
        self._part.lost(why)

    def failed(self, why: str) -> None:
        """Take note of an attempt that failed."""
        self._pulse.failed(why)

    def denied(self, why: str) -> bool:
        """Take note of a refusal; tell whether it has lasted for so long that all is lost."""
        lasts = self._pulse.denied(why)
        if lasts:
            self._part.denied(why)
        return lasts

    async def rest(self, why: str, least: float = 0.0) -> None:
        """Wait after an interruption, longer after each further one, `least` seconds anyway."""
        longest = min(FIRST_BACKOFF * 2.0 ** min(self._failures, 16), LONGEST_BACKOFF)
        self._failures += 1
        delay = max(longest * (0.5 + self._random() / 2), least)
        logger.warning(
            "stream interrupted",
            extra={"stream": self.name, "why": why, "retry_seconds": round(delay, 1)},
        )
        await self._sleep(delay)


class Follower:
    """Keeps a sink in step with a source."""

    def __init__(self, source: Source, sink: Sink, stream: Stream) -> None:
        self._source = source
        self._sink = sink
        self._stream = stream
        self._version = ""
        self._turn: asyncio.Timeout | None = None

    async def follow(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                async with asyncio.timeout(None) as self._turn:
                    await self._take_turns()
            except TimeoutError:
                # Only `relist` sets a time.
                if not (self._turn and self._turn.expired()):
                    raise

    def relist(self, why: str) -> None:
        """List again at once, since the server went back in time."""
        self._version = ""
        self._stream.doubt(why)
        if self._turn is not None and not self._turn.expired():
            self._turn.reschedule(asyncio.get_running_loop().time())

    async def _take_turns(self) -> None:
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except GoneError as error:
                self._version = ""
                why = f"{error}; listing again"
                self._stream.failed(why)
                await self._stream.rest(why)
            except StreamDeniedError as error:
                if self._stream.denied(str(error)):
                    self._version = ""
                await self._stream.rest(str(error), error.retry_after)
            except StreamError as error:
                self._stream.failed(str(error))
                await self._stream.rest(str(error), error.retry_after)

    async def _list(self) -> None:
        listed: list[tuple[str, str]] = []
        page = await self._source.page("")
        self._stream.begin(page.version, self._sink)
        while True:
            self._stream.heard()
            for document in page.items:
                self._sink.listed(document, page.version)
                listed.append((document["metadata"]["namespace"], document["metadata"]["name"]))
            if not page.next_page:
                break
            page = await self._source.page(page.next_page)
        self._sink.sweep(listed, self._source.namespace, page.version)
        self._version = page.version
        self._stream.read()

    async def _watch(self) -> None:
        silent = True
        async for event in self._source.events(self._version):
            silent = False
            self._stream.heard()
            self._take(event["type"], event["object"])
            self._stream.went_on()
        if silent:
            # A server or proxy that hangs up at once must not be asked again in a tight loop.
            raise StreamError("the stream ended without a word")

    def _take(self, kind: str, document: dict[str, Any]) -> None:
        if kind == "ERROR":
            if document.get("code") == 410:
                raise GoneError("the version is too old")
            seconds = (document.get("details") or {}).get("retryAfterSeconds") or 0
            raise StreamError(f"the watch failed: {document.get('message')}", float(seconds))
        version = document["metadata"]["resourceVersion"]
        if self._stream.told(version):
            raise GoneError(f"revision {version} is lower than one before")
        if kind in ("ADDED", "MODIFIED"):
            self._sink.found(document)
        elif kind == "DELETED":
            self._sink.gone(document)
        self._version = version
