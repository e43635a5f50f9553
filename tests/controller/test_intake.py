"""kopf's own requests, by the real kopf against a small HTTP server on loopback.

What is assumed of kopf and aiohttp beyond their documentation is shown here: a kopf that lists or
watches in another way fails these tests.
"""

import asyncio
import json

import aiohttp
import kopf
import pytest
from aiohttp import web

from tests.controller.build import document
from tests.controller.streaming import Trial
from vendorsync_api.group import GROUP, KIND, PLURAL
from vendorsync_api.v1alpha1 import API_VERSION, VERSION
from vendorsync_operator import handlers, main
from vendorsync_operator.watch.intake import Intake, session

PATH = f"/apis/{API_VERSION}/{PLURAL}"
PATIENT, IMPATIENT = 60, 0.3
"""Seconds of silence after which kopf gives up a watch: no test lasts so long, or soon."""

NAMESPACES = {
    "name": "namespaces",
    "kind": "Namespace",
    "singularName": "namespace",
    "namespaced": False,
    "verbs": ["list", "watch"],
}


class Sink:
    """Keeps what it is told, in order."""

    def __init__(self):
        self.told = []

    def found(self, document):
        self.told.append(("found", document["metadata"]["name"]))

    def listed(self, document, revision):
        self.told.append(("listed", document["metadata"]["name"]))

    def gone(self, document):
        self.told.append(("gone", document["metadata"]["name"]))

    def sweep(self, listed, namespace, revision):
        self.told.append(("sweep", sorted(name for _, name in listed)))

    def doubt(self, namespace):
        self.told.append(("doubt", namespace))


class Server:
    """Discovery, pages of a list and lines of a watch; what they are played from runs dry."""

    def __init__(self, pages, watches):
        self.pages, self.watches, self.seen = iter(pages), iter(watches), []

    async def discover(self, request):
        self.seen.append(request.path)
        group = {
            "name": GROUP,
            "versions": [{"version": VERSION}],
            "preferredVersion": {"version": VERSION},
        }
        kind = {
            "name": PLURAL,
            "kind": KIND,
            "singularName": "vendorsync",
            "namespaced": True,
            "verbs": ["list", "watch"],
        }
        found = {"versions": ["v1"], "groups": [group], "resources": [kind]}
        if request.path == "/api/v1":
            # kopf waits for this one before it watches anything.
            found["resources"] = [NAMESPACES]
        return web.json_response(found)

    async def serve(self, request):
        self.headers = request.headers
        watched = "watch" in request.query
        self.seen.append("watch" if watched else f"list {request.query.get('continue', '')}")
        if not watched:
            return await self.list()
        lines = next(self.watches, None)
        if isinstance(lines, str):
            return web.Response(text=lines, content_type="text/html")
        if isinstance(lines, int):
            return web.json_response({"kind": "Status"}, status=lines)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in lines or (None,) * (lines is None):
            if line is None:
                await asyncio.Event().wait()
            await answer.write(json.dumps(line).encode() + b"\n")
        return answer

    async def list(self):
        page = next(self.pages)
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/html")
        if isinstance(page, int):
            return web.json_response({"kind": "Status", "message": "no"}, status=page)
        return web.json_response(page)


class Everything(set):
    """What kopf need not wait for: all tasks, since the server runs in the same loop."""

    def __contains__(self, _):
        return True


class Token:
    """Adds a token that is another each time, as one that rotates."""

    count = 0

    async def authorize(self, headers):
        self.count += 1
        headers["authorization"] = f"Bearer {self.count}"


def page(*names, more=""):
    items = [document(name) for name in names]
    return {"metadata": {"resourceVersion": "5", "continue": more}, "items": items}


def event(kind, name, version="6"):
    found = document(name)
    found["metadata"]["resourceVersion"] = version
    return {"type": kind, "object": found}


BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}


class Game:
    """A server's pages and watches, what becomes of them, and what the stream tells of itself."""

    def __init__(self, pages=(), watches=(), patience=1000, silence=PATIENT):
        self.sink, self.server, self.silence = Sink(), Server(pages, watches), silence
        self.trial = Trial("vendorsyncs", patience=patience)
        self.intake = Intake(self.sink, self.trial.stream)

    @property
    def asked(self):
        """The lists and watches, without the discovery before them."""
        return [what for what in self.server.seen if not what.startswith("/")]

    def is_watched(self, times=1):
        return self.server.seen.count("watch") >= times

    async def play(self, until):
        """Run kopf until a condition holds; raise what it ends with."""
        application = web.Application()
        application.router.add_get(PATH, self.server.serve)
        application.router.add_get("/{any:.*}", self.server.discover)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        running = await self._start(f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            async with asyncio.timeout(20):
                while not until(self) and not running.done():
                    await asyncio.sleep(0.01)
            if running.done():
                await running
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=20)
            await runner.cleanup()

    async def _start(self, url):
        def open_session():
            connector = aiohttp.TCPConnector()
            return session({PATH: self.intake}, Token(), user_agent="test/1", connector=connector)

        settings = main.kopf_settings()
        settings.watching.reconnect_backoff = 0.01
        settings.watching.inactivity_timeout = self.silence
        settings.networking.error_backoffs = [0.01] * 20
        registry = handlers.registry(self.sink, server=url, session=open_session)
        tasks = await kopf.spawn_tasks(registry=registry, settings=settings, clusterwide=True)
        return asyncio.create_task(kopf.run_tasks(tasks, ignored=Everything()))


def run(pages, watches, until, **options):
    game = Game(pages, watches, **options)
    asyncio.run(game.play(until))
    return game


def watching(times=1):
    return lambda game: game.is_watched(times)


def is_read(game):
    return game.trial.is_read


def test_the_pages_of_kopfs_own_list_fill_the_store_and_its_end_sweeps():
    game = run([page("a", more="x"), page("b")], [], watching())

    assert game.sink.told == [("listed", "a"), ("listed", "b"), ("sweep", ["a", "b"])]
    assert is_read(game)
    assert game.asked == ["list ", "list x", "watch"]


@pytest.mark.promise("P1")
def test_at_start_there_is_one_list_and_one_watch_besides_discovery():
    game = run([page()], [], watching())

    assert game.asked == ["list ", "watch"]
    assert sorted(what for what in game.server.seen if what.startswith("/")) == [
        "/api",
        "/api/v1",
        "/apis",
        f"/apis/{API_VERSION}",
    ]


def test_events_come_through_kopfs_handler():
    lines = [event("ADDED", "b"), event("DELETED", "a", "7")]

    game = run([page("a")], [lines], lambda game: len(game.sink.told) >= 4)

    assert sorted(game.sink.told[2:]) == [("found", "b"), ("gone", "a")]


def error(code, **fields):
    return {"type": "ERROR", "object": {"code": code, "message": "no"} | fields}


GONE, BROKEN = error(410), error(500)


@pytest.mark.parametrize("end", [[GONE], [BROKEN], 410], ids=["gone", "broken", "HTTP 410"])
def test_a_version_that_is_gone_and_an_error_in_a_watch_lead_to_a_list_that_sweeps(end):
    game = run([page("a", "b"), page("b")], [end], watching(2))

    assert game.sink.told[-2:] == [("listed", "b"), ("sweep", ["b"])]
    assert game.trial.rests == [0.5]


def test_a_watch_that_only_brings_errors_is_tried_again_after_longer_and_longer_rests():
    game = run([page()] * 5, [[BROKEN]] * 4, watching(5))

    assert game.trial.rests == [0.5, 1, 2, 4]


def test_a_server_that_asks_for_a_pause_gets_it():
    busy = error(429, details={"retryAfterSeconds": 7})

    game = run([page()] * 2, [[busy]], watching(2))

    assert game.trial.rests == [7]


def test_a_server_that_hangs_up_at_once_is_not_asked_in_a_tight_loop():
    game = run([page()], [[], []], watching(3))

    assert game.trial.rests == [0.5, 1]
    assert game.asked == ["list ", "watch", "watch", "watch"]


def test_a_stream_that_ends_after_a_word_goes_on_without_a_rest():
    game = run([page()], [[BOOKMARK], [BOOKMARK]], watching(3))

    assert game.trial.rests == []


def test_a_watch_that_falls_silent_leads_to_a_list_since_the_server_may_be_behind_its_version():
    def until(game):
        return ("sweep", ["b"]) in game.sink.told

    game = run([page("a"), page("b")], [], until, silence=IMPATIENT)

    assert game.asked[:4] == ["list ", "watch", "watch", "list "]


def test_a_list_that_goes_back_in_time_replaces_all_that_is_known():
    back = page("b") | {"metadata": {"resourceVersion": "4"}}

    game = run([page("a"), back], [[GONE]], watching(2))

    assert ("doubt", None) in game.sink.told
    assert game.sink.told.index(("doubt", None)) < game.sink.told.index(("listed", "b"))


def test_a_bookmark_that_goes_back_in_time_leads_to_such_a_list():
    lower = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "4"}}}

    game = run([page("a"), page("a")], [[lower]], watching(2))

    assert game.sink.told.count(("doubt", None)) == 1
    assert game.sink.told[-1] == ("sweep", ["a"])


@pytest.mark.parametrize("lines", [None, [BOOKMARK, None]], ids=["silent", "alive"])
def test_kopf_lists_again_the_moment_that_it_is_told_to(lines):
    read: list[bool] = []

    def until(game):
        if game.is_watched() and not read:
            game.intake.relist("restored")
            read.append(game.trial.is_read)
        return read and is_read(game)

    game = run([page("a"), page("b")], [lines], until)

    assert read == [False]
    assert game.sink.told[-3:] == [("doubt", None), ("listed", "b"), ("sweep", ["b"])]
    assert game.trial.rests == []


def test_a_page_that_fails_is_asked_for_again_and_nothing_is_swept_before_the_end():
    game = run([page("a", more="x"), 500, page("b")], [], watching())

    assert game.sink.told == [("listed", "a"), ("listed", "b"), ("sweep", ["a", "b"])]
    assert game.asked == ["list ", "list x", "list x", "watch"]


def test_a_page_that_is_gone_starts_the_list_again():
    game = run([page("a", more="x"), 410, page("b")], [], watching())

    assert game.sink.told == [("listed", "a"), ("listed", "b"), ("sweep", ["b"])]
    assert game.asked == ["list ", "list x", "list ", "watch"]


def test_a_list_that_starts_anew_forgets_the_half_that_was_read():
    game = Game()

    game.intake.page(page("a", more="x"), first=True)
    assert not is_read(game)
    game.intake.page(page("b"), first=True)

    assert game.sink.told[-1] == ("sweep", ["b"])
    assert is_read(game)


def test_a_list_that_began_before_the_server_went_back_is_not_the_one_that_was_asked_for():
    game = Game()

    game.intake.page(page("a", more="x"), first=True)
    game.intake.relist("restored")
    game.intake.page(page("b"), first=False)

    assert not is_read(game)


def test_kopf_gets_a_page_without_its_objects():
    given = page("a", more="x")

    assert Game().intake.page(given, first=True) == given | {"items": []}


@pytest.mark.promise("P10")
def test_each_chunk_of_a_watch_is_a_sign_of_life_a_bookmark_too():
    quiet = run([page()], [], watching())
    alive = run([page()], [[BOOKMARK]], watching(2))

    # The list, the beginning of each watch, and the bookmark.
    assert quiet.trial.pulse.count <= 2
    assert alive.trial.pulse.count >= quiet.trial.pulse.count + 2


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_failed_attempt_is_told_and_tried_again(status):
    game = run([status, page()], [], is_read)

    assert game.trial.pulse.why[0] == f"HTTP {status}"


@pytest.mark.parametrize("odd", ["text", {"no": "event"}, {"type": "ADDED", "object": {}}])
def test_a_line_that_is_no_event_is_an_interruption(odd):
    game = run([page("a"), page("a")], [[odd]], watching(2))

    assert game.asked == ["list ", "watch", "list ", "watch"]
    assert game.trial.rests == [0.5]


def test_what_a_tenant_writes_in_labels_and_texts_is_no_revision():
    odd = event("MODIFIED", "a")
    odd["object"]["metadata"]["labels"] = {"resourceVersion": "1"}
    odd["object"]["spec"]["syncRequest"] = '"resourceVersion":"2" "ERROR"'

    game = run([page("a")], [[odd, BOOKMARK]], watching(2))

    assert game.asked == ["list ", "watch", "watch"]
    assert ("doubt", None) not in game.sink.told


MAINTENANCE = "<html>\nWe will be back soon.\n</html>\n"


def test_the_page_of_a_proxy_that_answers_for_the_server_is_an_interruption():
    game = run([MAINTENANCE, page(), page()], [MAINTENANCE], watching(2))

    assert game.asked == ["list ", "list ", "watch", "list ", "watch"]
    assert game.trial.rests == [0.5, 1]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_apart_and_tried_again_since_a_server_that_starts_refuses_all(status):
    game = run([status, page()], [], is_read)

    # What comes after it is the end of the test.
    assert game.trial.pulse.why[0].split(":")[0] == f"denied HTTP {status}"
    assert game.server.seen.count("/apis") == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_watch_that_is_refused_for_long_is_followed_by_a_list(status):
    refusals = [status] * 15

    game = run([page("a"), page("b")], refusals, watching(17), patience=10)

    assert game.trial.turned == [None, None, None]
    assert game.asked[-3:] == ["watch", "list ", "watch"]
    assert game.sink.told[-1] == ("sweep", ["b"])
    assert is_read(game)


def test_a_watch_that_is_refused_for_a_moment_goes_on_where_it_was():
    game = run([page("a")], [403, [BOOKMARK]], watching(3))

    assert game.asked == ["list ", "watch", "watch", "watch"]
    assert game.trial.turned == [None]


@pytest.mark.promise("P10")
def test_what_kopf_cannot_mend_ends_it():
    with pytest.raises(KeyError):
        run([{"items": [{"no": "object"}]}], [], lambda _: False)


def test_each_request_brings_a_fresh_token_and_says_who_asks():
    game = run([page()], [], watching())

    assert game.server.headers["Authorization"] == f"Bearer {len(game.server.seen)}"
    assert game.server.headers["User-Agent"] == "test/1"
