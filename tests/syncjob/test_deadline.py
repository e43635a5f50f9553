import math
import os
import signal
import threading

import pytest

from vendorsync_job.deadline import Stop, Watchdog, pages_deadline
from vendorsync_job.errors import DeadlineExceededError, InterruptedRunError

pytestmark = pytest.mark.fault("K1")


@pytest.fixture
def stop():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    made = Stop()
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_breaks_a_wait_off_at_once(stop):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(InterruptedRunError, match="asked to stop by SIGTERM"), stop.armed():
        threading.Event().wait(30)


def test_a_shield_keeps_the_signal_away_until_the_next_question(stop):
    with stop.armed(), stop.shield():
        signal.raise_signal(signal.SIGTERM)
        reached = True

    assert reached
    with pytest.raises(InterruptedRunError):
        stop.check()


def test_a_second_signal_ends_the_process_with_a_report(stop):
    ended: list[Exception] = []
    stop.emergency = ended.append

    signal.raise_signal(signal.SIGTERM)
    assert ended == []
    signal.raise_signal(signal.SIGTERM)

    assert isinstance(ended[0], InterruptedRunError)


def test_a_signal_before_the_run_is_obeyed_when_it_starts(stop):
    signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedRunError), stop.armed():
        pytest.fail("the run must not start")


def test_cleaning_up_is_not_broken_off(stop):
    with pytest.raises(InterruptedRunError), stop.armed():
        signal.raise_signal(signal.SIGTERM)
    stop.kick()

    stop.sleep(0)


def test_a_sleep_ends_with_the_wish_to_stop_and_raises_where_waits_may_be_broken_off(stop):
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(InterruptedRunError), stop.armed(), stop.shield():
        stop.sleep(30)

    stop.sleep(30)


def watchdog(stop, seconds, ended, cancelled=None):
    ticks = iter(range(0, 10_000, 2))
    return Watchdog(
        stop,
        seconds=seconds,
        cancel=cancelled or (lambda: None),
        emergency=ended,
        clock=lambda: float(next(ticks)),
        kick=0.001,
    )


@pytest.mark.fault("K2")
def test_the_deadline_breaks_a_wait_off(stop):
    hurried = watchdog(stop, 4, lambda _: None)

    with pytest.raises(DeadlineExceededError, match="4 seconds"), hurried, stop.armed():
        threading.Event().wait(30)


@pytest.mark.fault("V11")
def test_who_does_not_obey_is_cancelled_and_then_ended(stop):
    cancelled, ended = threading.Event(), threading.Event()

    # The shield is the last to go: a kick between it and the arming would raise here.
    with stop.shield(), stop.armed(), watchdog(stop, 4, lambda _: ended.set(), cancelled.set):
        assert cancelled.wait(30)
        assert ended.wait(30)


def test_a_run_that_ends_in_time_leaves_nothing_behind(stop):
    never = pytest.fail
    with Watchdog(stop, seconds=600, cancel=never, emergency=lambda _: never()) as watching:
        pass

    watching._thread.join(5)
    assert not watching._thread.is_alive()
    assert stop.error is None


@pytest.mark.parametrize(
    ("seconds", "reserve"), [(600, 30), (300, 30), (100, 10), (3, 0.3), (0, 0), (-5, 0)]
)
def test_the_pages_end_before_the_run(seconds, reserve):
    assert pages_deadline(1000.0 + seconds, 1000.0) == 1000.0 + seconds - reserve


def test_a_run_without_an_end_has_pages_without_an_end():
    assert pages_deadline(math.inf, 1000.0) == math.inf
