"""Accounts for these tests, and clients that speak as the adapters do."""

from __future__ import annotations

from hashlib import sha256

from dev.simulators import Accounts, SolarmanAccount, SungrowAccount

SOLARMAN_LIST = "/station/v1.0/list"
SUNGROW_LIST = "/openapi/getPowerStationList"
NORTH = SolarmanAccount(
    name="sim-north",
    app_id="sim-app",
    app_secret="sim-app-secret",
    email="sim-north@example.test",
    password="Sim-Passw0rd!",
    seed=9,
    plants=25,
)
SOUTH = SolarmanAccount(
    name="sim-south",
    app_id="sim-app-company",
    app_secret="sim-app-secret-company",
    email="sim-south@example.test",
    password="sim-password",
    org_id=700200,
    seed=11,
    plants=3,
    allowance=6,
)
HURRIED = SolarmanAccount(
    name="sim-hurried",
    app_id="sim-app-hurried",
    app_secret="sim-app-secret-hurried",
    email="sim-hurried@example.test",
    username="sim-hurried",
    password="sim-password",
    seed=12,
    plants=0,
    burst_calls=3,
    token_lifetime=30,
    single_token=True,
)
WEST = SungrowAccount(
    name="sim-west",
    appkey="sim-appkey",
    access_key="sim-access-key-00000000000000000",
    user_account="sim-west@example.test",
    user_password="sim-password",
    user_id=300001,
    seed=51,
    plants=60,
)
EAST = SungrowAccount(
    name="sim-east",
    appkey="sim-appkey-east",
    access_key="sim-access-key-east-000000000000",
    user_account="sim-east@example.test",
    user_password="sim-password",
    user_id=300002,
    seed=52,
    plants=5,
    calls_per_hour=3,
    replay_protection=True,
)
DISABLED = SungrowAccount(
    name="sim-disabled",
    appkey="sim-appkey-disabled",
    access_key="sim-access-key-disabled-00000000",
    user_account="sim-disabled@example.test",
    user_password="sim-password",
    user_id=300003,
    seed=53,
    plants=0,
    disabled=True,
)
ACCOUNTS = Accounts(solarman=(NORTH, SOUTH, HURRIED), sungrow=(WEST, EAST, DISABLED))


class SolarmanClient:
    """Speaks to the Solarman port; `headers` holds the token once logged in."""

    def __init__(self, http, sim):
        self.http, self.sim, self.headers = http, sim, {}

    def token(self, account=NORTH, app_id=None, **changes):
        body = {
            "appSecret": account.app_secret,
            "email": account.email,
            "password": sha256(account.password.encode()).hexdigest(),
            **changes,
        }
        body = {key: value for key, value in body.items() if value is not None}
        query = {"appId": account.app_id if app_id is None else app_id}
        return self.post("/account/v1.0/token", body, params=query).json()

    def login(self, account=NORTH, **changes):
        answer = self.token(account, **changes)
        self.headers = {"Authorization": f"bearer {answer['access_token']}"}
        return self

    def post(self, path, body=None, **options):
        options.setdefault("headers", self.headers)
        return self.http.post(self.sim.solarman_url + path, json=body or {}, **options)

    def list(self, page=1, size=10, **options):
        return self.post(SOLARMAN_LIST, {"page": page, "size": size}, **options)


class SungrowClient:
    """Speaks to the Sungrow port; `secret` is the token once logged in."""

    def __init__(self, http, sim):
        self.http, self.sim, self.secret, self.account = http, sim, None, WEST

    def post(self, path, headers=None, **body):
        own = {"x-access-key": self.account.access_key, "sys_code": "901", **(headers or {})}
        full = {"appkey": self.account.appkey, "token": self.secret, **body}
        return self.http.post(
            self.sim.sungrow_url + path,
            headers={key: value for key, value in own.items() if value is not None},
            json={key: value for key, value in full.items() if value is not None},
        )

    def try_login(self, account=WEST, **changes):
        self.account = account
        given = {"user_account": account.user_account, "user_password": account.user_password}
        return self.post("/openapi/login", **{**given, **changes}).json()

    def login(self, account=WEST, **changes):
        self.secret = self.try_login(account, **changes)["result_data"]["token"]
        return self

    def list(self, page=1, size=10, **changes):
        return self.post(SUNGROW_LIST, **{"curPage": page, "size": size, **changes})
