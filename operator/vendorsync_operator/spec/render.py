"""Pure: what becomes of one accepted vendor and stream as a CronJob."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from vendorsync_api import run
from vendorsync_api.group import KIND
from vendorsync_api.reasons import ExitCode
from vendorsync_api.schedule import DAYS, time_of_day
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator.names import request_job_name
from vendorsync_operator.spec import quantity

if TYPE_CHECKING:
    from vendorsync_api.schedule import Timetable
    from vendorsync_api.v1alpha1 import ResourceAmounts, RunSettings, VendorSync
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.accept import Accepted


_DAY = 86_400
_GRACE_SECONDS = 30
_RETRIED = (ExitCode.TRANSIENT, ExitCode.INTERRUPTED)
_REQUESTS = {"cpu": "50m", "memory": "96Mi"}
_LIMITS = {"memory": "512Mi"}


def cron_job(resource: VendorSync, accepted: Accepted, settings: Settings) -> dict[str, Any]:
    """Return the CronJob of one vendor and stream, with the hash of itself."""
    timetable, assignment = accepted.timetable, accepted.assignment
    labels = _labels(resource, accepted)
    rendered: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": assignment.cron_job,
            "namespace": resource.metadata.namespace,
            "labels": labels | {run.INSTANCE_LABEL: settings.instance},
            **_ownership(resource),
        },
        "spec": {
            "schedule": accepted.expression,
            "timeZone": timetable.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": accepted.followed.starting_deadline_seconds,
            "successfulJobsHistoryLimit": resource.spec.run.history_limit,
            "failedJobsHistoryLimit": resource.spec.run.history_limit,
            "suspend": assignment.suspend,
            "jobTemplate": {
                "metadata": {"labels": labels},
                "spec": _job_spec(resource, accepted, settings, labels),
            },
        },
    }
    rendered["metadata"]["annotations"] = {run.HASH_ANNOTATION: _hash(rendered)}
    return rendered


def hash_of(rendered: dict[str, Any]) -> str:
    """Return the hash that a rendered CronJob carries."""
    return str(rendered["metadata"]["annotations"][run.HASH_ANNOTATION])


def request_job(
    rendered: dict[str, Any], owner_uid: str, request: str, *, last: str = ""
) -> dict[str, Any]:
    """Return the Job that a syncRequest makes of a rendered CronJob whose uid is known.

    `last` is the request that was honoured before it.
    """
    name = rendered["metadata"]["name"]
    template = json.loads(json.dumps(rendered["spec"]["jobTemplate"]))
    container = template["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": run.TRIGGER_VARIABLE, "value": "Request"})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": request_job_name(name, request, last),
            "namespace": rendered["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {run.REQUEST_ANNOTATION: request},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": name,
                    "uid": owner_uid,
                    "controller": True,
                }
            ],
        },
        "spec": template["spec"],
    }


def deadline_seconds(settings: RunSettings, timetable: Timetable) -> int:
    """Return how long a run may take by its own clock."""
    return settings.deadline_seconds or timetable.deadline_seconds


def _active_deadline_seconds(settings: RunSettings, timetable: Timetable) -> int:
    # Room for one retry of a run that used all its time; the Job's deadline takes the report away.
    return 2 * deadline_seconds(settings, timetable) + 120


def _labels(resource: VendorSync, accepted: Accepted) -> dict[str, str]:
    return {
        run.MANAGED_BY_LABEL: run.MANAGED_BY,
        run.RESOURCE_LABEL: resource.metadata.name,
        run.ORGANIZATION_LABEL: str(resource.spec.organization.id),
        run.VENDOR_LABEL: accepted.assignment.vendor.name,
        run.STREAM_LABEL: accepted.assignment.stream,
    }


def _ownership(resource: VendorSync) -> dict[str, Any]:
    """Return the owner references; a resource that is only a file owns nothing."""
    if not resource.metadata.uid:
        return {}
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
    }
    return {"ownerReferences": [owner]}


def _job_spec(
    resource: VendorSync, accepted: Accepted, settings: Settings, labels: dict[str, str]
) -> dict[str, Any]:
    return {
        "backoffLimit": 2,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": run.CONTAINER,
                        "operator": "NotIn",
                        "values": [int(code) for code in _RETRIED],
                    },
                },
            ]
        },
        "activeDeadlineSeconds": _active_deadline_seconds(resource.spec.run, accepted.timetable),
        "ttlSecondsAfterFinished": _DAY,
        "template": {
            "metadata": _pod_metadata(resource.spec.run, settings, labels),
            "spec": _pod(resource, accepted, settings),
        },
    }


def _pod_metadata(own: RunSettings, settings: Settings, labels: dict[str, str]) -> dict[str, Any]:
    """Return the pods' labels and annotations: the resource's before those of the settings."""
    metadata = {"labels": {**settings.run_labels, **(own.pod_labels or {}), **labels}}
    if annotations := {**settings.run_annotations, **(own.pod_annotations or {})}:
        metadata["annotations"] = annotations
    return metadata


def _security(settings: Settings) -> dict[str, Any]:
    security: dict[str, Any] = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if settings.run_as_user is not None:
        security |= {"runAsUser": settings.run_as_user, "runAsGroup": settings.run_as_user}
    return security


def _pod(resource: VendorSync, accepted: Accepted, settings: Settings) -> dict[str, Any]:
    own = resource.spec.run
    volumes, mounts = _volumes(resource, accepted)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": _security(settings),
        "containers": [_container(resource, accepted, settings, mounts)],
        "volumes": volumes,
    }
    optional = {
        "serviceAccountName": settings.service_account,
        "nodeSelector": own.node_selector,
        "tolerations": [toleration.wire() for toleration in own.tolerations or ()],
        "priorityClassName": own.priority_class_name,
        "imagePullSecrets": [reference.wire() for reference in own.image_pull_secrets or ()],
    }
    return pod | {name: value for name, value in optional.items() if value}


def _container(
    resource: VendorSync, accepted: Accepted, settings: Settings, mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": run.CONTAINER,
        "image": settings.job_image,
        "imagePullPolicy": settings.pull_policy,
        "args": ["run"],
        "env": [
            {"name": run.RUN_VARIABLE, "value": _compact(run_spec(resource, accepted, settings))},
            {
                "name": run.JOB_NAME_VARIABLE,
                "valueFrom": {
                    "fieldRef": {
                        "apiVersion": "v1",
                        "fieldPath": "metadata.labels['batch.kubernetes.io/job-name']",
                    }
                },
            },
        ],
        "resources": _resources(resource.spec.run.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": run.TERMINATION_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }


def _volumes(
    resource: VendorSync, accepted: Accepted
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes and their mounts.

    A Secret that is missing must not keep the pod from starting: the run reports it by name.
    """
    secrets = {
        "credentials": (
            accepted.assignment.vendor.credentials_secret_ref.name,
            run.CREDENTIALS_PATH,
        ),
        "database": (resource.spec.database.secret_ref.name, run.DATABASE_PATH),
        "token-keys": (run.TOKEN_KEYS_SECRET, run.TOKEN_KEYS_PATH),
    }
    if accepted.ca_secret:
        secrets["ca"] = (accepted.ca_secret, run.CA_PATH)
    volumes: list[dict[str, Any]] = [
        {"name": name, "secret": {"secretName": secret, "optional": True}}
        for name, (secret, _) in secrets.items()
    ]
    mounts: list[dict[str, Any]] = [
        {"name": name, "mountPath": path, "readOnly": True} for name, (_, path) in secrets.items()
    ]
    volumes.append({"name": "tmp", "emptyDir": {"sizeLimit": quantity.canonical("16Mi")}})
    mounts.append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - a path in the pod
    return volumes, mounts


def run_spec(resource: VendorSync, accepted: Accepted, settings: Settings) -> run.RunSpec:
    """Return the contract of one run."""
    vendor, spec = accepted.assignment.vendor, resource.spec
    database = spec.database.secret_ref
    return run.RunSpec(
        resource=run.RunResource(
            namespace=resource.metadata.namespace,
            name=resource.metadata.name,
            uid=resource.metadata.uid,
        ),
        organization=run.RunOrganization(id=spec.organization.id, name=spec.organization.name),
        vendor=run.RunVendor(
            name=vendor.name,
            id=vendor.id,
            display_name=vendor.display_name,
            adapter=vendor.adapter,
            base_url=vendor.base_url,
            options=vendor.options,
        ),
        stream=accepted.assignment.stream,
        schedule=_run_schedule(resource, accepted),
        deadline_seconds=deadline_seconds(spec.run, accepted.timetable),
        credentials=run.RunSecret(
            name=vendor.credentials_secret_ref.name,
            keys=tuple(" or ".join(group) for group in accepted.policy.secret_keys),
        ),
        database=run.RunSecret(name=database.name, keys=(database.key,)),
        allowed_endpoints=accepted.endpoints,
        application_schema=settings.application_schema,
        batch_size=settings.batch_size,
        concurrency_limit=settings.concurrency_limit,
        vanish_after=spec.run.vanish_after,
        vanish_guard_percent=spec.run.vanish_guard_percent,
        full_compare_hours=spec.run.full_compare_hours,
        legacy_tokens=run.LegacyTokens(spec.database.legacy_tokens or settings.legacy_tokens),
        detail_calls=accepted.detail_calls,
        allowances=tuple(map(run.RunAllowance.of, accepted.budgets)),
    )


def _run_schedule(resource: VendorSync, accepted: Accepted) -> run.RunSchedule:
    timetable = accepted.timetable
    return run.RunSchedule(
        time_zone=timetable.time_zone,
        windows=tuple(
            run.RunWindow(
                start=time_of_day(window.start),
                end=time_of_day(window.end),
                days=tuple(DAYS[day] for day in sorted(window.days)),
            )
            for window in timetable.windows
        ),
        cron_job=accepted.assignment.cron_job,
        starting_deadline_seconds=accepted.followed.starting_deadline_seconds,
        active_deadline_seconds=_active_deadline_seconds(resource.spec.run, timetable),
    )


def _resources(given: ResourceAmounts | None) -> dict[str, dict[str, str]]:
    """Return requests and limits; a default gives way where it would contradict what is given."""
    requests = dict((given and given.requests) or {})
    limits = dict((given and given.limits) or {})
    for name, default in _LIMITS.items():
        limits.setdefault(name, max(default, requests.get(name, default), key=quantity.value))
    for name, default in _REQUESTS.items():
        requests.setdefault(name, min(default, limits.get(name, default), key=quantity.value))
    return {"requests": _canonical(requests), "limits": _canonical(limits)}


def _canonical(amounts: dict[str, str | int]) -> dict[str, str]:
    return {name: quantity.canonical(amount) for name, amount in sorted(amounts.items())}


def _compact(spec: run.RunSpec) -> str:
    return json.dumps(spec.wire(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(rendered: dict[str, Any]) -> str:
    text = json.dumps(rendered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
