"""One reconciliation of one resource, and what is remembered of it between two."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator import runs
from vendorsync_operator.ports import RefusedError
from vendorsync_operator.prose import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from vendorsync_api.v1alpha1 import VendorSync
    from vendorsync_operator.accept import Accepted
    from vendorsync_operator.live import LiveCronJob, LiveResource
    from vendorsync_operator.lookout import Lookout
    from vendorsync_operator.resolve import Assignment

Document = dict[str, Any]

RETRY_SECONDS = 60.0
"""When to try again what the API server refused, and what belongs to somebody else; and when to see
whether a run that is overdue still is, which asks the API server less often."""
_COUNTERS = re.compile(r", requested: .*", re.DOTALL)
"""What the API server adds to a refusal by a quota, and what changes with each try."""


class ResourceGoneError(Exception):
    """The resource does not exist any more."""


@dataclass
class Memory:
    """What is remembered of the resource of one uid between visits; a restart may lose it."""

    uid: str
    lookout: Lookout
    written: float = float("-inf")
    """When its status was written, by the clock."""
    outcomes: dict[str, runs.Outcome] = field(default_factory=dict)
    """By the Job's uid: those that were read and are not in the status yet."""
    told: set[str] = field(default_factory=set)
    """Jobs that were read and are in the status, as long as they exist."""
    applied: dict[str, tuple[int, tuple[object, ...], str]] = field(default_factory=dict)
    """By CronJob: the generation and what else it was rendered from, and its hash."""
    requested: set[str] = field(default_factory=set)
    """Jobs made for a syncRequest that is not done; they may have ended and be gone."""


@dataclass
class Visit:
    """One reconciliation: the resource and what was found on the way."""

    live: LiveResource
    resource: VendorSync
    memory: Memory
    assignments: list[Assignment]
    accepted: dict[tuple[str, str], Accepted] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    current: Document | None = None
    """The resource as the server has it, once it was read."""
    request_done: str | None = None
    again: float | None = None
    """In how many seconds a run may have become overdue, or no longer be."""
    failure: Exception | None = None
    """The first write that failed and is worth another try."""
    undecided: set[tuple[str, str]] = field(default_factory=set)
    """Whose run may be overdue, about which nothing could be asked yet."""

    @cached_property
    def entries(self) -> dict[tuple[str, str], VendorStatus]:
        """What the status says, by vendor and stream."""
        return {(entry.name, entry.stream): entry for entry in self.resource.status.vendors}

    def entry(self, key: tuple[str, str]) -> VendorStatus:
        """Return what the status says of one vendor and stream."""
        return self.entries.get(key) or VendorStatus(name=key[0], stream=key[1])

    def look_again(self, seconds: float) -> None:
        """Have the next visit in that time, unless it is sooner."""
        self.again = seconds if self.again is None else min(self.again, seconds)

    async def guarded(self, subject: str, write: Awaitable[None]) -> bool:
        """Await a write and tell whether it succeeded.

        A refusal becomes a problem of the resource, another failure that of the visit at its end.
        """
        try:
            await write
        except RefusedError as refused:
            message = runs.clean(_COUNTERS.sub("", str(refused)))
            self.problems.append(Problem(ConditionReason.API_REFUSED, message, subject))
            return False
        except ResourceGoneError:
            raise
        except Exception as error:
            self.failure = self.failure or error
            return False
        return True


def owns(resource: LiveResource, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is the resource's, even if somebody took its owner reference away."""
    if live.owner_uid:
        return live.owner_uid == resource.uid
    return live.resource == resource.key[1]
