"""Runs that never start or never end, as reconciling sees them, and what it asks about them."""

from datetime import timedelta

import pytest

from tests.controller.build import document, pod, report, vendor
from tests.controller.world import ACME, CRON_JOB, World

UNSCHEDULABLE = {
    "metadata": {"name": "job-1-x7k2p", "creationTimestamp": "2026-11-23T06:00:10Z"},
    "spec": {},
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node"
                " affinity/selector.",
            }
        ],
    },
}
QUOTA = {
    "message": 'Error creating: pods "job-1-x7k2p" is forbidden: exceeded quota: small, requested:'
    " pods=1, used: pods=4, limited: pods=4",
    "lastTimestamp": "2026-11-23T06:00:12Z",
}
TICK = "2026-11-23T06:15:00Z"


def stuck(**pods):
    world = World()
    world.put(document())
    world.start()
    world.cluster.pods_of = pods or {"job-1": [UNSCHEDULABLE]}
    return world


@pytest.mark.fault("K2")
@pytest.mark.promise("P7")
def test_a_job_whose_pod_no_node_takes_turns_synced_false_within_a_minute():
    world = stuck()

    first = world.reconcile(after=0.0)
    world.wait(seconds=first)

    assert first < 60
    assert world.condition("Synced") == ("False", "RunsOverdue")
    assert world.message("Synced") == (
        "alpha/plants: Unschedulable: the run's pod cannot be scheduled: no node has the labels of"
        " spec.run.nodeSelector. Correct spec.run.nodeSelector, tolerations or resources, or add a"
        " node that fits them. Then delete the Job that waits, because it keeps what it was made"
        " with."
    )
    assert world.condition("Degraded") == ("True", "ActionRequired")
    assert world.entry()["delay"]["reason"] == "Unschedulable"
    assert [event["reason"] for event in world.cluster.events] == ["Unschedulable"]


def test_a_job_that_starts_as_it_should_costs_no_list():
    world = stuck()
    world.reconcile()
    world.start(ready=1)

    world.wait(minutes=10)

    assert world.cluster.reads == []
    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")


def test_a_delay_that_lasts_is_asked_about_less_and_less_often_and_written_once():
    world = stuck()
    lists, writes = [], []
    for second in range(0, 900, 15):
        world.wait(seconds=15)
        lists.extend([second] * len(world.cluster.reads))
        writes.extend([second] * ("delay" in world.entry() and bool(world.cluster.writes)))

    assert len(lists) == 5
    assert len(writes) == 1


def test_a_delay_ends_with_the_run():
    world = stuck()
    world.wait(seconds=50)
    world.finish("job-1", pod(report(total=3)), finished="2026-11-23T06:02:00Z")

    world.wait(seconds=60)

    assert "delay" not in world.entry()
    assert world.condition("Synced") == ("True", "AllSynced")


def test_a_delay_ends_when_the_container_runs():
    world = stuck()
    world.wait(seconds=50)
    world.start(ready=1)

    world.reconcile()

    assert "delay" not in world.entry()
    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")


def test_an_overdue_run_is_looked_at_again_every_minute():
    world = stuck()

    assert world.wait(seconds=50) == pytest.approx(60)


def test_a_job_without_a_pod_is_told_by_its_events():
    world = stuck(other=[])
    world.cluster.refusals_of = {"uid-job-1": [QUOTA]}

    world.wait(seconds=50)

    assert world.cluster.reads == ["pods job-1", "events uid-job-1"]
    assert world.entry()["delay"] == {
        "reason": "PodRefused",
        "message": "the run's pod is refused: ResourceQuota small leaves no room for pods",
    }


def test_where_events_may_not_be_listed_the_delay_is_told_without_them():
    world = stuck(other=[])
    world.cluster.refuse = {"events"}

    world.wait(seconds=50)

    assert world.entry()["delay"]["reason"] == "PodPending"


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    ("refusals", "reason"),
    [([QUOTA | {"lastTimestamp": "2026-11-23T06:15:02Z"}], "JobRefused"), ([], "NotStarted")],
    ids=["quota", "nobody"],
)
def test_a_tick_that_passed_without_a_job_is_told_within_a_minute(refusals, reason):
    world = World()
    delay = world.put(document())
    uid = world.cluster.cron_jobs["solar", "acme-alpha-plants"]["metadata"]["uid"]
    world.cluster.refusals_of = {uid: refusals}

    world.wait(seconds=delay)

    assert (world.now.minute, world.now.second) == (15, 50)
    assert world.condition("Synced") == ("False", "RunsOverdue")
    assert world.entry()["delay"]["reason"] == reason
    assert world.entry()["nextScheduleTime"] == "2026-11-23T06:30:00Z"


def late(world=None):
    world = world or World()
    world.put(document())
    world.wait(minutes=15, seconds=50)
    return world


def test_a_tick_that_passed_stays_told_until_a_run_ends_also_after_a_restart():
    world = late()
    world.restart()

    world.wait(minutes=1)
    assert (world.cluster.writes, world.cluster.reads) == ([], [])

    world.finish("job-1", pod(report()), finished="2026-11-23T06:17:00Z")
    world.wait(minutes=1)
    assert "delay" not in world.entry()


def test_a_tick_whose_job_was_made_and_is_gone_already_is_no_delay():
    world = World()
    world.put(document())
    world.ticked(TICK)

    world.wait(minutes=15, seconds=50)

    assert "delay" not in world.entry()
    assert world.cluster.reads == []


def test_a_tick_that_the_run_before_it_blocks_is_no_delay():
    world = World()
    world.put(document())
    world.start(ready=1)

    world.wait(minutes=15, seconds=50)

    assert "delay" not in world.entry()


def test_what_is_suspended_is_not_overdue():
    world = late()

    world.put(document(suspend=True))

    assert "delay" not in world.entry()
    assert world.condition("Synced") == ("Unknown", "Suspended")


@pytest.mark.fault("K2")
def test_a_run_that_nobody_ends_is_told_a_minute_after_its_deadline():
    world = World()
    world.put(document(schedule={"cron": "0 0 1 1 *", "restrictedWindows": []}))
    world.start(ready=1, deadline=600)
    delay = world.reconcile(after=5)

    world.wait(seconds=delay)

    assert delay == pytest.approx(660)
    assert world.entry()["delay"]["reason"] == "NotEnding"
    assert world.cluster.reads == []


@pytest.mark.fault("K3")
def test_a_restart_in_a_delay_asks_again_and_writes_nothing():
    world = stuck()
    world.wait(seconds=50)
    began = world.now - timedelta(seconds=50)

    world.restart()
    world.now, now = began, world.now
    world.start()
    world.now = now
    world.reconcile()

    assert (world.cluster.reads, world.cluster.writes) == (["pods job-1"], [])


def kept_by_a_sidecar(message, exit_code=0, ended="2026-11-23T06:00:25Z"):
    """The pod of a run that ended, which a container that somebody added keeps."""
    made = pod(message, exit_code=exit_code, at=ended)
    made["metadata"] = {"name": "job-1-x7k2p", "creationTimestamp": "2026-11-23T06:00:10Z"}
    made["status"]["phase"] = "Running"
    made["status"]["containerStatuses"].append({"name": "istio-proxy", "state": {"running": {}}})
    return made


def ended_beside_a_sidecar(*pods, **fields):
    world = World()
    world.put(document())
    world.start(**fields)
    world.cluster.pods_of = {"job-1": list(pods or [kept_by_a_sidecar(report(total=3))])}
    return world


def test_a_run_that_ended_beside_a_sidecar_is_told_by_its_own_end_while_its_job_goes_on():
    world = ended_beside_a_sidecar()

    world.wait(seconds=50)

    entry = world.entry()
    assert (entry["result"], entry["total"], entry["job"]) == ("Succeeded", 3, "job-1")
    assert entry["completionTime"] == "2026-11-23T06:00:25Z"
    assert entry["delay"] == {
        "reason": "SidecarRunning",
        "message": "the run has ended, but its pod is kept by the container istio-proxy",
    }
    assert world.condition("Synced") == ("False", "RunsOverdue")
    assert "native sidecar" in world.message("Synced")
    assert world.condition("Degraded") == ("True", "ActionRequired")
    assert [event["reason"] for event in world.cluster.events] == ["SidecarRunning"]


def test_a_run_that_was_seen_to_run_is_told_as_soon_as_it_ended_and_what_keeps_it_a_minute_later():
    world = ended_beside_a_sidecar(ready=1)
    world.wait(seconds=16)
    world.start(active=1)

    world.wait(seconds=1)
    assert world.entry()["result"] == "Succeeded"
    assert world.condition("Synced") == ("True", "AllSynced")

    world.wait(minutes=1)
    assert world.entry()["delay"]["reason"] == "SidecarRunning"


def test_a_run_that_failed_beside_a_sidecar_is_told_with_its_reason_once():
    failure = report("Failed", "VendorUnavailable", message="no answer")
    world = ended_beside_a_sidecar(kept_by_a_sidecar(failure, exit_code=69))

    for _ in range(10):
        world.wait(minutes=1)

    assert world.entry()["reason"] == "VendorUnavailable"
    assert world.entry()["consecutiveFailures"] == 1


@pytest.mark.fault("K3")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("pods", [[], [kept_by_a_sidecar(report(total=3))]], ids=["gone", "there"])
def test_the_jobs_own_end_by_its_deadline_does_not_take_the_result_back(restarted, pods):
    world = ended_beside_a_sidecar()
    world.wait(seconds=50)
    if restarted:
        world.restart()

    end = {"condition": "Failed", "reason": "DeadlineExceeded", "finished": "2026-11-23T06:22:10Z"}
    world.finish("job-1", *pods, started="2026-11-23T06:00:10Z", **end)
    world.wait(minutes=22)

    assert (world.entry()["result"], world.entry()["total"]) == ("Succeeded", 3)
    assert "delay" not in world.entry()
    assert world.condition("Synced") == ("True", "AllSynced")
    world.wait(minutes=1)
    assert world.cluster.writes == []


def test_a_job_whose_run_was_told_ends_after_another_run_and_is_still_no_failure():
    world = ended_beside_a_sidecar()
    world.wait(seconds=50)
    by_hand = {"started": "2026-11-23T06:05:00Z", "finished": "2026-11-23T06:05:05Z"}
    world.finish("by-hand", pod(report(total=4), at="2026-11-23T06:05:04Z"), **by_hand)
    world.wait(minutes=5)

    world.restart()
    end = {"condition": "Failed", "reason": "DeadlineExceeded", "finished": "2026-11-23T06:22:10Z"}
    world.finish("job-1", started="2026-11-23T06:00:10Z", **end)
    world.wait(minutes=17)

    assert (world.entry()["job"], world.entry()["result"]) == ("by-hand", "Succeeded")


def test_a_second_try_after_the_sidecar_ended_is_told_by_its_own_end():
    failure = report("Failed", "VendorUnavailable", message="no answer")
    first = kept_by_a_sidecar(failure, exit_code=69)
    world = ended_beside_a_sidecar(first)
    world.wait(seconds=50)

    second = pod(report(total=3), at="2026-11-23T06:02:04Z")
    end = {"started": "2026-11-23T06:00:10Z", "finished": "2026-11-23T06:02:05Z"}
    world.finish("job-1", first, second, **end)
    world.wait(minutes=1)

    assert (world.entry()["result"], world.entry()["total"]) == ("Succeeded", 3)


def test_the_end_of_a_run_beside_a_sidecar_is_news_though_no_clock_expects_it():
    asked: list = []
    world = World()
    world.restart(asked.append)
    world.put(document())
    tick = "acme-alpha-plants-29923560"
    asked.clear()
    world.now = world.now.replace(second=1)
    world.start(tick)
    world.start(tick, ready=1)
    assert asked == []

    world.start(tick, active=1)

    assert asked == [ACME]


def test_a_run_whose_pod_ended_is_no_news_before_its_job_has_ended():
    """The Job controller writes in between that no pod is active."""
    asked: list = []
    world = World()
    world.restart(asked.append)
    world.put(document())
    asked.clear()
    tick = "acme-alpha-plants-29923560"
    world.now = world.now.replace(second=1)
    world.start(tick, ready=1)

    world.start(tick)
    assert asked == []

    world.finish(tick, pod(report()))
    assert asked == [ACME]


def test_another_vendor_that_failed_is_told_beside_the_one_that_is_overdue():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    world.start()
    world.cluster.pods_of = {"job-1": [UNSCHEDULABLE]}
    failure = report("Failed", "SecretMissing", message="create Secret b")
    world.finish("job-2", pod(failure), vendor="beta")

    world.wait(seconds=50)

    assert world.condition("Synced") == ("False", "RunsOverdue")
    assert "beta/plants: SecretMissing: create Secret b" in world.message("Synced")


def test_the_jobs_of_a_predecessor_are_not_this_resources():
    world = stuck()
    successor = document(created="2026-11-23T12:00:00Z")
    successor["metadata"]["uid"] = "uid-2"
    del world.cluster.resources[ACME]
    world.put(successor)

    world.wait(seconds=50)

    assert "delay" not in world.entry()


def test_a_tick_at_the_moment_of_creation_is_not_the_cron_jobs():
    world = World()
    world.now = world.now.replace(minute=14, second=59)
    world.put(document())
    live = world.cluster.cron_jobs["solar", "acme-alpha-plants"]
    live["metadata"]["creationTimestamp"] = "2026-11-23T06:15:00Z"
    world.cache.cron_jobs.drop(("solar", "acme-alpha-plants"), live["metadata"]["uid"])
    world.cache.cron_jobs.found(live)

    world.wait(seconds=60)

    assert world.entry()["nextScheduleTime"] == "2026-11-23T06:30:00Z"
    assert "delay" not in world.entry()


def test_a_tick_whose_job_was_made_though_the_watch_has_not_told_is_not_missed():
    world = World()
    world.put(document())
    live = world.cluster.cron_jobs[CRON_JOB] | {"status": {"lastScheduleTime": TICK}}
    world.cluster.cron_jobs[CRON_JOB] = world.cluster.stamp(live, live["metadata"]["uid"])

    world.wait(minutes=15, seconds=50)

    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")
    assert world.cluster.reads == [f"cronjob {CRON_JOB[1]}"]
    assert world.entry()["nextScheduleTime"] == "2026-11-23T06:30:00Z"


def test_a_tick_that_nothing_could_be_asked_about_is_looked_into_later():
    world = World()
    world.put(document())
    world.now = world.now.replace(minute=15, second=50)
    while world.reconciler.ration.take():
        pass

    delay = world.reconcile(after=0.0)
    world.reconcile(after=delay)

    assert delay == 60
    assert world.entry()["delay"]["reason"] == "NotStarted"


def test_a_change_that_the_server_refuses_is_not_a_run_that_was_missed():
    world = World()
    world.put(document())
    world.cluster.refuse = {CRON_JOB[1]}
    world.put(document(schedule={"cron": "7 * * * *", "restrictedWindows": []}))
    world.ticked("2026-11-23T06:30:00Z")

    world.wait(minutes=37, seconds=50)

    assert world.condition("Ready") == ("False", "APIRefused")
    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")


def test_a_run_that_changed_nothing_hides_no_missed_tick():
    world = World()
    world.put(document())
    first = {"finished": "2026-11-23T06:02:00Z"}
    world.finish("job-b", pod(report()), **first)
    world.wait(minutes=3)
    world.restart()
    world.finish("job-b", pod(report()), **first)
    world.finish("job-a", pod(report("Skipped", "AlreadyRunning")), **first)
    world.wait(minutes=1)
    world.now = world.now.replace(minute=15, second=50)

    world.reconcile()

    assert world.entry()["delay"]["reason"] == "NotStarted"


def test_a_run_that_never_started_says_why_also_after_its_deadline():
    world = stuck()
    world.wait(seconds=50)

    world.finish("job-1", condition="Failed", reason="DeadlineExceeded", finished=TICK)
    world.reconcile()

    assert world.entry()["reason"] == "NoReport"
    assert world.entry()["message"].startswith(
        "the run's pod cannot be scheduled: no node has the labels"
    )
    assert "DeadlineExceeded" in world.entry()["message"]
