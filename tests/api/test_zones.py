"""Names of time zones: the IANA database's own, and what people write instead."""

import zoneinfo
from importlib import resources

import pytest

from vendorsync_api.schedule import ScheduleError, zone
from vendorsync_api.schedule.zones import likely, names

MEANT = {
    "IST": "Asia/Kolkata",
    "asia/kolkata": "Asia/Kolkata",
    "Asia/kolkata": "Asia/Kolkata",
    "ASIA/KOLKATA": "Asia/Kolkata",
    "Asia/Kolkatta": "Asia/Kolkata",
    "Asia/Calcuta": "Asia/Calcutta",
    "Asia/Mumbai": "Asia/Kolkata",
    "Kolkata": "Asia/Kolkata",
    "India": "Asia/Kolkata",
    "India Standard Time": "Asia/Kolkata",
    "GMT+5:30": "Asia/Kolkata",
    "UTC+5:30": "Asia/Kolkata",
    "UTC+0530": "Asia/Kolkata",
    "+05:30": "Asia/Kolkata",
    "+5:45": "Asia/Kathmandu",
    "GMT+8": "Etc/GMT-8",
    "UTC-3": "Etc/GMT+3",
    "UTC+00:00": "UTC",
    "utc": "UTC",
    "Nepal": "Asia/Kathmandu",
    "right/Asia/Kolkata": "Asia/Kolkata",
    "posix/Asia/Kolkata": "Asia/Kolkata",
}
PLACELESS = (
    *("posixrules", "localtime", "Local", "local", "Factory", "leapseconds", "zone.tab"),
    *("tzdata.zi", "SystemV/EST5", "Asia", "Asia/", "", "../etc/passwd", "+99:00", "GMT+5:31"),
)


@pytest.mark.fault("K4")
@pytest.mark.parametrize(("written", "meant"), MEANT.items(), ids=repr)
def test_a_zone_that_is_refused_names_the_one_that_is_meant(written, meant):
    with pytest.raises(ScheduleError) as refused:
        zone(written)

    assert str(refused.value) == (f"time zone {written!r} is not in the IANA database; use {meant}")
    assert zone(meant).key == meant


@pytest.mark.parametrize("written", PLACELESS, ids=repr)
def test_what_names_no_place_is_refused_with_an_example(written):
    with pytest.raises(ScheduleError, match=r"; use a name such as Asia/Kolkata$"):
        zone(written)


def test_no_suggestion_is_refused_in_turn():
    assert {found for name in names() if (found := likely(name.swapcase()))} <= names()


@pytest.fixture
def files(tmp_path):
    """Have this process find its time zones in a folder of the test's own."""
    kolkata = (resources.files("tzdata") / "zoneinfo/Asia/Kolkata").read_bytes()

    def add(name):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(kolkata)

    zoneinfo.reset_tzpath([tmp_path])
    yield add
    zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    "name", ["asia/kolkata", "localtime", "posixrules", "right/Asia/Kolkata", "Factory", "Local"]
)
def test_a_file_of_this_machine_alone_is_no_zone(files, name):
    """File systems may ignore case, and machines have copies that differ from one to another."""
    files(name)
    assert zoneinfo.ZoneInfo.no_cache(name).key == name

    with pytest.raises(ScheduleError, match="is not in the IANA database"):
        zone(name)


def test_every_name_of_the_database_is_a_zone():
    assert {zone(name).key for name in names()} == names()
    assert {"Asia/Kolkata", "Asia/Calcutta", "UTC", "Etc/GMT-5"} <= names()
