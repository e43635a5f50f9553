"""syncRequest: one run of everything now, once, whatever happens in between."""

import pytest

from tests.controller.build import document, job_document, pod, report, vendor
from tests.controller.world import ACME, World
from vendorsync_operator.names import request_job_name

TWO = [vendor("alpha"), vendor("beta")]
ALPHA, BETA = (request_job_name(f"acme-{name}-plants", "now") for name in ("alpha", "beta"))


def created(world):
    return [write.split()[1] for write in world.cluster.writes if write.startswith("create")]


def asking(text="now", **fields):
    return document(**{"vendors": TWO} | fields, syncRequest=text)


def remember_jobs(world):
    """Show the operator the Jobs that live, as its first list does."""
    for name, live in world.cluster.jobs.items():
        labels = live["metadata"]["labels"]
        shown = job_document(name, vendor=labels["vendorsync.dev/vendor"], finished="")
        world.cache.jobs.found(shown)


@pytest.mark.requirement("C06")
def test_its_jobs_say_what_started_them():
    world = World()
    world.put(asking())
    live = world.cluster.jobs[ALPHA]
    live["metadata"] |= {"uid": "j", "resourceVersion": "9"}
    live["status"] = {"completionTime": "2026-11-23T06:01:00Z"}
    live["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    world.cluster.pods_of[ALPHA] = [pod(report(trigger="Request"))]
    world.cache.jobs.found(live)

    world.reconcile()

    assert world.entry()["trigger"] == "Request"
    assert {"name": "VENDORSYNC_TRIGGER", "value": "Request"} in (
        live["spec"]["template"]["spec"]["containers"][0]["env"]
    )


def test_it_starts_runs_of_a_suspended_organization_but_not_of_a_suspended_vendor():
    world = World()

    world.put(asking(vendors=[vendor("alpha"), vendor("beta", suspend=True)], suspend=True))

    assert created(world) == [ALPHA]
    assert world.status()["lastSyncRequest"] == "now"


def test_it_starts_what_is_accepted_and_is_done_without_what_is_refused():
    world = World()

    world.put(asking(vendors=[vendor("alpha"), vendor("beta", adapter="sunny")]))

    assert created(world) == [ALPHA]
    assert world.status()["lastSyncRequest"] == "now"


def test_it_waits_while_nothing_is_accepted():
    world = World()

    world.put(asking(vendors=[vendor("alpha", adapter="sunny")]))

    assert created(world) == []
    assert "lastSyncRequest" not in world.status()


@pytest.mark.fault("K3")
def test_an_operator_that_was_killed_between_two_jobs_makes_the_other_one_after_its_return():
    world = World()
    world.put(document(vendors=TWO))
    world.cluster.refuse = {BETA}
    world.put(asking())
    world.cluster.refuse.clear()

    world.restart()
    remember_jobs(world)
    world.reconcile()

    assert created(world) == [BETA]
    assert world.status()["lastSyncRequest"] == "now"


@pytest.mark.fault("K3")
def test_a_job_that_has_ended_is_not_made_again_after_a_restart_though_it_is_gone():
    world = World()
    world.cluster.refuse = {BETA}
    world.put(asking())
    world.finish(ALPHA, pod(report()))
    world.reconcile()
    world.cluster.jobs.clear()

    world.restart()
    world.cluster.refuse.clear()
    world.reconcile()

    assert created(world) == [BETA]


def test_a_text_that_is_changed_before_the_first_was_done_asks_for_another_run():
    world = World()
    world.cluster.refuse = {BETA}
    world.put(asking())
    world.cluster.refuse.clear()

    world.put(asking("later"))

    assert len(created(world)) == 2
    assert world.status()["lastSyncRequest"] == "later"


def test_a_text_that_comes_back_after_another_one_asks_again():
    world = World()
    for text in ("now", "later", "now"):
        world.put(asking(text))
        assert len(created(world)) == 2

    assert len(world.cluster.jobs) == 6


def test_a_quota_that_refuses_a_job_is_told_without_its_counters_and_the_job_made_later():
    world = World()
    world.put(document(vendors=TWO))
    world.cluster.refuse = {BETA}

    delay = world.put(asking())
    told = world.message()
    world.reconcile()

    assert delay == 60
    assert world.cluster.writes == [f"create {BETA}"]
    assert "exceeded quota: small" in told
    assert "used:" not in told
    world.cluster.refuse.clear()
    world.reconcile()
    assert created(world) == [BETA]
    assert world.condition() == ("True", "Applied")


def occupy_job(world, name=BETA):
    foreign = job_document(name)
    foreign["metadata"]["ownerReferences"] = []
    world.cluster.jobs[name] = foreign


def occupy_cron_job(world):
    stranger = {"namespace": "solar", "name": "acme-beta-plants", "uid": "stranger"}
    world.cluster.cron_jobs["solar", "acme-beta-plants"] = {"metadata": stranger, "spec": {}}


@pytest.mark.parametrize(
    ("occupy", "taken"),
    [(occupy_job, f"Job {BETA}"), (occupy_cron_job, "CronJob acme-beta-plants")],
)
def test_it_is_done_without_a_run_whose_place_is_taken_and_says_which(occupy, taken):
    world = World()
    occupy(world)

    world.put(asking())

    assert created(world)[0] == ALPHA
    assert world.status()["lastSyncRequest"] == "now"
    assert world.status()["syncRequestMessage"] == (
        f"no run of beta/plants: {taken} exists and is not this resource's"
    )
    assert world.cluster.events[0]["note"].startswith("syncRequest now: no run of beta/plants: ")


def test_what_a_request_could_not_start_is_said_until_the_next_one():
    world = World()
    occupy_job(world)
    world.put(asking())
    world.wait(minutes=5)
    assert "syncRequestMessage" in world.status()

    world.put(asking("later"))

    assert "syncRequestMessage" not in world.status()


@pytest.mark.fault("K3")
def test_what_a_request_has_started_is_not_started_again_by_any_restart():
    """One run waits for a quota; the other has ended, was followed by more, and its Job is gone."""
    world = World()
    world.cluster.refuse = {BETA}
    world.put(asking())
    assert [entry.get("requested") for entry in world.status()["vendors"]] == [ALPHA, None]
    world.finish(ALPHA, pod(report()), annotations={"vendorsync.dev/request": "now"})
    world.reconcile()
    world.wait(minutes=16)
    world.finish("job-9", pod(report()), finished="2026-11-23T06:15:10Z")
    world.reconcile()
    world.cluster.jobs.clear()

    for _ in range(3):
        world.restart()
        world.wait(minutes=1)
        assert created(world) == [BETA]
    world.cluster.refuse.clear()
    world.reconcile()

    assert list(world.cluster.jobs) == [BETA]
    assert world.status()["lastSyncRequest"] == "now"
    assert not any("requested" in entry for entry in world.status()["vendors"])


def test_it_waits_for_a_cron_job_of_a_predecessor_to_be_collected():
    world = World()
    world.put(document(vendors=TWO))
    successor = asking(created="2026-11-23T05:59:00Z")
    successor["metadata"]["uid"] = "uid-2"
    del world.cluster.resources[ACME]

    world.put(successor)
    assert (created(world), world.status().get("lastSyncRequest")) == ([], None)

    for key, live in list(world.cluster.cron_jobs.items()):
        del world.cluster.cron_jobs[key]
        world.cache.cron_jobs.drop(key, live["metadata"]["uid"])
    world.reconcile()
    assert created(world) == [ALPHA, BETA]


def test_a_job_that_an_answer_was_lost_of_is_known_by_the_watch():
    world = World()
    world.cluster.jobs[ALPHA] = {"metadata": {"name": ALPHA}}
    world.cache.jobs.found(job_document(ALPHA, finished=""))

    world.put(asking())

    assert created(world) == [BETA]
    assert world.status()["lastSyncRequest"] == "now"


@pytest.mark.fault("K3")
@pytest.mark.promise("P7")
def test_a_job_that_was_made_by_a_lost_answer_or_leader_is_known_before_the_watch_tells():
    world = World()
    world.cluster.jobs[ALPHA] = job_document(ALPHA, finished="")

    world.put(asking())

    assert world.condition() == ("True", "Applied")
    assert world.status()["lastSyncRequest"] == "now"
