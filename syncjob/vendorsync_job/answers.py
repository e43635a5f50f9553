"""From the bytes and the status of an answer to a JSON object, or to the reason why there is none.

Nothing here knows an HTTP library. Answers are bounded: a gzip bomb is stopped while it inflates.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from vendorsync_job.errors import (
    ThrottledError,
    VendorContractError,
    VendorError,
    VendorRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LONGEST_WAIT: Final = 3600.0
"""Seconds; a longer `Retry-After` counts as this much."""
PIECE: Final = 1 << 20
GZIP: Final = 16 + zlib.MAX_WBITS
DEEPEST: Final = 64
"""Levels of an answer; none of a vendor's API has ten."""
INDENTED: Final = 256 << 10
"""Bytes of an answer up to which indenting shows its levels. Nested, each may become 256 bytes."""
TOO_DEEP: Final = b"\n" + b"  " * DEEPEST
"""What every indented text of more levels has, and one whose last allowed level holds anything."""
ESCAPED_COLON: Final = b"\\u003"
"""How the escape of a colon begins."""
MARKUP: Final = re.compile(rb"\s*<")
STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class UnreadableError(ValueError):
    """An answer that is no JSON object; the text goes on after "… answered POST /path "."""


def json_object(
    pieces: Iterable[bytes], *, encoding: str, content_type: str, limit: int
) -> dict[str, Any]:
    """Return the JSON object of an answer that came in pieces, at most `limit` bytes inflated.

    Raises UnreadableError. orjson itself refuses NaN, infinity, lone surrogates, raw control
    characters, numbers beyond a double, another encoding than UTF-8, and more than 1,024 levels.
    """
    body = _bounded(_decoded(pieces, encoding), limit)
    if MARKUP.match(body) or "html" in content_type.lower():
        raise UnreadableError("with an HTML page where JSON was promised; check baseURL")
    try:
        answer = orjson.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("with something that is not JSON") from None
    if not isinstance(answer, dict):
        raise UnreadableError("with JSON that is not an object")
    _check_shape(answer, body)
    return answer


def _check_shape(answer: dict[str, Any], body: bytearray) -> None:
    """Refuse what programs read differently: a name that comes twice, and levels without end."""
    written = _written(answer, indented=len(body) <= INDENTED)
    # Of a larger answer nothing is indented, and the levels are counted one by one.
    if (len(body) > INDENTED or TOO_DEEP in written) and _is_too_deep(answer):
        raise UnreadableError(f"with JSON of more than {DEEPEST} levels")
    if _colons(body, body) != _colons(written, body):
        raise UnreadableError("with a JSON object that holds the same name twice")


def _written(answer: dict[str, Any], *, indented: bool) -> bytes:
    """Return the answer as JSON again, where each name of an object stands once."""
    try:
        return orjson.dumps(answer, option=orjson.OPT_INDENT_2 if indented else None)
    except orjson.JSONEncodeError:
        # It reads 1,024 levels and writes 254. Whatever else was read can be written.
        raise UnreadableError(f"with JSON of more than {DEEPEST} levels") from None


def _is_too_deep(answer: dict[str, Any]) -> bool:
    level: list[Any] = [answer]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _containers(item)]
        if not level:
            return False
    return True


def _colons(text: bytes | bytearray, body: bytearray) -> int:
    """Count the colons of a JSON text: one after each name, and those inside of strings.

    Strings are left out where the body spells one of their colons in another way than it is
    written.
    """
    if b"\\" in body and ESCAPED_COLON in body:
        text = STRING.sub(b"", text)
    return text.count(b":")


def _containers(item: Any) -> Iterator[Any]:  # noqa: ANN401
    inside = item.values() if isinstance(item, dict) else item
    return (inner for inner in inside if isinstance(inner, dict | list))


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterable[bytes]:
    match encoding.strip().lower():
        case "" | "identity":
            return pieces
        case "gzip" | "x-gzip":
            return inflated(pieces)
        case other:
            raise UnreadableError(f"in the encoding {other[:20]!r}; only gzip was asked for")


def _bounded(pieces: Iterable[bytes], limit: int) -> bytearray:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise UnreadableError(f"with more than {limit >> 20} MiB")
    return body


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of a gzip stream, at most 1 MiB at a time.

    Raises UnreadableError when it is none, is cut short, or goes on after its end.
    """
    inflater = zlib.decompressobj(GZIP)
    for piece in pieces:
        waiting = piece
        while waiting:
            if inflater.eof:
                raise UnreadableError("with gzip that goes on after its end")
            try:
                yield inflater.decompress(waiting, PIECE)
            except zlib.error:
                raise UnreadableError("with something that claims to be gzip but is not") from None
            waiting = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise UnreadableError("with gzip that is cut short")


def refusal(status: int, headers: Mapping[str, str], answered: str) -> VendorError:
    """Return the error of a status that is neither a success nor worth another try.

    `answered` begins the sentence: who answered what to which call.
    """
    if status == 429:
        return ThrottledError(f"{answered}: too many calls", retry_after(headers))
    if status in (401, 403):
        words = f"{answered}: the account or this network has no right to it"
        return VendorRefusedError(words, status)
    if 300 <= status < 400:
        return VendorContractError(f"{answered}; a redirect is not followed, check baseURL")
    if status in (404, 410):
        return VendorContractError(f"{answered}: no such path there any more, check baseURL")
    return VendorContractError(f"{answered}, which its API does not promise")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, at most an hour.

    A date is measured against the answer's own `Date`, so that the vendor's clock does not matter.
    None for anything that is not in the future or not understood (RFC 9110, 10.2.3).
    """
    text = headers.get("Retry-After", "").strip()[:64]
    if text.isascii() and text.isdecimal():
        seconds = float(text)
    else:
        until, now = _http_date(text), _http_date(headers.get("Date", "")) or datetime.now(UTC)
        if until is None:
            return None
        seconds = (until - now).total_seconds()
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
