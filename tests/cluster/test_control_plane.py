"""The provider `local` without nodes, for real: which parts run, and how each is disturbed.

Inputs: root on Linux, and the binaries in the cache of this user (built on first use).
"""

import json
import os
import sys
from pathlib import Path

import pytest

from dev.cluster import ClusterError, Parts, cgroups
from dev.cluster.command import wait_until
from dev.cluster.errors import NotReadyError
from dev.cluster.local import LocalCluster
from dev.cluster.processes import ProcessRecord

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="`local` needs Linux and root"
    ),
]

API = {"etcd", "kube-apiserver"}
CONTROLLERS = {"kube-controller-manager", "kube-scheduler"}


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDORSYNC_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def module_cluster():
    cluster = LocalCluster("plane", parts=Parts.API)
    yield cluster
    cluster.down()


@pytest.fixture
def cluster(module_cluster):
    """The API server alone, whole again if a test left it otherwise."""
    module_cluster.up()
    return module_cluster


def states(cluster, component):
    """Return the kernel's letters for a component and for its starter, nsenter."""
    child = Path(f"/proc/{cluster.pids()[component]}/stat")
    starter = cluster.machine.folder / "processes" / component
    found = [ProcessRecord.load(path) for path in (child, starter)]
    return tuple(record.state() for record in found if record)


def requests(cluster):
    return [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]


def test_the_api_server_runs_alone_and_nobody_acts_on_what_it_holds(cluster):
    cluster.kubectl("create", "namespace", "acme")

    assert set(cluster.pids()) == API
    assert not cluster.kubectl("get", "serviceaccounts", "-n", "acme", "-oname")
    assert not list(cgroups.ROOT.rglob(cluster.machine.cgroup))


def test_controllers_act_on_what_the_api_server_holds():
    cluster = LocalCluster("controlled", parts=Parts.CONTROLLERS)
    cluster.up()
    try:
        cluster.kubectl("create", "job", "nightly", "--image=any")
        wait_until(
            lambda: bool(cluster.kubectl("get", "pods", "-oname")), what="the pod of the Job"
        )

        assert set(cluster.pids()) == API | CONTROLLERS
    finally:
        cluster.down()


def test_a_cluster_of_other_parts_takes_the_place_of_one_that_runs(cluster):
    before = cluster.pids()
    other = LocalCluster(cluster.name, parts=Parts.CONTROLLERS)

    other.up()

    assert set(other.pids()) == API | CONTROLLERS
    assert not set(before.values()) & set(other.pids().values())


def test_a_component_that_was_ended_stays_away_until_it_begins_again(cluster):
    cluster.kubectl("create", "configmap", "kept")

    cluster.end("etcd")
    assert set(cluster.pids()) == {"kube-apiserver"}
    assert not cluster.running

    cluster.begin("etcd")
    wait_until(lambda: cluster.running, what="the cluster with a new etcd")
    assert cluster.kubectl("get", "configmap", "kept", "-oname").strip() == "configmap/kept"


def test_a_component_that_runs_is_not_started_twice(cluster):
    with pytest.raises(ClusterError, match="etcd of vendorsync-local-plane runs already"):
        cluster.begin("etcd")


def test_a_component_that_is_paused_answers_after_its_pause(cluster):
    cluster.pause("kube-apiserver")
    assert states(cluster, "kube-apiserver") == ("T", "T")
    assert not cluster.ready()

    cluster.resume("kube-apiserver")

    assert cluster.ready()
    assert "T" not in states(cluster, "kube-apiserver")


def test_a_component_can_be_paused_again_and_again(cluster):
    for _ in range(20):
        cluster.pause("etcd")
        cluster.resume("etcd")

    assert cluster.ready()


def test_a_paused_component_can_be_ended(cluster):
    cluster.pause("etcd")
    cluster.end("etcd")
    with pytest.raises(NotReadyError, match="etcd does not run"):
        cluster.resume("etcd")

    cluster.begin("etcd")

    wait_until(lambda: cluster.running, what="the cluster with a new etcd")


@pytest.mark.parametrize("deed", ["end", "begin", "pause", "resume", "restart"])
def test_a_component_that_the_cluster_lacks_is_named_with_those_it_has(cluster, deed):
    with pytest.raises(ClusterError, match="no component 'kubelet'; it has etcd, kube-apiserver"):
        getattr(cluster, deed)("kubelet")


def test_each_request_is_recorded_before_it_is_answered(cluster):
    cluster.kubectl("get", "--raw=/version?marker=here")

    found = [event for event in requests(cluster) if event["requestURI"].endswith("marker=here")]
    assert [event["stage"] for event in found] == ["RequestReceived"]


def test_a_restarted_api_server_goes_on_with_the_same_record(cluster):
    cluster.kubectl("get", "--raw=/version?marker=before")

    cluster.restart("kube-apiserver")
    wait_until(lambda: cluster.running, what="the cluster with a new API server")
    cluster.kubectl("get", "--raw=/version?marker=after")

    uris = [event["requestURI"] for event in requests(cluster)]
    assert uris.index("/version?marker=before") < uris.index("/version?marker=after")


def test_a_cluster_with_a_paused_component_goes_down_without_a_trace(cluster):
    cluster.pause("etcd")

    cluster.down()

    assert not cluster.folder.exists()
