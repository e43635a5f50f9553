"""What calls to Solarman's cloud say, and how one is refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dev.simulators.exchange import Json, Request, whole_number
from dev.simulators.plants import INDIA

if TYPE_CHECKING:
    from dev.simulators.accounts import SolarmanAccount

DEFAULT_SIZE: Final = 20
"""Rows of a page for a call that names no size. The vendor's own number is not documented."""
LOGIN_REFUSED: Final = (
    'auth failed:{"error":"invalid_grant","error_description":"AUTH_INVALID_USERNAME_OR_PASSWORD"}'
)
MESSAGES: Final = {
    "2101002": "request too frequent",
    "2101005": "param is missing",
    "2101006": "param is invalid",
    "2101008": "param type is wrong",
    "2101010": "appId insufficient allowance",
    "2101012": "time window is more than 30 days",
    "2101014": "start time is after end time",
    "2101015": "time format is wrong",
    "2101017": "auth token not found",
    "2101018": "appId not found",
    "2101019": "auth invalid token",
    "2101020": "invalid orgId",
    "2101021": "appId invalid",
    "2101025": LOGIN_REFUSED,
    "2101026": "page size is too big",
    "2101031": "station not found",
}


class RefusalError(Exception):
    """The call is refused with this vendor code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def bearer(request: Request) -> str | None:
    """Take the token; both `bearer` and `Bearer` are accepted (public clients)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def company(body: Json) -> int | None:
    """Read the company of a login, which clients send as number or text."""
    given = body.get("orgId")
    found = whole_number(given)
    if given is not None and found is None:
        raise RefusalError("2101020")
    return found


def paging(request: Request, account: SolarmanAccount) -> tuple[int, int]:
    """Read which page of what size a call asks for; a call that says neither gets the first."""
    body = request.body or {}
    page = whole_number(body.get("page", 1))
    size = whole_number(body.get("size", DEFAULT_SIZE))
    if page is None or size is None:
        raise RefusalError("2101008")
    if page < 1 or size < 1:
        raise RefusalError("2101006")
    if size > account.page_size_max:
        raise RefusalError("2101026")
    return page, size


def window(body: Json) -> tuple[date, date]:
    """Read the days that alarms are asked for; 30 at most."""
    try:
        first, last = (
            datetime.strptime(str(body[key]), "%Y-%m-%d").replace(tzinfo=INDIA).date()
            for key in ("startTime", "endTime")
        )
    except KeyError:
        raise RefusalError("2101005") from None
    except ValueError:
        raise RefusalError("2101015") from None
    if first > last:
        raise RefusalError("2101014")
    if last - first > timedelta(days=30):
        raise RefusalError("2101012")
    return first, last
