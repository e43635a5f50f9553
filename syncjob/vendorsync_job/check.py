"""A look at one account: logs in and counts its plants, without a database and without a trace."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from vendorsync_job.access import access_of
from vendorsync_job.listing import Listing
from vendorsync_job.models import Rejection
from vendorsync_job.mounts import Mounts, secrets_of
from vendorsync_job.session import AccountSession
from vendorsync_job.settings import policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vendorsync_api.run import RunSpec
    from vendorsync_job.models import Fields, Grant, Plant, Read, Token
    from vendorsync_job.ports import VendorAdapter
    from vendorsync_job.run import Setting

FIRST = 5
"""Names and reasons that are shown."""


@dataclass
class MemoryTokens:
    """A `TokenStore` that forgets with the process."""

    on_token: Callable[[str], None]
    held: Token | None = None

    def current(self) -> Token | None:
        """Return the token of this process."""
        return self.held

    def refresh(self, stale: Token | None, login: Callable[[], Token]) -> Token:  # noqa: ARG002
        """Log in."""
        self.held = login()
        self.on_token(self.held.value)
        return self.held


@dataclass
class Finding:
    """What the account holds."""

    origin: str
    plants: int = 0
    rejected: int = 0
    dropped: list[str] = field(default_factory=list)
    """Why values could not be stored, of plants that can."""
    duplicates: int = 0
    complete: bool = False
    doubt: str = ""
    """Why there may be plants that the listing lacks."""
    companies: list[str] = field(default_factory=list)
    """Those that the login says are its own, with their ids."""
    names: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    run_needs: list[str] = field(default_factory=list)
    """Folders of Secrets that a run wants and a check does not, as far as they are missing."""

    def read(self, plants: Listing[Fields], adapter: VendorAdapter) -> None:
        """Read all plants; raises the error that ends their listing early."""
        for page in plants:
            self.dropped += page.dropped
            self._read([*page.rejected, *map(adapter.plant, page.records)])
        if plants.error is not None:
            raise plants.error
        self.duplicates = plants.duplicates
        self.complete, self.doubt = plants.complete, plants.doubt

    def _read(self, found: Iterable[Read[Plant] | Rejection]) -> None:
        for each in found:
            if isinstance(each, Rejection):
                self.rejected += 1
                self.reasons += [each.reason][: FIRST - len(self.reasons)]
            else:
                self.plants += 1
                self.names += [each.record.name][: FIRST - len(self.names)]
                self.dropped += each.dropped

    def lines(self) -> list[str]:
        """Return the finding for people."""
        shown = [f"logged in to {self.origin}"]
        if self.companies:
            named = "; ".join(self.companies)
            shown.append(f"companies of the login, for the option orgId: {named}")
        shown.append(f"plants: {self.plants}")
        if self.names:
            shown.append(f"first: {', '.join(self.names)}")
        shown += self._faults()
        if self.run_needs:
            shown.append(f"run will also need {' and '.join(self.run_needs)}")
        return shown

    def _faults(self) -> Iterator[str]:
        if self.rejected:
            yield f"could not be stored: {self.rejected}, such as: {self.reasons[0]}"
        if self.dropped:
            count = len(self.dropped)
            yield f"values that could not be stored: {count}, such as: {self.dropped[0]}"
        if self.duplicates:
            yield f"listed more than once: {self.duplicates}"
        if self.doubt:
            yield self.doubt
        if not self.complete:
            yield "the listing is incomplete: the vendor speaks of more plants"


def check(spec: RunSpec, setting: Setting, hide: Callable[..., None]) -> Finding:
    """Log in once and list all plants; `hide` hears of every value that no log may show.

    Raises the SyncError that a run would report.
    """
    policy = policy_of(spec)
    mounts = Mounts(setting.mounts, spec)
    credentials = mounts.credentials(policy)
    hide(*secrets_of(policy, credentials))
    access = access_of(
        spec,
        policy,
        credentials,
        mounts=setting.mounts,
        fingerprint_key=secrets.token_bytes(32),
    )
    deadline = setting.monotonic() + spec.deadline_seconds
    opened = access.open(deadline=deadline, sleep=setting.stop.sleep)
    with opened as vendor, setting.stop.armed():
        companies: dict[str, str] = {}

        def log_in() -> Grant:
            grant = vendor.adapter.authenticate()
            companies.update(grant.companies)
            return grant

        session = AccountSession(MemoryTokens(hide), log_in, setting.now)
        listing = Listing(
            vendor.adapter.plants(session),
            key=itemgetter(0),
            page_size=policy.page_size,
        )
        finding = Finding(access.endpoint.origin, run_needs=mounts.absent_for_run())
        finding.read(listing, vendor.adapter)
    finding.companies = [f"{key} ({name})" if name else key for key, name in companies.items()]
    return finding
