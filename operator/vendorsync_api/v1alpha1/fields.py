"""Types of single fields, and references to other objects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from vendorsync_api.model import Model, about

MAX_ID = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""
TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_KEY = 317
SecretName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=NAME)]
Quantity = Annotated[
    str,
    StringConstraints(
        max_length=64,
        # What the API server takes in a pod: no negative amount, and a whole number as exponent.
        pattern=r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$",
    ),
]
Stream = Literal["plants", "alerts"]
Weekday = Literal["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]


class SecretRef(Model):
    """A Secret in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the Secret.", example="organization-a-solarman")]


class LocalObjectRef(Model):
    """An object in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the object.", example="registry")]


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the resource."""

    name: Annotated[SecretName, about("Name of the Secret.", example="vendorsync-database")] = (
        "vendorsync-database"
    )
    key: Annotated[
        str,
        about(
            "Key of the Secret that holds a postgresql:// URL.",
            example="url",
            min_length=1,
            max_length=253,
            pattern=r"^[-._a-zA-Z0-9]+$",
        ),
    ] = "url"
