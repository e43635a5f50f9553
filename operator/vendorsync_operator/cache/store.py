"""Live objects of one kind, by name and by the resource that they concern.

A store is filled by lists, by watches and by the answers to our own writes, in any order. Of each
name it keeps the newest state by resourceVersion, whatever the uid: an object, or that there is
none. So neither an event that comes late nor the answer to a write brings back what was replaced or
deleted. Versions are compared as numbers, as Kubernetes has promised since 1.35. Nothing here waits
or writes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from vendorsync_operator.cache.live import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vendorsync_operator.cache.live import Document, Key


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

_ENDS = 10_000
"""Names whose end is remembered, the latest: more than a server deletes while a write is on its
way."""


class Store(Generic[T]):
    """Live objects of one kind; `changed` hears of each resource that a change concerns."""

    def __init__(self, of: Callable[[Document], T], changed: Callable[[Key], None]) -> None:
        self._of = of
        self._changed = changed
        self._objects: dict[Key, T] = {}
        self._by_resource: defaultdict[Key, set[Key]] = defaultdict(set)
        self._ends: dict[Key, str] = {}
        """By name: the version since which there was no object, until there is one again.

        It is no uid that is remembered: a watch with a selector tells the same of an object that
        lost its labels, which lives on and may get them back.
        """
        self._refused: dict[Key, str] = {}
        """By name that has an end: the version that was put last and not taken."""
        self._doubted: set[Key] = set()

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

    def found(self, document: Document) -> bool:
        """Take an object from a watch, a read or the answer to a write.

        Return False if it is older than what is known of its name, be it that there is none.
        """
        metadata = document["metadata"]
        if self._is_outdated(key_of(metadata), metadata.get("resourceVersion", "")):
            return False
        self._take(document)
        return True

    def listed(self, document: Document, revision: str) -> None:
        """Take an object of a list that shows the cluster as of a revision.

        It replaces all that is known from up to that revision, also what looks newer: after a
        restore of etcd an object lives on as an older version of itself.
        """
        metadata = document["metadata"]
        key, version = key_of(metadata), metadata.get("resourceVersion", "")
        if self._is_outdated(key, version) and _is_older(revision, self._version(key)):
            return
        self._take(document)

    def put(self, live: T) -> bool:
        """Take an object from a visit that has seen to it, so that it is no news.

        Return False if it is older than what is known of its name: a watch told of its deletion,
        or of a successor, while the answer was on its way. What is put once more was read after
        that, and lives; so no caller tries again for ever.
        """
        key, old = live.key, self._objects.get(live.key)
        if self._is_outdated(key, live.version):
            if old is not None:
                return False
            if self._refused.get(key) != live.version:
                self._refused[key] = live.version
                return False
        self._keep(live, old)
        return True

    def gone(self, document: Document) -> None:
        """Take note of a deletion that a watch saw; one of an older object drops no newer one."""
        metadata = document["metadata"]
        key, version = key_of(metadata), metadata.get("resourceVersion", "")
        if not self._is_outdated(key, version):
            self._end(key, version)

    def drop(self, key: Key, uid: str) -> None:
        """Drop an object that is known to be gone; one that is only going is heard of again."""
        old = self._objects.get(key)
        if old is not None and old.uid == uid:
            self._end(key, str(int(old.version) + 1) if old.version.isdigit() else "")

    def sweep(self, listed: Iterable[Key], namespace: str | None, revision: str) -> None:
        """Drop what a complete list of a namespace (None: of all) did not contain.

        What is newer than the list's revision stays: a watch from there on tells of it.
        """
        kept = set(listed)
        for key, old in list(self._objects.items()):
            if key in kept or namespace not in (None, key[0]):
                continue
            if key in self._doubted or not _is_older(revision, old.version):
                self._end(key, revision)

    def doubt(self, namespace: str | None) -> None:
        """Let whatever comes next replace what is known of a namespace (None: of all).

        After the server's revisions went back, a higher one is no longer a newer one.
        """
        self._doubted |= {key for key in self._objects if namespace in (None, key[0])}
        self._ends = {
            key: version for key, version in self._ends.items() if namespace not in (None, key[0])
        }
        self._refused.clear()

    def _take(self, document: Document) -> None:
        metadata = document["metadata"]
        key = key_of(metadata)
        old = self._objects.get(key)
        if old is not None and key not in self._doubted and _echoes(metadata, old):
            return
        new = self._of(document)
        new = new if old is None else new.after(old)
        self._keep(new, old)
        if old is None or not new.same(old):
            self._announce(old, new)

    def _keep(self, new: T, old: T | None) -> None:
        if old is not None:
            self._forget(old)
        self._ends.pop(new.key, None)
        self._refused.pop(new.key, None)
        self._objects[new.key] = new
        for resource in new.affected:
            self._by_resource[resource].add(new.key)

    def _end(self, key: Key, version: str) -> None:
        """Note that there is no object of a name since a version, empty if that is not known."""
        self._ends.pop(key, None)
        self._refused.pop(key, None)
        if version:
            self._ends[key] = version
        if len(self._ends) > _ENDS:
            oldest = next(iter(self._ends))
            del self._ends[oldest]
            self._refused.pop(oldest, None)
        old = self._objects.pop(key, None)
        if old is not None:
            self._forget(old)
            self._announce(old)

    def _forget(self, old: T) -> None:
        self._doubted.discard(old.key)
        for resource in old.affected:
            keys = self._by_resource[resource]
            keys.discard(old.key)
            if not keys:
                del self._by_resource[resource]

    def _version(self, key: Key) -> str:
        """Return the version of what is known of a name, be it its end; empty if nothing is."""
        if key in self._doubted:
            return ""
        old = self._objects.get(key)
        return self._ends.get(key, "") if old is None else old.version

    def _is_outdated(self, key: Key, version: str) -> bool:
        return _is_older(version, self._version(key))

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


def _is_older(version: str, known: str) -> bool:
    """Tell whether a version is lower than another; of one that is no number nothing is said."""
    return version.isdigit() and known.isdigit() and int(version) < int(known)
