"""What the API server was asked, by its own record: the audit log, and its counters.

A request is in the log before the server works on it, so whoever has seen an answer finds the
request there; a request of the reader's own, with a name of its own, marks the end.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from dev.cluster.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MARKER = "/version"
_RECEIVED = "RequestReceived"
_COMPLETE = "ResponseComplete"
_SAMPLE = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_VERBS = {"POST": "create", "PUT": "update", "APPLY": "patch"}


@dataclass(frozen=True, slots=True)
class Request:
    """One line about a request; `code` is None in the one that was written at its arrival."""

    verb: str
    resource: str
    """`resource[/subresource]`, or the path of what is no resource."""
    user: str
    uri: str
    namespace: str = ""
    name: str = ""
    at: str = ""
    """When it arrived, RFC 3339 with microseconds."""
    agent: str = ""
    code: int | None = None

    @classmethod
    def of(cls, line: dict[str, Any]) -> Request:
        """Read an audit event."""
        what = line.get("objectRef", {})
        parts = (what.get("resource", ""), what.get("subresource", ""))
        complete = line["stage"] == _COMPLETE
        return cls(
            verb=line["verb"],
            resource="/".join(filter(None, parts)) or urlsplit(line["requestURI"]).path,
            user=line["user"].get("username", ""),
            uri=line["requestURI"],
            namespace=what.get("namespace", ""),
            name=what.get("name", ""),
            at=line["requestReceivedTimestamp"],
            agent=line.get("userAgent", ""),
            code=line.get("responseStatus", {}).get("code") if complete else None,
        )


class AuditLog:
    """The log of one API server, read from a mark on.

    `ask` sends a GET of the path and query that it is given, as an administrator.
    """

    def __init__(self, path: Path, ask: Callable[[str, str], object]) -> None:
        self._path = path
        self._ask = ask
        self._start = 0

    def mark(self) -> None:
        """Forget everything up to now."""
        self._start = self._end()

    def requests(self, user: str) -> list[Request]:
        """Return the requests of a user that arrived since the mark, in that order."""
        return [found for found in self._read(_RECEIVED) if found.user == user]

    def answers(self, user: str) -> list[Request]:
        """Return the requests of a user that ended since the mark, with their codes.

        The last of them may be missing: this line is written after the answer.
        """
        return [found for found in self._read(_COMPLETE) if found.user == user]

    def count(self, user: str) -> Counter[tuple[str, str]]:
        """Return how many requests of each verb and resource there were since the mark."""
        return Counter((found.verb, found.resource) for found in self.requests(user))

    def pod_lists(self, user: str) -> dict[str, list[str]]:
        """Return when a user was told of the pods of each Job; one list may tell of several.

        The times are those of `Request.at`. A list that was refused told nothing.
        """
        found = defaultdict(list)
        for answer in self.answers(user):
            if (answer.verb, answer.resource, answer.code) == ("list", "pods", 200):
                selector = parse_qs(urlsplit(answer.uri).query)["labelSelector"][0]
                for job in selector.partition(" in (")[2].removesuffix(")").split(","):
                    found[job].append(answer.at)
        return dict(found)

    def _read(self, stage: str) -> Iterator[Request]:
        end = self._end()
        with self._path.open("rb") as file:
            file.seek(self._start)
            for line in file.read(end - self._start).splitlines():
                if (event := json.loads(line))["stage"] == stage:
                    yield Request.of(event)

    def _end(self) -> int:
        """Return where a request of our own ends: all that was answered before lies before it."""
        name = uuid.uuid4().hex
        size = self._path.stat().st_size
        self._ask(MARKER, name)
        found = 0

        def is_written() -> bool:
            nonlocal found
            with self._path.open("rb") as file:
                file.seek(size)
                text = file.read()
            position = text.find(name.encode())
            found = text.find(b"\n", position) + 1 if position >= 0 else 0
            return found > 0

        wait_until(is_written, what=f"the request {name} in {self._path}", seconds=10)
        return size + found


def totals(metrics: str) -> Counter[tuple[str, str]]:
    """Return the finished requests of all users since the server's start, from its /metrics.

    A watch counts when it ends. Keys are as in `AuditLog.count`; what is no resource is left out.
    """
    found: Counter[tuple[str, str]] = Counter()
    for sample in _SAMPLE.finditer(metrics):
        labels = dict(_LABEL.findall(sample["labels"]))
        if labels["resource"]:
            verb = _VERBS.get(labels["verb"], labels["verb"].lower())
            resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
            found[verb, resource] += int(float(sample["value"]))
    return found
