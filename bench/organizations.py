"""Organizations with five vendors each: what the operator makes of them, made without it.

The decisions are the product's own, over a cluster that only remembers what it was told to write;
a fast client can then put it into the API server, and an operator that starts finds all done.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from vendorsync_api import run
from vendorsync_api.group import KIND, PLURAL
from vendorsync_api.policy import load_policy
from vendorsync_api.reasons import Result, RunReason, Trigger
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator.cache.cache import Cache
from vendorsync_operator.reconcile.reconciler import Reconciler
from vendorsync_operator.status.events import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_operator.cache.live import Key
    from vendorsync_operator.settings import Settings

Document = dict[str, Any]

VENDORS: Final = ("alpha", "beta", "delta", "gamma", "omega")
"""Five accounts of one adapter, whose allowance has room for any schedule."""
ADAPTER: Final = "sungrow"
QUARTERLY: Final = {"intervalMinutes": 15, "spread": "Hashed", "restrictedWindows": []}
YEARLY: Final = {"cron": "0 0 1 1 *", "restrictedWindows": []}
"""No tick comes while somebody looks."""
FIRST_ID: Final = 700_000
RESOURCES: Final = f"/apis/{API_VERSION}/{PLURAL}"
CRON_JOBS: Final = "/apis/batch/v1/cronjobs"
JOBS: Final = "/apis/batch/v1/jobs"
MANAGED: Final = f"{run.MANAGED_BY_LABEL}={run.MANAGED_BY}"


def within(collection: str, namespace: str, name: str = "") -> str:
    """Return the path of a namespace's part of a collection, or of one object."""
    prefix, _, plural = collection.rpartition("/")
    return f"{prefix}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def resource(number: int, namespace: str, schedule: Document, first_id: int = FIRST_ID) -> Document:
    """Return the VendorSync of one organization, as a person would write it.

    Up to 100,000 of them differ in nothing but digits.
    """
    name = f"organization-{number:05}"
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "organization": {"id": first_id + number, "name": f"Organization {number:05}"},
            "schedule": schedule,
            "vendors": [
                {
                    "name": vendor,
                    "adapter": ADAPTER,
                    "displayName": f"Sungrow {vendor}",
                    "credentialsSecretRef": {"name": f"{name}-{vendor}"},
                }
                for vendor in VENDORS
            ],
        },
    }


@dataclass
class Written:
    """What was written for one resource; a `reconcile.Cluster` that keeps the newest of each."""

    document: Document
    cron_jobs: dict[str, Document] = field(default_factory=dict)
    status: Document = field(default_factory=dict)
    versions: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    async def read_resource(self, key: Key) -> Document:  # noqa: ARG002 - there is one
        """Return the resource."""
        return self.document

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob that was applied."""
        return self.cron_jobs.get(key[1])

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Keep a CronJob."""
        name = rendered["metadata"]["name"]
        self.cron_jobs[name] = rendered
        return self._stamped(rendered, uid or name)

    async def apply_status(self, key: Key, uid: str, status: Document) -> Document:  # noqa: ARG002
        """Keep the status."""
        self.status = status
        return self._stamped(self.document | {"status": status}, uid)

    async def pods(self, job: Key, since: str) -> list[Document]:  # noqa: ARG002
        """Return the one pod of a run, with its report."""
        vendor = job[1].split("-")[-3]
        terminated = {"exitCode": 0, "reason": "Completed", "message": report(vendor)}
        statuses = [{"name": "run", "state": {"terminated": terminated}}]
        return [{"status": {"containerStatuses": statuses}}]

    async def refusals(self, namespace: str, uid: str) -> list[Document]:  # noqa: ARG002
        """Return none: everything could be created."""
        return []

    async def create_event(self, event: Document) -> None:
        """Leave Events out."""

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Refuse: nothing here is suspended."""
        raise NotImplementedError(key)

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Refuse: nothing here is deleted."""
        raise NotImplementedError(key)

    async def read_job(self, key: Key) -> Document | None:
        """Refuse: nothing here is requested."""
        raise NotImplementedError(key)

    async def create_job(self, job: Document) -> bool:
        """Refuse: nothing here is requested."""
        raise NotImplementedError(job)

    def _stamped(self, document: Document, uid: str) -> Document:
        version = str(next(iter(self.versions)))
        return document | {
            "metadata": document["metadata"] | {"uid": uid, "resourceVersion": version}
        }


async def written(live: Document, settings: Settings, *, with_jobs: bool) -> Written:
    """Return the CronJobs and the status of a resource that the API server holds.

    With jobs: as after one successful run of each vendor that began when the resource was made.
    """
    cluster = Written({name: value for name, value in live.items() if name != "status"})
    cache = Cache(lambda _: None)
    seconds = 0.0
    reconciler = Reconciler(
        cache,
        cluster,
        settings=settings,
        policies=load_policy,
        recorder=Recorder("bench"),
        now=lambda: datetime.now(UTC),
        clock=lambda: seconds,
    )
    metadata = cluster.document["metadata"]
    cache.resources.found(cluster._stamped(cluster.document, metadata["uid"]))  # noqa: SLF001
    key = metadata["namespace"], metadata["name"]
    await reconciler.reconcile(key)
    if with_jobs:
        for cron_job in list(cluster.cron_jobs.values()):
            done = finished_job(cron_job, cron_job["metadata"]["name"], metadata)
            cache.jobs.found(
                done | {"metadata": done["metadata"] | {"uid": done["metadata"]["name"]}}
            )
        # The status may be written again by then.
        seconds += 1000
        await reconciler.reconcile(key)
    return cluster


def finished_job(cron_job: Document, uid: str, resource: Document) -> Document:
    """Return a Job of a CronJob that ended well a moment after its resource was made.

    `resource` is the metadata of the VendorSync, `uid` that of the CronJob.
    """
    began = datetime.fromisoformat(resource["creationTimestamp"])
    ended = began + timedelta(seconds=20)
    minutes = int(began.timestamp()) // 60
    name = cron_job["metadata"]["name"]
    moment = ended.strftime("%Y-%m-%dT%H:%M:%SZ")
    since = {"status": "True", "lastProbeTime": moment, "lastTransitionTime": moment}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name}-{minutes}",
            "namespace": cron_job["metadata"]["namespace"],
            "labels": cron_job["spec"]["jobTemplate"]["metadata"]["labels"],
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": name,
                    "uid": uid,
                    "controller": True,
                }
            ],
        },
        "spec": cron_job["spec"]["jobTemplate"]["spec"],
        "status": {
            "startTime": resource["creationTimestamp"],
            "completionTime": moment,
            "succeeded": 1,
            "conditions": [
                {"type": "SuccessCriteriaMet", "reason": "CompletionsReached", **since},
                {"type": "Complete", "reason": "CompletionsReached", **since},
            ],
        },
    }


def report(vendor: str) -> str:
    """Return the message that a run leaves."""
    return run.RunReport(
        vendor=vendor,
        stream="plants",
        result=Result.SUCCEEDED,
        reason=RunReason.SYNCED,
        trigger=Trigger.SCHEDULE,
        start_time="2026-11-22T00:00:00Z",
        completion_time="2026-11-22T00:00:20Z",
        duration_seconds=4.2,
        complete=True,
        total=120,
        created=1,
        updated=2,
        unchanged=117,
        calls=4,
        budget_remaining=1900,
    ).to_message()
