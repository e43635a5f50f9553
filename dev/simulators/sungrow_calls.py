"""What calls to Sungrow's cloud say, and how one is refused."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.exchange import Json, whole_number
from dev.simulators.plants import INDIA

if TYPE_CHECKING:
    from dev.simulators.accounts import SungrowAccount

DEFAULT_SIZE: Final = 10
"""Rows of a page for a call that names no size. The portal's own number is not documented."""


class RefusalError(Exception):
    """The call is refused with this vendor code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refused_login(body: Json, state: str, wrong: int, **fields: Any) -> Json:
    """Build a refused login: success on the outside, without a token inside (clients)."""
    return {
        "user_account": body.get("user_account"),
        "login_state": state,
        "err_times": str(wrong),
        "disable_time": None,
        "token": None,
        **fields,
    }


def paging(body: Json, account: SungrowAccount) -> tuple[int, int]:
    """Read which page of what size a call asks for; the portal's quick start says neither."""
    page = whole_number(body.get("curPage", 1))
    size = whole_number(body.get("size", DEFAULT_SIZE))
    if page is None or size is None or page < 1 or not 1 <= size <= account.page_size_max:
        raise RefusalError("010")
    return page, size


def month(body: Json, today: date) -> tuple[date, date]:
    """Read the window of a query for closed faults: one calendar month, this one by default."""
    if body.get("startTime") is None and body.get("endTime") is None:
        return today.replace(day=1), today
    first, last = (_day(str(body.get(key))) for key in ("startTime", "endTime"))
    if first > last or (first.year, first.month) != (last.year, last.month):
        raise RefusalError("010")
    return first, last


def _day(text: str) -> date:
    for form in ("%Y%m%d%H%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=INDIA).date()
        except ValueError:
            continue
    raise RefusalError("010")
