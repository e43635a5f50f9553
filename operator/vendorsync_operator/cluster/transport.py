"""Requests to the API server, over the `kubernetes` package's asyncio client.

Nothing else imports that package. Requests and answers are plain JSON: the client gives us
addresses, certificates and tokens that are read again when they rotate, and no object goes through
its models. A write is held back by its fence up to the moment when it leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client, config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from aiohttp.abc import AbstractStreamWriter


Document = dict[str, Any]
Fence = Callable[[], float]
"""Returns for how many seconds nobody else can write, or raises."""
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
FENCE: ContextVar[Fence | None] = ContextVar("fence", default=None)
"""What a request of this task must pass before it leaves; None for reads and for the Lease."""
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ApiError(Exception):
    """An answer of the API server that is no success; `status` is the HTTP code.

    `retry_after` is how many seconds the server wants to be left alone.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message or f"HTTP {status}")
        self.status = status
        self.retry_after = retry_after


class Api:
    """Sends requests; the address and the credentials are the client's."""

    def __init__(self, api: client.ApiClient, user_agent: str = "vendorsync-operator") -> None:
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
    fence = FENCE.get()
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
