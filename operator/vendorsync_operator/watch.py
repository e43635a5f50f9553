"""List and watch one kind: the state machine, over a port.

A complete list is the truth, so what it does not contain is swept from the store; a watch goes on
from the list's version, its bookmarks move that version, and a version that the server has
forgotten leads to a new list.

A store that is fed by somebody else's watch is swept now and then: after a gap, a watch that cannot
go on tells what exists, and never what was deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

logger = logging.getLogger(__name__)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
SWEEP_SECONDS = 3600.0
"""Between two sweeps, give or take a quarter."""


class GoneError(Exception):
    """The server no longer knows the version or the page asked for; list again."""


class StreamError(Exception):
    """A list or watch broke off; trying again may help."""


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


class Holder(Protocol):
    """A store that a sweep may drop from; a key is a namespace and a name."""

    def held(self, namespace: str | None) -> set[tuple[tuple[str, str], str]]:
        """Return key and uid of each object of the namespace, or of all."""

    def drop(self, key: tuple[str, str], uid: str) -> None:
        """Drop an object that is known to be gone."""


class Follower:
    """Keeps a sink in step with a source."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        heard: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self.listed = asyncio.Event()
        """Set after the first complete list."""
        self._source = source
        self._sink = sink
        self._heard = heard
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
                await self._rest(str(error))

    async def _list(self) -> None:
        listed: list[tuple[str, str]] = []
        next_page = ""
        while True:
            page = await self._source.page(next_page)
            self._heard()
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
            self._heard()
            self._take(event["type"], event["object"])
            self._failures = 0
        if silent:
            # A server or proxy that hangs up at once must not be asked again in a tight loop.
            raise StreamError("the stream ended without a word")

    def _take(self, kind: str, document: dict[str, Any]) -> None:
        if kind == "ERROR":
            if document.get("code") == 410:
                raise GoneError
            raise StreamError(f"the watch failed: {document.get('message')}")
        if kind in ("ADDED", "MODIFIED"):
            self._sink.found(document)
        elif kind == "DELETED":
            self._sink.gone(document)
        self._version = document["metadata"]["resourceVersion"]

    async def _rest(self, why: str) -> None:
        longest = min(FIRST_BACKOFF * 2.0 ** min(self._failures, 16), LONGEST_BACKOFF)
        self._failures += 1
        delay = longest * (0.5 + self._random() / 2)
        logger.warning(
            "stream interrupted",
            extra={"stream": self._source.name, "why": why, "retry_seconds": round(delay, 1)},
        )
        await self._sleep(delay)


async def sweep(source: Source, holder: Holder) -> None:
    """Drop what is held and does not exist any more, by one list; raise as the source does.

    Only what was held before the list began can be dropped: the list is newer than all of it, and
    what comes while it is read may be missing from it.
    """
    gone = holder.held(source.namespace)
    next_page = ""
    while True:
        page = await source.page(next_page)
        for document in page.items:
            metadata = document["metadata"]
            gone.discard(((metadata["namespace"], metadata["name"]), metadata["uid"]))
        if not page.next_page:
            break
        next_page = page.next_page
    for key, uid in sorted(gone):
        logger.info("swept what no longer exists", extra={"stream": source.name, "key": key})
        holder.drop(key, uid)


async def sweep_hourly(
    sources: Iterable[Source],
    holder: Holder,
    *,
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
) -> None:
    """Sweep until cancelled; a list that fails is left to the next time.

    An hour costs one request for each source and page: for 2,000 objects of all namespaces, four.
    """
    every = tuple(sources)
    while True:
        await sleep(SWEEP_SECONDS * (0.75 + random() / 2))
        for source in every:
            try:
                await sweep(source, holder)
            except (GoneError, StreamError) as error:
                logger.warning("not swept", extra={"stream": source.name, "why": str(error)})
