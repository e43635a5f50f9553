"""What tells a tool that waits for a resource that waiting is of no use, and that it may be."""

import pytest

from tests.controller.build import NOW, document
from tests.controller.world import World
from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import VendorSyncStatus
from vendorsync_operator.status import status
from vendorsync_operator.status.prose import Problem
from vendorsync_operator.status.verdicts import Sight

BLANK = VendorSyncStatus()

REFUSED = (
    ConditionReason.SPEC_INVALID,
    ConditionReason.UNKNOWN_TIME_ZONE,
    ConditionReason.UNKNOWN_ADAPTER,
    ConditionReason.STREAM_UNSUPPORTED,
    ConditionReason.OPTIONS_INVALID,
    ConditionReason.ENDPOINT_NOT_ALLOWED,
    ConditionReason.BUDGET_EXCEEDED,
    ConditionReason.NEVER_RUNS,
)
PASSING = (
    ConditionReason.API_REFUSED,
    ConditionReason.NAME_CONFLICT,
    ConditionReason.DUPLICATE_ORGANIZATION,
)


def seen(*problems, before=BLANK):
    return status.compute(before, Sight(2, suspended=False, problems=problems), NOW)


def conditions(found):
    return {each.type: (each.status, each.reason) for each in found.conditions}


def stalled(found):
    return next(each.message for each in found.conditions if each.type == "Stalled")


@pytest.mark.parametrize("reason", REFUSED)
def test_a_spec_that_only_an_edit_helps_is_stalled(reason):
    found = seen(Problem(reason, "too many calls", "alpha/plants"))

    assert conditions(found)["Stalled"] == ("True", reason)
    assert "alpha/plants: too many calls." in stalled(found)
    assert conditions(found)["Ready"] == ("False", reason)


@pytest.mark.parametrize("reason", PASSING)
def test_what_may_pass_by_itself_is_not_stalled(reason):
    assert "Stalled" not in conditions(seen(Problem(reason, "quota", "alpha/plants")))


def test_a_refusal_beside_something_that_may_pass_is_told_alone():
    found = seen(
        Problem(ConditionReason.API_REFUSED, "quota", "alpha/plants"),
        Problem(ConditionReason.NEVER_RUNS, "no tick", "beta/plants"),
    )

    assert conditions(found)["Stalled"] == ("True", "NeverRuns")
    assert "quota" not in stalled(found)


def test_an_edit_that_helps_ends_it():
    before = seen(Problem(ConditionReason.NEVER_RUNS, "no tick", "alpha/plants"))

    assert [*conditions(seen(before=before))] == ["Ready", "Synced", "Degraded"]


def test_a_resource_that_cannot_be_read_is_stalled():
    problem = Problem(ConditionReason.SPEC_INVALID, "spec.vendors: Field required")
    found = status.refused(BLANK, problem, 3, NOW)

    assert conditions(found)["Stalled"] == ("True", "SpecInvalid")


def test_many_refusals_leave_room_for_the_rest_of_the_status():
    many = [Problem(ConditionReason.OPTIONS_INVALID, "x" * 200, f"v{n}/plants") for n in range(50)]

    assert len(stalled(seen(*many))) <= 600


def test_the_status_that_the_api_server_makes_up_was_written_by_nobody():
    assert VendorSyncStatus.model_validate({"observedGeneration": -1}) == BLANK
    assert VendorSyncStatus.model_validate({"observedGeneration": 0}).observed_generation == 0


def test_a_resource_that_no_operator_has_seen_is_made_without_a_further_look():
    """One that was seen is read before its CronJob is made anew: it may be a ghost."""
    world = World()

    world.put(document())

    assert world.cluster.reads == []
    assert world.status()["observedGeneration"] == 1
