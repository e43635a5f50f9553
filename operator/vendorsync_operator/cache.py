"""What the operator remembers of the cluster: objects stripped to what it uses, by resource.

The cache is filled by watches and by the answers to our own writes; an older version of an object
never replaces a newer one. Nothing here waits or writes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from vendorsync_api import run
from vendorsync_api.reasons import Trigger
from vendorsync_api.v1alpha1 import KIND
from vendorsync_operator.render import REQUEST_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = tuple[str, str]
"""Namespace and name."""
Document = dict[str, Any]
"""An object of the API as JSON."""


@dataclass(frozen=True, slots=True)
class LiveResource:
    """A VendorSync as it lives. The document holds no managed fields and no last-applied copy."""

    key: Key
    uid: str
    version: str
    organization: int | None
    created: str
    deleting: bool
    document: Document

    @classmethod
    def of(cls, document: Document) -> LiveResource:
        """Strip a document of the API."""
        metadata = document["metadata"]
        kept = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")
        spec = document.get("spec") or {}
        return cls(
            key=_key(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            organization=(spec.get("organization") or {}).get("id"),
            created=metadata.get("creationTimestamp", ""),
            deleting="deletionTimestamp" in metadata,
            document={
                "metadata": {name: metadata[name] for name in kept if name in metadata},
                "spec": spec,
                "status": document.get("status") or {},
            },
        )

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources to reconcile when it changes."""
        return (self.key,)

    @property
    def seniority(self) -> tuple[str, Key]:
        """Orders the resources of one organization, the oldest first."""
        return self.created, self.key


@dataclass(frozen=True, slots=True)
class LiveCronJob:
    """A CronJob as it lives; the text is JSON of the labels, annotations, owners and spec."""

    key: Key
    uid: str
    version: str
    owner_uid: str
    owner_name: str
    resource: str
    suspended: bool
    text: bytes

    @classmethod
    def of(cls, document: Document) -> LiveCronJob:
        """Strip a document of the API."""
        metadata, spec = document["metadata"], document.get("spec") or {}
        owner = _controller(metadata, KIND)
        labels = metadata.get("labels") or {}
        managed = labels.get(run.MANAGED_BY_LABEL) == run.MANAGED_BY
        kept = ("labels", "annotations", "ownerReferences")
        body = {
            "metadata": {name: metadata[name] for name in kept if name in metadata},
            "spec": spec,
        }
        return cls(
            key=_key(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            owner_uid=owner.get("uid", ""),
            owner_name=owner.get("name", ""),
            resource=labels.get(run.RESOURCE_LABEL, "") if managed else "",
            suspended=bool(spec.get("suspend")),
            # A CronJob is four times as large in dicts as in text, and is looked into rarely.
            text=json.dumps(body, separators=(",", ":")).encode(),
        )

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources to reconcile when it changes."""
        names = {self.owner_name, self.resource} - {""}
        return tuple((self.key[0], name) for name in sorted(names))

    @property
    def document(self) -> Document:
        """The parts that rendering decides about, and the name."""
        found: Document = json.loads(self.text)
        found["metadata"] |= {"namespace": self.key[0], "name": self.key[1]}
        return found | {"apiVersion": "batch/v1", "kind": "CronJob"}


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A Job as it lives; times are RFC 3339 UTC, `finished` is empty while it runs."""

    key: Key
    uid: str
    version: str
    resource: str
    vendor: str
    stream: str
    cron_job: str
    trigger: Trigger
    started: str = ""
    finished: str = ""
    completed: bool = False
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, document: Document) -> LiveJob:
        """Strip a document of the API."""
        metadata, status = document["metadata"], document.get("status") or {}
        labels = metadata.get("labels") or {}
        end = _end(status)
        return cls(
            key=_key(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            resource=labels.get(run.RESOURCE_LABEL, ""),
            vendor=labels.get(run.VENDOR_LABEL, ""),
            stream=labels.get(run.STREAM_LABEL, ""),
            cron_job=_controller(metadata, "CronJob").get("name", ""),
            trigger=_trigger(metadata.get("annotations") or {}),
            started=status.get("startTime") or "",
            finished=status.get("completionTime") or end.get("lastTransitionTime") or "",
            completed=end.get("type") == "Complete",
            reason=end.get("reason") or "",
            message=end.get("message") or "",
        )

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources to reconcile when it changes: its own, once it is finished."""
        return ((self.key[0], self.resource),) if self.finished and self.resource else ()


def _key(metadata: Document) -> Key:
    return metadata.get("namespace", ""), metadata["name"]


def _controller(metadata: Document, kind: str) -> dict[str, str]:
    """Return the owner that controls an object if it is of that kind, an empty dict for none.

    An owner of another kind is returned without its name: it is foreign.
    """
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return owner if owner.get("kind") == kind else {"uid": owner.get("uid", "")}
    return {}


def _trigger(annotations: dict[str, str]) -> Trigger:
    if annotations.get(run.MANUAL_ANNOTATION) == "manual":
        return Trigger.MANUAL
    return Trigger.REQUEST if REQUEST_ANNOTATION in annotations else Trigger.SCHEDULE


def _end(status: Document) -> dict[str, str]:
    """Return the Job's condition that ends it, an empty dict while it runs."""
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return dict(condition)
    return {}


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
        """The resources to reconcile when it changes."""


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
        new = self._of(document)
        old = self._objects.get(new.key)
        if old is not None and not _supersedes(new, old):
            return
        if old is not None:
            self._forget(old)
        self._objects[new.key] = new
        for resource in new.affected:
            self._by_resource[resource].add(new.key)
        if old is None or not _same(old, new):
            self._announce(old, new)

    def gone(self, document: Document) -> None:
        """Drop an object that a watch saw deleted, unless a newer one has its name."""
        self.drop(_key(document["metadata"]), document["metadata"]["uid"])

    def drop(self, key: Key, uid: str) -> None:
        """Drop an object that is known to be gone."""
        old = self._objects.get(key)
        if old is None or old.uid != uid:
            return
        del self._objects[key]
        self._forget(old)
        self._announce(old)

    def held(self, namespace: str | None) -> set[tuple[Key, str]]:
        """Return key and uid of each object of a namespace (None: of all)."""
        return {
            (key, live.uid) for key, live in self._objects.items() if namespace in (None, key[0])
        }

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
        for resource in sorted({key for live in objects if live for key in live.affected}):
            self._changed(resource)


def _supersedes(new: Live, old: Live) -> bool:
    """Tell whether one object is not older than the other; versions grow with time."""
    if new.uid != old.uid or not (new.version.isdigit() and old.version.isdigit()):
        return True
    return int(new.version) >= int(old.version)


def _same(old: Live, new: Live) -> bool:
    """Tell whether nothing that we use changed."""
    names = [name for name in type(new).__slots__ if name != "version"]  # type: ignore[attr-defined]
    return type(old) is type(new) and all(getattr(old, n) == getattr(new, n) for n in names)


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

    def _siblings(self, organization: int | None) -> set[Key]:
        return set() if organization is None else self._organizations[organization]

    def older_sibling(self, live: LiveResource) -> LiveResource | None:
        """Return the oldest resource of the same organization if it is another one."""
        others = (self.resources.get(key) for key in self._siblings(live.organization))
        siblings = [other for other in others if other is not None and not other.deleting]
        oldest = min(siblings, key=lambda other: other.seniority, default=live)
        return None if oldest.seniority >= live.seniority else oldest
