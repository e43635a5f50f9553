"""Faults to order, and which calls they hit; `effects` and `delivery` say what they do."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.effects import BODY_FAULTS, PLANT_FAULTS, REPLACEMENTS, ROW_FAULTS
from dev.simulators.exchange import Json, Request, listing_of, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.simulators.exchange import Vendor

BEFORE: Final = ("latency", "reset")
"""Kinds that act before the vendor is asked; see `delivery` for those that act on the wire.

A latency lasts `seconds`, or until the faults are replaced.
"""

DELIVERIES: Final = ("drip", "stall", "reset_mid_body", "wrong_length")

STEAL: Final = "steal"
"""Another program has just logged in to the account: its tokens are dead before the call."""

KINDS: Final = frozenset({*BEFORE, STEAL, *REPLACEMENTS, *ROW_FAULTS, *BODY_FAULTS, *DELIVERIES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault and the calls it hits; a filter that is None fits every call.

    The first `after` fitting calls pass, the next `times` are hit (None: all of them). `options`
    are the settings of the kind, such as `seconds`, `code` or `status`.
    """

    kind: str
    vendor: str | None = None
    account: str | None = None
    path: str | None = None
    page: int | None = None
    times: int | None = None
    after: int = 0
    options: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fault:
        """Read a JSON object; keys that are not filters are options."""
        own = {item.name for item in fields(cls)} - {"options"}
        given = {key: value for key, value in document.items() if key in own}
        fault = cls(**given, options={key: document[key] for key in document if key not in own})
        fault.check()
        return fault

    def check(self) -> None:
        """Raise ValueError for a kind that does not exist."""
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(sorted(KINDS))}")

    def fits(self, vendor: Vendor, account: str | None, request: Request) -> bool:
        """Tell whether the filters let this fault hit the call; row faults hit lists only."""
        return (
            self._fits_path(vendor, request)
            and self.vendor in (None, vendor.name)
            and self.account in (None, account)
            and self.path in (None, request.path)
            and (self.page is None or self.page == page_of(vendor.listing, request))
        )

    def _fits_path(self, vendor: Vendor, request: Request) -> bool:
        if self.kind in PLANT_FAULTS:
            return request.path == vendor.listing.path
        return self.kind not in ROW_FAULTS or listing_of(vendor, request) is not None


class ActiveFaults:
    """The faults in force, with what is left of their counts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def set(self, faults: list[Fault]) -> None:
        """Replace all faults."""
        self._faults = list(faults)

    def add(self, fault: Fault) -> None:
        """Put one more fault in force."""
        self._faults.append(fault)

    def active(self) -> tuple[Fault, ...]:
        """Give the faults that can still hit a call."""
        return tuple(self._faults)

    def take(self, vendor: Vendor, account: str | None, request: Request) -> list[Fault]:
        """Find the faults that hit this call, and count it."""
        hits = []
        for position, fault in enumerate(self._faults):
            if not fault.fits(vendor, account, request):
                continue
            if fault.after > 0:
                self._faults[position] = replace(fault, after=fault.after - 1)
                continue
            hits.append(fault)
            if fault.times is not None:
                self._faults[position] = replace(fault, times=fault.times - 1)
        self._faults = [fault for fault in self._faults if fault.times is None or fault.times > 0]
        return hits
