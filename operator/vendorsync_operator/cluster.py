"""The API server, over the `kubernetes` package's asyncio client; nothing else imports it.

Requests and answers are plain JSON: the client gives us addresses, certificates and tokens that are
read again when they rotate, and no object goes through its models.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client, config

from vendorsync_api import run
from vendorsync_api.v1alpha1 import API_VERSION, KIND, PLURAL
from vendorsync_operator.reconcile import RefusedError
from vendorsync_operator.watch import GoneError, Page, StreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vendorsync_operator.cache import Key

logger = logging.getLogger(__name__)

Document = dict[str, Any]

FIELD_MANAGER = "vendorsync-operator"
CHUNK_SIZE = 500
"""Objects of one page of a list."""
WATCH_SECONDS = 300
"""After this time the server ends a watch; it goes on from the last version."""
SILENCE_SECONDS = 90
"""A watch without a word for so long is dead: the server sends a bookmark every minute."""

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_TIMEOUT = aiohttp.ClientTimeout(
    total=WATCH_SECONDS + 10, sock_connect=10, sock_read=SILENCE_SECONDS
)
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_CORE = "/api/v1"
_BATCH = "/apis/batch/v1"
_EVENTS = "/apis/events.k8s.io/v1"
_OURS = f"/apis/{API_VERSION}"
_LASTING = frozenset({400, 403, 405, 413, 415, 422})
"""Answers that the same request would get again."""


class ApiError(Exception):
    """An answer of the API server that is no success; `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message or f"HTTP {status}")
        self.status = status


class Api:
    """Sends requests; the address and the credentials are the client's."""

    def __init__(self, api: client.ApiClient) -> None:
        self._client = api

    @classmethod
    async def from_environment(cls) -> Api:
        """Return an API with the pod's service account, else with the current kubeconfig."""
        configuration = client.Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(client_configuration=configuration)
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
    ) -> Document:
        """Return the JSON answer, or raise ApiError or a network error."""
        response = await self._open(method, path, query, body, content_type, _REQUEST_TIMEOUT)
        try:
            answer: Document = json.loads(await response.read() or b"{}")
        finally:
            response.release()
        return answer

    async def lines(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        """Yield the lines of a streamed answer."""
        response = await self._open("GET", path, query, None, "application/json", _WATCH_TIMEOUT)
        try:
            async for line in response.content:
                yield line
        finally:
            response.close()

    async def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Document | None,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        answer = await self._client.call_api(
            method, url, headers, body=body, _request_timeout=timeout
        )
        response = cast("aiohttp.ClientResponse", answer.response)
        if response.status >= 400:
            raise await _error(response)
        return response


async def _error(response: aiohttp.ClientResponse) -> ApiError:
    text = await response.text()
    response.release()
    try:
        message = str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        message = text[:200]
    return ApiError(response.status, message)


def _objects(prefix: str, namespace: str | None, plural: str) -> str:
    return (
        f"{prefix}/{plural}"
        if namespace is None
        else f"{prefix}/namespaces/{quote(namespace)}/{plural}"
    )


def _object(prefix: str, key: Key, plural: str) -> str:
    return f"{_objects(prefix, key[0], plural)}/{quote(key[1])}"


class ApiServerSource:
    """One kind in one namespace, or in all, as watch.Source."""

    def __init__(
        self, api: Api, prefix: str, plural: str, *, namespace: str | None, selector: str = ""
    ) -> None:
        self.name = f"{plural} in {namespace or 'all namespaces'}"
        self.namespace = namespace
        self._api = api
        self._path = _objects(prefix, namespace, plural)
        self._selector = {"labelSelector": selector} if selector else {}

    async def page(self, next_page: str) -> Page:
        """Return a page of the list; the first when `next_page` is empty."""
        query = self._selector | {"limit": str(CHUNK_SIZE)}
        if next_page:
            query["continue"] = next_page
        try:
            found = await self._api.send("GET", self._path, query=query)
        except Exception as error:
            raise _interruption(error) from error
        metadata = found.get("metadata", {})
        return Page(
            items=found.get("items") or [],
            version=metadata.get("resourceVersion", ""),
            next_page=metadata.get("continue", ""),
        )

    async def events(self, version: str) -> AsyncIterator[Document]:
        """Yield the watch events after a version, until the server ends the stream."""
        query = self._selector | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        try:
            async for line in self._api.lines(self._path, query):
                yield json.loads(line)
        except Exception as error:
            raise _interruption(error) from error


def _interruption(error: Exception) -> Exception:
    """Return what a failed list or watch means: list again, try again, or the error itself."""
    if isinstance(error, ApiError):
        if error.status == 410:
            return GoneError(str(error))
        if error.status in (429, *range(500, 600)):
            return StreamError(f"HTTP {error.status}: {error}")
        return error
    if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError, ValueError)):
        return StreamError(f"{type(error).__name__}: {error}")
    return error


def sources(api: Api, plural: str, namespaces: tuple[str, ...]) -> list[ApiServerSource]:
    """Return the sources of a kind: one for all namespaces, or one for each."""
    prefix, selector = {
        PLURAL: (_OURS, ""),
        "cronjobs": (_BATCH, f"{run.MANAGED_BY_LABEL}={run.MANAGED_BY}"),
        "jobs": (_BATCH, f"{run.MANAGED_BY_LABEL}={run.MANAGED_BY}"),
    }[plural]
    return [
        ApiServerSource(api, prefix, plural, namespace=namespace, selector=selector)
        for namespace in namespaces or (None,)
    ]


class ApiServerCluster:
    """The API server as reconcile.Cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def read_resource(self, key: Key) -> Document | None:
        """Return a VendorSync, None if there is none."""
        return await self._read(_object(_OURS, key, PLURAL))

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob, None if there is none."""
        return await self._read(_object(_BATCH, key, "cronjobs"))

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Apply a CronJob; with a uid only if the object is still that one."""
        metadata = rendered["metadata"] | ({"uid": uid} if uid else {})
        key = metadata["namespace"], metadata["name"]
        return await self._apply(
            _object(_BATCH, key, "cronjobs"), rendered | {"metadata": metadata}
        )

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Suspend a CronJob; None if it is gone."""
        # A merge patch: applying this one field would give up all the others.
        try:
            return await self._write(
                "PATCH",
                _object(_BATCH, key, "cronjobs"),
                query={"fieldManager": FIELD_MANAGER},
                body={"spec": {"suspend": True}},
                content_type=_MERGE,
            )
        except ApiError as error:
            _require_absence(error)
            return None

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Delete the CronJob of that uid; the garbage collector then ends its Jobs."""
        try:
            await self._write(
                "DELETE",
                _object(_BATCH, key, "cronjobs"),
                body={
                    "apiVersion": "v1",
                    "kind": "DeleteOptions",
                    "propagationPolicy": "Background",
                    "preconditions": {"uid": uid},
                },
            )
        except ApiError as error:
            if error.status != 409:
                _require_absence(error)

    async def create_job(self, job: Document) -> None:
        """Create a Job, unless one of its name exists."""
        path = _objects(_BATCH, job["metadata"]["namespace"], "jobs")
        try:
            await self._write("POST", path, query={"fieldManager": FIELD_MANAGER}, body=job)
        except ApiError as error:
            if error.status != 409:
                raise

    async def pods(self, job: Key) -> list[Document]:
        """Return the pods of a Job."""
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job[1]}"}
        found = await self._api.send("GET", _objects(_CORE, job[0], "pods"), query=query)
        return found.get("items") or []

    async def apply_status(self, key: Key, uid: str, status: Document) -> Document | None:
        """Apply the status of the VendorSync of that uid; None if it is gone."""
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": key[0], "name": key[1], "uid": uid},
            "status": status,
        }
        try:
            return await self._apply(f"{_object(_OURS, key, PLURAL)}/status", document)
        except ApiError as error:
            _require_absence(error)
            return None

    async def create_event(self, event: Document) -> None:
        """Create an Event."""
        path = _objects(_EVENTS, event["metadata"]["namespace"], "events")
        await self._write("POST", path, body=event)

    async def _read(self, path: str) -> Document | None:
        try:
            return await self._api.send("GET", path)
        except ApiError as error:
            _require_absence(error)
            return None

    async def _apply(self, path: str, document: Document) -> Document:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._write("PATCH", path, query=query, body=document, content_type=_APPLY)

    async def _write(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
    ) -> Document:
        try:
            return await self._api.send(
                method, path, query=query, body=body, content_type=content_type
            )
        except ApiError as error:
            if error.status in _LASTING:
                raise RefusedError(str(error)) from error
            raise


def _require_absence(error: ApiError) -> None:
    """Raise any answer but that the object is not there."""
    if error.status != 404:
        raise error
