"""What the operator hands a run, and what a run reports back.

The operator writes a `RunSpec` as JSON into the environment variable `VENDORSYNC_RUN` of the job's
container; the job writes a `RunReport` as JSON into the container's termination message.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from vendorsync_api.model import Model
from vendorsync_api.policy import Budget, Scope, Source
from vendorsync_api.reasons import Result, Trigger
from vendorsync_api.schedule import DAYS, Timetable, Window, minute_of_day

RUN_VARIABLE = "VENDORSYNC_RUN"
JOB_NAME_VARIABLE = "VENDORSYNC_JOB_NAME"
"""Name of the Job, by the downward API from the pod's label `batch.kubernetes.io/job-name`."""
TRIGGER_VARIABLE = "VENDORSYNC_TRIGGER"
"""Set on Jobs that the operator makes for a syncRequest."""

MOUNTS = "/var/run/vendorsync"
CREDENTIALS_PATH = f"{MOUNTS}/credentials"
DATABASE_PATH = f"{MOUNTS}/database"
TOKEN_KEYS_PATH = f"{MOUNTS}/token-keys"
CA_PATH = f"{MOUNTS}/ca"
TERMINATION_PATH = "/dev/termination-log"

TOKEN_KEYS_SECRET = "vendorsync-token-keys"  # noqa: S105 - a name, not a secret

REPORT_LIMIT = 3_500
"""Bytes of a report; the kubelet cuts a termination message at 4,096."""
WORD_LIMIT = 64
"""Characters of any text of a report but its message."""

ORGANIZATION_LABEL = "vendorsync.dev/organization"
RESOURCE_LABEL = "vendorsync.dev/resource"
VENDOR_LABEL = "vendorsync.dev/vendor"
STREAM_LABEL = "vendorsync.dev/stream"
INSTANCE_LABEL = "vendorsync.dev/instance"
"""On a CronJob: the operator instance that keeps it."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "vendorsync"
HASH_ANNOTATION = "vendorsync.dev/hash"
"""On a CronJob: the hash of what was rendered."""
REQUEST_ANNOTATION = "vendorsync.dev/request"
"""On a Job: the text of the syncRequest that asked for it."""
CONTAINER = "run"
"""Name of the container that syncs."""
MANUAL_ANNOTATION = "cronjob.kubernetes.io/instantiate"
"""Set by kubectl create job --from; the truth about a manual run."""


class RunWindow(Model):
    """A restricted window with its days by name."""

    start: str
    end: str
    days: tuple[str, ...] = ()


class RunSchedule(Model):
    """The effective schedule; without it every run counts as manual."""

    time_zone: str
    windows: tuple[RunWindow, ...] = ()
    cron_job: str
    """Name of the CronJob: a scheduled Job is called `<cronJob>-<minutes since the epoch>`."""
    starting_deadline_seconds: int
    active_deadline_seconds: int

    def restricts(self) -> Timetable:
        """Return a timetable that answers `is_restricted`; its ticks mean nothing here."""
        windows = tuple(
            Window(
                minute_of_day(window.start),
                minute_of_day(window.end),
                frozenset(DAYS.index(day) for day in window.days),
            )
            for window in self.windows
        )
        return Timetable(self.time_zone, interval=60, windows=windows)


class RunResource(Model):
    """The resource that the run belongs to; the uid is empty outside a cluster."""

    namespace: str
    name: str
    uid: str = ""


class RunOrganization(Model):
    """The organization that the rows belong to."""

    id: int
    name: str


class RunVendor(Model):
    """The vendor to list."""

    name: Annotated[str, Field(min_length=1, max_length=WORD_LIMIT)]
    id: int | None = None
    display_name: str | None = None
    adapter: str
    base_url: Annotated[str | None, Field(alias="baseURL")] = None
    options: Annotated[dict[str, Any], Field(default_factory=dict)]

    @property
    def title(self) -> str:
        """The name for people."""
        return self.display_name or self.name


class RunSecret(Model):
    """Name and keys of a mounted Secret, so that an error can name them."""

    name: str
    keys: tuple[str, ...] = ()


class AllowedEndpoint(Model):
    """An address outside the adapter's own endpoints that an administrator allows."""

    adapter: str
    origin: str
    allow_private: bool = False
    ca_secret: str | None = None
    """Secret with `ca.crt`, in the namespace of the run, that signs the address's certificate."""


class RunAllowance(Model):
    """An allowance of calls that holds for the run, see `vendorsync_api.policy.Budget`."""

    calls: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=1)]
    reserve: Annotated[int, Field(ge=0)] = 0
    per: Scope = Scope.ACCOUNT
    source: Source = Source.DECLARED

    @classmethod
    def of(cls, budget: Budget) -> RunAllowance:
        """Return the allowance as it travels."""
        return cls(
            calls=budget.calls,
            seconds=budget.seconds,
            reserve=budget.reserve,
            per=budget.per,
            source=budget.source,
        )

    @property
    def budget(self) -> Budget:
        """The allowance as it is counted."""
        return Budget(self.calls, self.seconds, self.reserve, self.per, self.source)


class LegacyTokens(StrEnum):
    """What becomes of vendors.access_token, token_expires_at and token_metadata."""

    IGNORE = "Ignore"
    READ = "Read"
    READ_WRITE = "ReadWrite"


class RunSpec(Model):
    """One run of one vendor and stream. No generation, time or status: it changes with the spec."""

    version: int = 1
    resource: RunResource
    organization: RunOrganization
    vendor: RunVendor
    stream: str = "plants"
    schedule: RunSchedule | None = None
    deadline_seconds: Annotated[int, Field(ge=1)] = 600
    credentials: RunSecret
    database: RunSecret
    allowed_endpoints: tuple[AllowedEndpoint, ...] = ()
    application_schema: str = "public"
    batch_size: Annotated[int, Field(ge=1)] = 5000
    concurrency_limit: Annotated[int, Field(ge=1)] = 5
    vanish_after: Annotated[int, Field(ge=1)] = 3
    """Complete listings in a row that lack a plant before it is marked as vanished."""
    vanish_guard_percent: Annotated[int, Field(ge=0, le=100)] = 20
    """Share of a vendor's plants above which none is marked; five always may be."""
    full_compare_hours: Annotated[int, Field(ge=1)] = 24
    """Hours after which rows themselves are compared again, not only what was last written."""
    legacy_tokens: LegacyTokens = LegacyTokens.IGNORE
    detail_calls: Annotated[int | None, Field(ge=0)] = None
    """Calls about single plants that a run may make, its share of the allowance; no limit if None.
    """
    allowances: tuple[RunAllowance, ...] | None = None
    """What the vendor's calls are held against; if None, what the adapter's policy knows."""


class RunReport(Model):
    """How a run ended. `message` is empty after success and holds no times, ids or secrets."""

    version: int = 1
    vendor: str
    stream: str
    result: Result
    reason: str
    message: str = ""
    trigger: Trigger
    exit_code: int = 0
    start_time: str
    completion_time: str
    duration_seconds: float = 0
    complete: bool = False
    """The listing was read to its end, so absent plants are known to be absent."""
    total: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicate: int = 0
    vanished: int = 0
    repaired: int = 0
    values_dropped: int = 0
    calls: int = 0
    budget_remaining: int | None = None

    def to_message(self) -> str:
        """Return the JSON for the termination message, at most REPORT_LIMIT bytes.

        Words are cut at WORD_LIMIT, so that cutting the message always suffices.
        """
        words = ("vendor", "stream", "reason", "start_time", "completion_time")
        short = self.model_copy(update={name: getattr(self, name)[:WORD_LIMIT] for name in words})
        excess = len(_json(short).encode()) - REPORT_LIMIT
        if excess <= 0:
            return _json(short)
        kept = self.message.encode()[: -excess - 4].decode(errors="ignore")
        return _json(short.model_copy(update={"message": kept + "…"}))


def _json(report: RunReport) -> str:
    return report.model_dump_json(by_alias=True, exclude_none=True)
