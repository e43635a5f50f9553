"""What the operator writes: the status of a VendorSync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator

from vendorsync_api.model import Model, about
from vendorsync_api.reasons import WHOLE_LISTING, Result

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

NOT_SEEN = -1
"""The observed generation of a resource that no operator has seen, as the API server stores it.

GitOps tools then wait for one. Here it is None.
"""


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
        about("Generation of the spec that it speaks of.", example=4, unit="generation", ge=0),
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
            "Active vendors whose last run of plants succeeded, and all active ones.",
            example="2/3",
            max_length=20,
        ),
    ] = None
    last_sync_time: Annotated[
        str | None,
        about(
            "When the newest run of plants that was not skipped ended, in UTC. Those of other"
            " streams are in vendors.",
            example="2026-11-22T08:00:41Z",
            max_length=40,
        ),
    ] = None


def _count(what: str, example: int) -> FieldInfo:
    return about(what, example=example, unit="rows", ge=0)


class Summary(Model):
    """Sums over the newest run of plants of each active vendor."""

    total_vendors: Annotated[int, about("Active vendors.", example=3, unit="vendors", ge=0)] = 0
    successful: Annotated[
        int, about("Vendors whose run succeeded.", example=2, unit="vendors", ge=0)
    ] = 0
    failed: Annotated[
        int, about("Vendors whose run failed or was partial.", example=1, unit="vendors", ge=0)
    ] = 0
    skipped: Annotated[
        int, about("Vendors whose run was skipped.", example=0, unit="vendors", ge=0)
    ] = 0
    total_plants_synced: Annotated[int, _count("Plants that are in step.", 290)] = 0
    total_plants_created: Annotated[int, _count("Plants that were new.", 10)] = 0
    total_plants_updated: Annotated[int, _count("Plants that had changed.", 4)] = 0
    duration_seconds: Annotated[
        float,
        about(
            "Length of the longest of them that succeeded or was partial.",
            example=2.4,
            unit="seconds",
            ge=0,
        ),
    ] = 0


def _time(what: str) -> FieldInfo:
    return about(what, example="2026-11-22T08:00:41Z", unit="UTC", max_length=40)


class Delay(Model):
    """Why a run that should go on does not."""

    reason: Annotated[str, about("Why, in one word.", example="Unschedulable", max_length=60)]
    message: Annotated[
        str,
        about("What was found.", example="the run's pod cannot be scheduled", max_length=400),
    ] = ""


class VendorStatus(Model):
    """The last run of one vendor and stream. Counts that are zero are left out."""

    name: Annotated[str, about("Name of the vendor.", example="solarman", max_length=20)]
    stream: Annotated[str, about("Name of the stream.", example="plants", max_length=20)]
    result: Annotated[
        str | None,
        about(
            "How the last run ended. It is Unknown where the run completed and its report is lost.",
            example="Succeeded",
            max_length=40,
        ),
    ] = None
    reason: Annotated[str | None, about("Why, in one word.", example="Synced", max_length=60)] = (
        None
    )
    standing: Annotated[
        str | None,
        about(
            "Reason of the last run that told how the vendor stands, while newer ones were skipped"
            " or lost their report. It decides the conditions. The counts are of that run, too.",
            example="CredentialsRejected",
            max_length=60,
        ),
    ] = None
    message: Annotated[
        str | None,
        about(
            "What happened and what to do. It is absent after success.",
            example="the vendor refused the login",
            max_length=600,
        ),
    ] = None
    trigger: Annotated[
        str | None,
        about(
            "What started the last run: Schedule, Manual or Request.",
            example="Schedule",
            max_length=20,
        ),
    ] = None
    job: Annotated[
        str | None,
        about(
            "Job of the last run.", example="organization-a-solarman-plants-29364510", max_length=63
        ),
    ] = None
    requested: Annotated[
        str | None,
        about(
            "Job that the syncRequest under way started. It is absent once that request is done.",
            example="organization-a-solarman-plants-r1f0c9a2b7",
            max_length=63,
        ),
    ] = None
    exit_code: Annotated[
        int | None,
        about(
            "Exit code of the last run, unless it is zero.",
            example=77,
            unit="exit code",
            ge=0,
            le=255,
        ),
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
            "Consecutive failures that were neither partial nor interrupted, since the last partial"
            " run. It is absent where all of them were such failures, and after a partial run. From"
            " three on the scheduled runs are slowed.",
            example=4,
            unit="runs",
            ge=0,
        ),
    ] = None
    slowed_to: Annotated[
        str | None,
        about(
            "Time between scheduled runs while they are slowed, because the last ones failed. One"
            " success ends it.",
            example="60m",
            max_length=20,
        ),
    ] = None
    delay: Annotated[
        Delay | None,
        about(
            "Why a run is overdue. It is set while one did not start in time or does not end.",
            example={"reason": "Unschedulable", "message": "the run's pod cannot be scheduled"},
        ),
    ] = None
    total: Annotated[int | None, _count("Records that the vendor listed.", 250)] = None
    last_total: Annotated[
        int | None,
        _count(
            "Records of the last complete listing, where the last run had none. Schedules are"
            " compared with it.",
            250,
        ),
    ] = None
    created: Annotated[int | None, _count("New records.", 10)] = None
    updated: Annotated[int | None, _count("Changed records.", 4)] = None
    unchanged: Annotated[int | None, _count("Records left alone.", 236)] = None
    rejected: Annotated[int | None, _count("Records that could not be stored.", 0)] = None
    duplicate: Annotated[int | None, _count("Records listed more than once.", 0)] = None
    vanished: Annotated[int | None, _count("Records marked as vanished.", 0)] = None
    repaired: Annotated[
        int | None, _count("Changed records that somebody else had changed before.", 0)
    ] = None
    budget_remaining: Annotated[
        int | None,
        about("Calls left of the vendor's allowance.", example=1860, unit="calls", ge=0),
    ] = None
    tolerated_percent: Annotated[
        int | None,
        about(
            "Share of the vendor's allowance that the schedules need, while that is more than all"
            " of it. They go on, because the account grew after they were accepted. An edit that"
            " needs no more than that is not refused.",
            example=114,
            unit="percent",
            ge=0,
        ),
    ] = None

    @property
    def size(self) -> int | None:
        """Records that the last complete listing had; None where that is not known."""
        reason = self.standing if self.result == Result.SKIPPED else self.reason
        if self.last_total is not None or reason not in WHOLE_LISTING:
            return self.last_total
        written = (self.created or 0) + (self.updated or 0) + (self.unchanged or 0)
        # A status with many entries leaves the total out.
        return self.total or written or None


class VendorSyncStatus(Model):
    """What the operator saw last."""

    observed_generation: Annotated[
        int | None,
        about(
            "Generation of the spec that was applied. It is -1 until the operator has seen the"
            " resource.",
            example=4,
            unit="generation",
            ge=NOT_SEEN,
        ),
        BeforeValidator(lambda found: None if found == NOT_SEEN else found),
    ] = None
    conditions: Annotated[
        tuple[Condition, ...],
        about(
            "Ready tells whether the spec is accepted and its CronJobs are applied. Synced tells"
            " whether the last run of each active vendor and stream succeeded and none is overdue."
            " A run that used its share of the calls in a round of several runs counts as one that"
            " succeeded. Degraded tells whether somebody has to act. Stalled is there only while"
            " the spec is refused and nothing but an edit of it helps.",
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
        _time("When the next run of any vendor's plants is due. Other streams are in vendors."),
    ] = None
    last_sync_request: Annotated[
        str | None,
        about(
            "Last syncRequest that is done: every run that could be started was started.",
            example="2026-11-22-a",
            max_length=63,
        ),
    ] = None
    sync_request_message: Annotated[
        str | None,
        about(
            "Runs that lastSyncRequest could not start, and why. It is absent if all were started.",
            example="no run of sungrow/plants: Job x exists and is not this resource's",
            max_length=1024,
        ),
    ] = None
    summary: Annotated[
        Summary | None, about("Sums over the vendors.", example={"totalVendors": 3})
    ] = None
    vendors: Annotated[
        tuple[VendorStatus, ...],
        about(
            "Last run of each vendor and stream, sorted by name and stream. With more than ten of"
            " them an entry leaves out startTime, exitCode, and counts other than created, updated"
            " and unchanged. It also leaves out what follows from its other fields: the trigger"
            " Schedule, and a last time of success or failure that is completionTime.",
            example=[],
            max_length=100,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()
