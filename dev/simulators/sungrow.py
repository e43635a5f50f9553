"""Sungrow iSolarCloud OpenAPI, user-level, as the portal and clients describe it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from http import HTTPStatus
from itertools import chain, count
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.accounts import changed
from dev.simulators.alerts import Alert, alerts, open_alerts, truth_of
from dev.simulators.exchange import Answer, Json, Listing, Reply, Request, whole_number
from dev.simulators.plants import INDIA, Fleet, Plant
from dev.simulators.sungrow_calls import RefusalError, month, paging, refused_login
from dev.simulators.sungrow_rows import SEVERITIES, fault_row, local_text, plant_row, truth_row
from dev.simulators.tokens import Grant, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dev.simulators.accounts import SungrowAccount

LOGIN_PATH: Final = "/openapi/login"
LIST_PATH: Final = "/openapi/getPowerStationList"
FAULT_PATH: Final = "/openapi/getFaultAlarmInfo"
TIMESTAMP_PATH: Final = "/timestamp"
CLOCK_TOLERANCE_SECONDS: Final = 300
CONNECTING: Final = "3"
"""Value of `valid_flag`: a plant that is still being connected. A list has only 1 by default."""
NO_PATH: Final = "E996"
"""The one refusal that was recorded with HTTP 404."""
MESSAGES: Final = {
    "001": "er_missing_parameter:appkey",
    "002": "er_missing_parameter:token",
    "003": "er_missing_parameter:sys_code",
    "009": "er_missing_parameter",
    "010": "er_parameter_value_invalid",
    "E00000": "er_invalid_appkey",
    "E00003": "er_token_login_invalid",
    "E900": "er_interface_not_granted",
    "E908": "er_missing_parameter:api_key_param",
    "E909": "er_nonce_format",
    "E910": "er_nonce_repeated",
    "E911": "er_missing_parameter:x-access-key",
    "E912": "er_x-access-key_illegal",
    "E913": "er_timestamp_expired",
    "E914": "er_appkey_access_key_mismatch",
    NO_PATH: "er_api_path_not_found",
    "E999": "er_call_limit_per_hour",
}


@dataclass(slots=True)
class Lock:
    """Wrong passwords in a row; at the limit the account is locked until an instant."""

    wrong: int = 0
    until: float = 0


class SungrowCloud:
    """The cloud; answers are HTTP 200 but for unknown paths; a refused login is result_code 1."""

    name = "sungrow"
    listing = Listing(
        path=LIST_PATH,
        page="curPage",
        size="size",
        rows=("result_data", "pageList"),
        total=("result_data", "rowCount"),
        key="ps_id",
        name="ps_name",
        capacity=("total_capcity", "value"),
        unit=("total_capcity", "unit"),
        optional=(
            "ps_type", "ps_location", "latitude", "longitude", "ps_current_time_zone",
            "ps_status", "online_status", "ps_fault_status", "build_status", "valid_flag",
            "grid_connection_status", "grid_connection_time", "connect_type", "install_date",
            "update_time", "alarm_count", "fault_count", "share_type", "total_capcity",
            "curr_power", "today_energy", "total_energy", "today_income", "month_income",
            "year_income", "total_income", "equivalent_hour", "description", "province_name",
            "city_name", "district_name",
        ),
    )  # fmt: skip
    alert_listing = Listing(
        path=FAULT_PATH,
        page="curPage",
        size="size",
        rows=("result_data", "pageList"),
        total=("result_data", "rowCount"),
        key="fault_code",
        name="fault_name",
        moment="create_time",
        optional=(
            "ps_name", "fault_type_code", "fault_type", "fault_level", "fault_desc",
            "fault_reason", "over_time", "process_time", "device_name", "device_type", "type_name",
            "device_model", "device_model_code", "uuid", "grid_connection_status",
        ),
    )  # fmt: skip

    def __init__(self, accounts: Sequence[SungrowAccount], now: Callable[[], float]) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._passwords = {account.name: account.user_password for account in accounts}
        self._fleets = {account.name: Fleet(account.seed, account.plants) for account in accounts}
        self._locks = {account.name: Lock() for account in accounts}
        self._now = now
        self._tokens = Tokens()
        self._calls: dict[str, dict[int, int]] = {account.appkey: {} for account in accounts}
        self._nonces: set[str] = set()
        self._serial = count(1)
        self._routes: dict[str, Callable[[Json, SungrowAccount], Json]] = {
            LIST_PATH: self._list,
            FAULT_PATH: self._faults,
            "/openapi/getOpenApiCallInfo": self._call_info,
        }

    def account_names(self) -> tuple[str, ...]:
        """Name the accounts, in the order of the configuration."""
        return tuple(self._accounts)

    def account_of(self, request: Request) -> str | None:
        """Tell whose call this is, from the token in the body or the login name."""
        body = request.body or {}
        if request.path == LOGIN_PATH:
            account = self._by_login(body)
            return account.name if account else None
        grant = self._tokens.owner(body.get("token"))
        return grant.account if grant else None

    def answer(self, request: Request) -> Answer | Reply:
        """Do what the vendor would do."""
        if request.path == TIMESTAMP_PATH and request.method == "GET":
            return Reply(
                str(int(self._now() * 1000)).encode(), headers={"Content-Type": "text/plain"}
            )
        try:
            result = self._result(request)
        except RefusalError as refusal:
            envelope = self.refusal(refusal.code, MESSAGES[refusal.code])
            if refusal.code == NO_PATH:
                return Reply(json.dumps(envelope).encode(), HTTPStatus.NOT_FOUND)
            return Answer(envelope, refusal.code)
        state = result.get("login_state", "1")
        outcome = "ok" if state == "1" else f"login_state {state}"
        return Answer(self._envelope("1", "success", result), outcome)

    def rows(self, account: str, request: Request) -> list[Json]:
        """Render the rows that a call for a list asks for; it is neither judged nor counted."""
        result = self._routes[request.path](request.body or {}, self._accounts[account])
        rows: list[Json] = result["pageList"]
        return rows

    def refusal(self, code: str, message: str) -> Json:
        """Build the error envelope."""
        return self._envelope(code, message, None)

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
            id_as_sent=lambda alert: str(fault_row(alert)["fault_code"]),
            severities=SEVERITIES,
        )

    def change_account(self, account: str, settings: Mapping[str, Any]) -> None:
        """Give an account other settings."""
        self._accounts[account] = changed(self._accounts[account], settings)

    def expire_tokens(self, account: str) -> int:
        """Kill the live tokens of an account."""
        return self._tokens.expire(account)

    def set_password(self, account: str, password: str) -> None:
        """Change the password and unlock the account."""
        self._passwords[account] = password
        self._locks[account] = Lock()
        self._tokens.expire(account)

    def _envelope(self, code: str, message: str, result: Json | None) -> Json:
        serial = f"sim{next(self._serial):08d}"
        return {
            "req_serial_num": serial,
            "result_code": code,
            "result_msg": message,
            "result_data": result,
        }

    def _by_login(self, body: Json) -> SungrowAccount | None:
        for account in self._accounts.values():
            if (account.appkey, account.user_account) == (
                body.get("appkey"),
                body.get("user_account"),
            ):
                return account
        return None

    def _result(self, request: Request) -> Json:
        body = request.body or {}
        application = self._application(request, body)
        self._check_replay(application, body)
        known = request.path == LOGIN_PATH or request.path in self._routes
        if not known or request.method != "POST":
            raise RefusalError(NO_PATH)
        self._spend(application)
        if request.path == LOGIN_PATH:
            return self._login(body)
        account = self._token_holder(body)
        if request.path.removeprefix("/openapi/") in account.refused:
            raise RefusalError("E900")
        return self._routes[request.path](body, account)

    def _application(self, request: Request, body: Json) -> SungrowAccount:
        """Check the headers and the app key; give any account of the application."""
        access_key, sys_code = (request.headers.get(name) for name in ("x-access-key", "sys_code"))
        if not access_key:
            raise RefusalError("E911")
        if not sys_code:
            raise RefusalError("003")
        if sys_code != "901":
            raise RefusalError("010")
        if not body.get("appkey"):
            raise RefusalError("001")
        known = [item for item in self._accounts.values() if item.appkey == body["appkey"]]
        if not known:
            raise RefusalError("E00000")
        if compare_digest(known[0].access_key.encode(), access_key.encode()):
            return known[0]
        foreign = any(item.access_key == access_key for item in self._accounts.values())
        raise RefusalError("E914" if foreign else "E912")

    def _check_replay(self, application: SungrowAccount, body: Json) -> None:
        """Check `api_key_param`; a nonce is 32 letters and digits and good for one call."""
        given = body.get("api_key_param")
        if not isinstance(given, dict):
            if application.replay_protection:
                raise RefusalError("E908")
            return
        nonce = str(given.get("nonce"))
        if len(nonce) != 32 or not (nonce.isalnum() and nonce.isascii()):
            raise RefusalError("E909")
        if nonce in self._nonces:
            raise RefusalError("E910")
        text = str(given.get("timestamp"))
        sent = int(text) / 1000 if text.isdecimal() and len(text) < 16 else 0
        if abs(sent - self._now()) > CLOCK_TOLERANCE_SECONDS:
            raise RefusalError("E913")
        self._nonces.add(nonce)

    def _spend(self, application: SungrowAccount) -> None:
        """Count the call against the hour's quota of the application."""
        hours = self._calls[application.appkey]
        hour = int(self._now() // 3600)
        if hours.get(hour, 0) >= application.calls_per_hour:
            raise RefusalError("E999")
        hours[hour] = hours.get(hour, 0) + 1

    def _login(self, body: Json) -> Json:
        if not body.get("user_account") or not body.get("user_password"):
            raise RefusalError("009")
        account = self._by_login(body)
        if account is None:
            return refused_login(body, "-1", 0)
        if account.disabled:
            return refused_login(body, "5", 0)
        lock = self._locks[account.name]
        if lock.until > self._now():
            return refused_login(body, "2", lock.wrong, disable_time=local_text(lock.until))
        expected = self._passwords[account.name].encode()
        if not compare_digest(str(body["user_password"]).encode(), expected):
            return self._wrong_password(body, account)
        self._locks[account.name] = Lock()
        return self._granted(account)

    def _wrong_password(self, body: Json, account: SungrowAccount) -> Json:
        lock = self._locks[account.name]
        lock.wrong = 1 if lock.until else lock.wrong + 1
        lock.until = 0
        left = account.wrong_passwords - lock.wrong
        if left > 0:
            message = "wrong user name or password"
            return refused_login(body, "0", lock.wrong, remain_times=str(left), msg=message)
        lock.until = self._now() + account.lock_seconds
        return refused_login(body, "2", lock.wrong, disable_time=local_text(lock.until))

    def _granted(self, account: SungrowAccount) -> Json:
        """Give an opaque token; every value of the answer is text (portal sample)."""
        token = f"{account.user_id}_{token_hex(16)}"
        grant = Grant(account.name, self._now() + account.token_lifetime)
        self._tokens.issue(token, grant, single=account.single_token)
        return {
            "user_id": str(account.user_id),
            "user_account": account.user_account,
            "user_name": f"Sim {account.name}",
            "token": token,
            "login_state": "1",
            "err_times": "0",
            "disable_time": None,
            "language": "English",
            "user_master_org_id": str(account.org_id),
            "user_master_org_name": "Sim EPC",
            "country_id": "1",
            "country_name": "India",
            "email": "",
            "mobile_tel": "987****1",
        }

    def _token_holder(self, body: Json) -> SungrowAccount:
        if not body.get("token"):
            raise RefusalError("002")
        grant = self._tokens.live(body["token"], self._now())
        if grant is None or self._accounts[grant.account].appkey != body["appkey"]:
            raise RefusalError("E00003")
        account = self._accounts[grant.account]
        grant.expires_at = self._now() + account.token_lifetime
        return account

    def _list(self, body: Json, account: SungrowAccount) -> Json:
        page, size = paging(body, account)
        fleet, now = self._fleets[account.name], self._now()
        settled = None if CONNECTING in str(body.get("valid_flag")).split(",") else fleet.settled()
        total = len(fleet if settled is None else settled)
        if (organization := body.get("org_id")) is not None:
            total = total - account.shared if str(organization) == str(account.org_id) else 0
        first, end = (page - 1) * size, min(page * size, total)
        wanted = fleet.slice(first, end) if settled is None else settled[first:end]
        return {"rowCount": total, "pageList": [plant_row(plant, now) for plant in wanted]}

    def _call_info(self, _body: Json, account: SungrowAccount) -> Json:
        """Tell the counters (portal); the limit is spread over the 24 hours of the day."""
        hours = self._calls[account.appkey]
        hour = int(self._now() // 3600)
        local = datetime.fromtimestamp(self._now(), INDIA)
        today = [hours.get(hour - back, 0) for back in range(local.hour + 1)]
        limit = account.calls_per_hour
        return {
            "curr_hour_accessed_times": today[0],
            "today_accessed_times": sum(today),
            "per_day_access_times_config": limit * 24,
            "per_hour_access_times_config": [
                {"hour": number, "max_call_times": limit} for number in range(24)
            ],
            "per_hour_residue_times": [
                {"hour": number, "times": limit - today[0] if number == local.hour else limit}
                for number in range(24)
            ],
        }

    def _faults(self, body: Json, account: SungrowAccount) -> Json:
        page, size = paging(body, account)
        status = whole_number(body.get("process_status", 8))
        if status not in (8, 9, 999):
            raise RefusalError("010")
        found = [fault_row(item) for item in self._alerts(body, account, status)]
        return {"rowCount": len(found), "pageList": found[(page - 1) * size : page * size]}

    def _alerts(self, body: Json, account: SungrowAccount, status: int) -> Iterable[Alert]:
        """Find open alarms, or with 9 and 999 those of one calendar month."""
        now = self._now()
        fleet = self._fleets[account.name]
        asked = whole_number(body.get("ps_id"))
        only = fleet.get(asked) if asked is not None else None
        wanted: Iterable[Plant] = fleet if body.get("ps_id") is None else [only] if only else []
        if status == 8:
            return chain.from_iterable(open_alerts(plant, now, account.busy) for plant in wanted)
        first, last = month(body, datetime.fromtimestamp(now, INDIA).date())
        found = (alerts(plant, first, last, now, account.busy) for plant in wanted)
        return (
            alert
            for alert in chain.from_iterable(found)
            if status == 999 or alert.ended_at is not None
        )
