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
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from aiohttp import web

from dev.plane.call import Call, every, watches
from dev.plane.exchange import BREAK, CutError, Exchange, Stream, api_status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

    from dev.plane.call import Filter
    from dev.plane.exchange import Fault

HOST: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 30.0
LINE_BYTES: Final = 8 * 1024 * 1024
"""The longest event of a watch; the API server's objects end at about 1.5 MiB."""
_OF_ONE_CONNECTION: Final = frozenset(
    {"connection", "host", "content-length", "transfer-encoding", "keep-alive", "date"}
)
T = TypeVar("T")


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: v for name, v in headers.items() if name.lower() not in _OF_ONE_CONNECTION}


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
        event = {"type": "ERROR", "object": api_status(code, "a fault of the test")}
        return self._tell(json.dumps(event).encode() + b"\n", on)

    def cut_streams(self, on: Filter = watches) -> int:
        """Break the open streams' connections; return how many."""
        return self._tell(BREAK, on)

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
