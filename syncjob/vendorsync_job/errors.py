"""Every error that ends a run, grouped by what it means for the next one.

SyncError                       has a RunReason, so an exit code, a result and advice
├── ConfigurationError          nothing helps but a change (exit 64)
│   ├── SecretMissingError, SecretKeyMissingError
│   ├── EndpointRefusedError, AdapterUnavailableError
│   └── BindingConflictError, SchemaOutdatedError, SchemaMismatchError, DatabaseRefusedError
├── CredentialsRejectedError    the vendor refuses the account (exit 77); never tried twice
├── TokenExpiredError           the vendor no longer knows the token; one refresh, one repeat
├── VendorError
│   ├── VendorContractError     the answer is not what the API promises (exit 65)
│   ├── VendorRefusedError      refused for good: a right or a plan is missing (exit 65)
│   ├── ThrottledError          too many calls; rest until `retry_after` (exit 69)
│   │   ├── QuotaExhaustedError allowance used up; rest until it turns (exit 65)
│   │   │   └── BudgetSpentError    so says our own ledger, without asking the vendor
│   │   │       └── DetailsSpentError   for calls about single plants alone
│   │   └── AccountLockedError  the vendor locked the account; rest a day (exit 77)
│   └── VendorUnavailableError  transient (exit 69)
│       ├── ListingTimeoutError     the run needs the time that is left to write and report
│       └── TLSFailedError
├── DatabaseUnavailableError    transient (exit 69)
├── AlreadyRunningError         another run holds the lease (skipped, exit 0)
├── AccountBusyError            no place at the account or adapter was free (skipped, exit 0)
├── AccountSharedError          another program keeps taking the token away (exit 77)
├── RestrictedWindowError       a scheduled run inside a window (skipped, exit 0)
├── LeaseLostError              another run took over; nothing more may be written (exit 75)
├── InterruptedRunError         SIGTERM (exit 75)
└── DeadlineExceededError       the run's own deadline (exit 70)

Messages are one sentence, name the value at fault and hold no secret, no time and no request id.
"""

from __future__ import annotations

from typing import Any, ClassVar

from vendorsync_api.reasons import RunReason


class SyncError(Exception):
    """Ends the run with `reason`."""

    reason: ClassVar[RunReason] = RunReason.INTERNAL_ERROR


class ConfigurationError(SyncError):
    """A setting is wrong; running again changes nothing."""

    reason = RunReason.CONFIGURATION_INVALID


class SecretMissingError(ConfigurationError):
    """A mounted Secret does not exist."""

    reason = RunReason.SECRET_MISSING


class SecretKeyMissingError(ConfigurationError):
    """A mounted Secret lacks keys."""

    reason = RunReason.SECRET_KEY_MISSING


class EndpointRefusedError(ConfigurationError):
    """The vendor's address is not allowed."""

    reason = RunReason.ENDPOINT_REFUSED


class AdapterUnavailableError(ConfigurationError):
    """The adapter is not installed or cannot be imported."""

    reason = RunReason.ADAPTER_UNAVAILABLE


class BindingConflictError(ConfigurationError):
    """The database binds this vendor to somebody else."""

    reason = RunReason.BINDING_CONFLICT


class SchemaOutdatedError(ConfigurationError):
    """Our schema is older than this job needs."""

    reason = RunReason.SCHEMA_OUTDATED


class SchemaMismatchError(ConfigurationError):
    """The application's tables lack something."""

    reason = RunReason.SCHEMA_MISMATCH


class DatabaseRefusedError(ConfigurationError):
    """The database refuses the role."""

    reason = RunReason.DATABASE_REFUSED


class CredentialsRejectedError(SyncError):
    """The vendor refuses the credentials."""

    reason = RunReason.CREDENTIALS_REJECTED


class TokenExpiredError(SyncError):
    """The vendor does not know the token any more."""

    reason = RunReason.CREDENTIALS_REJECTED


class VendorError(SyncError):
    """The vendor did not give what was asked for.

    `answer` is the JSON object that came with a refusing status of HTTP, None for none.
    """

    reason = RunReason.VENDOR_UNAVAILABLE
    answer: dict[str, Any] | None = None


class VendorContractError(VendorError):
    """The vendor's answer is not what its API promises."""

    reason = RunReason.VENDOR_CONTRACT_BROKEN


class VendorRefusedError(VendorError):
    """The vendor refuses the call for good; `status` is HTTP's, None for a code of the vendor."""

    reason = RunReason.VENDOR_REFUSED

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ThrottledError(VendorError):
    """The vendor asks for fewer calls; `retry_after` is in seconds, None when it named none."""

    reason = RunReason.VENDOR_THROTTLED
    usual_rest: ClassVar[float] = 300.0
    """Seconds to leave the account alone when the vendor named no time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def rest(self) -> float:
        """Seconds to leave the account alone."""
        return self.retry_after or self.usual_rest


class QuotaExhaustedError(ThrottledError):
    """The allowance is used up; `retry_after` is in seconds until it turns, if known."""

    reason = RunReason.QUOTA_EXHAUSTED
    usual_rest = 86_400.0


class BudgetSpentError(QuotaExhaustedError):
    """The ledger has no call left for this purpose; nothing was sent."""


class DetailsSpentError(BudgetSpentError):
    """No call about a single plant is left; logins and listings may still have some."""


class AccountLockedError(ThrottledError):
    """The vendor locked the account; each further login may prolong that."""

    reason = RunReason.ACCOUNT_LOCKED
    usual_rest = 86_400.0


class VendorUnavailableError(VendorError):
    """The vendor cannot be reached or answers with server errors."""


class ListingTimeoutError(VendorUnavailableError):
    """The vendor's pages took longer than the run has for them; what was read is good."""


class TLSFailedError(VendorUnavailableError):
    """The vendor's certificate cannot be verified."""

    reason = RunReason.TLS_FAILED


class DatabaseUnavailableError(SyncError):
    """The database cannot be reached, or broke the connection."""

    reason = RunReason.DATABASE_UNAVAILABLE


class AlreadyRunningError(SyncError):
    """Another run holds the lease of this vendor and stream."""

    reason = RunReason.ALREADY_RUNNING


class AccountBusyError(SyncError):
    """Other runs hold all the places that the account or the adapter has."""

    reason = RunReason.ACCOUNT_BUSY


class AccountSharedError(SyncError):
    """Another program logs in to the same account again and again."""

    reason = RunReason.ACCOUNT_SHARED


class RestrictedWindowError(SyncError):
    """A scheduled run inside a restricted window."""

    reason = RunReason.RESTRICTED_WINDOW


class LeaseLostError(SyncError):
    """Another run took the lease over while this one slept."""

    reason = RunReason.INTERRUPTED


class InterruptedRunError(SyncError):
    """The run was asked to stop."""

    reason = RunReason.INTERRUPTED


class DeadlineExceededError(SyncError):
    """The run took longer than it may."""

    reason = RunReason.DEADLINE_EXCEEDED
