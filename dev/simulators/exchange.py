"""The neutral shape of one call: what a vendor is asked, what it answers, what is logged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

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
    """Where a vendor's plant list keeps its parts, as key paths from the envelope or the row."""

    path: str
    page: str
    size: str
    rows: tuple[str, ...]
    total: tuple[str, ...]
    name: str
    capacity: tuple[str, ...]
    optional: tuple[str, ...]


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

    def account_names(self) -> tuple[str, ...]:
        """Name the accounts, in the order of the configuration."""

    def account_of(self, request: Request) -> str | None:
        """Tell whose call this is, from its token or login name."""

    def answer(self, request: Request) -> Answer | Reply:
        """Do what the vendor would do."""

    def refusal(self, code: str, message: str) -> Json:
        """Build the vendor's error envelope."""

    def fleet(self, account: str) -> Fleet:
        """Give the plants of an account, for reading and for change."""

    def rows(self, account: str, page: int, size: int) -> list[Json]:
        """Render one page of the plant list."""

    def truth(self, account: str) -> list[Json]:
        """Tell what every plant of the account really is."""

    def expire_tokens(self, account: str) -> int:
        """Kill the live tokens of an account and tell how many there were."""

    def set_password(self, account: str, password: str) -> None:
        """Change the password, unlock the account and kill its tokens."""


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


def page_of(listing: Listing, request: Request) -> int | None:
    """Tell which page a call asks for."""
    return whole_number((request.body or {}).get(listing.page))
