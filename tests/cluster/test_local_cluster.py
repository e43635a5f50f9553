"""The provider `local` for real: it starts, survives a killed start, and leaves nothing behind.

Inputs: root on Linux, and the binaries in the cache of this user (built on first use).
Two clusters run side by side, in a state folder of the test's own.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.cluster import cgroups
from dev.cluster.command import run, wait_until
from dev.cluster.components import PAUSE_IMAGE
from dev.cluster.local import LocalCluster
from dev.cluster.processes import ProcessRecord

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="`local` needs Linux and root"
    ),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDORSYNC_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("CLUSTER", "local")
        yield


@pytest.fixture(scope="module")
def first():
    cluster = LocalCluster("first")
    cluster.up()
    yield cluster
    cluster.down()


@pytest.fixture(scope="module")
def second():
    cluster = LocalCluster("second")
    yield cluster
    cluster.down()


def processes_of(cluster: LocalCluster) -> list[ProcessRecord]:
    """Return all processes of the machine that live in the cluster's network."""
    network = Path(f"/proc/{cluster.pids()['etcd']}/ns/net").readlink()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "net").readlink() == network:
                found.append(ProcessRecord.parse((process / "stat").read_text()))
        except OSError:
            continue  # it ended in this moment
    return found


def alive(records: list[ProcessRecord]) -> list[ProcessRecord]:
    return [record for record in records if record.alive()]


def stop(pid: int) -> None:
    """Stop a process; its starter, nsenter, then stops itself as well."""
    starter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(pid, signal.SIGSTOP)
    wait_until(
        lambda: Path(f"/proc/{starter}/stat").read_text().rpartition(")")[2].split()[0] == "T",
        what="the stop of nsenter",
    )


def traces(cluster: LocalCluster) -> list[str]:
    """Return mounts, control groups and files that belong to the cluster."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return [
        *(line for line in mounts if str(cluster.folder) in line),
        *(str(path) for path in cgroups.ROOT.rglob(cluster.machine.cgroup)),
        *([str(cluster.folder)] if cluster.folder.exists() else []),
    ]


def test_a_second_up_leaves_a_running_cluster_as_it_is(first):
    before = first.pids()

    first.up()

    assert first.pids() == before


def test_a_component_can_be_killed_and_started_again(first):
    before = first.pids()

    first.restart("kube-scheduler")

    wait_until(lambda: first.running, what="the cluster with a new scheduler")
    changed = {name for name, pid in first.pids().items() if before[name] != pid}
    assert changed == {"kube-scheduler"}


def test_what_a_killed_start_left_is_removed_by_the_next(first, second):
    starter = subprocess.Popen(
        [sys.executable, "-m", "dev.cluster", "--name", "second", "up"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: "kube-apiserver" in second.pids(), what="a half-started cluster")
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    left = processes_of(second)
    assert second.machine.running
    assert not second.running

    second.up()

    assert second.running
    assert left
    assert not alive(left)


def test_two_clusters_live_side_by_side(first, second):
    second.up()

    for cluster in (first, second):
        cluster.kubectl("run", f"only-{cluster.name}", f"--image={PAUSE_IMAGE}")
    for cluster in (first, second):
        pod = f"pod/only-{cluster.name}"
        cluster.kubectl("wait", "--for=condition=Ready", pod, "--timeout=60s")
        assert cluster.kubectl("get", "pods", "--output=name").split() == [pod]
    assert first.host_address != second.host_address


def test_down_leaves_nothing_and_spares_the_neighbour(first, second, capsys):
    second.up()
    addresses = {first.host_address, second.host_address}
    of_first, of_second = processes_of(first), processes_of(second)
    stop(second.pids()["kube-scheduler"])

    second.down()

    assert not alive(of_second)
    assert first.running

    first.down()
    first.down()

    assert not alive(of_first)
    assert not [*traces(first), *traces(second)]
    assert not addresses & set(run(["hostname", "--all-ip-addresses"]).split())
    assert "nothing to remove" in capsys.readouterr().err
