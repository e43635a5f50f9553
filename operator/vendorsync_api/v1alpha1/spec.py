"""What people write: the spec of a VendorSync.

Values that are inherited (a schedule's fields) have no default here. The operator resolves them, so
that its own settings keep working for resources that exist already.
"""

from __future__ import annotations

from typing import Annotated, Literal

from vendorsync_api.model import Model, about, rule
from vendorsync_api.v1alpha1.fields import SecretKeyRef, Stream
from vendorsync_api.v1alpha1.pod import RunSettings
from vendorsync_api.v1alpha1.timing import Schedule, Streams, StreamSpec
from vendorsync_api.v1alpha1.vendor import Organization, Vendor


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
            " older application keeps tokens as plain text. Ignore leaves them alone. Read uses"
            " them where VendorSync has no token of its own. ReadWrite also keeps them in step."
            " Default: the operator's setting, which is Ignore unless it is changed.",
            example="Read",
        ),
    ] = None


class VendorSyncSpec(Model):
    """What is to be synced, and when."""

    organization: Annotated[
        Organization,
        about("Organization whose plants are synced.", example={"id": 3, "name": "Organization A"}),
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
        about(
            "What is synced. Plants are synced unless their stream is suspended.",
            example={"plants": {"suspend": False}},
        ),
    ] = None
    vendors: Annotated[
        tuple[Vendor, ...],
        about(
            "Vendors of the organization. Each stream of a vendor has a CronJob of its own.",
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
        RunSettings, about("How the pods of runs are made.", example={"deadlineSeconds": 300})
    ] = RunSettings()
    database: Annotated[
        Database,
        about(
            "Database that the rows go to.", example={"secretRef": {"name": "vendorsync-database"}}
        ),
    ] = Database()
    sync_request: Annotated[
        str | None,
        about(
            "Any new text starts one run of every vendor and stream at once. Restricted windows and"
            " spec.suspend do not hold it back. Vendors and streams that are suspended themselves"
            " do not run.",
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
