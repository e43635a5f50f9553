"""What ordered faults do to an answer: replace it, spoil its rows, spoil its bytes."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.exchange import Json, Listing, Reply, dig
from dev.simulators.plants import PER_KW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.simulators.exchange import Vendor

HTML: Final = "text/html; charset=UTF-8"
LOGIN_PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method='post'>"
    b"<input name='user'><input name='password' type='password'></form></body></html>"
)
MARK: Final = "sim-mark-to-replace"


# Faults that take the place of the answer.


def _http_error(_vendor: Vendor, options: Json) -> Reply:
    status = int(options.get("status", 500))
    body = f"<html><body><h1>{status}</h1><p>The server could not answer.</p></body></html>"
    return Reply(body.encode(), status, {"Content-Type": HTML})


def _login_page(_vendor: Vendor, _options: Json) -> Reply:
    return Reply(LOGIN_PAGE, 200, {"Content-Type": HTML})


def _too_many_requests(_vendor: Vendor, options: Json) -> Reply:
    headers = {"Content-Type": "text/plain", "Retry-After": str(options.get("retry_after", 1))}
    return Reply(b"too many requests", 429, headers)


def _error(vendor: Vendor, options: Json) -> Reply | Json:
    return vendor.refusal(str(options["code"]), str(options.get("message", "sim error")))


def _login_state(vendor: Vendor, options: Json) -> Reply | Json:
    envelope = vendor.refusal("1", "success")
    if isinstance(envelope, Reply):
        return envelope
    return {**envelope, "result_data": {"login_state": str(options["state"]), "token": None}}


def _no_data(vendor: Vendor, options: Json) -> Reply | Json:
    """Answer success without its contents; option `data` words the lack of them."""
    envelope = vendor.refusal("1", "success")
    if isinstance(envelope, Reply):
        return envelope
    return {**envelope, "result_data": options.get("data")}


REPLACEMENTS: Final[dict[str, Callable[[Vendor, Json], Reply | Json]]] = {
    "http_error": _http_error,
    "login_page": _login_page,
    "too_many_requests": _too_many_requests,
    "error": _error,
    "login_state": _login_state,
    "no_data": _no_data,
}


# Faults in the rows of a list.


def rows_of(listing: Listing, payload: Json) -> list[Json]:
    """Read the rows of an answer; none where the vendor refused."""
    holder = dig(payload, listing.rows)
    rows = holder.get(listing.rows[-1]) if holder else None
    return rows if isinstance(rows, list) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list, for a row fault to change; `other` gives the rows of another page."""

    listing: Listing
    number: int
    size: int
    payload: Json
    other: Callable[[int], list[Json]]

    def get_rows(self) -> list[Json]:
        """Read the rows; none where the vendor refused."""
        return rows_of(self.listing, self.payload)

    def set_rows(self, rows: object) -> None:
        """Replace the rows."""
        holder = dig(self.payload, self.listing.rows)
        if holder is not None:
            holder[self.listing.rows[-1]] = rows

    def get_total(self) -> int:
        """Read the vendor's total."""
        holder = dig(self.payload, self.listing.total) or {}
        return int(holder.get(self.listing.total[-1]) or 0)

    def set_total(self, total: object) -> None:
        """Replace the vendor's total."""
        holder = dig(self.payload, self.listing.total)
        if holder is not None:
            holder[self.listing.total[-1]] = total


def _duplicate_rows(page: Page, _options: Json) -> None:
    """Begin each page but the first with the last row of the page before."""
    if page.number > 1:
        page.set_rows([*page.other(page.number - 1)[-1:], *page.get_rows()])


def _repeated_page(page: Page, _options: Json) -> None:
    if page.number > 1:
        page.set_rows(page.other(1))


def _changed_total(page: Page, options: Json) -> None:
    page.set_total(page.get_total() + int(options.get("by", page.number)))


def _page_total(page: Page, _options: Json) -> None:
    """Count the page alone."""
    page.set_total(len(page.get_rows()))


def _total_as_text(page: Page, _options: Json) -> None:
    page.set_total(str(page.get_total()))


def _last_page_empty(page: Page, _options: Json) -> None:
    if page.number * page.size >= page.get_total():
        page.set_rows([])


def _empty_list(page: Page, options: Json) -> None:
    """Answer success without rows; options `rows` (null for none) and `total` word it."""
    page.set_rows(options.get("rows", []))
    page.set_total(options.get("total", 0))


def _null_optional(page: Page, _options: Json) -> None:
    for row in page.get_rows():
        row.update({name: None for name in page.listing.optional if name in row})


def _missing_field(page: Page, options: Json) -> None:
    for row in page.get_rows():
        row.pop(options.get("field", page.listing.spoiled), None)


def _renamed_field(page: Page, options: Json) -> None:
    name = options.get("field", page.listing.spoiled)
    for row in page.get_rows():
        if name in row:
            row[options.get("to", f"{name}Renamed")] = row.pop(name)


def _change_capacity(page: Page, change: Callable[[Any], object]) -> None:
    path = page.listing.capacity
    for row in page.get_rows():
        holder = dig(row, path)
        if holder is not None and path[-1] in holder:
            holder[path[-1]] = change(holder[path[-1]])


def _capacity_with_comma(page: Page, _options: Json) -> None:
    _change_capacity(page, lambda value: str(value).replace(".", ","))


def _capacity(page: Page, options: Json) -> None:
    _change_capacity(page, lambda _value: options["value"])


def _capacity_unit(page: Page, options: Json) -> None:
    """Word the same capacities in another unit, where the vendor sends one."""
    wanted = str(options["unit"])
    for row in page.get_rows():
        holder = dig(row, page.listing.unit) if page.listing.unit else None
        if holder is not None:
            value, unit = page.listing.capacity[-1], page.listing.unit[-1]
            kilowatts = Decimal(str(holder[value])) / PER_KW[holder[unit]]
            holder |= {value: f"{kilowatts * PER_KW[wanted]:f}", unit: wanted}


def _not_a_number(page: Page, _options: Json) -> None:
    _change_capacity(page, lambda _value: float("nan"))


def _mark_capacity(page: Page, _options: Json) -> None:
    _change_capacity(page, lambda _value: MARK)


def _mark_extra_field(page: Page, _options: Json) -> None:
    page.payload["sim_extra"] = MARK


def _append_to_names(page: Page, text: str) -> None:
    for row in page.get_rows():
        row[page.listing.name] = f"{row[page.listing.name]}{text}"


def _name_suffix(page: Page, options: Json) -> None:
    _append_to_names(page, str(options["text"]))


def _nul_in_name(page: Page, _options: Json) -> None:
    _append_to_names(page, "\0x")


def _lone_surrogate(page: Page, _options: Json) -> None:
    _append_to_names(page, "\ud800")


PLANT_FAULTS: Final = frozenset(
    {"capacity_with_comma", "capacity", "capacity_unit", "nan", "huge_number"}
)
"""Row faults that need a capacity."""

ROW_FAULTS: Final[dict[str, Callable[[Page, Json], None]]] = {
    "duplicate_rows": _duplicate_rows,
    "repeated_page": _repeated_page,
    "changed_total": _changed_total,
    "page_total": _page_total,
    "total_as_text": _total_as_text,
    "last_page_empty": _last_page_empty,
    "empty_list": _empty_list,
    "null_optional": _null_optional,
    "missing_field": _missing_field,
    "renamed_field": _renamed_field,
    "capacity_with_comma": _capacity_with_comma,
    "capacity": _capacity,
    "capacity_unit": _capacity_unit,
    "nan": _not_a_number,
    "huge_number": _mark_capacity,
    "deep_json": _mark_extra_field,
    "name_suffix": _name_suffix,
    "nul_in_name": _nul_in_name,
    "lone_surrogate": _lone_surrogate,
}


# Faults in the bytes of the body.


def _replace_mark(reply: Reply, text: bytes) -> None:
    reply.body = reply.body.replace(f'"{MARK}"'.encode(), text)


def _huge_number(reply: Reply, options: Json) -> None:
    _replace_mark(reply, b"9" * int(options.get("digits", 5000)))


def _deep_json(reply: Reply, options: Json) -> None:
    depth = int(options.get("depth", 100_000))
    _replace_mark(reply, b"[" * depth + b"]" * depth)


def _truncated_json(reply: Reply, _options: Json) -> None:
    reply.body = reply.body[: len(reply.body) // 2]


def _padded_json(reply: Reply, options: Json) -> None:
    """Blow the body up with blanks, `mebibytes` of them; it is still the same JSON."""
    reply.chunks = _padded(reply.body, int(options.get("mebibytes", 100)))


def _padded(body: bytes, mebibytes: int) -> Iterator[bytes]:
    yield body
    blanks = b" " * 2**20
    for _ in range(mebibytes):
        yield blanks


def _byte_order_mark(reply: Reply, _options: Json) -> None:
    reply.body = b"\xef\xbb\xbf" + reply.body


def _utf16(reply: Reply, _options: Json) -> None:
    reply.body = reply.body.decode().encode("utf-16")


def _gzip(reply: Reply, options: Json) -> None:
    """Compress the body, `layers` times over; by default once, which is no fault."""
    for _ in range(int(options.get("layers", 1))):
        reply.body = gzip.compress(reply.body, mtime=0)
    reply.headers["Content-Encoding"] = "gzip"


def _truncated_gzip(reply: Reply, options: Json) -> None:
    _gzip(reply, options)
    reply.body = reply.body[: len(reply.body) // 2]


def _false_gzip(reply: Reply, _options: Json) -> None:
    reply.headers["Content-Encoding"] = "gzip"


def _gzip_bomb(reply: Reply, options: Json) -> None:
    mebibytes = int(options.get("mebibytes", 1024))
    reply.headers["Content-Encoding"] = "gzip"
    reply.chunks = gzip_bomb(mebibytes)


def gzip_bomb(mebibytes: int) -> Iterator[bytes]:
    """Give one gzip stream of zeros, piece by piece; about a thousandth of it is ever held."""
    zeros = bytes(2**20)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = squeeze.compress(zeros) + squeeze.flush(zlib.Z_FULL_FLUSH)  # may be repeated
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    checksum = 0
    for _ in range(mebibytes):
        checksum = zlib.crc32(zeros, checksum)
        yield block
    length = mebibytes * 2**20 % 2**32
    yield squeeze.flush() + checksum.to_bytes(4, "little") + length.to_bytes(4, "little")


BODY_FAULTS: Final[dict[str, Callable[[Reply, Json], None]]] = {
    "huge_number": _huge_number,
    "deep_json": _deep_json,
    "truncated_json": _truncated_json,
    "padded_json": _padded_json,
    "byte_order_mark": _byte_order_mark,
    "utf16": _utf16,
    "gzip": _gzip,
    "truncated_gzip": _truncated_gzip,
    "false_gzip": _false_gzip,
    "gzip_bomb": _gzip_bomb,
}


def encode(payload: Json) -> bytes:
    """Write JSON as UTF-8; what UTF-8 cannot hold is written as an escape."""
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(payload, separators=(",", ":")).encode()
