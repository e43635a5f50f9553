"""CronJobs of somebody else under our names, on a real API server: none is ever written."""

import copy
import json

import pytest

from dev.cluster.command import wait_until
from dev.plane.resources import NAMESPACE, YEARLY, vendor_sync

NAME = "organization-0-v0-plants"
TEMPORARY = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def ready(plane):
    found = plane.api.get("vendorsyncs", NAMESPACE, "organization-0")
    conditions = found.get("status", {}).get("conditions", ())
    return {c["type"]: (c["status"], c["reason"]) for c in conditions}.get("Ready")


@pytest.fixture(scope="module")
def made(module_plane):
    """The CronJob as an operator makes it."""
    module_plane.clear()
    module_plane.api.create("vendorsyncs", vendor_sync(0, 1, schedule=YEARLY))
    with module_plane.operator("maker") as process:
        process.ready()
        module_plane.settled()
    return module_plane.api.get("cronjobs", NAMESPACE, NAME)


def foreign(made, *, owned):
    """Return a CronJob with our very values that is somebody else's, without our labels."""
    copied = copy.deepcopy(made)
    for field in (*TEMPORARY, "labels", "annotations"):
        copied["metadata"].pop(field, None)
    owner = copied["metadata"].pop("ownerReferences")[0]
    if owned:
        copied["metadata"]["ownerReferences"] = [
            owner | {"uid": "stranger", "name": "somebody-else"}
        ]
    copied.pop("status", None)
    return copied


@pytest.mark.parametrize("manager", ["create", "apply"])
@pytest.mark.parametrize("owned", [True, False], ids=["owned", "without owner"])
def test_a_cron_job_with_our_very_values_that_is_not_ours_is_left_as_it_is(
    made, plane, operator, owned, manager
):
    document = foreign(made, owned=owned)
    how = ("create",) if manager == "create" else ("apply", "--server-side")
    plane.kubectl(*how, "-f", "-", input=json.dumps(document))
    before = plane.api.get("cronjobs", NAMESPACE, NAME)
    plane.api.create("vendorsyncs", vendor_sync(0, 1, schedule=YEARLY))

    operator(plane)

    wait_until(lambda: ready(plane) == ("False", "NameConflict"), what="a told conflict")
    assert plane.api.get("cronjobs", NAMESPACE, NAME) == before


def test_a_new_resource_costs_one_request_for_each_cron_job(plane, operator):
    operator(plane)
    plane.mark()

    plane.api.create("vendorsyncs", vendor_sync(0, 5, schedule=YEARLY))
    plane.settled()

    found = plane.requests()
    assert found["patch", "cronjobs"] == 5
    assert found["get", "cronjobs"] == found["get", "vendorsyncs"] == 0
