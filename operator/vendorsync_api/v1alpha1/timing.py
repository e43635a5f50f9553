"""When a stream runs: schedules, restricted windows, and what each stream inherits."""

from __future__ import annotations

from typing import Annotated, Literal

from vendorsync_api.model import Model, about, rule, rules_of
from vendorsync_api.schedule import INTERVALS
from vendorsync_api.v1alpha1.fields import TIME, Weekday

_INTERVALS_TEXT = ", ".join(map(str, INTERVALS))


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
            "First minute after the window. An end before the start is on the next day.",
            example="06:00",
            unit="HH:MM",
            pattern=TIME,
            max_length=5,
        ),
    ]
    days: Annotated[
        tuple[Weekday, ...] | None,
        about(
            "Days on which the window starts. Default: every day.",
            example=["Mon", "Tue"],
            min_length=1,
            max_length=7,
            schema={"x-kubernetes-list-type": "set"},
        ),
    ] = None


class Schedule(Model):
    """When scheduled syncs start.

    A field that is absent is inherited, field by field, from the organization's schedule and then
    from the operator's settings. Interval and cron count as one field.
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
            "Minutes between runs, counted from local midnight. Default: inherited. If it is set"
            " nowhere, 15.",
            example=15,
            unit="minutes",
            ge=1,
            le=1440,
            rules=[
                rule(
                    f"self in [{_INTERVALS_TEXT}]",
                    f"intervalMinutes must be one of {_INTERVALS_TEXT}; use cron for the rest",
                    computed="'intervalMinutes %d is not one that a CronJob can keep evenly; use"
                    f" one of {_INTERVALS_TEXT}, or cron'.format([self])",
                )
            ],
        ),
    ] = None
    cron: Annotated[
        str | None,
        about(
            "Five-field cron expression, instead of intervalMinutes. Restricted windows still"
            " apply.",
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
            "IANA time zone of the schedule and of its windows. Default: inherited. If it is"
            " set nowhere, Asia/Kolkata.",
            example="Asia/Kolkata",
            min_length=1,
            max_length=64,
            rules=[
                rule(
                    "self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$')",
                    "timeZone must be a name of the IANA database, such as Asia/Kolkata",
                    computed="'timeZone %s is not in the IANA database; use a name such as"
                    " Asia/Kolkata'.format([self])",
                )
            ],
        ),
    ] = None
    restricted_windows: Annotated[
        tuple[RestrictedWindow, ...] | None,
        about(
            "Hours in which no scheduled sync starts. An empty list allows every hour. Default:"
            " inherited. If they are set nowhere, 19:00-06:00.",
            example=[{"start": "19:00", "end": "06:00"}],
            max_length=14,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    spread: Annotated[
        Literal["Aligned", "Hashed"] | None,
        about(
            "Aligned starts on the interval's boundary. Hashed adds a stable offset for each"
            " resource, so that organizations do not all start in one minute. It has no effect on"
            " cron. Default: inherited. If it is set nowhere, Aligned.",
            example="Hashed",
        ),
    ] = None


class StreamSpec(Model):
    """One stream of an organization."""

    schedule: Annotated[
        Schedule | None,
        about(
            "Schedule of this stream. Absent fields are inherited.", example={"intervalMinutes": 60}
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
        about(
            "Plants of the organization. They are synced by default.", example={"suspend": False}
        ),
    ] = None
    alerts: Annotated[
        StreamSpec | None,
        about(
            "Alerts of the plants. They are synced only if they are declared, in runs of their own."
            " Some vendors list alerts by plant. Each run then has an equal share of the calls that"
            " the allowance leaves beside the plants, and the next run goes on from there. One"
            " round over all plants may take several runs.",
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
            "Override for the alerts. Once a day suits a vendor that lists them by plant.",
            example={"schedule": {"intervalMinutes": 1440}},
        ),
    ] = None
