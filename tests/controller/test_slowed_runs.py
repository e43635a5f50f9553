"""Failures in a row lengthen the schedule of one vendor and stream, and nothing else of it."""

import json
from datetime import timedelta

import pytest

from tests.controller.build import document, pod, report, vendor
from tests.controller.world import CRON_JOB, World
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator.results.runs import hard_failures


def fail(world, times=1, reason="VendorUnavailable", result="Failed", **fields):
    """End runs of `alpha` one after the other, a minute apart, and visit until nothing is left."""
    for _ in range(times):
        world.now += timedelta(minutes=1)
        at = world.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        message = report(result, reason, **fields)
        world.finish(f"job-{at}", pod(message), finished=at, started=at)
        settle(world)


def settle(world):
    while world.reconcile() == 0:
        pass


def schedule(world, key=CRON_JOB):
    return world.cluster.cron_jobs[key]["spec"]["schedule"]


def test_the_third_failure_doubles_the_interval_and_a_success_ends_it():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    usual = schedule(world)

    fail(world, 2)
    assert schedule(world) == usual
    fail(world)
    assert schedule(world) == "*/30 6-18 * * *"
    assert world.entry()["slowedTo"] == "30m"
    assert world.message("Synced").endswith(
        "Scheduled runs are slowed until one succeeds: alpha/plants to 30m."
    )
    assert schedule(world, ("solar", "acme-beta-plants")) == usual

    fail(world, reason="Synced", result="Succeeded")
    assert schedule(world) == usual
    assert "slowedTo" not in world.entry()
    assert "hardFailures" not in world.entry()


def test_the_next_time_is_that_of_the_slower_schedule():
    world = World()
    world.put(document())

    fail(world, 4)

    assert schedule(world) == "0 6-18 * * *"
    assert world.entry()["nextScheduleTime"] == "2026-11-23T06:30:00Z"


def told(spec):
    """What the run that a CronJob starts is told."""
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return json.loads(container["env"][0]["value"])


def test_only_the_schedule_of_the_cron_job_changes_and_how_late_a_run_may_start():
    world = World()
    world.put(document())
    before = json.loads(json.dumps(world.cluster.cron_jobs[CRON_JOB]["spec"]))

    fail(world, 5)

    after = json.loads(json.dumps(world.cluster.cron_jobs[CRON_JOB]["spec"]))
    assert (before["startingDeadlineSeconds"], after["startingDeadlineSeconds"]) == (225, 1800)
    schedule_before, schedule_after = told(before)["schedule"], told(after)["schedule"]
    assert schedule_after == schedule_before | {"startingDeadlineSeconds": 1800}
    for spec in (before, after):
        del spec["schedule"], spec["startingDeadlineSeconds"]
        (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        del container["env"][0]
    assert after == before


def test_a_slower_step_that_leaves_the_schedule_as_it_is_still_reaches_the_cron_job():
    noon = {"start": "13:00", "end": "12:00"}
    world = World()
    world.put(document(schedule={"intervalMinutes": 30, "restrictedWindows": [noon]}))

    fail(world, 3)
    hourly = dict(world.cluster.cron_jobs[CRON_JOB]["spec"])
    fail(world)
    after = world.cluster.cron_jobs[CRON_JOB]["spec"]

    assert hourly["schedule"] == after["schedule"] == "0 12 * * *"
    assert (hourly["startingDeadlineSeconds"], after["startingDeadlineSeconds"]) == (900, 1800)
    world.restart()
    world.reconcile()
    assert world.cluster.writes == []


def test_where_each_day_has_one_run_anyway_nothing_is_called_slowed():
    noon = {"start": "12:30", "end": "12:00"}
    world = World()
    world.put(document(schedule={"intervalMinutes": 60, "restrictedWindows": [noon]}))

    fail(world, 5)

    assert schedule(world) == "0 12 * * *"
    assert "slowedTo" not in world.entry()


@pytest.mark.promise("P3")
def test_a_restart_in_a_back_off_writes_nothing():
    world = World()
    world.put(document())
    fail(world, 3)

    world.restart()
    world.reconcile()

    assert world.cluster.writes == []


def test_an_operator_that_ended_before_it_slowed_the_cron_job_does_so_after_its_return():
    world = World()
    world.put(document())
    fail(world, 2)
    world.now += timedelta(minutes=1)
    world.finish(
        "job-3", pod(report("Failed", "VendorUnavailable")), finished="2026-11-23T06:59:00Z"
    )
    assert world.reconcile() == 0

    world.restart()
    settle(world)

    assert schedule(world) == "*/30 6-18 * * *"


@pytest.mark.parametrize(
    ("result", "reason", "counted"),
    [
        ("Skipped", "AlreadyRunning", 2),
        ("Interrupted", "Interrupted", 2),
        ("Partial", "BudgetSpent", 0),
        ("Partial", "ListingIncomplete", 0),
    ],
)
def test_what_is_no_failure_of_the_vendor_does_not_slow_it(result, reason, counted):
    world = World()
    world.put(document())
    usual = schedule(world)
    fail(world, 2)

    fail(world, result=result, reason=reason)

    assert schedule(world) == usual
    assert hard_failures(VendorStatus.model_validate(world.entry())) == counted


def test_a_run_whose_report_is_lost_slows_nothing_and_ends_no_slowing():
    world = World()
    world.put(document())
    fail(world, 3)
    slowed = schedule(world)
    world.finish("job-9", finished="2026-11-23T06:59:00Z")
    settle(world)

    assert world.entry()["result"] == "Unknown"
    assert schedule(world) == slowed


@pytest.mark.requirement("R11")
def test_a_wrong_password_puts_the_vendor_on_an_hourly_clock_at_once_and_skips_keep_it_there():
    world = World()
    world.put(document())
    usual = schedule(world)

    fail(world, reason="CredentialsRejected")
    hourly = schedule(world)
    fail(world, reason="AlreadyRunning", result="Skipped")

    assert hourly == schedule(world) == "0 6-18 * * *"
    assert world.entry()["slowedTo"] == "60m"
    fail(world, reason="Synced", result="Succeeded")
    assert schedule(world) == usual


def test_a_run_that_is_asked_for_starts_in_a_back_off_as_always():
    world = World()
    world.put(document())
    fail(world, 6)

    world.put(document(syncRequest="now"))

    assert len(world.cluster.jobs) == 1
    assert world.status()["lastSyncRequest"] == "now"


def test_a_partial_run_starts_the_count_anew_though_a_skipped_one_follows_it():
    world = World()
    world.put(document())
    usual = schedule(world)
    fail(world, 2)
    fail(world, result="Partial", reason="RecordsRejected")
    fail(world, result="Skipped", reason="AlreadyRunning")

    fail(world, 2)
    assert schedule(world) == usual
    fail(world)
    assert schedule(world) != usual
