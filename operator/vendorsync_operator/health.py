"""Whether the operator does its work: every stream is tended and the queue moves.

The probes are answered by the loop that does the work, so a loop that is blocked fails them, too.
A namespace that cannot be read is told, and no fault: the others are served, and it may come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_LIMIT = 80.0
"""Seconds in which a stream is heard of, or tried again; one that is silent for 70 s is cut."""
OUTAGE_LIMIT = 900.0
"""Seconds in which every attempt may fail: no restart mends a server that is away, but beyond this
the fault may be ours."""
DENIAL_LIMIT = 30.0
"""Seconds in which the server may refuse us what we need: one that starts knows no roles yet."""
STALL_LIMIT = 600.0
"""Seconds that one key may occupy a worker, or that keys may wait while none is finished."""

CLOSE_SECONDS = 2.0
"""How long a probe that is being answered may hold up the end of the process."""


class Heartbeat:
    """When one stream, or the Lease, was last heard of, and last tried without success.

    A stream of one namespace among those that are watched by name can be done without.
    """

    def __init__(self, name: str, clock: Callable[[], float], namespace: str | None = None) -> None:
        self.namespace = namespace
        self._name = name
        self._clock = clock
        self._heard = self._tried = clock()
        self._denied: float | None = None
        self._why = ""

    def heard(self) -> None:
        """Take note of an answer or an event."""
        self._heard = self._tried = self._clock()
        self._denied = None
        self._why = ""

    def failed(self, why: str) -> None:
        """Take note of an attempt that failed; somebody at least tries."""
        self._tried = self._clock()
        self._denied = None
        self._why = why

    def denied(self, why: str) -> bool:
        """Take note of an attempt that the server refused to us; tell whether that lasts."""
        self._tried = self._clock()
        self._denied = self._tried if self._denied is None else self._denied
        self._why = why
        return bool(self.refusal)

    @property
    def fault(self) -> str:
        """What is wrong, in one sentence; empty if nothing is."""
        now = self._clock()
        if now - self._tried > SILENCE_LIMIT:
            return f"nothing heard of {self._name} for {now - self._heard:.0f} s"
        if self.namespace is not None:
            return ""
        if now - self._heard > OUTAGE_LIMIT:
            return f"no answer for {self._name} for {now - self._heard:.0f} s: {self._why}"
        return self.refusal

    @property
    def refusal(self) -> str:
        """What the server has refused for long, in one sentence; empty if it has not."""
        if self._denied is None or self._clock() - self._denied <= DENIAL_LIMIT:
            return ""
        return f"the API server denies {self._name}: {self._why}"

    @property
    def trouble(self) -> str:
        """What keeps it from being heard at the moment; empty if nothing does."""
        return f"{self._name}: {self._why}" if self._why else ""


class Health:
    """Hears of each stream and answers what is wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pulses: dict[str, Heartbeat] = {}
        self._stalled: Callable[[], float] | None = None
        self._role: Callable[[], str] | None = None

    def expect(self, name: str, namespace: str | None = None) -> Heartbeat:
        """Start to expect word of a stream, of one namespace or of all."""
        return self._pulses.setdefault(name, Heartbeat(name, self._clock, namespace))

    def started(self, stalled: Callable[[], float], role: Callable[[], str]) -> None:
        """Note that the first lists are read, of one namespace at least.

        `stalled` tells for how many seconds the queue has stood still, `role` what this operator
        is, in words.
        """
        self._stalled, self._role = stalled, role

    @property
    def is_started(self) -> bool:
        """Whether the first lists are read."""
        return self._stalled is not None

    @property
    def summary(self) -> str:
        """What this operator is, and what troubles it without being its fault, a line each."""
        troubles = sorted(pulse.trouble for pulse in self._pulses.values() if pulse.trouble)
        return "\n".join([f"ok, {self._role() if self._role else 'starting'}", *troubles])

    def faults(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        found = [pulse.fault for _, pulse in sorted(self._pulses.items()) if pulse.fault]
        if not self.is_started:
            found += self._refusals_of_all()
        stalled = self._stalled() if self._stalled else 0.0
        if stalled > STALL_LIMIT:
            found.append(f"reconciling has stood still for {stalled:.0f} s")
        return found

    def _refusals_of_all(self) -> list[str]:
        """Return what is refused in the namespaces if that leaves none to begin with."""
        pulses = [pulse for _, pulse in sorted(self._pulses.items()) if pulse.namespace is not None]
        refused = {pulse.namespace for pulse in pulses if pulse.refusal}
        if {pulse.namespace for pulse in pulses} != refused:
            return []
        return [pulse.refusal for pulse in pulses if pulse.refusal]


async def serve(health: Health, port: int) -> web.AppRunner:
    """Answer /healthz (liveness) and /startupz on a port; clean up the runner to stop."""

    async def healthz(_: web.Request) -> web.Response:
        faults = health.faults()
        text = "\n".join(faults) if faults else health.summary
        return web.Response(status=503 if faults else 200, text=text)

    async def startupz(_: web.Request) -> web.Response:
        if health.is_started:
            return web.Response(text="ok")
        return web.Response(status=503, text="the first lists are not read yet")

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/startupz", startupz)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
