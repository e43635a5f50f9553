"""Writes that fail for a while, hang or come too late, and what people hear of them."""

import asyncio

import pytest

from tests.controller.build import document, pod, report, vendor
from tests.controller.fakes import FakeCluster
from tests.controller.world import ACME, CRON_JOB, World

WEBHOOK = 'HTTP 500: failed calling webhook "policy.example.com": connection refused'


class Webhook(FakeCluster):
    """A cluster whose admission webhook for CronJobs may be down, or hang for some seconds."""

    def __init__(self):
        super().__init__()
        self.is_down = False
        self.hangs: set[str] = set()
        self.seconds = 13.0
        self.world: World
        self.asked: list[str] = []

    async def apply_cron_job(self, rendered, uid):
        name = rendered["metadata"]["name"]
        self.asked.append(name)
        if self.is_down:
            raise ConnectionError(WEBHOOK + f" ({len(self.asked)})")
        if name in self.hangs:
            self.world.seconds += self.seconds
            raise TimeoutError
        return await super().apply_cron_job(rendered, uid)


@pytest.fixture
def webhook():
    cluster = Webhook()
    cluster.world = World(cluster=cluster)
    return cluster


def visits(world, *resources, times=1):
    """Reconcile that often, after putting the resources; return the failures."""
    failures = []
    for turn in range(times):
        try:
            if turn < len(resources):
                world.put(resources[turn])
            else:
                world.wait(minutes=1)
        except (ConnectionError, TimeoutError) as error:
            failures.append(error)
    return failures


def test_a_failure_that_passes_with_the_next_try_is_told_to_nobody(webhook):
    webhook.is_down = True
    visits(webhook.world, document())
    webhook.is_down = False

    webhook.world.reconcile()

    assert webhook.world.condition() == ("True", "Applied")
    assert webhook.events == []


def test_a_new_resource_whose_cron_jobs_keep_failing_says_so_after_the_second_try(webhook):
    webhook.is_down = True

    assert len(visits(webhook.world, document(), times=2)) == 2

    assert webhook.world.condition() == ("Unknown", "APIFailing")
    assert "failed calling webhook" in webhook.world.message()
    assert "alpha/plants" in webhook.world.message()


def test_an_edit_that_keeps_failing_is_not_ready_at_its_own_generation(webhook):
    webhook.world.put(document())
    webhook.is_down = True

    visits(webhook.world, document(suspend=True), times=2)

    assert webhook.world.status()["observedGeneration"] == 2
    assert webhook.world.condition() == ("Unknown", "APIFailing")


def test_a_failure_that_lasts_is_one_event_and_one_write(webhook):
    webhook.is_down = True
    visits(webhook.world, document(), times=2)

    visits(webhook.world, times=10)

    assert [event["reason"] for event in webhook.events] == ["APIFailing"]
    assert webhook.writes == []


def test_the_resource_is_ready_again_once_the_write_is_taken(webhook):
    webhook.is_down = True
    visits(webhook.world, document(), times=3)
    webhook.is_down = False

    webhook.world.reconcile()

    assert webhook.world.condition() == ("True", "Applied")


def test_a_visit_stops_at_the_first_write_that_hangs_and_still_writes_the_status(webhook):
    world = webhook.world
    names = [f"v{number}" for number in range(9)]
    world.put(document())
    webhook.hangs = {f"acme-{name}-plants" for name in names}
    webhook.asked.clear()
    began = world.seconds

    visits(world, document(vendors=[vendor(name) for name in names]), times=2)

    assert len(webhook.asked) == 2
    assert world.seconds - began < 120
    assert world.condition() == ("Unknown", "APIFailing")
    assert "did not answer in time" in world.message()


def test_one_cron_job_that_hangs_keeps_none_of_the_others_waiting(webhook):
    world = webhook.world
    webhook.hangs = {"acme-alpha-plants"}
    spec = document(vendors=[vendor("alpha"), vendor("beta"), vendor("gamma")])

    visits(world, spec, times=2)

    assert {key[1] for key in webhook.cron_jobs} == {"acme-beta-plants", "acme-gamma-plants"}


def test_slow_writes_that_succeed_are_spread_over_several_visits(webhook):
    world, names = webhook.world, [f"v{number}" for number in range(9)]

    class Slow(FakeCluster):
        async def apply_cron_job(self, rendered, uid):
            world.seconds += 4.0
            return await super().apply_cron_job(rendered, uid)

    world.cluster = Slow()
    world.restart()

    again = world.put(document(vendors=[vendor(name) for name in names]))

    assert again == 0
    assert len(world.cluster.cron_jobs) == 6
    world.reconcile()
    assert len(world.cluster.cron_jobs) == 9
    assert world.condition() == ("True", "Applied")


def test_a_job_that_cannot_be_read_hides_no_other_result():
    class Blind(FakeCluster):
        async def pods(self, job, since):
            if job[1] == "ja":
                raise ConnectionError("500")
            return await super().pods(job, since)

    world = World(cluster=Blind())
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    world.finish("ja", pod(report()))
    world.finish("jb", pod(report(vendor="beta")), vendor="beta")

    assert len(visits(world, times=1)) == 1

    assert [each.get("result") for each in world.status()["vendors"]] == [None, "Succeeded"]
    assert world.condition() == ("True", "Applied")


def test_a_status_that_somebody_reset_is_filled_again():
    world = World()
    world.put(document())
    world.finish("job-1", pod(report(total=3)))
    world.reconcile()
    live = world.cluster.resources[ACME]
    reset = world.cluster.stamp({**live, "status": {}}, live["metadata"]["uid"])
    world.cluster.resources[ACME] = reset
    world.cache.resources.found(reset)

    world.reconcile()

    assert world.entry()["result"] == "Succeeded"


def test_a_condition_of_another_manager_costs_no_write():
    world = World()
    world.put(document())
    live = world.cluster.resources[ACME]
    foreign = {
        "type": "Audited",
        "status": "True",
        "reason": "Fine",
        "message": "",
        "lastTransitionTime": "2026-11-23T06:00:00Z",
    }
    status = live["status"] | {"conditions": [foreign, *live["status"]["conditions"]]}
    seen = world.cluster.stamp(live | {"status": status}, live["metadata"]["uid"])
    world.cluster.resources[ACME] = seen
    world.cache.resources.found(seen)

    world.reconcile()

    assert world.cluster.writes == []


def test_outcomes_that_cannot_be_written_stay_bounded():
    world = World()
    world.put(document())
    world.cluster.broken = {"acme"}

    for tens in range(13):
        jobs = [f"job-{tens}{number}" for number in range(10)]
        for job in jobs:
            world.finish(job, pod(report()))
        visits(world)
        for job in jobs:
            world.cache.jobs.drop(("solar", job), f"uid-{job}")
    visits(world)

    memory = world.reconciler._memories[ACME]
    assert len(memory.outcomes) == 100


def test_what_is_left_of_an_earlier_resource_is_awaited_and_not_a_conflict():
    world = World()
    world.put(document())
    world.cache.resources.gone(world.cluster.resources.pop(ACME))
    successor = document()
    successor["metadata"]["uid"] = "uid-second"

    again = world.put(successor)

    assert world.condition() == ("Unknown", "AwaitingRemoval")
    assert again == 5
    assert world.cluster.writes == ["status acme"]
    world.cache.cron_jobs.gone(world.cluster.cron_jobs.pop(CRON_JOB))
    world.reconcile()
    assert world.condition() == ("True", "Applied")


class Late(FakeCluster):
    """A cluster in which the watch tells of a deletion before the answer to an apply arrives."""

    def __init__(self):
        super().__init__()
        self.world: World
        self.is_armed = False

    async def apply_cron_job(self, rendered, uid):
        answer = await super().apply_cron_job(rendered, uid)
        if self.is_armed:
            self.is_armed = False
            key = rendered["metadata"]["namespace"], rendered["metadata"]["name"]
            del self.cron_jobs[key]
            self.world.cache.cron_jobs.found(answer)
            # A deletion has a version of its own.
            deleted = self.stamp(answer, answer["metadata"]["uid"])
            self.world.cache.cron_jobs.gone(deleted)
        return answer


@pytest.mark.parametrize("is_new", [True, False])
def test_a_cron_job_that_went_before_our_answer_came_is_made_again(is_new):
    cluster = Late()
    world = cluster.world = World(cluster=cluster)
    if not is_new:
        world.put(document())
    cluster.is_armed = True

    again = world.put(document(run={"deadlineSeconds": 300}))

    assert again == 0
    world.reconcile()
    assert CRON_JOB in cluster.cron_jobs
    assert world.condition() == ("True", "Applied")


def test_a_ghost_in_the_cache_is_found_out_by_the_next_apply():
    world = World()
    world.put(document())
    del world.cluster.cron_jobs[CRON_JOB]

    with pytest.raises(Exception, match="acme-alpha-plants"):
        world.put(document(run={"deadlineSeconds": 300}))

    world.reconcile()
    assert CRON_JOB in world.cluster.cron_jobs


def test_a_namespace_that_is_denied_leaves_all_but_ready_as_it_was():
    world = World()
    world.put(document())
    before = world.status()
    world.seconds += 10

    asyncio.run(world.reconciler.tell_denied(ACME, "jobs in solar: HTTP 403: no"))

    assert world.condition() == ("Unknown", "NamespaceDenied")
    assert world.message().startswith("jobs in solar: HTTP 403: no")
    others = [each for each in world.status()["conditions"] if each["type"] != "Ready"]
    assert others == [each for each in before["conditions"] if each["type"] != "Ready"]
    assert {**world.status(), "conditions": ()} == {**before, "conditions": ()}
    world.wait(minutes=1)
    assert world.condition() == ("True", "Applied")


def test_a_status_that_may_not_be_written_in_a_denied_namespace_is_no_failure():
    world = World()
    world.put(document())
    world.cluster.refuse = {"acme"}
    world.seconds += 10

    assert asyncio.run(world.reconciler.tell_denied(ACME, "HTTP 403")) is None
    assert world.condition() == ("True", "Applied")
