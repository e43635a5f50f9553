"""What streams may do to an operator on a real API server: others are served, nothing is lost.

Inputs: a burst in which a resource is replaced, a namespace that goes and comes back, etcd restored
from a copy of its files. Outputs: what becomes of the resources, and what /healthz says.
"""

import asyncio
import json
import shutil
import threading

import pytest

from dev.plane import Plane, chart
from dev.plane.proxy import Proxy
from dev.stack.waiting import until
from tests.plane.scene import ALPHA, BETA, Scene
from vendorsync_api.group import PLURAL
from vendorsync_operator.health import DENIAL_LIMIT

pytestmark = [pytest.mark.promise("P3"), pytest.mark.timeout(200)]

MINUTE = 60
QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}
HERE, AWAY = "team-a", "team-b"


def replace_in_a_burst(between, scene, *vendors):
    """Edit, delete and make anew a resource, and let the operator hear of all that at once."""
    with between.silence():
        for number in range(4):
            labels = {"labels": {"edit": str(number)}}
            scene.api.patch(PLURAL, scene.namespace, scene.name, {"metadata": labels})
        scene.api.delete(PLURAL, scene.namespace, scene.name)
        for name in scene.cron_jobs():
            scene.api.delete("cronjobs", scene.namespace, name)
        scene.apply(*vendors)


def test_a_resource_that_is_replaced_in_one_burst_is_served(plane, scene, between, operator):
    process = operator(plane, server=between.url, env=QUICK)
    scene.apply(ALPHA)
    scene.applied()
    for vendors in ((BETA,), (ALPHA, BETA), (ALPHA,)):
        until(lambda: between.streams() == 3, "three open streams", every=0.05)

        replace_in_a_burst(between, scene, *vendors)

        scene.until(scene._is_applied, "a status of the new one", 15)
        assert set(scene.cron_jobs()) == {f"acme-{vendor['name']}-plants" for vendor in vendors}
    assert process.alive


class Told:
    """Passes a watch on, and notices when it tells of a deletion."""

    def __init__(self):
        self.deletion = threading.Event()

    async def __call__(self, exchange):
        return await exchange.forward(keep=self._notice)

    def _notice(self, line):
        if json.loads(line)["type"] == "DELETED":
            self.deletion.set()
        return True


def of_cron_jobs(verb):
    return lambda call: (call.resource, call.verb) == ("cronjobs", verb)


def test_an_apply_whose_answer_comes_after_the_deletion_leaves_no_ghost(
    plane, scene, between, operator
):
    told = Told()

    async def late(exchange):
        answer = await exchange.forward()
        where = ("cronjobs", scene.namespace, exchange.call.name)
        await asyncio.to_thread(scene.api.delete, *where)
        assert await asyncio.to_thread(told.deletion.wait, 10)
        return answer

    with between.fault(told, on=of_cron_jobs("watch")):
        operator(plane, server=between.url, env=QUICK)
        scene.apply(ALPHA)
        scene.applied()
        before = scene.uids()
        with between.fault(late, on=of_cron_jobs("patch"), times=1):
            scene.change(run={"deadlineSeconds": 120})
            scene.until(told.deletion.is_set, "the deletion")

        scene.until(scene.uids, "the CronJob made anew", 15)
        scene.applied()

    assert scene.uids().keys() == before.keys()
    assert scene.uids() != before


class Restorable(Plane):
    """A plane whose etcd can be set back to what it was."""

    def save(self):
        """Copy what etcd has on its disk by now, which is all that it has confirmed."""
        self.cluster.pause("etcd")
        try:
            shutil.copytree(self._data, self._copy)
        finally:
            self.cluster.resume("etcd")

    def restore(self):
        """Start the control plane on the copy."""
        for part in ("kube-apiserver", "etcd"):
            self.cluster.end(part)
        shutil.rmtree(self._data)
        shutil.copytree(self._copy, self._data)
        for part in ("etcd", "kube-apiserver"):
            self.cluster.begin(part)
        until(
            lambda: self.cluster.ready() and self._serves_resources(),
            "the API server",
            seconds=MINUTE,
            every=0.2,
        )

    @property
    def _data(self):
        return self.cluster.machine.lib / "etcd"

    @property
    def _copy(self):
        return self._data.with_name("etcd-copy")


@pytest.fixture(scope="module")
def restorable():
    with Restorable("test-restored") as plane:
        yield plane


def revision(plane):
    listed = plane.api.send("GET", "/apis/vendorsync.dev/v1alpha1/vendorsyncs")
    return int(listed["metadata"]["resourceVersion"])


def test_after_a_restore_of_etcd_old_and_new_resources_are_served_within_a_minute(
    restorable, operator
):
    process = operator(restorable, env=QUICK)
    kept, lost, made = (
        Scene(restorable, name, number) for number, name in enumerate(("kept", "lost", "made"), 1)
    )
    kept.apply(ALPHA)
    kept.applied()
    restorable.save()
    kept.apply(ALPHA, BETA)
    lost.apply(ALPHA)
    kept.applied()
    lost.applied()
    for number in range(100):
        change = {"metadata": {"annotations": {"edit": str(number)}}}
        restorable.api.patch(PLURAL, lost.namespace, lost.name, change)
    before = revision(restorable)

    restorable.restore()
    assert revision(restorable) < before
    made.apply(BETA)
    kept.change(run={"deadlineSeconds": 120})

    made.until(made._is_applied, "a status of a new resource", MINUTE)
    kept.until(kept._is_applied, "a status of the old one", MINUTE)
    assert set(kept.cron_jobs()) == {"kept-alpha-plants"}
    assert set(made.cron_jobs()) == {"made-beta-plants"}
    assert lost.live() is None
    assert process.alive
    assert process.health()[0] == 200


@pytest.fixture(scope="module")
def named():
    """A plane on which the operator watches two namespaces by name."""
    with Plane("test-named", controllers=True, namespaces=(HERE, AWAY)) as plane:
        yield plane


def remove(plane, namespace):
    """Delete a namespace with all that it holds, the operator's rights among it."""
    if exists(plane, namespace):
        plane.api.delete("namespaces", None, namespace)
    until(
        lambda: not exists(plane, namespace),
        f"the end of {namespace}",
        seconds=MINUTE,
        every=0.1,
    )


def bring_back(plane, namespace):
    """Make a namespace anew, with the rights that the chart gives in it."""
    if exists(plane, namespace):
        return
    plane.namespace(namespace)
    for document in plane.documents:
        if document["metadata"].get("namespace") == namespace:
            plane.api.apply(document)


def exists(plane, namespace):
    return namespace in names(plane.api.list("namespaces"))


def names(found):
    return {each["metadata"]["name"] for each in found}


def served(plane, name, number, namespace, seconds):
    """Create a resource and wait until it is served."""
    scene = Scene(plane, name, number, namespace)
    scene.apply(ALPHA)
    scene.until(scene._is_applied, f"a status in {namespace}", seconds)
    assert set(scene.cron_jobs()) == {f"{name}-alpha-plants"}
    return scene


def is_told(process):
    code, text = process.health()
    assert code == 200, text
    return f"in {AWAY}: HTTP 403" in text


def test_a_namespace_that_is_deleted_ends_no_operator_and_keeps_no_other_waiting(named, operator):
    bring_back(named, AWAY)
    with Proxy(named.server, named.ca) as between:
        process = operator(named, server=between.url, env=QUICK)
        served(named, "first", 1, HERE, MINUTE)
        served(named, "second", 2, AWAY, MINUTE)

        remove(named, AWAY)
        # As the server does itself, within five minutes: it looks at rights when a watch begins.
        assert between.cut_streams() == 6
        until(
            lambda: not process.alive or f'"namespace": "{AWAY}"' in process.log(),
            "word of it in the log",
            seconds=DENIAL_LIMIT + 40,
        )
        served(named, "third", 3, HERE, 15)
        assert is_told(process)


def test_an_operator_starts_without_a_namespace_and_takes_it_up_when_it_is_back(named):
    remove(named, AWAY)
    named.api.clear("leases", chart.NAMESPACE)

    with named.operator(env=QUICK) as process:
        served(named, "fourth", 4, HERE, 20)
        process.ready(seconds=DENIAL_LIMIT + 20)
        assert is_told(process)
        assert f'"unserved": ["{AWAY}"]' in process.log()

        bring_back(named, AWAY)
        served(named, "second", 2, AWAY, MINUTE)
        assert process.health()[1].splitlines() == ["ok, leading"]


def test_a_right_that_is_taken_away_in_one_namespace_is_told_in_its_status(named, operator):
    bring_back(named, AWAY)
    (role,) = (
        document
        for document in named.documents
        if document["kind"] == "Role" and document["metadata"].get("namespace") == AWAY
    )
    less = [rule for rule in role["rules"] if "jobs" not in rule["resources"]]
    assert less != role["rules"]
    with Proxy(named.server, named.ca) as between:
        operator(named, server=between.url, env=QUICK)
        scene = served(named, "fifth", 5, AWAY, MINUTE)

        named.api.apply(role | {"rules": less})
        between.cut_streams()
        scene.until(
            lambda: scene.condition("Ready") == ("Unknown", "NamespaceDenied"),
            "word of it in the status",
            DENIAL_LIMIT + 40,
        )
        served(named, "sixth", 6, HERE, 15)

        named.api.apply(role)
        scene.until(lambda: scene.condition("Ready") == ("True", "Applied"), "its return", MINUTE)
