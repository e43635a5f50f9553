"""VendorSync resources in YAML files, read without a cluster.

The loader speaks YAML 1.2, as kubectl does where it matters: an unquoted 19:00 stays text. What the
API server would refuse by its CEL rules is refused here in plain Python, with the field at fault.
"""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import SafeRepresenter

from vendorsync_api.group import KIND
from vendorsync_api.pods import is_domain
from vendorsync_api.v1alpha1 import API_VERSION, VendorSync, VendorSyncStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_LIMIT = 63
_SPELLING = "write small letters, digits and dashes, with a letter or digit first and last"


# Words and times that readers of YAML 1.1, kubectl among them, take for something else.
_AMBIGUOUS = re.compile(r"(?i:y|n|yes|no|on|off)|[0-9]+(:[0-5]?[0-9])+")


_AMOUNTS = {"requests", "limits"}
"""Fields of spec.run.resources that hold quantities."""


class FileError(ValueError):
    """A file that cannot be used; the text names it, the field and the value."""


def load(path: str, *, namespace: str = "default") -> list[VendorSync]:
    """Return the VendorSync resources of a file (`-`: standard input), or raise FileError.

    `namespace` is that of the resources that name none.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        documents = list(YAML(typ="safe", pure=True).load_all(text))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    except DuplicateKeyError as error:
        raise FileError(f"{path}: {_duplicate(error)}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    found = [
        _resource(path, _in_namespace(document, namespace)) for document in _resources(documents)
    ]
    if not found:
        raise FileError(f"{path}: no resource of kind {KIND} in it")
    return found


class _Representer(SafeRepresenter):
    """Writes no anchors, and quotes what an older reader would not take for text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base's signature
        return True

    def represent_text(self, data: str) -> Any:  # noqa: ANN401 - a node, without a public type
        style = "'" if _AMBIGUOUS.fullmatch(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_text)


def dump(documents: list[dict[str, Any]]) -> str:
    """Return documents as a YAML stream that kubectl reads."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.explicit_start = True
    yaml.width = 2**16
    stream = StringIO()
    yaml.dump_all(documents, stream)
    return stream.getvalue()


def _in_namespace(document: dict[str, Any], namespace: str) -> dict[str, Any]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or "namespace" in metadata:
        return document
    return document | {"metadata": metadata | {"namespace": namespace}}


def _resources(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the documents of our kind, also those of a List as kubectl get prints it."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        if document.get("kind") == KIND:
            yield document
        elif str(document.get("kind", "")).endswith("List"):
            yield from _resources(document.get("items") or [])


def _resource(path: str, document: dict[str, Any]) -> VendorSync:
    metadata = document.get("metadata") or {}
    title = f"{path}: {KIND} {metadata.get('name', 'without a name')}"
    if document.get("apiVersion") != API_VERSION:
        raise FileError(f"{title}: apiVersion is {document.get('apiVersion')!r}; use {API_VERSION}")
    document = _without_nulls(document)
    try:
        # Strict as the API server is: a number in quotes is text.
        resource = VendorSync.model_validate_json(
            json.dumps(document | {"status": {}}, default=str), strict=True
        ).model_copy(update={"status": _status(document)})
    except ValidationError as error:
        raise FileError(f"{title}: {_fault(error)}") from error
    for fault in _faults(resource, document):
        raise FileError(f"{title}: {fault}")
    return resource


def _status(document: dict[str, Any]) -> VendorSyncStatus:
    """Return what a resource that was read from a cluster says of its accounts.

    A file is an edit, so the generation that was accepted says nothing about it.
    """
    try:
        found = VendorSyncStatus.model_validate(document.get("status") or {})
    except ValidationError:
        return VendorSyncStatus()
    return found.model_copy(update={"observed_generation": None})


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Return a value without the fields that are null, which the API server takes as absent."""
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        # The schema of options is open, so their nulls reach the adapter.
        name: each if name == "options" else _without_nulls(each)
        for name, each in value.items()
        if each is not None
    }


def _duplicate(error: DuplicateKeyError) -> str:
    line = error.problem_mark.line + 1 if error.problem_mark else "?"
    key = re.search(r'"(.*?)"', error.problem or "")
    return f"line {line} has the key {key[1] if key else '?'!r} a second time; remove one"


def _fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = _path(fault["loc"])
    if fault["type"] == "missing":
        return f"{where} is missing"
    if _AMOUNTS.intersection(fault["loc"]):
        # The type of an amount has two forms, and the last word of the place names one of them.
        where = where.rpartition(".")[0]
        return f"{where} {fault['input']!r} is not a quantity; write for example 250m or 128Mi"
    if fault["type"] == "too_short":
        return f"{where} is empty; it needs at least {fault['ctx']['min_length']} entry"
    if fault["type"] == "string_pattern_mismatch":
        return f"{where}: {fault['input']!r} is not spelled as kubectl explain shows it"
    return f"{where}: {fault['input']!r} does not fit: {fault['msg']}"


def _path(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _faults(resource: VendorSync, document: dict[str, Any]) -> Iterator[str]:
    """Yield what the API server refuses beyond the types of the fields."""
    name, namespace = resource.metadata.name, resource.metadata.namespace
    if len(name) > _NAME_LIMIT:
        yield f"metadata.name is longer than {_NAME_LIMIT} characters"
    if not is_domain(name):
        yield f"{name!r} is no name of an object; {_SPELLING}"
    if not is_domain(namespace) or "." in namespace:
        yield f"{namespace!r} is no name of a namespace; {_SPELLING}"
    known = resource.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    yield from _unknown("spec", document["spec"], known)
    yield from _repeated("name", [vendor.name for vendor in resource.spec.vendors])
    yield from _repeated("id", [v.id for v in resource.spec.vendors if v.id is not None])
    for where, schedule in _schedules("spec", known):
        if "intervalMinutes" in schedule and "cron" in schedule:
            yield f"{where} sets intervalMinutes and cron; they are two spellings of one field"


def _unknown(where: str, given: object, known: object) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known:
                yield f"{where}.{name} is not a field"
            else:
                yield from _unknown(f"{where}.{name}", value, known[name])
    elif isinstance(given, list) and isinstance(known, list):
        for index, (value, kept) in enumerate(zip(given, known, strict=True)):
            yield from _unknown(f"{where}[{index}]", value, kept)


def _repeated(field: str, values: list[Any]) -> Iterator[str]:
    for value in values:
        if values.count(value) > 1:
            yield f"spec.vendors has two entries with the {field} {value!r}"


def _schedules(where: str, known: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schedule of a spec with its path."""
    if isinstance(known, list):
        for index, value in enumerate(known):
            yield from _schedules(f"{where}[{index}]", value)
    elif isinstance(known, dict):
        for name, value in known.items():
            if name == "schedule" and isinstance(value, dict):
                yield f"{where}.{name}", value
            elif name != "options":
                yield from _schedules(f"{where}.{name}", value)
