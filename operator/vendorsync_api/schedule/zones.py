"""Names of time zones: which of them exist, and which one is meant by another spelling."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from vendorsync_api.schedule.window import ScheduleError

_PLACELESS: Final = frozenset({"Factory"})
"""In the database, but only for a machine whose time zone nobody has set."""
_PREFIXES: Final = ("posix/", "right/")
"""Copies of the whole database that some machines have beside it."""
_CLOSE: Final = 0.8
"""How alike a misspelt name must be, as difflib measures it."""
_OFFSET: Final = re.compile(r"(?:etc/)?(?:utc|gmt|ist)?([+-])([0-9]{1,2}):?([0-9]{2})?")
_PARTS_OF_AN_HOUR: Final = {
    "+3:30": "Asia/Tehran",
    "+4:30": "Asia/Kabul",
    "+5:30": "Asia/Kolkata",
    "+5:45": "Asia/Kathmandu",
    "+6:30": "Asia/Yangon",
    "+8:45": "Australia/Eucla",
    "+9:30": "Australia/Darwin",
    "+10:30": "Australia/Lord_Howe",
    "+12:45": "Pacific/Chatham",
    "-3:30": "America/St_Johns",
    "-9:30": "Pacific/Marquesas",
}
"""Zones at offsets that the database has no Etc/GMT name for."""
_INDIA: Final = dict.fromkeys(
    (
        *("ist", "india_standard_time", "mumbai", "bombay", "delhi", "new_delhi", "bengaluru"),
        *("bangalore", "chennai", "madras", "hyderabad", "pune", "ahmedabad"),
    ),
    "Asia/Kolkata",
)
_USUAL: Final = _INDIA | {
    "pkt": "Asia/Karachi",
    "npt": "Asia/Kathmandu",
    "gst": "Asia/Dubai",
    "sgt": "Asia/Singapore",
    "jst": "Asia/Tokyo",
    "z": "UTC",
}
"""Abbreviations and cities that people write and the database does not have."""


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name, or raise ScheduleError.

    Names are those of the tzdata package: the files of a machine also have names that mean another
    zone elsewhere (localtime, posixrules), and some file systems ignore case.
    """
    if name not in names():
        raise ScheduleError(
            f"time zone {name!r} is not in the IANA database;"
            f" use {likely(name) or 'a name such as Asia/Kolkata'}"
        )
    return ZoneInfo(name)


@cache
def names() -> frozenset[str]:
    """Return every name that a schedule may use."""
    return frozenset(_lines("zones")) - _PLACELESS


def likely(name: str) -> str | None:
    """Return the zone that somebody most likely means by a name that does not exist."""
    text = "_".join(name.casefold().split())
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    spelled = {known.casefold(): known for known in names()}
    place = text.rpartition("/")[2]
    if found := spelled.get(text) or _USUAL.get(place) or _at_offset(text) or _places().get(place):
        return found
    close = get_close_matches(text, spelled, n=1, cutoff=_CLOSE)
    return spelled[close[0]] if close else None


def _at_offset(text: str) -> str | None:
    """Return a zone that is that far from UTC: `+05:30`, `GMT+5:30`, `utc-3`."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
    if minutes:
        return _PARTS_OF_AN_HOUR.get(f"{sign}{hours}:{minutes:02}")
    if hours == 0:
        return "UTC"
    # The database counts Etc/GMT names westwards.
    etc = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    return etc if etc in names() else None


def _places() -> dict[str, str]:
    """Return a zone for the last part of each name, and for each country the first of its zones."""
    found = {known.rpartition("/")[2].casefold(): known for known in sorted(names())}
    zones = {country: known for country, _, known, *_ in reversed(_rows("zone.tab"))}
    countries = _rows("iso3166.tab")
    return {_key(country): zones[code] for code, country in countries if code in zones} | found


def _key(country: str) -> str:
    return "_".join(country.casefold().split())


def _rows(table: str) -> list[list[str]]:
    lines = _lines(f"zoneinfo/{table}")
    return [line.split("\t") for line in lines if not line.startswith("#")]


def _lines(file: str) -> list[str]:
    return (resources.files("tzdata") / file).read_text(encoding="utf-8").splitlines()
