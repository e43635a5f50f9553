"""Every fault between the operator and a real API server: in the end all is as without it."""

import json
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.cluster import packages
from dev.cluster.progress import Progress
from dev.plane import misbehaviour as faults
from dev.plane.call import every, lists, watches, writes
from dev.plane.proxy import Proxy
from dev.stack.waiting import settled, until
from tests.plane.scene import Kept, Scene, ask, begin, edit, play
from vendorsync_api.crd import custom_resource_definition

pytestmark = [pytest.mark.promise("P3"), pytest.mark.timeout(200)]

QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}
DEAD_STREAM_SECONDS = 90
"""Promise 10."""


@pytest.fixture
def start(plane, between, operator):
    def begin(name="operator", server=between, token=None, **env):
        return operator(plane, name, server=server.url, token=token, env=QUICK | env)

    return begin


@pytest.fixture(scope="module")
def calm(module_plane):
    """The final state of a run without any fault."""
    module_plane.clear()
    scene = Scene(module_plane, "acme")
    with module_plane.operator("calm", env=QUICK) as process:
        process.ready()
        play(scene)
    state = scene.state()
    module_plane.clear()
    return state


def to_kind(plural, chosen=every):
    return lambda call: call.resource.partition("/")[0] == plural and chosen(call)


FAULTS = [
    pytest.param(faults.slow(0.5), every, None, id="every-answer-half-a-second-late"),
    pytest.param(faults.refusing(429, retry_after=1), writes, 3, id="writes-throttled"),
    pytest.param(faults.refusing(500), writes, 3, id="writes-fail-inside-the-server"),
    pytest.param(faults.refusing(503), every, 10, id="server-not-ready"),
    pytest.param(faults.refusing(504), to_kind("jobs", writes), 1, id="job-times-out"),
    pytest.param(faults.cut, writes, 3, id="writes-cut"),
    pytest.param(faults.lost_reply, writes, 6, id="replies-to-writes-lost"),
    pytest.param(faults.lost_reply, to_kind("jobs", writes), 2, id="replies-to-new-jobs-lost"),
    pytest.param(faults.cut_body(0.5), to_kind("pods"), 1, id="list-of-pods-cut"),
    pytest.param(faults.refusing(500), to_kind("pods"), 1, id="list-of-pods-fails"),
    pytest.param(faults.frozen, to_kind("cronjobs", writes), 1, id="a-write-hangs"),
    pytest.param(faults.frozen, to_kind("pods"), 1, id="a-read-hangs"),
]


@pytest.mark.parametrize(("fault", "on", "times"), FAULTS)
def test_a_fault_among_the_requests_leaves_no_trace(fault, on, times, calm, scene, between, start):
    with between.fault(fault, on=on, times=times) as rule:
        process = start()
        play(scene)

    scene.becomes(calm)
    assert rule.met == times or (times is None and rule.met)
    assert process.alive


AT_THE_START = [
    pytest.param(faults.refusing(429, retry_after=1), lists, 3, id="lists-throttled"),
    pytest.param(faults.refusing(500), lists, 3, id="lists-fail"),
    pytest.param(faults.refusing(500), watches, 3, id="watches-fail"),
    pytest.param(faults.refusing(410), watches, 3, id="watches-begin-too-late"),
    pytest.param(faults.refusing(429, retry_after=1), watches, 3, id="watches-throttled"),
    pytest.param(faults.cut, every, 8, id="connections-cut"),
    pytest.param(faults.cut_body(0.5), lists, 6, id="lists-cut"),
]


@pytest.mark.parametrize(("fault", "on", "times"), AT_THE_START)
def test_an_operator_that_meets_a_fault_at_its_start_gets_there(
    fault, on, times, calm, plane, scene, between
):
    process = plane.operator(server=between.url, env=QUICK)
    process.start()
    with between.fault(fault, on=on, times=times) as rule, Kept(process, scene.api):
        play(scene)
        scene.becomes(calm)
    process.kill()

    assert rule.met == times


class SmallPages:
    """Asks for smaller pages than the operator does, and hits one page of each list."""

    def __init__(self, fault, page):
        self.fault = fault
        self.page = page
        self.asked: Counter[str] = Counter()
        self.met = 0

    async def __call__(self, exchange):
        call = exchange.call
        if call.query.get("limit"):
            call.query["limit"] = "2"
        self.asked[call.path] += 1
        if self.asked[call.path] != self.page:
            return await exchange.forward()
        self.met += 1
        return await self.fault(exchange)


@pytest.mark.fault("K3")
@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize(
    "fault",
    [faults.cut_body(0.5), faults.cut, faults.refusing(410), faults.refusing(500)],
    ids=["cut-in-the-body", "cut", "410", "500"],
)
def test_half_a_first_list_changes_nothing(fault, page, plane, scene, between):
    """What a list did not show yet would look deleted, and its CronJobs superfluous."""
    others = [Scene(plane, f"other{number}", organization=10 + number) for number in range(3)]
    process = plane.operator(server=between.url, env=QUICK)
    with process:
        process.ready()
        for each in (scene, *others):
            begin(each)
        for each in (scene, *others):
            each.applied()
    cron_jobs = plane.api.list("cronjobs")
    hit = SmallPages(fault, page)

    with between.fault(hit, on=lists):
        mark = len(between.calls)
        process.start()
        with Kept(process, scene.api):
            plane_is_ready(process)
            edit(scene)
            scene.applied()
    process.kill()

    assert hit.met >= 2, "of the lists of CronJobs and of Jobs or resources"
    written = [call for call in between.calls[mark:] if writes(call)]
    assert {call.name for call in written if call.verb == "delete"} == {"acme-beta-plants"}
    assert {call.name for call in written if call.resource == "cronjobs"} == {
        "acme-beta-plants",
        "acme-gamma-plants",
    }
    kept = {each["metadata"]["uid"] for each in plane.api.list("cronjobs")}
    assert kept == {
        each["metadata"]["uid"]
        for each in cron_jobs
        if each["metadata"]["name"] != "acme-beta-plants"
    }


def plane_is_ready(process, seconds=60):
    """Wait for an operator that may end and be started again meanwhile."""
    until(lambda: process._get("/startupz")[0] == 200, "a start", seconds=seconds, every=0.1)


@pytest.mark.parametrize("code", [410, 429, 500])
def test_an_error_in_a_stream_is_followed_by_all_that_was_missed(
    code, calm, plane, scene, between, start
):
    process = start()
    begin(scene)
    scene.applied()
    with Kept(process, scene.api) as kept, between.fault(faults.slow(1), on=watches):
        assert between.inject(code) == 3, "of VendorSyncs, CronJobs and Jobs"
        # Meanwhile nobody listens.
        plane.api.delete("cronjobs", scene.namespace, "acme-alpha-plants")
        edit(scene)
        scene.applied()
        # Until it is back, a run that is asked for would belong to the one that is gone.
        scene.until(lambda: "acme-alpha-plants" in scene.cron_jobs(), "the CronJob again")
        ask(scene)
        jobs = scene.requested("a")
        scene.finish(*jobs)
        scene.becomes(calm)

    assert kept.ends <= (0 if code == 410 else 1)


def test_streams_that_end_again_and_again_lose_nothing(calm, scene, between, start):
    process = start()
    begin(scene)
    scene.applied()
    for step in (edit, ask):
        cut_streams(between)
        step(scene)
        scene.applied()
    jobs = scene.requested("a")
    cut_streams(between)
    scene.finish(*jobs)

    scene.becomes(calm)
    assert process.alive


def cut_streams(between):
    until(lambda: between.streams() == 3, "three open streams", every=0.05)
    assert between.cut_streams() == 3


@pytest.mark.fault("K3")
def test_a_deletion_that_a_stream_kept_to_itself_is_found_by_the_next_list(
    plane, scene, between, start
):
    with between.fault(faults.without(lambda event: event["type"] == "DELETED"), on=watches):
        start()
        begin(scene)
        scene.applied()
        gone = scene.uids()["acme-beta-plants"]
        plane.api.delete("cronjobs", scene.namespace, "acme-beta-plants")
        between.inject(410)

        scene.until(
            lambda: scene.uids().get("acme-beta-plants", gone) != gone,
            "the CronJob again",
        )


def test_a_resource_whose_deletion_was_missed_gets_no_new_cron_jobs(plane, scene, between, start):
    other = Scene(plane, "other", organization=4)
    with between.fault(
        faults.without(lambda event: event["type"] == "DELETED"), on=to_kind("vendorsyncs", watches)
    ):
        process = start()
        begin(scene)
        scene.applied()
        plane.api.delete("vendorsyncs", scene.namespace, scene.name)
        mark = len(between.calls)
        for name in scene.cron_jobs():
            plane.api.delete("cronjobs", scene.namespace, name)
        asked = to_kind("vendorsyncs", lambda call: call.name == scene.name)
        scene.until(
            lambda: any(asked(call) for call in between.calls[mark:]),
            "a look whether the resource still exists",
        )
        begin(other)
        other.applied()

    assert scene.cron_jobs() == {}
    assert process.alive


@pytest.mark.promise("P10")
@pytest.mark.slow
def test_a_stream_that_fell_silent_is_given_up_within_90_seconds(calm, scene, between, start):
    process = start()
    begin(scene)
    scene.applied()
    with between.silence(), Kept(process, scene.api) as kept:
        edit(scene)
        scene.until(scene._is_applied, "the edit", DEAD_STREAM_SECONDS)
        ask(scene)
        jobs = scene.requested("a")
        scene.finish(*jobs)
        scene.becomes(calm, DEAD_STREAM_SECONDS)

    assert kept.ends <= 1


# Parts of the control plane; here the operator speaks to the API server itself


@pytest.fixture
def begun(plane, scene, operator):
    """An operator that has seen the resource."""
    process = operator(plane, env=QUICK)
    begin(scene)
    scene.applied()
    return process


@contextmanager
def ended(plane, scene, component):
    plane.cluster.end(component)
    try:
        yield
    finally:
        plane.cluster.begin(component)
        scene.until(plane.cluster.ready, "the API server")


@contextmanager
def paused(plane, component):
    plane.cluster.pause(component)
    try:
        yield
    finally:
        plane.cluster.resume(component)


def missing(process):
    """Return a condition: from now on, the operator has said that it misses the server."""
    known = len(process.log())
    return lambda: "lease not reached" in process.log()[known:]


def go_on(scene, calm):
    """Play the rest of the life that has begun."""
    edit(scene)
    scene.applied()
    go_on_asking(scene, calm)


def go_on_asking(scene, calm):
    ask(scene)
    jobs = scene.requested("a")
    scene.finish(*jobs)
    scene.becomes(calm)


def test_an_api_server_that_was_down_finds_an_operator_that_goes_on(calm, plane, scene, begun):
    with Kept(begun, scene.api) as kept:
        lost = missing(begun)
        with ended(plane, scene, "kube-apiserver"):
            scene.until(lost, "word of the lost server")
        go_on(scene, calm)

    assert kept.ends == 0


def test_an_api_server_that_hangs_for_a_while_changes_nothing(calm, plane, scene, begun):
    edit(scene)
    with Kept(begun, scene.api) as kept:
        lost = missing(begun)
        with paused(plane, "kube-apiserver"):
            scene.until(lost, "word of the lost server")
        scene.applied()
        go_on_asking(scene, calm)

    assert kept.ends == 0


def test_etcd_that_is_ended_and_begun_again_loses_nothing(calm, plane, scene, begun):
    uids = scene.uids()
    with Kept(begun, scene.api) as kept:
        lost = missing(begun)
        with ended(plane, scene, "etcd"):
            scene.until(lost, "word of the lost server")
        assert scene.uids() == uids
        go_on(scene, calm)

    assert kept.ends == 0


def test_an_etcd_that_hangs_for_a_while_changes_nothing(calm, plane, scene, begun):
    with Kept(begun, scene.api) as kept:
        lost = missing(begun)
        with paused(plane, "etcd"):
            scene.until(lost, "word of the lost server")
        go_on(scene, calm)

    assert kept.ends == 0


def test_an_operator_without_a_server_behind_its_port_waits_for_it(calm, scene, between, start):
    process = start()
    begin(scene)
    scene.applied()
    lost = missing(process)
    with Kept(process, scene.api) as kept:
        with between.down():
            edit(scene)
            scene.until(lost, "word of the lost server")
        scene.applied()
        go_on_asking(scene, calm)

    assert kept.ends == 0


# People


EDITS = {
    "schedule": {"spec": {"schedule": "* * * * *"}},
    "suspended": {"spec": {"suspend": True}},
    "image": {
        "spec": {
            "jobTemplate": {
                "spec": {"template": {"spec": {"containers": [{"name": "run", "image": "theirs"}]}}}
            }
        }
    },
    "label-taken-away": {"metadata": {"labels": {"vendorsync.dev/vendor": None}}},
    "not-ours-any-more": {"metadata": {"labels": {"app.kubernetes.io/managed-by": "theirs"}}},
    "owner-taken-away": {"metadata": {"ownerReferences": None}},
    "annotation-taken-away": {"metadata": {"annotations": None}},
}


@pytest.mark.parametrize("change", EDITS.values(), ids=list(EDITS))
def test_a_cron_job_that_a_person_edits_comes_back(change, plane, scene, start):
    start()
    begin(scene)
    scene.applied()
    state, uids = scene.state(), scene.uids()
    plane.api.patch("cronjobs", scene.namespace, "acme-alpha-plants", change)
    scene.becomes(state)

    assert scene.uids() == uids


def test_cron_jobs_that_a_person_deletes_come_back(plane, scene, start):
    start()
    begin(scene)
    scene.applied()
    state = scene.state()
    for name in scene.cron_jobs():
        plane.api.delete("cronjobs", scene.namespace, name)

    scene.becomes(state)


def test_what_a_person_adds_beside_ours_stays_and_costs_no_write(plane, scene, between, start):
    other = Scene(plane, "other", organization=4)
    start()
    begin(scene)
    scene.applied()
    mark = len(between.calls)
    added = {"metadata": {"annotations": {"example.com/note": "theirs"}}}
    plane.api.patch("cronjobs", scene.namespace, "acme-alpha-plants", added)
    begin(other)
    other.applied()

    live = scene.cron_jobs()["acme-alpha-plants"]
    assert live["metadata"]["annotations"]["example.com/note"] == "theirs"
    assert [c.name for c in between.calls[mark:] if writes(c) and "acme" in c.name] == []


# Two operators


def test_two_operators_that_know_nothing_of_each_other_do_not_fight(
    calm, plane, scene, between, start
):
    """Two installations by mistake: each leads by a Lease of its own, and both write."""
    other = Scene(plane, "other", organization=4)
    # The chart's role names one Lease, so the second operator needs somebody else's rights.
    admin = json.loads(plane.cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    with Proxy(plane.server, plane.ca) as second:
        processes = [
            start("first"),
            start("second", server=second, token=admin, VENDORSYNC_LEASE_NAME="second"),
        ]
        play(scene)
        scene.becomes(calm)

        def written():
            return [
                call
                for call in (*between.calls, *second.calls)
                if writes(call) and "acme" in call.name
            ]

        # The slower of them may be about to say the same; a fight would never be over.
        before = settled(written)
        begin(other)
        other.applied()
        for name in other.cron_jobs():
            plane.api.delete("cronjobs", other.namespace, name)
        other.until(lambda: len(other.cron_jobs()) == 3, "the other's CronJobs again")

        assert written() == before
        assert all(process.alive for process in processes)
        assert not scene.events(), "nothing is wrong"


# Clocks


@pytest.fixture(scope="session")
def clock_library():
    def found():
        return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

    if found() is None:
        packages.ensure(["libfaketime"], Progress())
    return found()


@pytest.mark.fault("T5")
@pytest.mark.parametrize("jump", ["+3d", "-2d", "+90m"])
def test_a_jump_of_the_operators_clock_changes_nothing(
    jump, calm, scene, between, start, clock_library, tmp_path
):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    process = start(
        LD_PRELOAD=str(clock_library),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    begin(scene)
    scene.applied()
    clock.write_text(jump)
    edit(scene)
    scene.applied()
    ask(scene)
    jobs = scene.requested("a")
    clock.write_text("+0")
    scene.finish(*jobs)

    scene.becomes(calm)
    assert process.alive
    assert process.health()[0] == 200


# Upgrades


@pytest.mark.promise("P12")
def test_the_crd_of_the_next_version_leaves_resources_and_cron_jobs_alone(
    calm, plane, scene, between, start
):
    process = start()
    play(scene)
    uids = scene.uids()
    mark = len(between.calls)
    following = custom_resource_definition()
    schema = following["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["note"] = {"type": "string", "maxLength": 20}
    with Kept(process, scene.api) as kept:
        try:
            plane.api.apply(following)
            scene.until(lambda: _accepts_note(scene), "the next schema")
            scene.applied()
        finally:
            plane.api.apply(custom_resource_definition())

    assert scene.state()["cron_jobs"] == calm["cron_jobs"]
    written = [call for call in between.calls[mark:] if writes(call)]
    assert [call for call in written if call.resource != "vendorsyncs/status"] == []
    assert scene.uids() == uids
    assert kept.ends == 0


def _accepts_note(scene):
    return "note" in scene.change(note="next")["spec"]
