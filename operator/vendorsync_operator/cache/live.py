"""Objects of the API stripped to what the operator uses.

Documents are kept as text, which is a quarter of the same in dicts. That of a CronJob is dropped as
soon as it was found to be as it was rendered, and its digest tells whether it changes again. Words
that many objects share are kept once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from sys import intern
from typing import Any

from vendorsync_api import run
from vendorsync_api.group import KIND
from vendorsync_api.reasons import Trigger
from vendorsync_api.v1alpha1 import SecretKeyRef
from vendorsync_operator.names import FIELD_MANAGER

Key = tuple[str, str]
"""Namespace and name."""
Document = dict[str, Any]
"""An object of the API as JSON."""
Claim = tuple[str, str, str, int]
"""Namespace, Secret of a database, key of the Secret, and organization id.

Secrets of two namespaces are two, whatever they hold, and two Secrets may hold the same URL. Whose
the organization is in a database is decided there, by its binding.
"""
_DATABASE = SecretKeyRef()
_PROMPT_SECONDS = 30
"""After its tick, in which a scheduled Job is usually made; see delays.LATE."""


@dataclass(frozen=True, slots=True)
class LiveResource:
    """A VendorSync as it lives; the text is JSON without managed fields and last-applied copy."""

    key: Key
    uid: str
    version: str
    generation: int
    organization: int | None
    database: tuple[str, str]
    """Name of the Secret with the database's URL, and the key in it."""
    created: str
    deleting: bool
    text: bytes

    @classmethod
    def of(cls, document: Document) -> LiveResource:
        """Strip a document of the API."""
        metadata = document["metadata"]
        kept = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")
        spec = document.get("spec") or {}
        secret = (spec.get("database") or {}).get("secretRef") or {}
        body = {
            "metadata": {name: metadata[name] for name in kept if name in metadata},
            "spec": spec,
            "status": document.get("status") or {},
        }
        return cls(
            key=key_of(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            generation=metadata.get("generation", 0),
            organization=(spec.get("organization") or {}).get("id"),
            database=(
                intern(secret.get("name") or _DATABASE.name),
                intern(secret.get("key") or _DATABASE.key),
            ),
            created=metadata.get("creationTimestamp", ""),
            deleting="deletionTimestamp" in metadata,
            text=_text(body),
        )

    @property
    def document(self) -> Document:
        """Metadata, spec and status."""
        found: Document = json.loads(self.text)
        return found

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources that it concerns: itself."""
        return (self.key,)

    @property
    def news(self) -> bool:
        """Whether a change of it is worth a visit."""
        return True

    def same(self, other: LiveResource) -> bool:
        """Tell whether nothing that we use differs."""
        return (self.uid, self.text) == (other.uid, other.text)

    def after(self, _: LiveResource) -> LiveResource:
        """Return it with what was found out about its predecessor."""
        return self

    @property
    def claim(self) -> Claim | None:
        """What only one resource may have, None for one without an organization."""
        if self.organization is None:
            return None
        return (self.key[0], *self.database, self.organization)

    @property
    def seniority(self) -> tuple[str, Key]:
        """Orders the resources of one claim, the oldest first."""
        return self.created, self.key


@dataclass(frozen=True, slots=True)
class LiveCronJob:
    """A CronJob as it lives.

    `settled` is the hash of what was rendered when the object was found to be just so; then no text
    is kept. Else the text is packed JSON of the labels, annotations, owners and spec.
    """

    key: Key
    uid: str
    version: str
    owner_uid: str
    owner_name: str
    resource: str
    instance: str
    """The operator instance that keeps it; empty for one from before there were any."""
    touched: bool
    """Another field manager than ours, or nobody knows which, wrote it too."""
    suspended: bool
    created: str
    """RFC 3339 UTC; ticks before that are none of its own."""
    ticked: str
    """The last tick that the controller made a Job for, RFC 3339 UTC, empty before the first."""
    digest: bytes
    packed: bytes = b""
    settled: str = ""

    @classmethod
    def of(cls, document: Document, *, settled: str = "") -> LiveCronJob:
        """Strip a document of the API; `settled` if it is the answer to what was just applied."""
        metadata, spec = document["metadata"], document.get("spec") or {}
        owner = _controller(metadata, KIND)
        labels = metadata.get("labels") or {}
        managed = labels.get(run.MANAGED_BY_LABEL) == run.MANAGED_BY
        kept = ("labels", "annotations", "ownerReferences")
        text = _text(
            {"metadata": {name: metadata[name] for name in kept if name in metadata}, "spec": spec}
        )
        return cls(
            key=key_of(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            owner_uid=intern(owner.get("uid", "")),
            owner_name=intern(owner.get("name", "")),
            resource=intern(labels.get(run.RESOURCE_LABEL, "") if managed else ""),
            instance=intern(labels.get(run.INSTANCE_LABEL, "")),
            touched=_is_touched(metadata),
            suspended=bool(spec.get("suspend")),
            created=intern(metadata.get("creationTimestamp") or ""),
            ticked=intern((document.get("status") or {}).get("lastScheduleTime") or ""),
            digest=hashlib.blake2b(text, digest_size=16).digest(),
            # Between the first list and the first visit the texts of all CronJobs are held at once.
            packed=b"" if settled else zlib.compress(text, 1),
            settled=settled,
        )

    @property
    def hash(self) -> str:
        """The hash of what was rendered when it was written; only while it is not settled."""
        annotations = self.document["metadata"].get("annotations") or {}
        return str(annotations.get(run.HASH_ANNOTATION, ""))

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources that it concerns: its owner, and the one that it is labelled with."""
        names = {self.owner_name, self.resource} - {""}
        return tuple((self.key[0], name) for name in sorted(names))

    @property
    def news(self) -> bool:
        """Whether a change of it is worth a visit."""
        return True

    def same(self, other: LiveCronJob) -> bool:
        """Tell whether nothing that a visit looks at differs; ticks come and go."""
        return (self.uid, self.digest) == (other.uid, other.digest)

    def after(self, older: LiveCronJob) -> LiveCronJob:
        """Return it with what was found out about its predecessor."""
        if not (older.settled and self.same(older)):
            return self
        return replace(self, packed=b"", settled=older.settled)

    def settle(self, rendered_hash: str) -> LiveCronJob:
        """Return it as found to be what was rendered with that hash."""
        return replace(self, packed=b"", settled=rendered_hash)

    @property
    def document(self) -> Document:
        """The parts that rendering decides about, and the name; only while it is not settled."""
        found: Document = json.loads(zlib.decompress(self.packed))
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
    created: str = ""
    """Kept until it is finished, like the next five."""
    waiting: bool = False
    """No container of it runs."""
    tried: bool = False
    """It has a pod, or had one."""
    active: bool = False
    """It has a pod that has not ended."""
    ran: bool = False
    """It is active, and its containers were seen to run; one of them may have ended since."""
    deadline_seconds: int = 0
    """After its start, when Kubernetes ends it; 0 for never."""
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
        finished = status.get("completionTime") or end.get("lastTransitionTime") or ""
        going = {
            "created": metadata.get("creationTimestamp", ""),
            "waiting": not status.get("ready"),
            "active": bool(status.get("active")),
            "tried": any(status.get(name) for name in ("active", "failed", "terminating")),
            "deadline_seconds": (document.get("spec") or {}).get("activeDeadlineSeconds") or 0,
        }
        return cls(
            key=key_of(metadata),
            uid=metadata["uid"],
            version=metadata.get("resourceVersion", ""),
            resource=intern(labels.get(run.RESOURCE_LABEL, "")),
            vendor=intern(labels.get(run.VENDOR_LABEL, "")),
            stream=intern(labels.get(run.STREAM_LABEL, "")),
            cron_job=intern(_controller(metadata, "CronJob").get("name", "")),
            trigger=_trigger(metadata.get("annotations") or {}),
            started=status.get("startTime") or "",
            finished=finished,
            completed=end.get("type") == "Complete",
            reason=intern(end.get("reason") or ""),
            message=intern(end.get("message") or ""),
            **({} if finished else going),
        )

    @property
    def affected(self) -> tuple[Key, ...]:
        """The resources that it concerns: its own."""
        return ((self.key[0], self.resource),) if self.resource else ()

    @property
    def news(self) -> bool:
        """Whether a change of it is worth a visit: its end, and a start that no clock expects.

        A Job that its CronJob made in time is looked at when it should be under way; that costs a
        run that starts as it should no visit. One that ran and is not ready any more, while its pod
        has not ended, may be kept from its end.
        """
        return bool(self.finished) or (self.waiting and (self.ran or not self._is_prompt()))

    def _is_prompt(self) -> bool:
        """Tell whether it was made within half a minute after the tick that its name ends with."""
        minutes = self.key[1].rpartition("-")[2]
        if self.trigger is not Trigger.SCHEDULE or not (minutes.isdigit() and self.created):
            return False
        lateness = datetime.fromisoformat(self.created).timestamp() - int(minutes[:12]) * 60
        return 0 <= lateness < _PROMPT_SECONDS

    def same(self, other: LiveJob) -> bool:
        """Tell whether nothing that we use differs."""
        return replace(self, version=other.version) == other

    def after(self, older: LiveJob) -> LiveJob:
        """Return it with what was found out about its predecessor."""
        if self.uid != older.uid or not self.active:
            return self
        return replace(self, ran=older.ran or (older.active and not older.waiting))


def _text(body: Document) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def key_of(metadata: Document) -> Key:
    """Return namespace and name."""
    return intern(metadata.get("namespace", "")), metadata["name"]


def _controller(metadata: Document, kind: str) -> dict[str, str]:
    """Return the owner that controls an object if it is of that kind, an empty dict for none.

    An owner of another kind is returned without its name: it is foreign.
    """
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return owner if owner.get("kind") == kind else {"uid": owner.get("uid", "")}
    return {}


def rivals(metadata: Document) -> tuple[str, ...]:
    """Return the other field managers that wrote the object itself, not its status."""
    found = metadata.get("managedFields") or ()
    names = {str(entry.get("manager")) for entry in found if not entry.get("subresource")}
    return tuple(sorted(names - {FIELD_MANAGER}))


def _is_touched(metadata: Document) -> bool:
    return not metadata.get("managedFields") or bool(rivals(metadata))


def _trigger(annotations: dict[str, str]) -> Trigger:
    if annotations.get(run.MANUAL_ANNOTATION) == "manual":
        return Trigger.MANUAL
    return Trigger.REQUEST if run.REQUEST_ANNOTATION in annotations else Trigger.SCHEDULE


def _end(status: Document) -> dict[str, str]:
    """Return the Job's condition that ends it, an empty dict while it runs."""
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return dict(condition)
    return {}
