"""Who can log in to the simulated clouds, read from JSON; every value is invented."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Account = TypeVar("Account", "SolarmanAccount", "SungrowAccount")
DEFAULT_FILE: Final = Path(__file__).with_name("accounts.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class SolarmanAccount:
    """A Solarman account; with `org_id` its plants show only to a token of that company."""

    name: str
    app_id: str
    app_secret: str
    email: str
    password: str
    seed: int
    plants: int
    username: str | None = None
    uid: int = 100200
    org_id: int | None = None
    token_lifetime: float = 5183999
    """Seconds; about 60 days (vendor manual V1.1.6)."""
    page_size_max: int = 200
    """Documented for the device list only; the plant list is assumed to share it."""
    burst_calls: int = 300
    burst_seconds: float = 10
    allowance: int | None = None
    """Calls left to the appId, token calls included; None means without end."""
    success_code: str | None = None
    """Most answers carry null, newer ones `1000000`."""
    single_token: bool = False
    """Not the vendor's way: a new token kills the older ones."""
    busy: int = 0
    """Alarms of each plant on each day; 0 for one now and then."""

    @property
    def secret(self) -> dict[str, str]:
        """The keys of the Secret that logs in to this account."""
        return {
            "appId": self.app_id,
            "appSecret": self.app_secret,
            "email": self.email,
            "password": self.password,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SungrowAccount:
    """An iSolarCloud account of a user-level application."""

    name: str
    appkey: str
    access_key: str
    user_account: str
    user_password: str
    user_id: int
    seed: int
    plants: int
    token_lifetime: float = 86400
    """Seconds since the last call (developer portal, user-level login)."""
    page_size_max: int = 1000
    """No maximum is documented."""
    calls_per_hour: int = 2000
    """No number is published; users cite this one."""
    wrong_passwords: int = 5
    lock_seconds: float = 86400
    disabled: bool = False
    """Locked by an administrator: login_state 5."""
    replay_protection: bool = False
    """The application demands `api_key_param` on every call."""
    refused: tuple[str, ...] = ()
    """Names of interfaces that are not granted to the application: E900."""
    single_token: bool = False
    busy: int = 0
    """Alarms of each plant on each day; 0 for one now and then."""
    shared: int = 0
    """Plants at the end of the list that other organizations share with this one."""

    @property
    def org_id(self) -> int:
        """The organization of the login."""
        return self.user_id + 400_000

    @property
    def secret(self) -> dict[str, str]:
        """The keys of the Secret that logs in to this account."""
        return {
            "appKey": self.appkey,
            "secretKey": self.access_key,
            "userAccount": self.user_account,
            "userPassword": self.user_password,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The accounts of both vendors."""

    solarman: tuple[SolarmanAccount, ...] = ()
    sungrow: tuple[SungrowAccount, ...] = ()

    def named(self, name: str) -> SolarmanAccount | SungrowAccount:
        """Find an account by its name; raises LookupError where none has it."""
        accounts: list[SolarmanAccount | SungrowAccount] = [*self.solarman, *self.sungrow]
        for account in accounts:
            if account.name == name:
                return account
        raise LookupError(f"no account {name!r}")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Accounts:
        """Read a document with a list of accounts per vendor; an unknown key is a TypeError."""
        return cls(
            solarman=tuple(SolarmanAccount(**item) for item in document.get("solarman", ())),
            sungrow=tuple(
                SungrowAccount(**{**item, "refused": tuple(item.get("refused", ()))})
                for item in document.get("sungrow", ())
            ),
        )

    @classmethod
    def from_file(cls, path: Path = DEFAULT_FILE) -> Accounts:
        """Read a JSON file; without a path, the accounts of the demo."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))


SETTINGS: Final = frozenset(
    {
        "token_lifetime", "page_size_max", "burst_calls", "burst_seconds", "allowance",
        "success_code", "single_token", "calls_per_hour", "wrong_passwords", "lock_seconds",
        "disabled", "replay_protection", "refused", "busy", "shared",
    }
)  # fmt: skip
"""Fields of an account that may change while it is in use; the others tell who it is."""


def changed(account: Account, settings: Mapping[str, Any]) -> Account:
    """Return the account with other settings; raises ValueError for what is none of it."""
    if unknown := {name for name in settings if name not in SETTINGS or not hasattr(account, name)}:
        raise ValueError(f"no account setting {', '.join(sorted(unknown))}")
    given: Any = {**settings}
    if "refused" in given:
        given["refused"] = tuple(given["refused"])
    return replace(account, **given)
