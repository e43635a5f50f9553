"""What a connection that did not come about means: it passes, or a person must act.

A refused start-up brings no SQLSTATE, only words, and each pooler has its own. What passes is
listed here. Whatever else is said is a refusal: a new try would say the same, and some servers and
poolers lock out who tries too often. A server whose texts are not English is not understood, so
its run ends as refused, and the next one of the schedule tries again.
"""

from __future__ import annotations

import re
from typing import Final

NETWORK: Final = (
    "connection refused",
    "connection reset",
    "connection aborted",
    "software caused connection abort",
    "connection timed out",
    "operation timed out",
    "timeout expired",
    "no route to host",
    "network is unreachable",
    "network is down",
    "host is down",
    "host is unreachable",
    "broken pipe",
    "cannot assign requested address",
    "closed the connection unexpectedly",
    "connection has been closed unexpectedly",
    "ssl syscall error",
    "unexpected eof",
    "could not receive data from server",
    "could not send data to server",
)
NAMES: Final = (
    "temporary failure in name resolution",
    "non-recoverable failure in name resolution",
    "no address associated with hostname",
    # A cluster's DNS says the same of a mistyped name and of a Service that is not there yet.
    "name or service not known",
    "name does not resolve",
    "nodename nor servname provided",
)
OWN_MACHINE: Final = (
    "too many open files",
    "out of memory",
    "cannot allocate memory",
    "no buffer space available",
    "resource temporarily unavailable",
)
SERVER: Final = (
    "the database system is",  # starting up, shutting down, in recovery, not yet accepting
    "shutting down",
    "during database shutdown",
    "starting up",
    "too many clients",
    "too many connections",
    "connection slots are reserved",
    "connection limit exceeded",
    "out of shared memory",
    "no space left on device",
    "could not fork",
    "canceling authentication due to timeout",
    "terminating connection",
    # During a failover the server with the wanted part is still to come (target_session_attrs).
    "session is read-only",
    "session is not read-only",
    "hot standby mode",
)
POOLERS: Final = (
    "circuit breaker",
    "temporarily unavailable",
    # PgBouncer
    "query_wait_timeout",
    "client_login_timeout",
    "no more connections allowed",
    "server login has been failing, try again later",
    "cannot connect to server",
    "connect failed",
    "connect timeout",
    "server conn crashed",
    "server dns lookup failed",
    "too many servers in the pool",
    # Supavisor
    "(ecircuitbreaker",
    "(emaxconn",
    "(echeckouttimeout",
    "(edbhandlerexited",
    "max client connections reached",
    "max clients reached",
    "unable to check out",
    "connection to database closed",
    # Neon
    "couldn't connect to compute node",
    "control plane request failed",
    "failed to acquire permit",
    "too many database connection attempts",
    # RDS Proxy
    "timed-out waiting to acquire database connection",
    # Pgpool-II and PgCat
    "all backend nodes are down",
    "not accepting any more new connections",
    "could not get connection from the pool",
)
PASSING: Final = (*NETWORK, *NAMES, *OWN_MACHINE, *SERVER, *POOLERS)

_ATTEMPT: Final = re.compile(
    r"(?:connection to server (?P<place>at|on socket) [^\n]*? failed: "
    r"|failed to resolve host [^\n]*?: (?:\[Errno -?\d+\] )?)(?P<cause>[^\n]+)"
)
_LEAD: Final = re.compile(r"^connection (?:failed|is bad): ")
_SEVERITY: Final = re.compile(r"^[A-Z]+: +")
CACHED: Final = "cached error: "
"""PgBouncer's words before what the server told it at an earlier login."""
_QUOTED: Final = re.compile(r'"[^"\n]*"')


def passes(cause: str) -> bool:
    """Tell whether a refusal goes away by itself; names in double quotes do not count."""
    said = _QUOTED.sub('""', cause.rpartition(CACHED)[2]).lower()
    return any(words in said for words in PASSING)


def judged(text: str) -> tuple[str, bool]:
    """Return why a connection did not come about, in a line, and whether that passes.

    `text` is that of psycopg's error. Several addresses may have been tried, and one address with
    and without TLS: what one of them refused for good decides, since it was reached.
    """
    found = [
        (
            _SEVERITY.sub("", attempt["cause"].strip()),
            passes(attempt["cause"]) or _awaits_socket(attempt),
        )
        for attempt in _ATTEMPT.finditer(text)
    ]
    if not found:
        first, *_ = [*text.strip().splitlines(), ""]
        cause = _LEAD.sub("", first)
        found = [(cause, passes(cause))]
    refused = [each for each in found if not each[1]]
    return refused[0] if refused else found[-1]


def _awaits_socket(attempt: re.Match[str]) -> bool:
    """Tell whether the server behind a Unix socket has not made it yet."""
    return attempt["place"] == "on socket" and "no such file" in attempt["cause"].lower()
