"""Whether the operator does its work: every stream is heard of and no key waits for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_LIMIT = 300.0
"""Seconds without a word of a stream; a healthy one has a bookmark every minute."""
WAIT_LIMIT = 300.0
"""Seconds that a key may wait for a worker, or occupy one."""


class Health:
    """Hears of each stream and answers what is wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._oldest: Callable[[], float] | None = None

    def expect(self, stream: str) -> Callable[[], None]:
        """Start to expect word of a stream; call what is returned for each."""

        def heard() -> None:
            self._heard[stream] = self._clock()

        heard()
        return heard

    def started(self, oldest: Callable[[], float]) -> None:
        """Note that the first lists are read; `oldest` gives the age of the oldest key."""
        self._oldest = oldest

    @property
    def is_started(self) -> bool:
        """Whether the first lists are read."""
        return self._oldest is not None

    def faults(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        now = self._clock()
        found = [
            f"nothing heard of {stream} for {now - heard:.0f} s"
            for stream, heard in sorted(self._heard.items())
            if now - heard > SILENCE_LIMIT
        ]
        waiting = self._oldest() if self._oldest else 0.0
        if waiting > WAIT_LIMIT:
            found.append(f"a resource has been waiting for {waiting:.0f} s")
        return found


async def serve(health: Health, port: int) -> web.AppRunner:
    """Answer /healthz (liveness) and /startupz on a port; clean up the runner to stop."""

    async def healthz(_: web.Request) -> web.Response:
        faults = health.faults()
        return web.Response(status=503 if faults else 200, text="\n".join(faults) or "ok")

    async def startupz(_: web.Request) -> web.Response:
        if health.is_started:
            return web.Response(text="ok")
        return web.Response(status=503, text="the first lists are not read yet")

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/startupz", startupz)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
