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
from vendorsync_api.group import GROUP, KIND, PLURAL
from vendorsync_api.v1alpha1 import API_VERSION, VERSION
from vendorsync_operator import handlers, main
from vendorsync_operator.intake import Intake, session

PATH = f"/apis/{API_VERSION}/{PLURAL}"


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

    def gone(self, document):
        self.told.append(("gone", document["metadata"]["name"]))

    def sweep(self, listed, namespace):
        self.told.append(("sweep", sorted(name for _, name in listed)))


class Pulse:
    """Counts what is heard and keeps why attempts failed."""

    def __init__(self):
        self.count, self.why = 0, []

    def heard(self):
        self.count += 1

    def failed(self, why):
        self.why.append(why)

    def denied(self, why):
        self.why.append(f"denied {why}")


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
        if isinstance(lines, int):
            return web.json_response({"kind": "Status"}, status=lines)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in lines or ():
            await answer.write(json.dumps(line).encode() + b"\n")
        if lines is None:
            await asyncio.Event().wait()
        return answer

    async def list(self):
        page = next(self.pages)
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


async def play(pages, watches, until):
    """Run kopf until a condition holds; return sink, intake, pulse and server."""
    sink, pulse, server = Sink(), Pulse(), Server(pages, watches)
    taken = Intake(sink, None, pulse)
    application = web.Application()
    application.router.add_get(PATH, server.serve)
    application.router.add_get("/{any:.*}", server.discover)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def open_session():
        connector = aiohttp.TCPConnector()
        return session({PATH: taken}, Token(), user_agent="test/1", connector=connector)

    settings = main.kopf_settings()
    settings.watching.reconnect_backoff = 0.01
    settings.networking.error_backoffs = [0.01] * 20
    registry = handlers.registry(sink, server=url, session=open_session)
    tasks = await kopf.spawn_tasks(registry=registry, settings=settings, clusterwide=True)
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=Everything()))
    try:
        async with asyncio.timeout(20):
            while not until(sink, taken, pulse, server) and not running.done():
                await asyncio.sleep(0.01)
        if running.done():
            await running
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=20)
        await runner.cleanup()
    return sink, taken, pulse, server


def run(pages, watches, until):
    return asyncio.run(play(pages, watches, until))


def watching(times=1):
    return lambda sink, taken, pulse, server: server.seen.count("watch") >= times


def test_the_pages_of_kopfs_own_list_fill_the_store_and_its_end_sweeps():
    sink, taken, _, server = run([page("a", more="x"), page("b")], [], watching())

    assert sink.told == [("found", "a"), ("found", "b"), ("sweep", ["a", "b"])]
    assert taken.listed.is_set()
    assert server.seen[-3:] == ["list ", "list x", "watch"]


@pytest.mark.promise("P1")
def test_at_start_there_is_one_list_and_one_watch_besides_discovery():
    _, _, _, server = run([page()], [], watching())

    assert [what for what in server.seen if not what.startswith("/")] == ["list ", "watch"]
    assert sorted(what for what in server.seen if what.startswith("/")) == [
        "/api",
        "/api/v1",
        "/apis",
        f"/apis/{API_VERSION}",
    ]


def test_events_come_through_kopfs_handler():
    def told(sink, *_):
        return len(sink.told) >= 4

    lines = [event("ADDED", "b"), event("DELETED", "a", "7")]
    sink, _, _, _ = run([page("a")], [lines], told)

    assert sorted(sink.told[2:]) == [("found", "b"), ("gone", "a")]


def test_a_version_that_is_gone_leads_to_a_list_that_sweeps():
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}

    sink, _, _, _ = run([page("a", "b"), page("b")], [[gone]], watching(2))

    assert sink.told[-2:] == [("found", "b"), ("sweep", ["b"])]


def test_a_page_that_fails_is_asked_for_again_and_nothing_is_swept_before_the_end():
    sink, _, _, server = run([page("a", more="x"), 500, page("b")], [], watching())

    assert sink.told == [("found", "a"), ("found", "b"), ("sweep", ["a", "b"])]
    assert [what for what in server.seen if what.startswith("list")] == [
        "list ",
        "list x",
        "list x",
    ]


def test_a_list_that_starts_anew_forgets_the_half_that_was_read():
    sink = Sink()
    taken = Intake(sink, None, Pulse())

    taken.page(page("a", more="x"), first=True)
    assert not taken.listed.is_set()
    taken.page(page("b"), first=True)

    assert sink.told[-1] == ("sweep", ["b"])
    assert taken.listed.is_set()


def test_kopf_gets_a_page_without_its_objects():
    given = page("a", more="x")

    assert Intake(Sink(), None, Pulse()).page(given, first=True) == given | {"items": []}


@pytest.mark.promise("P10")
def test_each_chunk_of_a_watch_is_a_sign_of_life_a_bookmark_too():
    _, _, quiet, _ = run([page()], [], watching())
    _, _, pulse, _ = run([page()], [[BOOKMARK], None], watching(2))

    # The list, the beginning of each watch, and the bookmark.
    assert quiet.count <= 2
    assert pulse.count >= quiet.count + 2


def test_a_failed_attempt_is_told_and_tried_again():
    def ended(sink, taken, *_):
        return taken.listed.is_set()

    _, _, pulse, _ = run([503, page()], [], ended)

    assert pulse.why[0] == "HTTP 503"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_told_apart_and_tried_again_since_a_server_that_starts_refuses_all(status):
    def ended(sink, taken, *_):
        return taken.listed.is_set()

    _, _, pulse, server = run([status, page()], [], ended)

    # What comes after it is the end of the test.
    assert pulse.why[0].split(":")[0] == f"denied HTTP {status}"
    assert server.seen.count("/apis") == 1


@pytest.mark.promise("P10")
@pytest.mark.parametrize("end", [410, [{"type": "ERROR", "object": {"code": 500}}]])
def test_what_kopf_cannot_mend_ends_it(end):
    with pytest.raises(Exception, match=r".") as ended:
        run([page()], [end], lambda *_: False)

    assert not isinstance(ended.value, AssertionError)


def test_each_request_brings_a_fresh_token_and_says_who_asks():
    _, _, _, server = run([page()], [], watching())

    assert server.headers["Authorization"] == f"Bearer {len(server.seen)}"
    assert server.headers["User-Agent"] == "test/1"
