"""What kwok makes of nodes and pods, as its Stage documents.

A stage is a selector, a delay and a Go template of the next status. A Job's pod runs at once and
ends after `Runs.seconds`, successfully, with a report of its own vendor and stream as the message
of its terminated container: what the product's image would have written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vendorsync_api import run
from vendorsync_api.reasons import Result, RunReason, Trigger

LABEL: Final = "vendorsync.dev/pretends"
"""Label of the nodes that are kwok's."""

_STAGE: Final = "kwok.x-k8s.io/v1alpha1"
_NOW: Final = "{{ Now | Quote }}"
_FROM_START: Final = "(index .status.containerStatuses 0).state.running.startedAt"


@dataclass(frozen=True)
class Runs:
    """How runs go: how long one takes, give or take `jitter`, and how many plants it lists."""

    seconds: float = 1.0
    jitter: float = 0.0
    plants: int = 12


def documents(runs: Runs) -> list[dict[str, Any]]:
    """Return the stages of nodes and pods."""
    return [
        _stage("node-ready", "Node", _NODE, selector=[_other_than(_READY, "True")]),
        _stage("pod-runs", "Pod", _RUNNING, selector=[_ALIVE, _is(".status.phase", "Pending")]),
        _stage(
            "pod-ends",
            "Pod",
            _ended(runs),
            selector=[_ALIVE, _is(".status.phase", "Running")],
            delay={
                "durationMilliseconds": round(runs.seconds * 1000),
                "jitterDurationMilliseconds": round((runs.seconds + runs.jitter) * 1000),
            },
        ),
        _stage("pod-gone", "Pod", None, selector=[{"key": _DELETION, "operator": "Exists"}]),
    ]


_READY: Final = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_DELETION: Final = ".metadata.deletionTimestamp"
_ALIVE: Final = {"key": _DELETION, "operator": "DoesNotExist"}


def _is(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": [value]}


def _other_than(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "NotIn", "values": [value]}


def _stage(
    name: str,
    kind: str,
    status: str | None,
    *,
    selector: list[dict[str, Any]],
    delay: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Return a stage; without a status it deletes the object."""
    return {
        "apiVersion": _STAGE,
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": selector},
            **({"delay": delay} if delay else {}),
            "next": {"delete": True} if status is None else {"statusTemplate": status},
        },
    }


_NODE: Final = f"""
conditions:
{{{{ range NodeConditions }}}}
- type: {{{{ .type | Quote }}}}
  status: {{{{ .status | Quote }}}}
  reason: {{{{ .reason | Quote }}}}
  message: {{{{ .message | Quote }}}}
  lastHeartbeatTime: {_NOW}
  lastTransitionTime: {_NOW}
{{{{ end }}}}
allocatable: {{cpu: 1k, memory: 1Ti, pods: "100000"}}
capacity: {{cpu: 1k, memory: 1Ti, pods: "100000"}}
"""

_RUNNING: Final = f"""
phase: Running
startTime: {_NOW}
conditions:
- {{type: Initialized, status: "True", lastTransitionTime: {_NOW}}}
- {{type: Ready, status: "True", lastTransitionTime: {_NOW}}}
- {{type: ContainersReady, status: "True", lastTransitionTime: {_NOW}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: true
  restartCount: 0
  state: {{running: {{startedAt: {_NOW}}}}}
{{{{ end }}}}
"""


def _ended(runs: Runs) -> str:
    return f"""
{{{{ $started := {_FROM_START} }}}}
phase: Succeeded
conditions:
- {{type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {_NOW}}}
- {{type: ContainersReady, status: "False", reason: PodCompleted, lastTransitionTime: {_NOW}}}
containerStatuses:
{{{{ $message := {_report(runs)} }}}}
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{{{ $started | Quote }}}}
      finishedAt: {_NOW}
      message: {{{{ $message | Quote }}}}
{{{{ end }}}}
"""


def _report(runs: Runs) -> str:
    """Return the template of a RunReport; vendor and stream come from the pod's labels."""
    written = run.RunReport(
        vendor=_label(run.VENDOR_LABEL),
        stream=_label(run.STREAM_LABEL),
        result=Result.SUCCEEDED,
        reason=RunReason.SYNCED,
        trigger=Trigger.SCHEDULE,
        start_time="$started",
        completion_time="Now",
        duration_seconds=runs.seconds,
        complete=True,
        total=runs.plants,
        created=1,
        unchanged=runs.plants - 1,
        calls=2,
    )
    computed = {"vendor", "stream", "startTime", "completionTime"}
    fields = written.model_dump(mode="json", by_alias=True, exclude_none=True)
    words = [
        f'"{name}" {value if name in computed else _literal(value)}'
        for name, value in fields.items()
    ]
    return f"(dict {' '.join(words)} | toJson)"


def _label(name: str) -> str:
    return f'(index .metadata.labels "{name}")'


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
