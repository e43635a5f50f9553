"""Sample objects for tests and measures: resources, and the runs that a controller would make.

All are plain documents; `plane.api.create` stores them.
"""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

ADAPTERS = ("solarman", "sungrow")
NAMESPACE = "solar"
YEARLY = {"cron": "0 0 1 1 *", "timeZone": "UTC", "restrictedWindows": []}
"""A schedule whose ticks stay out of a test's way: one without a Job makes the operator ask why."""


def vendor_sync(
    number: int, vendors: int = 5, namespace: str = NAMESPACE, **spec: object
) -> Document:
    """Return the resource `organization-<number>`, whose organization has the id number + 1.

    Its vendors are v0, v1, …, of both adapters in turn, each with an account of its own. Fields of
    the spec may be given in the CRD's spelling; what is not given is inherited.
    """
    name = f"organization-{number}"
    return {
        "apiVersion": "vendorsync.dev/v1alpha1",
        "kind": "VendorSync",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "organization": {"id": number + 1, "name": f"Organization {number}"},
            "vendors": [vendor(name, each) for each in range(vendors)],
            **spec,
        },
    }


def vendor(resource: str, number: int) -> Document:
    """Return the vendor `v<number>` of a resource."""
    return {
        "name": f"v{number}",
        "adapter": ADAPTERS[number % len(ADAPTERS)],
        "credentialsSecretRef": {"name": f"{resource}-v{number}"},
    }
