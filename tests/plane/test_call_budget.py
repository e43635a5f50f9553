"""What the operator asks of the API server, counted by the API server itself.

Inputs: a plane without controllers, its audit log and its /metrics. Outputs: requests of the
operator's user by verb and resource. "Discovery" is what is no resource, the Lease is apart.
"""

from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import pytest

from dev.cluster.command import wait_until
from dev.plane import chart, runs
from dev.plane.resources import NAMESPACE, YEARLY, vendor_sync
from vendorsync_api.reasons import RunReason
from vendorsync_operator.cluster.streams import CHUNK_SIZE

WATCHED = ("vendorsyncs", "cronjobs", "jobs")
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
PATIENCE = 120
RENEWALS = 6
INTERVAL = 4.0
"""Seconds between two writes of one status."""


def create(plane, numbers, vendors=1):
    for number in numbers:
        plane.api.create("vendorsyncs", vendor_sync(number, vendors, schedule=YEARLY))


def bring_about(plane, operator, count, vendors=1):
    """Let an operator serve resources and end."""
    create(plane, range(count), vendors)
    process = operator(plane, "before")
    plane.settled(seconds=PATIENCE)
    process.stop()


def requests(plane, *, of=None, but=None):
    """Return the operator's requests since the mark but those about its Lease, by their names."""
    return [
        found
        for found in plane.audit.requests(chart.USER)
        if found.resource != "leases"
        and (of is None or found.name.startswith(of))
        and (but is None or not found.name.startswith(but))
    ]


def counted(found):
    return Counter((each.verb, each.resource) for each in found)


def let_a_newcomer_pass(plane, number):
    """Create a resource and wait for its status: everything queued before was looked at by then."""
    create(plane, [number])
    plane.settled(seconds=PATIENCE)
    return f"organization-{number}"


def pages(objects):
    return max(1, -(-objects // CHUNK_SIZE))


@pytest.mark.promise("P1")
@pytest.mark.parametrize("count", [0, 3, CHUNK_SIZE + 50])
def test_a_start_with_nothing_to_do_costs_two_requests_a_kind_and_one_per_500_objects(
    plane, operator, count
):
    bring_about(plane, operator, count)
    objects = {"vendorsyncs": count, "cronjobs": count, "jobs": 0}
    plane.mark()

    operator(plane)
    newcomer = let_a_newcomer_pass(plane, count)

    found = counted(requests(plane, but=newcomer))
    discovery = {what: number for what, number in found.items() if what[1].startswith("/")}
    lists = {what: number for what, number in found.items() if what[0] == "list"}
    rest = found - Counter(discovery) - Counter(lists)
    # The newcomer's Event has a name that the server makes; nothing else is written.
    rest -= Counter({("create", "events"): 1})
    assert lists == {("list", kind): pages(objects[kind]) for kind in WATCHED}
    assert rest == {("watch", kind): 1 for kind in WATCHED}
    assert set(discovery.values()) == {1}


@pytest.mark.promise("P2")
def test_a_quiet_cluster_sees_no_requests_beside_the_watches_and_the_lease(plane, operator):
    bring_about(plane, operator, 3)
    operator(plane)
    let_a_newcomer_pass(plane, 3)
    plane.mark()

    def renewals():
        return sum(found.resource == "leases" for found in plane.audit.requests(chart.USER))

    wait_until(lambda: renewals() >= RENEWALS, what=f"{RENEWALS} renewals of the Lease")

    assert not [found for found in requests(plane) if found.verb != "watch"]


@pytest.mark.promise("P2")
def test_a_status_write_of_the_operator_itself_wakes_nothing(plane, operator):
    create(plane, range(3), vendors=2)
    plane.mark()

    operator(plane)
    let_a_newcomer_pass(plane, 3)

    each = counted(requests(plane, of="organization-0"))
    assert each["patch", "vendorsyncs/status"] == 1
    assert each["patch", "cronjobs"] == 2


def status_writes(plane):
    """Return when the status of each resource was written, by its name, in seconds."""
    found = defaultdict(list)
    for request in requests(plane):
        if (request.verb, request.resource) == ("patch", "vendorsyncs/status"):
            found[request.name].append(datetime.fromisoformat(request.at).timestamp())
    return found


def told(plane, jobs):
    """Tell whether the status of every resource holds the newest of its Jobs for each vendor."""
    shown = {
        entry.get("job")
        for resource in plane.api.list("vendorsyncs")
        for entry in resource.get("status", {}).get("vendors", ())
    }
    return {job["metadata"]["name"] for job in jobs} <= shown


@pytest.mark.promise("P11")
def test_many_finished_jobs_cost_one_status_write_per_interval_and_one_pod_list_each(
    plane, operator
):
    create(plane, range(4), vendors=5)
    operator(plane, env={"VENDORSYNC_STATUS_INTERVAL_SECONDS": str(INTERVAL)})
    plane.settled()
    cron_jobs = plane.api.list("cronjobs", NAMESPACE)
    running = [runs.run(plane.api, runs.start(plane.api, cron_job)) for cron_job in cron_jobs]
    plane.mark()

    finished = [
        runs.finish(plane.api, runs.start(plane.api, cron_job), reason)
        for cron_job, reason in zip(
            cron_jobs, [RunReason.SYNCED, RunReason.QUOTA_EXHAUSTED] * 10, strict=True
        )
    ]
    wait_until(lambda: told(plane, finished), what="the results in the statuses")

    for name, times in status_writes(plane).items():
        assert min((b - a for a, b in pairwise(times)), default=INTERVAL) >= INTERVAL, name
    listed = plane.audit.pod_lists(chart.USER)
    times = {name: len(moments) for name, moments in listed.items()}
    assert times == {job["metadata"]["name"]: 1 for job in finished}
    assert not {job["metadata"]["name"] for job in running} & set(listed)


def test_the_audit_log_misses_nothing_that_the_servers_counters_have(plane, operator):
    """The server counts finished requests of all users; a watch has not finished."""
    kinds = {"vendorsyncs", "vendorsyncs/status", "cronjobs", "jobs", "events", "pods"}
    plane.mark()
    before = plane.totals()

    create(plane, range(3), vendors=2)
    operator(plane)
    plane.settled()
    for cron_job in plane.api.list("cronjobs", NAMESPACE)[:2]:
        runs.finish(plane.api, runs.start(plane.api, cron_job))

    def of_kinds(counts):
        return Counter({k: n for k, n in counts.items() if k[1] in kinds and k[0] != "watch"})

    def both():
        recorded = of_kinds(plane.requests(chart.USER) + plane.requests("admin"))
        return recorded, of_kinds(plane.totals() - before)

    wait_until(
        lambda: len(set(map(str, map(sorted, (c.items() for c in both()))))) == 1,
        what="the same requests in the audit log and in /metrics",
        seconds=10,
        hint=lambda: str(both()),
    )
