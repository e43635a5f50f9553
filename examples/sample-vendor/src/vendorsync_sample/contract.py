"""Sample Solar as the contract suite of VendorSync logs in at it and breaks it."""

from functools import partial

from dev.simulators.contract import PLANTS, Cloud
from vendorsync_sample.cloud import ALERTS_PATH, LOGIN_PATH, PLANTS_PATH, Account, SampleCloud

FULL, EMPTY, BUSY = (
    Account(
        name=name,
        client_id="sim-client",
        user=f"{name}@example.test",
        password="Sim-Passw0rd!",  # noqa: S106 - invented
        seed=seed,
        plants=plants,
        alerts=alerts,
    )
    for name, seed, plants, alerts in (
        ("sim-full", 71, PLANTS, 0),
        ("sim-empty", 72, 0, 0),
        ("sim-busy", 73, 3, 60),
    )
)


def secret(account: Account) -> dict[str, str]:
    """Return the keys of the Secret that logs in to an account."""
    return {"clientId": account.client_id, "user": account.user, "password": account.password}


CLOUD = Cloud(
    name="sample",
    simulator=partial(SampleCloud, (FULL, EMPTY, BUSY)),
    credentials=secret(FULL),
    empty=secret(EMPTY),
    busy=secret(BUSY),
    busy_account=BUSY.name,
    password_key="password",  # noqa: S106 - the name of a key
    login_path=LOGIN_PATH,
    list_path=PLANTS_PATH,
    alert_path=ALERTS_PATH,
    expired="TOKEN_UNKNOWN",
    throttled="TOO_FAST",
    quota="DAY_SPENT",
    transient="BUSY",
    refused="FORBIDDEN",
)
