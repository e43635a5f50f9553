"""Which address of a vendor may be called, and connections that keep to it.

A host is resolved here once for each connection, every address is judged, and the connection goes
to the judged address: a name that answers differently a moment later gains nothing. TLS and the
`Host` header keep the name.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpcore
from msgspec import Struct

from vendorsync_api.run import CA_PATH, MOUNTS
from vendorsync_job.errors import EndpointRefusedError, SecretMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vendorsync_api.policy import VendorPolicy
    from vendorsync_api.run import AllowedEndpoint, RunSpec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CA_FILE: Final = "ca.crt"
PLATFORM: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16",  # Azure's platform service: a public address that is none
        "100.100.100.200",  # Alibaba Cloud's metadata
        "192.0.0.192",  # Oracle Cloud's metadata
        "fd00:ec2::/32",  # AWS's metadata, time and names over IPv6
        "fd20:ce::/64",  # Google Cloud's metadata over IPv6
    )
)
"""Services of the cloud itself, which no setting opens."""
SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
"""Between a provider and its customers (RFC 6598); clusters and overlay networks use it inside."""
TRANSLATED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible, long deprecated
        "::ffff:0:0/96",  # IPv4-mapped (RFC 4291)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # local NAT64 (RFC 8215)
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
"""Forms of IPv6 that lead to an IPv4 address, which nothing here looks at."""


class Endpoint(Struct, frozen=True):
    """The one origin that a run may call, such as `https://vendor.example:8443`."""

    origin: str
    allow_private: bool = False
    ca_file: Path | None = None
    """PEM file with the only authority to trust; None is the system's store."""

    @property
    def host(self) -> str:
        """Host, with its port unless it is 443; part of an account's identity."""
        return self.origin.removeprefix("https://")


def endpoint(spec: RunSpec, policy: VendorPolicy, mounts: Path = Path(MOUNTS)) -> Endpoint:
    """Return the endpoint of a run: the vendor's `baseURL`, or the adapter's first one.

    Raises EndpointRefusedError unless the origin is one of the adapter's own or an administrator
    allows it for this adapter, and SecretMissingError when its authority is not mounted.
    """
    wanted = spec.vendor.base_url or policy.endpoints[0]
    origin = normal_origin(wanted)
    allowed = [item for item in spec.allowed_endpoints if item.adapter == policy.adapter]
    for item in allowed:
        if normal_origin(item.origin) == origin:
            return Endpoint(origin, item.allow_private, _authority(item, mounts))
    if origin in map(normal_origin, policy.endpoints):
        return Endpoint(origin)
    known = ", ".join((*policy.endpoints, *(item.origin for item in allowed)))
    raise EndpointRefusedError(
        f"baseURL {origin} is not an endpoint of adapter {policy.adapter}; allowed: {known}"
    )


def normal_origin(url: str) -> str:
    """Return `https://host` or `https://host:port`, lower case; path and query are dropped.

    Raises EndpointRefusedError for another scheme, a user name in the address, or no host.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise EndpointRefusedError("an endpoint must be written https://host") from None
    if parts.scheme != "https":
        raise EndpointRefusedError(
            f"an endpoint must begin with https://, not {parts.scheme[:20]!r}"
        )
    if not host or parts.username is not None or parts.password is not None:
        raise EndpointRefusedError(
            "an endpoint must be https://host without a user name or password"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}" if port in (None, 443) else f"https://{shown}:{port}"


def _authority(allowed: AllowedEndpoint, mounts: Path) -> Path | None:
    if allowed.ca_secret is None:
        return None
    file = mounts / Path(CA_PATH).relative_to(MOUNTS) / CA_FILE
    if not file.is_file():
        looked = "" if mounts == Path(MOUNTS) else f"; looked for files in {file.parent}"
        raise SecretMissingError(
            f"Secret {allowed.ca_secret} with the key {CA_FILE} does not exist; it is needed to"
            f" verify {allowed.origin}{looked}"
        )
    return file


def is_permitted(address: Address, *, allow_private: bool = False) -> bool:
    """Tell whether a vendor may live at this address.

    Only public unicast addresses may be called. `allow_private` adds private and shared networks
    and loopback; link-local, metadata, multicast and translated addresses stay out.
    """
    if (
        _is_in(PLATFORM, address)
        or address.is_link_local
        or address.is_multicast
        or (address.version == 6 and address.is_site_local)
        or address.is_unspecified
    ):
        return False
    if allow_private and (address.is_private or address in SHARED):
        return not _is_in(TRANSLATED, address) or address.is_loopback
    return address.is_global and not address.is_reserved and not _is_in(TRANSLATED, address)


def _is_in(networks: Iterable[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def resolve(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host in the system's order, each once; OSError when unknown."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    texts = dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found)
    return [ipaddress.ip_address(text) for text in texts]


class Deadline(threading.local):
    """The instant on the monotonic clock after which the present thread waits for nothing."""

    at: float = math.inf

    def left(self, clock: Callable[[], float], wanted: float | None) -> float:
        """Return the seconds to wait: `wanted`, or what is left; never more."""
        remaining = self.at - clock()
        return remaining if wanted is None else min(wanted, remaining)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to permitted addresses only, and cuts every wait at the deadline."""

    def __init__(
        self,
        *,
        allow_private: bool,
        deadline: Deadline,
        clock: Callable[[], float],
        resolve: Callable[[str, int], Sequence[Address]] = resolve,
    ) -> None:
        self._allow_private = allow_private
        self._deadline = deadline
        self._clock = clock
        self._resolve = resolve
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first permitted address that answers.

        Raises EndpointRefusedError when the host has no permitted address.
        """
        until = self._clock() + self._deadline.left(self._clock, timeout)
        failure: Exception | None = None
        permitted = self._permitted(host, port, until - self._clock())
        for waiting, address in zip(range(len(permitted), 0, -1), permitted, strict=True):
            left = until - self._clock()
            if left <= 0:
                break
            try:
                # An address that swallows everything must leave time for the next.
                stream = self._plain.connect_tcp(
                    str(address), port, left / waiting, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return GuardedStream(stream, self._deadline, self._clock)
        raise failure or httpcore.ConnectTimeout("no time left to connect")

    def _permitted(self, host: str, port: int, timeout: float) -> list[Address]:
        addresses = self._addresses(host, port, timeout)
        permitted = [
            address
            for address in addresses
            if is_permitted(address, allow_private=self._allow_private)
        ]
        if not permitted:
            found = ", ".join(sorted(map(str, addresses))[:3])
            raise EndpointRefusedError(
                f"{host} leads to {found}, which no vendor may have;"
                " an administrator can set allowPrivate for a private or loopback address"
            )
        return permitted

    def _addresses(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Resolve in a thread of its own: the system's resolver knows no time-out."""
        found: list[Sequence[Address]] = []
        failed: list[Exception] = []

        def look() -> None:
            try:
                found.append(self._resolve(host, port))
            except (OSError, ValueError) as error:
                failed.append(error)

        thread = threading.Thread(target=look, name="resolve", daemon=True)
        thread.start()
        thread.join(max(0.0, timeout))
        if failed:
            raise httpcore.ConnectError("the name cannot be resolved") from failed[0]
        if not found:
            raise httpcore.ConnectTimeout("the name was not resolved in time")
        if not found[0]:
            raise httpcore.ConnectError("the name cannot be resolved")
        return found[0]


class GuardedStream(httpcore.NetworkStream):
    """A connection on which no wait outlives the deadline, however slowly bytes drip in."""

    def __init__(
        self, stream: httpcore.NetworkStream, deadline: Deadline, clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._deadline = deadline
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there; ReadTimeout at the deadline."""
        left = self._deadline.left(self._clock, timeout)
        if left <= 0:
            raise httpcore.ReadTimeout("the answer took too long")
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything; WriteTimeout at the deadline."""
        left = self._deadline.left(self._clock, timeout)
        if left <= 0:
            raise httpcore.WriteTimeout("the request took too long")
        self._stream.write(buffer, left)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands; the certificate is checked against the name, not the address."""
        left = self._deadline.left(self._clock, timeout)
        if left <= 0:
            self.close()
            raise httpcore.ConnectTimeout("the handshake took too long")
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return GuardedStream(stream, self._deadline, self._clock)

    def get_extra_info(self, info: str) -> object:
        """Return what the plain connection knows."""
        return self._stream.get_extra_info(info)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def tls_fault(error: Exception) -> str | None:
    """Word a handshake that failed for good; None when the other side only hung up."""
    if not isinstance(error, httpcore.ConnectError):
        return None
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"shows a certificate that cannot be verified: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return f"does not agree on TLS: {cause.reason or 'the handshake failed'}"
    return None


def network_fault(error: Exception) -> str:
    """Word why nothing, or nothing whole, was answered."""
    if isinstance(error, httpcore.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpcore.TimeoutException):
        return "no complete answer in time"
    if isinstance(error, httpcore.ProtocolError):
        return "the connection broke off in the middle of the answer"
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return str(error) or "the connection failed"
