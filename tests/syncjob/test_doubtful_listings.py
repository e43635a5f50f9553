"""Empty answers that do not say that there is nothing, as whole runs on real PostgreSQL."""

from dataclasses import replace

import pytest

from dev.simulators import Accounts, simulators
from tests.syncjob.jobs import NORTH, WEST, Job

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V7")]
PLANTS = "/openapi/getPowerStationList"
FAULTS = "/openapi/getFaultAlarmInfo"
COMPANY = replace(NORTH, name="company", app_id="sim-app-company", org_id=700200, plants=3)
OTHERS = replace(WEST, name="others", user_account="others", user_id=300002, seed=52, shared=10)


@pytest.fixture(scope="module")
def clouds():
    with simulators(Accounts(solarman=(COMPANY,), sungrow=(WEST, OTHERS))) as running:
        yield running


@pytest.fixture
def job(app, tmp_path, clouds):
    clouds.reset()
    made = Job(app, tmp_path, clouds).lay_out(WEST, vanishAfter=1, vanishGuardPercent=100)
    yield made
    made.close()


def with_options(job, account, **options):
    vendor = job.lay_out(account).spec.vendor
    return job.lay_out(account, vendor=vendor.model_dump(by_alias=True) | {"options": options})


def test_plants_that_are_not_told_do_not_vanish_and_the_run_says_what_to_check(job, clouds):
    job.run()
    synced = "SELECT last_synced_at FROM vendors"
    before = job.app.value(synced)
    clouds.fault("no_data", path=PLANTS)

    ended = job.run()

    assert ended.reason == (0, "ListingIncomplete")
    assert (ended.report["complete"], ended.report["vanished"]) == (False, 0)
    assert "check that plants are shared with the account" in ended.report["message"]
    assert job.app.value("SELECT count(*) FROM plants WHERE vanished_at IS NOT NULL") == 0
    assert job.app.value(synced) == before


def test_alerts_that_are_not_told_have_not_ended(job, clouds):
    job.run()
    job.lay_out(WEST, stream="alerts").run()
    clouds.fault("no_data", path=FAULTS, data=[])

    ended = job.run()

    assert ended.reason == (0, "Synced")
    assert (ended.report["total"], ended.report["vanished"]) == (0, 0)
    assert job.app.value("SELECT count(*) FROM alerts WHERE resolved_at IS NOT NULL") == 0
    assert job.app.value("SELECT count(*) FROM alerts") > 0


def test_a_login_without_its_company_is_no_success_with_nothing(job):
    ended = job.lay_out(COMPANY).run()

    assert ended.reason == (64, "ConfigurationInvalid")
    assert "700200 (Sim EPC company)" in ended.report["message"]
    assert job.count() == 0


def test_a_check_names_the_companies_to_choose_from(job):
    checked = job.lay_out(COMPANY).run(command="check")

    assert checked.code == 64
    assert "700200 (Sim EPC company)" in checked.output


def test_a_check_tells_the_organization_of_a_login_and_what_is_in_doubt(job, clouds):
    told = job.run("--text-logs", command="check").output
    clouds.fault("no_data", path=PLANTS)

    doubted = job.run("--text-logs", command="check")

    assert f"{WEST.org_id} (Sim EPC)" in told
    assert doubted.code == 0
    assert "check that plants are shared with the account" in doubted.output


def test_one_organization_of_an_account_is_synced_without_alerts_of_the_others(job):
    options = {"orgId": OTHERS.org_id}
    listed = with_options(job, OTHERS, **options).run()
    job.spec = job.spec.model_copy(update={"stream": "alerts"})

    alerts = job.run()

    assert (listed.reason, listed.report["created"]) == ((0, "Synced"), OTHERS.plants - 10)
    assert alerts.reason == (0, "Synced")
    assert alerts.report["rejected"] == 0
    assert alerts.report["created"] > 0
