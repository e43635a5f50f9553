"""Solarman OpenAPI, after the manuals V1.1.0 to V1.1.6 and the online document V2.0.3."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from vendorsync_api.vendors import SOLARMAN
from vendorsync_job import normalise
from vendorsync_job.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    VendorContractError,
    VendorRefusedError,
)
from vendorsync_job.models import Alert, Grant, Page, Plant
from vendorsync_job.ports import Purpose
from vendorsync_job.vendors.pages import RowReader, numbered, read_page, read_token
from vendorsync_job.vendors.refusals import Refusals
from vendorsync_job.vendors.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import AlertQuery, Fields, Token
    from vendorsync_job.ports import Reader, Session, VendorClient

TOKEN_PATH: Final = "/account/v1.0/token"  # noqa: S105 - a path
INFO_PATH: Final = "/account/v1.0/info"
LIST_PATH: Final = "/station/v1.0/list"
ALERT_PATH: Final = "/station/v1.0/alertV2"
WINDOW: Final = timedelta(days=29)
"""From the first day to the last: 30 days with both of them, and more is refused (2101012)."""
IDENTITIES: Final = ("email", "username", "mobile")
HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
"""SHA-256 in hex."""
ACCOUNT: Final = "check the account's name, its password and the option orgId"
REFUSALS: Final = Refusals(
    title=SOLARMAN.title,
    token_expired=frozenset({"2101017", "2101019"}),
    credentials_rejected=frozenset({"2101018", "2101020", "2101021", "2101025"}),
    login_rejected=frozenset({"2101028", "2101035", "2101036"}),
    locked=frozenset({"2101009"}),
    throttled=frozenset({"2101002"}),
    # The allowance is a year's; when it began is not told.
    quota_exhausted={"2101010": None},
    transient=frozenset({"3201001", "3501004"}),
    advice={
        "2101009": "the vendor locked the appId or this interface of it: write to its support",
        "2101018": "check appId",
        "2101020": "check the option orgId",
        "2101021": "check appId",
        "2101022": "check the option orgId: an account may be a personal one and one of a company",
        "2101025": "check appSecret, the account's name and its password",
        "2101028": ACCOUNT,
        "2101035": ACCOUNT,
        "2101036": ACCOUNT,
    },
)
STATUS: Final = Words(
    "networkStatus", {"NORMAL": "online", "PARTIAL_OFFLINE": "partial", "ALL_OFFLINE": "offline"}
)
NO_STATION: Final = "2101031"
SEVERITY: Final = {0: "LOW", 1: "MEDIUM", 2: "HIGH"}
ABOUT_SAFETY: Final = frozenset({2, 3})
"""Values of `influence` that include safety; most answers of this path lack the field."""
COMPANIES: Final = 5
"""How many of them an error names."""
RECOVERED: Final = 0
ONGOING: Final = 1


class SolarmanAdapter:
    """Reads one Solarman account, or one company of it with the option `orgId`."""

    policy: ClassVar[VendorPolicy] = SOLARMAN

    def __init__(
        self, client: VendorClient, credentials: Mapping[str, str], options: Options
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._organization = options.model_dump().get("orgId")

    def authenticate(self) -> Grant:
        """Log in once; the password travels as its SHA-256 in lower-case hex.

        Raises ConfigurationError for a `passwordSha256` that is none.
        """
        identity = next((key for key in IDENTITIES if self._credentials.get(key)), IDENTITIES[0])
        body: dict[str, Any] = {
            "appSecret": self._credentials["appSecret"],
            identity: self._credentials.get(identity, ""),
            "password": self._password_hash(),
        }
        if identity == "mobile" and self._credentials.get("countryCode"):
            body["countryCode"] = self._credentials["countryCode"]
        if self._organization is not None:
            body["orgId"] = self._organization
        answer = self._client.post(
            TOKEN_PATH,
            json=body,
            params={"appId": self._credentials["appId"], "language": "en"},
            purpose=Purpose.LOGIN,
        )
        self._check_login(answer)
        token = read_token(answer, "access_token", sender=f"{SOLARMAN.title} answered {TOKEN_PATH}")
        lifetime = normalise.whole(answer.get("expires_in"))
        return Grant(token, expires_in=None if lifetime is None else float(lifetime))

    def _password_hash(self) -> str:
        if password := self._credentials.get("password"):
            return sha256(password.encode()).hexdigest()
        given = self._credentials["passwordSha256"].strip()
        if not HASH.fullmatch(given):
            raise ConfigurationError(
                "key passwordSha256 of the vendor's Secret is not 64 hex digits: write the SHA-256"
                " of the password there, or the password itself under the key password"
            )
        return given.lower()

    def _check_login(self, answer: Mapping[str, Any]) -> None:
        try:
            _check(answer, TOKEN_PATH, login=True)
        except CredentialsRejectedError as error:
            if not HASH.fullmatch(self._credentials.get("password", "").strip()):
                raise
            raise CredentialsRejectedError(
                f"{error}; the password is 64 hex digits: if that is its SHA-256, give it the key"
                " passwordSha256"
            ) from None

    def plants(self, session: Session) -> Iterator[Page[Fields]]:
        """Yield the pages of all plants, up to an empty one.

        Raises ConfigurationError when there are none since the plants are those of a company.
        """

        def read(number: int) -> Page[Fields]:
            page = _page(session.call(partial(self._list, number)))
            is_personal = self._organization is None
            if number > 1 or not is_personal or page.total or not page.is_last:
                return page
            return replace(page, doubt=self._companies_told(session))

        return numbered(read)

    @property
    def plant(self) -> Reader[Plant]:
        """What reads the plants that are listed."""
        return PLANT

    def alerts(self, session: Session, query: AlertQuery) -> Iterator[Page[Alert]]:
        """Yield the pages of one plant's alerts that began within 30 days before `query.until`.

        A plant that left the account since it was listed has none.
        """
        body = {"stationId": _station(query.plant), **_window(query)}
        return numbered(
            lambda number: _alert_page(session.call(partial(self._alerts, body, number)), query)
        )

    def _companies_told(self, session: Session) -> str:
        """Raise ConfigurationError if the login has companies, whose plants it does not see.

        Returns the doubt that is left when the vendor does not tell.
        """
        try:
            answer = session.call(self._info)
        except (VendorRefusedError, VendorContractError) as error:
            return (
                "the personal account has no plants, and whether it has companies is not known"
                f" ({error}): if the plants are a company's, set the option orgId"
            )
        found = _companies(answer.get("orgInfoList"))
        if not found:
            return ""
        named = ", ".join(found[:COMPANIES])
        more = f" and {len(found) - COMPANIES} more" if len(found) > COMPANIES else ""
        raise ConfigurationError(
            f"{SOLARMAN.title} lists no plants for the personal account, but the login has"
            f" companies: {named}{more}; set the option orgId to the one whose plants are wanted"
        )

    def _info(self, token: Token) -> dict[str, Any]:
        answer = self._send(INFO_PATH, {}, token, Purpose.LISTING)
        _check(answer, INFO_PATH)
        return answer

    def _list(self, number: int, token: Token) -> dict[str, Any]:
        answer = self._ask(LIST_PATH, {}, number, token, Purpose.LISTING)
        _check(answer, LIST_PATH)
        return answer

    def _alerts(self, body: Mapping[str, Any], number: int, token: Token) -> dict[str, Any]:
        answer = self._ask(ALERT_PATH, body, number, token, Purpose.DETAIL)
        if str(answer.get("code")).strip() == NO_STATION:
            return {"total": 0, "stationAlertItems": []}
        _check(answer, ALERT_PATH)
        return answer

    def _ask(
        self, path: str, body: Mapping[str, Any], number: int, token: Token, purpose: Purpose
    ) -> dict[str, Any]:
        """Ask for a page; pages are counted from one."""
        paging = {"page": number, "size": self.policy.page_size}
        return self._send(path, {**body, **paging}, token, purpose)

    def _send(
        self, path: str, body: Mapping[str, Any], token: Token, purpose: Purpose
    ) -> dict[str, Any]:
        return self._client.post(
            path,
            json=body,
            params={"language": "en"},
            # The manual insists on the lower-case word and one blank.
            headers={"Authorization": f"bearer {token.value}"},
            purpose=purpose,
        )


def _check(answer: Mapping[str, Any], path: str, *, login: bool = False) -> None:
    """Raise what the envelope says: HTTP is 200 for every refusal, `code` may be null."""
    if answer.get("success") is True:
        return
    code = answer.get("code")
    if "success" not in answer and code is None:
        raise VendorContractError(
            f"{SOLARMAN.title} answered {path} without the field success; check baseURL"
        )
    raise REFUSALS.error(str(code).strip(), answer.get("msg"), path, login=login)


def _companies(rows: object) -> list[str]:
    """Return id and name of each company, fit for a message."""
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            with suppress(normalise.UnfitError):
                key = normalise.identifier(row.get("companyId"), "companyId", 20)
                name = normalise.cleaned(str(row.get("companyName") or ""))[:40]
                found.append(f"{key} ({name})" if name else key)
    return found


def _page(answer: Mapping[str, Any]) -> Page[Fields]:
    sender = f"{SOLARMAN.title} answered {LIST_PATH}"
    return read_page(
        answer, PLANT.fields, rows="stationList", total="total", key="id", sender=sender
    )


def _plant(row: normalise.Row) -> Plant:
    latitude, longitude = normalise.position(
        row.get("locationLat"), row.get("locationLng"), ("locationLat", "locationLng")
    )
    # In the order of Plant's fields: keywords cost time in each row of each listing.
    return Plant(
        normalise.identifier(row.get("id")),
        normalise.name(row.get("name")),
        normalise.capacity_kw(row.get("installedCapacity"), "kWp", "installedCapacity"),
        latitude,
        longitude,
        normalise.text(row.get("locationAddress"), "locationAddress"),
        normalise.time_zone(row.get("regionTimezone")),
        normalise.text(row.get("type"), "type", 64),
        STATUS(row.get("networkStatus")),
        normalise.unix_time(row.get("startOperatingTime"), "startOperatingTime"),
        normalise.unix_time(row.get("createdDate"), "createdDate"),
    )


PLANT: Final = RowReader(
    _plant,
    "id",
    "name",
    "installedCapacity",
    "locationLat",
    "locationLng",
    "locationAddress",
    "regionTimezone",
    "type",
    "networkStatus",
    "startOperatingTime",
    "createdDate",
)


def _station(plant: str | None) -> int | str | None:
    """Return the id as the vendor documents it: a number, where it is one."""
    return int(plant) if plant and plant.isascii() and plant.isdecimal() else plant


def _window(query: AlertQuery) -> dict[str, str]:
    """Return the days to ask for, on the plant's clock."""
    zone = normalise.plant_zone(query.zones.get(query.plant or ""), query.default_zone)
    last = query.until.astimezone(zone).date()
    first = max(query.since.astimezone(zone).date(), last - WINDOW)
    return {"startTime": first.isoformat(), "endTime": last.isoformat()}


def _alert_page(answer: Mapping[str, Any], query: AlertQuery) -> Page[Alert]:
    sender = f"{SOLARMAN.title} answered {ALERT_PATH}"
    read = partial(_alert, normalise.identifier(query.plant, "plant"))
    return read_page(answer, read, rows="stationAlertItems", total="total", key="id", sender=sender)


def _alert(plant: str, row: normalise.Row) -> Alert:
    started = normalise.unix_time(row.get("alertStartTime"), "alertStartTime")
    ended = normalise.unix_time(row.get("alertEndTime"), "alertEndTime")
    code = normalise.text(row.get("code"), "code", 64)
    is_active = _is_active(row.get("status"), has_end=ended is not None)
    return Alert(
        vendor_alert_id=normalise.identifier(row.get("id")),
        vendor_plant_id=plant,
        title=normalise.name(row.get("alertName") or code, "alertName"),
        started_at=normalise.moment(started, "alertStartTime"),
        status="active" if is_active else "resolved",
        severity=_severity(row),
        code=code,
        device_serial=normalise.text(row.get("deviceSn"), "deviceSn", 64),
        resolved_at=None if is_active else ended,
    )


def _is_active(status: object, *, has_end: bool) -> bool:
    """Tell whether an alert lasts; its end decides where the status is none of the two."""
    known = normalise.whole(status)
    return known == ONGOING if known in (ONGOING, RECOVERED) else not has_end


def _severity(row: Mapping[str, Any]) -> str | None:
    level = normalise.whole(row.get("level"))
    severity = None if level is None else SEVERITY.get(level)
    if severity == "HIGH" and normalise.whole(row.get("influence")) in ABOUT_SAFETY:
        return "CRITICAL"
    return severity
