import asyncio

import pytest

from tests.controller.streaming import Trial
from vendorsync_operator.watch.follow import (
    Follower,
    GoneError,
    Page,
    StreamDeniedError,
    StreamError,
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
    """A sink that keeps the names, and what it was told of lists."""

    def __init__(self, *names):
        super().__init__(*names)
        self.lists = []

    def found(self, document):
        self.add(document["metadata"]["name"])

    def listed(self, document, revision):
        self.add(document["metadata"]["name"])

    def gone(self, document):
        self.discard(document["metadata"]["name"])

    def sweep(self, listed, namespace, revision):
        self.intersection_update(name for _, name in listed)
        self.lists.append(f"as of {revision}")

    def doubt(self, namespace):
        self.lists.append("doubt")


def follow(pages, streams, names=None, trial=None):
    names, trial = names if names is not None else Names(), trial or Trial()
    script = Script(pages, streams)

    async def scenario():
        with pytest.raises(ScriptEndedError):
            await Follower(script, names, trial.stream).follow()

    asyncio.run(scenario())
    return names, script, trial


def test_a_list_is_read_page_by_page_and_then_watched_from_its_version():
    pages = [Page([thing("a")], "5", "more"), Page([thing("b")], "5")]

    names, script, trial = follow(pages, [])

    assert names == {"a", "b"}
    assert script.asked == [("page", ""), ("page", "more"), ("watch", "5")]
    assert trial.is_read


def test_events_add_and_remove_and_move_the_version():
    stream = [
        {"type": "ADDED", "object": thing("b", "6")},
        {"type": "MODIFIED", "object": thing("b", "7")},
        {"type": "DELETED", "object": thing("a", "8")},
    ]

    names, script, _ = follow([Page([thing("a")], "5")], [stream])

    assert names == {"b"}
    assert script.asked[-1] == ("watch", "8")


def test_a_bookmark_moves_the_version_and_counts_as_a_word():
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}

    names, script, trial = follow([Page([thing("a")], "5")], [[bookmark]])

    assert names == {"a"}
    assert script.asked[-1] == ("watch", "90")
    assert trial.pulse.count >= 2


GONE = [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]


@pytest.mark.parametrize("end", [GONE, GoneError("expired")])
def test_a_forgotten_version_leads_to_a_new_list_that_sweeps(end):
    pages = [Page([thing("a"), thing("b")], "5"), Page([thing("b")], "9")]

    names, script, trial = follow(pages, [end])

    assert names == {"b"}
    assert script.asked == [("page", ""), ("watch", "5"), ("page", ""), ("watch", "9")]
    assert trial.rests == [0.5]


def test_a_list_that_expires_half_way_starts_again_and_sweeps_nothing():
    pages = [Page([thing("a")], "5", "more"), GoneError("expired"), StreamError("down")]

    names, script, _ = follow(pages, [], Names({"a", "b"}))

    assert names == {"a", "b"}
    assert script.asked == [("page", ""), ("page", "more"), ("page", ""), ("page", "")]


def test_a_broken_stream_goes_on_from_the_last_version_after_longer_and_longer_rests():
    streams = [StreamError("reset")] * 8

    _, script, trial = follow([Page([], "5")], streams)

    assert script.asked[1:] == [("watch", "5")] * 9
    assert trial.rests == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_stream_that_gave_something_resets_the_rests():
    event = {"type": "ADDED", "object": thing("a", "6")}

    _, _, trial = follow([Page([], "5")], [StreamError("x")] * 3 + [[event, StreamError("y")]])

    assert trial.rests == [0.5, 1, 2, 0.5]


def test_a_stream_that_the_server_ends_is_opened_again_without_a_rest():
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}

    _, script, trial = follow([Page([], "5")], [[bookmark], [bookmark]])

    assert script.asked[1:] == [("watch", "5"), ("watch", "90"), ("watch", "90")]
    assert trial.rests == []


def test_a_server_that_hangs_up_at_once_is_not_asked_in_a_tight_loop():
    _, _, trial = follow([Page([], "5")], [[], [], []])

    assert trial.rests == [0.5, 1, 2]


def test_an_error_event_other_than_gone_keeps_the_version():
    error = [{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}]

    _, script, trial = follow([Page([], "5")], [error])

    assert script.asked == [("page", ""), ("watch", "5"), ("watch", "5")]
    assert trial.rests == [0.5]


def test_a_server_that_asks_for_a_pause_gets_it():
    error = {"code": 429, "message": "slow down", "details": {"retryAfterSeconds": 7}}
    streams = [StreamError("busy", retry_after=12), [{"type": "ERROR", "object": error}]]

    _, _, trial = follow([Page([], "5")], streams)

    assert trial.rests == [12, 7]


def test_every_failed_attempt_is_told_with_its_reason():
    _, _, trial = follow([StreamError("refused"), StreamDeniedError("HTTP 403")], [])

    assert trial.pulse.why == ["refused", "denied HTTP 403"]


def test_a_page_that_fails_starts_the_list_again_and_sweeps_nothing():
    pages = [
        Page([thing("a")], "5", "more"),
        StreamError("cut"),
        Page([thing("a")], "6", "more"),
        Page([thing("b")], "6"),
    ]

    names, script, trial = follow(pages, [], Names({"b", "c"}))

    assert script.asked[:4] == [("page", ""), ("page", "more"), ("page", ""), ("page", "more")]
    assert names == {"a", "b"}
    assert trial.is_read


def test_a_list_says_as_of_when_it_is():
    names, _, _ = follow([Page([thing("a")], "5", "more"), Page([thing("b")], "5")], [])

    assert names.lists == ["as of 5"]


@pytest.mark.parametrize("end", [GONE, GoneError("nothing was heard for too long")])
def test_a_list_that_goes_back_in_time_replaces_all_that_is_known(end):
    pages = [Page([thing("a")], "90"), Page([thing("b")], "40"), Page([thing("b")], "41")]

    names, _, _ = follow(pages, [end, end])

    assert names.lists == ["as of 90", "doubt", "as of 40", "as of 41"]
    assert names == {"b"}


@pytest.mark.parametrize("kind", ["ADDED", "BOOKMARK"])
def test_an_event_that_goes_back_in_time_leads_to_such_a_list(kind):
    lower = {"type": kind, "object": thing("b", "40")}

    names, script, _ = follow([Page([thing("a")], "90"), Page([], "41")], [[lower]])

    assert script.asked == [("page", ""), ("watch", "90"), ("page", ""), ("watch", "41")]
    assert names.lists == ["as of 90", "doubt", "as of 41"]


def test_a_stream_that_is_refused_for_long_begins_with_a_list_when_it_is_taken_up_again():
    pages = [Page([thing("a"), thing("b")], "5"), Page([thing("b")], "9")]
    refusals = [StreamDeniedError("HTTP 403")] * 4

    names, script, trial = follow(pages, refusals, trial=Trial(patience=4))

    assert script.asked[:5] == [("page", "")] + [("watch", "5")] * 4
    assert script.asked[5:] == [("page", ""), ("watch", "9")]
    assert trial.turned == [None, None, None]
    assert names == {"b"}


class Endless(Script):
    """A source whose watches stay open, and that tells when one begins."""

    def __init__(self, pages):
        super().__init__(pages, [])
        self.watched = asyncio.Event()

    async def events(self, version):
        self.asked.append(("watch", version))
        self.watched.set()
        await asyncio.Event().wait()
        yield {}


def test_a_stream_lists_again_the_moment_that_it_is_told_to():
    names, trial = Names(), Trial()

    async def scenario():
        script = Endless([Page([thing("a")], "90"), Page([thing("b")], "95")])
        follower = Follower(script, names, trial.stream)
        following = asyncio.create_task(follower.follow())
        for _ in range(2):
            await script.watched.wait()
            script.watched.clear()
            follower.relist("restored")
            follower.relist("restored")
            assert not trial.is_read
        with pytest.raises(ScriptEndedError):
            await following
        return script.asked

    asked = asyncio.run(scenario())

    assert asked == [("page", ""), ("watch", "90"), ("page", ""), ("watch", "95"), ("page", "")]
    # Higher than before, and of another history all the same.
    assert names.lists == ["as of 90", "doubt", "as of 95"]
    assert names == {"b"}
    assert trial.rests == []


def test_a_follower_that_is_cancelled_ends():
    async def scenario():
        script = Endless([Page([], "5")])
        following = asyncio.create_task(Follower(script, Names(), Trial().stream).follow())
        await script.watched.wait()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    asyncio.run(scenario())
