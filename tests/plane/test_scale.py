"""Many organizations at once, with the real Job controller and nodes that only pretend.

The pods' reports are what kwok's stages write; all else is as in a cluster.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pytest

from dev.nodes import Runs, hasten, nodes
from dev.plane import chart, runs
from dev.plane.resources import vendor_sync
from dev.stack.waiting import until

RESOURCES = 100
VENDORS = 2
PLANTS = 12
YEARLY = {"cron": "0 12 1 1 *", "restrictedWindows": []}
"""A schedule whose ticks stay out of the tests."""
INTERVAL = 2.0
"""VENDORSYNC_STATUS_INTERVAL_SECONDS of the chart, in seconds."""
ALLOWED_BYTES = 200_000
"""Of memory for each resource; several times what is measured, since a list of many is in it."""


@dataclass
class Seen:
    """What there was after a run of every vendor, and what it took."""

    resources: list
    jobs: list
    pod_lists: dict
    status_writes: dict
    grown: int


@pytest.fixture(scope="module")
def seen(module_controlled_plane):
    plane = module_controlled_plane
    plane.clear()
    hasten(plane.cluster)
    with nodes(plane.cluster, runs=Runs(seconds=1, plants=PLANTS)), plane.operator() as operator:
        operator.ready()
        empty = operator.rss_bytes
        for number in range(RESOURCES):
            plane.api.create("vendorsyncs", vendor_sync(number, VENDORS, schedule=YEARLY))
        plane.settled(seconds=120)
        plane.mark()
        for cron_job in plane.api.list("cronjobs"):
            runs.start(plane.api, cron_job)
        resources = until(lambda: told(plane), "the runs in every status", seconds=120)
        return Seen(
            resources,
            plane.api.list("jobs"),
            plane.audit.pod_lists(chart.USER),
            moments(plane.audit.requests(chart.USER)),
            operator.rss_bytes - empty,
        )


def told(plane):
    """Return the resources once each vendor of each has a run in its status."""
    found = plane.api.list("vendorsyncs")
    return found if all(map(is_told, found)) else None


def is_told(resource):
    return all("completionTime" in entry for entry in resource["status"]["vendors"])


def moments(requests):
    """Return when each resource's status was written, in seconds."""
    found = defaultdict(list)
    for request in requests:
        if (request.verb, request.resource) == ("patch", "vendorsyncs/status"):
            found[request.name].append(datetime.fromisoformat(request.at).timestamp())
    return found


def test_every_vendor_of_every_organization_shows_the_counts_of_its_run(seen):
    counts = {
        (entry["result"], entry["total"], entry["created"], entry["unchanged"])
        for resource in seen.resources
        for entry in resource["status"]["vendors"]
    }
    assert counts == {("Succeeded", PLANTS, 1, PLANTS - 1)}


def test_every_organization_sums_up_the_runs_of_its_vendors(seen):
    sums = Counter(each["status"]["summary"]["totalPlantsSynced"] for each in seen.resources)
    assert sums == {VENDORS * PLANTS: RESOURCES}


@pytest.mark.promise("P11")
def test_a_status_is_written_at_most_once_within_the_coalescing_interval(seen):
    gaps = [
        later - earlier
        for written in seen.status_writes.values()
        for earlier, later in pairwise(written)
    ]
    assert len(seen.status_writes) == RESOURCES
    assert min(gaps, default=INTERVAL) >= INTERVAL


@pytest.mark.promise("P11")
def test_no_status_is_written_more_often_than_runs_end(seen):
    assert max(map(len, seen.status_writes.values())) <= VENDORS


def test_the_pods_of_a_finished_job_are_listed_once(seen):
    """A run that is late on a busy machine is looked into before its end, too."""
    ended = {
        job["metadata"]["name"]: datetime.fromisoformat(job["status"]["completionTime"])
        for job in seen.jobs
    }
    after = Counter(
        sum(datetime.fromisoformat(moment) >= ended[job] for moment in listed)
        for job, listed in seen.pod_lists.items()
    )
    assert after == {1: RESOURCES * VENDORS}


@pytest.mark.promise("P9")
def test_memory_grows_by_a_bounded_amount_with_each_organization(seen):
    assert seen.grown / RESOURCES < ALLOWED_BYTES
