"""What the contract suite must know of each vendor to log in at its simulator and to break it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dev.simulators import Accounts, SolarmanAccount, SungrowAccount
from dev.simulators.contract import GROUP, PLANTS, Cloud
from tests.vendors.reading import PlantListing
from vendorsync_api.policy import load_policy
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.listing import Listing
from vendorsync_job.models import AlertQuery
from vendorsync_job.network import Endpoint
from vendorsync_job.session import AccountSession
from vendorsync_job.vendors import load

if TYPE_CHECKING:
    from vendorsync_job.models import Token

ACCOUNTS = Accounts(
    solarman=(
        SolarmanAccount(
            name="sim-full",
            app_id="sim-app",
            app_secret="sim-app-secret",
            email="sim@example.test",
            password="Sim-Passw0rd!",
            seed=9,
            plants=PLANTS,
        ),
        SolarmanAccount(
            name="sim-company",
            app_id="sim-app-company",
            app_secret="sim-app-secret-company",
            email="sim-company@example.test",
            password="Sim-Passw0rd!",
            org_id=700200,
            seed=11,
            plants=3,
        ),
        SolarmanAccount(
            name="sim-empty",
            app_id="sim-app-empty",
            app_secret="sim-app-secret-empty",
            email="sim-empty@example.test",
            password="Sim-Passw0rd!",
            seed=12,
            plants=0,
        ),
        SolarmanAccount(
            name="sim-busy",
            app_id="sim-app-busy",
            app_secret="sim-app-secret-busy",
            email="sim-busy@example.test",
            password="Sim-Passw0rd!",
            seed=13,
            plants=2,
            busy=8,
        ),
    ),
    sungrow=(
        SungrowAccount(
            name="sim-full",
            appkey="sim-appkey",
            access_key="sim-access-key-00000000000000000",
            user_account="sim@example.test",
            user_password="Sim-Passw0rd!",
            user_id=300001,
            seed=51,
            plants=PLANTS,
        ),
        SungrowAccount(
            name="sim-empty",
            appkey="sim-appkey-empty",
            access_key="sim-access-key-empty-00000000000",
            user_account="sim-empty@example.test",
            user_password="Sim-Passw0rd!",
            user_id=300002,
            seed=52,
            plants=0,
        ),
        SungrowAccount(
            name="sim-busy",
            appkey="sim-appkey-busy",
            access_key="sim-access-key-busy-000000000000",
            user_account="sim-busy@example.test",
            user_password="Sim-Passw0rd!",
            user_id=300003,
            seed=53,
            plants=10,
            busy=18,
        ),
    ),
)


CLOUDS = {
    "solarman": Cloud(
        name="solarman",
        credentials=ACCOUNTS.solarman[0].secret,
        password_key="password",
        empty=ACCOUNTS.solarman[2].secret,
        busy=ACCOUNTS.solarman[3].secret,
        login_path="/account/v1.0/token",
        list_path="/station/v1.0/list",
        alert_path="/station/v1.0/alertV2",
        expired="2101019",
        throttled="2101002",
        quota="2101010",
        transient="3201001",
        refused="2101023",
    ),
    "sungrow": Cloud(
        name="sungrow",
        credentials=ACCOUNTS.sungrow[0].secret,
        password_key="userPassword",
        empty=ACCOUNTS.sungrow[1].secret,
        busy=ACCOUNTS.sungrow[2].secret,
        login_path="/openapi/login",
        list_path="/openapi/getPowerStationList",
        alert_path="/openapi/getFaultAlarmInfo",
        expired="E00003",
        throttled="E901",
        quota="E999",
        transient="E997",
        refused="E900",
    ),
}


def registered() -> dict[str, Cloud]:
    """The clouds of the built-in adapters, and those that installed distributions name."""
    return {**CLOUDS, **{point.name: point.load() for point in entry_points(group=GROUP)}}


class OneProcessStore:
    """A token store without a database: no other process, no blocks."""

    def __init__(self, token: Token | None = None) -> None:
        self.token = token

    def current(self) -> Token | None:
        return self.token

    def refresh(self, stale, login) -> Token:
        if self.token is None or (stale and stale.value == self.token.value):
            generation = self.token.generation + 1 if self.token else 1
            self.token = replace(login(), generation=generation)
        return self.token


class Vendor:
    """One vendor's adapter with everything it needs, and the ways the suite uses it."""

    def __init__(self, sim, cloud) -> None:
        self.sim = sim
        self.cloud = cloud
        self.store = OneProcessStore()
        self._clients: list[HttpVendorClient] = []

    def adapter(self, *, options=None, **credentials):
        client = HttpVendorClient(
            Endpoint(self.sim.url(self.cloud.name), allow_private=True, ca_file=self.sim.ca_file),
            adapter_title=load_policy(self.cloud.name).title,
            limits=Limits(total=60),
            sleep=lambda _seconds: None,
        )
        self._clients.append(client)
        policy = load_policy(self.cloud.name)
        return load(self.cloud.name)(
            client, {**self.cloud.credentials, **credentials}, policy.check_options(options or {})
        )

    def session(self, adapter) -> AccountSession:
        return AccountSession(self.store, adapter.authenticate, lambda: datetime.now(UTC))

    def listing(self, **settings) -> Listing:
        adapter = self.adapter(**settings)
        pages = adapter.plants(self.session(adapter))
        return PlantListing(adapter, pages, page_size=self.page_size)

    def fields(self, **settings):
        """List the fields of all plants, which are not read."""
        adapter = self.adapter(**settings)
        return [plant for page in adapter.plants(self.session(adapter)) for plant in page.records]

    def alerts(self, *, zones=None, plant=None, plants=(), **settings) -> Listing:
        """List the alerts of the busy account, or of its first plant if that is the vendor's way.

        `zones` are the plants' zones by id, `plant` is another one than the first, `plants` are
        those that are wanted.
        """
        adapter = self.adapter(**{**self.cloud.busy, **settings})
        until = datetime.fromtimestamp(self.sim.now(), UTC)
        query = AlertQuery(
            since=until - timedelta(days=adapter.policy.alerts.days),
            until=until,
            plant=(plant or self.truth("plants")[0]["id"])
            if adapter.policy.alerts.per_plant
            else None,
            zones=zones or {},
            plants=frozenset(plants),
        )
        pages = adapter.alerts(self.session(adapter), query)
        return Listing(pages, key=lambda alert: alert.vendor_alert_id, page_size=self.page_size)

    def truth(self, what):
        """Tell what the busy account's plants or alerts really are."""
        told = {"plants": self.sim.truth, "alerts": self.sim.alert_truth}[what]
        return told(self.cloud.name, self.cloud.busy_account)

    def listed_truth(self):
        """Tell those of the busy account's alerts that `alerts` must give, by id."""
        policy = load_policy(self.cloud.name).alerts
        assert policy
        first = self.truth("plants")[0]["id"]
        return {
            row["id"]: row
            for row in self.truth("alerts")
            if not (policy.per_plant and row["plant"] != first)
            and not (policy.active_only and row["ended_at"] is not None)
        }

    @property
    def page_size(self):
        """How many plants the adapter asks for at a time."""
        return load_policy(self.cloud.name).page_size

    @property
    def page_count(self):
        """How many pages the plants of `Cloud.credentials` fill."""
        return -(-self.cloud.plants // self.page_size)

    def fault(self, kind, **settings) -> None:
        self.sim.fault(kind, vendor=self.cloud.name, **settings)

    def logins(self) -> int:
        return len(self.sim.calls(vendor=self.cloud.name, path=self.cloud.login_path))

    def pages(self, path=None) -> list[int | None]:
        calls = self.sim.calls(vendor=self.cloud.name, path=path or self.cloud.list_path)
        return [call.page for call in calls if call.outcome == "ok"]

    def close(self) -> None:
        for client in self._clients:
            client.close()
