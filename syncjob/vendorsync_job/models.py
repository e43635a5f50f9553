"""The job's own values: vendor-neutral, frozen, in our units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal


class Veiled(Struct, frozen=True):
    """A record whose text shows nothing of the fields in `hidden`."""

    hidden: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Return the record's name with the other fields."""
        names = (name for name in self.__struct_fields__ if name not in self.hidden)
        shown = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({', '.join(shown)})"


class Plant(Struct, frozen=True):
    """One plant as the vendor lists it now, in our units; None where the vendor gave no value."""

    vendor_plant_id: str
    name: str
    capacity_kw: Decimal | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    address: str | None = None
    time_zone: str | None = None
    """IANA name, or `UTC+05:30` where the vendor gives only an offset."""
    plant_type: str | None = None
    status: str | None = None
    """One of online, offline, partial, fault."""
    commissioned_at: datetime | None = None
    """Aware, UTC."""
    vendor_created_date: datetime | None = None
    """When the vendor's account got the plant; aware, UTC."""


class Alert(Struct, frozen=True):
    """One occurrence of an alarm; None where the vendor gave no value. Times are aware, UTC."""

    vendor_alert_id: str
    """The same for one occurrence in every listing, and different for the next one."""
    vendor_plant_id: str
    title: str
    started_at: datetime
    status: str = "active"
    """One of active, resolved."""
    severity: str | None = None
    """One of LOW, MEDIUM, HIGH, CRITICAL."""
    code: str | None = None
    description: str | None = None
    device_serial: str | None = None
    resolved_at: datetime | None = None


class AlertQuery(Struct, frozen=True):
    """Which alerts are wanted: of one plant, or of the whole account when `plant` is None.

    `since` and `until` bound the start of an alert where the vendor lists by time; both are aware.
    `zones` are the plants' own zones by vendor_plant_id, for vendors that give local times.
    `plants` are the ids of all that are wanted, for vendors that list those of more.
    """

    since: datetime
    until: datetime
    plant: str | None = None
    zones: Mapping[str, str] = field(default_factory=dict)
    default_zone: str = "Asia/Kolkata"
    plants: frozenset[str] = frozenset()


class Rejection(Struct, frozen=True):
    """A record that cannot be stored, with the reason and the record as the vendor sent it.

    The record may name people: whoever keeps it strips that.
    """

    key: str | None
    reason: str
    record: Mapping[str, Any]


Record_co = TypeVar("Record_co", covariant=True)
Fields = tuple[Any, ...]
"""A record as the vendor listed it: its key, then the values that it is read from."""


class Read(Struct, Generic[Record_co], frozen=True):
    """What was read from fields."""

    record: Record_co
    dropped: tuple[str, ...] = ()
    """Of each value that the record has to do without, since it cannot be stored: why."""


class Page(Struct, Generic[Record_co], frozen=True):
    """One page of a listing: records, some of which are fields yet, and what cannot be stored."""

    records: tuple[Record_co, ...]
    rejected: tuple[Rejection, ...] = ()
    total: int | None = None
    """How many records the vendor says there are, over all pages; None when it does not say."""
    is_last: bool = False
    """The vendor's paging says that no page follows."""
    dropped: tuple[str, ...] = ()
    """Of each value that a record has to do without, since it cannot be stored: why."""
    doubt: str = ""
    """Why records may be there that the listing lacks, though the vendor speaks of no more."""


class Grant(Veiled, frozen=True):
    """What a login brought: a token and what the vendor says of its life.

    `expires_in` counts seconds from the answer; `expires_at` is the vendor's absolute time. Both
    may be absent; then the token's own `exp` (RFC 7519) or `default_lifetime` decides.
    """

    hidden = ("token", "refresh_token")

    token: str
    expires_in: float | None = None
    expires_at: datetime | None = None
    default_lifetime: float = 3600.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    refresh_token: str | None = None
    """What a `RenewingAdapter` renews the token with; None where the answer has none."""
    companies: Mapping[str, str] = field(default_factory=dict)
    """Names of the companies that the login says are its own, by id; `check` shows them."""


class Token(Veiled, frozen=True):
    """A token in use. `generation` grows by one with each login of the account."""

    hidden = ("value", "refresh_token")

    value: str
    expires_at: datetime
    obtained_at: datetime
    generation: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    refresh_token: str | None = None


class Account(Struct, frozen=True):
    """One account at one vendor: what tokens, blocks and budgets hang on.

    `key` is a digest of adapter, host and identity; `fingerprint` is a keyed digest of the whole
    credentials, so that a change of the Secret is seen without storing it. `app` is a digest of
    adapter, host and app, which several accounts may share; None where nothing tells apps apart.
    """

    key: bytes
    adapter: str
    host: str
    fingerprint: bytes
    app: bytes | None = None


class Counts(Struct):
    """What happened to the records of a run.

    total = created + updated + unchanged + rejected + duplicate, at any moment.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicate: int = 0
    vanished: int = 0
    """Plants newly marked as vanished, or open alerts that ended; none of them was listed."""
    repaired: int = 0
    """Those among `updated` whose row somebody else had changed."""
    values_dropped: int = 0
    """Values that could not be stored, of records that were."""

    def __add__(self, other: Counts) -> Counts:
        """Return the sums of both."""
        return Counts(
            *(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__)
        )

    @property
    def total(self) -> int:
        """Records that the vendor listed."""
        return self.created + self.updated + self.unchanged + self.rejected + self.duplicate
