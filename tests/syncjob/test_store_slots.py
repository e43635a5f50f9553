"""Places at an account and at an adapter, taken by runs of many vendors."""

from __future__ import annotations

import heapq
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.syncjob.builders import account
from vendorsync_api.vendors import SOLARMAN, SUNGROW
from vendorsync_job.errors import AccountBusyError
from vendorsync_job.store.connection import Database
from vendorsync_job.store.slots import MARGIN, Slot

pytestmark = pytest.mark.postgres
POLICY = replace(SOLARMAN, account_concurrency=1, adapter_concurrency=3)
HELD = "SELECT count(*) FROM vendorsync.slots WHERE until > now()"


class Clock:
    """Time that passes only when somebody sleeps."""

    now = 0.0

    def __init__(self):
        self.slept: list[float] = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def other(number: int):
    return account(key=number.to_bytes(32, "big"))


@pytest.fixture
def slot(app):
    opened = []

    def make(of=None, *, owner="job-1", policy=POLICY, deadline=600.0, **options):
        clock = Clock()
        database = Database(app.run_url, sleep=lambda _: None)
        opened.append(database)
        usual: dict[str, Any] = {"clock": clock, "sleep": clock.sleep, "jitter": lambda: 0.5}
        return Slot(
            database, policy, of or account(), owner=owner, deadline=deadline, **usual | options
        )

    yield make
    for database in opened:
        database.close()


def test_a_second_run_of_an_account_waits_until_the_first_is_over(app, slot):
    first = slot(owner="a")
    first.__enter__()

    def sleep(seconds):
        first.free()

    with slot(owner="b", sleep=sleep):
        assert app.value(HELD) == 1
    assert app.value(HELD) == 0


@pytest.mark.fault("V11")
def test_who_waits_in_vain_gives_up_after_half_its_time(slot):
    clock = Clock()
    busy = pytest.raises(AccountBusyError, match="another run of Solarman OpenAPI went on")

    with slot(owner="a"), busy, slot(owner="b", deadline=100.0, clock=clock, sleep=clock.sleep):
        pytest.fail("there is no place")

    assert 45 < clock.now <= 50
    assert max(clock.slept) <= 2


def test_all_accounts_of_an_adapter_share_its_places(app, slot):
    with slot(other(1)), slot(other(2)), slot(other(3)):
        with (
            pytest.raises(AccountBusyError, match="all accounts together"),
            slot(other(4), deadline=2.0),
        ):
            pytest.fail("there is no place")
        with slot(other(4), policy=SUNGROW):
            assert app.value(HELD) == 4


@pytest.mark.fault("V12")
def test_long_runs_leave_the_last_place_of_an_adapter_to_plants(app, slot):
    with slot(other(1), leaves_one=True), slot(other(2), leaves_one=True):
        with (
            pytest.raises(AccountBusyError, match="together have no more; the last place is for"),
            slot(other(3), leaves_one=True, deadline=2.0),
        ):
            pytest.fail("the last place is not for long runs")
        with slot(other(3)):
            assert app.value(HELD) == 3


def test_long_runs_may_have_the_only_place_of_an_adapter(app, slot):
    with slot(leaves_one=True, policy=replace(POLICY, adapter_concurrency=1)):
        assert app.value(HELD) == 1


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (POLICY, "the vendor lets one account have no more"),
        (
            replace(POLICY, account_concurrency=2, adapter_concurrency=1),
            "VendorSync lets all accounts together have no more",
        ),
    ],
    ids=["the vendor's", "our own"],
)
def test_who_waits_in_vain_learns_whose_limit_it_was(slot, policy, said):
    with (
        slot(owner="a", policy=policy),
        pytest.raises(AccountBusyError, match=f"half of this run's time, and {said}$"),
        slot(owner="b", policy=policy, deadline=1.0),
    ):
        pytest.fail("there is no place")


def test_a_vendor_that_allows_two_runs_of_an_account_gets_two(slot):
    policy = replace(POLICY, account_concurrency=2)
    with (
        slot(owner="a", policy=policy),
        slot(owner="b", policy=policy),
        pytest.raises(AccountBusyError, match="2 other runs"),
        slot(owner="c", policy=policy, deadline=1.0),
    ):
        pytest.fail("there is no place")


@pytest.mark.fault("K2")
def test_the_next_pod_of_a_job_takes_its_place_over_and_the_last_one_cannot_free_it(app, slot):
    dead = slot(owner="job-1")
    dead.__enter__()
    with slot(owner="job-1"):
        dead.free()
        assert app.value(HELD) == 1


@pytest.mark.fault("K2")
def test_the_place_of_a_killed_run_ends_shortly_after_its_deadline(app, slot):
    slot(owner="killed", deadline=100.0).__enter__()
    seconds = "SELECT extract(epoch FROM until - now()) FROM vendorsync.slots"
    assert 100 < app.value(seconds) <= 100 + MARGIN

    app.do("UPDATE vendorsync.slots SET until = now() - interval '1 second'")
    with slot(owner="b"):
        assert app.value("SELECT count(*) FROM vendorsync.slots") == 1


def test_a_place_is_freed_when_the_run_fails(app, slot):
    with pytest.raises(ZeroDivisionError), slot():
        raise ZeroDivisionError

    assert app.value(HELD) == 0


@pytest.mark.fault("D1")
def test_a_place_that_cannot_be_freed_does_not_hide_how_the_run_ended(app, slot, caplog):
    with slot():
        app.do("ALTER TABLE vendorsync.slots RENAME TO gone")

    assert "could not be freed" in caplog.text


@pytest.mark.fault("D4")
def test_who_waits_holds_no_connection(app, slot):
    def sleep(seconds):
        waiting.sleep(seconds)
        assert second._database._connection is None

    waiting = Clock()
    second = slot(owner="b", deadline=1.0, clock=waiting, sleep=sleep)
    with slot(owner="a"), pytest.raises(AccountBusyError), second:
        pytest.fail("there is no place")


@pytest.mark.fault("V12")
def test_many_runs_at_once_never_hold_more_than_there_are(slot):
    """Real threads and connections: 24 runs of 8 accounts for 3 places, each held a moment."""
    inside: list[int] = []
    most: list[tuple[int, int]] = []
    looking = threading.Lock()
    turn = threading.Event()

    def run(number):
        place = slot(
            other(number % 8),
            owner=f"job-{number}",
            sleep=lambda _: turn.wait(0.01),
            clock=lambda: 0.0,
        )
        with place:
            with looking:
                inside.append(number % 8)
                most.append((len(inside), max(map(inside.count, inside))))
            turn.wait(0.01)
            with looking:
                inside.remove(number % 8)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(run, range(24)))

    assert len(most) == 24
    assert max(total for total, _ in most) <= 3
    assert max(same for _, same in most) == 1


@pytest.mark.fault("V12")
def test_slow_vendors_keep_the_others_waiting_no_longer_than_their_places(app):
    """100 runs on simulated time and real rows: 5 slow ones of 60 s, the others of 2 s each.

    With 8 places 490 s of work take 61 s at best.
    """
    policy = replace(POLICY, adapter_concurrency=8)
    database = Database(app.run_url)
    now, inside, most, ended = 0.0, 0, 0, {}

    def place(number):
        return Slot(
            database, policy, other(number), owner=f"job-{number}", deadline=600.0, clock=lambda: 0
        )

    places = [place(number) for number in range(100)]
    events = [(number / 100, number, "try", 0.1) for number in range(100)]
    while events:
        now, number, event, pause = heapq.heappop(events)
        if event == "end":
            places[number].free()
            inside, ended[number] = inside - 1, now
        elif places[number].attempt() is None:
            inside += 1
            most = max(most, inside)
            heapq.heappush(events, (now + (60 if number < 5 else 2), number, "end", 0.0))
        else:
            later = now + pause * (0.5 + (number * 7919 % 500) / 1000)
            heapq.heappush(events, (later, number, "try", min(2 * pause, 2.0)))
    database.close()

    assert most == 8
    assert len(ended) == 100
    assert max(ended.values()) < 1.25 * (5 * 60 + 95 * 2) / 8
