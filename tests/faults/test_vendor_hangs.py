"""V11: a vendor hangs for ever for one organization, and nobody else notices."""

import pytest

from tests.faults.jobs import EAST, LIST, LOGIN, NORTH, PLANTS, WEST, Job

pytestmark = [pytest.mark.postgres, pytest.mark.fault("V11")]

DEADLINE = 6


def organization(number: int, **changes):
    resource = {"namespace": "solar", "name": f"organization-{number}", "uid": f"uid-{number}"}
    return changes | {
        "organization": {"id": number, "name": f"Organization {number}"},
        "resource": resource,
    }


@pytest.mark.requirement("R11")
@pytest.mark.requirement("R12")
def test_the_others_finish_and_the_run_that_waits_ends_inside_its_deadline(
    app, tmp_path, clouds, vendor_proxy
):
    jobs = {
        "hangs": Job(app, tmp_path / "hangs", clouds).lay_out(
            NORTH, port=vendor_proxy.port, **organization(1, deadlineSeconds=DEADLINE)
        ),
        "same vendor": Job(app, tmp_path / "same", clouds).lay_out(EAST, **organization(2)),
        "other vendor": Job(app, tmp_path / "other", clouds).lay_out(WEST, **organization(3)),
    }
    vendor_proxy.add("timeout", timeout=0)
    processes = {name: job.start() for name, job in jobs.items()}
    others = {name: jobs[name].finish(processes[name]) for name in ("same vendor", "other vendor")}
    hung_still = processes["hangs"].poll() is None
    hangs = jobs["hangs"].finish(processes["hangs"])

    assert {name: ended.reason for name, ended in others.items()} == {
        "same vendor": (0, "Synced"),
        "other vendor": (0, "Synced"),
    }
    assert hung_still
    assert hangs.reason == (69, "VendorUnavailable"), "nothing was read, so another try may help"
    assert hangs.report["durationSeconds"] < DEADLINE
    assert app.rows("SELECT org_id, count(*) FROM plants GROUP BY 1 ORDER BY 1") == [
        (2, EAST.plants),
        (3, WEST.plants),
    ]


def test_what_came_before_the_silence_is_written_inside_the_deadline(job, clouds):
    clouds.fault("stall", path=LIST, page=3)

    ended = job.lay_out(deadlineSeconds=3).run()

    assert ended.reason == (0, "ListingIncomplete")
    assert ended.report["durationSeconds"] < 3
    assert ended.report["created"] == job.count() == 200

    clouds.set_faults()
    assert job.run().counts == {"created": PLANTS - 200, "unchanged": 200}


def test_a_login_that_hangs_is_sent_once_and_given_up_in_time(job, clouds):
    clouds.fault("stall", path=LOGIN)

    ended = job.lay_out(deadlineSeconds=3).run()

    assert ended.reason == (69, "VendorUnavailable")
    assert ended.report["durationSeconds"] < 3
    assert len(clouds.calls(path=LOGIN)) == 1
