"""Live objects of one kind, by name and by the resource that they concern.

A store is filled by watches and by the answers to our own writes. An older version of an object
never replaces a newer one. Nothing here waits or writes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from vendorsync_operator.live import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vendorsync_operator.live import Document, Key


class Live(Protocol):
    """What the three kinds have in common."""

    @property
    def key(self) -> Key:
        """Namespace and name."""

    @property
    def uid(self) -> str:
        """Identity of the object."""

    @property
    def version(self) -> str:
        """Its resourceVersion."""

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources that it concerns."""

    @property
    def news(self) -> bool:
        """Whether a change of it is worth a visit to them."""

    def same(self, other: Self) -> bool:
        """Tell whether nothing that a visit looks at differs."""

    def after(self, older: Self) -> Self:
        """Return it with what was found out about its predecessor."""


T = TypeVar("T", bound=Live)


class Store(Generic[T]):
    """Live objects of one kind; `changed` hears of each resource that a change concerns."""

    def __init__(self, of: Callable[[Document], T], changed: Callable[[Key], None]) -> None:
        self._of = of
        self._changed = changed
        self._objects: dict[Key, T] = {}
        self._by_resource: defaultdict[Key, set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def get(self, key: Key) -> T | None:
        """Return the object of that namespace and name."""
        return self._objects.get(key)

    def of(self, resource: Key) -> list[T]:
        """Return the objects that concern a resource, sorted by name."""
        return [self._objects[key] for key in sorted(self._by_resource.get(resource, ()))]

    def found(self, document: Document) -> None:
        """Take an object from a list, a watch or the answer to a write."""
        old = self._objects.get(key_of(document["metadata"]))
        if old is not None and _echoes(document["metadata"], old):
            return
        new = self._of(document)
        if old is not None and not _supersedes(new, old):
            return
        new = new if old is None else new.after(old)
        self._keep(new, old)
        if old is None or not new.same(old):
            self._announce(old, new)

    def put(self, live: T) -> None:
        """Take an object from a visit that has seen to it, so that it is no news."""
        old = self._objects.get(live.key)
        if old is None or _supersedes(live, old):
            self._keep(live, old)

    def _keep(self, new: T, old: T | None) -> None:
        if old is not None:
            self._forget(old)
        self._objects[new.key] = new
        for resource in new.affected:
            self._by_resource[resource].add(new.key)

    def gone(self, document: Document) -> None:
        """Drop an object that a watch saw deleted, unless a newer one has its name."""
        self.drop(key_of(document["metadata"]), document["metadata"]["uid"])

    def drop(self, key: Key, uid: str) -> None:
        """Drop an object that is known to be gone."""
        old = self._objects.get(key)
        if old is None or old.uid != uid:
            return
        del self._objects[key]
        self._forget(old)
        self._announce(old)

    def sweep(self, listed: Iterable[Key], namespace: str | None) -> None:
        """Drop what a complete list of a namespace (None: of all) did not contain."""
        kept = set(listed)
        for key, old in list(self._objects.items()):
            if key not in kept and namespace in (None, key[0]):
                self.drop(key, old.uid)

    def _forget(self, old: T) -> None:
        for resource in old.affected:
            keys = self._by_resource[resource]
            keys.discard(old.key)
            if not keys:
                del self._by_resource[resource]

    def _announce(self, *objects: T | None) -> None:
        told = (live for live in objects if live is not None and live.news)
        for resource in sorted({key for live in told for key in live.affected}):
            self._changed(resource)


def _echoes(metadata: Document, old: Live) -> bool:
    """Tell whether this very version is known; a watch brings back each of our own writes."""
    return bool(old.version) and (old.uid, old.version) == (
        metadata["uid"],
        metadata.get("resourceVersion"),
    )


def _supersedes(new: Live, old: Live) -> bool:
    """Tell whether one object is not older than the other; versions grow with time."""
    if new.uid != old.uid or not (new.version.isdigit() and old.version.isdigit()):
        return True
    return int(new.version) >= int(old.version)
