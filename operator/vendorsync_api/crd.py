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
    "default",
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
            "spec": structural(api.VendorSyncSpec),
            # A default in the status would make the stored object differ from the one we wrote.
            "status": _without_defaults(structural(api.VendorSyncStatus)),
        },
    }


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of a model."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def _convert(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    node = _resolve(node, definitions)
    found = {key: node[key] for key in KEPT if key in node}
    if found.get("default") is None:
        found.pop("default", None)
    elif isinstance(found["default"], dict):
        found["default"] = {}  # the properties' own defaults fill it
    if description := describe(node):
        found["description"] = description
    if "properties" in node:
        found["properties"] = {
            name: _convert(child, definitions) for name, child in node["properties"].items()
        }
        if required := node.get("required"):
            found["required"] = required
    elif isinstance(node.get("additionalProperties"), dict):
        found["additionalProperties"] = _convert(node["additionalProperties"], definitions)
    if "items" in node:
        found["items"] = _convert(node["items"], definitions)
    return found


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


def _without_defaults(node: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in node.items() if key != "default"}
    if "properties" in found:
        found["properties"] = {k: _without_defaults(v) for k, v in found["properties"].items()}
    if "items" in found:
        found["items"] = _without_defaults(found["items"])
    return found


def describe(node: dict[str, Any]) -> str:
    """Return the description with unit and example, as `kubectl explain` shows it."""
    parts = [" ".join(str(node.get("description", "")).split())]
    if unit := node.get("unit"):
        parts.append(f"Unit: {unit}.")
    if examples := node.get("examples"):
        example = examples[0]
        parts.append(f"Example: {example if isinstance(example, str) else json.dumps(example)}")
    return " ".join(part for part in parts if part)


def main() -> None:
    """Print the CRD as JSON, which is YAML too."""
    json.dump(custom_resource_definition(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
