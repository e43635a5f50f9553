from datetime import timedelta

import pytest

from tests.controller.build import NOW
from vendorsync_api.v1alpha1 import Condition, Metadata, VendorStatus, VendorSyncStatus
from vendorsync_operator.status.events import HOURLY_LIMIT, Recorder, Transition, transitions

ACME = Metadata(name="acme", namespace="solar", uid="u1")


def status(*ready, **entry):
    verdict, word = ready or ("True", "Applied")
    return VendorSyncStatus(
        conditions=(
            Condition(
                type="Ready", status=verdict, reason=word, message="m", last_transition_time="t"
            ),
        ),
        vendors=(VendorStatus(name="alpha", stream="plants", **entry),),
    )


GOOD = status(result="Succeeded", reason="Synced")
BAD = status(result="Failed", reason="SecretMissing", message="no x", consecutive_failures=1)


def said(old, new):
    return [(t.type, t.reason, t.note) for t in transitions(old, new)]


def test_a_vendor_that_begins_to_fail_is_an_event():
    assert said(GOOD, BAD) == [("Warning", "SecretMissing", "alpha/plants: no x")]


def test_a_vendor_that_goes_on_failing_for_the_same_reason_is_none():
    again = status(result="Failed", reason="SecretMissing", consecutive_failures=2)

    assert said(BAD, again) == []


def test_a_skipped_run_is_none():
    skipped = status(
        result="Skipped", reason="AlreadyRunning", standing="SecretMissing", consecutive_failures=1
    )

    assert said(BAD, skipped) == []


def test_a_vendor_that_fails_for_another_reason_is_an_event():
    other = status(result="Failed", reason="NoReport", consecutive_failures=2)

    assert [reason for _, reason, _ in said(BAD, other)] == ["NoReport"]


def test_a_recovery_is_an_event_that_names_what_was_wrong():
    assert said(BAD, GOOD) == [
        ("Normal", "Recovered", "alpha/plants: succeeded again after SecretMissing")
    ]


def test_reports_that_are_lost_one_after_the_other_are_one_event():
    lost = status(result="Unknown", reason="ReportLost", job="a")
    again = status(result="Unknown", reason="ReportLost", job="b")

    assert said(GOOD, lost) == [
        ("Warning", "ReportLost", "alpha/plants: the report of a run is lost")
    ]
    assert said(lost, again) == []
    assert said(again, GOOD) == []


def test_a_turn_of_ready_is_an_event():
    refused = status("False", "UnknownAdapter", result="Succeeded", reason="Synced")

    assert said(GOOD, refused) == [("Warning", "UnknownAdapter", "m")]
    assert said(refused, GOOD) == [("Normal", "Ready", "m")]


def test_a_resource_has_so_many_events_an_hour_and_then_more_in_the_next():
    recorder = Recorder("operator-0")
    transition = Transition("Warning", "NoReport", "x")

    made = [recorder.event(ACME, transition, NOW) for _ in range(HOURLY_LIMIT + 1)]

    assert made[-1] is None
    assert all(made[:-1])
    assert recorder.event(ACME, transition, NOW + timedelta(hours=1)) is not None


def test_an_event_is_about_the_resource_and_bounded():
    event = Recorder("operator-0").event(ACME, Transition("Warning", "NoReport", "x" * 5000), NOW)

    assert event is not None
    assert event["regarding"]["uid"] == "u1"
    assert event["metadata"]["namespace"] == "solar"
    assert len(event["note"].encode()) <= 1024
    assert event["eventTime"] == "2026-11-23T06:00:10.000000Z"


@pytest.mark.parametrize("width", ["x", "é", "सौर", "太陽光", "☀️"])
def test_a_note_in_any_script_keeps_to_the_servers_bytes_and_is_cut_between_characters(width):
    words = (width + " ") * 600

    event = Recorder("operator-0").event(ACME, Transition("Warning", "NoReport", words), NOW)

    assert event is not None
    kept = event["note"].removesuffix("…")
    assert 1000 < len(event["note"].encode()) <= 1024
    assert words.startswith(kept)
    assert "\ufffd" not in kept
