"""The cloud of Sample Solar as API.md describes it, for VendorSync's simulators.

BUSY and FORBIDDEN come only where a test orders them. Needs a checkout of VendorSync; the adapter
does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.alerts import open_alerts, truth_of
from dev.simulators.exchange import Answer, Json, Listing, Reply, Request, whole_number
from dev.simulators.plants import Fleet, Plant, plant_truth, power_kw
from dev.simulators.tokens import Grant, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dev.simulators.alerts import Alert

LOGIN_PATH: Final = "/v1/login"
PLANTS_PATH: Final = "/v1/plants"
ALERTS_PATH: Final = "/v1/alerts"
TOKEN_SECONDS: Final = 7200
LARGEST_PAGE: Final = 100
MINUTE: Final = 60
CALLS_A_MINUTE: Final = 60
DAY: Final = 86_400
CALLS_A_DAY: Final = 5_000
STATES: Final = {"online": "up", "partial": "part", "offline": "down"}


@dataclass(frozen=True, kw_only=True)
class Account:
    """One user: how many plants, and how many alerts a day at each; 0 for one now and then."""

    name: str
    client_id: str
    user: str
    password: str
    seed: int
    plants: int
    alerts: int = 0


class RefusalError(Exception):
    """The call is refused with this code."""


class SampleCloud:
    """The cloud; every answer is HTTP 200 with the envelope of API.md."""

    name = "sample"
    listing = Listing(
        path=PLANTS_PATH,
        page="page",
        size="perPage",
        rows=("result", "items"),
        total=("result", "count"),
        name="title",
        capacity=("peakKw",),
        optional=("peakKw", "position", "address", "zone", "kind", "since"),
    )
    alert_listing = Listing(
        path=ALERTS_PATH,
        page="page",
        size="perPage",
        rows=("result", "items"),
        total=("result", "count"),
        name="text",
        moment="since",
        optional=("level", "code", "device"),
    )

    def __init__(self, accounts: Sequence[Account], now: Callable[[], float]) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._passwords = {account.name: account.password for account in accounts}
        self._fleets = {account.name: Fleet(account.seed, account.plants) for account in accounts}
        self._tokens = Tokens()
        self._calls: dict[str, list[float]] = {account.name: [] for account in accounts}
        self._now = now

    def account_names(self) -> tuple[str, ...]:
        """Name the accounts, in the order of the configuration."""
        return tuple(self._accounts)

    def account_of(self, request: Request) -> str | None:
        """Tell whose call this is, from its token or, at login, from its user."""
        if request.path == LOGIN_PATH:
            return self._named(request.body or {})
        grant = self._tokens.owner(_bearer(request))
        return grant.account if grant else None

    def answer(self, request: Request) -> Answer | Reply:
        """Do what the vendor would do."""
        routes = {
            ("POST", LOGIN_PATH): self._login,
            ("GET", PLANTS_PATH): self._plants,
            ("GET", ALERTS_PATH): self._alerts,
        }
        route = routes.get((request.method, request.path))
        if route is None:
            return Reply(status=404, body=b'{"title":"Not Found"}')
        try:
            self._count(self.account_of(request))
            return Answer({"ok": True, "result": route(request)})
        except RefusalError as refusal:
            return Answer(self.refusal(str(refusal), "sim refusal"), str(refusal))

    def rows(self, account: str, request: Request) -> list[Json]:  # noqa: ARG002 - the token tells
        """Render the rows that a call for a list asks for, without counting it."""
        lists = {PLANTS_PATH: self._plants, ALERTS_PATH: self._alerts}
        rows: list[Json] = lists[request.path](request)["items"]
        return rows

    def refusal(self, code: str, message: str) -> Json:
        """Build the error envelope."""
        return {"ok": False, "error": code, "message": message}

    def fleet(self, account: str) -> Fleet:
        """Give the plants of an account."""
        return self._fleets[account]

    def truth(self, account: str) -> list[Json]:
        """Tell what every plant is, with the row that is sent for it just now."""
        now = self._now()
        sent = {"capacity_sent": True}
        return [
            plant_truth(plant, _plant_row(plant, now), sent=sent) for plant in self._fleets[account]
        ]

    def alert_truth(self, account: str) -> list[Json]:
        """Tell every alarm of the last 30 days."""
        return truth_of(
            self._fleets[account],
            self._now(),
            busy=self._accounts[account].alerts,
            id_as_sent=lambda alert: str(alert.id),
            severities=("LOW", "MEDIUM", "HIGH"),
        )

    def expire_tokens(self, account: str) -> int:
        """Kill the live tokens of an account."""
        return self._tokens.expire(account)

    def set_password(self, account: str, password: str) -> None:
        """Change the password, which kills the tokens."""
        self._passwords[account] = password
        self._tokens.expire(account)

    def _count(self, account: str | None) -> None:
        """Count the call of a user; the day turns at midnight UTC."""
        now = self._now()
        made = [moment for moment in self._calls.get(account or "", ()) if now - moment < DAY]
        if sum(now - moment < MINUTE for moment in made) >= CALLS_A_MINUTE:
            raise RefusalError("TOO_FAST")
        if sum(moment // DAY == now // DAY for moment in made) >= CALLS_A_DAY:
            raise RefusalError("DAY_SPENT")
        if account:
            self._calls[account] = [*made, now]

    def _named(self, body: Json) -> str | None:
        wanted = (body.get("clientId"), body.get("user"))
        found = (a.name for a in self._accounts.values() if (a.client_id, a.user) == wanted)
        return next(found, None)

    def _login(self, request: Request) -> Json:
        body = request.body or {}
        account = self._named(body)
        if account is None or body.get("password") != self._passwords[account]:
            raise RefusalError("LOGIN_REFUSED")
        token = f"sim-{token_hex(16)}"
        self._tokens.issue(token, Grant(account, self._now() + TOKEN_SECONDS))
        return {"token": token, "expiresIn": TOKEN_SECONDS}

    def _plants(self, request: Request) -> Json:
        account, page, size = self._listed(request)
        fleet, now = self._fleets[account], self._now()
        rows = [_plant_row(plant, now) for plant in fleet.slice((page - 1) * size, page * size)]
        return {"count": len(fleet), "items": rows}

    def _alerts(self, request: Request) -> Json:
        account, page, size = self._listed(request)
        daily, now = self._accounts[account].alerts, self._now()
        found = [
            _alert_row(alert)
            for plant in self._fleets[account]
            for alert in open_alerts(plant, now, daily)
        ]
        return {"count": len(found), "items": found[(page - 1) * size : page * size]}

    def _listed(self, request: Request) -> tuple[str, int, int]:
        """Check the token and the paging; give account, page and size."""
        grant = self._tokens.live(_bearer(request), self._now())
        if grant is None:
            raise RefusalError("TOKEN_UNKNOWN")
        page, size = (whole_number(request.query.get(key)) for key in ("page", "perPage"))
        if not page or not size or size > LARGEST_PAGE:
            raise RefusalError("BAD_REQUEST")
        return grant.account, page, size


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else None


def _plant_row(plant: Plant, now: float) -> Json:
    located = plant.latitude is not None
    return {
        "id": str(plant.id),
        "title": plant.name,
        "peakKw": plant.capacity_kw,
        "powerKw": power_kw(plant, now),
        "position": {"lat": plant.latitude, "lng": plant.longitude} if located else None,
        "address": plant.address,
        "zone": plant.timezone or "Asia/Kolkata",
        "state": STATES[plant.status],
        "kind": plant.kind,
        "since": plant.created_at,
    }


def _alert_row(alert: Alert) -> dict[str, Any]:
    return {
        "id": str(alert.id),
        "plantId": str(alert.plant.id),
        "text": alert.name,
        "level": alert.level + 1,
        "code": alert.code,
        "device": f"SIMINV{alert.plant.id}{alert.inverter}",
        "since": alert.started_at,
    }
