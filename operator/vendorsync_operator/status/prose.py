"""Pure: sentences of a status, made of words that stay the same while the state does.

So writing them cannot cause another write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vendorsync_api.reasons import ConditionReason
from vendorsync_operator.bounds import cut_bytes
from vendorsync_operator.results import runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_api.v1alpha1 import (
        VendorStatus,
    )

_PART_LIMIT = 300
"""Most bytes that a condition says of one vendor and stream, without the advice."""
PARTS_LIMIT = 600
"""Most bytes of all these parts, so that the status stays small: many of them are shorter."""
_SHORTEST_PART = 60
"""With less than that for each part, names are told by reason."""
_ACTIONABLE = frozenset(
    {
        ConditionReason.SPEC_INVALID,
        ConditionReason.UNKNOWN_TIME_ZONE,
        ConditionReason.UNKNOWN_ADAPTER,
        ConditionReason.STREAM_UNSUPPORTED,
        ConditionReason.OPTIONS_INVALID,
        ConditionReason.ENDPOINT_NOT_ALLOWED,
        ConditionReason.NEVER_RUNS,
        ConditionReason.APPLIED,
    }
)
"""Their sentences name what is possible or what to do; the advice would say it again."""
_Reason = TypeVar("_Reason", bound=str)
_Told = TypeVar("_Told")


@dataclass(frozen=True)
class Problem:
    """Something that keeps the spec from being applied; `subject` names it, or is empty."""

    reason: ConditionReason
    message: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message


def failures(entries: Iterable[VendorStatus]) -> list[tuple[str, str]]:
    """Return the reason of each failing entry, and `vendor/stream: Reason: message`, bounded.

    Where they are too many for that, return each reason once with the names of its entries.
    """
    return told_entries(
        (runs.failing(entry) or "", entry, entry.message or "") for entry in entries
    )


def told_entries(found: Iterable[tuple[str, VendorStatus, str]]) -> list[tuple[str, str]]:
    """Return the same of any reasons and messages of entries."""
    parts = list(found)
    room = min(_PART_LIMIT, PARTS_LIMIT // max(len(parts), 1))
    if room >= _SHORTEST_PART:
        return [
            (reason, cut_bytes(": ".join(filter(None, (title(entry), reason, message))), room))
            for reason, entry, message in parts
        ]
    groups = by_reason((reason, entry) for reason, entry, _ in parts)
    return [(reason, f"{reason}: {_titles(entries)}") for reason, entries in groups]


def told_problems(problems: Iterable[Problem]) -> str:
    """Return the problems by reason, what several share once with all their names."""
    subjects: dict[tuple[ConditionReason, str], list[str]] = {}
    for problem in problems:
        subjects.setdefault((problem.reason, problem.message), []).append(problem.subject)
    told = [
        (reason, str(Problem(reason, message, ", ".join(filter(None, names)))))
        for (reason, message), names in subjects.items()
    ]
    return " ".join(
        advised(found, "" if reason in _ACTIONABLE else reason.advice)
        for reason, found in by_reason(told)
    )


def by_reason(told: Iterable[tuple[_Reason, _Told]]) -> Iterable[tuple[_Reason, list[_Told]]]:
    """Return what is told of each reason, in the order in which they first appear."""
    found: dict[_Reason, list[_Told]] = {}
    for reason, text in told:
        found.setdefault(reason, []).append(text)
    return found.items()


def advised(told: Iterable[str], advice: str) -> str:
    """Return sentences and the advice that follows from them."""
    sentences = [text if text.endswith((".", "…")) else f"{text}." for text in told]
    return " ".join(filter(None, [*sentences, advice]))


def title(entry: VendorStatus) -> str:
    """Return `vendor/stream`."""
    return f"{entry.name}/{entry.stream}"


def _titles(entries: Iterable[VendorStatus]) -> str:
    """Return `plants of a, b and alerts of a`, which is the shortest way to name many."""
    groups = by_reason((entry.stream, entry.name) for entry in entries)
    return " and ".join(f"{stream} of {', '.join(names)}" for stream, names in groups)
