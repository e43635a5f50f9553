"""What the product needs around it: PostgreSQL, and vendors with certificates of their own."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.cluster.errors import CommandError
from dev.simulators.tls import issue
from dev.stack import images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.cluster import Cluster

NAMESPACE = "vendorsync-backing"
HOST = f"vendors.{NAMESPACE}.svc.cluster.local"
DATABASE_HOST = f"database.{NAMESPACE}.svc.cluster.local"
DATABASE = "solar"
RUN_ROLE = "vendorsync_run"
ORIGINS = {"solarman": f"https://{HOST}:8443", "sungrow": f"https://{HOST}:8444"}


def apply(cluster: Cluster, *objects: Mapping[str, Any]) -> None:
    """Apply objects on the server's side."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)


def secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return a Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(values),
    }


def namespace(name: str) -> dict[str, Any]:
    """Return a namespace that admits restricted pods only."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def read_secret(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    """Return a Secret's values, none if it does not exist."""
    try:
        text = cluster.kubectl("get", "secret", name, "-n", namespace, "-o", "json")
    except CommandError:
        return {}
    data = json.loads(text).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def start(cluster: Cluster) -> None:
    """Start the database and the vendors, and wait until both answer."""
    apply(cluster, namespace(NAMESPACE))
    if not read_secret(cluster, NAMESPACE, "database"):
        values = {"password": secrets.token_urlsafe(18), "run-password": secrets.token_urlsafe(18)}
        apply(cluster, secret(NAMESPACE, "database", values))
    if not read_secret(cluster, NAMESPACE, "vendors-certificates"):
        made = issue((HOST, "localhost", "127.0.0.1"))
        values = {
            "ca.crt": made.ca.decode(),
            "tls.crt": made.chain.decode(),
            "tls.key": made.key.decode(),
        }
        apply(cluster, secret(NAMESPACE, "vendors-certificates", values))
    text = (Path(__file__).parent / "backing.yaml").read_text()
    text = text.replace("VERSION", images.VERSION).replace("DIGEST", images.build(images.DEMO))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)
    for name in ("database", "vendors"):
        cluster.kubectl(
            "rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=180s"
        )


def authority(cluster: Cluster) -> str:
    """Return the PEM of the authority that signed the vendors' certificate."""
    return read_secret(cluster, NAMESPACE, "vendors-certificates")["ca.crt"]


def owner_url(cluster: Cluster, host: str = DATABASE_HOST, port: int = 5432) -> str:
    """Return the database's address for the role that owns it."""
    password = read_secret(cluster, NAMESPACE, "database")["password"]
    return f"postgresql://postgres:{password}@{host}:{port}/{DATABASE}"


def run_url(cluster: Cluster, host: str = DATABASE_HOST, port: int = 5432) -> str:
    """Return the database's address for the role of the runs."""
    password = read_secret(cluster, NAMESPACE, "database")["run-password"]
    return f"postgresql://{RUN_ROLE}:{password}@{host}:{port}/{DATABASE}"
