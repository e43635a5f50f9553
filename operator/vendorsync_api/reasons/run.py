"""Why a run ended, and what that means for its exit code and for people."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Result(StrEnum):
    """How a run ended; `Partial` never counts as success.

    `Unknown` is told by the operator alone: the run ended well enough for its Job, and its report
    is gone.
    """

    SUCCEEDED = "Succeeded"
    PARTIAL = "Partial"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    INTERRUPTED = "Interrupted"
    UNKNOWN = "Unknown"


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
        "Some records of the vendor could not be stored. The table vendorsync.quarantine has"
        " the reason of each. All other records were written. What your own tables refused is"
        " offered again with the full compare, or with the next run once its row there is deleted.",
    )
    LISTING_INCOMPLETE = (
        "ListingIncomplete",
        Result.PARTIAL,
        ExitCode.OK,
        False,
        "The vendor stopped answering before its last page, or what it answered may not be all."
        " What was read is stored, and nothing was marked as vanished. The next run lists"
        " everything again. If this comes back, do what the message says.",
    )
    VANISH_HELD = (
        "VanishHeld",
        Result.PARTIAL,
        ExitCode.OK,
        True,
        "A complete listing lacks so many plants that none was marked as vanished. Check at the"
        " vendor that the account still sees them, and that baseURL is the account's own"
        " gateway. If they are gone for good, set spec.run.vanishGuardPercent to 100 until they"
        " are marked, which takes spec.run.vanishAfter complete runs. With 100 an empty listing"
        " marks all plants, too.",
    )
    BUDGET_SPENT = (
        "BudgetSpent",
        Result.PARTIAL,
        ExitCode.OK,
        False,
        "The run's share of the vendor's allowance of calls was not enough for every plant. The"
        " next run goes on where this one stopped. A longer interval of the plants or the"
        " alerts leaves more calls for the alerts of each plant, and so does a larger"
        " allowance.",
    )
    RESTRICTED_WINDOW = (
        "RestrictedWindow",
        Result.SKIPPED,
        ExitCode.OK,
        False,
        "A scheduled run started inside a restricted window and made no vendor call. If it"
        " cannot wait, start one by hand: kubectl create job by-hand-$(date +%s)"
        " --from=cronjob/NAME.",
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
        "Other runs held every place for half of this run's time. The message says which"
        " places: those that the vendor allows one account, or those that VendorSync gives all"
        " runs of one adapter on one database. The last of these is for plants alone. The next"
        " run tries again. Many organizations start at different minutes with spread: Hashed.",
    )
    VENDOR_THROTTLED = (
        "VendorThrottled",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The vendor asked for fewer calls. Runs wait until the time that it named. Lengthen"
        " intervalMinutes if this comes back.",
    )
    QUOTA_EXHAUSTED = (
        "QuotaExhausted",
        Result.FAILED,
        ExitCode.CONTRACT,
        False,
        "The vendor's allowance of calls is used up. Runs wait until it is renewed. Lengthen"
        " intervalMinutes or buy a larger allowance, and then start a run by hand: it asks again.",
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
        " baseURL first. If it is right, report the message to the maintainers of the adapter.",
    )
    VENDOR_REFUSED = (
        "VendorRefused",
        Result.FAILED,
        ExitCode.CONTRACT,
        True,
        "The vendor refuses this call, and would again. The message has the vendor's words: a"
        " right, a plan or a setting at the vendor's portal is missing.",
    )
    VENDOR_UNAVAILABLE = (
        "VendorUnavailable",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The vendor cannot be reached or answers with server errors. Nothing to do unless it"
        " lasts. If it does, check the cluster's DNS and its network policy for egress.",
    )
    TLS_FAILED = (
        "TLSFailed",
        Result.FAILED,
        ExitCode.TRANSIENT,
        True,
        "The vendor's certificate cannot be verified. Check baseURL. For a private authority,"
        " set caSecret in the operator's allowedEndpoints.",
    )
    DATABASE_UNAVAILABLE = (
        "DatabaseUnavailable",
        Result.FAILED,
        ExitCode.TRANSIENT,
        False,
        "The database cannot be reached, or it broke the connection. Nothing to do unless it"
        " lasts. If it does, check the address in the Secret, the database's limits and the"
        " network policy.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        Result.FAILED,
        ExitCode.INTERNAL,
        False,
        "The run did not end within spec.run.deadlineSeconds. Raise it, or find out why the"
        " vendor or the database is slow.",
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
        "The run was asked to stop, and stopped between two chunks. The next run goes on.",
    )
    CREDENTIALS_REJECTED = (
        "CredentialsRejected",
        Result.FAILED,
        ExitCode.CREDENTIALS,
        True,
        "Correct the credentials in the Secret, or the option that the message names. No further"
        " login is tried until one of them changes, so that the vendor does not lock the account."
        " A run by hand tries the new ones at once. To allow one more try with the same Secret,"
        " delete the row of vendorsync.blocks that has the message.",
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
        "The vendor locked the account. Unlock it at the vendor, or wait: runs leave the"
        " account alone for a day. To try sooner, set resting_until to NULL in the row of"
        " vendorsync.accounts that has the message.",
    )
    NO_REPORT = (
        "NoReport",
        Result.FAILED,
        ExitCode.INTERNAL,
        False,
        "The run ended without a report. Its pod was killed, ran out of memory, passed the"
        " Job's deadline, or never started, and the message then says why. Read kubectl"
        " describe of the Job. Raise spec.run.resources if memory ran out.",
    )
    REPORT_LOST = (
        "ReportLost",
        Result.UNKNOWN,
        ExitCode.OK,
        False,
        "The run's Job completed, but its pod was removed before its report was read. Nothing"
        " to do: the next run reports again. If this comes back, keep finished pods for some"
        " minutes.",
    )


WHOLE_LISTING = frozenset(
    reason.value for reason in (RunReason.SYNCED, RunReason.RECORDS_REJECTED, RunReason.VANISH_HELD)
)
"""Reasons of runs that read their listing to its end."""
