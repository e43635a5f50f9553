"""Runs that never start or whose Jobs do not end, on a real scheduler, kubelet and controllers.

All obstacles stand at the same time, each in a namespace of its own, and every test waits for one.
"""

import json
from functools import partial
from typing import Any

import pytest

from dev.stack import backing
from dev.stack.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

IMAGE = "registry.invalid/vendorsync-syncjob:absent"
EVERY_MINUTE = {"cron": "* * * * *", "restrictedWindows": []}
SIDECAR = "istio-proxy"
A_TICK_AND_A_MINUTE = 120
A_RUN_AND_A_MINUTE = 150


def quota(solar, **hard):
    backing.apply(
        solar.stack.cluster,
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "nothing", "namespace": solar.namespace},
            "spec": {"hard": {name.replace("_", "/"): number for name, number in hard.items()}},
        },
    )
    until(
        lambda: solar.stack.get("resourcequota", "nothing", solar.namespace)["status"].get("hard"),
        "a quota that counts",
    )


def job_by_hand(solar):
    """The Job that kubectl would make, to be changed before it is."""
    solar.apply(solar.vendor())
    solar.await_cron_job()
    return json.loads(
        solar.stack.kubectl(
            "create", "job", "by-hand", f"--from=cronjob/{solar.cron_job()}",
            "-n", solar.namespace, "--dry-run=client", "-o", "json",
        )
    )  # fmt: skip


def start_with_an_absent_image(solar):
    job = job_by_hand(solar)
    job["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    solar.stack.kubectl("create", "-f", "-", input=json.dumps(job))


def start_beside_a_sidecar(solar):
    """What an injecting webhook of an older service mesh makes of a run's pod."""
    solar.stack.control("POST", "/reset")
    job = job_by_hand(solar)
    containers = job["spec"]["template"]["spec"]["containers"]
    copied = ("image", "imagePullPolicy", "securityContext")
    containers.append(
        {
            "name": SIDECAR,
            "command": ["python", "-c", "import time; time.sleep(900)"],
            **{name: containers[0][name] for name in copied},
        }
    )
    solar.stack.kubectl("create", "-f", "-", input=json.dumps(job))


def start_where_no_node_fits(solar):
    solar.apply(solar.vendor(), run={"nodeSelector": {"vendorsync.dev/nowhere": "true"}})
    solar.start()


def start_without_room_for_pods(solar):
    quota(solar, pods="0")
    solar.apply(solar.vendor())
    solar.start()


def start_without_the_limit_that_a_quota_wants(solar):
    quota(solar, **{"limits.cpu": "2"})
    solar.apply(solar.vendor())
    solar.start()


def start_above_a_limit_range(solar):
    backing.apply(
        solar.stack.cluster,
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small", "namespace": solar.namespace},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "256Mi"}}]},
        },
    )
    solar.apply(solar.vendor())
    solar.start()


def tick_without_room_for_jobs(solar, name):
    quota(solar, **{name: "0"})
    solar.apply(solar.vendor(), schedule=EVERY_MINUTE)


# What is done -> reason, words of the message, seconds that it may take.
OBSTACLES: dict[str, Any] = {
    "image": (start_with_an_absent_image, "ImageUnavailable", IMAGE, 60),
    "no node": (start_where_no_node_fits, "Unschedulable", "spec.run.nodeSelector", 60),
    "no pods": (
        start_without_room_for_pods,
        "PodRefused",
        "ResourceQuota nothing leaves no room for pods",
        60,
    ),
    "no limit": (
        start_without_the_limit_that_a_quota_wants,
        "PodRefused",
        "ResourceQuota nothing wants spec.run.resources.limits.cpu to be set",
        60,
    ),
    "limit range": (
        start_above_a_limit_range,
        "PodRefused",
        "spec.run.resources breaks a LimitRange: maximum memory usage per Container is 256Mi, but"
        " limit is 512Mi",
        60,
    ),
    "sidecar": (start_beside_a_sidecar, "SidecarRunning", SIDECAR, A_RUN_AND_A_MINUTE),
    "no jobs": (
        partial(tick_without_room_for_jobs, name="count_jobs.batch"),
        "JobRefused",
        "ResourceQuota nothing",
        A_TICK_AND_A_MINUTE,
    ),
}


@pytest.fixture(scope="module")
def obstructed(found):
    """An organization for each obstacle, all of them met at about the same time."""
    met = {}
    for case, (obstruct, *_) in OBSTACLES.items():
        met[case] = found()
        obstruct(met[case])
    return met


@pytest.mark.fault("K2")
@pytest.mark.fault("H3")
@pytest.mark.parametrize("case", OBSTACLES)
def test_a_run_that_cannot_start_is_told_with_its_cause(obstructed, case):
    _, reason, words, seconds = OBSTACLES[case]
    solar = obstructed[case]

    synced = solar.await_condition("Synced", "False", "RunsOverdue", seconds=seconds)

    assert f"{reason}: " in synced["message"]
    assert words in synced["message"]
    assert solar.status()["vendors"][0]["delay"]["reason"] == reason
    assert solar.condition("Degraded")["status"] == "True"


def test_a_run_that_can_start_after_all_ends_the_delay(obstructed):
    solar = obstructed["no pods"]
    solar.await_condition("Synced", "False", "RunsOverdue")

    solar.stack.kubectl("delete", "resourcequota", "nothing", "-n", solar.namespace)

    # The Job controller tries less and less often; a run by hand needs not wait for that.
    solar.result(solar.start())
    solar.await_condition("Synced", "True", "AllSynced", seconds=90)
    assert "delay" not in solar.status()["vendors"][0]


def test_a_run_that_ended_beside_a_sidecar_is_told_and_stays_told_when_its_job_is_gone(obstructed):
    solar = obstructed["sidecar"]

    told = solar.result("by-hand")

    assert (told["result"], told["reason"]) == ("Succeeded", "Synced")
    assert told["total"] == len(solar.plants("1")) == 250
    assert solar.pods("by-hand")[0]["status"]["phase"] == "Running"
    solar.await_condition("Synced", "False", "RunsOverdue", seconds=90)

    solar.stack.kubectl("delete", "job", "by-hand", "-n", solar.namespace, "--wait=false")

    solar.await_condition("Synced", "True", "AllSynced", seconds=90)
    assert solar.status()["vendors"][0]["result"] == "Succeeded"


def test_a_run_that_is_given_the_limit_that_its_quota_wants_starts(obstructed):
    solar = obstructed["no limit"]
    solar.await_condition("Synced", "False", "RunsOverdue")

    solar.apply(solar.vendor(), run={"resources": {"limits": {"cpu": "500m"}}})
    until(
        lambda: solar.await_cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"][
            "containers"
        ][0]["resources"]["limits"].get("cpu"),
        "a CronJob with a limit of cpu",
    )

    assert solar.run()["result"] == "Succeeded"
