"""Lists of pods: one answers for all Jobs of a namespace that are asked about meanwhile."""

import asyncio

import pytest

from vendorsync_operator.cluster.pods import Pods

LABEL = "batch.kubernetes.io/job-name"


def pod(job):
    return {"metadata": {"name": f"{job}-x", "labels": {LABEL: job}}}


class Server:
    """Answers each list when it is let to; keeps the queries, and the most that it had at once."""

    def __init__(self, *errors):
        self.queries, self.errors = [], list(errors)
        self.going = self.most = 0
        self.asked, self.answers = asyncio.Event(), asyncio.Semaphore(0)

    async def send(self, method, path, *, query):
        self.queries.append((path.split("/")[4], query))
        self.going += 1
        self.most = max(self.most, self.going)
        self.asked.set()
        try:
            await self.answers.acquire()
        finally:
            self.going -= 1
        if self.errors:
            raise self.errors.pop(0)
        names = query["labelSelector"].partition("(")[2].rstrip(")").split(",")
        return {"items": [pod(name) for name in names if name != "gone"]}

    @property
    def selectors(self):
        return [query["labelSelector"].removeprefix(f"{LABEL} in ") for _, query in self.queries]


async def ask(pods, *jobs, namespace="solar", since=""):
    """Ask about Jobs one after the other; return the tasks that wait."""
    waiting = [asyncio.create_task(pods.of((namespace, job), since)) for job in jobs]
    await asyncio.sleep(0)
    return waiting


def test_who_asks_while_a_list_is_under_way_is_answered_by_the_next_one():
    async def scenario():
        server = Server()
        pods = Pods(server)
        waiting = await ask(pods, "a")
        await server.asked.wait()
        waiting += await ask(pods, "b", "c", "b", "gone")
        for _ in range(2):
            server.answers.release()
        return server, await asyncio.gather(*waiting)

    server, found = asyncio.run(scenario())

    assert server.selectors == ["(a)", "(b,c,gone)"]
    assert server.most == 1
    assert found == [[pod("a")], [pod("b")], [pod("c")], [pod("b")], []]


def test_each_namespace_has_lists_of_its_own_and_none_is_remembered():
    async def scenario():
        server = Server()
        pods = Pods(server)
        waiting = [*await ask(pods, "a"), *await ask(pods, "a", namespace="wind")]
        for _ in waiting:
            server.answers.release()
        await asyncio.gather(*waiting)
        return server, pods

    server, pods = asyncio.run(scenario())

    assert [namespace for namespace, _ in server.queries] == ["solar", "wind"]
    assert server.most == 2
    assert pods._lanes == {}


def test_a_list_shows_the_newest_version_that_is_asked_for_and_has_no_limit():
    async def scenario():
        server = Server()
        pods = Pods(server)
        waiting = await ask(pods, "a")
        await server.asked.wait()
        for since in ("9", "100", ""):
            waiting += await ask(pods, "b", since=since)
        for _ in range(2):
            server.answers.release()
        await asyncio.gather(*waiting)
        return [query for _, query in server.queries]

    first, second = asyncio.run(scenario())

    assert first.keys() == {"labelSelector"}
    assert second == {
        "labelSelector": f"{LABEL} in (b)",
        "resourceVersion": "100",
        "resourceVersionMatch": "NotOlderThan",
    }


def test_very_many_jobs_take_several_lists():
    async def scenario():
        server = Server()
        pods = Pods(server)
        waiting = await ask(pods, "first")
        await server.asked.wait()
        waiting += await ask(pods, *(f"j{number:03}" for number in range(120)))
        for _ in range(4):
            server.answers.release()
        return server, await asyncio.gather(*waiting)

    server, found = asyncio.run(scenario())

    assert [selector.count(",") + 1 for selector in server.selectors] == [1, 50, 50, 20]
    assert all(len(pods) == 1 for pods in found)


def test_a_list_that_fails_fails_for_those_who_waited_for_it_alone():
    async def scenario():
        server = Server(ConnectionError("cut"))
        pods = Pods(server)
        first = await ask(pods, "a")
        await server.asked.wait()
        second = await ask(pods, "b")
        for _ in range(2):
            server.answers.release()
        return await asyncio.gather(*first, *second, return_exceptions=True)

    failed, found = asyncio.run(scenario())

    assert isinstance(failed, ConnectionError)
    assert found == [pod("b")]


@pytest.mark.parametrize("cut", [0, 1], ids=["who lists", "who waits"])
def test_one_who_gives_up_takes_no_answer_from_the_others(cut):
    async def scenario():
        server = Server()
        pods = Pods(server)
        waiting = await ask(pods, "a", "b", "c")
        await server.asked.wait()
        waiting[cut].cancel()
        for _ in range(2):
            server.answers.release()
        return server, await asyncio.gather(*waiting, return_exceptions=True)

    server, found = asyncio.run(scenario())

    assert isinstance(found[cut], asyncio.CancelledError)
    assert [each for number, each in enumerate(found) if number != cut] == [
        [pod(job)] for number, job in enumerate("abc") if number != cut
    ]
    assert server.most == 1
