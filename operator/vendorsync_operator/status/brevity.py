"""Pure: what the entries of a status leave out, so that it stays small with many of them.

Up to FEW entries are whole. More leave out what follows from their other fields, which `restored`
puts back before anything is decided, and what the Job and its log say anyway. What is left out
follows from the number of entries alone, and the room for messages from the rest of them, so a
status that is computed again from itself stays the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vendorsync_api.reasons import Result, RunReason, Trigger
from vendorsync_api.v1alpha1 import Delay
from vendorsync_operator.bounds import cut_bytes
from vendorsync_operator.results import runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_api.v1alpha1 import VendorStatus

FEW = 10
"""Entries: five vendors with two streams."""
SMALL, MANY = 10_000, 25
"""Bytes of a status of up to that many entries, the size class in which a cluster holds the most
objects of a kind; more have BYTES_EACH."""
BYTES_EACH = 500
_SHORTEST_MESSAGE = 30
"""Bytes; less is not worth its field."""

_ELSEWHERE = (
    "start_time", "exit_code", "total", "rejected", "duplicate", "vanished", "repaired",
)  # fmt: skip
"""What the Job and the log of a run say too."""


def limit(count: int) -> int:
    """Return how many bytes a status of that many entries may have."""
    return SMALL if count <= MANY else BYTES_EACH * count


def brief(entries: list[VendorStatus]) -> list[VendorStatus]:
    """Return the entries as they are written, in a status that has no more of them.

    The plants' keep the durations that the summary looks at: a longer one may become a short one.
    """
    return entries if len(entries) <= FEW else [_without(entry) for entry in entries]


def restored(entry: VendorStatus) -> VendorStatus:
    """Return an entry with all that follows from what was written of it."""
    if entry.result is None:
        return entry
    found: dict[str, object] = {"trigger": entry.trigger or Trigger.SCHEDULE.value}
    if entry.result == Result.SUCCEEDED:
        found["last_successful_time"] = entry.last_successful_time or entry.completion_time
    elif _failed(entry):
        found["last_failure_time"] = entry.last_failure_time or entry.completion_time
    return entry.model_copy(update=found)


def bounded(entries: list[VendorStatus]) -> list[VendorStatus]:
    """Return the entries with messages that fit into the status together."""
    if sum(entry.delay is not None for entry in entries) > FEW:
        entries = [_tersely(entry) for entry in entries]
    speaking = sum(entry.message is not None for entry in entries)
    if not speaking:
        return entries
    silent = (entry.model_copy(update={"message": None}) for entry in entries)
    left = limit(len(entries)) - _reserve(entries) - _size(brief(list(silent)))
    # A message costs its field's name too.
    room = left // speaking - 14
    return [entry.model_copy(update={"message": _cut(entry.message, room)}) for entry in entries]


def _reserve(entries: list[VendorStatus]) -> int:
    """Return the bytes that conditions, display and summary need beside the entries."""
    names = 30 * len(entries)
    return 2_200 + names + (900 + names // 3 if any(entry.delay for entry in entries) else 0)


def _tersely(entry: VendorStatus) -> VendorStatus:
    if entry.delay is None:
        return entry
    # With so many of them the reasons say enough.
    return entry.model_copy(update={"delay": Delay(reason=entry.delay.reason)})


def _without(entry: VendorStatus) -> VendorStatus:
    dropped: dict[str, None] = dict.fromkeys(_ELSEWHERE)
    if entry.stream != "plants" or not runs.listed(entry):
        dropped["duration_seconds"] = None
    if runs.standing(entry) != RunReason.BUDGET_SPENT:
        dropped["budget_remaining"] = None
    if entry.trigger == Trigger.SCHEDULE:
        dropped["trigger"] = None
    if entry.result == Result.SUCCEEDED and entry.last_successful_time == entry.completion_time:
        dropped["last_successful_time"] = None
    if _failed(entry) and entry.last_failure_time == entry.completion_time:
        dropped["last_failure_time"] = None
    return entry.model_copy(update=dropped)


def _failed(entry: VendorStatus) -> bool:
    return entry.result not in (None, Result.SUCCEEDED) and not runs.is_silent(entry)


def _size(entries: Iterable[VendorStatus]) -> int:
    text = json.dumps([entry.wire() for entry in entries], separators=(",", ":"))
    return len(text)


def _cut(text: str | None, room: int) -> str | None:
    if text is None or len(text.encode()) <= room:
        return text
    return cut_bytes(text, room) if room >= _SHORTEST_MESSAGE else None
