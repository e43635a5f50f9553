"""Sungrow iSolarCloud OpenAPI, user-level applications, after the developer portal's guides."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vendorsync_api.vendors import SUNGROW
from vendorsync_job import normalise
from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    VendorContractError,
)
from vendorsync_job.models import Grant, Page, Plant
from vendorsync_job.ports import Purpose
from vendorsync_job.vendors.pages import read_page
from vendorsync_job.vendors.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import Token
    from vendorsync_job.ports import Session, VendorClient

LOGIN_PATH: Final = "/openapi/login"
LIST_PATH: Final = "/openapi/getPowerStationList"
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
LOGIN_REFUSED: Final = {
    "-1": "the account does not exist on this gateway; if the name is right, set baseURL to the"
    f" account's own gateway: {', '.join(SUNGROW.endpoints)}",
    "0": "the password is wrong",
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


class SungrowAdapter:
    """Reads the plants of one iSolarCloud account and those shared with it."""

    policy: ClassVar[VendorPolicy] = SUNGROW

    def __init__(
        self,
        client: VendorClient,
        credentials: Mapping[str, str],
        options: Options,  # noqa: ARG002 - this vendor has none
    ) -> None:
        self._client = client
        self._credentials = credentials

    def authenticate(self) -> Grant:
        """Log in once; a refused login is a success on the outside, `login_state` tells."""
        result = self._post(
            LOGIN_PATH,
            login=True,
            user_account=self._credentials["userAccount"],
            user_password=self._credentials["userPassword"],
            login_type="1",
        )
        state, token = str(result.get("login_state")), result.get("token")
        if state != "1":
            why = (LOGIN_REFUSED | LOCKED).get(state) or normalise.vendor_words(result.get("msg"))
            refused = AccountLockedError if state in LOCKED else CredentialsRejectedError
            raise refused(
                f"{SUNGROW.title} refused the login with login_state"
                f" {normalise.cleaned(state)[:20]}: {why}"
            )
        if not isinstance(token, str) or not token:
            raise VendorContractError(f"{SUNGROW.title} answered {LOGIN_PATH} without a token")
        return Grant(token, default_lifetime=DAY)

    def plants(self, session: Session) -> Iterator[Page[Plant]]:
        """Yield the pages of all plants that are not disabled, up to an empty one."""
        for number in count(1):
            page = _page(session.call(partial(self._list, number)))
            yield page
            if page.is_last:
                return

    def _list(self, number: int, token: Token) -> dict[str, Any]:
        return self._post(LIST_PATH, token=token.value, curPage=number, size=self.policy.page_size)

    def _post(self, path: str, *, login: bool = False, **fields: Any) -> dict[str, Any]:
        """Send a call with the parts that every call has, and return its `result_data`."""
        answer = self._client.post(
            path,
            json={"appkey": self._credentials["appKey"], "lang": ENGLISH, **fields},
            headers={
                "Content-Type": "application/json;charset=UTF-8",
                "x-access-key": self._credentials["secretKey"],
                "sys_code": THIRD_PARTY,
            },
            purpose=Purpose.LOGIN if login else Purpose.LISTING,
        )
        code = answer.get("result_code")
        if code is None:
            raise VendorContractError(
                f"{SUNGROW.title} answered {path} without result_code; check baseURL"
            )
        if str(code).strip() != "1":
            raise REFUSALS.error(str(code).strip(), answer.get("result_msg"), path, login=login)
        result = answer.get("result_data")
        if not isinstance(result, dict):
            raise VendorContractError(f"{SUNGROW.title} answered {path} without result_data")
        return result


def _page(result: Mapping[str, Any]) -> Page[Plant]:
    sender = f"{SUNGROW.title} answered {LIST_PATH}"
    return read_page(result, _plant, rows="pageList", total="rowCount", key="ps_id", sender=sender)


def _plant(row: normalise.Row) -> Plant:
    latitude, longitude = normalise.position(row.get("latitude"), row.get("longitude"))
    time_zone = normalise.time_zone(row.get("ps_current_time_zone"))
    return Plant(
        vendor_plant_id=normalise.identifier(row.get("ps_id"), "ps_id"),
        name=normalise.name(row.get("ps_name"), "ps_name"),
        capacity_kw=_capacity_kw(row.get("total_capcity")),
        latitude=latitude,
        longitude=longitude,
        address=normalise.text(row.get("ps_location"), "ps_location"),
        time_zone=time_zone,
        plant_type=_plant_type(row.get("ps_type")),
        status=_status(row),
        commissioned_at=normalise.local_time(
            row.get("grid_connection_time"), normalise.zone(time_zone), "grid_connection_time"
        ),
    )


def _capacity_kw(quantity: object) -> Decimal | None:
    """Read value and unit; many answers have no capacity at all, which is not zero."""
    if quantity is None:
        return None
    if not isinstance(quantity, dict):
        raise normalise.UnfitError("total_capcity is not an object with value and unit")
    return normalise.capacity_kw(quantity.get("value"), quantity.get("unit"), field="total_capcity")


def _plant_type(value: object) -> str | None:
    number = normalise.whole(value)
    return None if number is None else TYPES.get(number, str(number))


def _status(row: Mapping[str, Any]) -> str | None:
    """Tell the state; `online_status` is about deployment, and a normal plant is 3 or 4."""
    connected = normalise.whole(row.get("ps_status"))
    if connected == 0:
        return "offline"
    if normalise.whole(row.get("ps_fault_status")) == FAULT:
        return "fault"
    return "online" if connected == 1 else None
