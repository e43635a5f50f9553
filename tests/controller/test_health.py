import asyncio

import aiohttp

from vendorsync_operator.health import SILENCE_LIMIT, WAIT_LIMIT, Health, serve


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_stream_that_falls_silent_is_a_fault_until_it_is_heard_again():
    clock = Clock()
    health = Health(clock)
    heard = health.expect("jobs in all namespaces")

    clock.now += SILENCE_LIMIT + 1
    assert health.faults() == ["nothing heard of jobs in all namespaces for 301 s"]

    heard()
    assert health.faults() == []


def test_a_key_that_waits_too_long_is_a_fault():
    health = Health(Clock())
    health.started(lambda: WAIT_LIMIT + 1)

    assert health.faults() == ["a resource has been waiting for 301 s"]


def test_started_means_that_the_first_lists_are_read():
    health = Health(Clock())
    assert not health.is_started

    health.started(lambda: 0)

    assert health.is_started


async def ask(port, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


def test_the_probes_answer_over_http():
    async def scenario():
        clock = Clock()
        health = Health(clock)
        health.expect("jobs")
        runner = await serve(health, 0)
        port = next(address[1] for address in runner.addresses if len(address) == 2)
        try:
            starting = await ask(port, "/startupz")
            health.started(lambda: 0)
            clock.now += SILENCE_LIMIT + 1
            return starting, await ask(port, "/startupz"), await ask(port, "/healthz")
        finally:
            await runner.cleanup()

    starting, started, sick = asyncio.run(scenario())

    assert starting == (503, "the first lists are not read yet")
    assert started == (200, "ok")
    assert sick == (503, "nothing heard of jobs for 301 s")
