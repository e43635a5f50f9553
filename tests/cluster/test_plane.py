"""A plane of its own: the chart's operator as a process, and nothing left of killed runs.

Inputs: root on Linux and the binaries in the cache. The operator is the one of this checkout.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.cluster.command import wait_until
from dev.cluster.errors import NotReadyError
from dev.cluster.processes import ProcessRecord
from dev.plane import Plane, chart
from dev.plane.api import Api, ApiError
from dev.plane.resources import YEARLY, vendor_sync

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="a plane needs Linux and root"
    ),
]

ROOT = Path(__file__).parents[2]
KILLED = """
import time
from dev.plane import Plane
plane = Plane("second")
plane.up()
plane.operator().start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDORSYNC_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def plane():
    with Plane("first") as plane:
        yield plane


@pytest.fixture
def operator(plane):
    with plane.operator() as process:
        process.ready()
        yield process


def test_the_operator_serves_a_resource(plane, operator):
    plane.api.create("vendorsyncs", vendor_sync(0, vendors=2, schedule=YEARLY))

    (found,) = plane.settled()

    assert found["metadata"]["name"] == "organization-0"
    assert len(plane.api.list("cronjobs", "solar")) == 2
    assert operator.health()[0] == 200
    assert operator.rss_bytes > 10_000_000


def test_a_kubeconfig_with_the_operators_token_is_readable_by_its_owner_alone(plane, operator):
    (found,) = plane.cluster.folder.rglob("operator.kubeconfig")

    assert found.stat().st_mode & 0o777 == 0o600


def test_requests_are_counted_from_the_mark_on_and_by_user(plane):
    plane.api.list("cronjobs")
    plane.mark()

    plane.api.get("namespaces", "", "solar")

    assert plane.requests("admin")["get", "namespaces"] == 1
    assert not plane.requests("admin")["list", "cronjobs"]
    assert not plane.requests()


def test_a_right_that_is_dropped_is_refused_and_comes_back(plane):
    right = chart.Right("batch", "cronjobs", "list")
    api = Api.of(plane.cluster, plane.token())

    plane.grant(without=right)
    with pytest.raises(ApiError, match="cannot list resource") as refused:
        api.list("cronjobs")
    plane.grant()

    assert refused.value.status == 403
    assert api.list("cronjobs") == plane.api.list("cronjobs")
    api.close()


def test_a_paused_operator_answers_nothing_until_it_goes_on(plane, operator):
    operator.pause()
    assert operator.health()[0] == 0

    operator.resume()

    assert operator.health()[0] == 200
    assert operator.stop() == 0


def test_an_operator_that_cannot_start_is_told_with_its_last_words(plane):
    with (
        plane.operator("wrong", env={"VENDORSYNC_WORKERS": "0"}) as process,
        pytest.raises(NotReadyError, match="VENDORSYNC_WORKERS is '0'"),
    ):
        process.ready()


def start_and_kill_the_starter(plane):
    """Return the operator that a killed run of the plane's name left."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"started\n"
        run.kill()
    (record,) = plane.cluster.folder.rglob("operator.stat")
    return ProcessRecord.parse(record.read_text())


def test_what_a_killed_run_left_is_ended_by_the_next():
    second = Plane("second")
    left = start_and_kill_the_starter(second)
    assert left.alive()

    with second:
        wait_until(lambda: not left.alive(), what="the end of the operator", seconds=10)
        assert not second.api.list("vendorsyncs")

    second.down()
    assert not second.cluster.folder.exists()
