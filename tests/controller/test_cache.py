from tests.controller.build import document, job_document
from vendorsync_operator.cache import Cache, LiveCronJob


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


def test_an_object_is_stripped_to_what_is_used():
    live = LiveCronJob.of(cron_job())

    assert b"managedFields" not in live.text
    assert b"lastScheduleTime" not in live.text
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


def test_an_older_version_never_replaces_a_newer_one():
    known, _ = cache()
    known.cron_jobs.found(cron_job(version="10", schedule="1 * * * *"))

    known.cron_jobs.found(cron_job(version="9", schedule="2 * * * *"))

    assert known.cron_jobs.get(("solar", "acme-alpha-plants")).version == "10"


def test_a_new_object_of_the_same_name_replaces_the_old_one():
    known, _ = cache()
    known.cron_jobs.found(cron_job(version="10"))

    known.cron_jobs.found(cron_job(version="9", uid="c2"))
    known.cron_jobs.gone(cron_job(version="11", uid="c1"))

    assert known.cron_jobs.get(("solar", "acme-alpha-plants")).uid == "c2"


def test_a_sweep_drops_what_a_list_did_not_contain_in_its_namespace_only():
    known, changed = cache()
    known.cron_jobs.found(cron_job("a"))
    elsewhere = cron_job("b")
    elsewhere["metadata"]["namespace"] = "wind"
    known.cron_jobs.found(elsewhere)
    changed.clear()

    known.cron_jobs.sweep([], "solar")

    assert [live.key for live in known.cron_jobs] == [("wind", "b")]
    assert changed == [ACME]


def test_a_job_is_news_once_it_is_finished():
    known, changed = cache()

    known.jobs.found(job_document(finished=""))
    assert changed == []
    known.jobs.found(job_document())

    assert changed == [ACME]
    assert [live.key[1] for live in known.jobs.of(ACME)] == ["acme-alpha-plants-1"]


def test_the_removal_of_a_job_is_no_reason_to_forget_the_others():
    known, _ = cache()
    known.jobs.found(job_document("one"))
    known.jobs.found(job_document("two"))

    known.jobs.gone(job_document("one"))

    assert [live.key[1] for live in known.jobs.of(ACME)] == ["two"]


def test_the_older_of_two_resources_of_an_organization_is_found_across_namespaces():
    known, _ = cache()
    known.resources.found(document("young", created="2026-11-02T00:00:00Z"))
    known.resources.found(document("old", namespace="wind"))
    young, old = (known.resources.get(k) for k in (("solar", "young"), ("wind", "old")))

    assert known.older_sibling(young) is old
    assert known.older_sibling(old) is None


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
