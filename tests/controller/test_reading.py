"""A status of a later version, or one that a hand has been in: only what is strange is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.controller.build import document, pod, report, vendor
from tests.controller.world import ACME, World
from vendorsync_operator.status import reading, status

ENTRY = {
    "name": "alpha",
    "stream": "plants",
    "result": "Failed",
    "reason": "VendorUnavailable",
    "message": "no answer",
    "completionTime": "2026-11-23T06:00:05Z",
    "lastSuccessfulTime": "2026-11-22T00:00:00Z",
    "consecutiveFailures": 4,
}
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Applied",
    "message": "1 CronJob applied",
    "lastTransitionTime": "2026-11-22T00:00:00Z",
}


def read(found):
    return reading.resource(json.dumps(document(status=found)).encode()).status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("message", "m" * 700, id="too long"),
        pytest.param("consecutiveFailures", "many", id="another type"),
        pytest.param("delay", {"message": "no reason"}, id="without what it must have"),
        pytest.param("nextScheduleTime", "soon", id="no time"),
        pytest.param("nextScheduleTime", "2026-11-23T06:00:00", id="a time of no zone"),
        pytest.param("completionTime", "9999-12-31T23:59:59Z", id="the end of time"),
    ],
)
def test_a_field_that_cannot_be_read_is_lost_alone(field, value):
    beside = {**ENTRY, "name": "beta"}

    found = read({"vendors": [{**ENTRY, field: value}, beside], "conditions": [READY]})

    first, second = (entry.wire() for entry in found.vendors)
    assert first == {name: kept for name, kept in ENTRY.items() if name != field}
    assert second == beside
    assert [condition.wire() for condition in found.conditions] == [READY]


@pytest.mark.parametrize("broken", [{**READY, "status": "Perhaps"}, {"type": "Ready"}, "Ready"])
def test_a_condition_that_cannot_be_read_is_lost_alone(broken):
    other = {**READY, "type": "Synced"}

    found = read({"conditions": [broken, other], "observedGeneration": 3})

    assert [condition.type for condition in found.conditions] == ["Synced"]
    assert found.observed_generation == 3


def test_fields_of_a_later_version_are_passed_over():
    found = read({"weather": "fair", "vendors": [{**ENTRY, "weather": {"now": "fair"}}]})

    assert found.vendors[0].wire() == ENTRY


def test_what_is_more_than_a_list_may_hold_is_lost_from_its_end():
    entries = [{**ENTRY, "name": f"v{number}"} for number in range(103)]

    found = read({"vendors": entries})

    assert [entry.name for entry in found.vendors] == [f"v{number}" for number in range(100)]


def test_a_status_says_nothing_about_whether_the_spec_is_valid():
    broken = document(status={"vendors": [3]}, vendors=[{"name": "alpha"}])

    with pytest.raises(ValidationError) as error:
        reading.resource(json.dumps(broken).encode())

    assert reading.fault(error.value) == "spec.vendors.0.adapter: Field required"


def test_a_fault_of_the_spec_is_told_with_its_value():
    broken = document(run={"resources": {"limits": {"memory": "1e1.5"}}})

    with pytest.raises(ValidationError) as error:
        reading.resource(json.dumps(broken).encode())

    assert reading.fault(error.value).startswith(
        "spec.run.resources.limits.memory '1e1.5': String should match pattern"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ENTRY, *READY, "vendors", "conditions", "delay", "summary", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_a_status_holds_it_can_be_read_and_what_was_good_is_kept(anything, entry):
    found = anything if isinstance(anything, dict) else {"vendors": anything}
    good = {"observedGeneration": 7, "vendors": [entry, ENTRY]}

    assert reading.status(found) == reading.status(reading.status(found).wire())
    assert reading.status({**found, **good}).vendors[-1].wire() == ENTRY


def rewrite(world, change):
    """Let another have written the status."""
    live = json.loads(json.dumps(world.cluster.resources[ACME]))
    change(live["status"])
    found = world.cluster.stamp(live, live["metadata"]["uid"])
    world.cluster.resources[ACME] = found
    world.cache.resources.found(found)


def test_a_status_of_a_later_operator_is_kept_and_the_spec_stays_valid():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    failure = report("Failed", "VendorUnavailable", message="x")
    world.finish("job-1", pod(failure, exit_code=69), condition="Failed")
    world.reconcile()
    rewrite(world, lambda found: found["vendors"][0].update(message="m" * 700, weather="fair"))

    world.reconcile()

    assert world.condition("Ready") == ("True", "Applied")
    assert world.entry()["reason"] == "VendorUnavailable"
    assert world.entry()["consecutiveFailures"] == 1
    assert [event["reason"] for event in world.cluster.events] == ["VendorUnavailable"]


def test_a_next_time_that_is_none_is_worked_out_anew():
    world = World()
    world.put(document())
    rewrite(world, lambda found: found["vendors"][0].update(nextScheduleTime="soon"))

    world.reconcile()

    assert world.entry()["nextScheduleTime"] == "2026-11-23T06:15:00Z"
    assert status.overdue_at(read(world.status()), world.now) is not None


def test_a_broken_spec_beside_a_strange_status_is_told_and_the_rest_of_the_status_kept():
    world = World()
    world.put(document(vendors=[vendor("alpha"), vendor("beta")]))
    rewrite(world, lambda found: found["vendors"].insert(0, {"name": "n" * 50}))
    broken = document()
    broken["spec"]["vendors"][0].pop("adapter")

    world.put(broken)

    assert world.condition("Ready") == ("False", "SpecInvalid")
    assert [entry["name"] for entry in world.status()["vendors"]] == ["alpha", "beta"]
