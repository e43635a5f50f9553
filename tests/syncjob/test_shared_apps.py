"""Two organizations whose accounts share one app of a vendor, as whole runs."""

from dataclasses import replace
from typing import Any

import pytest

from dev.simulators import Accounts, simulators
from tests.syncjob.jobs import NORTH, WEST, Job

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V4")]
BOUGHT = 6
"""Calls: a login and a page for the first run of each account, then a page for each run."""
FEW = 5
DAY = 86_400
PAIRS: dict[str, list[Any]] = {
    "solarman": [
        replace(NORTH, plants=FEW, allowance=BOUGHT),
        replace(
            NORTH, plants=FEW, allowance=BOUGHT, name="sister", email="s@example.test", seed=12
        ),
    ],
    "sungrow": [
        replace(WEST, plants=FEW, calls_per_hour=BOUGHT),
        replace(
            WEST,
            plants=FEW,
            calls_per_hour=BOUGHT,
            name="sister",
            user_account="s",
            seed=52,
            user_id=300002,
        ),
    ],
}
ORGANIZATIONS: list[dict[str, Any]] = [
    {
        "organization": {"id": number, "name": name},
        "resource": {"namespace": "solar", "name": name, "uid": f"uid-{name}"},
    }
    for number, name in ((3, "a"), (4, "b"))
]


@pytest.mark.parametrize("adapter", PAIRS)
def test_accounts_of_one_app_never_ask_the_vendor_for_more_than_the_app_may(app, tmp_path, adapter):
    app.add_vendor(4, 4)
    app.do("DELETE FROM vendors WHERE id = 4")
    allowance = {"calls": BOUGHT, "seconds": DAY, "per": "App"}
    pair = PAIRS[adapter]
    reasons = []
    with simulators(Accounts(**{adapter: tuple(pair)})) as clouds:
        for round_ in range(BOUGHT):
            number = round_ % 2
            job = Job(app, tmp_path / str(number), clouds)
            # One resource alone says what was bought: the other is held to it all the same.
            said = {"allowances": [allowance]} if number == 0 else {"allowances": []}
            job.lay_out(pair[number], **ORGANIZATIONS[number], **said)
            reasons.append(job.run().report["reason"])
        calls = clouds.calls()

    assert reasons == ["Synced"] * 4 + ["QuotaExhausted"] * 2
    assert {call.account for call in calls} == {account.name for account in pair}
    assert len(calls) == BOUGHT
    assert {call.outcome for call in calls} == {"ok"}
    assert app.rows("SELECT DISTINCT org_id FROM plants ORDER BY 1") == [(3,), (4,)]
