"""Time zones: what is accepted here, the API server accepts for a CronJob."""

import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dev.plane.api import ApiError, path
from dev.plane.resources import NAMESPACE, vendor_sync
from vendorsync_api.schedule.zones import names

pytestmark = [pytest.mark.timeout(200)]

ODD = {
    *("Local", "local", "LOCAL", "localtime", "Factory", "posixrules", "leapseconds"),
    *("zone.tab", "posix/Asia/Kolkata", "right/Asia/Kolkata", "SystemV/EST5", "US/Pacific-New"),
    *("IST", "asia/kolkata", "Asia/kolkata", "ASIA/KOLKATA", "Asia", "Asia/", "/Asia/Kolkata"),
    *("GMT+5", "GMT+5:30", "UTC+5:30", "+05:30", "EST5", "India", "../zoneinfo/Asia/Kolkata"),
}
INVALID = 422
FOREIGN = {"Factory", "localtime", "posixrules", "posix/Asia/Kolkata", "right/Asia/Kolkata"}
"""What an API server may take if its machine has such files, and what is refused here: these mean
something else on another machine, or nothing."""


def takes(plane, name):
    """Tell whether the API server takes a CronJob of that zone."""
    container = {"name": "run", "image": "run"}
    document = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "zone", "namespace": NAMESPACE},
        "spec": {
            "schedule": "0 0 1 1 *",
            "timeZone": name,
            "jobTemplate": {
                "spec": {
                    "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}
                }
            },
        },
    }
    try:
        plane.api.send("POST", path("cronjobs", NAMESPACE), document, dryRun="All")
    except ApiError as error:
        if error.status != INVALID:
            raise
        return False
    return True


def taken(plane, candidates):
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda name: (name, takes(plane, name)), sorted(candidates))
        return {name for name, is_taken in found if is_taken}


@pytest.mark.fault("K4")
def test_the_api_server_takes_every_zone_that_is_accepted_here(plane):
    assert taken(plane, names()) == names()


@pytest.mark.fault("K4")
def test_what_the_api_server_takes_is_accepted_here_but_for_a_few(plane):
    machine = {
        str(file.relative_to(folder))
        for folder in map(Path, zoneinfo.TZPATH)
        for file in folder.rglob("*")
        if file.is_file() and file.relative_to(folder).parts[0] not in ("posix", "right")
    }

    assert taken(plane, (machine | ODD) - names()) <= FOREIGN


@pytest.mark.parametrize("name", ["GMT+5:30", "+05:30", "zone.tab", "Asia Kolkata"])
def test_what_is_no_name_at_all_is_refused_at_admission(plane, name):
    document = vendor_sync(0, 1, schedule={"timeZone": name})

    with pytest.raises(ApiError) as refused:
        plane.api.create("vendorsyncs", document)

    words = f"timeZone {name} is not in the IANA database; use a name such as Asia/Kolkata"
    assert words in str(refused.value)
