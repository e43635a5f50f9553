"""Wires the operator: one process, one event loop, kopf embedded in it.

Every operator lists and watches. The one that holds the Lease reconciles: first every resource
there is, then what changes. One that loses the Lease goes on watching and waits for its turn; it
does not end, since what costs a leader its Lease is most often an API server that is away, and a
restart would only add the kubelet's pause to that.

Nothing is decided on half a picture: a namespace is served from when its lists are read, however
the others fare. Stop, on SIGTERM: the workers, then the Lease, so that another operator takes over
at once; then the streams, kopf and the connections. A part that ends by itself, and a stream that
falls silent, end the process, which is meant to die and restart cheaply.

A restore of etcd shows in the Lease, which is asked for every two seconds: its version goes back.
Then the workers stop, every stream lists anew, and the work begins as after a start.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import signal
import socket
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import kopf

from vendorsync_api.group import PLURAL
from vendorsync_api.policy import load_policy
from vendorsync_operator import handlers, health, lease
from vendorsync_operator.cache.cache import Cache
from vendorsync_operator.cluster.leases import ApiServerLeases
from vendorsync_operator.cluster.resources import ApiServerCluster
from vendorsync_operator.cluster.streams import sources
from vendorsync_operator.cluster.transport import (
    SILENCE_SECONDS,
    WATCH_SECONDS,
    Api,
    own_namespace,
)
from vendorsync_operator.queue import Queue
from vendorsync_operator.reconcile.reconciler import Reconciler
from vendorsync_operator.status.events import Recorder
from vendorsync_operator.watch import intake
from vendorsync_operator.watch.follow import Follower, Stream
from vendorsync_operator.watch.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import aiohttp

    from vendorsync_operator.cache.live import Key
    from vendorsync_operator.cluster.streams import ApiServerSource
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

_CHUNK_SIZE = 500
_DRAIN_SECONDS = 10.0
"""How long a part may take to end that was told to; then the next one is told."""
_PARTS = 5
"""Of a stop, in their order: work, election, streams, the wait for the signal, kopf."""
STOP_SECONDS = _PARTS * _DRAIN_SECONDS + lease.Times().retry + health.CLOSE_SECONDS
"""The longest that the operator takes to stop; a pod has to be given more."""
_CHECK_SECONDS = 5.0
"""Between two looks at the health of the streams."""


class OperatorError(Exception):
    """The operator cannot do its work and ends; the text says what is wrong."""


def steady() -> float:
    """Return seconds of a clock that also counts while the machine sleeps, where there is one.

    A Lease runs out on a machine that is suspended, too.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class _Backoffs:
    """Endless waits between tries of one request of kopf, each a little different."""

    def __iter__(self) -> Iterator[float]:
        seconds = 1.0
        while True:
            yield seconds * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
            seconds = min(seconds * 2, 30)


def kopf_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: no scanning, no Events, no peers, streams that cannot hang."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.initial_streaming = False
    settings.watching.chunk_size = _CHUNK_SIZE
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 10
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.connect_timeout = 10
    settings.queueing.idle_timeout = 1
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _Backoffs()
    settings.networking.enforce_retry_after = True
    return settings


async def run(settings: Settings) -> None:
    """Run the operator until it is told to stop; an error of any part ends it."""
    pod = settings.pod or socket.gethostname()
    identity = f"{pod}_{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        watchdog = health.Health(time.monotonic)
        server = await health.serve(watchdog, settings.health_port)
        stack.push_async_callback(server.cleanup)
        agent = f"vendorsync-operator/{version('vendorsync')} ({identity})"
        api = await Api.from_environment(agent)
        stack.push_async_callback(api.close)
        await _Operator(settings, api, watchdog, pod, identity).run()


class _Operator:
    """The parts of a running operator."""

    def __init__(
        self, settings: Settings, api: Api, watchdog: health.Health, pod: str, identity: str
    ) -> None:
        self._settings = settings
        self._pod = pod
        self._watchdog = watchdog
        self._api = api
        self._cache = Cache(self._changed)
        self._picture = Picture(self._turned)
        self._queue: Queue[Key] | None = None
        """Of the time that this operator leads; a standby has none."""
        self._restored = asyncio.Event()
        self._election = self._candidacy(identity)
        self._followers = list(self._follow())
        base = urlsplit(api.server).path.rstrip("/")
        self._intakes = {
            base + source.path: intake.Intake(self._cache.resources, self._stream(source))
            for source in sources(api, PLURAL, settings.namespaces)
        }

    def _candidacy(self, identity: str) -> lease.Election:
        times = lease.Times()
        namespace = self._settings.lease_namespace or own_namespace()
        return lease.Election(
            lease.Candidate(identity, times),
            ApiServerLeases(self._api, namespace, self._settings.lease_name),
            times=times,
            pulse=self._watchdog.expect(f"Lease {namespace}/{self._settings.lease_name}"),
            clock=steady,
            now=lambda: datetime.now(UTC),
            sleep=asyncio.sleep,
            random=random.random,
            restored=self._turn_back,
        )

    def _changed(self, key: Key) -> None:
        if self._queue is not None and (
            self._picture.shows(key[0]) or self._picture.refusal(key[0])
        ):
            self._queue.add(key)

    def _turned(self, namespace: str | None) -> None:
        """Serve a namespace whose lists are read, and tell of one that is denied."""
        for live in list(self._cache.resources):
            if namespace in (None, live.key[0]):
                self._changed(live.key)

    def _turn_back(self) -> None:
        """Begin anew, since the API server went back in time: nothing that is known counts."""
        why = "the API server went back in time and is listed anew"
        for follower in self._followers:
            follower.relist(why)
        for taken in self._intakes.values():
            taken.relist(why)
        self._restored.set()

    def _stalled(self) -> float:
        return self._queue.stalled() if self._queue is not None else 0.0

    def _follow(self) -> Iterator[Follower]:
        for plural, store in (("cronjobs", self._cache.cron_jobs), ("jobs", self._cache.jobs)):
            for source in sources(self._api, plural, self._settings.namespaces):
                yield Follower(source, store, self._stream(source))

    def _stream(self, source: ApiServerSource) -> Stream:
        return Stream(
            source.name,
            source.namespace,
            pulse=self._watchdog.expect(source.name, source.namespace),
            part=self._picture.expect(source.name, source.namespace),
            sleep=asyncio.sleep,
            random=random.random,
        )

    async def run(self) -> None:
        """Run all parts until a signal asks to stop, or one of them ends."""
        asked = asyncio.Event()
        framework = await self._watch_resources(asked)
        streams = [
            asyncio.create_task(follower.follow(), name="stream") for follower in self._followers
        ]
        checks = asyncio.create_task(self._check(), name="checks")
        election = asyncio.create_task(self._election.run(), name="election")
        work = asyncio.create_task(self._work(), name="work")
        start = asyncio.create_task(self._start(), name="start")
        stop = asyncio.create_task(asked.wait(), name="stop")
        try:
            done, _ = await asyncio.wait(
                (*streams, framework, checks, election, work, stop),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done - {stop}:
                task.result()
                raise OperatorError(f"the task {task.get_name()} ended by itself")
            logger.info("stopping")
        finally:
            await _stop([checks, start, work])
            await _stop([election])
            await self._election.release()
            for part in (streams, [stop], [framework]):
                await _stop(part)

    async def _check(self) -> None:
        """Raise OperatorError for what only a restart mends; the probes say the same.

        A fault counts that was seen twice: a process that slept has to look around first.
        """
        before: list[str] = []
        while not (before and self._watchdog.faults()):
            before = self._watchdog.faults()
            await asyncio.sleep(_CHECK_SECONDS)
        raise OperatorError("; ".join(before))

    async def _start(self) -> None:
        """Tell that the first lists are read; those of some namespaces are not waited for long."""
        await self._picture.begun.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._picture.whole.wait(), health.DENIAL_LIMIT)
        self._watchdog.started(self._stalled, lambda: self._election.role)
        logger.info(
            "started",
            extra={
                "resources": len(self._cache.resources),
                "cron_jobs": len(self._cache.cron_jobs),
                "jobs": len(self._cache.jobs),
                "unserved": self._picture.unserved,
            },
        )

    async def _work(self) -> None:
        """Reconcile whenever this operator leads."""
        while True:
            await self._picture.begun.wait()
            await self._election.gained()
            await self._lead()

    async def _lead(self) -> None:
        """Reconcile until the Lease is lost or etcd restored; what is under way is cut off then."""
        self._restored.clear()
        queue = self._queue = self._workload()
        for live in list(self._cache.resources):
            self._changed(live.key)
        work = asyncio.create_task(queue.work(self._settings.workers), name="workers")
        lost = asyncio.create_task(self._election.lost(), name="lost")
        restored = asyncio.create_task(self._restored.wait(), name="restored")
        try:
            done, _ = await asyncio.wait(
                (work, lost, restored), return_when=asyncio.FIRST_COMPLETED
            )
            if work in done:
                work.result()
        finally:
            self._queue = None
            await _stop([work, lost, restored])

    def _workload(self) -> Queue[Key]:
        """Return a queue over a reconciler that remembers nothing of an earlier time.

        What waits in it is left alone while its namespace is not shown whole.
        """
        reconciler = Reconciler(
            self._cache,
            ApiServerCluster(self._api, fence=self._election.fence),
            settings=self._settings,
            policies=load_policy,
            recorder=Recorder(self._pod),
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
        )

        async def reconcile(key: Key) -> float | None:
            if self._picture.shows(key[0]):
                return await reconciler.reconcile(key)
            refusal = self._picture.refusal(key[0])
            return await reconciler.tell_denied(key, refusal) if refusal else None

        return Queue(reconcile, clock=time.monotonic, random=random.random)

    async def _watch_resources(self, asked: asyncio.Event) -> asyncio.Task[None]:
        """Start kopf; `asked` is set by the signals that kopf would stop at by itself."""
        namespaces = self._settings.namespaces
        tasks = await kopf.spawn_tasks(
            registry=handlers.registry(
                self._cache.resources, server=self._api.server, session=self._session
            ),
            settings=kopf_settings(),
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, asked.set)
        # When kopf ends it waits for every task that it does not know, so it has to know this one.
        known = {task for task in (asyncio.current_task(),) if task is not None}
        return asyncio.create_task(kopf.run_tasks(tasks, ignored=known), name="kopf")

    def _session(self) -> aiohttp.ClientSession:
        return intake.session(
            self._intakes,
            self._api,
            user_agent=self._api.user_agent,
            connector=self._api.connector(),
            proxy=self._api.proxy,
        )


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for them, not for ever; what they raise was told already."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)
