"""Rounds over the plants of an account, a share of the calls at a time, as whole runs."""

from dataclasses import replace

import pytest

from dev.simulators import Accounts, simulators
from tests.syncjob.jobs import NORTH, Job

pytestmark = pytest.mark.postgres
SMALL = replace(NORTH, plants=5)
ALERTS = "/station/v1.0/alertV2"


@pytest.mark.fault("V4")
@pytest.mark.requirement("R26")
@pytest.mark.requirement("R27")
def test_runs_with_a_share_of_the_calls_go_round_all_plants_and_plants_sync_between(app, tmp_path):
    with simulators(Accounts(solarman=(SMALL,))) as clouds:
        job = Job(app, tmp_path, clouds).lay_out(SMALL)
        job.run()
        asked: list[int] = []
        ended = []
        for _ in range(3):
            before = len(clouds.calls(path=ALERTS))
            ended.append(job.lay_out(SMALL, stream="alerts", detailCalls=2).run())
            asked.append(len(clouds.calls(path=ALERTS)) - before)
            assert job.lay_out(SMALL).run().report["reason"] == "Synced"
        none = job.lay_out(SMALL, stream="alerts", detailCalls=0).run()
        whole = job.lay_out(SMALL, stream="alerts").run()
        job.close()

    assert asked == [2, 2, 2]
    assert {
        (each.code, each.report["result"], each.report["reason"]) for each in [*ended, none]
    } == {(0, "Partial", "BudgetSpent")}
    assert len({each.report["message"] for each in ended}) == 1
    assert (whole.report["reason"], whole.report["created"]) == ("Synced", 0)
