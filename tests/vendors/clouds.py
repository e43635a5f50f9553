"""What the contract suite must know of each vendor to log in at its simulator and to break it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dev.simulators import Accounts, SolarmanAccount, SungrowAccount
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
    options: dict[str, Any] = field(default_factory=dict)


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
