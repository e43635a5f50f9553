"""Runs as the Job controller and a kubelet would leave them, written by an administrator.

On a plane without controllers a Job stays as it is written here; with them the Job controller
would correct it, so use `controllers=False`.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import RunReason, Trigger
from vendorsync_api.run import STREAM_LABEL, VENDOR_LABEL, RunReport

if TYPE_CHECKING:
    from dev.plane.api import Api

Document = dict[str, Any]


def start(api: Api, cron_job: Document) -> Document:
    """Create the Job of a CronJob's next run, with a name of its own; nothing runs it."""
    metadata, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{metadata['name']}-{uuid.uuid4().hex[:8]}",
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }
    return api.create("jobs", job)


def run(api: Api, job: Document) -> Document:
    """Let a Job have one container that runs; return the Job."""
    metadata, where = job["metadata"], f"{job['metadata']['name']}/status"
    status = {"startTime": _now(), "active": 1, "ready": 1}
    return api.patch("jobs", metadata["namespace"], where, {"status": status})


def finish(api: Api, job: Document, reason: RunReason = RunReason.SYNCED) -> Document:
    """End a Job with a pod that left a report with this reason; return the Job."""
    now = _now()
    failed = bool(reason.exit_code)
    leave_pod(api, job, report(job, reason, now).to_message(), exit_code=int(reason.exit_code))
    ends = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
    conditions = [
        {
            "type": end,
            "status": "True",
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": "PodFailurePolicy" if failed else "CompletionsReached",
        }
        for end in ends
    ]
    status = {"startTime": now, "conditions": conditions, "failed" if failed else "succeeded": 1}
    if not failed:
        status["completionTime"] = now
    metadata = job["metadata"]
    where = f"{metadata['name']}/status"
    return api.patch("jobs", metadata["namespace"], where, {"status": status})


def report(job: Document, reason: RunReason, at: str) -> RunReport:
    """Return the report of a run that listed ten records, all of which were there."""
    labels = job["metadata"]["labels"]
    return RunReport(
        vendor=labels[VENDOR_LABEL],
        stream=labels[STREAM_LABEL],
        result=reason.result,
        reason=reason.value,
        trigger=Trigger.SCHEDULE,
        exit_code=int(reason.exit_code),
        start_time=at,
        completion_time=at,
        complete=True,
        total=10,
        unchanged=10,
    )


def leave_pod(api: Api, job: Document, message: str, *, exit_code: int = 0) -> None:
    """Create a pod of a Job whose container has ended with this termination message."""
    metadata, template = job["metadata"], job["spec"]["template"]
    namespace, (container,) = metadata["namespace"], template["spec"]["containers"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    pod = {
        "metadata": {
            "name": f"{metadata['name']}-pod",
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }
    api.create("pods", pod)
    now = _now()
    ended = {"exitCode": exit_code, "finishedAt": now, "startedAt": now, "message": message}
    state = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    phase = "Failed" if exit_code else "Succeeded"
    status = {"phase": phase, "containerStatuses": [state]}
    api.patch("pods", namespace, f"{pod['metadata']['name']}/status", {"status": status})


def refuse(api: Api, owner: Document, message: str) -> None:
    """Leave the Event of an object that could not create what it should have."""
    metadata = owner["metadata"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{uuid.uuid4().hex[:8]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": "Warning",
        "reason": "FailedCreate",
        "message": message,
    }
    api.send("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", event)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
