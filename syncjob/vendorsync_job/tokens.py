"""How long a token lives, from what the vendor says of it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Token

if TYPE_CHECKING:
    from vendorsync_job.models import Grant

FIELD_VALUE: Final = re.compile(r"[!-~]+([ \t]+[!-~]+)*")
"""What every server understands as the value of a header (RFC 9110, 5.5)."""
LONGEST_BUFFER: Final = 300.0
BUFFER_SHARE: Final = 0.2
LONGEST_LIFETIME: Final = 10 * 366 * 86_400.0
LONGEST_JWT: Final = 16_384
"""Characters; a longer token is not looked into."""
CLOCK_SLACK: Final = timedelta(seconds=LONGEST_BUFFER)
"""How far the clocks of two pods may be apart."""
MILLISECONDS: Final = 1e11
"""As seconds this would be the year 5138, so such a number can only be milliseconds."""


def token(grant: Grant, now: datetime, generation: int = 0) -> Token:
    """Return the token of a login answered at `now`.

    The first of these that makes sense decides: `expires_in`, which no clock can spoil;
    `expires_at`; the `exp` of a JWT; the adapter's default. A value that is not in the future, or
    lies more than ten years ahead, counts as not said.
    """
    lifetime = (
        _sensible(grant.expires_in)
        or _until(grant.expires_at, now)
        or _sensible(jwt_lifetime(grant.token, now))
        or grant.default_lifetime
    )
    return Token(
        value=grant.token,
        expires_at=now + timedelta(seconds=lifetime),
        obtained_at=now,
        generation=generation,
        metadata=grant.metadata,
        refresh_token=grant.refresh_token,
    )


def require_sendable(grant: Grant) -> Grant:
    """Return a grant whose token can be sent, or raise VendorContractError, without its value."""
    if not FIELD_VALUE.fullmatch(grant.token):
        raise VendorContractError(
            "the vendor answered the login with a token that cannot be sent: it is blank, or has"
            " blanks at an end or characters outside ASCII"
        )
    return grant


def is_fresh(token: Token, now: datetime, needed: float = 0.0) -> bool:
    """Tell whether a token is good for another `needed` seconds and a buffer.

    The buffer is five minutes, or a fifth of a shorter life. Where a whole life cannot cover
    `needed`, only the buffer counts: logging in more often would not help. A token from the future
    is not good: since then a clock was set back, so its end means nothing.
    """
    if token.obtained_at - now > CLOCK_SLACK:
        return False
    lifetime = (token.expires_at - token.obtained_at).total_seconds()
    buffer = min(LONGEST_BUFFER, BUFFER_SHARE * lifetime)
    margin = max(buffer, needed) if needed + buffer < lifetime else buffer
    return (token.expires_at - now).total_seconds() > margin


def jwt_lifetime(text: str, now: datetime) -> float | None:
    """Return the seconds until a JWT's `exp`; None for an opaque token or a senseless value.

    The signature is not checked: the vendor judges its own token, we only plan ahead.
    """
    if len(text) > LONGEST_JWT or text.count(".") != 2:
        return None
    import jwt  # noqa: PLC0415 - only JWTs pay for it

    try:
        expiry = jwt.decode(text, options={"verify_signature": False}).get("exp")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    if not isinstance(expiry, int | float):
        return None
    try:
        seconds = float(expiry)
    except OverflowError:
        return None
    if not math.isfinite(seconds):
        return None
    return (seconds / 1000 if seconds >= MILLISECONDS else seconds) - now.timestamp()


def _sensible(seconds: float | None) -> float | None:
    """Return a lifetime that can be: from a second to ten years."""
    if seconds is None or isinstance(seconds, bool):
        return None
    return float(seconds) if 1 <= seconds <= LONGEST_LIFETIME else None


def _until(moment: datetime | None, now: datetime) -> float | None:
    if moment is None or moment.tzinfo is None:
        return None
    return _sensible((moment.astimezone(UTC) - now).total_seconds())
