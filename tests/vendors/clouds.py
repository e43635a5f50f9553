"""What the contract suite must know of each vendor to log in at its simulator and to break it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dev.simulators import Accounts, SolarmanAccount, SungrowAccount
from vendorsync_api.policy import load_policy
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.listing import Listing
from vendorsync_job.session import AccountSession
from vendorsync_job.vendors import load

if TYPE_CHECKING:
    from vendorsync_job.models import Token

PLANTS = 250
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
    ),
)


@dataclass(frozen=True)
class Cloud:
    """One vendor's simulator, as the suite uses it."""

    name: str
    credentials: dict[str, str]
    password_key: str
    empty: dict[str, str]
    login_path: str
    list_path: str
    expired: str
    throttled: str
    quota: str
    transient: str
    refused: str


CLOUDS = {
    "solarman": Cloud(
        name="solarman",
        credentials={
            "appId": "sim-app",
            "appSecret": "sim-app-secret",
            "email": "sim@example.test",
            "password": "Sim-Passw0rd!",
        },
        password_key="password",
        empty={
            "appId": "sim-app-empty",
            "appSecret": "sim-app-secret-empty",
            "email": "sim-empty@example.test",
            "password": "Sim-Passw0rd!",
        },
        login_path="/account/v1.0/token",
        list_path="/station/v1.0/list",
        expired="2101019",
        throttled="2101002",
        quota="2101010",
        transient="3201001",
        refused="2101023",
    ),
    "sungrow": Cloud(
        name="sungrow",
        credentials={
            "appKey": "sim-appkey",
            "secretKey": "sim-access-key-00000000000000000",
            "userAccount": "sim@example.test",
            "userPassword": "Sim-Passw0rd!",
        },
        password_key="userPassword",
        empty={
            "appKey": "sim-appkey-empty",
            "secretKey": "sim-access-key-empty-00000000000",
            "userAccount": "sim-empty@example.test",
            "userPassword": "Sim-Passw0rd!",
        },
        login_path="/openapi/login",
        list_path="/openapi/getPowerStationList",
        expired="E00003",
        throttled="E901",
        quota="E999",
        transient="E997",
        refused="E900",
    ),
}


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
            getattr(self.sim, f"{self.cloud.name}_url"),
            adapter_title=load_policy(self.cloud.name).title,
            allow_private=True,
            ca_file=self.sim.ca_file,
            limits=Limits(total=5),
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
