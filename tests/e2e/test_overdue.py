"""Runs that never start, on a real scheduler, kubelet and controllers: the status says why.

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
A_TICK_AND_A_MINUTE = 120


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


def start_with_an_absent_image(solar):
    solar.apply(solar.vendor())
    solar.await_cron_job()
    kubectl = solar.stack.kubectl
    job = json.loads(
        kubectl(
            "create", "job", "by-hand", f"--from=cronjob/{solar.cron_job()}",
            "-n", solar.namespace, "--dry-run=client", "-o", "json",
        )
    )  # fmt: skip
    job["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    kubectl("create", "-f", "-", input=json.dumps(job))


def start_where_no_node_fits(solar):
    solar.apply(solar.vendor(), run={"nodeSelector": {"vendorsync.dev/nowhere": "true"}})
    solar.start()


def start_without_room_for_pods(solar):
    quota(solar, pods="0")
    solar.apply(solar.vendor())
    solar.start()


def tick_without_room_for_jobs(solar, name):
    quota(solar, **{name: "0"})
    solar.apply(solar.vendor(), schedule=EVERY_MINUTE)


# What is done -> reason, words of the message, seconds that it may take.
OBSTACLES: dict[str, Any] = {
    "image": (start_with_an_absent_image, "ImageUnavailable", IMAGE, 60),
    "no node": (start_where_no_node_fits, "Unschedulable", "spec.run.nodeSelector", 60),
    "no pods": (start_without_room_for_pods, "PodRefused", "ResourceQuota nothing", 60),
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
