"""The API server's port against a small HTTP server on loopback that plays answers back."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest
from kubernetes.aio import client

from vendorsync_api.run import HASH_ANNOTATION
from vendorsync_operator import lease
from vendorsync_operator.cluster.leases import ApiServerLeases
from vendorsync_operator.cluster.resources import ApiServerCluster, OutdatedError
from vendorsync_operator.cluster.streams import sources
from vendorsync_operator.cluster.transport import Api, ApiError, environment_proxy
from vendorsync_operator.lease import NotLeadingError, Record, UnreachableError
from vendorsync_operator.ports import ConflictError, RefusedError
from vendorsync_operator.watch.follow import GoneError, StreamDeniedError, StreamError

KEY = ("solar", "acme")


@contextmanager
def server(*answers):
    """Play answers, (status, body[, headers]) each, and remember the requests."""
    remaining, seen = iter(answers), []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            seen.append((self.command, self.path, self.headers, json.loads(body or b"null")))
            status, text, *more = next(remaining)
            data = (text if isinstance(text, str) else json.dumps(text)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in more[0].items() if more else ():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
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


def fenced(api):
    return ApiServerCluster(api, fence=lambda: 10.0)


def asked(action, *answers):
    """Return what an action returned and the requests it made."""
    with server(*answers) as (address, seen):
        return call(address, action), seen


def test_a_cron_job_is_applied_with_our_field_manager_to_the_object_of_that_uid():
    rendered = {"metadata": {"namespace": "solar", "name": "acme"}, "spec": {}}

    found, seen = asked(lambda api: fenced(api).apply_cron_job(rendered, "u1"), (200, {"ok": 1}))

    method, path, headers, body = seen[0]
    assert found == {"ok": 1}
    assert (method, headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
    assert path == (
        "/apis/batch/v1/namespaces/solar/cronjobs/acme?fieldManager=vendorsync-operator&force=true"
    )
    assert headers["Authorization"] == "bearer t0"
    assert body["metadata"]["uid"] == "u1"
    assert "uid" not in rendered["metadata"]


def test_suspending_takes_the_hash_away_and_touches_nothing_else():
    _, seen = asked(lambda api: fenced(api).suspend_cron_job(KEY), (200, {}))

    assert seen[0][2]["Content-Type"] == "application/merge-patch+json"
    assert seen[0][3] == {
        "metadata": {"annotations": {HASH_ANNOTATION: None}},
        "spec": {"suspend": True},
    }


def test_a_deletion_names_the_uid_and_takes_the_jobs_along():
    _, seen = asked(lambda api: fenced(api).delete_cron_job(KEY, "u1"), (200, {}))

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
        pytest.param(lambda c: c.apply_status(KEY, "u", {}), 404, id="status of what is gone"),
    ],
)
def test_an_answer_that_means_nothing_to_do_is_no_error(action, status):
    found, _ = asked(lambda api: action(fenced(api)), (status, STATUS))

    assert found is None


def test_a_status_that_the_crd_does_not_know_says_what_to_apply():
    answer = {"message": "failed to create typed patch: .status.x: field not declared in schema"}

    with pytest.raises(OutdatedError, match=r"is older than this operator.*apply the CRD"):
        asked(lambda api: fenced(api).apply_status(KEY, "u1", {}), (500, answer))


def test_a_job_that_exists_is_not_created():
    exists = {"kind": "Status", "message": 'jobs.batch "j" already exists'}

    created, _ = asked(lambda api: fenced(api).create_job(JOB), (201, {}))
    again, _ = asked(lambda api: fenced(api).create_job(JOB), (409, exists))

    assert (created, again) == (True, False)


@pytest.mark.parametrize(("items", "found"), [([JOB], JOB), ([], None)], ids=["there", "gone"])
def test_a_job_is_read_by_a_list_of_its_name(items, found):
    read, (request,) = asked(lambda api: fenced(api).read_job(KEY), (200, {"items": items}))

    assert read == found
    assert request[1] == "/apis/batch/v1/namespaces/solar/jobs?fieldSelector=metadata.name%3Dacme"


def test_a_quota_that_was_counted_at_the_same_time_is_worth_another_try():
    counted = {"kind": "Status", "message": "the object has been modified"}

    with pytest.raises(ApiError):
        asked(lambda api: fenced(api).create_job(JOB), (409, counted))


def test_a_cron_job_that_should_not_exist_yet_is_created_or_left_alone():
    rendered = {"metadata": {"namespace": "solar", "name": "acme"}, "spec": {}}

    with server((409, STATUS)) as (address, seen), pytest.raises(ConflictError):
        call(address, lambda api: fenced(api).apply_cron_job(rendered, None))

    assert seen[0][3]["metadata"]["resourceVersion"]


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_that_lasts_brings_the_servers_words(status):
    refusal = {"kind": "Status", "message": "exceeded quota: small"}

    with pytest.raises(RefusedError, match="exceeded quota: small"):
        asked(lambda api: fenced(api).create_job(JOB), (status, refusal))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_may_pass_is_no_refusal(status):
    with pytest.raises(ApiError) as failed:
        asked(lambda api: fenced(api).create_job(JOB), (status, "try later"))

    assert failed.value.status == status


def test_the_pods_of_a_job_are_selected_by_the_server():
    pod = {"metadata": {"labels": {"batch.kubernetes.io/job-name": "job-1"}}}

    found, seen = asked(
        lambda api: fenced(api).pods(("solar", "job-1"), "77"), (200, {"items": [pod]})
    )

    assert found == [pod]
    assert seen[0][1] == (
        "/api/v1/namespaces/solar/pods?labelSelector=batch.kubernetes.io/job-name+in+(job-1)"
        "&resourceVersion=77&resourceVersionMatch=NotOlderThan"
    )


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
    [
        (410, GoneError),
        (429, StreamError),
        (503, StreamError),
        (403, StreamDeniedError),
        (400, StreamDeniedError),
    ],
)
def test_a_refused_watch_means_listing_again_or_trying_again(status, meaning):
    with pytest.raises(meaning):
        asked(first_event, (status, STATUS))


class Silent:
    """An API whose watches open and stay silent until the client gives them up."""

    async def lines(self, path, query):
        if path:
            raise aiohttp.SocketTimeoutError("Timeout on reading data from socket")
        yield b""


def test_a_watch_that_fell_silent_is_not_opened_again_as_it_was():
    with pytest.raises(GoneError):
        asyncio.run(first_event(Silent()))


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


WRITES = [
    pytest.param(lambda c: c.apply_cron_job({"metadata": JOB["metadata"]}, None), id="apply"),
    pytest.param(lambda c: c.suspend_cron_job(KEY), id="suspend"),
    pytest.param(lambda c: c.delete_cron_job(KEY, "u"), id="delete"),
    pytest.param(lambda c: c.create_job(JOB), id="create"),
    pytest.param(lambda c: c.apply_status(KEY, "u", {}), id="status"),
    pytest.param(lambda c: c.create_event(JOB), id="event"),
]


@pytest.mark.parametrize("write", WRITES)
def test_no_write_leaves_an_operator_that_may_not_lead(write):
    def closed():
        raise NotLeadingError("not the holder")

    with server() as (address, seen), pytest.raises(NotLeadingError):
        call(address, lambda api: write(ApiServerCluster(api, fence=closed)))

    assert seen == []


@pytest.mark.parametrize("write", WRITES)
def test_no_write_leaves_an_operator_that_was_stopped_between_the_fence_and_the_socket(write):
    passed = iter([10.0])

    def closed_since():
        for seconds in passed:
            return seconds
        raise NotLeadingError("not the holder any more")

    with server() as (address, seen), pytest.raises(aiohttp.ClientConnectionError):
        call(address, lambda api: write(ApiServerCluster(api, fence=closed_since)))

    assert seen == []


@pytest.mark.parametrize("write", WRITES)
def test_no_write_outlasts_the_lease(write):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(TimeoutError):
            call(address, lambda api: write(ApiServerCluster(api, fence=lambda: 0.05)))


def test_a_read_needs_no_lease():
    def closed():
        raise NotLeadingError("not the holder")

    found, _ = asked(
        lambda api: ApiServerCluster(api, fence=closed).read_resource(KEY), (200, {"a": 1})
    )

    assert found == {"a": 1}


def test_requests_say_who_asks():
    _, seen = asked(lambda api: fenced(api).read_resource(KEY), (200, {}))

    assert seen[0][2]["User-Agent"] == "vendorsync-operator"


MOMENT = datetime(2026, 11, 23, 6, 0, 0, 5, tzinfo=UTC)
HELD = Record("me", 15, 2, MOMENT, MOMENT, "7")
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"namespace": "solar", "name": "operator", "resourceVersion": "7"},
    "spec": {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 2,
        "acquireTime": "2026-11-23T06:00:00.000005Z",
        "renewTime": "2026-11-23T06:00:00.000005Z",
    },
}


def leases(api):
    return ApiServerLeases(api, "solar", "operator")


def test_a_lease_is_read_and_replaced_as_it_was_read():
    found, seen = asked(lambda api: leases(api).read(), (200, LEASE))
    _, again = asked(lambda api: leases(api).update(HELD), (200, LEASE))

    path = "/apis/coordination.k8s.io/v1/namespaces/solar/leases/operator"
    assert found == HELD
    assert seen[0][:2] == ("GET", path)
    assert again[0][:2] == ("PUT", path)
    assert again[0][3] == LEASE


def test_a_lease_without_a_version_is_created():
    _, seen = asked(lambda api: leases(api).create(replace(HELD, version="")), (201, LEASE))

    assert seen[0][0] == "POST"
    assert "resourceVersion" not in seen[0][3]["metadata"]


def test_a_lease_that_somebody_made_by_hand_is_free():
    bare = {"metadata": {"resourceVersion": "9"}, "spec": {}}

    found, _ = asked(lambda api: leases(api).read(), (200, bare))

    assert found == Record("", 15, 0, None, None, "9")


@pytest.mark.parametrize(
    ("action", "status"),
    [
        pytest.param(lambda own: own.read(), 404, id="none yet"),
        pytest.param(lambda own: own.create(HELD), 409, id="somebody was quicker"),
        pytest.param(lambda own: own.update(HELD), 409, id="replaced meanwhile"),
        pytest.param(lambda own: own.update(HELD), 404, id="deleted meanwhile"),
    ],
)
def test_a_lease_that_is_another_by_now_is_none(action, status):
    found, _ = asked(lambda api: action(leases(api)), (status, STATUS))

    assert found is None


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (429, UnreachableError),
        (500, UnreachableError),
        (403, lease.LeaseDeniedError),
        (400, lease.LeaseDeniedError),
    ],
)
def test_a_lease_that_is_denied_is_told_apart_from_one_that_cannot_be_reached(status, meaning):
    with pytest.raises(meaning):
        asked(lambda api: leases(api).read(), (status, STATUS))


def test_the_pause_that_the_server_asks_for_is_kept_up_to_half_a_minute():
    def pause(text):
        with pytest.raises(StreamError) as refused:
            asked(lambda api: jobs(api).page(""), (429, STATUS, {"Retry-After": text}))
        return refused.value.retry_after

    assert [pause("7"), pause("3600"), pause("tomorrow")] == [7, 30, 0]


@pytest.mark.parametrize(
    ("spared", "proxy"),
    [("", "http://proxy.example:3128"), ("api.example", None)],
    ids=["with a proxy", "a server that needs none"],
)
def test_the_environments_proxy_is_used_but_for_what_it_spares(monkeypatch, spared, proxy):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", spared)

    assert environment_proxy("https://api.example:6443") == proxy
