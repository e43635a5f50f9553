"""Lists and watches of the API server as follow.Source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp

from vendorsync_api import run
from vendorsync_api.group import PLURAL
from vendorsync_operator.cluster.paths import BATCH, OURS, objects_path
from vendorsync_operator.cluster.transport import WATCH_SECONDS, ApiError
from vendorsync_operator.watch.follow import (
    DENIALS,
    GoneError,
    Page,
    StreamDeniedError,
    StreamError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vendorsync_operator.cluster.transport import Api, Document

CHUNK_SIZE = 500
"""Objects of one page of a list."""


class ApiServerSource:
    """One kind in one namespace, or in all, as follow.Source."""

    def __init__(
        self, api: Api, prefix: str, plural: str, *, namespace: str | None, selector: str = ""
    ) -> None:
        self.name = f"{plural} in {namespace or 'all namespaces'}"
        self.namespace = namespace
        self._api = api
        self.path = objects_path(prefix, namespace, plural)
        self._selector = {"labelSelector": selector} if selector else {}

    async def page(self, next_page: str) -> Page:
        """Return a page of the list; the first when `next_page` is empty."""
        query = self._selector | {"limit": str(CHUNK_SIZE)}
        if next_page:
            query["continue"] = next_page
        try:
            found = await self._api.send("GET", self.path, query=query)
        except Exception as error:
            raise _interruption(error) from error
        metadata = found.get("metadata", {})
        return Page(
            items=found.get("items") or [],
            version=metadata.get("resourceVersion", ""),
            next_page=metadata.get("continue", ""),
        )

    async def events(self, version: str) -> AsyncIterator[Document]:
        """Yield the watch events after a version, until the server ends the stream.

        A server that was restored from a backup accepts a version that it has not reached, and is
        silent until it gets there. So a stream that falls silent is not opened again as it was.
        """
        query = self._selector | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        try:
            async for line in self._api.lines(self.path, query):
                yield json.loads(line)
        except TimeoutError as error:
            raise GoneError("nothing was heard for too long") from error
        except Exception as error:
            raise _interruption(error) from error


def _interruption(error: Exception) -> Exception:
    """Return what a failed list or watch means: list again, try again, or the error itself."""
    if isinstance(error, ApiError):
        if error.status == 410:
            return GoneError(str(error))
        if error.status in DENIALS:
            return StreamDeniedError(f"HTTP {error.status}: {error}")
        return StreamError(f"HTTP {error.status}: {error}", error.retry_after)
    if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError, ValueError)):
        return StreamError(f"{type(error).__name__}: {error}")
    return error


def sources(api: Api, plural: str, namespaces: tuple[str, ...]) -> list[ApiServerSource]:
    """Return the sources of a kind: one for all namespaces, or one for each."""
    prefix, selector = {
        PLURAL: (OURS, ""),
        "cronjobs": (BATCH, f"{run.MANAGED_BY_LABEL}={run.MANAGED_BY}"),
        "jobs": (BATCH, f"{run.MANAGED_BY_LABEL}={run.MANAGED_BY}"),
    }[plural]
    return [
        ApiServerSource(api, prefix, plural, namespace=namespace, selector=selector)
        for namespace in namespaces or (None,)
    ]
