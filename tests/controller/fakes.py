"""A cluster in memory: it keeps what is written and counts reads and writes."""

from __future__ import annotations

import json
from typing import Any

from vendorsync_api.run import HASH_ANNOTATION
from vendorsync_operator.names import FIELD_MANAGER
from vendorsync_operator.ports import ConflictError, RefusedError


class FakeCluster:
    """Holds VendorSyncs, CronJobs, Jobs and pods; `refuse` names objects it will not write."""

    def __init__(self) -> None:
        self.resources: dict = {}
        self.cron_jobs: dict = {}
        self.jobs: dict = {}
        self.events: list[dict] = []
        self.pods_of: dict[str, list[dict]] = {}
        self.pods_since: dict[str, str] = {}
        self.refusals_of: dict[str, list[dict]] = {}
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.refuse: set[str] = set()
        self.broken: set[str] = set()
        self._version = 1000

    def stamp(self, document: dict[str, Any], uid: str) -> dict[str, Any]:
        self._version += 1
        kept: dict[str, Any] = json.loads(json.dumps(document))
        kept["metadata"] |= {"uid": uid, "resourceVersion": str(self._version)}
        return kept

    def _write(self, what: str, name: str) -> None:
        if name in self.broken:
            raise ConnectionError(name)
        self.writes.append(f"{what} {name}")
        if name in self.refuse:
            counters = f"requested: jobs=1, used: jobs={len(self.writes)}, limited: jobs=9"
            raise RefusedError(f'"{name}" is forbidden: exceeded quota: small, {counters}')

    async def read_resource(self, key):
        self.reads.append(f"resource {key[1]}")
        return self.resources.get(key)

    async def read_cron_job(self, key):
        self.reads.append(f"cronjob {key[1]}")
        return self.cron_jobs.get(key)

    async def apply_cron_job(self, rendered, uid):
        key = rendered["metadata"]["namespace"], rendered["metadata"]["name"]
        known = self.cron_jobs.get(key)
        if (known and known["metadata"]["uid"]) != uid:
            self.reads.append(f"conflict {key[1]}")
            raise ConflictError(key[1])
        self._write("apply", key[1])
        self.cron_jobs[key] = self.stamp(rendered, uid or f"cron-{self._version}")
        self.cron_jobs[key]["metadata"]["managedFields"] = [
            {"manager": FIELD_MANAGER},
            {"manager": "kube-controller-manager", "subresource": "status"},
        ]
        return self.cron_jobs[key]

    async def suspend_cron_job(self, key):
        self._write("suspend", key[1])
        live = self.cron_jobs[key]
        live["spec"]["suspend"] = True
        live["metadata"]["annotations"].pop(HASH_ANNOTATION, None)
        self.cron_jobs[key] = self.stamp(live, live["metadata"]["uid"])
        return self.cron_jobs[key]

    async def delete_cron_job(self, key, uid):
        self._write("delete", key[1])
        self.cron_jobs.pop(key, None)

    async def create_job(self, job):
        name = job["metadata"]["name"]
        self._write("create", name)
        return self.jobs.setdefault(name, job) is job

    async def read_job(self, key):
        self.reads.append(f"job {key[1]}")
        return self.jobs.get(key[1])

    async def refusals(self, namespace, uid):
        self.reads.append(f"events {uid}")
        if "events" in self.refuse:
            raise RefusedError("events is forbidden")
        return self.refusals_of.get(uid, [])

    async def pods(self, job, since):
        self.reads.append(f"pods {job[1]}")
        self.pods_since[job[1]] = since
        return self.pods_of.get(job[1], [])

    async def apply_status(self, key, uid, status):
        self._write("status", key[1])
        live = self.resources.get(key)
        if live is None or live["metadata"]["uid"] != uid:
            return None
        self.resources[key] = self.stamp(live | {"status": status}, uid)
        return self.resources[key]

    async def create_event(self, event):
        self.events.append(event)
