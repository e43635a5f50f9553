"""A bare asyncio client of the API server: what the operator's requests cost without an operator.

Bodies and answers are JSON; nothing is cached, and a request that fails ends the bench.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
import orjson

from bench.measure import WrongResultError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

Document = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
CHUNK: Final = 500
"""Objects of a page, as the operator lists."""
_WATCH_SECONDS: Final = 3600


@dataclass(frozen=True)
class Access:
    """Where the API server is, and whose token to show."""

    server: str
    authority: Path
    token: str

    @classmethod
    def of(cls, kubeconfig: Path) -> Access:
        """Read the one cluster and user of a kubeconfig in JSON."""
        found = json.loads(kubeconfig.read_text(encoding="utf-8"))
        (cluster,), (user,) = found["clusters"], found["users"]
        at = cluster["cluster"]
        return cls(at["server"], Path(at["certificate-authority"]), user["user"]["token"])


class Bare:
    """Sends requests over as many connections as are asked for at once."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    @classmethod
    @asynccontextmanager
    async def connected(cls, access: Access) -> AsyncIterator[Bare]:
        """Lend a client until the block ends."""
        trust = ssl.create_default_context(cafile=str(access.authority))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            headers={"Authorization": f"Bearer {access.token}"},
        ) as session:
            yield cls(session, access.server)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Document:
        """Return the JSON answer; raise WrongResultError with the server's words for a refusal."""
        headers = {"Content-Type": content_type}
        async with self._session.request(
            method, self._server + path, data=body, headers=headers
        ) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise WrongResultError(f"{method} {path}: {text.decode(errors='replace')[:500]}")
            found: Document = orjson.loads(text)
            return found

    async def apply(self, path: str, document: Document) -> Document:
        """Apply on the server's side, as the operator does and in its name."""
        query = "fieldManager=vendorsync-operator&force=true"
        return await self.send("PATCH", f"{path}?{query}", orjson.dumps(document), APPLY)

    async def pages(self, path: str, selector: str = "") -> AsyncIterator[Document]:
        """Yield the pages of a list."""
        query = f"?limit={CHUNK}" + (f"&labelSelector={selector}" if selector else "")
        onward = ""
        while True:
            page = await self.send("GET", f"{path}{query}{onward}")
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            onward = f"&continue={token}"

    async def count(self, path: str) -> int:
        """Return how many objects of a collection there are, without reading them."""
        page = await self.send("GET", f"{path}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)

    async def changes(self, path: str) -> AsyncIterator[Document]:
        """Yield what changes in a collection from now on."""
        version = (await self.send("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
        query = f"?watch=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        timeout = aiohttp.ClientTimeout(total=None)
        url = self._server + path + query
        async with self._session.get(url, timeout=timeout, max_line_size=1 << 24) as answer:
            async for line in answer.content:
                yield orjson.loads(line)


async def in_flight(number: int, work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Do the work for all items, so many at once; return what it gave, in the items' order."""
    waiting = iter(enumerate(items))
    found: dict[int, R] = {}

    async def lane() -> None:
        for index, item in waiting:
            found[index] = await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(lane())
    return [found[index] for index in sorted(found)]
