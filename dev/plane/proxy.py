"""A proxy before the API server that misbehaves on demand, for tests of the operator.

It speaks plain http on 127.0.0.1 and passes requests on over TLS with the caller's own token, so
the server sees the operator's user. Watches pass line by line. What it does to a request is a
`Fault`: a coroutine over an `Exchange`; without one the exchange is forwarded as it is.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from pathlib import Path

HOST: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 30.0
LINE_BYTES: Final = 8 * 1024 * 1024
"""The longest event of a watch; the API server's objects end at about 1.5 MiB."""
_OF_ONE_CONNECTION: Final = frozenset(
    {"connection", "host", "content-length", "transfer-encoding", "keep-alive", "date"}
)
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """One request; `status` is the server's answer, 0 while or if there is none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return self.method in _VERBS

    @property
    def is_watch(self) -> bool:
        """Whether its answer is a stream of events."""
        return self.query.get("watch") in ("true", "1")

    @property
    def verb(self) -> str:
        """The verb as in a role; `list` for every read that is no watch and names no object."""
        if self.is_watch:
            return "watch"
        return _VERBS.get(self.method) or ("get" if self._parts[1] else "list")

    @property
    def resource(self) -> str:
        """The resource as in a role, such as `cronjobs` or `vendorsyncs/status`."""
        return self._parts[0]

    @property
    def name(self) -> str:
        """The object's name, empty for a collection."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        words = self.path.strip("/").split("/")
        words = words[2:] if words[0] == "api" else words[3:]
        if words[:1] == ["namespaces"] and len(words) > 2:
            words = words[2:]
        plural, name, subresource = (*words, "", "", "")[:3]
        return (f"{plural}/{subresource}" if subresource else plural), name


Filter = Callable[[Call], bool]
"""Chooses the calls that a fault hits."""


def every(_: Call) -> bool:
    """Choose every call."""
    return True


def writes(call: Call) -> bool:
    """Choose what changes the cluster, the operator's own lease apart."""
    return call.is_write and call.resource != "leases"


def watches(call: Call) -> bool:
    """Choose streams."""
    return call.is_watch


def lists(call: Call) -> bool:
    """Choose lists of objects, not the discovery of their kinds."""
    return call.verb == "list" and bool(call.resource)


class CutError(ConnectionError):
    """The exchange ended without a proper answer, as its fault wants it."""


class Exchange:
    """One request and the connection that waits for its answer."""

    def __init__(self, call: Call, request: web.Request, proxy: Proxy) -> None:
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
        document = _status(status, message)
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

_BREAK: Final = b"\0"
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
            self.lines.put_nowait(_BREAK)

    async def next(self) -> bytes | None:
        """Return the next line, None at the end."""
        line = await self.lines.get()
        await self.flowing.wait()
        if line == _BREAK:
            raise CutError
        return line


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: v for name, v in headers.items() if name.lower() not in _OF_ONE_CONNECTION}


def _status(code: int, message: str) -> dict[str, Any]:
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


# Faults


def slow(seconds: float) -> Fault:
    """Hold a request back before it is passed on."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return fault


def refusing(status: int, *, retry_after: int | None = None) -> Fault:
    """Answer with an error in the server's place; `retry_after` is in seconds."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
        return exchange.answer(status, **headers)

    return fault


async def cut(_: Exchange) -> web.StreamResponse:
    """Break the connection before the request is passed on."""
    raise CutError


async def frozen(_: Exchange) -> web.StreamResponse:
    """Take the request and never answer."""
    await asyncio.Event().wait()
    raise CutError


async def lost_reply(exchange: Exchange) -> web.StreamResponse:
    """Pass the request on, and break the connection before its answer."""
    await exchange.deliver()
    raise CutError


def cut_body(share: float) -> Fault:
    """Break the connection in the middle of the answer's body."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward_part(share)

    return fault


def without(drop: Callable[[dict[str, Any]], bool]) -> Fault:
    """Pass a watch on without the events of which `drop` is true."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward(keep=lambda line: not drop(json.loads(line)))

    return fault


def before(action: Callable[[], object]) -> Fault:
    """Do something on the arrival of a request, which then is lost."""

    async def fault(_: Exchange) -> web.StreamResponse:
        action()
        raise CutError

    return fault


def after(action: Callable[[], object]) -> Fault:
    """Do something once the server has answered a request; the answer then is lost."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        await exchange.deliver()
        action()
        raise CutError

    return fault


@dataclass(slots=True, eq=False)
class Rule:
    """A fault that is switched on; `met` counts the calls that it hit."""

    fault: Fault
    chosen: Filter
    skip: int
    times: int | None
    seen: int = 0
    met: int = 0

    def takes(self, call: Call) -> bool:
        """Tell whether it hits a call, and count it."""
        if not self.chosen(call):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.met >= self.times):
            return False
        self.met += 1
        return True


class Proxy:
    """The proxy as a context manager, in a thread of its own; the methods are for other threads."""

    def __init__(self, server: str, ca: Path) -> None:
        self.calls: list[Call] = []
        """What was asked, in order of arrival; those that a fault answered have status 0."""
        self.port = 0
        self._server = server.rstrip("/")
        self._ca = ca
        self._rules: list[Rule] = []
        self._streams: set[Stream] = set()
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="fault proxy", daemon=True)

    def __enter__(self) -> Proxy:
        """Listen on a free port."""
        self._thread.start()
        self._ready.wait(ANSWER_SECONDS)
        if self._problem is not None:
            raise RuntimeError("the fault proxy did not start") from self._problem
        return self

    def __exit__(self, *_: object) -> None:
        """Break all connections and end the thread."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(ANSWER_SECONDS)

    @property
    def url(self) -> str:
        """The address to use in place of the server's."""
        return f"http://{HOST}:{self.port}"

    def seen(self, chosen: Filter = every) -> list[Call]:
        """Return the calls so far that were passed on and are chosen."""
        return [call for call in list(self.calls) if call.status and chosen(call)]

    @contextmanager
    def fault(
        self, fault: Fault, *, on: Filter = every, skip: int = 0, times: int | None = None
    ) -> Iterator[Rule]:
        """Hold a fault for a block, on `times` of the chosen calls after the first `skip`."""
        rule = Rule(fault, on, skip, times)
        self._do(lambda: self._rules.append(rule))
        try:
            yield rule
        finally:
            self._do(lambda: self._rules.remove(rule))

    def streams(self) -> int:
        """Return how many streams are open."""
        return len(self._streams)

    def inject(self, code: int, on: Filter = watches) -> int:
        """Write an ERROR event into the open streams; return into how many."""
        event = {"type": "ERROR", "object": _status(code, "a fault of the test")}
        return self._tell(json.dumps(event).encode() + b"\n", on)

    def cut_streams(self, on: Filter = watches) -> int:
        """Break the open streams' connections; return how many."""
        return self._tell(_BREAK, on)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Hold every byte of the streams that are open now; newer ones flow."""
        held = self._do(lambda: list(self._streams))
        for stream in held:
            self._do(stream.flowing.clear)
        try:
            yield
        finally:
            for stream in held:
                self._do(stream.flowing.set)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Break all connections and refuse new ones, as without a process on the port."""
        self._await(self._close())
        try:
            yield
        finally:
            self._await(self._open())

    # In the thread

    def ask(self, call: Call, headers: Mapping[str, str]) -> aiohttp.client._RequestContextManager:
        """Send a call to the server."""
        return self._session.request(
            call.method,
            self._server + call.path,
            params=dict(call.query),
            data=call.body or None,
            headers=_passed(headers),
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        )

    @contextmanager
    def listen(self, call: Call) -> Iterator[Stream]:
        """Know of an open stream while it is served."""
        stream = Stream(call)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._problem = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(self._upstream())
            application = web.Application(client_max_size=LINE_BYTES)
            application.router.add_route("*", "/{path:.*}", self._handle)
            self._runner = web.AppRunner(
                application, access_log=None, shutdown_timeout=0, handler_cancellation=True
            )
            await self._runner.setup()
            stack.push_async_callback(self._runner.cleanup)
            await self._open()
            self._ready.set()
            await self._ended.wait()
            self._break_all()
            while self._streams:
                await asyncio.sleep(0.01)
        # TLS connections need a moment to close after those who used them.
        await asyncio.sleep(0.1)

    def _upstream(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=str(self._ca))
        # The server of a test cluster serves under its own certificate, not an authority's.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=LINE_BYTES,
            trust_env=False,
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, request.path, dict(request.query), body)
        self.calls.append(call)
        exchange = Exchange(call, request, self)
        try:
            rule = next((rule for rule in self._rules if rule.takes(call)), None)
            work = asyncio.ensure_future(rule.fault(exchange) if rule else exchange.forward())
            # A server finishes the write of a client that has gone, and ends its watch.
            return await (asyncio.shield(work) if call.is_write else work)
        except (CutError, aiohttp.ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _open(self) -> None:
        self._site = web.TCPSite(self._runner, HOST, self.port, reuse_address=True)
        await self._site.start()
        if not self.port:
            self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._site.stop()
        self._break_all()

    def _break_all(self) -> None:
        server = self._runner.server
        for connection in server.connections if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    def _tell(self, line: bytes, on: Filter) -> int:
        def tell() -> int:
            chosen = [stream for stream in self._streams if on(stream.call)]
            for stream in chosen:
                stream.lines.put_nowait(line)
            return len(chosen)

        return self._do(tell)

    def _do(self, action: Callable[[], T]) -> T:
        """Do something in the proxy's thread and return what it returns."""

        async def act() -> T:
            return action()

        return self._await(act())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)
