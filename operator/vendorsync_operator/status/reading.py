"""Pure: a VendorSync out of JSON, its spec as it must be and its status as far as it can be read.

The status may have been written by a later version, or by hand. A field that this version cannot
read is lost alone: not the entry that has it, not the other entries, and never the spec.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vendorsync_api.v1alpha1 import VendorSync, VendorSyncStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from vendorsync_api.v1alpha1 import VendorStatus

    Place = tuple[int | str, ...]
    """Where a value is in a document: names and indexes from the top down."""

_TIMES = (
    "start_time", "completion_time", "last_successful_time", "last_failure_time",
    "next_schedule_time",
)  # fmt: skip
_YEARS = range(2, 9999)
"""Of times that can be counted with."""
_TYPE_NAMES = ("constrained-str", "str", "int")
"""With which a fault ends that concerns a field of several types."""
_SHOWN = 80
"""Characters of a value at fault that a sentence shows."""


def resource(text: bytes) -> VendorSync:
    """Return a VendorSync from JSON; raises ValidationError where its metadata or spec is wrong."""
    try:
        found = VendorSync.model_validate_json(text)
    except ValidationError:
        document = json.loads(text)
        found = VendorSync.model_validate(document | {"status": {}})
        return found.model_copy(update={"status": status(document.get("status"))})
    kept = _timely(found.status)
    return found if kept is found.status else found.model_copy(update={"status": kept})


def status(document: object) -> VendorSyncStatus:
    """Return what can be read of a status."""
    kept = json.loads(json.dumps(document)) if isinstance(document, dict) else {}
    while True:
        try:
            return _timely(VendorSyncStatus.model_validate(kept))
        except ValidationError as error:
            places = {place for each in error.errors() for place in _lost(each)}
        for place in sorted(places, key=_depth, reverse=True):
            _remove(kept, place)


def fault(error: ValidationError) -> str:
    """Return one sentence about the first thing that is wrong, with its place and its value."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    if place[-1] in _TYPE_NAMES:
        place.pop()
    given = first["input"]
    value = f" {str(given)[:_SHOWN]!r}" if isinstance(given, str | int | float) else ""
    return f"{'.'.join(place)}{value}: {first['msg']}"


def _lost(error: ErrorDetails) -> Iterator[Place]:
    """Yield what has to go so that the rest can be read."""
    place = error["loc"]
    if error["type"] == "missing":
        yield place[:-1]
    elif error["type"] == "too_long":
        bounds = error["ctx"]
        yield from ((*place, n) for n in range(bounds["max_length"], bounds["actual_length"]))
    else:
        yield place


def _depth(place: Place) -> list[tuple[int, str]]:
    """Orders places so that from the last to the first each can be removed on its own."""
    return [(part, "") if isinstance(part, int) else (0, part) for part in place]


def _remove(document: Any, place: Place) -> None:  # noqa: ANN401 - any JSON
    for part in place[:-1]:
        document = document[part]
    del document[place[-1]]


def _timely(found: VendorSyncStatus) -> VendorSyncStatus:
    """Return a status without times that are none; they are compared and counted with."""
    if all(_is_time(getattr(entry, name)) for entry in found.vendors for name in _TIMES):
        return found
    return found.model_copy(update={"vendors": tuple(map(_with_times, found.vendors))})


def _with_times(entry: VendorStatus) -> VendorStatus:
    return entry.model_copy(
        update={name: None for name in _TIMES if not _is_time(getattr(entry, name))}
    )


def _is_time(text: str | None) -> bool:
    if text is None:
        return True
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.year in _YEARS
