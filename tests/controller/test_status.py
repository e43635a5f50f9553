from datetime import timedelta

import pytest

from tests.controller.build import NOW, SETTINGS, job, pod, policies, report, resource, vendor
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import VendorSyncStatus
from vendorsync_operator import accept, resolve, runs, status
from vendorsync_operator.status import Problem, Sight

BLANK = VendorSyncStatus()


def sight(declared=None, *outcomes, problems=(), **fields):
    declared = declared or resource()
    assignments = tuple(resolve.assignments(declared, SETTINGS.schedule))
    judged = [accept.judge(declared, a, settings=SETTINGS, policies=policies) for a in assignments]
    tables = {j.assignment.key: j.timetable for j in judged if isinstance(j, accept.Accepted)}
    return Sight(
        generation=2,
        suspended=declared.spec.suspend,
        assignments=assignments,
        timetables=tables,
        problems=tuple(problems),
        outcomes=outcomes,
        **fields,
    )


def outcome(result="Succeeded", reason="Synced", *, at="2026-11-23T06:00:05Z", **fields):
    names = {k: fields.pop(k) for k in ("vendor", "stream") if k in fields}
    live = job(f"job-{at}", finished=at, **names)
    return runs.outcome(live, [pod(report(result, reason, **fields))])


def conditions(found):
    return {c.type: (c.status, c.reason) for c in found.conditions}


def message(found, kind):
    return next(c.message for c in found.conditions if c.type == kind)


def test_all_conditions_are_there_from_the_first_visit():
    found = status.compute(BLANK, sight(), NOW)

    assert conditions(found) == {
        "Ready": ("True", "Applied"),
        "Synced": ("Unknown", "AwaitingFirstRun"),
        "Degraded": ("False", "AsExpected"),
    }
    assert all(c.observed_generation == 2 for c in found.conditions)
    assert found.observed_generation == 2


def test_every_vendor_and_stream_is_listed_before_its_first_run():
    declared = resource(vendors=[vendor("zeta"), vendor("alpha")], streams={"alerts": {}})

    found = status.compute(BLANK, sight(declared), NOW)

    assert [(e.name, e.stream) for e in found.vendors] == [
        ("alpha", "alerts"),
        ("alpha", "plants"),
        ("zeta", "alerts"),
        ("zeta", "plants"),
    ]
    assert {e.next_schedule_time for e in found.vendors} == {"2026-11-23T06:15:00Z"}


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        pytest.param(resource(suspend=True), "Suspended", id="organization"),
        pytest.param(resource(vendors=[vendor(suspend=True)]), "NoStreams", id="every vendor"),
    ],
)
def test_what_is_suspended_is_neither_synced_nor_not(declared, reason):
    found = status.compute(BLANK, sight(declared), NOW)

    assert conditions(found)["Synced"] == ("Unknown", reason)
    assert found.next_schedule_time is None


def test_synced_when_the_last_run_of_everything_succeeded():
    found = status.compute(BLANK, sight(None, outcome()), NOW)

    assert conditions(found)["Synced"] == ("True", "AllSynced")


@pytest.mark.requirement("R11")
@pytest.mark.requirement("R33")
def test_a_failing_vendor_is_named_with_its_reason_and_the_other_keeps_its_success():
    declared = resource(vendors=[vendor("alpha"), vendor("beta")])
    bad = outcome("Failed", "CredentialsRejected", vendor="beta")

    found = status.compute(BLANK, sight(declared, outcome(), bad), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")
    assert message(found, "Synced") == "beta/plants: CredentialsRejected"
    assert conditions(found)["Degraded"] == ("True", "ActionRequired")
    assert message(found, "Degraded").startswith(
        "beta/plants: CredentialsRejected. Correct the credentials in the Secret."
    )
    assert found.vendors[0].result == "Succeeded"
    assert found.display is not None
    assert found.display.vendors == "1/2"


def test_a_failure_that_passes_by_itself_degrades_nothing():
    found = status.compute(BLANK, sight(None, outcome("Failed", "VendorUnavailable")), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")
    assert conditions(found)["Degraded"] == ("False", "AsExpected")


@pytest.mark.parametrize(
    "before",
    [outcome("Failed", "SecretMissing"), outcome()],
    ids=["after a failure", "after a success"],
)
def test_a_skipped_run_changes_no_condition(before):
    first = status.compute(BLANK, sight(None, before), NOW)
    assert first.display is not None
    skip = outcome("Skipped", "RestrictedWindow", at="2026-11-23T14:00:00Z")

    found = status.compute(first, sight(None, skip), NOW + timedelta(hours=8))

    assert conditions(found) == conditions(first)
    assert found.display == first.display
    assert first.display.last_sync_time == "2026-11-23T06:00:05Z"
    assert message(found, "Degraded") == message(first, "Degraded")


def test_a_problem_says_what_to_do_and_leaves_runs_alone():
    problem = Problem(
        ConditionReason.UNKNOWN_ADAPTER, "adapter 'x' is not installed", "beta/plants"
    )

    found = status.compute(BLANK, sight(None, outcome(), problems=[problem]), NOW)

    assert conditions(found) == {
        "Ready": ("False", "UnknownAdapter"),
        "Synced": ("True", "AllSynced"),
        "Degraded": ("True", "ActionRequired"),
    }
    assert message(found, "Ready").startswith(
        "beta/plants: adapter 'x' is not installed. Use one of the adapters"
    )


def test_many_problems_stay_within_a_bound_and_give_each_advice_once():
    problems = [
        Problem(ConditionReason.UNKNOWN_ADAPTER, "adapter 'x' is not installed", f"v{n}/plants")
        for n in range(50)
    ]

    few = message(status.compute(BLANK, sight(problems=problems[:3]), NOW), "Ready")
    many = message(status.compute(BLANK, sight(problems=problems), NOW), "Ready")

    assert few.count("Use one of the adapters") == 1
    assert len(many) <= 1024


def test_an_unchanged_condition_keeps_its_transition_time():
    first = status.compute(BLANK, sight(), NOW)

    later = status.compute(first, sight(), NOW + timedelta(hours=1))

    assert [c.last_transition_time for c in later.conditions] == [
        c.last_transition_time for c in first.conditions
    ]


def test_nothing_new_gives_the_same_status():
    first = status.compute(BLANK, sight(None, outcome(total=3, created=3)), NOW)

    assert status.compute(first, sight(), NOW + timedelta(seconds=30)) == first


@pytest.mark.requirement("R21")
def test_the_summary_adds_up_the_plants_of_active_vendors():
    declared = resource(vendors=[vendor(n) for n in ("alpha", "beta", "gamma", "delta")])
    outcomes = [
        outcome(vendor="alpha", created=2, unchanged=8, total=10, duration_seconds=2.5),
        outcome("Partial", "RecordsRejected", vendor="beta", updated=3, total=4, rejected=1),
        outcome("Skipped", "AlreadyRunning", vendor="gamma"),
    ]

    summary = status.compute(BLANK, sight(declared, *outcomes), NOW).summary

    assert summary is not None
    assert (summary.total_vendors, summary.successful) == (4, 1)
    assert (summary.failed, summary.skipped) == (1, 1)
    assert (summary.total_plants_synced, summary.total_plants_created) == (13, 2)
    assert (summary.total_plants_updated, summary.duration_seconds) == (3, 2.5)


def test_columns_show_the_effective_values():
    display = status.compute(BLANK, sight(None, outcome()), NOW).display

    assert display is not None
    assert (display.interval, display.window) == ("15m", "19:00-06:00")
    assert (display.vendors, display.last_sync_time) == ("1/1", "2026-11-23T06:00:05Z")


def test_a_next_time_that_just_passed_stays_until_the_run_ended():
    before = status.compute(BLANK, sight(), NOW)
    tick = NOW.replace(minute=15)

    waiting = status.compute(before, sight(), tick)
    done = status.compute(before, sight(None, outcome(at="2026-11-23T06:15:04Z")), tick)

    assert waiting.next_schedule_time == "2026-11-23T06:15:00Z"
    assert done.next_schedule_time == "2026-11-23T06:30:00Z"


def test_a_next_time_is_replaced_when_it_has_been_overdue_for_a_minute():
    before = status.compute(BLANK, sight(), NOW)

    after = status.compute(before, sight(), NOW.replace(minute=16, second=0))

    assert after.next_schedule_time == "2026-11-23T06:30:00Z"
    assert status.overdue_at(before) == NOW.replace(minute=16, second=0)


def test_a_next_time_follows_an_edit_of_the_schedule_at_once():
    before = status.compute(BLANK, sight(), NOW)

    after = status.compute(before, sight(resource(schedule={"intervalMinutes": 60})), NOW)

    assert after.next_schedule_time == "2026-11-23T06:30:00Z"


def test_a_time_that_just_passed_goes_with_the_schedule_that_it_came_from():
    before = status.compute(BLANK, sight(), NOW)
    edited = resource(schedule={"cron": "7 * * * *"})

    after = status.compute(before, sight(edited), NOW.replace(minute=15))

    assert after.next_schedule_time == "2026-11-23T06:37:00Z"


def test_a_removed_vendor_leaves_the_status():
    before = status.compute(BLANK, sight(None, outcome()), NOW)

    after = status.compute(before, sight(resource(vendors=[vendor("beta")])), NOW)

    assert [entry.name for entry in after.vendors] == ["beta"]


def test_five_vendors_with_two_failing_streams_fit_in_ten_kilobytes():
    names = [f"vendor{n}" for n in range(5)]
    declared = resource(vendors=[vendor(n) for n in names], streams={"alerts": {}})
    outcomes = [
        outcome("Failed", "VendorContractBroken", vendor=n, stream=s, message="x" * 600, total=9)
        for n in names
        for s in ("plants", "alerts")
    ]

    found = status.compute(BLANK, sight(declared, *outcomes), NOW)

    assert len(found.model_dump_json(by_alias=True, exclude_none=True)) < 12_500
