"""The next runs of a resource, as a table for people."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from vendorsync_operator.spec import resolve
from vendorsync_operator.spec.accept import Accepted, Refusal, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from vendorsync_api.v1alpha1 import VendorSync
    from vendorsync_operator.settings import Settings
    from vendorsync_operator.spec.accept import Policies

_HEADER = ("RESOURCE", "VENDOR", "STREAM", "NEXT RUN", "UTC", "SCHEDULE", "WINDOW")


def judged(
    resource: VendorSync, *, settings: Settings, policies: Policies
) -> tuple[list[Accepted], list[Refusal]]:
    """Return what of a resource can be served, and what is refused."""
    accepted: list[Accepted] = []
    refused: list[Refusal] = []
    for assignment in resolve.assignments(resource, settings.schedule):
        verdict = judge(resource, assignment, settings=settings, policies=policies)
        if isinstance(verdict, Refusal):
            refused.append(verdict)
        else:
            accepted.append(verdict)
    return accepted, refused


def table(runs: Iterable[tuple[VendorSync, list[Accepted]]], *, after: datetime, count: int) -> str:
    """Return the next `count` runs of each vendor and stream, later than `after`."""
    rows = [
        row
        for resource, accepted in runs
        for each in accepted
        for row in _rows(resource, each, after, count)
    ]
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEADER, *rows)
    )
    return "\n".join(lines)


def _rows(
    resource: VendorSync, accepted: Accepted, after: datetime, count: int
) -> Iterator[tuple[str, ...]]:
    timetable, assignment = accepted.timetable, accepted.assignment
    names = (resource.metadata.name, *assignment.key)
    said = (timetable.interval_text, f"{timetable.window_text} {timetable.time_zone}")
    if assignment.suspend:
        yield (*names, "suspended", "-", *said)
        return
    for moment in islice(timetable.upcoming(after), count):
        local = moment.astimezone(timetable.zone)
        yield (
            *names,
            local.strftime("%a %Y-%m-%d %H:%M %z"),
            moment.strftime("%Y-%m-%d %H:%MZ"),
            *said,
        )
