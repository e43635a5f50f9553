"""What passes between kopf and the API server: lists fill the store, watches prove that they live.

kopf tells its handlers of objects one by one, and neither where a list ends nor that a quiet watch
lives. Here is the session that it sends its requests through: the pages of a list go into the store
as they come, the end of a list sweeps what it did not contain, and each chunk of a watch is a sign
of life. kopf itself gets the pages without their objects, since it would start a task for each.

Only public parts of aiohttp are used: a middleware and a class of responses. Of kopf it is assumed
that it reads a list by `json()` and a watch by `content.iter_chunked()`; a kopf that does
otherwise never starts, since no list ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

import aiohttp

from vendorsync_operator.watch import DENIALS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping

    from vendorsync_operator.pulse import Pulse
    from vendorsync_operator.watch import Sink


class RequestDeniedError(aiohttp.ClientConnectionError):
    """The API server refuses a request; of a kind that kopf tries again later, whatever it asked.

    By itself it would end at some of these answers and log in again at others, without a pause.
    """


class Credentials(Protocol):
    """Where the headers that authenticate come from, read anew when they rotate."""

    async def authorize(self, headers: MutableMapping[str, str]) -> None:
        """Add them to a request's headers."""


class Intake:
    """One kind as kopf lists and watches it in one namespace, or in all."""

    def __init__(self, sink: Sink, namespace: str | None, pulse: Pulse) -> None:
        self.listed = asyncio.Event()
        """Set after the first complete list."""
        self.pulse = pulse
        self._sink = sink
        self._namespace = namespace
        self._names: list[tuple[str, str]] = []

    def page(self, document: dict[str, Any], *, first: bool) -> dict[str, Any]:
        """Take a page of a list, the first or a further one; return it without its objects."""
        if first:
            self._names = []
        for item in document.get("items") or ():
            # The items of a list do not say their kind; nothing here reads it.
            self._sink.found(item)
            self._names.append((item["metadata"]["namespace"], item["metadata"]["name"]))
        if not document.get("metadata", {}).get("continue"):
            self._sink.sweep(self._names, self._namespace)
            self._names = []
            self.listed.set()
        return document | {"items": []}

    def hear(self, response: aiohttp.ClientResponse) -> None:
        """Take an answer as a sign of life, and that of a watch with each chunk that comes."""
        self.pulse.heard()
        if "watch" in response.url.query:
            audible = _Audible(response.content, self.pulse)
            response.content = cast("aiohttp.StreamReader", audible)


class _Audible:
    """The body of a watch; each chunk that is read is a sign of life."""

    def __init__(self, content: aiohttp.StreamReader, pulse: Pulse) -> None:
        self._content = content
        self._pulse = pulse

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield the chunks as they come."""
        async for chunk in self._content.iter_chunked(size):
            self._pulse.heard()
            yield chunk


def session(
    intakes: Mapping[str, Intake],
    credentials: Credentials,
    *,
    user_agent: str,
    connector: aiohttp.BaseConnector,
    proxy: str | None = None,
) -> aiohttp.ClientSession:
    """Return a session for kopf; the intakes are found by the path of their list."""

    class Response(aiohttp.ClientResponse):
        async def json(self, **options: Any) -> Any:  # noqa: ANN401 - as aiohttp has it
            document = await super().json(**options)
            intake = intakes.get(self.url.path)
            if intake is None or self.status != 200:
                return document
            return intake.page(document, first="continue" not in self.url.query)

    async def middleware(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        await credentials.authorize(request.headers)
        intake = intakes.get(request.url.path)
        concerned = [intake] if intake else list(intakes.values())
        try:
            response = await send(request)
        except BaseException as error:
            # Also when it is cancelled: kopf gives up a request that takes too long.
            _failed(concerned, f"{type(error).__name__}: {error}")
            raise
        await _judge(response, concerned)
        if intake is not None and response.ok:
            intake.hear(response)
        return response

    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent},
        response_class=Response,
        middlewares=(middleware,),
        proxy=proxy,
    )


def _failed(intakes: Iterable[Intake], why: str) -> None:
    for intake in intakes:
        intake.pulse.failed(why)


async def _judge(response: aiohttp.ClientResponse, intakes: Iterable[Intake]) -> None:
    """Tell of an answer that is no success; raise RequestDeniedError if it is a refusal."""
    if response.status in DENIALS:
        why = f"HTTP {response.status}: {(await response.text())[:300]}"
        response.release()
        for intake in intakes:
            intake.pulse.denied(why)
        raise RequestDeniedError(why)
    if not response.ok:
        _failed(intakes, f"HTTP {response.status}")
