from dataclasses import replace
from datetime import timedelta

import pytest

from tests.controller.build import NOW, SETTINGS, job, pod, policies, report, resource, vendor
from vendorsync_api.reasons import ConditionReason, RunReason
from vendorsync_api.v1alpha1 import VendorSyncStatus
from vendorsync_operator.results import runs
from vendorsync_operator.spec import accept, resolve
from vendorsync_operator.spec.accept import Share
from vendorsync_operator.status import status
from vendorsync_operator.status.prose import Problem
from vendorsync_operator.status.verdicts import Sight

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
    bad = outcome("Failed", "CredentialsRejected", vendor="beta", message="it refused the login")

    found = status.compute(BLANK, sight(declared, outcome(), bad), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")
    assert message(found, "Synced") == (
        "beta/plants: CredentialsRejected: it refused the login. Scheduled runs are slowed until"
        " one succeeds: beta/plants to 60m."
    )
    assert conditions(found)["Degraded"] == ("True", "ActionRequired")
    assert message(found, "Degraded").startswith(
        "beta/plants: CredentialsRejected: it refused the login. Correct the credentials in the"
        " Secret, or the option that the message names."
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
    [outcome("Failed", "SecretMissing", message="create Secret alpha-login"), outcome()],
    ids=["after a failure", "after a success"],
)
def test_a_skipped_run_changes_no_condition(before):
    first = status.compute(BLANK, sight(None, before), NOW)
    assert first.display is not None
    skip = outcome(
        "Skipped", "RestrictedWindow", at="2026-11-23T14:00:00Z", message="inside 19:00-06:00"
    )

    found = status.compute(first, sight(None, skip), NOW + timedelta(hours=8))

    assert conditions(found) == conditions(first)
    assert found.display == first.display
    assert first.display.last_sync_time == "2026-11-23T06:00:05Z"
    assert message(found, "Degraded") == message(first, "Degraded")
    assert message(found, "Synced") == message(first, "Synced")


def test_the_same_reason_of_several_vendors_is_told_together_with_its_advice_once():
    declared = resource(vendors=[vendor(name) for name in ("alpha", "beta", "gamma")])
    outcomes = [
        outcome("Failed", "SecretMissing", vendor="gamma", message="create Secret c"),
        outcome("Failed", "SecretKeyMissing", vendor="beta", message="add key b"),
        outcome("Failed", "SecretMissing", vendor="alpha", message="create Secret a"),
    ]

    found = status.compute(BLANK, sight(declared, *outcomes), NOW)

    assert message(found, "Degraded") == (
        "alpha/plants: SecretMissing: create Secret a. gamma/plants: SecretMissing: create Secret"
        f" c. {RunReason.SECRET_MISSING.advice} beta/plants: SecretKeyMissing: add key b."
        f" {RunReason.SECRET_KEY_MISSING.advice}"
    )


def test_a_long_message_of_a_run_is_cut_and_its_advice_is_not():
    found = status.compute(
        BLANK, sight(None, outcome("Failed", "SecretMissing", message="x" * 600)), NOW
    )

    synced = message(found, "Synced")
    assert len(synced.encode()) == 300
    assert message(found, "Degraded") == f"{synced} {RunReason.SECRET_MISSING.advice}"


def test_conditions_name_every_vendor_of_many_that_fail_within_the_bound_of_the_schema():
    names = [f"v{n:02}" for n in range(50)]
    declared = resource(vendors=[vendor(name) for name in names])
    outcomes = [
        outcome("Failed", "SecretMissing", vendor=name, message="x" * 600) for name in names
    ]

    found = status.compute(BLANK, sight(declared, *outcomes), NOW)

    for kind in ("Synced", "Degraded"):
        assert len(message(found, kind)) <= 4096
        assert f"SecretMissing: plants of {', '.join(names)}." in f"{message(found, kind)}."
        assert message(found, kind).count("SecretMissing") == 1


def test_what_awaits_its_first_run_says_what_that_checks_and_how_to_start_it():
    declared = resource(vendors=[vendor("alpha"), vendor("beta"), vendor("gamma")])

    found = status.compute(BLANK, sight(declared, outcome(), namespace="solar"), NOW)

    assert message(found, "Synced") == (
        "no run of beta/plants, gamma/plants has ended yet. The first run checks the Secrets and"
        " the database. To start one now: kubectl create job by-hand-$(date +%s)"
        " --from=cronjob/acme-beta-plants --namespace solar"
    )


def test_a_first_run_is_not_offered_where_no_cron_job_was_made():
    found = status.compute(BLANK, refusing(resource(vendors=[vendor(adapter="sunny")])), NOW)

    assert conditions(found)["Synced"] == ("Unknown", "AwaitingFirstRun")
    assert "kubectl" not in message(found, "Synced")


def refusing(declared):
    """What is seen of a resource whose refusals are told."""
    seen = [
        (a, accept.judge(declared, a, settings=SETTINGS, policies=policies))
        for a in resolve.assignments(declared, SETTINGS.schedule)
    ]
    problems = [
        Problem(verdict.reason, verdict.message, str(assignment))
        for assignment, verdict in seen
        if isinstance(verdict, accept.Refusal)
    ]
    return sight(declared, problems=problems)


def test_a_problem_says_what_to_do_and_leaves_runs_alone():
    problem = Problem(ConditionReason.NAME_CONFLICT, "CronJob x is not ours", "beta/plants")

    found = status.compute(BLANK, sight(None, outcome(), problems=[problem]), NOW)

    assert conditions(found) == {
        "Ready": ("False", "NameConflict"),
        "Synced": ("True", "AllSynced"),
        "Degraded": ("True", "ActionRequired"),
    }
    assert message(found, "Ready") == (
        f"beta/plants: CronJob x is not ours. {ConditionReason.NAME_CONFLICT.advice}"
    )


@pytest.mark.promise("P11")
def test_a_refusal_that_the_server_words_in_another_order_changes_nothing():
    def refused(faults):
        problem = Problem(ConditionReason.API_REFUSED, f"is invalid: [{faults}]", "beta/plants")
        return sight(problems=[problem])

    first = status.compute(BLANK, refused("cpu: too much, memory: too much"), NOW)
    again = status.compute(first, refused("memory: too much, cpu: too much"), NOW)
    other = status.compute(first, refused("memory: too much, cpu: too little"), NOW)

    assert again.wire() == first.wire()
    assert "cpu: too little" in message(other, "Ready")


def test_a_refusal_of_several_vendors_is_told_once_with_all_their_names_and_what_it_stops():
    declared = resource(
        vendors=[vendor("alpha"), vendor("beta", suspend=True), vendor("gamma")],
        schedule={"timeZone": "Mars/Olympus"},
    )

    found = status.compute(BLANK, refusing(declared), NOW)

    said = (
        "alpha/plants, beta/plants, gamma/plants: time zone 'Mars/Olympus' is not in the IANA"
        " database; use a name such as Asia/Kolkata."
    )
    assert message(found, "Degraded") == said
    assert message(found, "Ready") == (
        f"{said} Scheduled runs of alpha/plants, gamma/plants are stopped until then."
    )


def test_a_refusal_that_does_not_say_what_to_do_keeps_its_advice():
    declared = resource(schedule={"cron": "* * * * *"})

    ready = message(status.compute(BLANK, refusing(declared), NOW), "Ready")

    assert ready == (
        "alpha/plants: runs of * * * * * start 1 minute apart; Fake Cloud needs 5 or more."
        f" {ConditionReason.BUDGET_EXCEEDED.advice}"
        " Scheduled runs of alpha/plants are stopped until then."
    )


def test_a_schedule_that_never_runs_is_told_once_with_what_to_change():
    all_day = [{"start": "00:00", "end": "12:00"}, {"start": "12:00", "end": "00:00"}]
    declared = resource(schedule={"restrictedWindows": all_day})

    ready = message(status.compute(BLANK, refusing(declared), NOW), "Ready")

    assert ready == (
        "alpha/plants: the restricted windows 00:00-12:00; 12:00-00:00 cover every tick of 15m;"
        " change the schedule or shorten a window."
        " Scheduled runs of alpha/plants are stopped until then."
    )


def test_a_cron_job_that_could_not_be_suspended_is_not_called_stopped():
    seen = refusing(resource(vendors=[vendor(adapter="sunny")]))
    unwritten = Problem(ConditionReason.API_REFUSED, "forbidden", "alpha/plants")

    found = status.compute(BLANK, replace(seen, problems=(*seen.problems, unwritten)), NOW)

    assert "stopped" not in message(found, "Ready")


def test_many_problems_stay_within_a_bound_and_tell_what_is_stopped():
    names = [f"v{n:02}" for n in range(50)]
    declared = resource(vendors=[vendor(name, adapter="sunny") for name in names])
    problems = [
        Problem(ConditionReason.UNKNOWN_ADAPTER, f"{name} {'x' * 200}", name) for name in names
    ]

    seen = replace(refusing(declared), problems=tuple(problems))
    ready = message(status.compute(BLANK, seen, NOW), "Ready")

    assert len(ready) == 4096
    assert ready.endswith("v48/plants, v49/plants are stopped until then.")


def lost(vendor="alpha", at="2026-11-23T06:15:05Z"):
    return runs.outcome(job(f"job-{vendor}-{at}", vendor=vendor, finished=at), [])


@pytest.mark.parametrize("before", [[], [outcome()]], ids=["first run", "after a success"])
def test_a_report_that_is_lost_leaves_synced_unknown_and_asks_for_nobody(before):
    found = status.compute(BLANK, sight(None, *before, lost()), NOW)

    assert conditions(found)["Synced"] == ("Unknown", "ReportLost")
    assert message(found, "Synced") == (
        "the last run of alpha/plants completed, but its pod and its report are gone."
        f" {ConditionReason.REPORT_LOST.advice}"
    )
    assert conditions(found)["Degraded"] == ("False", "AsExpected")
    assert found.summary
    assert (found.summary.failed, found.summary.successful) == (0, 0)


def test_a_report_that_is_lost_hides_no_failure_before_it_or_beside_it():
    bad = outcome("Failed", "CredentialsRejected", vendor="beta", message="it refused the login")
    declared = resource(vendors=[vendor("alpha"), vendor("beta")])

    beside = status.compute(BLANK, sight(declared, bad, lost()), NOW)
    after = status.compute(BLANK, sight(declared, outcome(), bad, lost("beta")), NOW)

    for found in (beside, after):
        assert conditions(found)["Synced"] == ("False", "RunsFailed")
        assert conditions(found)["Degraded"] == ("True", "ActionRequired")
        assert "beta/plants: CredentialsRejected: it refused the login" in message(found, "Synced")


def test_an_advice_is_given_once():
    problems = [Problem(ConditionReason.NAME_CONFLICT, f"CronJob {n}", f"v{n}") for n in range(3)]

    ready = message(status.compute(BLANK, sight(problems=problems), NOW), "Ready")

    assert ready.count(ConditionReason.NAME_CONFLICT.advice) == 1


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


@pytest.mark.parametrize("count", [3, 11, 25])
def test_the_summary_tells_the_longest_run_though_that_vendor_is_quick_the_next_time(count):
    names = [f"v{n:02}" for n in range(count)]
    declared = resource(vendors=[vendor(name) for name in names])
    first = [outcome(vendor=name, duration_seconds=100 - n) for n, name in enumerate(names)]
    before = status.compute(BLANK, sight(declared, *first), NOW)
    quick = outcome(vendor="v00", duration_seconds=2, at="2026-11-23T06:15:05Z")
    skipped = outcome("Skipped", "AlreadyRunning", vendor="v01", at="2026-11-23T06:15:05Z")

    read_back = VendorSyncStatus.model_validate(before.wire())
    after = status.compute(read_back, sight(declared, quick, skipped), NOW)

    assert before.summary
    assert after.summary
    assert (before.summary.duration_seconds, after.summary.duration_seconds) == (100, 99)


def test_the_summary_leaves_out_how_long_a_run_failed():
    declared = resource(vendors=[vendor("alpha"), vendor("beta")])
    slow = outcome("Failed", "VendorUnavailable", vendor="beta", duration_seconds=600)

    found = status.compute(BLANK, sight(declared, outcome(duration_seconds=2), slow), NOW)

    assert found.summary
    assert found.summary.duration_seconds == 2


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


def test_a_next_time_is_replaced_when_its_run_should_be_under_way():
    before = status.compute(BLANK, sight(), NOW)

    after = status.compute(before, sight(), NOW.replace(minute=15, second=50))

    assert after.next_schedule_time == "2026-11-23T06:30:00Z"
    assert status.overdue_at(before, NOW) == NOW.replace(minute=15, second=50)


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


def everything_ended(vendors, result, reason, **fields):
    names = [f"vendor{n:02}" for n in range(vendors)]
    declared = resource(vendors=[vendor(n) for n in names], streams={"alerts": {}})
    outcomes = [
        outcome(result, reason, vendor=n, stream=s, **fields)
        for n in names
        for s in ("plants", "alerts")
    ]
    return status.compute(BLANK, sight(declared, *outcomes), NOW)


@pytest.mark.requirement("R33")
@pytest.mark.parametrize(("vendors", "limit"), [(5, 10_000), (25, 25_000)])
@pytest.mark.parametrize(
    ("result", "fields"),
    [
        (
            ("Succeeded", "Synced"),
            {"total": 1250, "created": 10, "updated": 40, "unchanged": 1200, "vanished": 3}
            | {"repaired": 7, "budget_remaining": 98_765, "duration_seconds": 12.3},
        ),
        (("Failed", "VendorContractBroken"), {"message": "x" * 600}),
    ],
    ids=["all well", "all failing"],
)
def test_the_status_of_two_streams_is_small(vendors, limit, result, fields):
    found = everything_ended(vendors, *result, **fields)

    assert len(found.vendors) == 2 * vendors
    assert len(found.model_dump_json(by_alias=True, exclude_none=True)) <= limit


def test_a_cut_message_stays_as_it_is_at_the_next_visit():
    declared = resource(
        vendors=[vendor(f"vendor{n:02}") for n in range(25)], streams={"alerts": {}}
    )
    before = everything_ended(25, "Failed", "VendorContractBroken", message="x" * 600)

    after = status.compute(before, sight(declared), NOW)

    assert after.vendors == before.vendors


@pytest.mark.requirement("R27")
def test_conditions_speak_of_both_streams_and_the_summary_of_plants_alone():
    declared = resource(streams={"alerts": {}})
    plants = outcome("Succeeded", "Synced", total=7, created=7)
    alerts = outcome(
        "Failed", "VendorRefused", stream="alerts", message="no right", total=9, created=9
    )

    found = status.compute(BLANK, sight(declared, plants, alerts), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")
    assert message(found, "Synced") == "alpha/alerts: VendorRefused: no right."
    assert conditions(found)["Degraded"] == ("True", "ActionRequired")
    assert found.summary is not None
    assert (found.summary.total_vendors, found.summary.successful) == (1, 1)
    assert (found.summary.total_plants_synced, found.summary.total_plants_created) == (7, 7)
    assert found.display is not None
    assert found.display.vendors == "1/1"


def test_failures_in_a_row_are_counted_for_each_stream():
    declared = resource(streams={"alerts": {}})
    found = BLANK
    for minute in (15, 30, 45):
        at = f"2026-11-23T06:{minute}:05Z"
        bad = outcome("Failed", "VendorRefused", stream="alerts", at=at)
        found = status.compute(found, sight(declared, bad, outcome(at=at)), NOW)

    assert {e.stream: e.consecutive_failures for e in found.vendors} == {
        "alerts": 3,
        "plants": None,
    }


@pytest.mark.fault("V7")
def test_plants_that_are_missing_in_great_number_are_told_to_somebody():
    said = "too many plants are absent; none was marked as vanished"
    held = outcome("Partial", "VanishHeld", message=said, total=20, unchanged=20)

    found = status.compute(BLANK, sight(None, held), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")
    assert conditions(found)["Degraded"] == ("True", "ActionRequired")
    assert said in message(found, "Degraded")
    assert "set spec.run.vanishGuardPercent to 100 until they are marked" in message(
        found, "Degraded"
    )


def rounds(*outcomes, kept=20):
    """A resource whose alerts are asked plant by plant, 94 plants a run; its plants are in step."""
    declared = resource(streams={"alerts": {}})
    seen = sight(declared, outcome(), *outcomes)
    return replace(seen, shares={("alpha", "alerts"): Share(calls=94, kept=kept)})


def stopped(budget_remaining):
    return outcome(
        "Partial",
        "BudgetSpent",
        stream="alerts",
        message="share",
        budget_remaining=budget_remaining,
    )


@pytest.mark.requirement("R27")
def test_one_who_declares_alerts_by_plant_learns_that_a_round_takes_several_runs():
    found = status.compute(BLANK, rounds(), NOW)

    assert message(found, "Ready") == (
        "2 CronJobs applied; the vendor's allowance leaves each run of alpha/alerts 94 calls about"
        " single plants, so one round over all plants may take several runs"
    )


@pytest.mark.requirement("R27")
@pytest.mark.parametrize("remaining", [21, None])
def test_a_round_that_goes_on_with_the_next_run_is_partial_and_still_synced(remaining):
    found = status.compute(BLANK, rounds(stopped(remaining)), NOW)

    assert conditions(found)["Synced"] == ("True", "AllSynced")
    assert message(found, "Synced") == (
        "the last run of every vendor and stream succeeded, except alpha/alerts, where a round over"
        " all plants takes several runs and goes on"
    )
    entry = found.vendors[0]
    assert (entry.result, entry.reason, entry.message) == ("Partial", "BudgetSpent", "share")
    assert entry.last_successful_time is None


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(stopped(20), id="only the reserve is left"),
        pytest.param(outcome("Failed", "VendorRefused", stream="alerts"), id="another reason"),
    ],
)
def test_a_stream_in_rounds_that_does_not_come_on_is_not_synced(ended):
    found = status.compute(BLANK, rounds(ended), NOW)

    assert conditions(found)["Synced"] == ("False", "RunsFailed")


def test_a_skipped_run_changes_nothing_of_a_round_that_goes_on():
    first = status.compute(BLANK, rounds(stopped(90)), NOW)
    skip = outcome("Skipped", "AccountBusy", stream="alerts", at="2026-11-23T07:00:05Z")

    found = status.compute(first, rounds(skip), NOW)

    assert conditions(found) == conditions(first)


def with_hourly_alerts(*outcomes, **spec):
    alerts = {"schedule": {"intervalMinutes": 60, "restrictedWindows": []}}
    return status.compute(
        BLANK, sight(resource(streams={"alerts": alerts} | spec), *outcomes), LATE
    )


LATE = NOW.replace(hour=14)
"""19:30 in Asia/Kolkata: plants rest until 06:00, alerts do not."""


def test_the_next_sync_is_that_of_plants_and_agrees_with_the_window_beside_it():
    found = with_hourly_alerts()

    assert found.next_schedule_time == "2026-11-24T00:30:00Z"
    times = {entry.stream: entry.next_schedule_time for entry in found.vendors}
    assert times == {"alerts": "2026-11-23T14:30:00Z", "plants": "2026-11-24T00:30:00Z"}


def test_the_times_of_alerts_are_looked_at_again_when_they_pass_though_no_column_shows_them():
    found = status.overdue_at(with_hourly_alerts(), LATE)

    assert found == LATE.replace(minute=30, second=50)


def test_a_resource_whose_plants_are_suspended_shows_no_next_sync():
    assert with_hourly_alerts(plants={"suspend": True}).next_schedule_time is None


def test_the_last_sync_is_that_of_plants():
    alerts = outcome(stream="alerts", at="2026-11-23T07:00:05Z")

    display = with_hourly_alerts(outcome(), alerts).display

    assert display is not None
    assert display.last_sync_time == "2026-11-23T06:00:05Z"


@pytest.mark.parametrize(
    ("result", "reason", "synced", "degraded"),
    [
        ("Skipped", "AccountBusy", "Unknown", "False"),
        ("Partial", "BudgetSpent", "False", "False"),
        ("Failed", "AccountShared", "False", "True"),
    ],
)
def test_what_becomes_of_the_conditions_when_an_account_is_short_of_something(
    result, reason, synced, degraded
):
    assert RunReason(reason).result == result

    found = conditions(status.compute(BLANK, sight(None, outcome(result, reason)), NOW))

    assert (found["Synced"][0], found["Degraded"][0]) == (synced, degraded)


def test_rows_that_were_put_right_are_counted():
    found = status.compute(BLANK, sight(None, outcome(total=9, updated=3, repaired=2)), NOW)

    assert (found.vendors[0].updated, found.vendors[0].repaired) == (3, 2)
