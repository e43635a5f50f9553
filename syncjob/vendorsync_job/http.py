"""The vendor's HTTP side: TLS, time-outs, limits, retries and refusals, once for all adapters."""

from __future__ import annotations

import logging
import math
import random
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import httpcore
import httpx
import orjson
from msgspec import Struct

from vendorsync_job import answers
from vendorsync_job.deadline import pages_deadline
from vendorsync_job.errors import (
    ConfigurationError,
    DeadlineExceededError,
    EndpointRefusedError,
    ListingTimeoutError,
    SyncError,
    TLSFailedError,
    VendorContractError,
    VendorUnavailableError,
)
from vendorsync_job.network import (
    Deadline,
    GuardedBackend,
    network_fault,
    resolve,
    tls_fault,
)
from vendorsync_job.ports import Purpose
from vendorsync_job.tokens import FIELD_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from vendorsync_job.network import Address, Endpoint

logger = logging.getLogger(__name__)

HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": "vendorsync",
}
BROKEN: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
ENVELOPE: Final = 64 << 10
"""Bytes of a refusal that are read for the vendor's own code."""
PATIENCE: Final = 5.0
"""Seconds of `Retry-After` that a 503 may ask for and still be tried again in the same run."""


class Limits(Struct, frozen=True):
    """Seconds, bytes and tries of one call."""

    connect: float = 10.0
    total: float = 30.0
    """From the first byte sent to the last byte read, of one try."""
    answer: int = 32 << 20
    """Bytes of an answer after inflation."""
    tries: int = 3
    backoff: float = 0.5
    """Upper bound of the first pause; it doubles with each try."""


USUAL: Final = Limits()


class HttpVendorClient:
    """Calls one endpoint and returns parsed JSON objects: the `VendorClient` of `ports`.

    `deadline` is the run's own, on the same monotonic `clock`. Calls end somewhat earlier, with
    ListingTimeoutError, so that the run can still write what was read. `spend` takes each try, the
    repeated ones too, out of the account's allowance. One client may serve several threads.
    Redirects and the proxies of the environment are not followed, and no other origin is called,
    whatever the path says.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        adapter_title: str,
        deadline: float = math.inf,
        spend: Callable[[Purpose], None] = lambda _: None,
        limits: Limits = USUAL,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] | None = None,
        resolve: Callable[[str, int], Sequence[Address]] = resolve,
    ) -> None:
        _silence_request_logs()
        self.calls = 0
        """Tries made so far, each of which the vendor may count."""
        self._title = adapter_title
        self._run_deadline = deadline
        self._pages_deadline = pages_deadline(deadline, clock())
        self._spend = spend
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter or random.SystemRandom().uniform
        self._counting = threading.Lock()
        self._deadline = Deadline()
        backend = GuardedBackend(
            allow_private=endpoint.allow_private,
            deadline=self._deadline,
            clock=clock,
            resolve=resolve,
        )
        self._transport = PoolTransport(_tls_context(endpoint.ca_file), backend)
        self._http = _client(endpoint.origin, self._transport, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        self._http.close()

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        purpose: Purpose = Purpose.LISTING,
    ) -> dict[str, Any]:
        """Send a GET."""
        return self._call("GET", path, None, params, headers, purpose)

    def post(
        self,
        path: str,
        *,
        json: Mapping[str, Any],
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        purpose: Purpose = Purpose.LISTING,
    ) -> dict[str, Any]:
        """Send a POST with a JSON body; a login is never sent a second time."""
        return self._call("POST", path, json, params, headers, purpose)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        purpose: Purpose,
    ) -> dict[str, Any]:
        call = f"{method} {path}"
        self._check_headers(headers or {}, call)
        request = self._http.build_request(
            method,
            path,
            content=None if body is None else orjson.dumps(dict(body)),
            params=params,
            headers={"Content-Type": "application/json", **(headers or {})}
            if body is not None
            else headers,
        )
        self._check_origin(request)
        for attempt in range(1, self._limits.tries + 1):
            try:
                return self._attempt(request, call, purpose)
            except RepeatableError as failure:
                drawn = self._jitter(0.0, self._limits.backoff * 2 ** (attempt - 1))
                pause = max(drawn, failure.retry_after or 0.0)
                if not self._may_repeat(failure, attempt, pause, purpose):
                    raise failure.error from failure.error.__cause__
                logger.info(
                    "vendor call failed, trying again", extra={"call": call, "attempt": attempt}
                )
                self._sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _check_origin(self, request: httpx.Request) -> None:
        """Refuse a path that is a whole address, such as a link to the next page elsewhere."""
        own, asked = self._http.base_url, request.url
        if (asked.scheme, asked.host, asked.port) != (own.scheme, own.host, own.port):
            raise EndpointRefusedError(
                f"{self._title} is called at {own.host} only, and not at {asked.host}"
            )

    def _check_headers(self, headers: Mapping[str, str], call: str) -> None:
        """Refuse what HTTP cannot carry: the libraries' own errors would show or hide too much."""
        for name, value in headers.items():
            if not FIELD_VALUE.fullmatch(value):
                raise ConfigurationError(
                    f"header {name} of {call} to {self._title} cannot carry its value: look in the"
                    " credentials' Secret for a blank or a line end at the end of a value, and for"
                    " characters outside ASCII such as a no-break space"
                )

    def _may_repeat(
        self, failure: RepeatableError, attempt: int, pause: float, purpose: Purpose
    ) -> bool:
        return (
            attempt < self._limits.tries
            and not (purpose is Purpose.LOGIN and failure.was_sent)
            and (failure.retry_after or 0.0) <= PATIENCE
            and self._clock() + pause < self._pages_deadline
        )

    def _attempt(self, request: httpx.Request, call: str, purpose: Purpose) -> dict[str, Any]:
        """Send once; RepeatableError wraps what another try may cure."""
        self._check_time(call)
        # An allowance that turns soon is waited for, which is no time of the call's.
        self._spend(purpose)
        self._check_time(call)
        with self._counting:
            self.calls += 1
        self._deadline.at = min(self._clock() + self._limits.total, self._pages_deadline)
        try:
            # Not by the client: it would keep cookies, and read where a redirect leads.
            response = self._transport.handle_request(request)
            try:
                return self._read(response, call)
            finally:
                response.close()
        except BROKEN as error:
            raise self._failure(error, call) from error
        finally:
            self._deadline.at = math.inf

    def _check_time(self, call: str) -> None:
        late = self._late(f"before {call} of {self._title}")
        if late is not None:
            raise late

    def _late(self, when: str) -> DeadlineExceededError | ListingTimeoutError | None:
        """Return the error of the deadline that has passed, the run's before the pages'."""
        now = self._clock()
        if now >= self._run_deadline:
            return DeadlineExceededError(f"the run's deadline passed {when}")
        if now >= self._pages_deadline:
            return ListingTimeoutError(f"the time for the vendor's pages passed {when}")
        return None

    def _failure(self, error: Exception, call: str) -> Exception:
        """Word a failure of the network; only what nothing answered is worth another try."""
        late = self._late(f"while waiting for {self._title} at {call}")
        if late is not None:
            return late
        fault = tls_fault(error)
        if fault is not None:
            return TLSFailedError(f"{self._title} at {self._http.base_url.host} {fault}")
        unsent = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout)
        what = network_fault(error)
        unavailable = VendorUnavailableError(f"{self._title} cannot be reached at {call}: {what}")
        unavailable.__cause__ = error
        return RepeatableError(unavailable, was_sent=not unsent)

    def _read(self, response: httpx.Response, call: str) -> dict[str, Any]:
        answered = f"{self._title} answered HTTP {response.status_code} to {call}"
        if response.status_code >= 500 or response.status_code == 408:
            raise RepeatableError(
                VendorUnavailableError(answered),
                was_sent=True,
                retry_after=answers.retry_after(response.headers),
            )
        if not response.is_success:
            refused = answers.refusal(response.status_code, response.headers, answered)
            with suppress(answers.UnreadableError, *BROKEN):
                refused.answer = _json_object(response, ENVELOPE)
            raise refused
        try:
            return _json_object(response, self._limits.answer)
        except answers.UnreadableError as error:
            raise VendorContractError(f"{self._title} answered {call} {error}") from None


class RepeatableError(Exception):
    """Carries the error to raise when no further try is made."""

    def __init__(
        self, error: SyncError, *, was_sent: bool, retry_after: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.was_sent = was_sent
        self.retry_after = retry_after


def _json_object(response: httpx.Response, limit: int) -> dict[str, Any]:
    return answers.json_object(
        response.iter_raw(),
        encoding=response.headers.get("Content-Encoding", ""),
        content_type=response.headers.get("Content-Type", ""),
        limit=limit,
    )


def _client(origin: str, transport: httpx.BaseTransport, limits: Limits) -> httpx.Client:
    """Return httpx's client of an origin: it makes requests, and sends none."""
    try:
        base_url = httpx.URL(origin)
    except httpx.InvalidURL:
        raise EndpointRefusedError(f"{origin} is no address that can be called") from None
    return httpx.Client(
        base_url=base_url,
        transport=transport,
        headers=HEADERS,
        timeout=httpx.Timeout(limits.total, connect=limits.connect),
    )


class PoolTransport(httpx.BaseTransport):
    """Sends httpx's requests through httpcore's pool on a network backend of our own."""

    def __init__(self, tls: ssl.SSLContext, backend: httpcore.NetworkBackend) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            http1=True,
            http2=False,
            max_connections=8,
            keepalive_expiry=30.0,
            network_backend=backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; errors of httpcore pass through as they are."""
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.content,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_PoolStream(answer), request=request
        )

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


class _PoolStream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer.iter_stream())

    def close(self) -> None:
        self._answer.close()


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the system's store, or only the given authority; always verify."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"{ca_file} holds no certificate in PEM form") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _silence_request_logs() -> None:
    """Keep whole URLs and headers out of the log: both libraries write them below WARNING."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
