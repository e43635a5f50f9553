"""Somebody else who writes what we write: another operator, a field manager, a webhook."""

from dataclasses import replace

from tests.controller.build import SETTINGS, document, pod, report, vendor
from tests.controller.fakes import FakeCluster
from tests.controller.world import ACME, CRON_JOB, World, edit
from vendorsync_api import run

RIVAL = replace(SETTINGS, instance="rival")


class Rewriting(FakeCluster):
    """A cluster whose webhook takes all images from a mirror."""

    async def apply_cron_job(self, rendered, uid):
        answer = await super().apply_cron_job(rendered, uid)
        template = answer["spec"]["jobTemplate"]["spec"]["template"]
        template["spec"]["containers"][0]["image"] = "mirror.example/syncjob"
        return answer


def reschedule(world, schedule, by):
    edit(world, lambda live: live["spec"].update(schedule=schedule), by=by)


def pair():
    """Return two operators of different instances over one cluster; the first came first."""
    cluster = FakeCluster()
    first, second = World(cluster=cluster), World(settings=RIVAL, cluster=cluster)
    first.put(document())
    second.restart()
    return first, second


def test_a_rival_operator_writes_nothing_to_what_another_keeps():
    first, second = pair()

    for _ in range(20):
        second.reconcile()

    assert second.cluster.writes == []
    assert first.cluster.cron_jobs[CRON_JOB]["metadata"]["labels"][run.INSTANCE_LABEL] == (
        SETTINGS.instance
    )


def test_a_status_that_stands_still_says_how_the_cron_jobs_are_handed_over():
    _, second = pair()
    second.put(document(suspend=True))
    second.wait(minutes=2)

    assert second.condition() == ("False", "Contested")
    assert "kubectl label cronjobs --namespace solar" in second.message()
    assert CRON_JOB in second.cluster.cron_jobs
    assert second.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"] is False


def test_runs_that_nobody_tells_show_that_the_other_operator_is_gone():
    _, second = pair()
    second.finish("job-1", pod(report()))
    second.reconcile()
    assert second.cluster.writes == []

    second.wait(minutes=2)

    assert second.condition() == ("False", "Contested")


def test_cron_jobs_that_lost_the_label_are_adopted_and_none_is_made_anew():
    _, second = pair()
    before = second.cluster.cron_jobs[CRON_JOB]["metadata"]["uid"]
    edit(second, lambda live: live["metadata"]["labels"].pop(run.INSTANCE_LABEL))

    second.reconcile()

    live = second.cluster.cron_jobs[CRON_JOB]["metadata"]
    assert live["labels"][run.INSTANCE_LABEL] == "rival"
    assert live["uid"] == before


def test_two_operators_that_started_at_once_agree_on_the_one_with_the_oldest_cron_job():
    cluster = FakeCluster()
    first, second = World(cluster=cluster), World(settings=RIVAL, cluster=cluster)
    first.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    edit(
        first,
        lambda live: live["metadata"]["labels"].update({run.INSTANCE_LABEL: "rival"}),
        key=("solar", "acme-beta-plants"),
    )
    for key, created in ((CRON_JOB, "06:00:01"), (("solar", "acme-beta-plants"), "06:00:02")):
        cluster.cron_jobs[key]["metadata"]["creationTimestamp"] = f"2026-11-23T{created}Z"
    first.restart()
    second.restart()

    second.reconcile()
    assert cluster.writes == []
    first.reconcile()

    labels = {live["metadata"]["labels"][run.INSTANCE_LABEL] for live in cluster.cron_jobs.values()}
    assert labels == {"vendorsync"}


def test_somebody_who_changes_a_cron_job_back_each_time_costs_few_writes_and_is_named():
    world = World()
    world.put(document())
    writes = 0

    for second in range(120):
        reschedule(world, f"{second % 60} 1 * * *", by="gitops-tool")
        world.now = world.now.replace(microsecond=second)
        world.reconcile(after=1.0)
        writes += len(world.cluster.writes)

    assert writes < 15
    assert world.condition() == ("False", "Contested")
    assert "gitops-tool" in world.message()


def test_a_person_s_edit_is_undone_at_once_and_contests_nothing():
    world = World()
    world.put(document())
    reschedule(world, "0 1 * * *", by="kubectl-edit")

    world.reconcile()

    assert world.cluster.writes == ["apply acme-alpha-plants"]
    assert world.condition() == ("True", "Applied")


def test_a_contest_ends_when_the_other_lets_go():
    world = World()
    world.put(document())
    for _ in range(40):
        reschedule(world, "0 1 * * *", by="gitops-tool")
        world.reconcile(after=1.0)

    world.wait(minutes=20)
    world.wait(minutes=20)

    assert world.condition() == ("True", "Applied")


def test_a_webhook_that_rewrites_images_costs_no_write_after_a_restart():
    world = World(cluster=Rewriting())
    world.put(document())

    for _ in range(3):
        world.restart()
        world.reconcile()
        assert world.cluster.writes == []


def test_an_edit_made_while_the_operator_was_down_is_undone_behind_such_a_webhook():
    world = World(cluster=Rewriting())
    world.put(document())
    edit(world, lambda live: live["spec"].update(suspend=True))
    world.restart()

    world.reconcile()

    assert world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"] is False


def test_the_resource_of_another_operator_is_forgotten_with_the_rest():
    _, second = pair()
    second.cache.resources.gone(second.cluster.resources.pop(ACME))

    second.reconcile()

    assert second.reconciler._memories == {}


def test_a_status_that_somebody_changes_back_each_time_costs_few_writes():
    world = World()
    world.put(document())
    writes = 0

    for _ in range(120):
        live = world.cluster.resources[ACME]
        other = live["status"] | {"display": {"interval": "7m"}}
        seen = world.cluster.stamp(live | {"status": other}, live["metadata"]["uid"])
        world.cluster.resources[ACME] = seen
        world.cache.resources.found(seen)
        world.reconcile(after=1.0)
        writes += len(world.cluster.writes)

    assert writes < 15


def test_a_label_that_a_person_took_away_comes_back_though_nobody_owns_its_absence():
    world = World(cluster=Rewriting())
    world.put(document())
    edit(world, lambda live: live["metadata"]["labels"].pop(run.VENDOR_LABEL), by=None)

    world.reconcile()

    assert world.cluster.writes == ["apply acme-alpha-plants"]
