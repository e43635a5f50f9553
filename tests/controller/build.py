"""Builders: resources, live objects and reports with only what a test is about."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vendorsync_api import run
from vendorsync_api.group import KIND
from vendorsync_api.policy import AlertListing, Budget, Options, PolicyError, VendorPolicy
from vendorsync_api.v1alpha1 import API_VERSION, VendorSync
from vendorsync_operator.cache.live import LiveJob
from vendorsync_operator.settings import Settings

NOW = datetime(2026, 11, 23, 6, 0, 10, tzinfo=UTC)
"""A Monday, 11:30:10 in Asia/Kolkata."""
VERSIONS = itertools.count(7)
"""Of Jobs: the API server gives each change of an object a version of its own."""
SETTINGS = Settings(job_image="vendorsync-syncjob:test")


class FakeOptions(Options):
    region: int | None = None


POLICIES = {
    "fake": VendorPolicy(
        adapter="fake",
        title="Fake Cloud",
        streams=("plants", "alerts"),
        endpoints=("https://api.fake.example", "https://eu.fake.example"),
        secret_keys=(("user", "mail"), ("password",)),
        identity_keys=("user",),
        options=FakeOptions,
        minimum_interval_minutes=5,
        token_seconds=None,
        budgets=(Budget(calls=330, seconds=86_400, reserve=20),),
        alerts=AlertListing(),
    ),
    "narrow": VendorPolicy(
        adapter="narrow",
        title="Narrow Cloud",
        streams=("plants",),
        endpoints=("https://api.narrow.example",),
        secret_keys=(("token",),),
        identity_keys=("token",),
    ),
}
POLICIES["single"] = replace(
    POLICIES["fake"], adapter="single", alerts=AlertListing(per_plant=True)
)


def policies(adapter: str) -> VendorPolicy:
    if adapter not in POLICIES:
        raise PolicyError(f"adapter {adapter!r} is not installed; known: fake, narrow")
    return POLICIES[adapter]


def vendor(name: str = "alpha", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "adapter": "fake",
        "credentialsSecretRef": {"name": f"{name}-login"},
    } | fields


def document(
    name: str = "acme",
    *,
    namespace: str = "solar",
    vendors: list[dict[str, Any]] | None = None,
    organization: int = 3,
    created: str = "2026-11-01T00:00:00Z",
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": created,
        },
        "spec": {
            "organization": {"id": organization, "name": "Acme"},
            "vendors": [vendor()] if vendors is None else vendors,
        }
        | spec,
        # The API server's own default of a status that nobody has written.
        "status": {"observedGeneration": -1} if status is None else status,
    }


def listed(name: str = "alpha", **totals: int) -> dict[str, Any]:
    """The status of a vendor whose last listing of each stream had so many records."""
    entries = [
        {"name": name, "stream": stream, "result": "Succeeded", "reason": "Synced", "total": total}
        for stream, total in totals.items()
    ]
    return {"vendors": entries}


def resource(name: str = "acme", **fields: Any) -> VendorSync:
    return VendorSync.model_validate(document(name, **fields))


def job_document(
    name: str = "acme-alpha-plants-1",
    *,
    vendor: str = "alpha",
    stream: str = "plants",
    started: str = "2026-11-23T06:00:00Z",
    finished: str = "2026-11-23T06:00:05Z",
    condition: str = "Complete",
    annotations: dict[str, str] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    ended = {"type": condition, "status": "True", "lastTransitionTime": finished} | fields
    return {
        "metadata": {
            "name": name,
            "namespace": "solar",
            "uid": f"uid-{name}",
            "resourceVersion": str(next(VERSIONS)),
            "labels": {
                run.MANAGED_BY_LABEL: run.MANAGED_BY,
                run.RESOURCE_LABEL: "acme",
                run.VENDOR_LABEL: vendor,
                run.STREAM_LABEL: stream,
            },
            "annotations": annotations or {},
            "ownerReferences": [
                {
                    "kind": "CronJob",
                    "name": f"acme-{vendor}-{stream}",
                    "uid": "c",
                    "controller": True,
                }
            ],
        },
        "status": {
            "startTime": started,
            "conditions": [ended] if finished else [],
        },
    }


def job(name: str = "acme-alpha-plants-1", **fields: Any) -> LiveJob:
    return LiveJob.of(job_document(name, **fields))


def report(result: str = "Succeeded", reason: str = "Synced", **fields: Any) -> str:
    values: dict[str, Any] = {
        "vendor": "alpha",
        "stream": "plants",
        "result": result,
        "reason": reason,
        "trigger": "Schedule",
        "start_time": "2026-11-23T06:00:01Z",
        "completion_time": "2026-11-23T06:00:04Z",
    }
    return run.RunReport.model_validate(values | fields).to_message()


def pod(
    message: str | None,
    *,
    exit_code: int = 0,
    at: str = "2026-11-23T06:00:04Z",
    container: str = "run",
) -> dict:
    ended = {"exitCode": exit_code, "finishedAt": at, "reason": "Completed"}
    if message is not None:
        ended["message"] = message
    statuses = [{"name": container, "state": {"terminated": ended}}]
    return {"status": {"containerStatuses": statuses}}
