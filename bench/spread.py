"""How evenly `spread: Hashed` puts organizations over the minutes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.organizations import QUARTERLY, resource
from bench.report import Goal, Line
from vendorsync_api.v1alpha1 import VendorSync
from vendorsync_operator.settings import ScheduleDefaults
from vendorsync_operator.spec import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT: Final = 1000
MINUTES: Final = 15
DRAWS: Final = 25
"""Namespaces; each has organizations of the same names."""
_MOMENT: Final = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


def hashed(count: int = COUNT) -> Iterator[Line]:
    """Measure the busiest minute of each of several clusters of that many organizations."""
    mean = count / MINUTES
    busiest = sorted(max(_starts(f"solar-{draw}", count).values()) for draw in range(DRAWS))
    found = median(busiest) / mean
    yield Line(
        f"busiest minute at {count:,} organizations every {MINUTES} minutes, Hashed",
        f"median {median(busiest):.0f} organizations ({busiest[0]} to {busiest[-1]})",
        f"mean {mean:.1f}",
        found,
        Goal(1.4, at_least=False),
    )


def _starts(namespace: str, count: int) -> Counter[int]:
    """Return how many organizations start at each minute of the quarter."""
    return Counter(minute(number, namespace) for number in range(count))


def minute(number: int, namespace: str) -> int:
    """Return the minute of the quarter at which an organization of that number starts."""
    document = resource(number, namespace, QUARTERLY)
    document["spec"]["vendors"] = document["spec"]["vendors"][:1]
    found = VendorSync.model_validate(document)
    defaults = ScheduleDefaults()
    (assignment,) = resolve.assignments(found, defaults)
    start = resolve.timetable(found, assignment, defaults).next_run(_MOMENT)
    return -1 if start is None else start.minute % MINUTES
