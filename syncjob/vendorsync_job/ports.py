"""What the run needs from the outside: a vendor, and a place for rows and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import Grant, Page, Plant, Token

Answer = TypeVar("Answer")


class VendorClient(Protocol):
    """Sends requests to one origin; time-outs, limits, retries and TLS are settled inside.

    Both methods return the parsed JSON object of a 2xx answer. They raise VendorUnavailableError,
    TLSFailedError, ThrottledError (HTTP 429), VendorRefusedError (401, 403), VendorContractError,
    EndpointRefusedError or DeadlineExceededError; an adapter never sees an HTTP library.
    """

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a GET."""

    def post(
        self,
        path: str,
        *,
        json: Mapping[str, Any],
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> dict[str, Any]:
        """Send a POST with a JSON body; `once`, for logins, never sends it a second time."""


class Session(Protocol):
    """Lends the account's token to a request."""

    def call(self, request: Callable[[Token], Answer]) -> Answer:
        """Run the request; when it raises TokenExpiredError, refresh once and repeat it once.

        A second refusal raises CredentialsRejectedError.
        """


class VendorAdapter(Protocol):
    """One vendor's paths and payloads, and nothing else.

    Made as `Adapter(client, credentials, options)`; `credentials` are the Secret's keys. HTTP 200
    is not success: each answer's envelope is read, and refusals become errors of `errors`.
    """

    policy: ClassVar[VendorPolicy]

    def __init__(
        self, client: VendorClient, credentials: Mapping[str, str], options: Options
    ) -> None: ...

    def authenticate(self) -> Grant:
        """Log in once. Raises CredentialsRejectedError, never trying twice."""

    def plants(self, session: Session) -> Iterator[Page[Plant]]:
        """Yield the pages of all plants of the account, in the vendor's order."""


class TokenStore(Protocol):
    """Where the account's token lives between runs."""

    def current(self) -> Token | None:
        """Return the stored token, stale or not."""

    def refresh(self, stale: Token | None, login: Callable[[], Token]) -> Token:
        """Return a token newer than `stale`, calling `login` at most once across all processes.

        Single flight: whoever waited for another process's login gets that one's token.
        Raises CredentialsRejectedError, without a call, while the account is blocked for the
        credentials at hand, and ThrottledError while it rests.
        """
