import asyncio

from vendorsync_operator.queue import LONGEST_BACKOFF, Queue, Schedule


def schedule():
    return Schedule(random=lambda: 1.0)


def test_a_key_that_is_added_twice_runs_once():
    waiting = schedule()
    waiting.add("a", 0)
    waiting.add("a", 1)

    assert (waiting.take(2), waiting.take(2)) == ("a", None)


def test_a_key_that_is_added_while_it_runs_runs_once_more_and_never_twice_at_once():
    waiting = schedule()
    waiting.add("a", 0)
    waiting.take(0)
    waiting.add("a", 1)
    waiting.add("a", 1)

    assert waiting.take(1) is None
    waiting.done("a", 2)
    assert (waiting.take(2), waiting.take(2)) == ("a", None)


def test_keys_come_in_the_order_in_which_they_were_added():
    waiting = schedule()
    for key in "abc":
        waiting.add(key, 0)
    waiting.add("a", 1)

    assert [waiting.take(2) for _ in range(3)] == ["a", "b", "c"]


def test_a_failed_key_waits_twice_as_long_each_time_up_to_a_limit():
    waiting, delays, now = schedule(), [], 0.0
    waiting.add("a", now)
    for _ in range(12):
        assert waiting.take(now) == "a"
        delays.append(waiting.failed("a", now))
        assert waiting.take(now + delays[-1] - 0.01) is None
        now += delays[-1]

    assert delays[:4] == [1, 2, 4, 8]
    assert delays[-1] == LONGEST_BACKOFF


def test_the_wait_of_a_failed_key_is_spread_over_half_of_it():
    waiting: Schedule[str] = Schedule(random=lambda: 0.0)
    waiting.add("a", 0)
    waiting.take(0)

    assert waiting.failed("a", 0) == 0.5


def test_a_success_forgets_the_failures():
    waiting = schedule()
    for now in (0, 10):
        waiting.add("a", now)
        waiting.take(now)
        waiting.failed("a", now)
    waiting.take(20)
    waiting.done("a", 20)
    waiting.add("a", 30)
    waiting.take(30)

    assert waiting.failed("a", 30) == 1


def test_news_of_a_waiting_key_cut_its_wait_short_once():
    waiting = schedule()
    waiting.add("a", 0)
    waiting.take(0)
    waiting.failed("a", 0)
    waiting.add("a", 0.1)

    assert waiting.take(0.1) == "a"
    waiting.done("a", 0.2)
    assert waiting.take(50) is None


def test_a_key_is_looked_at_again_at_the_time_it_asked_for():
    waiting = schedule()
    waiting.add("a", 0)
    waiting.take(0)
    waiting.done("a", 1, again_at=60)

    assert waiting.next_due() == 60
    assert (waiting.take(59), waiting.take(60)) == (None, "a")


def test_of_two_times_the_earlier_counts():
    waiting = schedule()
    waiting.add_later("a", 60)
    waiting.add_later("a", 30)
    waiting.add_later("a", 90)

    assert waiting.take(30) == "a"
    waiting.done("a", 31)
    assert waiting.take(100) is None


def test_a_key_that_runs_for_long_stands_still_whatever_else_is_done():
    waiting = schedule()
    waiting.add("slow", 5)
    waiting.add("b", 5)
    waiting.take(6)
    waiting.take(7)
    waiting.done("b", 90)

    assert waiting.stalled(100) == 94


def test_a_long_queue_that_moves_does_not_stand_still():
    waiting = schedule()
    for key in "abc":
        waiting.add(key, 0)
    waiting.take(500)
    waiting.failed("a", 990)

    assert waiting.stalled(1000) == 10


def test_keys_that_wait_while_none_is_finished_stand_still():
    waiting = schedule()
    waiting.add("a", 5)

    assert waiting.stalled(100) == 95


def test_what_waits_for_its_time_does_not_stand_still():
    waiting = schedule()
    waiting.add_later("a", 500)

    assert waiting.stalled(400) == 0


def test_a_server_that_asks_for_a_pause_gets_it():
    waiting = schedule()
    waiting.add("a", 0)
    waiting.take(0)

    assert waiting.failed("a", 0, least=30) == 30


class Handled:
    """Handles keys, as many at once as are let in, and remembers."""

    def __init__(self, fail: str = "") -> None:
        self.running = self.most = 0
        self.keys: list[str] = []
        self.fail = fail

    async def __call__(self, key: str) -> float | None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        self.keys.append(key)
        if key == self.fail:
            raise RuntimeError(key)
        return None


def work(handled, keys, workers=3):
    async def scenario():
        queue = Queue(handled, clock=asyncio.get_running_loop().time, random=lambda: 1.0)
        for key in keys:
            queue.add(key)
        task = asyncio.create_task(queue.work(workers))
        while len(handled.keys) < len(set(keys)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return queue

    return asyncio.run(scenario())


def test_workers_handle_every_key_and_no_more_than_so_many_at_once():
    handled = Handled()

    work(handled, [f"key-{n}" for n in range(20)])

    assert len(set(handled.keys)) == 20
    assert 1 < handled.most <= 3


def test_one_failing_key_keeps_no_other_from_being_handled(caplog):
    handled = Handled(fail="bad")

    work(handled, ["bad", *(f"key-{n}" for n in range(10))], workers=1)

    assert len(handled.keys) == 11
    assert "reconciliation failed" in caplog.text


def test_the_pause_that_an_error_asks_for_reaches_the_schedule(caplog):
    class BusyError(Exception):
        retry_after = 30.0

    async def busy(key):
        raise BusyError

    async def scenario():
        queue = Queue(busy, clock=lambda: 0.0, random=lambda: 1.0)
        queue.add("a")
        task = asyncio.create_task(queue.work(1))
        while not caplog.records:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())

    assert vars(caplog.records[0])["retry_seconds"] == 30


def test_keys_that_failed_run_at_most_so_many_at_once_and_keep_no_other_waiting():
    waiting = schedule()
    waiting.limit_retries(2)
    for key in "abcd":
        waiting.add(key, now=0)
        assert waiting.take(now=0) == key
    for key in "abcd":
        waiting.failed(key, now=1)

    waiting.add("new", now=100)
    taken = [waiting.take(now=100) for _ in range(4)]

    assert sorted(filter(None, taken)) == ["a", "b", "new"]
    waiting.done("a", now=101)
    assert waiting.take(now=101) == "c"


def test_a_key_that_failed_is_taken_before_one_that_waits_for_less_long():
    waiting = schedule()
    waiting.limit_retries(1)
    waiting.add("a", now=0)
    waiting.take(now=0)
    waiting.failed("a", now=0)

    waiting.add("a", now=1)
    waiting.add("b", now=2)

    assert [waiting.take(now=3), waiting.take(now=3)] == ["a", "b"]
