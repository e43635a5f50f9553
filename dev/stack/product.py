"""The product itself: the chart, and the Secrets of an organization's namespace."""

from __future__ import annotations

import base64
import json
import secrets
import tempfile
from typing import TYPE_CHECKING, Any

from dev.simulators import Accounts
from dev.stack import backing, images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.cluster import Cluster

NAMESPACE = "vendorsync"
CA_SECRET = "demo-vendors-ca"  # noqa: S105 - a name
CHART = images.ROOT / "charts" / "vendorsync"


def values() -> dict[str, Any]:
    """Return the chart's values for this cluster: the simulators' private addresses allowed."""
    return {
        "allowedEndpoints": [
            {"adapter": adapter, "origin": origin, "allowPrivate": True, "caSecret": CA_SECRET}
            for adapter, origin in backing.ORIGINS.items()
        ],
        "operator": {"podAnnotations": {"build": images.build(images.OPERATOR)}},
    }


def migration_secret(cluster: Cluster) -> dict[str, Any]:
    """Return the Secret that the chart's migration Job waits for."""
    urls = {"owner-url": backing.owner_url(cluster), "run-url": backing.run_url(cluster)}
    return backing.secret(NAMESPACE, "vendorsync-migration", urls)


def install(cluster: Cluster, more: Mapping[str, Any] | None = None) -> None:
    """Install or upgrade the chart and wait for the operator and the database's schema."""
    backing.apply(cluster, backing.namespace(NAMESPACE), migration_secret(cluster))
    # A database whose pod was made anew is empty again: let Helm make the migration again, too. And
    # a release that a killed run left half-way would refuse every later one.
    for kind, selector in (
        ("jobs", "app.kubernetes.io/component=migration"),
        ("secrets", "owner=helm,name=vendorsync,status in (pending-install,pending-upgrade)"),
    ):
        cluster.kubectl("delete", kind, "-n", NAMESPACE, "-l", selector, "--ignore-not-found")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({**values(), **(more or {})}, file)
        file.flush()
        cluster.helm(
            "upgrade", "--install", "vendorsync", str(CHART), "--namespace", NAMESPACE,
            "--values", file.name, "--wait", "--wait-for-jobs", "--timeout", "3m",
        )  # fmt: skip


def organization_secrets(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Return the Secrets that every organization's namespace needs, keys kept if they exist."""
    keys = backing.read_secret(cluster, namespace, "vendorsync-token-keys") or {
        "current": "k1",
        "k1": base64.b64encode(secrets.token_bytes(32)).decode(),
        "fingerprint": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    return [
        backing.secret(namespace, "vendorsync-token-keys", keys),
        backing.secret(namespace, "vendorsync-database", {"url": backing.run_url(cluster)}),
        backing.secret(namespace, CA_SECRET, {"ca.crt": backing.authority(cluster)}),
    ]


def account(name: str) -> dict[str, str]:
    """Return the Secret keys of a simulated account."""
    return Accounts.from_file().named(name).secret
