"""What allowances hold for a vendor, and what becomes of schedules that need more."""

from dataclasses import replace

import pytest

from tests.controller.build import (
    SETTINGS,
    document,
    listed,
    pod,
    policies,
    report,
    resource,
    vendor,
)
from tests.controller.world import ACME, CRON_JOB, World
from vendorsync_api.policy import Budget, Scope, Source, load_policy
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.run import RunSpec
from vendorsync_api.v1alpha1 import VendorSync
from vendorsync_operator.settings import AdapterAllowance
from vendorsync_operator.spec import accept, render, resolve

DAY, YEAR = 86_400, 365 * 86_400
ALL_DAY = {"intervalMinutes": 15, "restrictedWindows": []}
RUNS = 104
"""Of such a schedule, in the 26 hours in which calls of a day count together."""


def judge(declared, stream="plants", settings=SETTINGS, found=policies):
    assignment = next(
        a for a in resolve.assignments(declared, settings.schedule) if a.stream == stream
    )
    return accept.judge(declared, assignment, settings=settings, policies=found)


def one(allowances=None, *, adapter="fake", status=None, generation=1, **fields):
    """A resource that syncs every quarter of an hour, day and night."""
    declared = {} if allowances is None else {"allowances": allowances}
    asked = document(
        vendors=[vendor(adapter=adapter, **declared)],
        status=status,
        **{"schedule": ALL_DAY} | fields,
    )
    asked["metadata"]["generation"] = generation
    return VendorSync.model_validate(asked)


def granted(calls, seconds=DAY, **fields):
    return replace(
        SETTINGS,
        allowances=(
            AdapterAllowance(**{"adapter": "fake", "calls": calls, "seconds": seconds} | fields),
        ),
    )


def per_app(*budgets):
    """The usual vendor, with apps."""
    policy = replace(policies("fake"), app_keys=("user",))
    return lambda _: replace(policy, budgets=budgets or policy.budgets)


def lasting(verdict):
    return [(b.calls, b.seconds, b.per) for b in verdict.budgets if not b.paces]


# What holds


def test_without_a_declaration_the_settings_hold_and_without_settings_the_policy():
    assert lasting(judge(one())) == [(330, DAY, Scope.ACCOUNT)]
    assert lasting(judge(one(), settings=granted(5_000))) == [(5_000, DAY, Scope.ACCOUNT)]
    assert lasting(judge(one(), settings=granted(5_000, adapter="other"))) == [
        (330, DAY, Scope.ACCOUNT)
    ]


def test_what_is_declared_takes_the_place_of_what_is_known_of_the_same_time():
    verdict = judge(one([{"calls": 9_000, "seconds": DAY}]))

    assert lasting(verdict) == [(9_000, DAY, Scope.ACCOUNT)]
    assert verdict.budgets[0].source is Source.DECLARED
    assert verdict.budgets[0].reserve == 20
    assert verdict.notice is None


def test_a_figure_of_another_time_stays_if_the_vendor_documents_it():
    verdict = judge(one([{"calls": 50_000, "seconds": YEAR}]))

    assert lasting(verdict) == [(50_000, YEAR, Scope.ACCOUNT), (330, DAY, Scope.ACCOUNT)]


def test_what_users_report_gives_way_to_what_is_declared_and_a_burst_does_not():
    reported = Budget(calls=100, seconds=DAY, source=Source.REPORTED)
    burst = Budget(calls=10, seconds=10, source=Source.REPORTED)

    verdict = judge(one([{"calls": 50_000, "seconds": YEAR}]), found=per_app(reported, burst))

    assert [(b.calls, b.seconds) for b in verdict.budgets] == [(50_000, YEAR), (10, 10)]


def test_the_settings_are_the_most_that_a_resource_may_declare_and_ready_says_so():
    more = judge(one([{"calls": 9_000, "seconds": DAY}]), settings=granted(5_000))
    less = judge(one([{"calls": 4_000, "seconds": DAY}]), settings=granted(5_000))

    assert lasting(more) == [(5_000, DAY, Scope.ACCOUNT)]
    assert more.notice == accept.Notice(
        ConditionReason.APPLIED,
        "the resource declares 9000 calls in 86400 seconds, and the operator's settings allow 5000"
        " for fake, which hold",
    )
    assert (lasting(less), less.notice) == ([(4_000, DAY, Scope.ACCOUNT)], None)


def test_a_declaration_above_the_settings_is_told_by_ready_and_where_it_makes_a_schedule_fail():
    world = World(settings=granted(5_000))
    world.put(document(vendors=[vendor(allowances=[{"calls": 9_000, "seconds": DAY}])]))

    assert world.condition() == ("True", "Applied")
    assert world.message() == (
        "1 CronJob applied. alpha/plants: the resource declares 9000 calls in 86400 seconds, and"
        " the operator's settings allow 5000 for fake, which hold."
    )
    verdict = judge(one([{"calls": 9_000, "seconds": DAY}]), settings=granted(50))
    assert "leaves 45 (50 in 1 day" in verdict.message
    assert verdict.message.endswith("the operator's settings allow 50 for fake, which hold")


def test_the_settings_hold_beside_what_a_resource_declares_over_another_time():
    verdict = judge(one([{"calls": 9_000, "seconds": 3_600}]), settings=granted(5_000))

    assert sorted(lasting(verdict)) == [(5_000, DAY, Scope.ACCOUNT), (9_000, 3_600, Scope.ACCOUNT)]


def test_a_declaration_for_the_account_does_not_get_around_the_settings_for_the_app():
    settings = granted(5_000, per="App")

    verdict = judge(
        one([{"calls": 9_000, "seconds": DAY, "per": "Account"}]),
        settings=settings,
        found=per_app(),
    )

    assert (5_000, DAY, Scope.APP) in lasting(verdict)
    assert "which hold" in verdict.notice.message


@pytest.mark.parametrize(
    ("adapter", "seconds", "per"),
    [
        pytest.param("solarman", YEAR, Scope.APP, id="the time that the vendor counts per app"),
        pytest.param("solarman", 30 * DAY, Scope.APP, id="another time that lasts"),
        pytest.param("solarman", 10, Scope.ACCOUNT, id="the burst that counts per account"),
        pytest.param("fake", DAY, Scope.ACCOUNT, id="a vendor without apps"),
    ],
)
def test_calls_count_as_the_vendor_counts_them_unless_the_declaration_says_it(
    adapter, seconds, per
):
    def find(name):
        return load_policy(name) if name == "solarman" else policies(name)

    verdict = judge(one([{"calls": 900_000, "seconds": seconds}], adapter=adapter), found=find)
    own = judge(
        one([{"calls": 900_000, "seconds": seconds, "per": "Account"}], adapter=adapter), found=find
    )

    assert next(b.per for b in verdict.budgets if b.seconds == seconds) is per
    assert next(b.per for b in own.budgets if b.seconds == seconds) is Scope.ACCOUNT


def test_an_allowance_per_app_of_a_vendor_without_apps_is_refused():
    verdict = judge(one([{"calls": 900, "seconds": DAY, "per": "App"}]))

    assert verdict.reason is ConditionReason.SPEC_INVALID
    assert verdict.message == (
        "an allowance of alpha is per App, and adapter fake does not tell apps apart; write per:"
        " Account"
    )


@pytest.mark.parametrize(
    ("plants", "calls"), [(None, 100_000), (3, 200_000), (4, 100_000), (900, 100_000)]
)
def test_solarman_gives_small_accounts_more_for_nothing(plants, calls):
    status = None if plants is None else listed(plants=plants)

    verdict = judge(one(adapter="solarman", status=status), found=load_policy)

    assert lasting(verdict) == [(calls, YEAR, Scope.APP)]


# What a schedule needs


def test_an_account_of_one_page_costs_a_call_a_run_and_fits_a_quarter_of_an_hour_day_and_night():
    for status in (None, listed(plants=100)):
        verdict = judge(one(adapter="solarman", status=status), found=load_policy)

        assert isinstance(verdict, accept.Accepted)
        assert verdict.notice is None


def test_logins_count_as_often_as_the_vendors_tokens_end():
    def message(token_seconds):
        policy = replace(
            policies("fake"), budgets=(Budget(calls=50, seconds=DAY),), token_seconds=token_seconds
        )
        return judge(one(), found=lambda _: policy).message

    assert f"{RUNS} runs in 26 hours of 1 call each and {RUNS} logins make 208 calls" in message(0)
    assert "of 1 call each and 3 logins make 107 calls" in message(36_000)
    assert "of 1 call each and 1 login make 105 calls" in message(60 * DAY)
    assert "of 1 call each make 104 calls" in message(None)


def test_what_a_run_waits_for_is_no_reason_to_refuse_a_large_account():
    burst = Budget(calls=300, seconds=10)

    verdict = judge(one(status=listed(plants=40_000)), found=per_app(burst))

    assert isinstance(verdict, accept.Accepted)
    assert verdict.notice is None


def test_the_size_is_that_of_the_last_complete_listing():
    """A run that fails must not make a large account look small."""
    world = World()
    world.put(document(schedule={"intervalMinutes": 15}))
    world.finish("job-1", pod(report(total=250, unchanged=250)))
    world.reconcile()
    entry = VendorSync.model_validate(world.cluster.resources[ACME]).status.vendors[0]
    assert (entry.size, entry.last_total) == (250, None)

    for name, ended in (
        ("job-2", report("Failed", "VendorUnavailable")),
        ("job-3", report("Partial", "ListingIncomplete", total=100, unchanged=100)),
        ("job-4", report("Skipped", "AlreadyRunning")),
    ):
        world.finish(name, pod(ended), finished=f"2026-11-23T06:01:0{name[-1]}Z")
        world.wait(seconds=10)
        entry = VendorSync.model_validate(world.cluster.resources[ACME]).status.vendors[0]
        assert (entry.size, entry.last_total) == (250, 250)


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        pytest.param({"total": 250, "created": 250}, 250, id="total"),
        pytest.param({"created": 10, "updated": 4, "unchanged": 236}, 250, id="total left out"),
        pytest.param({}, None, id="nothing known"),
    ],
)
def test_the_size_is_known_of_statuses_that_leave_the_total_out(counts, size):
    entry = {"name": "alpha", "stream": "plants", "result": "Succeeded", "reason": "Synced"}

    declared = resource(status={"vendors": [entry | counts]})

    assert declared.status.vendors[0].size == size


# What is refused, and what is only told


def tight(**fields):
    """A resource of three pages that need 312 calls of the 310 that a day leaves."""
    return one(**{"status": listed(plants=300)} | fields)


def test_a_figure_that_only_users_report_is_told_and_not_refused():
    verdict = judge(one(adapter="solarman", status=listed(plants=300)), found=load_policy)

    assert isinstance(verdict, accept.Accepted)
    assert verdict.notice is not None
    assert verdict.notice.reason is ConditionReason.BUDGET_TIGHT
    assert verdict.notice.percent is None
    assert verdict.notice.message == (
        "37960 runs in 395.4 days of 3 calls each (100 plants a page) and 7 logins make 113887"
        " calls; by what users report, Solarman OpenAPI leaves 99500 (100000 in 365 days, which"
        " count for up to 395.4 days, less 500 kept for further logins and listings)"
    )


def test_alerts_by_plant_beside_plants_that_need_more_than_users_report_have_a_call_a_run():
    declared = one(
        adapter="solarman",
        status=listed(plants=300),
        streams={"alerts": {"schedule": {"intervalMinutes": 1440}}},
    )

    verdict = judge(declared, "alerts", found=load_policy)

    assert isinstance(verdict, accept.Accepted)
    assert verdict.notice is not None
    assert verdict.detail_calls == 1
    assert verdict.notice.reason is ConditionReason.BUDGET_TIGHT


@pytest.mark.parametrize(
    ("declared", "settings", "said"),
    [
        pytest.param(tight(), SETTINGS, "; Fake Cloud leaves 310", id="documented"),
        pytest.param(
            tight(allowances=[{"calls": 320, "seconds": DAY}]),
            SETTINGS,
            "; what the resource or the operator's settings declare leaves 300",
            id="declared",
        ),
        pytest.param(
            tight(),
            granted(320),
            "; what the resource or the operator's settings declare leaves 300",
            id="administrator",
        ),
    ],
)
def test_a_figure_that_is_sure_is_refused(declared, settings, said):
    verdict = judge(declared, settings=settings)

    assert verdict.reason is ConditionReason.BUDGET_EXCEEDED
    assert said in verdict.message


def test_what_is_sure_is_told_before_what_users_report():
    budgets = Budget(50, YEAR, source=Source.REPORTED), Budget(310, DAY)

    verdict = judge(tight(), found=per_app(*budgets))

    assert isinstance(verdict, accept.Refusal)
    assert "Fake Cloud leaves 310" in verdict.message


READY = {"type": "Ready", "status": "True", "reason": "Applied", "lastTransitionTime": "t"}
BROKEN = READY | {"status": "False", "reason": "UnknownAdapter"}


def went_on(condition=READY, generation=1, **entry):
    """What the status says of a resource whose account has grown to three pages."""
    found = listed(plants=300)
    found["vendors"][0] |= entry
    return found | {"observedGeneration": generation, "conditions": [condition]}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(went_on(), id="ready"),
        pytest.param(
            went_on(BROKEN, nextScheduleTime="2026-11-23T06:15:00Z"), id="beside one that is broken"
        ),
    ],
)
def test_an_account_that_grew_since_its_schedule_was_accepted_goes_on(status):
    verdict = judge(tight(status=status))

    assert isinstance(verdict, accept.Accepted)
    assert verdict.notice is not None
    assert verdict.notice.reason is ConditionReason.BUDGET_TIGHT
    assert verdict.notice.percent == 101


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(went_on(generation=0), id="an edit since"),
        pytest.param(went_on(BROKEN), id="it was refused"),
        pytest.param(went_on(generation=0, toleratedPercent=100), id="an edit that needs more"),
    ],
)
def test_only_what_went_on_with_this_spec_is_let_go_on(status):
    assert judge(tight(status=status)).reason is ConditionReason.BUDGET_EXCEEDED


def test_an_edit_that_needs_no_more_than_what_goes_on_is_not_refused():
    """A syncRequest must not stop an account that grew, nor one who lengthens its interval."""
    status = went_on(generation=0, toleratedPercent=101)

    verdict = judge(tight(status=status, syncRequest="now"))

    assert isinstance(verdict, accept.Accepted)
    assert verdict.notice is not None
    assert verdict.notice.percent == 101


def grown(world):
    world.put(document(schedule=ALL_DAY))
    world.finish("job-1", pod(report(total=300, created=300)))
    assert world.reconcile() == 0.0
    world.reconcile()


def test_growth_is_told_by_ready_and_edits_are_refused_until_they_fit():
    world = World()
    grown(world)
    assert world.condition() == ("True", "BudgetTight")
    assert "1 CronJob applied. alpha/plants: 104 runs in 26 hours of 3 calls" in world.message()
    assert ConditionReason.BUDGET_TIGHT.advice in world.message()
    assert world.entry()["toleratedPercent"] == 101
    assert [e["reason"] for e in world.cluster.events] == ["BudgetTight"]
    assert not world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"]

    world.put(document(schedule=ALL_DAY | {"intervalMinutes": 12}))
    assert world.condition() == ("False", "BudgetExceeded")
    assert world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"]

    world.put(document(schedule=ALL_DAY, syncRequest="now"))
    world.reconcile()
    assert world.condition() == ("True", "BudgetTight")
    assert not world.cluster.cron_jobs[CRON_JOB]["spec"]["suspend"]

    world.put(document(schedule=ALL_DAY | {"intervalMinutes": 30}))
    world.reconcile()
    assert world.condition() == ("True", "Applied")
    assert "toleratedPercent" not in world.entry()


def test_a_schedule_that_is_tight_costs_no_write_once_it_is_told():
    world = World()
    grown(world)
    world.reconcile()

    assert world.cluster.writes == []


def test_a_restart_with_smaller_settings_stops_nothing():
    world = World()
    world.put(document(schedule=ALL_DAY))
    world.settings = granted(50)
    world.restart()

    world.reconcile()

    assert world.condition() == ("True", "BudgetTight")


def test_a_share_that_follows_from_the_accounts_size_reaches_the_cron_job():
    world = World()
    alerts = {"schedule": {"intervalMinutes": 60, "restrictedWindows": []}}
    world.put(document(vendors=[vendor(adapter="single")], streams={"alerts": alerts}))

    def share():
        container = world.cluster.cron_jobs["solar", "acme-alpha-alerts"]["spec"]["jobTemplate"][
            "spec"
        ]["template"]["spec"]["containers"][0]
        return RunSpec.model_validate_json(container["env"][0]["value"]).detail_calls

    assert share() == (310 - 60) // 26

    world.finish("job-1", pod(report(total=300, created=300)))
    world.reconcile()
    world.reconcile()
    assert share() == (310 - 60 * 3) // 26


# What a run is told


def test_a_run_is_told_what_its_calls_are_held_against():
    declared = one([{"calls": 400_000, "seconds": YEAR}], adapter="solarman")
    accepted = judge(declared, found=load_policy)

    told = render.run_spec(declared, accepted, SETTINGS).wire()["allowances"]

    assert told == [
        {"calls": 400_000, "seconds": YEAR, "reserve": 500, "per": "App", "source": "Declared"},
        {"calls": 300, "seconds": 10, "reserve": 0, "per": "Account", "source": "Documented"},
    ]
