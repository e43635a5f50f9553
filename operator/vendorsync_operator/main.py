"""Wires the operator: one process, one event loop, kopf embedded in it.

Start: the first lists, then the workers, so that nothing is decided on half a picture. Stop, on
SIGTERM: the streams, then the workers, then kopf, then the connections.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import kopf

from vendorsync_api.policy import load_policy
from vendorsync_api.v1alpha1 import PLURAL
from vendorsync_operator import handlers, health
from vendorsync_operator.cache import Cache
from vendorsync_operator.cluster import Api, ApiServerCluster, sources
from vendorsync_operator.events import Recorder
from vendorsync_operator.queue import Queue
from vendorsync_operator.reconcile import Reconciler
from vendorsync_operator.watch import Follower, sweep_hourly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vendorsync_operator.cache import Key
    from vendorsync_operator.reconcile import Cluster
    from vendorsync_operator.settings import Settings

logger = logging.getLogger(__name__)

_CHUNK_SIZE = 500
_DRAIN_SECONDS = 10.0


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
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 30
    settings.queueing.idle_timeout = 1
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _Backoffs()
    settings.networking.enforce_retry_after = True
    return settings


async def run(settings: Settings) -> None:
    """Run the operator until it is told to stop; an error of any part ends it."""
    async with AsyncExitStack() as stack:
        watchdog = health.Health(time.monotonic)
        server = await health.serve(watchdog, settings.health_port)
        stack.push_async_callback(server.cleanup)
        api = await Api.from_environment()
        stack.push_async_callback(api.close)
        await _Operator(settings, api, watchdog).run()


class _Operator:
    """The parts of a running operator."""

    def __init__(self, settings: Settings, api: Api, watchdog: health.Health) -> None:
        self._settings = settings
        self._watchdog = watchdog
        self._api = api
        self._cache = Cache(self._changed)
        cluster: Cluster = ApiServerCluster(api)
        reconciler = Reconciler(
            self._cache,
            cluster,
            settings=settings,
            policies=load_policy,
            recorder=Recorder(socket.gethostname()),
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
        )
        self._queue: Queue[Key] = Queue(
            reconciler.reconcile, clock=time.monotonic, random=random.random
        )
        self._followers = list(self._follow())

    def _changed(self, key: Key) -> None:
        self._queue.add(key)

    def _follow(self) -> Iterator[Follower]:
        for plural, store in (("cronjobs", self._cache.cron_jobs), ("jobs", self._cache.jobs)):
            for source in sources(self._api, plural, self._settings.namespaces):
                yield Follower(
                    source,
                    store,
                    heard=self._watchdog.expect(source.name),
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
        sweeper = asyncio.create_task(self._sweep_resources(), name="sweeper")
        workers = asyncio.create_task(self._work(), name="workers")
        stop = asyncio.create_task(asked.wait(), name="stop")
        try:
            done, _ = await asyncio.wait(
                (*streams, framework, sweeper, workers, stop), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            logger.info("stopping")
        finally:
            for part in ([*streams, sweeper], [workers], [stop], [framework]):
                await _stop(part)

    async def _work(self) -> None:
        for follower in self._followers:
            await follower.listed.wait()
        await self._list_resources()
        self._watchdog.started(self._queue.age)
        logger.info(
            "started",
            extra={
                "resources": len(self._cache.resources),
                "cron_jobs": len(self._cache.cron_jobs),
                "jobs": len(self._cache.jobs),
            },
        )
        await self._queue.work(self._settings.workers)

    async def _list_resources(self) -> None:
        """Read all resources once; who is the older of two must not hang on the order of events."""
        for source in sources(self._api, PLURAL, self._settings.namespaces):
            page = await source.page("")
            while True:
                for document in page.items:
                    self._cache.resources.found(document)
                if not page.next_page:
                    break
                page = await source.page(page.next_page)

    async def _sweep_resources(self) -> None:
        """Drop resources whose deletion kopf missed: after a gap it tells only what exists."""
        await sweep_hourly(
            sources(self._api, PLURAL, self._settings.namespaces),
            self._cache.resources,
            sleep=asyncio.sleep,
            random=random.random,
        )

    async def _watch_resources(self, asked: asyncio.Event) -> asyncio.Task[None]:
        """Start kopf; `asked` is set by the signals that kopf would stop at by itself."""
        namespaces = self._settings.namespaces
        tasks = await kopf.spawn_tasks(
            registry=handlers.registry(self._cache.resources),
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


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for them, not for ever; what they raise was told already."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)
