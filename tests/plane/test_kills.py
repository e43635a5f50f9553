"""The operator killed at every write that it makes: the next one ends where it would have.

A calm run tells the writes of a resource's life. Then each of them in turn is the moment of a kill,
once before the API server has seen it and once after it was done; the survivor of one life meets
the next resource of the same name.
"""

from functools import partial

import pytest

from dev.plane.call import lists, writes
from dev.plane.misbehaviour import after, before, frozen, slow
from dev.stack.waiting import until
from tests.plane.scene import Kept, ask, begin, edit, play, play_up_to_its_runs, revive, sweep

pytestmark = [pytest.mark.promise("P3"), pytest.mark.fault("K3"), pytest.mark.timeout(400)]

QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}


@pytest.fixture
def process(plane, between, operator):
    return operator(plane, server=between.url, env=QUICK)


@pytest.fixture
def calm(scene, between, process):
    """State, Events and number of writes of a run without a kill."""
    mark = len(between.calls)
    play(scene)
    found = scene.state(), scene.events(), sum(map(writes, between.calls[mark:]))
    sweep(scene)
    return found


@pytest.mark.parametrize("moment", [before, after])
def test_a_kill_at_any_write_leaves_no_trace(moment, calm, scene, between, process, subtests):
    state, events, count = calm
    assert count >= 10
    for number in range(count):
        mark = len(between.calls)
        with (
            subtests.test("killed at a write", number=number),
            between.fault(moment(process.kill), on=writes, skip=number, times=1) as kill,
            Kept(process, scene.api) as kept,
        ):
            play(scene)
            scene.becomes(state)
            # Status writes that follow each other closely may be one.
            assert kill.met == kept.ends == 1 or number >= count - 2
            assert_no_run_twice(between.calls[mark:])
            assert_no_event_thrice(scene.events(), events)
        sweep(scene)


def assert_no_run_twice(calls):
    made = [call.body for call in calls if call.resource == "jobs" and call.status == 201]
    assert len(made) == len(set(made)) == 2


def assert_no_event_thrice(found, calm):
    """A kill may cost an Event, since the status says the same, or tell it once more."""
    for event, times in found.items():
        assert event in calm
        assert times <= calm[event] + 1


def test_an_operator_that_lives_for_one_write_at_a_time_gets_there(calm, scene, between, process):
    """Each life makes one write and ends before it hears of it."""
    state, events, count = calm
    with (
        between.fault(after(process.kill), on=writes, times=2 * count) as kill,
        Kept(process, scene.api),
    ):
        jobs = play_up_to_its_runs(scene)
        scene.finish(*jobs)
        scene.becomes(state)

    assert kill.met < 2 * count
    assert set(scene.events()) <= set(events)


def test_results_that_came_while_nobody_looked_are_recorded(calm, scene, process):
    state, _, _ = calm
    jobs = play_up_to_its_runs(scene)
    process.kill()
    scene.finish(*jobs)
    revive(process, scene.api)

    scene.becomes(state)


def test_edits_that_came_while_nobody_looked_are_applied(calm, scene, process):
    state, _, _ = calm
    begin(scene)
    scene.applied()
    process.kill()
    edit(scene)
    ask(scene)
    revive(process, scene.api)
    jobs = scene.requested("a")
    scene.finish(*jobs)

    scene.becomes(state)


def writes_are_on_their_way(between, mark, number):
    return sum(map(writes, between.calls[mark:])) >= number


@pytest.mark.fault("K1")
def test_a_stop_in_the_middle_of_writes_ends_in_time_and_leaves_no_trace(
    calm, scene, between, process
):
    state, _, count = calm
    for number in range(0, count, 3):
        with between.fault(slow(0.5), on=writes):
            mark = len(between.calls)
            begin(scene)
            wanted = partial(writes_are_on_their_way, between, mark, 1 + number % 4)
            until(wanted, "a write on its way", every=0.01)
            assert process.stop() == 0
        process.start()
        play(scene)
        scene.becomes(state)
        sweep(scene)


@pytest.mark.fault("K1")
def test_a_stop_before_the_first_list_was_read_ends_in_time(plane, between):
    process = plane.operator(server=between.url, env=QUICK)
    with between.fault(frozen, on=lists) as rule:
        process.start()
        until(lambda: rule.met >= 2, "lists that hang", every=0.05)
        assert process.stop() == 0
