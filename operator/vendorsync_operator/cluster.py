"""The API server, over the `kubernetes` package's asyncio client; nothing else imports it.

Requests and answers are plain JSON: the client gives us addresses, certificates and tokens that are
read again when they rotate, and no object goes through its models. A write is held back by its
fence up to the moment when it leaves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client, config

from vendorsync_api import run
from vendorsync_api.group import KIND, PLURAL
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator import lease
from vendorsync_operator.lease import Record, UnreachableError
from vendorsync_operator.reconcile import ConflictError, RefusedError
from vendorsync_operator.watch import DENIALS, DeniedError, GoneError, Page, StreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from aiohttp.abc import AbstractStreamWriter

    from vendorsync_operator.cache import Key

logger = logging.getLogger(__name__)

Document = dict[str, Any]
Fence = Callable[[], float]
"""Returns for how many seconds nobody else can write, or raises."""

FIELD_MANAGER = "vendorsync-operator"
CHUNK_SIZE = 500
"""Objects of one page of a list."""
WATCH_SECONDS = 300
"""After this time the server ends a watch; it goes on from the last version."""
SILENCE_SECONDS = 70
"""A watch without a word for so long is dead: the server sends a bookmark every minute."""

_REQUEST_SECONDS = 30
_LONGEST_RETRY_AFTER = 30.0
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=10)
_WATCH_TIMEOUT = aiohttp.ClientTimeout(
    total=WATCH_SECONDS + 10, sock_connect=10, sock_read=SILENCE_SECONDS
)
_FENCE: ContextVar[Fence | None] = ContextVar("fence", default=None)
"""What a request of this task must pass before it leaves; None for reads and for the Lease."""
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_CORE = "/api/v1"
_BATCH = "/apis/batch/v1"
_EVENTS = "/apis/events.k8s.io/v1"
_OURS = f"/apis/{API_VERSION}"
_COORDINATION = "/apis/coordination.k8s.io/v1"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NEVER = "1"
"""A resourceVersion that no object has. An apply that names it creates the object, or meets a
conflict with whatever lives under the name, and is never merged into that, forced or not."""
_UNDECLARED = "not declared in schema"
"""What the server says of a field that an apply names and the CRD does not know."""
_LASTING = frozenset({400, 403, 405, 413, 415, 422})
"""Answers that the same request would get again."""


class ApiError(Exception):
    """An answer of the API server that is no success; `status` is the HTTP code.

    `retry_after` is how many seconds the server wants to be left alone.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message or f"HTTP {status}")
        self.status = status
        self.retry_after = retry_after


class OutdatedError(Exception):
    """The CRD does not know what the operator writes; it is tried again later."""


class Api:
    """Sends requests; the address and the credentials are the client's."""

    def __init__(self, api: client.ApiClient, user_agent: str = FIELD_MANAGER) -> None:
        self._client = api
        # Read when the client opens its connections, which it does with its first request.
        self._client.configuration.client_session_kwargs = {
            "middlewares": (_hold_back,),
            # aiohttp would look for a .netrc and for proxies anew with each request.
            "trust_env": False,
        }
        self.user_agent = user_agent

    @classmethod
    async def from_environment(cls, user_agent: str) -> Api:
        """Return an API with the pod's service account, else with the current kubeconfig.

        Neither asks the server anything.
        """
        configuration = client.Configuration()
        # The renewal of the Lease must not queue behind the workers' requests and the watches.
        configuration.connection_pool_maxsize = 0
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(client_configuration=configuration)
        configuration.proxy = configuration.proxy or environment_proxy(configuration.host)
        return cls(client.ApiClient(configuration), user_agent)

    @property
    def server(self) -> str:
        """The server's URL."""
        return str(self._client.configuration.host)

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy before the server."""
        return self._client.configuration.proxy or None

    def connector(self) -> aiohttp.TCPConnector:
        """Return connections of their own to the server, as many as are wanted."""
        return aiohttp.TCPConnector(limit=0, ssl=self._client.rest_client.ssl_context)

    async def authorize(self, headers: MutableMapping[str, str]) -> None:
        """Add the credentials to a request's headers; a token that rotates is read again."""
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)

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
        # The server answers at once and sends events later; see health.SILENCE_LIMIT.
        async with asyncio.timeout(_REQUEST_SECONDS):
            response = await self._open(
                "GET", path, query, None, "application/json", _WATCH_TIMEOUT
            )
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
        headers = {
            "Content-Type": content_type,
            "Accept": "application/json",
            "User-Agent": self.user_agent,
        }
        await self.authorize(headers)
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        answer = await self._client.call_api(
            method, url, headers, body=body, _request_timeout=timeout
        )
        response = cast("aiohttp.ClientResponse", answer.response)
        if response.status >= 400:
            raise await _error(response)
        return response


class _FencedBody(aiohttp.BytesPayload):
    """The body of a request, which asks a fence right before it is sent.

    A process may be stopped at any step of a request, and go on with it when it wakes; after this
    one there is none left but the system call.
    """

    def __init__(self, data: bytes, fence: Fence) -> None:
        super().__init__(data)
        self._fence = fence

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._fence()
        await super().write_with_length(writer, content_length)


async def _hold_back(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Put the body of a write behind its fence."""
    fence = _FENCE.get()
    if fence is not None and isinstance(request.body, aiohttp.Payload):
        await request.update_body(_FencedBody(await request.body.as_bytes(), fence))
    return await send(request)


async def _error(response: aiohttp.ClientResponse) -> ApiError:
    text = await response.text()
    response.release()
    try:
        message = str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        message = text[:200]
    after = response.headers.get("Retry-After", "")
    seconds = min(float(after), _LONGEST_RETRY_AFTER) if after.isdigit() else 0.0
    return ApiError(response.status, message, seconds)


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)


def own_namespace() -> str:
    """Return the namespace of the pod's service account, `default` outside of a pod."""
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "default"


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
        self.path = _objects(prefix, namespace, plural)
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
        """Yield the watch events after a version, until the server ends the stream."""
        query = self._selector | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        try:
            async for line in self._api.lines(self.path, query):
                yield json.loads(line)
        except Exception as error:
            raise _interruption(error) from error


def _interruption(error: Exception) -> Exception:
    """Return what a failed list or watch means: list again, try again, or the error itself."""
    if isinstance(error, ApiError):
        if error.status == 410:
            return GoneError(str(error))
        if error.status in DENIALS:
            return DeniedError(f"HTTP {error.status}: {error}")
        if error.status in (429, *range(500, 600)):
            return StreamError(f"HTTP {error.status}: {error}", error.retry_after)
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
    """The API server as reconcile.Cluster.

    `fence` is asked before every write, whose time it bounds, and again when the write leaves.
    """

    def __init__(self, api: Api, *, fence: Fence) -> None:
        self._api = api
        self._fence = fence

    async def read_resource(self, key: Key) -> Document | None:
        """Return a VendorSync, None if there is none."""
        return await self._read(_object(_OURS, key, PLURAL))

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob, None if there is none."""
        return await self._read(_object(_BATCH, key, "cronjobs"))

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Apply a CronJob to the object of that uid; without one create it, or ConflictError."""
        precondition = {"uid": uid} if uid else {"resourceVersion": _NEVER}
        metadata = rendered["metadata"] | precondition
        key = metadata["namespace"], metadata["name"]
        path = _object(_BATCH, key, "cronjobs")
        try:
            return await self._apply(path, rendered | {"metadata": metadata})
        except ApiError as error:
            if error.status == 409 and uid is None:
                raise ConflictError(str(error)) from error
            raise

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

    async def create_job(self, job: Document) -> bool:
        """Create a Job; return False if one of its name exists."""
        path = _objects(_BATCH, job["metadata"]["namespace"], "jobs")
        try:
            await self._write("POST", path, query={"fieldManager": FIELD_MANAGER}, body=job)
        except ApiError as error:
            # A quota that was counted at the same time is a conflict too, and worth another try.
            if error.status != 409 or "has been modified" in str(error):
                raise
            return False
        return True

    async def read_job(self, key: Key) -> Document | None:
        """Return a Job, None if there is none."""
        # A list of one name: the right to list is there for the watch, so no other is wanted.
        query = {"fieldSelector": f"metadata.name={key[1]}"}
        found = await self._api.send("GET", _objects(_BATCH, key[0], "jobs"), query=query)
        return next(iter(found.get("items") or ()), None)

    async def pods(self, job: Key) -> list[Document]:
        """Return the pods of a Job."""
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job[1]}"}
        found = await self._api.send("GET", _objects(_CORE, job[0], "pods"), query=query)
        return found.get("items") or []

    async def refusals(self, namespace: str, uid: str) -> list[Document]:
        """Return the Events that tell of what an object could not create; RefusedError by 403."""
        query = {"fieldSelector": f"involvedObject.uid={uid},reason=FailedCreate"}
        try:
            found = await self._api.send("GET", _objects(_CORE, namespace, "events"), query=query)
        except ApiError as error:
            if error.status == 403:
                raise RefusedError(str(error)) from error
            raise
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
            if _UNDECLARED in str(error):
                raise OutdatedError(
                    "the CRD vendorsyncs.vendorsync.dev is older than this operator, which cannot"
                    f" write the status; apply the CRD of this release: {error}"
                ) from error
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
            async with asyncio.timeout(self._fence()):
                token = _FENCE.set(self._fence)
                try:
                    return await self._api.send(
                        method, path, query=query, body=body, content_type=content_type
                    )
                finally:
                    _FENCE.reset(token)
        except ApiError as error:
            if error.status in _LASTING:
                raise RefusedError(str(error)) from error
            raise


def _require_absence(error: ApiError) -> None:
    """Raise any answer but that the object is not there."""
    if error.status != 404:
        raise error


class ApiServerLeases:
    """One Lease on the API server as lease.Leases."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._key = namespace, name

    async def read(self) -> Record | None:
        """Return the Lease, None if there is none."""
        return await self._send("GET", _object(_COORDINATION, self._key, "leases"), None, 404)

    async def create(self, record: Record) -> Record | None:
        """Create the Lease; None if somebody was quicker."""
        path = _objects(_COORDINATION, self._key[0], "leases")
        return await self._send("POST", path, self._document(record), 409)

    async def update(self, record: Record) -> Record | None:
        """Replace the Lease of that version; None if it is another by now, or gone."""
        path = _object(_COORDINATION, self._key, "leases")
        return await self._send("PUT", path, self._document(record), 409, 404)

    async def _send(
        self, method: str, path: str, body: Document | None, *misses: int
    ) -> Record | None:
        try:
            return _record(await self._api.send(method, path, body=body))
        except ApiError as error:
            if error.status in misses:
                return None
            if error.status in DENIALS:
                raise lease.DeniedError(f"HTTP {error.status}: {error}") from error
            if error.status == 429 or error.status >= 500:
                raise UnreachableError(f"HTTP {error.status}: {error}") from error
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from error

    def _document(self, record: Record) -> Document:
        metadata = {"namespace": self._key[0], "name": self._key[1]}
        if record.version:
            metadata["resourceVersion"] = record.version
        spec: Document = {
            "holderIdentity": record.holder,
            # The API server takes no less than one second.
            "leaseDurationSeconds": max(round(record.duration), 1),
            "leaseTransitions": record.transitions,
        }
        for name, moment in (("acquireTime", record.acquired), ("renewTime", record.renewed)):
            if moment is not None:
                spec[name] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }


def _record(document: Document) -> Record:
    """Read a Lease; one that somebody else made may lack any field."""
    spec = document.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 15),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=_moment(spec.get("acquireTime")),
        renewed=_moment(spec.get("renewTime")),
        version=document["metadata"]["resourceVersion"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
