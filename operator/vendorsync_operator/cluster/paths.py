"""Paths of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from vendorsync_api.v1alpha1 import API_VERSION

if TYPE_CHECKING:
    from vendorsync_operator.cache.live import Key

CORE = "/api/v1"
BATCH = "/apis/batch/v1"
EVENTS = "/apis/events.k8s.io/v1"
OURS = f"/apis/{API_VERSION}"
COORDINATION = "/apis/coordination.k8s.io/v1"


def objects_path(prefix: str, namespace: str | None, plural: str) -> str:
    """Return the path of a kind in one namespace, or in all."""
    return (
        f"{prefix}/{plural}"
        if namespace is None
        else f"{prefix}/namespaces/{quote(namespace)}/{plural}"
    )


def object_path(prefix: str, key: Key, plural: str) -> str:
    """Return the path of one object."""
    return f"{objects_path(prefix, key[0], plural)}/{quote(key[1])}"
