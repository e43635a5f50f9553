"""The policies of the built-in adapters.

Facts come from the vendors' own manuals unless a comment says otherwise.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vendorsync_api.policy import AlertListing, Budget, Options, Scope, Source, VendorPolicy

_DAY = 86_400
_YEAR = 365 * _DAY


class SolarmanOptions(Options):
    """Options of a Solarman vendor."""

    orgId: Annotated[int, Field(gt=0)] | None = None  # noqa: N815 - the vendor's own spelling
    """Company of a Business account; without it the personal account's plants are listed."""


SOLARMAN = VendorPolicy(
    adapter="solarman",
    title="Solarman OpenAPI",
    streams=("plants", "alerts"),
    endpoints=("https://globalapi.solarmanpv.com", "https://api.solarmanpv.com"),
    secret_keys=(
        ("appId",),
        ("appSecret",),
        ("email", "username", "mobile"),
        ("password", "passwordSha256"),
    ),
    optional_keys=("countryCode",),
    identity_keys=("appId", "email", "username", "mobile"),
    identity_options=("orgId",),
    app_keys=("appId",),
    options=SolarmanOptions,
    page_size=100,
    # The manual gives the burst, per account. Calls are sold per appId since July 2024: by a mail
    # of the vendor's that a user made public, 200,000 a year are free with up to 3 plants. Beyond
    # that the vendor tops up by 100,000 and sells more, which users take for a year's calls.
    budgets=(
        Budget(calls=300, seconds=10),
        Budget(
            calls=200_000,
            seconds=_YEAR,
            reserve=500,
            per=Scope.APP,
            source=Source.REPORTED,
            up_to_plants=3,
        ),
        Budget(calls=100_000, seconds=_YEAR, reserve=500, per=Scope.APP, source=Source.REPORTED),
    ),
    calls_per_run=3,
    token_seconds=60 * _DAY,
    # Alerts are asked for by plant and listed by time (manual).
    alerts=AlertListing(calls_per_run=1, per_plant=True, active_only=False, days=30),
    # Several tokens of an account may live side by side (manual), so alerts, which take long, need
    # not hold the plants up.
    account_concurrency=2,
)


class SungrowOptions(Options):
    """Options of a Sungrow vendor."""

    orgId: Annotated[int, Field(gt=0)] | None = None  # noqa: N815 - as of the other adapter
    """Organization whose plants are listed; without it all that the account sees."""


SUNGROW = VendorPolicy(
    adapter="sungrow",
    title="Sungrow iSolarCloud OpenAPI, user-level login",
    streams=("plants", "alerts"),
    endpoints=(
        "https://gateway.isolarcloud.com.hk",
        "https://gateway.isolarcloud.in",
        "https://gateway.isolarcloud.eu",
        "https://augateway.isolarcloud.com",
        "https://gateway.isolarcloud.com",
    ),
    secret_keys=(("appKey",), ("secretKey",), ("userAccount",), ("userPassword",)),
    identity_keys=("appKey", "userAccount"),
    app_keys=("appKey",),
    # It narrows the list and not the login, so it tells no accounts apart.
    options=SungrowOptions,
    page_size=100,
    # Quotas are per app (manual). No number is published; about 2,000 an hour on the free plan is
    # what users report.
    budgets=(
        Budget(calls=2_000, seconds=3_600, reserve=20, per=Scope.APP, source=Source.REPORTED),
    ),
    calls_per_run=3,
    token_seconds=_DAY,
    # The default query: every open fault of the account, whatever its age (portal).
    alerts=AlertListing(calls_per_run=3, per_plant=False, active_only=True),
    # How often is too often (E901) is not published, nor whether a login ends the older token.
    account_concurrency=1,
)
