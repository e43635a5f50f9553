"""What the operator remembers of the cluster: the three kinds, and which resources are siblings."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from vendorsync_operator.cache.live import LiveCronJob, LiveJob, LiveResource
from vendorsync_operator.cache.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_operator.cache.live import Claim, Document, Key


class Cache:
    """The three kinds, and which resources claim the same organization of the same database."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self.resources = Store(LiveResource.of, self._resource_changed)
        self.cron_jobs = Store(LiveCronJob.of, changed)
        self.jobs = Store(LiveJob.of, changed)
        self._changed = changed
        self._claim_of: dict[Key, Claim] = {}
        self._claimants: defaultdict[Claim, set[Key]] = defaultdict(set)

    def _resource_changed(self, key: Key) -> None:
        """Announce a resource, and those of the same claim, whose standing may turn."""
        live = self.resources.get(key)
        old, new = self._claim_of.pop(key, None), live.claim if live else None
        concerned = {key} | self._siblings(old) | self._siblings(new)
        if old is not None:
            self._claimants[old].discard(key)
            if not self._claimants[old]:
                del self._claimants[old]
        if new is not None:
            self._claim_of[key] = new
            self._claimants[new].add(key)
        for each in sorted(concerned):
            self._changed(each)

    def status_written(self, document: Document) -> None:
        """Take the answer to a write of our own; only a spec that changed meanwhile is news.

        A resource that was deleted meanwhile stays forgotten, however late the answer is.
        """
        new = LiveResource.of(document)
        old = self.resources.get(new.key)
        if old is None or old.uid != new.uid:
            return
        if old.generation == new.generation:
            self.resources.put(new)
        else:
            self.resources.found(document)

    def _siblings(self, claim: Claim | None) -> set[Key]:
        return set() if claim is None else self._claimants.get(claim, set())

    def older_sibling(self, live: LiveResource) -> LiveResource | None:
        """Return the oldest resource that claims the same organization if it is another one."""
        others = (self.resources.get(key) for key in self._siblings(live.claim))
        siblings = [other for other in others if other is not None and not other.deleting]
        oldest = min(siblings, key=lambda other: other.seniority, default=live)
        return None if oldest.seniority >= live.seniority else oldest
