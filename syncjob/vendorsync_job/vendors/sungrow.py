"""Sungrow iSolarCloud OpenAPI, user-level applications, after the developer portal's guides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from vendorsync_api.vendors import SUNGROW
from vendorsync_job import normalise
from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    VendorContractError,
    VendorError,
)
from vendorsync_job.models import Alert, Grant, Page, Plant
from vendorsync_job.ports import Purpose
from vendorsync_job.vendors.pages import RowReader, numbered, read_page, read_token
from vendorsync_job.vendors.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import AlertQuery, Fields, Token
    from vendorsync_job.ports import Reader, Session, VendorClient

LOGIN_PATH: Final = "/openapi/login"
LIST_PATH: Final = "/openapi/getPowerStationList"
FAULT_PATH: Final = "/openapi/getFaultAlarmInfo"
LISTED: Final = "1,3"
"""Values of `valid_flag`: normal, and being connected; 2 is disabled."""
THIRD_PARTY: Final = "901"
ENGLISH: Final = "_en_US"
DAY: Final = 86_400.0
"""A token lives so long after its last use, hence at least so long after the login."""
OTHER_GATEWAY: Final = "the key may belong to another gateway: check baseURL"
REFUSALS: Final = Refusals(
    title=SUNGROW.title,
    token_expired=frozenset({"002", "E00003"}),
    credentials_rejected=frozenset({"E00000", "E911", "E912", "E914"}),
    throttled=frozenset({"E901", "E903", "E916"}),
    quota_exhausted={"E998": None, "E999": 3600.0},
    transient=frozenset({"-1", "000", "011", "E997"}),
    advice={
        "E00000": f"check appKey; {OTHER_GATEWAY}",
        "E900": "the application lacks this interface: have it granted on the developer portal",
        "E903": "calls come from changing addresses: pin one egress address of the cluster",
        "E908": "the application demands replay protection: switch it off on the developer portal",
        "E902": "the application demands encryption: switch it off on the developer portal",
        "E912": f"check secretKey; {OTHER_GATEWAY}",
        "E914": f"check that appKey and secretKey belong together; {OTHER_GATEWAY}",
        "E918": "add the cluster's egress address to the application's whitelist",
        "E919": "add the account to the application's whitelist",
    },
)
ELSEWHERE: Final = (
    f"the account is on another gateway: set baseURL to its own one: {', '.join(SUNGROW.endpoints)}"
)
LOGIN_REFUSED: Final = {
    "-1": f"the account does not exist on this gateway; if the name is right, {ELSEWHERE}",
    "0": f"the account or its password is wrong, or {ELSEWHERE}",
}
LOCKED: Final = {
    "2": "the account is locked after wrong passwords",
    "5": "the account is locked by an administrator",
}
TYPES: Final = {
    1: "UTILITY", 3: "DISTRIBUTED", 4: "RESIDENTIAL", 5: "RESIDENTIAL_STORAGE", 6: "VILLAGE",
    7: "DISTRIBUTED_STORAGE", 8: "POVERTY_RELIEF", 9: "WIND", 10: "UTILITY_STORAGE",
    12: "COMMERCIAL_STORAGE",
}  # fmt: skip
FAULT: Final = 1
SEVERITY: Final = {1: "CRITICAL", 2: "HIGH", 3: "MEDIUM", 4: "LOW"}
"""By `fault_level`; the portal sets only 1 apart, that 2 ranks above 4 is an inference."""
OVER: Final = frozenset({4, 9})
"""Values of `process_status`: resolved, closed."""
NOTHING: Final = "with success and without result_data, which does not say that there is nothing"
NO_PLANTS: Final = (
    f"{SUNGROW.title} answered {LIST_PATH} {NOTHING}: check that plants are shared with the"
    " account, the option orgId, and that baseURL is the account's own gateway"
)
NO_FAULTS: Final = f"{SUNGROW.title} answered {FAULT_PATH} {NOTHING}"


class SungrowAdapter:
    """Reads the plants of one iSolarCloud account and those shared with it.

    With the option `orgId` they are those of one organization.
    """

    policy: ClassVar[VendorPolicy] = SUNGROW

    def __init__(
        self, client: VendorClient, credentials: Mapping[str, str], options: Options
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._organization = options.model_dump().get("orgId")

    def authenticate(self) -> Grant:
        """Log in once; a refused login is a success on the outside, `login_state` tells."""
        result = self._post(
            LOGIN_PATH,
            login=True,
            user_account=self._credentials["userAccount"],
            user_password=self._credentials["userPassword"],
            login_type="1",
        )
        if result.get("login_state") is None:
            raise VendorContractError(f"{SUNGROW.title} answered {LOGIN_PATH} without login_state")
        state = str(result["login_state"])
        if state != "1":
            refused = AccountLockedError if state in LOCKED else CredentialsRejectedError
            raise refused(_why(state, result))
        token = read_token(result, "token", sender=f"{SUNGROW.title} answered {LOGIN_PATH}")
        return Grant(token, default_lifetime=DAY, companies=_companies(result))

    def plants(self, session: Session) -> Iterator[Page[Fields]]:
        """Yield the pages of all plants that are not disabled, up to an empty one.

        Those that the vendor still connects are among them, which its default leaves out.
        """
        only = {} if self._organization is None else {"org_id": str(self._organization)}
        fields: dict[str, Any] = {"valid_flag": LISTED, **only}

        def read(number: int) -> Page[Fields]:
            result = session.call(partial(self._list, LIST_PATH, number, **fields))
            return _page(result) if result else _nothing(number, NO_PLANTS)

        return numbered(read)

    @property
    def plant(self) -> Reader[Plant]:
        """What reads the plants that are listed."""
        return PLANT

    def alerts(self, session: Session, query: AlertQuery) -> Iterator[Page[Alert]]:
        """Yield the pages of all open faults of the account, up to an empty one.

        That is the vendor's default query. It takes no window: closed faults could be asked for by
        the calendar month only, in a format of time on which the documents disagree. Nor does it
        take an organization: with the option `orgId` only faults of plants that are wanted count.
        """

        def read(number: int) -> Page[Alert]:
            result = session.call(partial(self._list, FAULT_PATH, number))
            page = _fault_page(result, query) if result else _nothing(number, NO_FAULTS)
            return page if self._organization is None else _wanted(page, query)

        return numbered(read)

    def _list(self, path: str, number: int, token: Token, **fields: Any) -> dict[str, Any]:
        size = self.policy.page_size
        return self._post(path, token=token.value, curPage=number, size=size, **fields)

    def _post(self, path: str, *, login: bool = False, **fields: Any) -> dict[str, Any]:
        """Send a call with the parts that every call has, and return its `result_data`.

        A listing without any is an empty one: some accounts without rows are answered so.
        """
        answer = self._answer(path, fields, Purpose.LOGIN if login else Purpose.LISTING)
        code = answer.get("result_code")
        if code is None:
            raise VendorContractError(
                f"{SUNGROW.title} answered {path} without result_code; check baseURL"
            )
        if str(code).strip() != "1":
            raise REFUSALS.error(str(code).strip(), answer.get("result_msg"), path, login=login)
        result = answer.get("result_data")
        if not login and result in (None, [], ""):
            return {}
        if not isinstance(result, dict):
            raise VendorContractError(f"{SUNGROW.title} answered {path} without result_data")
        return result

    def _answer(self, path: str, fields: Mapping[str, Any], purpose: Purpose) -> dict[str, Any]:
        """Return the envelope; some refusals come with a status of HTTP that refuses, too."""
        try:
            return self._client.post(
                path,
                json={"appkey": self._credentials["appKey"], "lang": ENGLISH, **fields},
                headers={
                    "Content-Type": "application/json;charset=UTF-8",
                    "x-access-key": self._credentials["secretKey"],
                    "sys_code": THIRD_PARTY,
                },
                purpose=purpose,
            )
        except VendorError as error:
            if error.answer is None or error.answer.get("result_code") is None:
                raise
            return error.answer


def _why(state: str, result: Mapping[str, Any]) -> str:
    """Return one sentence about a refused login, with the tries that are left if it tells."""
    said = f"{SUNGROW.title} refused the login with login_state {normalise.cleaned(state)[:20]}"
    why = (LOGIN_REFUSED | LOCKED).get(state) or normalise.vendor_words(result.get("msg"))
    left = normalise.whole(result.get("remain_times"))
    tries = "" if left is None else f"; {left} tr{'y' if left == 1 else 'ies'} left before the lock"
    return f"{said}{': ' + why if why else ''}{tries}"


def _companies(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the organization of a login by its id, if the answer names one that can be read."""
    try:
        key = normalise.identifier(result.get("user_master_org_id"), limit=20)
    except normalise.UnfitError:
        return {}
    return {key: normalise.cleaned(str(result.get("user_master_org_name") or ""))[:60]}


def _nothing(number: int, doubt: str) -> Page[Any]:
    """Return the empty page of an answer without data; only as the first is it in doubt."""
    return Page((), is_last=True, doubt=doubt if number == 1 else "")


def _wanted(page: Page[Alert], query: AlertQuery) -> Page[Alert]:
    """Leave out what is about other plants; the vendor's total counts it, so it tells no end."""
    return replace(
        page,
        records=tuple(alert for alert in page.records if alert.vendor_plant_id in query.plants),
        total=None,
    )


def _page(result: Mapping[str, Any]) -> Page[Fields]:
    sender = f"{SUNGROW.title} answered {LIST_PATH}"
    return read_page(
        result, PLANT.fields, rows="pageList", total="rowCount", key="ps_id", sender=sender
    )


def _plant(row: normalise.Row) -> Plant:
    time_zone = normalise.time_zone(row.get("ps_current_time_zone"))
    latitude, longitude = normalise.position(row.get("latitude"), row.get("longitude"))
    # In the order of Plant's fields: keywords cost time in each row of each listing.
    return Plant(
        normalise.identifier(row.get("ps_id"), "ps_id"),
        normalise.name(row.get("ps_name"), "ps_name"),
        _capacity_kw(row.get("total_capcity")),
        latitude,
        longitude,
        normalise.text(row.get("ps_location"), "ps_location"),
        time_zone,
        _plant_type(row.get("ps_type")),
        _status(row),
        normalise.local_time(
            row.get("grid_connection_time"), normalise.zone(time_zone), "grid_connection_time"
        ),
    )


PLANT: Final = RowReader(
    _plant,
    "ps_id",
    "ps_name",
    "total_capcity",
    "latitude",
    "longitude",
    "ps_location",
    "ps_current_time_zone",
    "ps_type",
    "ps_status",
    "ps_fault_status",
    "grid_connection_time",
)


def _capacity_kw(quantity: object) -> Decimal | None:
    """Read value and unit; many answers have no capacity at all, which is not zero."""
    if quantity is None:
        return None
    if not isinstance(quantity, dict):
        raise normalise.UnfitError(
            "total_capcity is not an object with value and unit", "total_capcity"
        )
    return normalise.capacity_kw(quantity.get("value"), quantity.get("unit"), "total_capcity")


def _plant_type(value: object) -> str | None:
    number = normalise.whole(value)
    return None if number is None else TYPES.get(number) or str(number)


def _status(row: Mapping[str, Any]) -> str | None:
    """Tell the state; `online_status` is about deployment, and a normal plant is 3 or 4."""
    connected = normalise.whole(row.get("ps_status"))
    if connected == 0:
        return "offline"
    if normalise.whole(row.get("ps_fault_status")) == FAULT:
        return "fault"
    return "online" if connected == 1 else None


def _fault_page(result: Mapping[str, Any], query: AlertQuery) -> Page[Alert]:
    sender = f"{SUNGROW.title} answered {FAULT_PATH}"
    read = partial(_fault, query)
    return read_page(
        result, read, rows="pageList", total="rowCount", key=_occurrence, sender=sender
    )


def _fault(query: AlertQuery, row: normalise.Row) -> Alert:
    plant = normalise.identifier(row.get("ps_id"), "ps_id")
    zone = normalise.plant_zone(query.zones.get(plant), query.default_zone)
    started = normalise.local_time(row.get("create_time"), zone, "create_time")
    ended = normalise.local_time(row.get("over_time"), zone, "over_time")
    is_over = ended is not None or normalise.whole(row.get("process_status")) in OVER
    code = normalise.text(row.get("fault_type_code"), "fault_type_code", 64)
    return Alert(
        vendor_alert_id=_occurrence(row),
        vendor_plant_id=plant,
        title=normalise.name(row.get("fault_name") or code, "fault_name"),
        started_at=normalise.moment(started, "create_time"),
        status="resolved" if is_over else "active",
        severity=_severity(row),
        code=code,
        description=_description(row),
        resolved_at=ended,
    )


def _occurrence(row: Mapping[str, Any]) -> str:
    """Return what names this fault and no other of its kind.

    `fault_code` is such a name only as text with a type, a month and more; a plain number there is
    the type. `uuid` names the device.
    """
    given = row.get("fault_code")
    if isinstance(given, str) and given.strip() and normalise.whole(given) is None:
        return normalise.identifier(given, "fault_code")
    parts = ("ps_key", "fault_type_code", "create_time")
    return "/".join(normalise.identifier(row.get(part), part, 40) for part in parts)


def _severity(row: Mapping[str, Any]) -> str | None:
    """Rank by the level; a row without one by the type, from fault to suggestion."""
    for field in ("fault_level", "fault_type"):
        rank = normalise.whole(row.get(field))
        if rank in SEVERITY:
            return SEVERITY[rank]
    return None


def _description(row: Mapping[str, Any]) -> str | None:
    """Say which device it is, and what the vendor says of it; there is no serial number."""
    parts = (
        normalise.text(row.get("device_name"), "device_name", 128),
        normalise.text(row.get("fault_desc"), "fault_desc"),
    )
    return ": ".join(filter(None, parts)) or None
