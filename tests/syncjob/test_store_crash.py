"""Runs that are killed or put to sleep, in real processes against a real server."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.syncjob.builders import plants, settle, stored_run
from vendorsync_job.models import Counts

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MOMENTS = ("before", "during", "after")


@contextmanager
def dying_runs(app):
    """A process that makes runs which die; returns what asks it for one and reads its answer.

    Whatever is left of them in the end is killed, a run that is stopped too.
    """
    command = [sys.executable, "-m", "tests.syncjob.dying", app.run_url]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    ) as process:
        asks, answers = process.stdin, process.stdout
        assert asks is not None
        assert answers is not None

        def ask(line=None):
            if line:
                asks.write(f"{line}\n")
            return answers.readline().split()

        try:
            yield ask
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def begin_anew(app):
    app.do(
        "TRUNCATE plants, alerts, vendorsync.hashes, vendorsync.runs, vendorsync.leases,"
        " vendorsync.streams"
    )
    with stored_run(app) as run:
        settle(run.records, plants(3, name="old"))
    app.do("TRUNCATE vendorsync.runs")


def check_after_a_second_run(app, count):
    with stored_run(app, owner="job") as run:
        settle(run.records, plants(count, name="new"))

    assert sorted(app.rows("SELECT vendor_plant_id::int, name FROM plants")) == [
        (number, "new") for number in range(1, count + 1)
    ]
    assert app.rows("SELECT sum(created), sum(updated), sum(rejected) FROM vendorsync.runs") == [
        (count - 3, 3, 0)
    ]
    assert app.value("SELECT count(*) FROM vendorsync.hashes") == count


@pytest.mark.fault("D6")
@pytest.mark.parametrize(("count", "steps"), [(7, 7), (1500, 6)], ids=["documents", "copy"])
def test_a_run_that_is_killed_at_any_step_of_a_chunk_is_made_good_by_the_next(app, count, steps):
    app.add_vendor()
    ends = []
    with dying_runs(app) as ask:
        for step in range(steps):
            for moment in MOMENTS:
                begin_anew(app)
                ends.append(ask(f"{moment} {step} SIGKILL {count}"))
                check_after_a_second_run(app, count)
        begin_anew(app)
        unharmed = ask(f"before {steps} SIGKILL {count}")

    # Only a COPY cannot be cut off in the middle here.
    assert ends.count(["ended", "killed"]) >= len(ends) - 1
    assert unharmed == ["ended", "done"]


@pytest.mark.fault("D7")
@pytest.mark.parametrize("step", [0, 1, 4], ids=["before all", "first chunk", "second chunk"])
def test_a_stopped_run_that_wakes_after_its_lease_was_taken_over_writes_nothing(app, step):
    app.add_vendor()
    begin_anew(app)
    with dying_runs(app) as ask:
        word, pid = ask(f"before {step} SIGSTOP 7")
        assert word == "stopped"
        app.do("UPDATE vendorsync.leases SET until = now() - interval '1 second'")
        with stored_run(app, owner="another") as run:
            settle(run.records, plants(7, name="of the other run"))
            os.kill(int(pid), signal.SIGCONT)

            assert ask() == ["ended", "LeaseLostError"]
            assert settle(run.records, plants(7, name="of the other run")) == Counts(unchanged=7)

    assert app.rows("SELECT DISTINCT name FROM plants") == [("of the other run",)]
