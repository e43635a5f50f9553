"""An organization and its accounts at vendors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vendorsync_api.model import Model, about, rule, rules_of
from vendorsync_api.v1alpha1.fields import MAX_ID, SecretRef
from vendorsync_api.v1alpha1.timing import VendorStreams


class Organization(Model):
    """The organization whose plants are kept in step."""

    id: Annotated[
        int,
        about(
            "Row of the database's table organizations that the plants belong to. It cannot be"
            " changed.",
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


class Allowance(Model):
    """Calls that somebody has bought, or was given, of a vendor."""

    calls: Annotated[
        int,
        about("Calls within that time.", example=200_000, unit="calls", ge=1, le=2_000_000_000),
    ]
    seconds: Annotated[
        int,
        about(
            "Time that the calls are for. A year is 31536000.",
            example=31_536_000,
            unit="seconds",
            ge=1,
            le=31_622_400,
        ),
    ]
    per: Annotated[
        Literal["Account", "App"] | None,
        about(
            "Whose calls count together. Account counts those of one login. App counts those of"
            " all logins with one app of the vendor (an appId or appKey). Default: as the vendor"
            " counts.",
            example="App",
        ),
    ] = None


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
            "Name of the vendor within the resource. It is part of the CronJob's name and of the"
            " plants' identity.",
            example="solarman",
            max_length=20,
            pattern=r"^[a-z][a-z0-9]{0,19}$",
        ),
    ]
    id: Annotated[
        int | None,
        about(
            "Row of the table vendors that the application's database has already. It cannot be"
            " changed once it is set.",
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
            "Adapter that speaks this vendor's API. It cannot be changed.",
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
            "Origin of the vendor's API. It must be one of the adapter's endpoints or of the"
            " operator's allowedEndpoints. Default: the adapter's first endpoint.",
            example="https://globalapi.solarmanpv.com",
            alias="baseURL",
            max_length=253,
            pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        ),
    ] = None
    allowances: Annotated[
        tuple[Allowance, ...] | None,
        about(
            "Calls that this account has bought, in at most four entries. Each entry replaces what"
            " is known of the vendor over the same time. The operator's allowances for the adapter"
            " are the most that counts. Of resources that share an account or an app, the smallest"
            " entry counts. Default: the operator's allowances, or else what is known.",
            example=[{"calls": 200_000, "seconds": 31_536_000}],
            max_length=4,
            schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = None
    options: Annotated[
        dict[str, Any],
        about(
            "Options of the adapter. The operator checks them against the adapter's model.",
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
