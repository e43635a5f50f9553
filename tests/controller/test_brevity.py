"""How large a status gets, and that it stands still once it is written."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.build import NOW, SETTINGS, job, pod, policies, report, resource, vendor
from vendorsync_api.reasons import DelayReason, RunReason
from vendorsync_api.v1alpha1 import Delay, VendorStatus, VendorSyncStatus
from vendorsync_operator.results import runs
from vendorsync_operator.spec import accept, resolve
from vendorsync_operator.status import brevity, status
from vendorsync_operator.status.verdicts import Progress, Sight

OBJECT_LIMIT = 1_500_000
"""Bytes that etcd takes of one object."""

LONG = "x" * 350
RUN = {
    "trigger": "Schedule",
    "start_time": "2026-11-23T06:00:01Z",
    "completion_time": "2026-11-23T06:00:05Z",
    "next_schedule_time": "2026-11-23T06:15:00Z",
}
COUNTS: dict[str, Any] = {
    "total": 1253, "created": 10, "updated": 40, "unchanged": 1200, "rejected": 3, "vanished": 3,
    "repaired": 7, "budget_remaining": 98_765,
}  # fmt: skip
FAILED: dict[str, Any] = {
    "result": "Failed", "reason": "VendorContractBroken", "message": LONG, "exit_code": 65,
    "last_failure_time": RUN["completion_time"], "last_successful_time": "2026-11-20T06:00:05Z",
    "consecutive_failures": 12,
}  # fmt: skip
STATES: dict[str, dict[str, Any]] = {
    "well": COUNTS
    | {
        "result": "Succeeded",
        "reason": "Synced",
        "last_failure_time": "2026-11-20T06:00:05Z",
        "last_successful_time": RUN["completion_time"],
    },
    "partial": FAILED | COUNTS | {"result": "Partial", "reason": "RecordsRejected"},
    "failed and slowed": FAILED,
    "failed in another script": FAILED | {"message": "सौ" * 175},
    "blocked": FAILED | {"reason": "CredentialsRejected"},
}


def seen(vendors, *, streams=None, **fields):
    names = [f"solarman{n:02}" for n in range(vendors)]
    spec: dict[str, Any] = {"streams": streams} if streams else {}
    declared = resource("organization-a", vendors=[vendor(name) for name in names], **spec)
    assignments = tuple(resolve.assignments(declared, SETTINGS.schedule))
    judged = [accept.judge(declared, a, settings=SETTINGS, policies=policies) for a in assignments]
    tables = {j.assignment.key: j.timetable for j in judged if isinstance(j, accept.Accepted)}
    return Sight(3, suspended=False, assignments=assignments, timetables=tables, **fields)


def grown(sight, **fields):
    """The status of entries that are all in one state, as the operator writes it."""
    entries = [
        VendorStatus(
            name=assignment.vendor.name,
            stream=assignment.stream,
            job=f"{assignment.cron_job}-29364510",
            duration_seconds=10 + number / 10,
            **RUN | fields,
        )
        for number, assignment in enumerate(sight.assignments)
    ]
    return status.compute(VendorSyncStatus(vendors=tuple(entries)), sight, NOW)


def size(found):
    return len(json.dumps(found.wire(), separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.fault("K6")
@pytest.mark.promise("P11")
@pytest.mark.requirement("R33")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("vendors", "streams", "limit"),
    [(5, {"alerts": {}}, 10_000), (25, None, 10_000), (25, {"alerts": {}}, 25_000)],
    ids=["5 x 2", "25 x 1", "25 x 2"],
)
def test_a_status_keeps_to_its_size_in_every_state_with_long_messages(
    vendors, streams, limit, state
):
    found = grown(seen(vendors, streams=streams), **STATES[state])

    assert size(found) <= limit


@pytest.mark.fault("K6")
def test_the_largest_status_that_can_be_is_far_below_the_limit_of_an_object():
    sight = seen(50, streams={"alerts": {}})
    delay = Delay(reason="ImageUnavailable", message="x" * 300)
    everything: dict[str, Any] = {
        **FAILED, **COUNTS, "result": "Skipped", "reason": "RestrictedWindow",
        "standing": "VendorContractBroken", "hard_failures": 11,
    }  # fmt: skip

    found = grown(
        replace(
            sight,
            delays={a.key: delay for a in sight.assignments},
            request=Progress(started={a.key: "j" * 63 for a in sight.assignments}),
        ),
        **everything,
    )

    assert size(found) <= 65_000 < OBJECT_LIMIT / 20


def test_few_entries_are_whole():
    entries = [VendorStatus(name="alpha", stream="plants", **RUN | STATES["well"])] * brevity.FEW

    assert brevity.brief(entries) == entries


def test_many_entries_leave_out_what_their_other_fields_say_and_get_it_back():
    entry = VendorStatus(name="alpha", stream="plants", **RUN | STATES["well"])

    written = brevity.brief([entry] * (brevity.FEW + 1))[0]
    back = brevity.restored(written)

    assert (written.trigger, written.last_successful_time) == (None, None)
    assert (back.trigger, back.last_successful_time) == ("Schedule", entry.completion_time)
    assert back.last_failure_time == entry.last_failure_time


DELAYS = st.none() | st.builds(
    Delay, reason=st.sampled_from(DelayReason).map(str), message=st.text("xé…", max_size=300)
)


@st.composite
def outcomes(draw, sight):
    """One run of some of the vendors, with any reason and any message."""
    found = []
    for assignment in sight.assignments:
        reason = draw(st.none() | st.sampled_from(RunReason))
        if reason is None:
            continue
        at = f"2026-11-23T0{draw(st.integers(1, 6))}:00:05Z"
        live = job(
            f"{assignment.cron_job}-1",
            vendor=assignment.vendor.name,
            stream=assignment.stream,
            finished=at,
            condition="Complete" if reason.exit_code == 0 else "Failed",
        )
        message = "" if reason is RunReason.SYNCED else draw(st.text("ab é…", max_size=600))
        counts = draw(
            st.dictionaries(
                st.sampled_from(["total", "created", "vanished"]), st.integers(0, 10**6)
            )
        )
        said = report(
            str(reason.result),
            str(reason),
            message=message,
            duration_seconds=draw(st.sampled_from([0.0, 1.5, 2.5])),
            **counts,
        )
        pods = [] if reason is RunReason.REPORT_LOST else [pod(said)]
        found.append(runs.outcome(live, pods))
    return tuple(found)


@st.composite
def sights(draw):
    sight = seen(
        draw(st.sampled_from([1, 3, 11])), streams=draw(st.sampled_from([None, {"alerts": {}}]))
    )
    delays = {a.key: delay for a in sight.assignments if (delay := draw(DELAYS))}
    return replace(sight, delays=delays, outcomes=draw(outcomes(sight)))


@pytest.mark.promise("P2")
@given(sights())
def test_a_status_that_is_computed_again_from_itself_stays_the_same(sight):
    first = status.compute(VendorSyncStatus(), sight, NOW)
    read_back = VendorSyncStatus.model_validate(json.loads(json.dumps(first.wire())))

    later = status.compute(read_back, replace(sight, outcomes=()), NOW + timedelta(minutes=5))
    repeated = status.compute(read_back, sight, NOW + timedelta(minutes=5))

    assert later.wire() == repeated.wire() == first.wire()


@pytest.mark.promise("P2")
@pytest.mark.parametrize("reason", [*RunReason, *DelayReason])
def test_no_reason_makes_a_status_that_changes_with_time(reason):
    sight = seen(2, streams={"alerts": {}})
    key = sight.assignments[0].key
    if isinstance(reason, DelayReason):
        sight = replace(sight, delays={key: Delay(reason=reason, message="m")})
    else:
        live = job("job-1", vendor=key[0], stream=key[1])
        said = report(str(reason.result), str(reason), message="m")
        sight = replace(sight, outcomes=(runs.outcome(live, [pod(said)]),))

    first = status.compute(VendorSyncStatus(), sight, NOW)
    later = status.compute(first, replace(sight, outcomes=()), NOW + timedelta(minutes=14))

    assert later.wire() == first.wire()
