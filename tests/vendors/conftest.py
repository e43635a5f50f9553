"""Every installed adapter over real sockets against the simulator of its vendor."""

from __future__ import annotations

import pytest

from dev.simulators import simulators
from tests.vendors.clouds import ACCOUNTS, CLOUDS, Vendor
from vendorsync_job.vendors import names


@pytest.fixture(scope="session")
def running():
    with simulators(ACCOUNTS) as sim:
        yield sim


@pytest.fixture
def sim(running):
    running.reset()
    yield running
    running.set_faults()


@pytest.fixture(params=names())
def cloud(request):
    assert request.param in CLOUDS, "an adapter without a simulator cannot be trusted"
    return CLOUDS[request.param]


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
