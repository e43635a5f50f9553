"""The VendorSync resource, group vendorsync.dev, version v1alpha1.

These models are the source of the CRD and of the field reference. Values that are inherited (a
schedule's fields) have no default here: the operator resolves them, so that its own settings keep
working for resources that exist already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from vendorsync_api.model import Model, about, rule, rules_of
from vendorsync_api.schedule import INTERVALS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

GROUP = "vendorsync.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "VendorSync"
PLURAL = "vendorsyncs"
SINGULAR = "vendorsync"
SHORT_NAMES = ("vs",)

MAX_ID = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_KEY = 317
_INTERVALS_TEXT = ", ".join(map(str, INTERVALS))

SecretName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=NAME)]
Quantity = Annotated[
    str,
    StringConstraints(
        max_length=64,
        pattern=r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
    ),
]
Stream = Literal["plants", "alerts"]
Weekday = Literal["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]


class RestrictedWindow(Model):
    """Hours in which no scheduled sync starts: from start on, and no longer at end."""

    model_config = rules_of(
        rule(
            "self.start != self.end",
            "start and end of a restricted window are equal; make it end later, or remove"
            " the window",
            computed="'restricted window %s-%s starts when it ends; make it end later, or"
            " remove the window'.format([self.start, self.end])",
        )
    )

    start: Annotated[
        str,
        about(
            "First minute of the window, in the schedule's time zone.",
            example="19:00",
            unit="HH:MM",
            pattern=TIME,
            max_length=5,
        ),
    ]
    end: Annotated[
        str,
        about(
            "First minute after the window; an end before the start lies on the next day.",
            example="06:00",
            unit="HH:MM",
            pattern=TIME,
            max_length=5,
        ),
    ]
    days: Annotated[
        tuple[Weekday, ...] | None,
        about(
            "Days on which the window starts; all days if absent.",
            example=["Mon", "Tue"],
            min_length=1,
            max_length=7,
            schema={"x-kubernetes-list-type": "set"},
        ),
    ] = None


class Schedule(Model):
    """When scheduled syncs start.

    A field that is absent is inherited, field by field, from the organization's schedule and then
    from the operator's settings; interval and cron count as one field.
    """

    model_config = rules_of(
        rule(
            "!(has(self.intervalMinutes) && has(self.cron))",
            "set intervalMinutes or cron, not both; they are two spellings of one field",
        )
    )

    interval_minutes: Annotated[
        int | None,
        about(
            "Minutes between runs, counted from local midnight.",
            example=15,
            unit="minutes",
            ge=1,
            le=1440,
            rules=[
                rule(
                    f"self in [{_INTERVALS_TEXT}]",
                    f"intervalMinutes must be one of {_INTERVALS_TEXT}; use cron for the rest",
                    computed="'intervalMinutes %d does not tile an hour or a day; use one of"
                    f" {_INTERVALS_TEXT}, or cron'.format([self])",
                )
            ],
        ),
    ] = None
    cron: Annotated[
        str | None,
        about(
            "Five-field cron expression, in place of intervalMinutes. Restricted windows still"
            " hold.",
            example="*/20 * * * *",
            min_length=9,
            max_length=120,
            rules=[
                rule(
                    "!self.startsWith('@')",
                    "cron descriptors are not supported; write five fields",
                    computed="'cron %s is a descriptor; write five fields, for example 0 * * * *'"
                    ".format([self])",
                ),
                rule(
                    "!self.contains('TZ=')",
                    "cron must not name a time zone; set timeZone beside it",
                ),
                rule(
                    "self.startsWith('@') || self.contains('TZ=') || self.split(' ').size() == 5",
                    "cron needs five fields separated by one blank",
                    computed="'cron %s needs five fields separated by one blank: minute, hour, day"
                    " of month, month, day of week'.format([self])",
                ),
                rule(
                    "self.split(' ').size() != 5"
                    " || !self.split(' ')[4].matches('(^|[,-])7($|[,/-])')",
                    "cron day of week 7 is not supported; write 0 for Sunday",
                ),
            ],
        ),
    ] = None
    time_zone: Annotated[
        str | None,
        about(
            "IANA time zone of the ticks and windows; Asia/Kolkata unless the operator is set"
            " otherwise.",
            example="Asia/Kolkata",
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        ),
    ] = None
    restricted_windows: Annotated[
        tuple[RestrictedWindow, ...] | None,
        about(
            "Hours without scheduled syncs; an empty list for none. Absent: inherited, 19:00-06:00"
            " in the end.",
            example=[{"start": "19:00", "end": "06:00"}],
            max_length=14,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    spread: Annotated[
        Literal["Aligned", "Hashed"] | None,
        about(
            "Aligned starts on the interval's boundary; Hashed adds a stable offset per resource,"
            " so that organizations do not all start in one minute. No effect on cron.",
            example="Hashed",
        ),
    ] = None


class Organization(Model):
    """The organization whose plants are kept in step."""

    id: Annotated[
        int,
        about(
            "organizations.id of the database. Cannot be changed.",
            example=3,
            unit="row id",
            ge=1,
            le=MAX_ID,
            rules=[
                rule(
                    "self == oldSelf",
                    "organization.id cannot be changed; delete the resource and create another",
                    computed="'organization.id cannot be changed from %d to %d; delete the resource"
                    " and create another'.format([oldSelf, self])",
                )
            ],
        ),
    ]
    name: Annotated[
        str,
        about("Name for people.", example="Organization A", min_length=1, max_length=200),
    ]


class StreamSpec(Model):
    """One stream of an organization."""

    schedule: Annotated[
        Schedule | None,
        about(
            "Schedule of this stream; absent fields are inherited.", example={"intervalMinutes": 60}
        ),
    ] = None
    suspend: Annotated[
        bool,
        about("Stops the scheduled runs of this stream.", example=False),
    ] = False


class Streams(Model):
    """What is synced."""

    plants: Annotated[
        StreamSpec | None,
        about("The plants; synced even if absent here.", example={"suspend": False}),
    ] = None
    alerts: Annotated[
        StreamSpec | None,
        about(
            "The alerts; synced only if declared, on a clock of their own. Of a vendor that lists"
            " them by plant, each run has an equal share of the calls that the allowance leaves"
            " beside the plants; the next run goes on from there, and one round may take several"
            " runs.",
            example={"schedule": {"intervalMinutes": 60, "restrictedWindows": []}},
        ),
    ] = None


class VendorStreamSpec(Model):
    """One stream of one vendor."""

    schedule: Annotated[
        Schedule | None,
        about(
            "Overrides the organization's schedule, field by field.",
            example={"intervalMinutes": 60},
        ),
    ] = None


class VendorStreams(Model):
    """Overrides for one vendor."""

    plants: Annotated[
        VendorStreamSpec | None,
        about("Override for the plants.", example={"schedule": {"intervalMinutes": 60}}),
    ] = None
    alerts: Annotated[
        VendorStreamSpec | None,
        about(
            "Override for the alerts: once a day suits a vendor that lists them by plant.",
            example={"schedule": {"intervalMinutes": 1440}},
        ),
    ] = None


class SecretRef(Model):
    """A Secret in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the Secret.", example="organization-a-solarman")]


class Vendor(Model):
    """One account at one vendor's cloud."""

    model_config = rules_of(
        rule(
            "!has(oldSelf.id) || (has(self.id) && self.id == oldSelf.id)",
            "a vendor's id cannot be changed once it is set; add a vendor of another name",
        ),
    )

    name: Annotated[
        str,
        about(
            "Name of the vendor within the resource; part of the CronJob's name and of the plants'"
            " identity.",
            example="solarman",
            max_length=20,
            pattern=r"^[a-z][a-z0-9]{0,19}$",
        ),
    ]
    id: Annotated[
        int | None,
        about(
            "vendors.id of a row that exists already in the application's database. Cannot be"
            " changed once set.",
            example=1,
            unit="row id",
            ge=1,
            le=MAX_ID,
        ),
    ] = None
    display_name: Annotated[
        str | None,
        about("Name for people.", example="Solarman Vendor 1", min_length=1, max_length=200),
    ] = None
    adapter: Annotated[
        str,
        about(
            "The adapter that speaks this vendor's API. Cannot be changed.",
            example="solarman",
            max_length=40,
            pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
            rules=[
                rule(
                    "self == oldSelf",
                    "adapter cannot be changed; add a vendor of another name",
                    computed="'adapter cannot be changed from %s to %s; add a vendor of another"
                    " name'.format([oldSelf, self])",
                )
            ],
        ),
    ]
    suspend: Annotated[bool, about("Stops the scheduled runs of this vendor.", example=False)] = (
        False
    )
    credentials_secret_ref: Annotated[
        SecretRef,
        about(
            "Secret with the keys that the adapter needs.",
            example={"name": "organization-a-solarman"},
        ),
    ]
    base_url: Annotated[
        str | None,
        about(
            "Origin of the vendor's API, if not the adapter's first endpoint. It must be one of the"
            " adapter's endpoints or of the operator's allowedEndpoints.",
            example="https://globalapi.solarmanpv.com",
            alias="baseURL",
            max_length=253,
            pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        ),
    ] = None
    options: Annotated[
        dict[str, Any],
        about(
            "Options of the adapter; the operator checks them against the adapter's model.",
            example={"orgId": 12345},
            max_length=32,
            schema={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = Field(default={})
    streams: Annotated[
        VendorStreams | None,
        about(
            "Overrides of the organization's streams for this vendor.",
            example={"plants": {"schedule": {"intervalMinutes": 60}}},
        ),
    ] = None

    @property
    def title(self) -> str:
        """The name for people."""
        return self.display_name or self.name


class ResourceAmounts(Model):
    """Compute resources of the job's container, as in any pod."""

    requests: Annotated[
        dict[str, Quantity | int] | None,
        about("Least amounts.", example={"cpu": "50m", "memory": "96Mi"}, max_length=8),
    ] = None
    limits: Annotated[
        dict[str, Quantity | int] | None,
        about("Most amounts.", example={"memory": "256Mi"}, max_length=8),
    ] = None


class Toleration(Model):
    """A toleration of the job's pods, as in any pod."""

    key: Annotated[str | None, about("Taint key.", example="dedicated", max_length=LABEL_KEY)] = (
        None
    )
    operator: Annotated[
        Literal["Exists", "Equal"] | None, about("How key and value match.", example="Equal")
    ] = None
    value: Annotated[str | None, about("Taint value.", example="batch", max_length=63)] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        about("Taint effect.", example="NoSchedule"),
    ] = None
    toleration_seconds: Annotated[
        int | None,
        about("How long a NoExecute taint is borne.", example=60, unit="seconds", ge=0, le=MAX_ID),
    ] = None


class LocalObjectRef(Model):
    """An object in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the object.", example="registry")]


class RunSettings(Model):
    """How the runs' pods are made."""

    deadline_seconds: Annotated[
        int | None,
        about(
            "The longest a run may take; absent: ten minutes, or a minute less than the interval.",
            example=600,
            unit="seconds",
            ge=30,
            le=21_600,
        ),
    ] = None
    resources: Annotated[
        ResourceAmounts | None,
        about("Compute resources of the run.", example={"limits": {"memory": "256Mi"}}),
    ] = None
    history_limit: Annotated[
        int,
        about(
            "Finished Jobs kept of each kind, succeeded and failed.",
            example=1,
            unit="Jobs",
            ge=1,
            le=20,
        ),
    ] = 1
    vanish_after: Annotated[
        int,
        about(
            "Complete listings in a row that lack a plant before it is marked as vanished; one that"
            " is listed again comes back at once.",
            example=3,
            unit="listings",
            ge=1,
            le=100,
        ),
    ] = 3
    vanish_guard_percent: Annotated[
        int,
        about(
            "Share of a vendor's plants that a listing may lack; if more are absent, none is marked"
            " and the run ends as VanishHeld. Five plants always may be marked. 100 marks whatever"
            " was absent for vanishAfter runs, all plants if need be.",
            example=20,
            unit="percent",
            ge=0,
            le=100,
        ),
    ] = 20
    full_compare_hours: Annotated[
        int,
        about(
            "Hours after which a run compares with the rows themselves and not only with what was"
            " last written, so that columns which somebody else changed are put right.",
            example=24,
            unit="hours",
            ge=1,
            le=720,
        ),
    ] = 24
    node_selector: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=63)]] | None,
        about("Labels a node must have.", example={"kubernetes.io/os": "linux"}, max_length=16),
    ] = None
    tolerations: Annotated[
        tuple[Toleration, ...] | None,
        about(
            "Taints that are borne.",
            example=[{"key": "dedicated", "operator": "Exists"}],
            max_length=16,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    priority_class_name: Annotated[
        str | None,
        about("Priority class of the pods.", example="batch-low", min_length=1, max_length=253),
    ] = None
    image_pull_secrets: Annotated[
        tuple[LocalObjectRef, ...] | None,
        about(
            "Secrets to pull the job's image with.",
            example=[{"name": "registry"}],
            max_length=8,
            schema={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = None


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the Secret.", example="vendorsync-database")] = (
        "vendorsync-database"
    )
    key: Annotated[
        str,
        about(
            "Key that holds a postgresql:// URL.",
            example="url",
            min_length=1,
            max_length=253,
            pattern=r"^[-._a-zA-Z0-9]+$",
        ),
    ] = "url"


class Database(Model):
    """Where the rows go."""

    secret_ref: Annotated[
        SecretKeyRef,
        about(
            "Secret with the database's URL.",
            example={"name": "vendorsync-database", "key": "url"},
        ),
    ] = SecretKeyRef()
    legacy_tokens: Annotated[
        Literal["Ignore", "Read", "ReadWrite"] | None,
        about(
            "What becomes of vendors.access_token, token_expires_at and token_metadata, where an"
            " older application keeps tokens as plain text: left alone, read when there is no token"
            " of our own, or also kept in step. Absent: as the operator is set, Ignore in the end.",
            example="Read",
        ),
    ] = None


class VendorSyncSpec(Model):
    """What is to be synced, and when."""

    organization: Annotated[
        Organization,
        about("Whose plants.", example={"id": 3, "name": "Organization A"}),
    ]
    suspend: Annotated[
        bool,
        about("Stops the scheduled runs of the whole organization.", example=False),
    ] = False
    schedule: Annotated[
        Schedule | None,
        about("Schedule of the organization.", example={"intervalMinutes": 15}),
    ] = None
    streams: Annotated[
        Streams | None,
        about("What is synced; the plants if absent.", example={"plants": {"suspend": False}}),
    ] = None
    vendors: Annotated[
        tuple[Vendor, ...],
        about(
            "The organization's vendors, each with a CronJob per stream.",
            example=[
                {
                    "name": "solarman",
                    "adapter": "solarman",
                    "credentialsSecretRef": {"name": "organization-a-solarman"},
                }
            ],
            min_length=1,
            max_length=50,
            schema={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            rules=[
                rule(
                    "self.all(v, !has(v.id) || self.exists_one(w, has(w.id) && w.id == v.id))",
                    "two vendors have the same id; each row of vendors belongs to one of them",
                )
            ],
        ),
    ]
    run: Annotated[
        RunSettings, about("How the runs' pods are made.", example={"deadlineSeconds": 300})
    ] = RunSettings()
    database: Annotated[
        Database,
        about("Where the rows go.", example={"secretRef": {"name": "vendorsync-database"}}),
    ] = Database()
    sync_request: Annotated[
        str | None,
        about(
            "Any new text asks for one run now of every vendor and stream that is not suspended"
            " itself, windows or not, also while spec.suspend is true.",
            example="2026-11-22-a",
            min_length=1,
            max_length=63,
        ),
    ] = None

    @property
    def stream_specs(self) -> dict[Stream, StreamSpec]:
        """The declared streams; plants are always among them."""
        streams = self.streams or Streams()
        found: dict[Stream, StreamSpec] = {"plants": streams.plants or StreamSpec()}
        if streams.alerts is not None:
            found["alerts"] = streams.alerts
        return found


class Condition(Model):
    """One condition, after the Kubernetes API conventions."""

    type: Annotated[str, about("Name of the condition.", example="Ready", max_length=316)]
    status: Annotated[
        Literal["True", "False", "Unknown"], about("Whether it holds.", example="True")
    ]
    reason: Annotated[str, about("Why, in one word.", example="Applied", max_length=1024)]
    message: Annotated[
        str, about("Why, and what to do.", example="2 CronJobs applied", max_length=4096)
    ] = ""
    observed_generation: Annotated[
        int | None,
        about("Generation of the spec it speaks of.", example=4, unit="generation", ge=0),
    ] = None
    last_transition_time: Annotated[
        str,
        about(
            "When the status last changed.",
            example="2026-11-22T08:00:00Z",
            schema={"format": "date-time"},
            max_length=40,
        ),
    ]


class Display(Model):
    """Effective values, for the printed columns."""

    interval: Annotated[str | None, about("Interval or cron.", example="15m", max_length=120)] = (
        None
    )
    window: Annotated[
        str | None, about("Restricted windows.", example="19:00-06:00", max_length=400)
    ] = None
    vendors: Annotated[
        str | None,
        about(
            "Vendors whose last plants run succeeded, of the active ones.",
            example="2/3",
            max_length=20,
        ),
    ] = None
    last_sync_time: Annotated[
        str | None,
        about(
            "When the newest run of plants that was not skipped ended, UTC; those of other streams"
            " stand in vendors.",
            example="2026-11-22T08:00:41Z",
            max_length=40,
        ),
    ] = None


def _count(what: str, example: int) -> FieldInfo:
    return about(what, example=example, unit="rows", ge=0)


class Summary(Model):
    """Sums over the newest plants run of each active vendor."""

    total_vendors: Annotated[int, about("Active vendors.", example=3, unit="vendors", ge=0)] = 0
    successful: Annotated[int, about("Whose run succeeded.", example=2, unit="vendors", ge=0)] = 0
    failed: Annotated[
        int, about("Whose run failed or was partial.", example=1, unit="vendors", ge=0)
    ] = 0
    skipped: Annotated[int, about("Whose run was skipped.", example=0, unit="vendors", ge=0)] = 0
    total_plants_synced: Annotated[int, _count("Plants that are in step.", 290)] = 0
    total_plants_created: Annotated[int, _count("Plants that were new.", 10)] = 0
    total_plants_updated: Annotated[int, _count("Plants that had changed.", 4)] = 0
    duration_seconds: Annotated[
        float, about("Length of the longest run.", example=2.4, unit="seconds", ge=0)
    ] = 0


def _time(what: str) -> FieldInfo:
    return about(what, example="2026-11-22T08:00:41Z", unit="UTC", max_length=40)


class Delay(Model):
    """Why a run that should go on does not."""

    reason: Annotated[str, about("Why, in one word.", example="Unschedulable", max_length=60)]
    message: Annotated[
        str,
        about("What was found.", example="no node takes the run's pod", max_length=400),
    ] = ""


class VendorStatus(Model):
    """The last run of one vendor and stream. Counts that are zero are left out."""

    name: Annotated[str, about("Name of the vendor.", example="solarman", max_length=20)]
    stream: Annotated[str, about("Name of the stream.", example="plants", max_length=20)]
    result: Annotated[
        str | None, about("How the last run ended.", example="Succeeded", max_length=40)
    ] = None
    reason: Annotated[str | None, about("Why, in one word.", example="Synced", max_length=60)] = (
        None
    )
    standing: Annotated[
        str | None,
        about(
            "Reason of the last run that was not skipped, while newer ones were; it decides the"
            " conditions. The counts are that run's too.",
            example="CredentialsRejected",
            max_length=60,
        ),
    ] = None
    message: Annotated[
        str | None,
        about(
            "What happened and what to do; absent after success.",
            example="the vendor refused the login",
            max_length=600,
        ),
    ] = None
    trigger: Annotated[
        str | None, about("Schedule, Manual or Request.", example="Schedule", max_length=20)
    ] = None
    job: Annotated[
        str | None,
        about(
            "Job of the last run.", example="organization-a-solarman-plants-29364510", max_length=63
        ),
    ] = None
    exit_code: Annotated[
        int | None,
        about("Exit code, unless zero.", example=77, unit="exit code", ge=0, le=255),
    ] = None
    start_time: Annotated[str | None, _time("When the last run started.")] = None
    completion_time: Annotated[str | None, _time("When the last run ended.")] = None
    duration_seconds: Annotated[
        float | None,
        about("Length of the last run.", example=2.4, unit="seconds", ge=0),
    ] = None
    last_successful_time: Annotated[str | None, _time("When a run last succeeded.")] = None
    last_failure_time: Annotated[str | None, _time("When a run last failed.")] = None
    next_schedule_time: Annotated[str | None, _time("When the next run is due.")] = None
    consecutive_failures: Annotated[
        int | None,
        about(
            "Runs since the last success that failed or were partial.", example=2, unit="runs", ge=0
        ),
    ] = None
    hard_failures: Annotated[
        int | None,
        about(
            "Those of them that failed outright since the last partial run, neither partial nor"
            " interrupted; absent where it was all of them, and after a partial run none. From"
            " three on the scheduled runs are slowed.",
            example=4,
            unit="runs",
            ge=0,
        ),
    ] = None
    slowed_to: Annotated[
        str | None,
        about(
            "Time between scheduled runs while they are slowed because the last ones failed; absent"
            " otherwise. One success ends it.",
            example="60m",
            max_length=20,
        ),
    ] = None
    delay: Annotated[
        Delay | None,
        about(
            "Set while a run is overdue: it did not start in time or does not end.",
            example={"reason": "Unschedulable", "message": "no node takes the run's pod"},
        ),
    ] = None
    total: Annotated[int | None, _count("Records that the vendor listed.", 250)] = None
    created: Annotated[int | None, _count("New records.", 10)] = None
    updated: Annotated[int | None, _count("Changed records.", 4)] = None
    unchanged: Annotated[int | None, _count("Records left alone.", 236)] = None
    rejected: Annotated[int | None, _count("Records that could not be stored.", 0)] = None
    duplicate: Annotated[int | None, _count("Records listed more than once.", 0)] = None
    vanished: Annotated[int | None, _count("Records marked as vanished.", 0)] = None
    repaired: Annotated[
        int | None, _count("Records, among the changed ones, that somebody else had changed.", 0)
    ] = None
    budget_remaining: Annotated[
        int | None,
        about("Calls left of the vendor's allowance.", example=1860, unit="calls", ge=0),
    ] = None


class VendorSyncStatus(Model):
    """What the operator saw last."""

    observed_generation: Annotated[
        int | None,
        about("Generation of the spec that was applied.", example=4, unit="generation", ge=0),
    ] = None
    conditions: Annotated[
        tuple[Condition, ...],
        about(
            "Ready: the spec is accepted and its CronJobs are applied. Synced: the last run of each"
            " active vendor and stream succeeded, or used its share of the calls in a round that"
            " takes several runs, and none is overdue. Degraded: somebody has to act.",
            example=[],
            max_length=8,
            schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    display: Annotated[
        Display | None,
        about("Effective values, for the printed columns.", example={"interval": "15m"}),
    ] = None
    next_schedule_time: Annotated[
        str | None,
        _time("When the next run of any vendor's plants is due; other streams stand in vendors."),
    ] = None
    last_sync_request: Annotated[
        str | None,
        about(
            "The last syncRequest whose Jobs were all made.", example="2026-11-22-a", max_length=63
        ),
    ] = None
    summary: Annotated[
        Summary | None, about("Sums over the vendors.", example={"totalVendors": 3})
    ] = None
    vendors: Annotated[
        tuple[VendorStatus, ...],
        about(
            "The last run of each vendor and stream, sorted by name and stream. With more than ten"
            " of them an entry leaves out startTime, exitCode, counts other than created, updated"
            " and unchanged, and whatever follows from its other fields: the trigger Schedule, and"
            " the last time of success or failure where that is completionTime.",
            example=[],
            max_length=100,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()


class Metadata(Model):
    """The parts of metadata that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class VendorSync(Model):
    """One organization's sync."""

    metadata: Metadata
    spec: VendorSyncSpec
    status: VendorSyncStatus = VendorSyncStatus()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name
