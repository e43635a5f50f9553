"""Real control planes without nodes: one for all tests of a module, emptied before each of them.

Real: etcd, kube-apiserver, with `controlled_plane` the controller manager and the scheduler, and
the operator as a process with the chart's rights. Nothing runs pods; tests write what a run leaves.
"""

import os
import sys
from pathlib import Path

import pytest

from dev.plane import Plane
from dev.plane.proxy import Proxy

# Before it is imported: what it asserts is shown like what tests assert.
pytest.register_assert_rewrite("tests.plane.scene")

from tests.plane.scene import Scene  # noqa: E402

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").replace("gw", "-")
"""Of several processes that share the files of this folder each has planes of its own."""


def pytest_collection_modifyitems(items):
    unfit = sys.platform != "linux" or os.geteuid() != 0
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if unfit:
                item.add_marker(pytest.mark.skip(reason="a plane needs Linux and root"))


@pytest.fixture(scope="module")
def module_plane():
    with Plane(f"test-plane{WORKER}") as plane:
        yield plane


@pytest.fixture(scope="module")
def module_controlled_plane():
    with Plane(f"test-controlled{WORKER}", controllers=True) as plane:
        yield plane


@pytest.fixture
def plane(module_plane):
    """An empty plane: API server only."""
    module_plane.clear()
    return module_plane


@pytest.fixture
def controlled_plane(module_controlled_plane):
    """An empty plane with Kubernetes' controllers."""
    module_controlled_plane.clear()
    return module_controlled_plane


@pytest.fixture
def operator():
    """Start an operator on a plane and wait until it is ready; all of a test end with it."""
    started = []

    def start(plane, name="operator", **options):
        process = plane.operator(name, **options)
        started.append(process)
        process.start()
        process.ready()
        return process

    yield start
    for process in started:
        if process.alive:
            process.kill()


@pytest.fixture
def between(plane):
    """A proxy between operator and API server that misbehaves on demand."""
    with Proxy(plane.server, plane.ca) as running:
        yield running


@pytest.fixture
def scene(plane):
    """A resource on a plane, and what becomes of it."""
    return Scene(plane, "acme")


@pytest.fixture
def settled():
    """Wait until the operator has seen all resources of a plane as they are; return them."""
    return Plane.settled
