"""What the contract suite must know of a vendor's cloud, to log in at it and to break it.

A distribution with an adapter names its `Cloud` in the entry-point group `vendorsync.contract`,
under the adapter's name; the suite of this checkout then runs on that adapter too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.simulators.exchange import Vendor

GROUP: Final = "vendorsync.contract"
PLANTS: Final = 250
"""Plants in the account that `Cloud.credentials` open: more than two pages of 100."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One vendor's simulated cloud, as the suite uses it.

    `credentials` open the first account, with `plants` plants on more than two pages, and `empty`
    one without plants; both are keys of the Secret. `password_key` names the key whose wrong value
    the vendor refuses. The codes are what the vendor answers when a token is `expired`, calls come
    too fast (`throttled`), the allowance is used up (`quota`), it has a fault of its own
    (`transient`), or a right is missing (`refused`). `busy` opens the account named `busy_account`,
    of a few plants whose alerts fill more than two pages at `alert_path`: those of the first plant
    where the vendor lists by plant, else all open ones. An adapter without alerts leaves the three
    as they are. `simulator` makes the cloud from a clock of UNIX seconds; None means one that
    `dev.simulators` has.
    """

    name: str
    credentials: Mapping[str, str]
    password_key: str
    empty: Mapping[str, str]
    login_path: str
    list_path: str
    expired: str
    throttled: str
    quota: str
    transient: str
    refused: str
    plants: int = PLANTS
    alert_path: str = ""
    busy: Mapping[str, str] = field(default_factory=dict)
    busy_account: str = "sim-busy"
    simulator: Callable[[Callable[[], float]], Vendor] | None = None
