"""Two operators and one Lease on a real API server.

Inputs: processes that are ended, paused and continued. Outputs: the Lease, and what the API server
noted of the requests of each operator, which it knows by their User-Agent.
"""

import pytest

from dev.cluster.command import wait_until
from dev.plane import chart
from dev.plane.resources import NAMESPACE, YEARLY, vendor, vendor_sync
from vendorsync_api.reasons import ExitCode
from vendorsync_operator.health import DENIAL_LIMIT

WRITES = frozenset({"create", "update", "patch", "delete"})
HANDOVER = 20
"""Seconds from the death of a leader until another has finished what was changed meanwhile."""
AT_ONCE = 8
"""Seconds until a Lease that was released is taken; far less than one takes to run out."""
LEASE = "vendorsync-operator"


def create(plane, *numbers):
    for number in numbers:
        plane.api.create("vendorsyncs", vendor_sync(number, 1, schedule=YEARLY))


def add_a_vendor(plane, number):
    """Edit a resource; return the CronJob that comes of it."""
    name = f"organization-{number}"
    change = {"spec": {"vendors": [vendor(name, 0), vendor(name, 1)]}}
    plane.api.patch("vendorsyncs", NAMESPACE, name, change)
    return f"{name}-v1-plants"


def cron_jobs(plane):
    return {each["metadata"]["name"] for each in plane.api.list("cronjobs", NAMESPACE)}


def holder(plane):
    """Return the name of the operator that holds the Lease, empty if none does."""
    leases = plane.api.list("leases", chart.NAMESPACE)
    held = [each["spec"].get("holderIdentity") or "" for each in leases]
    return held[0].rpartition("_")[0] if held else ""


def writes(plane, operator):
    """Return what an operator wrote since the mark, but the Lease."""
    return [
        (found.verb, found.resource, found.name)
        for found in plane.audit.requests(chart.USER)
        if found.verb in WRITES
        and found.resource != "leases"
        and f"({operator.name}_" in found.agent
    ]


def leads(operator):
    return operator.alive and operator.health()[1].splitlines()[:1] == ["ok, leading"]


def stands_by(operator):
    return operator.alive and operator.health()[1].startswith("ok, standing by")


def becomes_leader(operator, seconds):
    wait_until(lambda: leads(operator), what=f"{operator.name} to lead", seconds=seconds)


@pytest.fixture
def pair(plane, operator):
    """A leader, and a standby that has read everything."""
    leader = operator(plane, "first")
    becomes_leader(leader, seconds=AT_ONCE)
    return leader, operator(plane, "second")


def test_the_standby_is_ready_and_writes_nothing(plane, pair):
    leader, standby = pair
    plane.mark()

    create(plane, *range(5))
    plane.settled()

    assert len(cron_jobs(plane)) == 5
    assert writes(plane, leader)
    assert writes(plane, standby) == []
    assert stands_by(standby)
    assert holder(plane) == "first"


@pytest.mark.promise("P3")
def test_a_leader_that_is_killed_is_followed_and_the_edit_made_meanwhile_is_finished(plane, pair):
    leader, standby = pair
    create(plane, 1)
    plane.settled()

    leader.kill()
    wanted = add_a_vendor(plane, 1)

    wait_until(lambda: wanted in cron_jobs(plane), what="the handover", seconds=HANDOVER)
    assert holder(plane) == "second"
    assert leads(standby)


def test_taking_over_unchanged_resources_costs_no_write(plane, pair):
    leader, standby = pair
    create(plane, *range(5))
    plane.settled()
    plane.mark()

    leader.stop()
    becomes_leader(standby, seconds=AT_ONCE)
    create(plane, 9)
    plane.settled()

    assert {name for _, resource, name in writes(plane, standby) if resource == "cronjobs"} == {
        "organization-9-v0-plants"
    }
    assert {name for _, resource, name in writes(plane, standby) if "status" in resource} == {
        "organization-9"
    }


@pytest.mark.promise("P3")
def test_a_leader_that_slept_through_its_lease_writes_nothing_any_more(plane, pair):
    leader, standby = pair
    create(plane, *range(40))
    wait_until(lambda: cron_jobs(plane), what="the first CronJob")
    leader.pause()
    becomes_leader(standby, seconds=HANDOVER)
    plane.settled()
    edited = add_a_vendor(plane, 0)
    wait_until(lambda: edited in cron_jobs(plane), what="the edit")
    plane.mark()

    leader.resume()
    wait_until(lambda: stands_by(leader), what="the former leader to stand by")
    wanted = add_a_vendor(plane, 1)
    wait_until(lambda: wanted in cron_jobs(plane), what="the next edit")

    assert writes(plane, leader) == []
    assert writes(plane, standby)
    assert holder(plane) == "second"


def test_a_leader_that_is_asked_to_stop_hands_over_at_once(plane, pair):
    leader, standby = pair

    assert leader.stop() == 0

    becomes_leader(standby, seconds=AT_ONCE)
    assert holder(plane) == "second"


def test_a_single_operator_leads_again_as_soon_as_it_is_back(plane, operator):
    operator(plane, "first").stop()

    becomes_leader(operator(plane, "again"), seconds=AT_ONCE)


@pytest.mark.promise("P3")
def test_an_api_server_that_goes_and_comes_back_finds_one_leader_and_ends_nobody(plane, pair):
    leader, standby = pair
    create(plane, 1)
    plane.settled()

    plane.cluster.end("kube-apiserver")
    wait_until(lambda: stands_by(leader), what="the leader to give up", seconds=HANDOVER)
    plane.cluster.begin("kube-apiserver")
    wait_until(
        lambda: leads(leader) or leads(standby),
        what="a leader",
        seconds=60,
        hint=lambda: f"{leader.health()} {standby.health()}",
    )
    wanted = add_a_vendor(plane, 1)
    wait_until(lambda: wanted in cron_jobs(plane), what="the edit", seconds=60)

    assert leader.alive
    assert standby.alive
    assert leads(leader) != leads(standby)


def test_a_lease_that_somebody_deletes_is_made_anew_by_its_holder(plane, pair):
    leader, standby = pair

    plane.api.delete("leases", chart.NAMESPACE, LEASE)
    wait_until(lambda: holder(plane), what="a Lease")

    assert holder(plane) == "first"
    assert leads(leader)
    assert stands_by(standby)


def test_an_operator_that_may_not_list_resources_ends_with_one_sentence(plane):
    process = plane.operator("stranger", token="no-such-token")
    process.start()

    assert process.wait(DENIAL_LIMIT + 30) == ExitCode.INTERNAL
    (ended,) = [line for line in process.log().splitlines() if '"level": "critical"' in line]
    assert "operator ended: the API server denies" in ended


def test_two_that_both_take_themselves_for_the_leader_do_no_harm(plane, operator):
    """No fence is perfect: server-side apply and uids are what makes a second writer harmless."""
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}]
    metadata = {"name": "any-lease", "namespace": chart.NAMESPACE}
    access = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": chart.SERVICE_ACCOUNT}
    plane.api.apply(
        {"apiVersion": f"{access}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    )
    plane.api.apply(
        {
            "apiVersion": f"{access}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": access, "kind": "Role", "name": "any-lease"},
            "subjects": [subject | {"namespace": chart.NAMESPACE}],
        }
    )
    first = operator(plane, "first")
    second = operator(plane, "second", env={"VENDORSYNC_LEASE_NAME": "another"})
    becomes_leader(first, AT_ONCE)
    becomes_leader(second, AT_ONCE)

    create(plane, *range(10))
    plane.settled()
    wanted = add_a_vendor(plane, 1)
    wait_until(lambda: wanted in cron_jobs(plane), what="the edit")
    plane.settled()
    # Both look at everything once more, and agree.
    first.stop()
    plane.mark()
    third = operator(plane, "third")
    becomes_leader(third, AT_ONCE)
    create(plane, 20)
    plane.settled()

    assert len(cron_jobs(plane)) == 12
    assert {name for _, _, name in writes(plane, third)} <= {
        "organization-20",
        "organization-20-v0-plants",
        "",
    }
