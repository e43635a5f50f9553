"""The demo's organizations: one with two vendors, one with a wrong password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dev.stack import backing, product

if TYPE_CHECKING:
    from dev.cluster import Cluster

NAMESPACE = "solar"


def vendor_sync(
    name: str, organization: int, title: str, vendors: list[dict[str, Any]], **spec: object
) -> dict[str, Any]:
    """Return a VendorSync of the demo."""
    return {
        "apiVersion": "vendorsync.dev/v1alpha1",
        "kind": "VendorSync",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"organization": {"id": organization, "name": title}, "vendors": vendors, **spec},
    }


def vendor(adapter: str, secret: str, **options: object) -> dict[str, Any]:
    """Return a vendor that is reached at its simulator."""
    return {
        "options": options,
        "name": adapter,
        "adapter": adapter,
        "credentialsSecretRef": {"name": secret},
        "baseURL": backing.ORIGINS[adapter],
    }


def secrets(cluster: Cluster) -> list[dict[str, Any]]:
    """Return every Secret of the demo's namespace; the last one holds a wrong password."""
    wrong = {**product.account("sim-south"), "password": "sim-not-the-password"}
    return [
        *product.organization_secrets(cluster, NAMESPACE),
        backing.secret(NAMESPACE, "organization-a-solarman", product.account("sim-north")),
        backing.secret(NAMESPACE, "organization-a-sungrow", product.account("sim-west")),
        backing.secret(NAMESPACE, "organization-b-solarman", wrong),
    ]


def cron_jobs() -> list[str]:
    """Return the names of the CronJobs that the resources lead to."""
    return [
        f"{resource['metadata']['name']}-{found['name']}-{stream}"
        # Plants first: alerts are of plants that are there.
        for stream in ("plants", "alerts")
        for resource in resources()
        for found in resource["spec"]["vendors"]
        if stream == "plants" or stream in resource["spec"].get("streams", {})
    ]


def resources() -> list[dict[str, Any]]:
    """Return the VendorSync resources of the demo."""
    return [
        vendor_sync(
            "organization-a",
            3,
            "Organization A",
            [
                vendor("solarman", "organization-a-solarman"),
                vendor("sungrow", "organization-a-sungrow"),
            ],
            streams={"alerts": {"schedule": {"intervalMinutes": 60, "restrictedWindows": []}}},
        ),
        vendor_sync(
            "organization-b",
            4,
            "Organization B",
            [vendor("solarman", "organization-b-solarman", orgId=700200)],
        ),
    ]
