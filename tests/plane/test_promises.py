"""What is left of the operator's promises: no end without a word, upgrades that keep what runs.

P1, P2 and P11 are counted in test_call_budget.py, P3 and P10 shown in test_faults.py and
test_kills.py, P5 and P6 in test_ticks.py, P8 in the tests of the schedule, P9 in test_scale.py, and
P4 by the lease in PostgreSQL, in the tests of the sync job.
"""

from typing import Any

import pytest

from tests.plane.scene import ALPHA, BETA, GAMMA, begin, revive, vendor
from vendorsync_api import run
from vendorsync_api.crd import custom_resource_definition
from vendorsync_api.reasons import Result, RunReason

pytestmark = [pytest.mark.timeout(200)]

QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}


@pytest.fixture
def process(plane, operator):
    return operator(plane, env=QUICK)


def entry(scene, name="alpha"):
    (found,) = (each for each in scene.status()["vendors"] if each["name"] == name)
    return found


ENDS = {
    f"v{number}": reason
    for number, reason in enumerate(RunReason)
    if reason not in (RunReason.NO_REPORT, RunReason.REPORT_LOST)
}


@pytest.mark.promise("P7")
def test_every_way_a_run_can_end_is_told_with_its_reason(scene, process):
    """All reasons of the contract at once, each as the end of one vendor's run."""
    scene.apply(*(vendor(name) for name in ENDS), syncRequest="all")
    jobs = scene.requested("all")
    vendors = {name: job["metadata"]["labels"][run.VENDOR_LABEL] for name, job in jobs.items()}
    assert sorted(vendors.values()) == sorted(ENDS)
    for job, name in vendors.items():
        scene.finish(job, reason=ENDS[name])
    scene.recorded(*jobs)

    told = {each["name"]: (each["result"], each["reason"]) for each in scene.status()["vendors"]}
    assert told == {name: (end.result.value, end.value) for name, end in ENDS.items()}
    assert scene.condition("Synced")[0] == "False"
    (degraded,) = (each for each in scene.status()["conditions"] if each["type"] == "Degraded")
    assert degraded["status"] == "True"
    for end in ENDS.values():
        failed = end.result not in (Result.SUCCEEDED, Result.SKIPPED)
        assert (end.value in degraded["message"]) == (failed and end.needs_action)


@pytest.mark.promise("P7")
def test_a_run_that_completed_and_whose_pod_vanished_is_told_as_unknown(plane, scene, process):
    scene.apply(ALPHA, syncRequest="a")
    (job,) = scene.requested("a")
    process.kill()
    scene.finish(job, reason=RunReason.SYNCED)
    plane.api.clear("pods", scene.namespace)
    revive(process, plane.api)
    scene.recorded(job)

    assert (entry(scene)["result"], entry(scene)["reason"]) == ("Unknown", "ReportLost")
    assert scene.condition("Synced")[:2] == ("Unknown", "ReportLost")


REFUSED: dict[str, dict[str, Any]] = {
    "UnknownTimeZone": {"schedule": {"timeZone": "Nowhere/Land"}},
    "NeverRuns": {"schedule": {"cron": "0 0 31 2 *"}},
    "UnknownAdapter": {"adapter": "unknown"},
    "OptionsInvalid": {"options": {"orgId": "x"}},
    "EndpointNotAllowed": {"baseURL": "https://example.com"},
}


@pytest.mark.promise("P7")
@pytest.mark.parametrize("reason", REFUSED)
def test_a_vendor_that_cannot_run_is_named_beside_the_others_that_do(reason, scene, process):
    fields: dict[str, Any] = dict(REFUSED[reason])
    if schedule := fields.pop("schedule", None):
        fields["streams"] = {"plants": {"schedule": schedule}}
    scene.apply(vendor("bad", **fields), BETA)
    scene.applied()

    assert scene.condition("Ready") == ("False", reason)
    assert scene.condition("Degraded")[0] == "True"
    (ready,) = (each for each in scene.status()["conditions"] if each["type"] == "Ready")
    assert "bad/plants" in ready["message"]
    assert set(scene.cron_jobs()) == {"acme-beta-plants"}


@pytest.mark.promise("P12")
def test_a_newer_operator_after_a_newer_crd_keeps_every_cron_job(plane, scene, process):
    """The next release renders a little differently: other image, one more field of the CRD."""
    begin(scene)
    scene.applied()
    uids = scene.uids()
    following = custom_resource_definition()
    schema = following["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["note"] = {"type": "string", "maxLength": 20}
    plane.api.apply(following)
    try:
        process.stop()
        image = {"VENDORSYNC_JOB_IMAGE": "vendorsync-syncjob:next"}
        newer = plane.operator("newer", env=QUICK | image)
        plane.mark()
        with newer:
            newer.ready()
            scene.until(lambda: images(scene) == {"vendorsync-syncjob:next"}, "the next image")
            asked = plane.requests()
    finally:
        plane.api.apply(custom_resource_definition())

    assert scene.uids() == uids
    assert asked["delete", "cronjobs"] == 0
    assert asked["patch", "cronjobs"] == 3


def images(scene):
    return {
        each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"]
        for each in scene.cron_jobs().values()
    }


@pytest.mark.promise("P12")
def test_a_field_of_the_next_version_does_not_trouble_an_operator_that_does_not_know_it(
    plane, scene, process
):
    begin(scene)
    scene.applied()
    uids = scene.uids()
    following = custom_resource_definition()
    schema = following["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["note"] = {"type": "string", "maxLength": 20}
    plane.api.apply(following)
    try:
        scene.until(lambda: "note" in scene.change(note="next")["spec"], "the next schema")
        scene.applied()
        process.kill()
        revive(process, plane.api)
        process.ready()
        scene.apply(ALPHA, BETA, GAMMA, suspend=True, note="next")
        scene.applied()
    finally:
        plane.api.apply(custom_resource_definition())

    assert scene.condition("Ready")[0] == "True"
    assert scene.uids() == uids
    assert process.alive
