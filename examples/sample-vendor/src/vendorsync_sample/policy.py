"""What the operator must know of Sample Solar; see API.md."""

from vendorsync_api.policy import AlertListing, Budget, VendorPolicy

SAMPLE = VendorPolicy(
    adapter="sample",
    title="Sample Solar",
    streams=("plants", "alerts"),
    endpoints=("https://api.sample-solar.example",),
    secret_keys=(("clientId",), ("user",), ("password",)),
    identity_keys=("clientId", "user"),
    page_size=100,
    calls_per_run=4,
    budgets=(
        Budget(calls=60, seconds=60),
        Budget(calls=5_000, seconds=86_400, reserve=50),
    ),
    alerts=AlertListing(calls_per_run=2),
)
