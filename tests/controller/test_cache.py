import pytest

from tests.controller.build import document, job_document
from vendorsync_operator.cache.cache import Cache
from vendorsync_operator.cache.live import LiveCronJob


def cron_job(name="acme-alpha-plants", *, version="1", owner="acme", uid="c1", **spec):
    return {
        "metadata": {
            "name": name,
            "namespace": "solar",
            "uid": uid,
            "resourceVersion": version,
            "managedFields": [{"manager": "x"}],
            "labels": {
                "app.kubernetes.io/managed-by": "vendorsync",
                "vendorsync.dev/resource": "acme",
            },
            "ownerReferences": [
                {"kind": "VendorSync", "name": owner, "uid": f"uid-{owner}", "controller": True}
            ],
        },
        "spec": {"schedule": "* * * * *"} | spec,
        "status": {"lastScheduleTime": "now"},
    }


def cache():
    changed: list[tuple[str, str]] = []
    return Cache(changed.append), changed


ACME = ("solar", "acme")
CRON_JOB = ("solar", "acme-alpha-plants")


def test_an_object_is_stripped_to_what_is_used():
    live = LiveCronJob.of(cron_job())

    assert live.document.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert "managedFields" not in live.document["metadata"]
    assert live.document["spec"] == {"schedule": "* * * * *"}


def test_a_change_of_what_is_not_used_is_no_news():
    known, changed = cache()
    known.cron_jobs.found(cron_job())
    touched = cron_job(version="2")
    touched["status"] = {"lastScheduleTime": "later"}

    known.cron_jobs.found(touched)

    assert changed == [ACME]


def test_an_edit_is_news_for_the_resource():
    known, changed = cache()
    known.cron_jobs.found(cron_job())

    known.cron_jobs.found(cron_job(version="2", schedule="0 0 * * *"))

    assert changed == [ACME, ACME]


def test_a_new_owner_is_news_for_both_owners():
    known, changed = cache()
    known.cron_jobs.found(cron_job())

    known.cron_jobs.found(cron_job(version="2", owner="other"))

    assert set(changed[1:]) == {ACME, ("solar", "other")}


TICK = 29_695_680
"""Minutes since the epoch of 2026-06-18T00:00:00Z."""


def going(name, created, *, ready=0, **fields):
    document = job_document(name, finished="", **fields)
    document["metadata"]["creationTimestamp"] = created
    document["status"]["ready"] = ready
    return document


def test_a_job_that_its_cron_job_made_in_time_is_news_once_it_is_finished():
    known, changed = cache()
    name = f"acme-alpha-plants-{TICK}"

    known.jobs.found(going(name, "2026-06-18T00:00:02Z"))
    known.jobs.found(going(name, "2026-06-18T00:00:02Z", ready=1))
    assert changed == []
    known.jobs.found(job_document(name))

    assert changed == [ACME]
    assert [live.key[1] for live in known.jobs.of(ACME)] == [name]


@pytest.mark.parametrize(
    ("name", "created", "fields"),
    [
        pytest.param("by-hand", "2026-06-18T00:00:02Z", {}, id="another name"),
        pytest.param(f"x-{TICK}", "2026-06-18T00:03:00Z", {}, id="a catch-up"),
        pytest.param(
            f"x-{TICK}",
            "2026-06-18T00:00:02Z",
            {"annotations": {"cronjob.kubernetes.io/instantiate": "manual"}},
            id="by hand under such a name",
        ),
    ],
)
def test_a_job_that_no_clock_expects_is_news_when_it_waits_and_when_it_runs(name, created, fields):
    known, changed = cache()

    known.jobs.found(going(name, created, **fields))
    assert changed == [ACME]
    known.jobs.found(going(name, created, ready=1, **fields))
    assert changed == [ACME, ACME]


def test_a_cron_job_that_was_found_to_be_right_keeps_no_text_until_it_changes():
    known, changed = cache()
    known.cron_jobs.found(cron_job())
    known.cron_jobs.put(known.cron_jobs.get(CRON_JOB).settle("abc"))

    known.cron_jobs.found(cron_job(version="2"))
    same = known.cron_jobs.get(CRON_JOB)
    known.cron_jobs.found(cron_job(version="3", schedule="0 0 * * *"))
    edited = known.cron_jobs.get(CRON_JOB)

    assert (same.settled, same.packed, same.version) == ("abc", b"", "2")
    assert (edited.settled, edited.document["spec"]["schedule"]) == ("", "0 0 * * *")
    assert changed == [ACME, ACME]


def test_what_a_visit_wrote_is_no_news_and_an_older_answer_changes_nothing():
    known, changed = cache()

    known.cron_jobs.put(LiveCronJob.of(cron_job(version="5")))
    known.cron_jobs.put(LiveCronJob.of(cron_job(version="4")))
    assert known.cron_jobs.get(CRON_JOB).version == "5"
    known.cron_jobs.found(cron_job(version="5"))

    assert changed == []
    assert known.cron_jobs.of(ACME)


@pytest.mark.parametrize(("generation", "news"), [(1, []), (2, [ACME])])
def test_the_answer_to_a_status_write_is_news_only_if_the_spec_changed_meanwhile(generation, news):
    known, changed = cache()
    known.resources.found(document())
    changed.clear()
    answer = document(status={"observedGeneration": 1})
    answer["metadata"] |= {"generation": generation, "resourceVersion": "2"}

    known.status_written(answer)

    assert changed == news
    assert known.resources.get(ACME).document["status"] == {"observedGeneration": 1}


def test_the_removal_of_a_job_is_no_reason_to_forget_the_others():
    known, _ = cache()
    known.jobs.found(job_document("one"))
    known.jobs.found(job_document("two"))

    known.jobs.gone(job_document("one"))

    assert [live.key[1] for live in known.jobs.of(ACME)] == ["two"]


def older(known, key):
    found = known.older_sibling(known.resources.get(key))
    return found and found.key


YOUNG = ("solar", "young")


def test_the_older_of_two_resources_of_an_organization_is_found():
    known, _ = cache()
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))
    known.resources.found(document("old"))

    assert older(known, YOUNG) == ("solar", "old")
    assert older(known, ("solar", "old")) is None


OWN = {"secretRef": {"name": "own", "key": "url"}}
OTHER_KEY = {"secretRef": {"name": "vendorsync-database", "key": "other"}}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"namespace": "staging"}, id="namespace"),
        pytest.param({"database": OWN}, id="Secret"),
        pytest.param({"database": OTHER_KEY}, id="key of the Secret"),
        pytest.param({"organization": 4}, id="organization"),
    ],
)
def test_two_resources_are_no_siblings_that_differ_in(fields):
    known, _ = cache()
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))

    known.resources.found(document("old", **fields))

    assert older(known, YOUNG) is None


@pytest.mark.parametrize(
    "database",
    [{}, {"secretRef": {}}, {"secretRef": {"name": "vendorsync-database"}}],
    ids=["none", "no Secret", "no key"],
)
def test_a_database_that_is_not_named_is_the_usual_one(database):
    known, _ = cache()
    known.resources.found(document("young", created="2026-11-02T00:00:00Z", database=database))

    known.resources.found(
        document("old", database={"secretRef": {"name": "vendorsync-database", "key": "url"}})
    )

    assert older(known, YOUNG) == ("solar", "old")


def test_a_resource_that_moves_to_another_database_is_news_for_its_old_and_new_siblings():
    known, changed = cache()
    known.resources.found(document("a"))
    known.resources.found(document("b", database=OWN))
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))
    changed.clear()
    moved = document("young", created="2026-11-02T00:00:00Z", database=OWN)
    moved["metadata"]["resourceVersion"] = "2"

    known.resources.found(moved)

    assert changed == [("solar", "a"), ("solar", "b"), YOUNG]
    assert older(known, YOUNG) == ("solar", "b")


def test_resources_that_came_and_went_leave_nothing_behind():
    known, _ = cache()
    for number in range(50):
        known.resources.found(document(f"r{number}", organization=number % 7))
        known.resources.gone(document(f"r{number}"))

    assert (known._claimants, known._claim_of) == ({}, {})


def test_resources_of_one_age_are_ordered_by_namespace_and_name():
    known, _ = cache()
    for name in ("b", "a"):
        known.resources.found(document(name))

    assert known.older_sibling(known.resources.get(("solar", "b"))).key == ("solar", "a")


def test_a_resource_that_goes_is_news_for_the_others_of_its_organization():
    known, changed = cache()
    known.resources.found(document("old"))
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))
    changed.clear()

    known.resources.gone(document("old"))

    assert ("solar", "young") in changed
    assert known.older_sibling(known.resources.get(("solar", "young"))) is None


def test_a_resource_that_is_being_deleted_is_nobodys_elder():
    known, _ = cache()
    leaving = document("old")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    known.resources.found(leaving)
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))

    assert known.older_sibling(known.resources.get(("solar", "young"))) is None


def test_an_answer_that_comes_after_the_deletion_brings_no_resource_back():
    known, changed = cache()
    known.resources.found(document())
    known.resources.gone(document())
    changed.clear()

    known.status_written(document(status={"observedGeneration": 1}))

    assert known.resources.get(ACME) is None
    assert changed == []


def test_the_echo_of_a_version_that_is_known_is_not_looked_at():
    known, changed = cache()
    known.cron_jobs.found(cron_job(version="10"))
    changed.clear()
    echo = cron_job(version="10")
    del echo["spec"]

    known.cron_jobs.found(echo)
    known.cron_jobs.found(cron_job(version="10", uid="another"))

    assert changed == [ACME]
    assert known.cron_jobs.get(("solar", "acme-alpha-plants")).uid == "another"
