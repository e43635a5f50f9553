"""What the chart gives the operator: its CRD, its rights, its environment; rendered by Helm."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dev.cluster.command import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Document = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "vendorsync"
RELEASE = "vendorsync"
NAMESPACE = "vendorsync"
SERVICE_ACCOUNT = "vendorsync"
USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
_RULES = ("ClusterRole", "Role")
_AGGREGATED = "rbac.authorization.k8s.io/aggregate-to-"
_APPLIED = (
    "ServiceAccount",
    "CustomResourceDefinition",
    *_RULES,
    "ClusterRoleBinding",
    "RoleBinding",
)


@dataclass(frozen=True, order=True, slots=True)
class Right:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        """Return it as `kubectl auth can-i` takes it: `create cronjobs.batch`."""
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"


def render(helm: Path, values: Mapping[str, object]) -> list[Document]:
    """Return everything that the chart makes with these values."""
    where = f"--namespace={NAMESPACE}"
    rendered = run(
        [helm, "template", RELEASE, CHART, where, "--values=-"], stdin=json.dumps(values)
    )
    return [document for document in yaml.safe_load_all(rendered) if document]


def applied(documents: Iterable[Document]) -> list[Document]:
    """Return what a plane needs of the chart: CRD, service account, roles and bindings."""
    return [document for document in documents if document["kind"] in _APPLIED]


def roles(documents: Iterable[Document]) -> list[Document]:
    """Return the operator's roles, without those that people get (aggregated roles)."""
    return [
        document
        for document in documents
        if document["kind"] in _RULES
        and not any(
            label.startswith(_AGGREGATED) for label in document["metadata"].get("labels", ())
        )
    ]


def rights(documents: Iterable[Document]) -> list[Right]:
    """Return every right of every role, each once."""
    return sorted(
        {right for role in roles(documents) for rule in role["rules"] for right in _rights(rule)}
    )


def without(documents: Iterable[Document], dropped: Right) -> list[Document]:
    """Return the roles, none of which has the right any more; all other rights stay."""
    found = copy.deepcopy(roles(documents))
    for role in found:
        role["rules"] = [part for rule in role["rules"] for part in _split(rule, dropped)]
    return found


def places(documents: Iterable[Document], right: Right) -> list[tuple[str, str]]:
    """Return where the roles give a right: namespace and object name, empty for all."""
    return [
        (role["metadata"].get("namespace", ""), name)
        for role in roles(documents)
        for rule in role["rules"]
        if right in _rights(rule)
        for name in rule.get("resourceNames", ("",))
    ]


def environment(documents: Iterable[Document], pod: str) -> dict[str, str]:
    """Return the variables of the operator's container in a pod of that name."""
    deployment = next(document for document in documents if document["kind"] == "Deployment")
    fields = {"metadata.name": pod, "metadata.namespace": NAMESPACE}
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {
        entry["name"]: str(entry["value"])
        if "value" in entry
        else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container["env"]
    }


def _rights(rule: Document) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield Right(group, resource, verb)


def _split(rule: Document, dropped: Right) -> Iterator[Document]:
    """Yield the rule as one for each group and resource, without what is dropped."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            verbs = [verb for verb in rule["verbs"] if Right(group, resource, verb) != dropped]
            if verbs:
                yield rule | {"apiGroups": [group], "resources": [resource], "verbs": verbs}
