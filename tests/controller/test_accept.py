from dataclasses import replace

import pytest

from tests.controller.build import NOW, SETTINGS, listed, policies, resource, vendor
from vendorsync_api.policy import AlertListing, Budget, Source, load_policy
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.run import AllowedEndpoint
from vendorsync_job.ports import Purpose
from vendorsync_job.store.windows import Window
from vendorsync_operator.spec import accept, resolve

PRIVATE = AllowedEndpoint(
    adapter="fake", origin="https://fake.demo:8443", allow_private=True, ca_secret="demo-ca"
)
PUBLIC = AllowedEndpoint(adapter="fake", origin="https://proxy.example")


def judge(declared, stream="plants", settings=SETTINGS):
    assignment = next(
        a for a in resolve.assignments(declared, settings.schedule) if a.stream == stream
    )
    return accept.judge(declared, assignment, settings=settings, policies=policies)


def one(**fields):
    return resource(vendors=[vendor(**fields)])


ALL_DAY = [{"start": "00:00", "end": "12:00"}, {"start": "12:00", "end": "00:00"}]


@pytest.mark.parametrize(
    ("declared", "reason", "said"),
    [
        pytest.param(
            one(adapter="sunny"),
            ConditionReason.UNKNOWN_ADAPTER,
            "adapter 'sunny' is not installed; known: fake, narrow",
            id="unknown adapter",
        ),
        pytest.param(
            one(options={"regoin": 1}),
            ConditionReason.OPTIONS_INVALID,
            "adapter fake has no option 'regoin'; known options: region",
            id="unknown option",
        ),
        pytest.param(
            one(baseURL="https://evil.example"),
            ConditionReason.ENDPOINT_NOT_ALLOWED,
            "baseURL https://evil.example is not an endpoint of fake; allowed: https://api.fake",
            id="foreign endpoint",
        ),
        pytest.param(
            resource(schedule={"timeZone": "IST"}),
            ConditionReason.UNKNOWN_TIME_ZONE,
            "'IST' is not in the IANA database; use Asia/Kolkata",
            id="unknown zone",
        ),
        pytest.param(
            resource(schedule={"intervalMinutes": 45}),
            ConditionReason.SPEC_INVALID,
            "intervalMinutes 45 is not one that a CronJob can keep",
            id="interval 45",
        ),
        pytest.param(
            resource(schedule={"cron": "61 * * * *"}),
            ConditionReason.SPEC_INVALID,
            "minute '61'",
            id="cron out of range",
        ),
        pytest.param(
            resource(schedule={"restrictedWindows": ALL_DAY}),
            ConditionReason.NEVER_RUNS,
            "00:00-12:00; 12:00-00:00 cover every tick of 15m",
            id="windows that cover the day",
        ),
        pytest.param(
            resource(schedule={"cron": "0 12 31 2 *"}),
            ConditionReason.NEVER_RUNS,
            "cron '0 12 31 2 *' never fires: no month of it has a day of month that it names",
            id="day that no month has",
        ),
        pytest.param(
            resource(schedule={"cron": "0 12 31 4,6,9,11 *"}),
            ConditionReason.NEVER_RUNS,
            "never fires",
            id="day that no short month has",
        ),
        pytest.param(
            resource(run={"resources": {"limits": {"memory": "1e99"}}}),
            ConditionReason.SPEC_INVALID,
            "spec.run.resources.limits.memory: '1e99' is more than any node has",
            id="an amount that nothing has",
        ),
        pytest.param(
            resource(schedule={"cron": "* * * * *"}),
            ConditionReason.BUDGET_EXCEEDED,
            "start 1 minute apart; Fake Cloud needs 5 or more",
            id="too often for the vendor",
        ),
        pytest.param(
            resource(
                schedule={"restrictedWindows": [], "intervalMinutes": 12},
                status=listed(plants=300),
            ),
            ConditionReason.BUDGET_EXCEEDED,
            "130 runs in 26 hours of 3 calls each (100 plants a page) make 390 calls; Fake Cloud"
            " leaves 310",
            id="more calls than the allowance",
        ),
    ],
)
def test_what_the_schema_cannot_refuse_is_refused_with_a_reason(declared, reason, said):
    verdict = judge(declared)

    assert isinstance(verdict, accept.Refusal)
    assert verdict.reason is reason
    assert said in verdict.message


@pytest.mark.parametrize(
    "cron",
    [
        pytest.param("0 12 29 2 *", id="leap day"),
        pytest.param("0 12 31 2,3 *", id="one month has it"),
        pytest.param("0 12 31 2 Mon", id="or a weekday"),
        pytest.param("0 12 */31 2 *", id="the first of each month"),
    ],
)
def test_a_cron_that_fires_rarely_is_served(cron):
    declared = resource(schedule={"cron": cron})

    verdict = judge(declared)

    assert isinstance(verdict, accept.Accepted)
    assert verdict.timetable.next_run(NOW) is not None


def test_a_stream_that_the_adapter_lacks_is_refused_and_the_others_are_served():
    declared = resource(vendors=[vendor(adapter="narrow")], streams={"alerts": {}})

    refused, served = judge(declared, "alerts"), judge(declared, "plants")

    assert refused.reason is ConditionReason.STREAM_UNSUPPORTED
    assert "does not provide the stream alerts; it provides plants" in refused.message
    assert isinstance(served, accept.Accepted)


@pytest.mark.parametrize(
    "url", ["https://eu.fake.example", "https://EU.fake.example", "https://eu.fake.example:443"]
)
def test_the_adapters_own_endpoints_are_allowed_in_any_spelling(url):
    assert isinstance(judge(one(baseURL=url)), accept.Accepted)


def test_an_address_that_the_administrator_allowed_brings_its_certificate_authority():
    settings = replace(SETTINGS, allowed_endpoints=(PUBLIC, PRIVATE))

    verdict = judge(one(baseURL="https://fake.demo:8443"), settings=settings)

    assert verdict.ca_secret == "demo-ca"
    assert verdict.endpoints == (PRIVATE, PUBLIC)


def test_a_foreign_address_names_those_allowed_and_who_may_add_one():
    verdict = judge(one(baseURL="https://evil.example"))

    assert verdict.message == (
        "baseURL https://evil.example is not an endpoint of fake; allowed: https://api.fake.example,"
        " https://eu.fake.example, and what an administrator adds to the operator's"
        " allowedEndpoints"
    )


def test_an_endpoint_allowed_for_one_adapter_is_not_allowed_for_another():
    settings = replace(SETTINGS, allowed_endpoints=(PUBLIC,))

    verdict = judge(one(adapter="narrow", baseURL=PUBLIC.origin), settings=settings)

    assert verdict.reason is ConditionReason.ENDPOINT_NOT_ALLOWED


@pytest.mark.parametrize(("endpoint", "served"), [(PRIVATE, True), (PUBLIC, False)])
def test_the_vendors_limits_hold_unless_the_address_is_a_private_stand_in(endpoint, served):
    settings = replace(SETTINGS, allowed_endpoints=(PRIVATE, PUBLIC))
    declared = resource(schedule={"cron": "* * * * *"}, vendors=[vendor(baseURL=endpoint.origin)])

    assert isinstance(judge(declared, settings=settings), accept.Accepted) is served


def test_an_allowance_per_hour_is_held_against_the_runs_of_an_hour():
    budget = replace(policies("fake").budgets[0], calls=10, seconds=3600, reserve=0)
    policy = replace(policies("fake"), budgets=(budget,))
    declared = resource(schedule={"intervalMinutes": 15}, status=listed(plants=201))
    assignment = resolve.assignments(declared, SETTINGS.schedule)[0]

    verdict = accept.judge(declared, assignment, settings=SETTINGS, policies=lambda adapter: policy)

    assert isinstance(verdict, accept.Refusal)
    assert "5 runs in 65 minutes of 3 calls each (100 plants a page) make 15" in verdict.message


def test_an_allowance_per_year_is_held_against_the_runs_of_all_its_days():
    budget = replace(policies("fake").budgets[0], calls=50_000, seconds=365 * 86_400, reserve=0)
    policy = replace(policies("fake"), budgets=(budget,))
    declared = resource(schedule={"intervalMinutes": 15}, status=listed(plants=201))
    assignment = resolve.assignments(declared, SETTINGS.schedule)[0]

    verdict = accept.judge(declared, assignment, settings=SETTINGS, policies=lambda adapter: policy)

    assert isinstance(verdict, accept.Refusal)
    assert "20580 runs in 395.4 days of 3 calls each" in verdict.message
    assert "make 61740 calls" in verdict.message


LARGE = listed(plants=300, alerts=200)


def with_alerts(alerts, plants=None, **fields):
    """An organization whose plants sync all day, every half hour unless told otherwise."""
    streams = {"plants": plants or {}, "alerts": {"schedule": alerts}}
    schedule = {"intervalMinutes": 30, "restrictedWindows": []}
    return resource(schedule=schedule, streams=streams, **{"status": LARGE} | fields)


@pytest.mark.requirement("R27")
def test_alerts_that_fit_beside_the_plants_are_served():
    declared = with_alerts({"intervalMinutes": 60})

    assert isinstance(judge(declared), accept.Accepted)
    assert isinstance(judge(declared, "alerts"), accept.Accepted)


def test_alerts_that_do_not_fit_beside_the_plants_are_refused_and_the_plants_go_on():
    declared = with_alerts({"intervalMinutes": 15})

    plants, alerts = judge(declared), judge(declared, "alerts")

    assert isinstance(plants, accept.Accepted)
    assert alerts.reason is ConditionReason.BUDGET_EXCEEDED
    assert alerts.message == (
        "52 runs of plants in 26 hours of 3 calls each (100 plants a page) and 104 runs of alerts"
        " in 26 hours of 2 calls each (100 alerts a page) make 364 calls; Fake Cloud leaves 310"
        " (330 in 1 day, which count for up to 26 hours, less 20 kept for further logins and"
        " listings)"
    )


def test_plants_that_do_not_run_spend_nothing():
    declared = with_alerts({"intervalMinutes": 15}, plants={"suspend": True})

    assert isinstance(judge(declared, "alerts"), accept.Accepted)


def test_alerts_of_a_vendors_own_schedule_are_held_against_that():
    own = {"alerts": {"schedule": {"intervalMinutes": 10}}}
    declared = with_alerts({"intervalMinutes": 60}, vendors=[vendor(streams=own)])

    verdict = judge(declared, "alerts")

    assert "156 runs of alerts in 26 hours of 2 calls each" in verdict.message


@pytest.mark.parametrize(
    "plants",
    [
        {"schedule": {"intervalMinutes": 45}},
        {"schedule": {"restrictedWindows": ALL_DAY}},
        {"schedule": {"cron": "* * * * *"}},
        {"schedule": {"intervalMinutes": 5}},
    ],
    ids=["no schedule", "no tick", "too often", "more calls than the allowance"],
)
def test_alerts_are_served_though_the_plants_schedule_is_refused(plants):
    declared = with_alerts({"intervalMinutes": 60}, plants=plants)

    assert isinstance(judge(declared), accept.Refusal)
    assert isinstance(judge(declared, "alerts"), accept.Accepted)


def by_plant(*budgets, **alerts):
    """A vendor that lists alerts plant by plant."""
    listing = AlertListing(**{"per_plant": True} | alerts)
    return replace(policies("fake"), budgets=budgets or policies("fake").budgets, alerts=listing)


def judge_alerts(declared, policy, settings=SETTINGS):
    assignment = next(
        a for a in resolve.assignments(declared, settings.schedule) if a.stream == "alerts"
    )
    return accept.judge(declared, assignment, settings=settings, policies=lambda adapter: policy)


def test_alerts_by_plant_share_what_the_scheduled_calls_leave_above_the_reserve():
    declared = with_alerts({"intervalMinutes": 60})

    verdict = judge_alerts(declared, by_plant())

    assert isinstance(verdict, accept.Accepted)
    assert verdict.detail_calls == (330 - 20 - 52 * 3) // 26 == 5
    assert verdict.share == accept.Share(calls=5, kept=20)


def test_the_share_is_the_smallest_over_the_allowances_that_last():
    declared = with_alerts({"intervalMinutes": 60})
    wide, tight = Budget(10_000, 30 * 86_400), Budget(300, 86_400)

    def share(*budgets):
        return judge_alerts(declared, by_plant(*budgets)).detail_calls

    assert share(wide, tight) == share(tight) < share(wide)
    assert share(tight, Budget(30, 60)) == share(tight)


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        pytest.param(by_plant(per_plant=False), SETTINGS, id="one listing of the account"),
        pytest.param(by_plant(Budget(30, 60)), SETTINGS, id="an allowance that runs wait for"),
        pytest.param(by_plant(), replace(SETTINGS, allowed_endpoints=(PRIVATE,)), id="stand-in"),
    ],
)
def test_without_an_allowance_to_share_a_run_has_no_limit_of_its_own(policy, settings):
    declared = with_alerts(
        {"intervalMinutes": 60},
        vendors=[vendor(**({"baseURL": PRIVATE.origin} if settings is not SETTINGS else {}))],
    )

    verdict = judge_alerts(declared, policy, settings)

    assert isinstance(verdict, accept.Accepted)
    assert (verdict.detail_calls, verdict.share) == (None, None)


def test_alerts_by_plant_that_leave_no_call_for_a_plant_are_refused():
    declared = with_alerts({"intervalMinutes": 60})
    budget = Budget(calls=52 * 3 + 25, seconds=86_400)

    verdict = judge_alerts(declared, by_plant(budget))

    assert verdict.reason is ConditionReason.BUDGET_EXCEEDED
    assert verdict.message == (
        "52 runs of plants in 26 hours of 3 calls each (100 plants a page) and 26 runs of alerts in"
        " 26 hours and one for the alerts of a plant in each run of alerts make 182 calls; Fake"
        " Cloud leaves 181 (181 in 1 day, which count for up to 26 hours)"
    )
    one_more = replace(budget, calls=budget.calls + 1)
    assert judge_alerts(declared, by_plant(one_more)).detail_calls == 1


@pytest.mark.parametrize("adapter", ["solarman", "sungrow"])
def test_the_built_in_vendors_take_plants_and_alerts_at_the_usual_times(adapter):
    hourly = {"schedule": {"intervalMinutes": 60}}
    declared = resource(vendors=[vendor(adapter=adapter)], streams={"alerts": hourly})

    for assignment in resolve.assignments(declared, SETTINGS.schedule):
        verdict = accept.judge(declared, assignment, settings=SETTINGS, policies=load_policy)
        assert isinstance(verdict, accept.Accepted), verdict


class Account:
    """The year's calls of an account as the ledger counts them, run after run."""

    def __init__(self, budget):
        self.window, self.rows = Window(replace(budget, source=Source.DECLARED)), {}

    def take(self, now, calls, purpose):
        tally = self.window.tally(self.rows, now)
        taken = min(calls, tally.room(purpose))
        if taken:
            tally.take(taken)
        self.rows = tally.slices
        return taken


@pytest.mark.slow
@pytest.mark.fault("V4")
@pytest.mark.requirement("R27")
@pytest.mark.parametrize(("minutes", "share"), [(60, 6), (1440, 147)])
def test_two_years_of_alerts_by_plant_never_keep_the_plants_of_an_account_waiting(minutes, share):
    """200 plants at Solarman: what the operator accepts is what the ledger lets through."""
    policy = load_policy("solarman")
    schedule = {"intervalMinutes": minutes, "restrictedWindows": []}
    declared = resource(
        vendors=[vendor(adapter="solarman")],
        streams={"alerts": {"schedule": schedule}},
        status=listed(plants=200),
    )
    accepted = judge_alerts(declared, policy)
    assert isinstance(accepted, accept.Accepted)
    assert accepted.detail_calls == share
    account = Account(next(budget for budget in accepted.budgets if not budget.paces))

    for tick in range(2 * 365 * 96):
        now = 1e9 + tick * 900.0
        minute = tick % 96 * 15
        if 6 * 60 <= minute < 19 * 60:
            assert account.take(now, policy.calls(200), Purpose.LISTING) == 2
        if tick % (60 * 96) == 0:
            assert account.take(now, 1, Purpose.LOGIN) == 1
        if minute % minutes == 0:
            assert account.take(now, min(200, share), Purpose.DETAIL) == share


def test_a_schedule_that_the_ledger_would_stop_is_refused():
    """52 runs a day fit 160 calls a day, but the ledger counts up to 26 hours together: 60 runs."""
    declared = resource(status=listed(plants=300))
    policy = replace(policies("fake"), budgets=(Budget(calls=160, seconds=86_400),))

    plants = resolve.assignments(declared, SETTINGS.schedule)[0]
    verdict = accept.judge(declared, plants, settings=SETTINGS, policies=lambda adapter: policy)

    assert isinstance(verdict, accept.Refusal)
    assert verdict.reason is ConditionReason.BUDGET_EXCEEDED
    assert "60 runs in 26 hours of 3 calls each" in verdict.message
    assert "make 180 calls" in verdict.message
