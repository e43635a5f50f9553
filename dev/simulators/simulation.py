"""The state behind the servers, under one lock: vendors, clock, faults in force, call log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from threading import Event, RLock
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.effects import BODY_FAULTS, REPLACEMENTS, ROW_FAULTS, Page, encode
from dev.simulators.exchange import (
    Adjustable,
    Answer,
    Call,
    Json,
    Reply,
    Request,
    Vendor,
    asked,
    listing_of,
    page_of,
    size_of,
    whole_number,
)
from dev.simulators.faults import BEFORE, DELIVERIES, STEAL, ActiveFaults, Fault
from dev.simulators.solarman import SolarmanCloud
from dev.simulators.sungrow import SungrowCloud

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dev.simulators.accounts import Accounts

CALLS_KEPT: Final = 100_000
STOP_SECONDS: Final = 0.1
"""How often who waits looks whether the simulators stop."""
CHANGEABLE: Final = frozenset(
    {"name", "kind", "status", "capacity_kw", "latitude", "longitude", "address"}
    | {"timezone", "offset", "connecting"}
)


Maker = Callable[[Callable[[], float]], Vendor]
"""Makes a simulated cloud from its clock, which tells UNIX seconds."""


def built_in(accounts: Accounts) -> dict[str, Maker]:
    """Return the makers of the clouds that are part of this package."""
    return {
        "solarman": partial(SolarmanCloud, accounts.solarman),
        "sungrow": partial(SungrowCloud, accounts.sungrow),
    }


class Outcome:
    """What comes of one request: the reply, how to deliver it, and its line in the call log.

    `replaced` is set when others take the place of the faults that hit it.
    """

    def __init__(
        self,
        vendor: Vendor,
        request: Request,
        account: str | None,
        faults: list[Fault],
        replaced: Event,
    ) -> None:
        self.vendor = vendor
        self.request = request
        self.account = account
        self.faults = faults
        self.replaced = replaced
        self.reply = Reply()
        self.word = "pending"
        self.seconds: float | None = None
        self._started_at = datetime.now(UTC)
        self._clock = time.monotonic()

    def fault(self, *kinds: str) -> Fault | None:
        """Find a fault of one of these kinds that hits the call."""
        return next((fault for fault in self.faults if fault.kind in kinds), None)

    @property
    def delivery(self) -> Fault | None:
        """The fault on the wire, if any."""
        return self.fault(*DELIVERIES)

    def stop_clock(self) -> None:
        """Set how long the call took."""
        self.seconds = round(time.monotonic() - self._clock, 6)

    def call(self) -> Call:
        """Give the line of the call log."""
        request, listing = self.request, self.vendor.listing
        return Call(
            started_at=self._started_at.isoformat(timespec="microseconds"),
            seconds=self.seconds,
            vendor=self.vendor.name,
            account=self.account,
            method=request.method,
            path=request.path,
            page=page_of(listing, request),
            size=whole_number(asked(request).get(listing.size)),
            status=self.reply.status,
            outcome=self.word,
            faults=tuple(fault.kind for fault in self.faults),
            remote=request.remote,
        )


class Simulation:
    """The clouds and everything a test can see or change of them; safe from any thread."""

    def __init__(
        self,
        accounts: Accounts,
        on_call: Callable[[Call], None] = lambda _call: None,
        clouds: Mapping[str, Maker] | None = None,
    ) -> None:
        self._lock = RLock()
        self._makers = {**built_in(accounts), **(clouds or {})}
        self._on_call = on_call
        self._faults = ActiveFaults()
        self._log: deque[Outcome] = deque(maxlen=CALLS_KEPT)
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._replaced = Event()
        self.stopping = Event()
        self.vendors: dict[str, Vendor] = {}
        self.reset()

    def reset(self) -> None:
        """Go back to the start: plants, tokens, passwords, faults, clock and call log."""
        with self._lock:
            self._offset, self._frozen_at = 0.0, None
            self._replace_faults([])
            self._log.clear()
            self.vendors = {name: make(self.now) for name, make in self._makers.items()}

    def now(self) -> float:
        """Tell the vendors' time as UNIX seconds."""
        return (time.time() if self._frozen_at is None else self._frozen_at) + self._offset

    def set_clock(self, *, offset: float = 0, frozen_at: float | None = None) -> None:
        """Move the vendors' clock against the real one, or stop it at an instant."""
        with self._lock:
            self._offset, self._frozen_at = offset, frozen_at

    def calls(self, **filters: object) -> list[Call]:
        """Give the calls so far, oldest first; filter by any field, such as `path`."""
        if unknown := filters.keys() - Call.__slots__:
            raise ValueError(f"no call field {', '.join(sorted(unknown))}")
        with self._lock:
            log = [outcome.call() for outcome in self._log]
        return [call for call in log if all(getattr(call, key) == filters[key] for key in filters)]

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._log.clear()

    def accounts(self) -> dict[str, tuple[str, ...]]:
        """Name the accounts of each vendor."""
        return {name: vendor.account_names() for name, vendor in self.vendors.items()}

    def truth(self, vendor: str, account: str | None = None) -> list[Json]:
        """Tell what the plants of an account really are; without a name, of the first one."""
        with self._lock:
            return self._vendor(vendor).truth(self._name(vendor, account))

    def alert_truth(self, vendor: str, account: str | None = None) -> list[Json]:
        """Tell what the alarms of an account really are that began in the last 30 days."""
        with self._lock:
            return self._vendor(vendor).alert_truth(self._name(vendor, account))

    def change_account(self, vendor: str, account: str | None, settings: Mapping[str, Any]) -> None:
        """Give an account other settings, such as `single_token` or `refused`."""
        with self._lock:
            found = self._vendor(vendor)
            if not isinstance(found, Adjustable):
                raise TypeError(f"accounts of {vendor!r} cannot be changed")
            found.change_account(self._name(vendor, account), settings)

    def fault(self, kind: str, **settings: Any) -> None:
        """Put a fault in force; settings are the fields of `Fault` and the kind's options."""
        self.add_fault(Fault.from_json({"kind": kind, **settings}))

    def add_fault(self, fault: Fault) -> None:
        """Put one more fault in force."""
        fault.check()
        with self._lock:
            self._faults.add(fault)

    def set_faults(self, faults: Iterable[Fault] = ()) -> None:
        """Replace all faults; without any, clear them. Who waits for a latency is answered."""
        wanted = list(faults)
        for fault in wanted:
            fault.check()
        with self._lock:
            self._replace_faults(wanted)

    def faults(self) -> tuple[Fault, ...]:
        """Give the faults in force, with what is left of their counts."""
        with self._lock:
            return self._faults.active()

    def change_plants(
        self, vendor: str, account: str | None, changes: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """Add, remove, rename, resize or change plants; give the ids concerned.

        A change is `{"op": "add", "count": 2}` or another `op` with an `id` and the fields to set.
        """
        with self._lock:
            fleet = self._vendor(vendor).fleet(self._name(vendor, account))
            ids: list[str] = []
            for change in changes:
                if change["op"] == "add":
                    ids.extend(str(new.id) for new in fleet.add(int(change.get("count", 1))))
                    continue
                ids.append(str(change["id"]))
                if change["op"] == "remove":
                    fleet.remove(int(change["id"]))
                elif change["op"] in ("rename", "resize", "change"):
                    fields = {key: change[key] for key in change if key not in ("op", "id")}
                    if unknown := fields.keys() - CHANGEABLE:
                        raise ValueError(f"no plant field {', '.join(sorted(unknown))}")
                    fleet.change(int(change["id"]), **fields)
                else:
                    raise ValueError(f"no change {change['op']!r}")
            return ids

    def expire_tokens(self, vendor: str, account: str | None = None) -> int:
        """Kill the live tokens of an account and tell how many there were."""
        with self._lock:
            return self._vendor(vendor).expire_tokens(self._name(vendor, account))

    def set_password(self, vendor: str, account: str | None, password: str) -> None:
        """Change the password of an account, unlock it and kill its tokens."""
        with self._lock:
            self._vendor(vendor).set_password(self._name(vendor, account), password)

    def begin(self, vendor: Vendor, request: Request) -> Outcome:
        """Log the call, find out whose it is and which faults hit it."""
        with self._lock:
            account = vendor.account_of(request)
            faults = self._faults.take(vendor, account, request)
            outcome = Outcome(vendor, request, account, faults, self._replaced)
            self._log.append(outcome)
            return outcome

    def answer(self, outcome: Outcome) -> None:
        """Fill in the reply, faults included."""
        with self._lock:
            answer = self._answer(outcome.vendor, outcome)
            reply = answer if isinstance(answer, Reply) else Reply(encode(answer))
            reply.headers.setdefault("Content-Type", "application/json;charset=UTF-8")
            outcome.reply = reply
        for fault in outcome.faults:
            if fault.kind in BODY_FAULTS:
                BODY_FAULTS[fault.kind](reply, fault.options)

    def finish(self, outcome: Outcome) -> None:
        """Tell that the call is over."""
        outcome.stop_clock()
        self._on_call(outcome.call())

    def _answer(self, vendor: Vendor, outcome: Outcome) -> Reply | Json:
        instead = outcome.fault(*REPLACEMENTS)
        if instead:
            outcome.word = f"fault {instead.kind}"
            return REPLACEMENTS[instead.kind](vendor, instead.options)
        if outcome.fault(STEAL) and outcome.account:
            vendor.expire_tokens(outcome.account)
        answer = vendor.answer(outcome.request)
        if isinstance(answer, Reply):
            outcome.word = f"http {answer.status}"
            return answer
        outcome.word = answer.outcome
        self._spoil_rows(vendor, outcome, answer)
        return answer.payload

    def _spoil_rows(self, vendor: Vendor, outcome: Outcome, answer: Answer) -> None:
        request, account = outcome.request, outcome.account
        listing = listing_of(vendor, request)
        if answer.outcome != "ok" or listing is None or account is None:
            return

        size = size_of(listing, request)

        def other(number: int) -> list[Json]:
            place = listing.first + (number - 1) * listing.step(size)
            turned = {listing.page: place}
            query = {name: str(turned.get(name, value)) for name, value in request.query.items()}
            body = None if request.body is None else {**request.body, **turned}
            return vendor.rows(account, replace(request, query=query, body=body))

        page = Page(
            listing=listing,
            number=page_of(listing, request) or 1,
            size=size,
            payload=answer.payload,
            other=other,
        )
        for fault in outcome.faults:
            if fault.kind in ROW_FAULTS:
                ROW_FAULTS[fault.kind](page, fault.options)

    def _replace_faults(self, faults: list[Fault]) -> None:
        self._faults.set(faults)
        self._replaced.set()
        self._replaced = Event()

    def _vendor(self, name: str) -> Vendor:
        if name not in self.vendors:
            raise LookupError(f"no vendor {name!r}")
        return self.vendors[name]

    def _name(self, vendor: str, account: str | None) -> str:
        names = self._vendor(vendor).account_names()
        if account is None and names:
            return names[0]
        if account not in names:
            raise LookupError(f"no {vendor} account {account!r}")
        return account


def wait_before(simulation: Simulation, outcome: Outcome) -> bool:
    """Act out the faults that come before the answer; True tells to reset the connection."""
    for fault in outcome.faults:
        if fault.kind == BEFORE[0]:
            _wait(simulation, outcome, float(fault.options.get("seconds", 1)))
    return outcome.fault(BEFORE[1]) is not None


def _wait(simulation: Simulation, outcome: Outcome, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if simulation.stopping.is_set() or outcome.replaced.wait(min(left, STOP_SECONDS)):
            return


def call_json(call: Call) -> Json:
    """Give a call as a JSON object."""
    return asdict(call)
