import asyncio

import pytest

from vendorsync_operator.watch import Follower, GoneError, Page, StreamDeniedError, StreamError


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


class Pulse:
    """Counts what is heard and keeps why attempts failed."""

    def __init__(self, told):
        self.count, self.told = 0, told

    def heard(self):
        self.count += 1

    def failed(self, why):
        self.told.append(why)

    def denied(self, why):
        self.told.append(f"denied {why}")


def follow(pages, streams, names=None, told=None):
    names, rests = names if names is not None else Names(), []
    pulse = Pulse(told if told is not None else [])

    async def sleep(seconds):
        rests.append(seconds)

    script = Script(pages, streams)

    async def scenario():
        follower = Follower(script, names, pulse=pulse, sleep=sleep, random=lambda: 1.0)
        with pytest.raises(ScriptEndedError):
            await follower.follow()
        return follower

    follower = asyncio.run(scenario())
    return names, script, rests, follower, pulse.count


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


def test_a_server_that_asks_for_a_pause_gets_it():
    error = {"code": 429, "message": "slow down", "details": {"retryAfterSeconds": 7}}
    streams = [StreamError("busy", retry_after=12), [{"type": "ERROR", "object": error}]]

    _, _, rests, _, _ = follow([Page([], "5")], streams)

    assert rests == [12, 7]


def test_every_failed_attempt_is_told_with_its_reason():
    told: list[str] = []

    follow([StreamError("refused"), StreamDeniedError("HTTP 403")], [], told=told)

    assert told == ["refused", "denied HTTP 403"]


def test_a_page_that_fails_starts_the_list_again_and_sweeps_nothing():
    pages = [
        Page([thing("a")], "5", "more"),
        StreamError("cut"),
        Page([thing("a")], "6", "more"),
        Page([thing("b")], "6"),
    ]

    names, script, _, follower, _ = follow(pages, [], Names({"b", "c"}))

    assert script.asked[:4] == [("page", ""), ("page", "more"), ("page", ""), ("page", "more")]
    assert names == {"a", "b"}
    assert follower.listed.is_set()
