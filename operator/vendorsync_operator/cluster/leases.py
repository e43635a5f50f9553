"""One Lease on the API server as lease.Leases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import aiohttp

from vendorsync_operator.cluster.paths import COORDINATION, object_path, objects_path
from vendorsync_operator.cluster.transport import ApiError
from vendorsync_operator.lease import LeaseDeniedError, Record, UnreachableError
from vendorsync_operator.watch.follow import DENIALS

if TYPE_CHECKING:
    from vendorsync_operator.cluster.transport import Api, Document


class ApiServerLeases:
    """One Lease on the API server as lease.Leases."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._key = namespace, name

    async def read(self) -> Record | None:
        """Return the Lease, None if there is none."""
        return await self._send("GET", object_path(COORDINATION, self._key, "leases"), None, 404)

    async def create(self, record: Record) -> Record | None:
        """Create the Lease; None if somebody was quicker."""
        path = objects_path(COORDINATION, self._key[0], "leases")
        return await self._send("POST", path, self._document(record), 409)

    async def update(self, record: Record) -> Record | None:
        """Replace the Lease of that version; None if it is another by now, or gone."""
        path = object_path(COORDINATION, self._key, "leases")
        return await self._send("PUT", path, self._document(record), 409, 404)

    async def _send(
        self, method: str, path: str, body: Document | None, *misses: int
    ) -> Record | None:
        try:
            return _record(await self._api.send(method, path, body=body))
        except ApiError as error:
            if error.status in misses:
                return None
            if error.status in DENIALS:
                raise LeaseDeniedError(f"HTTP {error.status}: {error}") from error
            if error.status == 429 or error.status >= 500:
                raise UnreachableError(f"HTTP {error.status}: {error}") from error
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from error

    def _document(self, record: Record) -> Document:
        metadata = {"namespace": self._key[0], "name": self._key[1]}
        if record.version:
            metadata["resourceVersion"] = record.version
        spec: Document = {
            "holderIdentity": record.holder,
            # The API server takes no less than one second.
            "leaseDurationSeconds": max(round(record.duration), 1),
            "leaseTransitions": record.transitions,
        }
        for name, moment in (("acquireTime", record.acquired), ("renewTime", record.renewed)):
            if moment is not None:
                spec[name] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }


def _record(document: Document) -> Record:
    """Read a Lease; one that somebody else made may lack any field."""
    spec = document.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 15),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=_moment(spec.get("acquireTime")),
        renewed=_moment(spec.get("renewTime")),
        version=document["metadata"]["resourceVersion"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
