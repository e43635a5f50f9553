"""What the run needs from the outside: a vendor, and a place for rows and tokens."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import (
        Alert,
        AlertQuery,
        Fields,
        Grant,
        Page,
        Plant,
        Read,
        Rejection,
        Token,
    )

Answer = TypeVar("Answer")
Record_co = TypeVar("Record_co", covariant=True)


class Purpose(StrEnum):
    """What a call is for, which decides how much of the account's allowance it may use."""

    LOGIN = "login"
    """Never sent twice; may use the reserve."""
    LISTING = "listing"
    """May use the reserve."""
    DETAIL = "detail"
    """About one plant; leaves the reserve alone."""


class CallBudget(Protocol):
    """The account's allowance of calls, shared by all its runs."""

    def spend(self, purpose: Purpose) -> None:
        """Take one call, before each try. Raises BudgetSpentError when none is left for it."""

    def remaining(self) -> int | None:
        """Return the calls left in the tightest allowance, None when there is no limit."""


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
        purpose: Purpose = Purpose.LISTING,
    ) -> dict[str, Any]:
        """Send a GET."""

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


class Session(Protocol):
    """Lends the account's token to a request."""

    def call(self, request: Callable[[Token], Answer]) -> Answer:
        """Run the request; when it raises TokenExpiredError, refresh once and repeat it once.

        A second refusal raises CredentialsRejectedError.
        """


class Reader(Protocol[Record_co]):
    """Reads a record from its fields, and from nothing else.

    So fields that are as they were need not be read again.
    """

    @property
    def version(self) -> int:
        """Another number when something else is read from the same fields; then all are read."""

    def __call__(self, fields: Fields, /) -> Read[Record_co] | Rejection:
        """Return the record, or why it cannot be stored."""


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

    def plants(self, session: Session) -> Iterator[Page[Fields]]:
        """Yield the pages of all plants of the account, in the vendor's order, to be read."""

    @property
    def plant(self) -> Reader[Plant]:
        """What reads the plants that are listed."""

    def alerts(self, session: Session, query: AlertQuery) -> Iterator[Page[Alert]]:
        """Yield the pages of the alerts asked for; called only if the policy has `alerts`.

        `query.plant` is set if and only if the policy says `per_plant`.
        """


@runtime_checkable
class RenewingAdapter(Protocol):
    """What an adapter may have besides: a token is renewed without the password."""

    def renew(self, refresh_token: str) -> Grant:
        """Renew once, as a call of Purpose.LOGIN. An answer without a refresh token keeps the old.

        Raises TokenExpiredError or CredentialsRejectedError when the refresh token is not good any
        more (`invalid_grant`); then one login follows.
        """


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
