"""Why a condition of a VendorSync is as it is."""

from __future__ import annotations

from enum import StrEnum


class ConditionReason(StrEnum):
    """Why a condition of a VendorSync is as it is."""

    advice: str

    def __new__(cls, value: str, advice: str = "") -> ConditionReason:
        """Attach the advice to the word."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.advice = advice
        return member

    APPLIED = ("Applied", "Nothing to do: every CronJob is as the spec asks.")
    SUSPENDED = (
        "Suspended",
        "Set spec.suspend to false to sync again. If the message names the operator's own"
        " switch, set defaults.enabled of the chart (ENABLE_PLANT_SYNC_CRON) to true.",
    )
    SPEC_INVALID = ("SpecInvalid", "Correct the field named in the message.")
    UNKNOWN_TIME_ZONE = (
        "UnknownTimeZone",
        "Use a name of the IANA time zone database, such as Asia/Kolkata.",
    )
    UNKNOWN_ADAPTER = (
        "UnknownAdapter",
        "Use one of the adapters that the message lists, or install the adapter's package into"
        " both images.",
    )
    STREAM_UNSUPPORTED = (
        "StreamUnsupported",
        "Remove the stream, or use an adapter that provides it.",
    )
    OPTIONS_INVALID = ("OptionsInvalid", "Correct vendors[].options as the message says.")
    ENDPOINT_NOT_ALLOWED = (
        "EndpointNotAllowed",
        "Use one of the endpoints that the message lists, or have an administrator add yours to"
        " the operator's allowedEndpoints.",
    )
    BUDGET_EXCEEDED = (
        "BudgetExceeded",
        "Lengthen the interval or widen the restricted window until the vendor's allowance of"
        " calls is enough. The message shows the sum. If the account has bought more, declare it in"
        " vendors[].allowances.",
    )
    BUDGET_TIGHT = (
        "BudgetTight",
        "The vendor's allowance of calls may not be enough for these schedules, and the message"
        " shows the sum. Runs go on. Declare what the account has bought in vendors[].allowances,"
        " or lengthen the interval, or widen the restricted window.",
    )
    NEVER_RUNS = (
        "NeverRuns",
        "The schedule has no tick left: its dates do not exist, or the restricted windows cover"
        " them. Change the schedule or shorten a window.",
    )
    NAME_CONFLICT = (
        "NameConflict",
        "A CronJob of that name belongs to somebody else. Rename the resource or the vendor, or"
        " remove the CronJob.",
    )
    DUPLICATE_ORGANIZATION = (
        "DuplicateOrganization",
        "An older VendorSync of this namespace writes the same organization to the same database"
        " Secret. Delete one of the two, or give one another organization or database.",
    )
    API_REFUSED = (
        "APIRefused",
        "The API server refused an object, and the message has its words. The usual cause is a"
        " quota, an admission policy or a missing right.",
    )
    AWAITING_REMOVAL = (
        "AwaitingRemoval",
        "A CronJob of an earlier resource of this name still exists. Kubernetes removes it within a"
        " minute, and then it is made anew. Delete it if it stays.",
    )
    API_FAILING = (
        "APIFailing",
        "The API server fails to take an object, and the message has its words. The usual cause is"
        " an admission webhook that is down. Everything is tried again by itself.",
    )
    NAMESPACE_DENIED = (
        "NamespaceDenied",
        "The operator may not read what the message names, so it changes nothing in this namespace."
        " Give its service account the rights of the chart again.",
    )
    CONTESTED = (
        "Contested",
        "Somebody else writes the same CronJobs. Find the field manager or the operator that the"
        " message names, and let one of the two go.",
    )
    ALL_SYNCED = ("AllSynced", "Nothing to do.")
    AWAITING_FIRST_RUN = ("AwaitingFirstRun", "Wait for the next tick, or start a run by hand.")
    RUNS_FAILED = ("RunsFailed", "Read the reason of each vendor in status.vendors.")
    REPORT_LOST = (
        "ReportLost",
        "A run completed, but its pod was removed before its report was read. Wait for the next"
        " run.",
    )
    RUNS_OVERDUE = (
        "RunsOverdue",
        "A run did not start in time or does not end. Do what the message says."
        " status.vendors[].delay names each one.",
    )
    NO_STREAMS = ("NoStreams", "Every vendor or stream is suspended, so there is nothing to sync.")
    AS_EXPECTED = ("AsExpected", "Nothing to do.")
    ACTION_REQUIRED = ("ActionRequired", "Do what the message says for each vendor it names.")
