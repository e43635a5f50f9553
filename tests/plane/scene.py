"""One VendorSync on a control plane, seen and changed with an administrator's rights.

`Scene.state()` is what a fault must not change in the end: CronJobs, Jobs and the status, without
what differs between two calm runs, which are times, uids and hashes of uids.
"""

import json
import threading
from collections import Counter

from dev.plane import chart, runs
from dev.plane.api import ApiError
from dev.stack.waiting import until
from vendorsync_api import run
from vendorsync_api.group import KIND, PLURAL
from vendorsync_api.reasons import RunReason
from vendorsync_api.run import HASH_ANNOTATION
from vendorsync_api.v1alpha1 import API_VERSION

NAMESPACE = "solar"
SECONDS = 120
"""Promise 3: how long anything may take to come right."""
YEARLY = {"cron": "0 12 1 1 *", "restrictedWindows": []}
"""A schedule whose ticks stay out of the tests."""


def vendor(name, adapter="solarman", **fields):
    return {"name": name, "adapter": adapter, "credentialsSecretRef": {"name": name}} | fields


def document(name, organization, *vendors, **spec):
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "organization": {"id": organization, "name": "Acme"},
            "schedule": YEARLY,
            "vendors": list(vendors),
        }
        | spec,
    }


class Scene:
    """A resource by name, and what belongs to it."""

    def __init__(self, plane, name, organization=3, namespace=NAMESPACE):
        self.api = plane.api
        self.name = name
        self.organization = organization
        self.namespace = namespace

    # What a person does

    def apply(self, *vendors, **spec):
        wanted = document(self.name, self.organization, *vendors, **spec)
        wanted["metadata"]["namespace"] = self.namespace
        return self.api.apply(wanted)

    def change(self, **spec):
        return self.api.patch(PLURAL, self.namespace, self.name, {"spec": spec})

    def finish(self, *jobs, reason=RunReason.SYNCED):
        """Do what a run, the kubelet and the Job controller do until Jobs have ended."""
        found = self.jobs()
        for name in jobs:
            runs.finish(self.api, found[name], reason)

    # What there is

    def live(self):
        try:
            return self.api.get(PLURAL, self.namespace, self.name)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def status(self):
        return (self.live() or {}).get("status", {})

    def condition(self, kind):
        found = {each["type"]: each for each in self.status().get("conditions", ())}
        return (found[kind]["status"], found[kind]["reason"]) if kind in found else None

    def cron_jobs(self):
        return self._labelled("cronjobs")

    def uids(self):
        return {name: each["metadata"]["uid"] for name, each in self.cron_jobs().items()}

    def jobs(self):
        return self._labelled("jobs")

    def events(self):
        """Count the Events of the resource as it lives now, by reason and note."""
        uid = self.live()["metadata"]["uid"]
        return Counter(
            (event["reason"], event["note"])
            for event in self.api.list("events", self.namespace)
            if event["regarding"].get("uid") == uid
        )

    def _labelled(self, plural):
        selector = f"{run.RESOURCE_LABEL}={self.name}"
        found = self.api.list(plural, self.namespace, labelSelector=selector)
        return {each["metadata"]["name"]: each for each in found}

    def state(self):
        live, cron_jobs, jobs = self.live(), self.cron_jobs(), self.jobs()
        found = {
            "status": _timeless((live or {}).get("status")),
            "cron_jobs": {name: _essence(each) for name, each in cron_jobs.items()},
            "jobs": {name: _essence(each)["metadata"] for name, each in jobs.items()},
        }
        text = json.dumps(found, sort_keys=True)
        for each in (live, *cron_jobs.values()):
            if each is not None:
                text = text.replace(each["metadata"]["uid"], "uid")
        return json.loads(text)

    # Waiting

    def until(self, condition, what, seconds=SECONDS):
        return until(condition, f"{self.name}: {what}", seconds=seconds, every=0.05)

    def applied(self):
        """Wait until the operator has seen the newest spec and has said so."""
        self.until(self._is_applied, "a status of the newest generation")

    def _is_applied(self):
        live = self.live()
        status = live.get("status", {})
        return status.get("observedGeneration") == live["metadata"]["generation"]

    def requested(self, request):
        """Wait until a syncRequest is done and return its Jobs."""
        self.until(lambda: self.status().get("lastSyncRequest") == request, f"request {request}")
        return self.jobs()

    def recorded(self, *jobs):
        """Wait until the status tells the ends of the Jobs."""
        self.until(lambda: set(jobs) <= self._told(), f"the ends of {', '.join(jobs)}")

    def _told(self):
        return {each.get("job") for each in self.status().get("vendors", ())}

    def becomes(self, state, seconds=SECONDS):
        """Wait until the state is the wanted one; pytest shows the difference if it never is."""
        try:
            self.until(lambda: self.state() == state, "the state of a calm run", seconds)
        except TimeoutError:
            assert self.state() == state


def _timeless(value):
    """Return a status without its times."""
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not k.endswith("Time")}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _essence(each):
    metadata = each["metadata"]
    annotations = {
        name: text
        for name, text in (metadata.get("annotations") or {}).items()
        if name != HASH_ANNOTATION
    }
    return {
        "metadata": {
            "labels": metadata.get("labels"),
            "annotations": annotations,
            "owners": metadata.get("ownerReferences"),
        },
        "spec": each["spec"],
    }


def revive(process, api):
    """Start an operator that was killed.

    The Lease of the dead is taken away: that it runs out is for the tests of the election.
    """
    api.clear("leases", chart.NAMESPACE)
    process.start()


class Kept:
    """An operator that is started again whenever it ends, as a kubelet would do at once."""

    def __init__(self, process, api):
        self.process = process
        self.api = api
        self.ends = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _keep(self):
        while not self._over.wait(0.1):
            if not self.process.alive:
                self.ends += 1
                revive(self.process, self.api)


ALPHA, BETA, GAMMA = vendor("alpha"), vendor("beta", "sungrow"), vendor("gamma")
SLOWER = GAMMA | {"streams": {"plants": {"schedule": {"cron": "30 12 1 1 *"}}}}


def begin(scene):
    """Create the resource with three vendors."""
    scene.apply(ALPHA, BETA, GAMMA)


def edit(scene):
    """Remove a vendor and give another one a schedule of its own."""
    scene.apply(ALPHA, SLOWER)


def ask(scene):
    """Ask for one run of everything."""
    scene.change(syncRequest="a")


def play_up_to_its_runs(scene):
    """Go through a resource's life until its requested runs are under way; return their Jobs."""
    begin(scene)
    scene.applied()
    edit(scene)
    scene.applied()
    ask(scene)
    return scene.requested("a")


def play(scene):
    """Go through a resource's life: created, edited, run on request, its runs recorded."""
    jobs = play_up_to_its_runs(scene)
    scene.finish(*jobs)
    scene.recorded(*jobs)


def sweep(scene):
    """Delete the resource and what the garbage collector would take with it."""
    for plural in (PLURAL, "cronjobs", "jobs", "pods"):
        scene.api.clear(plural, scene.namespace)
