"""A request that passes through the proxy, and the stream that a watch is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from dev.plane.call import Call

_OF_ONE_CONNECTION: Final = frozenset(
    {"connection", "host", "content-length", "transfer-encoding", "keep-alive", "date"}
)


class CutError(ConnectionError):
    """The exchange ended without a proper answer, as its fault wants it."""


class Upstream(Protocol):
    """What an exchange asks of the proxy that it passes through."""

    def ask(self, call: Call, headers: Mapping[str, str]) -> aiohttp.client._RequestContextManager:
        """Send a call to the server."""

    def listen(self, call: Call) -> AbstractContextManager[Stream]:
        """Know of an open stream while it is served."""


class Exchange:
    """One request and the connection that waits for its answer."""

    def __init__(self, call: Call, request: web.Request, proxy: Upstream) -> None:
        self.call = call
        self._request = request
        self._proxy = proxy

    async def forward(self, *, keep: Callable[[bytes], bool] = bool) -> web.StreamResponse:
        """Pass the request and its answer on; of a stream, the lines that are to be kept."""
        async with self._proxy.ask(self.call, self._request.headers) as answer:
            self.call.status = answer.status
            if self.call.is_watch and answer.status == 200:
                return await self._stream(answer, keep)
            body = await answer.read()
            return web.Response(status=answer.status, body=body, headers=_passed(answer.headers))

    async def deliver(self) -> None:
        """Pass the request on, and keep the answer from the client."""
        async with self._proxy.ask(self.call, self._request.headers) as answer:
            self.call.status = answer.status
            await answer.read()

    async def forward_part(self, share: float) -> web.StreamResponse:
        """Pass on a share of the answer's body, then break the connection."""
        async with self._proxy.ask(self.call, self._request.headers) as answer:
            self.call.status = answer.status
            body = await answer.read()
            passed = _passed(answer.headers) | {"Content-Length": str(len(body))}
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(self._request)
            await response.write(body[: int(len(body) * share)])
            # What was written has to leave this process before the connection breaks.
            await asyncio.sleep(0.05)
            raise CutError

    def answer(
        self, status: int, message: str = "a fault of the test", **headers: str
    ) -> web.Response:
        """Answer in the server's place, with an API status."""
        document = api_status(status, message)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(document, status=status, headers=named)

    async def _stream(
        self, answer: aiohttp.ClientResponse, keep: Callable[[bytes], bool]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers=_passed(answer.headers))
        await response.prepare(self._request)
        with self._proxy.listen(self.call) as stream:
            reader = asyncio.create_task(stream.read(answer))
            try:
                while (line := await stream.next()) is not None:
                    if keep(line):
                        await response.write(line)
            finally:
                reader.cancel()
        await response.write_eof()
        return response


Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]
"""What happens to an exchange in place of being forwarded."""
BREAK: Final = b"\0"
"""Stands among a stream's lines for the end of its connection."""


class Stream:
    """An open watch: the server's lines, and those that a test puts between them."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read(self, answer: aiohttp.ClientResponse) -> None:
        """Take the server's lines until it ends them."""
        try:
            async for line in answer.content:
                self.lines.put_nowait(line)
            self.lines.put_nowait(None)
        except (aiohttp.ClientError, OSError):
            self.lines.put_nowait(BREAK)

    async def next(self) -> bytes | None:
        """Return the next line, None at the end."""
        line = await self.lines.get()
        await self.flowing.wait()
        if line == BREAK:
            raise CutError
        return line


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: v for name, v in headers.items() if name.lower() not in _OF_ONE_CONNECTION}


def api_status(code: int, message: str) -> dict[str, Any]:
    """Return an error as the API server words it."""
    reasons = {410: "Expired", 429: "TooManyRequests", 500: "InternalError"}
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reasons.get(code, "ServiceUnavailable"),
        "code": code,
    }
