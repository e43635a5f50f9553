"""A cluster in memory and a reconciler over it, whose time is set by the test."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from tests.controller.build import NOW, SETTINGS, job_document, policies
from tests.controller.fakes import FakeCluster
from vendorsync_operator.cache.cache import Cache
from vendorsync_operator.reconcile.reconciler import Reconciler
from vendorsync_operator.status.events import Recorder

ACME = ("solar", "acme")
CRON_JOB = ("solar", "acme-alpha-plants")


class World:
    """A cluster, a cache that sees it, and a reconciler whose time is set by the test."""

    def __init__(self, settings=SETTINGS, cluster=None):
        self.cluster = cluster or FakeCluster()
        self.settings = settings
        self.now, self.seconds = NOW, 0.0
        self.restart()

    def restart(self, changed=lambda key: None):
        self.cache = Cache(changed)
        self.reconciler = Reconciler(
            self.cache,
            self.cluster,
            settings=self.settings,
            policies=policies,
            recorder=Recorder("operator-0"),
            now=lambda: self.now,
            clock=lambda: self.seconds,
        )
        for live in self.cluster.resources.values():
            self.cache.resources.found(live)
        for live in self.cluster.cron_jobs.values():
            self.cache.cron_jobs.found(live)

    def put(self, resource):
        key = resource["metadata"]["namespace"], resource["metadata"]["name"]
        before = self.cluster.resources.get(key)
        kept = {"status": before["status"]} if before else {}
        if before and before["metadata"]["uid"] == resource["metadata"]["uid"]:
            turned = before["spec"] != resource["spec"]
            resource["metadata"]["generation"] = before["metadata"]["generation"] + turned
        stamped = self.cluster.stamp(resource | kept, resource["metadata"]["uid"])
        self.cluster.resources[key] = stamped
        self.cache.resources.found(stamped)
        return self.reconcile(key)

    def finish(self, name="job-1", *pods, **fields):
        self.cluster.pods_of[name] = list(pods)
        self.cache.jobs.found(job_document(name, **fields))

    def reconcile(self, key=ACME, after=10.0):
        self.seconds += after
        self.cluster.writes.clear()
        self.cluster.reads.clear()
        return asyncio.run(self.reconciler.reconcile(key))

    def status(self, key=ACME):
        return self.cluster.resources[key]["status"]

    def condition(self, kind="Ready", key=ACME):
        found = next(c for c in self.status(key)["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    def message(self, kind="Ready", key=ACME):
        return next(c["message"] for c in self.status(key)["conditions"] if c["type"] == kind)

    def entry(self, key=ACME):
        return self.status(key)["vendors"][0]

    def start(self, name="job-1", *, ready=0, active=0, deadline=1320, **fields):
        """Show the operator a Job that was made now and has not ended."""
        document = job_document(name, finished="", **fields)
        document["metadata"]["creationTimestamp"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        document["status"] |= {
            "active": active or ready,
            "ready": ready,
            "startTime": document["metadata"]["creationTimestamp"],
        }
        document["spec"] = {"activeDeadlineSeconds": deadline}
        self.cache.jobs.found(document)

    def ticked(self, at, key=CRON_JOB):
        """Let the CronJob controller have made a Job for a tick."""
        live = self.cluster.cron_jobs[key] | {"status": {"lastScheduleTime": at}}
        self.cluster.cron_jobs[key] = self.cluster.stamp(live, live["metadata"]["uid"])
        self.cache.cron_jobs.found(self.cluster.cron_jobs[key])

    def wait(self, **span):
        """Let time pass by both clocks."""
        self.now += timedelta(**span)
        return self.reconcile(after=timedelta(**span).total_seconds())


def edit(world, change, key=CRON_JOB, by="kubectl-edit"):
    """Let a field manager change a CronJob; one that takes a field away owns nothing after it."""
    live = json.loads(json.dumps(world.cluster.cron_jobs[key]))
    change(live)
    if by:
        live["metadata"]["managedFields"].append({"manager": by})
    world.cluster.cron_jobs[key] = world.cluster.stamp(live, live["metadata"]["uid"])
    world.cache.cron_jobs.found(world.cluster.cron_jobs[key])
