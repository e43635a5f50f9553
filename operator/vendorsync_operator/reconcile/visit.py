"""One reconciliation of one resource, and what is remembered of it between two."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import ConditionReason
from vendorsync_api.v1alpha1 import VendorStatus
from vendorsync_operator.ports import RefusedError
from vendorsync_operator.reconcile.contest import Contest
from vendorsync_operator.results import runs
from vendorsync_operator.status.prose import Problem
from vendorsync_operator.status.verdicts import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from vendorsync_api.v1alpha1 import VendorSync
    from vendorsync_operator.cache.live import LiveCronJob, LiveResource
    from vendorsync_operator.results.lookout import Lookout
    from vendorsync_operator.spec.accept import Accepted
    from vendorsync_operator.spec.resolve import Assignment

Document = dict[str, Any]

RETRY_SECONDS = 60.0
"""When to try again what the API server refused, and what belongs to somebody else; and when to see
whether a run that is overdue still is, which asks the API server less often."""
_COUNTERS = re.compile(r", requested: .*", re.DOTALL)
"""What the API server adds to a refusal by a quota, and what changes with each try."""


BUDGET_SECONDS = 20.0
"""After this time a visit writes nothing more but the status; the next one goes on."""
SLOW_SECONDS = 5.0
"""A write that fails after this time would most likely cost the next one as much."""


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
    contests: defaultdict[str, Contest] = field(default_factory=lambda: defaultdict(Contest))
    """By CronJob."""
    said: str = ""
    """The hash of the status that was written last."""
    status_contest: Contest = field(default_factory=Contest)
    failures: int = 0
    """Visits in a row in which a write failed that is worth another try."""
    words: str = ""
    """What the failure said when it was first told; others differ in addresses and counts."""
    failed: set[str] = field(default_factory=set)
    """Vendors and streams whose write failed last time; they come last."""
    lagging: float | None = None
    """Since when nobody keeps the status of a resource that another operator serves."""
    requested: set[str] = field(default_factory=set)
    """Jobs made for a syncRequest that is not done; they may have ended and be gone."""

    def forget_all_but(self, cron_jobs: set[str]) -> None:
        """Forget what is known of CronJobs that the spec no longer asks for."""
        for known in (self.applied, self.contests):
            for name in known.keys() - cron_jobs:
                del known[name]


@dataclass
class Visit:
    """One reconciliation: the resource and what was found on the way."""

    live: LiveResource
    resource: VendorSync
    memory: Memory
    assignments: list[Assignment]
    clock: Callable[[], float]
    started: float
    """When the visit began, by the clock."""
    accepted: dict[tuple[str, str], Accepted] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    current: Document | None = None
    """The resource as the server has it, once it was read."""
    request: Progress = field(default_factory=Progress)
    """Of a syncRequest that was not done before."""
    ends: list[runs.Outcome] = field(default_factory=list)
    """Of runs that ended while another container keeps their Jobs."""
    again: float | None = None
    """In how many seconds a run may have become overdue, or no longer be."""
    failure: Exception | None = None
    """The first write that failed and is worth another try."""
    failed: set[str] = field(default_factory=set)
    """Whose write failed, by subject."""
    left: set[str] = field(default_factory=set)
    """Whose write was left to the next visit."""
    unread: Exception | None = None
    """The first read about a run that failed; it says nothing about the CronJobs."""
    is_spent: bool = False
    """A write was slow to fail, or the time is used up: nothing more is written."""
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

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to write."""
        return bool(self.failed or self.left)

    async def guarded(self, subject: str, write: Coroutine[Any, Any, None]) -> bool:
        """Await a write and tell whether it succeeded.

        A refusal becomes a problem of the resource, another failure that of the visit at its end.
        A visit whose time is used up leaves the write to the next one.
        """
        if self.is_spent or self.clock() - self.started > BUDGET_SECONDS:
            write.close()
            self.left.add(subject)
            self.look_again(0.0)
            return False
        began = self.clock()
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
            self.failed.add(subject)
            self.is_spent = isinstance(error, TimeoutError) or self.clock() - began > SLOW_SECONDS
            return False
        return True


def owns(resource: LiveResource, live: LiveCronJob) -> bool:
    """Tell whether a CronJob is the resource's, even if somebody took its owner reference away."""
    if live.owner_uid:
        return live.owner_uid == resource.uid
    return live.resource == resource.key[1]
