"""What the command line says to people."""

import subprocess
import sys

import pytest

from tests.syncjob.builders import run_spec, write_spec
from tests.syncjob.test_report import build
from vendorsync_api.reasons import RunReason
from vendorsync_job.__main__ import preview
from vendorsync_job.check import Finding
from vendorsync_job.models import Counts
from vendorsync_job.report import Outcome


def migrate(folder, **urls):
    arguments = []
    for option, url in urls.items():
        (folder / option).write_text(url)
        arguments += [f"--{option.replace('_', '-')}-file", str(folder / option)]
    return subprocess.run(
        [sys.executable, "-m", "vendorsync_job", "migrate", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.fault("S2")
def test_migrate_hides_the_passwords_of_both_urls(tmp_path):
    done = migrate(
        tmp_path,
        url="postgresql://owner:hun#ter2@127.0.0.1:1/hun#ter2-s3cret",
        run_url="host=db dbname=d user=run password=s3cret",
    )

    assert done.returncode == 69
    assert "DatabaseUnavailable: database 127.0.0.1:1/***-*** cannot be reached" in done.stderr


@pytest.mark.fault("S2")
def test_migrate_refuses_a_url_that_its_password_tears(tmp_path):
    done = migrate(tmp_path, url="postgresql://owner:hun/ter2@127.0.0.1:1/app")

    assert done.returncode == 64
    assert "special characters percent-encoded" in done.stderr
    assert "ter2" not in done.stderr + done.stdout


@pytest.mark.parametrize("wrong", ["url", "run_url"])
def test_migrate_says_which_of_two_urls_is_wrong(tmp_path, wrong):
    good = "postgresql://owner:pw@127.0.0.1:1/app"
    urls = {"url": good, "run_url": good, wrong: '"postgresql://owner:pw@127.0.0.1:1/app"'}

    done = migrate(tmp_path, **urls)

    assert done.returncode == 64
    assert f"{tmp_path / wrong}: the database URL stands in quotes" in done.stderr


def test_a_dry_run_tells_what_would_change():
    assert preview(build(counts=Counts(created=1, updated=2, unchanged=3))) == [
        "plants listed: 6",
        "would be created: 1",
        "would be updated: 2",
        "unchanged: 3",
    ]


def test_a_dry_run_that_is_partial_says_why():
    partial = build(Outcome(RunReason.LISTING_INCOMPLETE, "it stopped"), Counts(created=1))

    assert preview(partial)[1] == "would be created: 1"
    assert preview(partial)[-1] == "ListingIncomplete: it stopped"


@pytest.mark.parametrize("reason", [RunReason.RESTRICTED_WINDOW, RunReason.VENDOR_REFUSED])
def test_a_dry_run_that_did_not_happen_says_only_why(reason):
    assert preview(build(Outcome(reason, "because"))) == [f"{reason.value}: because"]


def test_a_check_speaks_of_a_runs_other_secrets_only_if_they_are_missing():
    ready = Finding("https://vendor.test", plants=1, complete=True)
    needs = ["database/ (url)", "b/ (k)"]
    early = Finding("https://vendor.test", plants=1, complete=True, run_needs=needs)

    assert ready.lines() == ["logged in to https://vendor.test", "plants: 1"]
    assert early.lines()[2:] == ["run will also need database/ (url) and b/ (k)"]


def test_a_check_tells_the_companies_of_the_login_and_what_is_in_doubt():
    found = Finding(
        "https://vendor.test", complete=True, companies=["7 (Sim EPC)"], doubt="there may be more"
    )

    assert found.lines()[1:] == [
        "companies of the login, for the option orgId: 7 (Sim EPC)",
        "plants: 0",
        "there may be more",
    ]


def test_a_check_with_a_mistyped_folder_says_so(tmp_path):
    spec = write_spec(tmp_path / "spec.json", run_spec())
    done = subprocess.run(
        [sys.executable, "-m", "vendorsync_job", "check", "--spec", spec, "--mounts", "/nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 64
    assert "folder /nowhere of --mounts does not exist" in done.stderr
