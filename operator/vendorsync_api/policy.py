"""What the operator must know of a vendor without importing its adapter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROUP = "vendorsync.policies"

SLICES: Final = 24
"""Parts of an allowance's time in which the ledger counts its calls."""
LONGEST_PACED: Final = 60
"""Seconds; an allowance over up to this turns so soon that a run waits for it."""


class Options(BaseModel):
    """Base of an adapter's options: an unknown or mistyped key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyError(ValueError):
    """A vendor that cannot be served as declared; the text says why and what to do."""


class Scope(StrEnum):
    """Whose calls an allowance counts together."""

    ACCOUNT = "Account"
    APP = "App"
    """All accounts that use one app of the vendor: those with the same `app_keys`."""


class Source(StrEnum):
    """Where the size of an allowance is known from, which says how solid it is."""

    DECLARED = "Declared"
    """By who bought it, in the resource or in the operator's settings."""
    DOCUMENTED = "Documented"
    """By the vendor's own manual."""
    REPORTED = "Reported"
    """By users of the vendor alone; yours may differ."""


@dataclass(frozen=True)
class Budget:
    """An allowance of calls: at most `calls` in any `seconds`.

    Logins and listings may use the `reserve` among them, calls about single plants may not.
    """

    calls: int
    seconds: int
    reserve: int = 0
    per: Scope = Scope.ACCOUNT
    source: Source = Source.DOCUMENTED
    up_to_plants: int | None = None
    """The vendor gives it to accounts of no more plants than that; None for any number."""

    @property
    def is_firm(self) -> bool:
        """Whether the size is sure enough to refuse what does not fit it."""
        return self.source is not Source.REPORTED

    @property
    def paces(self) -> bool:
        """Whether a run waits for room instead of ending."""
        return self.seconds <= LONGEST_PACED

    @property
    def slices_held(self) -> int:
        """Slices that a reserved call may wait until it is sent, after the one it was taken in."""
        return SLICES // 2 if self.paces else 1

    @property
    def slices_counted(self) -> int:
        """Slices in a row that are counted together: never more than `calls` are sent in them."""
        return SLICES + self.slices_held + 1

    @property
    def seconds_counted(self) -> float:
        """Seconds that a call counts at the longest, a little more than the vendor counts it."""
        return self.seconds * self.slices_counted / SLICES


def replaced(known: Iterable[Budget], declared: Iterable[Budget]) -> tuple[Budget, ...]:
    """Return what holds once allowances are declared.

    A declared one takes the place of a known one over the same time. One that lasts takes the place
    of all that last and are only reported, too. Of several over the same time and scope the
    smallest holds.
    """
    smallest: dict[tuple[int, Scope], Budget] = {}
    for budget in sorted(declared, key=lambda each: each.calls):
        smallest.setdefault((budget.seconds, budget.per), budget)
    times = {budget.seconds for budget in smallest.values()}
    lasting = any(not budget.paces for budget in smallest.values())
    kept = (
        budget
        for budget in known
        if budget.seconds not in times and (budget.is_firm or budget.paces or not lasting)
    )
    return (*smallest.values(), *kept)


def declared_budget(calls: int, seconds: int, per: Scope, known: Iterable[Budget]) -> Budget:
    """Return a declared allowance, with a reserve such as those of the `known` ones that last."""
    budget = Budget(calls, seconds, per=per, source=Source.DECLARED)
    if budget.paces:
        return budget
    usual = max((each.reserve for each in known if not each.paces), default=0)
    return replace(budget, reserve=min(usual, calls // 10))


@dataclass(frozen=True)
class AlertListing:
    """How a vendor lists alerts.

    A run reserves `calls_per_run` at first: what one of a usual account costs. With `per_plant`
    the calls about single plants are not in it: the runs share what the budgets leave them above
    the reserve.
    """

    calls_per_run: int = 4
    per_plant: bool = False
    """Each plant is asked for by itself; otherwise one listing holds the whole account."""
    active_only: bool = True
    """A listing holds every open alert and no other, so one that is absent has ended."""
    days: int = 30
    """How far back a listing by time may reach."""


@dataclass(frozen=True)
class VendorPolicy:
    """The facts of one vendor's API that decide about schedules, Secrets and addresses.

    `secret_keys` are groups of alternatives: one key of each group must be in the Secret.
    `identity_keys` are the keys, and `identity_options` the options, that tell one account of the
    vendor from another; `app_keys` are those that tell one app of the vendor from another, for
    allowances that count per app. `endpoints` are origins without a trailing slash, the first is
    the default. A run reserves `calls_per_run` at first: what a listing of a usual account costs.
    """

    adapter: str
    title: str
    streams: tuple[str, ...]
    endpoints: tuple[str, ...]
    secret_keys: tuple[tuple[str, ...], ...]
    identity_keys: tuple[str, ...]
    app_keys: tuple[str, ...] = ()
    optional_keys: tuple[str, ...] = ()
    identity_options: tuple[str, ...] = ()
    options: type[Options] = Options
    minimum_interval_minutes: int = 5
    page_size: int = 100
    calls_per_run: int = 4
    token_seconds: int | None = 0
    """How long a login lasts; 0 where each run needs one, None for a vendor without logins."""
    budgets: tuple[Budget, ...] = ()
    alerts: AlertListing | None = None
    account_concurrency: int = 1
    """Runs that may speak for one account at a time."""
    adapter_concurrency: int = 8
    """Runs of this adapter that may speak at a time, over all accounts of one database."""

    def __post_init__(self) -> None:
        """Refuse alerts without `alerts`, or the reverse, and apps that nothing tells apart."""
        if ("alerts" in self.streams) != (self.alerts is not None):
            raise PolicyError(
                f"the policy of adapter {self.adapter} must say in `alerts` how alerts are listed"
                " if it has that stream, and only then"
            )
        if not self.app_keys and any(budget.per is Scope.APP for budget in self.budgets):
            raise PolicyError(
                f"the policy of adapter {self.adapter} has an allowance per app and must say in"
                " `app_keys` which keys of the Secret tell apps apart"
            )

    @property
    def keys(self) -> frozenset[str]:
        """Every key of the Secret that the adapter reads."""
        return frozenset(key for group in self.secret_keys for key in group) | {*self.optional_keys}

    def calls(self, records: int | None) -> int:
        """Return what a listing of so many records costs, its login left out.

        A number that is not known yet counts as one page. One full page may not be all, whatever
        its total says, so the run asks for one more.
        """
        if records == self.page_size:
            return 2
        return max(1, -(-(records or 0) // self.page_size))

    def logins(self, runs: int, seconds: float) -> int:
        """Return the most logins of so many runs within that time."""
        if self.token_seconds is None:
            return 0
        return min(runs, math.ceil(seconds / self.token_seconds)) if self.token_seconds else runs

    def budgets_of(self, plants: int | None) -> tuple[Budget, ...]:
        """Return the allowances of an account with so many plants; None if that is not known.

        Where the vendor gives small accounts another one over the same time, that one holds.
        """
        found: dict[tuple[int, Scope], Budget] = {}
        for budget in sorted(self.budgets, key=_narrowest):
            limit = budget.up_to_plants
            if limit is None or (plants is not None and plants <= limit):
                found.setdefault((budget.seconds, budget.per), budget)
        return tuple(budget for budget in self.budgets if budget in found.values())

    def check_options(self, options: Mapping[str, Any]) -> Options:
        """Return the options as the adapter's model, or raise PolicyError naming the key."""
        try:
            return self.options.model_validate(dict(options))
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            known = ", ".join(sorted(self.options.model_fields)) or "none"
            what = (
                f"adapter {self.adapter} has no option {where!r}"
                if fault["type"] == "extra_forbidden"
                else f"option {where!r} of adapter {self.adapter}: {fault['msg']}"
            )
            raise PolicyError(f"{what}; known options: {known}") from error

    def missing_keys(self, keys: set[str]) -> list[str]:
        """Return the keys a Secret lacks; alternatives are written `email or username`."""
        return [" or ".join(group) for group in self.secret_keys if not keys & set(group)]


def _narrowest(budget: Budget) -> tuple[float, int]:
    limit = math.inf if budget.up_to_plants is None else budget.up_to_plants
    return limit, budget.calls


@cache
def adapters() -> Mapping[str, EntryPoint]:
    """Return the installed adapters: name to the entry point of their policy.

    Looking through all packages takes milliseconds, and a process sees none that come later.
    """
    return {point.name: point for point in entry_points(group=GROUP)}


@cache
def load_policy(adapter: str) -> VendorPolicy:
    """Return the policy of an installed adapter.

    Raises PolicyError, listing the adapters there are, when the name is unknown, and naming the
    package when it cannot be imported.
    """
    point = adapters().get(adapter)
    if point is None:
        raise PolicyError(
            f"adapter {adapter!r} is not installed; known: {', '.join(sorted(adapters()))}"
        )
    try:
        policy = point.load()
    except Exception as error:
        raise PolicyError(
            f"the policy of adapter {adapter!r} cannot be imported: {error}"
        ) from error
    if not isinstance(policy, VendorPolicy) or policy.adapter != adapter:
        raise PolicyError(f"entry point {adapter!r} of {GROUP} is not a VendorPolicy of that name")
    return policy
