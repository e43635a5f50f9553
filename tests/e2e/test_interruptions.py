"""Removal, deletion and a killed operator, in the middle of things."""

import json

import pytest

from dev.cluster.errors import CommandError
from dev.stack import product
from dev.stack.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def gone(stack, kind, name, namespace):
    try:
        stack.get(kind, name, namespace)
    except CommandError as error:
        return "not found" in str(error).lower()
    return False


def last_run(stack, organization):
    rows = stack.query(
        "select r.* from vendorsync.runs r join vendors v on v.id = r.vendor_id"
        " where v.org_id = %s order by r.started_at desc limit 1",
        organization,
    )
    return rows[0] if rows else None


@pytest.mark.fault("K1")
def test_a_vendor_removed_in_mid_run_leaves_whole_chunks_only(solar, stack):
    """Chunks are pages of 100 here; the third page hangs, so two may be written."""
    sungrow = solar.vendor("sungrow", "sim-west")
    solar.apply(solar.vendor(), sungrow)
    stack.fault("latency", vendor="solarman", path="/station/v1.0/list", page=3, seconds=100)
    job = solar.start()
    until(
        lambda: stack.calls(vendor="solarman", path="/station/v1.0/list") or None,
        "the first page asked for",
        seconds=60,
    )
    until(lambda: len(solar.plants("1")) >= 100, "a first chunk in the table", seconds=30)

    stack.kubectl(
        "patch", "vs", solar.name, "-n", solar.namespace, "--type=merge",
        "-p", json.dumps({"spec": {"vendors": [sungrow]}}),
    )  # fmt: skip

    until(
        lambda: gone(stack, "cronjob", solar.cron_job(), solar.namespace), "no CronJob", seconds=40
    )
    until(lambda: not solar.pods(job), "no pod of the run", seconds=60)
    assert len(solar.plants("1")) in (100, 200)
    run = last_run(stack, solar.organization)
    assert run["result"] == "Interrupted"
    assert (
        stack.query(
            "select 1 from vendorsync.leases l join vendors v on v.id = l.vendor_id"
            " where v.org_id = %s and l.until > now()",
            solar.organization,
        )
        == []
    )
    assert solar.run("sungrow")["result"] == "Succeeded"


def test_a_deleted_resource_takes_its_objects_and_leaves_the_rows(solar, stack):
    solar.apply(solar.vendor())
    solar.run()
    rows = solar.plants()

    stack.kubectl("delete", "vs", solar.name, "-n", solar.namespace, "--timeout=30s")

    until(
        lambda: not stack.items("cronjobs,jobs,pods", solar.namespace),
        "no CronJob, Job or pod",
        seconds=60,
    )
    assert len(rows) == 250
    assert solar.plants() == rows


@pytest.mark.fault("K3")
def test_results_that_came_while_the_operator_was_dead_arrive_after_its_return(solar, stack):
    solar.apply(solar.vendor(), solar.vendor("sungrow", "sim-west"))
    solar.await_cron_job("solarman")
    solar.await_cron_job("sungrow")
    scale(stack, 0)
    try:
        jobs = [solar.start("solarman"), solar.start("sungrow")]
        for job in jobs:
            stack.kubectl(
                "wait",
                f"job/{job}",
                "-n",
                solar.namespace,
                "--for=condition=Complete",
                "--timeout=60s",
            )
        assert [v for v in solar.status().get("vendors", ()) if v.get("result")] == []
    finally:
        scale(stack, 1)

    for job in jobs:
        assert solar.result(job)["result"] == "Succeeded"
    solar.await_condition("Synced", "True", "AllSynced")


def scale(stack, replicas):
    """Kill the operator without grace, or start it again."""
    stack.kubectl(
        "scale", "deployment/vendorsync", "-n", product.NAMESPACE, f"--replicas={replicas}"
    )
    if replicas == 0:
        stack.kubectl(
            "delete", "pods", "-n", product.NAMESPACE, "--force", "--grace-period=0",
            "-l=app.kubernetes.io/component=operator",
        )  # fmt: skip
    else:
        stack.kubectl(
            "rollout", "status", "deployment/vendorsync", "-n", product.NAMESPACE, "--timeout=90s"
        )
