"""Models -> CustomResourceDefinition.

`python -m vendorsync_api.crd` prints the CRD. pydantic's JSON schema is turned into a structural
schema: references are inlined, `X | None` becomes an optional X, and only keywords that the API
server knows are kept.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from vendorsync_api import group
from vendorsync_api import v1alpha1 as api
from vendorsync_api.v1alpha1.status import NOT_SEEN

if TYPE_CHECKING:
    from pydantic import BaseModel

KEPT = (
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
)

COLUMNS = (
    ("Org", "string", ".spec.organization.name", 0),
    ("Interval", "string", ".status.display.interval", 0),
    ("Window", "string", ".status.display.window", 0),
    ("Vendors", "string", ".status.display.vendors", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Synced", "string", '.status.conditions[?(@.type=="Synced")].status', 0),
    ("Last Sync", "string", ".status.display.lastSyncTime", 0),
    # A column of type date would print a time to come as "<invalid>".
    ("Next Sync", "string", ".status.nextScheduleTime", 0),
    ("Plants", "integer", ".status.summary.totalPlantsSynced", 0),
    ("Why Ready", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("Why Synced", "string", '.status.conditions[?(@.type=="Synced")].reason', 1),
    ("Degraded", "string", '.status.conditions[?(@.type=="Degraded")].status', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)

NAME_RULE = {
    "rule": "self.metadata.name.size() <= 63",
    "message": "metadata.name may have at most 63 characters",
    "messageExpression": "'metadata.name %s has %d characters; use at most 63'"
    ".format([self.metadata.name, self.metadata.name.size()])",
}


def custom_resource_definition() -> dict[str, Any]:
    """Return the CRD as the API server takes it (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{group.PLURAL}.{group.GROUP}"},
        "spec": {
            "group": group.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": group.KIND,
                "listKind": f"{group.KIND}List",
                "plural": group.PLURAL,
                "singular": group.SINGULAR,
                "shortNames": list(group.SHORT_NAMES),
            },
            "versions": [
                {
                    "name": api.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})


def _root() -> dict[str, Any]:
    return {
        "type": "object",
        "description": (api.VendorSync.__doc__ or "").strip(),
        "required": ["spec"],
        "x-kubernetes-validations": [NAME_RULE],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(api.VendorSyncSpec, defaults=True),
            "status": _not_seen(structural(api.VendorSyncStatus)),
        },
    }


def structural(model: type[BaseModel], *, defaults: bool = False) -> dict[str, Any]:
    """Return the structural schema of a model; `defaults` tells people what is absent stands for.

    The API server stores no default: the stored object would differ from the one that a person or a
    GitOps tool applied.
    """
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}), defaults=defaults)


def _convert(
    node: dict[str, Any], definitions: dict[str, Any], *, defaults: bool
) -> dict[str, Any]:
    def convert(child: dict[str, Any]) -> dict[str, Any]:
        return _convert(child, definitions, defaults=defaults)

    node = _resolve(node, definitions)
    found = {key: node[key] for key in KEPT if key in node}
    if description := describe(node, default=defaults):
        found["description"] = description
    if "properties" in node:
        found["properties"] = {name: convert(child) for name, child in node["properties"].items()}
        if required := node.get("required"):
            found["required"] = required
    elif isinstance(node.get("additionalProperties"), dict):
        found["additionalProperties"] = convert(node["additionalProperties"])
    if "items" in node:
        found["items"] = convert(node["items"])
    return found


def _not_seen(status: dict[str, Any]) -> dict[str, Any]:
    """Return the status with its only default: a resource that no operator has seen says so."""
    generation = status["properties"]["observedGeneration"] | {"default": NOT_SEEN}
    properties = status["properties"] | {"observedGeneration": generation}
    return status | {"default": {}, "properties": properties}


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Follow references and drop the null alternative; what the field says wins over the model."""
    if reference := node.get("$ref"):
        target = definitions[reference.rsplit("/", 1)[1]]
        return _resolve({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if len(options) == 1:
        return _resolve({**options[0], **rest}, definitions)
    if {option.get("type") for option in options} == {"string", "integer"}:
        text = next(option for option in options if option["type"] == "string")
        return {**rest, "x-kubernetes-int-or-string": True, "pattern": text["pattern"]}
    return node


def describe(node: dict[str, Any], *, default: bool = False) -> str:
    """Return the description with unit and example, as `kubectl explain` shows it.

    `default` adds what an absent field stands for, if the model knows.
    """
    parts = [" ".join(str(node.get("description", "")).split())]
    if unit := node.get("unit"):
        parts.append(f"Unit: {unit}.")
    if default and isinstance(known := node.get("default"), bool | int | str):
        parts.append(f"Default: {_plain(known)}.")
    if examples := node.get("examples"):
        parts.append(f"Example: {_plain(examples[0])}")
    return " ".join(part for part in parts if part)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def main() -> None:
    """Print the CRD as JSON, which is YAML too."""
    json.dump(custom_resource_definition(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
