"""The database's connection string: what libpq makes of it, or what is wrong with it.

People put it into a Secret by hand or copy it from a page or from another program's settings. Each
usual slip has a sentence of its own, and none shows what could be a part of the password.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from vendorsync_job.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WANTED: Final = (
    "write postgresql://user:password@host:5432/database, special characters percent-encoded"
)
SCHEMES: Final = ("postgresql", "postgres")
TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
NUMBERS: Final = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
PARTS: Final = {"user": "user", "password": "password", "host": "host", "dbname": "database"}
DEFAULTS: Final[Mapping[str, Any]] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "vendorsync",
}
BOM: Final = "\ufeff"
QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d"
BLANKS: Final = " \t\r\n"
BRACKET: Final = "["
HIGHEST_PORT: Final = 65_535

_SCHEME: Final = re.compile(r"(?i)((?:jdbc:)?[a-z][a-z0-9+.-]*)://")
_DATABASES: Final = re.compile(r"(?i)postgres|pg|psql|sql|mariadb|mongodb|redis|oracle|https?")
"""Names of schemes that may be shown; another word before `://` may be a part of a password."""
_ASSIGNMENT: Final = re.compile(
    r"(?:export\s+)?([A-Za-z_]\w{0,40}(?:\s*=|:(?=\s)))\s*[\"']?[\w+:]+://"
)
_COMMAND: Final = re.compile(r"psql\s")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,20}")
_PLACEHOLDER: Final = re.compile(
    r"\[[A-Z][A-Z _-]*\]|<[A-Za-z][A-Za-z _-]*>|\$\{\w+\}|\$\(\w+\)|\{\{.*\}\}"
)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parameters(url: str) -> dict[str, Any]:
    """Return libpq's connection parameters; blanks and line breaks around the text do not count.

    Raises ConfigurationError, which says what is wrong without showing the text.
    """
    text = url.strip()
    fault = _misread(text)
    if fault is None:
        try:
            found: dict[str, Any] = conninfo_to_dict(text)
        except psycopg.Error:
            fault = _unreadable(text)
        else:
            fault = _torn(text, found) or _fault_of_values(found)
    if fault is not None:
        raise ConfigurationError(f"the database URL {fault}; {WANTED}")
    # Statements are put together in UTF-8 here, so no other encoding can be asked for.
    return {**DEFAULTS, **found, "client_encoding": "UTF8"}


def passwords(url: str) -> list[str]:
    """Return what no log may show, as libpq reads it; raises ConfigurationError as `parameters`."""
    found = parameters(url)
    return [str(found[name]) for name in ("password", "sslpassword") if found.get(name)]


def _misread(text: str) -> str | None:
    """Find what libpq would take for a part of a host or a name."""
    if not text:
        return "is empty"
    if _SCHEME.match(text):
        if text[-1] in QUOTES:
            return "has a quote at its end: remove it"
        if len(text.splitlines()) > 1:
            return "has a line break in it: write it on one line"
    if text.startswith(BOM):
        return "begins with a byte order mark (BOM): save the file without one"
    for character in text:
        if character not in BLANKS and unicodedata.category(character) in {"Cf", "Zs", "Cc"}:
            return f"has an invisible character in it (U+{ord(character):04X}): remove it"
    return None


def _unreadable(text: str) -> str:
    """Return why libpq cannot read a text."""
    faults = (find(text) for find in (_wrapping, _scheme, _fault_of_uri, _fault_of_pairs))
    return next(filter(None, faults), "is not a PostgreSQL connection string")


def _wrapping(text: str) -> str | None:
    """Find what stands around the URL, or in its place."""
    assigned = _ASSIGNMENT.match(text)
    tests: tuple[tuple[object, str], ...] = (
        (text[0] in QUOTES, "stands in quotes: remove them"),
        (assigned, f"has {assigned[1] if assigned else ''} in front: keep only what follows"),
        (_COMMAND.match(text), "is a command of psql: keep only the URL"),
        (text[0] in "{[", "is a JSON or YAML text: keep only the URL"),
        (
            _is_base64_of_url(text),
            "is base64 of a URL, so it was encoded twice: under a Secret's `data` encode it once,"
            " under `stringData` not at all",
        ),
    )
    return next((fault for found, fault in tests if found), None)


def _is_base64_of_url(text: str) -> bool:
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        return False
    return decoded.strip().startswith(tuple(f"{scheme}://".encode() for scheme in SCHEMES))


def _scheme(text: str) -> str | None:
    found = _SCHEME.match(text)
    if found:
        if found[1] in SCHEMES:
            return None
        shown = f"{found[1]}://" if _DATABASES.search(found[1]) else "another scheme"
        return f"begins with {shown} and not with postgresql://"
    if text.lower().startswith(tuple(f"{scheme}:" for scheme in SCHEMES)):
        return "does not begin with postgresql:// as it should: both slashes belong to it"
    if "://" in text or ("@" in text and "=" not in text):
        return "does not begin with postgresql://"
    return None


def _fault_of_uri(text: str) -> str | None:
    if not _SCHEME.match(text):
        return None
    authority, _, query = text.partition("?")
    hosts = authority.partition("://")[2].partition("/")[0].rpartition("@")[2]
    tests = (
        (" " in text or "\t" in text, "has a blank in it: a blank is written %20"),
        (_BROKEN_ESCAPE.search(text), "has a % that stands for itself: it is written %25"),
        ("%00" in text, "has a %00 in it, which no part of it can hold"),
        (
            hosts.count(BRACKET) != hosts.count("]"),
            "has a [ or ] in its host and not the other one: IPv6 is written [::1]",
        ),
    )
    fault = next((fault for found, fault in tests if found), None)
    return fault or _fault_of_query(authority, query)


def _fault_of_query(authority: str, query: str) -> str | None:
    """Find a parameter that libpq does not know; a torn password must not be taken for one."""
    if "@" in query and "@" not in authority:
        return "has an @, /, ? or # in its password as it is"
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        shown = name if _NAME.fullmatch(name) and "@" not in value else "without a sound name"
        if not equals or "=" in value:
            return f"has a parameter {shown} that is not written name=value"
        if name not in _known():
            return (
                f"has a parameter {shown}, which PostgreSQL's own library does not know: remove it"
            )
    return None


def _fault_of_pairs(text: str) -> str | None:
    """Find an unknown name among `name=value` pairs; behind the password it could be part of it."""
    if _SCHEME.match(text):
        return None
    if ";" in text and "=" in text.partition(";")[0]:
        return "is written in pairs with semicolons, as .NET has them"
    before, _, _ = text.partition("password")
    names = re.findall(r"(?:^|\s)([A-Za-z_][\w-]*)\s*=", before)
    # What has no name that is known need not be pairs at all.
    for name in names if not _known().isdisjoint(names) else ():
        if name not in _known():
            return f"has an option {name}, which PostgreSQL's own library does not know: remove it"
    return None


def _known() -> set[str]:
    names = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {*names, "ssl"}  # JDBC's, which libpq takes as well


def _torn(url: str, found: Mapping[str, Any]) -> str | None:
    """Find a raw `/`, `@` or `#` that tore the password, so that host or name hold a part."""
    hosts, ports = str(found.get("host", "")), str(found.get("port", ""))
    authority, _, _ = url.partition("?")
    name = str(found.get("dbname", ""))
    if "&" in name and "=" in name:
        return "has an & before its first parameter, where a ? belongs"
    if (
        "@" in hosts
        or ("://" in authority and authority.count("@") > 1)
        or ("@" in name and not found.get("user"))
        or any(port and not (port.isascii() and port.isdigit()) for port in ports.split(","))
    ):
        return "has a port that is no number, or an @, /, ? or # in its password as it is"
    return None


def _fault_of_values(found: Mapping[str, Any]) -> str | None:
    checks: tuple[Callable[[Mapping[str, Any]], Iterator[str]], ...] = (
        _placeholders,
        _hosts,
        _names,
        _ports,
        _tls_modes,
        _numbers,
    )
    return next((fault for check in checks for fault in check(found)), None)


def _placeholders(found: Mapping[str, Any]) -> Iterator[str]:
    for name, part in PARTS.items():
        if _PLACEHOLDER.fullmatch(str(found.get(name, ""))):
            yield f"still has a placeholder where its {part} belongs: put the real one there"


def _hosts(found: Mapping[str, Any]) -> Iterator[str]:
    if not (found.get("host") or found.get("hostaddr") or found.get("service")):
        yield "names no host"


def _names(found: Mapping[str, Any]) -> Iterator[str]:
    # libpq would take the role's name for it, and `migrate` make tables wherever that leads.
    if not (found.get("dbname") or found.get("service")):
        yield "names no database"


def _ports(found: Mapping[str, Any]) -> Iterator[str]:
    for port in str(found.get("port", "")).split(","):
        if port and not 1 <= int(port) <= HIGHEST_PORT:
            yield f"has port {port[:10]}, and ports end at {HIGHEST_PORT}"


def _tls_modes(found: Mapping[str, Any]) -> Iterator[str]:
    mode = found.get("sslmode", TLS_MODES[0])
    if mode not in TLS_MODES:
        shown = mode if _WORD.fullmatch(mode) else "no word"
        yield f"has sslmode={shown}, which is none of {', '.join(TLS_MODES)}"


def _numbers(found: Mapping[str, Any]) -> Iterator[str]:
    for name in NUMBERS:
        value = str(found.get(name, 0))
        if not (value.isascii() and value.removeprefix("-").isdigit()):
            yield f"has a {name} that is no whole number"
