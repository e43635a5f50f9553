"""From a vendor's refusal code to the error that says what it means for the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from vendorsync_job.errors import (
    AccountLockedError,
    CredentialsRejectedError,
    QuotaExhaustedError,
    SyncError,
    ThrottledError,
    TokenExpiredError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.normalise import cleaned, vendor_words

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusals(Struct, frozen=True):
    """One vendor's codes by meaning; a code in none of the sets is a refusal for good.

    `quota_exhausted` gives the seconds until the allowance turns at the latest, or None. `advice`
    is added to the sentence of a code.
    """

    title: str
    token_expired: frozenset[str] = frozenset()
    credentials_rejected: frozenset[str] = frozenset()
    login_rejected: frozenset[str] = frozenset()
    """Codes that refuse the credentials at the login; elsewhere they refuse the call."""
    locked: frozenset[str] = frozenset()
    throttled: frozenset[str] = frozenset()
    quota_exhausted: Mapping[str, float | None] = field(default_factory=dict)
    transient: frozenset[str] = frozenset()
    advice: Mapping[str, str] = field(default_factory=dict)

    def error(self, code: str, words: object, path: str, *, login: bool = False) -> SyncError:
        """Return the error to raise for a refusal.

        At the login a lost token makes no sense: there it means that the credentials are refused.
        """
        advice = self.advice.get(code)
        said = vendor_words(words)
        message = (
            f"{self.title} answered {path} with code {cleaned(code)[:20]}"
            f"{f' ({said})' * bool(said)}{'; ' + advice if advice else ''}"
        )
        if code in self.quota_exhausted:
            return QuotaExhaustedError(message, self.quota_exhausted[code])
        if code in self.token_expired and not login:
            return TokenExpiredError(message)
        if code in self.token_expired | self.credentials_rejected:
            return CredentialsRejectedError(message)
        if login and code in self.login_rejected:
            return CredentialsRejectedError(message)
        if code in self.locked:
            return AccountLockedError(message)
        if code in self.throttled:
            return ThrottledError(message)
        if code in self.transient:
            return VendorUnavailableError(message)
        return VendorRefusedError(message)
