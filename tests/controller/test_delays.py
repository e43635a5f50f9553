"""Pods and Events as a kubelet, a scheduler and controllers of Kubernetes 1.34 write them."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.controller.build import job, job_document
from vendorsync_api.reasons import DelayReason
from vendorsync_operator.cache.live import LiveJob
from vendorsync_operator.results import delays

MADE = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SOON = MADE + timedelta(seconds=46)
LATER = MADE + timedelta(minutes=3)


def going(*, ready=0, deadline=1320, **said):
    document = job_document(finished="")
    document["metadata"]["creationTimestamp"] = "2026-11-23T06:00:00Z"
    document["status"] |= {"ready": ready, **said}
    document["spec"] = {"activeDeadlineSeconds": deadline}
    return LiveJob.of(document)


def pod(
    *, phase="Pending", node="node-0", scheduled=None, container=None, deleted=None, at="06:00"
):
    metadata = {"name": "x-abcde", "creationTimestamp": f"2026-11-23T{at}:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = deleted
    conditions = [] if scheduled is None else [{"type": "PodScheduled", "message": scheduled}]
    statuses = [] if container is None else [{"name": "run", "image": "registry/x:1"} | container]
    status = {"phase": phase, "conditions": conditions, "containerStatuses": statuses}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


def waiting(reason, message=""):
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def found(*pods, at=SOON):
    delay = delays.of_pods(going(), pods, at)
    return None if delay is None else (delay.reason, delay.message)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", 'failed to pull and unpack image "registry/x:1": dial tcp: no such host'),
        ("ImagePullBackOff", 'Back-off pulling image "registry/x:1": ErrImagePull: 1m20s'),
        ("InvalidImageName", "couldn't parse image name"),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
    ],
)
def test_an_image_that_cannot_be_had_is_one_word_whatever_the_kubelet_tries(reason, message):
    assert found(pod(container=waiting(reason, message))) == (
        "ImageUnavailable",
        "the node cannot get the run's image registry/x:1",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('secret "registry" not found', "secret registry does not exist"),
        ('configmap "ca" not found', "configmap ca does not exist"),
        (
            'container has runAsNonRoot and image will run as root (pod: "x_y(uid)")',
            "the node reports CreateContainerConfigError",
        ),
    ],
)
def test_a_container_that_the_node_refuses_names_what_is_missing_and_no_pod(text, told):
    assert found(pod(container=waiting("CreateContainerConfigError", text))) == (
        "ContainerRefused",
        f"the run's container cannot be made: {told}",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            "no node has the labels of spec.run.nodeSelector",
        ),
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {a: }",
            "nodes have taints that spec.run.tolerations does not cover, nodes lack memory",
        ),
        ("something new", "the scheduler gives no known cause"),
    ],
)
def test_a_pod_that_no_node_takes_says_why_without_counters(text, told):
    assert found(pod(node=None, scheduled=text)) == (
        "Unschedulable",
        f"the run's pod cannot be scheduled: {told}",
    )


def test_a_pod_that_nobody_looked_at_points_at_the_scheduler():
    assert found(pod(node=None)) == (
        "Unschedulable",
        "the run's pod cannot be scheduled: no scheduler has tried it yet",
    )


@pytest.mark.parametrize(
    "container", [None, waiting("ContainerCreating")], ids=["unknown", "creating"]
)
def test_a_container_that_is_being_made_has_two_minutes(container):
    assert found(pod(container=container)) is None
    assert found(pod(container=container), at=LATER) == (
        "PodPending",
        "the run's pod has a node, but its container has not started there",
    )


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed"])
def test_a_pod_that_started_is_no_delay(phase):
    assert found(pod(phase=phase), at=LATER) is None


def test_the_newest_pod_decides():
    broken = pod(container=waiting("ErrImagePull"), at="05:00")

    assert found(broken, pod(phase="Running")) is None


def test_a_pod_that_outlives_its_deletion_by_a_minute_is_on_a_lost_node():
    leaving = pod(phase="Running", deleted="2026-11-23T06:00:30Z")

    assert found(leaving) is None
    reason, _ = found(leaving, at=LATER)
    assert reason == "NotEnding"


def with_sidecars(*names, run="terminated", at="06:00:10"):
    """A pod whose run's container ended and whose other containers run."""
    ended = {"exitCode": 0, "finishedAt": f"2026-11-23T{at}Z"} if run == "terminated" else {}
    made = pod(phase="Running", container={"state": {run: ended}})
    made["status"]["containerStatuses"] += [
        {"name": name, "state": {"running": {"startedAt": "2026-11-23T06:00:01Z"}}}
        for name in names
    ]
    return made


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["istio-proxy"], "container istio-proxy"),
        (["vault-agent", "istio-proxy"], "containers istio-proxy, vault-agent"),
    ],
)
def test_a_container_that_keeps_the_pod_of_a_run_that_ended_is_named(names, told):
    assert found(with_sidecars(*names)) == (
        "SidecarRunning",
        f"the run has ended, but its pod is kept by the {told}",
    )


def test_other_containers_have_half_a_minute_to_end_after_the_run():
    parting = with_sidecars("istio-proxy", at="06:00:20")

    assert found(parting) is None
    assert found(parting, at=SOON + timedelta(seconds=5)) is not None


@pytest.mark.parametrize(
    "quiet",
    [with_sidecars(), with_sidecars("istio-proxy", run="running")],
    ids=["alone", "at work"],
)
def test_a_run_that_goes_on_or_whose_pod_is_about_to_end_is_kept_by_nobody(quiet):
    assert found(quiet, at=LATER) is None


def refused(events, **said):
    told = delays.without_pod(going(**said), events)
    assert told is not None
    return told


def unmade(events):
    return delays.without_job("acme-alpha-plants", events, since="2026-11-23T06:00:00Z")


QUOTA = (
    'Error creating: pods "acme-alpha-plants-29364510-x7k2p" is forbidden: exceeded quota: small,'
    " requested: pods=1, used: pods=4, limited: pods=4"
)


def test_a_refusal_is_told_of_the_pod_and_of_the_job():
    event = {"message": QUOTA, "lastTimestamp": "2026-11-23T06:00:01Z"}
    words = "ResourceQuota small leaves no room for pods"

    assert refused([event]).message == f"the run's pod is refused: {words}"
    assert unmade([event]).message == f"the run's Job is refused: {words}"


def test_the_newest_refusal_counts_in_either_spelling_of_an_event():
    old = {"message": QUOTA, "lastTimestamp": "2026-11-23T05:00:01Z"}
    new = {
        "note": 'serviceaccount "runs" not found',
        "eventTime": "2026-11-23T05:59:59.123456Z",
        "series": {"lastObservedTime": "2026-11-23T06:00:01.123456Z"},
    }

    assert "serviceaccount" in refused([old, new]).message


def test_without_an_event_the_controllers_are_at_fault():
    assert refused([]).reason == DelayReason.POD_PENDING
    assert unmade([]).reason == DelayReason.NOT_STARTED


def test_a_refusal_from_before_a_tick_does_not_explain_it():
    event = {"message": QUOTA, "lastTimestamp": "2026-11-23T05:59:59Z"}

    assert unmade([event]).reason == DelayReason.NOT_STARTED


@pytest.mark.parametrize("said", ["active", "failed", "terminating"])
def test_a_job_that_had_a_pod_is_about_to_have_the_next_one(said):
    event = {"message": QUOTA, "lastTimestamp": "2026-11-23T06:00:01Z"}

    assert delays.without_pod(going(**{said: 1}), []) is None
    assert refused([event], **{said: 1}).reason == DelayReason.POD_REFUSED


def test_the_time_of_a_pod_begins_with_the_pod_and_not_with_its_job():
    nobody_looked, starting = pod(node=None, at="06:03"), pod(at="06:03")

    assert found(nobody_looked, at=LATER) is None
    assert found(starting, at=LATER) is None
    assert found(nobody_looked, at=LATER + timedelta(seconds=45))[0] == "Unschedulable"
    assert found(starting, at=LATER + timedelta(minutes=2))[0] == "PodPending"


@pytest.mark.fault("K2")
def test_a_job_past_its_deadline_is_told_a_minute_later():
    running = going(ready=1)
    end = MADE + timedelta(seconds=1320 + 60)

    assert delays.due(running) == end
    assert delays.of_time(running, end - timedelta(seconds=1)) is None
    overdue = delays.of_time(running, end)
    assert overdue is not None
    assert overdue.reason == DelayReason.NOT_ENDING


def test_a_job_without_a_container_is_looked_at_before_a_minute_is_over():
    assert MADE < delays.due(going()) < MADE + timedelta(minutes=1)


def test_a_job_that_runs_without_a_deadline_is_never_due():
    assert delays.due(going(ready=1, deadline=None)) > MADE + timedelta(days=36_500)


def test_a_finished_job_keeps_nothing_of_its_start():
    assert (job().created, job().waiting, job().deadline_seconds) == ("", False, 0)
