"""What others do to a cluster: admission webhooks that are down or hang, and a second operator."""

import base64
import socket
import time
from contextlib import contextmanager

import pytest

from dev.plane import chart
from dev.plane.api import ApiError
from tests.plane.scene import NAMESPACE, Scene, vendor
from vendorsync_api.run import INSTANCE_LABEL, RESOURCE_LABEL

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
MINUTE = 60


@contextmanager
def webhook(plane, url, resource, seconds=10):
    """Have the CronJobs of one resource judged at an address."""
    body = {
        "metadata": {"name": "policy"},
        "webhooks": [
            {
                "name": "policy.example.com",
                "clientConfig": {
                    "url": url,
                    "caBundle": base64.b64encode(plane.ca.read_bytes()).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["batch"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["cronjobs"],
                    }
                ],
                "objectSelector": {"matchLabels": {RESOURCE_LABEL: resource}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": seconds,
            }
        ],
    }
    plane.api.send("POST", WEBHOOKS, body)
    try:
        yield
    finally:
        plane.api.send("DELETE", f"{WEBHOOKS}/policy")


def is_judged(plane, resource):
    """Tell whether the API server asks the webhook by now, by a dry run."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "run", "image": "example/run"}]}
    probe = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "probe", "labels": {RESOURCE_LABEL: resource}},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs"
    try:
        plane.api.send("POST", path, probe, dryRun="All")
    except ApiError as error:
        return "webhook" in str(error)
    return False


def test_a_webhook_that_is_down_is_told_and_passes(plane, operator, scene):
    operator(plane)
    with webhook(plane, "https://127.0.0.1:9/judge", scene.name):
        scene.until(lambda: is_judged(plane, scene.name), "the webhook is in force")
        scene.apply(vendor("alpha"))
        scene.until(
            lambda: scene.condition("Ready") == ("Unknown", "APIFailing"), "trouble", MINUTE
        )
        said = next(c["message"] for c in scene.status()["conditions"] if c["type"] == "Ready")
        assert "policy.example.com" in said
    scene.until(lambda: scene.condition("Ready") == ("True", "Applied"), "the end of it")
    assert [reason for reason, _ in scene.events()].count("APIFailing") == 1


def test_a_webhook_that_hangs_keeps_nobody_else_waiting(plane, operator, scene):
    process = operator(plane)
    others = [Scene(plane, f"other-{number}", 10 + number) for number in range(5)]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/judge"
        with webhook(plane, address, scene.name, seconds=30):
            scene.apply(*(vendor(f"v{number}") for number in range(20)))
            scene.until(
                lambda: scene.condition("Ready") == ("Unknown", "APIFailing"),
                "trouble",
                2 * MINUTE,
            )
            for other in others:
                other.apply(vendor("alpha"))
            for other in others:
                other.until(other._is_applied, "served beside what hangs", MINUTE)
            assert process.alive
    scene.until(lambda: scene.condition("Ready") == ("True", "Applied"), "the end of it")


@pytest.fixture
def rival(plane, operator):
    """Start a second operator with a Lease of its own, and settings that differ."""
    for kind, more in (
        (
            "Role",
            {
                "rules": [
                    {
                        "apiGroups": ["coordination.k8s.io"],
                        "resources": ["leases"],
                        "verbs": ["create", "get", "update"],
                    }
                ]
            },
        ),
        (
            "RoleBinding",
            {
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": "rival-lease",
                },
                "subjects": [
                    {
                        "kind": "ServiceAccount",
                        "name": "vendorsync",
                        "namespace": chart.NAMESPACE,
                    }
                ],
            },
        ),
    ):
        plane.api.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": "rival-lease", "namespace": chart.NAMESPACE},
            }
            | more
        )

    def start(**env):
        own = {"VENDORSYNC_LEASE_NAME": "rival", "VENDORSYNC_JOB_IMAGE": "example/syncjob:other"}
        return operator(plane, "rival", env=own | env)

    return start


def writes(plane, seconds):
    """Return how many objects were written in a span of time."""
    plane.mark()
    # A span is what is measured here; there is no condition to wait for.
    time.sleep(seconds)
    counted = plane.requests()
    return sum(n for key, n in counted.items() if key[0] in ("patch", "create", "delete"))


def test_a_rival_of_another_instance_leaves_everything_to_the_first(plane, operator, rival):
    operator(plane)
    scenes = [Scene(plane, f"acme-{number}", 3 + number) for number in range(5)]
    for each in scenes:
        each.apply(vendor("alpha"))
    for each in scenes:
        each.applied()

    rival(VENDORSYNC_INSTANCE="rival")

    assert writes(plane, 10) == 0
    for each in scenes:
        for live in each.cron_jobs().values():
            assert live["metadata"]["labels"][INSTANCE_LABEL] == "vendorsync.vendorsync"
    scenes[0].change(suspend=True)
    scenes[0].applied()
    assert scenes[0].condition("Ready") == ("True", "Applied")


def test_two_operators_that_take_themselves_for_one_cost_few_writes(plane, operator, rival):
    operator(plane)
    scenes = [Scene(plane, f"acme-{number}", 3 + number) for number in range(5)]
    for each in scenes:
        each.apply(vendor("alpha"))
    for each in scenes:
        each.applied()

    rival()

    # Without damping it was 50 a second.
    assert writes(plane, 20) < 120
    scenes[0].until(lambda: scenes[0].condition("Ready") == ("False", "Contested"), "contested")
