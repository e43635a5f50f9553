"""Every installed adapter over real sockets against the simulator of its vendor."""

from __future__ import annotations

import pytest

from dev.simulators import simulators
from dev.simulators.contract import GROUP
from tests.vendors.clouds import ACCOUNTS, Vendor, registered
from vendorsync_job.vendors import names


@pytest.fixture(scope="session")
def running():
    clouds = {name: cloud.simulator for name, cloud in registered().items() if cloud.simulator}
    with simulators(ACCOUNTS, clouds=clouds) as sim:
        yield sim


@pytest.fixture
def sim(running):
    running.reset()
    yield running
    running.set_faults()


@pytest.fixture(params=names())
def cloud(request):
    known = registered()
    assert request.param in known, (
        f"adapter {request.param} has no simulated cloud: name one in the entry points of {GROUP}"
    )
    assert known[request.param].name == request.param
    return known[request.param]


@pytest.fixture
def at(sim):
    """Give the vendor of a cloud; its connections are closed after the test."""
    made: list[Vendor] = []

    def vendor_of(cloud):
        made.append(Vendor(sim, cloud))
        return made[-1]

    yield vendor_of
    for vendor in made:
        vendor.close()


@pytest.fixture
def vendor(at, cloud):
    return at(cloud)
