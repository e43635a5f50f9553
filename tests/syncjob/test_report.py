import json
from datetime import timedelta

import pytest

from tests.syncjob.builders import NOON
from vendorsync_api.reasons import RunReason, Trigger
from vendorsync_api.run import REPORT_LIMIT, RunReport
from vendorsync_job import report
from vendorsync_job.errors import CredentialsRejectedError, SecretMissingError
from vendorsync_job.models import Counts
from vendorsync_job.report import Outcome, ReportFile


def build(outcome=None, counts=None) -> RunReport:
    return report.build(
        vendor="solarman",
        stream="plants",
        outcome=outcome or Outcome(),
        trigger=Trigger.MANUAL,
        start=NOON,
        end=NOON + timedelta(seconds=2.5),
        complete=True,
        counts=counts or Counts(),
        calls=3,
    )


def test_a_good_run_reports_its_counts_and_no_message():
    made = build(counts=Counts(created=1, updated=2, unchanged=3, rejected=4, duplicate=5))

    assert (made.result, made.exit_code, made.message) == ("Succeeded", 0, "")
    assert (made.total, made.duration_seconds) == (15, 2.5)
    assert made.start_time == "2026-03-02T12:00:00Z"


def test_an_error_becomes_its_reason_exit_code_and_sentence():
    made = build(Outcome.of(CredentialsRejectedError("wrong password")))

    assert (made.reason, made.exit_code) == ("CredentialsRejected", 77)
    assert made.message == "wrong password"


def test_a_report_never_exceeds_its_limit(tmp_path):
    path = tmp_path / "log"
    path.touch()

    ReportFile([path]).write(build(Outcome(RunReason.INTERNAL_ERROR, 'पौधा"\\\n' * 3000)))

    assert len(path.read_bytes()) <= REPORT_LIMIT
    assert RunReport.model_validate_json(path.read_text()).message.endswith("…")


def test_only_the_first_report_is_written(tmp_path):
    path = tmp_path / "log"
    file = ReportFile([path])

    assert file.write(build())
    assert not file.write(build(Outcome(RunReason.INTERRUPTED, "late")))
    assert json.loads(path.read_text())["reason"] == "Synced"


@pytest.mark.fault("S2")
def test_secrets_are_taken_out_of_the_message(tmp_path):
    path = tmp_path / "log"
    file = ReportFile([path], redact=lambda text: text.replace("hunter2", "***"))

    file.write(build(Outcome(RunReason.VENDOR_REFUSED, "the vendor said hunter2")))

    assert "hunter2" not in path.read_text()


def test_a_run_that_cannot_start_still_reports(tmp_path, caplog):
    path = tmp_path / "log"

    assert report.refuse(SecretMissingError("no Secret"), [path]) == 64
    assert json.loads(path.read_text())["reason"] == "SecretMissing"


def test_outside_a_container_there_is_no_termination_message(tmp_path):
    absent, asked = tmp_path / "absent", tmp_path / "asked"

    assert report.report_paths(asked, absent) == (asked,)
    assert report.report_paths(None, absent) == ()


def test_the_sentence_tells_what_was_repaired_and_what_is_gone():
    written = build(counts=Counts(updated=2, repaired=1, vanished=3))

    assert "2 updated (1 repaired)" in report.sentence(written)
    assert "3 newly vanished" in report.sentence(written)
    assert "repaired" not in report.sentence(build(counts=Counts(updated=2)))
