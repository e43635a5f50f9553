"""Every right of the chart is needed: without it the operator fails at something it does with it.

Inputs: a plane without controllers and the rights that Helm renders. A case does a deed and sees
its effect, drops one right, does the deed again and waits until the API server has refused the
operator: then there is no effect.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dev.cluster.command import wait_until
from dev.plane import Plane, chart, runs
from dev.plane.api import Api
from dev.plane.chart import Right
from dev.plane.plane import is_settled
from dev.plane.resources import NAMESPACE, YEARLY, vendor_sync
from vendorsync_api.reasons import ConditionReason, DelayReason, RunReason
from vendorsync_api.run import RESOURCE_LABEL

OURS, BATCH, EVENTS, LEASES = "vendorsync.dev", "batch", "events.k8s.io", "coordination.k8s.io"
NUMBERS = itertools.count()
REFUSED = 403
OTHER = {"cron": "7 7 7 7 *", "timeZone": "UTC", "restrictedWindows": []}
A_TICK = "2026-01-01T00:00:00Z"
SECONDS = 60
READS = ("get", "list", "watch")


class Scene:
    """One resource with two vendors, once it is created."""

    def __init__(self, plane, namespace=NAMESPACE):
        self.api = plane.api
        self.namespace = namespace
        self.number = next(NUMBERS)
        self.name = f"organization-{self.number}"

    def create(self):
        resource = vendor_sync(self.number, 2, self.namespace, schedule=YEARLY)
        self.api.create("vendorsyncs", resource)

    def create_in_the_way(self):
        """Create it where somebody else has a CronJob of the name of one of its own."""
        self.api.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": f"{self.name}-v0-plants", "namespace": self.namespace},
                "spec": {
                    "schedule": "@yearly",
                    "jobTemplate": {
                        "spec": {
                            "template": {
                                "spec": {
                                    "restartPolicy": "Never",
                                    "containers": [{"name": "other", "image": "other"}],
                                }
                            }
                        }
                    },
                },
            }
        )
        self.create()

    def ready(self):
        """Return the reason of the condition Ready."""
        conditions = self.resource().get("status", {}).get("conditions", ())
        return next((each["reason"] for each in conditions if each["type"] == "Ready"), "")

    def change(self, **spec):
        self.api.patch("vendorsyncs", self.namespace, self.name, {"spec": spec})

    def touch(self):
        """Spoil the status, so that the operator looks again."""
        spoiled = {"status": {"observedGeneration": 1000}}
        self.api.patch("vendorsyncs", self.namespace, f"{self.name}/status", spoiled)

    def resource(self):
        return self.api.get("vendorsyncs", self.namespace, self.name)

    def vendors(self):
        return self.resource().get("status", {}).get("vendors", [])

    def own(self, plural):
        return self.api.list(plural, self.namespace, labelSelector=f"{RESOURCE_LABEL}={self.name}")

    def run(self, reason=RunReason.SYNCED):
        runs.finish(self.api, runs.start(self.api, self.own("cronjobs")[0]), reason)

    def events(self, reason):
        return [
            event
            for event in self.api.list("events", self.namespace)
            if event["regarding"]["name"] == self.name and event["reason"] == reason
        ]

    def remove_vendor(self):
        self.change(vendors=self.resource()["spec"]["vendors"][:1])

    def remove_cron_job(self):
        self.api.delete("cronjobs", self.namespace, self.own("cronjobs")[0]["metadata"]["name"])

    def delays(self):
        return {entry["delay"]["reason"] for entry in self.vendors() if "delay" in entry}


@dataclass(frozen=True)
class Case:
    """A deed, and how to see what the operator does about it."""

    deed: Callable[[Scene], object]
    effect: Callable[[Scene], object]


SERVED = Case(Scene.create, lambda scene: len(scene.own("cronjobs")) == 2)
BROUGHT_BACK = Case(Scene.remove_cron_job, lambda scene: len(scene.own("cronjobs")) == 2)
TOLD = Case(Scene.run, lambda scene: any("result" in entry for entry in scene.vendors()))

# Creating by server-side apply takes two verbs, so each has a case that the other does not touch.
WHILE_IT_RUNS = {
    # What is made anew is not made for a ghost; what is in the way is told.
    Right(OURS, "vendorsyncs", "get"): BROUGHT_BACK,
    Right(BATCH, "cronjobs", "get"): Case(
        Scene.create_in_the_way, lambda scene: scene.ready() == ConditionReason.NAME_CONFLICT
    ),
    Right(OURS, "vendorsyncs/status", "patch"): Case(
        Scene.create, lambda scene: "conditions" in scene.resource().get("status", {})
    ),
    Right(BATCH, "cronjobs", "create"): BROUGHT_BACK,
    Right(BATCH, "cronjobs", "patch"): Case(
        lambda scene: scene.change(schedule=OTHER),
        lambda scene: (
            {each["spec"]["schedule"] for each in scene.own("cronjobs")} == {OTHER["cron"]}
        ),
    ),
    Right(BATCH, "cronjobs", "delete"): Case(
        Scene.remove_vendor, lambda scene: len(scene.own("cronjobs")) == 1
    ),
    Right(BATCH, "jobs", "create"): Case(
        lambda scene: scene.change(syncRequest="now"), lambda scene: scene.own("jobs")
    ),
    Right("", "pods", "list"): TOLD,
    Right(EVENTS, "events", "create"): Case(
        lambda scene: scene.run(RunReason.CREDENTIALS_REJECTED),
        lambda scene: scene.events(RunReason.CREDENTIALS_REJECTED),
    ),
}
"""What is asked for anew each time; the operator runs when the right goes."""

AT_ITS_START = {
    Right(OURS, "vendorsyncs", "list"): SERVED,
    Right(OURS, "vendorsyncs", "watch"): SERVED,
    Right(LEASES, "leases", "get"): SERVED,
    Right(LEASES, "leases", "create"): SERVED,
    Right(LEASES, "leases", "update"): SERVED,
    Right(BATCH, "cronjobs", "list"): BROUGHT_BACK,
    Right(BATCH, "cronjobs", "watch"): BROUGHT_BACK,
    Right(BATCH, "jobs", "list"): TOLD,
    Right(BATCH, "jobs", "watch"): TOLD,
}
"""What lasts once it was allowed; the operator starts when the right is gone."""

WITH_AGE = Right("", "events", "list")
"""What is asked about a Job that has no pod after most of a minute."""


@pytest.fixture(scope="module")
def standing(module_plane):
    """One operator for all cases, which start and stop it."""
    process = module_plane.operator(env={"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"})
    process.start()
    process.ready()
    yield process
    if process.alive:
        process.kill()


@pytest.fixture(scope="module", autouse=True)
def aging(module_plane, standing):
    """A scene with a Job that has no pod; made first, so that it has some age in the end."""
    module_plane.namespace("aging")
    scene = Scene(module_plane, "aging")
    scene.create()
    module_plane.settled(seconds=SECONDS)
    job = runs.start(module_plane.api, scene.own("cronjobs")[0])
    return scene, job


@pytest.fixture
def serving(module_plane, standing):
    """It runs, with all rights; afterwards it has them again."""
    module_plane.grant()
    if not standing.alive:
        standing.start()
        standing.ready()
    yield standing
    module_plane.grant()


@pytest.fixture
def started_anew(module_plane, serving):
    """It runs, and is gone afterwards together with its Lease, whatever became of it."""
    yield serving
    if serving.alive:
        serving.kill()
    module_plane.api.clear("leases", chart.NAMESPACE)


@pytest.fixture
def scene(module_plane):
    """Make scenes in which a deed can be done, all that comes before it settled."""

    def make(case):
        scene = Scene(module_plane)
        if case.deed not in (Scene.create, Scene.create_in_the_way):
            scene.create()
            module_plane.settled(seconds=SECONDS)
        return scene

    yield make
    # What could not be finished would be tried again, in the midst of the next case.
    module_plane.api.clear("vendorsyncs", NAMESPACE)


def wait(condition, what, operator):
    wait_until(condition, what=what, seconds=SECONDS, hint=lambda: operator.log()[-3000:])


def show(case, scene, operator, right):
    """Show that with all rights the effect comes."""
    case.deed(scene)
    wait(lambda: bool(case.effect(scene)), f"what takes the right to {right}", operator)


def refusals(plane, right):
    """Return how often the operator was refused since the mark; creating by apply is a patch."""
    verbs = {right.verb, "patch"} if right.verb == "create" else {right.verb}
    return sum(
        found.code == REFUSED and found.resource == right.resource and found.verb in verbs
        for found in plane.audit.answers(chart.USER)
    )


def wait_for_refusal(plane, right, operator):
    """Wait until the operator was refused and is done with that try, or has ended."""
    # A write that is refused has no effect. What may not be read might be done without, until the
    # operator asks for it again.
    enough = 2 if right.verb in READS else 1
    wait(
        lambda: (found := refusals(plane, right)) >= enough or (found and not operator.alive),
        f"the refusal to {right}",
        operator,
    )


def test_each_right_of_the_chart_has_a_case(module_plane):
    assert set(module_plane.rights()) == {*WHILE_IT_RUNS, *AT_ITS_START, WITH_AGE}


@pytest.mark.parametrize("right", WHILE_IT_RUNS, ids=str)
def test_a_running_operator_needs_the_right_to(right, module_plane, serving, scene):
    case = WHILE_IT_RUNS[right]
    with_it, without_it = scene(case), scene(case)
    show(case, with_it, serving, right)
    module_plane.grant(without=right)
    module_plane.mark()

    case.deed(without_it)
    wait_for_refusal(module_plane, right, serving)

    assert not case.effect(without_it)


@pytest.mark.parametrize("right", AT_ITS_START, ids=str)
def test_a_starting_operator_needs_the_right_to(right, module_plane, started_anew, scene):
    operator, case = started_anew, AT_ITS_START[right]
    with_it, without_it = scene(case), scene(case)
    show(case, with_it, operator, right)
    operator.stop()
    if right == Right(LEASES, "leases", "create"):
        module_plane.api.clear("leases", chart.NAMESPACE)
    module_plane.grant(without=right)
    module_plane.mark()

    operator.start()
    wait(lambda: refusals(module_plane, right) > 0, f"the first refusal to {right}", operator)
    case.deed(without_it)
    wait_for_refusal(module_plane, right, operator)

    assert not case.effect(without_it)


def test_an_operator_needs_the_right_to_list_events(module_plane, started_anew, aging):
    operator, (scene, job) = started_anew, aging
    wait(lambda: scene.delays() == {DelayReason.POD_PENDING}, "a Job that is overdue", operator)
    runs.refuse(module_plane.api, job, "exceeded quota: runs, requested: pods=1")
    operator.stop()
    module_plane.grant(without=WITH_AGE)
    module_plane.mark()

    operator.start()
    wait(lambda: refusals(module_plane, WITH_AGE), f"the refusal to {WITH_AGE}", operator)
    scene.touch()
    wait(lambda: is_settled(scene.resource()), "another visit", operator)
    assert scene.delays() == {DelayReason.POD_PENDING}

    operator.stop()
    module_plane.grant()
    operator.start()
    wait(lambda: scene.delays() == {DelayReason.POD_REFUSED}, "the quota's name", operator)


def rules_of(plane, token, namespace):
    """Return all rights of a token in a namespace, by its own review."""
    api = Api.of(plane.cluster, token)
    review = {"spec": {"namespace": namespace}}
    answer = api.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    api.close()
    return {
        (Right(group, resource, verb), *rule.get("resourceNames", ()))
        for rule in answer["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("namespace", [NAMESPACE, chart.NAMESPACE, "kube-system"])
def test_the_operator_has_the_rights_of_the_chart_and_of_everybody_and_no_others(
    module_plane, namespace
):
    module_plane.grant()
    anybody = rules_of(module_plane, module_plane.token(NAMESPACE, "default"), namespace)
    wanted = {
        (right, *filter(None, [name]))
        for right in module_plane.rights()
        for place, name in chart.places(module_plane.documents, right)
        if place in ("", namespace)
    }

    found = rules_of(module_plane, module_plane.token(), namespace)

    assert found - anybody == wanted
    assert not [right for right, *_ in found if right.resource in ("secrets", "*")]


def test_an_operator_of_named_namespaces_works_with_rights_in_them_alone():
    with Plane("test-namespaced", namespaces=["acme", "umbra"]) as plane:
        for number, namespace in enumerate(["acme", "umbra", NAMESPACE]):
            resource = vendor_sync(number, vendors=1, namespace=namespace)
            plane.api.create("vendorsyncs", resource)
        bound = {document["kind"] for document in chart.applied(plane.documents)}
        own = {document["kind"] for document in chart.roles(plane.documents)}

        with plane.operator() as process:
            process.ready()
            wait_until(lambda: len(plane.api.list("cronjobs")) == 2, what="the CronJobs")

        assert "ClusterRoleBinding" not in bound
        assert own == {"Role"}
        assert {each["metadata"]["namespace"] for each in plane.api.list("cronjobs")} == {
            "acme",
            "umbra",
        }
        refused = [found for found in plane.audit.answers(chart.USER) if found.code == REFUSED]
        assert not [found for found in refused if not found.uri.startswith("/apis/apiext")]
