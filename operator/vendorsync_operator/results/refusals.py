"""Pure: what the API server's refusal of a pod or a Job says that stays the same with each try.

The commonest ones are told with what to set. The words of the others are the server's own, without
names of pods, uids, times and counters. The wordings are those of Kubernetes 1.34: its admission
plugins ResourceQuota, LimitRanger, ServiceAccount, Priority and PodSecurity.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vendorsync_api.run import CONTAINER
from vendorsync_operator.bounds import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMIT = 300
"""Characters of what is told."""
_GENERATED = 58
"""Characters of a generated name before its random ending."""

_NAME = r"[-a-z0-9.]{1,253}"
_EXCEEDED = re.compile(rf"exceeded quota: ({_NAME})(?:, requested: (\S+?),? used: )?")
_UNSPECIFIED = re.compile(rf"failed quota: ({_NAME}): must specify (.+)")
_RANGE = re.compile(
    r"(?:minimum|maximum) \S+ usage per \S+ is [^\s,]+?"
    r"(?:, but (?:request|limit) is [^\s,\]]+|\.  No (?:request|limit) is specified)"
    r"|\S+ max limit to request ratio per \S+ is [^\s,]+, but"
    r" (?:provided ratio is [\d.]+|no (?:request|limit) is specified or (?:request|limit) is 0)"
)
_MISSING = re.compile(
    r"(?i)(secret|configmap|serviceaccount|service account|priorityclass)s?"
    r'(?:\.[a-z0-9.]+)? "?(?:[-a-z0-9.]{1,63}/)?([-a-z0-9.]{1,253})"?'
    r"(?: was)? not found"
)
_NO_CLASS = re.compile(rf"no PriorityClass with name ({_NAME}) was found")

_HEAD = re.compile(r'^Error creating(?: job)?: |(?:pods|jobs\.batch) "[^"]*" is forbidden: ')
_CHANGING = re.compile(
    r", requested: .*"
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(?:Z|[+-]\d\d:?\d\d)?"
    r"|(?<![\d.:])\d{1,2}:\d\d(?::\d\d[.\d]*)?(?![\d:])"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}:\d+->"
    r"|\b[0-9a-f]{16,}\b"
)


def told(text: str, *owners: str) -> str:
    """Return what a refusal says; `owners` are names with which those of the pod or Job begin."""
    return one_line(_quota(text) or _range(text) or missing(text) or _words(text, owners), _LIMIT)


def missing(text: str) -> str | None:
    """Return which object does not exist, None where the text names none."""
    for kind, name in _MISSING.findall(text):
        return f"{kind.lower()} {name} does not exist"
    for name in _NO_CLASS.findall(text):
        return f"priority class {name} does not exist"
    return None


def _quota(text: str) -> str | None:
    if found := _UNSPECIFIED.search(text):
        wanted = " and ".join(_unspecified(found[2].split("; ")))
        return f"ResourceQuota {found[1]} wants {wanted} to be set"
    if found := _EXCEEDED.search(text):
        amounts = (found[2] or "").split(",")
        names = sorted(amount.partition("=")[0] for amount in amounts if amount)
        return f"ResourceQuota {found[1]} leaves no room{' for ' * bool(names)}{', '.join(names)}"
    return None


def _unspecified(parts: Iterable[str]) -> Iterable[str]:
    """Yield what has to be set: our own by its field of the spec, of others with the container."""
    for part in parts:
        amount, _, containers = part.partition(" for: ")
        kind, _, name = amount.rpartition(".")
        for container in containers.strip().split(","):
            if container == CONTAINER:
                yield f"spec.run.resources.{kind or 'requests'}.{name}"
            else:
                yield f"{amount} of the container {container}".removesuffix(" of the container ")


def _range(text: str) -> str | None:
    # The server goes through a LimitRange in another order each time.
    found = sorted(set(_RANGE.findall(text)))
    return f"spec.run.resources breaks a LimitRange: {', '.join(found)}" if found else None


def _words(text: str, owners: tuple[str, ...]) -> str:
    found = _HEAD.sub("", _HEAD.sub("", text))
    for owner in owners:
        found = re.sub(re.escape(f"{owner}-"[:_GENERATED]) + r"[-a-z0-9.]*", "…", found)
    kept = " ".join(_CHANGING.sub("", found).split())
    return kept or "the API server gives no reason"
