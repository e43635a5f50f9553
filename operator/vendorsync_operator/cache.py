"""What the operator remembers of the cluster: the three kinds, and which resources are siblings."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from vendorsync_operator.live import LiveCronJob, LiveJob, LiveResource
from vendorsync_operator.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from vendorsync_operator.live import Document, Key


class Cache:
    """The three kinds, and which resources share an organization."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self.resources = Store(LiveResource.of, self._resource_changed)
        self.cron_jobs = Store(LiveCronJob.of, changed)
        self.jobs = Store(LiveJob.of, changed)
        self._changed = changed
        self._organization_of: dict[Key, int] = {}
        self._organizations: defaultdict[int, set[Key]] = defaultdict(set)

    def _resource_changed(self, key: Key) -> None:
        """Announce a resource, and those of its organization, whose standing may turn."""
        live = self.resources.get(key)
        old = self._organization_of.pop(key, None)
        if old is not None:
            self._organizations[old].discard(key)
        if live is not None and live.organization is not None:
            self._organization_of[key] = live.organization
            self._organizations[live.organization].add(key)
        siblings = self._siblings(old) | self._siblings(live.organization if live else None)
        for each in sorted(siblings | {key}):
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

    def _siblings(self, organization: int | None) -> set[Key]:
        return set() if organization is None else self._organizations[organization]

    def older_sibling(self, live: LiveResource) -> LiveResource | None:
        """Return the oldest resource of the same organization if it is another one."""
        others = (self.resources.get(key) for key in self._siblings(live.organization))
        siblings = [other for other in others if other is not None and not other.deleting]
        oldest = min(siblings, key=lambda other: other.seniority, default=live)
        return None if oldest.seniority >= live.seniority else oldest
