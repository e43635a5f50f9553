"""Every installed adapter over real sockets against the simulator of its vendor."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dev.simulators import simulators
from tests.vendors.clouds import ACCOUNTS, CLOUDS, OneProcessStore
from vendorsync_api.policy import load_policy
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.listing import Listing
from vendorsync_job.session import AccountSession
from vendorsync_job.vendors import load, names


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


class Vendor:
    """One vendor's adapter with everything it needs, and the ways the suite uses it."""

    def __init__(self, sim, cloud) -> None:
        self.sim = sim
        self.cloud = cloud
        self.store = OneProcessStore()
        self._clients = []

    def adapter(self, *, limits=Limits(total=5), options=None, **credentials):
        client = HttpVendorClient(
            getattr(self.sim, f"{self.cloud.name}_url"),
            adapter_title=load_policy(self.cloud.name).title,
            allow_private=True,
            ca_file=self.sim.ca_file,
            limits=limits,
            sleep=lambda _seconds: None,
        )
        self._clients.append(client)
        policy = load_policy(self.cloud.name)
        return load(self.cloud.name)(
            client, {**self.cloud.credentials, **credentials}, policy.check_options(options or {})
        )

    def listing(self, **settings) -> Listing:
        adapter = self.adapter(**settings)
        session = AccountSession(self.store, adapter.authenticate, lambda: datetime.now(UTC))
        return Listing(adapter.plants(session), key=lambda plant: plant.vendor_plant_id)

    def fault(self, kind, **settings) -> None:
        self.sim.fault(kind, vendor=self.cloud.name, **settings)

    def logins(self) -> int:
        return len(self.sim.calls(vendor=self.cloud.name, path=self.cloud.login_path))

    def pages(self) -> list[int | None]:
        calls = self.sim.calls(vendor=self.cloud.name, path=self.cloud.list_path)
        return [call.page for call in calls if call.outcome == "ok"]

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def vendor(sim, cloud):
    made = Vendor(sim, cloud)
    yield made
    made.close()
