"""How the pods of runs are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from vendorsync_api.model import Model, about, rule
from vendorsync_api.pods import LABEL_VALUE, annotation_faults, label_faults
from vendorsync_api.v1alpha1.fields import LABEL_KEY, MAX_ID, LocalObjectRef, Quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_TAKEN = (
    "key.matches('^(([^/]+[.])?(vendorsync[.]dev|batch[.]kubernetes[.]io)/.*"
    "|app[.]kubernetes[.]io/managed-by|job-name|controller-uid)$')"
)
_FREE_KEYS = rule(
    f"!self.exists(key, {_TAKEN})",
    "the key of a label or annotation must not be one that VendorSync or Kubernetes sets itself",
    computed=f"'key ' + self.filter(key, {_TAKEN})[0] + "
    "' is set by VendorSync or Kubernetes itself; use another key'",
)
"""What `vendorsync_api.pods` says of owners, for the API server."""


def _without(faults: Callable[[Mapping[str, str]], Iterator[str]]) -> AfterValidator:
    """Return a check that refuses what has one of the faults, in its words."""

    def check(given: dict[str, str] | None) -> dict[str, str] | None:
        for fault in faults(given or {}):
            raise PydanticCustomError("pod_metadata", "{fault}", {"fault": fault})
        return given

    return AfterValidator(check)


class ResourceAmounts(Model):
    """Compute resources of the job's container, as in any pod."""

    requests: Annotated[
        dict[str, Quantity | int] | None,
        about(
            "Amounts that a run is sure to get.",
            example={"cpu": "50m", "memory": "96Mi"},
            max_length=8,
        ),
    ] = None
    limits: Annotated[
        dict[str, Quantity | int] | None,
        about("Amounts that a run never exceeds.", example={"memory": "256Mi"}, max_length=8),
    ] = None


class Toleration(Model):
    """A toleration of the job's pods, as in any pod."""

    key: Annotated[str | None, about("Taint key.", example="dedicated", max_length=LABEL_KEY)] = (
        None
    )
    operator: Annotated[
        Literal["Exists", "Equal"] | None, about("How key and value match.", example="Equal")
    ] = None
    value: Annotated[str | None, about("Taint value.", example="batch", max_length=63)] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        about("Taint effect.", example="NoSchedule"),
    ] = None
    toleration_seconds: Annotated[
        int | None,
        about(
            "How long a NoExecute taint is tolerated.",
            example=60,
            unit="seconds",
            ge=0,
            le=MAX_ID,
        ),
    ] = None


class RunSettings(Model):
    """How the runs' pods are made."""

    deadline_seconds: Annotated[
        int | None,
        about(
            "Longest time that a run may take. Default: ten minutes, or a minute less than the"
            " interval where that is shorter.",
            example=600,
            unit="seconds",
            ge=30,
            le=21_600,
        ),
    ] = None
    resources: Annotated[
        ResourceAmounts | None,
        about("Compute resources of the run.", example={"limits": {"memory": "256Mi"}}),
    ] = None
    history_limit: Annotated[
        int,
        about(
            "Finished Jobs that are kept of each kind, succeeded and failed.",
            example=1,
            unit="Jobs",
            ge=1,
            le=20,
        ),
    ] = 1
    vanish_after: Annotated[
        int,
        about(
            "Complete listings in a row that must lack a plant before it is marked as vanished. A"
            " plant that is listed again is unmarked at once.",
            example=3,
            unit="listings",
            ge=1,
            le=100,
        ),
    ] = 3
    vanish_guard_percent: Annotated[
        int,
        about(
            "Share of a vendor's plants that a listing may lack. If more are absent, none is marked"
            " and the run ends as VanishHeld. Up to five plants are always marked. 100 marks"
            " whatever was absent for vanishAfter runs, even all plants.",
            example=20,
            unit="percent",
            ge=0,
            le=100,
        ),
    ] = 20
    full_compare_hours: Annotated[
        int,
        about(
            "Hours after which a run compares with the rows themselves instead of with what was"
            " last written. Such a run corrects the columns that somebody else changed.",
            example=24,
            unit="hours",
            ge=1,
            le=720,
        ),
    ] = 24
    node_selector: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=63)]] | None,
        about(
            "Labels that a node must have.", example={"kubernetes.io/os": "linux"}, max_length=16
        ),
    ] = None
    tolerations: Annotated[
        tuple[Toleration, ...] | None,
        about(
            "Taints that are tolerated.",
            example=[{"key": "dedicated", "operator": "Exists"}],
            max_length=16,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    pod_labels: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=63, pattern=f"^{LABEL_VALUE}$")]]
        | None,
        about(
            "Labels that are added to the pods. They win over those of the operator's settings.",
            example={"sidecar.istio.io/inject": "false"},
            max_length=16,
            rules=[_FREE_KEYS],
        ),
        _without(label_faults),
    ] = None
    pod_annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=1024)]] | None,
        about(
            "Annotations that are added to the pods. They win over those of the operator's"
            " settings.",
            example={"linkerd.io/inject": "disabled"},
            max_length=16,
            rules=[_FREE_KEYS],
        ),
        _without(annotation_faults),
    ] = None
    priority_class_name: Annotated[
        str | None,
        about("Priority class of the pods.", example="batch-low", min_length=1, max_length=253),
    ] = None
    image_pull_secrets: Annotated[
        tuple[LocalObjectRef, ...] | None,
        about(
            "Secrets that the job's image is pulled with.",
            example=[{"name": "registry"}],
            max_length=8,
            schema={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = None
