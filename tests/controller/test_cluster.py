"""The API server's port against a small HTTP server on loopback that plays answers back."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes.aio import client

from vendorsync_operator.cluster import Api, ApiError, ApiServerCluster, sources
from vendorsync_operator.reconcile import RefusedError
from vendorsync_operator.watch import GoneError, StreamError

KEY = ("solar", "acme")


@contextmanager
def server(*answers):
    """Play answers, (status, body) each, and remember the requests."""
    remaining, seen = iter(answers), []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            seen.append((self.command, self.path, self.headers, json.loads(body or b"null")))
            status, text = next(remaining)
            data = (text if isinstance(text, str) else json.dumps(text)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", seen
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def call(address, action):
    """Run an action with an API at an address."""

    async def scenario():
        configuration = client.Configuration(host=address)
        configuration.api_key["BearerToken"] = "bearer t0"
        api = Api(client.ApiClient(configuration))
        try:
            return await action(api)
        finally:
            await api.close()

    return asyncio.run(scenario())


def asked(action, *answers):
    """Return what an action returned and the requests it made."""
    with server(*answers) as (address, seen):
        return call(address, action), seen


def test_a_cron_job_is_applied_with_our_field_manager_to_the_object_of_that_uid():
    rendered = {"metadata": {"namespace": "solar", "name": "acme"}, "spec": {}}

    found, seen = asked(
        lambda api: ApiServerCluster(api).apply_cron_job(rendered, "u1"), (200, {"ok": 1})
    )

    method, path, headers, body = seen[0]
    assert found == {"ok": 1}
    assert (method, headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
    assert path == (
        "/apis/batch/v1/namespaces/solar/cronjobs/acme?fieldManager=vendorsync-operator&force=true"
    )
    assert headers["Authorization"] == "bearer t0"
    assert body["metadata"]["uid"] == "u1"
    assert "uid" not in rendered["metadata"]


def test_suspending_touches_one_field_only():
    _, seen = asked(lambda api: ApiServerCluster(api).suspend_cron_job(KEY), (200, {}))

    assert seen[0][2]["Content-Type"] == "application/merge-patch+json"
    assert seen[0][3] == {"spec": {"suspend": True}}


def test_a_deletion_names_the_uid_and_takes_the_jobs_along():
    _, seen = asked(lambda api: ApiServerCluster(api).delete_cron_job(KEY, "u1"), (200, {}))

    assert seen[0][3]["preconditions"] == {"uid": "u1"}
    assert seen[0][3]["propagationPolicy"] == "Background"


STATUS = {"kind": "Status", "message": "no"}
JOB = {"metadata": {"namespace": "solar", "name": "j"}}


@pytest.mark.parametrize(
    ("action", "status"),
    [
        pytest.param(lambda c: c.read_resource(KEY), 404, id="absent resource"),
        pytest.param(lambda c: c.read_cron_job(KEY), 404, id="absent cron job"),
        pytest.param(lambda c: c.suspend_cron_job(KEY), 404, id="suspended after it went"),
        pytest.param(lambda c: c.delete_cron_job(KEY, "u"), 404, id="deleted twice"),
        pytest.param(lambda c: c.delete_cron_job(KEY, "u"), 409, id="deleted and made again"),
        pytest.param(lambda c: c.create_job(JOB), 409, id="job that exists"),
        pytest.param(lambda c: c.apply_status(KEY, "u", {}), 404, id="status of what is gone"),
    ],
)
def test_an_answer_that_means_nothing_to_do_is_no_error(action, status):
    found, _ = asked(lambda api: action(ApiServerCluster(api)), (status, STATUS))

    assert found is None


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_that_lasts_brings_the_servers_words(status):
    refusal = {"kind": "Status", "message": "exceeded quota: small"}

    with pytest.raises(RefusedError, match="exceeded quota: small"):
        asked(lambda api: ApiServerCluster(api).create_job(JOB), (status, refusal))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_may_pass_is_no_refusal(status):
    with pytest.raises(ApiError) as failed:
        asked(lambda api: ApiServerCluster(api).create_job(JOB), (status, "try later"))

    assert failed.value.status == status


def test_the_pods_of_a_job_are_selected_by_the_server():
    found, seen = asked(
        lambda api: ApiServerCluster(api).pods(("solar", "job-1")), (200, {"items": [{"a": 1}]})
    )

    assert found == [{"a": 1}]
    assert seen[0][1].endswith("/pods?labelSelector=batch.kubernetes.io/job-name%3Djob-1")


def jobs(api):
    return sources(api, "jobs", ("solar",))[0]


def test_a_list_is_read_in_chunks_by_label():
    answer = {"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [{"a": 1}]}

    page, seen = asked(lambda api: jobs(api).page("next"), (200, answer))

    assert (page.items, page.version, page.next_page) == ([{"a": 1}], "5", "more")
    assert seen[0][1] == (
        "/apis/batch/v1/namespaces/solar/jobs"
        "?labelSelector=app.kubernetes.io/managed-by%3Dvendorsync&limit=500&continue=next"
    )


def test_a_watch_asks_for_bookmarks_and_an_end():
    lines = '{"type":"ADDED","object":{"a":1}}\n{"type":"BOOKMARK","object":{}}\n'

    async def watch(api):
        return [event["type"] async for event in jobs(api).events("5")]

    found, seen = asked(watch, (200, lines))

    assert found == ["ADDED", "BOOKMARK"]
    assert seen[0][1].endswith(
        "&watch=true&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=300"
    )


async def first_event(api):
    return await anext(jobs(api).events("5"))


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(410, GoneError), (429, StreamError), (503, StreamError), (403, ApiError)],
)
def test_a_refused_watch_means_listing_again_trying_again_or_the_end(status, meaning):
    with pytest.raises(meaning):
        asked(first_event, (status, STATUS))


def test_a_server_that_cannot_be_reached_interrupts_the_stream():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

    with pytest.raises(StreamError):
        call(address, lambda api: jobs(api).page(""))


def test_a_line_that_is_cut_interrupts_the_stream():
    with pytest.raises(StreamError):
        asked(first_event, (200, '{"type":"ADD'))


def test_all_namespaces_are_one_source_and_a_list_is_one_each():
    async def names(api):
        return [
            source.name for source in (*sources(api, "jobs", ()), *sources(api, "jobs", ("a", "b")))
        ]

    assert call("http://127.0.0.1:1", names) == ["jobs in all namespaces", "jobs in a", "jobs in b"]
