import asyncio

import pytest

from vendorsync_api.v1alpha1 import Delay
from vendorsync_operator.results.lookout import Finding, Lookout, Ration

FOUND = Finding(Delay(reason="Unschedulable"))


class Asked:
    """Counts the lists; answers with the same each time."""

    def __init__(self, answer):
        self.answer, self.count = answer, 0

    async def __call__(self):
        self.count += 1
        return self.answer


@pytest.mark.parametrize("answer", [FOUND, Finding()])
def test_an_answer_holds_for_a_minute_then_two_then_four_and_then_five(answer):
    now, asked, times = 0.0, Asked(answer), []
    lookout = Lookout(lambda: now, Ration(lambda: now))

    for second in range(0, 1801, 5):
        now = float(second)
        before = asked.count
        look = asyncio.run(lookout.look("a", asked))
        assert look
        assert look.found == answer
        times.extend([second] * (asked.count - before))

    assert times == [0, 60, 180, 420, 720, 1020, 1320, 1620]


def test_what_is_forgotten_is_asked_again():
    asked = Asked(FOUND)
    lookout = Lookout(lambda: 0.0, Ration(lambda: 0.0))
    asyncio.run(lookout.look("a", asked))
    lookout.keep({"b"})

    asyncio.run(lookout.look("a", asked))

    assert asked.count == 2


def test_all_resources_together_ask_so_often_a_minute_and_no_more():
    now, asked = 0.0, Asked(FOUND)
    ration = Ration(lambda: now, size=2)
    found = [
        asyncio.run(Lookout(lambda: now, ration).look(str(number), asked)) for number in range(5)
    ]
    now = 60.0

    later = asyncio.run(Lookout(lambda: now, ration).look("late", asked))

    assert [look and look.found for look in found] == [FOUND, FOUND, None, None, None]
    assert later
    assert (later.found, asked.count) == (FOUND, 3)
