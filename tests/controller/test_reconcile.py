import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.build import (
    SETTINGS,
    document,
    job_document,
    pod,
    report,
    vendor,
)
from tests.controller.fakes import FakeCluster
from tests.controller.world import ACME, CRON_JOB, World, edit

NOON = "2026-11-23T12:00:00Z"


@pytest.mark.requirement("C01")
@pytest.mark.requirement("C02")
def test_a_new_resource_gets_a_cron_job_for_each_vendor_and_a_status():
    world = World()

    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))

    assert world.cluster.writes == [
        "apply acme-alpha-plants",
        "apply acme-beta-plants",
        "status acme",
    ]
    assert world.condition() == ("True", "Applied")


def test_the_command_that_starts_a_first_run_names_a_cron_job_that_exists():
    world = World()

    world.put(document())

    namespace, cron_job = next(iter(world.cluster.cron_jobs))
    assert world.message("Synced").endswith(
        f"kubectl create job by-hand-$(date +%s) --from=cronjob/{cron_job} --namespace {namespace}"
    )


def test_a_second_reconciliation_makes_no_write_and_no_read():
    world = World()
    world.put(document())

    world.reconcile()

    assert (world.cluster.writes, world.cluster.reads) == ([], [])


def test_a_restart_with_nothing_changed_makes_no_write_and_no_read():
    world = World()
    world.put(document(run={"resources": {"requests": {"memory": "0.5Gi"}}}))
    world.finish("job-1", pod(report(total=3, duration_seconds=2.0)))
    world.reconcile()

    world.restart()
    world.finish("job-1", pod(report(total=3, duration_seconds=2.0)))
    world.reconcile()

    assert (world.cluster.writes, world.cluster.reads) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda live: live["spec"].update(schedule="0 0 * * *"), id="schedule"),
        pytest.param(lambda live: live["spec"].update(suspend=True), id="suspend"),
        pytest.param(lambda live: live["metadata"].pop("ownerReferences"), id="owner"),
        pytest.param(lambda live: live["metadata"].pop("annotations"), id="hash"),
    ],
)
def test_an_edit_of_a_cron_job_is_undone(change):
    world = World()
    world.put(document())
    before = world.cluster.cron_jobs[CRON_JOB]
    edit(world, change)

    world.reconcile()

    assert world.cluster.writes == ["apply acme-alpha-plants"]
    assert world.cluster.cron_jobs[CRON_JOB]["spec"] == before["spec"]
    assert world.cluster.cron_jobs[CRON_JOB]["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_cron_job_that_was_deleted_comes_back():
    world = World()
    world.put(document())
    gone = world.cluster.cron_jobs.pop(CRON_JOB)
    world.cache.cron_jobs.gone(gone)

    world.reconcile()

    assert CRON_JOB in world.cluster.cron_jobs


def test_nothing_is_created_for_a_resource_that_is_gone_already():
    world = World()
    world.put(document())
    world.cache.cron_jobs.gone(world.cluster.cron_jobs.pop(CRON_JOB))
    del world.cluster.resources[ACME]

    world.reconcile()

    assert world.cluster.writes == []
    assert world.cache.resources.get(ACME) is None


def test_a_resource_that_is_being_deleted_is_left_alone():
    world = World()
    leaving = document()
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"

    world.put(leaving)

    assert (world.cluster.writes, world.cluster.reads) == ([], [])


def test_the_cron_job_of_a_removed_vendor_is_deleted():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))

    world.put(document(vendors=[vendor("beta")]))

    assert world.cluster.writes == ["delete acme-alpha-plants", "status acme"]


def test_a_cron_job_whose_deletion_is_refused_stays_a_problem():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    world.cluster.refuse = {"acme-alpha-plants"}

    world.put(document(vendors=[vendor("beta")]))
    delay = world.reconcile()

    assert world.cluster.writes == ["delete acme-alpha-plants"]
    assert world.condition() == ("False", "APIRefused")
    assert delay == 60


def test_a_suspended_vendor_keeps_its_cron_job_suspended():
    world = World()
    world.put(document())

    world.put(document(vendors=[vendor("alpha", suspend=True)]))

    assert world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"] is True


@pytest.mark.parametrize("labelled", [True, False])
def test_a_cron_job_of_somebody_else_is_never_written(labelled):
    world = World()
    world.put(document())
    edit(
        world,
        lambda live: live["metadata"]["ownerReferences"][0].update(uid="stranger", name="else"),
    )
    if not labelled:
        world.cache.cron_jobs.drop(CRON_JOB, world.cluster.cron_jobs[CRON_JOB]["metadata"]["uid"])

    delay = world.put(document(suspend=True))

    assert world.cluster.writes == ["status acme"]
    assert world.condition() == ("False", "NameConflict")
    assert delay == 60


@pytest.mark.requirement("R11")
def test_a_refused_vendor_is_suspended_and_the_others_are_applied():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))

    world.put(
        document(vendors=[vendor("alpha", options={"nope": 1}), vendor("beta")], suspend=True)
    )

    assert world.cluster.writes == [
        "suspend acme-alpha-plants",
        "apply acme-beta-plants",
        "status acme",
    ]
    assert world.condition() == ("False", "OptionsInvalid")
    world.reconcile()
    assert world.cluster.writes == []


def test_a_refused_vendor_without_a_cron_job_gets_none():
    world = World()

    world.put(document(vendors=[vendor("alpha", adapter="sunny"), vendor("beta")]))

    assert world.cluster.writes == ["apply acme-beta-plants", "status acme"]


def test_a_vendor_that_is_accepted_again_runs_again():
    world = World()
    world.put(document())
    world.put(document(vendors=[vendor("alpha", options={"nope": 1})]))

    world.put(document())

    assert world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"] is False
    assert world.condition() == ("True", "Applied")


def test_of_two_resources_of_one_organization_the_younger_rests():
    world = World()
    world.put(document("younger", created="2026-11-02T00:00:00Z"))
    world.put(document())

    world.reconcile(("solar", "younger"))

    assert world.cluster.writes == ["suspend younger-alpha-plants", "status younger"]
    assert world.condition(key=("solar", "younger")) == ("False", "DuplicateOrganization")
    assert world.message(key=("solar", "younger")).endswith(
        "or give one another organization or database. Scheduled runs of alpha/plants are stopped"
        " until then."
    )
    assert world.condition() == ("True", "Applied")


def test_what_the_api_server_refuses_is_said_and_tried_again_later():
    world = World()
    world.cluster.refuse = {"acme-alpha-plants"}

    delay = world.put(document(vendors=[vendor("alpha"), vendor("beta")]))

    assert ("solar", "acme-beta-plants") in world.cluster.cron_jobs
    assert world.condition() == ("False", "APIRefused")
    assert delay == 60


def test_a_spec_that_cannot_be_read_is_said_and_nothing_is_touched():
    world = World()
    world.put(document())
    broken = document()
    broken["spec"]["vendors"][0].pop("adapter")

    delay = world.put(broken)

    assert world.cluster.writes == ["status acme"]
    assert delay is None
    assert world.condition() == ("False", "SpecInvalid")
    assert world.status()["vendors"]
    world.reconcile()
    assert world.cluster.writes == []


def test_an_annotation_for_the_pods_that_is_not_free_is_named():
    world = World()

    world.put(document(run={"podAnnotations": {"vendorsync.dev/hash": "mine"}}))

    assert world.condition() == ("False", "SpecInvalid")
    (ready,) = (each for each in world.status()["conditions"] if each["type"] == "Ready")
    assert (
        "spec.run.podAnnotations: the annotation 'vendorsync.dev/hash' is set" in ready["message"]
    )


@pytest.mark.parametrize("amount", ["1e99", "1e1000", "1e1.5", 2**70])
def test_an_amount_that_cannot_be_rendered_is_told_by_name_and_ends_no_visit(amount):
    world = World()

    world.put(document(run={"resources": {"limits": {"memory": amount}}}))

    assert world.condition() == ("False", "SpecInvalid")
    assert "spec.run.resources.limits.memory" in world.message()
    assert f"'{amount}'" in world.message()


@pytest.mark.requirement("C04")
def test_a_finished_job_is_read_once_and_told_in_one_status_write():
    world = World()
    world.put(document())
    world.finish("job-1", pod(report(total=3)))

    world.reconcile()
    assert (world.cluster.reads, world.cluster.writes) == (["pods job-1"], ["status acme"])
    # Pods as old as this have the report, and the API server has them in memory.
    job = world.cache.jobs.get(("solar", "job-1"))
    assert job is not None
    assert world.cluster.pods_since == {"job-1": job.version}

    world.reconcile()
    assert (world.cluster.reads, world.cluster.writes) == ([], [])
    assert world.status()["vendors"][0]["total"] == 3


def test_results_within_the_interval_share_a_write_and_are_read_once():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    world.finish("job-1", pod(report()))
    world.reconcile()
    world.finish("job-2", pod(report()), vendor="beta")

    delay = world.reconcile(after=0.5)
    assert (world.cluster.writes, delay) == ([], 1.5)
    world.reconcile(after=1.5)

    assert (world.cluster.reads, world.cluster.writes) == ([], ["status acme"])


def test_two_results_of_one_second_are_both_told_and_each_is_read_once():
    world = World()
    world.put(document())
    world.finish("job-z", pod(report("Skipped", "AlreadyRunning")))
    world.reconcile()
    world.finish("job-a", pod(report(total=3)))

    world.reconcile()
    assert (world.cluster.reads, world.cluster.writes) == (["pods job-a"], ["status acme"])
    assert world.status()["vendors"][0]["job"] == "job-a"

    for suspend in (True, False):
        world.put(document(suspend=suspend))
        assert world.cluster.reads == []
    world.reconcile()
    assert world.cluster.writes == []


def test_two_results_of_one_second_cost_a_restart_one_read_and_no_write():
    world = World()
    world.put(document())
    world.finish("job-a", pod(report()))
    world.finish("job-z", pod(report()))
    world.reconcile()

    world.restart()
    for name in ("job-a", "job-z"):
        world.finish(name, pod(report()))
    world.reconcile()
    assert (world.cluster.reads, world.cluster.writes) == (["pods job-a"], [])

    world.reconcile()
    assert (world.cluster.reads, world.cluster.writes) == ([], [])


def test_a_result_that_came_while_the_operator_was_down_is_told_after_its_return():
    world = World()
    world.put(document())
    world.restart()
    world.finish("job-1", pod(report("Failed", "SecretMissing", message="no x"), exit_code=64))

    world.reconcile()

    assert world.condition("Degraded") == ("True", "ActionRequired")


def test_a_job_of_another_cron_job_with_our_labels_is_ignored():
    world = World()
    world.put(document())
    forged = job_document("job-1")
    forged["metadata"]["ownerReferences"][0]["name"] = "other"
    world.cache.jobs.found(forged)

    world.reconcile()

    assert world.cluster.reads == []


def successor():
    """The resource of the same name, created again at noon."""
    created = document(created="2026-11-23T12:00:00Z")
    created["metadata"]["uid"] = "uid-2"
    return created


def recreate(world):
    del world.cluster.resources[ACME]
    return world.put(successor())


def test_a_resource_that_was_created_again_does_not_inherit_results():
    world = World()
    world.put(document())
    world.finish("job-1", pod(report()), started="2026-11-23T11:59:59Z", finished=NOON)

    recreate(world)

    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")


def test_a_result_that_was_read_for_a_predecessor_is_not_told():
    world = World()
    world.put(document())
    world.finish("job-1", pod(report()))
    world.reconcile(after=0.5)
    assert world.cluster.writes == []

    recreate(world)

    assert world.condition("Synced") == ("Unknown", "AwaitingFirstRun")


@pytest.mark.parametrize("started", [NOON, ""])
def test_a_job_of_the_second_of_creation_is_the_resources_own(started):
    world = World()
    world.put(successor())
    world.finish("job-1", pod(report()), started=started, finished=NOON)

    world.reconcile()

    assert world.condition("Synced") == ("True", "AllSynced")


def test_failure_and_recovery_are_one_event_each():
    world = World()
    world.put(document())
    for number, reason in enumerate(("SecretMissing", "SecretMissing", "Synced")):
        result = "Succeeded" if reason == "Synced" else "Failed"
        at = f"2026-11-23T06:0{number}:05Z"
        world.finish(f"job-{number}", pod(report(result, reason)), finished=at)
        world.reconcile()

    assert [event["reason"] for event in world.cluster.events] == ["SecretMissing", "Recovered"]


def test_the_next_time_is_written_again_only_when_it_is_overdue():
    world = World()
    delay = world.put(document())
    assert delay == pytest.approx((15 * 60 - 10) + 50)

    world.now += timedelta(minutes=15)
    world.reconcile()
    assert world.cluster.writes == []

    world.now += timedelta(minutes=1)
    world.reconcile()
    assert world.cluster.writes == ["status acme"]
    assert world.status()["nextScheduleTime"] == "2026-11-23T06:30:00Z"


def requested(world):
    return [write for write in world.cluster.writes if write.startswith("create")]


def test_a_sync_request_makes_a_job_of_each_active_vendor_once():
    world = World()
    asking = document(
        vendors=[vendor("alpha"), vendor("beta", suspend=True)], suspend=True, syncRequest="now"
    )

    world.put(asking)
    assert len(requested(world)) == 1
    assert world.status()["lastSyncRequest"] == "now"
    world.reconcile()

    assert world.cluster.writes == []


@pytest.mark.requirement("R26")
def test_a_sync_request_starts_both_streams_but_one_that_is_suspended():
    world = World()

    world.put(document(streams={"alerts": {}}, syncRequest="now"))
    both = [name.rsplit("-r", 1)[0] for name in world.cluster.jobs]
    world.put(document(streams={"alerts": {"suspend": True}}, syncRequest="again"))
    more = [name.rsplit("-r", 1)[0] for name in world.cluster.jobs][len(both) :]

    assert both == ["acme-alpha-alerts", "acme-alpha-plants"]
    assert more == ["acme-alpha-plants"]


@pytest.mark.requirement("R27")
def test_alerts_that_are_asked_for_plant_by_plant_are_announced_and_stay_synced():
    alerts = {"schedule": {"intervalMinutes": 60}}
    world = World()
    world.put(document(vendors=[vendor(adapter="single")], streams={"alerts": alerts}))
    told = world.message()
    spent = report("Partial", "BudgetSpent", message="share", budget_remaining=200)
    for stream, said in (("alerts", spent), ("plants", report())):
        world.finish(f"job-{stream}", pod(said), stream=stream)

    world.reconcile()

    assert world.condition("Synced") == ("True", "AllSynced")
    assert "each run of alpha/alerts 16 calls about single plants" in told
    assert world.message() == told


def test_a_sync_request_is_done_only_when_all_its_jobs_exist():
    world = World()
    world.put(document())
    world.put(document(syncRequest="now"))
    name = next(iter(world.cluster.jobs))
    again = World()
    again.cluster.refuse = {name}

    again.put(document(syncRequest="now"))
    assert "lastSyncRequest" not in again.status()
    assert again.condition() == ("False", "APIRefused")

    again.cluster.refuse.clear()
    again.reconcile()
    assert again.status()["lastSyncRequest"] == "now"
    assert again.condition() == ("True", "Applied")


def refuse_cron_job(world):
    world.cluster.refuse = {"acme-alpha-plants"}


def test_a_sync_request_waits_for_the_cron_job_that_is_missing_yet():
    world = World()
    refuse_cron_job(world)

    world.put(document(vendors=[vendor("alpha"), vendor("beta")], syncRequest="now"))
    assert [name.rsplit("-r", 1)[0] for name in world.cluster.jobs] == ["acme-beta-plants"]
    assert "lastSyncRequest" not in world.status()

    world.cluster.refuse.clear()
    world.reconcile()
    assert [name.rsplit("-r", 1)[0] for name in world.cluster.jobs] == [
        "acme-beta-plants",
        "acme-alpha-plants",
    ]
    assert world.status()["lastSyncRequest"] == "now"


def test_a_job_of_a_waiting_sync_request_is_made_once_even_if_it_has_ended_and_gone():
    world = World()
    refuse_cron_job(world)
    world.put(document(vendors=[vendor("alpha"), vendor("beta")], syncRequest="now"))
    world.cluster.jobs.clear()

    world.reconcile()

    assert requested(world) == []


def test_the_whole_operator_can_be_switched_to_rest():
    schedule = replace(SETTINGS.schedule, enabled=False)
    world = World(replace(SETTINGS, schedule=schedule))

    world.put(document())

    assert world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"] is True
    assert world.condition("Synced") == ("Unknown", "Suspended")
    assert world.message("Synced").endswith("by the operator's ENABLE_PLANT_SYNC_CRON")


@pytest.mark.promise("P1")
def test_a_new_resource_costs_one_request_for_each_cron_job_and_one_for_the_status():
    world = World()

    world.put(document(vendors=[vendor(name) for name in ("a", "b", "c", "d", "e")]))

    assert world.cluster.reads == []
    assert len(world.cluster.writes) == 6


def occupy_cron_job(world):
    stranger = {"namespace": "solar", "name": "acme-alpha-plants", "uid": "stranger"}
    world.cluster.cron_jobs[CRON_JOB] = {"metadata": stranger, "spec": {}}


def test_a_cron_job_of_somebody_else_is_found_by_the_refusal_to_create_it():
    world = World()
    occupy_cron_job(world)
    before = dict(world.cluster.cron_jobs[CRON_JOB])

    world.put(document())

    assert world.cluster.reads == ["conflict acme-alpha-plants", "cronjob acme-alpha-plants"]
    assert world.cluster.writes == ["status acme"]
    assert world.cluster.cron_jobs[CRON_JOB] == before


def test_a_cron_job_of_ours_whose_labels_were_taken_away_gets_them_back():
    world = World()
    world.put(document())
    uid = world.cluster.cron_jobs[CRON_JOB]["metadata"]["uid"]
    world.cluster.cron_jobs[CRON_JOB]["metadata"].pop("labels")
    world.cache.cron_jobs.drop(CRON_JOB, uid)

    world.reconcile()

    live = world.cluster.cron_jobs[CRON_JOB]["metadata"]
    assert live["uid"] == uid
    assert live["labels"]["app.kubernetes.io/managed-by"] == "vendorsync"


def test_what_a_visit_wrote_calls_for_no_further_visit():
    world = World()
    changed: list[tuple[str, str]] = []
    world.restart(changed.append)

    world.put(document())

    assert changed == [ACME]


class Meddling(FakeCluster):
    """A cluster with a webhook that changes a field of what is applied."""

    async def apply_cron_job(self, rendered, uid):
        changed = rendered | {"spec": rendered["spec"] | {"schedule": "1 1 1 1 1"}}
        return await super().apply_cron_job(changed, uid)


def test_a_webhook_that_changes_what_was_applied_is_not_written_against_for_ever():
    world = World(cluster=Meddling())
    world.put(document())
    edit(world, lambda live: live["spec"].update(schedule="2 2 2 2 2"))
    world.reconcile()
    assert world.cluster.writes == ["apply acme-alpha-plants"]
    world.cache.cron_jobs.found(world.cluster.cron_jobs[CRON_JOB])

    world.reconcile()

    assert world.cluster.writes == []


SPECS: dict[str, dict[str, Any]] = {
    "A": {"vendors": [vendor("alpha"), vendor("beta")]},
    "two streams": {"vendors": [vendor("alpha")], "streams": {"alerts": {}}},
    "suspended": {"vendors": [vendor("alpha"), vendor("beta")], "suspend": True},
    "refused": {"vendors": [vendor("alpha", options={"nope": 1}), vendor("beta")]},
    "another interval": {"vendors": [vendor("beta")], "schedule": {"intervalMinutes": 30}},
    "longer": {"vendors": [vendor("alpha"), vendor("beta")], "run": {"deadlineSeconds": 300}},
    "request": {"vendors": [vendor("alpha"), vendor("beta")], "syncRequest": "now"},
}


def end_state(world):
    """What is left of the history: uids, versions and times are not compared."""
    specs = {key: live["spec"] for key, live in world.cluster.cron_jobs.items()}
    told = json.loads(json.dumps(world.status()))
    for condition in told["conditions"]:
        del condition["lastTransitionTime"], condition["observedGeneration"]
    for name in ("lastSyncRequest", "observedGeneration"):
        told.pop(name, None)
    return specs, told


@pytest.mark.fault("K3")
@pytest.mark.promise("P3")
@given(st.lists(st.tuples(st.sampled_from(sorted(SPECS)), st.booleans()), max_size=4))
def test_the_end_depends_on_the_spec_and_the_runs_and_not_on_the_way_there(way):
    direct, winding = World(), World()
    for spec, restarts in way:
        winding.put(document(**SPECS[spec]))
        if restarts:
            winding.restart()
    for world in (direct, winding):
        world.put(document(**SPECS["A"]))
        for name in ("alpha", "beta"):
            world.finish(f"job-{name}", pod(report("Failed", "SecretMissing")), vendor=name)
        while world.reconcile() == 0:
            pass

    assert end_state(winding) == end_state(direct)


@pytest.mark.promise("P12")
def test_a_cron_job_that_an_edit_asks_for_which_was_not_heard_of_is_left_alone():
    world = World()
    world.put(document())
    before = world.cluster.resources[ACME]
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    edited, world.cluster.resources[ACME] = world.cluster.resources[ACME], before
    world.restart()
    world.cluster.resources[ACME] = edited

    world.reconcile()
    world.reconcile()

    assert world.cluster.writes == []
    assert ("solar", "acme-beta-plants") in world.cluster.cron_jobs


@pytest.mark.promise("P7")
def test_a_write_that_fails_hides_no_result_and_is_tried_again():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    world.finish("job-1", pod(report("Failed", "SecretMissing")), vendor="beta")
    hourly = {"plants": {"schedule": {"intervalMinutes": 60}}}
    edited = document(vendors=[vendor("alpha", streams=hourly), vendor("beta")])
    world.cluster.broken = {"acme-alpha-plants"}

    with pytest.raises(ConnectionError):
        world.put(edited)

    assert world.status()["vendors"][1]["reason"] == "SecretMissing"
    assert world.condition() == ("True", "Applied")
    assert world.status()["observedGeneration"] == 1
    world.cluster.broken = set()
    world.reconcile()
    assert world.status()["observedGeneration"] == 2


def test_a_new_resource_whose_first_write_fails_has_no_status_yet():
    world = World()
    world.cluster.broken = {"acme-alpha-plants"}

    with pytest.raises(ConnectionError):
        world.put(document())

    assert world.status() == {"observedGeneration": -1}
