import asyncio

import aiohttp

from vendorsync_operator import main
from vendorsync_operator.cluster.transport import SILENCE_SECONDS
from vendorsync_operator.health import (
    DENIAL_LIMIT,
    OUTAGE_LIMIT,
    SILENCE_LIMIT,
    STALL_LIMIT,
    Health,
    serve,
)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def leading():
    return "leading"


def moves():
    return 0.0


def test_a_stream_that_falls_silent_is_a_fault_until_it_is_heard_again():
    clock = Clock()
    health = Health(clock)
    pulse = health.expect("jobs in all namespaces")

    clock.now += SILENCE_LIMIT + 1
    assert health.faults() == ["nothing heard of jobs in all namespaces for 81 s"]

    pulse.heard()
    assert health.faults() == []


def test_a_stream_that_is_cut_when_silent_is_tried_again_before_it_is_a_fault():
    assert SILENCE_SECONDS < SILENCE_LIMIT <= 90 - main._CHECK_SECONDS


def test_a_server_that_is_away_is_trouble_and_no_fault_for_a_quarter_of_an_hour():
    clock = Clock()
    health = Health(clock)
    pulse = health.expect("jobs")
    health.started(moves, leading)

    clock.now += OUTAGE_LIMIT
    pulse.failed("connection refused")
    assert health.faults() == []
    assert health.summary == "ok, leading\njobs: connection refused"

    clock.now += 1
    assert health.faults() == ["no answer for jobs for 901 s: connection refused"]


def test_what_is_denied_for_half_a_minute_is_a_fault_unless_it_is_granted_meanwhile():
    clock = Clock()
    health = Health(clock)
    pulse = health.expect("jobs")
    pulse.denied("HTTP 403: no")
    clock.now += DENIAL_LIMIT
    pulse.denied("HTTP 403: no")
    assert health.faults() == []

    clock.now += 1
    assert health.faults() == ["the API server denies jobs: HTTP 403: no"]

    pulse.heard()
    pulse.denied("HTTP 403: no")
    assert health.faults() == []


def of_namespaces(clock, *namespaces):
    """Return a health that expects a stream of each namespace."""
    health = Health(clock)
    return health, [health.expect(f"jobs in {name}", name) for name in namespaces]


def test_a_namespace_that_is_denied_is_trouble_that_names_it_and_no_fault():
    clock = Clock()
    health, (_, gone) = of_namespaces(clock, "team-a", "team-b")
    health.started(moves, leading)

    lasts = gone.denied("HTTP 403: no")
    clock.now += OUTAGE_LIMIT + DENIAL_LIMIT
    lasts_by_now = gone.denied("HTTP 403: no")
    health.expect("jobs in team-a", "team-a").heard()

    assert (lasts, lasts_by_now) == (False, True)
    assert health.faults() == []
    assert health.summary == "ok, leading\njobs in team-b: HTTP 403: no"


def test_a_namespace_that_nobody_asks_for_is_a_fault_all_the_same():
    clock = Clock()
    health, (pulse,) = of_namespaces(clock, "team-a")
    health.started(moves, leading)
    pulse.denied("HTTP 403: no")

    clock.now += SILENCE_LIMIT + 1

    assert health.faults() == ["nothing heard of jobs in team-a for 81 s"]


def test_who_is_denied_every_namespace_from_the_start_can_serve_nobody():
    clock = Clock()
    health, pulses = of_namespaces(clock, "team-a", "team-b")
    for pulse in pulses:
        pulse.denied("HTTP 403: no")
    clock.now += DENIAL_LIMIT + 1
    faults = health.faults()

    health.started(moves, leading)

    assert faults == [
        "the API server denies jobs in team-a: HTTP 403: no",
        "the API server denies jobs in team-b: HTTP 403: no",
    ]
    assert health.faults() == []


def test_who_is_denied_some_namespaces_from_the_start_waits_for_the_others():
    clock = Clock()
    health, (gone, slow) = of_namespaces(clock, "team-a", "team-b")
    gone.denied("HTTP 403: no")
    clock.now += DENIAL_LIMIT + 1
    slow.heard()

    assert health.faults() == []


def test_an_answer_ends_the_trouble():
    health = Health(Clock())
    pulse = health.expect("jobs")
    pulse.failed("connection refused")
    pulse.heard()
    health.started(moves, leading)

    assert health.summary == "ok, leading"


def test_a_lease_that_is_not_asked_for_is_a_fault():
    """A leader that cannot renew, and a standby that cannot read, at least try."""
    clock = Clock()
    health = Health(clock)
    health.expect("Lease vendorsync/operator")

    clock.now += SILENCE_LIMIT + 1

    assert health.faults() == ["nothing heard of Lease vendorsync/operator for 81 s"]


def test_a_queue_that_stands_still_is_a_fault():
    health = Health(Clock())
    health.started(lambda: STALL_LIMIT + 1, leading)

    assert health.faults() == ["reconciling has stood still for 601 s"]


def test_started_means_that_the_first_lists_are_read():
    health = Health(Clock())
    assert not health.is_started

    health.started(moves, leading)

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
            healthy = await ask(port, "/healthz")
            health.started(moves, leading)
            leads = await ask(port, "/healthz")
            clock.now += SILENCE_LIMIT + 1
            return (
                starting,
                healthy,
                leads,
                await ask(port, "/startupz"),
                await ask(port, "/healthz"),
            )
        finally:
            await runner.cleanup()

    starting, healthy, leads, started, sick = asyncio.run(scenario())

    assert starting == (503, "the first lists are not read yet")
    assert started == (200, "ok")
    assert healthy == (200, "ok, starting")
    assert leads == (200, "ok, leading")
    assert sick == (503, "nothing heard of jobs for 81 s")
