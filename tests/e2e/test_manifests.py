"""manifests/install.yaml on a second cluster, beside the first one."""

import json

import pytest

from dev.cluster import choose
from dev.stack import images
from dev.stack.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def second():
    cluster = choose(name="test-manifests")
    cluster.down()
    cluster.up()
    yield cluster
    cluster.down()


@pytest.mark.requirement("C07")
def test_the_plain_manifests_install_and_reconcile(second):
    second.build_and_load(images.OPERATOR, images.SYNCJOB)
    second.kubectl("create", "namespace", "vendorsync")
    second.kubectl("apply", "--server-side", "-f", str(images.ROOT / "manifests/install.yaml"))
    second.kubectl(
        "rollout", "status", "deployment/vendorsync", "-n", "vendorsync", "--timeout=120s"
    )
    for sample in ("smallest", "two-vendors", "cron"):
        path = images.ROOT / "manifests/samples" / f"{sample}.yaml"
        second.kubectl("apply", "-n", "default", "-f", str(path))

    def ready():
        items = json.loads(second.kubectl("get", "vs", "-n", "default", "-o", "json"))["items"]
        reasons = {
            item["metadata"]["name"]: condition["reason"]
            for item in items
            for condition in item.get("status", {}).get("conditions", ())
            if condition["type"] == "Ready"
        }
        return reasons if len(reasons) == 3 else None

    assert set(until(ready, "Ready of every sample", seconds=60).values()) == {"Applied"}
    cron_jobs = json.loads(second.kubectl("get", "cronjobs", "-n", "default", "-o", "json"))
    assert len(cron_jobs["items"]) == 6
