"""Whole runs as a process of their own: real PostgreSQL, real https, simulated vendors."""

import json
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from psycopg import sql

from dev.database.pooler import pooler
from dev.simulators import Accounts, simulators
from dev.stack.waiting import until
from tests.syncjob.builders import RUN_PASSWORD
from tests.syncjob.jobs import EAST, LIST, LOGIN, NORTH, WEST, Job

pytestmark = pytest.mark.postgres

DAY = 86_400
HELD = 100
"""Seconds; a run that waited for so late a page would be noticed."""


@pytest.fixture(scope="module")
def clouds():
    with simulators(Accounts(solarman=(NORTH, EAST), sungrow=(WEST,))) as running:
        yield running


@pytest.fixture
def job(app, tmp_path, clouds):
    clouds.reset()
    made = Job(app, tmp_path, clouds).lay_out()
    yield made
    made.close()
    clouds.set_faults()


def every_row(schema: str, table: str) -> sql.Composed:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))


def logins(clouds) -> int:
    return len(clouds.calls(path=LOGIN))


def written(app) -> dict[str, int]:
    """Count the changes of rows by table."""
    app.await_sessions_end()
    return dict(
        app.rows(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables ORDER BY 1"
        )
    )


@pytest.mark.requirement("R06")
@pytest.mark.requirement("R07")
@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("adapter", "account"), [("solarman", NORTH), ("sungrow", WEST)], ids=["solarman", "sungrow"]
)
def test_a_run_brings_the_vendors_plants_into_the_table(job, clouds, adapter, account):
    ended = job.lay_out(account).run()

    truth = {plant["id"]: plant["name"] for plant in clouds.truth(adapter, account.name)}
    assert (ended.code, ended.report["reason"], ended.report["message"]) == (0, "Synced", "")
    assert ended.report["created"] == ended.report["total"] == len(truth)
    assert dict(job.app.rows("SELECT vendor_plant_id, name FROM plants")) == truth
    assert job.app.value("SELECT last_synced_at IS NOT NULL FROM vendors")
    assert job.app.rows("SELECT result, created, complete FROM vendorsync.runs") == [
        ("Succeeded", len(truth), True)
    ]


@pytest.mark.requirement("R02")
@pytest.mark.fault("D8")
def test_a_second_run_uses_the_token_and_touches_no_row(job, clouds):
    job.run()
    seen = "SELECT ctid::text, xmin::text FROM plants ORDER BY id"
    before = job.app.rows(seen)
    counted = written(job.app)

    ended = job.run()

    assert ended.report["unchanged"] == 250
    assert job.app.rows(seen) == before
    assert logins(clouds) == 1
    more = {name: number - counted[name] for name, number in written(job.app).items()}
    assert more["plants"] == more["hashes"] == 0
    assert sum(more.values()) <= 10


@pytest.mark.requirement("R23")
def test_the_logs_tell_start_end_counts_and_context(job):
    ended = job.run(name="by-hand")

    lines = [json.loads(line) for line in ended.output.splitlines()]
    assert lines[0]["message"] == "run started"
    assert "250 created" in lines[-1]["message"]
    assert lines[-1]["report"]["created"] == 250
    assert all(
        (line["source"], line["orgId"], line["run"]) == ("manual", 3, "by-hand") for line in lines
    )


@pytest.mark.fault("S2")
def test_no_secret_is_in_logs_report_or_tables(job):
    ended = job.run()
    job.clouds.fault("error", vendor="solarman", code="2101017", path=LIST)
    failed = job.run()

    dump = "".join(
        str(job.app.rows(every_row("vendorsync", table)))
        for table in ("accounts", "blocks", "runs", "bindings", "quarantine")
    )
    shown = ended.output + failed.output + json.dumps([ended.report, failed.report]) + dump
    for secret in (NORTH.password, NORTH.app_secret, job.app.run_url, "run:pass/word@1"):
        assert secret not in shown


@pytest.mark.fault("T6")
@pytest.mark.requirement("R05")
def test_a_wrong_password_is_tried_once_over_many_runs_and_again_after_a_change(job, clouds):
    password = job.root / "credentials" / "password"
    password.write_text("wrong")
    ended = [job.run() for _ in range(3)]

    assert {(each.code, each.report["reason"]) for each in ended} == {(77, "CredentialsRejected")}
    assert len({each.report["message"] for each in ended}) == 1
    assert logins(clouds) == 1

    password.write_text(NORTH.password)
    assert job.run().code == 0
    assert logins(clouds) == 2


@pytest.mark.fault("T2")
def test_runs_that_start_at_once_log_in_once_and_write_once(job, clouds):
    started = [job.start() for _ in range(3)]

    assert [job.finish(process).code for process in started] == [0, 0, 0]
    assert logins(clouds) == 1
    assert job.count() == 250
    assert job.app.value("SELECT sum(created) FROM vendorsync.runs") == 250


@pytest.mark.fault("D7")
@pytest.mark.promise("P4")
def test_a_run_beside_another_is_skipped(job, clouds):
    clouds.fault("latency", seconds=HELD, path=LIST, page=2)
    first = job.start()
    job.await_rows(100)

    second = job.run()
    first.send_signal(signal.SIGTERM)
    job.finish(first)

    assert (second.code, second.report["reason"]) == (0, "AlreadyRunning")
    assert second.report["result"] == "Skipped"


@pytest.mark.fault("K1")
def test_sigterm_leaves_whole_chunks_a_free_lease_and_a_report(job, clouds):
    clouds.fault("latency", seconds=HELD, path=LIST, page=2)
    process = job.start()
    until(lambda: clouds.calls(path=LIST, page=2), "the call that hangs", every=0.02)
    process.send_signal(signal.SIGTERM)
    ended = job.finish(process)

    (call,) = clouds.calls(path=LIST, page=2)
    assert call.seconds is None, "it waited for the vendor"
    assert (ended.code, ended.report["reason"]) == (75, "Interrupted")
    assert (ended.report["created"], ended.report["complete"], job.count()) == (100, False, 100)
    assert job.app.value("SELECT last_synced_at FROM vendors") is None

    clouds.set_faults()
    again = job.run()
    assert (again.report["created"], again.report["unchanged"]) == (150, 100)


@pytest.mark.fault("K2")
def test_after_a_kill_the_next_pod_of_the_job_goes_on(job, clouds):
    clouds.fault("latency", seconds=HELD, path=LIST, page=2)
    process = job.start(name="job-1")
    job.await_rows(100)
    process.kill()
    job.finish(process)
    clouds.set_faults()

    assert job.run(name="job-2").report["reason"] == "AlreadyRunning"
    assert job.run(name="job-1").report["created"] == 150


@pytest.mark.fault("K2")
def test_a_database_that_blocks_does_not_outlast_the_deadline(job):
    with job.app.connect() as other, other.transaction():
        other.execute("LOCK TABLE plants IN EXCLUSIVE MODE")
        ended = job.lay_out(deadlineSeconds=6).run()

    assert (ended.code, ended.report["reason"]) == (70, "DeadlineExceeded")
    assert job.count() == 0


@pytest.mark.fault("V3")
def test_a_throttle_in_mid_listing_is_partial_and_keeps_what_was_read(job, clouds):
    clouds.fault("too_many_requests", vendor="solarman", path=LIST, page=3, retry_after=600)
    ended = job.run()

    assert (ended.code, ended.report["result"]) == (0, "Partial")
    assert ended.report["reason"] == "ListingIncomplete"
    assert job.count() == 200
    assert job.app.value("SELECT last_synced_at FROM vendors") is None

    clouds.clear_calls()
    resting = job.run()
    assert (resting.code, resting.report["reason"]) == (69, "VendorThrottled")
    assert clouds.calls() == []


@pytest.mark.requirement("R33")
def test_a_missing_secret_is_named(job):
    for file in (job.root / "credentials").iterdir():
        file.unlink()
    ended = job.run()

    assert (ended.code, ended.report["reason"]) == (64, "SecretMissing")
    assert "Secret organization-a-solarman in namespace solar" in ended.report["message"]


@pytest.mark.fault("K5")
@pytest.mark.requirement("R33")
def test_a_missing_key_is_named(job):
    (job.root / "credentials" / "appSecret").unlink()
    ended = job.run()

    assert (ended.code, ended.report["reason"]) == (64, "SecretKeyMissing")
    assert "appSecret" in ended.report["message"]


@pytest.mark.fault("D1")
def test_an_unreachable_database_is_transient_and_makes_no_vendor_call(job, clouds):
    (job.root / "database" / "url").write_text("postgresql://u:hunter2@127.0.0.1:1/app")
    ended = job.run()

    assert (ended.code, ended.report["reason"]) == (69, "DatabaseUnavailable")
    assert ended.report["message"] == (
        "database 127.0.0.1:1/app cannot be reached: Connection refused"
    )
    assert "hunter2" not in ended.output
    assert clouds.calls() == []


@pytest.mark.fault("D4")
@pytest.mark.fault("S2")
def test_a_wrong_password_at_a_pooler_ends_the_run_at_its_first_connection(
    job, clouds, server, app
):
    passwords = {"postgres": server.password, "vendorsync_run": RUN_PASSWORD}
    with pooler(server, passwords, settings={"max_client_conn": 1}) as bouncer:
        good = bouncer.url(app.value("SELECT current_database()"), "vendorsync_run")
        (job.root / "database" / "url").write_text(good.replace("run%3Apass", "hunter2"))
        ended = job.run()
        psycopg.connect(good).close()
        until(lambda: "client close request" in "".join(bouncer.log), "the last end", every=0.02)
        refused = [line for line in bouncer.log if "closing because: SASL" in line]

    assert (ended.code, ended.report["reason"]) == (64, "DatabaseRefused")
    assert "SASL authentication failed" in ended.report["message"]
    assert len(refused) == 1
    assert clouds.calls() == []


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "url",
    [
        "host=127.0.0.1 port=1 dbname=hun#ter2 user=u password=hun#ter2",
        "postgresql://u:hun#ter2@127.0.0.1:1/hun#ter2",
    ],
)
def test_a_password_is_hidden_however_the_url_is_written(job, url):
    (job.root / "database" / "url").write_text(url)
    ended = job.run()

    assert ended.report["message"] == (
        "database 127.0.0.1:1/*** cannot be reached: Connection refused"
    )
    assert "hun#ter2" not in ended.output


@pytest.mark.requirement("R17")
def test_a_scheduled_run_in_the_window_makes_no_vendor_call(job, clouds):
    minutes = int(time.time()) // 60
    schedule = {
        "timeZone": "UTC",
        "windows": [{"start": "00:00", "end": "23:59"}, {"start": "23:59", "end": "00:00"}],
        "cronJob": "nightly",
        "startingDeadlineSeconds": 225,
        "activeDeadlineSeconds": 1320,
    }
    scheduled = job.lay_out(schedule=schedule).run(name=f"nightly-{minutes}")
    assert (scheduled.code, scheduled.report["reason"]) == (0, "RestrictedWindow")
    assert clouds.calls() == []

    by_hand = job.run(name="nightly-by-hand")
    assert (by_hand.report["reason"], by_hand.report["trigger"]) == ("Synced", "Manual")


def test_a_dry_run_writes_nothing_but_the_calls_it_made(job):
    job.lay_out(allowances=[{"calls": 5_000, "seconds": 31_536_000}])
    ended = job.run("--dry-run")

    assert ended.report["created"] == 250
    for table in (
        ("public", "plants"),
        ("public", "vendors"),
        ("vendorsync", "runs"),
        ("vendorsync", "leases"),
        ("vendorsync", "allowances"),
        ("vendorsync", "accounts"),
    ):
        assert job.app.rows(every_row(*table)) == []
    calls = "SELECT calls FROM vendorsync.calls WHERE seconds = 31536000"
    assert job.app.value(calls) == ended.report["calls"]


@pytest.fixture
def now(clouds):
    """Stop the vendors' clock: no alarm shall begin or end between two runs."""
    moment = time.time()
    clouds.set_clock(frozen_at=moment)
    return moment


@pytest.mark.requirement("R26")
@pytest.mark.requirement("R27")
@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("account", [EAST, WEST], ids=["solarman", "sungrow"])
def test_alerts_of_active_plants_come_in_a_run_of_their_own(job, account):
    job.lay_out(account).run()

    ended = job.lay_out(account, stream="alerts").run()

    assert (ended.code, ended.report["reason"]) == (0, "Synced")
    rows = job.app.rows("SELECT a.org_id, p.org_id FROM alerts a JOIN plants p ON p.id = plant_id")
    assert rows
    assert len(rows) == ended.report["created"] == ended.report["total"]
    again = job.run().report
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, len(rows))


@pytest.mark.requirement("R26")
def test_an_open_alert_that_is_listed_no_more_has_ended_and_may_come_back(job, clouds, now):
    job.lay_out(WEST).run()
    job.lay_out(WEST, stream="alerts").run()
    before = job.app.rows("SELECT vendor_alert_id FROM alerts WHERE status = 'active' ORDER BY 1")
    assert before
    clouds.set_clock(frozen_at=now + 30 * DAY)

    gone = job.run().report

    ended = job.app.value("SELECT count(*) FROM alerts WHERE resolved_at IS NOT NULL")
    assert gone["vanished"] == ended == len(before)
    clouds.set_clock(frozen_at=now)
    assert job.run().report["updated"] == ended
    active = "SELECT vendor_alert_id FROM alerts WHERE status = 'active' ORDER BY 1"
    assert set(before) <= set(job.app.rows(active))


@pytest.mark.fault("V3")
def test_alerts_of_an_incomplete_listing_end_nothing(job, clouds, now):
    job.lay_out(WEST).run()
    job.lay_out(WEST, stream="alerts").run()
    before = job.app.rows(every_row("public", "alerts"))
    clouds.set_clock(frozen_at=now + 30 * DAY)
    clouds.fault("http_error", vendor="sungrow", path="/openapi/getFaultAlarmInfo")

    ended = job.run()

    assert ended.report["reason"] == "VendorUnavailable"
    assert job.app.rows(every_row("public", "alerts")) == before


@pytest.mark.fault("V7")
def test_an_empty_listing_after_many_plants_marks_none_and_somebody_is_told(job, clouds):
    job.lay_out(vanishAfter=1).run()
    for plant in clouds.truth("solarman", "north"):
        clouds.change_plants("solarman", "north", [{"op": "remove", "id": plant["id"]}])

    ended = job.run()

    assert (ended.code, ended.report["result"]) == (0, "Partial")
    assert (ended.report["reason"], ended.report["vanished"]) == ("VanishHeld", 0)
    assert job.app.value("SELECT count(*) FROM plants WHERE vanished_at IS NOT NULL") == 0


@pytest.mark.fault("D9")
def test_a_full_compare_can_be_asked_for_and_a_dry_run_tells_what_it_would_repair(job):
    job.run()
    job.app.do("UPDATE plants SET name = 'by hand' WHERE id = (SELECT min(id) FROM plants)")

    assert job.run().report["updated"] == 0
    assert job.run("--dry-run", "--full-compare").report["updated"] == 1
    repaired = job.run("--full-compare")

    assert (repaired.report["updated"], repaired.report["repaired"]) == (1, 1)
    assert job.app.value("SELECT count(*) FROM plants WHERE name = 'by hand'") == 0


def test_a_plant_that_stays_away_is_marked_and_comes_back(job, clouds):
    job.run()
    gone = clouds.truth("solarman", "north")[0]["id"]
    clouds.change_plants("solarman", "north", [{"op": "remove", "id": gone}])
    marked = "SELECT vendor_plant_id FROM plants WHERE vanished_at IS NOT NULL"

    assert [job.run().report["vanished"] for _ in range(3)] == [0, 0, 1]
    assert job.app.rows(marked) == [(gone,)]

    clouds.reset()
    job.run()
    assert job.app.rows(marked) == []


@pytest.mark.fault("V4")
def test_an_allowance_that_is_used_up_stops_every_call_in_later_runs_too(job, clouds):
    job.lay_out(allowances=[{"calls": 100_000, "seconds": 31_536_000, "per": "App"}]).run()
    job.app.do("UPDATE vendorsync.calls SET calls = 100000 WHERE seconds = 31536000")
    clouds.clear_calls()

    ended = job.run()

    assert (ended.code, ended.report["reason"]) == (65, "QuotaExhausted")
    assert clouds.calls() == []
    assert job.lay_out(WEST).run().report["reason"] == "Synced"


@pytest.mark.fault("V4")
def test_after_a_top_up_a_run_by_hand_asks_once_and_then_the_schedule_goes_on(job, clouds):
    schedule = {
        "timeZone": "UTC",
        "cronJob": "nightly",
        "startingDeadlineSeconds": 225,
        "activeDeadlineSeconds": 1320,
    }
    job.lay_out(schedule=schedule)

    def scheduled():
        clouds.clear_calls()
        ended = job.run(name=f"nightly-{int(time.time()) // 60}")
        return ended.report["trigger"], ended.report["reason"], len(clouds.calls())

    clouds.fault("error", vendor="solarman", path=LIST, code="2101010")
    assert scheduled() == ("Schedule", "QuotaExhausted", 2)
    assert scheduled() == ("Schedule", "QuotaExhausted", 0)
    clouds.clear_calls()
    assert job.run(name="nightly-by-hand").report["reason"] == "QuotaExhausted"
    assert len(clouds.calls()) == 1
    assert scheduled() == ("Schedule", "QuotaExhausted", 0)

    clouds.set_faults()
    assert job.run(name="nightly-by-hand").report["reason"] == "Synced"
    assert scheduled() == ("Schedule", "Synced", 3)


@pytest.mark.fault("V4")
def test_what_only_users_report_of_an_allowance_stops_no_run(job):
    """An operator of the release before says nothing of allowances; then the policy holds."""
    job.run()
    job.app.do("UPDATE vendorsync.calls SET calls = 100000 WHERE seconds = 31536000")

    ended = job.run()

    assert (ended.code, ended.report["reason"]) == (0, "Synced")
    assert ended.report["budgetRemaining"] == 0


def test_a_check_needs_no_database(job):
    for file in (job.root / "database").iterdir():
        file.unlink()
    ended = job.run(command="check")

    line = json.loads(ended.output.splitlines()[-1])
    assert (ended.code, line["plants"], line["complete"]) == (0, 250, True)
    assert line["run_needs"] == ["database/ (url)"]


def test_a_check_in_the_text_format_shows_names_of_plants(job):
    ended = job.run("--text-logs", command="check")

    truth = {plant["name"] for plant in job.clouds.truth("solarman", "north")}
    names = json.loads(ended.output.splitlines()[-1].partition("names=")[2])
    assert len(names) == 5
    assert set(names) <= truth


def test_a_spec_that_cannot_be_read_is_refused_and_reported(job):
    job.lay_out()
    report = job.root / "r"
    done = subprocess.run(
        [sys.executable, "-m", "vendorsync_job", "run", "--report", str(report)],
        env={**os.environ, "VENDORSYNC_RUN": '{"vendor": 1}'},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 64
    assert json.loads(report.read_text())["reason"] == "ConfigurationInvalid"
    assert "is no contract of a run" in done.stdout
