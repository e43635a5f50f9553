"""One request to the API server, and ways to choose some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Call:
    """One request; `status` is the server's answer, 0 while or if there is none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return self.method in _VERBS

    @property
    def is_watch(self) -> bool:
        """Whether its answer is a stream of events."""
        return self.query.get("watch") in ("true", "1")

    @property
    def verb(self) -> str:
        """The verb as in a role; `list` for every read that is no watch and names no object."""
        if self.is_watch:
            return "watch"
        return _VERBS.get(self.method) or ("get" if self._parts[1] else "list")

    @property
    def resource(self) -> str:
        """The resource as in a role, such as `cronjobs` or `vendorsyncs/status`."""
        return self._parts[0]

    @property
    def name(self) -> str:
        """The object's name, empty for a collection."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        words = self.path.strip("/").split("/")
        words = words[2:] if words[0] == "api" else words[3:]
        if words[:1] == ["namespaces"] and len(words) > 2:
            words = words[2:]
        plural, name, subresource = (*words, "", "", "")[:3]
        return (f"{plural}/{subresource}" if subresource else plural), name


Filter = Callable[[Call], bool]
"""Chooses the calls that a fault hits."""


def every(_: Call) -> bool:
    """Choose every call."""
    return True


def writes(call: Call) -> bool:
    """Choose what changes the cluster, the operator's own lease apart."""
    return call.is_write and call.resource != "leases"


def watches(call: Call) -> bool:
    """Choose streams."""
    return call.is_watch


def lists(call: Call) -> bool:
    """Choose lists of objects, not the discovery of their kinds."""
    return call.verb == "list" and bool(call.resource)
