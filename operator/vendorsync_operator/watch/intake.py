"""What passes between kopf and the API server: lists fill the store, watches prove that they live.

kopf tells its handlers of objects one by one, and neither where a list ends nor that a quiet watch
lives. Here is the session that it sends its requests through: the pages of a list go into the store
as they come, the end of a list sweeps what it did not contain, and each chunk of a watch is a sign
of life. kopf itself gets the pages without their objects, since it would start a task for each.

kopf opens a watch again at the version that it knows, for ever, and ends at some answers. The one
sign at which it lists again is an event of the kind ERROR with the code 410. So it is given that
sign whenever only a list helps: after a watch that was silent for too long, at any other error
event, at an answer 410, when its namespace was refused for long, and when the API server went back
in time.

Only public parts of aiohttp are used: a middleware and a class of responses. Of kopf it is assumed
that it reads a list by `json()` and a watch by `content.iter_chunked()`, and that it lists anew
when an answer breaks off; a kopf that does otherwise never starts, since no list ends.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol, cast

import aiohttp

from vendorsync_operator.watch.follow import DENIALS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping

    from vendorsync_operator.watch.follow import Sink, Stream

_GONE = 410
_TIMED_OUT = 408
_LIST_AGAIN = (
    json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": _GONE}}).encode() + b"\n"
)


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

    def __init__(self, sink: Sink, stream: Stream) -> None:
        self._sink = sink
        self._stream = stream
        self._names: list[tuple[str, str]] = []
        self._is_outdated = False
        """Whether kopf has to list before it watches on."""
        self._watch: aiohttp.ClientResponse | None = None

    def relist(self, why: str) -> None:
        """Have kopf list again at once, since the server went back in time."""
        self._is_outdated = True
        self._stream.doubt(why)
        if self._watch is not None:
            self._watch.close()

    def page(self, document: dict[str, Any], *, first: bool) -> dict[str, Any]:
        """Take a page of a list, the first or a further one; return it without its objects."""
        metadata = document.get("metadata", {})
        revision = metadata.get("resourceVersion", "")
        if first:
            self._names = []
            self._is_outdated = False
            self._stream.begin(revision, self._sink)
        for item in document.get("items") or ():
            # The items of a list do not say their kind; nothing here reads it.
            self._sink.listed(item, revision)
            self._names.append((item["metadata"]["namespace"], item["metadata"]["name"]))
        if not metadata.get("continue"):
            self._sink.sweep(self._names, self._stream.namespace, revision)
            self._names = []
            if not self._is_outdated:
                self._stream.read()
        return document | {"items": []}

    def failed(self, why: str) -> None:
        """Take note of an attempt that failed."""
        self._stream.failed(why)

    def denied(self, why: str) -> None:
        """Take note of a refusal; after a long one much may have changed."""
        if self._stream.denied(why):
            self._is_outdated = True

    def hear(self, response: aiohttp.ClientResponse) -> None:
        """Take a good answer as a sign of life, and that of a watch with each chunk that comes."""
        self._stream.heard()
        if _is_watch(response):
            self._watch = response
            self._pass_through(response)

    async def renew(self, response: aiohttp.ClientResponse) -> None:
        """Have kopf list anew after an answer 410, which says that its version or page is gone."""
        response.release()
        await self.interrupted("HTTP 410: the version or page asked for is gone")
        if not _is_watch(response):
            raise aiohttp.ClientPayloadError("the page asked for is gone")
        self._is_outdated = True
        response.status = 200
        self._pass_through(response)

    def _pass_through(self, response: aiohttp.ClientResponse) -> None:
        response.content = cast("aiohttp.StreamReader", _Body(response.content, self._lines))

    async def _lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the whole lines of a watch, up to where kopf has to list again."""
        if not self._is_outdated:
            why, least = "the stream ended without a word", 0.0
            try:
                async for lines in _whole(chunks):
                    self._stream.heard()
                    why, least = self._fault(lines)
                    if why:
                        self._is_outdated = True
                        break
                    self._stream.went_on()
                    yield lines
            except asyncio.CancelledError:
                # kopf gives up a watch that is silent. The server may be behind the version that it
                # was asked for, and would be silent for ever.
                self._is_outdated = True
                raise
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                # A stream that we closed ourselves is to go on at once.
                why = "" if self._is_outdated else f"{type(error).__name__}: {error}"
            if why:
                # kopf would open the watch again without a pause.
                await self.interrupted(why, least)
        if self._is_outdated:
            yield _LIST_AGAIN

    async def interrupted(self, why: str, least: float = 0.0) -> None:
        """Take note of an attempt that failed, and wait a little."""
        self._stream.failed(why)
        await self._stream.rest(why, least)

    def _fault(self, lines: bytes) -> tuple[str, float]:
        """Return why kopf cannot go on with these lines, and the seconds that the server asks for.

        The reason is empty if it can.
        """
        for line in lines.splitlines():
            try:
                event = json.loads(line)
                kind, found = event["type"], event["object"]
                if kind == "ERROR":
                    seconds = (found.get("details") or {}).get("retryAfterSeconds") or 0
                    return f"the watch failed: HTTP {found['code']}: {found['message']}", seconds
                version = found["metadata"]["resourceVersion"]
            except (ValueError, KeyError, TypeError) as error:
                return f"the answer is no stream of events: {error!r}", 0.0
            if self._stream.told(version):
                return f"revision {version} is lower than one before", 0.0
        return "", 0.0


def _is_watch(response: aiohttp.ClientResponse) -> bool:
    return "watch" in response.url.query


async def _whole(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes up to the last line's end; half a line at the end of all is no event."""
    rest = b""
    async for chunk in chunks:
        lines, end, rest = (rest + chunk).rpartition(b"\n")
        if end:
            yield lines + end


class _Body:
    """The body of a watch; what is read of it passes the intake first."""

    def __init__(
        self,
        content: aiohttp.StreamReader,
        lines: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
    ) -> None:
        self._content = content
        self._lines = lines

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield the chunks as they come, each of whole lines."""
        async for lines in self._lines(self._content.iter_chunked(size)):
            yield lines


def session(
    intakes: Mapping[str, Intake],
    credentials: Credentials,
    *,
    user_agent: str,
    connector: aiohttp.BaseConnector,
    proxy: str | None = None,
) -> aiohttp.ClientSession:
    """Return a session for kopf; the intakes are found by the path of their list."""
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent},
        response_class=_response(intakes),
        middlewares=(_middleware(intakes, credentials),),
        proxy=proxy,
    )


def _response(intakes: Mapping[str, Intake]) -> type[aiohttp.ClientResponse]:
    """Return the class of responses whose lists pass their intake first."""

    class Response(aiohttp.ClientResponse):
        async def json(self, **options: Any) -> Any:  # noqa: ANN401 - as aiohttp has it
            intake = intakes.get(self.url.path)
            if intake is None or self.status != 200:
                return await super().json(**options)
            try:
                document = await super().json(**options)
            except (aiohttp.ContentTypeError, ValueError) as error:
                await intake.interrupted(f"the answer is no list: {error}")
                raise aiohttp.ClientPayloadError("the answer is no list") from error
            return intake.page(document, first="continue" not in self.url.query)

    return Response


def _middleware(
    intakes: Mapping[str, Intake], credentials: Credentials
) -> aiohttp.ClientMiddlewareType:
    """Return what authenticates requests, and tells the intakes how they went."""

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
        if intake is not None and response.status == _GONE:
            await intake.renew(response)
            return response
        await _judge(response, concerned)
        if intake is not None and response.ok:
            intake.hear(response)
        return response

    return middleware


def _failed(intakes: Iterable[Intake], why: str) -> None:
    for intake in intakes:
        intake.failed(why)


async def _judge(response: aiohttp.ClientResponse, intakes: Iterable[Intake]) -> None:
    """Tell of an answer that is no success; raise RequestDeniedError if it is a refusal."""
    if response.status in DENIALS:
        why = f"HTTP {response.status}: {(await response.text())[:300]}"
        response.release()
        for intake in intakes:
            intake.denied(why)
        raise RequestDeniedError(why)
    if not response.ok:
        _failed(intakes, f"HTTP {response.status}")
    if response.status == _TIMED_OUT:
        response.release()
        raise aiohttp.ClientConnectionError("HTTP 408")
