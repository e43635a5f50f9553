"""Reads and writes of objects on the API server as ports.Cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vendorsync_api.group import KIND, PLURAL
from vendorsync_api.run import HASH_ANNOTATION
from vendorsync_api.v1alpha1 import API_VERSION
from vendorsync_operator.cluster.paths import BATCH, CORE, EVENTS, OURS, object_path, objects_path
from vendorsync_operator.cluster.pods import Pods
from vendorsync_operator.cluster.transport import FENCE, ApiError
from vendorsync_operator.names import FIELD_MANAGER
from vendorsync_operator.ports import ConflictError, RefusedError

if TYPE_CHECKING:
    from vendorsync_operator.cache.live import Key
    from vendorsync_operator.cluster.transport import Api, Document, Fence

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_NEVER = "1"
"""A resourceVersion that no object has. An apply that names it creates the object, or meets a
conflict with whatever lives under the name, and is never merged into that, forced or not."""
_UNDECLARED = "not declared in schema"
"""What the server says of a field that an apply names and the CRD does not know."""
_LASTING = frozenset({400, 403, 405, 413, 415, 422})
"""Answers that the same request would get again."""


class OutdatedError(Exception):
    """The CRD does not know what the operator writes; it is tried again later."""


class ApiServerCluster:
    """The API server as ports.Cluster.

    `fence` is asked before every write, whose time it bounds, and again when the write leaves.
    """

    def __init__(self, api: Api, *, fence: Fence) -> None:
        self._api = api
        self._fence = fence
        self._pods = Pods(api)

    async def read_resource(self, key: Key) -> Document | None:
        """Return a VendorSync, None if there is none."""
        return await self._read(object_path(OURS, key, PLURAL))

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob, None if there is none."""
        return await self._read(object_path(BATCH, key, "cronjobs"))

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Apply a CronJob to the object of that uid; without one create it, or ConflictError."""
        precondition = {"uid": uid} if uid else {"resourceVersion": _NEVER}
        metadata = rendered["metadata"] | precondition
        key = metadata["namespace"], metadata["name"]
        path = object_path(BATCH, key, "cronjobs")
        try:
            return await self._apply(path, rendered | {"metadata": metadata})
        except ApiError as error:
            if error.status == 409:
                raise ConflictError(str(error)) from error
            raise

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Suspend a CronJob and take its hash away; None if it is gone."""
        # A merge patch: applying these fields alone would give up all the others.
        try:
            return await self._write(
                "PATCH",
                object_path(BATCH, key, "cronjobs"),
                query={"fieldManager": FIELD_MANAGER},
                body={
                    "metadata": {"annotations": {HASH_ANNOTATION: None}},
                    "spec": {"suspend": True},
                },
                content_type=_MERGE,
            )
        except ApiError as error:
            _require_absence(error)
            return None

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Delete the CronJob of that uid; the garbage collector then ends its Jobs."""
        try:
            await self._write(
                "DELETE",
                object_path(BATCH, key, "cronjobs"),
                body={
                    "apiVersion": "v1",
                    "kind": "DeleteOptions",
                    "propagationPolicy": "Background",
                    "preconditions": {"uid": uid},
                },
            )
        except ApiError as error:
            if error.status != 409:
                _require_absence(error)

    async def create_job(self, job: Document) -> bool:
        """Create a Job; return False if one of its name exists."""
        path = objects_path(BATCH, job["metadata"]["namespace"], "jobs")
        try:
            await self._write("POST", path, query={"fieldManager": FIELD_MANAGER}, body=job)
        except ApiError as error:
            # A quota that was counted at the same time is a conflict too, and worth another try.
            if error.status != 409 or "has been modified" in str(error):
                raise
            return False
        return True

    async def read_job(self, key: Key) -> Document | None:
        """Return a Job, None if there is none."""
        # A list of one name: the right to list is there for the watch, so no other is wanted.
        query = {"fieldSelector": f"metadata.name={key[1]}"}
        found = await self._api.send("GET", objects_path(BATCH, key[0], "jobs"), query=query)
        return next(iter(found.get("items") or ()), None)

    async def pods(self, job: Key, since: str) -> list[Document]:
        """Return the pods of a Job as of one of its versions at least."""
        return await self._pods.of(job, since)

    async def refusals(self, namespace: str, uid: str) -> list[Document]:
        """Return the Events that tell of what an object could not create; RefusedError by 403."""
        query = {"fieldSelector": f"involvedObject.uid={uid},reason=FailedCreate"}
        try:
            found = await self._api.send(
                "GET", objects_path(CORE, namespace, "events"), query=query
            )
        except ApiError as error:
            if error.status == 403:
                raise RefusedError(str(error)) from error
            raise
        return found.get("items") or []

    async def apply_status(self, key: Key, uid: str, status: Document) -> Document | None:
        """Apply the status of the VendorSync of that uid; None if it is gone."""
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": key[0], "name": key[1], "uid": uid},
            "status": status,
        }
        try:
            return await self._apply(f"{object_path(OURS, key, PLURAL)}/status", document)
        except ApiError as error:
            if _UNDECLARED in str(error):
                raise OutdatedError(
                    "the CRD vendorsyncs.vendorsync.dev is older than this operator, which cannot"
                    f" write the status; apply the CRD of this release: {error}"
                ) from error
            _require_absence(error)
            return None

    async def create_event(self, event: Document) -> None:
        """Create an Event."""
        path = objects_path(EVENTS, event["metadata"]["namespace"], "events")
        await self._write("POST", path, body=event)

    async def _read(self, path: str) -> Document | None:
        try:
            return await self._api.send("GET", path)
        except ApiError as error:
            _require_absence(error)
            return None

    async def _apply(self, path: str, document: Document) -> Document:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._write("PATCH", path, query=query, body=document, content_type=_APPLY)

    async def _write(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
    ) -> Document:
        try:
            async with asyncio.timeout(self._fence()):
                token = FENCE.set(self._fence)
                try:
                    return await self._api.send(
                        method, path, query=query, body=body, content_type=content_type
                    )
                finally:
                    FENCE.reset(token)
        except ApiError as error:
            if error.status in _LASTING:
                raise RefusedError(str(error)) from error
            raise


def _require_absence(error: ApiError) -> None:
    """Raise any answer but that the object is not there."""
    if error.status != 404:
        raise error
