"""Why a run ended, and what that means for its exit code and for people."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Result(StrEnum):
    """How a run ended; `Partial` never counts as success."""

    SUCCEEDED = "Succeeded"
    PARTIAL = "Partial"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    INTERRUPTED = "Interrupted"


class Trigger(StrEnum):
    """What started a run."""

    SCHEDULE = "Schedule"
    MANUAL = "Manual"
    REQUEST = "Request"


class ExitCode(IntEnum):
    """Exit codes of the job; the Job's podFailurePolicy retries 69 and 75 only."""

    OK = 0
    CONFIGURATION = 64
    CONTRACT = 65
    TRANSIENT = 69
    INTERNAL = 70
    INTERRUPTED = 75
    CREDENTIALS = 77


class RunReason(StrEnum):
    """Why a run ended as it did."""

    result: Result
    exit_code: ExitCode
    needs_action: bool
    advice: str

    def __new__(
        cls,
        value: str,
        result: Result = Result.FAILED,
        exit_code: ExitCode = ExitCode.OK,
        needs_action: bool = False,
        advice: str = "",
    ) -> RunReason:
        """Attach the meaning to the word."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.result = result
        member.exit_code = exit_code
        member.needs_action = needs_action
        member.advice = advice
        return member

    SYNCED = ("Synced", Result.SUCCEEDED, ExitCode.OK, False, "Nothing to do.")
    RECORDS_REJECTED = (
        "RecordsRejected",
        Result.PARTIAL,
        ExitCode.OK,
        False,
        "Some records of the vendor could not be stored. Read vendorsync.quarantine for the reason"
        " of each; the others were written.",
    )
    LISTING_INCOMPLETE = (
        "ListingIncomplete",
        Result.PARTIAL,
        ExitCode.OK,
        False,
        "The vendor stopped answering before its last page. What was read is stored and nothing was"
        " taken as vanished; the next run lists everything again.",
    )
    VANISH_HELD = (
        "VanishHeld",
        Result.PARTIAL,
        ExitCode.OK,
        True,
        "A complete listing lacks so many plants that none was marked as vanished. Check at the"
        " vendor that the account still sees them and that baseURL is the account's own gateway. If"
        " they are gone for good, set spec.run.vanishGuardPercent to 100 until they are marked,"
        " which takes spec.run.vanishAfter complete runs; it lets an empty listing mark all, too.",
    )
    BUDGET_SPENT = (
        "BudgetSpent",
        Result.PARTIAL,
        ExitCode.OK,
        False,
        "The run's share of the vendor's allowance of calls did not reach for every plant. The next"
        " run goes on where this one stopped. A longer interval of the plants or the alerts leaves"
        " more calls for the alerts of each plant, and so does a larger allowance.",
    )
    RESTRICTED_WINDOW = (
        "RestrictedWindow",
        Result.SKIPPED,
        ExitCode.OK,
        False,
        "A scheduled run fell inside a restricted window and made no vendor call. Start one by hand"
        " with kubectl create job --from=cronjob/… if it cannot wait.",
    )
    ALREADY_RUNNING = (
        "AlreadyRunning",
        Result.SKIPPED,
        ExitCode.OK,
        False,
        "Another run of this vendor and stream holds the lease. Wait for it to end.",
    )
    ACCOUNT_BUSY = (
        "AccountBusy",
        Result.SKIPPED,
        ExitCode.OK,
        False,
        "Other runs held every place for half of this run's time; the message says which: those"
        " that the vendor allows one account, or those that VendorSync itself gives all runs of one"
        " adapter on one database, of which the last is for plants alone. The next run tries again;"
        " spread: Hashed keeps runs of many organizations apart.",
    )
    VENDOR_THROTTLED = (
        "VendorThrottled",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The vendor asked for fewer calls. Runs rest until the time it named; lengthen"
        " intervalMinutes if this comes back.",
    )
    QUOTA_EXHAUSTED = (
        "QuotaExhausted",
        Result.FAILED,
        ExitCode.CONTRACT,
        False,
        "The vendor's allowance of calls is used up. Runs rest until it turns; lengthen"
        " intervalMinutes or buy a larger allowance.",
    )
    SECRET_MISSING = (
        "SecretMissing",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "Create the Secret named in the message, in the namespace of the resource, with the keys"
        " it lists.",
    )
    SECRET_KEY_MISSING = (
        "SecretKeyMissing",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "Add the keys named in the message to the Secret.",
    )
    CONFIGURATION_INVALID = (
        "ConfigurationInvalid",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "Correct the setting named in the message.",
    )
    ENDPOINT_REFUSED = (
        "EndpointRefused",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "The address is not one of the adapter's own endpoints, or it leads into a private network."
        " An administrator can allow it in the operator's allowedEndpoints.",
    )
    ADAPTER_UNAVAILABLE = (
        "AdapterUnavailable",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "The adapter is not installed in the sync job's image, or cannot be imported. Use one of"
        " the adapters that the message lists, or build an image with the adapter's package.",
    )
    BINDING_CONFLICT = (
        "BindingConflict",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "The database already binds this vendor to another resource, organization or adapter."
        " Correct spec.organization.id or vendors[].id, or delete the row of vendorsync.bindings"
        " that the message names if its owner is gone.",
    )
    SCHEMA_OUTDATED = (
        "SchemaOutdated",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "Run python -m vendorsync_job migrate against this database with the owner's role.",
    )
    SCHEMA_MISMATCH = (
        "SchemaMismatch",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "The application's tables lack what the message names. Add it, or point the Secret at the"
        " right database.",
    )
    DATABASE_REFUSED = (
        "DatabaseRefused",
        Result.FAILED,
        ExitCode.CONFIGURATION,
        True,
        "The database refused the role, its password or its rights. Correct the database Secret or"
        " grant what the message names.",
    )
    VENDOR_CONTRACT_BROKEN = (
        "VendorContractBroken",
        Result.FAILED,
        ExitCode.CONTRACT,
        True,
        "The vendor's answer is not what its API promises, so nothing of it was stored. Check"
        " baseURL; if it is right, report the message to the maintainers of the adapter.",
    )
    VENDOR_REFUSED = (
        "VendorRefused",
        Result.FAILED,
        ExitCode.CONTRACT,
        True,
        "The vendor refuses this call for good. Read its text in the message: a right, a plan or a"
        " setting at the vendor's portal is missing.",
    )
    VENDOR_UNAVAILABLE = (
        "VendorUnavailable",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The vendor cannot be reached or answers with server errors. Nothing to do unless it lasts;"
        " then check DNS and egress of the cluster.",
    )
    TLS_FAILED = (
        "TLSFailed",
        Result.FAILED,
        ExitCode.TRANSIENT,
        True,
        "The vendor's certificate cannot be verified. Check baseURL; for a private authority set"
        " caSecret of the operator's allowedEndpoints.",
    )
    DATABASE_UNAVAILABLE = (
        "DatabaseUnavailable",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The database cannot be reached or broke the connection. Nothing to do unless it lasts;"
        " then check its address in the Secret, its limits and its network policy.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        Result.FAILED,
        ExitCode.INTERNAL,
        False,
        "The run did not end within spec.run.deadlineSeconds. Raise it, or look for a slow vendor"
        " or database.",
    )
    INTERNAL_ERROR = (
        "InternalError",
        Result.FAILED,
        ExitCode.INTERNAL,
        True,
        "This is a fault of VendorSync. Report the log of the run's pod.",
    )
    INTERRUPTED = (
        "Interrupted",
        Result.INTERRUPTED,
        ExitCode.INTERRUPTED,
        False,
        "The run was asked to stop and did so between two chunks. The next run goes on.",
    )
    CREDENTIALS_REJECTED = (
        "CredentialsRejected",
        Result.FAILED,
        ExitCode.CREDENTIALS,
        True,
        "Correct the credentials in the Secret. No further login is tried until it changes, so the"
        " vendor does not lock the account. To allow one more try with the same Secret, delete the"
        " row of vendorsync.blocks that has the message. A run by hand"
        " tries the new one at once.",
    )
    ACCOUNT_SHARED = (
        "AccountShared",
        Result.FAILED,
        ExitCode.CREDENTIALS,
        True,
        "Another program logs in to the same account and takes its token away each time. Give"
        " VendorSync an account of its own at the vendor, or stop the other program.",
    )
    ACCOUNT_LOCKED = (
        "AccountLocked",
        Result.FAILED,
        ExitCode.CREDENTIALS,
        True,
        "The vendor locked the account. Unlock it at the vendor, or wait: runs leave it alone for a"
        " day. To try sooner, set resting_until to NULL in the row of vendorsync.accounts that has"
        " the message.",
    )
    NO_REPORT = (
        "NoReport",
        Result.FAILED,
        ExitCode.INTERNAL,
        False,
        "The run ended without a report: its pod was killed, out of memory or past the Job's"
        " deadline, or it never started, for the reason that the message then names. Read kubectl"
        " describe of the Job; raise spec.run.resources if memory ran out.",
    )


WHOLE_LISTING = frozenset(
    reason.value for reason in (RunReason.SYNCED, RunReason.RECORDS_REJECTED, RunReason.VANISH_HELD)
)
"""Reasons of runs that read their listing to its end."""
