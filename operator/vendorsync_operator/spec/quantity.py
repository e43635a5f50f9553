"""Kubernetes quantities, spelled as the API server spells them.

The server stores `0.5` as `500m` and `1024Mi` as `1Gi`; what is rendered must compare equal with
what lives. The rules are those of `k8s.io/apimachinery/pkg/api/resource`, together with the
rounding to thousandths that pod templates get. An amount above LARGEST is refused: the server would
store `1e1000`, which no node has and which could not be compared with anything.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

LARGEST = 2**63 - 1
"""What the server counts exactly, and to which it lowers larger binary amounts."""

_PATTERN = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE](?P<exponent>[+-]?\d+))?",
    re.ASCII,
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MILLI = Fraction(1, 1000)
_LETTERS = ("m", "", "k", "M", "G", "T", "P", "E")
_POWERS = ("e-3", "", "e3", "e6", "e9", "e12", "e15", "e18")
_LONGEST = 80
"""Characters of a text that is looked at, and the exponent beyond which the rest does not count."""


class QuantityError(ValueError):
    """A text that is no quantity, or one that is too large; the message names it."""


# A few amounts are in every CronJob, and each is looked at in each visit.
_amounts = lru_cache(maxsize=256, typed=True)


@_amounts
def value(text: str | int) -> Fraction:
    """Return the number that a quantity stands for, or raise QuantityError."""
    match = _match(text)
    number, suffix = Fraction(match["number"]), match["suffix"] or ""
    if suffix in _BINARY:
        found = number * 2 ** _BINARY[suffix]
    else:
        found = number * Fraction(10) ** _power(match, suffix)
    if abs(found) > LARGEST:
        raise QuantityError(f"{_shown(text)} is more than any node has; the most is {LARGEST}")
    return _rounded(found)


@_amounts
def canonical(text: str | int) -> str:
    """Return the server's spelling of a quantity, or raise QuantityError."""
    match, number = _match(text), value(text)
    if match["suffix"] in _BINARY and abs(number) >= 1024 and number.denominator == 1:
        return _scaled(int(number), 1024, ("", *_BINARY))
    return _scaled(int(number / _MILLI), 1000, _POWERS if match["exponent"] else _LETTERS)


def _match(text: str | int) -> re.Match[str]:
    found = str(text)
    match = _PATTERN.fullmatch(found) if len(found) <= _LONGEST else None
    if match is None:
        raise QuantityError(f"{_shown(text)} is not a quantity; write for example 250m or 128Mi")
    return match


def _power(match: re.Match[str], suffix: str) -> int:
    if match["exponent"] is None:
        return _DECIMAL[suffix]
    # The number itself is shorter than that, so a further power would change nothing.
    return min(max(int(match["exponent"]), -2 * _LONGEST), 2 * _LONGEST)


def _shown(text: str | int) -> str:
    return repr(str(text)[:_LONGEST])


def _rounded(number: Fraction) -> Fraction:
    away = math.ceil(abs(number) / _MILLI)
    return (away if number >= 0 else -away) * _MILLI


def _scaled(number: int, step: int, suffixes: tuple[str, ...]) -> str:
    """Return the number with the largest suffix that keeps it whole."""
    if number == 0:
        return "0"
    place = 0
    while number % step == 0 and place < len(suffixes) - 1:
        number //= step
        place += 1
    return f"{number}{suffixes[place]}"
