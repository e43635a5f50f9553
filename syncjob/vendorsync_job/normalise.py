"""From what vendors send to our units: text, capacity, coordinates, zones, times.

Every function returns None where the vendor gave no value and raises UnfitError where it gave one
that cannot be stored; the reason is a sentence that ends up beside the record in quarantine.
Numbers become Decimals of a fixed number of places, so that equal values are equal to the byte.

A run reads each row of each listing, and nearly all values are clean: hence the short ways before
the rules. They give what the rule gives, or leave the value to it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

Row = dict[str, Any]

KW_PER_UNIT: Final = {
    "w": Decimal("0.001"),
    "kw": Decimal(1),
    "kWp": Decimal(1),
    "mw": Decimal(1000),
    "MWp": Decimal(1000),
    "gw": Decimal(1_000_000),
}
"""By lower-case unit without the `p` of peak, and by the two that are frequent.

No plant is measured in milliwatts.
"""
LARGEST_KW: Final = Decimal(100_000_000)
WATT: Final = Decimal("0.001")
KILOWATTS: Final = ("kWp", "kW")
DEGREE_STEP: Final = Decimal("0.000001")
"""A tenth of a metre."""
NO_VALUE: Final = frozenset({"", "-", "--", "null", "None", "N/A"})
NUMBER: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
OFFSET: Final = re.compile(r"\(?(?:GMT|UTC)\s*([+-])\s*(\d{1,2})(?::?([0-5]\d))?\)?", re.ASCII)
WHOLE: Final = re.compile(r"-?\d{1,15}", re.ASCII)
ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
LONGEST_ZONE: Final = 64
KNOWN_ZONES: Final = 1024
"""Zones that are remembered; the world has some 600."""
NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})
LOCAL_TIME: Final = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[ T]?(\d\d):?(\d\d)(?::?(\d\d))?)?", re.ASCII
)
MILLISECONDS: Final = 1e11
"""As seconds this would be the year 5138, so such a number can only be milliseconds."""
EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
FIRST_SECOND: Final = EARLIEST.timestamp()
END_OF_TIME: Final = LATEST.timestamp()
CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f]")
"""Category Cc, which Unicode promises not to change."""
UNWANTED: Final = re.compile("[\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
"""Lone surrogates, and marks that turn the direction of text."""
CHANGING: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?"
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|\b(?=\w*\d)[0-9a-f]{12,}\b|\d{5,}",
    re.IGNORECASE,
)


class UnfitError(ValueError):
    """A value that cannot be stored; the text says which and why.

    `field` is the vendor's name for it, where the record can do without.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def identifier(value: object, field: str = "id", limit: int = 128) -> str:
    """Return an id as text; vendors send the same one as number and as text."""
    if type(value) is int and 0 <= value < 10**18:
        return str(value)
    if value is None:
        raise UnfitError(f"{field} is missing", field)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UnfitError(f"{field} is {_kind(value)}, not a number or a text", field)
    text = str(value).strip()
    if not text:
        raise UnfitError(f"{field} is empty", field)
    if cleaned(text) != text:
        raise UnfitError(f"{field} holds control characters", field)
    if len(text) > limit:
        raise UnfitError(f"{field} is longer than {limit} characters", field)
    return text


def name(value: object, field: str = "name", limit: int = 255) -> str:
    """Return a name that must be there."""
    found = text(value, field, limit)
    if found is None:
        raise UnfitError(f"{field} is missing", field)
    return found


def text(value: object, field: str, limit: int = 1000) -> str | None:
    """Return clean text on one line."""
    if value is None:
        return None
    found = cleaned(value if type(value) is str else _worded(value, field, "text"))
    if len(found) > limit:
        raise UnfitError(f"{field} is longer than {limit} characters", field)
    return found or None


def _worded(value: object, field: str, wanted: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnfitError(f"{field} is {_kind(value)}, not a {wanted}", field)
    return str(value)


def cleaned(value: str) -> str:
    """Return text without control characters, lone surrogates and marks that turn its direction.

    Runs of blanks and line ends become one blank. Joiners stay: Indian scripts need them.
    """
    if not value.isprintable():
        value = CONTROLS.sub(" ", UNWANTED.sub("", value))
        return " ".join(value.split())
    # The blank is the only space that is printable.
    return " ".join(value.split()) if "  " in value else value.strip()


def vendor_words(value: object, limit: int = 200) -> str:
    """Return a vendor's own message, fit for a status: one bounded line in which nothing changes.

    A vendor that says nothing has no words.
    Times and long numbers become `#`, since two runs must word the same fault alike.
    """
    if value is None:
        return ""
    words = CHANGING.sub("#", cleaned(str(value)[: 4 * limit]))
    return words if len(words) <= limit else words[: limit - 1] + "…"


def number(value: object, field: str) -> Decimal | None:
    """Return a finite number, from a number or a text with a decimal point."""
    if value is None:
        return None
    written = (value if type(value) is str else _worded(value, field, "number")).strip()
    if NUMBER.fullmatch(written):
        return Decimal(written)
    if isinstance(value, str) and written in NO_VALUE:
        return None
    raise UnfitError(f"{field} {_shown(value)} is not a number", field)


def _exact(
    value: object, least: float, most: float, per_unit: int, step: Decimal
) -> Decimal | None:
    """Return a number that is whole steps already; None leaves it to the plain rule, as zero is.

    `step` is one part of `per_unit`. Division gives the float nearest to the quotient and fifteen
    digits tell floats apart: a number that comes back was written with these very digits.
    """
    if type(value) is not float and type(value) is not int:
        return None
    if not least <= value <= most:
        return None
    steps = round(value * per_unit)
    return steps * step if steps and steps / per_unit == value else None


def capacity_kw(value: object, unit: object = "kW", field: str = "capacity") -> Decimal | None:
    """Return a capacity in kW, to the watt; `unit` is the vendor's: Wp, kWp, MWp, GWp or W."""
    if type(value) is float and unit in KILOWATTS:
        exact = _exact(value, 0, 1e8, 1000, WATT)
        if exact is not None:
            return exact
    amount = number(value, field)
    if amount is None:
        return None
    scale = _kw_per(str(unit))
    if scale is None:
        raise UnfitError(f"{field} has the unit {_shown(unit)}; known: Wp, kWp, MWp, GWp", field)
    capacity = amount * scale
    if not 0 <= capacity <= LARGEST_KW:
        raise UnfitError(f"{field} {_shown(value)} {unit} is out of range", field)
    return capacity.quantize(WATT)


def _kw_per(unit: str) -> Decimal | None:
    return KW_PER_UNIT.get(unit) or KW_PER_UNIT.get(unit.strip().lower().removesuffix("p"))


def position(
    latitude: object,
    longitude: object,
    fields: tuple[str, str] = ("latitude", "longitude"),
) -> tuple[Decimal | None, Decimal | None]:
    """Return both coordinates in degrees or neither; 0/0 is no position but a lack of one."""
    north = _exact(latitude, -90, 90, 1_000_000, DEGREE_STEP)
    east = _exact(longitude, -180, 180, 1_000_000, DEGREE_STEP)
    if north and east:
        return north, east
    north, east = number(latitude, fields[0]), number(longitude, fields[1])
    if north is None or east is None or (north == 0 and east == 0):
        return None, None
    if abs(north) > 90:
        raise UnfitError(f"{fields[0]} {_shown(latitude)} is out of range", fields[0])
    if abs(east) > 180:
        raise UnfitError(f"{fields[1]} {_shown(longitude)} is out of range", fields[1])
    return north.quantize(DEGREE_STEP), east.quantize(DEGREE_STEP)


def time_zone(value: object) -> str | None:
    """Return an IANA name, or `UTC+05:30` for an offset, a number of hours included.

    None for a zone that does not exist: it must not cost the plant.
    """
    if type(value) is str and len(value) <= LONGEST_ZONE:
        return _known_zone(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return _zone_name(str(value))


def _zone_name(value: str) -> str | None:
    written = value.strip()
    if match := OFFSET.fullmatch(written):
        sign, hours, minutes = match.groups()
        return _offset((-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes or 0)))
    if len(written) < 8 and NUMBER.fullmatch(written):
        return _offset(round(Decimal(written) * 60))
    return written if _is_zone(written) else None


_known_zone = lru_cache(KNOWN_ZONES)(_zone_name)
"""The same of a text that is short enough to be kept."""


def _offset(minutes: int) -> str | None:
    if not -12 * 60 <= minutes <= 14 * 60:
        return None
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _is_zone(written: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads zone data when imported

    if len(written) > LONGEST_ZONE or not ZONE_NAME.fullmatch(written) or written in NO_ZONES:
        return False
    try:
        ZoneInfo(written)
    except (ValueError, LookupError, OSError):
        return False
    return True


@lru_cache(KNOWN_ZONES)
def zone(name: str | None) -> tzinfo | None:
    """Return the zone of a name that `time_zone` gave."""
    if name is None:
        return None
    if match := OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if sign == "-" else offset)
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return ZoneInfo(name)


def plant_zone(name: str | None, otherwise: str) -> tzinfo | None:
    """Return the zone of a plant's clock; `otherwise` stands in for a name that is no zone."""
    return zone(time_zone(name) or time_zone(otherwise))


def moment(found: datetime | None, field: str) -> datetime:
    """Return a time that must be there."""
    if found is None:
        raise UnfitError(f"{field} is missing", field)
    return found


def unix_time(value: object, field: str) -> datetime | None:
    """Return a UNIX time as aware UTC, whole seconds; milliseconds are told by their size.

    Zero is how vendors write that they have none.
    """
    if type(value) is float and FIRST_SECOND <= value < END_OF_TIME:
        return datetime.fromtimestamp(value // 1, UTC)
    amount = number(value, field)
    if amount is None or amount == 0:
        return None
    seconds = float(amount)
    if abs(seconds) >= MILLISECONDS:
        seconds /= 1000
    if not FIRST_SECOND <= seconds < END_OF_TIME:
        raise UnfitError(f"{field} {_shown(value)} is not a time between 1970 and 2100", field)
    return datetime.fromtimestamp(int(seconds), UTC)


def local_time(value: object, where: tzinfo | None, field: str) -> datetime | None:
    """Return a time on the plant's clock as aware UTC, from text or digits like 20240401093000.

    None without the plant's zone, since guessing one would be wrong by hours.
    """
    if where is None:
        text(value, field, 32)  # What is no text is unfit all the same.
        return None
    parts = _clock(value, field)
    if parts is None:
        return None
    try:
        moment = datetime(*parts, 0, where).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnfitError(f"{field} {_shown(value)} is not a time", field) from None
    if not EARLIEST <= moment < LATEST:
        raise UnfitError(f"{field} {_shown(value)} is not a time between 1970 and 2100", field)
    return moment


def _clock(value: object, field: str) -> tuple[int, int, int, int, int, int] | None:
    """Return year, month, day, hour, minute and second, in no range yet."""
    if type(value) is int and 10**13 <= value < 10**14:
        date, time = divmod(value, 1_000_000)
        month, hour = date // 100, time // 10_000
        return month // 100, month % 100, date % 100, hour, time // 100 % 100, time % 100
    written = text(value, field, 32)
    if written is None or written in NO_VALUE:
        return None
    match = LOCAL_TIME.fullmatch(written)
    if not match:
        raise UnfitError(f"{field} {_shown(value)} is not a time", field)
    year, month, day, hour, minute, second = map(int, match.groups("0"))
    return year, month, day, hour, minute, second


def whole(value: object) -> int | None:
    """Return a count as the vendors write it, number or digits; None for anything else."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return int(value)
    return None


def _kind(value: object) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "a list", float: "a fraction"}
    return kinds.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    return repr(cleaned(str(value))[:40])
