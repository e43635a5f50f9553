import json
from itertools import permutations, product

import pytest

from tests.controller.build import job, pod, report
from vendorsync_api.reasons import Result, RunReason
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator.results import runs

EMPTY = VendorStatus(name="alpha", stream="plants")


def ended(message=None, *, finished="2026-11-23T06:00:05Z", exit_code=0, name="job-1", **fields):
    live = job(name, finished=finished, **fields)
    return runs.outcome(live, [pod(message, exit_code=exit_code)])


def failed(reason="CredentialsRejected", **fields):
    message = report("Failed", reason, message="login refused", exit_code=77)
    return ended(message, exit_code=77, condition="Failed", **fields)


def test_a_success_brings_its_counts_and_clears_the_failures():
    before = EMPTY.model_copy(update={"consecutive_failures": 3, "last_failure_time": "earlier"})

    entry = runs.advance(before, [ended(report(total=250, created=10, unchanged=240))])

    assert (entry.result, entry.reason, entry.message) == ("Succeeded", "Synced", None)
    assert (entry.total, entry.created, entry.unchanged) == (250, 10, 240)
    assert (entry.updated, entry.vanished, entry.exit_code) == (None, None, None)
    assert (entry.consecutive_failures, entry.last_failure_time) == (None, "earlier")
    assert entry.last_successful_time == "2026-11-23T06:00:05Z"


@pytest.mark.requirement("C04")
def test_a_failure_brings_its_reason_and_counts_up():
    entry = runs.advance(EMPTY, [failed(), failed(name="job-2", finished="2026-11-23T06:15:05Z")])

    assert (entry.result, entry.reason, entry.exit_code) == ("Failed", "CredentialsRejected", 77)
    assert entry.message == "login refused"
    assert entry.consecutive_failures == 2
    assert entry.last_failure_time == "2026-11-23T06:15:05Z"


@pytest.mark.parametrize("result", ["Partial", "Interrupted"])
def test_what_is_no_success_counts_as_a_failure(result):
    entry = runs.advance(EMPTY, [ended(report(result, "Interrupted"))])

    assert entry.consecutive_failures == 1


def test_the_newest_of_several_results_wins_in_whatever_order_they_come():
    older = failed(finished="2026-11-23T05:45:05Z")
    newer = ended(report(), name="job-2")

    assert runs.advance(EMPTY, [newer, older]).result == Result.SUCCEEDED


def test_a_result_that_is_recorded_already_changes_nothing():
    entry = runs.advance(EMPTY, [failed()])

    assert runs.advance(entry, [failed()]) == entry


def test_a_skipped_run_leaves_the_standing_and_the_counts_of_the_last_real_one():
    skip = report("Skipped", "RestrictedWindow", message="inside 19:00-06:00")
    later = ended(skip, name="job-2", finished="2026-11-23T14:00:00Z")

    entry = runs.advance(EMPTY, [ended(report(total=7)), later])

    assert (entry.result, entry.reason, entry.standing) == (
        "Skipped",
        "RestrictedWindow",
        "Synced",
    )
    assert entry.total == 7
    assert runs.failing(entry) is None


def test_several_skipped_runs_still_remember_a_failure():
    skips = [
        ended(report("Skipped", "AlreadyRunning"), name=f"job-{n}", finished=f"2026-11-23T1{n}:00Z")
        for n in range(3)
    ]

    entry = runs.advance(EMPTY, [failed(), *skips])

    assert runs.failing(entry) == "CredentialsRejected"
    assert runs.needs_action("CredentialsRejected")


def test_a_first_run_that_is_skipped_has_no_standing():
    entry = runs.advance(EMPTY, [ended(report("Skipped", "RestrictedWindow"))])

    assert runs.standing(entry) is None


@pytest.mark.parametrize(
    ("annotations", "trigger"),
    [
        pytest.param({"cronjob.kubernetes.io/instantiate": "manual"}, "Manual", id="by hand"),
        pytest.param({"vendorsync.dev/request": "now"}, "Request", id="by syncRequest"),
        pytest.param({}, "Schedule", id="by the clock"),
    ],
)
@pytest.mark.requirement("C06")
def test_the_jobs_annotations_say_what_started_it_whatever_the_report_says(annotations, trigger):
    entry = runs.advance(EMPTY, [ended(report(trigger="Manual"), annotations=annotations)])

    assert entry.trigger == trigger


def test_without_a_report_the_jobs_own_condition_is_told():
    gone = job(
        condition="Failed", reason="DeadlineExceeded", message="Job was active longer than allowed"
    )

    entry = runs.advance(EMPTY, [runs.outcome(gone, [])])

    assert (entry.result, entry.reason) == ("Failed", RunReason.NO_REPORT.value)
    assert entry.message == (
        "the pod left no report (DeadlineExceeded: Job was active longer than allowed)"
    )


def lost(name="job-2", finished="2026-11-23T06:15:05Z", **fields):
    return runs.outcome(job(name, finished=finished, **fields), [])


def test_a_report_that_is_lost_changes_nothing_but_the_last_run():
    known = runs.advance(EMPTY, [ended(report(total=250, created=10, duration_seconds=4.5))])

    entry = runs.advance(known, [lost()])

    assert (entry.result, entry.reason) == ("Unknown", RunReason.REPORT_LOST.value)
    assert entry.message == "the run's Job completed, but its pod and its report are gone"
    assert (entry.job, entry.completion_time) == ("job-2", "2026-11-23T06:15:05Z")
    assert (entry.total, entry.created, entry.duration_seconds) == (250, 10, 4.5)
    assert (entry.standing, entry.last_successful_time) == ("Synced", known.last_successful_time)
    assert runs.failing(entry) is None


def test_a_report_that_is_lost_neither_counts_as_a_failure_nor_ends_those_before():
    before = [
        failed("VendorUnavailable"),
        failed("VendorUnavailable", name="b", finished="2026-11-23T06:10:05Z"),
    ]

    entry = runs.advance(EMPTY, [*before, lost()])

    assert runs.failing(entry) == "VendorUnavailable"
    assert (entry.consecutive_failures, runs.hard_failures(entry)) == (2, 2)
    assert (entry.message, entry.last_failure_time) == ("login refused", "2026-11-23T06:10:05Z")


def test_the_next_run_ends_a_lost_report():
    entry = runs.advance(
        EMPTY, [lost(), ended(report(), name="c", finished="2026-11-23T06:30:05Z")]
    )

    assert (entry.result, entry.standing, entry.message) == ("Succeeded", None, None)


def test_a_job_that_failed_and_whose_pod_is_gone_is_a_failure():
    entry = runs.advance(EMPTY, [lost(condition="Failed", reason="BackoffLimitExceeded")])

    assert (entry.result, entry.reason) == ("Failed", "NoReport")


def test_a_pod_that_was_killed_says_by_what():
    status = pod(None, exit_code=137)
    status["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
    live = job(condition="Failed", reason="BackoffLimitExceeded")

    entry = runs.advance(EMPTY, [runs.outcome(live, [status])])

    assert entry.message == "the pod left no report (OOMKilled, BackoffLimitExceeded)"
    assert entry.exit_code == 137


def test_the_newest_of_several_pods_is_believed():
    first = pod(report("Failed", "VendorUnavailable"), exit_code=69, at="2026-11-23T06:00:02Z")
    second = pod(report(), at="2026-11-23T06:00:04Z")

    report_found = runs.outcome(job(), [second, first]).report

    assert report_found is not None
    assert report_found.reason == "Synced"


@pytest.mark.parametrize(
    ("exit_code", "told"), [(137, ("Failed", "NoReport")), (0, ("Succeeded", "Synced"))]
)
def test_a_success_is_believed_if_its_process_ended_well_however_its_job_ended(exit_code, told):
    live = job(condition="Failed", reason="DeadlineExceeded")

    entry = runs.advance(EMPTY, [runs.outcome(live, [pod(report(total=3), exit_code=exit_code)])])

    assert (entry.result, entry.reason) == told


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        '{"version":1}',
        report()[:100],
        json.dumps(json.loads(report()) | {"result": "Fine"}),
        json.dumps(json.loads(report()) | {"reason": "<script>"}),
    ],
)
def test_a_message_that_is_no_report_is_no_success(message):
    assert runs.advance(EMPTY, [ended(message)]).reason == "NoReport"


def test_a_report_of_another_version_names_both():
    message = json.dumps(json.loads(report()) | {"version": 2})

    entry = runs.advance(EMPTY, [ended(message)])

    assert "has version 2, but this operator reads version 1" in (entry.message or "")


def test_hostile_text_and_numbers_are_bounded():
    message = report(
        "Failed",
        "VendorRefused",
        message="a\x1b[31m\n\u202e" + "b" * 3000,
        total=-5,
        created=2**70,
        duration_seconds=1e300,
        start_time="yesterday",
    )

    entry = runs.advance(EMPTY, [ended(message)])

    assert entry.message is not None
    assert len(entry.message) == runs.MESSAGE_LIMIT
    assert entry.message.isprintable()
    assert (entry.total, entry.created) == (None, 2**53 - 1)
    assert entry.duration_seconds == 1e6
    assert entry.start_time == "2026-11-23T06:00:00Z"
    VendorStatus.model_validate(entry.model_dump())


def test_a_length_that_is_no_number_is_left_out():
    message = report().replace('"durationSeconds":0.0', '"durationSeconds":NaN')
    assert "NaN" in message

    assert runs.advance(EMPTY, [ended(message)]).duration_seconds is None


def test_a_reason_of_a_later_release_is_shown_and_asks_for_nobody():
    entry = runs.advance(EMPTY, [ended(report("Failed", "MoonPhaseWrong"), condition="Failed")])

    assert entry.reason == "MoonPhaseWrong"
    assert not runs.needs_action("MoonPhaseWrong")


def ends(result, name):
    if result == "Unknown":
        return runs.outcome(job(name), [])
    reason = {"Succeeded": "Synced", "Skipped": "AlreadyRunning"}.get(result, "SecretMissing")
    return ended(report(result, reason, total=3), name=name)


BEFORE = EMPTY.model_copy(
    update={"consecutive_failures": 3, "last_failure_time": "earlier", "reason": "SecretMissing"}
)


@pytest.mark.parametrize("entry", [EMPTY, BEFORE], ids=["first", "after failures"])
@pytest.mark.parametrize(
    "results", [*product(("Succeeded", "Failed", "Skipped", "Unknown"), repeat=3)]
)
def test_results_of_one_second_come_to_the_same_in_whatever_order_they_are_told(entry, results):
    outcomes = [ends(result, f"job-{n}") for n, result in enumerate(results)]
    together = runs.advance(entry, outcomes)

    for told in permutations(outcomes):
        one_by_one = entry
        for outcome in told:
            one_by_one = runs.advance(one_by_one, [outcome])
        assert one_by_one == together
    assert runs.advance(together, outcomes) == together


@pytest.mark.parametrize("names", [("a", "z"), ("z", "a")])
def test_a_real_result_wins_over_a_skipped_one_of_its_second(names):
    skipped, real = ends("Skipped", names[0]), ends("Failed", names[1])

    entry = runs.advance(runs.advance(EMPTY, [real]), [skipped])
    again = runs.advance(runs.advance(EMPTY, [skipped]), [real])

    assert entry == again
    assert (entry.result, entry.job) == ("Failed", names[1])


def test_another_job_of_the_recorded_ones_second_is_looked_into():
    entry = runs.advance(EMPTY, [ended(report(), name="job-2")])

    first = job("job-1")

    assert runs.unrecorded(entry, [first, job("job-2")]) == [first]


def test_the_report_of_the_run_counts_whatever_ends_beside_it_later():
    both = pod(report())
    both["status"]["containerStatuses"] += pod(
        "bye", exit_code=1, at="2026-11-23T06:00:09Z", container="proxy"
    )["status"]["containerStatuses"]

    found = runs.outcome(job(), [both])

    assert found.exit_code == 0
    assert found.report is not None


def test_only_finished_jobs_newer_than_the_recorded_one_are_looked_into():
    entry = runs.advance(EMPTY, [ended(report(), name="job-2")])
    jobs = [
        job("job-1", finished="2026-11-23T05:45:00Z"),
        job("job-2"),
        job("job-3", finished=""),
        job("job-4", finished="2026-11-23T06:15:00Z"),
        job("job-5", finished="2026-11-23T06:15:00Z", vendor="beta"),
    ]

    assert [live.key[1] for live in runs.unrecorded(entry, jobs)] == ["job-4"]
