"""Solarman OpenAPI as the vendor's manuals V1.1.0 to V1.1.6 and public clients describe it."""

from __future__ import annotations

import time
from collections import deque
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from dev.simulators.accounts import changed
from dev.simulators.alerts import alerts, truth_of
from dev.simulators.exchange import Answer, Json, Listing, Reply, Request, whole_number
from dev.simulators.plants import Fleet
from dev.simulators.solarman_calls import (
    MESSAGES,
    RefusalError,
    bearer,
    company,
    paging,
    window,
)
from dev.simulators.solarman_rows import (
    SEVERITIES,
    alert_row,
    alert_v2_row,
    plant_row,
    truth_row,
)
from dev.simulators.tokens import Grant, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dev.simulators.accounts import SolarmanAccount
    from dev.simulators.alerts import Alert

TOKEN_PATH: Final = "/account/v1.0/token"  # noqa: S105 - a path
LIST_PATH: Final = "/station/v1.0/list"
ALERT_PATH: Final = "/station/v1.0/alertV2"
USED_UP: Final = "2101010"
"""The one refusal of a login that was recorded without the fields of the token."""


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """Make the throw-away key that signs this process's tokens."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SolarmanCloud:
    """The cloud; every answer is HTTP 200 with `success` beside the business fields."""

    name = "solarman"
    listing = Listing(
        path=LIST_PATH,
        page="page",
        size="size",
        rows=("stationList",),
        total=("total",),
        name="name",
        capacity=("installedCapacity",),
        optional=(
            "locationLat", "locationLng", "locationAddress", "regionNationId", "regionLevel1",
            "regionLevel2", "regionLevel3", "regionLevel4", "regionLevel5", "regionTimezone",
            "type", "gridInterconnectionType", "installedCapacity", "startOperatingTime",
            "createdDate", "lastUpdateTime", "batterySoc", "networkStatus", "generationPower",
            "stationImage", "contactPhone", "ownerName",
        ),
    )  # fmt: skip
    alert_listing = Listing(
        path=ALERT_PATH,
        page="page",
        size="size",
        rows=("stationAlertItems",),
        total=("total",),
        name="alertName",
        moment="alertStartTime",
        optional=(
            "deviceSn", "deviceId", "deviceType", "ruleId", "addr", "code", "level", "influence",
            "alertEndTime",
        ),
    )  # fmt: skip

    def __init__(self, accounts: Sequence[SolarmanAccount], now: Callable[[], float]) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._passwords = {account.name: account.password for account in accounts}
        self._fleets = {account.name: Fleet(account.seed, account.plants) for account in accounts}
        self._now = now
        self._tokens = Tokens()
        self._recent: dict[str, deque[float]] = {name: deque() for name in self._accounts}
        self._used: dict[str, int] = {}
        self._serial = count(1)
        self._routes: dict[str, Callable[[Request, Grant, SolarmanAccount], Json]] = {
            "/account/v1.0/info": self._info,
            LIST_PATH: self._list,
            "/station/v1.0/alert": self._alert,
            ALERT_PATH: self._alert_v2,
        }

    def account_names(self) -> tuple[str, ...]:
        """Name the accounts, in the order of the configuration."""
        return tuple(self._accounts)

    def account_of(self, request: Request) -> str | None:
        """Tell whose call this is, from its bearer token or, at login, from its identity."""
        if request.path == TOKEN_PATH:
            account = self._by_identity(request)
            return account.name if account else None
        grant = self._tokens.owner(bearer(request))
        return grant.account if grant else None

    def answer(self, request: Request) -> Answer | Reply:
        """Do what the vendor would do; an unknown path or method is a plain HTTP error."""
        if request.path != TOKEN_PATH and request.path not in self._routes:
            return Reply(status=404, body=b'{"status":404,"error":"Not Found"}')
        if request.method != "POST":
            return Reply(status=405, body=b'{"status":405,"error":"Method Not Allowed"}')
        try:
            if request.path == TOKEN_PATH:
                payload = self._login(request)
            else:
                payload = self._authorized(request)
        except RefusalError as refusal:
            payload = self.refusal(refusal.code, MESSAGES[refusal.code])
            if request.path == TOKEN_PATH and refusal.code != USED_UP:
                payload |= dict.fromkeys(
                    ("access_token", "token_type", "refresh_token", "expires_in", "scope", "uid")
                )
            return Answer(payload, refusal.code)
        return Answer(payload)

    def rows(self, account: str, request: Request) -> list[Json]:
        """Render the rows that a call for a list asks for; it is neither judged nor counted."""
        grant = self._tokens.owner(bearer(request))
        listing = self.listing if request.path == LIST_PATH else self.alert_listing
        if grant is None:
            return []
        answer = self._routes[request.path](request, grant, self._accounts[account])
        rows: list[Json] = answer[listing.rows[-1]]
        return rows

    def refusal(self, code: str, message: str) -> Json:
        """Build the error envelope; the code is text."""
        return {"code": code, "msg": message, "success": False, "requestId": self._request_id()}

    def fleet(self, account: str) -> Fleet:
        """Give the plants of an account."""
        return self._fleets[account]

    def truth(self, account: str) -> list[Json]:
        """Tell what every plant is, with the row that is sent for it just now."""
        now = self._now()
        return [truth_row(plant, now) for plant in self._fleets[account]]

    def alert_truth(self, account: str) -> list[Json]:
        """Tell every alarm of the last 30 days."""
        return truth_of(
            self._fleets[account],
            self._now(),
            self._accounts[account].busy,
            id_as_sent=lambda alert: str(alert.id),
            severities=SEVERITIES,
        )

    def change_account(self, account: str, settings: Mapping[str, Any]) -> None:
        """Give an account other settings."""
        self._accounts[account] = changed(self._accounts[account], settings)

    def expire_tokens(self, account: str) -> int:
        """Kill the live tokens of an account."""
        return self._tokens.expire(account)

    def set_password(self, account: str, password: str) -> None:
        """Change the password, which kills the tokens (vendor manual)."""
        self._passwords[account] = password
        self._tokens.expire(account)

    def set_allowance_used(self, account: str, calls: int) -> None:
        """Pretend that the appId of an account has made so many calls."""
        self._used[self._accounts[account].app_id] = calls

    def _request_id(self) -> str:
        return f"sim-req-{next(self._serial):06d}"

    def _envelope(self, account: SolarmanAccount, **fields: Any) -> Json:
        head = {"code": account.success_code, "msg": None, "success": True}
        return {**head, "requestId": self._request_id(), **fields}

    def _spend(self, account: SolarmanAccount) -> None:
        """Count the call against the burst limit and the yearly allowance."""
        recent = self._recent[account.name]
        moment = time.monotonic()
        while recent and recent[0] <= moment - account.burst_seconds:
            recent.popleft()
        if len(recent) >= account.burst_calls:
            raise RefusalError("2101002")
        recent.append(moment)
        used = self._used.get(account.app_id, 0)
        if account.allowance is not None and used >= account.allowance:
            raise RefusalError(USED_UP)
        self._used[account.app_id] = used + 1

    def _by_identity(self, request: Request) -> SolarmanAccount | None:
        body = request.body or {}
        for account in self._accounts.values():
            if account.app_id == request.query.get("appId") and (
                body.get("email") == account.email
                or (account.username and body.get("username") == account.username)
            ):
                return account
        return None

    def _login(self, request: Request) -> Json:
        app_id, body = request.query.get("appId"), request.body
        if not app_id:
            raise RefusalError("2101018")
        if all(account.app_id != app_id for account in self._accounts.values()):
            raise RefusalError("2101021")
        if body is None or not body.get("appSecret") or not body.get("password"):
            raise RefusalError("2101005")
        identities = [key for key in ("email", "username", "mobile") if body.get(key)]
        if len(identities) != 1:
            raise RefusalError("2101006" if identities else "2101005")
        account = self._by_identity(request)
        if account is None:
            raise RefusalError("2101025")
        self._spend(account)
        if not self._password_fits(account, body):
            raise RefusalError("2101025")
        org_id = company(body)
        if org_id not in (None, account.org_id):
            raise RefusalError("2101020")
        return self._granted(account, org_id)

    def _password_fits(self, account: SolarmanAccount, body: Json) -> bool:
        digest = sha256(self._passwords[account.name].encode()).hexdigest()
        return compare_digest(str(body["password"]).encode(), digest.encode()) and compare_digest(
            str(body["appSecret"]).encode(), account.app_secret.encode()
        )

    def _granted(self, account: SolarmanAccount, org_id: int | None) -> Json:
        now = self._now()
        claims = {
            "user_name": f"sim-user-{account.uid}",
            "scope": ["all"],
            "client_id": account.app_id,
            "exp": int(now + account.token_lifetime),
        }
        token, refresh = (
            jwt.encode({**claims, "jti": str(uuid4())}, signing_key(), algorithm="RS256")
            for _ in range(2)
        )
        grant = Grant(account.name, now + account.token_lifetime, org_id)
        self._tokens.issue(token, grant, single=account.single_token)
        return self._envelope(
            account,
            access_token=token,
            token_type="bearer",  # noqa: S106 - the vendor's word
            refresh_token=refresh,
            expires_in=f"{account.token_lifetime:.0f}",
            scope=None,
            uid=account.uid,
        )

    def _authorized(self, request: Request) -> Json:
        token = bearer(request)
        if token is None:
            raise RefusalError("2101017")
        grant = self._tokens.live(token, self._now())
        if grant is None:
            raise RefusalError("2101019")
        account = self._accounts[grant.account]
        self._spend(account)
        if request.body is None:
            raise RefusalError("2101008")
        return self._routes[request.path](request, grant, account)

    def _info(self, _request: Request, _grant: Grant, account: SolarmanAccount) -> Json:
        companies = [
            {
                "companyId": account.org_id,
                "companyName": f"Sim EPC {account.name}",
                "roleName": "Owner",
            }
        ]
        return self._envelope(account, orgInfoList=companies if account.org_id else [])

    def _list(self, request: Request, grant: Grant, account: SolarmanAccount) -> Json:
        page, size = paging(request, account)
        if grant.scope != account.org_id:  # personal data: no plants of the company
            return self._envelope(account, total=0, stationList=[])
        now = self._now()
        wanted = self._fleets[account.name].slice((page - 1) * size, page * size)
        rows = [plant_row(plant, now) for plant in wanted]
        return self._envelope(account, total=len(self._fleets[account.name]), stationList=rows)

    def _alert(self, request: Request, _grant: Grant, account: SolarmanAccount) -> Json:
        return self._alerts(request, account, alert_row)

    def _alert_v2(self, request: Request, _grant: Grant, account: SolarmanAccount) -> Json:
        return self._alerts(request, account, alert_v2_row)

    def _alerts(
        self, request: Request, account: SolarmanAccount, render: Callable[[Alert], Json]
    ) -> Json:
        body = request.body or {}
        page, size = paging(request, account)
        first, last = window(body)
        station = whole_number(body.get("stationId"))
        plant = self._fleets[account.name].get(station) if station is not None else None
        if plant is None:
            raise RefusalError("2101031")
        began = alerts(plant, first, last, self._now(), account.busy)
        found = [render(alert) for alert in began]
        items = found[(page - 1) * size : page * size]
        return self._envelope(account, total=len(found), stationAlertItems=items)
