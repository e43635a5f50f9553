import asyncio

import pytest

from tests.controller.build import document
from vendorsync_operator.cache import Cache
from vendorsync_operator.watch import (
    Follower,
    GoneError,
    Page,
    StreamError,
    sweep,
    sweep_hourly,
)


def thing(name, version="1"):
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": version}}


class ScriptEndedError(Exception):
    """The script is at its end."""


class Script:
    """A source that plays pages and streams; an exception in either is raised."""

    name = "things"
    namespace: str | None = None

    def __init__(self, pages, streams):
        self.pages, self.streams, self.asked = iter(pages), iter(streams), []

    async def page(self, next_page):
        self.asked.append(("page", next_page))
        return _play(next(self.pages, ScriptEndedError()))

    async def events(self, version):
        self.asked.append(("watch", version))
        for event in _play(next(self.streams, ScriptEndedError())):
            yield _play(event)


def _play(step):
    if isinstance(step, Exception):
        raise step
    return step


class Names(set):
    """A sink that keeps the names."""

    def found(self, document):
        self.add(document["metadata"]["name"])

    def gone(self, document):
        self.discard(document["metadata"]["name"])

    def sweep(self, listed, namespace):
        self.intersection_update(name for _, name in listed)


def follow(pages, streams, names=None):
    names, script, rests, heard = names if names is not None else Names(), None, [], []

    async def sleep(seconds):
        rests.append(seconds)

    script = Script(pages, streams)

    async def scenario():
        follower = Follower(
            script, names, heard=lambda: heard.append(1), sleep=sleep, random=lambda: 1.0
        )
        with pytest.raises(ScriptEndedError):
            await follower.follow()
        return follower

    follower = asyncio.run(scenario())
    return names, script, rests, follower, len(heard)


def test_a_list_is_read_page_by_page_and_then_watched_from_its_version():
    pages = [Page([thing("a")], "5", "more"), Page([thing("b")], "5")]

    names, script, _, follower, _ = follow(pages, [])

    assert names == {"a", "b"}
    assert script.asked == [("page", ""), ("page", "more"), ("watch", "5")]
    assert follower.listed.is_set()


def test_events_add_and_remove_and_move_the_version():
    stream = [
        {"type": "ADDED", "object": thing("b", "6")},
        {"type": "MODIFIED", "object": thing("b", "7")},
        {"type": "DELETED", "object": thing("a", "8")},
    ]

    names, script, _, _, _ = follow([Page([thing("a")], "5")], [stream])

    assert names == {"b"}
    assert script.asked[-1] == ("watch", "8")


def test_a_bookmark_moves_the_version_and_counts_as_a_word():
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}

    names, script, _, _, heard = follow([Page([thing("a")], "5")], [[bookmark]])

    assert names == {"a"}
    assert script.asked[-1] == ("watch", "90")
    assert heard == 2


GONE = [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]


@pytest.mark.parametrize("end", [GONE, GoneError("expired")])
def test_a_forgotten_version_leads_to_a_new_list_that_sweeps(end):
    pages = [Page([thing("a"), thing("b")], "5"), Page([thing("b")], "9")]

    names, script, rests, _, _ = follow(pages, [end])

    assert names == {"b"}
    assert script.asked == [("page", ""), ("watch", "5"), ("page", ""), ("watch", "9")]
    assert rests == [0.5]


def test_a_list_that_expires_half_way_starts_again_and_sweeps_nothing():
    pages = [Page([thing("a")], "5", "more"), GoneError("expired"), StreamError("down")]

    names, script, _, _, _ = follow(pages, [], Names({"a", "b"}))

    assert names == {"a", "b"}
    assert script.asked == [("page", ""), ("page", "more"), ("page", ""), ("page", "")]


def test_a_broken_stream_goes_on_from_the_last_version_after_longer_and_longer_rests():
    streams = [StreamError("reset")] * 8

    _, script, rests, _, _ = follow([Page([], "5")], streams)

    assert script.asked[1:] == [("watch", "5")] * 9
    assert rests == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_stream_that_gave_something_resets_the_rests():
    event = {"type": "ADDED", "object": thing("a", "6")}

    _, _, rests, _, _ = follow(
        [Page([], "5")], [StreamError("x")] * 3 + [[event, StreamError("y")]]
    )

    assert rests == [0.5, 1, 2, 0.5]


def test_a_stream_that_the_server_ends_is_opened_again_without_a_rest():
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}

    _, script, rests, _, _ = follow([Page([], "5")], [[bookmark], [bookmark]])

    assert script.asked[1:] == [("watch", "5"), ("watch", "90"), ("watch", "90")]
    assert rests == []


def test_a_server_that_hangs_up_at_once_is_not_asked_in_a_tight_loop():
    _, _, rests, _, _ = follow([Page([], "5")], [[], [], []])

    assert rests == [0.5, 1, 2]


def test_an_error_event_other_than_gone_keeps_the_version():
    error = [{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}]

    _, script, rests, _, _ = follow([Page([], "5")], [error])

    assert script.asked == [("page", ""), ("watch", "5"), ("watch", "5")]
    assert rests == [0.5]


def holding(*names):
    """A cache of resources of one organization, and what it told of them."""
    told: list[tuple[str, str]] = []
    cache = Cache(told.append)
    for name in names:
        cache.resources.found(document(name))
    told.clear()
    return cache, told


def held(cache):
    return sorted(live.key[1] for live in cache.resources)


def test_a_resource_whose_deletion_was_missed_is_swept_and_its_sibling_told():
    cache, told = holding("a", "b", "c")
    pages = [Page([document("b")], "9", "more"), Page([document("c")], "9")]
    script = Script(pages, [])

    asyncio.run(sweep(script, cache.resources))

    assert held(cache) == ["b", "c"]
    assert ("solar", "b") in told
    assert script.asked == [("page", ""), ("page", "more")]


def test_a_resource_that_was_made_again_under_its_name_is_no_longer_the_one_held():
    cache, _ = holding("a")
    newer = document("a")
    newer["metadata"]["uid"] = "newer"

    asyncio.run(sweep(Script([Page([newer], "9")], []), cache.resources))

    assert held(cache) == []


def test_a_resource_that_comes_while_the_list_is_read_is_not_swept():
    cache, _ = holding("a")

    class Busy(Script):
        async def page(self, next_page):
            cache.resources.found(document("new"))
            return await super().page(next_page)

    asyncio.run(sweep(Busy([Page([document("a")], "9")], []), cache.resources))

    assert held(cache) == ["a", "new"]


def test_other_namespaces_are_not_swept():
    cache, _ = holding("a")
    script = Script([Page([], "9")], [])
    script.namespace = "wind"

    asyncio.run(sweep(script, cache.resources))

    assert held(cache) == ["a"]


@pytest.mark.parametrize("end", [GoneError("expired"), StreamError("down")])
def test_a_sweep_whose_list_breaks_off_drops_nothing_and_comes_again_in_an_hour(end):
    cache, _ = holding("a", "b")
    script = Script([Page([], "9", "more"), end, Page([document("b")], "12")], [])
    rests, kept = [], []

    async def sleep(seconds):
        rests.append(seconds)
        kept.append(held(cache))

    with pytest.raises(ScriptEndedError):
        asyncio.run(sweep_hourly([script], cache.resources, sleep=sleep, random=lambda: 0.5))

    assert rests == [3600] * 3
    assert kept == [["a", "b"], ["a", "b"], ["b"]]


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 2700), (1.0, 4500)])
def test_sweeps_of_several_operators_drift_apart(drawn, seconds):
    rests = []

    async def sleep(seconds):
        rests.append(seconds)

    with pytest.raises(ScriptEndedError):
        asyncio.run(
            sweep_hourly(
                [Script([], [])], holding()[0].resources, sleep=sleep, random=lambda: drawn
            )
        )

    assert rests == [seconds]
