"""Events for people: when a vendor's standing, a delay or Ready turns, and not too many."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vendorsync_api.group import KIND
from vendorsync_api.reasons import ConditionReason, Result, RunReason
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator.bounds import cut_bytes
from vendorsync_operator.results import runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from vendorsync_api.v1alpha1 import Condition, Metadata, VendorStatus, VendorSyncStatus

HOURLY_LIMIT = 20
"""Events of one resource within an hour; the status has the rest."""
_NOTE_LIMIT = 1024
"""Bytes of a note; the API server refuses an Event with more (events.k8s.io/v1)."""
_COMPONENT = "vendorsync.dev/operator"


@dataclass(frozen=True)
class Transition:
    """Something that turned."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


def transitions(old: VendorSyncStatus, new: VendorSyncStatus) -> Iterator[Transition]:
    """Yield what turned between two statuses of a resource."""
    before = {(entry.name, entry.stream): entry for entry in old.vendors}
    for entry in new.vendors:
        yield from _run_transition(before.get((entry.name, entry.stream)), entry)
        yield from _delay_transition(before.get((entry.name, entry.stream)), entry)
    yield from _request_transition(old, new)
    yield from _ready_transition(_ready(old), _ready(new))


def _run_transition(old: VendorStatus | None, new: VendorStatus) -> Iterator[Transition]:
    was, now = old and runs.failing(old), runs.failing(new)
    title = f"{new.name}/{new.stream}"
    if new.result == Result.UNKNOWN and (old is None or old.result != new.result):
        yield Transition("Warning", RunReason.REPORT_LOST, f"{title}: the report of a run is lost")
    if now and now != was:
        yield Transition("Warning", now, f"{title}: {new.message or 'the last run failed'}")
    elif was and not now:
        yield Transition("Normal", "Recovered", f"{title}: succeeded again after {was}")


def _delay_transition(old: VendorStatus | None, new: VendorStatus) -> Iterator[Transition]:
    """Yield that a run became overdue; that it is no longer so is told by how it ends."""
    was = old.delay.reason if old and old.delay else None
    if new.delay and new.delay.reason != was:
        note = f"{new.name}/{new.stream}: {new.delay.message}"
        yield Transition("Warning", new.delay.reason, note)


def _request_transition(old: VendorSyncStatus, new: VendorSyncStatus) -> Iterator[Transition]:
    """Yield that a syncRequest is done and could not start every run."""
    if new.last_sync_request != old.last_sync_request and new.sync_request_message:
        note = f"syncRequest {new.last_sync_request}: {new.sync_request_message}"
        yield Transition("Warning", ConditionReason.NAME_CONFLICT, note)


def _ready_transition(old: Condition | None, new: Condition | None) -> Iterator[Transition]:
    if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
        return
    if new.status != "True" or new.reason == ConditionReason.BUDGET_TIGHT:
        yield Transition("Warning", new.reason, new.message)
    elif old is not None:
        # Events of a thousand new resources, of which nothing turned, would be a seventh of all
        # requests.
        yield Transition("Normal", "Ready", new.message)


def _ready(status: VendorSyncStatus) -> Condition | None:
    return next((c for c in status.conditions if c.type == "Ready"), None)


class Recorder:
    """Makes Event objects, at most HOURLY_LIMIT an hour for one resource."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._recent: dict[tuple[str, str], deque[datetime]] = {}

    def event(
        self, metadata: Metadata, transition: Transition, now: datetime
    ) -> dict[str, Any] | None:
        """Return the Event to create, or None when there were enough."""
        key = metadata.namespace, metadata.name
        recent = self._recent.setdefault(key, deque(maxlen=HOURLY_LIMIT))
        if len(recent) == HOURLY_LIMIT and (now - recent[0]).total_seconds() < 3600:
            return None
        recent.append(now)
        return _event(metadata, transition, now, self._instance)

    def forget(self, key: tuple[str, str]) -> None:
        """Drop what is remembered of a resource that is gone."""
        self._recent.pop(key, None)


def _event(
    metadata: Metadata, transition: Transition, now: datetime, instance: str
) -> dict[str, Any]:
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    identity = f"{metadata.uid}/{transition.reason}/{transition.note}/{moment}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
            "namespace": metadata.namespace,
        },
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
        },
        "type": transition.type,
        "reason": transition.reason,
        "action": "Reconcile",
        "note": cut_bytes(transition.note, _NOTE_LIMIT),
        "eventTime": moment,
        "reportingController": _COMPONENT,
        "reportingInstance": instance,
    }
