"""Reports, reasons and policies."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.syncjob.builders import run_spec
from vendorsync_api.policy import (
    AlertListing,
    Budget,
    PolicyError,
    Scope,
    Source,
    adapters,
    declared_budget,
    load_policy,
    replaced,
)
from vendorsync_api.reasons import ConditionReason, ExitCode, Result, RunReason, Trigger
from vendorsync_api.run import REPORT_LIMIT, RunAllowance, RunReport, RunSpec


def report(**fields) -> RunReport:
    return RunReport(
        **{
            "vendor": "solarman",
            "stream": "plants",
            "result": Result.FAILED,
            "reason": RunReason.VENDOR_REFUSED,
            "trigger": Trigger.MANUAL,
            "start_time": "2026-02-02T03:04:05Z",
            "completion_time": "2026-02-02T03:04:06Z",
            **fields,
        }
    )


@pytest.mark.parametrize("text", ["x" * 9000, "é" * 5000, '"\\' * 4000, ""])
def test_a_report_fits_the_termination_message_and_stays_json(text):
    message = report(message=text).to_message()

    assert len(message.encode()) <= REPORT_LIMIT
    assert RunReport.model_validate_json(message).reason == RunReason.VENDOR_REFUSED


def test_a_report_of_a_later_version_is_still_read():
    text = json.dumps(
        {**json.loads(report().to_message()), "version": 9, "reason": "NewWord", "x": 1}
    )

    read = RunReport.model_validate_json(text)

    assert read.reason == "NewWord"


def test_a_report_fits_however_long_its_words_are():
    words = dict.fromkeys(("vendor", "stream", "reason", "start_time"), "\0" * 5000)

    message = report(**words, message='"' * 5000).to_message()

    assert len(message.encode()) <= REPORT_LIMIT
    assert RunReport.model_validate_json(message).result is Result.FAILED


@pytest.mark.parametrize("field", ["batchSize", "concurrencyLimit", "deadlineSeconds"])
def test_a_run_without_rows_writers_or_time_is_refused(field):
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        run_spec(**{field: 0})


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_vendor_needs_a_name_that_fits_its_report(name):
    with pytest.raises(ValidationError, match=r"vendor\.name"):
        run_spec(vendor={"name": name, "adapter": "solarman"})


@pytest.mark.parametrize("reason", RunReason)
def test_every_reason_of_a_run_has_an_exit_code_that_fits_its_result(reason):
    assert reason.advice.endswith(".")
    failed = reason.result in (Result.FAILED, Result.INTERRUPTED)
    assert failed == (reason.exit_code != ExitCode.OK)


@pytest.mark.parametrize("reason", ConditionReason)
def test_every_reason_of_a_condition_has_advice(reason):
    assert reason.advice.endswith(".")


@pytest.mark.requirement("R01")
def test_the_built_in_vendors_are_found_by_entry_points():
    assert {"solarman", "sungrow"} <= set(adapters())
    for name in adapters():
        assert load_policy(name).adapter == name


def test_an_unknown_adapter_lists_the_known_ones():
    with pytest.raises(PolicyError, match=r"'nope' is not installed; known: .*solarman.*sungrow"):
        load_policy("nope")


def test_policies_are_looked_for_once(monkeypatch):
    found = load_policy("solarman")
    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: ())

    assert load_policy("solarman") is found
    with pytest.raises(PolicyError, match=r"not installed; known: .*solarman"):
        load_policy("nope")


@pytest.mark.parametrize(
    ("options", "fault"),
    [({"orgid": 1}, "orgid"), ({"orgId": "many"}, "orgId"), ({"orgId": 0}, "orgId")],
)
def test_a_bad_option_is_named_with_the_known_ones(options, fault):
    with pytest.raises(PolicyError, match=f"'{fault}'.*known options: orgId"):
        load_policy("solarman").check_options(options)


def test_missing_keys_name_their_alternatives():
    missing = load_policy("solarman").missing_keys({"appId", "password"})

    assert missing == ["appSecret", "email or username or mobile"]


@pytest.mark.parametrize(
    ("streams", "alerts"), [(("plants", "alerts"), None), (("plants",), AlertListing())]
)
def test_a_policy_has_the_stream_of_alerts_if_it_says_how_they_are_listed(streams, alerts):
    with pytest.raises(PolicyError, match="solarman must say in `alerts` how alerts are listed"):
        replace(load_policy("solarman"), streams=streams, alerts=alerts)


def test_a_policy_with_an_allowance_per_app_says_what_tells_apps_apart():
    with pytest.raises(PolicyError, match="solarman has an allowance per app and must say in"):
        replace(load_policy("solarman"), app_keys=())


@pytest.mark.parametrize(
    ("records", "calls"),
    [(None, 1), (0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (200, 2), (1_000, 10)],
)
def test_a_listing_costs_a_call_a_page_and_one_more_for_a_single_full_one(records, calls):
    assert load_policy("solarman").calls(records) == calls


@pytest.mark.parametrize(("adapter", "key"), [("solarman", "appId"), ("sungrow", "appKey")])
def test_what_a_vendor_allows_for_long_is_the_apps_and_all_its_accounts_share_it(adapter, key):
    policy = load_policy(adapter)

    assert policy.app_keys == (key,)
    assert {budget.per for budget in policy.budgets if not budget.paces} == {Scope.APP}


def test_of_allowances_over_the_same_time_that_for_the_smallest_accounts_holds():
    tiers = (
        Budget(100, 60 * 60),
        Budget(500, 60 * 60, up_to_plants=10),
        Budget(900, 60 * 60, up_to_plants=3),
        Budget(7, 10),
    )
    policy = replace(load_policy("solarman"), budgets=tiers)

    def hourly(plants):
        first, burst = policy.budgets_of(plants)
        assert burst == tiers[3]
        return first.calls

    assert [hourly(plants) for plants in (0, 3, 4, 10, 11, None)] == [900, 900, 500, 500, 100, 100]


def test_of_several_declared_over_the_same_time_the_smallest_holds():
    small, large = (
        Budget(calls, 86_400, per=Scope.APP, source=Source.DECLARED) for calls in (5, 9)
    )

    assert replaced((), (large, small)) == (small,)


@pytest.mark.parametrize(("calls", "reserve"), [(400_000, 500), (1_000, 100), (9, 0)])
def test_a_declared_allowance_keeps_a_reserve_that_leaves_most_of_it(calls, reserve):
    known = load_policy("solarman").budgets

    assert declared_budget(calls, 86_400, Scope.APP, known).reserve == reserve
    assert declared_budget(calls, 10, Scope.APP, known).reserve == 0


def test_what_holds_for_a_run_travels_whole():
    budget = Budget(9, 86_400, 2, Scope.APP, Source.REPORTED)

    travelled = RunAllowance.model_validate(RunAllowance.of(budget).wire())

    assert travelled.budget == budget


def test_the_contract_of_an_operator_that_says_nothing_of_allowances_is_read():
    older = run_spec().wire()

    assert "allowances" not in older
    assert RunSpec.model_validate(older).allowances is None
