"""The neutral shape of one call: what a vendor is asked, what it answers, what is logged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dev.simulators.plants import Fleet

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request; header names are lower case, `body` is None unless it is a JSON object."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None
    remote: str = ""


@dataclass(slots=True)
class Answer:
    """A vendor's envelope, and in one word what it means."""

    payload: Json
    outcome: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Where a vendor's list keeps its parts, as key paths from the envelope or the row.

    `capacity`, and `unit` where the vendor sends one with it, are of plants only; `moment`, the
    field that says when an alarm began, is of alarms only.
    """

    path: str
    page: str
    size: str
    rows: tuple[str, ...]
    total: tuple[str, ...]
    name: str
    optional: tuple[str, ...]
    key: str = "id"
    capacity: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    moment: str = ""
    first: int = 1
    """What asks for the first page."""
    by_record: bool = False
    """A page is asked for by the place of its first record, not by its own number."""

    def step(self, size: int) -> int:
        """Tell how much what asks for a page grows from one to the next."""
        return size if self.by_record else 1

    @property
    def spoiled(self) -> str:
        """The field that a fault takes away if it names no other."""
        return self.moment or self.capacity[0]


@dataclass(slots=True)
class Reply:
    """The bytes to send; `chunks` replaces `body` when the whole is too big to hold."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One line of the call log; `seconds` is None while it lasts. Holds no secret and no token."""

    started_at: str
    seconds: float | None
    vendor: str
    account: str | None
    method: str
    path: str
    page: int | None
    size: int | None
    status: int
    outcome: str
    faults: tuple[str, ...]
    remote: str


class Vendor(Protocol):
    """What the server needs from a simulated vendor; it calls every method under one lock."""

    name: str
    listing: Listing
    """Of the plants."""

    @property
    def alert_listing(self) -> Listing | None:
        """Of the alarms; None where the vendor tells of none."""

    def account_names(self) -> tuple[str, ...]:
        """Name the accounts, in the order of the configuration."""

    def account_of(self, request: Request) -> str | None:
        """Tell whose call this is, from its token or login name."""

    def answer(self, request: Request) -> Answer | Reply:
        """Do what the vendor would do."""

    def rows(self, account: str, request: Request) -> list[Json]:
        """Render the rows that a call for a list asks for; it is neither judged nor counted."""

    def refusal(self, code: str, message: str) -> Json | Reply:
        """Build the vendor's error envelope, or the reply where its status says it."""

    def fleet(self, account: str) -> Fleet:
        """Give the plants of an account, for reading and for change."""

    def truth(self, account: str) -> list[Json]:
        """Tell what every plant of the account really is."""

    def alert_truth(self, account: str) -> list[Json]:
        """Tell what every alarm of the account really is that began in the last 30 days."""

    def expire_tokens(self, account: str) -> int:
        """Kill the live tokens of an account and tell how many there were."""

    def set_password(self, account: str, password: str) -> None:
        """Change the password, unlock the account and kill its tokens."""


@runtime_checkable
class Adjustable(Protocol):
    """A vendor whose accounts can be given other settings while it runs."""

    def change_account(self, account: str, settings: Mapping[str, Any]) -> None:
        """Give an account other settings, such as `single_token`."""


def dig(value: Json, path: tuple[str, ...]) -> Json | None:
    """Follow a key path to the object that holds its last key; None where it breaks off."""
    for key in path[:-1]:
        inner = value.get(key)
        if not isinstance(inner, dict):
            return None
        value = inner
    return value


def whole_number(value: object) -> int | None:
    """Read a page number as the vendors do: a number, or text made of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else None


def listing_of(vendor: Vendor, request: Request) -> Listing | None:
    """Tell which list a call asks for, if any."""
    listings = (vendor.listing, vendor.alert_listing)
    return next((found for found in listings if found and found.path == request.path), None)


def page_of(listing: Listing, request: Request) -> int | None:
    """Tell which page a call asks for, counted from 1."""
    given = whole_number(asked(request).get(listing.page))
    if given is None:
        return None
    return (given - listing.first) // listing.step(size_of(listing, request)) + 1


def size_of(listing: Listing, request: Request) -> int:
    """Tell how many records a call asks for."""
    return whole_number(asked(request).get(listing.size)) or 1


def asked(request: Request) -> Json:
    """Give what a call asks for, from the address and from the body."""
    return {**request.query, **(request.body or {})}
